//! The handle that servers, tests and the command line share: everything one can ask of the chain or do to it.
//!
//! A [`Chain`] is cheap to clone. Behind it is one lock, held for short steps only and never over an await: blocks are
//! executed outside it, and queries take a [`State`] (a dozen pointers) and read it at leisure.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pocket_crypto::hash::sha256;
use pocket_proto::{pocket::devnet::v1::Fault, tendermint::abci::ExecTxResult};
use pocket_runtime::fs::FsError;
use tokio::sync::{Notify, broadcast};

use crate::{
    block::Block,
    clock::{Clock, Pace},
    engine::{CheckResult, Engine},
    exec::Outcome,
    faults::{AnswerFault, FaultError},
    header::{Commit, Hash},
    journal::JournalError,
    mempool::{Pending, SubmitError},
    query::{Query, values_in},
    state::{State, Validator},
};

/// Blocks a subscriber may lag behind before it misses some.
pub const SUBSCRIPTION_BLOCKS: usize = 256;
/// Most blocks that one call makes.
pub const ADVANCE_BLOCKS_MAX: u64 = 1_000_000;

/// A running chain. See the module documentation.
#[derive(Debug, Clone)]
pub struct Chain {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    engine: Mutex<Engine>,
    /// Held while a block is made, so that there is one maker at a time; taken before `engine`.
    making: Mutex<()>,
    /// Every committed block; servers hold the receivers, which end when the last chain handle is gone.
    blocks: broadcast::Sender<Arc<Block>>,
    /// Tells the driver that a transaction waits, or that the clock changed.
    wake: Notify,
}

/// A height that cannot be asked about. The texts are the node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeightError {
    /// It has not come.
    #[error(
        "codespace sdk code 26: invalid height: cannot query with height in the future; please provide a valid height"
    )]
    Future,
    /// It is below zero.
    #[error("codespace sdk code 18: invalid request: cannot query with height < 0; please provide a valid height")]
    Negative,
    /// It is forgotten.
    #[error(
        "codespace sdk code 38: not found: failed to load state at height {height}; version mismatch on immutable IAVL tree; version does not exist. Version has either been pruned, or is for a future block height (latest height: {latest})"
    )]
    Pruned {
        /// The height asked for.
        height: i64,
        /// The newest height.
        latest: i64,
    },
}

/// A block that cannot be given. The texts are the node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Heights begin at 1.
    #[error("height must be greater than 0, but got {0}")]
    NotPositive(i64),
    /// It has not been made.
    #[error("height {height} must be less than or equal to the current blockchain height {latest}")]
    Future {
        /// The height asked for.
        height: i64,
        /// The newest height.
        latest: i64,
    },
    /// It is forgotten.
    #[error("height {height} is not available, lowest height is {lowest}")]
    Pruned {
        /// The height asked for.
        height: i64,
        /// The oldest height remembered.
        lowest: i64,
    },
}

/// Why no block was made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The chain is halted.
    #[error("the chain is halted at height {height}; resume it first")]
    Halted {
        /// The newest height.
        height: i64,
    },
    /// The journal could not be written; the chain is halted now.
    #[error("the block could not be written to the journal")]
    Journal(#[from] JournalError),
    /// Too many at once.
    #[error("{blocks} blocks at once are too many; ask for at most {ADVANCE_BLOCKS_MAX}")]
    TooMany {
        /// The number asked for.
        blocks: u64,
    },
    /// The target is behind.
    #[error("height {target} is not above the current height {height}")]
    Behind {
        /// The height asked for.
        target: i64,
        /// The newest height.
        height: i64,
    },
    /// The journal's folder could not be prepared.
    #[error("the data folder cannot be used")]
    Folder(#[from] FsError),
}

/// A snapshot that cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is none of that id.
    #[error("there is no snapshot `{0}`")]
    Unknown(String),
    /// The journal could not be written.
    #[error("the journal could not be started anew")]
    Journal(#[from] JournalError),
}

/// Where `WarpTo` leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warp {
    /// A height.
    Height(i64),
    /// The last block of the current session.
    SessionEnd,
    /// The block before claims of the current session are accepted, so that what is sent next is included in time.
    ClaimWindow,
    /// The block before proofs of the current session are accepted: its hash is the seed of the proofs.
    ProofWindow,
    /// The block that settles the current session.
    Settlement,
}

