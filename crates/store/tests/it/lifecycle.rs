//! What every engine promises about events, boundary records, the ledger and administration.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use pocket_store::boundary::{RewardableEvent, StakedEndpoint};
use pocket_store::{
    BlockEvent, CacheKind, Count, Event, Events, Outcome, RegistryAction, RegistryEvent, Rejected, SessionState,
    Settlement, SupplierState, SupplierStatus, Term,
};

use crate::world::{CLAIM_IDLE, SOON, SUPPLIER, World, append_all, batch, header, leaf_of};

crate::tests![
    events_reach_every_subscriber,
    the_highest_block_is_kept,
    supplier_states_come_back_and_contradictions_count_as_none,
    a_service_without_a_factor_has_the_default,
    a_session_pays_until_it_is_said_not_to,
    cache_entries_live_their_time,
    counters_are_raised_together,
    the_ledger_balances_through_a_whole_life,
    keys_are_listed_by_pattern_with_what_they_hold,
];

fn block(height: i64) -> BlockEvent {
    BlockEvent { height, hash: vec![1, 2, 3], timestamp: "2026-01-01T00:00:00.5Z".into() }
}

async fn next(events: &mut Events) -> anyhow::Result<Event> {
    tokio::time::timeout(SOON, events.next()).await.context("no event came")?.context("the store is gone")
}

async fn events_reach_every_subscriber(world: World) -> anyhow::Result<()> {
    let other = world.another().await?;
    let mut here = world.store.subscribe().await?;
    let mut there = other.subscribe().await?;
    let registry = RegistryEvent {
        action: RegistryAction::Add,
        operator_addr: SUPPLIER.into(),
        services: vec!["develop-http".into()],
        reason: String::new(),
    };
    world.store.block_publish(&block(7)).await?;
    world.store.registry_publish(&registry).await?;
    world.store.session_unrewardable("s", "late", SOON).await?;
    world.store.cache_invalidate(CacheKind::Application, Some("pokt1app")).await?;
    world.store.cache_invalidate(CacheKind::SharedParams, None).await?;
    world.store.meter_cleanup("s", SUPPLIER).await?;
    let expected = [
        Event::Block(block(7)),
        Event::Registry(registry),
        Event::Rewardable(RewardableEvent { session_id: "s".into(), is_rewardable: false, reason: "late".into() }),
        Event::Invalidate { kind: CacheKind::Application, id: Some("pokt1app".into()) },
        Event::Invalidate { kind: CacheKind::SharedParams, id: None },
        Event::MeterCleanup { session: "s".into(), supplier: SUPPLIER.into() },
    ];
    for events in [&mut here, &mut there] {
        for expected in &expected {
            let event = next(events).await?;
            ensure!(event == *expected, "{event:?} instead of {expected:?}");
        }
    }
    Ok(())
}

async fn the_highest_block_is_kept(world: World) -> anyhow::Result<()> {
    ensure!(world.store.block_last().await?.is_none());
    for height in [5, 9, 7] {
        world.store.block_publish(&block(height)).await?;
    }
    ensure!(world.store.block_last().await? == Some(block(9)));
    Ok(())
}

fn state(address: &str) -> SupplierState {
    SupplierState {
        status: SupplierStatus::Active,
        staked: true,
        services: Some(vec!["develop-http".into()]),
        staked_endpoints: vec![StakedEndpoint { service_id: "develop-http".into(), rpc_type: "JSON_RPC".into() }],
        unstake_session_end_height: 0,
        operator_address: address.into(),
        owner_address: "pokt1owner".into(),
        last_updated: 1,
        last_refresh_session_start: 11,
        updated_by: "miner".into(),
    }
}

async fn supplier_states_come_back_and_contradictions_count_as_none(world: World) -> anyhow::Result<()> {
    let contradiction = SupplierState { services: None, ..state("pokt1c") };
    for state in [&state("pokt1b"), &state("pokt1a"), &contradiction] {
        world.store.supplier_put(state).await?;
    }
    ensure!(world.store.supplier("pokt1a").await? == Some(state("pokt1a")));
    ensure!(world.store.supplier("pokt1c").await?.is_none());
    ensure!(world.store.supplier("pokt1d").await?.is_none());
    let all = world.store.suppliers().await?;
    ensure!(all == [state("pokt1a"), state("pokt1b")], "{all:?}");
    world.store.supplier_delete("pokt1a").await?;
    ensure!(world.store.supplier("pokt1a").await?.is_none());
    Ok(())
}

async fn a_service_without_a_factor_has_the_default(world: World) -> anyhow::Result<()> {
    ensure!(world.store.service_factor("a").await?.is_none());
    world.store.service_factor_put(None, 0.5, SOON).await?;
    world.store.service_factor_put(Some("a"), 1.0, SOON).await?;
    ensure!(world.store.service_factor("a").await? == Some(1.0));
    ensure!(world.store.service_factor("b").await? == Some(0.5));
    Ok(())
}

async fn a_session_pays_until_it_is_said_not_to(world: World) -> anyhow::Result<()> {
    ensure!(world.store.session_rewardable("s").await?);
    world.store.session_unrewardable("s", "over", SOON).await?;
    ensure!(!world.store.session_rewardable("s").await?);
    ensure!(world.store.session_rewardable("t").await?);
    Ok(())
}

