//! How the chain settled, read from the block that did it.
//!
//! A claim is settled in the last block of its proof window and nowhere else, so no cursor over blocks is needed: a
//! session that waits names the block to read, whenever it is read, however long nobody was there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use pocket_chain::{BlockResults, Chain, Event, QueryError};
use pocket_protocol::height::Height;
use pocket_store::Outcome;
use tokio::sync::OnceCell;

/// Blocks whose settlements are kept for the suppliers that come a moment later.
const KEPT_MAX: usize = 64;

/// What names a claim in events, which do not all carry the session's id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimKey {
    /// The supplier's operator address.
    pub supplier: String,
    /// Who pays.
    pub application: String,
    /// The service.
    pub service: String,
    /// Last height of the session.
    pub end_height: Height,
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// How it ended.
    pub outcome: Outcome,
    /// What was paid, in upokt.
    pub paid_upokt: u64,
    /// What the supplier lost of its stake, in upokt.
    pub slashed_upokt: u64,
    /// Compute units of the claim, where the event tells.
    pub compute_units: Option<u64>,
}

/// The settlements of one block.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settlements {
    fates: BTreeMap<ClaimKey, Fate>,
}

impl Settlements {
    /// Reads a block's results.
    pub fn read(results: &BlockResults) -> Self {
        let mut fates: BTreeMap<ClaimKey, Fate> = BTreeMap::new();
        let mut slashed: BTreeMap<ClaimKey, u64> = BTreeMap::new();
        for event in &results.finalize_block_events {
            let outcome = match event.kind.as_str() {
                "pocket.tokenomics.EventClaimSettled" => match event.integer("claim_proof_status_int") {
                    Some(VALIDATED) => Outcome::SettledProved,
                    _ => Outcome::SettledUnproved,
                },
                "pocket.tokenomics.EventClaimExpired" => Outcome::Expired,
                "pocket.tokenomics.EventClaimDiscarded" => Outcome::Discarded,
                "pocket.tokenomics.EventSupplierSlashed" => {
                    let penalty = event.upokt("proof_missing_penalty").map_or(0, saturated);
                    slashed.extend(key(event).map(|key| (key, penalty)));
                    continue;
                }
                _ => continue,
            };
            let Some(key) = key(event) else {
                tracing::warn!(event = %event.kind, "a settlement event names no claim");
                continue;
            };
            let paid_upokt = event.upokt("settled_upokt").map_or(0, saturated);
            let compute_units = event.integer("num_claimed_compute_units").and_then(|units| u64::try_from(units).ok());
            fates.insert(key, Fate { outcome, paid_upokt, slashed_upokt: 0, compute_units });
        }
        for (key, penalty) in slashed {
            if let Some(fate) = fates.get_mut(&key) {
                fate.slashed_upokt = penalty;
            }
        }
        Self { fates }
    }

    /// Returns what became of a claim in this block; none if the block did not settle it.
    pub fn fate(&self, key: &ClaimKey) -> Option<Fate> {
        self.fates.get(key).copied()
    }
}

/// `ClaimProofStatus` of a claim with a valid proof.
const VALIDATED: i64 = 1;

fn key(event: &Event) -> Option<ClaimKey> {
    Some(ClaimKey {
        supplier: event.text("supplier_operator_address")?.to_owned(),
        application: event.text("application_address")?.to_owned(),
        service: event.text("service_id")?.to_owned(),
        end_height: event.integer("session_end_block_height")?,
    })
}

fn saturated(amount: u128) -> u64 {
    u64::try_from(amount).unwrap_or(u64::MAX)
}

/// The settlements of recent blocks, each read once for all suppliers.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// By height. Never held over an await.
    blocks: Mutex<BTreeMap<Height, Arc<OnceCell<Arc<Settlements>>>>>,
}

impl Settled {
    /// Returns the settlements of the block at `height`.
    pub(crate) async fn at(&self, chain: &Chain, height: Height) -> Result<Arc<Settlements>, QueryError> {
        let cell = {
            let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
            let cell = blocks.entry(height).or_default().clone();
            while blocks.len() > KEPT_MAX {
                blocks.pop_first();
            }
            cell
        };
        let read = async { Ok(Arc::new(Settlements::read(&chain.block_results(height).await?))) };
        cell.get_or_try_init(|| read).await.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, fields: &[(&str, &str)]) -> String {
        let about = [
            ("supplier_operator_address", "\"supplier\""),
            ("application_address", "\"application\""),
            ("service_id", "\"service\""),
            ("session_end_block_height", "\"10\""),
        ];
        let attributes: Vec<_> = about
            .iter()
            .chain(fields)
            .map(|(key, value)| serde_json::json!({"key": key, "value": value, "index": true}))
            .collect();
        serde_json::json!({"type": format!("pocket.tokenomics.{kind}"), "attributes": attributes}).to_string()
    }

    #[track_caller]
    fn check(events: &[String], expected: Option<Fate>) {
        let results = format!(r#"{{"txs_results":null,"finalize_block_events":[{}]}}"#, events.join(","));
        let results: BlockResults = serde_json::from_str(&results).unwrap();
        let key = ClaimKey {
            supplier: "supplier".into(),
            application: "application".into(),
            service: "service".into(),
            end_height: 10,
        };
        let settlements = Settlements::read(&results);
        assert_eq!(settlements.fate(&key), expected);
        assert_eq!(settlements.fate(&ClaimKey { end_height: 20, ..key }), None);
    }

    #[test]
    fn a_claim_is_paid_with_or_without_a_proof() {
        for (status, outcome) in [("1", Outcome::SettledProved), ("0", Outcome::SettledUnproved)] {
            let fields = [
                ("claim_proof_status_int", status),
                ("settled_upokt", "\"42000upokt\""),
                ("num_claimed_compute_units", "\"420\""),
            ];
            let fate = Fate { outcome, paid_upokt: 42_000, slashed_upokt: 0, compute_units: Some(420) };
            check(&[event("EventClaimSettled", &fields)], Some(fate));
        }
    }

    #[test]
    fn an_expired_claim_says_what_the_supplier_lost() {
        let slashed = event("EventSupplierSlashed", &[("proof_missing_penalty", "\"320upokt\"")]);
        let expired = event("EventClaimExpired", &[("claimed_upokt", "\"42000upokt\"")]);
        let fate = Fate { outcome: Outcome::Expired, paid_upokt: 0, slashed_upokt: 320, compute_units: None };
        check(&[slashed.clone(), expired.clone()], Some(fate));
        check(&[expired, slashed], Some(fate));
    }

    #[test]
    fn a_discarded_claim_pays_nothing() {
        let fate = Fate { outcome: Outcome::Discarded, paid_upokt: 0, slashed_upokt: 0, compute_units: None };
        check(&[event("EventClaimDiscarded", &[("error", "\"why\"")])], Some(fate));
    }

    #[test]
    fn other_events_settle_nothing() {
        check(&[event("EventSupplierSlashed", &[]), event("EventApplicationOverserviced", &[])], None);
    }
}
