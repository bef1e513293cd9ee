//! `MsgSubmitProof` (protocol §8.2).

use num_bigint::BigUint;
use num_traits::CheckedDiv as _;
use pocket_crypto::hash::sha256;
use pocket_proto::pocket::proof::{
    Claim, ClaimProofStatus, EventProofSubmitted, EventProofUpdated, MsgSubmitProof, Proof,
};
use pocket_proto::pocket::session::SessionHeader;

use super::{ClaimNumbers, ProofFacts, claim_numbers, open, requirement, session_of, windows};
use crate::address;
use crate::coin::Upokt;
use crate::error::{ChainError, GrpcStatus, codes, quoted};
use crate::mining::{self, BASE_TARGET, Target};
use crate::relay::{validate_header, validate_request, validate_response};

/// Checks a proof without state: addresses, session header, some bytes (steps 1 to 3).
///
/// # Errors
/// `sdk` 7, `proof` 1115 or 1108.
pub fn check_proof_message(message: &MsgSubmitProof) -> Result<(), ChainError> {
    if let Err(reason) = address::parse(&message.supplier_operator_address) {
        return Err(codes::sdk::INVALID_ADDRESS.wrap(format!(
            "supplier operator address {}, error: {reason}",
            quoted(&message.supplier_operator_address)
        )));
    }
    let invalid_header = &codes::proof::INVALID_SESSION_HEADER;
    let Some(header) = &message.session_header else {
        return Err(invalid_header.wrap("session header is nil"));
    };
    validate_header(header).map_err(|error| invalid_header.wrap(format!("invalid session header: {error}")))?;
    if message.proof.is_empty() {
        return Err(codes::proof::INVALID_PROOF.wrap("proof cannot be empty"));
    }
    Ok(())
}

/// A proof that the chain takes in, to be validated at the end of the block.
#[derive(Debug, Clone, PartialEq)]
pub struct AcceptedProof {
    /// What is stored, under session id and supplier.
    pub proof: Proof,
    /// What is moved from the operator to the proof module; nothing when zero.
    pub fee: Upokt,
    /// The claim it proves, as if not yet validated.
    pub claim: Claim,
    /// What its event says.
    pub numbers: ClaimNumbers,
}

/// Executes a proof (steps 1 to 22): returns what to store, to charge and to report.
///
/// The fee is charged before the last checks on the chain and reverted when they fail; here it is returned when all
/// have passed.
///
/// # Errors
/// The chain's, with the status under which its handler reports them. A proof over which the chain's handler trips has
/// codespace `undefined`, code 111222 and no status.
pub fn submit_proof(chain: &impl ProofFacts, message: &MsgSubmitProof) -> Result<AcceptedProof, ChainError> {
    check_proof_message(message).map_err(|error| error.with_status(GrpcStatus::InvalidArgument))?;
    let failed = |error: ChainError| {
        if error.is(&codes::undefined::RECOVERED) { error } else { error.with_status(GrpcStatus::FailedPrecondition) }
    };
    let supplier = &message.supplier_operator_address;
    let message_header = message.session_header.clone().unwrap_or_default();
    let session = session_of(chain, &message_header, supplier).map_err(failed)?;
    let header = session.header.unwrap_or_default();

    let windows = windows(chain, header.session_end_block_height);
    check_window(chain.height(), windows.proof_open, windows.proof_close).map_err(failed)?;
    check_leaf(chain, &message.proof, &header, supplier).map_err(failed)?;
    let claim = claim_of(chain, &header, supplier).map_err(failed)?;
    let fee = fee(chain, supplier).map_err(failed)?;
    if !requirement(chain, &claim).map_err(|error| error.with_status(GrpcStatus::Internal))?.is_required() {
        return Err(failed(codes::proof::NOT_REQUIRED.bare()));
    }
    let numbers = claim_numbers(chain, &claim).map_err(|error| error.with_status(GrpcStatus::Internal))?;
    let proof = Proof {
        supplier_operator_address: supplier.clone(),
        session_header: Some(header),
        closest_merkle_proof: message.proof.clone(),
    };
    Ok(AcceptedProof { proof, fee, claim, numbers })
}

