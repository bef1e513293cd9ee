//! Rules and properties of difficulty, amounts and the operator's profit rule.

use num_bigint::BigUint;

use super::difficulty::{change_compute_units, set_compute_units};
use super::profit::{self, Decision, Fees, decide};
use super::{
    BASE_TARGET, ComputeUnitsEntry, Difficulty, MiningError, Price, Work, applicable, claimed_upokt,
    compute_units_at_height, cost, ema, estimated_compute_units, estimated_relays, multiplier, new_target,
    relays_price, target, update_difficulty,
};
use crate::sampling::{GoRand, Requirement};

const PRICE: Price = Price { compute_units_to_tokens_multiplier: 42_000_000, compute_unit_cost_granularity: 1_000_000 };

#[test]
fn a_hash_counts_only_below_the_target() {
    assert!(!applicable(&BASE_TARGET, &BASE_TARGET));
    let mut below = BASE_TARGET;
    below[31] = 0xfe;
    assert!(applicable(&below, &BASE_TARGET));
    assert_eq!(target(&[1; 31]), Err(MiningError::TargetLength(31)));
}

#[test]
fn averages_are_those_of_the_description() {
    for (previous, current, expected) in [
        (11, 1, 9),
        (1, 11, 2),
        (0, 5, 0),
        (0, 10, 1),
        (1_000_000, 100, 900_009),
        (123_456_789, 987_654_321, 209_876_542),
        (u64::MAX, u64::MAX, u64::MAX),
    ] {
        assert_eq!(ema(previous, current), expected, "{previous} and {current}");
    }
}

#[test]
fn an_average_stays_between_its_parts() {
    let mut random = GoRand::new(7);
    for _ in 0..10_000 {
        let (previous, current) =
            (random.uint64() >> (random.uint64() % 64), random.uint64() >> (random.uint64() % 64));
        let average = ema(previous, current);
        let (low, high) = (previous.min(current), previous.max(current));
        // Truncation may take one off, and the double above one tenth may round one up.
        assert!(average >= low.saturating_sub(1) && average <= high.saturating_add(1), "{previous} and {current}");
    }
}

#[test]
fn targets_fall_as_traffic_grows_and_never_leave_the_base() {
    let mut random = GoRand::new(11);
    for _ in 0..2_000 {
        let wanted = 1 + random.uint64() % 1_000_000;
        let average = 1 + random.uint64() % 100_000_000;
        let easier = new_target(wanted, average).expect("the average is not zero");
        let harder = new_target(wanted, average + 1).expect("the average is not zero");
        assert!(harder <= easier, "{wanted} of {average}");
        assert_eq!(easier == BASE_TARGET, average <= wanted, "{wanted} of {average}");
    }
    assert_eq!(new_target(1, 0), Err(MiningError::EmaZero));
    assert_eq!(new_target(0, 0), Ok(BASE_TARGET));
}

#[test]
fn an_average_that_would_be_zero_is_an_error() {
    let previous = Difficulty { block_height: 1, num_relays_ema: 0, target: BASE_TARGET };
    assert_eq!(update_difficulty(Some(&previous), true, 5, 10, 57, 61), Err(MiningError::EmaZero));
}

#[test]
fn a_difficulty_is_the_same_after_it_travelled() {
    let easy = Difficulty { block_height: 57, num_relays_ema: 11, target: BASE_TARGET };
    assert_eq!(Difficulty::from_message(&easy.to_message("svc1")), Ok(easy.clone()));
    let update = update_difficulty(Some(&easy), true, 1, 3, 57, 61).expect("relays were claimed");
    let event = update.event("svc1");
    assert_eq!((event.prev_num_relays_ema, event.new_num_relays_ema), (11, 9));
    assert_eq!(event.prev_target_hash_hex_encoded, "ff".repeat(32));
    assert_eq!(event.new_target_hash_hex_encoded, "55".repeat(32));
}

