//! Stateless checks of relays (protocol §2.2).

use pocket_proto::pocket::service::{RelayRequest, RelayResponse};
use pocket_proto::pocket::session::SessionHeader;

use crate::address;
use crate::error::{ChainError, codes, quoted};
use crate::session::check_service_id;

/// Checks a session header: application, session id, service, heights, in that order.
///
/// # Errors
/// `session` 1105, 1108, 1107 or `shared` 1108.
pub fn validate_header(header: &SessionHeader) -> Result<(), ChainError> {
    if let Err(reason) = address::parse(&header.application_address) {
        let context = format!("{}; ({reason})", quoted(&header.application_address));
        return Err(codes::session::INVALID_APP_ADDRESS.wrap(context));
    }
    if header.session_id.is_empty() {
        return Err(codes::session::INVALID_SESSION_ID.wrap(quoted(&header.session_id)));
    }
    check_service_id(&header.service_id)?;
    if header.session_start_block_height <= 0 {
        return Err(codes::session::INVALID_BLOCK_HEIGHT.wrap("sessions can only start at height 1 or greater"));
    }
    if header.session_end_block_height <= header.session_start_block_height {
        let context = "session end block height cannot be less than or equal to session start block height";
        return Err(codes::session::INVALID_BLOCK_HEIGHT.wrap(context));
    }
    Ok(())
}

/// Checks a request: session header, signature present, supplier present.
///
/// # Errors
/// `service` 1111.
pub fn validate_request(request: &RelayRequest) -> Result<(), ChainError> {
    let invalid = &codes::service::INVALID_RELAY_REQUEST;
    let Some((meta, header)) =
        request.meta.as_ref().and_then(|meta| meta.session_header.as_ref().map(|header| (meta, header)))
    else {
        return Err(invalid.wrap("missing session header"));
    };
    validate_header(header).map_err(|error| invalid.wrap(format!("invalid session header: {error}")))?;
    if meta.signature.is_empty() {
        return Err(invalid.wrap("missing application signature"));
    }
    if meta.supplier_operator_address.is_empty() {
        return Err(invalid.wrap("relay metadata missing supplier operator address"));
    }
    Ok(())
}

/// Checks a response: session header, signature present. Does not look at the payload or its hash.
///
/// # Errors
/// `service` 1110.
pub fn validate_response(response: &RelayResponse) -> Result<(), ChainError> {
    let invalid = &codes::service::INVALID_RELAY_RESPONSE;
    let Some((meta, header)) =
        response.meta.as_ref().and_then(|meta| meta.session_header.as_ref().map(|header| (meta, header)))
    else {
        return Err(invalid.wrap("missing meta"));
    };
    validate_header(header).map_err(|error| invalid.wrap(format!("invalid session header: {error}")))?;
    if meta.supplier_operator_signature.is_empty() {
        return Err(invalid.wrap("missing supplier operator signature"));
    }
    Ok(())
}
