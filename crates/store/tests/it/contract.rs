//! What every engine promises about logs, leaves, sessions, leases and the meter.

use std::time::Duration;

use anyhow::ensure;
use pocket_store::{
    Allowance, AppendError, Charge, ChargeKey, CommitError, Count, Delivered, Durability, LeafStatus, LeaseError,
    LeaseName, Namespace, PutError, Rejected, SessionRecord, SessionState, Store, StoreOptions, Term,
};

use crate::world::{CLAIM_IDLE, MOMENT, SOON, SUPPLIER, World, append_all, batch, header, leaf, leaf_of, path, relay};

crate::tests![
    appended_relays_come_in_order_with_their_bytes,
    a_relay_without_session_is_refused,
    a_full_queue_refuses_and_says_its_limit,
    an_entry_comes_again_to_the_same_reader_until_it_is_committed,
    an_entry_of_a_dead_reader_is_taken_over,
    a_read_that_was_dropped_loses_nothing,
    one_reader_reads_many_suppliers,
    a_waiting_reader_wakes_when_a_relay_comes,
    a_closed_session_takes_no_more_relays,
    a_repeated_commit_changes_nothing,
    a_commit_says_how_many_leaves_the_session_has,
    identical_relays_collapse_to_one_leaf,
    identical_relays_of_one_batch_collapse_too,
    an_entry_that_is_not_there_is_missing,
    a_commit_of_an_old_epoch_changes_nothing,
    a_sealed_session_takes_no_leaves_but_rejections,
    leaves_come_back_in_order_of_path_with_their_bytes,
    records_are_written_once_per_revision,
    records_keep_what_they_do_not_know,
    a_forgotten_session_leaves_nothing,
    an_old_epoch_writes_no_record,
    a_lease_has_one_holder_and_a_rising_epoch,
    a_lease_runs_out,
    the_leader_is_known,
    the_meter_never_overdraws,
    the_meter_serves_a_refund_again,
    a_released_meter_returns_what_is_unspent,
];

fn suppliers() -> Vec<String> {
    vec![SUPPLIER.to_owned()]
}

fn supplier_lease() -> LeaseName {
    LeaseName::Supplier(SUPPLIER.to_owned())
}

async fn appended_relays_come_in_order_with_their_bytes(world: World) -> anyhow::Result<()> {
    let ids = append_all(&world.store, SUPPLIER, "s1", 0..100).await?;
    let mut reader = world.store.reader("miner", CLAIM_IDLE);
    let entries = reader.take(&suppliers(), 1_000, SOON).await?;
    ensure!(entries.iter().map(|entry| entry.id).eq(ids.iter().copied()), "order: {entries:?}");
    ensure!(ids.is_sorted(), "ids rise");
    for (number, entry) in (0..).zip(&entries) {
        ensure!(entry.relay == Delivered::Relay(relay(SUPPLIER, "s1", number)), "{entry:?}");
    }
    let stats = world.store.log_stats(SUPPLIER).await?;
    ensure!((stats.length, stats.delivered) == (100, 100), "{stats:?}");
    ensure!(stats.oldest == Some(ids[0].to_string()));
    Ok(())
}

async fn a_relay_without_session_is_refused(world: World) -> anyhow::Result<()> {
    let mut no_session = relay(SUPPLIER, "", 1);
    let refused = world.store.append(no_session.clone()).await;
    ensure!(matches!(refused, Err(AppendError::Invalid { reason: "session_id is required" })), "{refused:?}");
    no_session.session_id = "s".into();
    no_session.session_end_height = 0;
    let refused = world.store.append(no_session).await;
    ensure!(matches!(refused, Err(AppendError::Invalid { reason: "session_end_height is required" })), "{refused:?}");
    ensure!(world.store.log_stats(SUPPLIER).await?.length == 0);
    Ok(())
}

