//! Wiring: build, run, drain.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pocket_chain::{Chain, ConnectError, Keys, KeysError};
use pocket_config::common::{Durability, StoreKind};
use pocket_config::metrics::Catalogue;
use pocket_config::relayer::{Relayer as Settings, Service, ValidationMode};
use pocket_crypto::ring::Verifier;
use pocket_protocol::proof::request_bytes_max;
use pocket_runtime::admin::{self, Admin, Health, Routes};
use pocket_runtime::http::{self as runtime_http, Budget, ServeOptions};
use pocket_runtime::metrics::Registry;
use pocket_runtime::net::{BindError, TcpListener};
use pocket_runtime::shutdown::Shutdown;
use pocket_runtime::task::{self, Task};
use pocket_store::{Store, StoreError};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::account::{Log, Spool, SpoolError, replay, run_counts};
use crate::calendar::Calendar;
use crate::health::{self, Needs};
use crate::height::Height;
use crate::http;
use crate::lookups::Lookups;
use crate::metrics::Metrics;
use crate::relay::{Meter, Pipeline, durability_word};
use crate::serve::{ServiceError, probe, services};
use crate::sessions::Sessions;
use crate::suppliers::Suppliers;

/// How long the binary waits for a full node, so that processes may be started in any order.
const CHAIN_PATIENCE: Duration = Duration::from_mins(1);

/// Idle connections of gateways are kept this long.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);

/// Relays on one HTTP/2 connection at a time.
const STREAMS_MAX: u32 = 256;

/// Connections to the health listener: a few probes.
const HEALTH_CONNECTIONS_MAX: usize = 64;

