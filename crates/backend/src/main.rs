//! `pocket-backend`: the doorstep.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use pocket_config::backend::Backend;
use pocket_config::document;
use pocket_runtime::process::{self, Exit};
use pocket_runtime::{log, shutdown};

/// Time left to answers under way at shutdown.
const GRACE: Duration = Duration::from_secs(5);

/// A demo backend: answers any JSON-RPC method, and fails on request.
#[derive(Parser)]
#[command(name = "pocket-backend", version)]
struct Args {
    /// Settings file (YAML or JSON); the defaults without one.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Reads the settings, says whether they are good, and exits.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    process::run("pocket-backend", async move { run(args).await.unwrap_or_else(|exit| exit) })
}

async fn run(args: Args) -> Result<Exit, Exit> {
    const NAME: &str = "pocket-backend";
    let settings = match &args.config {
        Some(path) => process::load_config(NAME, path, args.check, |text| {
            document::load::<Backend>(text).map(|loaded| loaded.settings)
        })?,
        None if args.check => return Ok(Exit::Success),
        None => document::load::<Backend>("").map_err(|error| process::fail(NAME, &error, Exit::Usage))?.settings,
    };
    let _logging = log::start(NAME, &settings.logging).map_err(|error| process::fail(NAME, &error, Exit::Usage))?;

    let shutdown = shutdown::signal(GRACE);
    let running = pocket_backend::start(&settings, &shutdown)
        .await
        .map_err(|error| process::fail(NAME, &error, Exit::Failure))?;
    running.ended().await;
    Ok(Exit::Success)
}
