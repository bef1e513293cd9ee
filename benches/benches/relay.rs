//! What a relay costs: real processes, relays signed beforehand, on both stores.
//!
//! `cargo build --release --workspace --bins`, then `cargo bench -p pocket-benches --bench relay`; behind `--` the options of
//! [`Args`]. See the library for how it measures.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench speaks to people: data on stdout, talk on stderr"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use clap::Parser;
use pocket_benches::house::{House, SERVICE, StoreKind};
use pocket_benches::presign::{Presigner, rpc_body};
use pocket_benches::replay::{self, Replayed, replay};
use pocket_benches::table::{Samples, Table, short};
use pocket_benches::yardstick::{self, Proxy, Steps};
use pocket_benches::{go, usage};
use pocket_runtime::clock;
use serde::Serialize;

/// Requests in flight.
const CONCURRENCY: [usize; 3] = [1, 16, 64];

/// Requests in flight through the gateway.
const GATEWAY_CONCURRENCY: usize = 16;

/// Relays before anything is measured: sessions, connections and caches become warm.
const WARM_UP: u64 = 500;

/// One answer of so many is verified.
const SAMPLE_EVERY: usize = 50;

/// A process that used no more than this in a look has nothing left to do.
const QUIET_CPU: Duration = Duration::from_millis(10);

/// Time between looks, quiet looks in a row that count, and the limit of waiting.
const LOOK: Duration = Duration::from_millis(250);
const QUIET_LOOKS: u32 = 2;
const QUIET_TIMEOUT: Duration = Duration::from_mins(1);

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

/// How much is sent.
#[derive(Clone, Copy)]
struct Plan {
    repeats: usize,
    relays_alone: u64,
    relays_together: u64,
    live: u64,
    rounds: u32,
}

impl Args {
    fn plan(&self) -> Plan {
        if self.quick {
            return Plan { repeats: 1, relays_alone: 200, relays_together: 1_000, live: 300, rounds: 200 };
        }
        let repeats = self.repeats.max(1);
        Plan { repeats, relays_alone: 2_000, relays_together: 8_000, live: 2_000, rounds: 4_000 }
    }
}

