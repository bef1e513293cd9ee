//! The chain behind its lock: makes blocks, checks transactions, remembers what may be asked for.
//!
//! A block is made in three steps, so that queries and submissions wait for none of the work: [`Engine::plan`] takes the
//! waiting transactions, [`Plan::execute`] runs them on a copy of the state outside the lock, [`Engine::commit`] writes
//! the block to the journal and makes the copy the state.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use pocket_crypto::hash::{sha256, sha256_parts};
use pocket_proto::{
    pocket::devnet::v1::Fault,
    tendermint::abci::{Event, ExecTxResult},
};

use crate::{
    block::{self, Block},
    clock::Clock,
    exec::{self, Mode, Outcome},
    faults::{Faults, TxFault},
    header::{self, Commit, Hash, Header, ResultDigest},
    journal::{Journal, JournalError},
    mempool::{Limits, Mempool, Pending, SubmitError},
    moment::Time,
    state::State,
};

mod snapshots;

use snapshots::Snapshot;

/// Largest block, as the genesis of the network has it.
pub const BLOCK_BYTES_MAX: i64 = 22_020_096;
/// Gas of a block: unlimited.
pub const BLOCK_GAS_MAX: i64 = -1;
/// What of a block is not transactions, in bytes, generously.
const BLOCK_OVERHEAD_BYTES: i64 = 8_192;
/// Bytes of blocks, results and events that are remembered, whatever their number.
pub const BLOCKS_BYTES_MAX: usize = 32 << 20;
/// Blocks that are remembered, whatever their size.
const BLOCKS_KEPT_MIN: usize = 64;

/// What a chain is told once.
#[derive(Debug, Clone)]
pub struct Options {
    /// Seed of block hashes.
    pub seed: u64,
    /// Least price of a unit of gas, in units of 10^-18 upokt.
    pub minimum_gas_price: u128,
    /// Bounds of the mempool.
    pub mempool: Limits,
    /// Past heights whose state can be asked for.
    pub states_kept: usize,
    /// Past blocks that can be asked for.
    pub blocks_kept: usize,
    /// Snapshots held.
    pub snapshots_max: usize,
}

/// The answer to a submitted transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckResult {
    /// Hash of the transaction.
    pub hash: Hash,
    /// 0 when it now waits for a block.
    pub code: u32,
    /// Whose code it is; empty for 0.
    pub codespace: String,
    /// Why it was refused.
    pub log: String,
    /// Gas it asks for.
    pub gas_wanted: i64,
    /// Gas its check used.
    pub gas_used: i64,
    /// Events of the check.
    pub events: Vec<Event>,
}

/// A copy of everything that [`Engine::restore`] brings back.
#[derive(Debug, Clone)]
struct Image {
    state: State,
    states: VecDeque<State>,
    blocks: VecDeque<Arc<Block>>,
    blocks_bytes: usize,
    tx_index: BTreeMap<Hash, (i64, usize)>,
    mempool: Mempool,
    clock: Clock,
}

/// The chain behind its lock.
#[derive(Debug)]
pub struct Engine {
    pub(crate) options: Options,
    image: Image,
    check: State,
    faults: Faults,
    snapshots: VecDeque<Snapshot>,
    snapshots_made: u64,
    governed: u64,
    journal: Option<Journal>,
    hashes: FixedHashes,
    quiet: Quiet,
    pub(crate) halted: bool,
}

/// Header fields that never change.
#[derive(Debug, Clone, Copy)]
struct FixedHashes {
    validators: Hash,
    consensus: Hash,
    evidence: Hash,
}

/// The events of a beginning without fees, and the supply they were made for.
pub(crate) type Quiet = Option<(u128, Arc<[Event]>)>;

/// A block about to be made.
#[derive(Debug)]
pub struct Plan {
    state: State,
    header: Header,
    last_commit: Option<Commit>,
    pending: Vec<Pending>,
    minimum_gas_price: u128,
    quiet: Quiet,
}

/// A block that was made, and the state after it.
#[derive(Debug)]
pub struct Done {
    state: State,
    block: Block,
    pending: Vec<Pending>,
    quiet: Quiet,
}

