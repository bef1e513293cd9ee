//! What an unproved claim costs its supplier (§8.7.7).

use pocket_proto::pocket::proof::Claim;
use pocket_proto::pocket::supplier::{EventSupplierUnbondingBegin, SupplierUnbondingReason};
use pocket_proto::pocket::tokenomics::{EventSupplierSlashed, SettlementOpReason as Reason};

use super::bank::{BankOperation, Movement, module};
use super::{Settlement, header};
use crate::Upokt;

impl Settlement<'_> {
    /// Slashes the supplier of an expired claim, and lets one whose stake falls below the minimum begin to unbond, once.
    pub(super) fn slash(&mut self, claim: &Claim) {
        let operator = &claim.supplier_operator_address;
        let index = self.books.known_supplier(operator).expect("an expired claim was priced, so its supplier is known");
        let supplier = self.books.supplier_mut(index);
        let slashed = supplier.stake.min(self.input.proof.missing_penalty);
        let stake = supplier.stake.saturating_sub(slashed);
        supplier.set_stake(stake);

        if stake < self.input.supplier_min_stake && supplier.message.unstake_session_end_height == 0 {
            let session_end = self.input.shared.live.session_at(self.input.height).end;
            supplier.set_unbonding(session_end.unsigned_abs());
            let supplier = supplier.message.clone();
            self.emit(EventSupplierUnbondingBegin {
                supplier: Some(supplier),
                reason: SupplierUnbondingReason::BelowMinStake.into(),
                session_end_height: session_end,
                // The chain announces the same height, though nothing ends there.
                unbonding_end_height: session_end,
            });
        }

        self.move_slashed(slashed);
        let header = header(claim);
        self.emit(EventSupplierSlashed {
            proof_missing_penalty: slashed.to_string(),
            service_id: header.service_id.clone(),
            application_address: header.application_address.clone(),
            session_end_block_height: header.session_end_block_height,
            claim_proof_status_int: claim.proof_validation_status,
            supplier_operator_address: operator.clone(),
            supplier_stake_after_slash: stake.to_string(),
        });
    }

    /// Burns slashed tokens by way of the tokenomics module; these movements are not announced in batches.
    fn move_slashed(&mut self, amount: Upokt) {
        if amount.is_zero() {
            return;
        }
        self.outcome.bank.push(BankOperation {
            movement: Movement::ModuleToModule { from: module::SUPPLIER, to: module::TOKENOMICS },
            reason: Reason::UnspecifiedTlmSupplierSlashModuleTransfer,
            amount,
        });
        self.outcome.bank.push(BankOperation {
            movement: Movement::Burn { module: module::TOKENOMICS },
            reason: Reason::UnspecifiedTlmSupplierSlashStakeBurn,
            amount,
        });
    }
}
