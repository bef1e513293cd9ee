//! The relayer on a Redis server that goes away: relays are answered all the while, and every one of them is logged.
//!
//! A harness of its own: where there is no redis-server these are reported as ignored, never as passed.

#[path = "redis/stopped.rs"]
mod stopped;
#[allow(dead_code, reason = "shared with the other binary, which uses the rest")]
#[path = "it/support.rs"]
mod support;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use pocket_store::{Store, StoreOptions};
use pocket_testbed::redis::Need;
use pocket_testbed::{Config, RedisServer, Version, needs};

use support::{Options, World, store_options, until, world};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for version in Version::ALL {
        let mut add = |name: &str, test: fn(Version) -> anyhow::Result<()>| {
            let need = needs(version);
            let ignored = matches!(need, Need::Skip { .. });
            let name = format!("{version}::{name}");
            let run = move || match need {
                Need::Fail { reason } => Err(Failed::from(reason)),
                _ => test(version).map_err(|error| Failed::from(format!("{error:#}"))),
            };
            trials.push(Trial::test(name, run).with_ignored_flag(ignored));
        };
        add("relays_are_answered_and_logged_while_the_log_is_away", |version| run(spools(version)));
        add("a_full_spool_refuses_new_work", |version| run(fills(version)));
        add("a_relayer_that_was_stopped_across_the_seal_does_not_answer", |version| {
            run(stopped::across_the_seal(version))
        });
        add("without_a_spool_nothing_is_served_that_cannot_be_logged", |version| run(refuses(version)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn run(test: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(test)
}

/// A server whose own death loses nothing. Synced each second it may hold back what it has acknowledged while it syncs.
fn unforgetting() -> Config {
    Config { append_fsync: "always", ..Config::durable() }
}

async fn on_redis(server: &RedisServer, settings: String) -> anyhow::Result<World> {
    let options = StoreOptions { append_timeout: Duration::from_millis(500), ..store_options() };
    let store = Store::redis(&server.url(), options).await.context("the store opens")?;
    Ok(world(Options { store: Some(store), settings, ..Options::default() }).await)
}

async fn logged(world: &World) -> i64 {
    world.store.ledger(None).await.map_or(-1, |ledger| ledger.logged)
}

async fn spools(version: Version) -> anyhow::Result<()> {
    let mut server = RedisServer::start(version, unforgetting()).await?;
    let folder = tempfile::tempdir()?;
    let world = on_redis(&server, format!("spool_dir: \"{}\"", folder.path().display())).await?;
    for _ in 0..3 {
        world.relay("/").await.verified("supplier1");
    }
    server.kill();
    // The first waits for the append that fails, the others go straight to the spool.
    for _ in 0..20 {
        world.relay("/").await.verified("supplier1");
    }
    ensure!(world.metric("pocket_relayer_log_available").await == 0, "the log counts as available");
    ensure!(world.metric("pocket_relayer_spooled_total").await >= 20, "nothing was spooled");
    server.restart().await?;
    until("every answered relay is logged", || async { logged(&world).await >= 23 }).await;
    until("the log is back", || async { world.metric("pocket_relayer_log_available").await == 1 }).await;
    world.relay("/").await.verified("supplier1");
    let ledger = world.store.ledger(None).await?;
    // An append whose answer was lost may have been made, and is then made twice: one leaf.
    ensure!(ledger.logged >= 24 && ledger.served == ledger.logged, "{ledger:?}");
    ensure!(world.metric("pocket_relayer_spool_bytes").await == 0, "the spool is not empty");
    Ok(())
}

async fn fills(version: Version) -> anyhow::Result<()> {
    let mut server = RedisServer::start(version, unforgetting()).await?;
    let folder = tempfile::tempdir()?;
    let settings = format!("spool_dir: \"{}\"\nspool_bytes_max: 4096", folder.path().display());
    let world = on_redis(&server, settings).await?;
    world.relay("/").await.verified("supplier1");
    server.kill();
    let mut answered = 1;
    let refused = loop {
        let reply = world.relay("/").await;
        if reply.status != 200 {
            break reply;
        }
        answered += 1;
        ensure!(answered < 100, "a spool of 4 KiB took {answered} relays");
    };
    ensure!(refused.status == 503, "{}", refused.text());
    ensure!(refused.text() == "{\"error\":\"relay log unavailable, try again\"}", "{}", refused.text());
    let calls = world.seen().len();
    ensure!(world.relay("/").await.status == 503, "a full spool took a relay");
    ensure!(world.seen().len() == calls, "a relay was served that cannot be logged");
    server.restart().await?;
    until("it serves again", || async { world.relay("/").await.status == 200 }).await;
    until("every answered relay is logged", || async { logged(&world).await > answered }).await;
    Ok(())
}

async fn refuses(version: Version) -> anyhow::Result<()> {
    let mut server = RedisServer::start(version, unforgetting()).await?;
    let world = on_redis(&server, String::new()).await?;
    world.relay("/").await.verified("supplier1");
    server.kill();
    ensure!(world.relay("/").await.status == 503, "a relay was answered that is not logged");
    let calls = world.seen().len();
    ensure!(world.relay("/").await.status == 503, "a relay was answered that is not logged");
    ensure!(world.seen().len() == calls, "a relay was served that cannot be logged");
    server.restart().await?;
    until("it serves again", || async { world.relay("/").await.status == 200 }).await;
    Ok(())
}
