//! REST: the few paths that the development environment asks for, as JSON of the gRPC answers; 501 for the rest.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use pocket_proto::{
    cosmos::{
        auth::v1beta1::QueryAccountRequest,
        bank::v1beta1::{QueryAllBalancesRequest, QueryBalanceRequest},
        base::tendermint::v1beta1::GetBlockByHeightRequest,
        tx::v1beta1::{BroadcastMode, BroadcastTxRequest, GetTxRequest, SimulateRequest},
    },
    json,
};
use pocket_runtime::http::{Body, Incoming, Method, Request, Response, StatusCode, read_body};
use prost::Message;
use serde_json::{Value, json};
use tonic::{Code, Status};

use super::grpc::{HEIGHT_HEADER, Queries};

/// How long a body may take to arrive.
const BODY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);
/// Modules whose parameters are answered.
const MODULES: [&str; 8] =
    ["application", "gateway", "proof", "service", "session", "shared", "supplier", "tokenomics"];

/// What a path asks for: a gRPC method, its request, and the message it answers with.
struct Asked {
    method: String,
    request: Vec<u8>,
    answer: String,
}

impl Asked {
    fn new(service: &str, method: &str, request: Vec<u8>, answer: &str) -> Self {
        let package = service.rsplit_once('.').map_or(service, |(package, _)| package);
        Self { method: format!("/{service}/{method}"), request, answer: format!("{package}.{answer}") }
    }
}

