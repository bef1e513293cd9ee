//! Every room as its own process around a real Redis, with a proxy between any two that speak.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use pocket_chain::Block;
use pocket_config::facts;
use pocket_store::{Durability, Namespace, Store, StoreOptions};
use pocket_testbed::{Config, RedisServer, Version};
use rand::rngs::StdRng;
use tokio::time::Instant;

use crate::faults::{self, Done, Fault, Link, Links, Servers, Victim};
use crate::load::{Load, Seen};
use crate::process::Process;
use crate::settled::{self, Verdict};

/// Base of these tests' ports, below the range of outgoing connections; each test adds its own offset.
const BASE: u16 = 17_000;

/// Blocks for which the miner keeps what it has settled: for ever, so that the judge can read it.
const KEPT_BLOCKS: u32 = 1_000_000;

/// Blocks and their results that the chain keeps, so that the judge can read every settlement.
const BLOCKS_KEPT: u32 = 1_000_000;

/// Time between two faults.
const GAP: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(1_500));

/// Time that a killed process is away.
const AWAY: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(1));

/// Time between two blocks.
const BLOCK_TIME_MS: u64 = 500;

/// Blocks that the chain makes at least between two kills of the chain or of Redis, without which nobody can claim. A node
/// keeps transactions that wait for a block in memory only, and a miner sends what was lost there again after three blocks;
/// and what is sent is recorded first. So a claim window of eight blocks is not to be spent in outages alone.
const LIFE_BLOCKS: i64 = 5;

/// How long those blocks may take.
const LIFE_TIMEOUT: Duration = Duration::from_mins(1);

/// Clients at work.
const CLIENTS: usize = 8;

struct House {
    folder: tempfile::TempDir,
    links: Links,
    redis: RedisServer,
    devnet: Process,
    backend: Process,
    relayer: Process,
    miner: Process,
    gateway: Process,
    rpc: u16,
    grpc: u16,
    gateway_port: u16,
    /// The chain's height when the chain or Redis was last started.
    born_at: i64,
}

fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

fn keys(prefix: &str) -> String {
    let keys = facts::development_keys();
    let own = keys.iter().filter(|key| key.name.starts_with(prefix));
    let lines: String = own.map(|key| ["  - \"", &key.private_key, "\"\n"].concat()).collect();
    format!("keys:\n{lines}")
}

fn node(links: &Links, rpc: Link, grpc: Link) -> String {
    let (rpc, grpc) = (links.port(rpc), links.port(grpc));
    format!(
        "pocket_node: {{query_node_rpc_url: 'http://127.0.0.1:{rpc}', query_node_grpc_url: '127.0.0.1:{grpc}', grpc_insecure: true}}"
    )
}

impl House {
    async fn start(offset: u16, block_time_ms: u64) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let here = folder.path();
        let port = |index: u16| BASE + offset + index;
        let [rpc, grpc, rest, control, backend_port, relayer_port, gateway_port] = [0, 1, 2, 3, 4, 5, 6].map(port);
        let [devnet_admin, backend_admin, relayer_admin, relayer_health, miner_admin, gateway_admin] =
            [10, 11, 12, 13, 14, 15].map(port);

        let redis = RedisServer::start(Version::V7_0, Config::durable()).await?;
        let servers = Servers { relayer: relayer_port, backend: backend_port, redis: redis.port(), grpc, rpc };
        let links = Links::start(servers).await?;
        let supplier_keys = write(here, "supplier-keys.yaml", &keys("supplier"))?;
        let gateway_key = write(here, "gateway-key.yaml", &keys("gateway"))?;
        let shared = |rpc: Link, grpc: Link, redis: Link| {
            let (node, redis) = (node(&links, rpc, grpc), links.port(redis));
            let keys = supplier_keys.display();
            format!("{node}\nredis: {{url: 'redis://127.0.0.1:{redis}'}}\nkeys: {{keys_file: '{keys}'}}")
        };

