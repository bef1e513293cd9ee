//! Claims and proofs as the chain checks them (protocol §8.1, §8.2, §8.5).
//!
//! A claim or proof is checked three times: without state when it enters the mempool ([`check_claim_message`],
//! [`check_proof_message`]), against the state when its message is executed ([`create_claim`], [`submit_proof`]), and a
//! proof once more at the end of its block ([`validate`]): only there are signatures, path and trie looked at. A
//! transaction that succeeded therefore does not mean a proof that holds.
//!
//! The functions decide; storing, moving money and emitting events is for the caller.

mod claim;

mod size;

mod submit;

mod validate;

pub use claim::{AcceptedClaim, check_claim_message, create_claim};
pub use size::{BYTES_BESIDE_REQUEST, TX_BYTES_MAX, request_bytes_max};
pub use submit::{AcceptedProof, check_proof_message, submit_proof};
pub use validate::{ValidationFacts, Verdict, validate};

use bytes::Bytes;
use num_bigint::BigUint;
use pocket_crypto::smst::{self, CompactProof, ProofError};
use pocket_proto::pocket::proof::Claim;
use pocket_proto::pocket::service::Relay;
use pocket_proto::pocket::session::{QueryGetSessionRequest, Session, SessionHeader};
use prost::Message as _;

use crate::coin::Upokt;
use crate::error::{ChainError, codes, quoted};
use crate::height::Height;
use crate::mining::{self, Price, Target, Work};
use crate::params;
use crate::relay::decode_relay;
use crate::sampling::{self, Requirement, Terms};
use crate::session::{self, ChainFacts};
use crate::windows::Windows;

/// What executing claims and proofs has to know beyond sessions. [`ChainFacts::height`] is the height of the block that
/// executes the message.
pub trait ProofFacts: ChainFacts {
    /// Returns a service's compute units per relay in force at `height`; `None` when there is no such service.
    fn compute_units_per_relay_at(&self, service_id: &str, height: Height) -> Option<u64>;

    /// Returns a service's difficulty target in force at `height`; `None` when there is no such service.
    fn difficulty_target_at(&self, service_id: &str, height: Height) -> Option<Target>;

    /// Returns the stored claim.
    fn claim(&self, session_id: &str, supplier: &str) -> Option<Claim>;

    /// Returns the live proof parameters.
    fn proof_params(&self) -> params::Proof;

    /// Returns what an account can spend; `None` when it holds nothing of any kind.
    fn spendable(&self, address: &str) -> Option<Upokt>;
}

/// What a claim says, and what it is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNumbers {
    /// Count of the root.
    pub num_relays: u64,
    /// Sum of the root.
    pub num_claimed_compute_units: u64,
    /// Despite its name the claimed value, not scaled by difficulty: what the chain's events carry.
    pub num_estimated_compute_units: u64,
    /// Relays that the claimed ones stand for, by difficulty.
    pub num_estimated_relays: u64,
    /// Worth in upokt before any cap.
    pub claimed_upokt: BigUint,
}

impl ClaimNumbers {
    /// Returns the worth as the chain's events write it.
    #[must_use]
    pub fn claimed_coin(&self) -> String {
        format!("{}{}", self.claimed_upokt, crate::coin::DENOM)
    }

    /// Computes the numbers of a root with what was in force at the session's start.
    fn of(root: &[u8], compute_units_per_relay: u64, target: &Target, price: Price) -> Result<Self, ChainError> {
        let invalid = &codes::proof::INVALID_CLAIM_ROOT_HASH;
        let work = Work::of_root(root)
            .ok_or_else(|| invalid.wrap(format!("expecting root hash to be 48 bytes, got {} bytes", root.len())))?;
        let amounts = mining::amounts(work, target, price).map_err(|error| invalid.wrap(error))?;
        Ok(Self {
            num_relays: work.relays,
            num_claimed_compute_units: work.compute_units,
            num_estimated_compute_units: work.relays.wrapping_mul(compute_units_per_relay),
            num_estimated_relays: amounts.estimated_relays,
            claimed_upokt: amounts.claimed_upokt,
        })
    }
}

/// Computes what a stored claim says and is worth, with what was in force at its session's start.
///
/// # Errors
/// `proof` 1125 without the service, 1104 when the worth cannot be computed.
pub fn claim_numbers(chain: &impl ProofFacts, claim: &Claim) -> Result<ClaimNumbers, ChainError> {
    let header = claim.session_header.clone().unwrap_or_default();
    let (service, start) = (&header.service_id, header.session_start_block_height);
    let missing = || codes::proof::SERVICE_NOT_FOUND.wrap(format!("service {service} not found"));
    let target = chain.difficulty_target_at(service, start).ok_or_else(missing)?;
    let compute_units_per_relay = chain.compute_units_per_relay_at(service, start).ok_or_else(missing)?;
    let price = Price::from(&chain.shared_params_at(start));
    ClaimNumbers::of(&claim.root_hash, compute_units_per_relay, &target, price)
}

