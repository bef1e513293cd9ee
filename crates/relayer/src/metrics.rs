//! What the relayer counts, with handles made once. Names and labels are the catalogue's (`pocket-config`); the
//! `ha_relayer_*` ones are the reference's, which its dashboards read.

use std::sync::Arc;
use std::time::Duration;

use pocket_runtime::metrics::Registry;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use tokio::time::Instant;

use crate::rejection::{BackendFailure, Rejection};
use crate::relay::Answer;

/// Label of a service or backend type that is not one of ours: callers do not choose label values.
const UNKNOWN: &str = "unknown";

/// Handles of the process.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) phases: Phases,
    pub(crate) rejections: IntCounterVec,
    pub(crate) meter_errors: IntCounter,
    pub(crate) in_flight: IntGauge,
    pub(crate) sessions: IntGauge,
    pub(crate) spooled: IntCounter,
    pub(crate) replayed: IntCounter,
    pub(crate) spool_bytes: IntGauge,
    pub(crate) log_available: IntGauge,
    pub(crate) backend_up: IntGaugeVec,
    pub(crate) active: IntGauge,
    pub(crate) inbound: Inbound,
    block_height: [IntGauge; 2],
    relays: IntCounterVec,
    published: IntCounterVec,
    reference: Reference,
}

/// Time in each phase of a relay.
#[derive(Clone)]
pub(crate) struct Phases {
    pub(crate) admit: Histogram,
    pub(crate) serve: Histogram,
    pub(crate) sign: Histogram,
    pub(crate) account: Histogram,
}

/// Requests by protocol.
#[derive(Clone)]
pub(crate) struct Inbound {
    pub(crate) http1: IntCounter,
    pub(crate) h2c: IntCounter,
}

/// The reference's series, by service and more.
#[derive(Clone)]
struct Reference {
    received: IntCounterVec,
    served: IntCounterVec,
    rejected: IntCounterVec,
    mined: IntCounterVec,
    skipped: IntCounterVec,
    fast_fails: IntCounterVec,
    validation_failures: IntCounterVec,
    latency: HistogramVec,
    backend_latency: HistogramVec,
    backend_requests: IntCounterVec,
    validation_latency: HistogramVec,
    consumptions: IntCounterVec,
    request_bytes: HistogramVec,
    response_bytes: HistogramVec,
}

/// Handles of one service and backend type.
pub(crate) struct Counters {
    service: String,
    kind: String,
    answered: IntCounter,
    refused: IntCounter,
    received: IntCounter,
    served_200: IntCounter,
    mined: IntCounter,
    skipped: IntCounter,
    fast_fails: IntCounter,
    charged: IntCounter,
    spent: IntCounter,
    latency: Histogram,
    backend_success: Histogram,
    backend_200: IntCounter,
    validation: Histogram,
    request_bytes: Histogram,
    response_bytes: Histogram,
    reference: Reference,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Self {
        let phases = registry.histogram_vec("pocket_relayer_phase_duration_seconds");
        let phase = |name| phases.with_label_values(&[name]);
        let inbound = registry.counter_vec("ha_relayer_inbound_requests_by_proto_total");
        Self {
            phases: Phases {
                admit: phase("admit"),
                serve: phase("serve"),
                sign: phase("sign"),
                account: phase("account"),
            },
            rejections: registry.counter_vec("pocket_relayer_rejections_total"),
            meter_errors: registry.counter("pocket_relayer_meter_errors_total"),
            in_flight: registry.gauge("pocket_relayer_relays_in_flight"),
            sessions: registry.gauge("pocket_relayer_sessions"),
            spooled: registry.counter("pocket_relayer_spooled_total"),
            replayed: registry.counter("pocket_relayer_replayed_total"),
            spool_bytes: registry.gauge("pocket_relayer_spool_bytes"),
            log_available: registry.gauge("pocket_relayer_log_available"),
            backend_up: registry.gauge_vec("pocket_relayer_backend_up"),
            active: registry.gauge("ha_relayer_active_connections"),
            inbound: Inbound { http1: inbound.with_label_values(&["http1"]), h2c: inbound.with_label_values(&["h2c"]) },
            block_height: [
                registry.gauge("pocket_relayer_block_height"),
                registry.gauge("ha_relayer_current_block_height"),
            ],
            relays: registry.counter_vec("pocket_relayer_relays_total"),
            published: registry.counter_vec("ha_relayer_relays_published_total"),
            reference: Reference::new(registry),
        }
    }

