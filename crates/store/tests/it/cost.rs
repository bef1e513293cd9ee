//! What appending, committing and opening cost on this machine: printed, not judged. Run with `--ignored cost`.

use std::time::Duration;

use pocket_runtime::clock;
use pocket_store::{LeaseName, Store};

use crate::world::{Backend, CLAIM_IDLE, SOON, SUPPLIER, World, batch, header, leaf_of, relay};

crate::tests![cost_of_a_relay];

const RELAYS: u64 = 100_000;

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn per_second(count: u64, took: Duration) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "figures for people")]
    let rate = (count as f64 / took.as_secs_f64()) as u64;
    rate
}

async fn append_many(store: &Store, tasks: u64, from: u64, count: u64) -> anyhow::Result<Duration> {
    let started = clock::now();
    let one = async |task: u64| -> anyhow::Result<()> {
        for number in (from + task..from + count).step_by(usize::try_from(tasks)?) {
            let mut relay = relay(SUPPLIER, "s", number);
            relay.relay_bytes = vec![7; 600].into();
            store.append(relay).await?;
        }
        Ok(())
    };
    futures_util::future::try_join_all((0..tasks).map(one)).await?;
    Ok(started.elapsed())
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

async fn cost_of_a_relay(world: World) -> anyhow::Result<()> {
    let name = world.backend;
    let store = &world.store;
    println!("{name}: resident {} KiB before", resident_kib());
    let alone = append_many(store, 1, 0, 2_000).await?;
    println!("{name}: append, one at a time: {:?} each", alone / 2_000);
    let together = append_many(store, 64, 2_000, RELAYS - 2_000).await?;
    println!("{name}: append, 64 at a time: {} relays/s", per_second(RELAYS - 2_000, together));
    let lease = store.lease_acquire(&LeaseName::Supplier(SUPPLIER.into()), "miner", CLAIM_IDLE).await?;
    let mut reader = store.reader("miner", CLAIM_IDLE);
    let started = clock::now();
    let mut done = 0;
    while done < RELAYS {
        let entries = reader.take(&[SUPPLIER.to_owned()], 1_000, SOON).await?;
        done += entries.len() as u64;
        store.commit(batch(header(SUPPLIER, "s"), lease.epoch, entries.iter().map(leaf_of).collect())).await?;
    }
    println!("{name}: take and commit: {} relays/s", per_second(RELAYS, started.elapsed()));
    let started = clock::now();
    let leaves = store.leaves(SUPPLIER, "s").await?.len();
    println!("{name}: read {leaves} leaves in {:?}", started.elapsed());
    println!("{name}: resident {} KiB after", resident_kib());
    // A reader holds the store open.
    drop(reader);
    if name == Backend::Disk {
        let size = |folder: &std::path::Path| walk(folder);
        println!("{name}: {} KiB on disk", size(world.folder.path()) / 1_024);
    }
    if name.outlives_its_process() {
        let started = clock::now();
        let world = world.reopen().await?;
        println!("{name}: opened again in {:?}", started.elapsed());
        drop(world);
    }
    Ok(())
}

fn walk(folder: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| {
            let path = entry.path();
            if path.is_dir() { walk(&path) } else { entry.metadata().map_or(0, |data| data.len()) }
        })
        .sum()
}
