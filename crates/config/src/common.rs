//! Blocks of settings that several processes share.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::LoadError;

/// How to reach a full node. The reference's block `pocket_node`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PocketNode {
    /// `CometBFT` RPC, `http://host:port` (`tcp://` means the same).
    pub query_node_rpc_url: String,
    /// Cosmos gRPC, `host:port` or `http://host:port`.
    pub query_node_grpc_url: String,
    /// Further RPC endpoints, tried in order when the first is silent.
    pub fallback_rpc_urls: Vec<String>,
    /// Further gRPC endpoints, tried in order when the first fails.
    pub fallback_grpc_urls: Vec<String>,
    /// Plain text instead of TLS.
    pub grpc_insecure: bool,
    /// Deadline of one query.
    pub query_timeout_seconds: u64,
    /// Chain id that transactions are signed for. Empty: asked of the node at start.
    pub chain_id: String,
    /// How often the newest block is asked for while the event stream is silent.
    pub poll_interval_ms: u64,
    /// Silence of the event stream after which polling takes over.
    pub block_silence_ms: u64,
}

impl PocketNode {
    /// All RPC endpoints in order of preference, with `tcp://` read as `http://`.
    pub fn rpc_endpoints(&self) -> Vec<String> {
        std::iter::once(&self.query_node_rpc_url)
            .chain(&self.fallback_rpc_urls)
            .map(|url| url.strip_prefix("tcp://").map_or_else(|| url.clone(), |rest| format!("http://{rest}")))
            .collect()
    }

    /// All gRPC endpoints in order of preference, with their scheme.
    pub fn grpc_endpoints(&self) -> Vec<String> {
        let scheme = if self.grpc_insecure { "http" } else { "https" };
        std::iter::once(&self.query_node_grpc_url)
            .chain(&self.fallback_grpc_urls)
            .map(|url| if url.contains("://") { url.clone() } else { format!("{scheme}://{url}") })
            .collect()
    }

    /// Checks that both endpoints are given.
    ///
    /// # Errors
    /// [`LoadError::Rule`] naming the missing one.
    pub fn validate(&self) -> Result<(), LoadError> {
        for (key, value) in
            [("query_node_rpc_url", &self.query_node_rpc_url), ("query_node_grpc_url", &self.query_node_grpc_url)]
        {
            if value.is_empty() {
                return Err(LoadError::rule(format!("pocket_node.{key}"), "required: the address of a full node"));
            }
        }
        Ok(())
    }
}

/// The shared Redis. The reference's block `redis`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// `redis://[user:password@]host:port[/db]`.
    pub url: String,
    /// Names of keys.
    pub namespace: Namespace,
    /// Name of this replica in the consumer groups. Empty: derived from the host name.
    pub consumer_name: String,
    /// Idle time after which another reader's pending entries are taken over.
    pub claim_idle_timeout_ms: u64,
}

/// Prefixes of the keys in Redis; relayers and miners of one fleet must agree.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as in the reference, relayer §5.2")]
pub struct Namespace {
    pub base_prefix: String,
    pub cache_prefix: String,
    pub events_prefix: String,
    pub streams_prefix: String,
    pub miner_prefix: String,
    pub supplier_prefix: String,
    pub meter_prefix: String,
    pub params_prefix: String,
    pub consumer_group_prefix: String,
}

/// Which store holds shared state, and how much an acknowledgement promises.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// Redis, or the embedded database.
    pub kind: StoreKind,
    /// Folder of the embedded database. Empty: in memory.
    pub data_dir: String,
    /// What survives once a relay is acknowledged.
    pub durability: Durability,
    /// Relays waiting to be appended, at most; further ones are refused.
    pub append_queue_max: usize,
    /// Relays in one group append, at most.
    pub append_batch_max: usize,
    /// Address of the embedded owner's admin socket; loopback.
    pub admin_addr: String,
    /// Entries kept in quarantine, at most.
    pub quarantine_max: usize,
    /// Time without an answer after which a store operation is given up.
    pub timeout_ms: u64,
}

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// A Redis server.
    Redis,
    /// A database inside this process.
    Embedded,
}

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// `kill -9` of our processes: the bytes are with the kernel, or with the Redis server.
    Process,
    /// Power loss: the bytes are synced.
    Disk,
}

/// Where a process finds its signing keys.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// YAML file with a list `keys` of hex private keys. Empty: none.
    pub keys_file: String,
    /// Folder with one such file per key. Empty: none.
    pub keys_dir: String,
}

impl Keys {
    /// Checks that there is a source of keys.
    ///
    /// # Errors
    /// [`LoadError::Rule`] saying what to write.
    pub fn validate(&self) -> Result<(), LoadError> {
        if self.keys_file.is_empty() && self.keys_dir.is_empty() {
            return Err(LoadError::rule("keys", "no signing key: set `keys_file` or `keys_dir`"));
        }
        Ok(())
    }
}

/// A listener for people and probes: metrics, liveness, readiness.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Whether it is opened.
    pub enabled: bool,
    /// `host:port`; `:port` means loopback.
    pub addr: String,
}

impl Listener {
    /// The address with its host; an address without one means loopback.
    pub fn bind_addr(&self) -> String {
        if self.addr.starts_with(':') { format!("127.0.0.1{}", self.addr) } else { self.addr.clone() }
    }
}

/// What is logged and how.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Logging {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,pocket_miner=debug`.
    pub level: String,
    /// Lines for people, or for programs.
    pub format: LogFormat,
    /// OTLP endpoint that traces are sent to. Empty: none.
    pub otlp_endpoint: String,
    /// Share of traces that are sent, 0 to 1.
    pub trace_sample_ratio: f64,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Plain text.
    Text,
}

/// Deadlines of one kind of backend call. The reference's `timeout_profiles`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TimeoutProfile {
    /// Whole call.
    pub request_timeout_seconds: u64,
    /// Until the answer's headers; 0 for none.
    #[serde(default)]
    pub response_header_timeout_seconds: u64,
    /// Until connected; 0 inherits the transport's.
    #[serde(default)]
    pub dial_timeout_seconds: u64,
    /// Until the TLS handshake is done; 0 inherits the transport's.
    #[serde(default)]
    pub tls_handshake_timeout_seconds: u64,
    /// Its own name, as the reference repeats it.
    #[serde(default)]
    pub name: String,
}

/// Settings by name.
pub type Named<T> = BTreeMap<String, T>;
