//! Settings of `pocket-devnet`.

use serde::{Deserialize, Serialize};

use crate::common::{Listener, Logging};
use crate::document::{LoadError, Settings};

/// Everything a development chain can be told.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Devnet {
    /// Cosmos gRPC.
    pub grpc_addr: String,
    /// `CometBFT` JSON-RPC and WebSocket.
    pub rpc_addr: String,
    /// REST.
    pub rest_addr: String,
    /// gRPC `pocket.devnet.v1.Control`; loopback, unless `control_open`.
    pub control_addr: String,
    /// Control may listen on more than the loopback: inside a container, whose port is published on loopback only.
    pub control_open: bool,
    /// Folder of the block log. Empty: in memory.
    pub data_dir: String,
    /// File with the facts of the network. Empty: the built-in development network.
    pub facts_file: String,
    /// Profile laid over the facts.
    pub profile: String,
    /// Host and port that genesis suppliers advertise. Empty: as the facts say.
    pub relayer_endpoint: String,
    /// Seed of block hashes.
    pub seed: u64,
    /// When blocks are made.
    pub blocks: Blocks,
    /// Time between blocks, in `interval` mode.
    pub block_time_ms: u64,
    /// Metrics, liveness, readiness.
    pub metrics: Listener,
    /// Logs.
    pub logging: Logging,
    /// Bounds of this process.
    pub limits: Limits,
}

/// When blocks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Blocks {
    /// At a fixed interval.
    Interval,
    /// As soon as a transaction waits.
    Instant,
    /// When told to.
    Manual,
}

/// Bounds of this process.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Transactions waiting for a block.
    pub mempool_max: usize,
    /// Bytes of one transaction.
    pub tx_bytes_max: usize,
    /// Past heights whose state can be asked for.
    pub history_blocks: u64,
    /// Past blocks, results and transactions that can be asked for.
    pub blocks_kept: u64,
    /// Blocks between checkpoints.
    pub checkpoint_blocks: u64,
    /// Connections per listener.
    pub connections_max: usize,
    /// Snapshots held.
    pub snapshots_max: usize,
    /// Largest request body.
    pub body_bytes_max: u64,
}

impl Settings for Devnet {
    const SECTION: &'static str = "devnet";
    const WITHOUT_EFFECT: &'static [(&'static str, &'static str)] = &[];

    fn validate(&self) -> Result<(), LoadError> {
        if self.blocks == Blocks::Interval && self.block_time_ms == 0 {
            return Err(LoadError::rule(
                "block_time_ms",
                "must be above 0; for blocks on demand set `blocks: instant`",
            ));
        }
        if self.limits.history_blocks == 0 || self.limits.blocks_kept == 0 || self.limits.checkpoint_blocks == 0 {
            return Err(LoadError::rule("limits", "history_blocks, blocks_kept and checkpoint_blocks must be above 0"));
        }
        Ok(())
    }
}