        let devnet = format!(
            "rpc_addr: 127.0.0.1:{rpc}\ngrpc_addr: 127.0.0.1:{grpc}\nrest_addr: 127.0.0.1:{rest}\ncontrol_addr: 127.0.0.1:{control}\nrelayer_endpoint: 127.0.0.1:{}\nblock_time_ms: {block_time_ms}\nmetrics: {{addr: '127.0.0.1:{devnet_admin}'}}\ndata_dir: '{}'\nprofile: load\nlimits: {{history_blocks: {BLOCKS_KEPT}, blocks_kept: {BLOCKS_KEPT}}}\n",
            links.port(Link::GatewayRelayer),
            here.join("chain").display()
        );
        let backend =
            format!("listen_addr: 127.0.0.1:{backend_port}\nmetrics: {{addr: '127.0.0.1:{backend_admin}'}}\n");
        let relayer = format!(
            "{}\nlisten_addr: 127.0.0.1:{relayer_port}\nmetrics: {{addr: '127.0.0.1:{relayer_admin}'}}\nhealth_check: {{addr: '127.0.0.1:{relayer_health}'}}\nspool_dir: '{}'\nservices:\n  develop-http:\n    backends: {{jsonrpc: {{url: 'http://127.0.0.1:{}'}}}}\n",
            shared(Link::RelayerRpc, Link::RelayerGrpc, Link::RelayerRedis),
            here.join("spool").display(),
            links.port(Link::RelayerBackend)
        );
        let miner = format!(
            "{}\nmetrics: {{addr: '127.0.0.1:{miner_admin}'}}\nsupplier_claiming: {{claim_ttl_seconds: 3, renew_rate_seconds: 1}}\nblock_time_seconds: 1\nlimits: {{session_kept_blocks: {KEPT_BLOCKS}}}\n",
            shared(Link::MinerRpc, Link::MinerGrpc, Link::MinerRedis),
        );
        let app = facts::Facts::localnet("load")?.account("app1").context("app1")?.address.clone();
        let gateway = format!(
            "{}\nlisten_addr: 127.0.0.1:{gateway_port}\nmetrics: {{addr: '127.0.0.1:{gateway_admin}'}}\ngateway_key_file: '{}'\napplications: ['{app}']\n",
            node(&links, Link::GatewayRpc, Link::GatewayGrpc),
            gateway_key.display()
        );

