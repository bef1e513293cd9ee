//! Settings of `pocket-miner`. The reference's `config.miner.yaml` keys are accepted where they mean the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::common::{Keys, Listener, Logging, PocketNode, Redis, Store};
use crate::document::{LoadError, Settings};

/// Everything a miner can be told.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Miner {
    /// Shared Redis.
    pub redis: Redis,
    /// Shared state.
    pub store: Store,
    /// Full node.
    pub pocket_node: PocketNode,
    /// Supplier keys.
    pub keys: Keys,
    /// How transactions are built.
    pub transaction: Transaction,
    /// Metrics, liveness, readiness.
    pub metrics: Listener,
    /// Logs.
    pub logging: Logging,
    /// Relays taken from the log at once.
    pub batch_size: usize,
    /// How often the suppliers' stakes and services are read again.
    pub supplier_reconcile_interval_seconds: u64,
    /// Expected time between blocks: only for messages to people and for deadlines of silence.
    pub block_time_seconds: f64,
    /// Share of an application's stake that relayers may serve, per supplier and session; 0 for the chain's own limit.
    pub default_service_factor: f64,
    /// The same by service id.
    pub service_factors: BTreeMap<String, f64>,
    /// Ownership of suppliers.
    pub supplier_claiming: SupplierClaiming,
    /// Whether a claim that would earn less than its fees is left out. The relays it leaves are `forgone`.
    pub skip_unprofitable_claims: bool,
    /// Bounds of this process.
    pub limits: Limits,
}

/// How transactions are built.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    /// Fixed gas limit; 0 means asked of the node.
    pub gas_limit: u64,
    /// Price of a unit of gas, such as `0.000001upokt`.
    pub gas_price: String,
    /// Factor on the gas that the node reported.
    pub gas_adjustment: f64,
    /// One transaction per claim.
    pub disable_claim_batching: bool,
    /// One transaction per proof.
    pub disable_proof_batching: bool,
    /// Shortest life of an unordered transaction.
    pub tx_timeout_min_seconds: u64,
    /// Longest life; the chain refuses more than 600.
    pub tx_timeout_max_seconds: u64,
    /// Further sends of the same claim or proof within its window.
    pub max_rebroadcasts: u32,
    /// Messages in one transaction, at most.
    pub messages_max: usize,
    /// Bytes of one transaction, at most.
    pub bytes_max: usize,
}

/// Ownership of suppliers by this replica.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SupplierClaiming {
    /// Life of a lease that is not renewed.
    pub claim_ttl_seconds: u64,
    /// How often it is renewed.
    pub renew_rate_seconds: u64,
}

/// Bounds of this process.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Longest wait for relays before the log is asked again.
    pub take_wait_ms: u64,
    /// Open sessions held in memory, at most.
    pub sessions_max: usize,
    /// Blocks after settlement for which a session's record is kept.
    pub session_kept_blocks: u64,
    /// Claims and proofs in flight at once.
    pub submissions_in_flight_max: usize,
    /// Time left to finish what is under way at shutdown.
    pub drain_ms: u64,
}

impl Settings for Miner {
    const SECTION: &'static str = "miner";

    const WITHOUT_EFFECT: &'static [(&'static str, &'static str)] = &[
        ("redis.pool_size", "a fixed small number of connections carries all traffic"),
        ("redis.min_idle_conns", "a fixed small number of connections carries all traffic"),
        ("redis.pool_timeout_seconds", "a fixed small number of connections carries all traffic"),
        ("redis.conn_max_idle_time_seconds", "a fixed small number of connections carries all traffic"),
        ("deduplication_ttl_blocks", "leaves are unique by their path"),
        ("ack_batch_size", "relays are acknowledged with the batch that holds their leaves"),
        ("hot_reload_enabled", "key files are read at start"),
        ("session_ttl", "lifetimes are counted in blocks"),
        ("cache_ttl", "lifetimes are counted in blocks"),
        ("smst_live_root_checkpoint_interval", "every acknowledged leaf is in the log"),
        ("submission_tracking_ttl", "lifetimes are counted in blocks"),
        ("known_applications", "chain facts are read when first needed"),
        ("leader_election", "one replica leads by its lease"),
        ("session_lifecycle", "what is due is decided per block"),
        ("balance_monitor", "balances are not part of this version"),
        ("block_health_monitor", "the liveness endpoint watches blocks"),
        ("settlement_monitor", "settlement is always observed"),
        ("worker_pools", "work is bounded by `limits`"),
        ("supplier_claiming.rebalance_interval_seconds", "one replica owns every supplier in this version"),
        ("transaction.tx_timeout_default_seconds", "deadlines come from the windows"),
        ("transaction.tx_timeout_clock_skew_buffer_seconds", "deadlines are anchored to block time"),
        ("transaction.disable_pre_proof_claim_verification", "claims are read from the chain before they are proved"),
        ("transaction.disable_inclusion_reconciler", "what the chain holds is compared every block"),
        ("transaction.inclusion_reconciler_max_concurrent", "one query per supplier and block suffices"),
        ("transaction.inclusion_reconciler_per_group_timeout_ms", "`pocket_node.query_timeout_seconds` bounds it"),
        ("transaction.rebroadcast_safety_blocks", "windows bound every send"),
        ("logging.async", "logging never waits for its reader"),
        ("logging.async_buffer_size", "logging never waits for its reader"),
        ("logging.async_poll_interval", "logging never waits for its reader"),
        ("logging.sampling", "no line is written per relay"),
        ("logging.sampling_initial", "no line is written per relay"),
        ("logging.sampling_thereafter", "no line is written per relay"),
        ("logging.enable_caller", "lines name their module"),
        ("logging.output", "logs go to standard error"),
        ("pprof", "profiling endpoints are not part of this version"),
        ("suppliers", "suppliers are those whose keys are given"),
    ];

    fn validate(&self) -> Result<(), LoadError> {
        self.pocket_node.validate()?;
        self.keys.validate()?;
        let claiming = &self.supplier_claiming;
        if claiming.renew_rate_seconds >= claiming.claim_ttl_seconds {
            return Err(LoadError::rule(
                "supplier_claiming.renew_rate_seconds",
                format!("must be below claim_ttl_seconds ({})", claiming.claim_ttl_seconds),
            ));
        }
        let transaction = &self.transaction;
        if transaction.tx_timeout_max_seconds > 600
            || transaction.tx_timeout_min_seconds > transaction.tx_timeout_max_seconds
        {
            return Err(LoadError::rule(
                "transaction.tx_timeout_max_seconds",
                "must be at least tx_timeout_min_seconds and at most 600, the chain's limit",
            ));
        }
        if transaction.gas_adjustment < 1.0 {
            return Err(LoadError::rule("transaction.gas_adjustment", "must be 1 or more"));
        }
        for (name, value) in [
            ("batch_size", self.batch_size),
            ("transaction.messages_max", transaction.messages_max),
            ("transaction.bytes_max", transaction.bytes_max),
            ("limits.sessions_max", self.limits.sessions_max),
        ] {
            if value == 0 {
                return Err(LoadError::rule(name, "must be above 0"));
            }
        }
        Ok(())
    }
}
