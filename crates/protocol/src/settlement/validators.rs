//! The proposer shares, distributed to validators and delegators by stake (§8.7.5).

use std::collections::{BTreeMap, BTreeSet};

use num_bigint::BigUint;
use num_traits::{ToPrimitive as _, Zero as _};
use pocket_proto::pocket::tokenomics::{EventValidatorRewardDistribution, SettlementOpReason as Reason};

use super::bank::module;
use super::input::Validator;
use super::{Operations, Settlement};
use crate::Upokt;

/// Parts of a whole commission.
const COMMISSION_WHOLE: u128 = 1_000_000_000_000_000_000;

/// How one validator's part of the pool is divided.
struct Division {
    commission: Upokt,
    self_delegation: Upokt,
    delegators: Upokt,
    delegated: Upokt,
    num_delegators: u32,
}

impl Settlement<'_> {
    /// Distributes what the claims left for the proposer, in ascending order of reason.
    pub(super) fn reward_validators(&mut self) {
        for (reason, amount) in std::mem::take(&mut self.proposer_rewards) {
            let reason = Reason::try_from(reason).expect("only reasons of the enum are kept");
            if !amount.is_zero() {
                self.distribute(reason, amount);
            }
        }
    }

    fn distribute(&mut self, reason: Reason, amount: Upokt) {
        let validators = eligible(self.input.validators);
        let stakes = validators.values().map(|it| (it.account_address.clone(), it.bonded_tokens)).collect();
        let pool = by_largest_remainder(&stakes, amount);

        let mut rewards = BTreeMap::new();
        for (account, validator) in &validators {
            let share = pool.get(*account).copied().unwrap_or_default();
            if share.is_zero() {
                continue;
            }
            let division = divide(validator, share, &mut rewards);
            self.emit(EventValidatorRewardDistribution {
                session_end_block_height: self.summary_session_end(),
                op_reason: reason.into(),
                validator_operator_address: validator.operator_address.clone(),
                validator_account_address: validator.account_address.clone(),
                commission_rate: decimal(validator.commission_rate),
                pool_share_upokt: share.0.to_string(),
                commission_upokt: division.commission.0.to_string(),
                self_delegation_reward_upokt: division.self_delegation.0.to_string(),
                delegators_reward_upokt: division.delegators.0.to_string(),
                total_delegated_stake_upokt: division.delegated.0.to_string(),
                num_delegators: division.num_delegators,
            });
        }

        let mut operations = Operations::default();
        for (recipient, amount) in rewards {
            let reason = match reason {
                _ if validators.contains_key(recipient.as_str()) => reason,
                Reason::TlmRelayBurnEqualsMintValidatorRewardDistribution => {
                    Reason::TlmRelayBurnEqualsMintDelegatorRewardDistribution
                }
                Reason::TlmGlobalMintValidatorRewardDistribution => Reason::TlmGlobalMintDelegatorRewardDistribution,
                other => other,
            };
            operations.pay(module::TOKENOMICS, &recipient, reason, amount);
        }
        self.operations.append(operations);
    }
}

/// Returns the validators with a stake by account address; of two with the same account, the first.
fn eligible(validators: &[Validator]) -> BTreeMap<&str, &Validator> {
    let mut eligible = BTreeMap::new();
    for validator in validators.iter().filter(|it| !it.bonded_tokens.is_zero()) {
        eligible.entry(validator.account_address.as_str()).or_insert(validator);
    }
    eligible
}

/// Divides a validator's share: commission first, the rest by delegated stake; all of it to a validator to whom nobody
/// delegates.
fn divide(validator: &Validator, share: Upokt, rewards: &mut BTreeMap<String, Upokt>) -> Division {
    let commission = commission(share, validator.commission_rate);
    let rest = share.saturating_sub(commission);
    add(rewards, &validator.account_address, commission);

    let stakes = delegated_stakes(validator);
    let delegated: Upokt = stakes.values().copied().sum();
    if rest.is_zero() || delegated.is_zero() {
        add(rewards, &validator.account_address, rest);
        let delegated = Upokt::ZERO;
        return Division { commission, self_delegation: rest, delegators: Upokt::ZERO, delegated, num_delegators: 0 };
    }
    let parts = by_largest_remainder(&stakes, rest);
    for (delegator, amount) in &parts {
        add(rewards, delegator, *amount);
    }
    let self_delegation = parts.get(&validator.account_address).copied().unwrap_or_default();
    let others = parts.keys().filter(|delegator| **delegator != validator.account_address).count();
    Division {
        commission,
        self_delegation,
        delegators: rest.saturating_sub(self_delegation),
        delegated,
        num_delegators: u32::try_from(others).unwrap_or(u32::MAX),
    }
}

fn delegated_stakes(validator: &Validator) -> BTreeMap<String, Upokt> {
    let mut stakes = BTreeMap::new();
    for delegation in validator.delegations.iter().filter(|delegation| !delegation.tokens.is_zero()) {
        add(&mut stakes, &delegation.delegator_address, delegation.tokens);
    }
    stakes
}

/// Returns `floor(share * rate)`, all of it from a rate of one.
fn commission(share: Upokt, rate: u128) -> Upokt {
    if rate >= COMMISSION_WHOLE {
        return share;
    }
    let commission = BigUint::from(share.0) * rate / COMMISSION_WHOLE;
    Upokt(commission.to_u128().expect("no more than the share"))
}

/// Splits an amount in proportion to stakes: each part rounded down, the tokens that are left one by one to the largest
/// fractions, ties to the smaller address. Every stake is positive.
fn by_largest_remainder(stakes: &BTreeMap<String, Upokt>, amount: Upokt) -> BTreeMap<String, Upokt> {
    let total: BigUint = stakes.values().map(|stake| BigUint::from(stake.0)).sum();
    if total.is_zero() {
        return BTreeMap::new();
    }
    let mut parts = BTreeMap::new();
    let mut fractions = BTreeSet::new();
    let mut left = amount;
    for (address, stake) in stakes {
        let exact = BigUint::from(stake.0) * amount.0;
        let part = Upokt((&exact / &total).to_u128().expect("no more than the amount"));
        let fraction = exact % &total;
        if !fraction.is_zero() {
            fractions.insert((std::cmp::Reverse(fraction), address.clone()));
        }
        left = left.saturating_sub(part);
        parts.insert(address.clone(), part);
    }
    // The fractions add up to the tokens left, and each is below one: there are more of them than tokens.
    let lucky = usize::try_from(left.0).unwrap_or(usize::MAX);
    for (_, address) in fractions.into_iter().take(lucky) {
        add(&mut parts, &address, Upokt(1));
    }
    parts
}

fn add(amounts: &mut BTreeMap<String, Upokt>, address: &str, amount: Upokt) {
    let sum = amounts.entry(address.to_owned()).or_default();
    *sum = [*sum, amount].into_iter().sum();
}

/// Formats parts of 10^18 with all 18 places, as the SDK prints its decimals.
fn decimal(parts: u128) -> String {
    format!("{}.{:018}", parts / COMMISSION_WHOLE, parts % COMMISSION_WHOLE)
}
