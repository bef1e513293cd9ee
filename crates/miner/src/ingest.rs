//! The way in: one loop over the logs of all suppliers that are ours.
//!
//! A batch is taken, looked at ([`check`]), and committed: leaves and acknowledgement in one atomic step, per session.
//! Only then the trie grows. What a commit has not acknowledged comes again, and a leaf that is there already is not
//! counted again; so a miner may die between any two lines here.
//!
//! Nothing is taken while a batch is under way: the log is the queue, and its bound is the relayer's.

mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use pocket_chain::{QueryError, QueryErrorKind};
use pocket_runtime::admin::Heartbeat;
use pocket_runtime::shutdown::Shutdown;
use pocket_runtime::{clock, task};
use pocket_store::{CommitBatch, CommitError, LeafStatus, LogEntry, Rejected, SessionHeader};

use self::check::{Batch, Checked, Known, Poison, SessionKey};
use crate::miner::Miner;
use crate::session::Session;
use crate::tenure::{StepError, Tenure};

/// Entries in memory at once, over all suppliers.
const TAKEN_MAX: usize = 16_384;

/// Fewest entries asked of one supplier, however many there are.
const TAKEN_EACH_MIN: usize = 16;

/// Suppliers whose batches are committed at the same time.
const COMMITS_MAX: usize = 32;

/// Relays above which a batch is looked at on the pool for such work.
const CHECK_INLINE_MAX: usize = 32;

/// Pause after the store or the chain has failed.
const FAILURE_PAUSE: Duration = Duration::from_millis(200);

/// Reads logs until `shutdown`.
pub(crate) async fn run(miner: Arc<Miner>, heartbeat: Heartbeat, shutdown: Shutdown) {
    let claim_idle = Duration::from_millis(miner.settings.redis.claim_idle_timeout_ms.max(1));
    let wait = Duration::from_millis(miner.settings.limits.take_wait_ms.max(1));
    let mut reader = miner.store.reader(&miner.name, claim_idle);
    // Suppliers with relays in the log whose sessions were still to come at this height.
    let (mut early, mut early_at) = (BTreeSet::<String>::new(), 0);
    while !shutdown.is_triggered() {
        heartbeat.beat();
        let height = miner.chain.height();
        if height != early_at {
            early_at = height;
            // Not sooner: what is handed out again goes before everything new.
            for supplier in std::mem::take(&mut early) {
                reader.rewind(&supplier);
            }
        }
        let tenures = miner.tenures();
        let suppliers: Vec<_> = tenures.keys().cloned().collect();
        let each = (TAKEN_MAX / suppliers.len().max(1)).clamp(TAKEN_EACH_MIN, miner.settings.batch_size.max(1));
        let taken = tokio::select! {
            biased;
            () = shutdown.triggered() => return,
            // The set of suppliers has changed: ask again for the new one.
            () = miner.fleet_changed() => continue,
            taken = reader.take(&suppliers, each, wait) => taken,
        };
        let entries = match taken {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(%error, "failed to take relays from the log; trying again");
                miner.metrics.steps_failed.with_label_values(&["take"]).inc();
                tokio::time::sleep(FAILURE_PAUSE).await;
                continue;
            }
        };
        if entries.is_empty() {
            continue;
        }
        let begun = clock::now();
        let mut by_supplier: BTreeMap<String, Vec<LogEntry>> = BTreeMap::new();
        for entry in entries {
            by_supplier.entry(entry.supplier.clone()).or_default().push(entry);
        }
        let work = by_supplier.into_iter().filter_map(|(supplier, entries)| {
            let tenure = tenures.get(&supplier)?.clone();
            Some(async move { (supplier, tenure.take_in(entries).await) })
        });
        let mut done = futures_util::stream::iter(work).buffer_unordered(COMMITS_MAX);
        let mut failed = false;
        while let Some((supplier, result)) = done.next().await {
            match result {
                Ok(None) => {}
                Ok(Some(error)) => {
                    tracing::debug!(%supplier, %error, "relays wait for the block that begins their session");
                    early.insert(supplier);
                }
                Err(error) => {
                    // Whatever was not acknowledged must come again.
                    reader.rewind(&supplier);
                    if !matches!(error, StepError::Lost) {
                        failed = true;
                        miner.metrics.steps_failed.with_label_values(&["commit"]).inc();
                        tracing::warn!(%supplier, %error, "relays were not committed; trying again");
                    }
                }
            }
        }
        miner.metrics.batch.observe((clock::now() - begun).as_secs_f64());
        if failed {
            tokio::time::sleep(FAILURE_PAUSE).await;
        }
    }
}

impl Tenure {
    /// Decides on entries of this supplier's log, in their order, and acknowledges each; except those of sessions that our
    /// node has not come to, which it leaves in the log, and then says why.
    async fn take_in(&self, entries: Vec<LogEntry>) -> Result<Option<QueryError>, StepError> {
        let known = self.sessions_of(&entries).await?;
        let supplier = self.supplier.clone();
        let Checked { batches, poison, early } = if entries.len() > CHECK_INLINE_MAX {
            let work = move || check::check(&supplier, entries, &known);
            task::blocking("check relays", work).await.map_err(crate::session::TrieError::from)?
        } else {
            check::check(&supplier, entries, &known)
        };
        for one in poison {
            self.quarantine(&one).await?;
        }
        for batch in batches {
            self.commit(batch).await?;
        }
        Ok(early)
    }