async fn a_full_queue_refuses_and_says_its_limit(world: World) -> anyhow::Result<()> {
    let options = StoreOptions { append_queue_max: 4, ..StoreOptions::new(Namespace::default(), Durability::Process) };
    let world = World::with(world.backend, options).await?;
    let appends = (0..100).map(|number| world.store.append(relay(SUPPLIER, "s", number)));
    let (mut logged, mut refused) = (0, 0);
    for answer in futures_util::future::join_all(appends).await {
        match answer {
            Ok(_) => logged += 1,
            Err(AppendError::QueueFull { waiting: 4 }) => refused += 1,
            Err(error) => return Err(error.into()),
        }
    }
    ensure!(refused > 0 && logged >= 4, "{logged} logged, {refused} refused");
    ensure!(world.store.log_stats(SUPPLIER).await?.length == logged);
    Ok(())
}

async fn an_entry_comes_again_to_the_same_reader_until_it_is_committed(world: World) -> anyhow::Result<()> {
    append_all(&world.store, SUPPLIER, "s", 0..3).await?;
    let mut dead = world.store.reader("miner", CLAIM_IDLE);
    let taken = dead.take(&suppliers(), 10, SOON).await?;
    ensure!(taken.len() == 3);
    world.store.commit(batch(header(SUPPLIER, "s"), 0, vec![leaf_of(&taken[1])])).await?;
    drop(dead);

    let mut reader = world.store.reader("miner", CLAIM_IDLE);
    let again = reader.take(&suppliers(), 10, SOON).await?;
    ensure!(again.iter().map(|e| e.id).eq([taken[0].id, taken[2].id]), "{again:?}");
    ensure!(again.iter().all(|entry| entry.redelivered));
    ensure!(reader.take(&suppliers(), 10, MOMENT).await?.is_empty(), "once a life is enough");
    reader.rewind(SUPPLIER);
    ensure!(reader.take(&suppliers(), 1, SOON).await?.len() == 1, "a rewound reader gets them from the first");
    ensure!(reader.take(&suppliers(), 1, SOON).await?.len() == 1, "and goes on");
    Ok(())
}

async fn an_entry_of_a_dead_reader_is_taken_over(world: World) -> anyhow::Result<()> {
    append_all(&world.store, SUPPLIER, "s", 0..3).await?;
    let mut dead = world.store.reader("miner-that-dies", CLAIM_IDLE);
    ensure!(dead.take(&suppliers(), 10, SOON).await?.len() == 3);
    drop(dead);

    let mut patient = world.store.reader("patient", CLAIM_IDLE);
    ensure!(patient.take(&suppliers(), 10, MOMENT).await?.is_empty(), "the dead one may still live");
    let mut heir = world.store.reader("heir", Duration::from_millis(1));
    tokio::time::sleep(Duration::from_millis(5)).await;
    let inherited = heir.take(&suppliers(), 10, SOON).await?;
    ensure!(inherited.len() == 3 && inherited.iter().all(|entry| entry.redelivered), "{inherited:?}");
    Ok(())
}

async fn a_read_that_was_dropped_loses_nothing(world: World) -> anyhow::Result<()> {
    let mut reader = world.store.reader("miner", CLAIM_IDLE);
    let suppliers = suppliers();
    // Dropped while it waits: whatever the server hands out after that must come again.
    for _ in 0..3 {
        let dropped = tokio::time::timeout(MOMENT, reader.take(&suppliers, 10, SOON)).await;
        ensure!(dropped.is_err());
    }
    append_all(&world.store, SUPPLIER, "s", 0..3).await?;
    let mut seen = 0;
    while seen < 3 {
        let taken = reader.take(&suppliers, 10, SOON).await?;
        ensure!(!taken.is_empty(), "{seen} of 3 came");
        seen += taken.len();
    }
    Ok(())
}

async fn one_reader_reads_many_suppliers(world: World) -> anyhow::Result<()> {
    let suppliers: Vec<String> = (0..300).map(|n| format!("pokt1supplier{n:04}")).collect();
    for supplier in suppliers.iter().step_by(3) {
        world.store.append(relay(supplier, "s", 1)).await?;
    }
    let mut reader = world.store.reader("miner", CLAIM_IDLE);
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 100 {
        for entry in reader.take(&suppliers, 10, SOON).await? {
            ensure!(seen.insert(entry.supplier.clone()), "{} came twice", entry.supplier);
        }
    }
    ensure!(seen.iter().eq(suppliers.iter().step_by(3)));
    ensure!(reader.take(&suppliers, 10, MOMENT).await?.is_empty());
    Ok(())
}

