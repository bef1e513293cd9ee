//! The store's face: domain verbs, the same over every engine.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use pocket_runtime::metrics::Registry;
use pocket_runtime::{clock, task};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::append::{self, Appender, Item, Origin};
use crate::boundary::{BlockEvent, CacheKind, Event, RegistryEvent, RewardableEvent, SupplierState};
use crate::engine::{Answer, Engine};
use crate::error::{AppendError, CommitError, LeaseError, PutError, StoreError};
use crate::keys::Namespace;
use crate::leaf::{CommitBatch, CommitOutcome, PackedLeaf};
use crate::lease::{Lease, LeaseInfo, LeaseName};
use crate::ledger::{Count, Ledger};
use crate::meter::{Allowance, Charge, ChargeKey, Reservations};
use crate::metrics::Metrics;
use crate::reader::Reader;
use crate::relay::{LogEntry, LogPosition, LogStats, MinedRelay};
use crate::session::{SessionRecord, StoredSession};

/// When an append or a commit is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The bytes are with the kernel, or with the Redis server: they survive `kill -9` of our processes.
    /// A Redis server that is killed itself may forget its last two seconds, unless it runs with `appendfsync always`.
    Process,
    /// They are on disk: they survive loss of power.
    Disk,
}

/// How a store behaves, whatever its engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// How keys are named.
    pub namespace: Namespace,
    /// When an append is done.
    pub durability: Durability,
    /// Relays that may wait for the log; one more is refused.
    pub append_queue_max: usize,
    /// Relays appended as one group.
    pub append_batch_max: usize,
    /// How long a group may take, reconnections included, before its appenders are told that it failed.
    pub append_timeout: Duration,
    /// Relays whose cost a replica reserves ahead of serving them.
    pub meter_reserve_relays: u32,
    /// Entries that a quarantine keeps for each supplier; the oldest go first.
    pub quarantine_max: u64,
    /// How long any other operation may take, reconnections included.
    pub operation_timeout: Duration,
}

impl StoreOptions {
    /// Returns what suits one relayer and one miner on one machine: 8,192 relays may wait, groups of 512, 5 s for a group
    /// or an operation, 32 relays reserved ahead, 10,000 entries in quarantine.
    pub fn new(namespace: Namespace, durability: Durability) -> Self {
        Self {
            namespace,
            durability,
            append_queue_max: 8_192,
            append_batch_max: 512,
            append_timeout: Duration::from_secs(5),
            meter_reserve_relays: 32,
            quarantine_max: 10_000,
            operation_timeout: Duration::from_secs(5),
        }
    }

    /// Returns what a process' settings say.
    pub fn from_settings(settings: &pocket_config::common::Store, namespace: Namespace) -> Self {
        let timeout = Duration::from_millis(settings.timeout_ms);
        let durability = match settings.durability {
            pocket_config::common::Durability::Process => Durability::Process,
            pocket_config::common::Durability::Disk => Durability::Disk,
        };
        Self {
            append_queue_max: settings.append_queue_max,
            append_batch_max: settings.append_batch_max,
            append_timeout: timeout,
            quarantine_max: settings.quarantine_max as u64,
            operation_timeout: timeout,
            ..Self::new(namespace, durability)
        }
    }
}

/// Events that a slow subscriber may fall behind before it is told [`Event::Missed`].
pub(crate) const EVENTS_MAX: usize = 1_024;

/// One key, as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// Its name.
    pub key: String,
    /// `string`, `hash`, `set`, `stream`.
    pub kind: String,
    /// How long it still lives; none for ever.
    pub ttl_seconds: Option<u64>,
    /// Elements, or bytes of a string. Only with stats.
    pub entries: Option<u64>,
    /// Bytes it takes, about. Only with stats.
    pub bytes: Option<u64>,
}