/// A transaction in its block.
#[derive(Debug, Clone)]
pub struct FoundTx {
    /// Its block.
    pub block: Arc<Block>,
    /// Its place in the block.
    pub index: usize,
}

impl FoundTx {
    /// Returns its hash.
    pub fn hash(&self) -> &Hash {
        &self.block.tx_hashes[self.index]
    }

    /// Returns its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.block.txs[self.index]
    }

    /// Returns its result.
    pub fn result(&self) -> &ExecTxResult {
        &self.block.results[self.index]
    }

    /// Tells whether a query finds it: by `tx.hash`, `tx.height` and its indexed attributes.
    pub fn matches(&self, query: &Query) -> bool {
        query.matches(|key| match key {
            "tm.event" => vec![Cow::Borrowed("Tx")],
            "tx.height" => vec![Cow::Owned(self.block.height().to_string())],
            "tx.hash" => vec![Cow::Owned(hex::encode_upper(self.hash()))],
            _ => values_in(self.result().events.iter(), key),
        })
    }
}

/// What the chain looks like from outside.
#[derive(Debug, Clone)]
pub struct Status {
    /// Chain id.
    pub chain_id: Arc<str>,
    /// The validator.
    pub validator: Arc<Validator>,
    /// The newest block; absent before the first.
    pub latest: Option<Arc<Block>>,
    /// The oldest block remembered.
    pub earliest: Option<Arc<Block>>,
    /// The newest state.
    pub state: State,
    /// When blocks are made.
    pub clock: Clock,
    /// Whether it is halted.
    pub halted: bool,
    /// Transactions waiting.
    pub mempool: usize,
    /// Ids of the snapshots.
    pub snapshots: Vec<String>,
    /// Faults that are set.
    pub faults: Vec<Fault>,
}

impl Chain {
    /// Puts an engine behind a handle.
    pub fn new(engine: Engine) -> Self {
        let (blocks, _) = broadcast::channel(SUBSCRIPTION_BLOCKS);
        let shared = Shared { engine: Mutex::new(engine), making: Mutex::new(()), blocks, wake: Notify::new() };
        Self { shared: Arc::new(shared) }
    }

    fn engine(&self) -> MutexGuard<'_, Engine> {
        // A panic while the lock was held left no half-done change: states are replaced whole.
        self.shared.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Transactions.

    /// Takes a transaction in (`CheckTx`).
    pub fn submit(&self, tx: &[u8]) -> Result<CheckResult, SubmitError> {
        let result = self.engine().submit(tx);
        if matches!(&result, Ok(result) if result.code == 0) {
            self.shared.wake.notify_one();
        }
        result
    }

    /// Checks a transaction without taking it in, as `abci_query` on `/app/simulate` and `check_tx` do.
    pub fn simulate(&self, tx: &[u8]) -> Outcome {
        let simulation = self.engine().simulation();
        simulation(tx)
    }

    /// Takes in messages signed by the governance account (a change of parameters), for the next block. That account
    /// has no key, so this is the only way for them; returns the hash under which their result will be found.
    pub fn govern(&self, messages: Vec<prost_types::Any>) -> Result<Hash, SubmitError> {
        let result = self.engine().govern(messages);
        if result.is_ok() {
            self.shared.wake.notify_one();
        }
        result
    }

    /// Returns a transaction that is in a block still remembered.
    pub fn tx(&self, hash: &Hash) -> Option<FoundTx> {
        let engine = self.engine();
        let (height, index) = engine.tx_place(hash)?;
        Some(FoundTx { block: Arc::clone(engine.block(height)?), index })
    }

    /// Returns the transactions that a query finds, oldest first.
    pub fn search(&self, query: &Query) -> Vec<FoundTx> {
        let (low, high) = query.bounds("tx.height");
        let blocks: Vec<Arc<Block>> = {
            let engine = self.engine();
            let within = |block: &&Arc<Block>| (low..=high).contains(&i128::from(block.height()));
            engine.blocks().iter().filter(|block| !block.txs.is_empty()).filter(within).cloned().collect()
        };
        let all = blocks
            .into_iter()
            .flat_map(|block| (0..block.txs.len()).map(move |index| FoundTx { block: Arc::clone(&block), index }));
        all.filter(|found| found.matches(query)).collect()
    }