async fn a_waiting_reader_wakes_when_a_relay_comes(world: World) -> anyhow::Result<()> {
    let mut reader = world.store.reader("miner", CLAIM_IDLE);
    let suppliers = suppliers();
    let (taken, appended) = tokio::join!(reader.take(&suppliers, 10, SOON), async {
        tokio::time::sleep(MOMENT).await;
        world.store.append(relay(SUPPLIER, "s", 1)).await
    });
    ensure!(taken?.len() == 1);
    appended?;
    Ok(())
}

async fn a_repeated_commit_changes_nothing(world: World) -> anyhow::Result<()> {
    let ids = append_all(&world.store, SUPPLIER, "s", 0..5).await?;
    let mut commit = batch(header(SUPPLIER, "s"), 0, (0..3).zip(&ids).map(|(n, id)| leaf(n, *id)).collect());
    commit.rejected = vec![Rejected { entry: ids[3], reason: "late" }];
    let first = world.store.commit(commit.clone()).await?;
    ensure!(first.leaves == [LeafStatus::New; 3] && (first.new_leaves, first.rejected) == (3, 1), "{first:?}");
    let ledger = world.store.ledger(None).await?;
    let again = world.store.commit(commit).await?;
    ensure!(again.leaves == [LeafStatus::Repeated; 3], "{again:?}");
    ensure!((again.new_leaves, again.collapsed, again.rejected) == (0, 0, 0), "{again:?}");
    ensure!(world.store.ledger(None).await? == ledger, "a repeated commit counts nothing");
    ensure!((ledger.logged, ledger.leaves, ledger.rejected, ledger.pending) == (5, 3, 1, 1), "{ledger:?}");
    ensure!(ledger.rejected_by_reason.get("late") == Some(&1));
    ensure!(ledger.balances(), "{:?}", ledger.differences());
    ensure!(world.store.log_stats(SUPPLIER).await?.length == 1);
    Ok(())
}

/// Whoever was behind when the session was sealed learns of it before it answers.
async fn a_closed_session_takes_no_more_relays(world: World) -> anyhow::Result<()> {
    let other = world.another().await?;
    let (session, later) = (relay(SUPPLIER, "s", 1), 1_000);
    let end = session.session_end_height;
    world.store.append(session.clone()).await?;
    ensure!(world.store.closed_sessions(SUPPLIER).await? == 0);
    other.close_sessions(SUPPLIER, end, 0).await?;
    ensure!(world.store.closed_sessions(SUPPLIER).await? == end);

    let mut young = relay(SUPPLIER, "t", 2);
    young.session_end_height = end + later;
    let refused = relay(SUPPLIER, "s", 3);
    let (refused, taken) = tokio::join!(world.store.append(refused), world.store.append(young));
    ensure!(matches!(&refused, Err(AppendError::Closed { session, .. }) if session == "s"), "{refused:?}");
    taken?;
    world.store.append(relay("pokt1other", "s", 4)).await?;
    world.store.append_answered(relay(SUPPLIER, "s", 5)).await?;
    let ledger = world.store.ledger(None).await?;
    ensure!((ledger.served, ledger.logged) == (4, 4), "what is refused is not counted: {ledger:?}");

    let name = supplier_lease();
    let lease = world.store.lease_acquire(&name, "new owner", SOON).await?;
    let fenced = world.store.close_sessions(SUPPLIER, end + later, 0).await;
    ensure!(matches!(fenced, Err(PutError::Fenced(_))), "{fenced:?}");
    world.store.close_sessions(SUPPLIER, 0, lease.epoch).await?;
    world.store.append(relay(SUPPLIER, "s", 6)).await?;
    Ok(())
}

