//! Settlement: who is paid, who pays and who is slashed at the end of a block (§8.7), as one pure function.
//!
//! [`settle`] takes everything the chain would look up and returns everything it would change, in the chain's order:
//!
//! 1. `due`: claims whose one settlement height is this block;
//! 2. `pricing`: work, worth and proof requirement of each, with the claim's status *as stored* (§8.4.3);
//! 3. `budget`: what each application can pay per session, and what idle suppliers leave to busy ones;
//! 4. `payment`: the token logic modules, claim by claim;
//! 5. `validators`: the proposer shares of all claims, distributed once;
//! 6. `bank`: all movements of tokens, summed by who, whom and why;
//! 7. `slashing`: suppliers of expired claims.
//!
//! Amounts are exact: governance floats count as the decimal numbers they print as (`ratio`). Tokens are conserved:
//! what is minted is distributed, and what leaves an application's stake is burned or reimbursed.
//!
//! Not here: moving balances, writing records, encoding events. The caller applies the [`SettlementOutcome`].

mod bank;
mod books;
mod budget;
mod due;
mod event;
mod input;
mod outcome;
mod payment;
mod pricing;
mod ratio;
mod refusal;
mod slashing;
mod validators;

#[cfg(test)]
mod tests;

pub use self::bank::{BankOperation, Movement, module};
pub use self::due::{due_claims, due_session_ends};
pub use self::event::Event;
pub use self::input::{Delegation, InputError, ServiceFacts, SettlementInput, Validator};
pub use self::outcome::{ApplicationChange, ClaimKey, SettlementOutcome, SupplierChange};

use std::collections::BTreeMap;

use pocket_proto::pocket::proof::{Claim, ClaimProofStatus};
use pocket_proto::pocket::tokenomics::{
    ClaimExpirationReason, EventClaimDiscarded, EventClaimExpired, EventClaimSettled, RewardDistributionDetail,
};

use self::bank::Operations;
use self::books::Books;
use self::budget::Budgets;
use self::pricing::Priced;
use self::ratio::Ratios;
use crate::error::{ChainError, quoted};
use crate::{Height, Upokt};

/// Settles the claims that are due at `input.height`.
///
/// The result is what the chain's `EndBlocker` of the tokenomics module does before it updates difficulties. It does
/// nothing at all when no claim is due.
///
/// # Errors
/// Only when the input cannot be a chain's state: a stake that is no amount of upokt, a governance float that is not a
/// share. A faulty claim is no error: it is discarded with an event.
pub fn settle(input: &SettlementInput<'_>) -> Result<SettlementOutcome, InputError> {
    let ratios = Ratios::of(input.tokenomics)?;
    let claims = due_claims(input);
    let mut settlement = Settlement {
        input,
        ratios,
        books: Books::new(input),
        budgets: Budgets::counting(&claims),
        operations: Operations::default(),
        outcome: SettlementOutcome::default(),
        first_settled_session_end: None,
        proposer_rewards: BTreeMap::new(),
    };
    settlement.run(&claims)?;
    Ok(settlement.outcome)
}

/// A settlement under way: the phases share it.
struct Settlement<'a> {
    input: &'a SettlementInput<'a>,
    ratios: Ratios,
    books: Books<'a>,
    budgets: Budgets,
    /// Movements of all settled claims.
    operations: Operations,
    outcome: SettlementOutcome,
    /// Session end that the summary events carry.
    first_settled_session_end: Option<Height>,
    /// Shares of the proposer by reason; the reasons' numbers order them.
    proposer_rewards: BTreeMap<i32, Upokt>,
}

/// What became of a claim that could be processed.
enum Verdict {
    Settled(Operations),
    Expired,
}

