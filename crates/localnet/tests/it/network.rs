//! Relays that pay, and ports that are taken.

use std::collections::BTreeMap;

use pocket_localnet::{ClaimEvent, Door, Event, Ports, StartError};
use pocket_protocol::proof::{TX_BYTES_MAX, request_bytes_max};
use pocket_runtime::net::TcpListener;

use crate::world::{self, options};

const RELAYS: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn every_answered_relay_is_settled_exactly_once_and_the_ledger_balances() {
    let mut world = world::start(options(None)).await.expect("a network");
    let mut events = world.running.events().expect("events, once");
    assert!(world.running.events().is_none());

    let mut by_supplier: BTreeMap<String, u64> = BTreeMap::new();
    for id in 1..=RELAYS {
        *by_supplier.entry(world.relay(id).await).or_default() += 1;
    }
    let relays = i64::try_from(RELAYS).expect("small");
    world.settled(relays).await;

    for (supplier, count) in &by_supplier {
        let ledger = world.running.store.ledger(Some(supplier)).await.expect("a ledger");
        let count = i64::try_from(*count).expect("small");
        assert_eq!(ledger.settled_proved + ledger.settled_unproved, count, "{supplier}: {ledger:?}");
    }
    let summary = world.stop().await;
    let ledger = summary.ledger.expect("a ledger");
    assert!(ledger.balances(), "{:?}", ledger.differences());
    assert_eq!((ledger.served, ledger.logged, ledger.leaves, ledger.claimed), (relays, relays, relays, relays));
    assert_eq!((ledger.pending, ledger.open, ledger.waiting), (0, 0, 0));
    // 1,000 compute units a relay, 100 upokt each (environment §4.4).
    assert_eq!(ledger.upokt.claimed, relays * 1000 * 100);
    assert_eq!(ledger.upokt.paid, ledger.upokt.claimed);
    assert!(!summary.kept);

    let mut settled = 0;
    while let Some(event) = events.next().await {
        if let Event::Claim(ClaimEvent::Settled { relays, .. }) = event {
            settled += relays;
        }
        if settled == RELAYS {
            break;
        }
    }
    assert_eq!(settled, RELAYS);
}

/// What gateway and application add to a call is less than this.
const BESIDE_CALL: usize = 1_024;

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_relay_that_is_served_is_proved_and_a_longer_one_is_not_served() {
    let world = world::start(options(None)).await.expect("a network");
    let padded = |length: usize| {
        let call = r#"{"jsonrpc":"2.0","method":"eth_blockNumber","params":[],"id":1}"#;
        format!("{call}{}", " ".repeat(length - call.len()))
    };
    let longest = request_bytes_max(TX_BYTES_MAX);
    let refused = world.call("develop-http", padded(longest)).await;
    assert!(!refused.status().is_success(), "{}", refused.status());
    assert_eq!(world.running.ledger().await.expect("a ledger").served, 0);

    let answer = world.call("develop-http", padded(longest - BESIDE_CALL)).await;
    assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(answer.body()));
    world.settled(1).await;
    let ledger = world.stop().await.ledger.expect("a ledger");
    assert_eq!((ledger.served, ledger.settled_proved), (1, 1), "{ledger:?}");
    assert!(ledger.balances(), "{:?}", ledger.differences());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_served_is_refused_and_not_masked() {
    let world = world::start(options(None)).await.expect("a network");
    let answer = world.call("develop-htpp", "{}".to_owned()).await;
    assert!(answer.status().is_client_error() || answer.status().is_server_error(), "{}", answer.status());
    assert!(!answer.body().is_empty());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_answers_where_the_addresses_say() {
    let world = world::start(options(None)).await.expect("a network");
    for (door, address) in world.running.addresses.iter() {
        pocket_runtime::net::connect(&address.to_string()).await.unwrap_or_else(|error| panic!("{door:?}: {error}"));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_with_its_remedy_and_nothing_is_left_running() {
    let Some((offset, _held)) = hold_one_of_an_offset().await else {
        println!("no free range of ports on this machine");
        return;
    };
    let mut wanted = options(None);
    wanted.ports = Ports::Offset(offset);
    let refused = world::start(wanted).await.err().expect("refused");
    let StartError::Ports(taken) = &refused else { panic!("{refused}") };
    assert!(taken.doors().any(|door| door == Door::Backend), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("--ports auto") && text.contains("--port-offset"), "{text}");
    let gateway = format!("127.0.0.1:{}", Door::Gateway.port() + offset);
    if !taken.doors().any(|door| door == Door::Gateway) {
        TcpListener::bind(&gateway).await.expect("given back");
    }
}

/// Takes the backend's port at some offset where it is free.
async fn hold_one_of_an_offset() -> Option<(u16, TcpListener)> {
    for offset in (11_000..30_000).step_by(97) {
        if let Ok(held) = TcpListener::bind(&format!("127.0.0.1:{}", Door::Backend.port() + offset)).await {
            return Some((offset, held));
        }
    }
    None
}
