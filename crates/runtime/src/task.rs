//! Tasks with names: spawned, watched, bounded.
//!
//! A panic is a bug that costs one task, never the process in silence: it is caught at the task's root, logged once with
//! the task's name, and counted ([`panics`]).

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::Instant;
use tracing::Instrument;

use crate::shutdown::Shutdown;

// What tasks of each name are doing. Locked when a task starts and when the numbers are read, never over an await.
static TALLIES: Mutex<BTreeMap<&'static str, Arc<Tally>>> = Mutex::new(BTreeMap::new());

#[derive(Debug, Default)]
struct Tally {
    running: AtomicU64,
    panics: AtomicU64,
}

/// What the tasks of one name have done in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// The name given at spawn.
    pub name: &'static str,
    /// Tasks that run now.
    pub running: u64,
    /// Tasks that have ended in a panic.
    pub panics: u64,
}

/// Returns the numbers of tasks by name, in the order of the names.
pub fn census() -> Vec<Census> {
    let tallies = TALLIES.lock().unwrap_or_else(PoisonError::into_inner);
    let count = |(name, tally): (&&'static str, &Arc<Tally>)| Census {
        name,
        running: tally.running.load(Ordering::Relaxed),
        panics: tally.panics.load(Ordering::Relaxed),
    };
    tallies.iter().map(count).collect()
}

/// Returns how many tasks of this process have panicked since it started.
pub fn panics() -> u64 {
    census().iter().map(|tasks| tasks.panics).sum()
}

fn tally(name: &'static str) -> Arc<Tally> {
    TALLIES.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().clone()
}

// Counts a task as running until it is dropped, whether it ends, panics or is aborted.
struct Running(Arc<Tally>);

impl Running {
    fn start(name: &'static str) -> Self {
        let tally = tally(name);
        tally.running.fetch_add(1, Ordering::Relaxed);
        Self(tally)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a task gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// The task panicked; it is logged and counted already.
    #[error("task `{name}` panicked: {message}")]
    Panicked {
        /// The name given at spawn.
        name: &'static str,
        /// What the panic said.
        message: String,
    },
    /// The task was aborted, or its runtime ended.
    #[error("task `{name}` was aborted")]
    Aborted {
        /// The name given at spawn.
        name: &'static str,
    },
}

/// A running task. Await it for its result; drop it to let it run on alone.
#[must_use = "await the task, or say `drop(task)` to let it run on alone"]
pub struct Task<T> {
    name: &'static str,
    state: State<T>,
}

enum State<T> {
    Running(JoinHandle<Result<T, TaskError>>),
    // Simulated worlds run blocking work on the spot.
    #[cfg(feature = "simulation")]
    Done(Option<Result<T, TaskError>>),
}

/// Starts `future` as a task called `name`, in a span of that name.
///
/// Must be called inside a runtime ([`crate::process::run`] makes one).
#[expect(clippy::disallowed_methods, reason = "this is the door to spawning")]
pub fn spawn<F>(name: &'static str, future: F) -> Task<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Task { name, state: State::Running(tokio::spawn(watched(name, future))) }
}

/// Runs `future` to its end: where it is awaited, as long as somebody awaits it, and from then on as a task called `name`.
///
/// For work that must not be lost with its caller. It costs no task while the caller stays. If it is given up outside of a
/// runtime, as when that ends, the work ends too. A panic is logged and counted, and an error.
pub fn to_the_end<F>(name: &'static str, future: F) -> ToTheEnd<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let caught = AssertUnwindSafe(future).catch_unwind();
    ToTheEnd {
        name,
        rest: Some(Box::pin(caught.map(move |result| result.map_err(|payload| panicked(name, &*payload))))),
    }
}

/// Work that goes on without whoever awaits it; see [`to_the_end`].
#[must_use = "await the work; dropped it goes on alone"]
pub struct ToTheEnd<T: Send + 'static> {
    name: &'static str,
    // None once it has ended.
    rest: Option<BoxFuture<'static, Result<T, TaskError>>>,
}

