//! Validation of stored proofs at the end of a block (protocol §8.5).

use pocket_crypto::keys::PublicKey;
use pocket_crypto::ring::Verifier;
use pocket_crypto::smst;
use pocket_proto::pocket::application::Application;
use pocket_proto::pocket::proof::{Claim, ClaimProofStatus, EventProofValidityChecked, Proof};

use super::{open, reason};
use crate::error::{ChainError, codes};
use crate::height::Height;
use crate::params::Shared;
use crate::relay::verify_response;
use crate::ring::{self, Facts};

/// What validating a proof has to know of the chain's state.
pub trait ValidationFacts {
    /// Returns the stored claim.
    fn claim(&self, session_id: &str, supplier: &str) -> Option<Claim>;

    /// Returns the application as it stands now.
    fn application(&self, address: &str) -> Option<Application>;

    /// Returns the public key that an account has published.
    fn public_key(&self, address: &str) -> Option<PublicKey>;

    /// Returns the live shared parameters, which the ring is built with.
    fn shared_params(&self) -> Shared;

    /// Returns the shared parameters in force at `height`.
    fn shared_params_at(&self, height: Height) -> Shared;

    /// Returns the stored hash of the block at `height`; empty where none is stored.
    fn block_hash(&self, height: Height) -> Vec<u8>;
}

/// What the end of a block makes of a proof.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// There is no claim for it: it stays stored, and nothing is reported.
    Skipped,
    /// It holds.
    Valid(Claim),
    /// It does not hold, for this reason.
    Invalid(Claim, ChainError),
}

impl Verdict {
    /// Returns the claim with its new status, to be stored; the proof is deleted. `None` when the proof was skipped.
    #[must_use]
    pub fn claim(&self) -> Option<Claim> {
        let (claim, status) = match self {
            Self::Skipped => return None,
            Self::Valid(claim) => (claim, ClaimProofStatus::Validated),
            Self::Invalid(claim, _) => (claim, ClaimProofStatus::Invalid),
        };
        Some(Claim { proof_validation_status: status.into(), ..claim.clone() })
    }

    /// Returns the event of the block at `height`. `None` when the proof was skipped.
    #[must_use]
    pub fn event(&self, height: Height) -> Option<EventProofValidityChecked> {
        let claim = self.claim()?;
        let header = claim.session_header.unwrap_or_default();
        let failure_reason = match self {
            Self::Invalid(_, error) => error.text.clone(),
            Self::Skipped | Self::Valid(_) => String::new(),
        };
        Some(EventProofValidityChecked {
            block_height: height.max(0).unsigned_abs(),
            failure_reason,
            service_id: header.service_id,
            application_address: header.application_address,
            session_end_block_height: header.session_end_block_height,
            claim_proof_status_int: claim.proof_validation_status,
            supplier_operator_address: claim.supplier_operator_address,
        })
    }
}

/// Validates a stored proof: keys, signatures, path and trie, in the chain's order.
#[must_use]
pub fn validate(chain: &impl ValidationFacts, proof: &Proof, verifier: &Verifier) -> Verdict {
    let session_id = proof.session_header.as_ref().map_or("", |header| &header.session_id);
    let Some(claim) = chain.claim(session_id, &proof.supplier_operator_address) else {
        return Verdict::Skipped;
    };
    match check(chain, proof, &claim, verifier) {
        Ok(()) => Verdict::Valid(claim),
        Err(error) => Verdict::Invalid(claim, error),
    }
}

fn check(chain: &impl ValidationFacts, proof: &Proof, claim: &Claim, verifier: &Verifier) -> Result<(), ChainError> {
    let operator = &proof.supplier_operator_address;
    let operator_key = chain
        .public_key(operator)
        .ok_or_else(|| codes::proof::PUB_KEY_NOT_FOUND.wrap(format!("no public key found for account {operator}")))?;

    let opened = open(&proof.closest_merkle_proof)?;
    let request = opened.relay.req.unwrap_or_default();
    let application_address = request
        .meta
        .as_ref()
        .and_then(|meta| meta.session_header.as_ref())
        .map_or("", |header| &header.application_address);
    let application = chain.application(application_address);
    let facts = Facts {
        application: application.as_ref(),
        grid: chain.shared_params().grid(),
        key_of: |address: &str| chain.public_key(address),
        // The chain walks rings of any size.
        members_max: usize::MAX,
    };
    ring::verify_request(&request, facts, verifier)?;
    verify_response(&opened.relay.res.unwrap_or_default(), &operator_key)?;

    let invalid = &codes::proof::INVALID_PROOF;
    let header = proof.session_header.clone().unwrap_or_default();
    let end = header.session_end_block_height;
    let seed_height = chain.shared_params_at(end).windows_at(end).seed_height();
    let expected_path = smst::proof_path(&chain.block_hash(seed_height), &header.session_id);
    if opened.proof.path != expected_path {
        return Err(invalid.wrap(format!(
            "the path of the proof provided ({}) does not match one expected by the onchain protocol ({})",
            hex::encode(opened.proof.path),
            hex::encode(expected_path)
        )));
    }
    match smst::verify(&claim.root_hash, &opened.proof) {
        Ok(true) => Ok(()),
        Ok(false) => Err(invalid.wrap("invalid closest merkle proof")),
        Err(error) => Err(invalid.wrap(format!("invalid closest merkle proof: {}", reason(&error)))),
    }
}
