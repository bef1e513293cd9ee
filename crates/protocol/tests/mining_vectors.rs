//! Vectors recorded from the chain's own code: proof sampling, difficulty, claim amounts and settlement.
//!
//! Every case of a file is checked; an unknown kind, an empty file or a missing one fails.

mod mining_cases;

use mining_cases::{difficulty, sampling, settlement};

#[test]
fn sampling_vectors_give_the_chains_decisions() {
    mining_cases::check_file("sampling.json", |kind| match kind {
        "go_rand" => Some(sampling::go_rand),
        "varint" => Some(sampling::varint),
        "seeded_float64" => Some(sampling::seeded_float64),
        "proof_requirement" => Some(sampling::proof_requirement),
        _ => None,
    });
}

#[test]
fn mining_vectors_give_the_chains_targets_amounts_and_settlements() {
    mining_cases::check_file("mining.json", |kind| match kind {
        "ema" => Some(difficulty::ema),
        "target" => Some(difficulty::target),
        "multiplier" => Some(difficulty::multiplier),
        "claim_amount" => Some(difficulty::claim_amount),
        "difficulty_at_height" => Some(difficulty::difficulty_at_height),
        "settlement" => Some(settlement::settlement),
        _ => None,
    });
}
