//! `pocket chain`: the hands on a development chain, over gRPC `pocket.devnet.v1.Control`.

use std::time::Duration;

use anyhow::{Context, anyhow};
use pocket_localnet::Door;
use pocket_proto::pocket::devnet::v1::{
    AdvanceRequest, HaltRequest, RestoreRequest, ResumeRequest, SnapshotRequest, StatusRequest, TimeMode,
    WarpToRequest, control_client::ControlClient, warp_to_request::Target,
};
use pocket_runtime::grpc;
use pocket_runtime::process::Exit;
use serde_json::json;
use tonic::{Code, Status};

use crate::output;

/// Warping over thousands of blocks with claims in them takes a while.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Which chain, and what to do with it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the chain's control listens; the banner of `pocket up` says so.
    #[arg(long, global = true, value_name = "HOST:PORT")]
    control: Option<String>,
    /// One JSON object instead of lines.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Says where the chain is.
    Status,
    /// Makes blocks at once.
    Advance {
        /// How many.
        #[arg(default_value_t = 1)]
        blocks: u64,
    },
    /// Makes blocks at once until a height or a window. Miners do not hurry along: a claim or proof whose window is
    /// passed over is lost.
    Warp(Warp),
    /// Remembers the state, and prints an id for `restore`.
    Snapshot,
    /// Goes back to a snapshot. What follows is another history, with other block hashes. Whoever follows the chain goes back
    /// with it when the next block is made; where time stands still, `advance 1` makes it.
    Restore {
        /// As `snapshot` printed it.
        id: String,
    },
    /// Stops making blocks.
    Halt,
    /// Goes on making blocks.
    Resume,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
#[expect(clippy::struct_excessive_bools, clippy::struct_field_names, reason = "flags, of which one is given")]
struct Warp {
    /// Until the current session's claim window opens.
    #[arg(long)]
    to_claim_window: bool,
    /// Until its proof window opens.
    #[arg(long)]
    to_proof_window: bool,
    /// Until the current session ends.
    #[arg(long)]
    to_session_end: bool,
    /// Until its claims are settled.
    #[arg(long)]
    to_settlement: bool,
    /// Until this height.
    #[arg(long, value_name = "HEIGHT")]
    to_height: Option<i64>,
}

impl Warp {
    fn target(&self) -> Target {
        if let Some(height) = self.to_height {
            return Target::Height(height);
        }
        let windows = [
            (self.to_claim_window, "claim-window"),
            (self.to_proof_window, "proof-window"),
            (self.to_session_end, "session-end"),
        ];
        let window = windows.iter().find(|(asked, _)| *asked).map_or("settlement", |(_, name)| name);
        Target::Window(window.to_owned())
    }
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let address = args.control.clone().unwrap_or_else(|| format!("127.0.0.1:{}", Door::Control.port()));
    let endpoint = if address.contains("://") { address.clone() } else { format!("http://{address}") };
    let channel = grpc::channel(&endpoint, TIMEOUT).context("the address of the chain's control is wrong")?;
    let mut control = ControlClient::new(channel);
    let refused = |status: Status| explain(&address, &status);
    let height = match args.verb {
        Verb::Status => return status(&mut control, &address, args.json).await,
        Verb::Advance { blocks } => {
            control.advance(AdvanceRequest { blocks }).await.map_err(refused)?.into_inner().height
        }
        Verb::Warp(warp) => {
            let request = WarpToRequest { target: Some(warp.target()) };
            control.warp_to(request).await.map_err(refused)?.into_inner().height
        }
        Verb::Snapshot => {
            let made = control.snapshot(SnapshotRequest {}).await.map_err(refused)?.into_inner();
            if args.json {
                output::tell_json(&json!({"id": made.id, "height": made.height}))?;
            } else {
                output::tell(&made.id);
                output::say(&format!(
                    "taken at height {}; go back with: pocket chain restore {}",
                    made.height, made.id
                ));
            }
            return Ok(Exit::Success);
        }
        Verb::Restore { id } => control.restore(RestoreRequest { id }).await.map_err(refused)?.into_inner().height,
        Verb::Halt => control.halt(HaltRequest {}).await.map_err(refused)?.into_inner().height,
        Verb::Resume => control.resume(ResumeRequest {}).await.map_err(refused)?.into_inner().height,
    };
    if args.json {
        output::tell_json(&json!({"height": height}))?;
    } else {
        output::tell(&format!("height {height}"));
    }
    Ok(Exit::Success)
}

async fn status(
    control: &mut ControlClient<tonic::transport::Channel>,
    address: &str,
    as_json: bool,
) -> anyhow::Result<Exit> {
    let status = control.status(StatusRequest {}).await.map_err(|status| explain(address, &status))?.into_inner();
    let mode = match status.mode() {
        TimeMode::Interval => format!("a block every {} ms", status.interval_ms),
        TimeMode::Instant => "a block for each transaction".to_owned(),
        TimeMode::Manual => "blocks when told to".to_owned(),
        TimeMode::Unspecified => "unknown".to_owned(),
    };
    if as_json {
        output::tell_json(&json!({
            "chain_id": status.chain_id,
            "height": status.height,
            "block_hash": status.block_hash,
            "mode": status.mode().as_str_name(),
            "interval_ms": status.interval_ms,
            "halted": status.halted,
            "mempool_transactions": status.mempool_transactions,
            "session_start_height": status.session_start_height,
            "session_end_height": status.session_end_height,
            "claims": status.claims,
            "snapshots": status.snapshots,
            "faults": status.faults,
        }))?;
        return Ok(Exit::Success);
    }
    let pace = if status.halted { format!("halted ({mode})") } else { mode };
    let snapshots = if status.snapshots.is_empty() { "none".to_owned() } else { status.snapshots.join(", ") };
    for (name, value) in [
        ("chain", status.chain_id),
        ("height", status.height.to_string()),
        ("hash", status.block_hash),
        ("session", format!("{}-{}", status.session_start_height, status.session_end_height)),
        ("time", pace),
        ("mempool", format!("{} transactions", status.mempool_transactions)),
        ("claims", status.claims.to_string()),
        ("snapshots", snapshots),
        ("faults", status.faults.to_string()),
    ] {
        output::tell(&format!("{name:<10} {value}"));
    }
    Ok(Exit::Success)
}

/// Says what a refusal means. A real node has no such service, and must not be made to look broken.
fn explain(address: &str, status: &Status) -> anyhow::Error {
    match status.code() {
        Code::Unimplemented => anyhow!(
            "{address} has no control: it is a real node, or not the control listener of a development chain; \
             the time of a real chain is nobody's to move"
        ),
        Code::Unavailable => anyhow!(
            "nobody answers at {address}: start `pocket up`, or name the control listener with --control HOST:PORT"
        ),
        _ => anyhow!("the chain refused: {}", status.message()),
    }
}
