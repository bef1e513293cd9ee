//! The house as processes: chain, backend, store, relayer, miner and gateway on free ports of this machine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use pocket_chain::Chain;
use pocket_config::common::PocketNode;
use pocket_config::{document, facts};
use pocket_proto::pocket::devnet::v1::{
    SetTimeRequest, TimeMode, WarpToRequest, control_client::ControlClient, warp_to_request::Target,
};
use pocket_runtime::net::TcpListener;
use pocket_runtime::shutdown::{self, ShutdownTrigger};
use pocket_testbed::{Config, RedisServer, Version};

use crate::{paths, process::Process};

/// Blocks of a session: a whole run fits in one.
pub const SESSION_BLOCKS: u64 = 120;

/// Time between blocks while relays are measured.
pub const BLOCK_TIME_MS: u64 = 5_000;

/// Time between blocks while the session is claimed, proved and settled.
const SETTLING_BLOCK_TIME_MS: u64 = 500;

/// The service that is relayed.
pub const SERVICE: &str = "develop-http";

/// The application that pays.
pub const APPLICATION: &str = "app1";

/// Time given to a chain, or a call to its control, to answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where shared state lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// `pocket-relayer` and `pocket-miner` around a redis-server.
    Redis,
    /// `pocket standalone`: both in one process, on the embedded store.
    Embedded,
}

impl StoreKind {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Embedded => "embedded",
        }
    }
}

/// A running house. Dropping it ends every process and deletes its data.
pub struct House {
    /// Chain, as processes see it.
    pub chain: Chain,
    /// Where signed relays go.
    pub relayer_addr: SocketAddr,
    /// Where clients' requests go.
    pub gateway_addr: SocketAddr,
    /// The demo backend itself.
    pub backend_addr: SocketAddr,
    /// Process ids by role; the embedded house has `standalone` for `relayer` and `miner`.
    pub pids: Vec<(&'static str, u32)>,
    control: SocketAddr,
    // Ended in this order: who depends before who is depended on.
    processes: Vec<Process>,
    redis: Option<RedisServer>,
    _trigger: ShutdownTrigger,
    _folder: tempfile::TempDir,
}

/// Ports of one house.
struct Ports(std::vec::IntoIter<SocketAddr>);

impl Ports {
    /// Finds so many free ports: all held at once, so that no two are the same, then given up to those who listen there.
    async fn free(count: usize) -> anyhow::Result<Self> {
        let mut held = Vec::new();
        for _ in 0..count {
            held.push(TcpListener::bind("127.0.0.1:0").await?);
        }
        Ok(Self(held.iter().map(TcpListener::local_addr).collect::<Vec<_>>().into_iter()))
    }

    fn next(&mut self) -> anyhow::Result<SocketAddr> {
        self.0.next().context("too few ports were reserved")
    }
}

#[expect(clippy::disallowed_methods, reason = "settings for other processes of the real machine")]
fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

/// A node at these addresses.
pub fn node(rpc: SocketAddr, grpc: SocketAddr) -> anyhow::Result<PocketNode> {
    let mut node: PocketNode = document::deserialize(document::defaults("relayer")["pocket_node"].clone())?;
    node.query_node_rpc_url = format!("http://{rpc}");
    node.query_node_grpc_url = grpc.to_string();
    node.grpc_insecure = true;
    Ok(node)
}

/// The development network under `load`, with sessions long enough.
fn long_sessions() -> anyhow::Result<String> {
    let mut facts = facts::Facts::localnet("load")?;
    facts.params.shared.num_blocks_per_session = SESSION_BLOCKS;
    Ok(serde_json::to_string_pretty(&facts)?)
}

/// The private keys whose names begin with `prefix`, as processes read them.
fn keys(prefix: &str) -> String {
    let mut text = "keys:\n".to_owned();
    for key in facts::development_keys().iter().filter(|key| key.name.starts_with(prefix)) {
        text.push_str("  - \"");
        text.push_str(&key.private_key);
        text.push_str("\"\n");
    }
    text
}

impl House {
    /// Starts everything and waits until it serves.
    ///
    /// # Errors
    /// A binary that is not built, or a process that does not become ready; with the end of its log.
    #[expect(clippy::too_many_lines, reason = "the settings of six processes, one after the other")]
    pub async fn start(store: StoreKind) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("pocket-bench-").tempdir()?;
        let here = folder.path();
        let mut ports = Ports::free(16).await?;
        let (rpc, grpc, rest, control) = (ports.next()?, ports.next()?, ports.next()?, ports.next()?);
        let (backend_addr, relayer_addr, gateway_addr) = (ports.next()?, ports.next()?, ports.next()?);
        let (devnet_admin, backend_admin, gateway_admin) = (ports.next()?, ports.next()?, ports.next()?);
        let (relayer_admin, relayer_health, miner_admin, store_admin) =
            (ports.next()?, ports.next()?, ports.next()?, ports.next()?);

