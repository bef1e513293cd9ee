//! What the Redis engine promises about its server: what it refuses, and what it survives.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use pocket_store::{Delivered, Durability, Event, Namespace, Store, StoreError, StoreOptions};
use pocket_testbed::{Config, RedisServer, Version};

use crate::world::{
    Backend, CLAIM_IDLE, MOMENT, SOON, SUPPLIER, World, append_all, batch, header, leaf_of, options, relay,
};

crate::tests![
    a_server_that_may_evict_is_refused,
    disk_durability_wants_a_server_that_can,
    a_server_that_is_not_there_is_said_so,
    a_killed_server_costs_no_acknowledged_relay_and_doubles_none,
    a_paused_server_delays_appends_and_doubles_none,
    a_vanished_stream_gets_its_group_anew,
    a_stream_that_would_expire_is_kept,
    flushed_scripts_are_told_again,
    subscribers_are_told_what_they_may_have_missed,
    bytes_that_are_no_relay_are_quarantined_and_bounded,
    connections_are_few_for_many_suppliers,
    what_another_relayer_appended_is_foreign,
    what_another_miner_took_is_foreign,
];

fn version(world: &World) -> Version {
    match world.backend {
        Backend::Redis(version) => version,
        Backend::Memory | Backend::Disk => Version::V7_0,
    }
}

fn server(world: &mut World) -> anyhow::Result<&mut RedisServer> {
    world.server.as_mut().context("a world on Redis has a server")
}

async fn a_server_that_may_evict_is_refused(world: World) -> anyhow::Result<()> {
    let config = Config { settings: vec![("maxmemory-policy".into(), "allkeys-lru".into())], ..Config::durable() };
    let evicting = RedisServer::start(version(&world), config).await?;
    let refused = Store::redis(&evicting.url(), options()).await;
    let Err(error @ StoreError::Setup { .. }) = refused else { anyhow::bail!("{refused:?}") };
    ensure!(error.to_string().contains("CONFIG SET maxmemory-policy noeviction"), "{error}");
    Ok(())
}

async fn disk_durability_wants_a_server_that_can(world: World) -> anyhow::Result<()> {
    let disk = || StoreOptions::new(Namespace::default(), Durability::Disk);
    let forgetful = RedisServer::start(version(&world), Config::forgetful()).await?;
    let refused = Store::redis(&forgetful.url(), disk()).await;
    ensure!(matches!(&refused, Err(error) if error.to_string().contains("appendonly yes")), "{refused:?}");

    let each_second = RedisServer::start(version(&world), Config::each_second()).await?;
    let opened = Store::redis(&each_second.url(), disk()).await;
    match version(&world) {
        Version::V7_0 => {
            ensure!(matches!(&opened, Err(error) if error.to_string().contains("appendfsync always")), "{opened:?}");
        }
        Version::V8_2 => {
            append_all(&opened?, SUPPLIER, "s", 0..20).await?;
        }
    }
    let always = RedisServer::start(version(&world), Config::durable()).await?;
    append_all(&Store::redis(&always.url(), disk()).await?, SUPPLIER, "s", 0..20).await?;
    Ok(())
}

async fn a_server_that_is_not_there_is_said_so(mut world: World) -> anyhow::Result<()> {
    let url = server(&mut world)?.url();
    server(&mut world)?.kill();
    let refused = Store::redis(&url, options()).await;
    ensure!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    let refused = Store::redis("http://nonsense", options()).await;
    ensure!(matches!(&refused, Err(error) if error.to_string().contains("redis://")), "{refused:?}");
    Ok(())
}

