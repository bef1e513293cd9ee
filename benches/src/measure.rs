//! One store's measurement, from a cold house to settled claims.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use pocket_runtime::clock;
use serde::Serialize;

use crate::house::{House, SERVICE, StoreKind};
use crate::presign::{Presigner, rpc_body};
use crate::replay::{self, Manner, Replayed, replay};
use crate::table::Samples;
use crate::usage;
use crate::yardstick::{self, Proxy, Steps};

/// How relays are sent in each repeat: one at a time, some, many, and at a rate that leaves the machine idle between.
const MANNERS: [Manner; 4] = [
    Manner { concurrency: 1, pace: None },
    Manner { concurrency: 16, pace: None },
    Manner { concurrency: 64, pace: None },
    Manner { concurrency: 16, pace: Some(Duration::from_millis(2)) },
];

/// How requests are sent through the gateway.
const THROUGH_GATEWAY: Manner = Manner { concurrency: 16, pace: None };

/// Relays before anything is measured: sessions, connections and caches become warm.
const WARM_UP: u64 = 500;

/// One answer of so many is verified.
const SAMPLE_EVERY: usize = 50;

/// Relays in a batch while a profiler looks.
const HOLD_BATCH: u64 = 20_000;

/// How long a new house is left alone before its idle memory is read.
const IDLE: Duration = Duration::from_secs(5);

/// A process that used no more than this in a look has nothing left to do.
const QUIET_CPU: Duration = Duration::from_millis(10);

/// Time between looks, quiet looks in a row that count, and the limit of waiting.
const LOOK: Duration = Duration::from_millis(250);
const QUIET_LOOKS: u32 = 2;
const QUIET_TIMEOUT: Duration = Duration::from_mins(1);

/// How much is sent.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Repeats of each measurement.
    pub repeats: usize,
    /// Relays of a run with one in flight, or at a pace.
    pub relays_few: u64,
    /// Relays of every other run.
    pub relays_many: u64,
    /// Requests of a run through the gateway.
    pub live: u64,
    /// Rounds of each single step.
    pub rounds: u32,
}

impl Plan {
    fn relays(self, manner: Manner) -> u64 {
        if manner.concurrency == 1 || manner.pace.is_some() { self.relays_few } else { self.relays_many }
    }
}

/// Everything measured on one store.
#[derive(Debug, Serialize)]
pub struct OnStore {
    /// Which.
    pub store: StoreKind,
    /// Resident memory before the first relay, MiB, by process.
    pub idle_mib: BTreeMap<&'static str, f64>,
    /// What single steps cost.
    pub steps: Steps,
    /// One entry for each manner of sending.
    pub runs: Vec<Runs>,
    /// Requests of clients through the gateway.
    pub live: Row,
    /// Relays answered in all.
    pub answered: u64,
    /// Relays in the session's settled claims.
    pub settled: u64,
    /// Answers whose signature was checked.
    pub verified_answers: usize,
}

/// The same requests in the same manner: to the backend itself, through a plain proxy, as relays.
#[derive(Debug, Serialize)]
pub struct Runs {
    /// How they are sent.
    pub manner: Manner,
    /// To the backend itself.
    pub direct: Row,
    /// Through a plain proxy.
    pub proxied: Row,
    /// As relays, to the relayer.
    pub relayed: Row,
}

/// One kind of run, repeated.
#[derive(Debug, Default, Serialize)]
pub struct Row {
    /// Answers in a second.
    pub per_second: Samples,
    /// Median latency, milliseconds.
    pub p50_ms: Samples,
    /// 95th percentile, milliseconds.
    pub p95_ms: Samples,
    /// 99th percentile, milliseconds.
    pub p99_ms: Samples,
    /// Processor time a relay, microseconds, by process.
    pub cpu_us: BTreeMap<&'static str, Samples>,
    /// Resident memory at the end, MiB, by process.
    pub resident_mib: BTreeMap<&'static str, Samples>,
    /// From the last answer until the miner had nothing left to do, seconds.
    pub behind_s: Samples,
    /// Commands of the Redis server a relay, those inside scripts included.
    pub store_commands: Samples,
}

impl Row {
    fn add(&mut self, replayed: &Replayed) {
        self.per_second.push(replayed.per_second());
        self.p50_ms.push(replayed.quantile_ms(0.50));
        self.p95_ms.push(replayed.quantile_ms(0.95));
        self.p99_ms.push(replayed.quantile_ms(0.99));
    }
}