fn check_window(height: i64, open: i64, close: i64) -> Result<(), ChainError> {
    let outside = &codes::proof::PROOF_OUTSIDE_OF_WINDOW;
    if height < open {
        return Err(outside.wrap(format!(
            "current block height ({height}) is less than session's earliest proof commit height ({open})"
        )));
    }
    if height > close {
        return Err(outside.wrap(format!(
            "current block height ({height}) is greater than session proof window close height ({close})"
        )));
    }
    Ok(())
}

/// Checks that the proof shows a relay of this session and supplier that counts (steps 6 to 15).
fn check_leaf(
    chain: &impl ProofFacts,
    proof_bytes: &[u8],
    header: &SessionHeader,
    supplier: &str,
) -> Result<(), ChainError> {
    let opened = open(proof_bytes)?;
    let request = opened.relay.req.unwrap_or_default();
    validate_request(&request)?;
    let meta = request.meta.unwrap_or_default();
    if meta.supplier_operator_address != supplier {
        return Err(codes::proof::SUPPLIER_MISMATCH.wrap("supplier type mismatch"));
    }
    let response = opened.relay.res.unwrap_or_default();
    validate_response(&response)?;
    check_same_session(header, &meta.session_header.unwrap_or_default())?;
    check_same_session(header, &response.meta.unwrap_or_default().session_header.unwrap_or_default())?;

    let (service, start) = (&header.service_id, header.session_start_block_height);
    let target = chain
        .difficulty_target_at(service, start)
        .ok_or_else(|| codes::proof::SERVICE_NOT_FOUND.wrap(format!("service {service} not found")))?;
    check_difficulty(&sha256(&opened.relay_bytes), &target, service)
}

fn check_difficulty(relay_hash: &[u8; 32], target: &Target, service: &str) -> Result<(), ChainError> {
    if mining::applicable(relay_hash, target) {
        return Ok(());
    }
    let inner = codes::proof::INVALID_RELAY.wrap(format!(
        "the difficulty relay being proven is ({}), and is smaller than the target difficulty ({})",
        difficulty(relay_hash),
        difficulty(target)
    ));
    let context = format!("failed to validate relay difficulty for service {service} due to: {inner}");
    Err(codes::proof::INVALID_RELAY_DIFFICULTY.wrap(context))
}

/// How many times a hash fits into the easiest target.
fn difficulty(hash: &[u8; 32]) -> BigUint {
    let hash = BigUint::from_bytes_be(hash);
    BigUint::from_bytes_be(&BASE_TARGET).checked_div(&hash).unwrap_or_default()
}

/// Compares a relay's session header with the chain's, field by field in the chain's order (step 13).
fn check_same_session(expected: &SessionHeader, given: &SessionHeader) -> Result<(), ChainError> {
    let texts = [
        ("application addresses mismatch; expect", &expected.application_address, &given.application_address),
        ("service IDs mismatch; expected", &expected.service_id, &given.service_id),
    ];
    let heights = [
        (
            "session start heights mismatch; expected",
            expected.session_start_block_height,
            given.session_start_block_height,
        ),
        ("session end heights mismatch; expected", expected.session_end_block_height, given.session_end_block_height),
    ];
    let differing = |what: &str, expected: String, given: String| {
        codes::proof::INVALID_RELAY.wrap(format!("session headers {what}: {expected}, got: {given}"))
    };
    for (what, expected, given) in texts {
        if expected != given {
            return Err(differing(what, quoted(expected), quoted(given)));
        }
    }
    for (what, expected, given) in heights {
        if expected != given {
            return Err(differing(what, expected.to_string(), given.to_string()));
        }
    }
    if expected.session_id != given.session_id {
        return Err(differing(
            "session IDs mismatch; expected",
            quoted(&expected.session_id),
            quoted(&given.session_id),
        ));
    }
    Ok(())
}

