//! What the gateway counts.

use pocket_runtime::metrics::Registry;
use prometheus::{Histogram, IntCounter, IntCounterVec};

/// Handles, made once.
pub(crate) struct Metrics {
    /// Requests of clients by outcome: `answered`, or the refusal's label.
    pub(crate) requests: IntCounterVec,
    pub(crate) duration: Histogram,
    /// Relays to suppliers by outcome.
    pub(crate) relays: IntCounterVec,
    pub(crate) retries: IntCounter,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            requests: registry.counter_vec("pocket_gateway_requests_total"),
            duration: registry.histogram("pocket_gateway_request_duration_seconds"),
            relays: registry.counter_vec("pocket_gateway_relays_total"),
            retries: registry.counter("pocket_gateway_retries_total"),
        }
    }
}
