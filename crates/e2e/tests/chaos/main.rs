//! Real processes, killed at random moments while clients work, and the connections between them cut. Whatever a client was
//! answered is paid for, once.
//!
//! [`load`] is who works, [`faults`] what breaks in a [`house`] of processes (or in [`up`], which is all of them in one), and
//! [`settled`] what must still hold. Every run prints what was done, and what came of it.
//!
//! Every run prints its seed; `POCKET_SEED` repeats one. The long forms are ignored: `make chaos` runs them.

#![allow(
    clippy::disallowed_methods,
    reason = "these tests stand outside the house: they start its processes and write their files"
)]

mod faults;
mod house;
mod load;
mod process;
mod settled;
mod up;

use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use pocket_testbed::{Version, redis::Need};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use faults::{Link, Victim};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each test fills the machine by itself.
    arguments.test_threads = arguments.test_threads.or(Some(1));
    let long = |name: &str, offset: u16, victim: Victim| {
        let test = move || house::survive(offset, vec![victim], 20, 20);
        trial(name, Needs::Redis, Length::Long, test)
    };
    let trials = vec![
        trial("the_judge_names_what_went_wrong", Needs::Nothing, Length::Short, || async {
            settled::the_judge_names_what_went_wrong()
        }),
        trial("three_kills_of_up_lose_nothing", Needs::Nothing, Length::Short, || up::survive(3, "300ms")),
        trial("twenty_kills_of_up_lose_nothing", Needs::Nothing, Length::Long, || up::survive(20, "1s")),
        trial(
            "two_thousand_relays_through_six_processes_are_paid_exactly",
            Needs::Redis,
            Length::Short,
            house::two_thousand_relays,
        ),
        trial("a_kill_of_each_process_and_a_cut_of_each_link_lose_nothing", Needs::Redis, Length::Short, || {
            house::survive(100, Victim::ALL.to_vec(), 1, Link::ALL.len())
        }),
        long("twenty_kills_of_the_relayer_and_twenty_cuts_lose_nothing", 200, Victim::Relayer),
        long("twenty_kills_of_the_miner_and_twenty_cuts_lose_nothing", 300, Victim::Miner),
        long("twenty_kills_of_redis_and_twenty_cuts_lose_nothing", 400, Victim::Redis),
        long("twenty_kills_of_the_chain_and_twenty_cuts_lose_nothing", 500, Victim::Devnet),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// What a test cannot do without.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Redis,
}

/// Long tests are ignored unless asked for by name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Short,
    Long,
}

fn trial<F>(name: &str, needs: Needs, length: Length, test: impl FnOnce() -> F + Send + 'static) -> Trial
where
    F: Future<Output = anyhow::Result<()>>,
{
    let need = if needs == Needs::Redis { pocket_testbed::redis::needs(Version::V7_0) } else { Need::Met };
    let missing = matches!(need, Need::Skip { .. });
    let run = move || {
        if let Need::Fail { reason } | Need::Skip { reason } = need {
            return Err(Failed::from(reason));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(test()).map_err(|error| Failed::from(format!("{error:#}")))
    };
    Trial::test(name, run).with_ignored_flag(missing || length == Length::Long)
}

/// The seed of this run, printed.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("POCKET_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random);
    println!("POCKET_SEED={seed}");
    seed
}

/// A source of moments to break things at.
pub(crate) fn dice(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// A moment between the two.
pub(crate) fn moment(dice: &mut StdRng, least: Duration, most: Duration) -> Duration {
    dice.random_range(least..=most)
}
