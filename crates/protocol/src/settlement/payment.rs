//! The token logic modules: what settling one claim burns, mints and pays (§8.7.5).

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_traits::{Signed as _, ToPrimitive as _, Zero as _};
use pocket_proto::pocket::application::{ApplicationUnbondingReason, EventApplicationUnbondingBegin};
use pocket_proto::pocket::proof::Claim;
use pocket_proto::pocket::shared::ServiceRevenueShare;
use pocket_proto::pocket::tokenomics::{
    EventApplicationReimbursementRequest, EventSupplierRevShareFallbackDistribution, SettlementOpReason as Reason,
};

use super::bank::{Movement, Operations, module};
use super::pricing::Priced;
use super::ratio::go_float;
use super::{Settlement, header, refusal};
use crate::error::{ChainError, quoted};
use crate::session::check_service_id;
use crate::{Upokt, height};

/// Percentages of a revenue share list add up to this.
const REV_SHARE_PERCENT: u64 = 100;

/// Reasons under which one distribution pays its recipients.
struct Reasons {
    supplier_module: Reason,
    shareholder: Reason,
    proposer: Reason,
    source_owner: Reason,
    application: Reason,
    dao: Reason,
}

const CLAIM: Reasons = Reasons {
    supplier_module: Reason::TlmRelayBurnEqualsMintSupplierShareholderRewardDistribution,
    shareholder: Reason::TlmRelayBurnEqualsMintSupplierShareholderRewardDistribution,
    proposer: Reason::TlmRelayBurnEqualsMintValidatorRewardDistribution,
    source_owner: Reason::TlmRelayBurnEqualsMintSourceOwnerRewardDistribution,
    application: Reason::TlmRelayBurnEqualsMintApplicationRewardDistribution,
    dao: Reason::TlmRelayBurnEqualsMintDaoRewardDistribution,
};

const INFLATION: Reasons = Reasons {
    // The chain uses the reimbursement's reason for this transfer.
    supplier_module: Reason::TlmGlobalMintReimbursementRequestEscrowModuleTransfer,
    shareholder: Reason::TlmGlobalMintSupplierShareholderRewardDistribution,
    proposer: Reason::TlmGlobalMintValidatorRewardDistribution,
    source_owner: Reason::TlmGlobalMintSourceOwnerRewardDistribution,
    application: Reason::TlmGlobalMintApplicationRewardDistribution,
    dao: Reason::TlmGlobalMintDaoRewardDistribution,
};