/// The state that relayers and miners share. Clones are one store.
#[derive(Clone)]
pub struct Store {
    engine: Arc<Engine>,
    appender: Appender,
    reservations: Arc<Reservations>,
    options: Arc<StoreOptions>,
    // Set once, by whoever has a registry.
    metrics: Arc<OnceLock<Metrics>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("engine", &self.engine.kind())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store that a process' settings name. `admin` is as in [`Self::disk`].
    pub fn open<'a>(
        settings: &'a pocket_config::common::Store,
        redis: &'a pocket_config::common::Redis,
        meter_key_prefix: &'a str,
        admin: Option<&'a str>,
    ) -> Answer<'a, Result<Self, StoreError>> {
        Box::pin(Self::open_as_told(settings, redis, meter_key_prefix, admin))
    }

    async fn open_as_told(
        settings: &pocket_config::common::Store,
        redis: &pocket_config::common::Redis,
        meter_key_prefix: &str,
        admin: Option<&str>,
    ) -> Result<Self, StoreError> {
        let options =
            StoreOptions::from_settings(settings, Namespace::from_settings(&redis.namespace, meter_key_prefix));
        match settings.kind {
            pocket_config::common::StoreKind::Redis => Self::redis(&redis.url, options).await,
            pocket_config::common::StoreKind::Embedded if settings.data_dir.is_empty() => Ok(Self::memory(options)),
            pocket_config::common::StoreKind::Embedded => {
                Self::disk(std::path::Path::new(&settings.data_dir), admin, options).await
            }
        }
    }

    /// Opens a store in this process' memory: nothing outlives the last clone. Must be called inside a runtime.
    pub fn memory(options: StoreOptions) -> Self {
        Self::over(Engine::memory(&options), options)
    }

    /// Opens a store in a folder of this machine, making it if there is none. Must be called inside a runtime.
    ///
    /// `admin` is where this process answers read verbs, as the folder's lock file shall say. Fails with
    /// [`StoreError::InUse`] while another process holds the folder.
    pub async fn disk(
        folder: &std::path::Path,
        admin: Option<&str>,
        options: StoreOptions,
    ) -> Result<Self, StoreError> {
        Ok(Self::over(Engine::disk(folder, admin, &options).await?, options))
    }

    /// Connects to a Redis server, `redis://host:port/db` or `unix:///path`, and checks that it is fit for money.
    ///
    /// Fails with [`StoreError::Setup`] and a remedy if it is too old, may evict keys, or cannot keep the level of
    /// durability; warns when it would forget everything at its own restart.
    pub async fn redis(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        Ok(Self::over(Engine::redis(url, &options).await?, options))
    }

    fn over(engine: Engine, options: StoreOptions) -> Self {
        let engine = Arc::new(engine);
        let (appender, requests) = Appender::channel(options.append_queue_max);
        let metrics = Arc::new(OnceLock::new());
        let run = append::run(Arc::clone(&engine), requests, options.append_batch_max.max(1), Arc::clone(&metrics));
        drop(task::spawn("store-append", run));
        Self { engine, appender, reservations: Arc::default(), options: Arc::new(options), metrics }
    }

    /// Counts what this store does in a process' metrics. The first registry stays.
    pub fn observe(&self, registry: &Registry) {
        let _ = self.metrics.set(Metrics::new(registry));
    }

    /// Returns `memory`, `disk` or `redis`.
    pub fn kind(&self) -> &'static str {
        self.engine.kind()
    }

    /// Returns how this store behaves.
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// Returns how keys are named.
    pub fn names(&self) -> &Namespace {
        &self.options.namespace
    }

    /// Checks that the store answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.engine.ping().await
    }

    // The relay log.

    /// Appends a relay that has just been served to its supplier's log and counts it as served and logged.
    ///
    /// Returns when it stands at the configured durability. Waits on no connection: relays of all callers go as one group.
    /// Fails with [`AppendError::Closed`] once [`Self::close_sessions`] has closed its session: whoever asked must not be
    /// answered then.
    pub async fn append(&self, relay: MinedRelay) -> Result<LogPosition, AppendError> {
        self.append_from(relay, Origin::Served).await
    }

    /// Appends a relay that was answered while the log was away, and counts it as served and logged.
    ///
    /// It is taken even if its session is closed: the miner then rejects it as late, and the ledger shows it.
    pub async fn append_answered(&self, relay: MinedRelay) -> Result<LogPosition, AppendError> {
        self.append_from(relay, Origin::Answered).await
    }

    /// Closes a supplier's log to relays of sessions that end at `end_height` or before; others that were closed at greater
    /// heights are open again, as on a development chain that went back. Fenced by the supplier's epoch.
    ///
    /// From here on no entry of such a session is added but by [`Self::append_answered`] and by programs that append past
    /// this store, so what is in the log now is all that a claim can hold.
    pub async fn close_sessions(&self, supplier: &str, end_height: i64, epoch: u64) -> Result<(), PutError> {
        self.engine.close_sessions(supplier, end_height, epoch).await
    }

    /// Returns the height at or before which sessions of the supplier have ended that are closed; 0 if none is.
    pub async fn closed_sessions(&self, supplier: &str) -> Result<i64, StoreError> {
        self.engine.closed_sessions(supplier).await
    }

    async fn append_from(&self, relay: MinedRelay, origin: Origin) -> Result<LogPosition, AppendError> {
        let started = clock::now();
        let result = self.append_encoded(relay, origin).await;
        if let Some(metrics) = self.metrics.get() {
            metrics.appended(&result, started.elapsed(), self.appends_waiting());
        }
        result
    }

    async fn append_encoded(&self, mut relay: MinedRelay, origin: Origin) -> Result<LogPosition, AppendError> {
        if let Some(reason) = relay.problem() {
            return Err(AppendError::Invalid { reason });
        }
        if relay.published_at_unix_nano == 0 {
            relay.published_at_unix_nano = i64::try_from(clock::unix().as_nanos()).unwrap_or(i64::MAX);
        }
        let data = Bytes::from(relay.encode_to_vec());
        let MinedRelay { supplier_operator_address: supplier, session_id: session, session_end_height, .. } = relay;
        self.appender.append(Item { supplier, session, session_end: session_end_height, data, origin }).await
    }

    /// Returns how many relays wait to be appended.
    pub fn appends_waiting(&self) -> usize {
        self.appender.waiting()
    }

    /// Waits until everything that was waiting to be appended has been answered.
    pub async fn flush(&self) {
        self.appender.flush().await;
    }

    /// Returns a reader of relay logs. See [`Reader`] for the consumer's name and `claim_idle`.
    pub fn reader(&self, consumer: &str, claim_idle: Duration) -> Reader {
        Reader::new(Arc::clone(&self.engine), consumer, claim_idle)
    }

    /// Moves an entry to the supplier's bounded quarantine and acknowledges it; counts it as rejected for `reason`.
    ///
    /// `note` says in words what is wrong with this entry.
    pub async fn quarantine(
        &self,
        entry: &LogEntry,
        reason: &'static str,
        note: &str,
        epoch: u64,
    ) -> Result<(), CommitError> {
        self.engine.quarantine(entry, reason, note, epoch).await
    }

    /// Returns what a supplier's log holds now.
    pub async fn log_stats(&self, supplier: &str) -> Result<LogStats, StoreError> {
        self.engine.log_stats(supplier).await
    }

    // Leaves.

    /// Adds leaves to a session and acknowledges their entries in one atomic step, together with rejected ones.
    ///
    /// Idempotent by entry and by path: a batch may be repeated until it succeeds. Fenced by the supplier's epoch; refused
    /// for leaves of a sealed session. Makes the session's record if there is none.
    pub async fn commit(&self, batch: CommitBatch) -> Result<CommitOutcome, CommitError> {
        let result = self.engine.commit(batch).await;
        if let (Some(metrics), Ok(outcome)) = (self.metrics.get(), &result) {
            metrics.committed(outcome);
        }
        result
    }

    /// Returns every leaf of a session, in order of path.
    pub async fn leaves(&self, supplier: &str, session: &str) -> Result<Vec<PackedLeaf>, StoreError> {
        self.engine.leaves(supplier, session).await
    }

    /// Returns the bytes of a leaf's relay: the value in the trie.
    pub async fn leaf_bytes(
        &self,
        supplier: &str,
        session: &str,
        path: &[u8; 32],
    ) -> Result<Option<Bytes>, StoreError> {
        self.engine.leaf_bytes(supplier, session, path).await
    }

    // Sessions.

    /// Writes a session's record if it is at `expected_revision` (0: there is none) and `epoch` is the supplier's, and raises
    /// the counters in the same step. Returns the new revision, which the stored record then has.
    pub async fn session_put(
        &self,
        record: &SessionRecord,
        epoch: u64,
        expected_revision: u64,
        counts: &[Count],
    ) -> Result<u64, PutError> {
        self.engine.session_put(record, epoch, expected_revision, counts).await
    }

    /// Returns a session's record.
    pub async fn session(&self, supplier: &str, session: &str) -> Result<Option<StoredSession>, StoreError> {
        self.engine.session(supplier, session).await
    }

    /// Returns the records of a supplier's sessions, in order of session id.
    pub async fn sessions(&self, supplier: &str) -> Result<Vec<StoredSession>, StoreError> {
        self.engine.sessions(supplier).await
    }

    /// Deletes a session's record, leaves and bytes. What the ledger counted stays counted, so forget only what is final.
    pub async fn forget_session(&self, supplier: &str, session: &str, epoch: u64) -> Result<(), PutError> {
        self.engine.forget_session(supplier, session, epoch).await
    }

    // Leases.

    /// Takes a lease. Taking one's own again raises the epoch too: an earlier self may still be alive.
    pub async fn lease_acquire(&self, name: &LeaseName, holder: &str, ttl: Duration) -> Result<Lease, LeaseError> {
        self.engine.lease_acquire(name, holder, ttl).await
    }

    /// Keeps a lease for another `ttl`. A lease that ran out is kept if nobody else has taken it since.
    pub async fn lease_renew(&self, lease: &Lease, ttl: Duration) -> Result<(), LeaseError> {
        self.engine.lease_renew(lease, ttl).await
    }

    /// Gives a lease back, if it is still held.
    pub async fn lease_release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.engine.lease_release(lease).await
    }

    /// Returns who holds a lease.
    pub async fn lease(&self, name: &LeaseName) -> Result<Option<LeaseInfo>, StoreError> {
        self.engine.lease(name).await
    }

    /// Returns who leads.
    pub async fn leader(&self) -> Result<Option<LeaseInfo>, StoreError> {
        self.lease(&LeaseName::Leader).await
    }

    // The meter.

    /// Charges the cost of a relay, in upokt, before it is served. Normally touches no store.
    pub async fn charge(&self, key: &ChargeKey, cost: u64, allowance: &Allowance) -> Result<Charge, StoreError> {
        if let Some(total) = self.reservations.spend(key, cost) {
            return Ok(Charge::Charged { total });
        }
        let want = self.reservations.wanted(key, cost, allowance.limit_upokt, self.options.meter_reserve_relays);
        let reserved = self.engine.meter_reserve(key, allowance, cost, want).await?;
        if reserved.granted < cost {
            return Ok(Charge::Over { total: reserved.total, limit: allowance.limit_upokt });
        }
        Ok(Charge::Charged { total: self.reservations.granted(key, reserved, cost) })
    }

    /// Gives back the cost of a relay that was charged and not served. It serves the next one.
    pub fn refund(&self, key: &ChargeKey, cost: u64) {
        self.reservations.refund(key, cost);
    }

    /// Forgets a session's meter here and returns its unspent reservation to the store.
    pub async fn meter_release(&self, session: &str, supplier: &str) -> Result<(), StoreError> {
        match self.reservations.forget(session, supplier) {
            0 => Ok(()),
            unspent => self.engine.meter_return(session, supplier, unspent).await,
        }
    }

    /// Returns every unspent reservation to the store, on the way out.
    pub async fn meter_return_all(&self) -> Result<(), StoreError> {
        for (session, supplier, unspent) in self.reservations.drain() {
            self.engine.meter_return(&session, &supplier, unspent).await?;
        }
        Ok(())
    }

    /// Deletes a session's meter and tells every relayer to forget it: the session is being claimed.
    pub async fn meter_cleanup(&self, session: &str, supplier: &str) -> Result<(), StoreError> {
        self.reservations.forget(session, supplier);
        self.engine.meter_cleanup(session, supplier).await
    }

    // Boundary records and events.

    /// Subscribes to what other processes, and this one, make known from now on.
    pub async fn subscribe(&self) -> Result<Events, StoreError> {
        Ok(Events { receiver: self.engine.subscribe().await? })
    }

    /// Makes a new block known, and keeps it for those who start before the next one.
    pub async fn block_publish(&self, block: &BlockEvent) -> Result<(), StoreError> {
        self.engine.block_publish(block).await
    }

    /// Returns the highest block that was made known.
    pub async fn block_last(&self) -> Result<Option<BlockEvent>, StoreError> {
        self.engine.block_last().await
    }

    /// Writes a supplier's state for relayers and makes it known. A `last_updated` of 0 is replaced by now.
    pub async fn supplier_put(&self, state: &SupplierState) -> Result<(), StoreError> {
        let mut state = state.clone();
        if state.last_updated == 0 {
            state.last_updated = clock::unix().seconds();
        }
        self.engine.supplier_put(&state).await
    }

    /// Returns a supplier's state; a record that contradicts itself counts as none.
    pub async fn supplier(&self, supplier: &str) -> Result<Option<SupplierState>, StoreError> {
        Ok(self.engine.supplier(supplier).await?.filter(|state| !state.is_contaminated()))
    }

    /// Returns every supplier's state, in order of address.
    pub async fn suppliers(&self) -> Result<Vec<SupplierState>, StoreError> {
        let mut states = self.engine.suppliers().await?;
        states.retain(|state| !state.is_contaminated());
        Ok(states)
    }

    /// Deletes a supplier's state and makes that known.
    pub async fn supplier_delete(&self, supplier: &str) -> Result<(), StoreError> {
        self.engine.supplier_delete(supplier).await
    }

    /// Writes a supplier's registry entry as the event says, and makes the event known.
    pub async fn registry_publish(&self, event: &RegistryEvent) -> Result<(), StoreError> {
        self.engine.registry_publish(event).await
    }

    /// Writes a service's factor (none: the default's) for `ttl` and makes that known.
    pub async fn service_factor_put(
        &self,
        service: Option<&str>,
        factor: f64,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        self.engine.service_factor_put(service, factor, ttl).await
    }

    /// Returns a service's factor, or else the default one.
    pub async fn service_factor(&self, service: &str) -> Result<Option<f64>, StoreError> {
        self.engine.service_factor(service).await
    }

    /// Marks a session as one that no longer pays, for `ttl`, and makes that known.
    pub async fn session_unrewardable(&self, session: &str, reason: &str, ttl: Duration) -> Result<(), StoreError> {
        let event = RewardableEvent { session_id: session.to_owned(), is_rewardable: false, reason: reason.to_owned() };
        self.engine.rewardable_put(&event, ttl).await
    }

    /// Returns whether a session still pays.
    pub async fn session_rewardable(&self, session: &str) -> Result<bool, StoreError> {
        self.engine.rewardable(session).await
    }

    /// Writes a shared cache entry; `id` is none for kinds that have one entry only, `ttl` none for ever.
    pub async fn cache_put(
        &self,
        kind: CacheKind,
        id: Option<&str>,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<(), StoreError> {
        self.engine.cache_put(kind, id, value, ttl).await
    }

    /// Returns a shared cache entry.
    pub async fn cache_get(&self, kind: CacheKind, id: Option<&str>) -> Result<Option<Bytes>, StoreError> {
        self.engine.cache_get(kind, id).await
    }

    /// Deletes a shared cache entry (none: just says that all are stale) and makes that known.
    pub async fn cache_invalidate(&self, kind: CacheKind, id: Option<&str>) -> Result<(), StoreError> {
        self.engine.cache_invalidate(kind, id).await
    }

    // The ledger.

    /// Raises a supplier's counters for events that leave no other trace here, such as relays skipped by difficulty.
    pub async fn count(&self, supplier: &str, counts: &[Count]) -> Result<(), StoreError> {
        self.engine.count(supplier, counts).await
    }

    /// Returns where every relay of one supplier, or of all, went.
    pub async fn ledger(&self, supplier: Option<&str>) -> Result<Ledger, StoreError> {
        self.engine.ledger(supplier).await
    }

    // Administration.

    /// Returns the suppliers that the store knows: those with a log, a lease, records or counters.
    pub async fn known_suppliers(&self) -> Result<Vec<String>, StoreError> {
        self.engine.known_suppliers().await
    }

    /// Returns the keys that match a pattern of Redis' `KEYS`, in order, with what they hold if `stats`.
    pub async fn keys(&self, pattern: &str, stats: bool) -> Result<Vec<KeyInfo>, StoreError> {
        self.engine.keys(pattern, stats).await
    }
}

/// Events as they come.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
}

impl Events {
    /// Waits for the next event; none when the store is gone.
    pub async fn next(&mut self) -> Option<Event> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Event::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
