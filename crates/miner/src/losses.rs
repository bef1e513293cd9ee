//! Leases lost to others, told at a pace that a person can read, and remembered for readiness.
//!
//! One loss is a passing thing. Two processes of one name take every lease from each other every half a second, for every
//! supplier, and each of them holds some at any moment: only the losses show that neither can work.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pocket_runtime::clock;
use tokio::time::Instant;

/// Shortest time between two lines about losses.
const TELL_PAUSE: Duration = Duration::from_secs(1);

/// How long a loss counts against readiness: several times what it takes to lose the next one.
const MEMORY: Duration = Duration::from_secs(10);

/// The losses of this process.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    // Never held over an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    told: Option<Instant>,
    /// Losses since the last line.
    untold: u64,
}

impl Losses {
    /// Notes that the lease on a supplier was lost.
    pub(crate) fn note(&self, supplier: &str, why: &dyn Display) {
        if let Some(more) = self.count(clock::now()) {
            tracing::warn!(supplier, reason = %why, more, "the lease on the supplier is lost");
        }
    }

    /// Counts a loss. Returns how many were passed over in silence, if it is time for a line again.
    fn count(&self, now: Instant) -> Option<u64> {
        let mut state = self.lock();
        state.last = Some(now);
        if state.told.is_some_and(|told| now - told < TELL_PAUSE) {
            state.untold += 1;
            return None;
        }
        state.told = Some(now);
        Some(std::mem::take(&mut state.untold))
    }

    /// Returns whether a lease was lost a moment ago.
    pub(crate) fn are_recent(&self) -> bool {
        self.lock().last.is_some_and(|last| clock::now() - last < MEMORY)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn thousands_of_losses_are_a_line_a_second_and_count_against_readiness_for_a_while() {
        let losses = Losses::default();
        assert!(!losses.are_recent());
        let mut lines = Vec::new();
        for _ in 0..3_000 {
            lines.extend(losses.count(clock::now()));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(lines, [0, 999, 999]);
        assert!(losses.are_recent());
        tokio::time::advance(MEMORY).await;
        assert!(!losses.are_recent());
    }
}
