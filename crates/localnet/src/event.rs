//! What happens in the network, told to whoever shows it.

use std::sync::Arc;

use pocket_devnet::Block;
use pocket_store::Ledger;
use serde::Serialize;
use tokio::sync::broadcast;

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The chain made a block.
    Block {
        /// Its height.
        height: i64,
        /// Its hash, upper-case hex.
        hash: String,
        /// Transactions in it.
        transactions: usize,
    },
    /// Something happened to a claim.
    #[serde(untagged)]
    Claim(pocket_miner::Event),
}

/// Events of the chain and of the miner, as they come.
#[derive(Debug)]
pub struct Events {
    blocks: broadcast::Receiver<Arc<Block>>,
    claims: pocket_miner::Events,
    claims_ended: bool,
}

impl Events {
    pub(crate) fn new(blocks: broadcast::Receiver<Arc<Block>>, claims: pocket_miner::Events) -> Self {
        Self { blocks, claims, claims_ended: false }
    }

    /// Waits for the next event; none when the chain is gone. A listener that falls behind misses the oldest.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::select! {
                biased;
                claim = self.claims.next(), if !self.claims_ended => match claim {
                    Some(claim) => return Some(Event::Claim(claim)),
                    None => self.claims_ended = true,
                },
                block = self.blocks.recv() => match block {
                    Ok(block) => return Some(Event::of_block(&block)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
            }
        }
    }
}

impl Event {
    fn of_block(block: &Block) -> Self {
        Self::Block {
            height: block.header.height,
            hash: hex::encode_upper(block.id.hash),
            transactions: block.txs.len(),
        }
    }
}

/// What a network leaves behind.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The chain's last height.
    pub height: i64,
    /// Where every relay went; none if the store could not be asked.
    pub ledger: Option<Ledger>,
    /// Whether chain and store outlive the process.
    pub kept: bool,
}
