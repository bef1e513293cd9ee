//! The embedded engine: one process' own store, in memory or in a folder.
//!
//! All verbs run under one lock over a small key-value engine that writes batches atomically ([`kv`]). What can be
//! computed again is kept in memory only: which entries were handed out to whom, who holds which lease. So a restart
//! hands out again whatever was not acknowledged, which is what a log must do.
//!
//! Layout, by space: `Log` holds relays by supplier and number; they stay there until their session is forgotten, and a
//! leaf's locator is its number, so that bytes are stored once. `Queue` holds the numbers not yet acknowledged. `Leaf`
//! holds packed leaves by supplier, session and path. `State` holds the rest under a letter: `k` boundary records under
//! their Redis names, `s` session records, `l` counters with each supplier's epoch and next number, `q` quarantine.

mod disk;
mod kv;
mod leases;
mod log;
mod memory;
mod records;
mod sessions;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pocket_runtime::task;
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use crate::boundary::Event;
use crate::error::StoreError;
use crate::keys::Namespace;
use crate::lease::LeaseName;
use crate::ledger::Count;
use crate::store::{Durability, EVENTS_MAX, StoreOptions};
use kv::{Batch, Kv, Space};

/// Counters that are ours rather than the ledger's, in the same row so that they change with it.
const LAST: &str = "#last";
const EPOCH: &str = "#epoch";
const OLDEST: &str = "#oldest";
const CLOSED: &str = "#closed";

#[derive(Clone)]
pub(crate) struct Embedded {
    inner: Arc<Inner>,
}

struct Inner {
    kv: Box<dyn Kv>,
    names: Namespace,
    durability: Durability,
    quarantine_max: u64,
    state: Mutex<State>,
    // Rung after each append; every waiting reader hears it.
    arrived: Notify,
    events: broadcast::Sender<Event>,
}

#[derive(Default)]
struct State {
    logs: BTreeMap<String, Log>,
    leases: BTreeMap<LeaseName, HeldLease>,
    leader_epoch: u64,
    // Suppliers with entries that nobody has been handed yet.
    fresh: BTreeSet<String>,
}

struct HeldLease {
    holder: String,
    until: Instant,
}

/// What is known of one supplier's log without reading it.
#[derive(Default)]
struct Log {
    /// The number of the last entry.
    last: u64,
    /// The number of the last entry handed out; those before it that are not among `delivered` are acknowledged.
    cursor: u64,
    /// Entries not acknowledged.
    length: u64,
    /// Of these, handed out since this process started.
    delivered: BTreeMap<u64, Delivery>,
    /// Entries up to here were there when this process started, so they may have been handed out before.
    before_start: u64,
    epoch: u64,
    /// Sessions that end at this height or before are closed.
    closed: u64,
    quarantined: u64,
    counters: BTreeMap<String, i64>,
}

struct Delivery {
    reader: Arc<str>,
    at: Instant,
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

impl Embedded {
    pub(crate) fn memory(options: &StoreOptions) -> Self {
        let kv = Box::new(memory::Memory::default());
        Self::over(kv, options).expect("an empty store has nothing that cannot be read")
    }

    pub(crate) async fn disk(folder: &Path, admin: Option<&str>, options: &StoreOptions) -> Result<Self, StoreError> {
        let (folder, admin, options) = (folder.to_owned(), admin.map(str::to_owned), options.clone());
        task::blocking("store-open", move || {
            Self::over(Box::new(disk::Disk::open(&folder, admin.as_deref())?), &options)
        })
        .await
        .map_err(|error| StoreError::unavailable("open the store", error))?
    }

    fn over(kv: Box<dyn Kv>, options: &StoreOptions) -> Result<Self, StoreError> {
        let state = State::load(kv.as_ref())?;
        let inner = Inner {
            kv,
            names: options.namespace.clone(),
            durability: options.durability,
            quarantine_max: options.quarantine_max,
            state: Mutex::new(state),
            arrived: Notify::new(),
            events: broadcast::channel(EVENTS_MAX).0,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.inner.kv.kind()
    }

    #[expect(clippy::unused_async, reason = "the other engine awaits here")]
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        self.inner.kv.get(Space::State, b"k").map(drop)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state follows the write it mirrors, so a panic between the two leaves nothing half done.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what was written is at the configured level.
    async fn settle(&self) -> Result<(), StoreError> {
        if self.inner.durability == Durability::Process || !self.inner.kv.needs_sync() {
            return Ok(());
        }
        let engine = self.clone();
        task::blocking("store-sync", move || engine.inner.kv.sync())
            .await
            .map_err(|error| StoreError::unavailable("sync the store", error))?
    }

    fn publish(&self, event: Event) {
        // Nobody listening is no failure.
        let _ = self.inner.events.send(event);
    }
}

impl State {
    fn load(kv: &dyn Kv) -> Result<Self, StoreError> {
        let mut state = Self::default();
        for (key, value) in kv.scan(Space::State, b"l", b"l", usize::MAX)? {
            let supplier = String::from_utf8_lossy(&key[1..]).into_owned();
            let mut counters: BTreeMap<String, i64> =
                serde_json::from_slice(&value).map_err(|e| StoreError::corrupt(format!("ledger of {supplier}"), e))?;
            let mut own = |name| counters.remove(name).and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
            let (last, epoch, oldest, closed) = (own(LAST), own(EPOCH), own(OLDEST), own(CLOSED));
            if supplier.is_empty() {
                state.leader_epoch = epoch;
                continue;
            }
            // From the oldest, so that what was acknowledged and is not yet cleared away is not waded through.
            let from = number_key(&supplier, oldest);
            let length = kv.scan(Space::Queue, &supplier_prefix(&supplier), &from, usize::MAX)?.len() as u64;
            let cursor = oldest.saturating_sub(1);
            let log = Log { last, cursor, length, epoch, closed, before_start: last, counters, ..Log::default() };
            if length > 0 {
                state.fresh.insert(supplier.clone());
            }
            state.logs.insert(supplier, log);
        }
        for (key, _) in kv.scan(Space::State, b"q", b"q", usize::MAX)? {
            if let Some((supplier, _)) = split_number(&key[1..]) {
                state.logs.entry(supplier.to_owned()).or_default().quarantined += 1;
            }
        }
        Ok(state)
    }

