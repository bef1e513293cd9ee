//! Queries of the modules `application`, `gateway` and `supplier`.

use std::collections::BTreeSet;

use pocket_proto::pocket::{
    application, gateway,
    shared::{ServiceConfigUpdate, Supplier},
    supplier,
};
use pocket_protocol::{
    address,
    error::{Registered, codes, quoted},
    session::check_service_id,
};
use tonic::{Code, Status};

use super::{At, Method, methods, refused};
use crate::{
    state::State,
    wire::page::{self, key},
};

const INVALID_GATEWAY: Registered =
    Registered::new("application", 1117, "invalid gateway address querying for apps with delegatee gateway address");
const INVALID_SUPPLIER: Registered = Registered::new("supplier", 1102, "invalid address");
const INVALID_SUPPLIER_SERVICE: Registered = Registered::new("supplier", 1109, "invalid service ID");

pub(super) const APPLICATION: &[Method] = methods!("pocket.application.Query", {
    "Params", application_params;
    "Application", one_application;
    "AllApplications", all_applications;
});

pub(super) const GATEWAY: &[Method] = methods!("pocket.gateway.Query", {
    "Params", gateway_params;
    "Gateway", one_gateway;
    "AllGateways", all_gateways;
});

pub(super) const SUPPLIER: &[Method] = methods!("pocket.supplier.Query", {
    "Params", supplier_params;
    "Supplier", one_supplier, operator_address;
    "AllSuppliers", all_suppliers, operator_address;
});

fn application_params(
    at: &At<'_>,
    _: application::QueryParamsRequest,
) -> Result<application::QueryParamsResponse, Status> {
    Ok(application::QueryParamsResponse { params: Some((&at.state.params.application).into()) })
}

fn one_application(
    at: &At<'_>,
    request: application::QueryGetApplicationRequest,
) -> Result<application::QueryGetApplicationResponse, Status> {
    let Some(found) = at.state.applications.get(request.address.as_str()) else {
        let error = codes::application::NOT_FOUND.wrap(format_args!("app address: {}", request.address));
        return Err(refused(Code::NotFound, &error));
    };
    Ok(application::QueryGetApplicationResponse { application: Some(application::Application::clone(found)) })
}

fn all_applications(
    at: &At<'_>,
    request: application::QueryAllApplicationsRequest,
) -> Result<application::QueryAllApplicationsResponse, Status> {
    let delegatee = request.delegatee_gateway_address;
    if !delegatee.is_empty()
        && let Err(reason) = address::parse(&delegatee)
    {
        let error = INVALID_GATEWAY.wrap(format_args!("{}; ({reason})", quoted(&delegatee)));
        return Err(refused(Code::InvalidArgument, &error));
    }
    let all = at.state.applications.iter().map(|(address, found)| (key(address.as_str()), found));
    let (page, pagination) = page::cut(all, request.pagination)?;
    let is_wanted = |found: &&&std::sync::Arc<application::Application>| {
        delegatee.is_empty() || found.delegatee_gateway_addresses.contains(&delegatee)
    };
    let applications = page.iter().filter(is_wanted).map(|found| application::Application::clone(found)).collect();
    Ok(application::QueryAllApplicationsResponse { applications, pagination: Some(pagination) })
}

fn gateway_params(at: &At<'_>, _: gateway::QueryParamsRequest) -> Result<gateway::QueryParamsResponse, Status> {
    Ok(gateway::QueryParamsResponse { params: Some((&at.state.params.gateway).into()) })
}

fn one_gateway(
    at: &At<'_>,
    request: gateway::QueryGetGatewayRequest,
) -> Result<gateway::QueryGetGatewayResponse, Status> {
    let Some(found) = at.state.gateways.get(request.address.as_str()) else {
        return Err(Status::not_found(format!("gateway not found: address {}", request.address)));
    };
    Ok(gateway::QueryGetGatewayResponse { gateway: Some(gateway_of(found, request.dehydrated)) })
}

fn all_gateways(
    at: &At<'_>,
    request: gateway::QueryAllGatewaysRequest,
) -> Result<gateway::QueryAllGatewaysResponse, Status> {
    let all = at.state.gateways.iter().map(|(address, found)| (key(address.as_str()), found));
    let (page, pagination) = page::cut(all, request.pagination)?;
    let gateways = page.into_iter().map(|found| gateway_of(found, request.dehydrated)).collect();
    Ok(gateway::QueryAllGatewaysResponse { gateways, pagination: Some(pagination) })
}

