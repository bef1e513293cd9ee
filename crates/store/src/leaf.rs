//! Leaves: relays that count, kept until their session is forgotten, so that a trie can be rebuilt at any time.

use crate::relay::EntryId;

/// A session of one supplier, and what its record starts with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionHeader {
    /// The supplier's operator address.
    pub supplier: String,
    /// The session's id.
    pub session: String,
    /// The service.
    pub service: String,
    /// Who pays.
    pub application: String,
    /// First height.
    pub start_height: i64,
    /// Last height.
    pub end_height: i64,
}

/// A relay that counts. Its bytes are not here: the store keeps those of the entry it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// Its path in the trie.
    pub path: [u8; 32],
    /// The digest of its value, as the trie keeps it.
    pub leaf_hash: [u8; 32],
    /// Its weight in compute units.
    pub weight: u64,
    /// The entry of the relay log that it came from.
    pub entry: EntryId,
}

/// An entry that is acknowledged without a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The entry.
    pub entry: EntryId,
    /// Why: a word of a closed set, such as `late` or `weight`.
    pub reason: &'static str,
}

/// What a miner has decided about some entries of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitBatch {
    /// The session; its record is made if there is none.
    pub header: SessionHeader,
    /// The writer's epoch: of its [`crate::Lease`] on the supplier.
    pub epoch: u64,
    /// Entries that count.
    pub leaves: Vec<Leaf>,
    /// Entries that do not.
    pub rejected: Vec<Rejected>,
}

/// What became of one leaf of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafStatus {
    /// It is in the session now.
    New,
    /// A byte-identical relay was there before: one leaf, paid once.
    Collapsed,
    /// This very entry was committed before, and its acknowledgement lost on the way. The leaf is in the session.
    Repeated,
    /// The log no longer has the entry, nor is its path in the session: somebody trimmed the log. It is counted nowhere.
    Missing,
}

/// What a commit did. Every entry of the batch is acknowledged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitOutcome {
    /// In the order of the batch's leaves. Grow the trie by all that are not `Missing`; the trie takes a path once.
    pub leaves: Vec<LeafStatus>,
    /// How many are new.
    pub new_leaves: u64,
    /// How many collapsed.
    pub collapsed: u64,
    /// How many entries were rejected now (not before).
    pub rejected: u64,
    /// Leaves of the session now, whoever added them and whether or not they were told.
    pub session_leaves: u64,
}

impl CommitOutcome {
    pub(crate) fn push(&mut self, status: LeafStatus) {
        match status {
            LeafStatus::New => self.new_leaves += 1,
            LeafStatus::Collapsed => self.collapsed += 1,
            LeafStatus::Repeated | LeafStatus::Missing => {}
        }
        self.leaves.push(status);
    }
}

/// A leaf as a trie is rebuilt from it: 88 bytes in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedLeaf {
    /// Its path in the trie.
    pub path: [u8; 32],
    /// The digest of its value.
    pub leaf_hash: [u8; 32],
    /// Its weight in compute units.
    pub weight: u64,
    /// Where its bytes are.
    pub locator: EntryId,
}

/// Bytes of a packed leaf without its path: digest, weight, locator.
pub(crate) const PACKED_BYTES: usize = 32 + 8 + 16;

impl PackedLeaf {
    pub(crate) fn pack(leaf: &Leaf) -> [u8; PACKED_BYTES] {
        let mut packed = [0; PACKED_BYTES];
        packed[..32].copy_from_slice(&leaf.leaf_hash);
        packed[32..40].copy_from_slice(&leaf.weight.to_be_bytes());
        packed[40..].copy_from_slice(&leaf.entry.to_bytes());
        packed
    }

    pub(crate) fn unpack(path: &[u8], packed: &[u8]) -> Option<Self> {
        let packed: &[u8; PACKED_BYTES] = packed.try_into().ok()?;
        Some(Self {
            path: path.try_into().ok()?,
            leaf_hash: packed[..32].try_into().ok()?,
            weight: u64::from_be_bytes(packed[32..40].try_into().ok()?),
            locator: EntryId::from_bytes(packed[40..].try_into().ok()?),
        })
    }
}