/// Why the relayer did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's address is taken or wrong.
    #[error("failed to open the {what} listener")]
    Listen {
        /// Which one.
        what: &'static str,
        /// Why, with the remedy.
        #[source]
        source: BindError,
    },
    /// There is no key to sign with.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A service cannot be served as configured.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The spool folder cannot be used.
    #[error("failed to open the spool")]
    Spool(#[from] SpoolError),
    /// No full node.
    #[error(transparent)]
    Chain(#[from] ConnectError),
    /// No store.
    #[error("failed to open the store")]
    Store(#[from] StoreError),
}

/// What the relayer stands on, shared with whoever else runs in this process.
#[derive(Clone)]
pub struct Deps {
    /// The chain.
    pub chain: Chain,
    /// The shared state.
    pub store: Store,
}

/// A relayer that runs until its shutdown.
pub struct Running {
    /// Where gateways call.
    pub addr: SocketAddr,
    /// Where `/metrics`, `/livez` and `/readyz` are, if that listener is on.
    pub admin_addr: Option<SocketAddr>,
    /// Where `/health` and `/ready` are, if that listener is on.
    pub health_addr: Option<SocketAddr>,
    pipeline: Arc<Pipeline>,
    relay_port: Task<()>,
    others: Vec<Task<()>>,
    shutdown: Shutdown,
}

impl Running {
    /// Waits until the relayer has drained: no more requests, those in flight answered, everything written.
    pub async fn ended(self) {
        // Panics have been logged and counted where they happened.
        let _ = self.relay_port.await;
        // Nobody is connected any more, but a relay runs on when its caller has left.
        let draining = Instant::now() + self.shutdown.remaining();
        if tokio::time::timeout_at(draining, self.pipeline.drained()).await.is_err() {
            let relays = self.pipeline.relays_in_flight();
            tracing::warn!(relays, "relays outlived the grace period and are left to themselves");
        }
        // The relays in flight are done: what they left behind is written before the store goes.
        let deadline = Instant::now() + self.shutdown.remaining().max(FLUSH_TIME);
        let flushing = async {
            self.pipeline.log.flush_counts().await;
            self.pipeline.store.flush().await;
            if let Err(error) = self.pipeline.store.meter_return_all().await {
                tracing::warn!(error = %error, "unspent allowances were not returned");
            }
        };
        if tokio::time::timeout_at(deadline, flushing).await.is_err() {
            tracing::warn!("the store did not take the last counts in time");
        }
        for task in self.others {
            let _ = task.await;
        }
    }
}

/// Time given to the last writes even when the grace period is over.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// Runs a relayer by itself: connects to the chain, opens the store, serves until `shutdown`.
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
    let prefix = &settings.relay_meter.redis_key_prefix;
    let store = Store::open(&settings.store, &settings.redis, prefix, None).await?;
    let Some(chain) = shutdown.unless_triggered(Chain::connect(&settings.pocket_node, CHAIN_PATIENCE, shutdown)).await
    else {
        return Ok(());
    };
    start(settings, Deps { chain: chain?, store }, shutdown).await?.ended().await;
    Ok(())
}

/// What `--check` has to say about settings that are good.
#[derive(Debug)]
pub struct Check {
    /// One fact a line.
    pub lines: Vec<String>,
}

/// Checks what can be checked without a chain or a store: keys are loaded, services made.
///
/// # Errors
/// [`StartError`] as [`start`] would give it.
pub fn check(settings: &Settings) -> Result<Check, StartError> {
    let keys = Keys::load(&settings.keys)?;
    let metrics = Metrics::new(&Registry::new("relayer", Catalogue::builtin()));
    let services = services(settings, &metrics)?;
    let store = match settings.store.kind {
        StoreKind::Redis => "redis".to_owned(),
        StoreKind::Embedded if settings.store.data_dir.is_empty() => "embedded, in memory".to_owned(),
        StoreKind::Embedded => format!("embedded, in {}", settings.store.data_dir),
    };
    let spool = spool_folder(settings).map_or_else(
        || "none: while the log is away relays are refused (set `spool_dir`)".to_owned(),
        |folder| format!("{}, at most {} bytes", folder.display(), settings.spool_bytes_max),
    );
    let mut lines = vec![
        format!("suppliers: {}", keys.len()),
        format!("services: {}", services.keys().cloned().collect::<Vec<_>>().join(", ")),
        format!("store: {store}"),
        format!("durability: {}", durability_word(settings.store.durability)),
        format!("spool: {spool}"),
        format!("largest request: {}", largest_request(settings)),
        format!("meter: {}", if settings.relay_meter.enabled { "charges before serving" } else { "off" }),
    ];
    lines.extend(keys.addresses().map(|address| format!("supplier {address}")));
    let optimistic: Vec<String> = optimistic(settings).map(|service| format!("services.{service}")).collect();
    if !optimistic.is_empty() {
        lines.push(format!("note: {}: {CHECKED_EAGERLY}", optimistic.join(", ")));
    }
    Ok(Check { lines })
}

/// Bytes of a block beside its transactions: header, and the signatures of some thousand validators.
const BLOCK_BYTES_BESIDE_TXS: usize = 128 << 10;

fn largest_request(settings: &Settings) -> String {
    let provable = request_bytes_max(bytes(settings.limits.tx_bytes_max));
    if provable < bytes(settings.default_max_body_size_bytes) {
        return format!(
            "{provable} bytes, as a relay must be provable in a transaction of {} (limits.tx_bytes_max)",
            settings.limits.tx_bytes_max
        );
    }
    format!("{} bytes (default_max_body_size_bytes)", settings.default_max_body_size_bytes)
}

/// Returns how long a request may be, so that its relay can be proved in a transaction that nodes take and a block holds.
async fn provable_bytes_max(settings: &Settings, chain: &Chain) -> usize {
    let mut tx_bytes_max = bytes(settings.limits.tx_bytes_max);
    match chain.block_bytes_max().await {
        Ok(block) => {
            let by_block = block.map_or(usize::MAX, |block| block.saturating_sub(BLOCK_BYTES_BESIDE_TXS));
            tx_bytes_max = tx_bytes_max.min(by_block);
        }
        Err(error) => {
            tracing::warn!(error = %error, tx_bytes_max, "cannot read how long blocks may be; going by the settings");
        }
    }
    request_bytes_max(tx_bytes_max)
}

fn bytes(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// What is said of services that ask for less.
const CHECKED_EAGERLY: &str = "`optimistic` validation is not part of this version: their relays are checked eagerly, \
                               each before it is served";

/// The services that are configured `optimistic`, by themselves or by the default.
fn optimistic(settings: &Settings) -> impl Iterator<Item = &str> {
    let mode = |service: &Service| service.validation_mode.unwrap_or(settings.default_validation_mode);
    let services = settings.services.iter();
    services.filter(move |(_, service)| mode(service) == ValidationMode::Optimistic).map(|(id, _)| id.as_str())
}

fn spool_folder(settings: &Settings) -> Option<PathBuf> {
    if !settings.spool_dir.is_empty() {
        return Some(PathBuf::from(&settings.spool_dir));
    }
    let data = &settings.store.data_dir;
    (settings.store.kind == StoreKind::Embedded && !data.is_empty()).then(|| Path::new(data).join("relayer-spool"))
}

/// Opens the listeners and serves until `shutdown`.
///
/// # Errors
/// [`StartError`] naming what is wrong, and the remedy.
pub fn start<'a>(
    settings: &'a Settings,
    deps: Deps,
    shutdown: &'a Shutdown,
) -> std::pin::Pin<Box<dyn Future<Output = Result<Running, StartError>> + Send + 'a>> {
    // Boxed at the crate's border, so that its code is compiled here, once, and not again in every binary that awaits it.
    Box::pin(open(settings, deps, shutdown))
}

