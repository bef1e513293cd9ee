//! Settings of `pocket-relayer`. The reference's `config.relayer.yaml` keys are accepted where they mean the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::common::{Keys, Listener, Logging, Named, PocketNode, Redis, Store, TimeoutProfile};
use crate::document::{LoadError, Settings, nearest};

/// Everything a relayer can be told.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Relayer {
    /// Address that gateways call.
    pub listen_addr: String,
    /// When the ring signature and session are checked.
    pub default_validation_mode: ValidationMode,
    /// Whole backend call, where a profile says 0.
    pub default_request_timeout_seconds: u64,
    /// Largest relay request.
    pub default_max_body_size_bytes: u64,
    /// Shared Redis.
    pub redis: Redis,
    /// Shared state.
    pub store: Store,
    /// Full node.
    pub pocket_node: PocketNode,
    /// Supplier keys.
    pub keys: Keys,
    /// What is served, by service id.
    pub services: BTreeMap<String, Service>,
    /// Metrics, liveness, readiness.
    pub metrics: Listener,
    /// Liveness and readiness alone, for probes of the reference's shape.
    pub health_check: Listener,
    /// Allowance of applications.
    pub relay_meter: RelayMeter,
    /// Connections to backends.
    pub http_transport: HttpTransport,
    /// Deadlines by name; `fast` and `streaming` exist.
    pub timeout_profiles: Named<TimeoutProfile>,
    /// Connection limits by name.
    pub pool_profiles: Named<PoolProfile>,
    /// Compression of answers to gateways.
    pub response_compression: ResponseCompression,
    /// Logs.
    pub logging: Logging,
    /// Folder where relays wait while the log is away. Empty: beside the embedded store's data, or none.
    pub spool_dir: String,
    /// Bytes that folder may hold; beyond, new relays are refused.
    pub spool_bytes_max: u64,
    /// Bounds that keep the process answering under any load.
    pub limits: Limits,
}

/// When a relay is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ValidationMode {
    /// Before the backend is called.
    Eager,
    /// While the backend is called: the reference's default, an explicit choice here.
    Optimistic,
}

/// One served service.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Overrides the default.
    #[serde(default)]
    pub validation_mode: Option<ValidationMode>,
    /// Name of its deadlines; `fast` when absent.
    #[serde(default)]
    pub timeout_profile: Option<String>,
    /// Name of its connection limits.
    #[serde(default)]
    pub pool_profile: Option<String>,
    /// Largest relay request; effective below the default.
    #[serde(default)]
    pub max_body_size_bytes: Option<u64>,
    /// Backend used when a request names no RPC type; `jsonrpc` when absent.
    #[serde(default)]
    pub default_backend: Option<String>,
    /// Backends by type.
    pub backends: BTreeMap<String, Backend>,
}

/// One backend of a service. Exactly one of `url` and `urls`.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// The one endpoint.
    #[serde(default)]
    pub url: Option<String>,
    /// Several endpoints.
    #[serde(default)]
    pub urls: Option<Vec<Endpoint>>,
    /// Path put before that of every request.
    #[serde(default)]
    pub base_path: Option<String>,
    /// `round_robin` or `first_healthy`.
    #[serde(default)]
    pub load_balancing: Option<String>,
    /// Headers sent with every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Credentials sent with every request.
    #[serde(default)]
    pub authentication: Option<Authentication>,
    /// Further tries on another endpoint where that is safe: 0 to 3, 1 when absent.
    #[serde(default)]
    pub max_retries: Option<u32>,
    /// Time until a failing endpoint is tried again; 30 when absent.
    #[serde(default)]
    pub recovery_timeout_seconds: Option<u64>,
    /// Active probe.
    #[serde(default)]
    pub health_check: Option<Probe>,
}

impl std::fmt::Debug for Backend {
    // Headers and authentication can hold secrets.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Backend").field("url", &self.url).field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// An endpoint, with or without a name.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Endpoint {
    /// Its URL.
    Url(String),
    /// Its URL under a name.
    Named {
        /// Unique among the backend's endpoints.
        name: String,
        /// Its URL.
        url: String,
    },
}

