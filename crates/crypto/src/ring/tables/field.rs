//! Integers modulo p = 2^256 - 2^32 - 977, the field of the curve's coordinates.
//!
//! An element is any number of 256 bits, in four words, the least significant first; p and what lies beyond it
//! up to 2^256 are second names of the small elements. Results are brought back into 256 bits but not below p:
//! only comparing and writing out ask for that ([`FieldElement::reduced`]).
//!
//! Reduction rests on `2^256 = 2^32 + 977 (mod p)`: whatever stands above bit 256 is multiplied by that small
//! number and added below.
//!
//! Five limbs of 52 bits, the usual choice, spare additions their carries. They were measured beside this:
//! products took 20 ns instead of 12, because on common processors the shifts between limbs cost more than
//! the carries between words, and a sum of two terms 1.3 times as long.

#![expect(clippy::inline_always, reason = "called instead, sums take a tenth longer: words go through memory")]
#![expect(clippy::needless_range_loop, reason = "words of equal place meet in several arrays")]

use std::ops::{Add, Mul, Sub};

use k256::elliptic_curve::bigint::{ArrayEncoding, Odd, U256};

/// 2^256 modulo p.
pub(super) const FOLD: u64 = (1 << 32) + 977;

const PRIME: [u64; 4] = [FOLD.wrapping_neg(), u64::MAX, u64::MAX, u64::MAX];

const PRIME_ODD: Odd<U256> =
    Odd::<U256>::from_be_hex("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f");

/// An integer modulo p, not necessarily reduced.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldElement([u64; 4]);

impl FieldElement {
    pub(super) const ZERO: Self = Self([0; 4]);
    pub(super) const ONE: Self = Self([1, 0, 0, 0]);

    /// Takes four words, the least significant first. Any will do.
    pub(super) const fn from_words(words: [u64; 4]) -> Self {
        Self(words)
    }

    /// Reads 32 big-endian bytes. Any will do.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().rev().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_be_bytes(*chunk);
        }
        Self(words)
    }

    /// Returns the reduced value as 32 big-endian bytes.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.reduced().0.iter().rev()) {
            *chunk = word.to_be_bytes();
        }
        bytes
    }

    /// Returns the same value below p.
    pub(super) fn reduced(self) -> Self {
        // 256 bits are less than 2 p, so taking p away once is enough.
        let mut words = [0; 4];
        let mut borrow = false;
        for index in 0..4 {
            (words[index], borrow) = self.0[index].borrowing_sub(PRIME[index], borrow);
        }
        if borrow { self } else { Self(words) }
    }

    /// Whether the value is 0 modulo p, by either name.
    #[inline]
    pub(super) fn is_zero(self) -> bool {
        // The lowest word nearly always settles it.
        let [low, ..] = self.0;
        (low == 0 || low == PRIME[0]) && (self.0 == [0; 4] || self.0 == PRIME)
    }

    /// Whether the reduced value is odd.
    pub(super) fn is_odd(self) -> bool {
        self.reduced().0[0] & 1 == 1
    }

    /// Returns `-self` or `self`. Without a branch, which would be mispredicted every other time: the signs of
    /// digits are random.
    #[inline]
    pub(super) fn negate_if(self, negative: bool) -> Self {
        let negated = Self::ZERO - self;
        let mask = u64::from(negative).wrapping_neg();
        let mut words = self.0;
        for index in 0..4 {
            words[index] ^= (words[index] ^ negated.0[index]) & mask;
        }
        Self(words)
    }

    /// Returns `2 * self`.
    #[inline]
    pub(super) fn double(self) -> Self {
        self + self
    }

    /// Returns `self / 2`.
    #[inline]
    pub(super) fn half(self) -> Self {
        // An odd number becomes even by adding p, which is odd, and then may have 257 bits.
        let mask = (self.0[0] & 1).wrapping_neg();
        let mut words = self.0;
        let mut carry = false;
        for index in 0..4 {
            (words[index], carry) = words[index].carrying_add(PRIME[index] & mask, carry);
        }
        for index in 0..3 {
            words[index] = words[index] >> 1 | words[index + 1] << 63;
        }
        words[3] = words[3] >> 1 | u64::from(carry) << 63;
        Self(words)
    }

    /// Returns `self * self`.
    #[inline(always)]
    pub(super) fn square(self) -> Self {
        let [a, b, c, d] = self.0;
        // The products of different words count twice, those of equal words once.
        let mut columns = [0; 8];
        let mut carry;
        (columns[1], carry) = a.carrying_mul(b, 0);
        (columns[2], carry) = a.carrying_mul(c, carry);
        (columns[3], columns[4]) = a.carrying_mul(d, carry);
        (columns[3], carry) = b.carrying_mul_add(c, columns[3], 0);
        (columns[4], columns[5]) = b.carrying_mul_add(d, columns[4], carry);
        (columns[5], columns[6]) = c.carrying_mul_add(d, columns[5], 0);
        let mut carry = 0;
        for index in 0..4 {
            let (low, high) = halves(wide(self.0[index], self.0[index]));
            let sum = 2 * u128::from(columns[2 * index]) + u128::from(low) + u128::from(carry);
            (columns[2 * index], carry) = halves(sum);
            let sum = 2 * u128::from(columns[2 * index + 1]) + u128::from(high) + u128::from(carry);
            (columns[2 * index + 1], carry) = halves(sum);
        }
        Self(folded(columns))
    }

    /// Returns `1 / self`, and 0 for 0.
    pub(super) fn invert(self) -> Self {
        let value = U256::from_be_byte_array(self.to_bytes().into());
        let inverse: Option<U256> = value.invert_odd_mod_vartime(&PRIME_ODD).into();
        Self::from_bytes(&inverse.unwrap_or(U256::ZERO).to_be_byte_array().into())
    }
}

