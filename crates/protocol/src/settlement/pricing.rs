//! What a claim is worth and whether it needed a proof.

use num_bigint::BigUint;
use pocket_proto::pocket::proof::{Claim, ClaimProofStatus};
use prost::Message as _;

use super::input::InputError;
use super::{Settlement, header, refusal};
use crate::error::{ChainError, quoted};
use crate::mining::{self, Amounts, Work};
use crate::sampling::{self, Requirement};
use crate::windows::Windows;

/// A claim with everything that both phases of settlement derive from it.
pub(super) struct Priced {
    pub(super) work: Work,
    pub(super) amounts: Amounts,
    /// The claim in stake terms: claimed amount with its inflation.
    pub(super) stake: BigUint,
    pub(super) requirement: Requirement,
    /// Compute units per relay at session start.
    pub(super) compute_units_per_relay: u64,
    /// Index of the application in the books.
    pub(super) application: usize,
    /// Index of the supplier in the books.
    pub(super) supplier: usize,
}

impl Priced {
    /// Returns whether the claim settles rather than expires: it was proved, or need not be.
    pub(super) fn will_settle(&self, claim: &Claim) -> bool {
        claim.proof_validation_status == i32::from(ClaimProofStatus::Validated) || !self.requirement.is_required()
    }
}

impl Settlement<'_> {
    /// Looks up service, application and supplier of a claim, in the chain's order, and prices it at its session start.
    pub(super) fn price(&mut self, claim: &Claim) -> Result<Result<Priced, ChainError>, InputError> {
        let header = header(claim);
        let start = header.session_start_block_height;
        let Some(service) = self.input.services.get(&header.service_id) else {
            let text = format!("service with ID {} not found", quoted(&header.service_id));
            return Ok(Err(refusal::SERVICE_NOT_FOUND.wrap(text)));
        };
        let compute_units_per_relay =
            mining::compute_units_at_height(&service.compute_units_history, start, service.compute_units_per_relay);
        if compute_units_per_relay == 0 {
            let text = format!(
                "compute units per relay for service with ID {} at session start height {start} is zero (corrupt \
                 history entry)",
                quoted(&header.service_id)
            );
            return Ok(Err(refusal::SERVICE_NOT_FOUND.wrap(text)));
        }
        let application = match self.books.open_application(&header.application_address)? {
            Ok(index) => index,
            Err(error) => return Ok(Err(error)),
        };
        let supplier = match self.books.open_supplier(&claim.supplier_operator_address, &header.service_id)? {
            Ok(index) => index,
            Err(error) => return Ok(Err(error)),
        };

        let Some(work) = Work::of_root(&claim.root_hash) else {
            let text = format!("root has {} bytes, expected 48", claim.root_hash.len());
            return Ok(Err(refusal::ROOT_HASH_INVALID.wrap(text)));
        };
        // The average of the default difficulty plays no part in a price, so any target number will do.
        let difficulty = mining::difficulty_at_height(&service.difficulty_history, start, 0);
        let amounts = match mining::amounts(work, &difficulty.target, self.input.shared.at(start).into()) {
            Ok(amounts) => amounts,
            Err(error) => return Ok(Err(refusal::SETTLEMENT_INTERNAL.wrap(error))),
        };
        Ok(Ok(Priced {
            work,
            stake: self.ratios.with_inflation(&amounts.claimed_upokt),
            requirement: self.requirement(claim, &amounts.claimed_upokt),
            amounts,
            compute_units_per_relay,
            application,
            supplier,
        }))
    }

    /// Evaluates the proof requirement of the claim as it is stored now. After a proof was validated its bytes differ
    /// from those at submission, so the sample does too (§8.4.3).
    fn requirement(&self, claim: &Claim, claimed_upokt: &BigUint) -> Requirement {
        let end = header(claim).session_end_block_height;
        let seed_height = Windows::after(end, self.input.shared.at(end).offsets()).seed_height();
        let seed_block_hash = self.input.block_hashes.get(&seed_height).map_or(&[][..], Vec::as_slice);
        let hash = sampling::claim_hash(&claim.encode_to_vec());
        sampling::decide(&hash, seed_block_hash, claimed_upokt, &self.input.proof.into()).requirement
    }
}
