//! A supplier while its lease is ours: its sessions, and the writes that carry its epoch.
//!
//! Everything that a tenure writes is refused by the store once somebody else has taken the lease. The tenure then ends,
//! and with it everything that was in memory: the next one starts from the store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pocket_chain::{QueryError, Sender};
use pocket_crypto::keys::SecretKey;
use pocket_protocol::height::Height;
use pocket_runtime::shutdown::{Shutdown, ShutdownTrigger};
use pocket_store::{Lease, PutError, SessionRecord, SessionState, StoreError, StoredSession};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use crate::ledger;
use crate::lifecycle;
use crate::miner::Miner;
use crate::session::{Session, TrieError};
use crate::terms::Terms;

/// A session that ingest and the keeper share; the lock is held over the store's answer, so that what is in memory is
/// what the store has.
pub(crate) type Cell = Arc<AsyncMutex<Session>>;

pub(crate) struct Tenure {
    pub(crate) miner: Arc<Miner>,
    pub(crate) supplier: String,
    pub(crate) lease: Lease,
    pub(crate) sender: Sender,
    /// By session id. Written by ingest (new sessions) and the keeper (forgotten ones); never held over an await.
    sessions: Mutex<BTreeMap<String, Cell>>,
    /// Entries of the log acknowledged in this tenure.
    acknowledged: AtomicU64,
    /// What the log is closed to.
    closed: AsyncMutex<Closed>,
    /// Told whenever that grows.
    progress: Notify,
    /// Pulled when the lease is lost; heard by the keeper and by ingest.
    end: ShutdownTrigger,
    ended: Shutdown,
}

/// Which sessions take no more relays into the supplier's log.
#[derive(Debug, Clone, Copy)]
struct Closed {
    /// Those that end at this height or before, as the store has it.
    end: Height,
    /// Highest block of this tenure.
    height: Height,
}

