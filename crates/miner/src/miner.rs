//! Wiring: what every part stands on, start, drain.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pocket_chain::{Chain, ConnectError, GasPolicy, Keys, KeysError};
use pocket_config::metrics::Catalogue;
use pocket_config::miner::Miner as Settings;
use pocket_protocol::tx::GasPrice;
use pocket_runtime::admin::{self, Admin, Health, Routes};
use pocket_runtime::metrics::Registry;
use pocket_runtime::net::{BindError, TcpListener};
use pocket_runtime::shutdown::Shutdown;
use pocket_runtime::task::{self, Task};
use pocket_store::{Store, StoreError};
use tokio::sync::{Notify, Semaphore};

use crate::event::{Events, Teller};
use crate::instance::Instance;
use crate::keep::Keeper;
use crate::lifecycle::Rules;
use crate::losses::Losses;
use crate::metrics::Metrics;
use crate::settlement::Settled;
use crate::tenure::Tenure;
use crate::{books, ingest, leader};

/// How long the binary waits for a full node, so that processes may be started in any order.
const CHAIN_PATIENCE: Duration = Duration::from_mins(1);

/// Silence of the reader of logs after which `/livez` fails: it turns several times a second.
const INGEST_SILENCE: Duration = Duration::from_secs(30);

/// Block times without a block after which `/livez` fails.
const SILENT_BLOCKS: f64 = 10.0;

/// Shortest such silence, for chains whose blocks are quicker than a hiccup of the machine.
const BLOCK_SILENCE_MIN: Duration = Duration::from_mins(1);

/// Longest between two looks at whether every supplier is ours.
const READY_POLL: Duration = Duration::from_millis(5);