impl Plan {
    fn relays(self, concurrency: usize) -> u64 {
        if concurrency == 1 { self.relays_alone } else { self.relays_together }
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
        return hold(stores[0], Duration::from_secs(seconds)).await;
    }
    let mut report = Report { machine: usage::machine(), load_after: String::new(), stores: Vec::new() };
    for store in stores {
        report
            .stores
            .push(measure(store, args.plan()).await.with_context(|| format!("on the {} store", store.name()))?);
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

/// Everything measured on one store.
#[derive(Serialize)]
struct OnStore {
    store: StoreKind,
    idle_mib: BTreeMap<&'static str, f64>,
    steps: Steps,
    direct: BTreeMap<usize, Row>,
    proxied: BTreeMap<usize, Row>,
    relayed: BTreeMap<usize, Row>,
    live: Row,
    answered: u64,
    settled: u64,
    verified_answers: usize,
}

/// One kind of run, repeated.
#[derive(Default, Serialize)]
struct Row {
    per_second: Samples,
    p50_ms: Samples,
    p95_ms: Samples,
    p99_ms: Samples,
    /// Processor time a relay, by process.
    cpu_us: BTreeMap<&'static str, Samples>,
    /// Resident memory at the end, by process.
    resident_mib: BTreeMap<&'static str, Samples>,
    /// From the last answer until the miner had nothing left to do.
    behind_s: Samples,
}

impl Row {
    fn add(&mut self, replayed: &Replayed) {
        self.per_second.push(replayed.per_second());
        self.p50_ms.push(replayed.quantile_ms(0.50));
        self.p95_ms.push(replayed.quantile_ms(0.95));
        self.p99_ms.push(replayed.quantile_ms(0.99));
    }

    fn cpu(&self, process: &str) -> String {
        self.cpu_us.get(process).map_or_else(|| "-".to_owned(), ToString::to_string)
    }

    fn memory(&self, process: &str) -> Option<String> {
        self.resident_mib.get(process).map(ToString::to_string)
    }
}

async fn measure(store: StoreKind, plan: Plan) -> anyhow::Result<OnStore> {
    eprintln!("{}: starting", store.name());
    let mut house = House::start(store).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let idle_mib = memory(&house)?;
    let mut presigner = Presigner::new(&house.chain, house.relayer_addr).await?;
    let session = presigner.session.clone();
    let mut on = OnStore {
        store,
        idle_mib,
        steps: Steps { verify_us: f64::NAN, verify_first_seen_us: f64::NAN, sign_us: f64::NAN },
        direct: BTreeMap::new(),
        proxied: BTreeMap::new(),
        relayed: BTreeMap::new(),
        live: Row::default(),
        answered: 0,
        settled: 0,
        verified_answers: 0,
    };

    let warm_up = Arc::new(presigner.sign(WARM_UP)?);
    let (message, signature) = presigner.parts(warm_up.first().context("a relay")?)?;
    on.steps = yardstick::steps(&message, &signature, plan.rounds)?;
    let warmed = replay(house.relayer_addr, &warm_up, 16, 1).await.with_context(|| house.logs())?;
    warmed.all_answered().with_context(|| house.logs())?;
    on.answered += warmed.answered;
    check_sample(&presigner, &warm_up, &warmed, &mut on)?;

    let proxy = Proxy::start(house.backend_addr)?;
    for repeat in 1..=plan.repeats {
        for concurrency in CONCURRENCY {
            let count = plan.relays(concurrency);
            eprintln!("{}: repeat {repeat}, concurrency {concurrency}, signing {count} relays", store.name());
            let relays = Arc::new(presigner.sign(count)?);
            let calls = Arc::new(plain_requests(count, house.backend_addr));

            let direct = replay(house.backend_addr, &calls, concurrency, 0).await?;
            direct.all_answered()?;
            on.direct.entry(concurrency).or_default().add(&direct);

            let before = usage::cpu(proxy.pid())?;
            let proxied = replay(proxy.address, &calls, concurrency, 0).await?;
            proxied.all_answered()?;
            let row = on.proxied.entry(concurrency).or_default();
            row.add(&proxied);
            let used = usage::cpu(proxy.pid())?.saturating_sub(before);
            row.cpu_us.entry("proxy").or_default().push(micros_each(used, proxied.answered));

            let mut row = on.relayed.remove(&concurrency).unwrap_or_default();
            let relayed = observed(&mut house, &relays, concurrency, &mut row).await?;
            on.relayed.insert(concurrency, row);
            on.answered += relayed.answered;
            check_sample(&presigner, &relays, &relayed, &mut on)?;
        }
        eprintln!("{}: repeat {repeat}, live through the gateway", store.name());
        let live = Arc::new(live_requests(plan.live, u64::try_from(repeat)?, house.gateway_addr));
        let mut row = std::mem::take(&mut on.live);
        let answered = observed_at(&mut house, Target::Gateway, &live, GATEWAY_CONCURRENCY, &mut row).await?.answered;
        on.live = row;
        on.answered += answered;
    }
    ensure!(
        house.chain.height() <= session.end(),
        "the session ended before the run did: fewer repeats, or a quieter machine"
    );
    eprintln!("{}: {} relays answered; claiming, proving and settling them", store.name(), on.answered);
    house.settle(session.windows.settlement_height()).await.with_context(|| house.logs())?;
    on.settled = settled(&house, session.end(), session.windows.settlement_height()).await?;
    Ok(on)
}

/// Verifies the answers that were kept.
fn check_sample(presigner: &Presigner, relays: &[Bytes], seen: &Replayed, on: &mut OnStore) -> anyhow::Result<()> {
    for (index, answer) in &seen.sample {
        presigner.verify(&relays[*index], answer).with_context(|| format!("the answer to relay {index}"))?;
    }
    on.verified_answers += seen.sample.len();
    Ok(())
}

/// Where relays are sent.
#[derive(Clone, Copy)]
enum Target {
    Relayer,
    Gateway,
}

/// Replays relays to the relayer and adds what every process used.
async fn observed(
    house: &mut House,
    relays: &Arc<Vec<Bytes>>,
    concurrency: usize,
    row: &mut Row,
) -> anyhow::Result<Replayed> {
    observed_at(house, Target::Relayer, relays, concurrency, row).await
}

async fn observed_at(
    house: &mut House,
    target: Target,
    relays: &Arc<Vec<Bytes>>,
    concurrency: usize,
    row: &mut Row,
) -> anyhow::Result<Replayed> {
    let address = match target {
        Target::Relayer => house.relayer_addr,
        Target::Gateway => house.gateway_addr,
    };
    quiet(house).await?;
    let before = processor(house)?;
    let replayed = replay(address, relays, concurrency, SAMPLE_EVERY).await.with_context(|| house.logs())?;
    replayed.all_answered().with_context(|| house.logs())?;
    let answered_at = clock::now();
    let behind = quiet(house).await?.saturating_duration_since(answered_at);
    let after = processor(house)?;
    house.check()?;
    row.add(&replayed);
    row.behind_s.push(behind.as_secs_f64());
    for (name, used) in after {
        let used = used.saturating_sub(before.get(name).copied().unwrap_or_default());
        row.cpu_us.entry(name).or_default().push(micros_each(used, replayed.answered));
    }
    for (name, mib) in memory(house)? {
        row.resident_mib.entry(name).or_default().push(mib);
    }
    Ok(replayed)
}

fn micros_each(used: Duration, relays: u64) -> f64 {
    used.as_secs_f64() * 1e6 / f64::from(u32::try_from(relays.max(1)).unwrap_or(u32::MAX))
}

fn processor(house: &House) -> anyhow::Result<BTreeMap<&'static str, Duration>> {
    house.pids.iter().map(|(name, pid)| Ok((*name, usage::cpu(*pid)?))).collect()
}

fn memory(house: &House) -> anyhow::Result<BTreeMap<&'static str, f64>> {
    house.pids.iter().map(|(name, pid)| Ok((*name, usage::resident_mib(*pid)?))).collect()
}

