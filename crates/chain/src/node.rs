//! gRPC to the node: one channel per endpoint, the next one when the preferred fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::error::{ConnectError, QueryError, QueryErrorKind};

/// Further asks of a node that has shown a block and not yet committed it.
const AHEAD_RETRIES: u32 = 20;

/// Pause between them, at first; it grows by itself each time up to ten times.
const AHEAD_PAUSE: Duration = Duration::from_millis(10);

/// Largest answer accepted, in bytes: a page of claims is below a tenth of it.
const ANSWER_BYTES_MAX: usize = 64 << 20;

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

    /// Calls the preferred endpoint, and each other one in turn while they cannot be reached.
    pub(crate) async fn ask<R, F, Fut>(&self, operation: &'static str, call: F) -> Result<R, QueryError>
    where
        F: Fn(Channel) -> Fut,
        Fut: Future<Output = Result<Response<R>, Status>>,
    {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut last = Status::unavailable("no endpoint");
        for offset in 0..self.channels.len() {
            let index = (first + offset) % self.channels.len();
            match self.ask_one(index, &call).await {
                Ok(answer) => {
                    if offset > 0 {
                        tracing::warn!(operation, endpoint = index, "a full node did not answer; another does");
                        self.preferred.store(index, Ordering::Relaxed);
                    }
                    return Ok(answer);
                }
                Err(status) if is_unreachable(&status) => last = status,
                Err(status) => return Err(classify(operation, &status)),
            }
        }
        Err(QueryError::new(operation, QueryErrorKind::Unavailable, last.message()))
    }

    async fn ask_one<R, F, Fut>(&self, index: usize, call: &F) -> Result<R, Status>
    where
        F: Fn(Channel) -> Fut,
        Fut: Future<Output = Result<Response<R>, Status>>,
    {
        let mut attempt = 0;
        loop {
            match call(self.channels[index].clone()).await {
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

/// Lifts the limit on answers, which a page of claims can exceed.
macro_rules! client {
    ($client:ty, $channel:expr) => {
        <$client>::new($channel).max_decoding_message_size($crate::node::answer_bytes_max())
    };
}
pub(crate) use client;

pub(crate) const fn answer_bytes_max() -> usize {
    ANSWER_BYTES_MAX
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
