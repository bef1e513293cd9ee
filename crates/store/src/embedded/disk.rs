//! Rows in a folder, kept by fjall: a journal that every batch goes to first, and trees it is sorted into later.

use std::ops::Bound;
use std::path::Path;

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable as _};
use pocket_runtime::fs;

use super::kv::{Batch, Change, Kv, Rows, Space};
use crate::error::StoreError;
use crate::lock;

/// Blocks kept in memory for reading.
const CACHE_BYTES: u64 = 4 << 20;
/// Unsorted rows of one space kept in memory; more are sorted out to files. Small, so that a store is small.
const MEMTABLE_BYTES: u64 = 4 << 20;
/// The same for the log, where most bytes go: the engine syncs its journal each time, and appends wait for that.
const LOG_MEMTABLE_BYTES: u64 = 16 << 20;
/// Journal kept before the spaces that still need it are sorted out: the smallest the engine allows, for quick opening.
const JOURNAL_BYTES: u64 = 64 << 20;
/// Threads that sort and compact.
const WORKER_THREADS: usize = 2;
/// Open files.
const FILES_MAX: usize = 128;

pub(super) struct Disk {
    database: Database,
    spaces: [Keyspace; Space::ALL.len()],
}

impl Disk {
    pub(super) fn open(folder: &Path, admin: Option<&str>) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(|error| StoreError::Setup {
            problem: format!("data folder {} cannot be made: {error}", folder.display()),
            remedy: "choose a folder that this user may write".to_owned(),
        })?;
        let database = Database::builder(folder.join("store"))
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .worker_threads(WORKER_THREADS)
            .max_cached_files(Some(FILES_MAX))
            .open();
        let database = match database {
            Ok(database) => database,
            Err(fjall::Error::Locked) => {
                return Err(StoreError::InUse { folder: folder.display().to_string(), owner: lock::owner(folder) });
            }
            Err(error) => return Err(failed("open the store", error)),
        };
        lock::write(folder, admin)?;
        let open = |space: Space| {
            let memtable = if space == Space::Log { LOG_MEMTABLE_BYTES } else { MEMTABLE_BYTES };
            let options = || KeyspaceCreateOptions::default().max_memtable_size(memtable);
            database.keyspace(space.name(), options).map_err(|error| failed("open the store", error))
        };
        let spaces = [open(Space::Log)?, open(Space::Queue)?, open(Space::Leaf)?, open(Space::State)?];
        Ok(Self { database, spaces })
    }

    fn space(&self, space: Space) -> &Keyspace {
        match space {
            Space::Log => &self.spaces[0],
            Space::Queue => &self.spaces[1],
            Space::Leaf => &self.spaces[2],
            Space::State => &self.spaces[3],
        }
    }
}

fn failed(operation: &'static str, error: fjall::Error) -> StoreError {
    StoreError::unavailable(operation, error)
}

impl Kv for Disk {
    fn kind(&self) -> &'static str {
        "disk"
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value = self.space(space).get(key).map_err(|error| failed("read the store", error))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(&self, space: Space, prefix: &[u8], from: &[u8], limit: usize) -> Result<Rows, StoreError> {
        let start = if from > prefix { from } else { prefix };
        // Bounded above: behind the last row of a prefix stand the deleted rows of the next one, and an open range would
        // wade through them all to find that there is nothing.
        let range = (Bound::Included(start.to_vec()), after_prefix(prefix));
        let mut rows = Vec::new();
        for row in self.database.snapshot().range(self.space(space), range).take(limit) {
            let (key, value) = row.into_inner().map_err(|error| failed("read the store", error))?;
            rows.push((key.to_vec(), Bytes::copy_from_slice(&value)));
        }
        Ok(rows)
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        // `Buffer` hands the bytes to the kernel: they survive this process, not the machine.
        let mut writes = self.database.batch().durability(Some(PersistMode::Buffer));
        for change in batch.changes {
            match change {
                Change::Put(space, key, value) => writes.insert(self.space(space), key, value.as_ref()),
                Change::Delete(space, key) => writes.remove(self.space(space), key),
            }
        }
        writes.commit().map_err(|error| failed("write the store", error))
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.database.persist(PersistMode::SyncAll).map_err(|error| failed("sync the store", error))
    }

    fn needs_sync(&self) -> bool {
        true
    }
}

/// The first key behind all that begin with `prefix`.
fn after_prefix(prefix: &[u8]) -> Bound<Vec<u8>> {
    let Some(last) = prefix.iter().rposition(|byte| *byte != u8::MAX) else { return Bound::Unbounded };
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Bound::Excluded(end)
}
