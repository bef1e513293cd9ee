//! `pocket up --data DIR`, killed in the middle of load.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::load::Load;
use crate::process::Process;
use crate::settled;

/// Ports of this test: the seed's, shifted away from those of a network that somebody runs beside, and still below the
/// range that the system takes ports of outgoing connections from.
const OFFSET: u16 = 2_000;

const GATEWAY: u16 = 3069 + OFFSET;
const RPC: u16 = 26_657 + OFFSET;
const GRPC: u16 = 9090 + OFFSET;

/// Kills `pocket up` so many times and checks that nothing was lost.
pub(crate) async fn survive(kills: usize, block_time: &str) -> anyhow::Result<()> {
    let seed = crate::seed();
    let mut dice = crate::dice(seed);
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let (data, offset) = (data.to_string_lossy().into_owned(), OFFSET.to_string());
    let arguments = ["up", "--quiet", "--data", &data, "--block-time", block_time, "--port-offset", &offset];
    let ready = format!("http://127.0.0.1:{GATEWAY}/health");
    let mut up = Process::new(folder.path(), "pocket", "up", &arguments, &ready)?;
    up.start()?;
    up.ready().await?;

    let load = Load::start(&format!("http://127.0.0.1:{GATEWAY}/v1"), 8, None);
    for kill in 0..kills {
        tokio::time::sleep(crate::moment(&mut dice, Duration::from_millis(300), Duration::from_secs(4))).await;
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
    }
    let outcome = load.stopped().await;
    let (chain, _trigger) = settled::connect(RPC, GRPC).await?;
    let ledger = settled::wait(&chain, Duration::from_mins(2)).await?;
    settled::check(&outcome, &ledger, false).with_context(|| format!("POCKET_SEED={seed}; log:\n{}", up.last_lines()))
}