impl Add for FieldElement {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let mut words = [0; 4];
        let mut carry = false;
        for index in 0..4 {
            (words[index], carry) = self.0[index].carrying_add(other.0[index], carry);
        }
        let folded = if carry { FOLD } else { 0 };
        (words[0], carry) = words[0].carrying_add(folded, false);
        for word in &mut words[1..] {
            (*word, carry) = word.carrying_add(0, carry);
        }
        // A second carry leaves less than FOLD, so there is no third.
        if carry {
            words[0] += FOLD;
        }
        Self(words)
    }
}

impl Sub for FieldElement {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let mut words = [0; 4];
        let mut borrow = false;
        for index in 0..4 {
            (words[index], borrow) = self.0[index].borrowing_sub(other.0[index], borrow);
        }
        // What was borrowed is 2^256, so FOLD too much.
        let folded = if borrow { FOLD } else { 0 };
        (words[0], borrow) = words[0].borrowing_sub(folded, false);
        for word in &mut words[1..] {
            (*word, borrow) = word.borrowing_sub(0, borrow);
        }
        // A second borrow leaves at least 2^256 - FOLD, so there is no third.
        if borrow {
            words[0] -= FOLD;
        }
        Self(words)
    }
}

impl Mul for FieldElement {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let mut columns = [0; 8];
        for row in 0..4 {
            let mut carry = 0;
            for column in 0..4 {
                let word = &mut columns[row + column];
                (*word, carry) = self.0[row].carrying_mul_add(other.0[column], *word, carry);
            }
            columns[row + 4] = carry;
        }
        Self(folded(columns))
    }
}

#[inline(always)]
fn wide(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// The low and the high word.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "this is what takes a number apart")]
fn halves(wide: u128) -> (u64, u64) {
    (wide as u64, (wide >> 64) as u64)
}

/// Brings 512 bits back into 256, modulo p.
#[inline(always)]
pub(super) fn folded(columns: [u64; 8]) -> [u64; 4] {
    let mut words = [0; 4];
    let mut above = 0;
    for index in 0..4 {
        (words[index], above) = columns[index + 4].carrying_mul_add(FOLD, columns[index], above);
    }
    // What is still above bit 256 is at most FOLD; folded again it has 67 bits.
    let mut sum = wide(above, FOLD);
    for word in &mut words {
        sum += u128::from(*word);
        (*word, _) = halves(sum);
        sum >>= 64;
    }
    // A carry here leaves less than those 67 bits, so the second word can take the next.
    if sum != 0 {
        let (low, carry) = halves(u128::from(words[0]) + u128::from(FOLD));
        words[0] = low;
        words[1] += carry;
    }
    words
}

/// Inverts every element in place with one inversion and three products each. None may be zero.
pub(super) fn invert_all(elements: &mut [FieldElement]) {
    // products[i] is the product of the elements before i.
    let mut products = Vec::with_capacity(elements.len());
    let mut product = FieldElement::ONE;
    for element in elements.iter() {
        debug_assert!(!element.is_zero(), "zero has no inverse and would spoil all others");
        products.push(product);
        product = product * *element;
    }
    let mut inverse = product.invert();
    for (element, before) in elements.iter_mut().zip(products).rev() {
        let inverted = inverse * before;
        inverse = inverse * *element;
        *element = inverted;
    }
}
