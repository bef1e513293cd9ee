//! A chain that loses, refuses or is silent.

use std::collections::BTreeSet;

use pocket_miner::Event;
use pocket_proto::pocket::devnet::v1::{Fault, FaultKind};

use crate::world::{Backend, Options, World, check_balances};

const CLAIM: &str = "/pocket.proof.MsgCreateClaim";
const PROOF: &str = "/pocket.proof.MsgSubmitProof";

fn fault(kind: FaultKind, target: &str, count: u64) -> Fault {
    Fault { kind: kind.into(), target: target.to_owned(), count, ..Fault::default() }
}

/// Runs a session under faults; returns the highest attempts of a claim and of a proof.
async fn check(backend: Backend, faults: Vec<Fault>) -> (u32, u32) {
    let world = World::new(backend, Options::default()).await;
    let miner = world.miner().await;
    let mut events = miner.running.events();
    let session = world.fresh_session().await;
    for fault in faults {
        world.devnet.running.chain.fault(fault).unwrap();
    }
    world.log(&session, 2, 6).await;
    let ledger = world.until_all_settled(6).await;
    check_balances(&ledger);
    assert_eq!((ledger.settled_proved, ledger.unclaimed, ledger.expired), (6, 0, 0), "{ledger:#?}");
    let mut settled = BTreeSet::new();
    let mut attempts = (0, 0);
    while settled.len() < 2 {
        match events.next().await.unwrap() {
            Event::ClaimSent { attempt, .. } => attempts.0 = attempts.0.max(attempt),
            Event::ProofSent { attempt, .. } => attempts.1 = attempts.1.max(attempt),
            Event::Settled { about, .. } => {
                settled.insert(about.supplier);
            }
            _ => {}
        }
    }
    miner.stop().await;
    attempts
}

pub(crate) async fn what_the_mempool_loses_is_sent_again(backend: Backend) {
    let attempts = check(backend, vec![fault(FaultKind::Evict, CLAIM, 1), fault(FaultKind::Evict, PROOF, 1)]).await;
    assert!(attempts >= (2, 2), "{attempts:?}");
}

pub(crate) async fn what_a_busy_node_refuses_is_sent_again(backend: Backend) {
    let busy = |target| Fault {
        code: 20,
        codespace: "sdk".to_owned(),
        message: "mempool is full".to_owned(),
        ..fault(FaultKind::Reject, target, 1)
    };
    check(backend, vec![busy(CLAIM), busy(PROOF)]).await;
}

pub(crate) async fn a_node_that_does_not_answer_some_questions_is_asked_again(backend: Backend) {
    let silent = |target| Fault { code: 14, message: "away".to_owned(), ..fault(FaultKind::Reject, target, 2) };
    check(
        backend,
        vec![
            silent("/pocket.proof.Query/AllClaims"),
            silent("/pocket.proof.Query/Params"),
            silent("/cosmos.tx.v1beta1.Service/Simulate"),
            silent("block_results"),
        ],
    )
    .await;
}