#[test]
fn a_claim_of_the_default_network_earns_42_upokt_per_compute_unit() {
    let work = Work { compute_units: 1_000, relays: 10 };
    assert_eq!(claimed_upokt(work.compute_units, &BASE_TARGET, PRICE), Ok(BigUint::from(42_000_u32)));
    assert_eq!(estimated_compute_units(work, &BASE_TARGET), Ok(1_000));
    assert_eq!(estimated_relays(work, 1_000), 10);
    assert_eq!(estimated_relays(Work::default(), 1_000), 0);
}

#[test]
fn impossible_prices_are_errors() {
    let free = Price { compute_unit_cost_granularity: 0, ..PRICE };
    assert_eq!(claimed_upokt(1, &BASE_TARGET, free), Err(MiningError::GranularityZero));
    assert_eq!(relays_price(1, 1, free), Err(MiningError::GranularityZero));
    assert_eq!(multiplier(&[0; 32]), Err(MiningError::TargetZero));
    let wrapped = Price { compute_units_to_tokens_multiplier: 1 << 63, ..PRICE };
    assert_eq!(claimed_upokt(1, &BASE_TARGET, wrapped), Err(MiningError::NegativeAmount));
    let mut hardest = [0; 32];
    hardest[31] = 1;
    assert!(matches!(claimed_upokt(u64::MAX, &hardest, PRICE), Err(MiningError::AmountTooLarge(_))));
}

#[test]
fn many_relays_are_charged_with_one_rounding() {
    let third = Price { compute_units_to_tokens_multiplier: 1, compute_unit_cost_granularity: 3 };
    assert_eq!(cost(1, third), Ok(0));
    assert_eq!(relays_price(10, 1, third), Ok(BigUint::from(3_u32)));
    let localnet = Price { compute_units_to_tokens_multiplier: 100, compute_unit_cost_granularity: 1 };
    assert_eq!(cost(1_000, localnet), Ok(100_000));
}

#[test]
fn compute_units_are_those_of_the_height() {
    let mut history = Vec::new();
    assert_eq!(compute_units_at_height(&history, 50, 7), 7);
    change_compute_units(&mut history, 7, 9, 21);
    assert_eq!(history.first(), Some(&ComputeUnitsEntry { effective_height: 1, compute_units_per_relay: 7 }));
    assert_eq!(compute_units_at_height(&history, 20, 9), 7);
    assert_eq!(compute_units_at_height(&history, 21, 9), 9);
    set_compute_units(&mut history, 21, 0);
    assert_eq!(compute_units_at_height(&history, 30, 5), 5, "a zero is read as corrupt");
}

#[test]
fn a_claim_is_sent_when_it_earns_more_than_it_costs() {
    let fees = Fees { claim_tx_upokt: 10, proof_tx_upokt: 20, proof_submission_upokt: 1_000 };
    let check = |claimed: u64, probability: f64| decide(&BigUint::from(claimed), fees, probability);

    assert_eq!(check(11, 0.0), Decision::Claim { gain_upokt: 1 });
    assert_eq!(check(10, 0.0), Decision::Skip { loss_upokt: 0 });
    assert_eq!(check(1_030, 1.0), Decision::Skip { loss_upokt: 0 });
    assert_eq!(check(1_031, 1.0), Decision::Claim { gain_upokt: 1 });
    assert_eq!(check(265, 0.25), Decision::Skip { loss_upokt: 0 });
    assert_eq!(check(266, 0.25), Decision::Claim { gain_upokt: 1 });
    assert_eq!(check(0, 0.0), Decision::Skip { loss_upokt: 10 });
    for certain in [f64::NAN, 2.0, -1.0] {
        assert_eq!(check(1_030, certain), Decision::Skip { loss_upokt: 0 }, "{certain}");
    }
    assert_eq!(check(1_031, profit::probability_of(Requirement::Threshold)), Decision::Claim { gain_upokt: 1 });
    assert!(check(11, profit::probability_of(Requirement::NotRequired)).is_claim());
    assert_eq!(decide(&(BigUint::from(1_u32) << 250), fees, 1.0), Decision::Claim { gain_upokt: u64::MAX });
}