/// Starts a house on `store`, sends everything, and has it settled.
///
/// # Errors
/// A process that does not start or ends, an answer that is not 200 or not signed, a session that ends too early.
pub async fn measure(store: StoreKind, plan: Plan, say: impl Fn(&str)) -> anyhow::Result<OnStore> {
    say("starting");
    let mut house = House::start(store).await?;
    tokio::time::sleep(IDLE).await;
    let idle_mib = memory(&house)?;
    let mut presigner = Presigner::new(&house.chain, house.relayer_addr).await?;
    let session = presigner.session.clone();

    let warm_up = Arc::new(presigner.sign(WARM_UP)?);
    let (message, signature) = presigner.parts(warm_up.first().context("a relay")?)?;
    let steps = yardstick::steps(&message, &signature, plan.rounds)?;
    let run = |manner| Runs { manner, direct: Row::default(), proxied: Row::default(), relayed: Row::default() };
    let runs = MANNERS.into_iter().map(run).collect();
    let mut on =
        OnStore { store, idle_mib, steps, runs, live: Row::default(), answered: 0, settled: 0, verified_answers: 0 };
    let warmed = replay(house.relayer_addr, &warm_up, THROUGH_GATEWAY, 1).await.with_context(|| house.logs())?;
    warmed.all_answered().with_context(|| house.logs())?;
    on.note(&presigner, &warm_up, &warmed)?;

    let proxy = Proxy::start(house.backend_addr)?;
    for repeat in 1..=plan.repeats {
        for index in 0..MANNERS.len() {
            let runs = &mut on.runs[index];
            say(&format!("repeat {repeat}, {}", runs.manner));
            let relays = Arc::new(presigner.sign(plan.relays(runs.manner))?);
            compare(&house, &proxy, relays.len(), runs).await?;
            let seen = observe(&mut house, Door::Relayer, &relays, runs.manner, &mut runs.relayed).await?;
            on.note(&presigner, &relays, &seen)?;
        }
        say(&format!("repeat {repeat}, live through the gateway"));
        let requests = Arc::new(live_requests(plan.live, u64::try_from(repeat)?, house.gateway_addr));
        on.answered += observe(&mut house, Door::Gateway, &requests, THROUGH_GATEWAY, &mut on.live).await?.answered;
    }
    ensure!(
        house.chain.height() <= session.end(),
        "the session ended before the run did: fewer repeats, or a quieter machine"
    );
    say(&format!("{} relays answered; claiming, proving and settling them", on.answered));
    let settlement = session.windows.settlement_height();
    house.settle(settlement).await.with_context(|| house.logs())?;
    on.settled = settled(&house, session.end(), settlement).await?;
    Ok(on)
}

/// Keeps a relayer busy for that long while somebody looks at it; tells the process ids, then `busy`, then relays a second.
///
/// # Errors
/// As [`measure`].
pub async fn hold(store: StoreKind, time: Duration, say: impl Fn(&str)) -> anyhow::Result<()> {
    let house = House::start(store).await?;
    let mut presigner = Presigner::new(&house.chain, house.relayer_addr).await?;
    for (name, pid) in &house.pids {
        say(&format!("{name} {pid}"));
    }
    let count = HOLD_BATCH;
    let mut relays = Arc::new(presigner.sign(count)?);
    say("busy");
    let deadline = clock::now() + time;
    while clock::now() < deadline {
        let replayed = replay(house.relayer_addr, &relays, THROUGH_GATEWAY, 0).await.with_context(|| house.logs())?;
        replayed.all_answered()?;
        say(&format!("{:.0} relays/s", replayed.per_second()));
        if clock::now() < deadline {
            relays = Arc::new(presigner.sign(count)?);
        }
    }
    Ok(())
}

impl OnStore {
    /// Counts what was answered and verifies the answers that were kept.
    fn note(&mut self, presigner: &Presigner, relays: &[Bytes], seen: &Replayed) -> anyhow::Result<()> {
        for (index, answer) in &seen.sample {
            presigner.verify(&relays[*index], answer).with_context(|| format!("the answer to relay {index}"))?;
        }
        self.answered += seen.answered;
        self.verified_answers += seen.sample.len();
        Ok(())
    }
}

/// Sends as many plain requests to the backend itself, and through the proxy.
async fn compare(house: &House, proxy: &Proxy, count: usize, runs: &mut Runs) -> anyhow::Result<()> {
    let requests = Arc::new(plain_requests(u64::try_from(count)?, house.backend_addr));
    let direct = replay(house.backend_addr, &requests, runs.manner, 0).await?;
    direct.all_answered()?;
    runs.direct.add(&direct);

    let before = usage::cpu(proxy.pid())?;
    let proxied = replay(proxy.address, &requests, runs.manner, 0).await?;
    proxied.all_answered()?;
    runs.proxied.add(&proxied);
    let used = usage::cpu(proxy.pid())?.saturating_sub(before);
    runs.proxied.cpu_us.entry("proxy").or_default().push(micros_each(used, proxied.answered));
    Ok(())
}

/// Where requests are sent.
#[derive(Clone, Copy)]
enum Door {
    Relayer,
    Gateway,
}

/// Sends requests and adds what every process used, until the miner has counted them all.
async fn observe(
    house: &mut House,
    door: Door,
    requests: &Arc<Vec<Bytes>>,
    manner: Manner,
    row: &mut Row,
) -> anyhow::Result<Replayed> {
    let address = match door {
        Door::Relayer => house.relayer_addr,
        Door::Gateway => house.gateway_addr,
    };
    quiet(house).await?;
    let (before, commands_before) = (processor(house)?, house.store_commands()?);
    let replayed = replay(address, requests, manner, SAMPLE_EVERY).await.with_context(|| house.logs())?;
    replayed.all_answered().with_context(|| house.logs())?;
    let answered_at = clock::now();
    let behind = quiet(house).await?.saturating_duration_since(answered_at);
    let (after, commands_after) = (processor(house)?, house.store_commands()?);
    house.check()?;
    row.add(&replayed);
    row.behind_s.push(behind.as_secs_f64());
    if let (Some(before), Some(after)) = (commands_before, commands_after) {
        row.store_commands.push(each(after.saturating_sub(before), replayed.answered));
    }
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

fn each(total: u64, relays: u64) -> f64 {
    let number = |value: u64| f64::from(u32::try_from(value).unwrap_or(u32::MAX));
    number(total) / number(relays.max(1))
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
