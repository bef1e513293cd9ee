//! The Redis engine: one server that relayers and miners of a fleet share.
//!
//! **Connections.** A fixed small number, whatever the number of suppliers: one for reads and scripts, one for appends (a
//! wait for the disk on it delays appends alone), one for reading logs, one for subscriptions once somebody subscribes.
//!
//! **Once.** Every step that matters is a script, so it happens whole or not at all, and repeating it is harmless: an append
//! carries its writer and batch number and answers a repeated batch with the entries it made before; a commit is idempotent
//! by entry and path; a record is written against its revision; counters carry a call number. So an operation whose answer
//! was lost on a broken connection is simply sent again until its time is over.
//!
//! **What comes later, and why it needs no new shape.**
//!
//! - *Valkey* speaks the same commands; the check at start reads the version it claims to be compatible with, and nothing
//!   here depends on commands that one of the two lacks (`XACK` and `XDEL` in one script serve where `XACKDEL` would).
//! - *Sentinel*: a [`link::Link`] makes its connection from a client each time the last one broke; asking the sentinels for
//!   the master at that point is the whole change. Level `replica` is one more command after an append, where `WAITAOF` is.
//! - *Cluster*: every key that changes together with a supplier's stream has the whole stream key as its hash tag, so each
//!   script's keys lie in one slot under any namespace; meter scripts touch one key each; reads of many streams are already
//!   grouped by [`READ_STREAMS_MAX`], and would be grouped by slot.
//! - *Take-over between miners*: leases with epochs are here, and every write that matters already presents its epoch; what
//!   is missing is only the policy of who should hold which lease, which is the miner's.

mod admin;
mod check;
mod link;
mod log;
mod records;
mod scripts;
mod sessions;
mod values;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pocket_runtime::{random, task};
use redis::{Client, Pipeline, Value};
use tokio::sync::broadcast;

use crate::boundary::Event;
use crate::error::{Fenced, StoreError};
use crate::keys::Namespace;
use crate::store::{EVENTS_MAX, StoreOptions};
use check::Capabilities;
use link::Link;
use scripts::Scripts;

/// How long the server may take to answer one command.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a subscription may be silent before the server is asked whether it is there.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// How long subscribing may take.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Streams in one read.
const READ_STREAMS_MAX: usize = 1_000;
/// How long a meter that nobody charges is kept, as in the reference.
const METER_TTL_SECONDS: u64 = 7_200;
/// How long the server may take to have a write on its disk.
const DISK_WAIT_MS: u64 = 1_500;

pub(crate) struct Redis {
    client: Client,
    // Reads and scripts.
    control: Link,
    // Appends alone.
    appends: Link,
    // Reading logs: the server is asked to wait on it.
    reads: Link,
    names: Namespace,
    scripts: Scripts,
    capabilities: Capabilities,
    append_timeout: Duration,
    operation_timeout: Duration,
    quarantine_max: u64,
    // Names this process among the writers of a stream.
    writer: String,
    batch: AtomicU64,
    // One call at a time, so that the last call's number is enough to know a repeated one.
    counting: tokio::sync::Mutex<u64>,
    // Suppliers that are in the set of known ones.
    known: Mutex<BTreeSet<String>>,
    // Suppliers whose consumer group stands.
    grouped: Mutex<BTreeSet<String>>,
    events: broadcast::Sender<Event>,
    // Forwards what is published; ends with the engine. None until somebody subscribes.
    listener: tokio::sync::Mutex<Option<task::AbortOnDrop<()>>>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("version", &self.capabilities.version).finish_non_exhaustive()
    }
}

impl Redis {
    pub(crate) async fn connect(url: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        let client = Client::open(url).map_err(|error| StoreError::Setup {
            problem: format!("redis.url cannot be read: {error}"),
            remedy: "write it as redis://[user:password@]host:port[/db] or unix:///path".to_owned(),
        })?;
        let control = Link::new(client.clone(), Some(ANSWER_TIMEOUT));
        let capabilities = check::check(&control, options.durability, options.operation_timeout).await?;
        tracing::info!(version = capabilities.version, "connected to the Redis server");
        Ok(Self {
            control,
            appends: Link::new(client.clone(), Some(ANSWER_TIMEOUT)),
            reads: Link::new(client.clone(), None),
            client,
            names: options.namespace.clone(),
            scripts: Scripts::new(),
            capabilities,
            append_timeout: options.append_timeout,
            operation_timeout: options.operation_timeout,
            quarantine_max: options.quarantine_max,
            writer: format!("{:016x}", random::u64()),
            batch: AtomicU64::new(0),
            counting: tokio::sync::Mutex::new(0),
            known: Mutex::default(),
            grouped: Mutex::default(),
            events: broadcast::channel(EVENTS_MAX).0,
            listener: tokio::sync::Mutex::new(None),
        })
    }

    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        let mut commands = redis::pipe();
        commands.cmd("PING").ignore();
        self.control.run("reach the Redis server", ANSWER_TIMEOUT, &commands).await
    }

    /// Sends commands on the control connection until they succeed or their time is over.
    async fn run<T: redis::FromRedisValue>(
        &self,
        operation: &'static str,
        commands: &Pipeline,
    ) -> Result<T, StoreError> {
        self.control.run(operation, self.operation_timeout, commands).await
    }

    /// Sends one command whose effect must stand at the configured durability, and returns its answer.
    async fn run_durable(&self, operation: &'static str, mut commands: Pipeline) -> Result<Value, StoreError> {
        if !self.capabilities.wait_aof {
            let (answer,): (Value,) = self.run(operation, &commands).await?;
            return Ok(answer);
        }
        commands.cmd("WAITAOF").arg(1).arg(0).arg(DISK_WAIT_MS);
        let (answer, synced): (Value, (i64, i64)) =
            self.appends.run(operation, self.operation_timeout, &commands).await?;
        if synced.0 < 1 {
            return Err(StoreError::unavailable(operation, "the server's disk did not confirm in time"));
        }
        Ok(answer)
    }

    /// Adds a supplier to the set of those that have keys of ours.
    async fn know(&self, supplier: &str) -> Result<(), StoreError> {
        if self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(supplier) {
            return Ok(());
        }
        let mut commands = redis::pipe();
        commands.cmd("SADD").arg(self.names.known_suppliers()).arg(supplier).ignore();
        self.run::<()>("note a supplier", &commands).await?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(supplier.to_owned());
        Ok(())
    }
}

/// Reads a script's refusal of a writer that is not the owner any more.
fn fenced(supplier: &str, presented: u64, current: &str) -> Fenced {
    Fenced { supplier: supplier.to_owned(), presented, current: current.parse().unwrap_or(0) }
}
