//! `abci_query`: the gRPC queries by their path, and simulation, over another wire.

use bytes::Bytes;
use prost::Message;
use tonic::Code;

use super::grpc::Queries;
use crate::chain::HeightError;

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
        let code = match error {
            HeightError::Future => 26,
            HeightError::Negative => 18,
            HeightError::Pruned { .. } => 38,
        };
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
    match queries.call(path, data, height).await {
        Ok(answer) => Answered { value: answer.message, height, ..Answered::default() },
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
