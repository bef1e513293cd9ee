//! Points of secp256k1 in the encoding of the chain, and reduction of byte strings to scalars.

use k256::{
    AffinePoint, FieldBytes, Scalar,
    elliptic_curve::{
        group::CurveAffine,
        ops::Reduce,
        point::{AffineCoordinates, DecompressPoint},
        subtle::Choice,
    },
};

/// A point in SEC1 compressed form.
pub(crate) type Compressed = [u8; 33];

const PREFIX_EVEN: u8 = 0x02;
const PREFIX_ODD: u8 = 0x03;

/// A point other than infinity, with the bytes it came from or goes out as.
#[derive(Clone, Copy)]
pub(crate) struct Point {
    pub(crate) bytes: Compressed,
    pub(crate) affine: AffinePoint,
}

impl Point {
    /// Returns the point of `bytes`, or `None` when the prefix is not 02 or 03, x is not below the field
    /// prime, or no point has that x. Infinity has no accepted encoding.
    pub(crate) fn decode(bytes: &Compressed) -> Option<Self> {
        let y_is_odd = match bytes[0] {
            PREFIX_EVEN => 0,
            PREFIX_ODD => 1,
            _ => return None,
        };
        let x: [u8; 32] = bytes[1..].try_into().ok()?;
        let affine: Option<AffinePoint> = AffinePoint::decompress(&FieldBytes::from(x), Choice::from(y_is_odd)).into();
        affine.map(|affine| Self { bytes: *bytes, affine })
    }

    pub(crate) fn from_affine(affine: AffinePoint) -> Self {
        Self { bytes: compress(&affine), affine }
    }
}

/// Encodes a point; infinity becomes `02` and 32 zero bytes, as the chain hashes it (protocol §3.1.3).
pub(crate) fn compress(point: &AffinePoint) -> Compressed {
    let mut bytes = [0; 33];
    bytes[0] = PREFIX_EVEN;
    if !bool::from(point.is_identity()) {
        bytes[0] += point.y_is_odd().unwrap_u8();
        bytes[1..].copy_from_slice(&point.x());
    }
    bytes
}

/// Reads 32 big-endian bytes as a scalar, silently reduced modulo the group order as the chain does.
pub(crate) fn scalar_reduced(bytes: &[u8; 32]) -> Scalar {
    <Scalar as Reduce<FieldBytes>>::reduce(&FieldBytes::from(*bytes))
}
