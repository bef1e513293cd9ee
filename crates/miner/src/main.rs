//! `pocket-miner`: the doorstep.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use pocket_config::document::{self, Loaded};
use pocket_config::miner::Miner;
use pocket_runtime::process::{self, Exit};
use pocket_runtime::{log, shutdown};

const NAME: &str = "pocket-miner";

/// Claims and proves the relays that relayers have logged.
#[derive(Parser)]
#[command(name = NAME, version)]
struct Args {
    /// Settings file (YAML or JSON).
    #[arg(long)]
    config: PathBuf,
    /// Reads the settings and keys, says whether they are good, and exits.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    process::run(NAME, async move { run(args).await.unwrap_or_else(|exit| exit) })
}

async fn run(args: Args) -> Result<Exit, Exit> {
    let Loaded { settings, notes } = process::load_config(NAME, &args.config, false, document::load::<Miner>)?;
    if args.check {
        return check(&args, &settings, &notes);
    }
    let _logging = log::start(NAME, &settings.logging).map_err(|error| process::fail(NAME, &error, Exit::Usage))?;
    for note in &notes {
        tracing::warn!("{note}");
    }
    let shutdown = shutdown::signal(Duration::from_millis(settings.limits.drain_ms));
    pocket_miner::run(&settings, &shutdown).await.map_err(|error| process::fail(NAME, &error, Exit::Failure))?;
    Ok(Exit::Success)
}

fn check(args: &Args, settings: &Miner, notes: &[String]) -> Result<Exit, Exit> {
    let suppliers = pocket_miner::check(settings).map_err(|error| process::fail(NAME, &error, Exit::Usage))?;
    let mut lines = vec![format!("{}: valid", args.config.display())];
    lines.extend(suppliers.iter().map(|supplier| format!("supplier {supplier}")));
    lines.push(format!("durability {:?}", settings.store.durability).to_lowercase());
    lines.extend(notes.iter().map(|note| format!("note: {note}")));
    let mut out = std::io::stdout().lock();
    for line in lines {
        // A reader that has gone needs no more lines.
        if writeln!(out, "{line}").is_err() {
            break;
        }
    }
    Ok(Exit::Success)
}
