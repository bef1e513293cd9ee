use k256::{AffinePoint, ProjectivePoint, Scalar};

use super::{super::point::*, affine, assert_is, bytes_of, point, random_scalar, seed};

fn multiple(factor: i64) -> ProjectivePoint {
    let magnitude = Scalar::from(factor.unsigned_abs());
    point(&if factor < 0 { -magnitude } else { magnitude })
}

/// The multiple on a denominator other than 1, by way of infinity for 0.
fn jacobian(factor: i64) -> Jacobian {
    Jacobian::from(affine(&multiple(factor + 9))).add(affine(&multiple(-9)))
}

#[test]
fn any_two_small_multiples_are_added_whether_equal_opposite_or_infinity() {
    for left in -5_i64..=5 {
        assert_is(jacobian(left), &multiple(left), format_args!("{left}"));
        assert_is(jacobian(left).double(), &multiple(2 * left), format_args!("2 * {left}"));
        for right in (-5_i64..=5).filter(|right| *right != 0) {
            let other = affine(&multiple(right));
            assert_is(jacobian(left).add(other), &multiple(left + right), format_args!("{left} + {right}"));
            if left != 0 {
                let plain = Jacobian::from(affine(&multiple(left)));
                assert_is(plain.add(other), &multiple(left + right), format_args!("{left} + {right}, z = 1"));
            }
        }
    }
    assert_is(Jacobian::INFINITY.double(), &ProjectivePoint::IDENTITY, format_args!("2 * infinity"));
}

#[test]
fn random_points_are_added_and_doubled() {
    let mut rng = seed::rng();
    let mut computed = Jacobian::INFINITY;
    let mut expected = ProjectivePoint::IDENTITY;
    for round in 0..1_000 {
        let next = point(&random_scalar(&mut rng));
        computed = computed.double().add(affine(&next));
        expected = expected + expected + next;
        assert_is(computed, &expected, format_args!("round {round}"));
    }
}

#[test]
fn points_are_taken_over_and_encoded_as_the_chain_does() {
    assert!(Affine::from_k256(&AffinePoint::IDENTITY).is_none());
    for left in -3..=3 {
        for right in -3..=3 {
            let expected = [multiple(left), multiple(right)].map(|point| bytes_of(&point));
            assert_eq!(compress([jacobian(left), jacobian(right)]), expected, "{left} and {right}");
        }
    }
    let infinity = compress([Jacobian::INFINITY; 2])[0];
    assert_eq!((infinity[0], &infinity[1..]), (2, [0; 32].as_slice()));
}
