//! The way into the relay log: one task that appends whatever waits as one group.
//!
//! Appenders put their relay on a bounded queue and wait for their position. The task takes all that waits, up to
//! `append_batch_max`, hands it to the engine as one group, and answers when the group stands at the configured
//! durability. While one group is on its way the next one gathers, so load makes groups larger, not the log slower.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::engine::Engine;
use crate::error::{AppendError, StoreError};
use crate::metrics::Metrics;
use crate::relay::{EntryId, LogPosition};

/// Whether a relay has been answered, which decides whether it may still be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Just served, not yet answered: refused if its session is closed.
    Served,
    /// Answered before, while the log was away: never refused, so that the miner can say what became of it.
    Answered,
}

/// A relay on its way into the log.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) supplier: String,
    pub(crate) session: String,
    pub(crate) session_end: i64,
    pub(crate) data: Bytes,
    pub(crate) origin: Origin,
}

impl Item {
    /// Returns whether the relay is refused where sessions that end at `closed` or before are closed.
    pub(crate) fn is_refused(&self, closed: i64) -> bool {
        self.origin == Origin::Served && self.session_end <= closed
    }
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appended {
    /// The relay stands in the log.
    Logged(EntryId),
    /// Its session is closed.
    Refused,
}

/// What an appender waits for. The failure is shared by its whole group.
type Answer = Result<Appended, Arc<StoreError>>;

pub(crate) enum Request {
    Append {
        item: Item,
        answer: oneshot::Sender<Answer>,
    },
    /// Answered when everything queued before has been answered.
    Flush {
        done: oneshot::Sender<()>,
    },
}

/// The appenders' end of the queue.
#[derive(Debug, Clone)]
pub(crate) struct Appender {
    // The other end is held by `run`; it is closed when the last clone of the store is dropped.
    queue: mpsc::Sender<Request>,
}

impl Appender {
    pub(crate) fn channel(queue_max: usize) -> (Self, mpsc::Receiver<Request>) {
        let (queue, requests) = mpsc::channel(queue_max.max(1));
        (Self { queue }, requests)
    }

    pub(crate) async fn append(&self, item: Item) -> Result<LogPosition, AppendError> {
        let (answer, waiting) = oneshot::channel();
        let (supplier, session) = (item.supplier.clone(), item.session.clone());
        self.queue.try_send(Request::Append { item, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => AppendError::QueueFull { waiting: self.queue.max_capacity() },
            mpsc::error::TrySendError::Closed(_) => closed(&supplier),
        })?;
        match waiting.await {
            Ok(Ok(Appended::Logged(id))) => Ok(LogPosition { id }),
            Ok(Ok(Appended::Refused)) => Err(AppendError::Closed { supplier, session }),
            Ok(Err(source)) => Err(AppendError::Log { supplier, source }),
            Err(_) => Err(closed(&supplier)),
        }
    }

    /// Returns how many relays wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    pub(crate) async fn flush(&self) {
        let (done, waiting) = oneshot::channel();
        if self.queue.send(Request::Flush { done }).await.is_ok() {
            // A dropped answer means that the task is gone, and with it everything that waited.
            let _ = waiting.await;
        }
    }
}

fn closed(supplier: &str) -> AppendError {
    AppendError::Log {
        supplier: supplier.to_owned(),
        source: Arc::new(StoreError::Closed { operation: "append to the relay log" }),
    }
}

/// Appends groups until every appender is gone.
pub(crate) async fn run(
    engine: Arc<Engine>,
    mut requests: mpsc::Receiver<Request>,
    batch_max: usize,
    metrics: Arc<OnceLock<Metrics>>,
) {
    let mut group = Vec::with_capacity(batch_max);
    while requests.recv_many(&mut group, batch_max).await > 0 {
        let mut items = Vec::with_capacity(group.len());
        let mut answers = Vec::with_capacity(group.len());
        let mut flushes = Vec::new();
        for request in group.drain(..) {
            match request {
                Request::Append { item, answer } => {
                    items.push(item);
                    answers.push(answer);
                }
                Request::Flush { done } => flushes.push(done),
            }
        }
        if !items.is_empty() {
            if let Some(metrics) = metrics.get() {
                metrics.grouped(items.len());
            }
            let results = engine.append(items).await;
            for (answer, result) in answers.into_iter().zip(results) {
                // An appender that gave up waiting does not mind.
                let _ = answer.send(result);
            }
        }
        for done in flushes {
            let _ = done.send(());
        }
    }
}
