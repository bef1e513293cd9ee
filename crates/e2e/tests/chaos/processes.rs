//! Every room as its own process around a real Redis; relayer and miner are killed under load.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use pocket_config::facts;
use pocket_testbed::{Config, RedisServer, Version};

use crate::load::{Load, Seen};
use crate::process::Process;
use crate::settled;

/// Base of these tests' ports, below the range of outgoing connections; each test adds its own offset.
const BASE: u16 = 17_000;

struct House {
    folder: tempfile::TempDir,
    _redis: RedisServer,
    devnet: Process,
    backend: Process,
    relayer: Process,
    miner: Process,
    gateway: Process,
    rpc: u16,
    grpc: u16,
    gateway_port: u16,
}

fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
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
        let keys = facts::development_keys();
        let of = |prefix: &str| -> String {
            let own = keys.iter().filter(|key| key.name.starts_with(prefix));
            own.map(|key| ["  - \"", &key.private_key, "\"\n"].concat()).collect()
        };
        let supplier_keys = write(here, "supplier-keys.yaml", &format!("keys:\n{}", of("supplier")))?;
        let gateway_key = write(here, "gateway-key.yaml", &format!("keys:\n{}", of("gateway")))?;
        let node = format!(
            "pocket_node: {{query_node_rpc_url: 'http://127.0.0.1:{rpc}', query_node_grpc_url: '127.0.0.1:{grpc}', grpc_insecure: true}}"
        );
        let shared = format!(
            "{node}\nredis: {{url: '{}'}}\nkeys: {{keys_file: '{}'}}",
            redis.tcp_url(),
            supplier_keys.display()
        );

        let devnet = write(
            here,
            "devnet.yaml",
            &format!(
                "rpc_addr: 127.0.0.1:{rpc}\ngrpc_addr: 127.0.0.1:{grpc}\nrest_addr: 127.0.0.1:{rest}\ncontrol_addr: 127.0.0.1:{control}\nrelayer_endpoint: 127.0.0.1:{relayer_port}\nblock_time_ms: {block_time_ms}\nmetrics: {{addr: '127.0.0.1:{devnet_admin}'}}\n"
            ),
        )?;
        let backend = write(
            here,
            "backend.yaml",
            &format!("listen_addr: 127.0.0.1:{backend_port}\nmetrics: {{addr: '127.0.0.1:{backend_admin}'}}\n"),
        )?;
        let relayer = write(
            here,
            "relayer.yaml",
            &format!(
                "{shared}\nlisten_addr: 127.0.0.1:{relayer_port}\nmetrics: {{addr: '127.0.0.1:{relayer_admin}'}}\nhealth_check: {{addr: '127.0.0.1:{relayer_health}'}}\nservices:\n  develop-http:\n    backends: {{jsonrpc: {{url: 'http://127.0.0.1:{backend_port}'}}}}\n"
            ),
        )?;
        let miner = write(
            here,
            "miner.yaml",
            &format!(
                "{shared}\nmetrics: {{addr: '127.0.0.1:{miner_admin}'}}\nsupplier_claiming: {{claim_ttl_seconds: 3, renew_rate_seconds: 1}}\n"
            ),
        )?;
        let app = facts::Facts::localnet("seed")?.account("app1").context("app1")?.address.clone();
        let gateway = write(
            here,
            "gateway.yaml",
            &format!(
                "{node}\nlisten_addr: 127.0.0.1:{gateway_port}\nmetrics: {{addr: '127.0.0.1:{gateway_admin}'}}\ngateway_key_file: '{}'\napplications: ['{app}']\n",
                gateway_key.display()
            ),
        )?;

        let process = |binary: &str, config: &Path, ready: String| {
            Process::new(here, binary, binary, &["--config", &config.to_string_lossy()], &ready)
        };
        let admin = |port: u16| format!("http://127.0.0.1:{port}/readyz");
        let mut house = Self {
            devnet: process("pocket-devnet", &devnet, admin(devnet_admin))?,
            backend: process("pocket-backend", &backend, admin(backend_admin))?,
            relayer: process("pocket-relayer", &relayer, admin(relayer_admin))?,
            miner: process("pocket-miner", &miner, admin(miner_admin))?,
            gateway: process("pocket-gateway", &gateway, format!("http://127.0.0.1:{gateway_port}/health"))?,
            _redis: redis,
            rpc,
            grpc,
            gateway_port,
            folder,
        };
        for process in [&mut house.devnet, &mut house.backend, &mut house.relayer, &mut house.miner, &mut house.gateway]
        {
            process.start()?;
        }
        for process in [&mut house.devnet, &mut house.backend, &mut house.relayer, &mut house.miner, &mut house.gateway]
        {
            process.ready().await?;
        }
        Ok(house)
    }

    fn load(&self, concurrency: usize, limit: Option<u64>) -> Load {
        Load::start(&format!("http://127.0.0.1:{}/v1", self.gateway_port), concurrency, limit)
    }

    async fn check(&self, seen: &Seen, exact: bool) -> anyhow::Result<()> {
        let (chain, _trigger) = settled::connect(self.rpc, self.grpc).await?;
        let ledger = settled::wait(&chain, Duration::from_mins(2)).await?;
        settled::check(seen, &ledger, exact).with_context(|| {
            format!(
                "in {}\nrelayer:\n{}\nminer:\n{}",
                self.folder.path().display(),
                self.relayer.last_lines(),
                self.miner.last_lines()
            )
        })
    }
}

/// Two thousand relays, all answered, all paid.
pub(crate) async fn two_thousand_relays() -> anyhow::Result<()> {
    let house = House::start(0, 300).await?;
    let seen = house.load(16, Some(2000)).finished().await;
    let answered: u64 = seen.answered.values().sum();
    anyhow::ensure!(answered == 2000, "{answered} of 2000 were answered");
    house.check(&seen, true).await
}

/// Which process is killed.
#[derive(Clone, Copy)]
pub(crate) enum Victim {
    /// The relayer.
    Relayer,
    /// The miner.
    Miner,
}

/// Kills one process so many times and checks that nothing was lost.
pub(crate) async fn survive(offset: u16, kills: usize, victim: Victim) -> anyhow::Result<()> {
    let seed = crate::seed();
    let mut dice = crate::dice(seed);
    let mut house = House::start(offset, 500).await?;
    let load = house.load(8, None);
    for kill in 0..kills {
        tokio::time::sleep(crate::moment(&mut dice, Duration::from_millis(300), Duration::from_secs(4))).await;
        let process = match victim {
            Victim::Relayer => &mut house.relayer,
            Victim::Miner => &mut house.miner,
        };
        process.kill();
        tokio::time::sleep(Duration::from_secs(1)).await;
        process.start()?;
        process.ready().await.with_context(|| format!("after kill {kill}"))?;
        println!("kill {kill}, {} answered so far", load.answered());
    }
    let outcome = load.stopped().await;
    house.check(&outcome, false).await.with_context(|| format!("POCKET_SEED={seed}"))
}