/// Decides whether a stored claim must be proved (§8.4), with everything taken from the chain's state.
///
/// The decision depends on the claim's validation status, so it may differ between submission and settlement.
///
/// # Errors
/// As [`claim_numbers`].
pub fn requirement(chain: &impl ProofFacts, claim: &Claim) -> Result<Requirement, ChainError> {
    let numbers = claim_numbers(chain, claim)?;
    let end = claim.session_header.as_ref().map_or(0, |header| header.session_end_block_height);
    let seed_height = windows(chain, end).seed_height();
    let params = chain.proof_params();
    let terms = Terms {
        threshold_upokt: BigUint::from(params.requirement_threshold.0),
        probability: params.request_probability,
    };
    let claim_hash = sampling::claim_hash(&claim.encode_to_vec());
    let decision = sampling::decide(&claim_hash, &chain.block_hash(seed_height), &numbers.claimed_upokt, &terms);
    Ok(decision.requirement)
}

/// Returns the windows of the session that `height` falls in, by the shared parameters in force there.
fn windows(chain: &impl ChainFacts, height: Height) -> Windows {
    chain.shared_params_at(height).windows_at(height)
}

/// Finds the session a message speaks of and checks that the supplier serves in it (steps 7 to 9 of §8.1).
fn session_of(chain: &impl ChainFacts, header: &SessionHeader, supplier: &str) -> Result<Session, ChainError> {
    let request = QueryGetSessionRequest {
        application_address: header.application_address.clone(),
        service_id: header.service_id.clone(),
        block_height: header.session_start_block_height,
    };
    let session = session::get_session(chain, &request)?;
    if header.session_id != session.session_id {
        return Err(codes::proof::INVALID_SESSION_ID.wrap(format!(
            "session ID does not match onchain session ID; expected {}, got {}",
            quoted(&session.session_id),
            quoted(&header.session_id)
        )));
    }
    if !session.suppliers.iter().any(|served| served.operator_address == supplier) {
        return Err(codes::proof::SUPPLIER_NOT_FOUND.wrap(format!(
            "supplier operator address {} not found in session ID {}",
            quoted(supplier),
            quoted(&header.session_id)
        )));
    }
    Ok(session)
}

/// A proof opened as far as its leaf.
struct Opened {
    proof: smst::Proof,
    /// The leaf's value: what the relay's hash is taken of.
    relay_bytes: Bytes,
    relay: Relay,
}

/// Opens the bytes of a proof: gob, compact form, leaf, relay (steps 7 to 9 of §8.2).
fn open(proof_bytes: &[u8]) -> Result<Opened, ChainError> {
    let invalid = &codes::proof::INVALID_PROOF;
    let compact = CompactProof::from_gob(proof_bytes).map_err(|error| {
        let reason = reason(&error);
        invalid.wrap(format!("failed to unmarshal sparse compact merkle closest proof: {reason}"))
    })?;
    let proof = compact.decompact().map_err(|error| {
        if is_malformed(&error) {
            return recovered(&error);
        }
        invalid.wrap(format!("failed to decompact sparse merkle closest proof: {}", reason(&error)))
    })?;
    let relay_bytes = match proof.leaf_value() {
        Ok((value, _, _)) => Bytes::copy_from_slice(value),
        Err(error) => return Err(recovered(&error)),
    };
    let relay = decode_relay(&relay_bytes)
        .map_err(|error| codes::proof::INVALID_RELAY.wrap(format!("failed to unmarshal relay: {error}")))?;
    Ok(Opened { proof, relay_bytes, relay })
}

/// Tells whether a defect is one that the chain's handler trips over instead of refusing it (§6.7).
fn is_malformed(error: &ProofError) -> bool {
    use smst::Defect;
    matches!(error, ProofError::Decompact(Defect::NoBranch | Defect::BitMaskOverrun))
}

/// The chain reports a failure inside a handler under this code.
fn recovered(error: &ProofError) -> ChainError {
    codes::undefined::RECOVERED.bare().with_text(format!("recovered: {}", reason(error)))
}

/// Returns why a proof is refused: in the chain's words where a client may know them, else the innermost reason, as the
/// outer text only repeats the stage.
fn reason(error: &ProofError) -> String {
    use smst::GobError;
    if let ProofError::GobDecode(error) = error {
        let words = match error {
            GobError::UnexpectedEnd | GobError::Length(_) => "unexpected EOF",
            GobError::IntegerLength | GobError::IntegerRange => "gob: encoded unsigned integer out of range",
            GobError::FieldNumber => "gob: bad data: field numbers out of bounds",
            GobError::UnknownType(_) => "gob: unknown type id or corrupted data",
            GobError::NotStruct => {
                "gob: type mismatch in decoder: want struct type smt.SparseCompactMerkleClosestProof; got non-struct"
            }
            GobError::NoFieldMatches => {
                "gob: type mismatch: no fields matched compiling decoder for SparseCompactMerkleClosestProof"
            }
            _ => return error.to_string(),
        };
        return words.to_owned();
    }
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}
