//! Queries of the module `service`: services, their difficulty and their compute units, now and then.

use pocket_proto::pocket::{
    service::{
        QueryAllRelayMiningDifficultyRequest, QueryAllRelayMiningDifficultyResponse, QueryAllServicesRequest,
        QueryAllServicesResponse, QueryComputeUnitsPerRelayHistoryRequest, QueryComputeUnitsPerRelayHistoryResponse,
        QueryGetComputeUnitsPerRelayAtHeightRequest, QueryGetComputeUnitsPerRelayAtHeightResponse,
        QueryGetRelayMiningDifficultyAtHeightRequest, QueryGetRelayMiningDifficultyAtHeightResponse,
        QueryGetRelayMiningDifficultyRequest, QueryGetRelayMiningDifficultyResponse, QueryGetServiceRequest,
        QueryGetServiceResponse, QueryParamsRequest, QueryParamsResponse, QueryRelayMiningDifficultyHistoryRequest,
        QueryRelayMiningDifficultyHistoryResponse, RelayMiningDifficulty, RelayMiningDifficultyUpdate,
        ServiceComputeUnitsPerRelayUpdate,
    },
    shared::Service,
};
use pocket_protocol::{
    error::{codes, quoted},
    mining::{BASE_TARGET, Difficulty},
};
use tonic::{Code, Status};

use super::{At, Method, methods, refused};
use crate::wire::page::{self, key};

pub(super) const SERVICE: &[Method] = methods!("pocket.service.Query", {
    "Params", params;
    "Service", one;
    "AllServices", all;
    "RelayMiningDifficulty", difficulty;
    "RelayMiningDifficultyAll", difficulties;
    "RelayMiningDifficultyAtHeight", difficulty_at_height;
    "RelayMiningDifficultyHistory", difficulty_history;
    "ComputeUnitsPerRelayAtHeight", compute_units_at_height;
    "ComputeUnitsPerRelayHistory", compute_units_history;
});

fn params(at: &At<'_>, _: QueryParamsRequest) -> Result<QueryParamsResponse, Status> {
    Ok(QueryParamsResponse { params: Some((&at.state.params.service).into()) })
}

fn one(at: &At<'_>, request: QueryGetServiceRequest) -> Result<QueryGetServiceResponse, Status> {
    let Some(found) = at.state.services.get(request.id.as_str()) else {
        return Err(Status::not_found(format!("service ID not found: {}", quoted(&request.id))));
    };
    Ok(QueryGetServiceResponse { service: Some(service_of(found, request.dehydrated)) })
}

fn all(at: &At<'_>, request: QueryAllServicesRequest) -> Result<QueryAllServicesResponse, Status> {
    let all = at.state.services.iter().map(|(id, found)| (key(id), found));
    let (page, pagination) = page::cut(all, request.pagination)?;
    let service = page.into_iter().map(|found| service_of(found, request.dehydrated)).collect();
    Ok(QueryAllServicesResponse { service, pagination: Some(pagination) })
}

fn service_of(found: &Service, dehydrated: bool) -> Service {
    let mut found = found.clone();
    if dehydrated {
        found.metadata = None;
    }
    found
}

fn must_exist(at: &At<'_>, service_id: &str) -> Result<(), Status> {
    if at.state.services.contains_key(service_id) {
        return Ok(());
    }
    let error = codes::service::NOT_FOUND.wrap(format_args!("serviceID: {service_id}"));
    Err(refused(Code::NotFound, &error))
}

fn must_be_named(service_id: &str) -> Result<(), Status> {
    if service_id.is_empty() { Err(Status::invalid_argument("service ID is required")) } else { Ok(()) }
}

fn must_not_be_negative(height: i64) -> Result<(), Status> {
    if height < 0 { Err(Status::invalid_argument("block height must be non-negative")) } else { Ok(()) }
}

fn message(service_id: &str, difficulty: &Difficulty) -> RelayMiningDifficulty {
    RelayMiningDifficulty {
        service_id: service_id.to_owned(),
        block_height: difficulty.block_height,
        num_relays_ema: difficulty.num_relays_ema,
        target_hash: difficulty.target.to_vec().into(),
    }
}

