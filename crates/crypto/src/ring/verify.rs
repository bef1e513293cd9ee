//! Walking the ring (protocol §3.3). Everything here is public, so everything runs in variable time.

use k256::{
    AffinePoint, ProjectivePoint, Scalar,
    elliptic_curve::{
        BatchNormalize,
        ops::{LinearCombination, MulVartime},
    },
};

use super::{
    RingError, Signature,
    challenge::{challenge, hash_point},
    signature::Member,
};
use crate::curve;

/// Verifies one signature by `k256` alone and remembers nothing; see [`Verifier::verify`](super::Verifier::verify).
///
/// This is the reference that a warm [`Verifier`](super::Verifier) is compared with.
///
/// # Errors
/// [`RingError::Mismatch`] when the signature does not verify.
pub fn verify(message: &[u8; 32], signature: &Signature) -> Result<(), RingError> {
    let image = ProjectivePoint::from(signature.image.affine);
    walk(signature, |member, c| {
        let hash = hash_point(&member.key.bytes)?;
        Ok(next_challenge(message, c, &member.response, &member.key.affine, &hash, &image))
    })
}

/// Returns the challenge that each member produces, reduced; the signature verifies when the last one equals
/// its `c0`. For looking into a signature that does not verify.
///
/// # Errors
/// [`RingError::HashToCurve`], which no known key causes.
pub fn challenges(message: &[u8; 32], signature: &Signature) -> Result<Vec<[u8; 32]>, RingError> {
    let image = ProjectivePoint::from(signature.image.affine);
    let mut c = signature.challenge;
    let mut produced = Vec::with_capacity(signature.members.len());
    for member in &signature.members {
        let hash = hash_point(&member.key.bytes)?;
        c = next_challenge(message, &c, &member.response, &member.key.affine, &hash, &image);
        produced.push(c.to_bytes().into());
    }
    Ok(produced)
}

/// Goes once around the ring: `next` makes a member's challenge the next member's.
pub(super) fn walk(
    signature: &Signature,
    mut next: impl FnMut(&Member, &Scalar) -> Result<Scalar, RingError>,
) -> Result<(), RingError> {
    let mut c = signature.challenge;
    for member in &signature.members {
        c = next(member, &c)?;
    }
    if c == signature.challenge { Ok(()) } else { Err(RingError::Mismatch) }
}

/// Computes `C(m, s*G + c*P, s*H + c*I)`. Variable time: no argument may be secret.
pub(super) fn next_challenge(
    message: &[u8; 32],
    c: &Scalar,
    response: &Scalar,
    key: &AffinePoint,
    hash: &AffinePoint,
    image: &ProjectivePoint,
) -> Scalar {
    let left = ProjectivePoint::mul_by_generator_vartime(response) + ProjectivePoint::from(*key).mul_vartime(c);
    let terms = [(*image, *c), (ProjectivePoint::from(*hash), *response)];
    let right = ProjectivePoint::lincomb_vartime(&terms);
    // One field inversion for both; infinity passes through and is encoded as the chain does.
    let [left, right] = ProjectivePoint::batch_normalize_vartime(&[left, right]);
    challenge(message, &curve::compress(&left), &curve::compress(&right))
}
