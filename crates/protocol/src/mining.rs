//! What a relay, a session's work and a claim are worth: relay mining difficulty (§7) and claim amounts (§8.3).
//!
//! A relay counts when its hash lies below the service's target, so a claim shows a sample of the relays served; amounts
//! are scaled back by the target's [`multiplier`]. Targets follow an average of the relays claimed per service
//! ([`difficulty`]). All arithmetic is exact; where the chain rounds, the same bits are rounded here.
//!
//! Prices, target and compute units per relay of a claim are always those of its session's **start** height.

pub mod difficulty;
pub mod profit;

#[cfg(test)]
mod tests;

pub use num_bigint::BigUint;
use num_bigint::{BigInt, Sign};
use num_integer::Integer as _;
use num_rational::BigRational;
use num_traits::{ToPrimitive as _, Zero as _};

pub use self::difficulty::{
    ComputeUnitsEntry, Difficulty, DifficultyEntry, DifficultyUpdate, compute_units_at_height, difficulty_at_height,
    ema, new_target, update_difficulty,
};
use crate::params;

/// A difficulty target: a relay counts when its hash, read as a big-endian number, is below it.
pub type Target = [u8; 32];

/// The easiest target. Not quite "always": a hash of 32 bytes `ff` is not below it.
pub const BASE_TARGET: Target = [0xff; 32];

/// Largest `compute_units_per_relay` a service may ask for.
pub const COMPUTE_UNITS_PER_RELAY_MAX: u64 = 2 << 20;

/// Bits of the chain's integers; an amount that needs more cannot be claimed.
const AMOUNT_BITS_MAX: u64 = 256;

/// Why a target, a difficulty or an amount cannot be computed. The chain fails or panics in the same places.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MiningError {
    /// The target is not 32 bytes long.
    #[error("difficulty target has {0} bytes, expected 32: query the service's difficulty again")]
    TargetLength(usize),
    /// The target is zero: no relay can be below it and its multiplier is infinite.
    #[error("difficulty target is zero: no relay can be below it")]
    TargetZero,
    /// `compute_unit_cost_granularity` is zero.
    #[error("compute unit cost granularity is zero: the shared parameters are not valid")]
    GranularityZero,
    /// A price parameter of 2^63 or more wrapped to a negative amount.
    #[error("claimed amount is negative: a price parameter exceeds 63 bits")]
    NegativeAmount,
    /// The amount needs more than 256 bits.
    #[error("claimed amount needs {0} bits, the chain's integers have 256")]
    AmountTooLarge(u64),
    /// The average number of relays is zero while the target number of relays is not.
    #[error("average number of relays is zero: no target follows from it")]
    EmaZero,
}

/// Reads a target from the bytes of a difficulty message.
pub fn target(bytes: &[u8]) -> Result<Target, MiningError> {
    bytes.try_into().map_err(|_| MiningError::TargetLength(bytes.len()))
}

/// Returns whether a relay counts (§7.1): its hash is strictly below the target.
pub fn applicable(relay_hash: &[u8; 32], target: &Target) -> bool {
    relay_hash < target
}

/// Returns the exact number of relays that one counted relay stands for, `(2^256 - 1) / target` (§7.2).
pub fn multiplier(target: &Target) -> Result<BigRational, MiningError> {
    let probability = probability(target);
    if probability.is_zero() {
        return Err(MiningError::TargetZero);
    }
    Ok(probability.recip())
}

/// Returns the exact probability that a relay counts, `target / (2^256 - 1)`.
pub fn probability(target: &Target) -> BigRational {
    BigRational::new(integer(target), integer(&BASE_TARGET))
}

/// What one compute unit costs: the two price parameters of the shared module at the session's start height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// `compute_units_to_tokens_multiplier`.
    pub compute_units_to_tokens_multiplier: u64,
    /// `compute_unit_cost_granularity`.
    pub compute_unit_cost_granularity: u64,
}

impl From<&params::Shared> for Price {
    fn from(params: &params::Shared) -> Self {
        Self {
            compute_units_to_tokens_multiplier: params.compute_units_to_tokens_multiplier,
            compute_unit_cost_granularity: params.compute_unit_cost_granularity,
        }
    }
}

impl Price {
    /// Returns upokt per compute unit. Both parameters pass through 64-bit signed integers, as on the chain.
    fn ratio(self) -> Result<BigRational, MiningError> {
        if self.compute_unit_cost_granularity == 0 {
            return Err(MiningError::GranularityZero);
        }
        Ok(BigRational::new(
            self.compute_units_to_tokens_multiplier.cast_signed().into(),
            self.compute_unit_cost_granularity.cast_signed().into(),
        ))
    }
}

