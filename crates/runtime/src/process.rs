//! A process from its first line to its exit code.

use std::fmt::Write;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

/// How a process ends, and the code the system sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Success,
    /// It ran, and failed.
    Failure,
    /// Its arguments or its configuration are wrong; it never began.
    Usage,
    /// Told twice to leave, it left without draining.
    Interrupted,
}

impl Exit {
    /// Returns the number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// How the process's threads are made.
#[derive(Debug, Clone, Copy)]
pub struct RuntimeOptions {
    /// Threads that run tasks; zero means as many as the machine has cores.
    pub workers: usize,
    /// Threads for work that blocks, at most.
    pub blocking_threads_max: usize,
}

/// Threads for work that blocks, where nobody has a reason to choose.
pub const BLOCKING_THREADS_MAX: usize = 64;

/// Runs `main` on a multi-threaded runtime with one worker a core; see [`run_with`].
pub fn run<F>(name: &'static str, main: F) -> ExitCode
where
    F: Future<Output = Exit>,
{
    run_with(name, RuntimeOptions { workers: 0, blocking_threads_max: BLOCKING_THREADS_MAX }, main)
}

/// Runs `main` to its end on a multi-threaded runtime and returns the exit code, for `fn main() -> ExitCode`.
///
/// Panics are logged with their place and thread. A panic of `main` itself is [`Exit::Failure`].
pub fn run_with<F>(name: &'static str, options: RuntimeOptions, main: F) -> ExitCode
where
    F: Future<Output = Exit>,
{
    install_panic_hook(name);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_name(name).max_blocking_threads(options.blocking_threads_max.max(1));
    if options.workers > 0 {
        builder.worker_threads(options.workers);
    }
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("{name}: cannot start threads: {}", chain(&error)));
            return Exit::Failure.into();
        }
    };
    let exit = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(main))).unwrap_or(Exit::Failure);
    // Whatever still runs has had its grace period.
    runtime.shutdown_background();
    exit.into()
}

/// Makes every panic a log line with its place, instead of a text beside the log.
pub fn install_panic_hook(process: &'static str) {
    std::panic::set_hook(Box::new(move |info| {
        let message = crate::task::message_of(info.payload());
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        if tracing::enabled!(tracing::Level::ERROR) {
            tracing::error!(place, thread, panic = message, "a thread panicked");
        } else {
            say(&format!("{process}: panic at {place}: {message}"));
        }
    }));
}

/// Writes an error and its causes on one line: `failed to read the configuration: failed to read `a.yaml`: no such file`.
///
/// A cause whose words the line already ends with is not repeated.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(&text) {
            let _ = write!(line, ": {text}");
        }
        cause = error.source();
    }
    line
}

/// Says on stderr that the process cannot go on, and why; returns `exit` for `main` to end with.
pub fn fail(name: &str, error: &(dyn std::error::Error + 'static), exit: Exit) -> Exit {
    say(&format!("{name}: {}", chain(error)));
    exit
}

/// Reads the settings file named by `--config` and hands its text to `load`.
///
/// With `check` (the flag `--check`) it says on stdout that the file is good and ends the process; a bad file ends it
/// with [`Exit::Usage`] and a line on stderr. `Err` holds the exit to return from `main`.
pub fn load_config<T, E>(
    name: &str,
    path: &std::path::Path,
    check: bool,
    load: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Exit>
where
    E: std::error::Error + 'static,
{
    let text = crate::fs::read_to_string(path).map_err(|error| fail(name, &error, Exit::Usage))?;
    let settings = load(&text).map_err(|error| {
        say(&format!("{name}: {}: {}", path.display(), chain(&error)));
        Exit::Usage
    })?;
    if check {
        tell(&format!("{}: valid", path.display()));
        return Err(Exit::Success);
    }
    Ok(settings)
}

#[expect(clippy::print_stderr, reason = "talk of a process that may have no log yet goes to stderr")]
fn say(line: &str) {
    eprintln!("{line}");
}

#[expect(clippy::print_stdout, reason = "the answer of --check is data")]
fn tell(line: &str) {
    println!("{line}");
}

#[expect(clippy::exit, clippy::disallowed_methods, reason = "the operator asked twice; nothing is left to drain")]
pub(crate) fn exit_now(exit: Exit) -> ! {
    std::process::exit(i32::from(exit.code()))
}
