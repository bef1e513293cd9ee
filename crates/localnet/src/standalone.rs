//! Relayer and miner in one process on the embedded store, against a node that is somebody else's.

use std::net::SocketAddr;
use std::time::Duration;

use pocket_chain::{Chain, ConnectError};
use pocket_config::common::{Durability, Store as StoreSettings};
use pocket_config::standalone::Standalone;
use pocket_runtime::net::{BindError, Listener, TcpListener};
use pocket_runtime::shutdown::{self, Shutdown};
use pocket_runtime::task::{self, Task};
use pocket_store::{Store, StoreError};

/// Time given to the full node to appear.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why the two did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store's admin socket could not be opened.
    #[error("failed to open the store's admin listener (`common.store.admin_addr`)")]
    Admin(#[from] BindError),
    /// The store did not open.
    #[error("the store did not open")]
    Store(#[from] StoreError),
    /// No full node.
    #[error("no full node")]
    Connect(#[from] ConnectError),
    /// The relayer did not start.
    #[error("the relayer did not start")]
    Relayer(#[from] pocket_relayer::StartError),
    /// The miner did not start.
    #[error("the miner did not start")]
    Miner(#[from] pocket_miner::StartError),
}

/// Relayer and miner that run until their shutdown.
pub struct Running {
    /// Where gateways send relays.
    pub relayer_addr: SocketAddr,
    /// Where the store answers read verbs.
    pub admin_addr: SocketAddr,
    /// What the two share.
    pub store: Store,
    ending: Task<()>,
}

impl Running {
    /// Waits for the shutdown and until both have left, the relayer first.
    pub async fn ended(self) {
        // A panic has been logged and counted where it happened.
        let _ = self.ending.await;
    }
}

/// Says what settings amount to, a line each: keys are loaded and services made, nothing is opened.
///
/// # Errors
/// [`StartError`] as [`start`] would give it.
pub fn check(settings: &Standalone) -> Result<Vec<String>, StartError> {
    let store: &StoreSettings = &settings.relayer.store;
    let durability = match store.durability {
        Durability::Process => "process: what was answered survives kill -9 of this process",
        Durability::Disk => "disk: what was answered survives loss of power",
    };
    let mut lines = vec![
        format!("relays: {}", settings.relayer.listen_addr),
        format!("node: {}", settings.relayer.pocket_node.rpc_endpoints().join(", ")),
        format!("answered means {durability}"),
    ];
    lines.extend(pocket_relayer::check(&settings.relayer)?.lines);
    lines.push(format!("mines for {} suppliers", pocket_miner::check(&settings.miner)?.len()));
    Ok(lines)
}

/// Opens the store, connects to the node, and serves and mines until `shutdown`.
///
/// # Errors
/// [`StartError`], naming what is in the way.
pub fn start(
    settings: Standalone,
    shutdown: &Shutdown,
) -> std::pin::Pin<Box<dyn Future<Output = Result<Running, StartError>> + Send + '_>> {
    // Boxed at the crate's border, so that its code is compiled here, once, and not again in every binary that awaits it.
    Box::pin(open(settings, shutdown))
}

async fn open(settings: Standalone, shutdown: &Shutdown) -> Result<Running, StartError> {
    let Standalone { relayer: relaying, miner: mining } = settings;
    let listener = TcpListener::bind(&relaying.store.admin_addr).await?;
    let admin_addr = listener.local_addr();
    let prefix = &relaying.relay_meter.redis_key_prefix;
    let store = Store::open(&relaying.store, &relaying.redis, prefix, Some(&admin_addr.to_string())).await?;

    // The miner leaves when the relayer has, so neither hears the process's shutdown itself.
    let (relayer_switch, relayer_shutdown) = shutdown::channel(shutdown.grace());
    let (miner_switch, miner_shutdown) = shutdown::channel(shutdown.grace());
    let leave = [relayer_switch.clone(), miner_switch.clone()];
    let admin = pocket_store::admin::serve(store.clone(), Listener::from(listener), miner_shutdown.clone());
    let started = async {
        let chain = Chain::connect(&relaying.pocket_node, PATIENCE, &miner_shutdown).await?;
        let deps = pocket_miner::Deps { chain: chain.clone(), store: store.clone() };
        let miner = pocket_miner::start(&mining, deps, &miner_shutdown).await?;
        let deps = pocket_relayer::Deps { chain, store: store.clone() };
        let relayer = pocket_relayer::start(&relaying, deps, &relayer_shutdown).await?;
        Ok::<_, StartError>((miner, relayer))
    };
    let (miner, relayer) = match started.await {
        Ok(started) => started,
        Err(error) => {
            leave.iter().for_each(shutdown::ShutdownTrigger::trigger);
            return Err(error);
        }
    };
    let relayer_addr = relayer.addr;
    let waiting = shutdown.clone();
    let flushed = store.clone();
    let ending = task::spawn("standalone", async move {
        waiting.triggered().await;
        relayer_switch.trigger();
        relayer.ended().await;
        flushed.flush().await;
        miner_switch.trigger();
        miner.ended().await;
        let _ = admin.await;
    });
    Ok(Running { relayer_addr, admin_addr, store, ending })
}