impl<T: Send + 'static> Future for ToTheEnd<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let name = self.name;
        let Some(rest) = &mut self.rest else { return Poll::Ready(Err(TaskError::Aborted { name })) };
        let polled = rest.as_mut().poll(cx);
        if polled.is_ready() {
            self.rest = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for ToTheEnd<T> {
    fn drop(&mut self) {
        if let Some(rest) = self.rest.take()
            && tokio::runtime::Handle::try_current().is_ok()
        {
            drop(spawn(self.name, rest));
        }
    }
}

impl<T: Send + 'static> std::fmt::Debug for ToTheEnd<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ended = self.rest.is_none();
        f.debug_struct("ToTheEnd").field("name", &self.name).field("ended", &ended).finish_non_exhaustive()
    }
}

/// Runs `work`, which may block, on the pool for such work; in a simulated world at once, on the spot.
#[expect(clippy::disallowed_methods, reason = "this is the door to spawning")]
pub fn blocking<T: Send + 'static>(name: &'static str, work: impl FnOnce() -> T + Send + 'static) -> Task<T> {
    let span = tracing::debug_span!("task", name);
    let running = Running::start(name);
    let work = move || {
        let _running = running;
        span.in_scope(|| std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| panicked(name, &*payload)))
    };
    #[cfg(feature = "simulation")]
    if crate::simulation::current().is_some() {
        return Task { name, state: State::Done(Some(work())) };
    }
    Task { name, state: State::Running(tokio::task::spawn_blocking(work)) }
}

fn watched<F: Future>(name: &'static str, future: F) -> impl Future<Output = Result<F::Output, TaskError>> {
    let running = Running::start(name);
    let future = AssertUnwindSafe(future).catch_unwind().instrument(tracing::debug_span!("task", name));
    future.map(move |result| {
        drop(running);
        result.map_err(|payload| panicked(name, &*payload))
    })
}

fn panicked(name: &'static str, payload: &(dyn Any + Send)) -> TaskError {
    let message = message_of(payload);
    tally(name).panics.fetch_add(1, Ordering::Relaxed);
    tracing::error!(task = name, panic = %message, "task panicked, which is a bug; its work is lost");
    TaskError::Panicked { name, message }
}

/// Returns what a panic said, for payloads made by `panic!`.
pub(crate) fn message_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a value that is not text".to_owned()
    }
}

impl<T> Task<T> {
    /// Returns the name given at spawn.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Asks the task to stop at its next await. Work on the blocking pool that has begun runs to its end.
    pub fn abort(&self) {
        match &self.state {
            State::Running(handle) => handle.abort(),
            #[cfg(feature = "simulation")]
            State::Done(_) => {}
        }
    }

    /// Returns whether the task has ended.
    pub fn is_finished(&self) -> bool {
        match &self.state {
            State::Running(handle) => handle.is_finished(),
            #[cfg(feature = "simulation")]
            State::Done(_) => true,
        }
    }

    /// Turns the task into a guard that aborts it when dropped.
    pub fn abort_on_drop(self) -> AbortOnDrop<T> {
        AbortOnDrop(self)
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let name = self.name;
        match &mut self.state {
            State::Running(handle) => Pin::new(handle).poll(cx).map(|joined| match joined {
                Ok(result) => result,
                Err(_) => Err(TaskError::Aborted { name }),
            }),
            #[cfg(feature = "simulation")]
            State::Done(result) => Poll::Ready(result.take().unwrap_or(Err(TaskError::Aborted { name }))),
        }
    }
}

// Nothing in a task is pinned in place: the result is moved out, the handle is a pointer.
impl<T> Unpin for Task<T> {}

impl<T> std::fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").field("name", &self.name).field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}