async fn open(settings: &Settings, deps: Deps, shutdown: &Shutdown) -> Result<Running, StartError> {
    let registry = Registry::new("relayer", Catalogue::builtin());
    let health = Health::new();
    let needs = Needs::register(&health);
    let provable_bytes_max = provable_bytes_max(settings, &deps.chain).await;
    let pipeline = Arc::new(pipeline(settings, deps, &registry)?);
    pipeline.store.observe(&registry);
    let events = pipeline.store.subscribe().await.ok();
    if let Err(error) = pipeline.suppliers.reload(&pipeline.store).await {
        tracing::warn!(error = %error, "cannot read the registry of suppliers; serving those whose keys are held");
    }

    let mut others = Vec::new();
    let listener = bind("relay", &settings.listen_addr).await?;
    let addr = listener.local_addr();
    let health_addr = if settings.health_check.enabled {
        let listener = bind("health", &settings.health_check.bind_addr()).await?;
        let addr = listener.local_addr();
        others.push(serve_health(listener, pipeline.clone(), health.clone(), shutdown.clone()));
        Some(addr)
    } else {
        None
    };
    let admin_addr = if settings.metrics.enabled {
        let listener = bind("metrics", &settings.metrics.bind_addr()).await?;
        let addr = listener.local_addr();
        let (admin, shutdown) = (Admin { registry, health, routes: Routes::new() }, shutdown.clone());
        others.push(task::spawn("relayer admin", async move {
            admin::serve(listener, admin, shutdown).await;
        }));
        Some(addr)
    } else {
        None
    };
    others.push(task::spawn("relayer watch", health::watch(pipeline.clone(), needs, shutdown.clone())));
    others.extend(background(&pipeline, events, shutdown));
    let http = Arc::new(http::Options {
        body_bytes_max: bytes(settings.default_max_body_size_bytes),
        provable_bytes_max,
        bodies: Budget::new(bytes(settings.limits.body_bytes_held_max)),
        client_timeout: Duration::from_millis(settings.limits.client_timeout_ms),
        compression: settings.response_compression.clone(),
    });
    let relay_port = serve_relays(settings, listener, pipeline.clone(), http, shutdown.clone());
    let (suppliers, services) = (pipeline.suppliers.keys.len(), pipeline.services.len());
    tracing::info!(%addr, suppliers, services, provable_bytes_max, "relayer serves");
    Ok(Running { addr, admin_addr, health_addr, pipeline, relay_port, others, shutdown: shutdown.clone() })
}

async fn bind(what: &'static str, address: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { what, source })
}

