//! How the target of a service follows its traffic (§7.3 to §7.6), and the histories of what held at a height.

use num_bigint::BigInt;
use num_integer::Integer as _;
use pocket_proto::pocket::service::{EventRelayMiningDifficultyUpdated, RelayMiningDifficulty};

use super::{BASE_TARGET, MiningError, Target, integer, target};
use crate::Height;

/// Mantissa of the double `0.1`, the smoothing factor of the average, as an integer over `2^EMA_SCALE_BITS`.
const ALPHA: u128 = 0x19_9999_9999_999a;
/// Power of two under [`ALPHA`].
const EMA_SCALE_BITS: u32 = 56;
/// Bits of the mantissa to which products and sum of the average are rounded.
const EMA_MANTISSA_BITS: u32 = 64;

/// The difficulty of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difficulty {
    /// Height from which it holds, as the chain reports it; zero for the default of a service without history.
    pub block_height: Height,
    /// Average of the relays claimed per settlement of the service.
    pub num_relays_ema: u64,
    /// Target derived from the average.
    pub target: Target,
}

impl Difficulty {
    /// Reads the chain's message.
    ///
    /// # Errors
    /// The target is not 32 bytes long.
    pub fn from_message(message: &RelayMiningDifficulty) -> Result<Self, MiningError> {
        Ok(Self {
            block_height: message.block_height,
            num_relays_ema: message.num_relays_ema,
            target: target(&message.target_hash)?,
        })
    }

    /// Returns the chain's message about the difficulty of `service_id`.
    pub fn to_message(&self, service_id: &str) -> RelayMiningDifficulty {
        RelayMiningDifficulty {
            service_id: service_id.to_owned(),
            block_height: self.block_height,
            num_relays_ema: self.num_relays_ema,
            target_hash: self.target.to_vec().into(),
        }
    }
}

/// A difficulty with the height from which it is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifficultyEntry {
    /// First height at which it holds.
    pub effective_height: Height,
    /// What holds.
    pub difficulty: Difficulty,
}

/// Compute units per relay of a service with the height from which they are looked up (§7.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComputeUnitsEntry {
    /// First height at which they hold.
    pub effective_height: Height,
    /// What holds.
    pub compute_units_per_relay: u64,
}

/// What a settlement changes in the difficulty of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifficultyUpdate {
    /// The difficulty before, or the default that stands in for it; the event's `prev_*` fields.
    pub previous: Difficulty,
    /// The new live difficulty; the event's `new_*` fields.
    pub current: Difficulty,
    /// Entries to write into the history, in order. An entry replaces one of the same effective height.
    pub history: Vec<DifficultyEntry>,
}

impl DifficultyUpdate {
    /// Returns the event that announces the update of `service_id`.
    pub fn event(&self, service_id: &str) -> EventRelayMiningDifficultyUpdated {
        EventRelayMiningDifficultyUpdated {
            service_id: service_id.to_owned(),
            prev_target_hash_hex_encoded: hex::encode(self.previous.target),
            new_target_hash_hex_encoded: hex::encode(self.current.target),
            prev_num_relays_ema: self.previous.num_relays_ema,
            new_num_relays_ema: self.current.num_relays_ema,
        }
    }
}

/// Returns the difficulty that held at `height`: the latest entry at or before it, else the base target (§7.4).
///
/// `history` may be in any order. The default does not depend on the live difficulty.
pub fn difficulty_at_height(history: &[DifficultyEntry], height: Height, target_num_relays: u64) -> Difficulty {
    history.iter().filter(|entry| entry.effective_height <= height).max_by_key(|entry| entry.effective_height).map_or(
        Difficulty { block_height: Height::default(), num_relays_ema: target_num_relays, target: BASE_TARGET },
        |entry| entry.difficulty.clone(),
    )
}

/// Returns the compute units per relay that held at `height`: the latest entry at or before it, else `live` (§7.5).
///
/// An entry of zero cannot be staked; the chain reads it as corrupt and uses the live value.
pub fn compute_units_at_height(history: &[ComputeUnitsEntry], height: Height, live: u64) -> u64 {
    history
        .iter()
        .filter(|entry| entry.effective_height <= height)
        .max_by_key(|entry| entry.effective_height)
        .map(|entry| entry.compute_units_per_relay)
        .filter(|&units| units > 0)
        .unwrap_or(live)
}

/// Records a change of compute units per relay: holds from the next session's start, and an empty history is first
/// seeded with the previous value at height 1 (§7.5).
pub fn change_compute_units(
    history: &mut Vec<ComputeUnitsEntry>,
    previous: u64,
    current: u64,
    next_session_start: Height,
) {
    if history.is_empty() {
        set_compute_units(history, Height::from(1), previous);
    }
    set_compute_units(history, next_session_start, current);
}