impl Plan {
    /// Executes the block: its beginning, its transactions in order, its end.
    pub fn execute(self) -> Done {
        let Self { mut state, header, last_commit, pending, minimum_gas_price, mut quiet } = self;
        let txs: Vec<Vec<u8>> = pending.iter().map(|pending| pending.bytes.clone()).collect();
        let id = header::block_id(&header, &txs, last_commit.as_ref());
        state.height = header.height;
        state.time = header.time;
        let begin_events = block::begin(&mut state, &mut quiet);
        let mut end_events = exec::begin_block(&mut state);
        let results: Vec<ExecTxResult> = txs
            .iter()
            .map(|tx| {
                let outcome = exec::run(&mut state, tx, Mode::Deliver, minimum_gas_price);
                ExecTxResult {
                    code: outcome.code,
                    data: outcome.data,
                    log: outcome.log,
                    info: String::new(),
                    gas_wanted: outcome.gas_wanted,
                    gas_used: outcome.gas_used,
                    events: outcome.events,
                    codespace: outcome.codespace,
                }
            })
            .collect();
        end_events.extend(exec::end_block(&mut state, id.hash));
        let app_hash = app_hash(&state.app_hash, &header, &results, &end_events);
        state.app_hash = app_hash;
        let size = header::block_bytes(&header, &txs, last_commit.as_ref());
        let tx_hashes = pending.iter().map(|pending| pending.hash).collect();
        let block =
            Block { header, id, txs, tx_hashes, last_commit, results, begin_events, end_events, app_hash, size };
        Done { state, block, pending, quiet }
    }
}

impl Done {
    /// Returns the block.
    pub fn block(&self) -> &Block {
        &self.block
    }
}

fn app_hash(before: &Hash, header: &Header, results: &[ExecTxResult], end_events: &[Event]) -> Hash {
    let mut events = Vec::new();
    for event in results.iter().flat_map(|result| &result.events).chain(end_events) {
        events.extend_from_slice(&prost::Message::encode_length_delimited_to_vec(event));
    }
    let results = results_hash(results);
    sha256_parts(&[before, &header.height.to_be_bytes(), &header.time.encode(), &results, &events])
}

fn results_hash(results: &[ExecTxResult]) -> Hash {
    let digests: Vec<ResultDigest<'_>> = results
        .iter()
        .map(|result| ResultDigest {
            code: result.code,
            data: &result.data,
            gas_wanted: result.gas_wanted,
            gas_used: result.gas_used,
        })
        .collect();
    header::results_hash(&digests)
}

impl Engine {
    /// Starts from a state: of genesis, or of a checkpoint with the blocks that led to it.
    pub fn new(options: Options, clock: Clock, state: State, blocks: VecDeque<Arc<Block>>) -> Self {
        let hashes = FixedHashes {
            validators: header::validators_hash(&state.validator.consensus_key, state.validator.voting_power()),
            consensus: header::consensus_hash(BLOCK_BYTES_MAX, BLOCK_GAS_MAX),
            evidence: sha256(&[]),
        };
        Self {
            faults: Faults::new(options.seed),
            check: state.clone(),
            image: Image::of(&options, clock, state, blocks),
            snapshots: VecDeque::new(),
            snapshots_made: 0,
            governed: 0,
            journal: None,
            hashes,
            quiet: None,
            halted: false,
            options,
        }
    }

    /// Writes every block from now on to a journal, and takes over the snapshots that are beside it.
    pub fn attach(&mut self, journal: Journal) -> Result<(), JournalError> {
        self.find_snapshots(&journal)?;
        self.journal = Some(journal);
        Ok(())
    }

    /// Waits until the journal, if there is one, is on the disk.
    pub fn sync(&self) -> Result<(), JournalError> {
        self.journal.as_ref().map_or(Ok(()), Journal::sync)
    }

    /// Returns whether blocks are written to a journal.
    pub fn is_durable(&self) -> bool {
        self.journal.is_some()
    }

    /// Plans the next block: at the clock's time, with what waits.
    pub fn plan(&mut self) -> Plan {
        let height = self.image.state.height + 1;
        let time = self.next_time();
        let bytes_max = usize::try_from(BLOCK_BYTES_MAX - BLOCK_OVERHEAD_BYTES).unwrap_or(usize::MAX);
        let mut pending = self.image.mempool.take(height, bytes_max);
        if self.faults.may_evict() {
            pending.retain(|pending| {
                let (messages, signers) = exec::concerns(&pending.bytes);
                let evicted = self.faults.strike_waiting(&messages, &signers);
                if evicted {
                    // What the node lost it does not remember either: the same bytes may come again.
                    self.image.mempool.forget(&pending.hash);
                }
                !evicted
            });
        }
        self.plan_with(time, pending)
    }

    /// Plans a block with given time and transactions, for a replay.
    pub fn plan_replay(&self, time: Time, txs: Vec<Vec<u8>>) -> Plan {
        let pending = txs
            .into_iter()
            .map(|bytes| Pending { hash: sha256(&bytes), bytes, gas_wanted: 0, not_before: 0 })
            .collect();
        self.plan_with(time, pending)
    }

    fn next_time(&self) -> Time {
        let state = &self.image.state;
        self.image.clock.time_of(state.height + 1, state.time, self.faults.skew_nanos())
    }

