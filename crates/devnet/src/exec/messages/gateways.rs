//! Staking gateways (protocol §1.6, §4.9).

use std::sync::Arc;

use pocket_crypto::address::Address;
use pocket_proto::pocket::gateway::{
    EventGatewayStaked, EventGatewayUnbondingBegin, EventGatewayUnbondingCanceled, Gateway, MsgStakeGateway,
    MsgUnstakeGateway,
};
use pocket_protocol::{
    GrpcStatus, Upokt,
    error::{Registered, codes, quoted},
    params::coin,
};

use super::{address, invalid, parsed};
use crate::{
    exec::{Context, Failure, gas},
    state::{State, stake_of},
};

pub(super) const INVALID_ADDRESS: Registered = Registered::new("gateway", 1101, "invalid gateway address");
const INVALID_STAKE: Registered = Registered::new("gateway", 1102, "invalid gateway stake");
const IS_UNBONDING: Registered = Registered::new("gateway", 1107, "gateway is in unbonding period");

pub(super) fn validate_stake(message: &MsgStakeGateway) -> Result<(), Failure> {
    address(&message.address, &INVALID_ADDRESS)?;
    match &message.stake {
        None => Err(INVALID_STAKE.wrap("nil gateway stake").into()),
        Some(stake) if stake.denom != "upokt" => {
            Err(INVALID_STAKE.wrap(format!("invalid coin denom: {}", stake.denom)).into())
        }
        Some(_) => Ok(()),
    }
}

pub(super) fn stake(context: &mut Context<'_>, message: &MsgStakeGateway) -> Result<(), Failure> {
    context.gas.consume(gas::OBJECT, gas::AT_WRITE)?;
    let address = parsed(&message.address)?;
    let wanted = message.stake.as_ref().and_then(|stake| Upokt::from_parts(&stake.denom, &stake.amount).ok());
    let wanted = wanted.ok_or_else(|| invalid(INVALID_STAKE.wrap("unreadable stake")))?;
    let min_stake = context.state.params.gateway.min_stake;
    if wanted < min_stake {
        let text = format!("gateway {} must stake at least {min_stake}", quoted(&message.address));
        return Err(invalid(INVALID_STAKE.wrap(text)));
    }
    let existing = context.state.gateways.get(&address).map(|gateway| Gateway::clone(gateway));
    let held = existing.as_ref().map_or(Upokt::ZERO, |gateway| stake_of(gateway.stake.as_ref()));
    if existing.is_some() && wanted <= held {
        let text = format!("stake amount {wanted} must be higher than previous stake amount {held}");
        return Err(invalid(INVALID_STAKE.wrap(text)));
    }
    let mut gateway = existing.unwrap_or_else(|| Gateway { address: message.address.clone(), ..Gateway::default() });
    let was_unbonding = gateway.unstake_session_end_height != 0;
    gateway.stake = Some(coin(wanted));
    gateway.unstake_session_end_height = 0;
    context.gas.consume(gas::TRANSFER, gas::AT_WRITE)?;
    context
        .state
        .transfer(&address, &Address::module("gateway"), wanted.saturating_sub(held).0, context.events)
        .map_err(|error| invalid(codes::sdk::INSUFFICIENT_FUNDS.wrap(error)))?;
    context.state.gateways.insert_mut(address, Arc::new(gateway.clone()));
    let session_end_height = context.state.shared_at(context.state.height).session_at(context.state.height).end;
    if was_unbonding {
        context.emit(&EventGatewayUnbondingCanceled { gateway: Some(gateway.clone()), session_end_height });
    }
    context.emit(&EventGatewayStaked { gateway: Some(gateway), session_end_height });
    Ok(())
}

pub(super) fn unstake(context: &mut Context<'_>, message: &MsgUnstakeGateway) -> Result<(), Failure> {
    context.gas.consume(gas::OBJECT, gas::AT_WRITE)?;
    let address = parsed(&message.address)?;
    let Some(gateway) = context.state.gateways.get(&address) else {
        let text = format!("gateway with address {}", quoted(&message.address));
        return Err(codes::gateway::NOT_FOUND.wrap(text).with_status(GrpcStatus::NotFound).into());
    };
    let mut gateway = Gateway::clone(gateway);
    if gateway.unstake_session_end_height != 0 {
        let text = format!("gateway {} is already unbonding", quoted(&message.address));
        return Err(IS_UNBONDING.wrap(text).with_status(GrpcStatus::FailedPrecondition).into());
    }
    let session_end_height = context.state.shared_at(context.state.height).session_at(context.state.height).end;
    gateway.unstake_session_end_height = session_end_height.unsigned_abs();
    context.state.gateways.insert_mut(address, Arc::new(gateway.clone()));
    let unbonding_end_height = unbonding_end(context.state, &gateway);
    context.emit(&EventGatewayUnbondingBegin { gateway: Some(gateway), session_end_height, unbonding_end_height });
    Ok(())
}

/// Returns the height at which an unbonding gateway gets its stake back.
pub(in crate::exec) fn unbonding_end(state: &State, gateway: &Gateway) -> i64 {
    let shared = &state.shared.live;
    let blocks = shared.gateway_unbonding_period_sessions.saturating_mul(shared.num_blocks_per_session);
    i64::try_from(gateway.unstake_session_end_height.saturating_add(blocks)).unwrap_or(i64::MAX)
}
