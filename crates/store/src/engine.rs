//! The two engines behind the verbs, told apart once.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast;

use crate::append::{Appended, Item};
use crate::boundary::{BlockEvent, CacheKind, Event, RegistryEvent, RewardableEvent, SupplierState};
use crate::embedded::Embedded;
use crate::error::{CommitError, LeaseError, PutError, StoreError};
use crate::leaf::{CommitBatch, CommitOutcome, PackedLeaf};
use crate::lease::{Lease, LeaseInfo, LeaseName};
use crate::ledger::{Count, Ledger};
use crate::meter::{Allowance, ChargeKey, Reserved};
use crate::redis::Redis;
use crate::relay::{EntryId, LogEntry, LogStats};
use crate::session::{SessionRecord, StoredSession};
use crate::store::{KeyInfo, StoreOptions};

#[derive(Debug)]
pub(crate) enum Engine {
    Embedded(Embedded),
    Redis(Box<Redis>),
}

/// What a verb gives: boxed, so that the code of both engines is compiled here, once, and not again in every crate and
/// binary that awaits it.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Writes one method per verb that asks whichever engine there is.
macro_rules! verbs {
    ($lifetime:lifetime: $($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        impl Engine {
            $(
                pub(crate) fn $name<$lifetime>(&$lifetime self, $($argument: $type),*) -> Answer<$lifetime, $result> {
                    match self {
                        Self::Embedded(engine) => Box::pin(engine.$name($($argument),*)),
                        Self::Redis(engine) => Box::pin(engine.$name($($argument),*)),
                    }
                }
            )*
        }
    };
}

verbs! {
    'a:
    ping() -> Result<(), StoreError>;
    append(items: Vec<Item>) -> Vec<Result<Appended, Arc<StoreError>>>;
    read_own(consumer: &'a str, after: &'a [(String, EntryId)], max: usize) -> Result<Vec<LogEntry>, StoreError>;
    read_idle(consumer: &'a str, suppliers: &'a [String], idle: Duration, max: usize) -> Result<Vec<LogEntry>, StoreError>;
    read_new(consumer: &'a str, suppliers: &'a [String], max: usize, wait: Duration) -> Result<Vec<LogEntry>, StoreError>;
    quarantine(entry: &'a LogEntry, reason: &'static str, note: &'a str, epoch: u64) -> Result<(), CommitError>;
    log_stats(supplier: &'a str) -> Result<LogStats, StoreError>;
    commit(batch: CommitBatch) -> Result<CommitOutcome, CommitError>;
    leaves(supplier: &'a str, session: &'a str) -> Result<Vec<PackedLeaf>, StoreError>;
    leaf_bytes(supplier: &'a str, session: &'a str, path: &'a [u8; 32]) -> Result<Option<Bytes>, StoreError>;
    session_put(record: &'a SessionRecord, epoch: u64, expected: u64, counts: &'a [Count]) -> Result<u64, PutError>;
    session(supplier: &'a str, session: &'a str) -> Result<Option<StoredSession>, StoreError>;
    sessions(supplier: &'a str) -> Result<Vec<StoredSession>, StoreError>;
    forget_session(supplier: &'a str, session: &'a str, epoch: u64) -> Result<(), PutError>;
    close_sessions(supplier: &'a str, end_height: i64, epoch: u64) -> Result<(), PutError>;
    closed_sessions(supplier: &'a str) -> Result<i64, StoreError>;
    lease_acquire(name: &'a LeaseName, holder: &'a str, ttl: Duration) -> Result<Lease, LeaseError>;
    lease_renew(lease: &'a Lease, ttl: Duration) -> Result<(), LeaseError>;
    lease_release(lease: &'a Lease) -> Result<(), StoreError>;
    lease(name: &'a LeaseName) -> Result<Option<LeaseInfo>, StoreError>;
    meter_reserve(key: &'a ChargeKey, allowance: &'a Allowance, cost: u64, want: u64) -> Result<Reserved, StoreError>;
    meter_return(session: &'a str, supplier: &'a str, unspent: u64) -> Result<(), StoreError>;
    meter_cleanup(session: &'a str, supplier: &'a str) -> Result<(), StoreError>;
    subscribe() -> Result<broadcast::Receiver<Event>, StoreError>;
    block_publish(block: &'a BlockEvent) -> Result<(), StoreError>;
    block_last() -> Result<Option<BlockEvent>, StoreError>;
    supplier_put(state: &'a SupplierState) -> Result<(), StoreError>;
    supplier(supplier: &'a str) -> Result<Option<SupplierState>, StoreError>;
    suppliers() -> Result<Vec<SupplierState>, StoreError>;
    supplier_delete(supplier: &'a str) -> Result<(), StoreError>;
    registry_publish(event: &'a RegistryEvent) -> Result<(), StoreError>;
    service_factor_put(service: Option<&'a str>, factor: f64, ttl: Duration) -> Result<(), StoreError>;
    service_factor(service: &'a str) -> Result<Option<f64>, StoreError>;
    rewardable_put(event: &'a RewardableEvent, ttl: Duration) -> Result<(), StoreError>;
    rewardable(session: &'a str) -> Result<bool, StoreError>;
    cache_put(kind: CacheKind, id: Option<&'a str>, value: Bytes, ttl: Option<Duration>) -> Result<(), StoreError>;
    cache_get(kind: CacheKind, id: Option<&'a str>) -> Result<Option<Bytes>, StoreError>;
    cache_invalidate(kind: CacheKind, id: Option<&'a str>) -> Result<(), StoreError>;
    count(supplier: &'a str, counts: &'a [Count]) -> Result<(), StoreError>;
    ledger(supplier: Option<&'a str>) -> Result<Ledger, StoreError>;
    known_suppliers() -> Result<Vec<String>, StoreError>;
    keys(pattern: &'a str, stats: bool) -> Result<Vec<KeyInfo>, StoreError>;
}

impl Engine {
    pub(crate) fn memory(options: &StoreOptions) -> Self {
        Self::Embedded(Embedded::memory(options))
    }

    pub(crate) async fn disk(
        folder: &std::path::Path,
        admin: Option<&str>,
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        Ok(Self::Embedded(Embedded::disk(folder, admin, options).await?))
    }

    pub(crate) async fn redis(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        Ok(Self::Redis(Box::new(Redis::connect(url, options).await?)))
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Embedded(engine) => engine.kind(),
            Self::Redis(_) => "redis",
        }
    }
}
