//! `pocket standalone`: relayer and miner in one process on the embedded store.

use std::path::PathBuf;
use std::time::Duration;

use pocket_config::standalone;
use pocket_runtime::process::{self, Exit};
use pocket_runtime::{log, shutdown};

use crate::output;

/// Which settings.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Settings file (YAML or JSON) with `common`, `relayer` and `miner`.
    #[arg(long)]
    config: PathBuf,
    /// Reads the settings, says whether they are good, and exits.
    #[arg(long)]
    check: bool,
}

const NAME: &str = "pocket";

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    Ok(serve(args).await.unwrap_or_else(|exit| exit))
}

async fn serve(args: Args) -> Result<Exit, Exit> {
    let loaded = process::load_config(NAME, &args.config, false, standalone::load)?;
    for note in &loaded.notes {
        output::say(&format!("{}: {note}", args.config.display()));
    }
    let settings = loaded.settings;
    if args.check {
        let lines = pocket_localnet::standalone::check(&settings);
        let lines = lines.map_err(|error| process::fail(NAME, &error, Exit::Usage))?;
        output::tell(&format!("{}: valid", args.config.display()));
        for line in lines {
            output::tell(&line);
        }
        return Ok(Exit::Success);
    }
    let _logging = log::start("pocket-standalone", &settings.relayer.logging)
        .map_err(|error| process::fail(NAME, &error, Exit::Usage))?;
    let drain_ms = settings.relayer.limits.drain_ms.max(settings.miner.limits.drain_ms);
    let shutdown = shutdown::signal(Duration::from_millis(drain_ms));
    let running = pocket_localnet::standalone::start(settings, &shutdown)
        .await
        .map_err(|error| process::fail(NAME, &error, Exit::Failure))?;
    running.ended().await;
    Ok(Exit::Success)
}