    fn plan_with(&self, time: Time, pending: Vec<Pending>) -> Plan {
        let state = self.image.state.clone();
        let height = state.height + 1;
        let last = self.image.blocks.back();
        let last_commit = last.map(|block| self.vote(block, time));
        let txs: Vec<Hash> = pending.iter().map(|pending| pending.hash).collect();
        let header = Header {
            chain_id: state.chain_id.to_string(),
            height,
            time,
            last_block_id: last.map(|block| block.id).unwrap_or_default(),
            last_commit_hash: last_commit.as_ref().map_or_else(|| sha256(&[]), Commit::hash),
            data_hash: header::merkle_root(&txs),
            validators_hash: self.hashes.validators,
            next_validators_hash: self.hashes.validators,
            consensus_hash: self.hashes.consensus,
            app_hash: state.app_hash,
            last_results_hash: last.map_or_else(|| sha256(&[]), |block| results_hash(&block.results)),
            evidence_hash: self.hashes.evidence,
            proposer_address: state.validator.consensus_address,
        };
        Plan {
            state,
            header,
            last_commit,
            pending,
            minimum_gas_price: self.options.minimum_gas_price,
            quiet: self.quiet.clone(),
        }
    }

    /// Votes for a block. The vote is what tells the blocks after a snapshot from those that were undone, should they be the
    /// same in everything else: a chain that had the same block twice would be taken for a node that is behind.
    fn vote(&self, block: &Block, timestamp: Time) -> Commit {
        let undone: &[u8] = self.image.state.undone.as_ref().map_or(&[], |hash| hash);
        let mut signature = sha256_parts(&[b"vote", &block.id.hash, &block.id.parts_hash, undone]).to_vec();
        signature.extend_from_slice(&sha256(&signature));
        let validator_address = self.image.state.validator.consensus_address;
        Commit { height: block.height(), block_id: block.id, timestamp, validator_address, signature }
    }

    /// Makes a block the newest: writes it to the journal first, so that what was announced survives.
    pub fn commit(&mut self, done: Done) -> Result<Arc<Block>, JournalError> {
        let Done { state, block, pending, quiet } = done;
        let block = Arc::new(block);
        if let Some(journal) = &mut self.journal {
            journal.append(&block, &state)?;
        }
        self.adopt(state, &block);
        self.quiet = quiet;
        for (pending, result) in pending.iter().zip(&block.results) {
            if result.code != 0 {
                self.image.mempool.forget(&pending.hash);
            }
        }
        self.recheck();
        self.faults.end_block(block.height());
        Ok(block)
    }

    fn adopt(&mut self, state: State, block: &Arc<Block>) {
        let image = &mut self.image;
        for (at, hash) in block.tx_hashes.iter().enumerate() {
            image.tx_index.insert(*hash, (block.height(), at));
        }
        image.blocks_bytes += weight(block);
        image.blocks.push_back(Arc::clone(block));
        while image.blocks.len() > self.options.blocks_kept.max(BLOCKS_KEPT_MIN)
            || (image.blocks_bytes > BLOCKS_BYTES_MAX && image.blocks.len() > BLOCKS_KEPT_MIN)
        {
            let Some(oldest) = image.blocks.pop_front() else { break };
            image.blocks_bytes -= weight(&oldest);
            for hash in &oldest.tx_hashes {
                if image.tx_index.get(hash).is_some_and(|(height, _)| *height == oldest.height()) {
                    image.tx_index.remove(hash);
                }
            }
        }
        image.state = state;
        image.states.push_back(image.state.clone());
        while image.states.len() > self.options.states_kept.max(1) {
            image.states.pop_front();
        }
    }

    fn recheck(&mut self) {
        self.check = self.image.state.clone();
        let check = &mut self.check;
        let price = self.options.minimum_gas_price;
        self.image.mempool.recheck(|pending| exec::run(check, &pending.bytes, Mode::Recheck, price).code == 0);
    }

    /// Takes a transaction in: what fails its check is refused, what passes waits for a block.
    pub fn submit(&mut self, bytes: &[u8]) -> Result<CheckResult, SubmitError> {
        let hash = sha256(bytes);
        self.image.mempool.see(bytes, hash)?;
        let fault = if self.faults.is_empty() {
            TxFault::default()
        } else {
            let (messages, signers) = exec::concerns(bytes);
            self.faults.strike_tx(&messages, &signers)
        };
        if let Some((code, codespace, log)) = fault.refusal {
            self.image.mempool.forget(&hash);
            return Ok(CheckResult { hash, code, codespace, log, gas_wanted: 0, gas_used: 0, events: Vec::new() });
        }
        let mut check = self.check.clone();
        let outcome = exec::run(&mut check, bytes, Mode::Check, self.options.minimum_gas_price);
        if outcome.code != 0 {
            self.image.mempool.forget(&hash);
        } else {
            self.check = check;
            let not_before = (self.image.state.height + 1).saturating_add_unsigned(fault.delay_blocks);
            let pending = Pending { bytes: bytes.to_vec(), hash, gas_wanted: outcome.gas_wanted, not_before };
            self.image.mempool.add(pending);
        }
        Ok(CheckResult {
            hash,
            code: outcome.code,
            codespace: outcome.codespace,
            log: outcome.log,
            gas_wanted: outcome.gas_wanted,
            gas_used: outcome.gas_used,
            events: outcome.events,
        })
    }

