//! `pocket-gateway`: the doorstep.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use pocket_chain::Chain;
use pocket_config::document;
use pocket_config::gateway::Gateway;
use pocket_runtime::process::{self, Exit};
use pocket_runtime::{log, shutdown};

/// Time given to the full node to appear.
const PATIENCE: Duration = Duration::from_mins(1);

/// A gateway: signs requests for applications, checks what suppliers answer.
#[derive(Parser)]
#[command(name = "pocket-gateway", version)]
struct Args {
    /// Settings file (YAML or JSON).
    #[arg(long)]
    config: PathBuf,
    /// Reads the settings, says whether they are good, and exits.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    process::run("pocket-gateway", async move { run(args).await.unwrap_or_else(|exit| exit) })
}

async fn run(args: Args) -> Result<Exit, Exit> {
    const NAME: &str = "pocket-gateway";
    let settings = process::load_config(NAME, &args.config, args.check, |text| {
        document::load::<Gateway>(text).map(|loaded| loaded.settings)
    })?;
    let _logging = log::start(NAME, &settings.logging).map_err(|error| process::fail(NAME, &error, Exit::Usage))?;

    let shutdown = shutdown::signal(Duration::from_millis(settings.limits.drain_ms));
    let chain = Chain::connect(&settings.pocket_node, PATIENCE, &shutdown)
        .await
        .map_err(|error| process::fail(NAME, &error, Exit::Failure))?;
    let running = pocket_gateway::start(&settings, chain, &shutdown)
        .await
        .map_err(|error| process::fail(NAME, &error, Exit::Failure))?;
    running.ended().await;
    Ok(Exit::Success)
}
