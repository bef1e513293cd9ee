//! `mining.json`: averages, targets, multipliers, claim amounts and the lookup at a height.

use num_bigint::{BigInt, BigUint};
use num_rational::BigRational;
use pocket_protocol::mining::{self, Difficulty, DifficultyEntry, Price, Work};
use pocket_protocol::params::Shared;

use super::Case;

fn difficulty(case: &Case<'_>, block_height: i64) -> Difficulty {
    Difficulty { block_height, num_relays_ema: case.integer("num_relays_ema"), target: case.array("target_hash") }
}

pub(crate) fn ema(case: &Case<'_>) {
    let shared = Shared { num_blocks_per_session: case.integer("num_blocks_per_session"), ..Shared::DEFAULT };
    let height = case.integer("height");
    let previous = case.get("previous").map(|previous| difficulty(&case.part(previous), 1));
    let update = mining::update_difficulty(
        previous.as_ref(),
        true,
        case.integer("num_relays"),
        case.integer("target_num_relays"),
        height,
        shared.session_at(height).next_start(),
    );

    let go = case.object("go");
    if go.get("malformed").is_some() {
        assert!(update.is_err(), "{}: expected an error", case.name());
        return;
    }
    let update = update.unwrap_or_else(|error| panic!("{}: {error}", case.name()));
    assert_eq!(update.current, difficulty(&go, go.integer("block_height")), "{}", case.name());
    let history: Vec<_> = go
        .list("history")
        .iter()
        .map(|entry| {
            let difficulty = difficulty(entry, entry.integer("block_height"));
            DifficultyEntry { effective_height: entry.integer("effective_height"), difficulty }
        })
        .collect();
    assert_eq!(update.history, history, "{}: history", case.name());
}

pub(crate) fn target(case: &Case<'_>) {
    let target = mining::new_target(case.integer("target_num_relays"), case.integer("ema"));
    if case.get("malformed").is_some() {
        assert!(target.is_err(), "{}: expected an error", case.name());
    } else {
        assert_eq!(target, Ok(case.array("target_hash")), "{}", case.name());
    }
}

pub(crate) fn multiplier(case: &Case<'_>) {
    let target = case.array("target");
    let fraction = |numerator: &str, denominator: &str| {
        let (numerator, denominator): (BigInt, BigInt) = (case.integer(numerator), case.integer(denominator));
        let fraction = BigRational::new(numerator.clone(), denominator.clone());
        assert_eq!((fraction.numer(), fraction.denom()), (&numerator, &denominator), "{}: not reduced", case.name());
        fraction
    };
    let expected = fraction("multiplier_num", "multiplier_den");
    assert_eq!(mining::multiplier(&target), Ok(expected), "{}", case.name());
    assert_eq!(mining::probability(&target), fraction("probability_num", "probability_den"), "{}", case.name());
}

pub(crate) fn claim_amount(case: &Case<'_>) {
    let work = Work::of_root(&case.bytes("root")).expect("48 bytes");
    assert_eq!(work.compute_units, case.integer::<u64>("sum"), "{}", case.name());
    assert_eq!(work.relays, case.integer::<u64>("count"), "{}", case.name());
    let target = case.array("target");
    let price = Price {
        compute_units_to_tokens_multiplier: case.integer("compute_units_to_tokens_multiplier"),
        compute_unit_cost_granularity: case.integer("compute_unit_cost_granularity"),
    };

    let units = mining::estimated_compute_units(work, &target).expect("the target is not zero");
    let relays = mining::estimated_relays(work, units);
    assert_eq!(units, case.integer::<u64>("estimated_compute_units"), "{}: compute units", case.name());
    assert_eq!(relays, case.integer::<u64>("estimated_relays"), "{}: relays", case.name());
    let claimed = mining::claimed_upokt(work.compute_units, &target, price);
    if case.get("malformed").is_some() {
        assert!(claimed.is_err(), "{}: expected an error", case.name());
    } else {
        assert_eq!(claimed, Ok(case.integer::<BigUint>("claimed_upokt")), "{}: claimed", case.name());
    }
}

pub(crate) fn difficulty_at_height(case: &Case<'_>) {
    let target_num_relays = case.integer("target_num_relays");
    let history: Vec<_> = case
        .list("history")
        .iter()
        .map(|entry| {
            let effective_height = entry.integer("effective_height");
            DifficultyEntry { effective_height, difficulty: difficulty(entry, effective_height) }
        })
        .collect();
    for query in case.list("queries") {
        let height = query.integer("height");
        let found = mining::difficulty_at_height(&history, height, target_num_relays);
        assert_eq!(found, difficulty(&query, query.integer("block_height")), "{} at {height}", case.name());
    }
    let unknown = case.object("unknown_service");
    let found = mining::difficulty_at_height(&[], 1, target_num_relays);
    assert_eq!(found, difficulty(&unknown, unknown.integer("block_height")), "{}: unknown service", case.name());
}