/// Work shown by a claim: sum and count of its trie's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Sum of the root, in compute units.
    pub compute_units: u64,
    /// Count of the root, in counted relays.
    pub relays: u64,
}

impl Work {
    /// Reads sum and count of a 48-byte root, `None` when the root has another length.
    pub fn of_root(root: &[u8]) -> Option<Self> {
        let root: &[u8; 48] = root.try_into().ok()?;
        let number = |from: usize| root[from..from + 8].iter().fold(0, |value, &byte| value << 8 | u64::from(byte));
        Some(Self { compute_units: number(32), relays: number(40) })
    }
}

/// A claim's work scaled back to everything that was served, and its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amounts {
    /// `floor(compute_units * multiplier)`; its low 64 bits where it does not fit, as the chain reports it.
    pub estimated_compute_units: u64,
    /// Estimated compute units divided by compute units per counted relay; zero when nothing is claimed.
    pub estimated_relays: u64,
    /// `floor(compute_units * multiplier * price)` in upokt.
    pub claimed_upokt: BigUint,
}

/// Returns `floor(compute_units * multiplier)`, its low 64 bits where it does not fit.
pub fn estimated_compute_units(work: Work, target: &Target) -> Result<u64, MiningError> {
    let estimate = (multiplier(target)? * BigRational::from_integer(work.compute_units.into())).to_integer();
    Ok((estimate & BigInt::from(u64::MAX)).to_u64().expect("masked to 64 bits"))
}

/// Returns the relays estimated to have been served: estimated compute units over compute units per counted relay, with
/// integer divisions in that order, and zero when nothing is claimed.
pub fn estimated_relays(work: Work, estimated_compute_units: u64) -> u64 {
    let per_relay = work.compute_units.checked_div(work.relays).unwrap_or(0);
    estimated_compute_units.checked_div(per_relay).unwrap_or(0)
}

/// Returns what a claim asks for in upokt (§8.3): one floor at the very end.
///
/// # Errors
/// The target is zero, the price is not valid, or the amount does not fit the chain's integers.
pub fn claimed_upokt(compute_units: u64, target: &Target, price: Price) -> Result<BigUint, MiningError> {
    let amount = multiplier(target)? * BigRational::from_integer(compute_units.into()) * price.ratio()?;
    let amount = amount.numer().div_floor(amount.denom());
    let amount = amount.to_biguint().ok_or(MiningError::NegativeAmount)?;
    if amount.bits() > AMOUNT_BITS_MAX {
        return Err(MiningError::AmountTooLarge(amount.bits()));
    }
    Ok(amount)
}

/// Returns the three figures of a claim that the chain's events carry.
pub fn amounts(work: Work, target: &Target, price: Price) -> Result<Amounts, MiningError> {
    let estimated_compute_units = estimated_compute_units(work, target)?;
    Ok(Amounts {
        estimated_compute_units,
        estimated_relays: estimated_relays(work, estimated_compute_units),
        claimed_upokt: claimed_upokt(work.compute_units, target, price)?,
    })
}

/// Returns what a relayer charges an application's allowance for one relay, in upokt:
/// `floor(compute_units_per_relay * multiplier / granularity)`, saturating.
///
/// The difficulty does not enter: every served relay is charged, counted or not. The floor makes a relay cheaper than
/// one upokt free; [`relays_price`] charges many together.
pub fn cost(compute_units_per_relay: u64, price: Price) -> Result<u64, MiningError> {
    let price = relays_price(1, compute_units_per_relay, price)?;
    Ok(price.to_u64().unwrap_or(u64::MAX))
}

/// Returns the price of `relays` served relays in upokt, whatever the difficulty, with one floor at the end.
pub fn relays_price(relays: u64, compute_units_per_relay: u64, price: Price) -> Result<BigUint, MiningError> {
    if price.compute_unit_cost_granularity == 0 {
        return Err(MiningError::GranularityZero);
    }
    let units = BigUint::from(relays) * compute_units_per_relay * price.compute_units_to_tokens_multiplier;
    Ok(units / price.compute_unit_cost_granularity)
}

/// Reads a target as a number.
fn integer(target: &Target) -> BigInt {
    BigInt::from_bytes_be(Sign::Plus, target)
}
