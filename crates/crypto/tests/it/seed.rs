//! Randomness that can be repeated.

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use rand::{SeedableRng, rngs::StdRng};

/// Returns the seed of this run, printed so that a failure can be repeated.
pub(crate) fn seed() -> u64 {
    let seed = match std::env::var("POCKET_SEED") {
        Ok(text) => text.parse().expect("POCKET_SEED is a number"),
        Err(_) => rand::random(),
    };
    println!("POCKET_SEED={seed}");
    seed
}

pub(crate) fn rng() -> StdRng {
    StdRng::seed_from_u64(seed())
}

/// Runs `test` on `cases` values of `strategy`, shrinking what fails.
pub(crate) fn check<S: Strategy>(cases: u32, strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed().to_be_bytes());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    runner.run(strategy, test).unwrap_or_else(|error| panic!("{error}"));
}