/// Why the miner did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The admin listener's address is taken or wrong.
    #[error("failed to open the admin listener")]
    Listen(#[from] BindError),
    /// There is no key to sign with.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The gas price is none.
    #[error("`transaction.gas_price` cannot be used")]
    GasPrice(#[from] pocket_protocol::tx::DecimalError),
    /// No full node.
    #[error(transparent)]
    Chain(#[from] ConnectError),
    /// No store.
    #[error("failed to open the store")]
    Store(#[from] StoreError),
}

/// What the miner stands on, shared with whoever else runs in this process.
#[derive(Clone)]
pub struct Deps {
    /// The chain.
    pub chain: Chain,
    /// The shared state.
    pub store: Store,
}

/// A miner that runs until its shutdown.
pub struct Running {
    /// Where `/metrics`, `/livez` and `/readyz` are, if that listener is on.
    pub admin_addr: Option<SocketAddr>,
    /// Suppliers whose keys it has, in order of address.
    pub suppliers: Vec<String>,
    miner: Arc<Miner>,
    tasks: Vec<Task<()>>,
    /// Nobody else has this miner's name until its last task has ended.
    _instance: Instance,
}

impl Running {
    /// Waits until every supplier is ours, its sessions resumed. Beside another replica that may be never.
    pub async fn ready(&self) {
        while self.miner.tenures().len() < self.suppliers.len() {
            // A change that came between is not heard; the wait is short.
            let _ = tokio::time::timeout(READY_POLL, self.miner.fleet_changed()).await;
        }
    }

    /// Listens to what happens to claims. Whoever asks first hears everything since the start, others from now on.
    pub fn events(&self) -> Events {
        self.miner.teller.listen()
    }

    /// Waits until everything under way has been written and every lease given back.
    pub async fn ended(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            // A panic has been logged and counted where it happened.
            let _ = task.await;
        }
    }

    /// Stops at once, in the middle of whatever is under way, as `kill -9` would. For tests of what a restart finds.
    pub async fn abort(mut self) {
        let tasks = std::mem::take(&mut self.tasks);
        for task in &tasks {
            task.abort();
        }
        for task in tasks {
            let _ = task.await;
        }
    }
}

/// What every part of the miner shares.
pub(crate) struct Miner {
    pub(crate) settings: Settings,
    /// This replica, in leases and consumer groups.
    pub(crate) name: String,
    pub(crate) chain: Chain,
    pub(crate) store: Store,
    pub(crate) keys: Keys,
    pub(crate) gas: GasPolicy,
    pub(crate) rules: Rules,
    pub(crate) metrics: Metrics,
    pub(crate) teller: Teller,
    pub(crate) settled: Settled,
    pub(crate) losses: Losses,
    /// Transactions under way.
    pub(crate) submissions: Semaphore,
    /// Suppliers that are ours. Written by keepers, read by ingest; never held over an await.
    tenures: Mutex<BTreeMap<String, Arc<Tenure>>>,
    fleet: Notify,
}

impl Miner {
    pub(crate) fn lease_ttl(&self) -> Duration {
        Duration::from_secs(self.settings.supplier_claiming.claim_ttl_seconds.max(1))
    }

    pub(crate) fn tenures(&self) -> BTreeMap<String, Arc<Tenure>> {
        self.lock().clone()
    }

    pub(crate) fn add(&self, tenure: &Arc<Tenure>) {
        self.lock().insert(tenure.supplier.clone(), tenure.clone());
        self.told();
    }

    pub(crate) fn remove(&self, tenure: &Tenure) {
        self.lock().retain(|_, one| one.supplier != tenure.supplier || one.lease.epoch != tenure.lease.epoch);
        self.told();
    }

    fn told(&self) {
        self.metrics.suppliers.set(i64::try_from(self.lock().len()).unwrap_or(i64::MAX));
        self.fleet.notify_waiters();
    }

    /// Waits until a supplier comes or goes.
    pub(crate) async fn fleet_changed(&self) {
        self.fleet.notified().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Tenure>>> {
        self.tenures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a miner by itself: connects to the chain, opens the store, mines until `shutdown`.
///
/// # Errors
/// [`StartError`] saying what is missing and the remedy.
pub fn run<'a>(
    settings: &'a Settings,
    shutdown: &'a Shutdown,
) -> std::pin::Pin<Box<dyn Future<Output = Result<(), StartError>> + Send + 'a>> {
    // Boxed at the crate's border, so that its code is compiled here, once, and not again in every binary that awaits it.
    Box::pin(run_alone(settings, shutdown))
}

async fn run_alone(settings: &Settings, shutdown: &Shutdown) -> Result<(), StartError> {
    // The meter's keys belong to relayers; their prefix is a setting of theirs with this default.
    let store = Store::open(&settings.store, &settings.redis, METER_KEY_PREFIX, None).await?;
    let Some(chain) = shutdown.unless_triggered(Chain::connect(&settings.pocket_node, CHAIN_PATIENCE, shutdown)).await
    else {
        return Ok(());
    };
    start(settings, Deps { chain: chain?, store }, shutdown).await?.ended().await;
    Ok(())
}

/// Prefix of the relay meter's keys, as relayers use by default.
const METER_KEY_PREFIX: &str = "ha";

/// Checks what can be checked without a chain and a store: keys and prices. Returns the suppliers to mine for.
///
/// # Errors
/// [`StartError`] saying what is wrong.
pub fn check(settings: &Settings) -> Result<Vec<String>, StartError> {
    settings.transaction.gas_price.parse::<GasPrice>()?;
    Ok(Keys::load(&settings.keys)?.iter().map(|(address, _)| address.clone()).collect())
}

/// Mines for the suppliers whose keys the settings name, until `shutdown`.
///
/// # Errors
/// [`StartError`]: keys that cannot be loaded, a price that is none, an admin address that is taken.
pub fn start<'a>(
    settings: &'a Settings,
    deps: Deps,
    shutdown: &'a Shutdown,
) -> std::pin::Pin<Box<dyn Future<Output = Result<Running, StartError>> + Send + 'a>> {
    // Boxed at the crate's border, so that its code is compiled here, once, and not again in every binary that awaits it.
    Box::pin(open(settings, deps, shutdown))
}

async fn open(settings: &Settings, deps: Deps, shutdown: &Shutdown) -> Result<Running, StartError> {
    let keys = Keys::load(&settings.keys)?;
    let registry = Registry::new("miner", Catalogue::builtin());
    let health = Health::new();
    let instance = instance(settings, &deps.store);
    let transaction = &settings.transaction;
    let miner = Arc::new(Miner {
        name: instance.name.clone(),
        gas: GasPolicy {
            limit: transaction.gas_limit,
            price: transaction.gas_price.parse()?,
            adjustment: transaction.gas_adjustment,
        },
        rules: Rules {
            // A simulation runs at the height that is there; a fixed limit needs none.
            lead: i64::from(transaction.gas_limit > 0),
            resends_max: transaction.max_rebroadcasts,
            kept_blocks: i64::try_from(settings.limits.session_kept_blocks).unwrap_or(i64::MAX),
        },
        metrics: Metrics::new(&registry),
        teller: Teller::new(),
        settled: Settled::default(),
        losses: Losses::default(),
        submissions: Semaphore::new(settings.limits.submissions_in_flight_max.clamp(1, Semaphore::MAX_PERMITS)),
        tenures: Mutex::default(),
        fleet: Notify::new(),
        settings: settings.clone(),
        chain: deps.chain,
        store: deps.store,
        keys,
    });

    let mut tasks = Vec::new();
    let mut admin_addr = None;
    if settings.metrics.enabled {
        let listener = TcpListener::bind(&settings.metrics.bind_addr()).await?;
        admin_addr = Some(listener.local_addr());
        let admin = Admin { registry, health: health.clone(), routes: Routes::new() };
        let shutdown = shutdown.clone();
        tasks.push(task::spawn("miner admin", async move {
            admin::serve(listener, admin, shutdown).await;
        }));
    }
    let block_silence = Duration::try_from_secs_f64(settings.block_time_seconds.max(0.0) * SILENT_BLOCKS)
        .unwrap_or(Duration::MAX)
        .max(BLOCK_SILENCE_MIN);
    let ready = health.readiness("suppliers", "no supplier is ours yet");
    let reading = health.heartbeat("ingest", INGEST_SILENCE);
    let following = health.heartbeat("blocks", block_silence);
    tasks.push(task::spawn("ingest", ingest::run(miner.clone(), reading, shutdown.clone())));
    tasks.push(task::spawn("leader", leader::run(miner.clone(), shutdown.clone())));
    tasks.push(task::spawn("books", books::run(miner.clone(), ready, following, shutdown.clone())));
    for (supplier, key) in miner.keys.iter() {
        let keeper = Keeper { miner: miner.clone(), supplier: supplier.clone(), key: key.clone() };
        tasks.push(task::spawn("supplier", keeper.run(shutdown.clone())));
    }
    let suppliers: Vec<_> = miner.keys.iter().map(|(address, _)| address.clone()).collect();
    tracing::info!(name = %miner.name, suppliers = suppliers.len(), store = miner.store.kind(), "mining");
    Ok(Running { admin_addr, suppliers, miner, tasks, _instance: instance })
}

/// Returns this replica's name: the same after a restart, so that it takes back what it held at once.
fn instance(settings: &Settings, store: &Store) -> Instance {
    let given = &settings.redis.consumer_name;
    if !given.is_empty() {
        return Instance::named(given);
    }
    if store.kind() != "redis" {
        return Instance::named("miner");
    }
    let folder = &settings.store.data_dir;
    Instance::take(if folder.is_empty() { None } else { Some(Path::new(folder)) })
}