        let supplier_keys = write(here, "supplier-keys.yaml", &keys("supplier"))?;
        let gateway_key = write(here, "gateway-key.yaml", &keys("gateway"))?;
        let facts_file = write(here, "facts.json", &long_sessions()?)?;
        let node_block =
            format!("{{query_node_rpc_url: 'http://{rpc}', query_node_grpc_url: '{grpc}', grpc_insecure: true}}");
        let keys_block = format!("{{keys_file: '{}'}}", supplier_keys.display());
        let services = format!("{{{SERVICE}: {{backends: {{jsonrpc: {{url: 'http://{backend_addr}'}}}}}}}}");
        let quiet = "logging: {level: warn}";

        let devnet = write(
            here,
            "devnet.yaml",
            &format!(
                "rpc_addr: {rpc}\ngrpc_addr: {grpc}\nrest_addr: {rest}\ncontrol_addr: {control}\n\
                 relayer_endpoint: {relayer_addr}\nfacts_file: '{}'\nprofile: load\nblock_time_ms: {BLOCK_TIME_MS}\n\
                 metrics: {{addr: '{devnet_admin}'}}\n{quiet}\n",
                facts_file.display()
            ),
        )?;
        let backend = write(
            here,
            "backend.yaml",
            &format!("listen_addr: {backend_addr}\nmetrics: {{addr: '{backend_admin}'}}\n{quiet}\n"),
        )?;
        let application = facts::Facts::localnet("load")?;
        let application = &application.account(APPLICATION).context("the application is a fact")?.address;
        let gateway = write(
            here,
            "gateway.yaml",
            &format!(
                "pocket_node: {node_block}\nlisten_addr: {gateway_addr}\nmetrics: {{addr: '{gateway_admin}'}}\n\
                 gateway_key_file: '{}'\napplications: ['{application}']\n{quiet}\n",
                gateway_key.display()
            ),
        )?;
        let relayer_lines = [
            format!("listen_addr: {relayer_addr}"),
            format!("metrics: {{addr: '{relayer_admin}'}}"),
            format!("health_check: {{addr: '{relayer_health}'}}"),
            format!("services: {services}"),
            format!("spool_dir: '{}'", here.join("spool").display()),
        ];
        let miner_line = format!("metrics: {{addr: '{miner_admin}'}}");

        let mut processes = Vec::new();
        let mut pids = Vec::new();
        let mut start = |name: &'static str, binary: &str, arguments: &[&str]| -> anyhow::Result<()> {
            let process = Process::start(here, name, &paths::binary(binary)?, arguments)?;
            pids.push((name, process.pid()));
            processes.push(process);
            Ok(())
        };
        let text = |path: &Path| path.to_string_lossy().into_owned();
        start("devnet", "pocket-devnet", &["--config", &text(&devnet)])?;
        start("backend", "pocket-backend", &["--config", &text(&backend)])?;
        let mut ready = vec![format!("http://{devnet_admin}/readyz"), format!("http://{backend_admin}/readyz")];