fn difficulty(
    at: &At<'_>,
    request: QueryGetRelayMiningDifficultyRequest,
) -> Result<QueryGetRelayMiningDifficultyResponse, Status> {
    must_exist(at, &request.service_id)?;
    let found = match at.state.difficulties.get(request.service_id.as_str()) {
        Some(known) => message(&request.service_id, &known.live),
        // A service that never settled a claim: the default, which bears the height of the question.
        None => message(
            &request.service_id,
            &Difficulty {
                block_height: at.state.height,
                num_relays_ema: at.state.params.service.target_num_relays,
                target: BASE_TARGET,
            },
        ),
    };
    Ok(QueryGetRelayMiningDifficultyResponse { relay_mining_difficulty: Some(found) })
}

fn difficulties(
    at: &At<'_>,
    request: QueryAllRelayMiningDifficultyRequest,
) -> Result<QueryAllRelayMiningDifficultyResponse, Status> {
    let all = at.state.difficulties.iter().map(|(id, known)| (key(id), (id, known)));
    let (page, pagination) = page::cut(all, request.pagination)?;
    let relay_mining_difficulty = page.into_iter().map(|(id, known)| message(id, &known.live)).collect();
    Ok(QueryAllRelayMiningDifficultyResponse { relay_mining_difficulty, pagination: Some(pagination) })
}

fn difficulty_at_height(
    at: &At<'_>,
    request: QueryGetRelayMiningDifficultyAtHeightRequest,
) -> Result<QueryGetRelayMiningDifficultyAtHeightResponse, Status> {
    must_be_named(&request.service_id)?;
    must_not_be_negative(request.block_height)?;
    must_exist(at, &request.service_id)?;
    let found = at.state.difficulty_at(&request.service_id, request.block_height);
    let found = message(&request.service_id, &found);
    Ok(QueryGetRelayMiningDifficultyAtHeightResponse { relay_mining_difficulty: Some(found) })
}

fn difficulty_history(
    at: &At<'_>,
    request: QueryRelayMiningDifficultyHistoryRequest,
) -> Result<QueryRelayMiningDifficultyHistoryResponse, Status> {
    must_be_named(&request.service_id)?;
    must_exist(at, &request.service_id)?;
    let id = request.service_id.as_str();
    let history = at.state.difficulties.get(id).map(|known| known.history.as_slice()).unwrap_or_default();
    let all = history.iter().map(|entry| (entry.effective_height.to_be_bytes().to_vec(), entry));
    let (page, pagination) = page::cut(all, request.pagination)?;
    let entries = page.into_iter().map(|entry| RelayMiningDifficultyUpdate {
        effective_height: entry.effective_height,
        difficulty: Some(message(id, &entry.difficulty)),
    });
    Ok(QueryRelayMiningDifficultyHistoryResponse {
        relay_mining_difficulty_history: entries.collect(),
        pagination: Some(pagination),
    })
}

fn compute_units_at_height(
    at: &At<'_>,
    request: QueryGetComputeUnitsPerRelayAtHeightRequest,
) -> Result<QueryGetComputeUnitsPerRelayAtHeightResponse, Status> {
    must_be_named(&request.service_id)?;
    must_not_be_negative(request.block_height)?;
    must_exist(at, &request.service_id)?;
    let compute_units_per_relay =
        at.state.compute_units_at(&request.service_id, request.block_height).unwrap_or_default();
    Ok(QueryGetComputeUnitsPerRelayAtHeightResponse { compute_units_per_relay })
}

fn compute_units_history(
    at: &At<'_>,
    request: QueryComputeUnitsPerRelayHistoryRequest,
) -> Result<QueryComputeUnitsPerRelayHistoryResponse, Status> {
    must_be_named(&request.service_id)?;
    must_exist(at, &request.service_id)?;
    let id = request.service_id.as_str();
    let history = at.state.compute_units.get(id).map(|history| history.as_slice()).unwrap_or_default();
    let all = history.iter().map(|entry| (entry.effective_height.to_be_bytes().to_vec(), entry));
    let (page, pagination) = page::cut(all, request.pagination)?;
    let entries = page.into_iter().map(|entry| ServiceComputeUnitsPerRelayUpdate {
        effective_height: entry.effective_height,
        service_id: id.to_owned(),
        compute_units_per_relay: entry.compute_units_per_relay,
    });
    Ok(QueryComputeUnitsPerRelayHistoryResponse {
        compute_units_per_relay_history: entries.collect(),
        pagination: Some(pagination),
    })
}
