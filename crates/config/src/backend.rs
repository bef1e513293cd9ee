//! Settings of `pocket-backend`.

use serde::{Deserialize, Serialize};

use crate::common::{Listener, Logging};
use crate::document::{LoadError, Settings};

/// Everything a demo backend can be told.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// HTTP JSON-RPC.
    pub listen_addr: String,
    /// Metrics.
    pub metrics: Listener,
    /// Logs.
    pub logging: Logging,
    /// Time before every answer.
    pub delay_ms: u64,
    /// Probability of an injected error, 0 to 1.
    pub error_rate: f64,
    /// Status of an injected error.
    pub error_code: u16,
    /// Filler in every answer.
    pub fat_payload_bytes: u64,
    /// Largest request body.
    pub body_bytes_max: u64,
    /// Connections at once.
    pub connections_max: usize,
}

impl Settings for Backend {
    const SECTION: &'static str = "backend";
    const WITHOUT_EFFECT: &'static [(&'static str, &'static str)] = &[];

    fn validate(&self) -> Result<(), LoadError> {
        if !(0.0..=1.0).contains(&self.error_rate) {
            return Err(LoadError::rule("error_rate", "must be between 0 and 1"));
        }
        if !(100..=599).contains(&self.error_code) {
            return Err(LoadError::rule("error_code", "must be an HTTP status, 100 to 599"));
        }
        Ok(())
    }
}
