//! The whole road, undisturbed.

use pocket_miner::Event;
use pocket_store::SessionState;

use crate::world::{Backend, DEADLINE, Options, World, check_balances};

pub(crate) async fn logged_relays_are_claimed_proved_and_paid(backend: Backend) {
    let world = World::new(backend, Options::default()).await;
    let miner = world.miner().await;
    let mut events = miner.running.events();
    let session = world.fresh_session().await;
    let relays = world.log(&session, 3, 30).await;
    // The same bytes again are one leaf.
    for relay in &relays[..4] {
        world.store.append(relay.clone()).await.unwrap();
    }

    let ledger = world.until_all_settled(30).await;
    check_balances(&ledger);
    assert_eq!((ledger.served, ledger.collapsed, ledger.claimed, ledger.settled_proved), (34, 4, 30, 30));
    let price = 1_000 * 100;
    assert_eq!((ledger.upokt.claimed, ledger.upokt.paid), (30 * price, 30 * price));

    let mut settled = 0;
    let mut proofs = 0;
    while settled < 3 {
        match tokio::time::timeout(DEADLINE, events.next()).await.unwrap().unwrap() {
            Event::Settled { relays, upokt, proved, .. } => {
                assert_eq!((relays, upokt, proved), (10, 10 * price.unsigned_abs(), true));
                settled += 1;
            }
            Event::ProofSent { attempt, .. } => {
                assert_eq!(attempt, 1);
                proofs += 1;
            }
            _ => {}
        }
    }
    assert_eq!(proofs, 3, "a proof costs its fee each time it is sent");
    for served in &session.suppliers[..3] {
        let record = world.store.session(&served.operator, &session.header.session_id).await.unwrap().unwrap().record;
        assert_eq!(record.state, SessionState::Settled);
        let chain_claims = world.chain.claims_of_supplier(&served.operator, world.chain.height()).await.unwrap();
        assert_eq!(chain_claims, [], "the chain has settled it");
    }
    miner.stop().await;
}

pub(crate) async fn a_claim_that_the_chain_does_not_sample_is_paid_without_a_proof(backend: Backend) {
    let world = World::new(backend, Options { unproved: true, ..Options::default() }).await;
    let miner = world.miner().await;
    let mut events = miner.running.events();
    let session = world.fresh_session().await;
    world.log(&session, 1, 5).await;

    let ledger = world.until_all_settled(5).await;
    check_balances(&ledger);
    assert_eq!((ledger.settled_proved, ledger.settled_unproved), (0, 5));
    let mut skipped = false;
    loop {
        match events.next().await.unwrap() {
            Event::ProofSent { about, .. } => panic!("a proof was sent for {about:?}"),
            Event::ProofNotRequired { .. } => skipped = true,
            Event::Settled { proved, .. } => {
                assert!(!proved && skipped);
                break;
            }
            _ => {}
        }
    }
    miner.stop().await;
}

pub(crate) async fn a_claim_below_its_fees_is_forgone_where_the_operator_says_so(backend: Backend) {
    let world = World::new(backend, Options { miner: "skip_unprofitable_claims: true", ..Options::default() }).await;
    let miner = world.miner().await;
    let session = world.fresh_session().await;
    // The proof alone costs a million upokt; one relay earns a tenth of it.
    world.log(&session, 1, 1).await;

    let ledger = world.until_all_settled(1).await;
    check_balances(&ledger);
    assert_eq!(ledger.unclaimed_by_reason.get("unprofitable"), Some(&1));
    assert_eq!((ledger.upokt.claimed, ledger.upokt.forgone), (100_000, 100_000));
    miner.stop().await;
}

pub(crate) async fn a_settled_session_is_forgotten_after_the_blocks_it_is_kept_for(backend: Backend) {
    let mut world = World::new(backend, Options::default()).await;
    world.settings.limits.session_kept_blocks = 2;
    let miner = world.miner().await;
    let session = world.fresh_session().await;
    world.log(&session, 1, 3).await;
    let supplier = session.suppliers[0].operator.clone();

    let ledger = world.until_all_settled(3).await;
    assert_eq!(ledger.settled_proved, 3);
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !world.store.sessions(&supplier).await.unwrap().is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "the session is still there");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    check_balances(&world.ledger().await);
    miner.stop().await;
}