/// A miner that was not told what its commit did reads it from the next one.
async fn a_commit_says_how_many_leaves_the_session_has(world: World) -> anyhow::Result<()> {
    append_all(&world.store, SUPPLIER, "s", 0..5).await?;
    let mut reader = world.store.reader("miner", CLAIM_IDLE);
    let taken = reader.take(&suppliers(), 10, SOON).await?;
    let leaves: Vec<_> = taken.iter().map(leaf_of).collect();
    let first = world.store.commit(batch(header(SUPPLIER, "s"), 0, leaves[..3].to_vec())).await?;
    ensure!((first.new_leaves, first.session_leaves) == (3, 3), "{first:?}");
    let again = world.store.commit(batch(header(SUPPLIER, "s"), 0, leaves[..3].to_vec())).await?;
    ensure!((again.new_leaves, again.session_leaves) == (0, 3), "{again:?}");
    let all = world.store.commit(batch(header(SUPPLIER, "s"), 0, leaves)).await?;
    ensure!((all.new_leaves, all.session_leaves) == (2, 5), "{all:?}");
    Ok(())
}

async fn identical_relays_collapse_to_one_leaf(world: World) -> anyhow::Result<()> {
    let first = world.store.append(relay(SUPPLIER, "s", 1)).await?.id;
    let second = world.store.append(relay(SUPPLIER, "s", 1)).await?.id;
    ensure!(first != second);
    let one = world.store.commit(batch(header(SUPPLIER, "s"), 0, vec![leaf(1, first)])).await?;
    let two = world.store.commit(batch(header(SUPPLIER, "s"), 0, vec![leaf(1, second)])).await?;
    ensure!((one.new_leaves, two.new_leaves, two.collapsed) == (1, 0, 1), "{one:?} {two:?}");
    ensure!(world.store.leaves(SUPPLIER, "s").await?.len() == 1);
    let bytes = world.store.leaf_bytes(SUPPLIER, "s", &path(1)).await?;
    ensure!(bytes.as_deref() == Some(b"relay 1 of s".as_slice()), "{bytes:?}");
    ensure!(world.store.ledger(None).await?.balances());
    Ok(())
}

async fn identical_relays_of_one_batch_collapse_too(world: World) -> anyhow::Result<()> {
    let first = world.store.append(relay(SUPPLIER, "s", 1)).await?.id;
    let second = world.store.append(relay(SUPPLIER, "s", 1)).await?.id;
    let commit = batch(header(SUPPLIER, "s"), 0, vec![leaf(1, first), leaf(1, second), leaf(1, first)]);
    let outcome = world.store.commit(commit).await?;
    ensure!(outcome.leaves == [LeafStatus::New, LeafStatus::Collapsed, LeafStatus::Repeated], "{outcome:?}");
    let ledger = world.store.ledger(None).await?;
    ensure!((ledger.leaves, ledger.collapsed, ledger.pending) == (1, 1, 0), "{ledger:?}");
    ensure!(world.store.session(SUPPLIER, "s").await?.is_some_and(|session| session.leaves == 1));
    Ok(())
}

async fn an_entry_that_is_not_there_is_missing(world: World) -> anyhow::Result<()> {
    let nowhere = pocket_store::EntryId { ms: 0, seq: 99 };
    let outcome = world.store.commit(batch(header(SUPPLIER, "s"), 0, vec![leaf(1, nowhere)])).await?;
    ensure!(outcome.leaves == [LeafStatus::Missing], "{outcome:?}");
    ensure!(world.store.leaves(SUPPLIER, "s").await?.is_empty());
    ensure!(world.store.ledger(None).await?.balances());
    Ok(())
}

async fn a_commit_of_an_old_epoch_changes_nothing(world: World) -> anyhow::Result<()> {
    let old = world.store.lease_acquire(&supplier_lease(), "old", SOON).await?;
    let id = world.store.append(relay(SUPPLIER, "s", 1)).await?.id;
    world.store.lease_release(&old).await?;
    let new = world.store.lease_acquire(&supplier_lease(), "new", SOON).await?;
    ensure!(new.epoch > old.epoch);
    let refused = world.store.commit(batch(header(SUPPLIER, "s"), old.epoch, vec![leaf(1, id)])).await;
    let Err(CommitError::Fenced(fenced)) = refused else { anyhow::bail!("{refused:?}") };
    ensure!((fenced.presented, fenced.current) == (old.epoch, new.epoch), "{fenced:?}");
    ensure!(world.store.session(SUPPLIER, "s").await?.is_none());
    ensure!(world.store.log_stats(SUPPLIER).await?.length == 1);
    let outcome = world.store.commit(batch(header(SUPPLIER, "s"), new.epoch, vec![leaf(1, id)])).await?;
    ensure!(outcome.new_leaves == 1);
    Ok(())
}

