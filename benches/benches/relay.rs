//! What a relay costs: real processes, relays signed beforehand, on both stores.
//!
//! `cargo build --release --workspace --bins`, then `cargo bench -p pocket-benches --bench relay`; behind `--` the options of
//! [`Args`]. See the library for how it measures.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench speaks to people: data on stdout, talk on stderr"
)]

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Parser;
use pocket_benches::house::StoreKind;
use pocket_benches::measure::{OnStore, Plan, Row, Runs, hold, measure};
use pocket_benches::table::{Samples, Table, short};
use pocket_benches::yardstick::{self, Steps};
use pocket_benches::{go, usage};
use serde::Serialize;

/// What a relay costs, on real processes.
#[derive(Parser)]
struct Args {
    /// Few relays, one repeat: does the bench itself work?
    #[arg(long)]
    quick: bool,
    /// One JSON object on standard output instead of tables.
    #[arg(long)]
    json: bool,
    /// Measure only this store.
    #[arg(long)]
    store: Option<StoreKind>,
    /// Repeats of each measurement.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Instead of measuring, keep one relayer busy for so many seconds at concurrency 16 and print the process ids, for a profiler.
    #[arg(long, value_name = "SECONDS")]
    hold: Option<u64>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
    /// Be the plain proxy that relays are compared with.
    #[arg(long, hide = true)]
    proxy_to: Option<SocketAddr>,
}

impl Args {
    fn plan(&self) -> Plan {
        if self.quick {
            return Plan { repeats: 1, relays_few: 200, relays_many: 1_000, live: 300, rounds: 200 };
        }
        let repeats = self.repeats.max(1);
        Plan { repeats, relays_few: 2_000, relays_many: 8_000, live: 2_000, rounds: 4_000 }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    if !args.bench {
        // `cargo test --all-targets` runs benches too; there is nothing to measure under a test profile.
        eprintln!("nothing measured: run `cargo bench -p pocket-benches --bench relay`");
        return ExitCode::SUCCESS;
    }
    // The load generator keeps to one thread, so that it takes as little as it can from what is measured.
    let runtime = if args.proxy_to.is_some() {
        tokio::runtime::Builder::new_multi_thread().enable_all().build()
    } else {
        tokio::runtime::Builder::new_current_thread().enable_all().build()
    };
    let ran = runtime.context("start threads").and_then(|runtime| runtime.block_on(run(&args)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay bench: {error:?}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(backend) = args.proxy_to {
        return yardstick::serve_proxy(backend).await;
    }
    let stores = args.store.map_or_else(|| vec![StoreKind::Redis, StoreKind::Embedded], |store| vec![store]);
    if let Some(seconds) = args.hold {
        return hold(stores[0], Duration::from_secs(seconds), |text| println!("{text}")).await;
    }
    let mut report = Report { machine: usage::machine(), load_after: String::new(), stores: Vec::new() };
    for store in stores {
        let name = store.name();
        let say = |text: &str| eprintln!("{name}: {text}");
        report.stores.push(measure(store, args.plan(), say).await.with_context(|| format!("on the {name} store"))?);
    }
    report.load_after = usage::load();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        report.print();
    }
    // After the figures, which are worth seeing all the same.
    for on in &report.stores {
        let (answered, settled) = (on.answered, on.settled);
        ensure!(settled == answered, "{}: {answered} relays were answered and {settled} settled", on.store.name());
    }
    Ok(())
}

/// Everything measured.
#[derive(Serialize)]
struct Report {
    machine: String,
    load_after: String,
    stores: Vec<OnStore>,
}

impl Report {
    fn print(&self) {
        println!("{}; load at the end {}", self.machine, self.load_after);
        for on in &self.stores {
            println!("{}", relays(on));
            print_yardsticks(on);
            print_rest(on);
        }
    }
}

/// The process that answers relays.
fn relayer(on: &OnStore) -> &'static str {
    match on.store {
        StoreKind::Redis => "relayer",
        StoreKind::Embedded => "standalone",
    }
}

fn cpu(row: &Row, process: &str) -> String {
    row.cpu_us.get(process).map_or_else(|| "-".to_owned(), ToString::to_string)
}

/// The Go program's row for the same manner of sending, on the store it was measured on.
fn go_row(on: &OnStore, runs: &Runs) -> Option<&'static go::GoRelay> {
    let same = runs.manner.pace.is_none() && on.store == StoreKind::Redis;
    same.then(|| go::relay(runs.manner.concurrency)).flatten()
}

