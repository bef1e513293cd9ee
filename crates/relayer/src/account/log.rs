//! The way into the log, and around it while it is away.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use pocket_runtime::clock;
use pocket_runtime::shutdown::Shutdown;
use pocket_store::ledger::Term;
use pocket_store::{AppendError, Count, MinedRelay, Store};
use prost::Message as _;
use tokio::sync::Notify;

use super::spool::{Segment, Spool, SpoolError};
use crate::metrics::Metrics;
use crate::relay::Pipeline;

/// Relays of a replay that are appended together.
const REPLAY_BATCH: usize = 256;

/// How often a log that is away is asked whether it is back.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// How often relays that difficulty passed over are written to the ledger.
const COUNT_PAUSE: Duration = Duration::from_millis(200);

/// Where relays are logged.
pub(crate) struct Log {
    store: Store,
    spool: Option<Spool>,
    /// Set by an append that failed, cleared by the replay that finds the log back and the spool empty.
    away: AtomicBool,
    /// Rung when the replay has something to do.
    wake: Notify,
    /// Relays that difficulty passed over, by supplier, not yet in the ledger. Locked for an instant.
    skipped: Mutex<BTreeMap<String, i64>>,
    metrics: Metrics,
}

/// Why a relay stands neither in the log nor in the spool.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("failed to log a relay, and there is no spool (set `spool_dir`)")]
    NoSpool(#[source] AppendError),
    #[error("the log is away, and there is no spool (set `spool_dir`)")]
    Away,
    /// The claim is being made without it.
    #[error("the relay's session is closed")]
    Closed,
    #[error("failed to spool a relay while the log is away")]
    Spool(#[from] SpoolError),
}

impl Log {
    pub(crate) fn new(store: Store, spool: Option<Spool>, metrics: Metrics) -> Self {
        let log = Self {
            store,
            spool,
            away: AtomicBool::new(false),
            wake: Notify::new(),
            skipped: Mutex::default(),
            metrics,
        };
        log.show();
        // What an earlier process left is replayed at once.
        log.wake.notify_one();
        log
    }

    /// Returns whether a relay that is begun now can be logged: in the log, or in the spool.
    pub(crate) fn accepts(&self) -> bool {
        !self.is_away() || self.spool.as_ref().is_some_and(Spool::has_room)
    }

    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// Appends a relay to the log at its durability, or spools it.
    pub(crate) async fn append(&self, mut relay: MinedRelay) -> Result<(), LogError> {
        let Some(spool) = &self.spool else {
            if self.is_away() {
                return Err(LogError::Away);
            }
            return self.store.append(relay).await.map(drop).map_err(|error| match error {
                AppendError::Closed { .. } => LogError::Closed,
                error => {
                    self.note_failure(&error);
                    LogError::NoSpool(error)
                }
            });
        };
        relay.published_at_unix_nano = i64::try_from(clock::unix().as_nanos()).unwrap_or(i64::MAX);
        if !self.is_away() {
            match self.store.append(relay.clone()).await {
                Ok(_) => return Ok(()),
                Err(AppendError::Closed { .. }) => return Err(LogError::Closed),
                Err(error) => self.note_failure(&error),
            }
        }
        spool.push(&relay.encode_to_vec()).await?;
        self.metrics.spooled.inc();
        self.show();
        self.wake.notify_one();
        Ok(())
    }

    /// Counts a relay that was answered and that difficulty passed over.
    pub(crate) fn skipped(&self, supplier: &str) {
        let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        match skipped.get_mut(supplier) {
            Some(count) => *count += 1,
            None => drop(skipped.insert(supplier.to_owned(), 1)),
        }
    }

    /// Writes what [`Log::skipped`] gathered into the ledger; what cannot be written is kept.
    pub(crate) async fn flush_counts(&self) {
        let gathered = std::mem::take(&mut *self.skipped.lock().unwrap_or_else(PoisonError::into_inner));
        for (supplier, count) in gathered {
            let counts = [Count::of(Term::Served, count), Count::of(Term::Skipped, count)];
            if self.store.count(&supplier, &counts).await.is_err() {
                *self.skipped.lock().unwrap_or_else(PoisonError::into_inner).entry(supplier).or_default() += count;
            }
        }
    }

    fn note_failure(&self, error: &AppendError) {
        // A full queue is load, not absence.
        if matches!(error, AppendError::Log { .. }) && !self.away.swap(true, Ordering::AcqRel) {
            let spools = self.spool.is_some();
            tracing::warn!(error = %pocket_runtime::process::chain(error), spools, "the relay log is away");
            self.show();
            self.wake.notify_one();
        }
    }

    fn show(&self) {
        self.metrics.log_available.set(i64::from(!self.is_away()));
        let bytes = self.spool.as_ref().map_or(0, Spool::bytes);
        self.metrics.spool_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    fn has_work(&self) -> bool {
        self.is_away() || self.spool.as_ref().is_some_and(|spool| !spool.is_empty())
    }

    /// Replays the whole spool, if the log is back. Returns whether nothing is left to do.
    async fn replay(&self) -> bool {
        if self.store.ping().await.is_err() {
            return false;
        }
        if let Some(spool) = &self.spool {
            loop {
                match spool.oldest() {
                    Ok(Some(segment)) => {
                        if !self.replay_segment(spool, &segment).await {
                            return false;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::error!(error = %pocket_runtime::process::chain(&error), "cannot read the spool");
                        return false;
                    }
                }
            }
        }
        if self.away.swap(false, Ordering::AcqRel) {
            tracing::info!("the relay log is back");
        }
        self.show();
        true
    }

    /// Appends every relay of a segment. They are counted as served and logged by that very append: a ledger in a store
    /// that is away cannot count them earlier, and counting them apart could count them twice.
    async fn replay_segment(&self, spool: &Spool, segment: &Segment) -> bool {
        if segment.torn_bytes > 0 {
            tracing::warn!(
                bytes = segment.torn_bytes,
                "the spool ended in a record cut short, which was never answered"
            );
        }
        for batch in segment.records.chunks(REPLAY_BATCH) {
            let appends = batch.iter().filter_map(relay).map(|relay| self.store.append_answered(relay));
            if let Err(error) = try_join_all(appends).await {
                tracing::debug!(error = %error, "the log went away again during a replay");
                return false;
            }
            self.metrics.replayed.inc_by(batch.len() as u64);
        }
        if let Err(error) = spool.done(segment) {
            tracing::error!(error = %pocket_runtime::process::chain(&error), "cannot delete a replayed spool segment");
            return false;
        }
        self.show();
        true
    }
}

fn relay(record: &Bytes) -> Option<MinedRelay> {
    let relay = MinedRelay::parse(record.clone());
    if let Err(error) = &relay {
        tracing::error!(error = %error, "a spooled record is no relay, although its checksum holds");
    }
    relay.ok()
}

/// Brings spooled relays into the log whenever it is there, until shutdown.
pub(crate) async fn replay(pipeline: Arc<Pipeline>, shutdown: Shutdown) {
    let log = &pipeline.log;
    loop {
        if shutdown.unless_triggered(log.wake.notified()).await.is_none() {
            return;
        }
        while log.has_work() && !log.replay().await {
            if shutdown.unless_triggered(tokio::time::sleep(RETRY_PAUSE)).await.is_none() {
                return;
            }
        }
    }
}

/// Writes counts into the ledger every so often, until shutdown.
pub(crate) async fn run_counts(pipeline: Arc<Pipeline>, shutdown: Shutdown) {
    while shutdown.unless_triggered(tokio::time::sleep(COUNT_PAUSE)).await.is_some() {
        pipeline.log.flush_counts().await;
    }
}
