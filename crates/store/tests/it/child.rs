//! The part of a kill test that gets killed: this same binary, told by its environment to append or to mine.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use pocket_store::{LeaseName, Store};

use crate::world::{CLAIM_IDLE, SUPPLIER, batch, header, leaf_of, open_when_free, options, relay};

/// What the child does: `append` or `mine`.
pub(crate) const ROLE: &str = "POCKET_STORE_CHILD";
/// Which store it opens: a URL, or a folder.
pub(crate) const TARGET: &str = "POCKET_STORE_CHILD_TARGET";
/// The first relay it appends.
pub(crate) const FIRST: &str = "POCKET_STORE_CHILD_FIRST";

/// Relays of a child come in sessions of this many.
pub(crate) const SESSION_RELAYS: u64 = 5_000;

/// Runs the child if this process is one.
pub(crate) fn main() -> Option<ExitCode> {
    let role = std::env::var(ROLE).ok()?;
    let target = std::env::var(TARGET).expect("the parent says which store");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = runtime.expect("a child has a runtime").block_on(async {
        let store = open(&target).await?;
        match role.as_str() {
            "append" => append(store).await,
            _ => mine(store).await,
        }
    });
    eprintln!("child ended: {result:?}");
    Some(ExitCode::FAILURE)
}

pub(crate) async fn open(target: &str) -> anyhow::Result<Store> {
    if target.contains("://") {
        return Ok(Store::redis(target, options()).await?);
    }
    open_when_free(Path::new(target), options()).await
}

/// Returns the session of a relay.
pub(crate) fn session(number: u64) -> String {
    format!("session{}", number / SESSION_RELAYS)
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Appends from 16 tasks at once, for ever, and says each relay that was acknowledged.
async fn append(store: Store) -> anyhow::Result<()> {
    let first: u64 = std::env::var(FIRST)?.parse()?;
    let next = std::sync::atomic::AtomicU64::new(first);
    let one = async || -> anyhow::Result<()> {
        loop {
            let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            store.append(relay(SUPPLIER, &session(number), number)).await?;
            say(&number.to_string())?;
        }
    };
    futures_util::future::try_join_all((0..16).map(|_| one())).await?;
    Ok(())
}

/// Takes and commits, for ever.
async fn mine(store: Store) -> anyhow::Result<()> {
    let lease = store.lease_acquire(&LeaseName::Supplier(SUPPLIER.into()), "miner", CLAIM_IDLE).await?;
    let mut reader = store.reader("miner", CLAIM_IDLE);
    say("ready")?;
    loop {
        let entries = reader.take(&[SUPPLIER.to_owned()], 200, Duration::from_millis(200)).await?;
        let mut sessions = std::collections::BTreeMap::<String, Vec<_>>::new();
        for entry in &entries {
            let pocket_store::Delivered::Relay(relay) = &entry.relay else { anyhow::bail!("{entry:?}") };
            sessions.entry(relay.session_id.clone()).or_default().push(leaf_of(entry));
        }
        for (session, leaves) in sessions {
            store.commit(batch(header(SUPPLIER, &session), lease.epoch, leaves)).await?;
        }
    }
}