    /// Lists the waiting transactions, in order.
    pub fn pending(&self) -> Vec<Pending> {
        self.engine().mempool().iter().cloned().collect()
    }

    // Queries.

    /// Returns the newest committed state.
    pub fn state(&self) -> State {
        self.engine().state().clone()
    }

    /// Returns the state after the block at `height`; 0 means the newest.
    pub fn state_at(&self, height: i64) -> Result<State, HeightError> {
        let engine = self.engine();
        let latest = engine.state().height;
        match height {
            0 => Ok(engine.state().clone()),
            ..0 => Err(HeightError::Negative),
            _ if height > latest => Err(HeightError::Future),
            _ => engine.state_at(height).cloned().ok_or(HeightError::Pruned { height, latest }),
        }
    }

    /// Returns the height of the newest block; 0 before the first.
    pub fn height(&self) -> i64 {
        self.engine().state().height
    }

    /// Returns a block with its results; the newest when no height is given.
    pub fn block(&self, height: Option<i64>) -> Result<Arc<Block>, BlockError> {
        let engine = self.engine();
        let latest = engine.state().height;
        let height = height.unwrap_or(latest);
        if height <= 0 && latest > 0 {
            return Err(BlockError::NotPositive(height));
        }
        if height > latest || latest == 0 {
            return Err(BlockError::Future { height, latest });
        }
        let lowest = engine.blocks().front().map_or(latest, |block| block.height());
        engine.block(height).cloned().ok_or(BlockError::Pruned { height, lowest })
    }

    /// Returns the block of a hash, if it is still remembered.
    pub fn block_by_hash(&self, hash: &Hash) -> Option<Arc<Block>> {
        self.engine().blocks().iter().find(|block| block.id.hash == *hash).cloned()
    }

    /// Returns the vote for a block.
    pub fn commit_of(&self, block: &Block) -> Commit {
        self.engine().commit_of(block)
    }

    /// Returns what the chain looks like.
    pub fn status(&self) -> Status {
        let engine = self.engine();
        Status {
            chain_id: Arc::clone(&engine.state().chain_id),
            validator: Arc::clone(&engine.state().validator),
            latest: engine.blocks().back().cloned(),
            earliest: engine.blocks().front().cloned(),
            state: engine.state().clone(),
            clock: *engine.clock(),
            halted: engine.halted,
            mempool: engine.mempool().len(),
            snapshots: engine.snapshots(),
            faults: engine.faults_list(),
        }
    }