/// Appends relays one after another while `disturb` runs; returns those that were acknowledged and those that failed.
async fn append_while(
    store: &Store,
    disturb: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<(BTreeSet<u64>, u64)> {
    let done = std::cell::Cell::new(false);
    let number = std::cell::Cell::new(0);
    let one = async || {
        let (mut acknowledged, mut failed) = (Vec::new(), 0);
        while !done.get() {
            let mine = number.replace(number.get() + 1);
            match store.append(relay(SUPPLIER, "s", mine)).await {
                Ok(_) => acknowledged.push(mine),
                Err(_) => failed += 1,
            }
        }
        (acknowledged, failed)
    };
    let appends = futures_util::future::join_all((0..8).map(|_| one()));
    let disturb = async {
        let result = disturb.await;
        done.set(true);
        result
    };
    let (results, disturbed) = tokio::join!(appends, disturb);
    disturbed?;
    let failed = results.iter().map(|(_, failed)| failed).sum();
    Ok((results.into_iter().flat_map(|(acknowledged, _)| acknowledged).collect(), failed))
}

/// Reads the whole log; each relay must be there once.
async fn relays_in_log(store: &Store) -> anyhow::Result<BTreeSet<u64>> {
    let mut reader = store.reader("checker", CLAIM_IDLE);
    let mut found = BTreeSet::new();
    loop {
        let entries = reader.take(&[SUPPLIER.to_owned()], 10_000, MOMENT).await?;
        if entries.is_empty() {
            return Ok(found);
        }
        for entry in entries {
            let Delivered::Relay(relay) = &entry.relay else { anyhow::bail!("{entry:?}") };
            let number = u64::from_be_bytes(relay.relay_hash[24..].try_into()?);
            ensure!(found.insert(number), "relay {number} is in the log twice");
        }
    }
}

async fn a_killed_server_costs_no_acknowledged_relay_and_doubles_none(mut world: World) -> anyhow::Result<()> {
    let store = world.store.clone();
    let server = server(&mut world)?;
    let (acknowledged, _) = append_while(&store, async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            server.restart().await?;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(())
    })
    .await?;
    let found = relays_in_log(&store).await?;
    let lost: Vec<_> = acknowledged.difference(&found).collect();
    ensure!(lost.is_empty(), "{} of {} acknowledged relays are lost", lost.len(), acknowledged.len());
    let ledger = store.ledger(None).await?;
    ensure!(ledger.logged == i64::try_from(found.len())? && ledger.balances(), "{} found, {ledger:?}", found.len());
    Ok(())
}

async fn a_paused_server_delays_appends_and_doubles_none(mut world: World) -> anyhow::Result<()> {
    let store = world.store.clone();
    let server = server(&mut world)?;
    let (acknowledged, failed) = append_while(&store, async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.pause()?;
        // Longer than one answer may take: the group is sent again on a new connection, and the old one still arrives.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        server.resume()?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(())
    })
    .await?;
    ensure!(failed == 0, "{failed} appends failed, though the pause was shorter than append_timeout");
    let found = relays_in_log(&store).await?;
    ensure!(acknowledged == found, "{} acknowledged, {} found", acknowledged.len(), found.len());
    Ok(())
}

async fn a_vanished_stream_gets_its_group_anew(mut world: World) -> anyhow::Result<()> {
    let store = world.store.clone();
    let mut reader = store.reader("miner", CLAIM_IDLE);
    ensure!(reader.take(&[SUPPLIER.to_owned()], 10, MOMENT).await?.is_empty());
    server(&mut world)?.command(&["DEL", &store.names().stream(SUPPLIER)])?;
    append_all(&store, SUPPLIER, "s", 0..2).await?;
    ensure!(reader.take(&[SUPPLIER.to_owned()], 10, SOON).await?.len() == 2);
    Ok(())
}

async fn a_stream_that_would_expire_is_kept(mut world: World) -> anyhow::Result<()> {
    let store = world.store.clone();
    let stream = store.names().stream(SUPPLIER);
    append_all(&store, SUPPLIER, "s", 0..2).await?;
    let expire = ["EXPIRE", &stream, "7200"];
    server(&mut world)?.command(&expire)?;
    let entries = store.reader("miner", CLAIM_IDLE).take(&[SUPPLIER.to_owned()], 10, SOON).await?;
    ensure!(server(&mut world)?.command(&["TTL", &stream])?.contains(":-1"), "it expires unread");
    server(&mut world)?.command(&expire)?;
    store.commit(batch(header(SUPPLIER, "s"), 0, vec![leaf_of(&entries[0])])).await?;
    ensure!(server(&mut world)?.command(&["TTL", &stream])?.contains(":-1"), "it expires while it is mined");
    Ok(())
}

