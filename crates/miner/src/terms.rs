//! What was in force for a session: read from the chain once, then kept in its record.
//!
//! An application that leaves, or a node that forgets, must not keep a claim from being made, so nothing that claiming and
//! proving need is asked of the chain again after the first relay.

use pocket_chain::Session;
use pocket_proto::pocket::session::SessionHeader;
use pocket_protocol::mining::{self, Price, Target};
use pocket_protocol::windows::Windows;
use pocket_store::{SessionRecord, SessionTerms};

/// A session's windows, weights and prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// When it may be claimed and proved.
    pub windows: Windows,
    /// Weight of one relay.
    pub compute_units_per_relay: u64,
    /// Difficulty.
    pub target: Target,
    /// Price of a compute unit.
    pub price: Price,
}

impl Terms {
    /// Returns the terms of a session of the chain.
    pub fn of(session: &Session) -> Self {
        Self {
            windows: session.windows,
            compute_units_per_relay: session.compute_units_per_relay,
            target: session.target,
            price: Price::from(&session.shared),
        }
    }

    /// Reads the terms that a record keeps, if it keeps any that can be used.
    pub fn of_record(record: &SessionRecord) -> Option<Self> {
        let stored = record.terms.as_ref()?;
        let target = hex::decode(&stored.target).ok()?;
        Some(Self {
            windows: Windows {
                grace_end: stored.grace_end,
                claim_open: stored.claim_open,
                claim_close: stored.claim_close,
                proof_open: stored.proof_open,
                proof_close: stored.proof_close,
            },
            compute_units_per_relay: stored.compute_units_per_relay,
            target: mining::target(&target).ok()?,
            price: Price {
                compute_units_to_tokens_multiplier: stored.compute_units_to_tokens_multiplier,
                compute_unit_cost_granularity: stored.compute_unit_cost_granularity,
            },
        })
    }

    /// Returns the terms as a record keeps them.
    pub fn stored(&self) -> SessionTerms {
        let windows = &self.windows;
        SessionTerms {
            grace_end: windows.grace_end,
            claim_open: windows.claim_open,
            claim_close: windows.claim_close,
            proof_open: windows.proof_open,
            proof_close: windows.proof_close,
            compute_units_per_relay: self.compute_units_per_relay,
            target: hex::encode(self.target),
            compute_units_to_tokens_multiplier: self.price.compute_units_to_tokens_multiplier,
            compute_unit_cost_granularity: self.price.compute_unit_cost_granularity,
        }
    }

    /// Returns what a claim of `compute_units` is worth, in upokt, saturating.
    pub fn upokt(&self, compute_units: u64) -> u64 {
        // A target or price that the chain itself could not compute with earns nothing.
        mining::claimed_upokt(compute_units, &self.target, self.price)
            .ok()
            .map_or(0, |amount| u64::try_from(&amount).unwrap_or(u64::MAX))
    }
}

/// Returns a record's session header, as messages carry it.
pub fn header(record: &SessionRecord) -> SessionHeader {
    SessionHeader {
        application_address: record.application.clone(),
        service_id: record.service.clone(),
        session_id: record.session.clone(),
        session_start_block_height: record.start_height,
        session_end_block_height: record.end_height,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_come_back_from_the_record_that_keeps_them() {
        let terms = Terms {
            windows: Windows { grace_end: 11, claim_open: 12, claim_close: 20, proof_open: 20, proof_close: 28 },
            compute_units_per_relay: 1_000,
            target: mining::BASE_TARGET,
            price: Price { compute_units_to_tokens_multiplier: 100, compute_unit_cost_granularity: 1 },
        };
        let header = pocket_store::SessionHeader {
            supplier: "s".into(),
            session: "i".into(),
            service: "v".into(),
            application: "a".into(),
            start_height: 1,
            end_height: 10,
        };
        let mut record = SessionRecord::open(&header);
        assert_eq!(Terms::of_record(&record), None);
        record.terms = Some(terms.stored());
        let text = serde_json::to_string(&record).unwrap();
        let record: SessionRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(Terms::of_record(&record), Some(terms));
        assert_eq!(terms.upokt(3_000), 300_000);
        let nonsense = SessionTerms { target: "text".into(), ..terms.stored() };
        assert_eq!(Terms::of_record(&SessionRecord { terms: Some(nonsense), ..record }), None);
    }
}
