//! Those who leave: gateways, applications and suppliers at the end of their last session, their stakes at the end of
//! their unbonding (protocol §4.9).

use std::sync::Arc;

use pocket_crypto::address::Address;
use pocket_proto::{
    pocket::{
        application::{
            Application, ApplicationUnbondingReason, EventApplicationStakeStuckInModulePool,
            EventApplicationUnbondingEnd,
        },
        gateway::{EventGatewayUnbondingEnd, Gateway},
        shared::Supplier,
        supplier::{EventSupplierStakeStuckInModulePool, EventSupplierUnbondingEnd, SupplierUnbondingReason},
    },
    tendermint::abci::Event,
};

use crate::{
    exec::{
        messages::{application_unbonding_end, gateway_unbonding_end, remove_gateway, supplier_unbonding_end},
        typed,
    },
    state::{State, stake_of},
};

pub(super) fn end_gateways(state: &mut State, events: &mut Vec<Event>) {
    let height = state.height;
    let session_end_height = state.shared_at(height).session_at(height).end;
    if session_end_height != height {
        return;
    }
    let unbonding: Vec<Arc<Gateway>> =
        state.gateways.values().filter(|gateway| gateway.unstake_session_end_height != 0).cloned().collect();
    for gateway in unbonding {
        let unbonding_end_height = gateway_unbonding_end(state, &gateway);
        if height < unbonding_end_height {
            continue;
        }
        let Ok(address) = gateway.address.parse::<Address>() else { continue };
        let deposit = stake_of(gateway.stake.as_ref());
        if state.transfer(&Address::module("gateway"), &address, deposit.0, events).is_err() {
            continue;
        }
        state.gateways.remove_mut(&address);
        events.push(typed(&EventGatewayUnbondingEnd {
            gateway: Some(Gateway::clone(&gateway)),
            session_end_height,
            unbonding_end_height,
        }));
    }
}

pub(super) fn end_applications(state: &mut State, events: &mut Vec<Event>) {
    let height = state.height;
    let shared = state.shared_at(height);
    let session_end_height = shared.session_at(height).end;
    if session_end_height != height {
        return;
    }
    undelegate_from_inactive(state, session_end_height);
    let keep_from = height
        - i64::try_from(shared.grace_period_end_offset_blocks.saturating_add(2 * shared.num_blocks_per_session))
            .unwrap_or(i64::MAX);
    let all: Vec<Arc<Application>> = state.applications.values().cloned().collect();
    for application in all {
        let Ok(address) = application.address.parse::<Address>() else { continue };
        let outdated =
            application.pending_undelegations.keys().any(|end| i64::try_from(*end).is_ok_and(|end| end < keep_from));
        if outdated {
            let mut changed = Application::clone(&application);
            changed.pending_undelegations.retain(|end, _| i64::try_from(*end).map_or(true, |end| end >= keep_from));
            state.applications.insert_mut(address.clone(), Arc::new(changed));
        }
        if application.unstake_session_end_height == 0 {
            continue;
        }
        let unbonding_end_height = application_unbonding_end(state, &application);
        if height >= unbonding_end_height {
            end_application(state, &application, &address, (session_end_height, unbonding_end_height), events);
        }
    }
}

fn end_application(
    state: &mut State,
    application: &Application,
    address: &Address,
    (session_end_height, unbonding_end_height): (i64, i64),
    events: &mut Vec<Event>,
) {
    let deposit = stake_of(application.stake.as_ref());
    if let Err(error) = state.transfer(&Address::module("application"), address, deposit.0, events) {
        events.push(typed(&EventApplicationStakeStuckInModulePool {
            application_address: address.to_string(),
            stuck_coin: deposit.to_string(),
            reason: error.to_string(),
            session_end_height,
        }));
    }
    state.applications.remove_mut(address);
    let below = deposit < state.params.application.min_stake;
    let reason = if below { ApplicationUnbondingReason::BelowMinStake } else { ApplicationUnbondingReason::Elective };
    events.push(typed(&EventApplicationUnbondingEnd {
        application: Some(application.clone()),
        reason: reason.into(),
        session_end_height,
        unbonding_end_height,
    }));
}

/// Applications lose the gateways whose last session ends with this block.
fn undelegate_from_inactive(state: &mut State, session_end: i64) {
    let inactive: Vec<String> = state
        .gateways
        .values()
        .filter(|gateway| gateway.unstake_session_end_height == session_end.unsigned_abs())
        .map(|gateway| gateway.address.clone())
        .collect();
    if inactive.is_empty() {
        return;
    }
    let all: Vec<Arc<Application>> = state.applications.values().cloned().collect();
    for application in all {
        let lost: Vec<&String> =
            inactive.iter().filter(|gateway| application.delegatee_gateway_addresses.contains(gateway)).collect();
        if lost.is_empty() {
            continue;
        }
        let mut changed = Application::clone(&application);
        for gateway in lost {
            remove_gateway(&mut changed, gateway, session_end);
        }
        if let Ok(address) = application.address.parse() {
            state.applications.insert_mut(address, Arc::new(changed));
        }
    }
}

pub(super) fn end_suppliers(state: &mut State, events: &mut Vec<Event>) {
    let height = state.height;
    let session_end_height = state.shared_at(height).session_at(height).end;
    if session_end_height == height {
        let unbonding: Vec<Address> = state.unbonding_suppliers.keys().cloned().collect();
        for operator in unbonding {
            let Some(supplier) = state.suppliers.get(&operator).cloned() else {
                state.unbonding_suppliers.remove_mut(&operator);
                continue;
            };
            let unbonding_end_height = supplier_unbonding_end(state, &supplier);
            if height >= unbonding_end_height {
                end_supplier(state, &supplier, &operator, (session_end_height, unbonding_end_height), events);
            }
        }
    }
    prune_configurations(state);
}

fn end_supplier(
    state: &mut State,
    supplier: &Supplier,
    operator: &Address,
    (session_end_height, unbonding_end_height): (i64, i64),
    events: &mut Vec<Event>,
) {
    let deposit = stake_of(supplier.stake.as_ref());
    let owner = supplier.owner_address.parse().unwrap_or_else(|_| operator.clone());
    if let Err(error) = state.transfer(&Address::module("supplier"), &owner, deposit.0, events) {
        events.push(typed(&EventSupplierStakeStuckInModulePool {
            operator_address: operator.to_string(),
            owner_address: owner.to_string(),
            stuck_coin: deposit.to_string(),
            reason: error.to_string(),
            session_end_height,
        }));
    }
    state.suppliers.remove_mut(operator);
    state.unbonding_suppliers.remove_mut(operator);
    state.suppliers_revision += 1;
    let below = deposit < state.params.supplier.min_stake;
    let reason = if below { SupplierUnbondingReason::BelowMinStake } else { SupplierUnbondingReason::Voluntary };
    events.push(typed(&EventSupplierUnbondingEnd {
        supplier: Some(supplier.clone()),
        reason: reason.into(),
        session_end_height,
        unbonding_end_height,
    }));
}

/// Drops service configurations once the last session they counted in is settled. Looked for at session ends only.
fn prune_configurations(state: &mut State) {
    let height = state.height;
    let shared = state.shared.live;
    if !shared.session_at(height).ends_at(height) {
        return;
    }
    let over = |deactivation: i64| deactivation != 0 && height > shared.windows_at(deactivation - 1).proof_close;
    let gone: Vec<_> = state
        .service_configs
        .iter()
        .filter(|(_, update)| over(update.deactivation_height))
        .map(|(key, _)| key.clone())
        .collect();
    for key in gone {
        state.remove_service_config(&key);
    }
}