    /// Returns the handles of a service and backend type; of none of ours without them.
    pub(crate) fn counters(&self, service: Option<&str>, kind: Option<&str>) -> Arc<Counters> {
        let (service, kind) = (service.unwrap_or(UNKNOWN), kind.unwrap_or(UNKNOWN));
        let (both, reference) = ([service, kind], &self.reference);
        Arc::new(Counters {
            answered: self.relays.with_label_values(&[service, "answered"]),
            refused: self.relays.with_label_values(&[service, "refused"]),
            received: reference.received.with_label_values(&both),
            served_200: reference.served.with_label_values(&[service, kind, "200"]),
            mined: reference.mined.with_label_values(&[service]),
            skipped: reference.skipped.with_label_values(&[service]),
            fast_fails: reference.fast_fails.with_label_values(&[service]),
            charged: reference.consumptions.with_label_values(&[service, "within_limit"]),
            spent: reference.consumptions.with_label_values(&[service, "over_limit"]),
            latency: reference.latency.with_label_values(&both),
            backend_success: reference.backend_latency.with_label_values(&[service, "success"]),
            backend_200: reference.backend_requests.with_label_values(&[service, "success", "200"]),
            validation: reference.validation_latency.with_label_values(&[service, "eager"]),
            request_bytes: reference.request_bytes.with_label_values(&both),
            response_bytes: reference.response_bytes.with_label_values(&both),
            reference: reference.clone(),
            service: service.to_owned(),
            kind: kind.to_owned(),
        })
    }

    /// Returns the counter of a supplier's relays in the log.
    pub(crate) fn published(&self, service: &str, supplier: &str) -> IntCounter {
        self.published.with_label_values(&[service, supplier])
    }

    pub(crate) fn height(&self, height: i64) {
        for gauge in &self.block_height {
            gauge.set(height);
        }
    }

    /// Counts a refusal, with the service it concerned as far as that was known.
    pub(crate) fn refused(&self, counters: &Counters, rejection: &Rejection) {
        let face = rejection.face();
        self.rejections.with_label_values(&[face.reason, face.fault.as_str()]).inc();
        counters.refused.inc();
        let reference = &counters.reference;
        match rejection {
            // As in the reference, these have a counter of their own.
            Rejection::BackendUnavailable { .. } => counters.fast_fails.inc(),
            _ => reference.rejected.with_label_values(&[&counters.service, &counters.kind, face.reference]).inc(),
        }
        match rejection {
            Rejection::Invalid(_) => {
                reference.validation_failures.with_label_values(&[counters.service.as_str(), "signature"]).inc();
            }
            Rejection::AllowanceSpent => counters.spent.inc(),
            _ => {}
        }
    }
}

impl Reference {
    fn new(registry: &Registry) -> Self {
        Self {
            received: registry.counter_vec("ha_relayer_relays_received_total"),
            served: registry.counter_vec("ha_relayer_relays_served_total"),
            rejected: registry.counter_vec("ha_relayer_relays_rejected_total"),
            mined: registry.counter_vec("ha_relayer_relays_mined_total"),
            skipped: registry.counter_vec("ha_relayer_relays_skipped_difficulty_total"),
            fast_fails: registry.counter_vec("ha_relayer_fast_fails_total"),
            validation_failures: registry.counter_vec("ha_relayer_validation_failures_total"),
            latency: registry.histogram_vec("ha_relayer_relay_latency_seconds"),
            backend_latency: registry.histogram_vec("ha_relayer_backend_latency_seconds"),
            backend_requests: registry.counter_vec("ha_relayer_backend_requests_total"),
            validation_latency: registry.histogram_vec("ha_relayer_validation_latency_seconds"),
            consumptions: registry.counter_vec("ha_relayer_relay_meter_consumptions_total"),
            request_bytes: registry.histogram_vec("ha_relayer_request_body_size_bytes"),
            response_bytes: registry.histogram_vec("ha_relayer_response_body_size_bytes"),
        }
    }
}

impl Counters {
    pub(crate) fn received(&self, body_bytes: usize) {
        self.received.inc();
        self.request_bytes.observe(float(body_bytes));
    }

    pub(crate) fn validated(&self, took: Duration) {
        self.validation.observe(took.as_secs_f64());
    }

    pub(crate) fn charged(&self) {
        self.charged.inc();
    }

    pub(crate) fn mined(&self) {
        self.mined.inc();
    }

    pub(crate) fn skipped(&self) {
        self.skipped.inc();
    }

    /// Counts a backend call, over all its tries, by its last outcome.
    pub(crate) fn called(&self, took: Duration, outcome: Result<u16, &Rejection>) {
        let (label, status) = match outcome {
            Ok(200) => {
                self.backend_success.observe(took.as_secs_f64());
                self.backend_200.inc();
                return;
            }
            Ok(status) => ("success", status.to_string()),
            Err(Rejection::BackendStatus(status)) => ("backend_5xx", status.to_string()),
            Err(Rejection::Backend(BackendFailure::Timeout)) => ("backend_timeout", "none".to_owned()),
            Err(_) => ("backend_network_error", "none".to_owned()),
        };
        self.reference.backend_latency.with_label_values(&[self.service.as_str(), label]).observe(took.as_secs_f64());
        self.reference.backend_requests.with_label_values(&[self.service.as_str(), label, &status]).inc();
    }

    pub(crate) fn answered(&self, at: Instant, answer: &Answer) {
        self.answered.inc();
        match answer.backend_status {
            200 => self.served_200.inc(),
            status => self.reference.served.with_label_values(&[&self.service, &self.kind, &status.to_string()]).inc(),
        }
        self.latency.observe(at.elapsed().as_secs_f64());
        self.response_bytes.observe(float(answer.bytes.len()));
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes of bodies are far below 2^52")]
fn float(bytes: usize) -> f64 {
    bytes as f64
}
