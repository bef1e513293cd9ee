//! `pocket up`: the whole network, what it says of itself, and how it leaves.

mod banner;
mod living;

use std::path::PathBuf;
use std::time::Duration;

use pocket_localnet::{ClaimEvent, Event, Localnet, Options, Ports, Running, StartError, Summary};
use pocket_runtime::process::{self, Exit};
use pocket_runtime::{log, shutdown};
use pocket_store::Ledger;
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior};

use crate::{ledger, output, spec};
use living::{Living, Numbers};

/// How often the numbers are read anew.
const REFRESH: Duration = Duration::from_millis(250);

/// How long each room may take to drain.
const GRACE: Duration = Duration::from_secs(5);

/// Time between blocks where nobody says it.
const BLOCK_TIME: Duration = Duration::from_millis(150);

/// How the network is made and shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Keeps chain, store and keys in this folder, and goes on from what is there. Without it all is in memory.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Takes accounts, stakes, services and parameters from this spec: a `config.ncl`, or what is laid over the one here.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    spec: Option<PathBuf>,
    /// Time between blocks: 150ms, 1s, 2m. 150ms unless `--spec` says otherwise.
    #[arg(long, value_name = "TIME", value_parser = output::duration)]
    block_time: Option<Duration>,
    /// The ports of the table, or whatever is free.
    #[arg(long, value_enum, default_value_t = PortChoice::Seed)]
    ports: PortChoice,
    /// Moves every port of the table up by this much.
    #[arg(long, value_name = "N", conflicts_with = "ports")]
    port_offset: Option<u16>,
    /// `seed`: the network as documented. `load`: stakes and difficulty for millions of relays.
    #[arg(long, default_value = "seed")]
    profile: String,
    /// Seed of block hashes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Says nothing but errors.
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
    /// One event a line, as JSON.
    #[arg(long)]
    json: bool,
    /// What is logged to stderr: error, warn, info, debug, trace, or a filter such as `info,pocket_miner=debug`.
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log: String,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PortChoice {
    Seed,
    Auto,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let format = if args.json { log::Format::Json } else { log::Format::Text };
    let logging = log::LogOptions { process: "pocket", filter: args.log.clone(), format };
    if let Err(error) = log::init(&logging) {
        return Ok(process::fail("pocket", &error, Exit::Usage));
    }
    let ports = match (args.port_offset, args.ports) {
        (Some(offset), _) => Ports::Offset(offset),
        (None, PortChoice::Seed) => Ports::Seed,
        (None, PortChoice::Auto) => Ports::Auto,
    };
    let network = args.spec.as_deref().map(spec::network).transpose()?;
    let of_network = network.as_ref().map(|network| Duration::from_millis(network.block_time_ms));
    let block_time = args.block_time.or(of_network).unwrap_or(BLOCK_TIME);
    let options = Options {
        data_dir: args.data.clone(),
        network,
        block_time,
        ports,
        profile: args.profile.clone(),
        seed: args.seed,
        grace: GRACE,
    };
    let shutdown = shutdown::signal(GRACE);
    let mut running = match Localnet::start(options, &shutdown).await {
        Err(error @ StartError::Settings(_)) => return Ok(process::fail("pocket", &error, Exit::Usage)),
        started => started?,
    };
    let took = started.elapsed();
    if args.json {
        output::tell_json(&started_event(&args, block_time, &running, took))?;
    } else if !args.quiet {
        output::put(&banner::text(args.data.as_deref(), block_time, &running, took));
    }
    if !args.quiet {
        show(&args, &mut running, &shutdown).await?;
    }
    let summary = running.stopped().await;
    if args.json {
        output::tell_json(&json!({
            "event": "stopped",
            "height": summary.height,
            "kept": summary.kept,
            "ledger": summary.ledger.as_ref().map(ledger::json).transpose()?,
        }))?;
    } else if !args.quiet {
        output::put(&farewell(&summary));
    }
    Ok(Exit::Success)
}