impl Settlement<'_> {
    /// Checks a claim, caps it and runs the token logic modules. Returns the amount settled and what to move.
    pub(super) fn pay(&mut self, claim: &Claim, price: &Priced) -> Result<(Upokt, Operations), ChainError> {
        let mut operations = Operations::default();
        check(claim, price)?;
        let settled = self.cap(claim, price)?;
        if settled.is_zero() {
            return Ok((Upokt::ZERO, operations));
        }
        // More than 128 bits are more than any stake, and refused as such by the first module.
        let settled = Upokt(settled.to_u128().unwrap_or(u128::MAX));

        let failed = |name: &'static str| {
            move |error: ChainError| refusal::MODULE_FAILED.wrap(format_args!("TLM {}: {error}", quoted(name)))
        };
        self.burn_equals_mint(claim, price, settled, &mut operations).map_err(failed("TLMRelayBurnEqualsMint"))?;
        if !self.ratios.inflation.is_zero() {
            let inflation = self.ratios.inflation_of(&settled.0.into()).to_u128().unwrap_or(u128::MAX);
            let inflation = Upokt(inflation);
            self.global_mint(claim, price, inflation, &mut operations).map_err(failed("TLMGlobalMint"))?;
            self.request_reimbursement(claim, price, inflation, &mut operations)
                .map_err(failed("TLMGlobalMintReimbursementRequest"))?;
        }
        self.unbond_poor_application(price);
        Ok((settled, operations))
    }

    /// Burns the settlement from the application's stake, mints its equal and distributes it.
    fn burn_equals_mint(
        &mut self,
        claim: &Claim,
        price: &Priced,
        settled: Upokt,
        operations: &mut Operations,
    ) -> Result<(), ChainError> {
        let burned = Reason::TlmRelayBurnEqualsMintApplicationStakeBurn;
        operations.queue(Movement::Burn { module: module::APPLICATION }, burned, settled);
        let application = self.books.application_mut(price.application);
        let stake = application.stake.checked_sub(settled).ok_or_else(|| {
            refusal::STAKE_INVALID.wrap(format_args!(
                "application {} stake cannot be reduced to a negative amount <nil>",
                quoted(&application.message.address)
            ))
        })?;
        application.set_stake(stake);

        let minted = self.ratios.minted(settled);
        if minted.is_zero() {
            return Err(refusal::MODULE_INTERNAL.wrap(format_args!(
                "mint amount truncated to zero for settlement {} with mint_ratio {}",
                settled.0,
                go_float(self.input.tokenomics.mint_ratio),
            )));
        }
        operations.mint(Reason::TlmRelayBurnEqualsMintTokenomicsClaimDistributionMint, minted);

        let split = self.ratios.claim.split(minted);
        self.pay_supplier(claim, price, &CLAIM, split.supplier, operations)?;
        self.keep_for_validators(CLAIM.proposer, split.proposer);
        let (owner, application) = self.recipients(claim, price);
        operations.pay(module::TOKENOMICS, &owner, CLAIM.source_owner, split.source_owner);
        operations.pay(module::TOKENOMICS, &self.input.tokenomics.dao_reward_address, CLAIM.dao, split.dao);
        operations.pay(module::TOKENOMICS, &application, CLAIM.application, split.application);
        Ok(())
    }

    /// Mints the inflation of a settlement and distributes it.
    fn global_mint(
        &mut self,
        claim: &Claim,
        price: &Priced,
        inflation: Upokt,
        operations: &mut Operations,
    ) -> Result<(), ChainError> {
        operations.mint(Reason::TlmGlobalMintInflation, inflation);

        let split = self.ratios.allocation.split(inflation);
        self.pay_supplier(claim, price, &INFLATION, split.supplier, operations)?;
        let (owner, application) = self.recipients(claim, price);
        operations.pay(module::TOKENOMICS, &application, INFLATION.application, split.application);
        operations.pay(module::TOKENOMICS, &owner, INFLATION.source_owner, split.source_owner);
        self.keep_for_validators(INFLATION.proposer, split.proposer);
        operations.pay(module::TOKENOMICS, &self.input.tokenomics.dao_reward_address, INFLATION.dao, split.dao);
        Ok(())
    }

    /// Takes the inflation from the application's stake too, for the DAO to give back off the chain: nobody earns by
    /// paying themselves.
    fn request_reimbursement(
        &mut self,
        claim: &Claim,
        price: &Priced,
        inflation: Upokt,
        operations: &mut Operations,
    ) -> Result<(), ChainError> {
        let application = self.books.application_mut(price.application);
        let stake = application.stake.checked_sub(inflation).ok_or_else(|| ChainError {
            codespace: "undefined",
            code: 1,
            text: format!("negative coin amount: -{}", inflation.saturating_sub(application.stake)),
            status: None,
        })?;
        application.set_stake(stake);

        let escrow = Movement::ModuleToModule { from: module::APPLICATION, to: module::TOKENOMICS };
        operations.queue(escrow, Reason::TlmGlobalMintReimbursementRequestEscrowModuleTransfer, inflation);
        let dao = &self.input.tokenomics.dao_reward_address;
        let reason = Reason::TlmGlobalMintReimbursementRequestEscrowDaoTransfer;
        operations.pay(module::TOKENOMICS, dao, reason, inflation);

        let header = header(claim);
        let owner = self.books.supplier(price.supplier).message.owner_address.clone();
        self.emit(EventApplicationReimbursementRequest {
            application_addr: header.application_address.clone(),
            supplier_operator_addr: claim.supplier_operator_address.clone(),
            supplier_owner_addr: owner,
            service_id: header.service_id.clone(),
            session_id: header.session_id.clone(),
            amount: inflation.to_string(),
        });
        Ok(())
    }

    /// Hands the supplier's share to the supplier module and on to the shareholders of the claim's service; when their
    /// list is not usable, all to the owner.
    fn pay_supplier(
        &mut self,
        claim: &Claim,
        price: &Priced,
        reasons: &Reasons,
        amount: Upokt,
        operations: &mut Operations,
    ) -> Result<(), ChainError> {
        if amount.is_zero() {
            return Ok(());
        }
        let transfer = Movement::ModuleToModule { from: module::TOKENOMICS, to: module::SUPPLIER };
        operations.queue(transfer, reasons.supplier_module, amount);

        let header = header(claim);
        let supplier = &self.books.supplier(price.supplier).message;
        let config = supplier.services.iter().find(|config| config.service_id == header.service_id);
        let failed = |error: ChainError| {
            refusal::MODULE_INTERNAL.wrap(format_args!(
                "queueing operation: distributing rewards to supplier with operator address {} shareholders: {error}",
                supplier.operator_address
            ))
        };
        // An empty list is read from the chain's store as none, which it does not tell from a missing service.
        let Some(config) = config.filter(|config| !config.rev_share.is_empty()) else {
            return Err(failed(refusal::CONSTRAINT.wrap(format_args!(
                "SHOULD NEVER HAPPEN: service {} not found for supplier {}",
                quoted(&header.service_id),
                supplier.operator_address
            ))));
        };
        match shareholder_amounts(&config.rev_share, amount) {
            Ok(amounts) => {
                for (shareholder, amount) in amounts {
                    operations.pay(module::SUPPLIER, &shareholder, reasons.shareholder, amount);
                }
                Ok(())
            }
            Err(reason) if supplier.owner_address.is_empty() => Err(failed(refusal::CONSTRAINT.wrap(format_args!(
                "supplier {} has empty owner address; cannot pay revshare fallback (root cause: {reason})",
                quoted(&supplier.operator_address)
            )))),
            Err(reason) => {
                let owner = supplier.owner_address.clone();
                operations.pay(module::SUPPLIER, &owner, reasons.shareholder, amount);
                let event = EventSupplierRevShareFallbackDistribution {
                    supplier_operator_address: supplier.operator_address.clone(),
                    supplier_owner_address: owner,
                    service_id: header.service_id.clone(),
                    session_end_block_height: header.session_end_block_height,
                    amount: amount.to_string(),
                    op_reason: reasons.shareholder.into(),
                    observed_sum_percentage: percent_sum(&config.rev_share),
                    reason,
                };
                self.emit(event);
                Ok(())
            }
        }
    }

    /// Adds to the proposer share that is distributed when all claims are done: once, so that little is lost to
    /// rounding.
    fn keep_for_validators(&mut self, reason: Reason, amount: Upokt) {
        let kept = self.proposer_rewards.entry(reason.into()).or_default();
        *kept = [*kept, amount].into_iter().sum();
    }

    /// Returns the service's owner and the application.
    fn recipients(&self, claim: &Claim, price: &Priced) -> (String, String) {
        let owner = self.input.services.get(&header(claim).service_id).map(|service| service.owner_address.clone());
        (owner.unwrap_or_default(), self.books.application(price.application).message.address.clone())
    }

    /// Begins the unbonding of an application whose stake fell below the minimum. Every further claim of the same block
    /// begins it again.
    fn unbond_poor_application(&mut self, price: &Priced) {
        let application = self.books.application_mut(price.application);
        if application.stake >= self.input.application_min_stake {
            return;
        }
        let live = &self.input.shared.live;
        let session_end = live.session_at(self.input.height).end;
        let unbonding_blocks = live.application_unbonding_period_sessions.saturating_mul(live.num_blocks_per_session);
        application.set_unbonding(session_end.unsigned_abs());
        let application = application.message.clone();
        self.emit(EventApplicationUnbondingBegin {
            application: Some(application),
            reason: ApplicationUnbondingReason::BelowMinStake.into(),
            session_end_height: session_end,
            unbonding_end_height: session_end.saturating_add(height::signed(unbonding_blocks)),
        });
    }
}

