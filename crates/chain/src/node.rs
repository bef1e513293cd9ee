//! gRPC to the node: one channel per endpoint, the next one when the preferred fails.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use pocket_runtime::grpc::Raw;
use prost::Message;
use tonic::client::Grpc;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::error::{ConnectError, QueryError, QueryErrorKind};

/// Further asks of a node that has shown a block and not yet committed it.
const AHEAD_RETRIES: u32 = 20;

/// Pause between them, at first; it grows by itself each time up to ten times.
const AHEAD_PAUSE: Duration = Duration::from_millis(10);

/// Largest answer accepted, in bytes: a page of claims is below a tenth of it.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Metadata that names the height whose state answers; without it a node answers from the newest it has.
const HEIGHT_HEADER: &str = "x-cosmos-block-height";

/// A method of a node: its path, and the types of what it takes and gives.
pub(crate) struct Method<Q, A> {
    path: &'static str,
    types: PhantomData<fn(Q) -> A>,
}

impl<Q, A> Method<Q, A> {
    /// The method at `/package.Service/Name`.
    pub(crate) const fn new(path: &'static str) -> Self {
        Self { path, types: PhantomData }
    }
}

/// A question in bytes.
struct Call {
    path: &'static str,
    request: Bytes,
    /// Whose state answers; the newest without.
    height: Option<i64>,
}

pub(crate) struct Node {
    channels: Vec<Channel>,
    /// The endpoint that answered last.
    preferred: AtomicUsize,
}

impl Node {
    pub(crate) fn new(endpoints: &[String], timeout: Duration) -> Result<Self, ConnectError> {
        let channels = endpoints
            .iter()
            .map(|endpoint| pocket_runtime::grpc::channel(endpoint, timeout))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { channels, preferred: AtomicUsize::new(0) })
    }

    /// Calls the preferred endpoint, and each other one in turn while they cannot be reached. What answers is whatever
    /// state the node has reached.
    pub(crate) async fn ask<Q: Message, A: Message + Default>(
        &self,
        operation: &'static str,
        method: &Method<Q, A>,
        request: &Q,
    ) -> Result<A, QueryError> {
        self.ask_plainly(operation, method, request).await.map_err(|status| classify(operation, &status))
    }

    /// Does so about the state after the block at `height`: a node that is behind says so, and cannot answer with less.
    pub(crate) async fn ask_at<Q: Message, A: Message + Default>(
        &self,
        operation: &'static str,
        method: &Method<Q, A>,
        request: &Q,
        height: i64,
    ) -> Result<A, QueryError> {
        let call = Call { path: method.path, request: request.encode_to_vec().into(), height: Some(height) };
        self.call(operation, &call).await.and_then(decoded).map_err(|status| classify(operation, &status))
    }

    /// Asks of the newest state, and returns what the last endpoint said as it said it.
    pub(crate) async fn ask_plainly<Q: Message, A: Message + Default>(
        &self,
        operation: &'static str,
        method: &Method<Q, A>,
        request: &Q,
    ) -> Result<A, Status> {
        let call = Call { path: method.path, request: request.encode_to_vec().into(), height: None };
        self.call(operation, &call).await.and_then(decoded)
    }

    /// Calls in bytes, so that one piece of code serves all methods.
    async fn call(&self, operation: &'static str, call: &Call) -> Result<Bytes, Status> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut last = Status::unavailable("no endpoint");
        for offset in 0..self.channels.len() {
            let index = (first + offset) % self.channels.len();
            match self.call_one(index, call).await {
                Err(status) if is_unreachable(&status) => last = status,
                answer => {
                    if offset > 0 && answer.is_ok() {
                        tracing::warn!(operation, endpoint = index, "a full node did not answer; another does");
                        self.preferred.store(index, Ordering::Relaxed);
                    }
                    return answer;
                }
            }
        }
        Err(Status::unavailable(last.message()))
    }

    async fn call_one(&self, index: usize, call: &Call) -> Result<Bytes, Status> {
        let mut attempt = 0;
        loop {
            let mut client = Grpc::new(self.channels[index].clone()).max_decoding_message_size(ANSWER_BYTES_MAX);
            client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            let mut request = Request::new(call.request.clone());
            if let Some(height) = call.height {
                request.metadata_mut().insert(HEIGHT_HEADER, MetadataValue::from(height));
            }
            match client.unary(request, PathAndQuery::from_static(call.path), Raw).await {
                Ok(response) => return Ok(response.into_inner()),
                // The newest block is announced before its state can be asked for.
                Err(status) if attempt < AHEAD_RETRIES && is_ahead(&status) => {
                    attempt += 1;
                    tokio::time::sleep(AHEAD_PAUSE * attempt.min(10)).await;
                }
                Err(status) => return Err(status),
            }
        }
    }
}

fn decoded<A: Message + Default>(answer: Bytes) -> Result<A, Status> {
    A::decode(answer).map_err(|error| Status::internal(format!("the answer cannot be read: {error}")))
}

fn is_unreachable(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled)
        || (status.code() == Code::Unknown && status.message().contains("transport"))
}

fn is_ahead(status: &Status) -> bool {
    // `Internal` for most queries, `InvalidArgument` from the context's own check.
    let text = status.message();
    text.contains("is ahead of the last committed block")
        || text.contains("please wait for first block")
        || text.contains("cannot query with height in the future")
}

pub(crate) fn classify(operation: &'static str, status: &Status) -> QueryError {
    let kind = match status.code() {
        _ if is_ahead(status) => QueryErrorKind::Ahead,
        Code::NotFound => QueryErrorKind::NotFound,
        _ if is_unreachable(status) => QueryErrorKind::Unavailable,
        _ => QueryErrorKind::Refused,
    };
    QueryError::new(operation, kind, format!("{} ({:?})", status.message(), status.code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: &Status, kind: QueryErrorKind) {
        assert_eq!(classify("ask", status).kind, kind, "{status:?}");
    }

    #[test]
    fn answers_of_a_node_are_told_from_its_absence() {
        check(&Status::not_found("claim not found"), QueryErrorKind::NotFound);
        check(&Status::unavailable("tcp connect error"), QueryErrorKind::Unavailable);
        check(&Status::invalid_argument("bad address"), QueryErrorKind::Refused);
        check(
            &Status::internal("requested block height 61 is ahead of the last committed block height 60"),
            QueryErrorKind::Ahead,
        );
    }
}