async fn a_sealed_session_takes_no_leaves_but_rejections(world: World) -> anyhow::Result<()> {
    let ids = append_all(&world.store, SUPPLIER, "s", 0..2).await?;
    world.store.commit(batch(header(SUPPLIER, "s"), 0, vec![leaf(0, ids[0])])).await?;
    let mut session = world.store.session(SUPPLIER, "s").await?.expect("a commit makes the record").record;
    session.state = SessionState::Sealed;
    world.store.session_put(&session, 0, session.revision, &[]).await?;
    let late = world.store.commit(batch(header(SUPPLIER, "s"), 0, vec![leaf(1, ids[1])])).await;
    ensure!(matches!(late, Err(CommitError::Sealed { .. })), "{late:?}");
    let mut rejection = batch(header(SUPPLIER, "s"), 0, Vec::new());
    rejection.rejected = vec![Rejected { entry: ids[1], reason: "late" }];
    ensure!(world.store.commit(rejection).await?.rejected == 1);
    ensure!(world.store.leaves(SUPPLIER, "s").await?.len() == 1);
    ensure!(world.store.ledger(None).await?.balances());
    Ok(())
}

async fn leaves_come_back_in_order_of_path_with_their_bytes(world: World) -> anyhow::Result<()> {
    const LEAVES: u64 = 3_000;
    let ids = append_all(&world.store, SUPPLIER, "s", 0..LEAVES).await?;
    let leaves: Vec<_> = (0..).zip(&ids).map(|(number, id)| leaf(number, *id)).collect();
    let outcome = world.store.commit(batch(header(SUPPLIER, "s"), 0, leaves)).await?;
    ensure!(outcome.new_leaves == LEAVES);
    let stored = world.store.leaves(SUPPLIER, "s").await?;
    ensure!(stored.len() as u64 == LEAVES && stored.is_sorted_by_key(|leaf| leaf.path));
    for leaf in &stored {
        let number = u64::from_be_bytes(leaf.path[24..].try_into()?);
        ensure!(leaf.path == path(number) && leaf.leaf_hash == [7; 32] && leaf.weight == 1_000, "{leaf:?}");
        ensure!(leaf.locator == ids[usize::try_from(number)?], "{leaf:?}");
    }
    for number in [0, 1, 1_500, LEAVES - 1] {
        let bytes = world.store.leaf_bytes(SUPPLIER, "s", &path(number)).await?;
        ensure!(bytes.as_deref() == Some(format!("relay {number} of s").as_bytes()), "{number}: {bytes:?}");
    }
    ensure!(world.store.leaf_bytes(SUPPLIER, "s", &path(LEAVES)).await?.is_none());
    Ok(())
}

async fn records_are_written_once_per_revision(world: World) -> anyhow::Result<()> {
    let mut record = SessionRecord::open(&header(SUPPLIER, "s"));
    let counts = [Count::of(Term::Leaves, 2), Count::because(Term::Unclaimed, "unprofitable", 2)];
    ensure!(world.store.session_put(&record, 0, 0, &counts).await? == 1);
    record.state = SessionState::Unclaimed;
    let conflict = world.store.session_put(&record, 0, 0, &counts).await;
    ensure!(matches!(conflict, Err(PutError::Conflict { expected: 0, current: 1, .. })), "{conflict:?}");
    ensure!(world.store.session_put(&record, 0, 1, &[]).await? == 2);
    let stored = world.store.session(SUPPLIER, "s").await?.expect("it was written");
    ensure!((stored.record.revision, stored.record.state) == (2, SessionState::Unclaimed), "{stored:?}");
    let ledger = world.store.ledger(Some(SUPPLIER)).await?;
    ensure!((ledger.leaves, ledger.unclaimed) == (2, 2), "a refused write counts nothing: {ledger:?}");
    ensure!(ledger.unclaimed_by_reason.get("unprofitable") == Some(&2));
    ensure!(world.store.session(SUPPLIER, "other").await?.is_none());
    Ok(())
}