impl Endpoint {
    /// Its URL.
    pub fn url(&self) -> &str {
        match self {
            Self::Url(url) | Self::Named { url, .. } => url,
        }
    }
}

/// Credentials of a backend. Printed nowhere.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as in the reference, relayer §1.4.2")]
pub struct Authentication {
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<String>,
    #[serde(default)]
    pub bearer_token: Option<String>,
    #[serde(default)]
    pub plain_token: Option<String>,
}

/// An active probe of a backend.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as in the reference, relayer §9.2")]
pub struct Probe {
    #[serde(default)]
    pub enabled: bool,
    #[serde(default)]
    pub endpoint: Option<String>,
    #[serde(default)]
    pub interval_seconds: Option<u64>,
    #[serde(default)]
    pub timeout_seconds: Option<u64>,
    #[serde(default)]
    pub unhealthy_threshold: Option<u32>,
    #[serde(default)]
    pub healthy_threshold: Option<u32>,
    #[serde(default)]
    pub method: Option<String>,
    #[serde(default)]
    pub request_body: Option<String>,
    #[serde(default)]
    pub content_type: Option<String>,
    #[serde(default)]
    pub expected_body: Option<String>,
    #[serde(default)]
    pub expected_status: Option<Vec<u16>>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// How an application's allowance is kept.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RelayMeter {
    /// Whether relays are charged at all.
    pub enabled: bool,
    /// First part of the meter's keys.
    pub redis_key_prefix: String,
    /// Whether relays are served while the meter cannot be asked.
    pub fail_behavior: FailBehavior,
}

/// What happens when a check cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FailBehavior {
    /// Serve.
    Open,
    /// Refuse.
    Closed,
}

/// Connections to backends.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as in the reference, relayer §9.2")]
pub struct HttpTransport {
    pub max_idle_conns_per_host: usize,
    pub max_conns_per_host: usize,
    pub idle_conn_timeout_seconds: u64,
    pub dial_timeout_seconds: u64,
    pub tls_handshake_timeout_seconds: u64,
    pub tcp_keep_alive_seconds: u64,
}

/// Connection limits of one kind of service.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as in the reference, relayer §9.2")]
pub struct PoolProfile {
    #[serde(default)]
    pub max_conns_per_host: usize,
    #[serde(default)]
    pub max_idle_conns_per_host: usize,
    #[serde(default)]
    pub idle_conn_timeout_seconds: u64,
    #[serde(default)]
    pub name: String,
}

/// Compression of answers to gateways that accept it.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as in the reference, relayer §9.2")]
pub struct ResponseCompression {
    pub enabled: bool,
    pub min_size_bytes: usize,
}

/// Bounds of this process.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Connections from gateways.
    pub connections_max: usize,
    /// Relays in flight; further ones are answered 503.
    pub relays_in_flight_max: usize,
    /// Bytes of requests held at the same time, from their arrival to their answer; what comes beyond is answered 503.
    pub body_bytes_held_max: u64,
    /// Relays that wait for a session to be read from the chain, of applications that were served before and of others
    /// each; further ones are answered 503.
    pub session_lookups_waiting_max: usize,
    /// Longest transaction that the chain's nodes take, `CometBFT`'s `mempool.max_tx_bytes`: what could not be proved in
    /// one is not served.
    pub tx_bytes_max: u64,
    /// Signatures checked or made at once; 0 means one per core.
    pub crypto_concurrency: usize,
    /// Largest answer of a backend.
    pub response_bytes_max: u64,
    /// Time a client may take to send its request.
    pub client_timeout_ms: u64,
    /// Decoded ring points kept.
    pub ring_points_max: usize,
    /// Memory for tables of ring points, which make verification four times as fast; 0 verifies without tables.
    pub ring_table_bytes_max: usize,
    /// Sessions kept.
    pub sessions_max: usize,
    /// Time left to relays in flight at shutdown.
    pub drain_ms: u64,
}

