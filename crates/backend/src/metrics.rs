//! What the backend counts.

use pocket_runtime::metrics::Registry;
use prometheus::{Histogram, IntCounterVec};

/// Handles, made once.
#[derive(Clone)]
pub(crate) struct Metrics {
    /// Requests by outcome: `answered`, `refused`, `fault`.
    pub(crate) requests: IntCounterVec,
    pub(crate) duration: Histogram,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self {
            requests: registry.counter_vec("pocket_backend_requests_total"),
            duration: registry.histogram("pocket_backend_request_duration_seconds"),
        }
    }
}
