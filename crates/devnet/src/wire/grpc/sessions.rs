//! Queries of the modules `shared`, `session` and `tokenomics`.

use pocket_proto::pocket::{session, shared, tokenomics};
use pocket_protocol::error::GrpcStatus;
use tonic::{Code, Status};

use super::{At, Method, methods, refused};

pub(super) const SHARED: &[Method] = methods!("pocket.shared.Query", {
    "Params", shared_params;
    "ParamsAtHeight", shared_params_at_height;
});

pub(super) const SESSION: &[Method] = methods!("pocket.session.Query", {
    "Params", session_params;
    "GetSession", session_of;
});

pub(super) const TOKENOMICS: &[Method] = methods!("pocket.tokenomics.Query", {
    "Params", tokenomics_params;
});

fn shared_params(at: &At<'_>, _: shared::QueryParamsRequest) -> Result<shared::QueryParamsResponse, Status> {
    Ok(shared::QueryParamsResponse { params: Some((&at.state.shared.live).into()) })
}

fn shared_params_at_height(
    at: &At<'_>,
    request: shared::QueryParamsAtHeightRequest,
) -> Result<shared::QueryParamsAtHeightResponse, Status> {
    if request.height < 0 {
        return Err(Status::invalid_argument("height must be non-negative"));
    }
    Ok(shared::QueryParamsAtHeightResponse { params: Some((&at.state.shared_at(request.height)).into()) })
}

fn session_params(at: &At<'_>, _: session::QueryParamsRequest) -> Result<session::QueryParamsResponse, Status> {
    Ok(session::QueryParamsResponse { params: Some((&at.state.session.live).into()) })
}

fn session_of(
    at: &At<'_>,
    request: session::QueryGetSessionRequest,
) -> Result<session::QueryGetSessionResponse, Status> {
    let found = at.state.get_session(&request).map_err(|error| {
        let code = error.status.unwrap_or(GrpcStatus::Internal).code();
        refused(Code::from(code), &error)
    })?;
    Ok(session::QueryGetSessionResponse { session: Some(found) })
}

fn tokenomics_params(
    at: &At<'_>,
    _: tokenomics::QueryParamsRequest,
) -> Result<tokenomics::QueryParamsResponse, Status> {
    Ok(tokenomics::QueryParamsResponse { params: Some((&at.state.params.tokenomics).into()) })
}
