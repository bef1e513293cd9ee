use k256::{Scalar, elliptic_curve::bigint::U256};
use rand::Rng;

use super::{super::digits::*, affine, edge_scalars, lambda, point, power_of_two, random_scalar, scalar_of, seed};

const ORDER: U256 = U256::from_be_hex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");

fn signed(magnitude: Scalar, negative: bool) -> Scalar {
    if negative { -magnitude } else { magnitude }
}

fn check_split(scalar: &Scalar) {
    let [one, two] = Split::of(scalar).halves;
    let value = |half: Half| signed(Scalar::from(half.value), half.negative);
    assert_eq!(value(one) + value(two) * lambda(), *scalar);
    // 0.64 * 2^128: what `Split::of` promises.
    assert!(one.value.max(two.value) >> 120 <= 163, "{scalar:?}: {one:?}, {two:?}");
    for half in [one, two] {
        check_digits(half);
    }
}

fn check_digits(half: Half) {
    for width in [2, 3, 5, 7, 8, 9, 12] {
        let mut sum = Scalar::ZERO;
        let mut free = 0;
        half.digits(width, |position, digit| {
            assert!(digit % 2 != 0 && digit.unsigned_abs() < 1 << (width - 1), "digit {digit} of width {width}");
            assert!(position >= free, "digits of width {width} overlap at {position}");
            assert!(position < 128 || (position == 128 && digit.abs() == 1), "{digit} at {position}");
            free = position + width;
            sum += signed(Scalar::from(digit.unsigned_abs()) * power_of_two(position), digit < 0);
        });
        assert_eq!(sum, signed(Scalar::from(half.value), half.negative), "{half:?} at width {width}");
    }
}

#[test]
fn halves_and_digits_add_up_to_the_scalar() {
    for scalar in edge_scalars() {
        check_split(&scalar);
    }
    for exponent in 0..256 {
        check_split(&power_of_two(exponent));
        check_split(&(power_of_two(exponent) - Scalar::ONE));
    }
    let mut rng = seed::rng();
    for _ in 0..2_000 {
        check_split(&random_scalar(&mut rng));
    }
}

#[test]
fn digits_add_up_for_halves_that_no_scalar_has() {
    let mut values = vec![0, 1, u128::MAX, u128::MAX - 1, 1 << 127, (1 << 127) - 1, u128::MAX / 3, u128::MAX / 3 * 2];
    let mut rng = seed::rng();
    for _ in 0..500 {
        let random = u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64());
        // Long runs of ones carry across block borders.
        values.extend([random, random | u128::MAX >> (random % 128), random | u128::MAX << (random % 128)]);
    }
    for value in values {
        for negative in [false, true] {
            check_digits(Half { value, negative });
        }
    }
}

#[test]
fn the_constants_are_those_of_the_curve() {
    let lambda = lambda();
    assert_eq!(lambda * lambda * lambda, Scalar::ONE);
    let generator = affine(&point(&Scalar::ONE));
    let multiple = affine(&point(&lambda));
    assert!((generator.x * BETA - multiple.x).is_zero() && (generator.y - multiple.y).is_zero());

    // Both vectors lie in the lattice, and the quotients are rounded to the nearest.
    assert_eq!(scalar_of(&A1), scalar_of(&B1) * lambda);
    assert_eq!(scalar_of(&A2), -(scalar_of(&A1) * lambda));
    let half = ORDER.shr_vartime(1);
    for (quotient, dividend) in [(A1_BY_ORDER, A1), (B1_BY_ORDER, B1)] {
        let (low, high) = quotient.widening_mul(&ORDER);
        let exact = dividend.shl_vartime(128);
        let above = high == exact && low <= half;
        let below = high == exact.wrapping_sub(&U256::ONE) && low.wrapping_neg() <= half;
        assert!(above || below);
    }
}
