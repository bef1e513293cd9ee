//! Makes blocks when the clock says so, until shutdown.

use std::time::Duration;

use pocket_runtime::{admin::Heartbeat, clock, shutdown::Shutdown, task};
use tokio::time::Instant;

use crate::{
    chain::{Chain, MakeError},
    clock::Pace,
};

/// How long the driver waits at most before it shows that it lives.
const BEAT: Duration = Duration::from_secs(1);
/// Silence after which the driver is held for dead.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Makes blocks until shutdown. An error of the journal halts the chain and is logged; `resume` tries again.
pub async fn drive(chain: Chain, heartbeat: Option<Heartbeat>, shutdown: Shutdown) {
    make_blocks(&chain, heartbeat.as_ref(), &shutdown).await;
    if let Err(error) = chain.sync() {
        tracing::warn!(error = pocket_runtime::process::chain(&error), "the journal may not be on the disk");
    }
}

async fn make_blocks(chain: &Chain, heartbeat: Option<&Heartbeat>, shutdown: &Shutdown) {
    let mut due = clock::now();
    let mut interval = None;
    loop {
        if let Some(heartbeat) = heartbeat {
            heartbeat.beat();
        }
        let now = clock::now();
        let chain_clock = chain.clock();
        let wait = match chain_clock.pace {
            _ if chain.is_halted() => {
                // Once resumed, the next block comes a whole interval later.
                interval = None;
                None
            }
            Pace::Manual => None,
            Pace::Instant => chain.has_pending().then_some(now),
            Pace::Interval => {
                let length = Duration::from_millis(chain_clock.interval_ms.max(1));
                if interval != Some(length) {
                    interval = Some(length);
                    // Nobody waits for the first block: until then there is no session to serve in.
                    due = if chain.height() == 0 { now } else { now + length };
                }
                // Late by more than a block: go on from here instead of hurrying after the past.
                if due + length < now {
                    due = now;
                }
                Some(due)
            }
        };
        if wait.is_some_and(|at| at <= now) {
            make(chain).await;
            if let Some(length) = interval {
                due += length;
            }
            if shutdown.is_triggered() {
                return;
            }
            // A pace without pause still lets others run.
            tokio::task::yield_now().await;
            continue;
        }
        let until: Instant = wait.map_or(now + BEAT, |at| at.min(now + BEAT));
        tokio::select! {
            biased;
            () = shutdown.triggered() => return,
            () = chain.woken() => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }
}

async fn make(chain: &Chain) {
    // Blocks with transactions verify signatures and proofs, which takes a while; empty ones take microseconds.
    let made = if chain.has_pending() {
        let chain = chain.clone();
        match task::blocking("block", move || chain.produce_block()).await {
            Ok(made) => made,
            Err(error) => {
                tracing::error!(%error, "a block was not made");
                return;
            }
        }
    } else {
        chain.produce_block()
    };
    match made {
        Ok(block) if block.txs.is_empty() => tracing::trace!(height = block.height(), "block"),
        Ok(block) => tracing::debug!(height = block.height(), transactions = block.txs.len(), "block"),
        Err(MakeError::Halted { .. }) => {}
        Err(error) => {
            let cause = pocket_runtime::process::chain(&error);
            tracing::error!(error = cause, "the chain is halted; mend the cause and resume it");
        }
    }
}