async fn records_keep_what_they_do_not_know(world: World) -> anyhow::Result<()> {
    let mut record = SessionRecord::open(&header(SUPPLIER, "s"));
    record.extra.insert("of_a_later_version".into(), serde_json::json!({"deep": [1, 2]}));
    record.claim = Some(pocket_store::Submission { attempts: 2, ..Default::default() });
    world.store.session_put(&record, 0, 0, &[]).await?;
    for id in ["b", "a"] {
        world.store.session_put(&SessionRecord::open(&header(SUPPLIER, id)), 0, 0, &[]).await?;
    }
    let stored = world.store.sessions(SUPPLIER).await?;
    ensure!(stored.iter().map(|s| s.record.session.as_str()).eq(["a", "b", "s"]), "{stored:?}");
    record.revision = 1;
    ensure!(stored[2].record == record, "{:?}", stored[2]);
    Ok(())
}

async fn a_forgotten_session_leaves_nothing(world: World) -> anyhow::Result<()> {
    let ids = append_all(&world.store, SUPPLIER, "s", 0..5_000).await?;
    let leaves = (0..).zip(&ids).map(|(number, id)| leaf(number, *id)).collect();
    world.store.commit(batch(header(SUPPLIER, "s"), 0, leaves)).await?;
    world.store.forget_session(SUPPLIER, "s", 0).await?;
    world.store.forget_session(SUPPLIER, "s", 0).await?;
    ensure!(world.store.session(SUPPLIER, "s").await?.is_none());
    ensure!(world.store.sessions(SUPPLIER).await?.is_empty());
    ensure!(world.store.leaves(SUPPLIER, "s").await?.is_empty());
    ensure!(world.store.leaf_bytes(SUPPLIER, "s", &path(1)).await?.is_none());
    ensure!(world.store.keys("*:s", false).await?.is_empty());
    ensure!(world.store.ledger(None).await?.leaves == 5_000, "what was counted stays counted");
    Ok(())
}

async fn an_old_epoch_writes_no_record(world: World) -> anyhow::Result<()> {
    let record = SessionRecord::open(&header(SUPPLIER, "s"));
    let lease = world.store.lease_acquire(&supplier_lease(), "miner", SOON).await?;
    let fenced = world.store.session_put(&record, lease.epoch - 1, 0, &[Count::of(Term::Claimed, 1)]).await;
    ensure!(matches!(fenced, Err(PutError::Fenced(_))), "{fenced:?}");
    world.store.session_put(&record, lease.epoch, 0, &[]).await?;
    let fenced = world.store.forget_session(SUPPLIER, "s", lease.epoch - 1).await;
    ensure!(matches!(fenced, Err(PutError::Fenced(_))), "{fenced:?}");
    ensure!(world.store.session(SUPPLIER, "s").await?.is_some());
    ensure!(world.store.ledger(None).await?.claimed == 0);
    Ok(())
}

async fn a_lease_has_one_holder_and_a_rising_epoch(world: World) -> anyhow::Result<()> {
    let other = world.another().await?;
    let name = supplier_lease();
    ensure!(world.store.lease(&name).await?.is_none());
    let one = world.store.lease_acquire(&name, "one", SOON).await?;
    let held = other.lease_acquire(&name, "two", SOON).await;
    ensure!(matches!(&held, Err(LeaseError::Held { holder, .. }) if holder == "one"), "{held:?}");
    let again = world.store.lease_acquire(&name, "one", SOON).await?;
    ensure!(again.epoch > one.epoch, "an earlier self is fenced too");
    let lost = world.store.lease_renew(&one, SOON).await;
    ensure!(matches!(lost, Err(LeaseError::Lost { .. })), "{lost:?}");
    world.store.lease_renew(&again, SOON).await?;
    world.store.lease_release(&one).await?;
    let info = other.lease(&name).await?.expect("an old lease releases nothing");
    ensure!((info.holder.as_str(), info.epoch) == ("one", again.epoch), "{info:?}");
    ensure!(info.remaining <= SOON && info.remaining > SOON / 2, "{info:?}");
    world.store.lease_release(&again).await?;
    let two = other.lease_acquire(&name, "two", SOON).await?;
    ensure!(two.epoch > again.epoch);
    Ok(())
}