/// Why a step of a session was not done. It is tried again after the next block.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error("the lease on the supplier is lost")]
    Lost,
    #[error("the session's record was not as expected and has been read again")]
    Changed,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Chain(#[from] QueryError),
    #[error(transparent)]
    Trie(#[from] TrieError),
    #[error("a proof that does not hold was not sent: {0}")]
    Proof(String),
}

impl Tenure {
    /// Takes over from whoever was there before: reads every record, and what each session's terms are.
    ///
    /// Fails while the chain or the store does not answer; nothing may be decided on half of the sessions.
    pub(crate) async fn begin(
        miner: &Arc<Miner>,
        lease: Lease,
        supplier: &str,
        key: Arc<SecretKey>,
        shutdown: &Shutdown,
    ) -> Result<Self, StepError> {
        let mut sessions = BTreeMap::new();
        for stored in miner.store.sessions(supplier).await? {
            let terms = resume_terms(miner, &stored).await?;
            let id = stored.record.session.clone();
            sessions.insert(id, Arc::new(AsyncMutex::new(Session::resumed(stored, terms))));
        }
        let closed = Closed { end: miner.store.closed_sessions(supplier).await?, height: miner.chain.height() };
        let (end, ended) = shutdown.child();
        Ok(Self {
            miner: miner.clone(),
            supplier: supplier.to_owned(),
            lease,
            sender: Sender::new(miner.chain.clone(), key),
            sessions: Mutex::new(sessions),
            acknowledged: AtomicU64::new(0),
            closed: AsyncMutex::new(closed),
            progress: Notify::new(),
            end,
            ended,
        })
    }

    /// Returns the sessions, in order of id.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        self.lock().values().cloned().collect()
    }

    pub(crate) fn cell(&self, session: &str) -> Option<Cell> {
        self.lock().get(session).cloned()
    }

    /// Returns the session of that id, made by `open` if it is new.
    pub(crate) fn cell_or(&self, session: &str, open: impl FnOnce() -> Session) -> Cell {
        self.lock().entry(session.to_owned()).or_insert_with(|| Arc::new(AsyncMutex::new(open()))).clone()
    }

    pub(crate) fn remove(&self, session: &str) {
        self.lock().remove(session);
    }

    pub(crate) fn session_count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Cell>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends when the lease is lost or the process leaves.
    pub(crate) async fn ended(&self) {
        self.ended.triggered().await;
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended.is_triggered()
    }

    /// Notes that the lease is lost: nothing more is written in this tenure.
    pub(crate) fn lose(&self, why: &dyn std::fmt::Display) {
        if !self.is_ended() {
            self.miner.losses.note(&self.supplier, why);
        }
        self.end.trigger();
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    pub(crate) fn acknowledge(&self, entries: u64) {
        self.acknowledged.fetch_add(entries, Ordering::AcqRel);
        self.progress.notify_waiters();
    }

    /// Waits until ingest has acknowledged something more.
    pub(crate) async fn progress(&self) {
        self.progress.notified().await;
    }

    /// Closes the log to relays of sessions that end at `end` or before.
    ///
    /// A relayer that was paused, or whose node is behind, learns of it when it appends, before it answers.
    pub(crate) async fn close(&self, end: Height) -> Result<(), StepError> {
        let mut closed = self.closed.lock().await;
        if closed.end < end {
            self.close_to(&mut closed, end).await?;
        }
        Ok(())
    }

    /// Closes the log to every session whose seal is due after the block at `height`, known here or not: a relayer may be
    /// late with the first relay of one.
    pub(crate) async fn close_ended(&self, height: Height) {
        // A node that lags must not keep claims waiting.
        match tokio::time::timeout(CLOSE_PATIENCE, self.try_close_ended(height)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(
                supplier = %self.supplier, height, %error, "sessions could not be closed; trying again after the next block"
            ),
            Err(_) => tracing::debug!(
                supplier = %self.supplier, height, "sessions could not be closed in time; trying again after the next block"
            ),
        }
    }

    async fn try_close_ended(&self, height: Height) -> Result<(), StepError> {
        let Some(end) = last_sealed_end(&self.miner, height).await? else { return Ok(()) };
        let mut closed = self.closed.lock().await;
        // A development chain that was restored: what it will make anew is open again.
        let went_back = height < closed.height;
        if closed.end < end || (went_back && closed.end > end) {
            self.close_to(&mut closed, end).await?;
        }
        closed.height = height;
        Ok(())
    }

    async fn close_to(&self, closed: &mut Closed, end: Height) -> Result<(), StepError> {
        match self.miner.store.close_sessions(&self.supplier, end, self.lease.epoch).await {
            Ok(()) => {
                closed.end = end;
                Ok(())
            }
            Err(PutError::Fenced(fenced)) => {
                self.lose(&fenced);
                Err(StepError::Lost)
            }
            Err(PutError::Store(error)) => Err(error.into()),
            Err(PutError::Conflict { .. }) => Err(StepError::Changed),
        }
    }

    /// Changes a session's record in the store, and with it the ledger, in one step.
    pub(crate) async fn write(
        &self,
        session: &mut Session,
        change: impl FnOnce(&mut SessionRecord),
    ) -> Result<(), StepError> {
        if self.is_ended() {
            return Err(StepError::Lost);
        }
        let mut record = session.record.clone();
        change(&mut record);
        let counts = ledger::counts(&session.record, &record);
        let expected = session.record.revision;
        match self.miner.store.session_put(&record, self.lease.epoch, expected, &counts).await {
            Ok(revision) => {
                if record.state != session.record.state {
                    tracing::debug!(
                        supplier = %self.supplier,
                        session = %record.session,
                        from = session.record.state.word(),
                        to = record.state.word(),
                        "session goes on"
                    );
                }
                record.revision = revision;
                session.record = record;
                Ok(())
            }
            Err(PutError::Fenced(fenced)) => {
                self.lose(&fenced);
                Err(StepError::Lost)
            }
            // An answer of an earlier write was lost on the way, and the write was not.
            Err(PutError::Conflict { .. }) => {
                self.reload(session).await?;
                Err(StepError::Changed)
            }
            Err(PutError::Store(error)) => Err(error.into()),
        }
    }

    /// Reads a session's record again if a commit may have changed it without our being told.
    pub(crate) async fn settle_doubt(&self, session: &mut Session) -> Result<(), StepError> {
        if session.is_doubtful {
            self.reload(session).await?;
        }
        Ok(())
    }

    /// Reads a session's record again, and forgets a trie that does not fit it.
    pub(crate) async fn reload(&self, session: &mut Session) -> Result<(), StepError> {
        if let Some(stored) = self.miner.store.session(&self.supplier, &session.record.session).await? {
            if stored.leaves != session.leaves {
                session.drop_trie();
            }
            session.record = stored.record;
            session.leaves = stored.leaves;
        }
        session.is_doubtful = false;
        Ok(())
    }

    /// Returns whether every relay that waited in the log when sealing became due has been decided on.
    ///
    /// Relays that were answered before must not miss the claim because they are still in the log; those that come later
    /// belong to younger sessions, or are late. Entries are acknowledged in the order of the log.
    pub(crate) async fn drained(&self, session: &mut Session) -> Result<bool, StepError> {
        let target = if let Some(target) = session.drained_at {
            target
        } else {
            let waiting = self.miner.store.log_stats(&self.supplier).await?.length;
            if waiting == 0 {
                return Ok(true);
            }
            *session.drained_at.insert(self.acknowledged() + waiting)
        };
        if self.acknowledged() >= target {
            return Ok(true);
        }
        // Acknowledgements between the two reads above put the target too high, which an empty log settles.
        Ok(self.miner.store.log_stats(&self.supplier).await?.length == 0)
    }
}

/// How long a step waits for sessions to be closed that are not known here.
const CLOSE_PATIENCE: std::time::Duration = std::time::Duration::from_millis(250);

/// Sessions looked back over for the last one whose seal is due; windows reach back over fewer on every known network.
const SESSIONS_BACK_MAX: usize = 16;

/// Returns the end of the last session that is to be sealed after the block at `height`, if there is one.
async fn last_sealed_end(miner: &Miner, height: Height) -> Result<Option<Height>, QueryError> {
    let mut at = height;
    for _ in 0..SESSIONS_BACK_MAX {
        if at <= 0 {
            return Ok(None);
        }
        let shared = miner.chain.shared_at(at).await?;
        let session = shared.session_at(at);
        if shared.windows_at(at).seal() <= height {
            return Ok(Some(session.end));
        }
        at = session.start - 1;
    }
    Ok(None)
}

/// Returns the terms of a session that the store remembers: those in its record, else those of the chain.
async fn resume_terms(miner: &Miner, stored: &StoredSession) -> Result<Terms, StepError> {
    let record = &stored.record;
    if let Some(terms) = Terms::of_record(record) {
        return Ok(terms);
    }
    match miner.chain.session(&record.application, &record.service, record.start_height).await {
        Ok(session) => Ok(Terms::of(&session)),
        Err(error) if error.is_passing() => Err(error.into()),
        Err(error) => {
            // The chain would refuse the claim for the same reason. The windows still say when that is certain.
            tracing::error!(
                supplier = %record.supplier, session = %record.session, %error,
                "the chain does not know a session that has leaves; they cannot be claimed"
            );
            let shared = miner.chain.shared_at(record.end_height).await?;
            let windows = shared.windows_at(record.end_height);
            Ok(Terms {
                windows,
                compute_units_per_relay: 0,
                target: pocket_protocol::mining::BASE_TARGET,
                price: (&shared).into(),
            })
        }
    }
}

/// Returns whether a session's trie will be wanted again.
pub(crate) fn wants_trie(session: &Session, height: Height) -> bool {
    match session.record.state {
        SessionState::Open | SessionState::Sealed => true,
        SessionState::Claimed => {
            session.record.proof_required != Some(false) && height < session.terms.windows.proof_close
        }
        _ => false,
    }
}

/// Returns what is due for a session, by the miner's rules.
pub(crate) fn due(miner: &Miner, session: &Session, height: Height) -> lifecycle::Due {
    lifecycle::due(&session.view(), height, &session.terms.windows, &miner.rules)
}