fn pipeline(settings: &Settings, deps: Deps, registry: &Registry) -> Result<Pipeline, StartError> {
    let keys = Keys::load(&settings.keys)?;
    let metrics = Metrics::new(registry);
    let services = services(settings, &metrics)?;
    let optimistic = optimistic(settings).collect::<Vec<_>>().join(", ");
    if !optimistic.is_empty() {
        tracing::warn!(services = optimistic, "{CHECKED_EAGERLY}");
    }
    let synced = settings.store.durability == Durability::Disk;
    let spool = match spool_folder(settings) {
        Some(folder) => Some(Spool::open(&folder, settings.spool_bytes_max, synced)?),
        None => None,
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let crypto = if settings.limits.crypto_concurrency == 0 { cores } else { settings.limits.crypto_concurrency };
    let Deps { chain, store } = deps;
    let limits = &settings.limits;
    let relays_max = u32::try_from(limits.relays_in_flight_max).unwrap_or(u32::MAX);
    Ok(Pipeline {
        services,
        suppliers: Suppliers::new(keys),
        sessions: Sessions::new(limits.sessions_max),
        calendar: Calendar::default(),
        lookups: Lookups::new(limits.session_lookups_waiting_max, limits.sessions_max),
        height: Height::new(chain.clone()),
        chain,
        log: Log::new(store.clone(), spool, metrics.clone()),
        store,
        verifier: Verifier::with_table_bytes(limits.ring_points_max, limits.ring_table_bytes_max),
        crypto: Semaphore::new(crypto),
        relays_max,
        in_flight: Arc::new(Semaphore::new(
            usize::try_from(relays_max).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS),
        )),
        meter: Meter { enabled: settings.relay_meter.enabled, fail_behavior: settings.relay_meter.fail_behavior },
        unknown: metrics.counters(None, None),
        metrics,
    })
}

/// Duties beside the road: replay, counts, events, probes.
fn background(pipeline: &Arc<Pipeline>, events: Option<pocket_store::Events>, shutdown: &Shutdown) -> Vec<Task<()>> {
    let again = |pipeline: &Arc<Pipeline>| (pipeline.clone(), shutdown.clone());
    let mut tasks = Vec::new();
    let (replaying, leaving) = again(pipeline);
    tasks.push(task::supervise("relayer replay", shutdown.clone(), move || replay(replaying.clone(), leaving.clone())));
    let (counting, leaving) = again(pipeline);
    tasks.push(task::supervise("relayer counts", shutdown.clone(), move || {
        run_counts(counting.clone(), leaving.clone())
    }));
    let (following, leaving) = again(pipeline);
    let mut events = events;
    tasks.push(task::supervise("relayer events", shutdown.clone(), move || {
        health::follow(following.clone(), events.take(), leaving.clone())
    }));
    for service in pipeline.services.values() {
        for backend in service.backends.values().filter(|backend| backend.probe.is_some()) {
            for index in 0..backend.endpoints.len() {
                let (backend, leaving) = (backend.clone(), shutdown.clone());
                let start = move || probe(backend.clone(), index, leaving.clone());
                tasks.push(task::supervise("relayer probe", shutdown.clone(), start));
            }
        }
    }
    tasks
}

fn serve_relays(
    settings: &Settings,
    listener: TcpListener,
    pipeline: Arc<Pipeline>,
    http: Arc<http::Options>,
    shutdown: Shutdown,
) -> Task<()> {
    let client_timeout = http.client_timeout;
    let options = ServeOptions {
        name: "relayer",
        max_connections: settings.limits.connections_max,
        header_timeout: client_timeout,
        idle_timeout: IDLE_TIMEOUT,
        write_timeout: client_timeout,
        max_headers: 100,
        max_header_bytes: 64 << 10,
        h2c: true,
        max_streams: STREAMS_MAX,
    };
    task::spawn("relayer port", async move {
        let service = move |request| http::respond(pipeline.clone(), http.clone(), request);
        runtime_http::serve(listener, options, service, shutdown).await;
    })
}

fn serve_health(listener: TcpListener, pipeline: Arc<Pipeline>, health: Health, shutdown: Shutdown) -> Task<()> {
    let options = ServeOptions {
        name: "relayer health",
        max_connections: HEALTH_CONNECTIONS_MAX,
        header_timeout: Duration::from_secs(10),
        idle_timeout: IDLE_TIMEOUT,
        write_timeout: Duration::from_secs(10),
        max_headers: 100,
        max_header_bytes: 16 << 10,
        h2c: false,
        max_streams: 1,
    };
    task::spawn("relayer health", async move {
        let service = move |request| {
            let (pipeline, health) = (pipeline.clone(), health.clone());
            async move { health::respond(&pipeline, &health, &request) }
        };
        runtime_http::serve(listener, options, service, shutdown).await;
    })
}
