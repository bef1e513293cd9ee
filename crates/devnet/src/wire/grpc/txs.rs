//! `cosmos.tx`: simulation, broadcast, and transactions found by hash or by events.

use pocket_crypto::hash::sha256;
use pocket_proto::{
    cosmos::{
        base::abci::v1beta1::{GasInfo, Result as SimulationResult, TxMsgData, TxResponse},
        tx::v1beta1::{
            BroadcastMode, BroadcastTxRequest, BroadcastTxResponse, GetTxRequest, GetTxResponse, GetTxsEventRequest,
            GetTxsEventResponse, OrderBy, SimulateRequest, SimulateResponse, Tx,
        },
    },
    type_url,
};
use prost::Message;
use prost_types::Any;
use tonic::Status;

use super::{At, Method, methods};
use crate::{
    chain::{Chain, FoundTx},
    exec::Outcome,
    header::Hash,
    mempool::SubmitError,
    query::Query,
};

/// Transactions of a page when the request does not say, and at most.
const PAGE_MAX: usize = 100;

pub(super) const TX: &[Method] = methods!("cosmos.tx.v1beta1.Service", {
    "Simulate", simulate;
    "GetTx", get_tx;
    "BroadcastTx", broadcast_tx;
    "GetTxsEvent", get_txs_event;
});

fn simulate(at: &At<'_>, request: SimulateRequest) -> Result<SimulateResponse, Status> {
    let bytes = match &request.tx {
        Some(tx) if request.tx_bytes.is_empty() => tx.encode_to_vec(),
        _ => request.tx_bytes,
    };
    if bytes.is_empty() {
        return Err(Status::invalid_argument("empty txBytes is not allowed"));
    }
    let outcome = at.chain.simulate(&bytes);
    if outcome.code != 0 {
        return Err(Status::unknown(format!("{} with gas used: '{}'", outcome.log, outcome.gas_used)));
    }
    Ok(simulated(outcome))
}

/// Returns a simulation that succeeded as the node reports it.
pub(in crate::wire) fn simulated(outcome: Outcome) -> SimulateResponse {
    let mut events = outcome.events;
    // Nothing is indexed of what did not happen.
    for attribute in events.iter_mut().flat_map(|event| &mut event.attributes) {
        attribute.index = false;
    }
    let msg_responses = TxMsgData::decode(outcome.data.as_slice()).unwrap_or_default().msg_responses;
    SimulateResponse {
        // Simulation has no limit.
        gas_info: Some(GasInfo { gas_wanted: u64::MAX, gas_used: outcome.gas_used.unsigned_abs() }),
        result: Some(SimulationResult { data: outcome.data, log: String::new(), events, msg_responses }),
    }
}

fn get_tx(at: &At<'_>, request: GetTxRequest) -> Result<GetTxResponse, Status> {
    if request.hash.is_empty() {
        return Err(Status::invalid_argument("tx hash cannot be empty"));
    }
    let bytes = from_hex(&request.hash).map_err(Status::unknown)?;
    let found = Hash::try_from(bytes.as_slice()).ok().and_then(|hash| at.chain.tx(&hash));
    let Some(found) = found else { return Err(Status::not_found(format!("tx not found: {}", request.hash))) };
    Ok(GetTxResponse { tx: Some(decoded(found.bytes())), tx_response: Some(tx_response(&found)) })
}

/// Reads hexadecimal with Go's words for what is none.
fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    if let Some(strange) = text.chars().find(|character| !character.is_ascii_hexdigit()) {
        return Err(format!("encoding/hex: invalid byte: U+{:04X} '{strange}'", u32::from(strange)));
    }
    hex::decode(text).map_err(|_| "encoding/hex: odd length hex string".to_owned())
}

/// Whatever is in a block decoded when it came in.
fn decoded(bytes: &[u8]) -> Tx {
    Tx::decode(bytes).unwrap_or_default()
}

/// Returns a transaction in its block as the node reports it.
fn tx_response(found: &FoundTx) -> TxResponse {
    let result = found.result();
    let mut timestamp = found.block.header.time;
    timestamp.nanos = 0;
    TxResponse {
        height: found.block.height(),
        txhash: hex::encode_upper(found.hash()),
        codespace: result.codespace.clone(),
        code: result.code,
        data: hex::encode_upper(&result.data),
        raw_log: result.log.clone(),
        logs: Vec::new(),
        info: result.info.clone(),
        gas_wanted: result.gas_wanted,
        gas_used: result.gas_used,
        tx: Some(Any { type_url: type_url::<Tx>(), value: found.bytes().to_vec() }),
        timestamp: timestamp.to_rfc3339(),
        events: result.events.clone(),
    }
}

fn broadcast_tx(at: &At<'_>, request: BroadcastTxRequest) -> Result<BroadcastTxResponse, Status> {
    if request.tx_bytes.is_empty() {
        return Err(Status::invalid_argument("invalid empty tx"));
    }
    let mode = match BroadcastMode::try_from(request.mode) {
        Ok(BroadcastMode::Sync | BroadcastMode::Async) => None,
        Ok(BroadcastMode::Block) => Some("block"),
        _ => Some("unspecified"),
    };
    if let Some(mode) = mode {
        return Err(Status::unknown(format!("unsupported return type {mode}; supported types: sync, async")));
    }
    Ok(BroadcastTxResponse { tx_response: Some(broadcast(at.chain, &request.tx_bytes)) })
}

/// Sends a transaction in; what the mempool refuses unseen has codes of its own.
fn broadcast(chain: &Chain, bytes: &[u8]) -> TxResponse {
    let refused = |code| TxResponse {
        code,
        codespace: "sdk".to_owned(),
        txhash: hex::encode_upper(sha256(bytes)),
        ..TxResponse::default()
    };
    match chain.submit(bytes) {
        Ok(checked) => TxResponse {
            code: checked.code,
            codespace: checked.codespace,
            raw_log: checked.log,
            txhash: hex::encode_upper(checked.hash),
            ..TxResponse::default()
        },
        Err(SubmitError::InCache) => refused(19),
        Err(SubmitError::Full { .. }) => refused(20),
        Err(SubmitError::TooLarge { .. }) => refused(21),
    }
}

fn get_txs_event(at: &At<'_>, request: GetTxsEventRequest) -> Result<GetTxsEventResponse, Status> {
    if request.query.is_empty() {
        return Err(Status::internal("query cannot be empty"));
    }
    let query = Query::parse(&request.query).map_err(|error| Status::internal(error.to_string()))?;
    let mut found = at.chain.search(&query);
    if request.order_by == i32::from(OrderBy::Desc) {
        found.reverse();
    }
    let limit = match usize::try_from(request.limit) {
        Ok(limit @ 1..PAGE_MAX) => limit,
        _ => PAGE_MAX,
    };
    let page = request.page.max(1);
    let pages = found.len().div_ceil(limit).max(1) as u64;
    if page > pages {
        return Err(Status::internal(format!("page should be within [1, {pages}] range, given {page}")));
    }
    let skipped = usize::try_from(page - 1).unwrap_or(usize::MAX).saturating_mul(limit);
    let total = found.len() as u64;
    let page: Vec<FoundTx> = found.into_iter().skip(skipped).take(limit).collect();
    Ok(GetTxsEventResponse {
        txs: page.iter().map(|found| decoded(found.bytes())).collect(),
        tx_responses: page.iter().map(tx_response).collect(),
        pagination: None,
        total,
    })
}
