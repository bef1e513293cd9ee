//! Beside a miner of another kind, which keeps what it knows elsewhere: here one of ours on a store of its own.

use std::time::Duration;

use pocket_chain::Session;
use pocket_miner::Event;
use pocket_store::{CommitBatch, Durability, LeaseName, Namespace, Rejected, SessionHeader, Store, StoreOptions};

use crate::world::{Backend, DEADLINE, Miner, Options, World, check_balances};

/// Starts the other miner, with relays of the session's first supplier that only it knows.
async fn other_miner(world: &World, session: &Session, relays: usize) -> Miner {
    let store = Store::memory(StoreOptions::new(Namespace::default(), Durability::Process));
    for _ in 0..relays {
        store.append(world.relay(session, &session.suppliers[0].operator).await).await.unwrap();
    }
    world.miner_on(store).await
}

async fn until_claimed(world: &World, session: &Session) {
    world.chain.blocks().reached(session.windows.claim_close).await;
    let claims = world.chain.claims_of_supplier(&session.suppliers[0].operator, world.chain.height()).await.unwrap();
    assert_eq!(claims.len(), 1, "the other miner has claimed");
}

pub(crate) async fn a_session_that_another_miner_claimed_is_told_as_such(backend: Backend) {
    // Found out while the claim waits for its proof, and when it has been settled.
    for settled in [false, true] {
        let world = World::new(backend, Options::default()).await;
        let session = world.fresh_session().await;
        let miner = world.miner().await;
        world.log(&session, 1, 3).await;
        world.until("the relays are leaves", |ledger| ledger.leaves == 3).await;
        miner.kill().await;
        let other = other_miner(&world, &session, 2).await;
        until_claimed(&world, &session).await;
        if settled {
            world.chain.blocks().reached(session.windows.proof_close + 1).await;
        }
        let miner = world.miner().await;
        let mut events = miner.running.events();
        let told = loop {
            let event = tokio::time::timeout(DEADLINE, events.next()).await.expect("it is told").unwrap();
            if let Event::Unclaimed { relays, reason, .. } = event {
                break (relays, reason);
            }
        };
        assert_eq!(told, (3, "other_root"), "settled: {settled}");
        let ledger = world.ledger().await;
        assert_eq!(ledger.unclaimed_by_reason.get("other_root"), Some(&3), "{ledger:#?}");
        check_balances(&ledger);
        miner.stop().await;
        other.stop().await;
    }
}

pub(crate) async fn what_another_miner_was_paid_is_not_taken_for_ours(backend: Backend) {
    let world = World::new(backend, Options::default()).await;
    let session = world.fresh_session().await;
    let supplier = session.suppliers[0].operator.clone();
    // A session of ours without a leaf: the one relay of it did not count.
    let entry = world.store.append(world.relay(&session, &supplier).await).await.unwrap().id;
    let name = LeaseName::Supplier(supplier.clone());
    let lease = world.store.lease_acquire(&name, "an earlier miner", Duration::from_mins(1)).await.unwrap();
    let header = SessionHeader {
        supplier: supplier.clone(),
        session: session.header.session_id.clone(),
        service: session.header.service_id.clone(),
        application: session.header.application_address.clone(),
        start_height: session.start(),
        end_height: session.end(),
    };
    let rejected = vec![Rejected { entry, reason: "late" }];
    world.store.commit(CommitBatch { header, epoch: lease.epoch, leaves: Vec::new(), rejected }).await.unwrap();
    world.store.lease_release(&lease).await.unwrap();

    let miner = world.miner().await;
    let other = other_miner(&world, &session, 2).await;
    until_claimed(&world, &session).await;
    world.chain.blocks().reached(session.windows.proof_close + 2).await;
    let ledger = world.until("nothing waits", |ledger| ledger.open == 0 && ledger.waiting == 0).await;
    assert_eq!((ledger.settled_proved, ledger.upokt.paid, ledger.upokt.capped), (0, 0, 0), "{ledger:#?}");
    let record = world.store.session(&supplier, &session.header.session_id).await.unwrap().unwrap().record;
    assert_eq!(record.settlement, None, "{record:?}");
    check_balances(&ledger);
    miner.stop().await;
    other.stop().await;
}