        let process = |binary: &str, settings: &str, ready: String| {
            let config = write(here, &format!("{binary}.yaml"), settings)?;
            Process::new(here, binary, binary, &["--config", &config.to_string_lossy()], &ready)
        };
        let admin = |port: u16| format!("http://127.0.0.1:{port}/readyz");
        let mut house = Self {
            devnet: process("pocket-devnet", &devnet, admin(devnet_admin))?,
            backend: process("pocket-backend", &backend, admin(backend_admin))?,
            relayer: process("pocket-relayer", &relayer, admin(relayer_admin))?,
            miner: process("pocket-miner", &miner, admin(miner_admin))?,
            gateway: process("pocket-gateway", &gateway, format!("http://127.0.0.1:{gateway_port}/health"))?,
            redis,
            links,
            rpc,
            grpc,
            gateway_port,
            born_at: 0,
            folder,
        };
        let processes =
            [&mut house.devnet, &mut house.backend, &mut house.relayer, &mut house.miner, &mut house.gateway];
        for process in processes {
            process.start()?;
            process.ready().await?;
        }
        Ok(house)
    }

    fn load(&self, concurrency: usize, limit: Option<u64>) -> Load {
        Load::start(&format!("http://127.0.0.1:{}/v1", self.gateway_port), concurrency, limit)
    }

    /// Does one thing wrong, and mends it. Returns what it was.
    async fn suffer(&mut self, fault: Fault, dice: &mut StdRng) -> anyhow::Result<String> {
        let away = crate::moment(dice, AWAY.0, AWAY.1);
        match fault {
            Fault::Cut(link) => {
                let how = self.links.cut(link, dice).await;
                return Ok(format!("{link:?} {how:?}"));
            }
            Fault::Kill(Victim::Redis) => {
                self.lived().await?;
                self.redis.kill();
                tokio::time::sleep(away).await;
                self.redis.restart().await?;
                self.born_at = settled::connect(self.rpc, self.grpc).await?.0.height();
            }
            Fault::Kill(Victim::Relayer) => restart(&mut self.relayer, away).await?,
            Fault::Kill(Victim::Miner) => restart(&mut self.miner, away).await?,
            Fault::Kill(Victim::Devnet) => {
                let before = self.lived().await?;
                restart(&mut self.devnet, away).await?;
                let (chain, _trigger) = settled::connect(self.rpc, self.grpc).await?;
                self.born_at = chain.height();
                ensure!(self.born_at >= before.height, "the chain went back from {}", before.height);
                let again = chain.blocks().at(before.height).await?;
                ensure!(again == before, "block {} changed: {before:?}, then {again:?}", before.height);
            }
        }
        let Fault::Kill(victim) = fault else { unreachable!("cuts have returned") };
        Ok(format!("{victim:?} killed"))
    }

    /// Waits until chain and Redis have lived long enough to be killed again, and returns the newest block.
    async fn lived(&self) -> anyhow::Result<Block> {
        let (chain, _trigger) = settled::connect(self.rpc, self.grpc).await?;
        let lived = chain.blocks().reached(self.born_at + LIFE_BLOCKS);
        tokio::time::timeout(LIFE_TIMEOUT, lived).await.context("the chain makes no blocks")?;
        Ok(chain.blocks().latest())
    }

    async fn judge(&self, seen: &Seen) -> anyhow::Result<Verdict> {
        let (chain, _trigger) = settled::connect(self.rpc, self.grpc).await?;
        let ledger = settled::wait(&chain, Duration::from_mins(2)).await?;
        let options = StoreOptions::new(Namespace::default(), Durability::Process);
        let store = Store::redis(&self.redis.url(), options).await?;
        let relays = settled::relays(&store, &ledger).await?;
        Ok(Verdict::of(seen, &ledger, &relays))
    }

    /// Fails with the logs, which are kept, unless nothing was lost or doubled.
    async fn check(self, seen: &Seen, exact: bool) -> anyhow::Result<()> {
        let verdict = self.judge(seen).await.inspect(|verdict| println!("{verdict}"));
        let Err(error) = verdict.and_then(|verdict| verdict.check(exact)) else { return Ok(()) };
        let (relayer, miner) = (self.relayer.last_lines(), self.miner.last_lines());
        let kept = self.folder.keep();
        Err(error.context(format!("logs in {}\nrelayer:\n{relayer}\nminer:\n{miner}", kept.display())))
    }
}

async fn restart(process: &mut Process, away: Duration) -> anyhow::Result<()> {
    process.kill();
    tokio::time::sleep(away).await;
    process.start()?;
    process.ready().await
}

/// Two thousand relays, all answered, all paid.
pub(crate) async fn two_thousand_relays() -> anyhow::Result<()> {
    let house = House::start(0, 300).await?;
    let seen = house.load(16, Some(2000)).finished().await;
    ensure!(seen.answered.len() == 2000, "{} of 2000 were answered", seen.answered.len());
    house.check(&seen, true).await
}

/// Kills each victim so many times and cuts links so many times, and checks that nothing was lost.
pub(crate) async fn survive(offset: u16, victims: Vec<Victim>, kills: usize, cuts: usize) -> anyhow::Result<()> {
    let seed = crate::seed();
    let mut dice = crate::dice(seed);
    let plan = faults::plan(&mut dice, &victims, kills, cuts);
    let mut house = House::start(offset, BLOCK_TIME_MS).await?;
    let load = house.load(CLIENTS, None);
    let mut done = Done::default();
    let begun = Instant::now();
    for fault in plan {
        tokio::time::sleep(crate::moment(&mut dice, GAP.0, GAP.1)).await;
        let kind = house.suffer(fault, &mut dice).await.with_context(|| format!("POCKET_SEED={seed}, {fault:?}"))?;
        println!("{:.1} s: {kind}, {} answered so far", begun.elapsed().as_secs_f64(), load.answered());
        done.count(kind);
    }
    let outcome = load.stopped().await;
    println!("POCKET_SEED={seed} faults: {done}");
    house.check(&outcome, false).await.with_context(|| format!("POCKET_SEED={seed}"))
}
