//! Gas and fees (protocol §9.2.2).

use std::fmt;
use std::str::FromStr;

use num_bigint::BigUint;
use num_integer::Integer as _;
use num_traits::{ToPrimitive as _, Zero as _};

use crate::coin::{DENOM, Upokt};

/// Fraction digits of the chain's decimal numbers.
const FRACTION_DIGITS: usize = 18;
const SCALE: u64 = 1_000_000_000_000_000_000;

/// What one unit of gas costs: upokt with 18 fraction digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GasPrice(BigUint);

/// A text is no price of gas.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a gas price: {text:?}; write a decimal number of at most 18 fraction digits followed by upokt, such as \
     0.000001upokt"
)]
pub struct DecimalError {
    /// The text as given.
    pub text: String,
}

impl GasPrice {
    /// Tells whether gas costs nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }
}

/// Parses `0.000001upokt`.
impl FromStr for GasPrice {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let error = || DecimalError { text: text.to_owned() };
        let number = text.trim().strip_suffix(DENOM).ok_or_else(error)?.trim_end();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let has_stray_point = number.contains('.') && fraction.is_empty();
        if whole.is_empty()
            || has_stray_point
            || fraction.len() > FRACTION_DIGITS
            || !digits(whole)
            || !digits(fraction)
        {
            return Err(error());
        }
        let scaled = format!("{whole}{fraction:0<FRACTION_DIGITS$}");
        scaled.parse().map(Self).map_err(|_| error())
    }
}

impl fmt::Display for GasPrice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = self.0.div_rem(&BigUint::from(SCALE));
        write!(formatter, "{whole}.{:0>FRACTION_DIGITS$}{DENOM}", fraction.to_string())
    }
}

/// Returns the fee for a gas limit: `ceil(gas_limit * price)`, exactly. An absurd fee stays at the largest amount.
#[must_use]
pub fn fee(gas_limit: u64, price: &GasPrice) -> Upokt {
    let fee = (&price.0 * gas_limit).div_ceil(&BigUint::from(SCALE));
    Upokt(fee.to_u128().unwrap_or(u128::MAX))
}

/// Returns the gas limit for simulated gas: the product in double precision, truncated, as the reference computes it.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the rule is Go's uint64(float64(gas) * adjustment); a cast that saturates is the safe reading of the rest"
)]
pub fn adjusted_gas(simulated_gas: u64, adjustment: f64) -> u64 {
    (simulated_gas as f64 * adjustment) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(text: &str) -> GasPrice {
        text.parse().expect("a price")
    }

    #[test]
    fn fees_are_rounded_up_and_exact() {
        assert_eq!(fee(200_000, &price("0.000001upokt")), Upokt(1));
        assert_eq!(fee(132_998, &price("0.01upokt")), Upokt(1330));
        assert_eq!(fee(200_000, &price("2upokt")), Upokt(400_000));
        assert_eq!(fee(200_000, &price("0upokt")), Upokt::ZERO);
        assert_eq!(fee(1, &price("0.000000000000000001upokt")), Upokt(1));
        assert_eq!(fee(u64::MAX, &price("99999999999999999999999999upokt")), Upokt(u128::MAX));
    }

    #[test]
    fn adjusted_gas_is_truncated() {
        assert_eq!(adjusted_gas(123_457, 1.7), 209_876);
        assert_eq!(adjusted_gas(99_999, 1.33), 132_998);
        assert_eq!(adjusted_gas(u64::MAX, f64::INFINITY), u64::MAX);
        assert_eq!(adjusted_gas(1, f64::NAN), 0);
    }

    #[test]
    fn other_texts_are_no_prices() {
        for text in ["", "upokt", "1", "1.upokt", ".5upokt", "-1upokt", "1e3upokt", "0.0000000000000000001upokt"] {
            assert!(text.parse::<GasPrice>().is_err(), "{text}");
        }
        assert_eq!(price("0.0025upokt").to_string(), "0.002500000000000000upokt");
    }
}