fn started_event(args: &Args, block_time: Duration, running: &Running, took: Duration) -> serde_json::Value {
    let accounts: serde_json::Map<String, serde_json::Value> =
        running.facts.accounts.iter().map(|account| (account.name.clone(), account.address.clone().into())).collect();
    let services: Vec<&str> = running.facts.services.iter().map(|service| service.id.as_str()).collect();
    json!({
        "event": "started",
        "took_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "pid": std::process::id(),
        "chain_id": running.facts.chain_id,
        "profile": args.profile,
        "data": args.data,
        "block_time_ms": u64::try_from(block_time.as_millis()).unwrap_or(u64::MAX),
        "height": running.chain.height(),
        "gateway_url": running.addresses.gateway_url(),
        "addresses": running.addresses,
        "services": services,
        "accounts": accounts,
    })
}

/// Shows what happens until the shutdown comes.
async fn show(args: &Args, running: &mut Running, shutdown: &shutdown::Shutdown) -> anyhow::Result<()> {
    let Some(mut events) = running.events() else { return Ok(()) };
    let mut living = Living::new();
    let mut numbers = Numbers::default();
    let mut told = Ledger::default();
    let mut refresh = tokio::time::interval(REFRESH);
    refresh.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            () = shutdown.triggered() => break,
            event = events.next() => match event {
                None => break,
                Some(event) => {
                    if args.json {
                        output::tell_json(&event)?;
                    }
                    numbers.hear(&event);
                }
            },
            _ = refresh.tick() => {
                let Ok(ledger) = running.ledger().await else { continue };
                numbers.session = running.session();
                numbers.height = running.chain.height();
                numbers.ledger = ledger;
                if !args.json {
                    living.show(&numbers);
                } else if numbers.ledger != told {
                    told = numbers.ledger.clone();
                    let mut value = ledger::json(&told)?;
                    value["event"] = "ledger".into();
                    value["height"] = numbers.height.into();
                    output::tell_json(&value)?;
                }
            }
        }
    }
    if !args.json {
        output::say("draining; once more Ctrl-C leaves at once");
    }
    Ok(())
}

impl Numbers {
    fn hear(&mut self, event: &Event) {
        let Event::Claim(claim) = event else { return };
        match claim {
            ClaimEvent::ClaimSent { attempt: 1, .. } => self.claims_sent += 1,
            ClaimEvent::ClaimLanded { .. } => self.claims_landed += 1,
            ClaimEvent::ProofSent { attempt: 1, .. } => self.proofs_sent += 1,
            ClaimEvent::ProofValid { .. } => self.proofs_valid += 1,
            ClaimEvent::Settled { .. } => self.claims_settled += 1,
            ClaimEvent::Expired { .. } | ClaimEvent::Discarded { .. } | ClaimEvent::Unclaimed { .. } => {
                self.claims_lost += 1;
            }
            _ => {}
        }
    }
}

fn farewell(summary: &Summary) -> String {
    let mut lines = vec![format!("Stopped at height {}.", output::grouped(summary.height))];
    let Some(ledger) = &summary.ledger else {
        lines.push("The store could not be asked what it holds.\n".to_owned());
        return lines.join("\n");
    };
    let settled = ledger.settled_proved + ledger.settled_unproved;
    lines.push(format!(
        "Settled: {} of {} relays served, {} upokt paid.",
        output::grouped(settled),
        output::grouped(ledger.served),
        output::grouped(ledger.upokt.paid),
    ));
    let unclaimed = ledger.pending + ledger.open + ledger.spooled;
    if unclaimed + ledger.waiting > 0 {
        let fate = if summary.kept {
            "the next start goes on from there"
        } else {
            "gone with the memory it was in (`--data DIR` keeps it)"
        };
        lines.push(format!(
            "Waiting: {} relays not claimed yet, {} claimed and not settled ({} upokt); {fate}.",
            output::grouped(unclaimed),
            output::grouped(ledger.waiting),
            output::grouped(ledger.upokt.waiting),
        ));
    } else {
        lines.push("Waiting: nothing.".to_owned());
    }
    let lost = ledger.expired + ledger.discarded + ledger.unclaimed + ledger.rejected + ledger.lost_before_log;
    if lost > 0 {
        lines.push(format!("Not paid: {} relays.", output::grouped(lost)));
    }
    if lost > 0 || !ledger.balances() {
        lines.push(ledger::text(ledger).trim_end().to_owned());
    }
    lines.push(String::new());
    lines.join("\n")
}
