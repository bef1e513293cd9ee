//! The two hash functions of the scheme (protocol §3.1).

use k256::{
    AffinePoint, FieldBytes, Scalar, U256, WideBytes,
    elliptic_curve::{bigint::ArrayEncoding, ops::Reduce, point::DecompressPoint, subtle::Choice},
};

use super::RingError;
use crate::{
    curve::{Compressed, Point},
    hash,
    keys::PublicKey,
};

/// Digests tried before hashing to the curve gives up. Half of all x have a point, so no key needs this many.
const TRIES_MAX: usize = 128;

const FIELD_PRIME: U256 = U256::from_be_hex("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f");

/// Returns `H(P)`: the point with even y whose x is the first of SHA3-256(P), SHA3-256(SHA3-256(P)), … that
/// lies on the curve. Nobody knows its discrete logarithm.
///
/// # Errors
/// [`RingError::HashToCurve`] when 128 digests gave no point, which has probability 2^-128.
pub fn hash_to_curve(key: &PublicKey) -> Result<PublicKey, RingError> {
    hash_point(key.as_bytes()).map(|affine| PublicKey(Point::from_affine(affine)))
}

/// Returns the 32 bytes of the scalar that the chain makes of `input`: SHA3-512 modulo the group order, with
/// its leading zero bytes moved to the end.
///
/// The move is a defect of the reference that one challenge in 256 meets; the chain has it, so it is the rule.
#[must_use]
pub fn hash_to_scalar(input: &[u8]) -> [u8; 32] {
    let digest = hash::sha3_512(input);
    let reduced = <Scalar as Reduce<WideBytes>>::reduce(&WideBytes::from(digest));
    let mut bytes: [u8; 32] = reduced.to_bytes().into();
    let leading_zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    // All zero stays all zero: rotating by 32 changes nothing.
    bytes.rotate_left(leading_zeros);
    bytes
}

/// Returns `C(m, L, R)`, reduced.
pub(super) fn challenge(message: &[u8; 32], left: &Compressed, right: &Compressed) -> Scalar {
    let mut input = [0; 98];
    input[..32].copy_from_slice(message);
    input[32..65].copy_from_slice(left);
    input[65..].copy_from_slice(right);
    crate::curve::scalar_reduced(&hash_to_scalar(&input))
}

/// Returns `H(P)` of a compressed key. Variable time: keys are public.
pub(super) fn hash_point(key: &Compressed) -> Result<AffinePoint, RingError> {
    let mut digest = hash::sha3_256(key);
    for _ in 0..TRIES_MAX {
        let x = field_reduced(&digest);
        let point: Option<AffinePoint> = AffinePoint::decompress(&x, Choice::from(0)).into();
        if let Some(point) = point {
            return Ok(point);
        }
        digest = hash::sha3_256(&digest);
    }
    Err(RingError::HashToCurve)
}

/// Reduces a digest modulo the field prime; it is less than twice the prime.
fn field_reduced(digest: &[u8; 32]) -> FieldBytes {
    let value = U256::from_be_slice(digest);
    let reduced = if value >= FIELD_PRIME { value.wrapping_sub(&FIELD_PRIME) } else { value };
    reduced.to_be_byte_array()
}
