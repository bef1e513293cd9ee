//! `kill -9` at random moments: nothing that was acknowledged is lost, nothing is counted twice.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use pocket_store::{Delivered, LeaseName};

use crate::child::{FIRST, ROLE, TARGET, open, session};
use crate::world::{Backend, CLAIM_IDLE, MOMENT, SOON, SUPPLIER, World, batch, header, leaf_of};

crate::tests![
    an_appender_killed_at_random_loses_nothing_it_acknowledged,
    a_miner_killed_at_random_counts_each_relay_once
];

/// Lives of the killed process in one test.
const LIVES: u64 = 6;

/// A small generator of moments, so that a failing run can be repeated.
struct Moments(u64);

impl Moments {
    fn new() -> Self {
        let seed = std::env::var("POCKET_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| pocket_runtime::random::u64() >> 1);
        println!("POCKET_SEED={seed}");
        Self(seed)
    }

    fn milliseconds(&mut self, from: u64, to: u64) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis(from + (self.0 >> 33) % (to - from))
    }
}

/// A child process that dies with its handle.
struct Victim {
    child: Child,
    out: Option<BufReader<ChildStdout>>,
}

impl Victim {
    fn start(role: &str, target: &str, first: u64) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env(ROLE, role).env(TARGET, target).env(FIRST, first.to_string());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().map(BufReader::new);
        Ok(Self { child, out })
    }

    fn first_line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let out = self.out.as_mut().context("its output has been read")?;
        out.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the child ended before it said anything");
        Ok(line.trim().to_owned())
    }

    /// Kills it and returns what it had said; a last line without an end was not said.
    fn kill(&mut self) -> anyhow::Result<Vec<String>> {
        self.child.kill()?;
        let mut said = Vec::new();
        let mut out = self.out.take().context("its output has been read")?;
        let mut line = String::new();
        while out.read_line(&mut line)? > 0 {
            if line.ends_with('\n') {
                said.push(line.trim().to_owned());
            }
            line.clear();
        }
        self.child.wait()?;
        Ok(said)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It is dead already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns where a child finds the world's store; the embedded one only once this process has let go of it.
fn target(world: &World) -> String {
    match &world.server {
        Some(server) => server.url(),
        None => world.folder.path().join("children").display().to_string(),
    }
}

async fn an_appender_killed_at_random_loses_nothing_it_acknowledged(world: World) -> anyhow::Result<()> {
    let target = target(&world);
    let mut moments = Moments::new();
    let mut acknowledged = BTreeSet::new();
    for life in 0..LIVES {
        let mut victim = Victim::start("append", &target, life * 1_000_000)?;
        acknowledged.insert(victim.first_line()?.parse::<u64>()?);
        tokio::time::sleep(moments.milliseconds(5, 150)).await;
        for line in victim.kill()? {
            acknowledged.insert(line.parse()?);
        }
    }
    println!("{} relays were acknowledged in {LIVES} lives", acknowledged.len());
    let store = open(&target).await?;
    let mut reader = store.reader("reader", CLAIM_IDLE);
    let mut found = BTreeSet::new();
    loop {
        let entries = reader.take(&[SUPPLIER.to_owned()], 10_000, MOMENT).await?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            let Delivered::Relay(relay) = &entry.relay else { anyhow::bail!("{entry:?}") };
            let number = u64::from_be_bytes(relay.relay_hash[24..].try_into()?);
            ensure!(relay.session_id == session(number));
            ensure!(found.insert(number), "relay {number} is in the log twice");
        }
    }
    let lost: Vec<_> = acknowledged.difference(&found).collect();
    ensure!(lost.is_empty(), "{} acknowledged relays are lost: {lost:?}", lost.len());
    let ledger = store.ledger(None).await?;
    ensure!(ledger.logged == i64::try_from(found.len())?, "{} found, {ledger:?}", found.len());
    ensure!(ledger.balances(), "{:?}", ledger.differences());
    Ok(())
}

async fn a_miner_killed_at_random_counts_each_relay_once(world: World) -> anyhow::Result<()> {
    const RELAYS: u64 = 4_000;
    let target = target(&world);
    let mut moments = Moments::new();
    {
        let store = if world.backend == Backend::Disk { open(&target).await? } else { world.store.clone() };
        for first in (0..RELAYS).step_by(1_000) {
            let relays = (first..first + 1_000).map(|n| store.append(crate::world::relay(SUPPLIER, &session(n), n)));
            for appended in futures_util::future::join_all(relays).await {
                appended?;
            }
        }
    }
    for _ in 0..LIVES {
        let mut victim = Victim::start("mine", &target, 0)?;
        victim.first_line()?;
        tokio::time::sleep(moments.milliseconds(1, 60)).await;
        victim.kill()?;
    }
    // A last miner finishes what the killed ones left.
    let store = open(&target).await?;
    let lease = store.lease_acquire(&LeaseName::Supplier(SUPPLIER.into()), "miner", CLAIM_IDLE).await?;
    let mut reader = store.reader("miner", CLAIM_IDLE);
    while store.log_stats(SUPPLIER).await?.length > 0 {
        let entries = reader.take(&[SUPPLIER.to_owned()], 1_000, SOON).await?;
        ensure!(!entries.is_empty(), "pending entries do not come again");
        store.commit(batch(header(SUPPLIER, "session0"), lease.epoch, entries.iter().map(leaf_of).collect())).await?;
    }
    let ledger = store.ledger(None).await?;
    ensure!(ledger.leaves == i64::try_from(RELAYS)? && ledger.collapsed == 0, "{ledger:?}");
    ensure!(ledger.balances(), "{:?}", ledger.differences());
    ensure!(store.leaves(SUPPLIER, "session0").await?.len() as u64 == RELAYS);
    for number in (0..RELAYS).step_by(97) {
        let bytes = store.leaf_bytes(SUPPLIER, "session0", &crate::world::path(number)).await?;
        ensure!(bytes.is_some(), "leaf {number} has no bytes");
    }
    Ok(())
}
