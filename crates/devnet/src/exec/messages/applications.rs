//! Staking applications and delegating to gateways (protocol §1.5, §3.5.5, §4.9).

use std::sync::Arc;

use pocket_crypto::address::Address;
use pocket_proto::pocket::{
    application::{
        Application, ApplicationServiceConfigUpdate, ApplicationUnbondingReason, EventApplicationStaked,
        EventApplicationUnbondingBegin, EventApplicationUnbondingCanceled, EventRedelegation, MsgDelegateToGateway,
        MsgStakeApplication, MsgUndelegateFromGateway, MsgUnstakeApplication,
    },
    shared::ApplicationServiceConfig,
};
use pocket_protocol::{
    GrpcStatus, Upokt,
    error::{Registered, codes, quoted},
    params::coin,
    session::check_service_id,
};

use super::{address, invalid, parsed};
use crate::{
    exec::{Context, Failure, gas},
    state::{State, stake_of},
};

const INVALID_STAKE: Registered = Registered::new("application", 1101, "invalid application stake");
pub(super) const INVALID_ADDRESS: Registered = Registered::new("application", 1102, "invalid application address");
const INVALID_SERVICES: Registered = Registered::new("application", 1106, "invalid service configs");
const GATEWAY_NOT_FOUND: Registered = Registered::new("application", 1107, "gateway not found");
const INVALID_GATEWAY: Registered = Registered::new("application", 1108, "invalid gateway address");
const ALREADY_DELEGATED: Registered = Registered::new("application", 1109, "application already delegated to gateway");
const MAX_DELEGATED: Registered = Registered::new("application", 1110, "maximum number of delegated gateways reached");
const NOT_DELEGATED: Registered = Registered::new("application", 1111, "application not delegated to gateway");
const IS_UNBONDING: Registered = Registered::new("application", 1112, "application is in unbonding period");
const INVALID_SPEND_LIMIT: Registered = Registered::new("application", 1118, "invalid per-session spend limit");
/// Least spend limit that is not none, in upokt.
const SPEND_LIMIT_MIN: u128 = 1_000_000;

pub(super) fn validate_stake(message: &MsgStakeApplication) -> Result<(), Failure> {
    address(&message.address, &INVALID_ADDRESS)?;
    let Some(stake) = &message.stake else {
        return Err(INVALID_STAKE.wrap("nil application stake").into());
    };
    if stake.denom != "upokt" || stake.amount.parse::<u128>().is_ok_and(|amount| amount == 0) {
        return Err(INVALID_STAKE.wrap(format!("invalid stake: {}{}", stake.amount, stake.denom)).into());
    }
    if message.services.len() != 1 {
        let text = format!("applications must stake for exactly one service, got {}", message.services.len());
        return Err(INVALID_SERVICES.wrap(text).into());
    }
    for service in &message.services {
        check_service_id(&service.service_id).map_err(|error| INVALID_SERVICES.wrap(error))?;
    }
    if let Some(limit) = &message.per_session_spend_limit {
        let amount = Upokt::from_parts(&limit.denom, &limit.amount).map_err(|error| INVALID_SPEND_LIMIT.wrap(error))?;
        if amount.0 != 0 && amount.0 < SPEND_LIMIT_MIN {
            return Err(INVALID_SPEND_LIMIT.wrap(format!("{amount} is below {SPEND_LIMIT_MIN}upokt")).into());
        }
    }
    Ok(())
}

pub(super) fn validate_pair(application: &str, gateway: &str) -> Result<(), Failure> {
    address(application, &INVALID_ADDRESS)?;
    address(gateway, &INVALID_GATEWAY)
}

fn session_end(state: &State) -> i64 {
    state.shared_at(state.height).session_at(state.height).end
}

fn put(state: &mut State, address: Address, application: Application) {
    state.applications.insert_mut(address, Arc::new(application));
}

