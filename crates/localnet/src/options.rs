//! What a network on one machine can be told.

use std::path::PathBuf;
use std::time::Duration;

use pocket_config::facts::{DevelopmentKey, Facts};
use serde::Deserialize;

use crate::ports::Ports;

/// A network that another spec describes: what `pocket-spec network` prints.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Who exists, what they staked, and the parameters.
    pub facts: Facts,
    /// Private keys of its accounts.
    pub keys: Vec<DevelopmentKey>,
    /// Time between blocks, in milliseconds.
    pub block_time_ms: u64,
}

/// How the network is made. Every field is given at the call site.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder of chain, store and keys; none keeps all of it in memory.
    pub data_dir: Option<PathBuf>,
    /// Time between blocks.
    pub block_time: Duration,
    /// Where it listens.
    pub ports: Ports,
    /// The network to begin with; none for the one that is compiled in.
    pub network: Option<Network>,
    /// Profile of the facts: `seed` or `load`.
    pub profile: String,
    /// Seed of block hashes.
    pub seed: u64,
    /// How long each room may take to drain.
    pub grace: Duration,
}
