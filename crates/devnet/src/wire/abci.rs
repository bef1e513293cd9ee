//! `abci_query`: the gRPC queries by their path, and simulation, over another wire.

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use prost::Message;
use tonic::{Code, Status};
use tower::Service;

use super::grpc::{HEIGHT_HEADER, Queries};
use crate::chain::HeightError;

/// A gRPC frame begins with a flag and its length.
const FRAME_HEAD_BYTES: usize = 5;

/// The answer of the application.
#[derive(Debug, Default)]
pub(super) struct Answered {
    pub(super) code: u32,
    pub(super) codespace: String,
    pub(super) log: String,
    pub(super) value: Bytes,
    pub(super) height: i64,
}

fn refused(code: u32, log: impl Into<String>, height: i64) -> Answered {
    Answered { code, codespace: "sdk".to_owned(), log: log.into(), value: Bytes::new(), height }
}

/// Answers a query of the application; 0 asks about the newest height.
pub(super) async fn query(queries: &Queries, path: &str, data: Bytes, height: i64) -> Answered {
    let chain = &queries.chain;
    let latest = chain.height();
    if let Err(error) = chain.state_at(height) {
        let code = if matches!(error, HeightError::Future) { 26 } else { 18 };
        let text = error.to_string();
        let text = text.split_once(": ").map_or(text.as_str(), |(_, rest)| rest);
        return refused(code, text, latest);
    }
    if path.starts_with("/app/simulate") {
        let outcome = chain.simulate(&data);
        if outcome.code != 0 {
            return Answered { codespace: outcome.codespace, ..refused(outcome.code, outcome.log, latest) };
        }
        let simulated = super::grpc::simulated(outcome);
        return Answered { value: simulated.encode_to_vec().into(), height: latest, ..Answered::default() };
    }
    if path.starts_with("/app/version") {
        return Answered { value: env!("CARGO_PKG_VERSION").into(), height: latest, ..Answered::default() };
    }
    let height = if height == 0 { latest } else { height };
    match call(queries, path, data, height).await {
        Ok(value) => Answered { value, height, ..Answered::default() },
        Err(status) if status.code() == Code::Unimplemented => refused(6, "unknown query path: unknown request", 0),
        Err(status) => {
            // The SDK turns gRPC codes into errors of its own.
            let (code, suffix) = match status.code() {
                Code::NotFound => (22, "not found"),
                Code::Unauthenticated => (4, "unauthorized"),
                _ => (18, "invalid request"),
            };
            refused(
                code,
                format!("rpc error: code = {:?} desc = {}: {suffix}", status.code(), status.message()),
                height,
            )
        }
    }
}

/// Calls one of the gRPC services of the chain without a socket.
pub(super) async fn call(queries: &Queries, path: &str, data: Bytes, height: i64) -> Result<Bytes, Status> {
    let mut frame = BytesMut::with_capacity(FRAME_HEAD_BYTES + data.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(data.len()).map_err(|_| Status::invalid_argument("the query is too long"))?);
    frame.extend_from_slice(&data);
    let request = http::Request::post(path)
        .header("content-type", "application/grpc")
        .header(HEIGHT_HEADER, height)
        .body(Full::new(frame.freeze()))
        .map_err(|_| Status::unimplemented("not a path"))?;
    let Ok(response) = queries.queries().call(request).await;
    let (parts, body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&parts.headers) {
        status_ok(status)?;
    }
    let collected = body.collect().await.map_err(|error| Status::internal(error.to_string()))?;
    if let Some(status) = collected.trailers().and_then(Status::from_header_map) {
        status_ok(status)?;
    }
    let bytes = collected.to_bytes();
    if bytes.len() < FRAME_HEAD_BYTES {
        return Err(Status::internal("the answer is no message"));
    }
    Ok(bytes.slice(FRAME_HEAD_BYTES..))
}

fn status_ok(status: Status) -> Result<(), Status> {
    if status.code() == Code::Ok { Ok(()) } else { Err(status) }
}
