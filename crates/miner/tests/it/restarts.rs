//! A miner that dies: nothing is lost, nothing counted twice.

use std::time::Duration;

use pocket_miner::Event;
use pocket_runtime::random;
use pocket_store::LeaseName;

use crate::world::{Backend, DEADLINE, Options, World, check_balances};

/// What a miner is killed after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Leaves,
    ClaimSent,
    ClaimLanded,
    ProofSent,
    ProofValid,
    Settled,
}

const STEPS: [Step; 6] =
    [Step::Leaves, Step::ClaimSent, Step::ClaimLanded, Step::ProofSent, Step::ProofValid, Step::Settled];

fn step_of(event: &Event) -> Option<Step> {
    match event {
        Event::ClaimSent { .. } => Some(Step::ClaimSent),
        Event::ClaimLanded { .. } => Some(Step::ClaimLanded),
        Event::ProofSent { .. } => Some(Step::ProofSent),
        Event::ProofValid { .. } => Some(Step::ProofValid),
        Event::Settled { .. } => Some(Step::Settled),
        _ => None,
    }
}

pub(crate) async fn a_miner_killed_between_all_steps_ends_where_it_would_have_ended(backend: Backend) {
    let world = World::new(backend, Options::default()).await;
    let session = world.fresh_session().await;
    let mut miner = world.miner().await;
    world.log(&session, 1, 12).await;
    for step in STEPS {
        if step == Step::Leaves {
            world.until("some relays are leaves", |ledger| ledger.leaves > 0).await;
        } else {
            let mut events = miner.running.events();
            let reached = async {
                loop {
                    match events.next().await {
                        // A step may have been passed before anybody listened again.
                        Some(event) if step_of(&event).is_some_and(|seen| seen as u8 >= step as u8) => return,
                        Some(_) => {}
                        None => panic!("the miner ended by itself"),
                    }
                }
            };
            let done = world.until("all is settled", |ledger| ledger.settled_proved == 12);
            tokio::select! {
                () = reached => {}
                _ = done => {}
            }
        }
        miner.kill().await;
        miner = world.miner().await;
    }
    let ledger = world.until_all_settled(12).await;
    check_balances(&ledger);
    assert_eq!((ledger.settled_proved, ledger.rejected, ledger.unclaimed), (12, 0, 0), "{ledger:#?}");
    assert_eq!(ledger.upokt.paid, 12 * 100_000);
    miner.stop().await;
}

pub(crate) async fn relays_logged_while_no_miner_runs_are_claimed_by_the_next_one(backend: Backend) {
    let world = World::new(backend, Options::default()).await;
    let session = world.fresh_session().await;
    world.log(&session, 2, 20).await;
    // Inside the claim window, with everything still in the log: it must be drained before the seal.
    world.chain.blocks().reached(session.windows.claim_open + 2).await;
    let miner = world.miner().await;
    let ledger = world.until_all_settled(20).await;
    check_balances(&ledger);
    assert_eq!((ledger.settled_proved, ledger.rejected), (20, 0), "{ledger:#?}");
    miner.stop().await;
}

pub(crate) async fn a_miner_whose_lease_is_taken_starts_over_and_counts_nothing_twice(backend: Backend) {
    let world = World::new(backend, Options::default()).await;
    let miner = world.miner().await;
    let session = world.fresh_session().await;
    let supplier = session.suppliers[0].operator.clone();
    let name = LeaseName::Supplier(supplier.clone());
    world.log(&session, 1, 6).await;
    let mut epoch = 0;
    let until = session.windows.proof_close;
    while world.chain.height() < until {
        let lease = world.store.lease(&name).await.unwrap();
        if let Some(lease) = lease.filter(|lease| lease.epoch > epoch) {
            // As a second process of the same name would: whoever writes at the epoch before is refused.
            let taken = world.store.lease_acquire(&name, &lease.holder, lease.remaining).await.unwrap();
            epoch = taken.epoch;
        }
        if world.chain.height() <= session.end() {
            world.log(&session, 1, 1).await;
        }
        let next = world.chain.height() + 2;
        world.chain.blocks().reached(next).await;
    }
    let logged = world.ledger().await.logged;
    let ledger = world.until_all_settled(logged).await;
    check_balances(&ledger);
    assert_eq!((ledger.settled_proved, ledger.rejected, ledger.unclaimed), (logged, 0, 0), "{ledger:#?}");
    assert!(epoch > 3, "the lease was taken {epoch} times or fewer");
    miner.stop().await;
}

/// Kills at moments of a seed, which is printed; a failure is repeated with `POCKET_MINER_SEED`.
pub(crate) async fn a_miner_killed_at_random_moments_loses_and_doubles_nothing(backend: Backend) {
    let seed = match std::env::var("POCKET_MINER_SEED") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => random::u64(),
    };
    println!("POCKET_MINER_SEED={seed}");
    let mut lots = Lots(seed);
    let world = World::new(backend, Options::default()).await;
    let session = world.fresh_session().await;
    let mut miner = world.miner().await;
    let mut logged = 0;
    let until = session.windows.proof_close;
    while world.chain.height() <= until {
        if world.chain.height() <= session.end() {
            let count = lots.below(8);
            world.log(&session, 3, usize::try_from(count).unwrap()).await;
            logged += count.cast_signed();
        }
        tokio::time::sleep(Duration::from_millis(lots.below(500))).await;
        miner.kill().await;
        miner = world.miner().await;
    }
    println!("{logged} relays");
    let ledger = world.until_all_settled(logged).await;
    check_balances(&ledger);
    assert_eq!((ledger.settled_proved, ledger.rejected, ledger.unclaimed), (logged, 0, 0), "seed {seed}: {ledger:#?}");
    assert_eq!(ledger.upokt.paid, logged * 100_000, "seed {seed}");
    tokio::time::timeout(DEADLINE, miner.stop()).await.unwrap();
}

/// A small generator of its own, so that the seed alone decides.
struct Lots(u64);

impl Lots {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
