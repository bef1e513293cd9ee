//! `pocket up --data DIR`, killed in the middle of load.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use pocket_store::{Durability, Namespace, Store, StoreOptions};

use crate::faults::Done;
use crate::load::{Load, Seen};
use crate::process::Process;
use crate::settled::{self, Verdict};

/// Ports of this test: the seed's, shifted away from those of a network that somebody runs beside, and still below the
/// range that the system takes ports of outgoing connections from.
const OFFSET: u16 = 2_000;

const GATEWAY: u16 = 3069 + OFFSET;
const RPC: u16 = 26_657 + OFFSET;
const GRPC: u16 = 9090 + OFFSET;

/// Time between two kills.
const GAP: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(2_500));

/// Kills `pocket up` so many times and checks that nothing was lost.
pub(crate) async fn survive(kills: usize, block_time: &str) -> anyhow::Result<()> {
    let seed = crate::seed();
    let mut dice = crate::dice(seed);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("data");
    let (data, offset) = (path.to_string_lossy().into_owned(), OFFSET.to_string());
    let arguments = ["up", "--quiet", "--data", &data, "--block-time", block_time, "--port-offset", &offset];
    let ready = format!("http://127.0.0.1:{GATEWAY}/health");
    let mut up = Process::new(folder.path(), "pocket", "up", &arguments, &ready)?;
    up.start()?;
    up.ready().await?;

    let load = Load::start(&format!("http://127.0.0.1:{GATEWAY}/v1"), 8, None);
    let mut done = Done::default();
    for kill in 0..kills {
        tokio::time::sleep(crate::moment(&mut dice, GAP.0, GAP.1)).await;
        let before = {
            let (chain, _trigger) = settled::connect(RPC, GRPC).await?;
            chain.blocks().latest()
        };
        up.kill();
        up.start()?;
        up.ready().await.with_context(|| format!("after kill {kill}"))?;
        let (chain, _trigger) = settled::connect(RPC, GRPC).await?;
        ensure!(chain.height() >= before.height, "the chain went back from {} to {}", before.height, chain.height());
        let again = chain.blocks().at(before.height).await?;
        ensure!(again == before, "block {} changed: {before:?}, then {again:?}", before.height);
        println!("kill {kill} at height {}, {} answered so far", before.height, load.answered());
        done.count("Up killed".to_owned());
    }
    let outcome = load.stopped().await;
    println!("POCKET_SEED={seed} faults: {done}");
    let verdict = judge(&outcome, &mut up, &path).await.inspect(|verdict| println!("{verdict}"));
    let checked = verdict.and_then(|verdict| verdict.check(false));
    checked.with_context(|| format!("POCKET_SEED={seed}; log:\n{}", up.last_lines()))
}

/// Waits for settlement, then ends the network, so that its store can be read.
async fn judge(seen: &Seen, up: &mut Process, data: &Path) -> anyhow::Result<Verdict> {
    let ledger = {
        let (chain, _trigger) = settled::connect(RPC, GRPC).await?;
        settled::wait(&chain, Duration::from_mins(2)).await?
    };
    up.kill();
    let options = StoreOptions::new(Namespace::default(), Durability::Process);
    let store = Store::disk(&data.join("store"), None, options).await?;
    let relays = settled::relays(&store, &ledger).await?;
    Ok(Verdict::of(seen, &ledger, &relays))
}