fn gateway_of(found: &gateway::Gateway, dehydrated: bool) -> gateway::Gateway {
    let mut found = found.clone();
    if dehydrated {
        found.metadata = None;
    }
    found
}

fn supplier_params(at: &At<'_>, _: supplier::QueryParamsRequest) -> Result<supplier::QueryParamsResponse, Status> {
    Ok(supplier::QueryParamsResponse { params: Some((&at.state.params.supplier).into()) })
}

fn one_supplier(
    at: &At<'_>,
    request: supplier::QueryGetSupplierRequest,
) -> Result<supplier::QueryGetSupplierResponse, Status> {
    let Some(found) = supplier_of(&at.state, &request.operator_address, request.dehydrated) else {
        let context = format!("supplier with operator address: {}", quoted(&request.operator_address));
        return Err(refused(Code::NotFound, &codes::supplier::NOT_FOUND.wrap(context)));
    };
    Ok(supplier::QueryGetSupplierResponse { supplier: Some(found) })
}

/// Returns a supplier as queries give it out: with its history and the services now active, or, dehydrated, with the
/// services alone and without their revenue shares.
fn supplier_of(state: &State, operator: &str, dehydrated: bool) -> Option<Supplier> {
    let mut found = state.supplier_hydrated(operator)?;
    let active = found.service_config_history.iter().filter(|update| is_active(update, state.height));
    found.services = active.filter_map(|update| update.service.clone()).collect();
    if dehydrated {
        found.service_config_history.clear();
        for service in &mut found.services {
            service.rev_share.clear();
        }
    }
    Some(found)
}

fn is_active(update: &ServiceConfigUpdate, height: i64) -> bool {
    update.activation_height <= height && (update.deactivation_height == 0 || update.deactivation_height > height)
}

fn all_suppliers(
    at: &At<'_>,
    request: supplier::QueryAllSuppliersRequest,
) -> Result<supplier::QueryAllSuppliersResponse, Status> {
    check(&request)?;
    let state = &at.state;
    let (operator, owner) = (request.operator_address.as_str(), request.owner_address.as_str());
    let wanted = |found: &Supplier| {
        (operator.is_empty() || found.operator_address == operator)
            && (owner.is_empty() || found.owner_address == owner)
    };
    if !operator.is_empty() && request.service_id.is_empty() && owner.is_empty() {
        let supplier = supplier_of(state, operator, request.dehydrated).into_iter().collect();
        return Ok(supplier::QueryAllSuppliersResponse { supplier, pagination: None });
    }
    let (operators, pagination) = if request.service_id.is_empty() {
        let all = state.suppliers.keys().map(|address| (key(address.as_str()), address.to_string()));
        page::cut(all, request.pagination)?
    } else {
        let all = state.service_configs_of(&request.service_id).map(|((_, height, operator), update)| {
            let mut at_height = height.to_be_bytes().to_vec();
            at_height.extend(key(operator));
            (at_height, update)
        });
        let (page, pagination) = page::cut(all, request.pagination)?;
        let active = page.iter().filter(|update| is_active(update, state.height));
        let mut seen = BTreeSet::new();
        let operators = active.map(|update| update.operator_address.clone());
        (operators.filter(|operator| seen.insert(operator.clone())).collect(), pagination)
    };
    let found = operators.iter().filter_map(|operator| {
        let brief = state.suppliers.get(operator.as_str())?;
        if wanted(brief) { supplier_of(state, operator, request.dehydrated) } else { None }
    });
    Ok(supplier::QueryAllSuppliersResponse { supplier: found.collect(), pagination: Some(pagination) })
}

fn check(request: &supplier::QueryAllSuppliersRequest) -> Result<(), Status> {
    if !request.service_id.is_empty()
        && let Err(error) = check_service_id(&request.service_id)
    {
        return Err(refused(Code::InvalidArgument, &INVALID_SUPPLIER_SERVICE.wrap(error.text)));
    }
    for (what, text) in [("operator", &request.operator_address), ("owner", &request.owner_address)] {
        if !text.is_empty()
            && let Err(reason) = address::parse(text)
        {
            let error = INVALID_SUPPLIER.wrap(format_args!("invalid {what} address {text}; ({reason})"));
            return Err(refused(Code::InvalidArgument, &error));
        }
    }
    Ok(())
}