/// Backend types a service may name, and what people write instead.
pub const BACKEND_TYPES: [&str; 5] = ["jsonrpc", "rest", "websocket", "grpc", "cometbft"];

const BACKEND_HINTS: [(&str, &str); 6] = [
    ("ws", "websocket"),
    ("wss", "websocket"),
    ("http", "jsonrpc"),
    ("json_rpc", "jsonrpc"),
    ("comet", "cometbft"),
    ("tendermint", "cometbft"),
];

impl Settings for Relayer {
    const SECTION: &'static str = "relayer";

    const WITHOUT_EFFECT: &'static [(&'static str, &'static str)] = &[
        ("redis.pool_size", "a fixed small number of connections carries all traffic"),
        ("redis.min_idle_conns", "a fixed small number of connections carries all traffic"),
        ("redis.pool_timeout_seconds", "a fixed small number of connections carries all traffic"),
        ("redis.conn_max_idle_time_seconds", "a fixed small number of connections carries all traffic"),
        ("grace_period_extra_blocks", "the grace period is the chain's; the reference ignores this key too"),
        ("relay_meter.cache_ttl", "lifetimes are counted in blocks"),
        ("cache_warmup", "chain facts are read when first needed, once"),
        ("http_transport.max_idle_conns", "idle connections are bounded per host"),
        ("http_transport.response_header_timeout_seconds", "the timeout profile's value is used"),
        ("http_transport.expect_continue_timeout_seconds", "requests to backends never wait for 100-continue"),
        ("http_transport.disable_compression", "backends are always asked for plain bodies"),
        ("logging.async", "logging never waits for its reader"),
        ("logging.async_buffer_size", "logging never waits for its reader"),
        ("logging.async_poll_interval", "logging never waits for its reader"),
        ("logging.sampling", "no line is written per relay"),
        ("logging.sampling_initial", "no line is written per relay"),
        ("logging.sampling_thereafter", "no line is written per relay"),
        ("logging.enable_caller", "lines name their module"),
        ("logging.output", "logs go to standard error"),
        ("pprof", "profiling endpoints are not part of this version"),
        ("simulation", "simulated relays are not part of this version"),
        ("services.*.request_timeout_seconds", "the timeout profile's value is used"),
    ];

    fn validate(&self) -> Result<(), LoadError> {
        self.pocket_node.validate()?;
        self.keys.validate()?;
        if self.services.is_empty() {
            return Err(LoadError::rule("services", "at least one service must be served"));
        }
        for name in ["fast", "streaming"] {
            if !self.timeout_profiles.contains_key(name) {
                return Err(LoadError::rule("timeout_profiles", format!("`{name}` must exist")));
            }
        }
        for (id, service) in &self.services {
            service.validate(id, self)?;
        }
        self.limits.validate(self.default_max_body_size_bytes)
    }
}

/// Least that a transaction must be able to hold for any relay to be provable.
const TX_BYTES_MIN: u64 = 64 << 10;

impl Limits {
    fn validate(&self, body_bytes_max: u64) -> Result<(), LoadError> {
        let largest = body_bytes_max.min(self.tx_bytes_max);
        if self.body_bytes_held_max < largest {
            let why = format!("must be at least {largest}, so that one request has room");
            return Err(LoadError::rule("limits.body_bytes_held_max", why));
        }
        if self.session_lookups_waiting_max == 0 {
            return Err(LoadError::rule("limits.session_lookups_waiting_max", "must be above 0"));
        }
        if self.tx_bytes_max < TX_BYTES_MIN {
            return Err(LoadError::rule("limits.tx_bytes_max", format!("must be at least {TX_BYTES_MIN}")));
        }
        Ok(())
    }
}