pub(super) fn stake(context: &mut Context<'_>, message: &MsgStakeApplication) -> Result<(), Failure> {
    context.gas.consume(gas::OBJECT, gas::AT_WRITE)?;
    let address = parsed(&message.address)?;
    let wanted = message.stake.as_ref().and_then(|stake| Upokt::from_parts(&stake.denom, &stake.amount).ok());
    let wanted = wanted.ok_or_else(|| invalid(INVALID_STAKE.wrap("unreadable stake")))?;
    let service = &message.services[0];
    if context.state.services.get(service.service_id.as_str()).is_none() {
        let text = format!("service {} does not exist", quoted(&service.service_id));
        return Err(invalid(INVALID_SERVICES.wrap(text)));
    }
    let min_stake = context.state.params.application.min_stake;
    if wanted < min_stake {
        let text = format!("application {} must stake at least {min_stake}", quoted(&message.address));
        return Err(invalid(INVALID_STAKE.wrap(text)));
    }
    let end = session_end(context.state);
    let existing = context.state.applications.get(&address).map(|application| Application::clone(application));
    let was_unbonding = existing.as_ref().is_some_and(|application| application.unstake_session_end_height != 0);
    let held = existing.as_ref().map_or(Upokt::ZERO, |application| stake_of(application.stake.as_ref()));
    if existing.is_some() && wanted <= held {
        let text = format!("stake amount {wanted} must be higher than previous stake amount {held}");
        return Err(invalid(INVALID_STAKE.wrap(text)));
    }
    let mut application =
        existing.unwrap_or_else(|| Application { address: message.address.clone(), ..Application::default() });
    change_service(&mut application, service, end + 1);
    application.stake = Some(coin(wanted));
    application.per_session_spend_limit.clone_from(&message.per_session_spend_limit);
    application.unstake_session_end_height = 0;
    let difference = wanted.saturating_sub(held);
    context.gas.consume(gas::TRANSFER, gas::AT_WRITE)?;
    context
        .state
        .transfer(&address, &Address::module("application"), difference.0, context.events)
        .map_err(|error| invalid(codes::sdk::INSUFFICIENT_FUNDS.wrap(error)))?;
    put(context.state, address, application.clone());
    if was_unbonding {
        let event =
            EventApplicationUnbondingCanceled { application: Some(application.clone()), session_end_height: end };
        context.emit(&event);
    }
    context.emit(&EventApplicationStaked { application: Some(application), session_end_height: end });
    Ok(())
}

/// A changed service counts from the next session; the history says which one held before.
fn change_service(application: &mut Application, service: &ApplicationServiceConfig, next_start: i64) {
    let before = application.service_configs.first().cloned();
    if let Some(before) = before.filter(|before| before != service) {
        let entry = |service, activation_height| ApplicationServiceConfigUpdate {
            application_address: application.address.clone(),
            service: Some(service),
            activation_height,
            deactivation_height: 0,
        };
        let (first, new) = (entry(before, 1), entry(service.clone(), next_start));
        if application.service_config_history.is_empty() {
            application.service_config_history.push(first);
        }
        for update in &mut application.service_config_history {
            if update.deactivation_height == 0 {
                update.deactivation_height = next_start;
            }
        }
        application.service_config_history.retain(|update| update.activation_height != next_start);
        application.service_config_history.push(new);
    }
    application.service_configs = vec![service.clone()];
}

fn find(context: &Context<'_>, address: &Address) -> Result<Application, Failure> {
    let found = context.state.applications.get(address).map(|application| Application::clone(application));
    found.ok_or_else(|| {
        let text = format!("application with address {}", quoted(address.as_str()));
        codes::application::NOT_FOUND.wrap(text).with_status(GrpcStatus::NotFound).into()
    })
}

pub(super) fn unstake(context: &mut Context<'_>, message: &MsgUnstakeApplication) -> Result<(), Failure> {
    context.gas.consume(gas::OBJECT, gas::AT_WRITE)?;
    let address = parsed(&message.address)?;
    let mut application = find(context, &address)?;
    if application.unstake_session_end_height != 0 {
        let text = format!("application {} is already unbonding", quoted(&message.address));
        return Err(IS_UNBONDING.wrap(text).with_status(GrpcStatus::FailedPrecondition).into());
    }
    let end = session_end(context.state);
    application.unstake_session_end_height = end.unsigned_abs();
    put(context.state, address, application.clone());
    let unbonding_end_height = unbonding_end(context.state, &application);
    context.emit(&EventApplicationUnbondingBegin {
        application: Some(application),
        reason: ApplicationUnbondingReason::Elective.into(),
        session_end_height: end,
        unbonding_end_height,
    });
    Ok(())
}

