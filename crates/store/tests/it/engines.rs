//! What every engine that outlives its process promises.

use anyhow::ensure;
use pocket_store::{LeaseName, SessionState};

use crate::world::{CLAIM_IDLE, SOON, SUPPLIER, World, append_all, batch, header, leaf_of, path};

crate::tests![what_was_acknowledged_is_there_after_a_restart];

async fn what_was_acknowledged_is_there_after_a_restart(world: World) -> anyhow::Result<()> {
    let name = LeaseName::Supplier(SUPPLIER.into());
    let lease = world.store.lease_acquire(&name, "miner", SOON).await?;
    append_all(&world.store, SUPPLIER, "s", 0..20).await?;
    let entries = world.store.reader("miner", CLAIM_IDLE).take(&[SUPPLIER.to_owned()], 12, SOON).await?;
    let commit = batch(header(SUPPLIER, "s"), lease.epoch, entries[..10].iter().map(leaf_of).collect());
    world.store.commit(commit).await?;
    let mut record = world.store.session(SUPPLIER, "s").await?.expect("a commit makes the record").record;
    record.state = SessionState::Sealed;
    world.store.session_put(&record, lease.epoch, record.revision, &[]).await?;
    let before = world.store.ledger(None).await?;
    let leaves = world.store.leaves(SUPPLIER, "s").await?;

    let world = world.reopen().await?;
    ensure!(world.store.ledger(None).await? == before);
    ensure!(world.store.leaves(SUPPLIER, "s").await? == leaves);
    ensure!(world.store.leaf_bytes(SUPPLIER, "s", &path(3)).await?.is_some());
    let record = world.store.session(SUPPLIER, "s").await?.expect("it was written");
    ensure!((record.record.state, record.record.revision, record.leaves) == (SessionState::Sealed, 2, 10));
    let again = world.store.lease_acquire(&name, "miner", SOON).await?;
    ensure!(again.epoch > lease.epoch, "epochs outlive the process");

    let mut reader = world.store.reader("miner", CLAIM_IDLE);
    let mut left = Vec::new();
    while left.len() < 10 {
        let taken = reader.take(&[SUPPLIER.to_owned()], 100, SOON).await?;
        ensure!(!taken.is_empty(), "only {} of 10 came", left.len());
        left.extend(taken);
    }
    ensure!(left.iter().map(|entry| leaf_of(entry).path).eq((10..20).map(path)), "{left:?}");
    let new = append_all(&world.store, SUPPLIER, "s", 20..21).await?;
    ensure!(new[0] > left[9].id, "ids go on rising");
    Ok(())
}
