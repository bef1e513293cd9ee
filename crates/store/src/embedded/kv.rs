//! What the embedded engine wants of a key-value engine: ordered spaces, atomic batches, two strengths of writing.

use bytes::Bytes;

use crate::error::StoreError;

/// A part of the store with keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Space {
    Log,
    Queue,
    Leaf,
    State,
}

impl Space {
    pub(super) const ALL: [Self; 4] = [Self::Log, Self::Queue, Self::Leaf, Self::State];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Queue => "queue",
            Self::Leaf => "leaf",
            Self::State => "state",
        }
    }
}

/// Changes that happen together or not at all.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) changes: Vec<Change>,
}

#[derive(Debug)]
pub(super) enum Change {
    Put(Space, Vec<u8>, Bytes),
    Delete(Space, Vec<u8>),
}

impl Batch {
    pub(super) fn put(&mut self, space: Space, key: Vec<u8>, value: impl Into<Bytes>) {
        self.changes.push(Change::Put(space, key, value.into()));
    }

    pub(super) fn delete(&mut self, space: Space, key: Vec<u8>) {
        self.changes.push(Change::Delete(space, key));
    }
}

/// Keys and values in order.
pub(super) type Rows = Vec<(Vec<u8>, Bytes)>;

pub(super) trait Kv: Send + Sync {
    /// Returns `memory` or `disk`.
    fn kind(&self) -> &'static str;

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Returns rows whose key starts with `prefix` and is not before `from`, at most `limit`.
    fn scan(&self, space: Space, prefix: &[u8], from: &[u8], limit: usize) -> Result<Rows, StoreError>;

    /// Writes a batch so that it survives the end of this process, in any way it may end.
    fn write(&self, batch: Batch) -> Result<(), StoreError>;

    /// Writes everything so far so that it survives the end of the machine.
    fn sync(&self) -> Result<(), StoreError>;

    /// Returns whether `sync` does anything.
    fn needs_sync(&self) -> bool;
}
