//! Amounts of the chain's money, in whole upokt (protocol §0.2, §8.3).

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

/// The base denomination.
pub const DENOM: &str = "upokt";

/// An amount of upokt; never negative. One POKT is 1,000,000 upokt.
///
/// 128 bits are ample: the whole supply needs about 61. Amounts computed from a hostile claim may need more and are
/// big integers where they arise, until they are capped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Upokt(pub u128);

impl Upokt {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// Tells whether this is no money.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Returns the sum; `None` beyond 128 bits.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Returns the difference; `None` when `other` is more.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Returns the difference, or zero when `other` is more.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Reads the amount of a coin given as denomination and decimal amount.
    ///
    /// # Errors
    /// When the denomination is another, or the amount is no decimal number of at most 128 bits.
    pub fn from_parts(denom: &str, amount: &str) -> Result<Self, ParseCoinError> {
        if denom != DENOM {
            return Err(ParseCoinError { text: format!("{amount}{denom}") });
        }
        decimal(amount).map(Self).ok_or_else(|| ParseCoinError { text: format!("{amount}{denom}") })
    }
}

/// Formats as the chain's events do: `42000upokt`.
impl fmt::Display for Upokt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{DENOM}", self.0)
    }
}

/// Parses `42000upokt`.
impl FromStr for Upokt {
    type Err = ParseCoinError;

    fn from_str(text: &str) -> Result<Self, ParseCoinError> {
        let amount = text.strip_suffix(DENOM).and_then(decimal);
        amount.map(Self).ok_or_else(|| ParseCoinError { text: text.to_owned() })
    }
}

impl From<u64> for Upokt {
    fn from(amount: u64) -> Self {
        Self(u128::from(amount))
    }
}

impl From<u128> for Upokt {
    fn from(amount: u128) -> Self {
        Self(amount)
    }
}

/// Sums, staying at the largest amount instead of overflowing.
impl Sum for Upokt {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, |total, amount| Self(total.0.saturating_add(amount.0)))
    }
}

/// A text is no amount of upokt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an amount of upokt: {text:?}; write a whole number followed by the denomination, such as 42000upokt")]
pub struct ParseCoinError {
    /// The text as given.
    pub text: String,
}

/// Digits only: Rust's parser would also take a sign.
fn decimal(text: &str) -> Option<u128> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_they_are_written() {
        for amount in [0, 1, 42_000, u128::MAX] {
            assert_eq!(Upokt(amount).to_string().parse(), Ok(Upokt(amount)));
        }
        assert_eq!(Upokt(42_000).to_string(), "42000upokt");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "upokt", "1", "-1upokt", "+1upokt", "1.5upokt", "1mact", " 1upokt", "1 upokt"] {
            assert!(text.parse::<Upokt>().is_err(), "{text}");
        }
        assert!(Upokt::from_parts("mact", "1").is_err());
        assert_eq!(Upokt::from_parts("upokt", "7"), Ok(Upokt(7)));
    }
}
