//! Answers that are lost on the way, and neighbours that are behind: what happened all the same is found out.

use std::time::Duration;

use pocket_miner::Event;
use pocket_proto::pocket::devnet::v1::{Fault, FaultKind};
use pocket_store::{AppendError, LeaseName, Store};
use pocket_testbed::proxy::{self, Cut, Loss};

use crate::world::{Backend, Options, World, check_balances};

/// What the script that commits leaves says of itself.
const COMMIT: &str = "Adds leaves, acknowledges their entries";

/// Blocks in which something that must not happen would have happened.
const BLOCKS: i64 = 8;

/// The miner's own connections to the store, through a proxy.
async fn through_proxy(world: &World, operation_timeout: Duration) -> (proxy::Redis, Store) {
    let proxy = proxy::Redis::start(&world.redis().tcp_url()).await.unwrap();
    let options = pocket_store::StoreOptions { operation_timeout, ..world.store.options().clone() };
    let store = Store::redis(&proxy.url(), options).await.unwrap();
    (proxy, store)
}

pub(crate) async fn a_commit_whose_answer_was_lost_is_claimed(backend: Backend) {
    let world = World::new(backend, Options::default()).await;
    let (proxy, store) = through_proxy(&world, Duration::from_secs(5)).await;
    proxy.lose(Loss::Reply(Cut::Reset), |command| command.runs(COMMIT));
    let session = world.fresh_session().await;
    world.log(&session, 1, 1).await;
    let miner = world.miner_on(store).await;
    proxy.has_lost(1).await;
    check_settled(&world, 1).await;
    miner.stop().await;
}

pub(crate) async fn a_commit_whose_every_answer_was_lost_is_claimed(backend: Backend) {
    let world = World::new(backend, Options::default()).await;
    let (proxy, store) = through_proxy(&world, Duration::from_millis(400)).await;
    proxy.lose(Loss::Reply(Cut::Reset), |command| command.runs(COMMIT));
    let session = world.fresh_session().await;
    world.log(&session, 1, 1).await;
    let miner = world.miner_on(store).await;
    proxy.has_lost(1).await;
    // Longer than an operation is tried: the commit fails, and its entry is acknowledged all the same.
    proxy.refuse().await;
    let now = world.chain.height();
    world.chain.blocks().reached(now + BLOCKS / 2).await;
    proxy.accept().await;
    check_settled(&world, 1).await;
    miner.stop().await;
}

async fn check_settled(world: &World, relays: i64) {
    let ledger = world.until_all_settled(relays).await;
    check_balances(&ledger);
    assert_eq!((ledger.settled_proved, ledger.unclaimed), (relays, 0), "{ledger:#?}");
}

pub(crate) async fn whoever_is_behind_cannot_log_after_the_seal(backend: Backend) {
    let world = World::new(backend, Options::default()).await;
    let miner = world.miner().await;
    let session = world.fresh_session().await;
    let [with_leaves, without] = [0, 1].map(|at: usize| session.suppliers[at].operator.clone());
    world.log(&session, 1, 3).await;
    let late = [world.relay(&session, &with_leaves).await, world.relay(&session, &without).await];
    world.chain.blocks().reached(session.windows.seal() + 2).await;
    for relay in late {
        let refused = world.store.append(relay).await;
        assert!(matches!(refused, Err(AppendError::Closed { .. })), "{refused:?}");
    }
    let now = world.chain.height();
    let next = world.session_at(now).await;
    let young = world.relay(&next, &next.suppliers[0].operator).await;
    world.store.append(young).await.unwrap();
    let ledger = world.until_all_settled(4).await;
    check_balances(&ledger);
    assert_eq!((ledger.settled_proved, ledger.rejected), (4, 0), "{ledger:#?}");
    miner.stop().await;
}

pub(crate) async fn a_claim_that_a_full_mempool_refused_at_the_last_safe_block_is_sent_into_the_next(backend: Backend) {
    let world = World::new(backend, Options::default()).await;
    let miner = world.miner().await;
    let session = world.fresh_session().await;
    let now = world.chain.height();
    // No gas can be asked for before the last safe block, so that is when the claim is sent first.
    let last_safe = session.windows.claim_close - 2;
    let chain = &world.devnet.running.chain;
    let silent = Fault {
        kind: FaultKind::Reject.into(),
        target: "/cosmos.tx.v1beta1.Service/Simulate".to_owned(),
        code: 14,
        message: "away".to_owned(),
        blocks: (last_safe - now).unsigned_abs(),
        ..Fault::default()
    };
    chain.fault(silent).unwrap();
    let full = Fault {
        kind: FaultKind::Reject.into(),
        target: "/pocket.proof.MsgCreateClaim".to_owned(),
        code: 20,
        codespace: "sdk".to_owned(),
        message: "mempool is full".to_owned(),
        count: 1,
        ..Fault::default()
    };
    chain.fault(full).unwrap();
    world.log(&session, 1, 3).await;
    check_settled(&world, 3).await;
    miner.stop().await;
}

pub(crate) async fn a_claim_that_a_lagging_node_does_not_show_is_proved_all_the_same(backend: Backend) {
    // With a fixed gas limit nothing is asked of the lagging node before the claim is sent.
    let options = Options { miner: "transaction: {gas_limit: 400000}\n", ..Options::default() };
    let world = World::new(backend, options).await;
    let node = proxy::Node::start(world.devnet.running.grpc_addr.to_string()).await.unwrap();
    let miner = world.miner_behind(node.address()).await;
    let mut events = miner.running.events();
    let session = world.fresh_session().await;
    world.log(&session, 1, 3).await;
    world.chain.blocks().reached(session.end()).await;
    node.lag_at(session.end());
    let claim = loop {
        match events.next().await.unwrap() {
            Event::ClaimSent { about, .. } => break about,
            event => assert!(!matches!(event, Event::Unclaimed { .. }), "{event:?}"),
        }
    };
    world.chain.blocks().reached(session.windows.claim_close + 1).await;
    let height = world.chain.height();
    let held = world.chain.claims_of_supplier(&claim.supplier, height).await.unwrap();
    assert_eq!(held.len(), 1, "the chain holds the claim, whatever the lagging node says");
    node.catch_up();
    check_settled(&world, 3).await;
    miner.stop().await;
}

pub(crate) async fn two_miners_of_one_machine_leave_each_other_their_leases(backend: Backend) {
    let world = World::new(backend, Options::default()).await;
    let first = world.miner().await;
    first.running.ready().await;
    let names: Vec<_> = first.running.suppliers.iter().cloned().map(LeaseName::Supplier).collect();
    let mut before = Vec::new();
    for name in &names {
        before.push(world.store.lease(name).await.unwrap().map(|lease| (lease.holder, lease.epoch)));
    }
    let second = world.miner().await;
    let now = world.chain.height();
    world.chain.blocks().reached(now + BLOCKS).await;
    for (name, before) in names.iter().zip(before) {
        let after = world.store.lease(name).await.unwrap().map(|lease| (lease.holder, lease.epoch));
        assert_eq!(after, before, "{name:?}");
    }
    second.stop().await;
    first.stop().await;
}
