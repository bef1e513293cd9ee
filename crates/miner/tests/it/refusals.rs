//! What does not count, and why.

use bytes::Bytes;
use pocket_miner::Event;
use pocket_store::SessionState;

use crate::world::{Backend, Options, World, check_balances};

pub(crate) async fn entries_that_are_no_relays_of_the_session_are_quarantined_with_their_reason(backend: Backend) {
    let world = World::new(backend, Options::default()).await;
    let miner = world.miner().await;
    let session = world.fresh_session().await;
    let supplier = session.suppliers[0].operator.clone();
    let other = session.suppliers[1].operator.clone();
    let good = world.relay(&session, &supplier).await;

    let mut bad = Vec::new();
    let mut garbage = good.clone();
    garbage.relay_bytes = Bytes::from_static(b"\xff\xff\xff");
    garbage.relay_hash = Bytes::new();
    bad.push(("undecodable", garbage));
    let mut hash = good.clone();
    hash.relay_hash = Bytes::from_static(&[7; 32]);
    bad.push(("wrong_hash", hash));
    let mut of_another = world.relay(&session, &other).await;
    of_another.supplier_operator_address = supplier.clone();
    bad.push(("wrong_relay", of_another));
    let mut name = good.clone();
    "another session".clone_into(&mut name.session_id);
    bad.push(("wrong_session", name));
    let mut unknown = good.clone();
    unknown.application_address = supplier.clone();
    bad.push(("unknown_session", unknown));
    let mut nowhere = good.clone();
    nowhere.session_start_height = 0;
    bad.push(("unknown_session", nowhere));
    let mut far = good.clone();
    far.session_start_height = 1_000_000;
    bad.push(("unknown_session", far));
    for (_, relay) in &bad {
        world.store.append(relay.clone()).await.unwrap();
    }
    // The weight is the chain's, whatever the entry says.
    let mut heavy = good;
    heavy.compute_units_per_relay = 1_000_000;
    world.store.append(heavy).await.unwrap();

    let ledger = world.until_all_settled(1).await;
    check_balances(&ledger);
    assert_eq!((ledger.settled_proved, ledger.rejected), (1, 7), "{ledger:#?}");
    for (reason, _) in &bad {
        let expected = bad.iter().filter(|(other, _)| other == reason).count();
        let counted = ledger.rejected_by_reason.get(*reason).copied();
        assert_eq!(counted.map(i64::unsigned_abs), Some(expected as u64), "{reason}: {ledger:#?}");
    }
    assert_eq!(world.store.log_stats(&supplier).await.unwrap().quarantined, 7);
    miner.stop().await;
}

pub(crate) async fn a_relay_after_the_seal_is_late_and_changes_no_root(backend: Backend) {
    let world = World::new(backend, Options::default()).await;
    let miner = world.miner().await;
    let mut events = miner.running.events();
    let session = world.fresh_session().await;
    let supplier = session.suppliers[0].operator.clone();
    world.log(&session, 1, 3).await;
    let late = world.relay(&session, &supplier).await;
    loop {
        if let Event::ClaimSent { relays, .. } = events.next().await.unwrap() {
            assert_eq!(relays, 3);
            break;
        }
    }
    world.store.append_answered(late.clone()).await.unwrap();
    world.until("the late relay is rejected", |ledger| ledger.rejected_by_reason.get("late") == Some(&1)).await;

    let ledger = world.until_all_settled(3).await;
    assert_eq!(ledger.settled_proved, 3);
    // And once more when all is over.
    world.store.append_answered(late).await.unwrap();
    let ledger =
        world.until("the late relay is rejected", |ledger| ledger.rejected_by_reason.get("late") == Some(&2)).await;
    check_balances(&ledger);
    miner.stop().await;
}

pub(crate) async fn a_session_whose_claim_window_passed_is_reported_unclaimed(backend: Backend) {
    let world = World::new(backend, Options::default()).await;
    let miner = world.miner().await;
    let session = world.fresh_session().await;
    let supplier = session.suppliers[0].operator.clone();
    world.log(&session, 1, 4).await;
    world.until("the relays are leaves", |ledger| ledger.leaves == 4).await;
    miner.kill().await;

    world.chain.blocks().reached(session.windows.claim_close).await;
    let miner = world.miner().await;
    let mut events = miner.running.events();
    let ledger = world.until_all_settled(4).await;
    check_balances(&ledger);
    assert_eq!(ledger.unclaimed_by_reason.get("window"), Some(&4), "{ledger:#?}");
    loop {
        match events.next().await.unwrap() {
            Event::Unclaimed { relays, reason, .. } => {
                assert_eq!((relays, reason), (4, "window"));
                break;
            }
            Event::ClaimSent { .. } => panic!("a claim was sent outside its window"),
            _ => {}
        }
    }
    let record = world.store.session(&supplier, &session.header.session_id).await.unwrap().unwrap().record;
    assert_eq!((record.state, record.claim), (SessionState::Unclaimed, None));
    miner.stop().await;
}

pub(crate) async fn a_claim_whose_proof_never_came_is_reported_expired_with_what_it_cost(backend: Backend) {
    let world = World::new(backend, Options::default()).await;
    let miner = world.miner().await;
    let mut events = miner.running.events();
    let session = world.fresh_session().await;
    world.log(&session, 1, 2).await;
    while !matches!(events.next().await.unwrap(), Event::ClaimLanded { .. }) {}
    miner.kill().await;

    world.chain.blocks().reached(session.windows.proof_close).await;
    let miner = world.miner().await;
    let mut events = miner.running.events();
    let ledger = world.until_all_settled(2).await;
    check_balances(&ledger);
    assert_eq!((ledger.claimed, ledger.expired), (2, 2), "{ledger:#?}");
    assert_eq!((ledger.upokt.expired, ledger.upokt.paid), (200_000, 0));
    loop {
        match events.next().await.unwrap() {
            Event::Expired { relays, slashed_upokt, .. } => {
                assert_eq!((relays, slashed_upokt), (2, 250_000));
                break;
            }
            Event::ProofSent { .. } => panic!("a proof was sent outside its window"),
            _ => {}
        }
    }
    miner.stop().await;
}
