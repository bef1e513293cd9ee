//! The group law of `y^2 = x^3 + 7`.

#![expect(clippy::many_single_char_names, reason = "formulas are read as formulas")]

use k256::{
    AffinePoint,
    elliptic_curve::{group::CurveAffine, point::AffineCoordinates},
};

use super::field::{FieldElement, invert_all};
use crate::curve::{self, Compressed};

/// A point other than infinity, in one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Affine {
    pub(super) x: FieldElement,
    pub(super) y: FieldElement,
}

/// The point `(x / z^2, y / z^3)`, or infinity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jacobian {
    x: FieldElement,
    y: FieldElement,
    z: FieldElement,
    infinity: bool,
}

impl Affine {
    /// Takes over a point of `k256`; `None` for infinity.
    pub(super) fn from_k256(point: &AffinePoint) -> Option<Self> {
        if bool::from(point.is_identity()) {
            return None;
        }
        Some(Self { x: FieldElement::from_bytes(&point.x().into()), y: FieldElement::from_bytes(&point.y().into()) })
    }

    /// Adds two points of different x, given the inverse of `other.x - self.x`.
    pub(super) fn add_with(self, other: Self, inverse: FieldElement) -> Self {
        let slope = (other.y - self.y) * inverse;
        let x = slope.square() - self.x - other.x;
        Self { x, y: slope * (self.x - x) - self.y }
    }

    fn compress(self) -> Compressed {
        let mut bytes = [0; 33];
        bytes[0] = 0x02 + u8::from(self.y.is_odd());
        bytes[1..].copy_from_slice(&self.x.to_bytes());
        bytes
    }
}

impl Jacobian {
    pub(super) const INFINITY: Self =
        Self { x: FieldElement::ONE, y: FieldElement::ONE, z: FieldElement::ZERO, infinity: true };

    /// Returns `2 * self`. No point of this curve is its own negative, so only infinity doubles to infinity.
    #[inline]
    pub(super) fn double(self) -> Self {
        // With s = y^2, l = 3/2 x^2 (half the usual slope) and t = x s:
        //   x' = l^2 - 2t,   y' = l (t - x') - s^2,   z' = y z
        let s = self.y.square();
        let xx = self.x.square();
        let l = (xx.double() + xx).half();
        let t = self.x * s;
        let x = l.square() - t.double();
        let y = l * (t - x) - s.square();
        Self { x, y, z: self.y * self.z, infinity: self.infinity }
    }

    /// Returns `self + other`, whatever they are: infinity, equal, opposite.
    #[inline]
    pub(super) fn add(self, other: Affine) -> Self {
        if self.infinity {
            return Self::from(other);
        }
        // Over the denominators of self, h is the difference of the x and r that of the y.
        let zz = self.z.square();
        let h = other.x * zz - self.x;
        let r = other.y * (zz * self.z) - self.y;
        if h.is_zero() {
            // One x has two points: the same one, or its negative.
            return if r.is_zero() { self.double() } else { Self::INFINITY };
        }
        // With v = x h^2:   x' = r^2 - h^3 - 2v,   y' = r (v - x') - y h^3,   z' = z h
        let hh = h.square();
        let hhh = hh * h;
        let v = self.x * hh;
        let x = r.square() - hhh - v.double();
        let y = r * (v - x) - self.y * hhh;
        Self { x, y, z: self.z * h, infinity: false }
    }

    /// The affine point, given `1 / z`. Not for infinity.
    fn scaled(self, z_inverse: FieldElement) -> Affine {
        let square = z_inverse.square();
        Affine { x: self.x * square, y: self.y * (square * z_inverse) }
    }
}

impl From<Affine> for Jacobian {
    #[inline]
    fn from(point: Affine) -> Self {
        Self { x: point.x, y: point.y, z: FieldElement::ONE, infinity: false }
    }
}

/// Returns the affine form of every point, `None` for infinity, at the cost of one inversion.
pub(super) fn to_affine(points: &[Jacobian]) -> Vec<Option<Affine>> {
    let mut inverses: Vec<_> =
        points.iter().map(|point| if point.infinity { FieldElement::ONE } else { point.z }).collect();
    invert_all(&mut inverses);
    points.iter().zip(inverses).map(|(point, inverse)| (!point.infinity).then(|| point.scaled(inverse))).collect()
}

/// Encodes points as the chain hashes them, infinity included (see [`curve::compress`]), with one inversion.
pub(super) fn compress(points: [Jacobian; 2]) -> [Compressed; 2] {
    let affine = to_affine(&points);
    [0, 1].map(|index| match affine[index] {
        Some(point) => point.compress(),
        None => curve::compress(&AffinePoint::IDENTITY),
    })
}
