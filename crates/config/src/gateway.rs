//! Settings of `pocket-gateway`.

use serde::{Deserialize, Serialize};

use crate::common::{Listener, Logging, PocketNode};
use crate::document::{LoadError, Settings};

/// Everything a gateway can be told.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Address that clients call.
    pub listen_addr: String,
    /// Full node.
    pub pocket_node: PocketNode,
    /// File with the gateway's hex private key: one line, or a YAML list `keys` of one.
    pub gateway_key_file: String,
    /// Bech32 addresses of the applications it signs for.
    pub applications: Vec<String>,
    /// Metrics, liveness, readiness.
    pub metrics: Listener,
    /// Logs.
    pub logging: Logging,
    /// Whole time for one client request, tries included.
    pub request_timeout_ms: u64,
    /// Time for one relay to one supplier.
    pub relay_timeout_ms: u64,
    /// Further suppliers tried when that is safe.
    pub retries_max: u32,
    /// Bounds of this process.
    pub limits: Limits,
}

/// Bounds of this process.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Connections from clients.
    pub connections_max: usize,
    /// Requests in flight; further ones are answered 503.
    pub requests_in_flight_max: usize,
    /// Largest client request.
    pub body_bytes_max: u64,
    /// Largest answer of a relayer.
    pub response_bytes_max: u64,
    /// Time a client may take to send its request.
    pub client_timeout_ms: u64,
    /// Sessions kept.
    pub sessions_max: usize,
    /// Connections per relayer.
    pub connections_per_relayer_max: usize,
    /// Time left to requests in flight at shutdown.
    pub drain_ms: u64,
}

impl Settings for Gateway {
    const SECTION: &'static str = "gateway";
    const WITHOUT_EFFECT: &'static [(&'static str, &'static str)] = &[];

    fn validate(&self) -> Result<(), LoadError> {
        self.pocket_node.validate()?;
        if self.gateway_key_file.is_empty() {
            return Err(LoadError::rule("gateway_key_file", "required: the file with the gateway's private key"));
        }
        if self.applications.is_empty() {
            return Err(LoadError::rule(
                "applications",
                "at least one application must have delegated to this gateway",
            ));
        }
        Ok(())
    }
}
