//! The ledger, looked at after every block: every difference must read 0.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pocket_runtime::admin::{Heartbeat, Ready};
use pocket_runtime::clock;
use pocket_runtime::shutdown::Shutdown;
use pocket_store::{Ledger, SessionState, StoreError};

use crate::miner::Miner;

/// Shortest pause between two looks, for chains whose blocks are quicker than the ledger is read.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Pause before a difference is believed: a shared store cannot read all terms at one moment.
const SECOND_LOOK: Duration = Duration::from_millis(100);

/// Looks after each block until `shutdown`.
pub(crate) async fn run(miner: Arc<Miner>, ready: Ready, heartbeat: Heartbeat, shutdown: Shutdown) {
    let blocks = miner.chain.blocks().clone();
    let mut last = None;
    let mut wrong = false;
    loop {
        let Some(block) = shutdown.unless_triggered(blocks.next(last)).await else { return };
        last = Some(block);
        heartbeat.beat();
        miner.metrics.height.set(block.height);
        miner.metrics.ha_height.set(block.height);
        match miner.tenures().len() {
            0 => ready.not_ready("no supplier is ours"),
            _ if miner.losses.are_recent() => {
                ready
                    .not_ready("leases are being lost; does another miner run under this one's `redis.consumer_name`?");
            }
            _ => ready.ready(),
        }
        count_sessions(&miner).await;
        match read(&miner).await {
            Ok(ledger) => {
                show(&miner, &ledger);
                if ledger.balances() {
                    wrong = false;
                } else if !std::mem::replace(&mut wrong, true) {
                    tracing::error!(height = block.height, differences = words(&ledger), "the ledger does not balance");
                }
            }
            Err(error) => tracing::warn!(%error, "the ledger could not be read"),
        }
        let pause = tokio::time::sleep(PAUSE_MIN);
        if shutdown.unless_triggered(pause).await.is_none() {
            return;
        }
    }
}

/// Reads the ledger; once more where it seems wrong, so that what was under way is not taken for a difference.
async fn read(miner: &Miner) -> Result<Ledger, StoreError> {
    let begun = clock::now();
    let first = miner.store.ledger(None).await?;
    if first.balances() {
        return Ok(first);
    }
    tokio::time::sleep(SECOND_LOOK).await;
    let second = miner.store.ledger(None).await?;
    let seconds = (clock::now() - begun).as_secs_f64();
    tracing::debug!(seconds, first = words(&first), second = words(&second), "second look at the ledger");
    Ok(second)
}

/// Returns the equations that do not hold, as people write them.
fn words(ledger: &Ledger) -> String {
    let differences = ledger.differences();
    let wrong = differences.iter().filter(|(_, difference)| *difference != 0);
    wrong.map(|(equation, difference)| format!("{equation} {difference:+}")).collect::<Vec<_>>().join(", ")
}

fn show(miner: &Miner, ledger: &Ledger) {
    for (equation, difference) in ledger.differences() {
        miner.metrics.ledger_difference.with_label_values(&[equation]).set(difference);
    }
    let relays = [
        ("served", ledger.served),
        ("skipped", ledger.skipped),
        ("logged", ledger.logged),
        ("foreign", ledger.foreign),
        ("spooled", ledger.spooled),
        ("lost_before_log", ledger.lost_before_log),
        ("leaves", ledger.leaves),
        ("collapsed", ledger.collapsed),
        ("rejected", ledger.rejected),
        ("pending", ledger.pending),
        ("taken", ledger.taken),
        ("claimed", ledger.claimed),
        ("unclaimed", ledger.unclaimed),
        ("open", ledger.open),
        ("settled_proved", ledger.settled_proved),
        ("settled_unproved", ledger.settled_unproved),
        ("expired", ledger.expired),
        ("discarded", ledger.discarded),
        ("waiting", ledger.waiting),
    ];
    for (term, value) in relays {
        miner.metrics.ledger_relays.with_label_values(&[term]).set(value);
    }
    let upokt = [
        ("claimed", ledger.upokt.claimed),
        ("paid", ledger.upokt.paid),
        ("capped", ledger.upokt.capped),
        ("expired", ledger.upokt.expired),
        ("discarded", ledger.upokt.discarded),
        ("forgone", ledger.upokt.forgone),
        ("waiting", ledger.upokt.waiting),
    ];
    for (term, value) in upokt {
        miner.metrics.ledger_upokt.with_label_values(&[term]).set(value);
    }
}

async fn count_sessions(miner: &Miner) {
    let mut states: BTreeMap<&'static str, i64> = SessionState::ALL.iter().map(|state| (state.word(), 0)).collect();
    let mut bytes = 0;
    for tenure in miner.tenures().into_values() {
        for cell in tenure.cells() {
            let session = cell.lock().await;
            *states.entry(session.record.state.word()).or_default() += 1;
            bytes += session.trie_bytes();
        }
    }
    for (state, count) in states {
        miner.metrics.sessions.with_label_values(&[state]).set(count);
    }
    miner.metrics.trie_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_in_words() {
        assert_eq!(words(&Ledger::default()), "");
        let ledger = Ledger { leaves: 300, open: 290, ..Ledger::default() };
        assert_eq!(words(&ledger), "logged -300, leaves +10");
    }
}
