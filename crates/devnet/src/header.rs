//! Headers, commits and their hashes, as `CometBFT` 0.38 computes them (protocol §9.4).
//!
//! The hash of a block's header is the identity of the block everywhere: `block_id.hash`, the block hash that sessions
//! and proofs are seeded with, and `last_block_id` of the next. Recorded blocks of a real node are the test.

use pocket_crypto::hash::{sha256, sha256_parts};

use crate::moment::Time;

/// Block protocol version of `CometBFT` 0.38.
pub const BLOCK_PROTOCOL: u64 = 11;
/// Size of the parts that a block travels in, in bytes.
const PART_BYTES: usize = 65_536;

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// Names a block: the hash of its header, and of its bytes in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockId {
    /// Hash of the header.
    pub hash: Hash,
    /// Number of parts.
    pub parts_total: u32,
    /// Merkle root of the parts.
    pub parts_hash: Hash,
}

impl BlockId {
    /// Whether this is the id before the first block.
    pub fn is_nil(&self) -> bool {
        self.parts_total == 0
    }

    fn encode(&self) -> Vec<u8> {
        let mut parts = Vec::new();
        let mut id = Vec::new();
        if !self.is_nil() {
            wire::bytes(&mut id, 1, &self.hash);
            wire::uint(&mut parts, 1, u64::from(self.parts_total));
            wire::bytes(&mut parts, 2, &self.parts_hash);
        }
        wire::message(&mut id, 2, &parts);
        id
    }
}

/// The header of a block. The version of the application is always 0, as on Pocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Chain id.
    pub chain_id: String,
    /// Height, from 1.
    pub height: i64,
    /// Block time.
    pub time: Time,
    /// The block before; nil at height 1.
    pub last_block_id: BlockId,
    /// Merkle root of the signatures in the last commit.
    pub last_commit_hash: Hash,
    /// Merkle root of the transactions' hashes.
    pub data_hash: Hash,
    /// Hash of the validators.
    pub validators_hash: Hash,
    /// Hash of the next block's validators.
    pub next_validators_hash: Hash,
    /// Hash of the consensus parameters.
    pub consensus_hash: Hash,
    /// Application hash after the block before.
    pub app_hash: Hash,
    /// Merkle root of the results of the block before.
    pub last_results_hash: Hash,
    /// Merkle root of no evidence.
    pub evidence_hash: Hash,
    /// Consensus address of the validator.
    pub proposer_address: [u8; 20],
}

impl Header {
    /// Returns the hash of the header: a Merkle root over its fourteen fields.
    pub fn hash(&self) -> Hash {
        let mut version = Vec::new();
        wire::uint(&mut version, 1, BLOCK_PROTOCOL);
        let mut height = Vec::new();
        wire::int(&mut height, 1, self.height);
        let wrapped = |value: &[u8]| {
            let mut out = Vec::new();
            wire::bytes(&mut out, 1, value);
            out
        };
        merkle_root(&[
            version,
            wrapped(self.chain_id.as_bytes()),
            height,
            self.time.encode(),
            self.last_block_id.encode(),
            wrapped(&self.last_commit_hash),
            wrapped(&self.data_hash),
            wrapped(&self.validators_hash),
            wrapped(&self.next_validators_hash),
            wrapped(&self.consensus_hash),
            wrapped(&self.app_hash),
            wrapped(&self.last_results_hash),
            wrapped(&self.evidence_hash),
            wrapped(&self.proposer_address),
        ])
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let mut version = Vec::new();
        wire::uint(&mut version, 1, BLOCK_PROTOCOL);
        wire::message(&mut out, 1, &version);
        wire::bytes(&mut out, 2, self.chain_id.as_bytes());
        wire::int(&mut out, 3, self.height);
        wire::message(&mut out, 4, &self.time.encode());
        wire::message(&mut out, 5, &self.last_block_id.encode());
        for (field, hash) in [
            (6, &self.last_commit_hash),
            (7, &self.data_hash),
            (8, &self.validators_hash),
            (9, &self.next_validators_hash),
            (10, &self.consensus_hash),
            (11, &self.app_hash),
            (12, &self.last_results_hash),
            (13, &self.evidence_hash),
        ] {
            wire::bytes(&mut out, field, hash);
        }
        wire::bytes(&mut out, 14, &self.proposer_address);
        out
    }
}

/// The one validator's vote for a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Height of the block voted for.
    pub height: i64,
    /// The block voted for.
    pub block_id: BlockId,
    /// When the vote was cast; the time of the next block.
    pub timestamp: Time,
    /// Consensus address of the validator.
    pub validator_address: [u8; 20],
    /// 64 bytes in place of an ed25519 signature: nobody verifies the votes of a chain with one validator.
    pub signature: Vec<u8>,
}

impl Commit {
    fn encode_signature(&self) -> Vec<u8> {
        let mut out = Vec::new();
        wire::uint(&mut out, 1, 2);
        wire::bytes(&mut out, 2, &self.validator_address);
        wire::message(&mut out, 3, &self.timestamp.encode());
        wire::bytes(&mut out, 4, &self.signature);
        out
    }