/// Finds the claim and compares its header with the chain's (steps 16 to 18).
fn claim_of(chain: &impl ProofFacts, header: &SessionHeader, supplier: &str) -> Result<Claim, ChainError> {
    let Some(claim) = chain.claim(&header.session_id, supplier) else {
        return Err(codes::proof::CLAIM_NOT_FOUND.wrap(format!(
            "no claim found for session ID {} and supplier {}",
            quoted(&header.session_id),
            quoted(supplier)
        )));
    };
    let claimed = claim.session_header.clone().unwrap_or_default();
    let (start, end) = (header.session_start_block_height, header.session_end_block_height);
    if claimed.session_start_block_height != start {
        return Err(codes::proof::INVALID_SESSION_START_HEIGHT.wrap(format!(
            "claim session start height {} does not match proof session start height {start}",
            claimed.session_start_block_height
        )));
    }
    if claimed.session_end_block_height != end {
        return Err(codes::proof::INVALID_SESSION_END_HEIGHT.wrap(format!(
            "claim session end height {} does not match proof session end height {end}",
            claimed.session_end_block_height
        )));
    }
    if claimed.application_address != header.application_address {
        return Err(codes::proof::INVALID_ADDRESS.wrap(format!(
            "claim application address {} does not match proof application address {}",
            quoted(&claimed.application_address),
            quoted(&header.application_address)
        )));
    }
    if claimed.service_id != header.service_id {
        return Err(codes::proof::INVALID_SERVICE.wrap(format!(
            "claim service ID {} does not match proof service ID {}",
            quoted(&claimed.service_id),
            quoted(&header.service_id)
        )));
    }
    // A proof of an earlier block may have left its verdict on the claim; the handler starts afresh, which decides the
    // sample drawn from the claim's bytes.
    Ok(Claim { proof_validation_status: ClaimProofStatus::PendingValidation.into(), ..claim })
}

/// Checks that the operator holds strictly more than the fee (step 19).
fn fee(chain: &impl ProofFacts, operator: &str) -> Result<Upokt, ChainError> {
    let short = &codes::proof::NOT_ENOUGH_FUNDS;
    let fee = chain.proof_params().submission_fee;
    let Some(balance) = chain.spendable(operator) else {
        return Err(short.wrap("account has no spendable coins"));
    };
    if balance <= fee {
        return Err(short.wrap(format!("account has {}, but the proof submission fee is {fee}", balance.0)));
    }
    Ok(fee)
}

impl AcceptedProof {
    /// Returns the event of a first proof in its block.
    #[must_use]
    pub fn submitted_event(&self) -> EventProofSubmitted {
        let header = self.claim.session_header.clone().unwrap_or_default();
        EventProofSubmitted {
            num_relays: self.numbers.num_relays,
            num_claimed_compute_units: self.numbers.num_claimed_compute_units,
            num_estimated_compute_units: self.numbers.num_estimated_compute_units,
            claimed_upokt: self.numbers.claimed_coin(),
            service_id: header.service_id,
            application_address: header.application_address,
            session_end_block_height: header.session_end_block_height,
            claim_proof_status_int: self.claim.proof_validation_status,
            supplier_operator_address: self.claim.supplier_operator_address.clone(),
            num_estimated_relays: self.numbers.num_estimated_relays,
        }
    }

    /// Returns the event of a proof that replaces one still stored.
    #[must_use]
    pub fn updated_event(&self) -> EventProofUpdated {
        let submitted = self.submitted_event();
        EventProofUpdated {
            num_relays: submitted.num_relays,
            num_claimed_compute_units: submitted.num_claimed_compute_units,
            num_estimated_compute_units: submitted.num_estimated_compute_units,
            claimed_upokt: submitted.claimed_upokt,
            service_id: submitted.service_id,
            application_address: submitted.application_address,
            session_end_block_height: submitted.session_end_block_height,
            claim_proof_status_int: submitted.claim_proof_status_int,
            supplier_operator_address: submitted.supplier_operator_address,
            num_estimated_relays: submitted.num_estimated_relays,
        }
    }
}