async fn cache_entries_live_their_time(world: World) -> anyhow::Result<()> {
    let value = Bytes::from_static(b"\x00\xffvalue");
    world.store.cache_put(CacheKind::Account, Some("a"), value.clone(), None).await?;
    world.store.cache_put(CacheKind::SharedParams, None, value.clone(), Some(Duration::from_secs(1))).await?;
    ensure!(world.store.cache_get(CacheKind::Account, Some("a")).await?.as_ref() == Some(&value));
    ensure!(world.store.cache_get(CacheKind::SharedParams, None).await?.as_ref() == Some(&value));
    let deadline = tokio::time::Instant::now() + SOON;
    while world.store.cache_get(CacheKind::SharedParams, None).await?.is_some() {
        ensure!(tokio::time::Instant::now() < deadline, "it never runs out");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.store.cache_invalidate(CacheKind::Account, Some("a")).await?;
    ensure!(world.store.cache_get(CacheKind::Account, Some("a")).await?.is_none());
    Ok(())
}

async fn counters_are_raised_together(world: World) -> anyhow::Result<()> {
    let skipped = [Count::of(Term::Served, 3), Count::of(Term::Skipped, 3)];
    let other = world.another().await?;
    for store in [&world.store, &other, &world.store] {
        store.count(SUPPLIER, &skipped).await?;
    }
    world.store.count(SUPPLIER, &[Count::of(Term::Served, 1), Count::of(Term::Spooled, 1)]).await?;
    let ledger = world.store.ledger(None).await?;
    ensure!((ledger.served, ledger.skipped, ledger.spooled) == (10, 9, 1), "{ledger:?}");
    ensure!(ledger.balances());
    world.store.count(SUPPLIER, &[Count::of(Term::Served, -1), Count::of(Term::Spooled, -1)]).await?;
    world.store.append_answered(crate::world::relay(SUPPLIER, "s", 1)).await?;
    let ledger = world.store.ledger(None).await?;
    ensure!((ledger.served, ledger.spooled, ledger.logged, ledger.pending) == (10, 0, 1, 1), "{ledger:?}");
    ensure!(ledger.balances(), "{:?}", ledger.differences());
    Ok(())
}

async fn the_ledger_balances_through_a_whole_life(world: World) -> anyhow::Result<()> {
    let store = &world.store;
    let balanced = async || -> anyhow::Result<pocket_store::Ledger> {
        let ledger = store.ledger(None).await?;
        ensure!(ledger.balances(), "{:?} {ledger:?}", ledger.differences());
        Ok(ledger)
    };
    append_all(store, SUPPLIER, "s", 0..10).await?;
    append_all(store, SUPPLIER, "s", 0..2).await?;
    ensure!(balanced().await?.pending == 12);

    let entries = store.reader("miner", CLAIM_IDLE).take(&[SUPPLIER.to_owned()], 100, SOON).await?;
    let mut commit = batch(header(SUPPLIER, "s"), 0, entries[1..].iter().map(leaf_of).collect());
    commit.rejected = vec![Rejected { entry: entries[0].id, reason: "weight" }];
    let outcome = store.commit(commit).await?;
    ensure!((outcome.new_leaves, outcome.collapsed, outcome.rejected) == (10, 1, 1), "{outcome:?}");
    ensure!(balanced().await?.open == 10);

    let mut record = store.session(SUPPLIER, "s").await?.context("a commit makes the record")?.record;
    record.state = SessionState::Claimed;
    record.relays = 10;
    record.claimed_upokt = 420;
    let counts = [Count::of(Term::Claimed, 10), Count::of(Term::UpoktClaimed, 420)];
    let revision = store.session_put(&record, 0, record.revision, &counts).await?;
    let ledger = balanced().await?;
    ensure!((ledger.waiting, ledger.upokt.waiting, ledger.open) == (10, 420, 0), "{ledger:?}");

    record.state = SessionState::Settled;
    record.settlement = Some(Settlement {
        outcome: Outcome::SettledProved,
        height: 40,
        relays: 10,
        claimed_upokt: 420,
        paid_upokt: 400,
        slashed_upokt: 0,
        extra: std::collections::BTreeMap::default(),
    });
    let counts =
        [Count::of(Term::SettledProved, 10), Count::of(Term::UpoktPaid, 400), Count::of(Term::UpoktCapped, 20)];
    store.session_put(&record, 0, revision, &counts).await?;
    let ledger = balanced().await?;
    ensure!((ledger.waiting, ledger.settled_proved, ledger.upokt.paid) == (0, 10, 400), "{ledger:?}");
    store.forget_session(SUPPLIER, "s", 0).await?;
    ensure!(balanced().await? == ledger, "forgetting what is final changes nothing");
    ensure!(store.known_suppliers().await? == [SUPPLIER]);
    Ok(())
}

async fn keys_are_listed_by_pattern_with_what_they_hold(world: World) -> anyhow::Result<()> {
    let ids = append_all(&world.store, SUPPLIER, "s", 0..3).await?;
    world.store.commit(batch(header(SUPPLIER, "s"), 0, vec![crate::world::leaf(0, ids[0])])).await?;
    world.store.supplier_put(&state(SUPPLIER)).await?;
    let keys = world.store.keys("ha:*", true).await?;
    ensure!(keys.is_sorted_by(|a, b| a.key < b.key));
    let find = |key: String| keys.iter().find(|info| info.key == key).with_context(|| format!("no {key} in {keys:?}"));
    let names = world.store.names();
    ensure!(find(names.stream(SUPPLIER))?.entries == Some(2));
    ensure!(find(names.leaf(SUPPLIER, "s"))?.entries == Some(1));
    ensure!(find(names.session(SUPPLIER, "s"))?.kind == "hash");
    ensure!(find(names.supplier(SUPPLIER))?.bytes.is_some_and(|bytes| bytes > 100));
    let keys = world.store.keys("ha:supplier:*", false).await?;
    ensure!(keys.len() == 1 && keys[0].entries.is_none(), "{keys:?}");
    ensure!(world.store.keys("no:*", true).await?.is_empty());
    Ok(())
}