impl Settlement<'_> {
    fn run(&mut self, claims: &[&Claim]) -> Result<(), InputError> {
        let mut priced = Vec::with_capacity(claims.len());
        for claim in claims {
            let price = self.price(claim)?;
            // A claim that cannot be priced leaves the budgets alone and is discarded below for the same reason.
            if let Ok(price) = &price {
                self.reserve(claim, price);
            }
            priced.push(price);
        }

        let mut expired = Vec::new();
        for (claim, price) in claims.iter().zip(priced) {
            match price.and_then(|price| self.settle_claim(claim, &price)) {
                Ok(Verdict::Settled(operations)) => {
                    self.operations.append(operations);
                    self.count_settled(claim);
                }
                Ok(Verdict::Expired) => {
                    self.outcome.expired += 1;
                    expired.push(*claim);
                }
                Err(error) => self.discard(claim, &error),
            }
            self.outcome.removed.push(key(claim));
        }

        self.reward_validators();
        self.execute_operations();
        for claim in expired {
            self.slash(claim);
        }
        self.outcome.applications = self.books.application_changes();
        self.outcome.suppliers = self.books.supplier_changes();
        Ok(())
    }

    /// Settles or expires one claim. A chain error discards it; what it had changed in the books by then stays, as on
    /// the chain.
    fn settle_claim(&mut self, claim: &Claim, price: &Priced) -> Result<Verdict, ChainError> {
        if !price.will_settle(claim) {
            self.emit_expired(claim, price);
            return Ok(Verdict::Expired);
        }
        let (settled, operations) = self.pay(claim, price)?;
        self.emit_settled(claim, price, settled, &operations);
        Ok(Verdict::Settled(operations))
    }

    fn count_settled(&mut self, claim: &Claim) {
        let header = header(claim);
        self.outcome.settled += 1;
        self.first_settled_session_end.get_or_insert(header.session_end_block_height);
        let relays = crate::mining::Work::of_root(&claim.root_hash).map_or(0, |work| work.relays);
        let counted = self.outcome.relays_per_service.entry(header.service_id.clone()).or_default();
        *counted = counted.wrapping_add(relays);
    }

    /// Returns the session end that the events about the whole block carry.
    fn summary_session_end(&self) -> Height {
        self.first_settled_session_end.unwrap_or_default()
    }

    fn emit(&mut self, event: impl Into<Event>) {
        self.outcome.events.push(event.into());
    }

    fn emit_settled(&mut self, claim: &Claim, price: &Priced, settled: Upokt, operations: &Operations) {
        let header = header(claim);
        let minted = self.ratios.minted(settled);
        let claimed = &price.amounts.claimed_upokt;
        self.emit(EventClaimSettled {
            proof_requirement_int: price.requirement.number(),
            num_relays: price.work.relays,
            num_claimed_compute_units: price.work.compute_units,
            num_estimated_compute_units: price.amounts.estimated_compute_units,
            claimed_upokt: ratio::coin(claimed),
            service_id: header.service_id.clone(),
            application_address: header.application_address.clone(),
            session_end_block_height: header.session_end_block_height,
            claim_proof_status_int: claim.proof_validation_status,
            supplier_operator_address: claim.supplier_operator_address.clone(),
            reward_distribution: operations.paid_by_account().collect(),
            reward_distribution_detailed: operations
                .paid()
                .map(|(recipient, reason, amount)| RewardDistributionDetail {
                    recipient_address: recipient.to_owned(),
                    op_reason: reason.into(),
                    amount: amount.to_string(),
                })
                .collect(),
            settled_upokt: settled.to_string(),
            mint_ratio: self.input.tokenomics.mint_ratio.to_string(),
            session_id: header.session_id.clone(),
            supplier_owner_address: self.books.supplier(price.supplier).message.owner_address.clone(),
            num_estimated_relays: price.amounts.estimated_relays,
            minted_upokt: minted.to_string(),
            overservicing_loss_upokt: ratio::coin(&(claimed - claimed.min(&settled.0.into()))),
            deflation_loss_upokt: settled.saturating_sub(minted).to_string(),
        });
    }

    fn emit_expired(&mut self, claim: &Claim, price: &Priced) {
        let header = header(claim);
        let reason = match ClaimProofStatus::try_from(claim.proof_validation_status) {
            Ok(ClaimProofStatus::PendingValidation) => ClaimExpirationReason::ProofMissing,
            Ok(ClaimProofStatus::Invalid) => ClaimExpirationReason::ProofInvalid,
            Ok(ClaimProofStatus::Validated) | Err(_) => ClaimExpirationReason::ExpirationReasonUnspecified,
        };
        self.emit(EventClaimExpired {
            expiration_reason: reason.into(),
            num_relays: price.work.relays,
            num_claimed_compute_units: price.work.compute_units,
            num_estimated_compute_units: price.amounts.estimated_compute_units,
            claimed_upokt: ratio::coin(&price.amounts.claimed_upokt),
            service_id: header.service_id.clone(),
            application_address: header.application_address.clone(),
            session_end_block_height: header.session_end_block_height,
            claim_proof_status_int: claim.proof_validation_status,
            supplier_operator_address: claim.supplier_operator_address.clone(),
            num_estimated_relays: price.amounts.estimated_relays,
        });
    }

    fn discard(&mut self, claim: &Claim, error: &ChainError) {
        let header = header(claim);
        self.outcome.discarded += 1;
        let error = refusal::SETTLEMENT_INTERNAL.wrap(format_args!(
            "[UNEXPECTED ERROR] Critical error during claim settlement during session {} for operator {} and service \
             {}. Claim will be discarded to prevent chain halt: {error}",
            quoted(&header.session_id),
            claim.supplier_operator_address,
            header.service_id,
        ));
        self.emit(EventClaimDiscarded {
            error: error.text,
            service_id: header.service_id.clone(),
            application_address: header.application_address.clone(),
            session_end_block_height: header.session_end_block_height,
            claim_proof_status_int: claim.proof_validation_status,
            supplier_operator_address: claim.supplier_operator_address.clone(),
        });
    }
}

/// Returns the session header of a claim that is due: [`due_claims`] leaves out claims without one.
fn header(claim: &Claim) -> &pocket_proto::pocket::session::SessionHeader {
    claim.session_header.as_ref().expect("a claim without session header is never due")
}

fn key(claim: &Claim) -> ClaimKey {
    ClaimKey {
        session_id: header(claim).session_id.clone(),
        supplier_operator_address: claim.supplier_operator_address.clone(),
    }
}
