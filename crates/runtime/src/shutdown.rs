//! One way out: stop accepting, drain, leave within the grace period.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{self, Signal, SignalKind};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::task;

/// Tells its holders that it is time to leave. Clones hear the same call.
#[derive(Clone, Debug)]
pub struct Shutdown {
    token: CancellationToken,
    grace: Duration,
    // Written once, by the trigger, before the token is cancelled: its own first, then those of its parents.
    triggered_at: Vec<Arc<OnceLock<Instant>>>,
}

/// The other end of a [`Shutdown`].
#[derive(Clone, Debug)]
pub struct ShutdownTrigger {
    shutdown: Shutdown,
}

/// Makes a shutdown and its trigger. In-flight work has `grace` to end once it is pulled.
pub fn channel(grace: Duration) -> (ShutdownTrigger, Shutdown) {
    let shutdown = Shutdown { token: CancellationToken::new(), grace, triggered_at: vec![Arc::default()] };
    (ShutdownTrigger { shutdown: shutdown.clone() }, shutdown)
}

/// Returns a shutdown that SIGINT or SIGTERM triggers. A second signal ends the process at once with code 130.
///
/// The signals are caught when this returns. Must be called inside a runtime; call it once, from `main`.
pub fn signal(grace: Duration) -> Shutdown {
    let (trigger, shutdown) = channel(grace);
    let mut signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::warn!(error = %error, "the system refused signal handlers; only kill -9 stops this process");
            return shutdown;
        }
    };
    drop(task::spawn("signals", async move {
        let name = signals.next().await;
        tracing::info!(signal = name, grace_seconds = grace.as_secs(), "shutting down; a second signal leaves at once");
        trigger.trigger();
        let name = signals.next().await;
        tracing::warn!(signal = name, "second signal: leaving without draining");
        crate::process::exit_now(crate::process::Exit::Interrupted);
    }));
    shutdown
}

// Kept for both signals: one that comes between two listeners would be lost.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

impl Shutdown {
    /// Returns a shutdown that never comes, for tools and tests.
    pub fn never() -> Self {
        channel(Duration::ZERO).1
    }

    /// Returns whether the call has come.
    pub fn is_triggered(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits for the call; returns at once when it has come already.
    pub async fn triggered(&self) {
        self.token.cancelled().await;
    }

    /// Runs `work` until it ends (`Some`) or the call comes (`None`, and the work is dropped).
    pub async fn unless_triggered<F: Future>(&self, work: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            () = self.token.cancelled() => None,
            output = work => Some(output),
        }
    }

    /// Returns how long in-flight work may take to end after the call.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// Returns when in-flight work must have ended, once the call has come.
    pub fn deadline(&self) -> Option<Instant> {
        self.triggered_at.iter().filter_map(|at| at.get()).min().map(|at| *at + self.grace)
    }

    /// Returns what is left of the grace period: all of it before the call, zero after the deadline.
    pub fn remaining(&self) -> Duration {
        self.deadline().map_or(self.grace, |deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Makes a shutdown that hears this one's call and can also be triggered alone.
    pub fn child(&self) -> (ShutdownTrigger, Shutdown) {
        let mut triggered_at = vec![Arc::default()];
        triggered_at.extend(self.triggered_at.iter().cloned());
        let shutdown = Shutdown { token: self.token.child_token(), grace: self.grace, triggered_at };
        (ShutdownTrigger { shutdown: shutdown.clone() }, shutdown)
    }

    /// Returns the token inside, for libraries that want one.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }
}

impl ShutdownTrigger {
    /// Calls everybody out. Calling twice is the same as once.
    pub fn trigger(&self) {
        self.shutdown.triggered_at[0].get_or_init(Instant::now);
        self.shutdown.token.cancel();
    }

    /// Returns the shutdown this triggers.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }
}

/// Counts work in flight, so that leaving can wait for it.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    inner: Arc<Flight>,
}

#[derive(Debug, Default)]
struct Flight {
    count: AtomicUsize,
    // Rung by whoever takes the count to zero; heard by `wait`.
    empty: Notify,
}

/// One piece of work in flight; it lands when dropped.
#[derive(Debug)]
pub struct InFlight {
    inner: Arc<Flight>,
}

/// Work that was still in flight at the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{count} pieces of work were still in flight at the deadline")]
pub struct StillInFlight {
    /// How many.
    pub count: usize,
}

impl Drain {
    /// Makes a counter that reads zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one piece of work until the guard is dropped.
    pub fn enter(&self) -> InFlight {
        self.inner.count.fetch_add(1, Ordering::AcqRel);
        InFlight { inner: self.inner.clone() }
    }

    /// Returns how much work is in flight.
    pub fn count(&self) -> usize {
        self.inner.count.load(Ordering::Acquire)
    }

    /// Waits until nothing is in flight, at most until `deadline`.
    pub async fn wait(&self, deadline: Instant) -> Result<(), StillInFlight> {
        let landed = async {
            loop {
                let rung = self.inner.empty.notified();
                tokio::pin!(rung);
                // Registered before the count is read, so that no landing in between is missed.
                rung.as_mut().enable();
                if self.count() == 0 {
                    return;
                }
                rung.await;
            }
        };
        tokio::time::timeout_at(deadline, landed).await.map_err(|_| StillInFlight { count: self.count() })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.inner.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.inner.empty.notify_waiters();
        }
    }
}
