//! `pocket-devnet`: the doorstep.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use pocket_config::{document, metrics::Catalogue};
use pocket_devnet::{Devnet, Settings, driver};
use pocket_runtime::{
    admin::{self, Admin, Health, Routes},
    log,
    metrics::Registry,
    net::TcpListener,
    process::{self, Exit},
    shutdown::{self, Shutdown},
    task,
};

const NAME: &str = "pocket-devnet";
/// Time left to answers under way at shutdown.
const GRACE: Duration = Duration::from_secs(5);

/// A development chain: Pocket's rules and a node's wire, with time under control.
#[derive(Parser)]
#[command(name = "pocket-devnet", version)]
struct Args {
    /// Settings file (YAML or JSON); the defaults without one.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Reads the settings and the facts of the network, says whether they are good, and exits.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    process::run(NAME, async move { run(args).await.unwrap_or_else(|exit| exit) })
}

async fn run(args: Args) -> Result<Exit, Exit> {
    let settings = load(&args)?;
    let _logging = log::start(NAME, &settings.logging).map_err(|error| process::fail(NAME, &error, Exit::Usage))?;

    let shutdown = shutdown::signal(GRACE);
    let health = Health::new();
    let heartbeat = health.heartbeat("blocks", driver::SILENCE_MAX);
    let admin_listener = if settings.metrics.enabled {
        let listener = TcpListener::bind(&settings.metrics.bind_addr()).await;
        Some(listener.map_err(|error| process::fail(NAME, &error, Exit::Failure))?)
    } else {
        None
    };
    let running = Devnet::start_watched(&settings, Some(heartbeat), &shutdown)
        .await
        .map_err(|error| process::fail(NAME, &error, Exit::Failure))?;
    tracing::info!(
        height = running.chain.height(),
        rpc = %running.rpc_addr,
        grpc = %running.grpc_addr,
        rest = %running.rest_addr,
        control = %running.control_addr,
        "the chain is up"
    );
    let admin = admin_listener.map(|listener| task::spawn("devnet admin", serve_admin(listener, health, shutdown)));
    running.stopped().await;
    if let Some(admin) = admin {
        // A panic has been logged and counted where it happened.
        let _ = admin.await;
    }
    Ok(Exit::Success)
}

async fn serve_admin(listener: TcpListener, health: Health, shutdown: Shutdown) {
    let registry = Registry::new("devnet", Catalogue::builtin());
    admin::serve(listener, Admin { registry, health, routes: Routes::new() }, shutdown).await;
}

fn load(args: &Args) -> Result<Settings, Exit> {
    let Some(path) = &args.config else {
        if args.check {
            return Err(Exit::Success);
        }
        let defaults = document::load::<Settings>("").map_err(|error| process::fail(NAME, &error, Exit::Usage))?;
        return Ok(defaults.settings);
    };
    process::load_config(NAME, path, args.check, |text| -> Result<Settings, CheckError> {
        let settings = document::load::<Settings>(text)?.settings;
        pocket_devnet::devnet::check(&settings)?;
        Ok(settings)
    })
}

/// Why settings are no good.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error(transparent)]
    Settings(#[from] pocket_config::LoadError),
    #[error(transparent)]
    Facts(#[from] pocket_devnet::StartError),
}