    /// Follows committed blocks from now on. A receiver that lags more than [`SUBSCRIPTION_BLOCKS`] is told how many
    /// it missed, and goes on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Block>> {
        self.shared.blocks.subscribe()
    }

    /// Returns the least gas price, in units of 10^-18 upokt.
    pub fn minimum_gas_price(&self) -> u128 {
        self.engine().options.minimum_gas_price
    }

    // Time.

    /// Makes the next block now.
    pub fn produce_block(&self) -> Result<Arc<Block>, MakeError> {
        let _making = self.shared.making.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = {
            let mut engine = self.engine();
            if engine.halted {
                return Err(MakeError::Halted { height: engine.state().height });
            }
            engine.plan()
        };
        let done = plan.execute();
        let block = {
            let mut engine = self.engine();
            match engine.commit(done) {
                Ok(block) => block,
                Err(error) => {
                    engine.halted = true;
                    return Err(error.into());
                }
            }
        };
        // Nobody listening is no failure.
        let _listeners = self.shared.blocks.send(Arc::clone(&block));
        Ok(block)
    }

    /// Makes so many blocks; returns the height.
    pub fn advance(&self, blocks: u64) -> Result<i64, MakeError> {
        if blocks > ADVANCE_BLOCKS_MAX {
            return Err(MakeError::TooMany { blocks });
        }
        for _ in 0..blocks {
            self.produce_block()?;
        }
        Ok(self.height())
    }

    /// Makes blocks until the target is committed; returns the height. A window of the current session that has
    /// passed is an error.
    pub fn warp(&self, to: Warp) -> Result<i64, MakeError> {
        let (height, target) = {
            let engine = self.engine();
            let state = engine.state();
            (state.height, warp_height(state, to))
        };
        let blocks =
            target.checked_sub(height).and_then(|blocks| u64::try_from(blocks).ok()).filter(|blocks| *blocks > 0);
        match blocks {
            Some(blocks) => self.advance(blocks),
            None if target == height => Ok(height),
            None => Err(MakeError::Behind { target, height }),
        }
    }

    /// Changes when blocks are made; an interval of 0 keeps the interval.
    pub fn set_time(&self, pace: Pace, interval_ms: u64) -> Clock {
        let clock = {
            let mut engine = self.engine();
            engine.change_clock(|clock| {
                clock.pace = pace;
                if interval_ms > 0 {
                    clock.interval_ms = interval_ms;
                }
            });
            *engine.clock()
        };
        self.shared.wake.notify_one();
        clock
    }

    /// Returns when blocks are made.
    pub fn clock(&self) -> Clock {
        *self.engine().clock()
    }

    /// Stops making blocks, whoever asks; returns the height.
    pub fn halt(&self) -> i64 {
        let mut engine = self.engine();
        engine.halted = true;
        engine.state().height
    }

    /// Makes blocks again; returns the height.
    pub fn resume(&self) -> i64 {
        let height = {
            let mut engine = self.engine();
            engine.halted = false;
            engine.state().height
        };
        self.shared.wake.notify_one();
        height
    }

    // Snapshots and faults.

    /// Remembers everything as it is; returns the id and the height.
    pub fn snapshot(&self) -> (String, i64) {
        let _making = self.shared.making.lock().unwrap_or_else(PoisonError::into_inner);
        let mut engine = self.engine();
        (engine.snapshot(), engine.state().height)
    }

    /// Goes back to a snapshot; returns the height.
    pub fn restore(&self, id: &str) -> Result<i64, RestoreError> {
        let _making = self.shared.making.lock().unwrap_or_else(PoisonError::into_inner);
        let restored = self.engine().restore(id);
        match restored {
            Some(result) => Ok(result?),
            None => Err(RestoreError::Unknown(id.to_owned())),
        }
    }

    /// Sets a fault; returns its id.
    pub fn fault(&self, fault: Fault) -> Result<String, FaultError> {
        let mut engine = self.engine();
        let height = engine.state().height;
        engine.faults().set(fault, height)
    }

    /// Lists the faults.
    pub fn faults(&self) -> Vec<Fault> {
        self.engine().faults_list()
    }

    /// Clears the named faults, or all when none is named; returns how many.
    pub fn clear_faults(&self, ids: &[String]) -> u32 {
        self.engine().faults().clear(ids)
    }

    /// Returns what a server must do to the answer of `method`: every server asks before it answers.
    pub fn answer_fault(&self, method: &str, supplier: Option<&str>) -> AnswerFault {
        self.engine().faults().strike_answer(method, supplier)
    }

    /// Changes the state between blocks, as no transaction could: to load a recorded situation. Refused (returns
    /// false) on a chain with a data folder, whose journal could not replay it.
    pub fn amend(&self, change: impl FnOnce(&mut State)) -> bool {
        let _making = self.shared.making.lock().unwrap_or_else(PoisonError::into_inner);
        let mut engine = self.engine();
        if engine.is_durable() {
            return false;
        }
        engine.amend(change);
        true
    }

    // For the driver.

    /// Waits until the journal is on the disk, for an orderly end.
    pub(crate) fn sync(&self) -> Result<(), JournalError> {
        self.engine().sync()
    }

    /// Waits until a transaction came or the clock changed.
    pub(crate) async fn woken(&self) {
        self.shared.wake.notified().await;
    }

    /// Returns whether a transaction waits.
    pub(crate) fn has_pending(&self) -> bool {
        !self.engine().mempool().is_empty()
    }

    /// Returns whether it is halted.
    pub fn is_halted(&self) -> bool {
        self.engine().halted
    }
}

fn warp_height(state: &State, to: Warp) -> i64 {
    // Before the first block the current session is the first.
    let now = state.height.max(1);
    let shared = state.shared_at(now);
    let session = shared.session_at(now);
    let windows = state.shared_at(session.end).windows_at(session.end);
    match to {
        Warp::Height(height) => height,
        Warp::SessionEnd => session.end,
        Warp::ClaimWindow => windows.claim_open - 1,
        Warp::ProofWindow => windows.seed_height(),
        Warp::Settlement => windows.settlement_height(),
    }
}

/// Returns the hash of a transaction.
pub fn tx_hash(tx: &[u8]) -> Hash {
    sha256(tx)
}
