//! Whatever is answered is in the log, once, and the ledger says so.

use std::sync::Arc;

use pocket_protocol::mining::{Difficulty, DifficultyEntry};
use pocket_protocol::relay;
use pocket_runtime::http::{Method, Request};
use pocket_testbed::pocket_devnet::state::ServiceDifficulty;

use crate::support::{Options, PATIENCE, SERVICE, Shape, call, until, world};

#[tokio::test]
async fn every_answered_relay_is_logged_under_concurrency() {
    let world = world(Options::default()).await;
    let bodies: Vec<Vec<u8>> = {
        let session = world.session().await;
        (0..64).map(|_| relay::request_bytes(&world.shape_in(&session).signed())).collect()
    };
    let sends = bodies.into_iter().map(|body| world.post(body, &[]));
    for reply in futures_util::future::join_all(sends).await {
        reply.verified("supplier1");
    }
    let ledger = world.store.ledger(None).await.expect("a ledger");
    assert_eq!((ledger.served, ledger.logged), (64, 64));
    assert!(ledger.balances());
}

#[tokio::test]
async fn the_same_bytes_twice_are_two_relays_of_the_log() {
    let world = world(Options::default()).await;
    let request = world.shape().await.signed();
    for _ in 0..2 {
        world.send(&request).await.verified("supplier1");
    }
    assert_eq!(world.store.ledger(None).await.expect("a ledger").logged, 2);
}

#[tokio::test]
async fn relays_that_difficulty_passes_over_are_served_and_counted() {
    let world = world(Options::default()).await;
    // One relay in 2^64 passes.
    let mut target = [0xff; 32];
    target[..8].fill(0);
    let difficulty = Difficulty { block_height: 1, num_relays_ema: 1, target };
    let history = vec![DifficultyEntry { effective_height: 1, difficulty: difficulty.clone() }];
    world.devnet.running.chain.amend(|state| {
        let difficulty = ServiceDifficulty { live: difficulty, history };
        state.difficulties.insert_mut(SERVICE.into(), Arc::new(difficulty));
    });
    world.advance(8).await;
    for _ in 0..3 {
        world.relay("/").await.verified("supplier1");
    }
    until("the ledger has them", || async {
        let ledger = world.store.ledger(None).await.expect("a ledger");
        assert!(ledger.balances());
        (ledger.served, ledger.skipped, ledger.logged) == (3, 3, 0)
    })
    .await;
}

#[tokio::test]
async fn shutdown_answers_what_is_in_flight_and_takes_nothing_new() {
    let world = world(Options::default()).await;
    let slow = Shape { payload: call("/x/sleep/300"), ..world.shape().await }.signed();
    let (reply, ()) = tokio::join!(world.send(&slow), async {
        until("the backend has the relay", || async { !world.seen().is_empty() }).await;
        world.leave();
    });
    reply.verified("supplier1");
    assert_eq!(world.store.ledger(None).await.expect("a ledger").logged, 1);
    let fresh = crate::support::client();
    let mut request = Request::new(bytes::Bytes::new());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = format!("http://{}/", world.relayer.addr).parse().expect("a URI");
    assert!(tokio::time::timeout(PATIENCE, fresh.send(request)).await.expect("in time").is_err());
}
