//! The sparse Merkle sum trie that counts the relays of one session, and its closest proofs.
//!
//! A session's miner inserts one leaf per relay: key = relay hash, value = relay bytes, weight = compute units. The
//! trie's 48-byte [`Root`] is what a claim commits to; later the chain draws a path ([`proof_path`]) and asks for the
//! leaf closest to it, with the digests beside its branch, as a Go gob ([`CompactProof::to_gob`]).
//!
//! How data passes through: [`Trie::insert`] hashes the leaf and forgets its bytes; [`Trie::root`] hashes what changed;
//! [`Trie::closest`] says which leaf will be shown, so that its bytes can be read back; [`Trie::prove`] makes the
//! [`Proof`]; [`Proof::compact`] makes the form the chain stores. The chain's side goes the other way:
//! [`CompactProof::from_gob`], [`CompactProof::decompact`], [`Proof::leaf_value`], [`verify`].
//!
//! Invariants: the root depends on the set of (path, value, weight) alone, never on the order of insertion; a leaf
//! inserted again under the same path replaces the first and is not counted twice; sums and counts wrap modulo 2^64.
//!
//! Deliberately not here: leaf values (they live in the leaf log), node stores, deletion, other hash functions.
//! Source: protocol specification, section 6.

mod arena;
mod gob;
mod node;
mod proof;
mod prove;
mod trie;
mod verify;

pub use gob::GobError;
pub use proof::{CompactBranch, CompactProof, Defect, Proof, ProofError};
pub use prove::{ProveError, SiblingData};
pub use trie::{ClosestLeaf, MAX_LEAVES, PackedLeaf, Trie};
pub use verify::verify;

#[cfg(test)]
mod tests;

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Where a leaf lives: SHA-256 of its key. Bit 0 is the most significant bit of byte 0; bit 0 set means right.
pub type Path = [u8; 32];

/// The hash part of a leaf's digest: `SHA256(00 || path || value || weight || count)`, as [`leaf_hash`] computes it.
pub type LeafDigest = [u8; 32];

/// Bits in a path, and so the greatest depth of a leaf.
pub const PATH_BITS: u16 = 256;

/// Bytes of a digest: hash, sum, count.
pub const DIGEST_BYTES: usize = 48;

/// Bytes of weight and count behind the value in a leaf's data.
pub(crate) const META_BYTES: usize = 16;

/// First bytes of the encodings of a leaf, an inner node and an extension node.
pub(crate) const LEAF: u8 = 0;
pub(crate) const INNER: u8 = 1;
pub(crate) const EXTENSION: u8 = 2;

/// The digest of an empty subtree.
pub(crate) const PLACEHOLDER: Digest = Digest { hash: [0; 32], sum: 0, count: 0 };

/// The 48 bytes a claim commits to: hash, total compute units and number of relays.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Root([u8; DIGEST_BYTES]);

impl Root {
    /// The root of a trie without leaves: 48 zero bytes.
    pub const EMPTY: Self = Self([0; DIGEST_BYTES]);

    /// Reads a root as it stands in a claim. Any 48 bytes are a root; another length is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RootError> {
        bytes.try_into().map(Self).map_err(|_| RootError { length: bytes.len() })
    }

    /// The 48 bytes, as they go into `MsgCreateClaim.root_hash`.
    pub const fn to_bytes(self) -> [u8; DIGEST_BYTES] {
        self.0
    }

    /// The 48 bytes, borrowed.
    pub const fn as_bytes(&self) -> &[u8; DIGEST_BYTES] {
        &self.0
    }

    /// The hash of the root node (bytes 0..32).
    pub fn hash(&self) -> [u8; 32] {
        std::array::from_fn(|i| self.0[i])
    }

    /// Total weight in compute units (bytes 32..40), modulo 2^64.
    pub fn sum(&self) -> u64 {
        u64::from_be_bytes(std::array::from_fn(|i| self.0[32 + i]))
    }

    /// Number of leaves, that is of mined relays (bytes 40..48).
    pub fn count(&self) -> u64 {
        u64::from_be_bytes(std::array::from_fn(|i| self.0[40 + i]))
    }
}

