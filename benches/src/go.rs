//! The Go program's figures, as measured once on a machine of the same kind: two shared virtual cores, each value the
//! median of three runs. They were not measured in this run; compare ratios rather than digits.

/// How these figures are labelled wherever they are shown.
pub const LABEL: &str = "Go, as measured in baselines.md, other run";

/// The Go relayer at one concurrency: eager, on Redis, everything on the same two cores.
#[derive(Debug, Clone, Copy)]
pub struct GoRelay {
    /// Requests in flight.
    pub concurrency: usize,
    /// Relays answered in a second.
    pub relays_per_second: f64,
    /// Median latency, milliseconds.
    pub p50_ms: f64,
    /// 95th percentile, milliseconds.
    pub p95_ms: f64,
    /// 99th percentile, milliseconds.
    pub p99_ms: f64,
    /// Processor time of the relayer, microseconds a relay.
    pub relayer_us: f64,
    /// Processor time of Redis, microseconds a relay.
    pub redis_us: f64,
    /// Processor time of the miner, microseconds a relay, where it was measured.
    pub miner_us: Option<f64>,
    /// Resident memory of the relayer, MiB.
    pub relayer_mib: f64,
}

/// Baselines, sections 4 and 5.
pub const RELAY: [GoRelay; 3] = [
    GoRelay {
        concurrency: 1,
        relays_per_second: 304.0,
        p50_ms: 2.6,
        p95_ms: 6.6,
        p99_ms: 13.0,
        relayer_us: 2420.0,
        redis_us: 1040.0,
        miner_us: None,
        relayer_mib: 138.0,
    },
    GoRelay {
        concurrency: 16,
        relays_per_second: 679.0,
        p50_ms: 21.5,
        p95_ms: 47.0,
        p99_ms: 64.0,
        relayer_us: 1573.0,
        redis_us: 388.0,
        miner_us: Some(594.0),
        relayer_mib: 141.0,
    },
    GoRelay {
        concurrency: 64,
        relays_per_second: 1011.0,
        p50_ms: 60.0,
        p95_ms: 119.0,
        p99_ms: 153.0,
        relayer_us: 1322.0,
        redis_us: 162.0,
        miner_us: Some(349.0),
        relayer_mib: 167.0,
    },
];

/// Signed live and verified on the same cores, concurrency 16, eager: relays a second.
pub const LIVE_PER_SECOND: f64 = 337.0;

/// Ring of two, decode and verify, microseconds (no CGO).
pub const RING_VERIFY_US: f64 = 860.0;

/// ECDSA signature, microseconds (no CGO).
pub const ECDSA_SIGN_US: f64 = 33.0;

/// Idle memory of the relayer and of the miner, MiB.
pub const IDLE_MIB: (f64, f64) = (100.0, 105.0);

/// From a start of everything to the first answered relay, seconds, least and most; mostly process starts.
pub const FIRST_RELAY_S: (f64, f64) = (13.0, 20.0);

/// From the relays to their settlement, seconds, at blocks of 1 s.
pub const SETTLED_S: f64 = 29.0;

/// Returns the row measured at that concurrency.
pub fn relay(concurrency: usize) -> Option<&'static GoRelay> {
    RELAY.iter().find(|row| row.concurrency == concurrency)
}