/// Returns the height at which an unbonding application gets its stake back.
pub(in crate::exec) fn unbonding_end(state: &State, application: &Application) -> i64 {
    let shared = &state.shared.live;
    let blocks = shared.application_unbonding_period_sessions.saturating_mul(shared.num_blocks_per_session);
    i64::try_from(application.unstake_session_end_height.saturating_add(blocks)).unwrap_or(i64::MAX)
}

pub(super) fn delegate(context: &mut Context<'_>, message: &MsgDelegateToGateway) -> Result<(), Failure> {
    context.gas.consume(gas::OBJECT, gas::AT_WRITE)?;
    let address = parsed(&message.app_address)?;
    let mut application = find(context, &address)?;
    if context.state.gateways.get(message.gateway_address.as_str()).is_none() {
        let text = format!("gateway with address: {}", quoted(&message.gateway_address));
        return Err(GATEWAY_NOT_FOUND.wrap(text).with_status(GrpcStatus::NotFound).into());
    }
    let max = context.state.params.application.max_delegated_gateways;
    if application.delegatee_gateway_addresses.len() as u64 >= max {
        let text = format!(
            "application {} already delegated to {} gateways",
            quoted(&message.app_address),
            application.delegatee_gateway_addresses.len()
        );
        return Err(MAX_DELEGATED.wrap(text).with_status(GrpcStatus::FailedPrecondition).into());
    }
    if application.delegatee_gateway_addresses.contains(&message.gateway_address) {
        let text = format!(
            "application {} already delegated to gateway {}",
            quoted(&message.app_address),
            quoted(&message.gateway_address)
        );
        return Err(ALREADY_DELEGATED.wrap(text).with_status(GrpcStatus::FailedPrecondition).into());
    }
    application.delegatee_gateway_addresses.push(message.gateway_address.clone());
    for pending in application.pending_undelegations.values_mut() {
        pending.gateway_addresses.retain(|gateway| *gateway != message.gateway_address);
    }
    application.pending_undelegations.retain(|_, pending| !pending.gateway_addresses.is_empty());
    put(context.state, address, application.clone());
    let session_end_height = session_end(context.state);
    context.emit(&EventRedelegation { application: Some(application), session_end_height });
    Ok(())
}

pub(super) fn undelegate(context: &mut Context<'_>, message: &MsgUndelegateFromGateway) -> Result<(), Failure> {
    context.gas.consume(gas::OBJECT, gas::AT_WRITE)?;
    let address = parsed(&message.app_address)?;
    let mut application = find(context, &address)?;
    if !application.delegatee_gateway_addresses.contains(&message.gateway_address) {
        let text = format!(
            "application {} not delegated to gateway {}",
            quoted(&message.app_address),
            quoted(&message.gateway_address)
        );
        return Err(NOT_DELEGATED.wrap(text).with_status(GrpcStatus::FailedPrecondition).into());
    }
    let session_end_height = session_end(context.state);
    remove_gateway(&mut application, &message.gateway_address, session_end_height);
    put(context.state, address, application.clone());
    context.emit(&EventRedelegation { application: Some(application), session_end_height });
    Ok(())
}

/// Ends a delegation: relays of the running session still count with it.
pub(in crate::exec) fn remove_gateway(application: &mut Application, gateway: &str, session_end: i64) {
    application.delegatee_gateway_addresses.retain(|one| one != gateway);
    let pending = application.pending_undelegations.entry(session_end.unsigned_abs()).or_default();
    if !pending.gateway_addresses.iter().any(|one| one == gateway) {
        pending.gateway_addresses.push(gateway.to_owned());
    }
}