/// A task that ends with its handle.
#[derive(Debug)]
pub struct AbortOnDrop<T>(Task<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// A bounded set of tasks with one name; what still runs is aborted when the last handle of the group is dropped.
#[derive(Clone, Debug)]
pub struct Group {
    name: &'static str,
    slots: Arc<Semaphore>,
    limit: usize,
    // The group's handles alone hold it; it is emptied by `join_all` and aborted when they are gone.
    set: Arc<Mutex<JoinSet<()>>>,
}

/// A group that takes no more tasks now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// As many tasks run as the group allows.
    #[error("`{name}` already runs {limit} tasks, its limit")]
    Full {
        /// The group's name.
        name: &'static str,
        /// The group's limit.
        limit: usize,
    },
    /// The group has been closed by [`Group::join_all`].
    #[error("`{name}` is closed")]
    Closed {
        /// The group's name.
        name: &'static str,
    },
}

/// How a group ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// Tasks that came to their end within the deadline.
    pub finished: usize,
    /// Tasks that were aborted at the deadline.
    pub aborted: usize,
}

impl Group {
    /// Makes an empty group of at most `limit` tasks at a time.
    pub fn new(name: &'static str, limit: usize) -> Self {
        let slots = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        Self { name, slots, limit, set: Arc::new(Mutex::new(JoinSet::new())) }
    }

    /// Returns how many tasks run now.
    pub fn running(&self) -> usize {
        self.limit.saturating_sub(self.slots.available_permits())
    }

    /// Starts a task, waiting for a free slot first; refuses only when the group is closed.
    pub async fn spawn<F>(&self, future: F) -> Result<(), Refused>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let slot = self.slots.clone().acquire_owned().await.map_err(|_| Refused::Closed { name: self.name })?;
        self.start(slot, future);
        Ok(())
    }

    /// Starts a task at once, or refuses when the group is full or closed.
    pub fn try_spawn<F>(&self, future: F) -> Result<(), Refused>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let slot = self.slots.clone().try_acquire_owned().map_err(|error| match error {
            tokio::sync::TryAcquireError::NoPermits => Refused::Full { name: self.name, limit: self.limit },
            tokio::sync::TryAcquireError::Closed => Refused::Closed { name: self.name },
        })?;
        self.start(slot, future);
        Ok(())
    }

    fn start<F>(&self, slot: OwnedSemaphorePermit, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let name = self.name;
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {}
        let _: AbortHandle = set.spawn(async move {
            let _slot = slot;
            // A panic has been logged and counted; the group goes on.
            let _ = watched(name, future).await;
        });
    }

    /// Closes the group and waits for its tasks; those still running after `grace` are aborted.
    pub async fn join_all(&self, grace: Duration) -> Joined {
        self.slots.close();
        let deadline = Instant::now() + grace;
        let mut set = std::mem::take(&mut *self.set.lock().unwrap_or_else(PoisonError::into_inner));
        let mut finished = 0;
        while let Ok(Some(_)) = tokio::time::timeout_at(deadline, set.join_next()).await {
            finished += 1;
        }
        let aborted = set.len();
        if aborted > 0 {
            tracing::warn!(group = self.name, aborted, "tasks did not end within the grace period and were aborted");
        }
        set.shutdown().await;
        Joined { finished, aborted }
    }
}

/// Delays between restarts of a supervised loop that panicked; the last one repeats.
pub const RESTART_DELAYS: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
];

/// Runs the loop that `start` makes until it returns, and starts it anew after a panic, waiting [`RESTART_DELAYS`].
///
/// For loops whose loss would silently stop a duty: each panic costs one run and is logged; shutdown ends the waiting.
pub fn supervise<F, Fut>(name: &'static str, shutdown: Shutdown, mut start: F) -> Task<()>
where
    F: FnMut() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    spawn(name, async move {
        for attempt in 0.. {
            if watched(name, start()).await.is_ok() {
                return;
            }
            let delay = RESTART_DELAYS[RESTART_DELAYS.len().min(attempt + 1) - 1];
            tracing::warn!(task = name, delay_seconds = delay.as_secs_f64(), "restarting after a panic");
            tokio::select! {
                biased;
                () = shutdown.triggered() => return,
                () = tokio::time::sleep(delay) => {}
            }
        }
    })
}
