use k256::{
    AffinePoint, ProjectivePoint, Scalar,
    elliptic_curve::{group::CurveAffine, ops::LinearCombination},
};

use super::{
    super::{digits::Split, point::Jacobian, sum::*, table::*},
    assert_is, bytes_of, edge_scalars, lambda, point, power_of_two, random_scalar, seed,
};

/// A point and its table.
struct Base {
    point: ProjectivePoint,
    table: Table,
}

impl Base {
    fn new(point: ProjectivePoint) -> Self {
        Self { point, table: Table::new(&point.to_affine()).expect("not infinity") }
    }
}

fn check(one: &Base, a: &Scalar, two: &Base, b: &Scalar) {
    let computed = sum([(&one.table, &Split::of(a)), (&two.table, &Split::of(b))]);
    let expected = ProjectivePoint::lincomb_vartime(&[(one.point, *a), (two.point, *b)]);
    assert_is(computed, &expected, format_args!("{a:?} and {b:?}"));
}

#[test]
fn every_entry_is_the_multiple_it_stands_for() {
    let base = point(&random_scalar(&mut seed::rng()));
    let generator = ProjectivePoint::GENERATOR;
    for (table, base) in [(&Base::new(base).table, base), (&GENERATOR, generator)] {
        let check = |position: u32, digit: i32| {
            let scalar = power_of_two(position) * Scalar::from(digit.unsigned_abs());
            let index = table.index(position, digit);
            for (endomorphism, negative) in [(false, false), (false, true), (true, false), (true, true)] {
                let factor = if endomorphism { scalar * lambda() } else { scalar };
                let expected = base * if negative { -factor } else { factor };
                let entry = Jacobian::from(table.entry(index, endomorphism, negative));
                assert_is(entry, &expected, format_args!("{digit} at {position}"));
            }
        };
        for block in 0..BLOCKS {
            let position = u32::try_from(block).expect("few blocks") * BLOCK_BITS;
            (1..1 << (table.width - 1)).step_by(2).for_each(|digit| check(position, digit));
        }
        check(128, 1);
    }
    assert!(Table::new(&AffinePoint::identity()).is_none());
}

#[test]
fn sums_of_related_points_double_and_cancel() {
    let base = point(&random_scalar(&mut seed::rng()));
    let one = Base::new(base);
    // Equal, opposite and endomorphic points, whose entries meet in the accumulator.
    let related = [base, -base, base * lambda(), -(base * lambda()), base.double(), base * power_of_two(16)];
    for two in related.map(Base::new) {
        for a in edge_scalars() {
            for b in edge_scalars() {
                check(&one, &a, &two, &b);
            }
        }
    }
}

#[test]
fn multiples_by_all_powers_of_two_are_right() {
    let mut rng = seed::rng();
    let (one, two) = (Base::new(point(&random_scalar(&mut rng))), Base::new(point(&random_scalar(&mut rng))));
    for exponent in 0..256 {
        let power = power_of_two(exponent);
        check(&one, &power, &two, &(power - Scalar::ONE));
        check(&one, &-power, &one, &power);
    }
}

#[test]
fn random_equations_are_right() {
    let mut rng = seed::rng();
    let points = [0; 3].map(|_| point(&random_scalar(&mut rng)));
    let [key, hash, image] = points.map(Base::new);
    let edges = edge_scalars();
    for round in 0..3_000 {
        let mut draw = || match random_scalar(&mut rng) {
            edge if round % 3 == 0 => edges[usize::from(edge.to_bytes()[31]) % edges.len()],
            random => random,
        };
        let (s, c) = (draw(), draw());
        let left = ProjectivePoint::mul_by_generator_vartime(&s) + key.point * c;
        let right = hash.point * s + image.point * c;
        let computed = equations(&Split::of(&s), &Split::of(&c), &key.table, &hash.table, &image.table);
        assert_eq!(computed, [bytes_of(&left), bytes_of(&right)], "{s:?} and {c:?}");
    }
}
