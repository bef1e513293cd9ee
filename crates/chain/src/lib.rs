//! The only door to a full node: its blocks, its facts, and the transactions sent to it.
//!
//! ```text
//!                    ┌── blocks       events of the node, or polling while they are silent ──▶ Block, in order
//!  node (gRPC, RPC) ─┤── facts        queries, and the one cache of chain facts, each pinned to a height
//!                    └── transactions built, simulated, signed, broadcast; refusals classified by code
//! ```
//!
//! [`Chain::connect`] asks a node who it is and begins to follow its blocks; the handle is cheap to clone. Every process
//! holds one, and nothing else in the house caches what a chain says.
//!
//! Invariants:
//!
//! - A fact is either *pinned*, true for ever once true (a session, parameters at a height, a block's hash, an account's
//!   public key), or *live*, and then it is never older than the newest block this process has seen.
//! - Blocks are given in order of height; [`Blocks::after`] skips none, however late its caller is. The height never goes
//!   back for a node that is behind. A chain whose blocks are others than they were (a development chain that was restored)
//!   is followed from there, and every fact read before is forgotten.
//! - With several endpoints one that does not answer for the chain is left for the next; what the chain *answers* through
//!   one, a refusal too, is never asked again elsewhere.
//! - A refusal is known by the chain's own code and words. Any other error is passing: it is cached by nothing here.
//!
//! Deliberately not here: what to do with a block or a refusal (the processes decide), and any knowledge that the node might be a development chain.

mod blocks;
mod error;
mod events;
mod facts;
mod keys;
mod methods;
mod node;
mod queries;
mod rpc;
mod transactions;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use pocket_config::common::PocketNode;
use pocket_runtime::shutdown::Shutdown;

pub use blocks::{Block, Blocks};
pub use error::{Asked, ConnectError, QueryError, QueryErrorKind};
pub use events::{BlockResults, Event, TxResult};
pub use facts::{Endpoint, Session, SessionSupplier};
pub use keys::{Keys, KeysError};
pub use queries::Account;
pub use transactions::{GasPolicy, Outcome, Prepared, Refusal, RefusalClass, SendError, Sender, Sent};

/// A handle to one chain. Clones share connections, cache and block follower.
#[derive(Clone)]
pub struct Chain {
    inner: Arc<Inner>,
}

struct Inner {
    id: String,
    node: Arc<node::Node>,
    rpc: Arc<rpc::Rpc>,
    blocks: Blocks,
    /// Replaced as a whole when the chain turns out to have another history.
    facts: ArcSwap<facts::Cache>,
}

impl Chain {
    /// Connects to the node in `settings` and begins to follow its blocks until `shutdown`.
    ///
    /// Waits up to `patience` for a node that answers and has made its first block, so that processes may be started in
    /// any order.
    ///
    /// # Errors
    /// [`ConnectError`]: an endpoint that cannot be one, a node that did not answer in time, or one of another chain than
    /// the settings name.
    pub fn connect<'a>(
        settings: &'a PocketNode,
        patience: Duration,
        shutdown: &'a Shutdown,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Self, ConnectError>> + Send + 'a>> {
        // Boxed at the crate's border, so that its code is compiled here, once, and not again in every binary that awaits it.
        Box::pin(Self::open(settings, patience, shutdown))
    }

    async fn open(settings: &PocketNode, patience: Duration, shutdown: &Shutdown) -> Result<Self, ConnectError> {
        let timeout = Duration::from_secs(settings.query_timeout_seconds.max(1));
        let node = Arc::new(node::Node::new(&settings.grpc_endpoints(), timeout)?);
        let rpc = Arc::new(rpc::Rpc::new(&settings.rpc_endpoints(), timeout)?);
        let first = rpc.wait_until_ready(patience).await?;
        if !settings.chain_id.is_empty() && settings.chain_id != first.chain_id {
            return Err(ConnectError::OtherChain { expected: settings.chain_id.clone(), found: first.chain_id });
        }
        let follow = blocks::FollowOptions {
            poll: Duration::from_millis(settings.poll_interval_ms.max(1)),
            silence: Duration::from_millis(settings.block_silence_ms.max(1)),
        };
        let blocks = Blocks::follow(rpc.clone(), first.block, follow, shutdown.clone());
        let id = first.chain_id;
        tracing::info!(chain = %id, height = blocks.height(), "connected to a full node");
        Ok(Self {
            inner: Arc::new(Inner { id, node, rpc, blocks, facts: ArcSwap::from_pointee(facts::Cache::new(0)) }),
        })
    }

    /// The chain's id, as transactions are signed for.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// The chain's blocks, as they come.
    pub fn blocks(&self) -> &Blocks {
        &self.inner.blocks
    }

    /// Height of the newest block this process has seen.
    pub fn height(&self) -> i64 {
        self.inner.blocks.height()
    }

    /// Returns what the block at `height` did: the events of its transactions and of its end. Not cached.
    ///
    /// # Errors
    /// [`QueryError`]; the kind is `Ahead` if the node has no such block yet.
    pub fn block_results(&self, height: i64) -> Asked<'_, BlockResults> {
        Box::pin(async move { self.inner.rpc.block_results(height).await })
    }

    /// Returns how many bytes a block may have, all in all; `None` if the chain does not say. Not cached.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn block_bytes_max(&self) -> Asked<'_, Option<usize>> {
        Box::pin(async move {
            let params = self.inner.rpc.consensus_params().await?;
            // A chain without a limit writes a negative number.
            Ok(params.block.max_bytes.parse().ok())
        })
    }
}
