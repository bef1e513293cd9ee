//! A node, or the way to it, that is not well: what is in the log meanwhile waits there, and counts when the node is well.

use pocket_store::{Ledger, MinedRelay};
use pocket_testbed::proxy::{Call, Cut, Http2, Node, Tcp, http2};

use crate::world::{Backend, Options, World, check_balances};

const SESSION: &str = "/pocket.session.Query/GetSession";

/// Calls broken before relays are looked at: the miner has come back to them twice.
const TRIES: u64 = 3;

/// Calls that a fault is set for; it is taken away before it has met so many.
const CALLS: usize = 1_000_000;

fn plain(url: &str) -> &str {
    url.strip_prefix("http://").unwrap_or(url)
}

/// Asserts that the relays of one supplier are in the log, decided on by nobody.
async fn assert_waiting(world: &World, what: &str, relays: &[MinedRelay], leaves: i64) {
    let ledger = world.ledger().await;
    assert_eq!((ledger.leaves, ledger.rejected), (leaves, 0), "{what}: {ledger:#?}");
    let log = world.store.log_stats(&relays[0].supplier_operator_address).await.unwrap();
    assert_eq!((log.length, log.quarantined), (relays.len() as u64, 0), "{what}: {log:?}");
}

pub(crate) async fn relays_that_meet_a_broken_connection_to_the_node_become_leaves_when_it_is_whole(backend: Backend) {
    let mut world = World::new(backend, Options::default()).await;
    let proxy = Http2::start(plain(&world.settings.pocket_node.query_node_grpc_url)).await.unwrap();
    world.settings.pocket_node.query_node_grpc_url = proxy.address().to_string();
    let exhausted = Call::Status { code: 8, message: "too many requests".to_owned() };
    let faults = [
        Call::GoAway(http2::NO_ERROR),
        Call::GoAway(http2::ENHANCE_YOUR_CALM),
        Call::Reset(http2::REFUSED_STREAM),
        Call::Reset(http2::INTERNAL_ERROR),
        Call::ResetAfterEffect(http2::CANCEL),
        Call::CutInBody(Cut::Close),
        Call::CutInBody(Cut::Reset),
        Call::CutBeforeAnswer(Cut::Close),
        exhausted,
    ];
    let mut total = 0;
    for fault in faults {
        let what = format!("{fault:?}");
        // One that knows no session yet.
        let miner = world.miner().await;
        let session = world.fresh_session().await;
        let before = proxy.broken();
        proxy.break_calls(SESSION, 0, CALLS, fault);
        let relays = world.log(&session, 1, 4).await;
        let met = |ledger: &Ledger| ledger.rejected > 0 || proxy.broken() >= before + TRIES;
        world.until("the miner has met the fault", met).await;
        assert_waiting(&world, &what, &relays, total).await;
        proxy.break_nothing();
        total += 4;
        world.until("the relays are leaves", |ledger| ledger.leaves == total).await;
        miner.kill().await;
    }
    let miner = world.miner().await;
    let ledger = world.until_all_settled(total).await;
    check_balances(&ledger);
    assert_eq!((ledger.settled_proved, ledger.rejected), (total, 0), "{ledger:#?}");
    miner.stop().await;
}

pub(crate) async fn relays_that_meet_a_node_that_lags_or_fails_become_leaves_when_it_is_well(backend: Backend) {
    let mut world = World::new(backend, Options::default()).await;
    let node = Node::start(plain(&world.settings.pocket_node.query_node_grpc_url)).await.unwrap();
    world.settings.pocket_node.query_node_grpc_url = node.address().to_string();
    world.chain.blocks().reached(21).await;
    let pruned = "codespace sdk code 38: not found: failed to load state at height 3; version does not exist";
    let faults = [
        Some((13, "runtime error: invalid memory address or nil pointer dereference")),
        Some((2, "an error that nobody has seen yet")),
        Some((2, pruned)),
        Some((5, "no route")),
        Some((10, "aborted")),
        Some((1, "cancelled")),
        // It has come no further than the first block.
        None,
    ];
    let mut total = 0;
    for fault in faults {
        let miner = world.miner().await;
        let session = world.fresh_session().await;
        let before = node.calls(SESSION);
        match fault {
            Some((code, message)) => node.refuse(SESSION, code, message),
            None => node.lag_at(1),
        }
        let relays = world.log(&session, 1, 4).await;
        let met = |ledger: &Ledger| ledger.rejected > 0 || node.calls(SESSION) >= before + TRIES;
        world.until("the miner has met the fault", met).await;
        assert_waiting(&world, &format!("{fault:?}"), &relays, total).await;
        node.refuse_nothing();
        node.catch_up();
        total += 4;
        world.until("the relays are leaves", |ledger| ledger.leaves == total).await;
        miner.kill().await;
    }
    let miner = world.miner().await;
    let ledger = world.until_all_settled(total).await;
    check_balances(&ledger);
    assert_eq!((ledger.settled_proved, ledger.rejected), (total, 0), "{ledger:#?}");
    miner.stop().await;
}

pub(crate) async fn relays_of_sessions_far_ahead_of_a_miner_wait_and_keep_no_others_from_counting(backend: Backend) {
    let mut world = World::new(backend, Options::default()).await;
    let rpc = Tcp::start(plain(&world.settings.pocket_node.query_node_rpc_url)).await.unwrap();
    world.settings.pocket_node.query_node_rpc_url = format!("http://{}", rpc.address());
    let miner = world.miner().await;
    let known = world.fresh_session().await;
    world.log(&known, 1, 1).await;
    world.until("the session is known to the miner", |ledger| ledger.leaves == 1).await;
    // The miner hears of no block any more, and relayers with another node go on.
    rpc.stall();
    let late = world.relay(&known, &known.suppliers[0].operator).await;
    world.devnet.running.chain.advance(25).unwrap();
    world.chain.blocks().reached(known.end() + 17).await;
    let session = world.fresh_session().await;
    let supplier = &known.suppliers[0].operator;
    for _ in 0..4 {
        let relay = world.relay(&session, supplier).await;
        world.store.append(relay).await.unwrap();
    }
    // Behind them in the log.
    world.store.append(late).await.unwrap();
    let ledger = world.until("what is known counts", |ledger| ledger.leaves == 2).await;
    assert_eq!(ledger.rejected, 0, "{ledger:#?}");
    let log = world.store.log_stats(supplier).await.unwrap();
    assert_eq!((log.length, log.quarantined), (4, 0), "{log:?}");

    rpc.resume();
    let ledger = world.until("the others count", |ledger| ledger.leaves == 6).await;
    assert_eq!(ledger.rejected, 0, "{ledger:#?}");
    miner.stop().await;
}
