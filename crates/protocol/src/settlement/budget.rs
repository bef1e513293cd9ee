//! What an application can pay per session and supplier (§8.7.2, §8.7.3).
//!
//! Each claiming supplier is guaranteed an equal part of the application's budget for the session, the *floor*. What
//! suppliers below their floor leave unused may go to those above it, in proportion to their excess, up to a governance
//! multiple of the floor. All amounts here are in stake terms: with inflation.

use std::collections::BTreeMap;

use num_bigint::BigUint;
use num_traits::Zero as _;
use pocket_proto::pocket::proof::Claim;
use pocket_proto::pocket::tokenomics::EventApplicationOverserviced;

use super::pricing::Priced;
use super::{Settlement, header, ratio, refusal};
use crate::error::ChainError;
use crate::{Height, Upokt};

/// Application and session id.
type Key = (String, String);

/// Budgets of the (application, session) pairs of this settlement.
pub(super) struct Budgets {
    /// Claims of a pair, expiring and faulty ones included.
    claims: BTreeMap<Key, u128>,
    budgets: BTreeMap<Key, Budget>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Budget {
    /// What each claiming supplier is guaranteed.
    floor: BigUint,
    /// Sum of what settling claims below the floor leave of it.
    unused: BigUint,
    /// Sum of what settling claims ask for above the floor.
    excess: BigUint,
    /// Whether the application's own limit rather than its stake set the floor.
    spend_limit_exceeded: bool,
}

impl Budgets {
    pub(super) fn counting(claims: &[&Claim]) -> Self {
        let mut counts = BTreeMap::new();
        for claim in claims {
            *counts.entry(key(claim)).or_default() += 1;
        }
        Self { claims: counts, budgets: BTreeMap::new() }
    }
}

impl Settlement<'_> {
    /// Enters a claim that will settle into its pair's budget. One that will expire pays nothing and must not count:
    /// an enormous claim that is never proved could otherwise take the whole bonus away from the others.
    pub(super) fn reserve(&mut self, claim: &Claim, price: &Priced) {
        if !price.will_settle(claim) {
            return;
        }
        // A budget that cannot be computed discards the claim when it is paid.
        let Ok(budget) = self.budget(claim, price.application) else { return };
        if price.stake < budget.floor {
            budget.unused += &budget.floor - &price.stake;
        } else {
            budget.excess += &price.stake - &budget.floor;
        }
    }

    /// Returns the amount a claim settles for, and reports the application when that is less than claimed.
    pub(super) fn cap(&mut self, claim: &Claim, price: &Priced) -> Result<BigUint, ChainError> {
        let multiplier = self.input.tokenomics.overservicing_bonus_multiplier.max(1);
        let budget = self.budget(claim, price.application)?.clone();

        let mut payable = budget.floor.clone();
        if multiplier > 1 && !budget.excess.is_zero() && price.stake > budget.floor {
            payable += &budget.unused * (&price.stake - &budget.floor) / &budget.excess;
        }
        payable = payable.min(&budget.floor * multiplier);

        let claimed = &price.amounts.claimed_upokt;
        let settlement = self.ratios.without_inflation(&payable);
        if *claimed <= settlement {
            return Ok(claimed.clone());
        }
        let header = header(claim);
        self.emit(EventApplicationOverserviced {
            application_addr: header.application_address.clone(),
            supplier_operator_addr: claim.supplier_operator_address.clone(),
            expected_burn: ratio::coin(&price.stake),
            effective_burn: ratio::coin((&price.stake).min(&payable)),
            service_id: header.service_id.clone(),
            session_end_block_height: header.session_end_block_height,
            spend_limit_exceeded: budget.spend_limit_exceeded,
        });
        Ok(settlement)
    }

    /// Returns the budget of a claim's pair, computing its floor the first time.
    fn budget(&mut self, claim: &Claim, application: usize) -> Result<&mut Budget, ChainError> {
        let key = key(claim);
        if !self.budgets.budgets.contains_key(&key) {
            let suppliers = self.budgets.claims.get(&key).copied().unwrap_or(1);
            let budget = self.first_budget(header(claim).session_end_block_height, application, suppliers)?;
            self.budgets.budgets.insert(key.clone(), budget);
        }
        Ok(self.budgets.budgets.get_mut(&key).expect("inserted above when it was missing"))
    }

    /// Computes the floor: stake at the start of settlement, over pending sessions, over suppliers, in this order of
    /// integer divisions, and under the application's limit per session.
    fn first_budget(&self, session_end: Height, application: usize, suppliers: u128) -> Result<Budget, ChainError> {
        let pending = self.input.shared.at(session_end).pending_sessions();
        let pending = u128::try_from(pending).unwrap_or(1).max(1);
        let record = self.books.application(application);

        let per_session = record.initial_stake.0 / pending;
        let mut floor = per_session / suppliers;
        let mut spend_limit_exceeded = false;
        if let Some(limit) = &record.message.per_session_spend_limit {
            let limit = Upokt::from_parts(&limit.denom, &limit.amount).map_err(|_| {
                refusal::STAKE_INVALID.wrap(format_args!(
                    "application {} has per_session_spend_limit with invalid denom {} (expected \"upokt\")",
                    record.message.address,
                    crate::error::quoted(&limit.denom),
                ))
            })?;
            let limited = limit.0.min(per_session) / suppliers;
            if !limit.is_zero() && limited < floor {
                floor = limited;
                spend_limit_exceeded = true;
            }
        }
        Ok(Budget { floor: floor.into(), unused: BigUint::zero(), excess: BigUint::zero(), spend_limit_exceeded })
    }
}

fn key(claim: &Claim) -> Key {
    let header = header(claim);
    (header.application_address.clone(), header.session_id.clone())
}
