//! From a scalar to the digits that name table entries.
//!
//! The curve has an endomorphism: multiplying x by a cube root of unity β multiplies the point by λ, a cube
//! root of unity modulo the group order n. So `k P = k1 P + k2 λP`, and with k1 and k2 half as long as k one
//! doubling serves both. The split follows Hankerson, Menezes, Vanstone, "Guide to Elliptic Curve
//! Cryptography", algorithm 3.74; the digits are its width-w non-adjacent form, algorithm 3.35.

use k256::{
    Scalar,
    elliptic_curve::bigint::{ArrayEncoding, U256},
};

use super::field::FieldElement;

/// β: `β^3 = 1 (mod p)`, and `λ (x, y) = (β x, y)`.
pub(super) const BETA: FieldElement = FieldElement::from_words([
    0xc139_6c28_7195_01ee,
    0x9cf0_4975_12f5_8995,
    0x6e64_479e_ac34_34e9,
    0x7ae9_6a2b_657c_0710,
]);

/// Two short vectors (A1, -B1) and (A2, A1) of the lattice of all (u, v) with `u + v λ = 0 (mod n)`.
pub(super) const A1: U256 = U256::from_u128(0x3086_d221_a7d4_6bcd_e86c_90e4_9284_eb15);
pub(super) const B1: U256 = U256::from_u128(0xe443_7ed6_010e_8828_6f54_7fa9_0abf_e4c3);
pub(super) const A2: U256 = A1.wrapping_add(&B1);

/// `2^384 A1 / n` and `2^384 B1 / n`, rounded: multiplying by them stands for dividing by n.
pub(super) const A1_BY_ORDER: U256 =
    U256::from_be_hex("3086d221a7d46bcde86c90e49284eb153daa8a1471e8ca7fe893209a45dbb031");
pub(super) const B1_BY_ORDER: U256 =
    U256::from_be_hex("e4437ed6010e88286f547fa90abfe4c4221208ac9df506c61571b4ae8ac47f71");

/// A scalar as `halves[0] + halves[1] λ` modulo n.
#[derive(Clone, Copy, Debug)]
pub(in crate::ring) struct Split {
    pub(super) halves: [Half; 2],
}

/// A signed integer below 2^128.
#[derive(Clone, Copy, Debug)]
pub(super) struct Half {
    pub(super) value: u128,
    pub(super) negative: bool,
}

impl Split {
    /// Splits `scalar`.
    ///
    /// (k, 0) less the lattice point next to it is what remains of it beside the lattice. The point is found
    /// by rounding twice, each time at most 1/2 + 2^-128 off; so the halves are at most (A1 + A2) / 2 and
    /// (B1 + A1) / 2, give or take one: 0.64 * 2^128.
    pub(in crate::ring) fn of(scalar: &Scalar) -> Self {
        let k = U256::from_be_byte_array(scalar.to_bytes());
        let first = multiple(&k, &A1_BY_ORDER);
        let second = multiple(&k, &B1_BY_ORDER);
        let one = k.wrapping_sub(&first.wrapping_mul(&A1)).wrapping_sub(&second.wrapping_mul(&A2));
        let two = first.wrapping_mul(&B1).wrapping_sub(&second.wrapping_mul(&A1));
        Self { halves: [Half::of(one), Half::of(two)] }
    }
}

impl Half {
    /// Reads two's complement of a number that fits in 128 bits and a sign.
    fn of(value: U256) -> Self {
        let negative = value.bit_vartime(255);
        let (high, low) = halves(&if negative { value.wrapping_neg() } else { value });
        debug_assert_eq!(high, 0, "a half of a scalar has at most 128 bits");
        Self { value: low, negative }
    }

    /// Calls `visit(position, digit)` for every digit of the half: it is the sum of `digit * 2^position`.
    ///
    /// Digits are odd and absolutely less than `2^(width - 1)`; positions grow by at least `width`, up to 128,
    /// where the only digits are 1 and -1.
    #[inline]
    pub(super) fn digits(self, width: u32, mut visit: impl FnMut(u32, i32)) {
        let modulus = 1_i32 << width;
        let mut rest = self.value;
        let mut position = 0;
        while rest != 0 {
            let zeros = rest.trailing_zeros();
            rest >>= zeros;
            position += zeros;

            // Choosing the digit of least absolute value leaves a carry for the rest when it is negative.
            let mut digit = low_bits(rest, width);
            rest >>= width;
            if digit >= modulus / 2 {
                digit -= modulus;
                rest += 1;
            }
            visit(position, if self.negative { -digit } else { digit });
            position += width;
        }
    }
}

/// Returns `k * factor / 2^384`, rounded.
fn multiple(k: &U256, factor: &U256) -> U256 {
    let (_, high) = k.widening_mul(factor);
    let (whole, fraction) = halves(&high);
    // At most n * 2^256 / 2^384, so adding one does not overflow.
    U256::from_u128(whole + (fraction >> 127))
}

/// The high and the low 128 bits.
fn halves(value: &U256) -> (u128, u128) {
    let bytes: [u8; 32] = value.to_be_byte_array().into();
    let [high, low] = *bytes.as_chunks::<16>().0 else { unreachable!("32 bytes are two times 16") };
    (u128::from_be_bytes(high), u128::from_be_bytes(low))
}

#[inline]
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "widths are far below 31")]
fn low_bits(value: u128, width: u32) -> i32 {
    (value as u32 & ((1 << width) - 1)) as i32
}
