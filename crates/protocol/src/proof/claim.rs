//! `MsgCreateClaim` (protocol §8.1).

use pocket_crypto::smst::Root;
use pocket_proto::pocket::proof::{Claim, ClaimProofStatus, EventClaimCreated, EventClaimUpdated, MsgCreateClaim};

use super::{ClaimNumbers, ProofFacts, session_of, windows};
use crate::address;
use crate::error::{ChainError, GrpcStatus, codes};
use crate::mining::Price;
use crate::relay::validate_header;

/// Checks a claim without state: addresses, session header, a root that counts something (steps 1 to 6).
///
/// # Errors
/// `proof` 1101, 1115 or 1104.
pub fn check_claim_message(message: &MsgCreateClaim) -> Result<Root, ChainError> {
    if address::parse(&message.supplier_operator_address).is_err() {
        return Err(codes::proof::INVALID_ADDRESS.wrap(&message.supplier_operator_address));
    }
    let invalid_header = &codes::proof::INVALID_SESSION_HEADER;
    let Some(header) = &message.session_header else {
        return Err(invalid_header.wrap("session header is nil"));
    };
    validate_header(header).map_err(|error| invalid_header.wrap(format!("invalid session header: {error}")))?;

    let invalid_root = &codes::proof::INVALID_CLAIM_ROOT_HASH;
    let root = Root::from_bytes(&message.root_hash).map_err(|error| {
        invalid_root.wrap(format!("expecting root hash to be 48 bytes, got {} bytes", error.length))
    })?;
    for (what, value) in [("count", root.count()), ("sum", root.sum())] {
        if value == 0 {
            let context = format!("has zero {what} in Merkle root (hex) {}", hex::encode(&message.root_hash));
            return Err(invalid_root.wrap(context));
        }
    }
    Ok(root)
}

/// A claim that the chain takes.
#[derive(Debug, Clone, PartialEq)]
pub struct AcceptedClaim {
    /// What is stored, under session id and supplier: the message's header as it was sent, not yet validated.
    pub claim: Claim,
    /// Whether it replaces an earlier claim of the same session and supplier.
    pub replaces: bool,
    /// What its event says.
    pub numbers: ClaimNumbers,
}

/// Executes a claim (steps 1 to 15): returns what to store and to report.
///
/// # Errors
/// The chain's, with the status under which its handler reports them.
pub fn create_claim(chain: &impl ProofFacts, message: &MsgCreateClaim) -> Result<AcceptedClaim, ChainError> {
    let root = check_claim_message(message).map_err(|error| error.with_status(GrpcStatus::InvalidArgument))?;
    let header = message.session_header.clone().unwrap_or_default();
    let supplier = &message.supplier_operator_address;
    session_of(chain, &header, supplier).map_err(|error| error.with_status(GrpcStatus::InvalidArgument))?;

    // By the message's own end height, wherever it lies: the chain ties only the start and the id to its session.
    let windows = windows(chain, header.session_end_block_height);
    check_window(chain.height(), windows.claim_open, windows.claim_close)
        .map_err(|error| error.with_status(GrpcStatus::FailedPrecondition))?;

    let (service, start) = (&header.service_id, header.session_start_block_height);
    let missing = || codes::proof::SERVICE_NOT_FOUND.wrap(format!("service {service} not found"));
    let price_per_relay =
        chain.compute_units_per_relay_at(service, start).ok_or_else(|| missing().with_status(GrpcStatus::NotFound))?;
    if root.sum() != root.count().wrapping_mul(price_per_relay) {
        return Err(codes::proof::COMPUTE_UNITS_MISMATCH
            .wrap(format!(
                "claim compute units: {} is not equal to number of relays {} * compute units per relay \
                 {price_per_relay} for service {service}",
                root.sum(),
                root.count()
            ))
            .with_status(GrpcStatus::InvalidArgument));
    }

    let internal = |error: ChainError| error.with_status(GrpcStatus::Internal);
    let target = chain.difficulty_target_at(service, start).ok_or_else(|| internal(missing()))?;
    let price = Price::from(&chain.shared_params_at(start));
    let numbers = ClaimNumbers::of(&message.root_hash, price_per_relay, &target, price).map_err(internal)?;
    Ok(AcceptedClaim {
        replaces: chain.claim(&header.session_id, supplier).is_some(),
        claim: Claim {
            supplier_operator_address: supplier.clone(),
            session_header: Some(header),
            root_hash: message.root_hash.clone(),
            proof_validation_status: ClaimProofStatus::PendingValidation.into(),
        },
        numbers,
    })
}

fn check_window(height: i64, open: i64, close: i64) -> Result<(), ChainError> {
    let outside = &codes::proof::CLAIM_OUTSIDE_OF_WINDOW;
    if height < open {
        return Err(outside.wrap(format!(
            "current block height ({height}) is less than the session's earliest claim commit height ({open})"
        )));
    }
    if height > close {
        return Err(outside.wrap(format!(
            "current block height ({height}) is greater than session claim window close height ({close})"
        )));
    }
    Ok(())
}

impl AcceptedClaim {
    /// Returns the event of a first claim.
    #[must_use]
    pub fn created_event(&self) -> EventClaimCreated {
        let header = self.claim.session_header.clone().unwrap_or_default();
        EventClaimCreated {
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

    /// Returns the event of a claim that replaces another.
    #[must_use]
    pub fn updated_event(&self) -> EventClaimUpdated {
        let created = self.created_event();
        EventClaimUpdated {
            num_relays: created.num_relays,
            num_claimed_compute_units: created.num_claimed_compute_units,
            num_estimated_compute_units: created.num_estimated_compute_units,
            claimed_upokt: created.claimed_upokt,
            service_id: created.service_id,
            application_address: created.application_address,
            session_end_block_height: created.session_end_block_height,
            claim_proof_status_int: created.claim_proof_status_int,
            supplier_operator_address: created.supplier_operator_address,
            num_estimated_relays: created.num_estimated_relays,
        }
    }
}
