//! Is a claim worth its fees? The operator's rule, pure.

use num_bigint::BigUint;
use num_traits::ToPrimitive as _;

use crate::sampling::Requirement;

/// What it costs to claim and, perhaps, to prove, in upokt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fees {
    /// This claim's share of its transaction's fee.
    pub claim_tx_upokt: u64,
    /// This proof's share of its transaction's fee.
    pub proof_tx_upokt: u64,
    /// `proof_submission_fee` of the proof module, taken from the operator with every proof.
    pub proof_submission_upokt: u64,
}

/// Whether a claim is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It earns more than it is expected to cost.
    Claim {
        /// Expected gain in upokt, at least one, saturating.
        gain_upokt: u64,
    },
    /// It is not worth its fees.
    Skip {
        /// Expected loss in upokt; zero when earnings and fees are equal.
        loss_upokt: u64,
    },
}

impl Decision {
    /// Returns whether the claim is sent.
    pub fn is_claim(self) -> bool {
        matches!(self, Self::Claim { .. })
    }
}

/// Decides whether a claim of `claimed_upokt` is worth sending.
///
/// The expected cost is the claim's fee plus the proof's fees times `proof_probability`, the governance probability
/// that a proof is asked for, or one when the claim reaches the proof threshold. It is rounded up: a claim that earns
/// exactly its cost is skipped. A probability that is not a number, or not in `[0, 1]`, counts as certain.
pub fn decide(claimed_upokt: &BigUint, fees: Fees, proof_probability: f64) -> Decision {
    let certain = !(0.0..=1.0).contains(&proof_probability);
    let proof = u128::from(fees.proof_tx_upokt) + u128::from(fees.proof_submission_upokt);
    let cost = u128::from(fees.claim_tx_upokt) + if certain { proof } else { share_up(proof, proof_probability) };
    let earned = claimed_upokt.to_u128().unwrap_or(u128::MAX);
    if earned > cost {
        Decision::Claim { gain_upokt: u64::try_from(earned - cost).unwrap_or(u64::MAX) }
    } else {
        Decision::Skip { loss_upokt: u64::try_from(cost - earned).unwrap_or(u64::MAX) }
    }
}

/// Returns the probability that enters [`decide`] when the requirement is already known.
pub fn probability_of(requirement: Requirement) -> f64 {
    if requirement.is_required() { 1.0 } else { 0.0 }
}

/// Returns `ceil(amount * share)` for a share in `[0, 1]`, in parts of `2^53`.
fn share_up(amount: u128, share: f64) -> u128 {
    const PARTS_BITS: u32 = 53;
    #[expect(clippy::cast_precision_loss, reason = "a power of two is exact")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between zero and 2^53")]
    let parts = (share * (1_u64 << PARTS_BITS) as f64).ceil() as u64;
    (amount * u128::from(parts)).div_ceil(1 << PARTS_BITS)
}
