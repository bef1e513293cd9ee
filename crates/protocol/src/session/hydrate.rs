//! The chain's `GetSession`, over facts that the caller supplies (protocol §4.6).

use pocket_proto::pocket::application::Application;
use pocket_proto::pocket::session::{QueryGetSessionRequest, Session, SessionHeader};
use pocket_proto::pocket::shared::{ServiceConfigUpdate, Supplier};

use super::{Candidate, check_service_id, preimage, select};
use crate::address;
use crate::error::{ChainError, GrpcStatus, codes, quoted};
use crate::height::{Height, signed};
use crate::params::Shared;

/// What hydrating a session has to know of the chain's committed state.
pub trait ChainFacts {
    /// Returns the last committed height.
    fn height(&self) -> Height;

    /// Returns the shared parameters in force at `height`.
    fn shared_params_at(&self, height: Height) -> Shared;

    /// Returns the session module's `num_suppliers_per_session` in force at `height`.
    fn suppliers_per_session_at(&self, height: Height) -> u64;

    /// Returns the stored hash of the block at `height`; empty where none is stored (§4.3).
    fn block_hash(&self, height: Height) -> Vec<u8>;

    /// Returns the application as it stands now.
    fn application(&self, address: &str) -> Option<Application>;

    /// Returns every configuration of the service that any supplier has or had, in any order.
    fn service_configs(&self, service_id: &str) -> Vec<ServiceConfigUpdate>;

    /// Returns the supplier as it stands now; its services and history are not looked at.
    fn supplier(&self, operator: &str) -> Option<Supplier>;
}

/// Returns the session that the request asks for, its suppliers in the chain's order and reduced to the one service.
///
/// # Errors
/// As the chain reports them, in its order: `InvalidArgument` for a malformed request, otherwise `Internal` with
/// `session` 1101 – 1109.
pub fn get_session(chain: &impl ChainFacts, request: &QueryGetSessionRequest) -> Result<Session, ChainError> {
    check_request(request).map_err(|error| error.with_status(GrpcStatus::InvalidArgument))?;
    hydrate(chain, request).map_err(|error| error.with_status(GrpcStatus::Internal))
}

fn check_request(request: &QueryGetSessionRequest) -> Result<(), ChainError> {
    if let Err(reason) = address::parse(&request.application_address) {
        return Err(codes::session::INVALID_APP_ADDRESS.wrap(reason));
    }
    check_service_id(&request.service_id)?;
    if request.block_height < 0 {
        let context = format!("invalid block height for session being retrieved {};", request.block_height);
        return Err(codes::session::INVALID_BLOCK_HEIGHT.wrap(context));
    }
    Ok(())
}

fn hydrate(chain: &impl ChainFacts, request: &QueryGetSessionRequest) -> Result<Session, ChainError> {
    let (application_address, service_id) = (&request.application_address, &request.service_id);
    let committed = chain.height();
    let height = if request.block_height == 0 { committed } else { request.block_height };
    if height > committed {
        let context = format!("block height {height} is ahead of the last committed block height {committed}");
        return Err(codes::session::HYDRATION.wrap(context));
    }

    let shared = chain.shared_params_at(height);
    let session = shared.session_at(height);
    let preimage = preimage(&chain.block_hash(session.start), service_id, application_address, session.start);
    let session_id = hex::encode(pocket_crypto::hash::sha3_256(&preimage));

    let Some(application) = chain.application(application_address) else {
        let context =
            format!("could not find app with address {} at height {}", quoted(application_address), session.start);
        return Err(codes::session::APP_NOT_FOUND.wrap(context));
    };
    if !application_is_active(&application, session.end) {
        let context = format!("application {} is not active for session {session_id}", quoted(application_address));
        return Err(codes::session::APP_NOT_ACTIVE.wrap(context));
    }
    if !application_is_staked_for(&application, service_id, height) {
        let context =
            format!("application {} not staked for service ID {}", quoted(application_address), quoted(service_id));
        return Err(codes::session::APP_NOT_STAKED_FOR_SERVICE.wrap(context));
    }

    let suppliers = suppliers(chain, service_id, height, &preimage);
    if suppliers.is_empty() {
        let context = format!("could not find suppliers for service {service_id} at height {}", session.start);
        return Err(codes::session::SUPPLIERS_NOT_FOUND.wrap(context));
    }
    let header = SessionHeader {
        application_address: application_address.clone(),
        service_id: service_id.clone(),
        session_id: session_id.clone(),
        session_start_block_height: session.start,
        session_end_block_height: session.end,
    };
    Ok(Session {
        header: Some(header),
        session_id,
        session_number: session.number,
        num_blocks_per_session: signed(shared.num_blocks_per_session),
        application: Some(application),
        suppliers,
    })
}

fn suppliers(chain: &impl ChainFacts, service_id: &str, height: Height, preimage: &[u8]) -> Vec<Supplier> {
    let configs = chain.service_configs(service_id);
    let candidates: Vec<Candidate<'_>> = configs
        .iter()
        .map(|config| Candidate {
            operator: &config.operator_address,
            activation_height: config.activation_height,
            deactivation_height: config.deactivation_height,
        })
        .collect();

    select(&candidates, height, chain.suppliers_per_session_at(height), preimage)
        .into_iter()
        .filter_map(|at| {
            let supplier = chain.supplier(&configs[at].operator_address)?;
            let services = configs[at].service.clone().into_iter().collect();
            Some(Supplier { services, service_config_history: Vec::new(), ..supplier })
        })
        .collect()
}

/// Tells whether an application still pays for a session that ends at `session_end`: it is neither unbonding nor being
/// transferred before.
#[must_use]
pub fn application_is_active(application: &Application, session_end: Height) -> bool {
    let lasts_until = |end: u64| end == 0 || session_end <= signed(end);
    lasts_until(application.unstake_session_end_height)
        && application.pending_transfer.as_ref().is_none_or(|transfer| lasts_until(transfer.session_end_height))
}

/// Tells whether an application is staked for a service at `height`: by its history, or, where it has none, by its
/// current configuration.
#[must_use]
pub fn application_is_staked_for(application: &Application, service_id: &str, height: Height) -> bool {
    if application.service_config_history.is_empty() {
        return application.service_configs.iter().any(|config| config.service_id == service_id);
    }
    application.service_config_history.iter().any(|entry| {
        let names_service = entry.service.as_ref().is_some_and(|service| service.service_id == service_id);
        let lasts = entry.deactivation_height == 0 || entry.deactivation_height > height;
        names_service && entry.activation_height <= height && lasts
    })
}
