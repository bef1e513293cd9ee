//! A chain that is put into a recorded situation.

use std::collections::VecDeque;

use pocket_config::facts::Facts;
use pocket_devnet::{
    Chain, State, Time,
    clock::{Clock, Pace},
    engine::{Engine, Options},
    genesis,
    mempool::Limits,
};

use crate::read;

pub(crate) fn options() -> Options {
    Options {
        seed: 1,
        minimum_gas_price: 0,
        mempool: Limits { txs: 5_000, tx_bytes: 1 << 20 },
        states_kept: 1_000,
        blocks_kept: 1_000,
        snapshots_max: 4,
    }
}

/// Where the relayer of the recorded network was staked to be.
fn relayer_endpoint() -> String {
    let genesis = read("node/genesis.json");
    let suppliers = genesis.as_object().expect("an object").iter().find(|(name, _)| name.starts_with("suppliers"));
    let url = &suppliers.expect("it names suppliers").1[0]["services"][0]["endpoints"][0]["url"];
    url.as_str().and_then(|url| url.split_once("://")).expect("a URL").1.to_owned()
}

/// Returns a chain over the recorded network's facts that stands at `height`.
pub(crate) fn chain_at(height: i64, change: impl FnOnce(&mut State)) -> Chain {
    let mut facts = Facts::localnet("seed").unwrap();
    facts.relayer_endpoint = relayer_endpoint();
    let mut state = genesis::state(&facts, 1).unwrap();
    state.height = height;
    change(&mut state);
    // A grid far in the past: blocks then follow the newest one's time, which a test sets.
    let clock = Clock::new(Pace::Manual, 1, Time::default());
    Chain::new(Engine::new(options(), clock, state, VecDeque::new()))
}
