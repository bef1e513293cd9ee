//! Wiring: what starts after what, and who leaves first.

use std::time::Duration;

use pocket_chain::{Chain, ConnectError};
use pocket_config::common::PocketNode;
use pocket_config::document::LoadError;
use pocket_config::facts::{Facts, development_keys};
use pocket_devnet::Devnet;
use pocket_runtime::net::Listener;
use pocket_runtime::shutdown::{self, Shutdown, ShutdownTrigger};
use pocket_runtime::task::{self, Task};
use pocket_store::{Ledger, Store, StoreError};

use crate::event::{Events, Summary};
use crate::folder::{Folder, FolderError};
use crate::options::Options;
use crate::ports::{Addresses, Door, Ports, PortsTaken, Reserved};
use crate::settings::All;

/// How long the chain, which is in this process, may take to answer its neighbours.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a network did not start. Whatever had started is stopped again.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no such profile, or a setting cannot be.
    #[error("the settings are wrong")]
    Settings(#[from] LoadError),
    /// The data folder is not for us.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Ports are taken.
    #[error(transparent)]
    Ports(#[from] PortsTaken),
    /// The store did not open.
    #[error("the store did not open")]
    Store(#[from] StoreError),
    /// The chain did not start.
    #[error("the chain did not start")]
    Devnet(#[from] pocket_devnet::RunError),
    /// The backend did not start.
    #[error("the backend did not start")]
    Backend(#[from] pocket_backend::StartError),
    /// A room could not reach the chain.
    #[error("the {room} could not reach the chain")]
    Connect {
        /// Which.
        room: &'static str,
        /// Why.
        #[source]
        source: ConnectError,
    },
    /// The relayer did not start.
    #[error("the relayer did not start")]
    Relayer(#[from] pocket_relayer::StartError),
    /// The miner did not start.
    #[error("the miner did not start")]
    Miner(#[from] pocket_miner::StartError),
    /// The gateway did not start.
    #[error("the gateway did not start")]
    Gateway(#[from] pocket_gateway::StartError),
}

/// Starts networks.
#[derive(Debug)]
pub struct Localnet;

/// A network that runs until the shutdown it was started with.
pub struct Running {
    /// Where it listens.
    pub addresses: Addresses,
    /// The facts it began with.
    pub facts: Facts,
    /// What relayer and miner share.
    pub store: Store,
    /// The chain itself: state without a wire between, for tests and for the living lines.
    pub chain: pocket_devnet::Chain,
    // Taken when the miner started, so that no claim is missed; given to the one who asks first.
    events: Option<Events>,
    ending: Task<Summary>,
}

impl Localnet {
    /// Starts every room and returns when the network serves.
    ///
    /// When `shutdown` comes, the rooms leave in order: gateway, relayer, miner, backend, chain, each within the options'
    /// grace.
    ///
    /// # Errors
    /// [`StartError`], which names what is in the way and what to do about it.
    pub fn start(
        options: Options,
        shutdown: &Shutdown,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Running, StartError>> + Send + '_>> {
        // Boxed at the crate's border, so that its code is compiled here, once, and not again in every binary that awaits it.
        Box::pin(Self::open(options, shutdown))
    }

    async fn open(options: Options, shutdown: &Shutdown) -> Result<Running, StartError> {
        let switches = Switches::new(options.grace);
        let started = Box::pin(assemble(&options, &switches)).await;
        let (rooms, folder, addresses, facts) = match started {
            Ok(started) => started,
            Err(error) => {
                switches.all();
                return Err(error);
            }
        };
        let store = rooms.store.clone();
        let chain = rooms.devnet.chain.clone();
        let events = Some(Events::new(chain.subscribe(), rooms.miner.events()));
        let kept = options.data_dir.is_some();
        let waiting = shutdown.clone();
        let ending = task::spawn("localnet", async move {
            waiting.triggered().await;
            rooms.leave(&switches, folder, kept).await
        });
        Ok(Running { addresses, facts, store, chain, events, ending })
    }
}

impl Running {
    /// Gives the events of blocks and claims since the start, once.
    pub fn events(&mut self) -> Option<Events> {
        self.events.take()
    }

    /// First and last height of the session of the newest block.
    pub fn session(&self) -> (i64, i64) {
        let state = self.chain.state();
        let height = state.height.max(1);
        let session = state.shared_at(height).session_at(height);
        (session.start, session.end)
    }

    /// Where every relay went.
    ///
    /// # Errors
    /// [`StoreError`], when the store does not answer.
    pub async fn ledger(&self) -> Result<Ledger, StoreError> {
        self.store.ledger(None).await
    }

    /// Waits for the shutdown and until every room has left; says what they leave behind.
    pub async fn stopped(self) -> Summary {
        let height = self.chain.height();
        let unknown = Summary { height, ledger: None, kept: false };
        // A panic on the way out has been logged where it happened.
        self.ending.await.unwrap_or(unknown)
    }
}

/// A shutdown for each room, so that they leave one after another.
struct Switches {
    gateway: ShutdownTrigger,
    relayer: ShutdownTrigger,
    miner: ShutdownTrigger,
    backend: ShutdownTrigger,
    devnet: ShutdownTrigger,
    store_admin: ShutdownTrigger,
}

impl Switches {
    fn new(grace: Duration) -> Self {
        let switch = || shutdown::channel(grace).0;
        Self {
            gateway: switch(),
            relayer: switch(),
            miner: switch(),
            backend: switch(),
            devnet: switch(),
            store_admin: switch(),
        }
    }

    fn all(&self) {
        for switch in [&self.gateway, &self.relayer, &self.miner, &self.backend, &self.devnet, &self.store_admin] {
            switch.trigger();
        }
    }
}

struct Rooms {
    devnet: pocket_devnet::Running,
    backend: pocket_backend::Running,
    relayer: pocket_relayer::Running,
    miner: pocket_miner::Running,
    gateway: pocket_gateway::Running,
    store: Store,
    store_admin: Option<Task<()>>,
}

async fn assemble(options: &Options, switches: &Switches) -> Result<(Rooms, Folder, Addresses, Facts), StartError> {
    let mut facts = match &options.network {
        Some(network) => network.facts.clone().under(&options.profile)?,
        None => Facts::localnet(&options.profile)?,
    };
    let mut folder = Folder::open(options)?;
    let kept_port = folder.relayer_port().filter(|_| options.ports == Ports::Auto);
    let mut reserved = Reserved::all(options.ports, kept_port).await?;
    let addresses = reserved.addresses.clone();
    facts.relayer_endpoint = addresses.of(Door::Relayer).to_string();
    let (keys, facts_file) = match &options.network {
        Some(network) => (folder.write_keys(&facts, &network.keys)?, Some(folder.write_facts(&network.facts)?)),
        None => (folder.write_keys(&facts, &development_keys())?, None),
    };
    let settings = All::of(options, &facts, facts_file.as_deref(), &addresses, &folder, &keys)?;
    folder.remember(options, &addresses)?;

    let admin = addresses.of(Door::StoreAdmin).to_string();
    let relayer = &settings.relayer;
    let store =
        Store::open(&relayer.store, &relayer.redis, &relayer.relay_meter.redis_key_prefix, Some(&admin)).await?;
    let store_admin = reserved.take(Door::StoreAdmin).map(|listener| {
        pocket_store::admin::serve(store.clone(), Listener::from(listener), switches.store_admin.shutdown())
    });

    for door in [Door::Grpc, Door::Rpc, Door::Rest, Door::Control] {
        reserved.release(door);
    }
    let devnet = Devnet::start(&settings.devnet, &switches.devnet.shutdown()).await?;
    if devnet.chain.height() == 0 {
        // Whoever connects waits for a first block; there is nothing to wait for.
        if let Err(error) = devnet.chain.produce_block() {
            tracing::warn!(error = %pocket_runtime::process::chain(&error), "the first block is late");
        }
    }
    // No claim window of an earlier life passes while nobody is there yet to claim in it.
    devnet.chain.halt();
    for door in [Door::Backend, Door::BackendMetrics] {
        reserved.release(door);
    }
    let backend = pocket_backend::start(&settings.backend, &switches.backend.shutdown()).await?;

    // Each room has its own connection to the chain, as it has in production.
    let (for_relayer, for_miner, for_gateway) = tokio::join!(
        connect("relayer", &settings.relayer.pocket_node, &switches.relayer),
        connect("miner", &settings.miner.pocket_node, &switches.miner),
        connect("gateway", &settings.gateway.pocket_node, &switches.gateway),
    );
    reserved.release(Door::MinerMetrics);
    let deps = pocket_miner::Deps { chain: for_miner?, store: store.clone() };
    let miner = pocket_miner::start(&settings.miner, deps, &switches.miner.shutdown()).await?;
    for door in [Door::Relayer, Door::RelayerHealth, Door::RelayerMetrics] {
        reserved.release(door);
    }
    let deps = pocket_relayer::Deps { chain: for_relayer?, store: store.clone() };
    let relayer = pocket_relayer::start(&settings.relayer, deps, &switches.relayer.shutdown()).await?;
    for door in [Door::Gateway, Door::GatewayMetrics] {
        reserved.release(door);
    }
    let gateway = pocket_gateway::start(&settings.gateway, for_gateway?, &switches.gateway.shutdown()).await?;
    if tokio::time::timeout(PATIENCE, miner.ready()).await.is_err() {
        tracing::warn!("the miner does not hold every supplier yet; the chain goes on without it");
    }
    devnet.chain.resume();
    Ok((Rooms { devnet, backend, relayer, miner, gateway, store, store_admin }, folder, addresses, facts))
}

async fn connect(room: &'static str, node: &PocketNode, switch: &ShutdownTrigger) -> Result<Chain, StartError> {
    let connected = Chain::connect(node, PATIENCE, &switch.shutdown()).await;
    connected.map_err(|source| StartError::Connect { room, source })
}

impl Rooms {
    /// Whoever is fed by another leaves first, so that nothing is asked of a room that has gone.
    async fn leave(self, switches: &Switches, folder: Folder, kept: bool) -> Summary {
        switches.gateway.trigger();
        self.gateway.ended().await;
        switches.relayer.trigger();
        self.relayer.ended().await;
        // All that was answered is in the log before the miner takes its last look at it.
        self.store.flush().await;
        switches.miner.trigger();
        self.miner.ended().await;
        switches.backend.trigger();
        self.backend.ended().await;

        let height = self.devnet.chain.height();
        let ledger = match self.store.ledger(None).await {
            Ok(ledger) => Some(ledger),
            Err(error) => {
                tracing::warn!(error = %pocket_runtime::process::chain(&error), "the ledger cannot be read");
                None
            }
        };
        switches.devnet.trigger();
        self.devnet.stopped().await;
        switches.store_admin.trigger();
        if let Some(task) = self.store_admin {
            let _ = task.await;
        }
        drop(self.store);
        drop(folder);
        Summary { height, ledger, kept }
    }
}
