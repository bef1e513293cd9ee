//! How long `pocket up` takes: to its first answered relay, and to that relay's settlement; what it holds when idle.
//!
//! `cargo build --release -p pocket`, then `cargo bench -p pocket-benches --bench up`; behind `--` the options of [`Args`].
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench speaks to people: data on stdout, talk on stderr"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use pocket_benches::house::{self, SERVICE};
use pocket_benches::presign::rpc_body;
use pocket_benches::process::{self, Process};
use pocket_benches::table::{Samples, Table};
use pocket_benches::{go, paths, usage};
use pocket_chain::Chain;
use pocket_runtime::http::{Client, Request, StatusCode};
use pocket_runtime::{clock, shutdown};
use serde::Serialize;

/// The documented ports, moved out of everybody's way.
const PORT_OFFSET: u16 = 5_000;
const GATEWAY_PORT: u16 = 3069 + PORT_OFFSET;
const RPC_PORT: u16 = 26_657 + PORT_OFFSET;
const GRPC_PORT: u16 = 9090 + PORT_OFFSET;

/// Pause between tries of the first relay.
const TRY_PAUSE: Duration = Duration::from_millis(2);

/// Limit of each wait.
const PATIENCE: Duration = Duration::from_mins(1);

/// When idle memory is read: so long after the settlement.
const IDLE: Duration = Duration::from_secs(5);

/// How long `pocket up` takes to answer and to be paid.
#[derive(Parser)]
struct Args {
    /// One start: does the bench itself work?
    #[arg(long)]
    quick: bool,
    /// One JSON object on standard output instead of a table.
    #[arg(long)]
    json: bool,
    /// Starts.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Everything measured.
#[derive(Default, Serialize)]
struct Report {
    machine: String,
    /// From the start of the process to the first answered relay.
    answered_ms: Samples,
    /// From that answer to the block that settles the relay, as a follower of the chain sees it.
    settled_ms: Samples,
    idle_mib: Samples,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if !args.bench {
        // `cargo test --all-targets` runs benches too; there is nothing to measure under a test profile.
        eprintln!("nothing measured: run `cargo bench -p pocket-benches --bench up`");
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.context("start threads").and_then(|runtime| runtime.block_on(run(&args))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("up bench: {error:?}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let mut report = Report { machine: usage::machine(), ..Report::default() };
    let repeats = if args.quick { 1 } else { args.repeats.max(1) };
    for repeat in 1..=repeats {
        eprintln!("start {repeat} of {repeats}");
        once(&mut report).await.with_context(|| format!("start {repeat}"))?;
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        report.print();
    }
    Ok(())
}

async fn once(report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("pocket-bench-up-").tempdir()?;
    let binary = paths::binary("pocket")?;
    let offset = PORT_OFFSET.to_string();
    let start = clock::now();
    let mut up = Process::start(folder.path(), "up", &binary, &["up", "--quiet", "--port-offset", &offset])?;

    let client = process::client(PATIENCE);
    let (session, supplier) = tokio::time::timeout(PATIENCE, first_relay(&client, &mut up))
        .await
        .with_context(|| format!("no relay was answered within {PATIENCE:?}:\n{}", up.last_lines()))??;
    let answered = clock::now();
    report.answered_ms.push(answered.duration_since(start).as_secs_f64() * 1e3);

    tokio::time::timeout(PATIENCE, settlement(&session, &supplier))
        .await
        .with_context(|| format!("not settled within {PATIENCE:?}:\n{}", up.last_lines()))??;
    report.settled_ms.push(answered.elapsed().as_secs_f64() * 1e3);

    tokio::time::sleep(IDLE).await;
    up.check()?;
    report.idle_mib.push(usage::resident_mib(up.pid())?);
    Ok(())
}

/// Asks until the gateway answers; returns the relay's session and supplier.
async fn first_relay(client: &Client, up: &mut Process) -> anyhow::Result<(String, String)> {
    loop {
        up.check()?;
        let request = Request::post(format!("http://127.0.0.1:{GATEWAY_PORT}/v1"))
            .header("target-service-id", SERVICE)
            .header("content-type", "application/json")
            .body(rpc_body(1))?;
        if let Ok(response) = client.send(request).await
            && response.status() == StatusCode::OK
        {
            let header =
                |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let session = header("x-session-id").context("the answer names no session")?;
            let supplier = header("x-supplier-address").context("the answer names no supplier")?;
            return Ok((session, supplier));
        }
        tokio::time::sleep(TRY_PAUSE).await;
    }
}

/// Follows the chain until it has settled the claim of that session and supplier.
async fn settlement(session: &str, supplier: &str) -> anyhow::Result<()> {
    let at = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (_trigger, shutdown) = shutdown::channel(Duration::from_millis(100));
    let chain = Chain::connect(&house::node(at(RPC_PORT), at(GRPC_PORT))?, PATIENCE, &shutdown).await?;
    let mut height = 0;
    loop {
        height = chain.blocks().after(height).await?.height;
        for event in chain.block_results(height).await?.finalize_block_events {
            let is_ours =
                event.text("session_id") == Some(session) && event.text("supplier_operator_address") == Some(supplier);
            match event.kind.as_str() {
                "pocket.tokenomics.EventClaimSettled" if is_ours => {
                    ensure!(event.integer("num_relays") >= Some(1), "a relay was answered, and settled were {event:?}");
                    return Ok(());
                }
                "pocket.tokenomics.EventClaimExpired" | "pocket.tokenomics.EventClaimDiscarded" if is_ours => {
                    bail!("the claim was lost: {event:?}");
                }
                _ => {}
            }
        }
    }
}

impl Report {
    fn print(&self) {
        println!("{}", self.machine);
        let title = format!("pocket up ({})", go::LABEL);
        let mut table = Table::new(&title, &["", "min", "median", "max", "Go"]);
        let mut row = |name: &str, samples: &Samples, unit: f64, go: String| {
            let values = [samples.min(), samples.median(), samples.max()];
            let cells = values.map(|value| format!("{:.2}", value / unit));
            table.row([name.to_owned()].into_iter().chain(cells).chain([go]));
        };
        row(
            "first relay answered, s",
            &self.answered_ms,
            1e3,
            format!("{}–{}", go::FIRST_RELAY_S.0, go::FIRST_RELAY_S.1),
        );
        row("that relay settled, s more", &self.settled_ms, 1e3, format!("{} (blocks of 1 s)", go::SETTLED_S));
        row("idle memory, MiB", &self.idle_mib, 1.0, format!("{} + {}", go::IDLE_MIB.0, go::IDLE_MIB.1));
        println!("{table}");
    }
}
