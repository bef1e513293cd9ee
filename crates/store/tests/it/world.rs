//! A store of one test, and what it stands on.

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use pocket_store::{
    CommitBatch, Delivered, Durability, EntryId, Leaf, LogEntry, MinedRelay, Namespace, SessionHeader, Store,
    StoreOptions,
};
use pocket_testbed::{Config, RedisServer, Version};

/// How long a test waits for what must come.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// How long a test waits to see that nothing comes.
pub(crate) const MOMENT: Duration = Duration::from_millis(50);
/// How long an entry must be idle before another reader takes it over, unless a test says otherwise.
pub(crate) const CLAIM_IDLE: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Memory,
    Disk,
    Redis(Version),
}

impl Backend {
    pub(crate) fn outlives_its_process(self) -> bool {
        self != Self::Memory
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Disk => f.write_str("disk"),
            Self::Redis(version) => version.fmt(f),
        }
    }
}

pub(crate) fn options() -> StoreOptions {
    StoreOptions::new(Namespace::default(), Durability::Process)
}

pub(crate) struct World {
    pub(crate) backend: Backend,
    pub(crate) store: Store,
    pub(crate) server: Option<RedisServer>,
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new(backend: Backend) -> anyhow::Result<Self> {
        Self::with(backend, options()).await
    }

    pub(crate) async fn with(backend: Backend, options: StoreOptions) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut server = None;
        let store = match backend {
            Backend::Memory => Store::memory(options),
            Backend::Disk => Store::disk(folder.path(), None, options).await?,
            Backend::Redis(version) => {
                let started = RedisServer::start(version, Config::durable()).await?;
                let store = Store::redis(&started.url(), options).await?;
                server = Some(started);
                store
            }
        };
        Ok(Self { backend, store, server, folder })
    }

    /// Returns another process' view of the store, as near as this engine has one.
    pub(crate) async fn another(&self) -> anyhow::Result<Store> {
        match &self.server {
            Some(server) => Ok(Store::redis(&server.url(), self.store.options().clone()).await?),
            None => Ok(self.store.clone()),
        }
    }

    /// Opens the store again, on its server as killed and restarted.
    pub(crate) async fn reopen(mut self) -> anyhow::Result<Self> {
        let options = self.store.options().clone();
        self.store.flush().await;
        self.store = match self.backend {
            Backend::Memory => anyhow::bail!("nothing of a store in memory can be opened again"),
            Backend::Disk => {
                drop(std::mem::replace(&mut self.store, Store::memory(options.clone())));
                open_when_free(self.folder.path(), options).await?
            }
            Backend::Redis(_) => {
                let server = self.server.as_mut().context("a world on Redis has a server")?;
                server.restart().await?;
                Store::redis(&server.url(), options).await?
            }
        };
        Ok(self)
    }
}

/// Opens a folder whose last owner is on its way out.
pub(crate) async fn open_when_free(folder: &std::path::Path, options: StoreOptions) -> anyhow::Result<Store> {
    let deadline = tokio::time::Instant::now() + SOON;
    loop {
        match Store::disk(folder, None, options.clone()).await {
            Ok(store) => return Ok(store),
            Err(pocket_store::StoreError::InUse { .. }) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Runs a test in a runtime of its own.
pub(crate) fn run<F>(backend: Backend, test: impl FnOnce(World) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let world = World::new(backend).await?;
        tokio::time::timeout(SOON * 6, test(world)).await.context("the test took too long")?
    })
}

pub(crate) const SUPPLIER: &str = "pokt1xwh8ww4n8ecxavguwv4078z8d4pkse4szgry84";

pub(crate) fn header(supplier: &str, session: &str) -> SessionHeader {
    SessionHeader {
        supplier: supplier.to_owned(),
        session: session.to_owned(),
        service: "develop-http".to_owned(),
        application: "pokt1app".to_owned(),
        start_height: 11,
        end_height: 20,
    }
}

/// Returns a relay that is told apart by `number`.
pub(crate) fn relay(supplier: &str, session: &str, number: u64) -> MinedRelay {
    MinedRelay {
        relay_hash: Bytes::copy_from_slice(&path(number)),
        relay_bytes: Bytes::from(format!("relay {number} of {session}")),
        compute_units_per_relay: 1_000,
        session_id: session.to_owned(),
        session_end_height: 20,
        supplier_operator_address: supplier.to_owned(),
        service_id: "develop-http".to_owned(),
        application_address: "pokt1app".to_owned(),
        arrival_block_height: 15,
        published_at_unix_nano: 1,
        session_start_height: 11,
    }
}

/// Returns the path of relay `number`: spread out, as digests are.
pub(crate) fn path(number: u64) -> [u8; 32] {
    let mut path = [0; 32];
    path[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    path[24..].copy_from_slice(&number.to_be_bytes());
    path
}

pub(crate) fn leaf(number: u64, entry: EntryId) -> Leaf {
    Leaf { path: path(number), leaf_hash: [7; 32], weight: 1_000, entry }
}

/// Returns the leaf of an entry made by [`relay`].
pub(crate) fn leaf_of(entry: &LogEntry) -> Leaf {
    let Delivered::Relay(relay) = &entry.relay else { panic!("{entry:?} is no relay") };
    let path = relay.relay_hash.as_ref().try_into().expect("test relays carry 32 bytes");
    Leaf { path, leaf_hash: [7; 32], weight: relay.compute_units_per_relay, entry: entry.id }
}

pub(crate) fn batch(header: SessionHeader, epoch: u64, leaves: Vec<Leaf>) -> CommitBatch {
    CommitBatch { header, epoch, leaves, rejected: Vec::new() }
}

/// Appends relays `numbers` of one session, all at once, and returns their entries in order.
pub(crate) async fn append_all(
    store: &Store,
    supplier: &str,
    session: &str,
    numbers: std::ops::Range<u64>,
) -> anyhow::Result<Vec<EntryId>> {
    let appends = numbers.map(|number| store.append(relay(supplier, session, number)));
    let mut ids = Vec::new();
    for appended in futures_util::future::join_all(appends).await {
        ids.push(appended?.id);
    }
    Ok(ids)
}
