//! Adding services (protocol §1.8, §7.5).

use std::sync::Arc;

use pocket_crypto::address::Address;
use pocket_proto::pocket::{service::MsgAddService, shared::Service};
use pocket_protocol::{
    error::{Registered, quoted},
    mining::{COMPUTE_UNITS_PER_RELAY_MAX, ComputeUnitsEntry, difficulty},
    session::check_service_id,
};

use super::{address, invalid, parsed};
use crate::exec::{Context, Failure, gas};

const INVALID_ADDRESS: Registered = Registered::new("service", 1102, "invalid address");
const MISSING_ID: Registered = Registered::new("service", 1103, "missing service ID");
const INVALID_NAME: Registered = Registered::new("shared", 1109, "invalid service name");
const INVALID_COMPUTE_UNITS: Registered = Registered::new("shared", 1110, "invalid compute units per relay");
const NOT_ENOUGH_FUNDS: Registered = Registered::new("service", 1108, "not enough funds to add service");
const INVALID_OWNER: Registered = Registered::new("service", 1113, "invalid owner address");
/// Longest name of a service, in bytes.
const NAME_BYTES_MAX: usize = 169;

fn service(message: &MsgAddService) -> Result<&Service, Failure> {
    message.service.as_ref().ok_or_else(|| MISSING_ID.wrap("no service given").into())
}

pub(super) fn validate(message: &MsgAddService) -> Result<(), Failure> {
    address(&message.owner_address, &INVALID_ADDRESS)?;
    let service = service(message)?;
    check_service_id(&service.id)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_ ".contains(&byte);
    if service.name.len() > NAME_BYTES_MAX || !service.name.bytes().all(allowed) {
        return Err(INVALID_NAME.wrap(quoted(&service.name)).into());
    }
    if service.compute_units_per_relay == 0 || service.compute_units_per_relay > COMPUTE_UNITS_PER_RELAY_MAX {
        let text = format!("{} is not within 1 and {COMPUTE_UNITS_PER_RELAY_MAX}", service.compute_units_per_relay);
        return Err(INVALID_COMPUTE_UNITS.wrap(text).into());
    }
    Ok(())
}

pub(super) fn add(context: &mut Context<'_>, message: &MsgAddService) -> Result<(), Failure> {
    context.gas.consume(gas::OBJECT, gas::AT_WRITE)?;
    let owner = parsed(&message.owner_address)?;
    let mut service = service(message)?.clone();
    let id: Arc<str> = Arc::from(service.id.as_str());
    let session = context.state.shared_at(context.state.height).session_at(context.state.height);
    let mut history: Vec<ComputeUnitsEntry> =
        context.state.compute_units.get(&id).map(|history| Vec::clone(history)).unwrap_or_default();
    if let Some(existing) = context.state.services.get(&id) {
        // The owner of a service may change it; nobody else.
        if existing.owner_address != owner.as_str() {
            let text = format!("owner address {} does not match service owner", quoted(owner.as_str()));
            return Err(invalid(INVALID_OWNER.wrap(text)));
        }
        if existing.compute_units_per_relay != service.compute_units_per_relay {
            difficulty::change_compute_units(
                &mut history,
                existing.compute_units_per_relay,
                service.compute_units_per_relay,
                session.next_start(),
            );
        }
    } else {
        let fee = context.state.params.service.add_service_fee;
        context.gas.consume(gas::TRANSFER, gas::AT_WRITE)?;
        context
            .state
            .transfer(&owner, &Address::module("service"), fee.0, context.events)
            .map_err(|error| invalid(NOT_ENOUGH_FUNDS.wrap(error)))?;
        difficulty::set_compute_units(&mut history, session.start, service.compute_units_per_relay);
    }
    service.owner_address = owner.to_string();
    context.state.compute_units.insert_mut(Arc::clone(&id), Arc::new(history));
    context.state.services.insert_mut(id, Arc::new(service));
    Ok(())
}
