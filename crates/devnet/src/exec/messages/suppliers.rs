//! Staking suppliers (protocol §1.7, §4.9).

use pocket_crypto::address::Address;
use pocket_proto::pocket::{
    shared::{ServiceConfigUpdate, Supplier, SupplierServiceConfig},
    supplier::{
        EventSupplierStaked, EventSupplierUnbondingBegin, EventSupplierUnbondingCanceled, MsgStakeSupplier,
        MsgUnstakeSupplier, SupplierUnbondingReason,
    },
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
    state::{BankError, State, stake_of},
};

const INVALID_SIGNER: Registered = Registered::new("supplier", 1100, "invalid supplier signer");
const INVALID_STAKE: Registered = Registered::new("supplier", 1101, "invalid supplier stake");
const INVALID_ADDRESS: Registered = Registered::new("supplier", 1102, "invalid supplier address");
const INVALID_SERVICE: Registered = Registered::new("supplier", 1104, "invalid service config");
const IS_UNSTAKING: Registered = Registered::new("supplier", 1105, "supplier is in unbonding period");
const SERVICE_NOT_FOUND: Registered = Registered::new("supplier", 1106, "service not found");
/// All of a reward, in percent.
const PERCENT_ALL: u64 = 100;

pub(super) fn validate_stake(message: &MsgStakeSupplier) -> Result<(), Failure> {
    address(&message.signer, &INVALID_ADDRESS)?;
    address(&message.owner_address, &INVALID_ADDRESS)?;
    address(&message.operator_address, &INVALID_ADDRESS)?;
    if message.signer != message.owner_address && message.signer != message.operator_address {
        let text = "signer address must be one of owner or operator address";
        return Err(INVALID_SIGNER.wrap(text).into());
    }
    if let Some(stake) = &message.stake
        && stake.denom != "upokt"
    {
        return Err(INVALID_STAKE.wrap(format!("invalid coin denom: {}", stake.denom)).into());
    }
    for service in &message.services {
        validate_service(service)?;
    }
    Ok(())
}

fn validate_service(service: &SupplierServiceConfig) -> Result<(), Failure> {
    check_service_id(&service.service_id).map_err(|error| INVALID_SERVICE.wrap(error))?;
    if service.endpoints.is_empty() {
        return Err(INVALID_SERVICE.wrap(format!("no endpoints for service {}", quoted(&service.service_id))).into());
    }
    for endpoint in &service.endpoints {
        let scheme = endpoint.url.split_once("://");
        let valid = scheme.is_some_and(|(scheme, host)| {
            ["http", "https", "ws", "wss"].contains(&scheme) && !host.is_empty() && !host.starts_with('/')
        });
        if !valid {
            return Err(INVALID_SERVICE.wrap(format!("invalid endpoint URL: {}", endpoint.url)).into());
        }
        if endpoint.rpc_type == 0 {
            return Err(INVALID_SERVICE.wrap("endpoint.RpcType cannot be UNKNOWN_RPC").into());
        }
    }
    let mut shareholders: Vec<&str> = Vec::new();
    let mut sum = 0_u64;
    for share in &service.rev_share {
        address(&share.address, &codes::shared::INVALID_REV_SHARE)?;
        if shareholders.contains(&share.address.as_str()) {
            let text = format!("duplicate revenue share address {}", share.address);
            return Err(codes::shared::INVALID_REV_SHARE.wrap(text).into());
        }
        shareholders.push(&share.address);
        sum = sum.saturating_add(share.rev_share_percentage);
    }
    if sum != PERCENT_ALL && !service.rev_share.is_empty() {
        let text = format!("revenue share percentage sum is {sum}, expected {PERCENT_ALL}");
        return Err(codes::shared::INVALID_REV_SHARE.wrap(text).into());
    }
    Ok(())
}

pub(super) fn validate_unstake(message: &MsgUnstakeSupplier) -> Result<(), Failure> {
    address(&message.signer, &INVALID_ADDRESS)?;
    address(&message.operator_address, &INVALID_ADDRESS)
}

pub(super) fn stake(context: &mut Context<'_>, message: &MsgStakeSupplier) -> Result<(), Failure> {
    context.gas.consume(gas::OBJECT, gas::AT_WRITE)?;
    let operator = parsed(&message.operator_address)?;
    let signer = parsed(&message.signer)?;
    for service in &message.services {
        if context.state.services.get(service.service_id.as_str()).is_none() {
            let text = format!("service {} does not exist", quoted(&service.service_id));
            return Err(invalid(SERVICE_NOT_FOUND.wrap(text)));
        }
    }
    let existing = context.state.suppliers.get(&operator).map(|supplier| Supplier::clone(supplier));
    if let Some(existing) = &existing
        && message.signer != existing.owner_address
        && message.signer != existing.operator_address
    {
        let text = format!("signer {} is neither owner nor operator", quoted(&message.signer));
        return Err(invalid(INVALID_SIGNER.wrap(text)));
    }
    let held = existing.as_ref().map_or(Upokt::ZERO, |supplier| stake_of(supplier.stake.as_ref()));
    let wanted = match &message.stake {
        Some(stake) => {
            Upokt::from_parts(&stake.denom, &stake.amount).map_err(|error| invalid(INVALID_STAKE.wrap(error)))?
        }
        None => held,
    };
    let supplier_params = context.state.params.supplier;
    if wanted < supplier_params.min_stake {
        let text = format!(
            "supplier with owner {} must stake at least {}",
            quoted(&message.owner_address),
            supplier_params.min_stake
        );
        return Err(invalid(INVALID_STAKE.wrap(text)));
    }
    let was_unbonding = existing.as_ref().is_some_and(|supplier| supplier.unstake_session_end_height != 0);
    let mut supplier = existing
        .unwrap_or_else(|| Supplier { operator_address: message.operator_address.clone(), ..Supplier::default() });
    supplier.owner_address.clone_from(&message.owner_address);
    supplier.stake = Some(coin(wanted));
    supplier.unstake_session_end_height = 0;
    move_stake(context, &signer, &supplier, held, wanted, supplier_params.staking_fee)?;

    let session = context.state.shared_at(context.state.height).session_at(context.state.height);
    if !message.services.is_empty() {
        supplier.services.clone_from(&message.services);
        configure(context.state, &operator, &message.services, session.next_start());
    }
    context.state.put_supplier(operator.clone(), supplier.clone());
    context.state.unbonding_suppliers.remove_mut(&operator);
    if was_unbonding {
        context.emit(&EventSupplierUnbondingCanceled {
            supplier: Some(supplier),
            session_end_height: session.end,
            height: context.state.height,
        });
    }
    let operator_address = message.operator_address.clone();
    context.emit(&EventSupplierStaked { session_end_height: session.end, operator_address });
    Ok(())
}

