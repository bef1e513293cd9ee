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
use tonic::{Request, Status};

use crate::error::{ConnectError, QueryError, QueryErrorKind};
use crate::verdict::{self, Refusal};

/// Further asks of a node that has shown a block and not yet committed it.
const AHEAD_RETRIES: u32 = 20;

/// Pause between them, at first; it grows by itself each time up to ten times.
const AHEAD_PAUSE: Duration = Duration::from_millis(10);

/// Largest answer accepted, in bytes: a page of claims is below a tenth of it.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Metadata that names the height whose state answers; without it a node answers from the newest it has.
const HEIGHT_HEADER: &str = "x-cosmos-block-height";

/// A method of a node: its path, how the chain refuses it, and the types of what it takes and gives.
pub(crate) struct Method<Q, A> {
    pub(crate) path: &'static str,
    pub(crate) refusals: &'static [Refusal],
    types: PhantomData<fn(Q) -> A>,
}

impl<Q, A> Method<Q, A> {
    /// The method at `/package.Service/Name`, and everything that counts as the chain's refusal of it.
    pub(crate) const fn new(path: &'static str, refusals: &'static [Refusal]) -> Self {
        Self { path, refusals, types: PhantomData }
    }

    fn call(&self, request: &Q, height: Option<i64>) -> Call
    where
        Q: Message,
    {
        Call { path: self.path, refusals: self.refusals, request: request.encode_to_vec().into(), height }
    }
}

/// An error as a node or the way to it gave it, and what it tells about the chain.
pub(crate) struct Said {
    pub(crate) kind: QueryErrorKind,
    pub(crate) status: Status,
}

impl Said {
    pub(crate) fn about(self, operation: &'static str) -> QueryError {
        QueryError::new(operation, self.kind, format!("{} ({:?})", self.status.message(), self.status.code()))
    }
}

/// A question in bytes.
struct Call {
    path: &'static str,
    refusals: &'static [Refusal],
    request: Bytes,
    /// Whose state answers; the newest without.
    height: Option<i64>,
}

pub(crate) struct Node {
    channels: Vec<Channel>,
    /// The endpoint that answered last where the one before it did not.
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

    /// Asks the preferred endpoint, and each other one in turn while none answers for the chain. What answers is whatever
    /// state the node has reached.
    pub(crate) async fn ask<Q: Message, A: Message + Default>(
        &self,
        operation: &'static str,
        method: &Method<Q, A>,
        request: &Q,
    ) -> Result<A, QueryError> {
        self.ask_plainly(operation, method, request).await.map_err(|said| said.about(operation))
    }

    /// Does so about the state after the block at `height`: a node that is behind says so, and cannot answer with less.
    pub(crate) async fn ask_at<Q: Message, A: Message + Default>(
        &self,
        operation: &'static str,
        method: &Method<Q, A>,
        request: &Q,
        height: i64,
    ) -> Result<A, QueryError> {
        let answer =
            self.call(operation, &method.call(request, Some(height))).await.map_err(|said| said.about(operation))?;
        A::decode(answer).map_err(|error| QueryError::malformed(operation, error.to_string()))
    }

    /// Asks of the newest state, and returns what the last endpoint said as it said it.
    pub(crate) async fn ask_plainly<Q: Message, A: Message + Default>(
        &self,
        operation: &'static str,
        method: &Method<Q, A>,
        request: &Q,
    ) -> Result<A, Said> {
        let answer = self.call(operation, &method.call(request, None)).await?;
        A::decode(answer).map_err(|error| Said {
            kind: QueryErrorKind::Malformed,
            status: Status::data_loss(format!("the answer cannot be read: {error}")),
        })
    }

    /// Calls in bytes, so that one piece of code serves all methods.
    async fn call(&self, operation: &'static str, call: &Call) -> Result<Bytes, Said> {
        let mut waits = 0;
        loop {
            match self.call_each(operation, call).await {
                // The newest block is announced before its state can be asked for.
                Err(said) if said.kind == QueryErrorKind::Ahead && waits < AHEAD_RETRIES => {
                    waits += 1;
                    tokio::time::sleep(AHEAD_PAUSE * waits.min(10)).await;
                }
                answer => return answer,
            }
        }
    }

    /// Calls each endpoint once, the preferred one first, until one answers or says how the chain refuses.
    async fn call_each(&self, operation: &'static str, call: &Call) -> Result<Bytes, Said> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut last = Said { kind: QueryErrorKind::Unavailable, status: Status::unavailable("no endpoint") };
        for offset in 0..self.channels.len() {
            let index = (first + offset) % self.channels.len();
            let status = match self.call_one(index, call).await {
                Ok(answer) => {
                    if offset > 0 {
                        tracing::warn!(
                            operation,
                            endpoint = index,
                            error = last.status.message(),
                            "a full node did not answer; another does"
                        );
                        self.preferred.store(index, Ordering::Relaxed);
                    }
                    return Ok(answer);
                }
                Err(status) => status,
            };
            let kind = verdict::of(call.refusals, &status);
            if kind.is_refusal() {
                return Err(Said { kind, status });
            }
            // That one has not come so far is worth waiting for, whatever is wrong with the others.
            if last.kind != QueryErrorKind::Ahead {
                last = Said { kind, status };
            }
        }
        Err(last)
    }

    async fn call_one(&self, index: usize, call: &Call) -> Result<Bytes, Status> {
        let mut client = Grpc::new(self.channels[index].clone()).max_decoding_message_size(ANSWER_BYTES_MAX);
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let mut request = Request::new(call.request.clone());
        if let Some(height) = call.height {
            request.metadata_mut().insert(HEIGHT_HEADER, MetadataValue::from(height));
        }
        client.unary(request, PathAndQuery::from_static(call.path), Raw).await.map(tonic::Response::into_inner)
    }
}