impl Service {
    fn validate(&self, id: &str, settings: &Relayer) -> Result<(), LoadError> {
        let at = |key: &str| format!("services.{id}.{key}");
        if let Some(name) = &self.timeout_profile
            && !settings.timeout_profiles.contains_key(name)
        {
            let known = settings.timeout_profiles.keys().map(String::as_str);
            return Err(LoadError::rule(at("timeout_profile"), no_such(name, known)));
        }
        if let Some(name) = &self.pool_profile
            && !settings.pool_profiles.contains_key(name)
        {
            let known = settings.pool_profiles.keys().map(String::as_str);
            return Err(LoadError::rule(at("pool_profile"), no_such(name, known)));
        }
        if self.backends.is_empty() {
            return Err(LoadError::rule(at("backends"), "at least one backend is needed"));
        }
        if let Some(default) = &self.default_backend
            && !self.backends.contains_key(default)
        {
            let known = self.backends.keys().map(String::as_str);
            return Err(LoadError::rule(at("default_backend"), no_such(default, known)));
        }
        for (kind, backend) in &self.backends {
            if !BACKEND_TYPES.contains(&kind.as_str()) {
                let hint = BACKEND_HINTS.iter().find(|(wrong, _)| wrong == kind).map(|(_, right)| *right);
                let hint = hint.or_else(|| nearest(kind, BACKEND_TYPES));
                let hint = hint.map_or_else(String::new, |hint| format!("; did you mean `{hint}`?"));
                return Err(LoadError::rule(at(&format!("backends.{kind}")), format!("no such backend type{hint}")));
            }
            backend.validate(&at(&format!("backends.{kind}")), kind)?;
        }
        Ok(())
    }
}

fn no_such<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    nearest(name, known.iter().copied()).map_or_else(
        || format!("`{name}` does not exist; known: {}", known.join(", ")),
        |near| format!("`{name}` does not exist; did you mean `{near}`?"),
    )
}

impl Backend {
    /// Endpoints in order.
    pub fn endpoints(&self) -> Vec<&str> {
        match (&self.url, &self.urls) {
            (Some(url), _) => vec![url],
            (None, Some(urls)) => urls.iter().map(Endpoint::url).collect(),
            (None, None) => Vec::new(),
        }
    }

    fn validate(&self, at: &str, kind: &str) -> Result<(), LoadError> {
        if self.url.is_some() == self.urls.is_some() {
            return Err(LoadError::rule(at, "exactly one of `url` and `urls` is needed"));
        }
        let endpoints = self.endpoints();
        if endpoints.is_empty() || endpoints.iter().any(|url| url.is_empty()) {
            return Err(LoadError::rule(format!("{at}.urls"), "an endpoint must not be empty"));
        }
        let mut seen = std::collections::BTreeSet::new();
        for url in &endpoints {
            let place = url.split_once("://").map_or(*url, |(_, place)| place).trim_end_matches('/');
            if !seen.insert(place) {
                return Err(LoadError::rule(format!("{at}.urls"), format!("`{url}` is listed twice")));
            }
            if kind == "websocket" && !url.starts_with("ws://") && !url.starts_with("wss://") {
                return Err(LoadError::rule(at, format!("`{url}` must begin with ws:// or wss://")));
            }
        }
        if self.max_retries.is_some_and(|retries| retries > 3) {
            return Err(LoadError::rule(format!("{at}.max_retries"), "must be 0 to 3"));
        }
        match self.load_balancing.as_deref() {
            None | Some("" | "round_robin" | "first_healthy") => {}
            Some(other) => {
                let known = ["round_robin", "first_healthy"].into_iter();
                return Err(LoadError::rule(format!("{at}.load_balancing"), no_such(other, known)));
            }
        }
        match &self.health_check {
            Some(probe) if probe.enabled && probe.endpoint.is_none() && self.base_path.is_none() => {
                Err(LoadError::rule(format!("{at}.health_check.endpoint"), "an enabled probe needs an endpoint"))
            }
            Some(probe) if probe.enabled && probe.interval_seconds.unwrap_or(0) == 0 => {
                Err(LoadError::rule(format!("{at}.health_check.interval_seconds"), "must be above 0"))
            }
            _ => Ok(()),
        }
    }
}