/// Records the compute units per relay of a new service: they hold from the current session's start (§7.5).
pub fn set_compute_units(history: &mut Vec<ComputeUnitsEntry>, effective_height: Height, compute_units_per_relay: u64) {
    history.retain(|entry| entry.effective_height != effective_height);
    history.push(ComputeUnitsEntry { effective_height, compute_units_per_relay });
    history.sort_by_key(|entry| entry.effective_height);
}

/// Returns the target that lets about `target_num_relays` of `ema` relays count (§7.3).
///
/// Always scaled from the base target. Both numbers pass through 64-bit signed integers, as on the chain.
///
/// # Errors
/// `ema` is zero and `target_num_relays` is not.
pub fn new_target(target_num_relays: u64, ema: u64) -> Result<Target, MiningError> {
    if target_num_relays == ema {
        return Ok(BASE_TARGET);
    }
    if ema == 0 {
        return Err(MiningError::EmaZero);
    }
    let (mut numerator, mut denominator) =
        (BigInt::from(target_num_relays.cast_signed()), BigInt::from(ema.cast_signed()));
    if denominator < BigInt::ZERO {
        (numerator, denominator) = (-numerator, -denominator);
    }
    let scaled = (integer(&BASE_TARGET) * numerator).div_floor(&denominator);
    let bytes = scaled.magnitude().to_bytes_be();
    let mut target = [0; 32];
    match target.len().checked_sub(bytes.len()) {
        Some(zeros) => {
            target[zeros..].copy_from_slice(&bytes);
            Ok(target)
        }
        None => Ok(BASE_TARGET),
    }
}

/// Returns the average after `num_relays` more: `trunc(0.1 * num_relays + 0.9 * previous)` in the chain's 64-bit-mantissa
/// floats (§7.6), saturating at 64 bits.
///
/// The factor is the double nearest to 0.1, a little above it, so `(11, 1)` gives 9. Products and sum are each rounded
/// to 64 bits, half to even; all of them are integers over `2^56` here, so no float is needed.
pub fn ema(previous: u64, num_relays: u64) -> u64 {
    let current = round_to_mantissa(ALPHA * u128::from(num_relays));
    let previous = round_to_mantissa(((1 << EMA_SCALE_BITS) - ALPHA) * u128::from(previous));
    let sum = round_to_mantissa(current + previous) >> EMA_SCALE_BITS;
    u64::try_from(sum).unwrap_or(u64::MAX)
}

/// Computes what a settlement changes for one service (§7.4): `num_relays` are the counted relays of the claims settled
/// in the block at `height`, `previous` the live difficulty, `history_is_empty` whether the service has no entry yet.
///
/// # Errors
/// The new average is zero and the target number of relays is not. It cannot arise from a live average of at least one
/// and at least one relay.
pub fn update_difficulty(
    previous: Option<&Difficulty>,
    history_is_empty: bool,
    num_relays: u64,
    target_num_relays: u64,
    height: Height,
    next_session_start: Height,
) -> Result<DifficultyUpdate, MiningError> {
    let previous = match previous {
        Some(previous) => previous.clone(),
        None => Difficulty {
            block_height: height,
            num_relays_ema: num_relays,
            target: new_target(target_num_relays, num_relays)?,
        },
    };
    let num_relays_ema = ema(previous.num_relays_ema, num_relays);
    let current = Difficulty {
        block_height: next_session_start,
        num_relays_ema,
        target: new_target(target_num_relays, num_relays_ema)?,
    };
    let mut history = Vec::with_capacity(2);
    if history_is_empty {
        history.push(DifficultyEntry { effective_height: height, difficulty: previous.clone() });
    }
    history.push(DifficultyEntry { effective_height: next_session_start, difficulty: current.clone() });
    Ok(DifficultyUpdate { previous, current, history })
}

/// Rounds to 64 significant bits, half to even.
fn round_to_mantissa(value: u128) -> u128 {
    let bits = u128::BITS - value.leading_zeros();
    let Some(dropped_bits) = bits.checked_sub(EMA_MANTISSA_BITS).filter(|&dropped| dropped > 0) else {
        return value;
    };
    let kept = value >> dropped_bits;
    let dropped = value & ((1 << dropped_bits) - 1);
    let half = 1 << (dropped_bits - 1);
    let up = dropped > half || (dropped == half && kept & 1 == 1);
    (kept + u128::from(up)) << dropped_bits
}
