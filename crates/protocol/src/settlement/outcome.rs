//! What a settlement changes.

use std::collections::BTreeMap;

use super::{BankOperation, Event};
use crate::{Height, Upokt};

/// Everything that a block's settlement changes, for the caller to apply.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SettlementOutcome {
    /// Movements of tokens, in the order of execution.
    pub bank: Vec<BankOperation>,
    /// Applications whose stake or unbonding changed, in the order in which claims named them.
    pub applications: Vec<ApplicationChange>,
    /// Suppliers whose stake or unbonding changed, in the order in which claims named them.
    pub suppliers: Vec<SupplierChange>,
    /// Claims to delete: settled, expired and discarded ones, in the order of processing.
    pub removed: Vec<ClaimKey>,
    /// Events in the order of emission.
    pub events: Vec<Event>,
    /// Counted relays of the settled claims by service: what the difficulty update takes (§7.4).
    pub relays_per_service: BTreeMap<String, u64>,
    /// Claims that were settled, also those settled for nothing.
    pub settled: u64,
    /// Claims that lacked a valid proof.
    pub expired: u64,
    /// Claims that could not be processed.
    pub discarded: u64,
}

/// An application after settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationChange {
    /// Its address.
    pub address: String,
    /// Its stake after settlement.
    pub stake: Upokt,
    /// Session end at which it stops; zero when it is not unbonding.
    pub unstake_session_end_height: Height,
}

/// A supplier after slashing. The chain writes it back without entering it into its index of unbonding suppliers,
/// so a supplier that fell below the minimum keeps serving until it stakes or unstakes again (§8.7.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupplierChange {
    /// Its operator's address.
    pub operator_address: String,
    /// Its stake after slashing.
    pub stake: Upokt,
    /// Session end at which it said to stop; zero when it is not unbonding.
    pub unstake_session_end_height: Height,
}

/// The primary key of a claim.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey {
    /// The session.
    pub session_id: String,
    /// The supplier's operator.
    pub supplier_operator_address: String,
}
