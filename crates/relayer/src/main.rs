//! `pocket-relayer`: the doorstep.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use pocket_config::document::{self, Loaded};
use pocket_config::relayer::Relayer;
use pocket_runtime::process::{self, Exit};
use pocket_runtime::{log, shutdown};

const NAME: &str = "pocket-relayer";

/// Answers relays: checks them, calls the backend, signs, and logs them for the miner.
#[derive(Parser)]
#[command(name = NAME, version)]
struct Args {
    /// Settings file (YAML or JSON); the reference's config.relayer.yaml will do.
    #[arg(long)]
    config: PathBuf,
    /// Reads settings and keys, says what they amount to, and exits.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    process::run(NAME, async move { run(args).await.unwrap_or_else(|exit| exit) })
}

async fn run(args: Args) -> Result<Exit, Exit> {
    let Loaded { settings, notes } = process::load_config(NAME, &args.config, false, document::load::<Relayer>)?;
    if args.check {
        return check(&args, &settings, &notes);
    }
    let _logging = log::start(NAME, &settings.logging).map_err(|error| process::fail(NAME, &error, Exit::Usage))?;
    for note in &notes {
        tracing::warn!("{note}");
    }
    let shutdown = shutdown::signal(Duration::from_millis(settings.limits.drain_ms));
    pocket_relayer::run(&settings, &shutdown).await.map_err(|error| process::fail(NAME, &error, Exit::Failure))?;
    Ok(Exit::Success)
}

fn check(args: &Args, settings: &Relayer, notes: &[String]) -> Result<Exit, Exit> {
    let check = pocket_relayer::check(settings).map_err(|error| process::fail(NAME, &error, Exit::Usage))?;
    let mut out = std::io::stdout().lock();
    let mut lines = vec![format!("{}: valid", args.config.display())];
    lines.extend(check.lines);
    lines.extend(notes.iter().map(|note| format!("note: {note}")));
    for line in lines {
        // A reader that has gone needs no more lines.
        if writeln!(out, "{line}").is_err() {
            break;
        }
    }
    Ok(Exit::Success)
}
