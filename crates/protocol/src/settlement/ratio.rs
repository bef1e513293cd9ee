//! Governance floats as exact fractions, and amounts as the chain prints them.

use num_bigint::{BigInt, BigUint};
use num_integer::Integer as _;
use num_rational::BigRational;
use num_traits::{One as _, Signed as _, ToPrimitive as _, Zero as _};

use super::input::InputError;
use crate::Upokt;
use crate::coin::DENOM;
use crate::params;

/// The tokenomics parameters as fractions.
pub(super) struct Ratios {
    /// `global_inflation_per_claim`.
    pub(super) inflation: BigRational,
    /// `mint_ratio`.
    mint: BigRational,
    /// `mint_equals_burn_claim_distribution`.
    pub(super) claim: Shares,
    /// `mint_allocation_percentages`.
    pub(super) allocation: Shares,
}

/// The shares of a distribution; what they leave is the DAO's.
pub(super) struct Shares {
    supplier: BigRational,
    proposer: BigRational,
    source_owner: BigRational,
    application: BigRational,
}

/// An amount split by [`Shares`]; the parts add up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) supplier: Upokt,
    pub(super) proposer: Upokt,
    pub(super) source_owner: Upokt,
    pub(super) application: Upokt,
    pub(super) dao: Upokt,
}

impl Ratios {
    pub(super) fn of(params: &params::Tokenomics) -> Result<Self, InputError> {
        Ok(Self {
            inflation: fraction("global_inflation_per_claim", params.global_inflation_per_claim)?,
            mint: fraction("mint_ratio", params.mint_ratio)?,
            claim: Shares::of("mint_equals_burn_claim_distribution", &params.mint_equals_burn_distribution)?,
            allocation: Shares::of("mint_allocation_percentages", &params.mint_allocation)?,
        })
    }

    /// Returns `ceil(amount * inflation)`.
    pub(super) fn inflation_of(&self, amount: &BigUint) -> BigUint {
        times(amount, &self.inflation).ceil().to_integer().magnitude().clone()
    }

    /// Returns an amount with its inflation: what a claim takes from an application's stake.
    pub(super) fn with_inflation(&self, amount: &BigUint) -> BigUint {
        amount + self.inflation_of(amount)
    }

    /// Returns the amount that with its inflation takes `stake`, rounded down: `trunc(stake / (1 + inflation))`.
    pub(super) fn without_inflation(&self, stake: &BigUint) -> BigUint {
        let divisor = BigRational::one() + &self.inflation;
        floor(&(BigRational::from_integer(BigInt::from(stake.clone())) / divisor))
    }

    /// Returns what is minted for a settlement: `floor(settled * mint_ratio)`.
    pub(super) fn minted(&self, settled: Upokt) -> Upokt {
        share(settled, &self.mint)
    }
}

impl Shares {
    fn of(name: &'static str, shares: &params::Shares) -> Result<Self, InputError> {
        let shares = Self {
            supplier: fraction(name, shares.supplier)?,
            proposer: fraction(name, shares.proposer)?,
            source_owner: fraction(name, shares.source_owner)?,
            application: fraction(name, shares.application)?,
        };
        let sum = &shares.supplier + &shares.proposer + &shares.source_owner + &shares.application;
        if sum > BigRational::one() { Err(InputError::Shares(name)) } else { Ok(shares) }
    }

    /// Splits an amount: each share rounded down, the rest to the DAO.
    pub(super) fn split(&self, amount: Upokt) -> Split {
        let supplier = share(amount, &self.supplier);
        let proposer = share(amount, &self.proposer);
        let source_owner = share(amount, &self.source_owner);
        let application = share(amount, &self.application);
        let named = [supplier, proposer, source_owner, application].into_iter().sum();
        let dao = amount.checked_sub(named).expect("shares add up to no more than the whole");
        Split { supplier, proposer, source_owner, application, dao }
    }
}

/// Reads a float as the decimal number it prints as, so that 0.1 is 1/10.
fn fraction(name: &'static str, value: f64) -> Result<BigRational, InputError> {
    let refused = || InputError::Param { name, value: value.to_string() };
    let text = value.to_string();
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let digits: BigInt = format!("{whole}{decimals}").parse().map_err(|_| refused())?;
    let places = u32::try_from(decimals.len()).map_err(|_| refused())?;
    let fraction = BigRational::new(digits, BigInt::from(10).pow(places));
    if fraction.is_negative() { Err(refused()) } else { Ok(fraction) }
}

/// Returns `floor(amount * part)` for a part of no more than one, saturating.
fn share(amount: Upokt, part: &BigRational) -> Upokt {
    if part.is_zero() {
        return Upokt::ZERO;
    }
    Upokt(floor(&times(&amount.0.into(), part)).to_u128().unwrap_or(u128::MAX))
}

fn times(amount: &BigUint, factor: &BigRational) -> BigRational {
    factor * BigInt::from(amount.clone())
}

fn floor(value: &BigRational) -> BigUint {
    value.numer().div_floor(value.denom()).to_biguint().unwrap_or_default()
}

/// Formats an amount of any size as the chain's events do: `42000upokt`.
pub(super) fn coin(amount: &BigUint) -> String {
    format!("{amount}{DENOM}")
}

/// Formats a float as Go's `%v` does: the shortest digits, with an exponent below 1e-4 and from 1e21.
pub(super) fn go_float(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-4..1e21).contains(&magnitude) || !magnitude.is_finite() {
        return value.to_string();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_the_decimals_they_print_as() {
        for (value, numerator, denominator) in [(0.1, 1, 10), (0.975, 39, 40), (0.000_003, 3, 1_000_000), (1.0, 1, 1)] {
            let expected = BigRational::new(numerator.into(), denominator.into());
            assert_eq!(fraction("x", value), Ok(expected), "{value}");
        }
        for value in [f64::NAN, f64::INFINITY, -0.5] {
            assert!(fraction("x", value).is_err(), "{value}");
        }
    }

    #[test]
    fn small_floats_print_with_an_exponent_as_in_go() {
        assert_eq!(go_float(0.975), "0.975");
        assert_eq!(go_float(0.000_01), "1e-05");
        assert_eq!(go_float(1.5e21), "1.5e+21");
        assert_eq!(go_float(1e-100), "1e-100");
    }
}
