//! What the miner counts.

use pocket_runtime::metrics::Registry;
use prometheus::{Histogram, IntCounterVec, IntGauge, IntGaugeVec};

/// Handles, made once.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) height: IntGauge,
    pub(crate) suppliers: IntGauge,
    pub(crate) leader: IntGauge,
    pub(crate) sessions: IntGaugeVec,
    pub(crate) trie_bytes: IntGauge,
    /// Entries of the log by outcome.
    pub(crate) relays: IntCounterVec,
    pub(crate) batch: Histogram,
    pub(crate) block: Histogram,
    /// Claims and proofs sent, by kind and outcome.
    pub(crate) submissions: IntCounterVec,
    /// Claims by how they ended.
    pub(crate) claims: IntCounterVec,
    /// Relays of ended claims, by how they ended.
    pub(crate) claimed_relays: IntCounterVec,
    pub(crate) upokt: IntCounterVec,
    pub(crate) steps_failed: IntCounterVec,
    pub(crate) ledger_difference: IntGaugeVec,
    pub(crate) ledger_relays: IntGaugeVec,
    pub(crate) ledger_upokt: IntGaugeVec,
    // Under the reference's names, for its dashboards.
    pub(crate) ha_height: IntGauge,
    pub(crate) ha_claims_submitted: IntCounterVec,
    pub(crate) ha_proofs_submitted: IntCounterVec,
    pub(crate) ha_relays_added: IntCounterVec,
    pub(crate) ha_relays_claimed: IntCounterVec,
    pub(crate) ha_upokt_claimed: IntCounterVec,
    pub(crate) ha_upokt_earned: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            height: registry.gauge("pocket_miner_height"),
            suppliers: registry.gauge("pocket_miner_suppliers"),
            leader: registry.gauge("pocket_miner_leader"),
            sessions: registry.gauge_vec("pocket_miner_sessions"),
            trie_bytes: registry.gauge("pocket_miner_trie_bytes"),
            relays: registry.counter_vec("pocket_miner_relays_total"),
            batch: registry.histogram("pocket_miner_batch_duration_seconds"),
            block: registry.histogram("pocket_miner_block_duration_seconds"),
            submissions: registry.counter_vec("pocket_miner_submissions_total"),
            claims: registry.counter_vec("pocket_miner_claims_total"),
            claimed_relays: registry.counter_vec("pocket_miner_claimed_relays_total"),
            upokt: registry.counter_vec("pocket_miner_upokt_total"),
            steps_failed: registry.counter_vec("pocket_miner_steps_failed_total"),
            ledger_difference: registry.gauge_vec("pocket_miner_ledger_difference"),
            ledger_relays: registry.gauge_vec("pocket_miner_ledger_relays"),
            ledger_upokt: registry.gauge_vec("pocket_miner_ledger_upokt"),
            ha_height: registry.gauge("ha_miner_current_block_height"),
            ha_claims_submitted: registry.counter_vec("ha_miner_claims_submitted_total"),
            ha_proofs_submitted: registry.counter_vec("ha_miner_proofs_submitted_total"),
            ha_relays_added: registry.counter_vec("ha_miner_relays_added_to_smst_total"),
            ha_relays_claimed: registry.counter_vec("ha_miner_relays_claimed_total"),
            ha_upokt_claimed: registry.counter_vec("ha_miner_upokt_claimed_total"),
            ha_upokt_earned: registry.counter_vec("ha_miner_upokt_earned_total"),
        }
    }
}
