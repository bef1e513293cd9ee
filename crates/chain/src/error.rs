//! What can go wrong between us and a node.

use std::pin::Pin;

use pocket_runtime::grpc::EndpointError;

/// Why there is no chain to speak to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// An address that cannot be an endpoint.
    #[error("a full node's address cannot be used")]
    Endpoint(#[from] EndpointError),
    /// An RPC address that cannot be an endpoint.
    #[error("`{endpoint}` is no RPC endpoint: write http://host:port or https://host:port")]
    Rpc {
        /// As given.
        endpoint: String,
    },
    /// Nobody answered.
    #[error(
        "no full node answered at {endpoints} within {seconds} s; is it running, and is `pocket_node.query_node_rpc_url` its address?"
    )]
    Silent {
        /// All endpoints tried.
        endpoints: String,
        /// Time given.
        seconds: u64,
        /// The last failure.
        #[source]
        source: QueryError,
    },
    /// A node of another chain.
    #[error("the full node belongs to chain `{found}`, but `pocket_node.chain_id` says `{expected}`")]
    OtherChain {
        /// As configured.
        expected: String,
        /// As the node says.
        found: String,
    },
}

/// A question that got no usable answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to {operation}: {message}")]
pub struct QueryError {
    /// What was asked, as in "failed to …".
    pub operation: &'static str,
    /// What kind of failure it is.
    pub kind: QueryErrorKind,
    /// What the node or the connection said.
    pub message: String,
}

/// A question under way. Boxed at the crate's border, so that the code of a query is compiled here, once, and not again
/// in every crate and binary that awaits it.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, QueryError>> + Send + 'a>>;

/// Kinds of failed questions. Only the first two are the chain's word, known by its own codes and texts; all others say
/// that the chain's answer is not known, and must have no lasting effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryErrorKind {
    /// The chain has no such thing.
    NotFound,
    /// The question cannot be asked, or has no answer in this state: asking again gives the same.
    Refused,
    /// The node has not come that far yet: ask again after a block.
    Ahead,
    /// No endpoint said anything about the chain: none was reached, or what it said is about itself, such as a limit, a
    /// broken connection or a height it has forgotten. Ask again.
    Unavailable,
    /// An answer that is none. Ask again.
    Malformed,
}

impl QueryErrorKind {
    pub(crate) fn is_refusal(self) -> bool {
        matches!(self, Self::NotFound | Self::Refused)
    }
}

impl QueryError {
    pub(crate) fn new(operation: &'static str, kind: QueryErrorKind, message: impl Into<String>) -> Self {
        Self { operation, kind, message: message.into() }
    }

    pub(crate) fn malformed(operation: &'static str, message: impl Into<String>) -> Self {
        Self::new(operation, QueryErrorKind::Malformed, message)
    }

    /// Whether the same question may get an answer later, since this was not the chain's. Everything is that is not known
    /// to be a refusal; it must have no lasting effect.
    pub fn is_passing(&self) -> bool {
        !self.kind.is_refusal()
    }

    /// Whether the chain has no such thing.
    pub fn is_not_found(&self) -> bool {
        self.kind == QueryErrorKind::NotFound
    }
}