fn relays(on: &OnStore) -> Table {
    let name = relayer(on);
    let mut table = Table::new(
        &format!("Relays signed beforehand, {} store (median [least–most])", on.store.name()),
        &[
            "",
            "sent",
            "relays/s",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            &format!("{name} µs"),
            "miner µs",
            "redis µs",
            "backend µs",
            "RSS MiB",
            "behind s",
            "redis commands (inside scripts too)",
        ],
    );
    for runs in &on.runs {
        let row = &runs.relayed;
        let mut cells = vec!["ours".to_owned(), runs.manner.to_string()];
        cells.extend([&row.per_second, &row.p50_ms, &row.p95_ms, &row.p99_ms].map(ToString::to_string));
        cells.extend([name, "miner", "redis", "backend"].map(|process| cpu(row, process)));
        let memory = [name, "miner", "redis"].into_iter().filter_map(|process| row.resident_mib.get(process));
        cells.push(memory.map(|mib| short(mib.median())).collect::<Vec<_>>().join(" / "));
        cells.extend([&row.behind_s, &row.store_commands].map(ToString::to_string));
        table.row(cells);
        if let Some(go) = go_row(on, runs) {
            let mut cells = vec![format!("({})", go::LABEL), runs.manner.to_string()];
            cells.extend([go.relays_per_second, go.p50_ms, go.p95_ms, go.p99_ms, go.relayer_us].map(short));
            cells.push(go.miner_us.map_or_else(|| "-".to_owned(), short));
            cells.extend([short(go.redis_us), "-".to_owned(), short(go.relayer_mib), "-".to_owned()]);
            cells.push("20.6 (at 200/s)".to_owned());
            table.row(cells);
        }
    }
    table
}

fn print_yardsticks(on: &OnStore) {
    let Steps { verify_us, verify_first_seen_us, sign_us } = on.steps;
    println!(
        "Yardsticks of this run: ring of two, decode and verify {} µs known, {} µs first seen (Go {} µs); ECDSA signature {} µs (Go {} µs). {}.",
        short(verify_us),
        short(verify_first_seen_us),
        short(go::RING_VERIFY_US),
        short(sign_us),
        short(go::ECDSA_SIGN_US),
        go::LABEL,
    );
    let mut table = Table::new(
        "Against the yardsticks of the same run",
        &[
            "sent",
            "direct/s",
            "direct p50 ms",
            "direct p99 ms",
            "added p50 ms",
            "added p99 ms",
            "proxy/s",
            "proxy µs",
            "verify + sign + proxy µs",
            "ours / that",
            "Go / ours",
        ],
    );
    for runs in &on.runs {
        let (direct, relayed) = (&runs.direct, &runs.relayed);
        let proxy_us = runs.proxied.cpu_us.get("proxy").map_or(f64::NAN, Samples::median);
        let ours = relayed.cpu_us.get(relayer(on)).map_or(f64::NAN, Samples::median);
        let floor = verify_us + sign_us + proxy_us;
        table.row([
            runs.manner.to_string(),
            direct.per_second.to_string(),
            direct.p50_ms.to_string(),
            direct.p99_ms.to_string(),
            short(relayed.p50_ms.median() - direct.p50_ms.median()),
            short(relayed.p99_ms.median() - direct.p99_ms.median()),
            runs.proxied.per_second.to_string(),
            cpu(&runs.proxied, "proxy"),
            short(floor),
            short(ours / floor),
            go_row(on, runs).map_or_else(|| "-".to_owned(), |go| short(go.relayer_us / ours)),
        ]);
    }
    println!("{table}");
}

fn print_rest(on: &OnStore) {
    let live = &on.live;
    println!(
        "Live through the gateway, concurrency 16: {} relays/s, p50 {} ms, p99 {} ms, gateway {} µs a relay ({} relays/s: {})",
        live.per_second,
        live.p50_ms,
        live.p99_ms,
        cpu(live, "gateway"),
        short(go::LIVE_PER_SECOND),
        go::LABEL,
    );
    let idle: Vec<String> = on.idle_mib.iter().map(|(name, mib)| format!("{name} {}", short(*mib))).collect();
    println!(
        "Idle memory, MiB: {} (relayer {}, miner {}: {})",
        idle.join(", "),
        short(go::IDLE_MIB.0),
        short(go::IDLE_MIB.1),
        go::LABEL,
    );
    println!("Answered {}, settled {}, answers verified {}", on.answered, on.settled, on.verified_answers);
}