/// Answers one request.
pub(super) async fn serve(queries: Queries, body_bytes_max: u64, request: Request<Incoming>) -> Response<Body> {
    let height = request.headers().get(HEIGHT_HEADER).and_then(|value| value.to_str().ok()).map(str::parse::<i64>);
    let height = match height {
        None => 0,
        Some(Ok(height)) => height,
        Some(Err(_)) => return refused(&Status::invalid_argument(format!("{HEIGHT_HEADER} is no height"))),
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let asked = if method == Method::GET {
        got(&path, request.uri().query().unwrap_or_default())
    } else if method == Method::POST {
        let limit = usize::try_from(body_bytes_max).unwrap_or(usize::MAX);
        match read_body(request.into_body(), limit, BODY_TIMEOUT).await {
            Ok(body) => posted(&path, &body),
            Err(error) => Err(Status::invalid_argument(error.to_string())),
        }
    } else {
        Err(Status::unimplemented(format!("{method} {path} is not served by this development chain")))
    };
    let asked = match asked {
        Ok(asked) => asked,
        Err(status) => return refused(&status),
    };
    let answered = queries.call(&asked.method, asked.request.into(), height).await;
    let text = answered.and_then(|answer| {
        json::to_rest_string(&asked.answer, &answer.message).map_err(|error| Status::internal(error.to_string()))
    });
    match text {
        Ok(text) => answer(StatusCode::OK, text),
        Err(status) => refused(&status),
    }
}

fn got(path: &str, query: &str) -> Result<Asked, Status> {
    const COMET: &str = "cosmos.base.tendermint.v1beta1.Service";
    const AUTH: &str = "cosmos.auth.v1beta1.Query";
    const BANK: &str = "cosmos.bank.v1beta1.Query";
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let asked = match parts.as_slice() {
        ["cosmos", "base", "tendermint", "v1beta1", "node_info"] => {
            Asked::new(COMET, "GetNodeInfo", Vec::new(), "GetNodeInfoResponse")
        }
        ["cosmos", "base", "tendermint", "v1beta1", "syncing"] => {
            Asked::new(COMET, "GetSyncing", Vec::new(), "GetSyncingResponse")
        }
        ["cosmos", "base", "tendermint", "v1beta1", "blocks", "latest"] => {
            Asked::new(COMET, "GetLatestBlock", Vec::new(), "GetLatestBlockResponse")
        }
        ["cosmos", "base", "tendermint", "v1beta1", "blocks", height] => {
            let height = height.parse().map_err(|_| Status::invalid_argument(format!("`{height}` is no height")))?;
            let request = GetBlockByHeightRequest { height }.encode_to_vec();
            Asked::new(COMET, "GetBlockByHeight", request, "GetBlockByHeightResponse")
        }
        ["cosmos", "base", "node", "v1beta1", "config"] => {
            Asked::new("cosmos.base.node.v1beta1.Service", "Config", Vec::new(), "ConfigResponse")
        }
        ["cosmos", "base", "node", "v1beta1", "status"] => {
            Asked::new("cosmos.base.node.v1beta1.Service", "Status", Vec::new(), "StatusResponse")
        }
        ["cosmos", "auth", "v1beta1", "params"] => Asked::new(AUTH, "Params", Vec::new(), "QueryParamsResponse"),
        ["cosmos", "auth", "v1beta1", "accounts", address] => {
            let request = QueryAccountRequest { address: (*address).to_owned() }.encode_to_vec();
            Asked::new(AUTH, "Account", request, "QueryAccountResponse")
        }
        ["cosmos", "bank", "v1beta1", "balances", address] => {
            let request = QueryAllBalancesRequest { address: (*address).to_owned(), ..Default::default() };
            Asked::new(BANK, "AllBalances", request.encode_to_vec(), "QueryAllBalancesResponse")
        }
        ["cosmos", "bank", "v1beta1", "balances", address, "by_denom"] => {
            let denom = query.split('&').find_map(|pair| pair.strip_prefix("denom=")).unwrap_or_default().to_owned();
            let request = QueryBalanceRequest { address: (*address).to_owned(), denom };
            Asked::new(BANK, "Balance", request.encode_to_vec(), "QueryBalanceResponse")
        }
        ["cosmos", "tx", "v1beta1", "txs", hash] => {
            let request = GetTxRequest { hash: (*hash).to_owned() }.encode_to_vec();
            Asked::new("cosmos.tx.v1beta1.Service", "GetTx", request, "GetTxResponse")
        }
        ["pokt-network", "poktroll", module, "params"] if MODULES.contains(module) => {
            Asked::new(&format!("pocket.{module}.Query"), "Params", Vec::new(), "QueryParamsResponse")
        }
        _ => {
            return Err(Status::unimplemented(format!(
                "{path} is not served by this development chain; ask by gRPC, which has every query"
            )));
        }
    };
    Ok(asked)
}

fn posted(path: &str, body: &[u8]) -> Result<Asked, Status> {
    const TX: &str = "cosmos.tx.v1beta1.Service";
    let simulate = match path {
        "/cosmos/tx/v1beta1/txs" => false,
        "/cosmos/tx/v1beta1/simulate" => true,
        _ => return Err(Status::unimplemented(format!("POST {path} is not served by this development chain"))),
    };
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Status::invalid_argument(format!("the body is no JSON: {error}")))?;
    let tx_bytes = body.get("tx_bytes").and_then(Value::as_str).unwrap_or_default();
    let tx_bytes = BASE64_STANDARD
        .decode(tx_bytes)
        .map_err(|error| Status::invalid_argument(format!("tx_bytes is no base64: {error}")))?;
    if simulate {
        let request = SimulateRequest { tx: None, tx_bytes }.encode_to_vec();
        return Ok(Asked::new(TX, "Simulate", request, "SimulateResponse"));
    }
    let mode = match body.get("mode") {
        None => BroadcastMode::Unspecified,
        Some(Value::String(name)) => BroadcastMode::from_str_name(name)
            .ok_or_else(|| Status::invalid_argument(format!("mode `{name}` is unknown; use BROADCAST_MODE_SYNC")))?,
        Some(other) => other
            .as_i64()
            .and_then(|number| BroadcastMode::try_from(i32::try_from(number).ok()?).ok())
            .ok_or_else(|| Status::invalid_argument("mode is unknown; use BROADCAST_MODE_SYNC"))?,
    };
    let request = BroadcastTxRequest { tx_bytes, mode: mode.into() }.encode_to_vec();
    Ok(Asked::new(TX, "BroadcastTx", request, "BroadcastTxResponse"))
}

fn refused(status: &Status) -> Response<Body> {
    let code = match status.code() {
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let body = json!({"code": i32::from(status.code()), "message": status.message(), "details": []});
    answer(code, body.to_string())
}

fn answer(status: StatusCode, text: String) -> Response<Body> {
    let response = Response::builder().status(status).header("Content-Type", "application/json").body(Body::from(text));
    response.expect("the headers are well formed")
}