/// Waits until whoever counts relays has nothing left to do, and returns since when.
async fn quiet(house: &House) -> anyhow::Result<tokio::time::Instant> {
    let counting: Vec<u32> =
        house.pids.iter().filter(|(name, _)| ["miner", "standalone"].contains(name)).map(|(_, pid)| *pid).collect();
    let used = || counting.iter().map(|pid| usage::cpu(*pid)).sum::<anyhow::Result<Duration>>();
    let deadline = clock::now() + QUIET_TIMEOUT;
    let (mut since, mut last, mut looks) = (clock::now(), used()?, 0);
    while looks < QUIET_LOOKS {
        ensure!(clock::now() < deadline, "the miner was still busy after {QUIET_TIMEOUT:?}");
        tokio::time::sleep(LOOK).await;
        let now = used()?;
        if now.saturating_sub(last) <= QUIET_CPU {
            looks += 1;
        } else {
            looks = 0;
            since = clock::now();
        }
        last = now;
    }
    Ok(since)
}

/// Relays in the session's settled claims.
async fn settled(house: &House, session_end: i64, settlement_height: i64) -> anyhow::Result<u64> {
    let mut relays = 0;
    for height in session_end..=settlement_height {
        let results = house.chain.block_results(height).await.with_context(|| format!("results of block {height}"))?;
        for event in results.finalize_block_events {
            if event.kind == "pocket.tokenomics.EventClaimSettled" {
                relays += event.integer("num_relays").context("num_relays")?.unsigned_abs();
            }
        }
    }
    Ok(relays)
}

fn plain_requests(count: u64, backend: SocketAddr) -> Vec<Bytes> {
    let headers = [("content-type", "application/json")];
    (0..count).map(|id| replay::post("/", &backend.to_string(), &headers, rpc_body(id).as_bytes())).collect()
}

fn live_requests(count: u64, repeat: u64, gateway: SocketAddr) -> Vec<Bytes> {
    let headers = [("content-type", "application/json"), ("target-service-id", SERVICE)];
    let ids = (0..count).map(|id| id + repeat * 1_000_000);
    ids.map(|id| replay::post("/v1", &gateway.to_string(), &headers, rpc_body(id).as_bytes())).collect()
}

/// Keeps a relayer busy while somebody looks at it.
async fn hold(store: StoreKind, time: Duration) -> anyhow::Result<()> {
    let house = House::start(store).await?;
    let mut presigner = Presigner::new(&house.chain, house.relayer_addr).await?;
    for (name, pid) in &house.pids {
        println!("{name} {pid}");
    }
    let batch = 20_000;
    let mut relays = Arc::new(presigner.sign(batch)?);
    println!("busy");
    let deadline = clock::now() + time;
    while clock::now() < deadline {
        let replayed = replay(house.relayer_addr, &relays, 16, 0).await.with_context(|| house.logs())?;
        replayed.all_answered()?;
        eprintln!("{} relays/s", short(replayed.per_second()));
        if clock::now() < deadline {
            relays = Arc::new(presigner.sign(batch)?);
        }
    }
    Ok(())
}

impl Report {
    fn print(&self) {
        println!("{}; load at the end {}", self.machine, self.load_after);
        for on in &self.stores {
            on.print();
        }
    }
}