/// The fee and a raise come from the signer; what is given back goes to the owner.
fn move_stake(
    context: &mut Context<'_>,
    signer: &Address,
    supplier: &Supplier,
    held: Upokt,
    wanted: Upokt,
    fee: Upokt,
) -> Result<(), Failure> {
    let module = Address::module("supplier");
    let short = |error: BankError| invalid(codes::sdk::INSUFFICIENT_FUNDS.wrap(error));
    context.gas.consume(gas::TRANSFER, gas::AT_WRITE)?;
    context.state.transfer(signer, &module, fee.0, context.events).map_err(short)?;
    if let Some(raise) = wanted.checked_sub(held).filter(|raise| !raise.is_zero()) {
        context.state.transfer(signer, &module, raise.0, context.events).map_err(short)?;
    } else if let Some(returned) = held.checked_sub(wanted).filter(|returned| !returned.is_zero()) {
        let owner = parsed(&supplier.owner_address)?;
        context.state.transfer(&module, &owner, returned.0, context.events).map_err(short)?;
    }
    Ok(())
}

/// New configurations count from the next session; those that held until then end there.
fn configure(state: &mut State, operator: &Address, services: &[SupplierServiceConfig], next_start: i64) {
    end_configurations(state, operator, next_start);
    for service in services {
        let update = ServiceConfigUpdate {
            operator_address: operator.to_string(),
            service: Some(service.clone()),
            activation_height: next_start,
            deactivation_height: 0,
        };
        state.put_service_config(operator.as_str(), update);
    }
}

/// Ends all running configurations of a supplier; those that would never have begun are dropped.
fn end_configurations(state: &mut State, operator: &Address, next_start: i64) {
    for (key, update) in state.configs_of_supplier(operator.as_str()) {
        if update.activation_height >= next_start {
            state.remove_service_config(&key);
        } else if update.deactivation_height == 0 || update.deactivation_height > next_start {
            let mut update = ServiceConfigUpdate::clone(&update);
            update.deactivation_height = next_start;
            state.put_service_config(operator.as_str(), update);
        }
    }
}

pub(super) fn unstake(context: &mut Context<'_>, message: &MsgUnstakeSupplier) -> Result<(), Failure> {
    context.gas.consume(gas::OBJECT, gas::AT_WRITE)?;
    let operator = parsed(&message.operator_address)?;
    let Some(supplier) = context.state.suppliers.get(&operator) else {
        let text = format!("supplier with operator address {}", quoted(&message.operator_address));
        return Err(codes::supplier::NOT_FOUND.wrap(text).with_status(GrpcStatus::NotFound).into());
    };
    let mut supplier = Supplier::clone(supplier);
    if message.signer != supplier.owner_address && message.signer != supplier.operator_address {
        let text = format!("signer {} is neither owner nor operator", quoted(&message.signer));
        return Err(INVALID_SIGNER.wrap(text).with_status(GrpcStatus::PermissionDenied).into());
    }
    if supplier.unstake_session_end_height != 0 && context.state.unbonding_suppliers.contains_key(&operator) {
        let text = format!("supplier {} is already unbonding", quoted(&message.operator_address));
        return Err(IS_UNSTAKING.wrap(text).with_status(GrpcStatus::FailedPrecondition).into());
    }
    let session = context.state.shared_at(context.state.height).session_at(context.state.height);
    supplier.unstake_session_end_height = session.end.unsigned_abs();
    end_configurations(context.state, &operator, session.next_start());
    context.state.put_supplier(operator.clone(), supplier.clone());
    context.state.unbonding_suppliers.insert_mut(operator, ());
    let unbonding_end_height = unbonding_end(context.state, &supplier);
    context.emit(&EventSupplierUnbondingBegin {
        supplier: Some(supplier),
        reason: SupplierUnbondingReason::Voluntary.into(),
        session_end_height: session.end,
        unbonding_end_height,
    });
    Ok(())
}

/// Returns the height at which an unbonding supplier gets its stake back.
pub(in crate::exec) fn unbonding_end(state: &State, supplier: &Supplier) -> i64 {
    let shared = &state.shared.live;
    let blocks = shared.supplier_unbonding_period_sessions.saturating_mul(shared.num_blocks_per_session);
    i64::try_from(supplier.unstake_session_end_height.saturating_add(blocks)).unwrap_or(i64::MAX)
}