    fn log(&mut self, supplier: &str) -> &mut Log {
        if !self.logs.contains_key(supplier) {
            self.logs.insert(supplier.to_owned(), Log::default());
        }
        self.logs.get_mut(supplier).expect("it was inserted if it was not there")
    }

    fn epoch(&self, supplier: &str) -> u64 {
        self.logs.get(supplier).map_or(0, |log| log.epoch)
    }
}

impl Log {
    /// Returns a number before which every entry is acknowledged.
    fn oldest(&self) -> u64 {
        self.delivered.first_key_value().map_or(self.cursor + 1, |(number, _)| *number)
    }

    /// Puts this log's row into a batch, with these counters.
    fn put_row(&self, batch: &mut Batch, supplier: &str, counters: &BTreeMap<String, i64>) {
        put_row(batch, supplier, counters, self.own());
    }

    /// Returns what its row says beside the ledger's counters.
    fn own(&self) -> Own {
        Own { last: self.last, epoch: self.epoch, oldest: self.oldest(), closed: self.closed }
    }

    /// Returns the counters as they will be after `counts`.
    fn counted(&self, counts: &[Count]) -> BTreeMap<String, i64> {
        let mut counters = self.counters.clone();
        for count in counts {
            for field in count.fields() {
                *counters.entry(field).or_default() += count.by;
            }
        }
        counters
    }
}

/// What a supplier's row says beside the ledger's counters: the last entry's number, the epoch, the oldest entry's number,
/// and which sessions are closed.
#[derive(Debug, Clone, Copy, Default)]
struct Own {
    last: u64,
    epoch: u64,
    oldest: u64,
    closed: u64,
}

/// Puts a row of counters into a batch.
fn put_row(batch: &mut Batch, supplier: &str, counters: &BTreeMap<String, i64>, own: Own) {
    let mut row: BTreeMap<&str, i64> = counters.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    for (name, value) in [(LAST, own.last), (EPOCH, own.epoch), (OLDEST, own.oldest), (CLOSED, own.closed)] {
        row.insert(name, i64::try_from(value).unwrap_or(i64::MAX));
    }
    let row = serde_json::to_vec(&row).expect("a map of numbers by text is always JSON");
    batch.put(Space::State, ledger_key(supplier), row);
}

fn ledger_key(supplier: &str) -> Vec<u8> {
    [b"l", supplier.as_bytes()].concat()
}

fn record_key(name: &str) -> Vec<u8> {
    [b"k", name.as_bytes()].concat()
}

fn session_key(supplier: &str, session: &str) -> Vec<u8> {
    [b"s", supplier.as_bytes(), b"\0", session.as_bytes()].concat()
}

fn quarantine_key(supplier: &str, number: u64) -> Vec<u8> {
    [b"q".as_slice(), &number_key(supplier, number)].concat()
}

/// The key of a supplier's numbered entry: numbers sort as their bytes do.
fn number_key(supplier: &str, number: u64) -> Vec<u8> {
    [supplier.as_bytes(), b"\0", &number.to_be_bytes()].concat()
}

fn supplier_prefix(supplier: &str) -> Vec<u8> {
    [supplier.as_bytes(), b"\0"].concat()
}

fn split_number(key: &[u8]) -> Option<(&str, u64)> {
    let (head, number) = key.split_last_chunk::<8>()?;
    let supplier = std::str::from_utf8(head.strip_suffix(b"\0")?).ok()?;
    Some((supplier, u64::from_be_bytes(*number)))
}

/// The key of a leaf, or with no path the prefix of a session's leaves.
fn leaf_key(supplier: &str, session: &str, path: &[u8]) -> Vec<u8> {
    [supplier.as_bytes(), b"\0", session.as_bytes(), b"\0", path].concat()
}

/// A stored value with a time to live: the first eight bytes say when it ends, in Unix milliseconds, 0 for never.
fn with_expiry(value: &[u8], expires_ms: i64) -> Bytes {
    [expires_ms.to_be_bytes().as_slice(), value].concat().into()
}

fn split_expiry(stored: &Bytes) -> Option<(i64, Bytes)> {
    let (expires, _) = stored.split_first_chunk::<8>()?;
    Some((i64::from_be_bytes(*expires), stored.slice(8..)))
}