    /// Returns the Merkle root of its signatures.
    pub fn hash(&self) -> Hash {
        merkle_root(&[self.encode_signature()])
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        wire::int(&mut out, 1, self.height);
        wire::message(&mut out, 3, &self.block_id.encode());
        wire::message(&mut out, 4, &self.encode_signature());
        out
    }
}

/// Returns the id of a block. `last_commit` is absent at height 1.
pub fn block_id(header: &Header, txs: &[Vec<u8>], last_commit: Option<&Commit>) -> BlockId {
    let bytes = encode_block(header, txs, last_commit);
    let parts: Vec<&[u8]> = bytes.chunks(PART_BYTES).collect();
    BlockId {
        hash: header.hash(),
        parts_total: u32::try_from(parts.len()).unwrap_or(u32::MAX),
        parts_hash: merkle_root(&parts),
    }
}

fn encode_block(header: &Header, txs: &[Vec<u8>], last_commit: Option<&Commit>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    wire::message(&mut out, 1, &header.encode());
    let mut data = Vec::new();
    for tx in txs {
        wire::message(&mut data, 1, tx);
    }
    wire::message(&mut out, 2, &data);
    wire::message(&mut out, 3, &[]);
    let last_commit = last_commit.map_or_else(
        || {
            let mut nil = Vec::new();
            wire::message(&mut nil, 3, &BlockId::default().encode());
            nil
        },
        Commit::encode,
    );
    wire::message(&mut out, 4, &last_commit);
    out
}

/// Returns the size of a block in bytes.
pub fn block_bytes(header: &Header, txs: &[Vec<u8>], last_commit: Option<&Commit>) -> usize {
    encode_block(header, txs, last_commit).len()
}

/// Returns the Merkle root of the transactions' hashes.
pub fn data_hash(txs: &[Vec<u8>]) -> Hash {
    let hashes: Vec<Hash> = txs.iter().map(|tx| sha256(tx)).collect();
    merkle_root(&hashes)
}

/// What of a transaction's result the next block's `last_results_hash` covers.
#[derive(Debug, Clone)]
pub struct ResultDigest<'a> {
    /// Result code, 0 for success.
    pub code: u32,
    /// Result data.
    pub data: &'a [u8],
    /// Gas limit.
    pub gas_wanted: i64,
    /// Gas used.
    pub gas_used: i64,
}

/// Returns the Merkle root of transaction results.
pub fn results_hash(results: &[ResultDigest<'_>]) -> Hash {
    let leaves: Vec<Vec<u8>> = results
        .iter()
        .map(|result| {
            let mut out = Vec::new();
            wire::uint(&mut out, 1, u64::from(result.code));
            wire::bytes(&mut out, 2, result.data);
            wire::int(&mut out, 5, result.gas_wanted);
            wire::int(&mut out, 6, result.gas_used);
            out
        })
        .collect();
    merkle_root(&leaves)
}

/// Returns the hash of a set of one ed25519 validator.
pub fn validators_hash(public_key: &[u8], voting_power: i64) -> Hash {
    let mut key = Vec::new();
    wire::bytes(&mut key, 1, public_key);
    let mut validator = Vec::new();
    wire::message(&mut validator, 1, &key);
    wire::int(&mut validator, 2, voting_power);
    merkle_root(&[validator])
}

/// Returns the hash of the consensus parameters: a block's greatest size in bytes and gas.
pub fn consensus_hash(max_bytes: i64, max_gas: i64) -> Hash {
    let mut params = Vec::new();
    wire::int(&mut params, 1, max_bytes);
    wire::int(&mut params, 2, max_gas);
    sha256(&params)
}

/// Returns the root of a simple Merkle tree as RFC 6962 builds it.
pub fn merkle_root<T: AsRef<[u8]>>(leaves: &[T]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [leaf] => sha256_parts(&[&[0], leaf.as_ref()]),
        _ => {
            let half = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(half);
            sha256_parts(&[&[1], &merkle_root(left), &merkle_root(right)])
        }
    }
}

/// The few forms of protobuf that headers are made of.
pub(crate) mod wire {
    pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
        while value >= 0x80 {
            out.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        out.push(value.to_le_bytes()[0]);
    }

    pub(crate) fn uint(out: &mut Vec<u8>, field: u32, value: u64) {
        if value != 0 {
            varint(out, u64::from(field) << 3);
            varint(out, value);
        }
    }

    /// A negative number is written as its two's complement.
    pub(crate) fn int(out: &mut Vec<u8>, field: u32, value: i64) {
        uint(out, field, value.cast_unsigned());
    }

    pub(crate) fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
        if !value.is_empty() {
            message(out, field, value);
        }
    }

    /// Written also when empty.
    pub(crate) fn message(out: &mut Vec<u8>, field: u32, value: &[u8]) {
        varint(out, u64::from(field) << 3 | 2);
        varint(out, value.len() as u64);
        out.extend_from_slice(value);
    }
}
