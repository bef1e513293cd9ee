//! Transactions waiting for a block, in the order in which they came, and the cache that refuses to see one twice.

use std::collections::{BTreeSet, VecDeque};

use crate::header::Hash;

/// Bytes of all waiting transactions together.
pub const MEMPOOL_BYTES_MAX: usize = 64 << 20;
/// Hashes that the cache remembers, as on the node.
pub const CACHE_MAX: usize = 10_000;

/// Bounds of a mempool.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Transactions waiting.
    pub txs: usize,
    /// Bytes of one transaction.
    pub tx_bytes: usize,
}

/// A transaction that passed its check.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its hash.
    pub hash: Hash,
    /// Gas it asks for.
    pub gas_wanted: i64,
    /// First height whose block may take it.
    pub not_before: i64,
}

/// Why a transaction is not even checked. The texts are the node's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The same bytes were seen before.
    #[error("tx already exists in cache")]
    InCache,
    /// It is larger than this node takes.
    #[error("Tx too large. Max size is {max}, but got {size}")]
    TooLarge {
        /// Bytes allowed.
        max: usize,
        /// Bytes given.
        size: usize,
    },
    /// No more may wait.
    #[error("mempool is full: number of txs {txs} (max: {txs_max}), total txs bytes {bytes} (max: {bytes_max})")]
    Full {
        /// Waiting now.
        txs: usize,
        /// Allowed to wait.
        txs_max: usize,
        /// Bytes waiting now.
        bytes: usize,
        /// Bytes allowed.
        bytes_max: usize,
    },
}

/// The waiting transactions of a node.
#[derive(Debug, Clone)]
pub struct Mempool {
    limits: Limits,
    pending: VecDeque<Pending>,
    bytes: usize,
    cached: BTreeSet<Hash>,
    cached_order: VecDeque<Hash>,
}

impl Mempool {
    /// Makes an empty one.
    pub fn new(limits: Limits) -> Self {
        Self { limits, pending: VecDeque::new(), bytes: 0, cached: BTreeSet::new(), cached_order: VecDeque::new() }
    }

    /// Returns how many transactions wait.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Returns whether none waits.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Admits bytes to the check, and remembers having seen them.
    pub fn see(&mut self, bytes: &[u8], hash: Hash) -> Result<(), SubmitError> {
        if bytes.len() > self.limits.tx_bytes {
            return Err(SubmitError::TooLarge { max: self.limits.tx_bytes, size: bytes.len() });
        }
        if self.pending.len() >= self.limits.txs || self.bytes + bytes.len() > MEMPOOL_BYTES_MAX {
            return Err(SubmitError::Full {
                txs: self.pending.len(),
                txs_max: self.limits.txs,
                bytes: self.bytes,
                bytes_max: MEMPOOL_BYTES_MAX,
            });
        }
        if !self.remember(hash) {
            return Err(SubmitError::InCache);
        }
        Ok(())
    }

    fn remember(&mut self, hash: Hash) -> bool {
        if !self.cached.insert(hash) {
            return false;
        }
        self.cached_order.push_back(hash);
        if self.cached_order.len() > CACHE_MAX
            && let Some(oldest) = self.cached_order.pop_front()
        {
            self.cached.remove(&oldest);
        }
        true
    }

    /// Forgets a transaction that failed, so that it may be sent again.
    pub fn forget(&mut self, hash: &Hash) {
        if self.cached.remove(hash) {
            self.cached_order.retain(|cached| cached != hash);
        }
    }

    /// Adds a transaction that passed its check.
    pub fn add(&mut self, pending: Pending) {
        self.bytes += pending.bytes.len();
        self.pending.push_back(pending);
    }

    /// Takes, in order, what a block at `height` of at most `bytes_max` bytes can hold. What is not yet due stays.
    pub fn take(&mut self, height: i64, bytes_max: usize) -> Vec<Pending> {
        let mut taken = Vec::new();
        let mut left = VecDeque::new();
        let mut bytes = 0;
        let mut full = false;
        for pending in self.pending.drain(..) {
            if pending.not_before > height {
                left.push_back(pending);
                continue;
            }
            full = full || bytes + pending.bytes.len() > bytes_max;
            if full {
                left.push_back(pending);
            } else {
                bytes += pending.bytes.len();
                taken.push(pending);
            }
        }
        self.bytes = left.iter().map(|pending| pending.bytes.len()).sum();
        self.pending = left;
        taken
    }

    /// Keeps the waiting transactions that still pass.
    pub fn recheck(&mut self, mut passes: impl FnMut(&Pending) -> bool) {
        let mut left = VecDeque::with_capacity(self.pending.len());
        for pending in std::mem::take(&mut self.pending) {
            if passes(&pending) {
                left.push_back(pending);
            } else {
                self.forget(&pending.hash);
            }
        }
        self.bytes = left.iter().map(|pending| pending.bytes.len()).sum();
        self.pending = left;
    }

    /// Lists what waits.
    pub fn iter(&self) -> impl Iterator<Item = &Pending> {
        self.pending.iter()
    }

    /// Remembers the transactions of a block made elsewhere (a replay), as having been seen.
    pub fn remember_included(&mut self, hash: Hash) {
        self.remember(hash);
    }
}