async fn a_lease_runs_out(world: World) -> anyhow::Result<()> {
    let name = supplier_lease();
    let one = world.store.lease_acquire(&name, "one", Duration::from_millis(20)).await?;
    let two = loop {
        match world.store.lease_acquire(&name, "two", SOON).await {
            Ok(lease) => break lease,
            Err(LeaseError::Held { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => return Err(error.into()),
        }
    };
    ensure!(two.epoch > one.epoch);
    ensure!(matches!(world.store.lease_renew(&one, SOON).await, Err(LeaseError::Lost { .. })));
    Ok(())
}

async fn the_leader_is_known(world: World) -> anyhow::Result<()> {
    ensure!(world.store.leader().await?.is_none());
    let lease = world.store.lease_acquire(&LeaseName::Leader, "miner-0", SOON).await?;
    let leader = world.another().await?.leader().await?.expect("somebody leads");
    ensure!((leader.holder.as_str(), leader.epoch) == ("miner-0", lease.epoch));
    world.store.lease_release(&lease).await?;
    ensure!(world.store.leader().await?.is_none());
    Ok(())
}

fn charge_key() -> ChargeKey {
    ChargeKey {
        session: "s".into(),
        application: "pokt1app".into(),
        service: "develop-http".into(),
        supplier: SUPPLIER.into(),
        session_end_height: 20,
    }
}

fn allowance(limit_upokt: u64) -> Allowance {
    Allowance { limit_upokt, app_stake_upokt: 10_000_000, service_factor: None }
}

/// Charges until the store refuses and returns how many relays were paid for.
async fn spend_all(store: &Store, cost: u64, limit: u64) -> anyhow::Result<u64> {
    let mut paid = 0;
    loop {
        match store.charge(&charge_key(), cost, &allowance(limit)).await? {
            Charge::Charged { total } => {
                ensure!(total <= limit, "{total} of {limit}");
                paid += 1;
            }
            Charge::Over { limit: said, .. } => {
                ensure!(said == limit);
                return Ok(paid);
            }
        }
    }
}

async fn the_meter_never_overdraws(world: World) -> anyhow::Result<()> {
    let other = world.another().await?;
    let (one, two) = tokio::join!(spend_all(&world.store, 7, 1_000), spend_all(&other, 7, 1_000));
    let (one, two) = (one?, two?);
    ensure!(one + two <= 142, "{one} + {two} relays of 7 were paid from 1000");
    // Each may hold back what it had reserved when the other was refused; nobody is left to spend it but itself.
    ensure!(one + two >= 142 - 16, "{one} + {two} relays of 7 leave too much of 1000");
    let mut dear = charge_key();
    dear.session = "other".into();
    let over = world.store.charge(&dear, 11, &allowance(10)).await?;
    ensure!(matches!(over, Charge::Over { total: 0, limit: 10 }), "{over:?}");
    Ok(())
}

async fn the_meter_serves_a_refund_again(world: World) -> anyhow::Result<()> {
    ensure!(spend_all(&world.store, 10, 100).await? == 10);
    world.store.refund(&charge_key(), 10);
    ensure!(spend_all(&world.store, 10, 100).await? == 1);
    Ok(())
}

async fn a_released_meter_returns_what_is_unspent(world: World) -> anyhow::Result<()> {
    let other = world.another().await?;
    let charged = world.store.charge(&charge_key(), 10, &allowance(10_000)).await?;
    ensure!(matches!(charged, Charge::Charged { total: 10 }), "{charged:?}");
    world.store.meter_release("s", SUPPLIER).await?;
    ensure!(spend_all(&other, 10, 10_000).await? == 999);
    other.meter_cleanup("s", SUPPLIER).await?;
    ensure!(spend_all(&other, 10, 100).await? == 10, "a cleaned meter starts anew");
    Ok(())
}