/// Checks that a claim's root can be paid at all.
fn check(claim: &Claim, price: &Priced) -> Result<(), ChainError> {
    let header = header(claim);
    let valid = crate::address::parse(&header.application_address).is_ok()
        && !header.session_id.is_empty()
        && check_service_id(&header.service_id).is_ok()
        && header.session_start_block_height > 0
        && header.session_end_block_height > header.session_start_block_height;
    if !valid {
        return Err(refusal::SESSION_HEADER_INVALID.bare());
    }
    let work = price.work;
    if work.compute_units == 0 {
        return Err(refusal::ROOT_HASH_INVALID.wrap("root hash has zero relays"));
    }
    if work.compute_units != work.relays.wrapping_mul(price.compute_units_per_relay) {
        return Err(refusal::ROOT_HASH_INVALID.wrap(format_args!(
            "mismatch: claim compute units ({}) != number of relays ({}) * service compute units per relay ({})",
            work.compute_units, work.relays, price.compute_units_per_relay,
        )));
    }
    Ok(())
}

/// Splits an amount among shareholders: each share rounded down, the remainder to the first listed. Sorted by address.
///
/// # Errors
/// The reason why the list cannot be used.
fn shareholder_amounts(shares: &[ServiceRevenueShare], amount: Upokt) -> Result<BTreeMap<String, Upokt>, String> {
    let mut amounts: BTreeMap<String, BigInt> = BTreeMap::new();
    let whole = BigInt::from(amount.0);
    let mut remainder = whole.clone();
    for share in shares {
        let percent = share.rev_share_percentage.cast_signed();
        let part = &whole * percent / REV_SHARE_PERCENT;
        remainder -= &part;
        if amounts.insert(share.address.clone(), part).is_some() {
            return Err(format!("duplicate revshare recipient address: {}", quoted(&share.address)));
        }
    }
    let sum = percent_sum(shares);
    if sum != REV_SHARE_PERCENT {
        return Err(format!("revshare percentage sum {sum} != required {REV_SHARE_PERCENT}"));
    }
    let first = shares.first().ok_or("empty revshare list")?;
    *amounts.entry(first.address.clone()).or_default() += remainder;
    amounts
        .into_iter()
        .map(|(address, amount)| match amount.to_u128() {
            Some(amount) => Ok((address, Upokt(amount))),
            None if amount.is_negative() => Err(format!("negative share of {}", quoted(&address))),
            None => Err(format!("share of {} exceeds the chain's integers", quoted(&address))),
        })
        .collect()
}

fn percent_sum(shares: &[ServiceRevenueShare]) -> u64 {
    shares.iter().fold(0, |sum, share| sum.wrapping_add(share.rev_share_percentage))
}
