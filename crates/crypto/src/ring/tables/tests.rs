//! Every layer against `k256` and plain long arithmetic, at random and where carries and cancellations happen.
#![allow(clippy::disallowed_methods, reason = "a test without a seed draws one from the machine, and prints it")]

#[path = "../../../tests/it/seed.rs"]
mod seed;

mod field;

mod digits;

mod point;

mod sum;

mod cache;

use k256::{ProjectivePoint, Scalar, elliptic_curve::bigint::U256, elliptic_curve::ops::Reduce};
use rand::{Rng, rngs::StdRng};

use super::point::{Affine, Jacobian, compress};
use crate::curve::{self, Compressed};

/// Multiplies like the endomorphism.
fn lambda() -> Scalar {
    scalar_of(&U256::from_be_hex("5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72"))
}

fn scalar_of(value: &U256) -> Scalar {
    <Scalar as Reduce<U256>>::reduce(value)
}

fn random_scalar(rng: &mut StdRng) -> Scalar {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    curve::scalar_reduced(&bytes)
}

/// Scalars where digits carry, halves are short or change sign, and sums meet doublings or cancel.
fn edge_scalars() -> Vec<Scalar> {
    let lambda = lambda();
    let half = (Scalar::ONE + Scalar::ONE).invert_vartime().expect("2 is not 0");
    let mut scalars = vec![Scalar::ZERO, Scalar::ONE, lambda, lambda.square(), half, lambda * half];
    scalars.extend((2_u64..6).map(Scalar::from));
    scalars.extend([7, 15, 16, 31, 32, 63, 64, 127, 128].map(power_of_two));
    scalars.extend([8, 16, 32, 64, 112, 128].map(|bits| power_of_two(bits) - Scalar::ONE));
    scalars.extend([Scalar::from(u128::MAX) * lambda, Scalar::from(u128::MAX) * (lambda + Scalar::ONE)]);
    let negated: Vec<_> = scalars.iter().map(|scalar| -scalar).collect();
    scalars.extend(negated);
    scalars
}

fn power_of_two(exponent: u32) -> Scalar {
    scalar_of(&U256::ONE.shl_vartime(exponent))
}

fn point(scalar: &Scalar) -> ProjectivePoint {
    ProjectivePoint::mul_by_generator_vartime(scalar)
}

fn affine(point: &ProjectivePoint) -> Affine {
    Affine::from_k256(&point.to_affine()).expect("not infinity")
}

fn bytes_of(point: &ProjectivePoint) -> Compressed {
    curve::compress(&point.to_affine())
}

#[track_caller]
fn assert_is(computed: Jacobian, expected: &ProjectivePoint, context: std::fmt::Arguments<'_>) {
    assert_eq!(compress([computed, Jacobian::INFINITY])[0], bytes_of(expected), "{context}");
}
