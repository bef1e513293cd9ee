//! The session record: a miner's memory of one session, versioned and written conditionally.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::leaf::SessionHeader;

/// The layout version that this code writes.
pub const RECORD_VERSION: u32 = 1;

/// How far a session has come. The order is that of a session's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Takes leaves.
    Open,
    /// Its root is fixed: the store refuses more leaves. A claim may be under way.
    Sealed,
    /// The chain holds its claim.
    Claimed,
    /// The chain holds its proof, or wants none.
    Proved,
    /// The chain has settled its claim, one way or another: see [`Settlement`].
    Settled,
    /// No claim was made: see [`SessionRecord::unclaimed`].
    Unclaimed,
}

impl SessionState {
    /// Every state, in order.
    pub const ALL: [Self; 6] = [Self::Open, Self::Sealed, Self::Claimed, Self::Proved, Self::Settled, Self::Unclaimed];

    /// Returns whether the session's leaves are neither claimed nor given up (ledger term `open`).
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Sealed)
    }

    /// Returns whether the session is claimed and not settled (ledger term `waiting`).
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::Claimed | Self::Proved)
    }

    /// Returns whether nothing more will happen to the session.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Settled | Self::Unclaimed)
    }

    /// Returns whether the session takes no more leaves.
    pub fn is_sealed(self) -> bool {
        self != Self::Open
    }

    /// Returns the state's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Sealed => "sealed",
            Self::Claimed => "claimed",
            Self::Proved => "proved",
            Self::Settled => "settled",
            Self::Unclaimed => "unclaimed",
        }
    }
}

/// What is known of a claim or proof on its way. Written before it is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Hash of the last transaction that carried it, upper-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_hash: Option<String>,
    /// Times it was sent.
    #[serde(default)]
    pub attempts: u32,
    /// Height at which it was first sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_sent_height: Option<i64>,
    /// Height at which it was last sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sent_height: Option<i64>,
    /// Height at which the chain was seen to hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub included_height: Option<i64>,
    /// What the last failure said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Class of the chain's last refusal of it: a word of a closed set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refusal: Option<String>,
    /// Height at which the chain was seen to hold it and to call it invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_at: Option<i64>,
    /// Fields of later versions.
    #[serde(flatten)]
    pub extra: BTreeMap<String, serde_json::Value>,
}

/// How the chain settled a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Paid, with a proof.
    SettledProved,
    /// Paid; no proof was wanted.
    SettledUnproved,
    /// Not paid: a proof was wanted and missing or wrong.
    Expired,
    /// Not paid: the chain could not settle it.
    Discarded,
}

/// What the chain paid for a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// How it ended.
    pub outcome: Outcome,
    /// At which height.
    pub height: i64,
    /// Relays in the claim.
    pub relays: u64,
    /// What was claimed, in upokt.
    pub claimed_upokt: u64,
    /// What was paid, in upokt.
    pub paid_upokt: u64,
    /// What the supplier lost for it, in upokt.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub slashed_upokt: u64,
    /// Fields of later versions.
    #[serde(flatten)]
    pub extra: BTreeMap<String, serde_json::Value>,
}

/// What was in force for a session: its windows, the weight of a relay, its difficulty and prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionTerms {
    /// Last height at which a relay is served.
    pub grace_end: i64,
    /// First height of the claim window.
    pub claim_open: i64,
    /// Last height of the claim window.
    pub claim_close: i64,
    /// First height of the proof window.
    pub proof_open: i64,
    /// Last height of the proof window.
    pub proof_close: i64,
    /// Weight of one relay.
    pub compute_units_per_relay: u64,
    /// Difficulty: the target that a relay's hash must not exceed, 32 bytes in hex.
    pub target: String,
    /// Price of a compute unit, in parts of a upokt.
    pub compute_units_to_tokens_multiplier: u64,
    /// How many such parts are one upokt.
    pub compute_unit_cost_granularity: u64,
}

/// A miner's memory of one session of one supplier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Layout version, [`RECORD_VERSION`].
    pub version: u32,
    /// Raised by the store at each write.
    pub revision: u64,
    /// The supplier's operator address.
    pub supplier: String,
    /// The session's id.
    pub session: String,
    /// The service.
    pub service: String,
    /// Who pays.
    pub application: String,
    /// First height.
    pub start_height: i64,
    /// Last height.
    pub end_height: i64,
    /// How far it has come.
    pub state: SessionState,
    /// Leaves under the root; 0 before it is sealed (the store counts leaves itself: [`StoredSession::leaves`]).
    #[serde(default)]
    pub relays: u64,
    /// Compute units under the root; 0 before it is sealed.
    #[serde(default)]
    pub compute_units: u64,
    /// The root, 48 bytes in hex, once it is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// What the claim is worth, in upokt.
    #[serde(default)]
    pub claimed_upokt: u64,
    /// The claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Submission>,
    /// Whether a proof is wanted, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof_required: Option<bool>,
    /// The proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Submission>,
    /// What the chain paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settlement: Option<Settlement>,
    /// Why no claim was made: a word of a closed set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unclaimed: Option<String>,
    /// Height at which it became final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_height: Option<i64>,
    /// What was in force for it, so that the chain need not be asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<SessionTerms>,
    /// Fields of later versions.
    #[serde(flatten)]
    pub extra: BTreeMap<String, serde_json::Value>,
}

impl SessionRecord {
    /// Returns the record of a session that has just begun.
    pub fn open(header: &SessionHeader) -> Self {
        Self {
            version: RECORD_VERSION,
            revision: 0,
            supplier: header.supplier.clone(),
            session: header.session.clone(),
            service: header.service.clone(),
            application: header.application.clone(),
            start_height: header.start_height,
            end_height: header.end_height,
            state: SessionState::Open,
            relays: 0,
            compute_units: 0,
            root: None,
            claimed_upokt: 0,
            claim: None,
            proof_required: None,
            proof: None,
            settlement: None,
            unclaimed: None,
            final_height: None,
            terms: None,
            extra: BTreeMap::new(),
        }
    }

    /// Returns the session's header.
    pub fn header(&self) -> SessionHeader {
        SessionHeader {
            supplier: self.supplier.clone(),
            session: self.session.clone(),
            service: self.service.clone(),
            application: self.application.clone(),
            start_height: self.start_height,
            end_height: self.end_height,
        }
    }
}

/// A record as the store has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredSession {
    /// The miner's record.
    pub record: SessionRecord,
    /// Leaves in the session's leaf log, counted by the store.
    pub leaves: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}