        let mut redis = None;
        match store {
            StoreKind::Redis => {
                let server = RedisServer::start(newest_redis(), Config::durable()).await?;
                let common = format!(
                    "pocket_node: {node_block}\nkeys: {keys_block}\nredis: {{url: '{}'}}\n{quiet}\n",
                    server.tcp_url()
                );
                let relayer = write(here, "relayer.yaml", &format!("{common}{}\n", relayer_lines.join("\n")))?;
                let miner = write(here, "miner.yaml", &format!("{common}{miner_line}\n"))?;
                start("relayer", "pocket-relayer", &["--config", &text(&relayer)])?;
                start("miner", "pocket-miner", &["--config", &text(&miner)])?;
                ready.push(format!("http://{relayer_admin}/readyz"));
                ready.push(format!("http://{miner_admin}/readyz"));
                redis = Some(server);
            }
            StoreKind::Embedded => {
                let data = here.join("data");
                let standalone = write(
                    here,
                    "standalone.yaml",
                    &format!(
                        "common:\n  pocket_node: {node_block}\n  keys: {keys_block}\n  {quiet}\n  \
                         store: {{kind: embedded, data_dir: '{}', admin_addr: '{store_admin}'}}\n\
                         relayer:\n  {}\nminer:\n  {miner_line}\n",
                        data.display(),
                        relayer_lines.join("\n  ")
                    ),
                )?;
                start("standalone", "pocket", &["standalone", "--config", &text(&standalone)])?;
                ready.push(format!("http://{relayer_health}/ready"));
            }
        }
        start("gateway", "pocket-gateway", &["--config", &text(&gateway)])?;
        ready.push(format!("http://{gateway_admin}/readyz"));
        for (process, url) in processes.iter_mut().zip(&ready) {
            process.ready(url).await?;
        }
        if let Some(server) = &redis {
            pids.push(("redis", redis_pid(server)?));
        }

        let (trigger, shutdown) = shutdown::channel(Duration::from_millis(100));
        let chain = Chain::connect(&node(rpc, grpc)?, PATIENCE, &shutdown).await?;
        processes.reverse();
        Ok(Self {
            chain,
            relayer_addr,
            gateway_addr,
            backend_addr,
            pids,
            control,
            processes,
            redis,
            _trigger: trigger,
            _folder: folder,
        })
    }

    /// Checks that every process still runs.
    ///
    /// # Errors
    /// One has ended; with the end of its log.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.processes.iter_mut().try_for_each(Process::check)
    }

    /// Commands that the Redis server has carried out, those inside scripts included; none without a server.
    ///
    /// # Errors
    /// The server does not say.
    pub fn store_commands(&self) -> anyhow::Result<Option<u64>> {
        let Some(server) = &self.redis else { return Ok(None) };
        let commands = info(server, "stats", "total_commands_processed")?;
        Ok(Some(commands.parse().context("the number of commands of redis-server")?))
    }

    /// The ends of all logs that are not empty.
    pub fn logs(&self) -> String {
        let logs = self.processes.iter().map(Process::last_lines).filter(|lines| !lines.is_empty());
        logs.collect::<Vec<_>>().join("\n")
    }

    /// Brings the chain to the end of its session at once, and then past settlement at a quick pace.
    ///
    /// # Errors
    /// The chain's control does not do as it is told, or blocks do not come.
    pub async fn settle(&self, settlement_height: i64) -> anyhow::Result<()> {
        let mut control = ControlClient::new(pocket_runtime::grpc::channel(&self.control.to_string(), PATIENCE)?);
        let mode = TimeMode::Interval.into();
        control.set_time(SetTimeRequest { mode, interval_ms: SETTLING_BLOCK_TIME_MS }).await?;
        control.warp_to(WarpToRequest { target: Some(Target::Window("session-end".to_owned())) }).await?;
        let waited = tokio::time::timeout(PATIENCE, self.chain.blocks().reached(settlement_height + 1)).await;
        waited.context("the session was not settled in time")?;
        Ok(())
    }
}

/// The newest redis-server there is.
fn newest_redis() -> Version {
    Version::ALL.into_iter().rev().find(|version| pocket_testbed::find(*version).is_ok()).unwrap_or(Version::V7_0)
}

/// The server's process id, as it says itself: its parent may be a wrapper.
fn redis_pid(server: &RedisServer) -> anyhow::Result<u32> {
    info(server, "server", "process_id")?.parse().context("the process id of redis-server")
}

/// One line of what the server says of itself.
fn info(server: &RedisServer, section: &str, name: &str) -> anyhow::Result<String> {
    let info = server.command(&["INFO", section])?;
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    let value = lines.find_map(|(key, value)| (key == name).then(|| value.trim().to_owned()));
    value.with_context(|| format!("redis-server says no {name}"))
}
