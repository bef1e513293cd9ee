//! The store's promises, on every engine.
//!
//! One list of contract tests runs on the embedded engine in memory and on disk, and on Redis 7.0 and 8.2. Tests that need
//! a server which is not there are reported as ignored, or fail under `POCKET_TESTBED=required`.

mod child;
mod contract;
mod cost;
mod engines;
mod kill;
mod lifecycle;
mod on_disk;
mod on_redis;
mod world;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use pocket_testbed::Version;
use pocket_testbed::redis::{Need, needs};

use world::{Backend, run};

/// A test of one engine.
type Test = fn(Backend) -> anyhow::Result<()>;

fn main() -> ExitCode {
    if let Some(code) = child::main() {
        return code;
    }
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for backend in [Backend::Memory, Backend::Disk, Backend::Redis(Version::V7_0), Backend::Redis(Version::V8_2)] {
        for (name, test) in contract::tests().into_iter().chain(lifecycle::tests()) {
            trials.push(trial(backend, name, test));
        }
        for (name, test) in cost::tests() {
            trials.push(trial(backend, name, test).with_ignored_flag(true));
        }
        if backend.outlives_its_process() {
            for (name, test) in engines::tests().into_iter().chain(kill::tests()) {
                trials.push(trial(backend, name, test));
            }
        }
        if let Backend::Redis(_) = backend {
            for (name, test) in on_redis::tests() {
                trials.push(trial(backend, name, test));
            }
        }
    }
    for (name, test) in on_disk::tests() {
        trials.push(trial(Backend::Disk, name, test));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(backend: Backend, name: &str, test: Test) -> Trial {
    let need = match backend {
        Backend::Redis(version) => needs(version),
        Backend::Memory | Backend::Disk => Need::Met,
    };
    let ignored = matches!(need, Need::Skip { .. });
    let run = move || match need {
        Need::Fail { reason } => Err(Failed::from(reason)),
        Need::Met | Need::Skip { .. } => test(backend).map_err(|error| Failed::from(format!("{error:#}"))),
    };
    Trial::test(format!("{backend}::{name}"), run).with_ignored_flag(ignored)
}

/// Lists async tests of a world by their names.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        /// Returns every test of this file.
        pub(crate) fn tests() -> Vec<(&'static str, $crate::Test)> {
            vec![$((stringify!($name), |backend| $crate::run(backend, $name))),*]
        }
    };
}
