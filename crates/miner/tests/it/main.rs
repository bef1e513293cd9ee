//! The miner on a development chain of its own: from relays in the log to money, through every interruption.
//!
//! All of it on the store in memory, and what depends on the store on the others too. Tests that need a server which is
//! not there are reported as ignored, or fail under `POCKET_TESTBED=required`.

#![expect(clippy::unwrap_used, reason = "these are tests, run by a harness of their own that the lint does not know")]

mod faults;
mod lifecycle;
mod losses;
mod nodes;
mod others;
mod process;
mod refusals;
mod restarts;
mod world;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use pocket_testbed::redis::Need;
use pocket_testbed::{Version, needs};

use world::Backend;

type Test = (&'static str, fn(Backend));

/// What the store has a part in.
fn on_every_store() -> Vec<Test> {
    vec![
        ("logged_relays_are_claimed_proved_and_paid", |backend| {
            run(lifecycle::logged_relays_are_claimed_proved_and_paid(backend));
        }),
        ("a_settled_session_is_forgotten_after_the_blocks_it_is_kept_for", |backend| {
            run(lifecycle::a_settled_session_is_forgotten_after_the_blocks_it_is_kept_for(backend));
        }),
        ("entries_that_are_no_relays_of_the_session_are_quarantined_with_their_reason", |backend| {
            run(refusals::entries_that_are_no_relays_of_the_session_are_quarantined_with_their_reason(backend));
        }),
        ("a_relay_after_the_seal_is_late_and_changes_no_root", |backend| {
            run(refusals::a_relay_after_the_seal_is_late_and_changes_no_root(backend));
        }),
        ("whoever_is_behind_cannot_log_after_the_seal", |backend| {
            run(losses::whoever_is_behind_cannot_log_after_the_seal(backend));
        }),
        ("a_miner_killed_between_all_steps_ends_where_it_would_have_ended", |backend| {
            run(restarts::a_miner_killed_between_all_steps_ends_where_it_would_have_ended(backend));
        }),
        ("relays_logged_while_no_miner_runs_are_claimed_by_the_next_one", |backend| {
            run(restarts::relays_logged_while_no_miner_runs_are_claimed_by_the_next_one(backend));
        }),
        ("a_miner_killed_at_random_moments_loses_and_doubles_nothing", |backend| {
            run(restarts::a_miner_killed_at_random_moments_loses_and_doubles_nothing(backend));
        }),
        ("a_miner_whose_lease_is_taken_starts_over_and_counts_nothing_twice", |backend| {
            run(restarts::a_miner_whose_lease_is_taken_starts_over_and_counts_nothing_twice(backend));
        }),
    ]
}

/// What the connections to a Redis server have a part in, and where processes share one.
fn on_redis() -> Vec<Test> {
    vec![
        ("a_commit_whose_answer_was_lost_is_claimed", |backend| {
            run(losses::a_commit_whose_answer_was_lost_is_claimed(backend));
        }),
        ("a_commit_whose_every_answer_was_lost_is_claimed", |backend| {
            run(losses::a_commit_whose_every_answer_was_lost_is_claimed(backend));
        }),
        ("two_miners_of_one_machine_leave_each_other_their_leases", |backend| {
            run(losses::two_miners_of_one_machine_leave_each_other_their_leases(backend));
        }),
    ]
}

/// What only the chain has a part in.
fn in_memory() -> Vec<Test> {
    vec![
        ("a_claim_that_the_chain_does_not_sample_is_paid_without_a_proof", |backend| {
            run(lifecycle::a_claim_that_the_chain_does_not_sample_is_paid_without_a_proof(backend));
        }),
        ("a_claim_below_its_fees_is_forgone_where_the_operator_says_so", |backend| {
            run(lifecycle::a_claim_below_its_fees_is_forgone_where_the_operator_says_so(backend));
        }),
        ("a_session_whose_claim_window_passed_is_reported_unclaimed", |backend| {
            run(refusals::a_session_whose_claim_window_passed_is_reported_unclaimed(backend));
        }),
        ("a_claim_whose_proof_never_came_is_reported_expired_with_what_it_cost", |backend| {
            run(refusals::a_claim_whose_proof_never_came_is_reported_expired_with_what_it_cost(backend));
        }),
        ("what_the_mempool_loses_is_sent_again", |backend| run(faults::what_the_mempool_loses_is_sent_again(backend))),
        ("what_a_busy_node_refuses_is_sent_again", |backend| {
            run(faults::what_a_busy_node_refuses_is_sent_again(backend));
        }),
        ("a_node_that_does_not_answer_some_questions_is_asked_again", |backend| {
            run(faults::a_node_that_does_not_answer_some_questions_is_asked_again(backend));
        }),
        ("a_claim_that_a_full_mempool_refused_at_the_last_safe_block_is_sent_into_the_next", |backend| {
            run(losses::a_claim_that_a_full_mempool_refused_at_the_last_safe_block_is_sent_into_the_next(backend));
        }),
        ("a_claim_that_a_lagging_node_does_not_show_is_proved_all_the_same", |backend| {
            run(losses::a_claim_that_a_lagging_node_does_not_show_is_proved_all_the_same(backend));
        }),
        ("relays_that_meet_a_broken_connection_to_the_node_become_leaves_when_it_is_whole", |backend| {
            run(nodes::relays_that_meet_a_broken_connection_to_the_node_become_leaves_when_it_is_whole(backend));
        }),
        ("relays_that_meet_a_node_that_lags_or_fails_become_leaves_when_it_is_well", |backend| {
            run(nodes::relays_that_meet_a_node_that_lags_or_fails_become_leaves_when_it_is_well(backend));
        }),
        ("relays_of_sessions_far_ahead_of_a_miner_wait_and_keep_no_others_from_counting", |backend| {
            run(nodes::relays_of_sessions_far_ahead_of_a_miner_wait_and_keep_no_others_from_counting(backend));
        }),
        ("a_session_that_another_miner_claimed_is_told_as_such", |backend| {
            run(others::a_session_that_another_miner_claimed_is_told_as_such(backend));
        }),
        ("what_another_miner_was_paid_is_not_taken_for_ours", |backend| {
            run(others::what_another_miner_was_paid_is_not_taken_for_ours(backend));
        }),
        ("an_unknown_flag_is_refused", |_| process::an_unknown_flag_is_refused()),
        ("wrong_settings_are_refused_with_what_to_write", |_| process::wrong_settings_are_refused_with_what_to_write()),
        ("good_settings_are_told_with_the_suppliers_they_mine_for", |_| {
            process::good_settings_are_told_with_the_suppliers_they_mine_for();
        }),
    ]
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials: Vec<_> = in_memory().into_iter().map(|test| trial(Backend::Memory, test)).collect();
    for backend in [Backend::Memory, Backend::Disk, Backend::Redis(Version::V7_0), Backend::Redis(Version::V8_2)] {
        trials.extend(on_every_store().into_iter().map(|test| trial(backend, test)));
        if matches!(backend, Backend::Redis(_)) {
            trials.extend(on_redis().into_iter().map(|test| trial(backend, test)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(backend: Backend, (name, test): Test) -> Trial {
    let need = match backend {
        Backend::Redis(version) => needs(version),
        Backend::Memory | Backend::Disk => Need::Met,
    };
    let ignored = matches!(need, Need::Skip { .. });
    let store = match backend {
        Backend::Memory => "memory".to_owned(),
        Backend::Disk => "disk".to_owned(),
        Backend::Redis(version) => version.to_string(),
    };
    let run = move || match need {
        Need::Fail { reason } => Err(Failed::from(reason)),
        Need::Met | Need::Skip { .. } => {
            test(backend);
            Ok(())
        }
    };
    Trial::test(format!("{store}::{name}"), run).with_ignored_flag(ignored)
}

/// Runs a test; what it asserts fails the trial by its panic.
/// Longest time for one test, on a machine that builds something else beside.
const TEST_TIMEOUT: std::time::Duration = std::time::Duration::from_mins(3);

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    // A test that waits for what never comes fails, rather than stop the run.
    let test = async { tokio::time::timeout(TEST_TIMEOUT, test).await.expect("the test ends in time") };
    runtime.expect("two threads can be had").block_on(test);
}
