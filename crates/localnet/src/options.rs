//! What a network on one machine can be told.

use std::path::PathBuf;
use std::time::Duration;

use crate::ports::Ports;

/// How the network is made. Every field is given at the call site.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of chain, store and keys; none keeps all of it in memory.
    pub data_dir: Option<PathBuf>,
    /// Time between blocks.
    pub block_time: Duration,
    /// Where it listens.
    pub ports: Ports,
    /// Profile of the facts: `seed` or `load`.
    pub profile: String,
    /// Seed of block hashes.
    pub seed: u64,
    /// How long each room may take to drain.
    pub grace: Duration,
}
