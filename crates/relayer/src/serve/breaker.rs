//! A breaker for each endpoint: closed while it answers, open after failures in a row, and then one trial at a time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pocket_runtime::clock;
use tokio::time::Instant;

/// The breaker of one endpoint.
#[derive(Debug)]
pub(crate) struct Breaker {
    failures_max: u32,
    /// After which time a trial is let through; none for never.
    recovery: Option<Duration>,
    // Read and written at each try, never held over an await.
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed { failures: u32 },
    Open { since: Instant },
}

impl Breaker {
    pub(crate) fn new(failures_max: u32, recovery: Option<Duration>) -> Self {
        Self { failures_max: failures_max.max(1), recovery, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Returns whether a try may be made now. Of an open breaker whose time has come, one caller gets a trial, and its
    /// time begins anew for the others.
    pub(crate) fn admits(&self) -> bool {
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => true,
            State::Open { since } if self.is_due(since) => {
                *state = State::Open { since: clock::now() };
                true
            }
            State::Open { .. } => false,
        }
    }

    /// Returns whether [`Breaker::admits`] would.
    pub(crate) fn would_admit(&self) -> bool {
        match *self.lock() {
            State::Closed { .. } => true,
            State::Open { since } => self.is_due(since),
        }
    }

    /// Returns whether the endpoint counts as healthy.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(*self.lock(), State::Closed { .. })
    }

    /// Notes an answer. Returns whether that closed the breaker.
    pub(crate) fn succeeded(&self) -> bool {
        let mut state = self.lock();
        let was_open = matches!(*state, State::Open { .. });
        *state = State::Closed { failures: 0 };
        was_open
    }

    /// Notes a failure. Returns whether that opened the breaker.
    pub(crate) fn failed(&self) -> bool {
        let mut state = self.lock();
        match &mut *state {
            State::Closed { failures } => {
                *failures += 1;
                let opens = *failures >= self.failures_max;
                if opens {
                    *state = State::Open { since: clock::now() };
                }
                opens
            }
            State::Open { since } => {
                *since = clock::now();
                false
            }
        }
    }

    fn is_due(&self, since: Instant) -> bool {
        self.recovery.is_some_and(|recovery| since.elapsed() >= recovery)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_open_it_and_an_answer_closes_it() {
        let breaker = Breaker::new(2, Some(Duration::from_secs(30)));
        assert!(!breaker.failed());
        breaker.succeeded();
        assert!(!breaker.failed(), "an answer starts the count again");
        assert!(breaker.failed());
        assert!(!breaker.admits() && !breaker.is_closed());
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(breaker.would_admit() && breaker.admits());
        assert!(!breaker.admits(), "one trial at a time");
        assert!(breaker.succeeded() && breaker.admits());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_trial_waits_again() {
        let breaker = Breaker::new(1, Some(Duration::from_secs(30)));
        breaker.failed();
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(breaker.admits());
        breaker.failed();
        tokio::time::advance(Duration::from_secs(29)).await;
        assert!(!breaker.admits());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(breaker.admits());
    }

    #[tokio::test(start_paused = true)]
    async fn without_recovery_it_stays_open() {
        let breaker = Breaker::new(1, None);
        breaker.failed();
        tokio::time::advance(Duration::from_secs(1_000_000)).await;
        assert!(!breaker.admits());
    }
}