    /// Finds the sessions that the entries name. Only the chain's own refusal says that there is no such session; while the
    /// chain's answer cannot be had, which is an error, nothing is decided about any entry.
    async fn sessions_of(&self, entries: &[LogEntry]) -> Result<BTreeMap<SessionKey, Known>, StepError> {
        let names: BTreeSet<SessionKey> = entries.iter().filter_map(check::session_key).collect();
        let mut known = BTreeMap::new();
        for key in names {
            let found = match self.miner.chain.session(&key.application, &key.service, key.start).await {
                Ok(session) => Known::Session(session),
                Err(error) if error.kind == QueryErrorKind::Ahead => Known::Ahead(error),
                Err(error) if error.is_passing() => return Err(error.into()),
                Err(error) => Known::Unknown(error.to_string()),
            };
            known.insert(key, found);
        }
        Ok(known)
    }

    async fn quarantine(&self, poison: &Poison) -> Result<(), StepError> {
        tracing::warn!(
            supplier = %self.supplier, entry = %poison.entry.id, reason = poison.reason, note = %poison.note,
            "a log entry goes to quarantine"
        );
        let store = &self.miner.store;
        match store.quarantine(&poison.entry, poison.reason, &poison.note, self.lease.epoch).await {
            Ok(()) => {
                self.miner.metrics.relays.with_label_values(&[poison.reason]).inc();
                self.acknowledge(1);
                Ok(())
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: CommitError) -> StepError {
        match error {
            CommitError::Fenced(fenced) => {
                self.lose(&fenced);
                StepError::Lost
            }
            CommitError::Sealed { .. } => StepError::Changed,
            CommitError::Store(error) => error.into(),
        }
    }

    async fn commit(&self, batch: Batch) -> Result<(), StepError> {
        let terms = batch.terms;
        let header = SessionHeader { supplier: self.supplier.clone(), ..batch.header };
        let closed = self.miner.chain.height() >= terms.windows.claim_close;
        let late = |entries: &mut Vec<Rejected>, leaves: Vec<pocket_store::Leaf>| {
            entries.extend(leaves.into_iter().map(|leaf| Rejected { entry: leaf.entry, reason: "late" }));
        };
        let mut commit =
            CommitBatch { header, epoch: self.lease.epoch, leaves: batch.leaves, rejected: batch.rejected };

        let with_trie = self.session_count() < self.miner.settings.limits.sessions_max;
        let cell = if closed {
            // A session that was never seen here, or is forgotten, is not begun anew for what comes too late.
            let Some(cell) = self.cell(&commit.header.session) else {
                late(&mut commit.rejected, std::mem::take(&mut commit.leaves));
                return self.reject_homeless(commit).await;
            };
            cell
        } else {
            let header = &commit.header;
            self.cell_or(&header.session, || Session::open(header, terms, with_trie))
        };
        let mut session = cell.lock().await;
        if closed || session.record.state.is_sealed() {
            late(&mut commit.rejected, std::mem::take(&mut commit.leaves));
        }
        let store = &self.miner.store;
        let outcome = match store.commit(commit.clone()).await {
            // The record in memory was behind: the session is sealed in the store.
            Err(CommitError::Sealed { .. }) => {
                self.reload(&mut session).await?;
                late(&mut commit.rejected, std::mem::take(&mut commit.leaves));
                store.commit(commit.clone()).await
            }
            outcome => outcome,
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                // Whether it took effect is not known: the store is asked before anything is decided, and the trie is built
                // from it when it is wanted.
                session.is_doubtful = true;
                session.drop_trie();
                return Err(self.failed(error));
            }
        };
        session.grow(&commit.leaves, &outcome.leaves);
        // Counted by the store: of a commit whose answer was lost the next one says nothing but `Repeated`.
        session.leaves = outcome.session_leaves;
        let is_new = session.record.revision == 0;
        if is_new {
            session.record.revision = 1;
        }
        self.count(&commit, &outcome);
        self.acknowledge((commit.leaves.len() + commit.rejected.len()) as u64);
        if is_new {
            // From here on nothing about the session need be asked of the chain again. If this fails it is asked once more.
            match self.write(&mut session, |record| record.terms = Some(terms.stored())).await {
                Ok(()) | Err(StepError::Changed) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Rejects entries of a session that has no record, without making one. The quarantine keeps their bytes from the log.
    async fn reject_homeless(&self, commit: CommitBatch) -> Result<(), StepError> {
        for rejected in commit.rejected {
            let note = format!("the claim window of session {} has closed", commit.header.session);
            let entry = LogEntry {
                supplier: self.supplier.clone(),
                id: rejected.entry,
                redelivered: false,
                relay: pocket_store::Delivered::Poison { bytes: bytes::Bytes::new(), reason: note.clone() },
            };
            self.quarantine(&Poison { entry, reason: rejected.reason, note }).await?;
        }
        Ok(())
    }

    fn count(&self, commit: &CommitBatch, outcome: &pocket_store::CommitOutcome) {
        let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
        for status in &outcome.leaves {
            let word = match status {
                LeafStatus::New => "leaf",
                LeafStatus::Collapsed => "collapsed",
                LeafStatus::Repeated => "repeated",
                LeafStatus::Missing => "missing",
            };
            *outcomes.entry(word).or_default() += 1;
        }
        for rejected in &commit.rejected {
            *outcomes.entry(rejected.reason).or_default() += 1;
        }
        for (word, entries) in outcomes {
            self.miner.metrics.relays.with_label_values(&[word]).inc_by(entries);
        }
        let labels = [self.supplier.as_str(), commit.header.service.as_str()];
        self.miner.metrics.ha_relays_added.with_label_values(&labels).inc_by(outcome.new_leaves);
    }
}
