use k256::elliptic_curve::bigint::{ArrayEncoding, NonZero, U256, U512};
use proptest::prelude::*;

use super::{super::field::*, seed};

const P: U256 = U256::from_be_hex("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f");

fn prime() -> NonZero<U256> {
    NonZero::new(P).expect("p is not 0")
}

fn element(value: &U256) -> FieldElement {
    FieldElement::from_bytes(&value.to_be_byte_array().into())
}

fn value(element: FieldElement) -> U256 {
    U256::from_be_byte_array(element.to_bytes().into())
}

/// Around 0, p, 2^256 and the powers between, and all their names modulo p.
fn edges() -> Vec<U256> {
    let fold = U256::ZERO.wrapping_sub(&P);
    let mut edges = vec![U256::ZERO, P, fold, P.wrapping_sub(&fold), P.shr_vartime(1)];
    edges.extend([64, 128, 192, 255].map(|bits| U256::ONE.shl_vartime(bits)));
    let neighbours: Vec<_> =
        edges.iter().flat_map(|edge| [edge.wrapping_sub(&U256::ONE), edge.wrapping_add(&U256::ONE)]).collect();
    edges.extend(neighbours);
    edges
}

/// Words that carry more often than random ones.
fn words() -> impl Strategy<Value = U256> {
    let word = prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(u64::MAX - 1), any::<u64>()];
    proptest::array::uniform4(word).prop_map(|words| {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *chunk = word.to_be_bytes();
        }
        U256::from_be_byte_array(bytes.into())
    })
}

fn check_pair(a: &U256, b: &U256) {
    let (x, y) = (element(a), element(b));
    let (a, b) = (a.rem_vartime(&prime()), b.rem_vartime(&prime()));
    assert_eq!(value(x + y), a.add_mod(&b, &prime()), "{a} + {b}");
    assert_eq!(value(x - y), a.sub_mod(&b, &prime()), "{a} - {b}");
    assert_eq!(value(x * y), a.mul_mod_vartime(&b, &prime()), "{a} * {b}");
    // As in the group law: on results, which are not reduced.
    let sum = (x - y) * (x + y).double() + x.square();
    let (difference, total) = (a.sub_mod(&b, &prime()), a.add_mod(&b, &prime()));
    let twice = total.add_mod(&total, &prime());
    let expected = difference.mul_mod_vartime(&twice, &prime()).add_mod(&a.mul_mod_vartime(&a, &prime()), &prime());
    assert_eq!(value(sum), expected, "2 ({a} - {b}) ({a} + {b}) + {a}^2");
}

fn check_one(a: &U256) {
    let x = element(a);
    let a = a.rem_vartime(&prime());
    assert_eq!(value(x), a, "reading and writing {a}");
    assert_eq!(value(x.reduced()), a);
    assert_eq!(x.is_zero(), a == U256::ZERO, "{a} is zero");
    assert_eq!(x.is_odd(), a.bit_vartime(0), "{a} is odd");
    assert_eq!(value(x.square()), a.mul_mod_vartime(&a, &prime()), "{a} squared");
    assert_eq!(value(x.double()), a.add_mod(&a, &prime()), "{a} doubled");
    assert_eq!(value(x.half().double()), a, "{a} halved");
    assert_eq!(value(x.negate_if(false)), a);
    assert_eq!(value(x.negate_if(true)), U256::ZERO.sub_mod(&a, &prime()), "{a} negated");
    assert!((x + x.negate_if(true)).is_zero());
    let expected = if a == U256::ZERO { U256::ZERO } else { U256::ONE };
    assert_eq!(value(x * x.invert()), expected, "{a} inverted");
}

#[test]
fn arithmetic_is_right_around_every_carry() {
    for a in edges() {
        check_one(&a);
        for b in edges() {
            check_pair(&a, &b);
        }
    }
}

#[test]
fn arithmetic_is_right_on_any_words() {
    seed::check(20_000, &(words(), words()), |(a, b)| {
        check_one(&a);
        check_pair(&a, &b);
        Ok(())
    });
}

/// Products that carry at the very end of reduction are too rare to be met by chance.
#[test]
fn reduction_is_right_when_the_second_fold_carries() {
    let fold = U512::from_u64(FOLD);
    for above in [FOLD, FOLD - 1, 1 << 32, FOLD / 2, 2, 1].map(U512::from_u64) {
        let second = above.wrapping_mul(&fold);
        let mut left = vec![U512::ZERO, U512::ONE, second.wrapping_sub(&U512::ONE), second];
        left.extend([u64::MAX, FOLD.wrapping_neg(), FOLD.wrapping_neg() - 1, FOLD].map(U512::from_u64));
        for left in left {
            // What the first fold must give for the second to leave `left` above 2^256, then what gives that.
            let first = above.wrapping_add(&U512::ONE).shl_vartime(256).wrapping_add(&left).wrapping_sub(&second);
            let (high, low) = first.div_rem_vartime(&NonZero::new(fold).expect("not 0"));
            let wide = high.shl_vartime(256).wrapping_add(&low);
            let bytes: [u8; 64] = wide.to_be_byte_array().into();
            let mut columns = [0; 8];
            for (column, chunk) in columns.iter_mut().rev().zip(bytes.as_chunks::<8>().0) {
                *column = u64::from_be_bytes(*chunk);
            }
            let folded = value(FieldElement::from_words(folded(columns)));
            assert_eq!(folded, wide.rem_vartime(&prime()), "{wide}");
        }
    }
}

#[test]
fn many_elements_are_inverted_together() {
    let mut elements: Vec<_> = edges().iter().map(element).filter(|element| !element.is_zero()).collect();
    let before = elements.clone();
    invert_all(&mut elements);
    for (inverse, element) in elements.iter().zip(before) {
        assert_eq!(value(*inverse * element), U256::ONE);
    }
    invert_all(&mut []);
}
