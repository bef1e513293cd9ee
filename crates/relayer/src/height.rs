//! The height that this process goes by.
//!
//! Its own node may be behind: failed over to a slower one, or not yet caught up after the process was stopped. What the
//! miners' leader has made known in the store may be behind as well. The higher of the two decides when a session ends.

use std::sync::atomic::{AtomicI64, Ordering};

use pocket_chain::Chain;
use pocket_store::{Store, StoreError};
use tokio::sync::Notify;

/// The newest height known here.
pub(crate) struct Height {
    chain: Chain,
    /// What the leader said last. Lower than before only where a development chain was restored.
    published: AtomicI64,
    /// Told of each change of `published`.
    heard: Notify,
}

impl Height {
    pub(crate) fn new(chain: Chain) -> Self {
        Self { chain, published: AtomicI64::new(0), heard: Notify::new() }
    }

    /// Returns the newest height.
    pub(crate) fn now(&self) -> i64 {
        self.chain.height().max(self.published.load(Ordering::Relaxed))
    }

    /// Notes what the leader has made known.
    pub(crate) fn hear(&self, published: i64) {
        self.published.store(published, Ordering::Relaxed);
        self.heard.notify_waiters();
    }

    /// Reads what was made known before this process listened, unless it has heard of a block since.
    pub(crate) async fn catch_up(&self, store: &Store) -> Result<(), StoreError> {
        if self.published.load(Ordering::Relaxed) == 0
            && let Some(block) = store.block_last().await?
        {
            self.hear(block.height);
        }
        Ok(())
    }

    /// Waits until the chain has come to `height`, as far as this process can know.
    pub(crate) async fn reached(&self, height: i64) {
        tokio::select! {
            biased;
            _ = self.chain.blocks().reached(height) => {}
            () = self.published_reached(height) => {}
        }
    }

    async fn published_reached(&self, height: i64) {
        loop {
            let heard = self.heard.notified();
            tokio::pin!(heard);
            // Registered before looking, so that a block between the two is not slept through.
            heard.as_mut().enable();
            if self.published.load(Ordering::Relaxed) >= height {
                return;
            }
            heard.await;
        }
    }
}
