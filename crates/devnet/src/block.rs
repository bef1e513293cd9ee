//! A block as the chain remembers it: header, transactions, results, events.

use std::sync::Arc;

use pocket_crypto::address::Address;
use pocket_proto::tendermint::abci::{Event, ExecTxResult};

use crate::{
    decimal,
    engine::Quiet,
    event::{event, mark},
    header::{BlockId, Commit, Hash, Header},
    state::State,
};

/// A committed block with everything that came of it.
#[derive(Debug, Clone)]
pub struct Block {
    /// Its header.
    pub header: Header,
    /// Its id; `id.hash` is *the* block hash.
    pub id: BlockId,
    /// Its transactions, in order.
    pub txs: Vec<Vec<u8>>,
    /// Hashes of the transactions, in order.
    pub tx_hashes: Vec<Hash>,
    /// The vote for the block before; absent at height 1.
    pub last_commit: Option<Commit>,
    /// Results of the transactions, in order.
    pub results: Vec<ExecTxResult>,
    /// Events of the block's beginning, shared by all blocks whose beginning was alike.
    pub begin_events: Arc<[Event]>,
    /// Events of the block's end.
    pub end_events: Vec<Event>,
    /// Application hash after the block; the header of the next block carries it.
    pub app_hash: Hash,
    /// Size in bytes on the wire.
    pub size: usize,
}

impl Block {
    /// Returns its height.
    pub fn height(&self) -> i64 {
        self.header.height
    }

    /// Returns the block's own events, `finalize_block_events`: beginning, then end.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.begin_events.iter().chain(&self.end_events)
    }
}

/// Begins a block: nothing is minted, and the fees of the block before go to the distribution module, of which the
/// community keeps two percent and the validator earns the rest.
pub(crate) fn begin(state: &mut State, quiet: &mut Quiet) -> Arc<[Event]> {
    let collector = Address::module("fee_collector");
    let fees = state.balance(collector.as_str());
    if fees == 0
        && let Some((supply, events)) = quiet
        && *supply == state.supply
    {
        return Arc::clone(events);
    }
    let mut events = Vec::with_capacity(11);
    let mint = Address::module("mint");
    let distribution = Address::module("distribution");
    state.transfer(&mint, &collector, 0, &mut events).expect("nothing can always be transferred");
    let bonded_ratio = ratio(state.validator.bonded, state.supply);
    events.push(event(
        "mint",
        [
            ("bonded_ratio", bonded_ratio.as_str()),
            ("inflation", "0.000000000000000000"),
            ("annual_provisions", "0.000000000000000000"),
            ("amount", "0"),
        ],
    ));
    state.transfer(&collector, &distribution, fees, &mut events).expect("the balance was just read");
    let valoper = state.validator.account.to_valoper();
    let reward = fees.saturating_mul(decimal::ONE) / 100 * 98;
    let rate = state.validator.commission_rate;
    let commission = reward / decimal::ONE * rate + reward % decimal::ONE * rate / decimal::ONE;
    for (kind, amount) in [("commission", commission), ("rewards", reward)] {
        let amount = if fees == 0 { String::new() } else { format!("{}upokt", decimal::text(amount)) };
        events.push(event(kind, [("amount", amount.as_str()), ("validator", valoper.as_str())]));
    }
    mark(&mut events, "mode", "BeginBlock");
    let events: Arc<[Event]> = Arc::from(events);
    if fees == 0 {
        *quiet = Some((state.supply, Arc::clone(&events)));
    }
    events
}

fn ratio(part: u128, whole: u128) -> String {
    decimal::text(part.saturating_mul(decimal::ONE).checked_div(whole).unwrap_or(0))
}