async fn flushed_scripts_are_told_again(mut world: World) -> anyhow::Result<()> {
    append_all(&world.store, SUPPLIER, "s", 0..2).await?;
    ensure!(server(&mut world)?.command(&["SCRIPT", "FLUSH"])?.contains("OK"));
    append_all(&world.store, SUPPLIER, "s", 2..4).await?;
    ensure!(world.store.log_stats(SUPPLIER).await?.length == 4);
    Ok(())
}

async fn subscribers_are_told_what_they_may_have_missed(mut world: World) -> anyhow::Result<()> {
    let mut events = world.store.subscribe().await?;
    server(&mut world)?.restart().await?;
    let event = tokio::time::timeout(SOON, events.next()).await.context("no event came")?;
    ensure!(event == Some(Event::Missed), "{event:?}");
    let block = pocket_store::BlockEvent { height: 3, hash: Vec::new(), timestamp: "2026-01-01T00:00:00Z".into() };
    world.store.block_publish(&block).await?;
    let event = tokio::time::timeout(SOON, events.next()).await.context("no event came")?;
    ensure!(event == Some(Event::Block(block)), "{event:?}");

    // A server that is silent without closing anything is noticed too.
    server(&mut world)?.pause()?;
    tokio::time::sleep(Duration::from_millis(4_500)).await;
    server(&mut world)?.resume()?;
    let event = tokio::time::timeout(SOON, events.next()).await.context("no event came")?;
    ensure!(event == Some(Event::Missed), "{event:?}");
    Ok(())
}

async fn bytes_that_are_no_relay_are_quarantined_and_bounded(mut world: World) -> anyhow::Result<()> {
    let options = StoreOptions { quarantine_max: 50, ..options() };
    let limit = usize::try_from(options.quarantine_max)?;
    world = World::with(world.backend, options).await?;
    let store = world.store.clone();
    let stream = store.names().stream(SUPPLIER);
    for n in 0..limit + 5 {
        let field = if n == 0 { "other" } else { "data" };
        server(&mut world)?.command(&["XADD", &stream, "*", field, "no relay at all"])?;
    }
    store.append(relay(SUPPLIER, "s", 1)).await?;
    let entries = store.reader("miner", CLAIM_IDLE).take(&[SUPPLIER.to_owned()], limit + 10, SOON).await?;
    ensure!(entries.len() == limit + 6);
    let mut good = Vec::new();
    for entry in &entries {
        match &entry.relay {
            Delivered::Relay(_) => good.push(leaf_of(entry)),
            Delivered::Poison { reason, .. } => store.quarantine(entry, "poison", reason, 0).await?,
        }
    }
    store.quarantine(&entries[0], "poison", "again", 0).await?;
    store.commit(batch(header(SUPPLIER, "s"), 0, good)).await?;
    let stats = store.log_stats(SUPPLIER).await?;
    ensure!((stats.length, stats.quarantined) == (0, u64::try_from(limit)?), "{stats:?}");
    let ledger = store.ledger(None).await?;
    ensure!(ledger.rejected_by_reason.get("poison") == Some(&i64::try_from(limit + 5)?), "{ledger:?}");
    Ok(())
}

/// Appends relays as the reference does: one field, and nothing else.
async fn append_as_another(world: &World, numbers: std::ops::Range<u64>) -> anyhow::Result<()> {
    let url = world.server.as_ref().context("a world on Redis has a server")?.url();
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    for number in numbers {
        let data = prost::Message::encode_to_vec(&relay(SUPPLIER, "s", number));
        let mut command = redis::cmd("XADD");
        command.arg(world.store.names().stream(SUPPLIER)).arg("*").arg("data").arg(data);
        let _: String = command.query_async(&mut connection).await?;
    }
    Ok(())
}