impl OnStore {
    fn print(&self) {
        let relayer = if self.store == StoreKind::Redis { "relayer" } else { "standalone" };
        let title = format!("Relays signed beforehand, {} store (median [least–most])", self.store.name());
        let mut table = Table::new(
            &title,
            &[
                "",
                "c",
                "relays/s",
                "p50 ms",
                "p95 ms",
                "p99 ms",
                &format!("{relayer} µs/relay"),
                "miner µs",
                "store µs",
                "backend µs",
                "RSS MiB",
                "behind s",
            ],
        );
        for (concurrency, row) in &self.relayed {
            let mut cells = vec!["ours".to_owned(), concurrency.to_string()];
            cells.extend([&row.per_second, &row.p50_ms, &row.p95_ms, &row.p99_ms].map(ToString::to_string));
            cells.extend([relayer, "miner", "redis", "backend"].map(|name| row.cpu(name)));
            let memory: Vec<String> = [relayer, "miner", "redis"].iter().filter_map(|name| row.memory(name)).collect();
            cells.push(memory.join(" / "));
            cells.push(row.behind_s.to_string());
            table.row(cells);
            if let Some(go) = go::relay(*concurrency).filter(|_| self.store == StoreKind::Redis) {
                let miner = go.miner_us.map_or_else(|| "-".to_owned(), short);
                let values = [go.relays_per_second, go.p50_ms, go.p95_ms, go.p99_ms, go.relayer_us].map(short);
                let mut cells = vec![format!("({})", go::LABEL), concurrency.to_string()];
                cells.extend(values);
                cells.extend([miner, short(go.redis_us), "-".to_owned(), short(go.relayer_mib), "-".to_owned()]);
                table.row(cells);
            }
        }
        println!("{table}");
        self.print_yardsticks(relayer);
        self.print_rest();
    }

    fn print_yardsticks(&self, relayer: &str) {
        let Steps { verify_us, verify_first_seen_us, sign_us } = self.steps;
        println!(
            "Yardsticks of this run: ring of two, decode and verify {} µs known, {} µs first seen ({} µs: {}); ECDSA signature {} µs ({} µs)",
            short(verify_us),
            short(verify_first_seen_us),
            short(go::RING_VERIFY_US),
            go::LABEL,
            short(sign_us),
            short(go::ECDSA_SIGN_US),
        );
        let mut table = Table::new(
            "Against the yardsticks",
            &[
                "c",
                "direct relays/s",
                "direct p50 ms",
                "direct p99 ms",
                "proxy relays/s",
                "proxy µs",
                "verify + sign + proxy µs",
                "ratio",
                "Go / ours",
            ],
        );
        for (concurrency, row) in &self.relayed {
            let (Some(direct), Some(proxied)) = (self.direct.get(concurrency), self.proxied.get(concurrency)) else {
                continue;
            };
            let proxy_us = proxied.cpu_us.get("proxy").map_or(f64::NAN, Samples::median);
            let ours = row.cpu_us.get(relayer).map_or(f64::NAN, Samples::median);
            let floor = verify_us + sign_us + proxy_us;
            let against_go = go::relay(*concurrency).map_or(f64::NAN, |go| {
                // In the embedded house one process does the work of three.
                let rest = if relayer == "standalone" { go.redis_us + go.miner_us.unwrap_or(f64::NAN) } else { 0.0 };
                (go.relayer_us + rest) / ours
            });
            table.row([
                concurrency.to_string(),
                direct.per_second.to_string(),
                direct.p50_ms.to_string(),
                direct.p99_ms.to_string(),
                proxied.per_second.to_string(),
                proxied.cpu("proxy"),
                short(floor),
                short(ours / floor),
                short(against_go),
            ]);
        }
        println!("{table}");
    }

    fn print_rest(&self) {
        let live = &self.live;
        println!(
            "Live through the gateway, concurrency {GATEWAY_CONCURRENCY}: {} relays/s (337: {}), p50 {} ms, p99 {} ms, gateway {} µs a relay",
            live.per_second,
            go::LABEL,
            live.p50_ms,
            live.p99_ms,
            live.cpu("gateway"),
        );
        let idle: Vec<String> = self.idle_mib.iter().map(|(name, mib)| format!("{name} {}", short(*mib))).collect();
        println!(
            "Idle memory, MiB: {} (relayer {}, miner {}: {})",
            idle.join(", "),
            short(go::IDLE_MIB.0),
            short(go::IDLE_MIB.1),
            go::LABEL,
        );
        println!("Answered {}, settled {}, answers verified {}", self.answered, self.settled, self.verified_answers);
    }
}