impl AsRef<[u8]> for Root {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root")
            .field("hash", &hex::encode(self.hash()))
            .field("sum", &self.sum())
            .field("count", &self.count())
            .finish()
    }
}

/// A claim's root hash has the wrong length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a trie root has 48 bytes (hash 32, sum 8, count 8), got {length}")]
pub struct RootError {
    /// Length of what was given.
    pub length: usize,
}

/// Digest of a node: what its parent hashes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) hash: [u8; 32],
    pub(crate) sum: u64,
    pub(crate) count: u64,
}

impl Digest {
    pub(crate) fn to_bytes(self) -> [u8; DIGEST_BYTES] {
        let mut bytes = [0; DIGEST_BYTES];
        bytes[..32].copy_from_slice(&self.hash);
        bytes[32..40].copy_from_slice(&self.sum.to_be_bytes());
        bytes[40..].copy_from_slice(&self.count.to_be_bytes());
        bytes
    }

    pub(crate) fn root(self) -> Root {
        Root(self.to_bytes())
    }
}

/// Encodes an inner node: `01 || left || right || sum || count`.
pub(crate) fn inner_encoding(left: Digest, right: Digest) -> [u8; 1 + 2 * DIGEST_BYTES + META_BYTES] {
    let mut bytes = [0; 1 + 2 * DIGEST_BYTES + META_BYTES];
    bytes[0] = INNER;
    bytes[1..49].copy_from_slice(&left.to_bytes());
    bytes[49..97].copy_from_slice(&right.to_bytes());
    bytes[97..105].copy_from_slice(&left.sum.wrapping_add(right.sum).to_be_bytes());
    bytes[105..].copy_from_slice(&left.count.wrapping_add(right.count).to_be_bytes());
    bytes
}

/// Digest of the inner node over two children.
pub(crate) fn inner(left: Digest, right: Digest) -> Digest {
    Digest {
        hash: Sha256::digest(inner_encoding(left, right)).into(),
        sum: left.sum.wrapping_add(right.sum),
        count: left.count.wrapping_add(right.count),
    }
}

/// Digest of an extension node: that of the chain of inner nodes it stands for, from bit `start` down to bit `end`
/// (exclusive), with nothing on the other side.
pub(crate) fn extend(child: Digest, path: &Path, start: u16, end: u16) -> Digest {
    (start..end).rev().fold(
        child,
        |below, at| {
            if bit(path, at) { inner(PLACEHOLDER, below) } else { inner(below, PLACEHOLDER) }
        },
    )
}

/// Returns the path of a key: SHA-256 of it. The key of a relay is its relay hash, so a relay is hashed twice.
pub fn path_of(key: &[u8]) -> Path {
    Sha256::digest(key).into()
}

/// Returns the hash of a leaf: `SHA256(00 || path || value || weight || 1)`, integers as 8 big-endian bytes (6.3).
pub fn leaf_hash(path: &Path, value: &[u8], weight: u64) -> LeafDigest {
    let hasher = Sha256::new_with_prefix([LEAF]).chain_update(path).chain_update(value);
    hasher.chain_update(weight.to_be_bytes()).chain_update(1_u64.to_be_bytes()).finalize().into()
}

/// Returns the path whose closest leaf a claim must prove: `SHA256(block hash || session id)`.
///
/// The block is the one whose hash the chain stored for the height before the proof window opens.
pub fn proof_path(block_hash: &[u8], session_id: &str) -> Path {
    Sha256::new_with_prefix(block_hash).chain_update(session_id).finalize().into()
}

/// Says whether bit `at` of a path is set.
pub(crate) fn bit(path: &Path, at: u16) -> bool {
    path[usize::from(at / 8)] & (0x80 >> (at % 8)) != 0
}

/// Inverts bit `at` of a path.
pub(crate) fn flip(path: &mut Path, at: u16) {
    path[usize::from(at / 8)] ^= 0x80 >> (at % 8);
}