    /// Takes in messages of the governance account, which has no key, as a transaction without signatures; the mempool
    /// refuses such a transaction from anybody else.
    pub fn govern(&mut self, messages: Vec<prost_types::Any>) -> Result<Hash, SubmitError> {
        self.governed += 1;
        let memo = format!("governance {} at {}", self.governed, self.image.state.height);
        let bytes = exec::governance(messages, memo);
        let hash = sha256(&bytes);
        self.image.mempool.see(&bytes, hash)?;
        self.image.mempool.add(Pending { bytes, hash, gas_wanted: 0, not_before: 0 });
        Ok(hash)
    }

    /// Runs a transaction without a trace, as `Simulate` does.
    pub fn simulation(&self) -> impl FnOnce(&[u8]) -> Outcome + use<> {
        let mut state = self.check.clone();
        move |bytes| exec::run(&mut state, bytes, Mode::Simulate, 0)
    }

    /// Returns the newest state.
    pub fn state(&self) -> &State {
        &self.image.state
    }

    /// Returns the state after the block at `height`, if it is still remembered.
    pub fn state_at(&self, height: i64) -> Option<&State> {
        let first = self.image.states.front()?.height;
        self.image.states.get(usize::try_from(height.checked_sub(first)?).ok()?)
    }

    /// Returns the lowest height whose state is remembered.
    pub fn states_from(&self) -> i64 {
        self.image.states.front().map_or(0, |state| state.height)
    }

    /// Returns the blocks that are remembered, oldest first.
    pub fn blocks(&self) -> &VecDeque<Arc<Block>> {
        &self.image.blocks
    }

    /// Returns a block by height.
    pub fn block(&self, height: i64) -> Option<&Arc<Block>> {
        let first = self.image.blocks.front()?.height();
        self.image.blocks.get(usize::try_from(height.checked_sub(first)?).ok()?)
    }

    /// Returns the vote for a block.
    pub fn commit_of(&self, block: &Block) -> Commit {
        match self.block(block.height() + 1).and_then(|next| next.last_commit.clone()) {
            Some(commit) => commit,
            None => self.vote(block, self.next_time()),
        }
    }

    /// Returns height and place of a transaction.
    pub fn tx_place(&self, hash: &Hash) -> Option<(i64, usize)> {
        self.image.tx_index.get(hash).copied()
    }

    /// Returns the waiting transactions.
    pub fn mempool(&self) -> &Mempool {
        &self.image.mempool
    }

    /// Returns the clock.
    pub fn clock(&self) -> &Clock {
        &self.image.clock
    }

    /// Changes the clock; the blocks to come go on from the newest one's time.
    pub fn change_clock(&mut self, change: impl FnOnce(&mut Clock)) {
        let (height, time) = (self.image.state.height, self.image.state.time);
        let skew = self.faults.skew_nanos();
        self.image.clock.rebase(height, time, skew);
        change(&mut self.image.clock);
    }

    /// Lets the clock go on from the newest block unless that lies on the grid, as after a replay of a journal whose
    /// blocks were made at another interval or under a skew.
    pub fn resume_clock(&mut self) {
        self.image.resume_clock();
    }

    /// Returns the faults.
    pub fn faults(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// Lists the faults.
    pub fn faults_list(&self) -> Vec<Fault> {
        self.faults.list()
    }

    /// Changes the state between blocks, as no transaction could: for tests and for loading a situation.
    pub fn amend(&mut self, change: impl FnOnce(&mut State)) {
        change(&mut self.image.state);
        if let Some(newest) = self.image.states.back_mut() {
            *newest = self.image.state.clone();
        }
        self.recheck();
    }
}

/// About how much memory a block takes.
fn weight(block: &Block) -> usize {
    let events = |events: &[Event]| -> usize {
        events
            .iter()
            .map(|event| {
                let attributes = event.attributes.iter();
                event.r#type.len() + attributes.map(|one| one.key.len() + one.value.len() + 64).sum::<usize>() + 64
            })
            .sum()
    };
    let results: usize = block.results.iter().map(|result| events(&result.events) + result.log.len() + 256).sum();
    512 + block.size + results + events(&block.end_events)
}