async fn what_another_relayer_appended_is_foreign(world: World) -> anyhow::Result<()> {
    let store = &world.store;
    append_as_another(&world, 0..2).await?;
    append_all(store, SUPPLIER, "s", 2..4).await?;
    append_as_another(&world, 4..6).await?;
    append_all(store, SUPPLIER, "s", 6..7).await?;
    let check = async |what: &str, leaves, rejected, pending| {
        let ledger = store.ledger(None).await?;
        ensure!((ledger.served, ledger.logged, ledger.foreign, ledger.taken) == (3, 3, 4, 0), "{what}: {ledger:?}");
        ensure!((ledger.leaves, ledger.rejected, ledger.pending) == (leaves, rejected, pending), "{what}: {ledger:?}");
        ensure!(ledger.balances(), "{what}: {:?}", ledger.differences());
        anyhow::Ok(())
    };
    check("in the log", 0, 0, 7).await?;
    let entries = store.reader("miner", CLAIM_IDLE).take(&[SUPPLIER.to_owned()], 10, SOON).await?;
    ensure!(entries.len() == 7, "{entries:?}");
    let leaves = |from: &[pocket_store::LogEntry]| from.iter().map(leaf_of).collect();
    // One of each is a leaf, rejected, and in quarantine.
    let mut first = batch(header(SUPPLIER, "s"), 0, leaves(&entries[1..3]));
    for entry in [&entries[0], &entries[3]] {
        first.rejected.push(pocket_store::Rejected { entry: entry.id, reason: "late" });
    }
    store.commit(first.clone()).await?;
    check("some are decided on", 2, 2, 3).await?;
    store.commit(first).await?;
    check("a commit came twice", 2, 2, 3).await?;
    store.quarantine(&entries[4], "poison", "", 0).await?;
    store.quarantine(&entries[4], "poison", "again", 0).await?;
    check("one is in quarantine", 2, 3, 2).await?;
    store.commit(batch(header(SUPPLIER, "s"), 0, leaves(&entries[5..]))).await?;
    check("all are decided on", 4, 3, 0).await
}

async fn what_another_miner_took_is_foreign(mut world: World) -> anyhow::Result<()> {
    let ids = append_all(&world.store, SUPPLIER, "s", 0..3).await?;
    let (stream, claim) = (world.store.names().stream(SUPPLIER), world.store.names().miner_claim(SUPPLIER));
    for id in &ids[..2] {
        server(&mut world)?.command(&["XDEL", &stream, &id.to_string()])?;
    }
    // Nobody is known to have taken them: somebody trimmed the log, and that must show.
    let lost = world.store.ledger(None).await?;
    ensure!((lost.taken, lost.balances()) == (0, false), "{lost:?}");
    ensure!(lost.differences().contains(&("logged", 2)), "{:?}", lost.differences());
    server(&mut world)?.command(&["SET", &claim, "go-miner-1", "EX", "90"])?;
    let taken = world.store.ledger(None).await?;
    ensure!((taken.logged, taken.taken, taken.pending) == (3, 2, 1) && taken.balances(), "{taken:?}");
    Ok(())
}

async fn connections_are_few_for_many_suppliers(mut world: World) -> anyhow::Result<()> {
    let store = world.store.clone();
    let suppliers: Vec<String> = (0..2_500).map(|n| format!("pokt1supplier{n:05}")).collect();
    let appends = suppliers.iter().step_by(50).map(|supplier| store.append(relay(supplier, "s", 1)));
    for appended in futures_util::future::join_all(appends).await {
        appended?;
    }
    let _events = store.subscribe().await?;
    let mut reader = store.reader("miner", CLAIM_IDLE);
    let mut taken = 0;
    while taken < 50 {
        taken += reader.take(&suppliers, 10, SOON).await?.len();
    }
    let clients = server(&mut world)?.command(&["CLIENT", "LIST"])?;
    let clients = clients.lines().filter(|line| line.starts_with("id=")).count();
    // Ours, and the one that asks.
    ensure!(clients <= 5, "{clients} connections");
    Ok(())
}
