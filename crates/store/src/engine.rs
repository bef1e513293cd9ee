//! The two engines behind the verbs, told apart once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast;

use crate::append::Item;
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

/// Writes one method per verb that asks whichever engine there is.
macro_rules! verbs {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        impl Engine {
            $(
                pub(crate) async fn $name(&self, $($argument: $type),*) -> $result {
                    match self {
                        Self::Embedded(engine) => engine.$name($($argument),*).await,
                        Self::Redis(engine) => engine.$name($($argument),*).await,
                    }
                }
            )*
        }
    };
}

verbs! {
    ping() -> Result<(), StoreError>;
    append(items: Vec<Item>) -> Vec<Result<EntryId, Arc<StoreError>>>;
    read_own(consumer: &str, after: &[(String, EntryId)], max: usize) -> Result<Vec<LogEntry>, StoreError>;
    read_idle(consumer: &str, suppliers: &[String], idle: Duration, max: usize) -> Result<Vec<LogEntry>, StoreError>;
    read_new(consumer: &str, suppliers: &[String], max: usize, wait: Duration) -> Result<Vec<LogEntry>, StoreError>;
    quarantine(entry: &LogEntry, reason: &'static str, note: &str, epoch: u64) -> Result<(), CommitError>;
    log_stats(supplier: &str) -> Result<LogStats, StoreError>;
    commit(batch: CommitBatch) -> Result<CommitOutcome, CommitError>;
    leaves(supplier: &str, session: &str) -> Result<Vec<PackedLeaf>, StoreError>;
    leaf_bytes(supplier: &str, session: &str, path: &[u8; 32]) -> Result<Option<Bytes>, StoreError>;
    session_put(record: &SessionRecord, epoch: u64, expected: u64, counts: &[Count]) -> Result<u64, PutError>;
    session(supplier: &str, session: &str) -> Result<Option<StoredSession>, StoreError>;
    sessions(supplier: &str) -> Result<Vec<StoredSession>, StoreError>;
    forget_session(supplier: &str, session: &str, epoch: u64) -> Result<(), PutError>;
    lease_acquire(name: &LeaseName, holder: &str, ttl: Duration) -> Result<Lease, LeaseError>;
    lease_renew(lease: &Lease, ttl: Duration) -> Result<(), LeaseError>;
    lease_release(lease: &Lease) -> Result<(), StoreError>;
    lease(name: &LeaseName) -> Result<Option<LeaseInfo>, StoreError>;
    meter_reserve(key: &ChargeKey, allowance: &Allowance, cost: u64, want: u64) -> Result<Reserved, StoreError>;
    meter_return(session: &str, supplier: &str, unspent: u64) -> Result<(), StoreError>;
    meter_cleanup(session: &str, supplier: &str) -> Result<(), StoreError>;
    subscribe() -> Result<broadcast::Receiver<Event>, StoreError>;
    block_publish(block: &BlockEvent) -> Result<(), StoreError>;
    block_last() -> Result<Option<BlockEvent>, StoreError>;
    supplier_put(state: &SupplierState) -> Result<(), StoreError>;
    supplier(supplier: &str) -> Result<Option<SupplierState>, StoreError>;
    suppliers() -> Result<Vec<SupplierState>, StoreError>;
    supplier_delete(supplier: &str) -> Result<(), StoreError>;
    registry_publish(event: &RegistryEvent) -> Result<(), StoreError>;
    service_factor_put(service: Option<&str>, factor: f64, ttl: Duration) -> Result<(), StoreError>;
    service_factor(service: &str) -> Result<Option<f64>, StoreError>;
    rewardable_put(event: &RewardableEvent, ttl: Duration) -> Result<(), StoreError>;
    rewardable(session: &str) -> Result<bool, StoreError>;
    cache_put(kind: CacheKind, id: Option<&str>, value: Bytes, ttl: Option<Duration>) -> Result<(), StoreError>;
    cache_get(kind: CacheKind, id: Option<&str>) -> Result<Option<Bytes>, StoreError>;
    cache_invalidate(kind: CacheKind, id: Option<&str>) -> Result<(), StoreError>;
    count(supplier: &str, counts: &[Count]) -> Result<(), StoreError>;
    ledger(supplier: Option<&str>) -> Result<Ledger, StoreError>;
    known_suppliers() -> Result<Vec<String>, StoreError>;
    keys(pattern: &str, stats: bool) -> Result<Vec<KeyInfo>, StoreError>;
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
