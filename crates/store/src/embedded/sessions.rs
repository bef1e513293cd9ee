//! Leaves and session records.

use std::collections::BTreeSet;

use bytes::Bytes;
use pocket_runtime::task;

use super::kv::{Batch, Space};
use super::log::check_epoch;
use super::{Embedded, Own, leaf_key, number_key, put_row, session_key};
use crate::error::{CommitError, PutError, StoreError};
use crate::leaf::{CommitBatch, CommitOutcome, LeafStatus, PackedLeaf};
use crate::ledger::{Count, Term};
use crate::relay::MinedRelay;
use crate::session::{SessionRecord, StoredSession};

/// Leaves deleted in one step: others wait for it.
const FORGET_LEAVES: usize = 2_000;

/// A session's row: how many leaves it has, then its record.
fn session_row(leaves: u64, record: &SessionRecord) -> Bytes {
    let record = serde_json::to_vec(record).expect("a record has text keys only, so it is always JSON");
    [leaves.to_be_bytes().as_slice(), &record].concat().into()
}

pub(super) fn read_session(key: &[u8], row: &Bytes) -> Result<StoredSession, StoreError> {
    let name = || String::from_utf8_lossy(key).replace('\0', "/");
    let (leaves, record) = row.split_first_chunk::<8>().ok_or_else(|| StoreError::corrupt(name(), "too short"))?;
    let record = serde_json::from_slice(record).map_err(|error| StoreError::corrupt(name(), error))?;
    Ok(StoredSession { record, leaves: u64::from_be_bytes(*leaves) })
}

impl Embedded {
    pub(crate) async fn commit(&self, batch: CommitBatch) -> Result<CommitOutcome, CommitError> {
        let outcome = self.commit_now(&batch)?;
        self.settle().await?;
        Ok(outcome)
    }

    fn commit_now(&self, commit: &CommitBatch) -> Result<CommitOutcome, CommitError> {
        let supplier = commit.header.supplier.as_str();
        let session = commit.header.session.as_str();
        let kv = self.inner.kv.as_ref();
        let mut state = self.lock();
        check_epoch(&state, supplier, commit.epoch)?;

        let row_key = session_key(supplier, session);
        let stored = kv.get(Space::State, &row_key)?.map(|row| read_session(&row_key, &row)).transpose()?;
        let is_new = stored.is_none();
        let mut stored = stored.unwrap_or_else(|| {
            let record = SessionRecord { revision: 1, ..SessionRecord::open(&commit.header) };
            StoredSession { record, leaves: 0 }
        });
        if stored.record.state.is_sealed() && !commit.leaves.is_empty() {
            return Err(CommitError::Sealed { session: session.to_owned() });
        }

        let mut outcome = CommitOutcome::default();
        let mut batch = Batch::default();
        let mut counts = Vec::new();
        // What this very batch has done, which the engine cannot know before it is written.
        let mut acknowledged = BTreeSet::new();
        let mut added = BTreeSet::new();
        for leaf in &commit.leaves {
            let entry_key = number_key(supplier, leaf.entry.seq);
            let waiting = !acknowledged.contains(&leaf.entry.seq) && kv.get(Space::Queue, &entry_key)?.is_some();
            let path_key = leaf_key(supplier, session, &leaf.path);
            let present = match kv.get(Space::Leaf, &path_key)? {
                Some(packed) => PackedLeaf::unpack(&leaf.path, &packed).map(|leaf| leaf.locator),
                None => None,
            };
            let status = match (waiting, present, added.contains(&leaf.path)) {
                (true, None, false) => {
                    batch.put(Space::Leaf, path_key, Bytes::copy_from_slice(&PackedLeaf::pack(leaf)));
                    added.insert(leaf.path);
                    LeafStatus::New
                }
                (true, _, _) => {
                    batch.delete(Space::Log, entry_key.clone());
                    LeafStatus::Collapsed
                }
                (false, None, false) => LeafStatus::Missing,
                (false, _, _) => LeafStatus::Repeated,
            };
            if waiting {
                batch.delete(Space::Queue, entry_key);
                acknowledged.insert(leaf.entry.seq);
            }
            outcome.push(status);
        }
        for rejected in &commit.rejected {
            let entry_key = number_key(supplier, rejected.entry.seq);
            if acknowledged.contains(&rejected.entry.seq) || kv.get(Space::Queue, &entry_key)?.is_none() {
                continue;
            }
            batch.delete(Space::Queue, entry_key.clone());
            batch.delete(Space::Log, entry_key);
            acknowledged.insert(rejected.entry.seq);
            counts.push(Count::because(Term::Rejected, rejected.reason, 1));
            outcome.rejected += 1;
        }
        counts.push(Count::of(Term::Leaves, i64::try_from(outcome.new_leaves).unwrap_or(i64::MAX)));
        counts.push(Count::of(Term::Collapsed, i64::try_from(outcome.collapsed).unwrap_or(i64::MAX)));

        stored.leaves += outcome.new_leaves;
        outcome.session_leaves = stored.leaves;
        if is_new || outcome.new_leaves > 0 {
            batch.put(Space::State, row_key, session_row(stored.leaves, &stored.record));
        }
        let log = state.log(supplier);
        let counters = log.counted(&counts);
        // The row says the oldest of before this commit: a restart looks a little further back than it must.
        log.put_row(&mut batch, supplier, &counters);
        kv.write(batch)?;
        log.counters = counters;
        log.length = log.length.saturating_sub(acknowledged.len() as u64);
        for number in acknowledged {
            log.delivered.remove(&number);
        }
        Ok(outcome)
    }

    /// Reads on the pool for blocking work: a long session has a million leaves.
    pub(crate) async fn leaves(&self, supplier: &str, session: &str) -> Result<Vec<PackedLeaf>, StoreError> {
        let (engine, prefix, session) = (self.clone(), leaf_key(supplier, session, b""), session.to_owned());
        let read = move || {
            let rows = engine.inner.kv.scan(Space::Leaf, &prefix, &prefix, usize::MAX)?;
            let mut leaves = Vec::with_capacity(rows.len());
            for (key, packed) in rows {
                let leaf = PackedLeaf::unpack(&key[prefix.len()..], &packed);
                let wrong = || StoreError::corrupt(format!("leaf of session {session}"), "wrong length");
                leaves.push(leaf.ok_or_else(wrong)?);
            }
            Ok(leaves)
        };
        task::blocking("store-leaves", read).await.map_err(|error| StoreError::unavailable("read leaves", error))?
    }

    #[expect(clippy::unused_async, reason = "the other engine awaits here")]
    pub(crate) async fn leaf_bytes(
        &self,
        supplier: &str,
        session: &str,
        path: &[u8; 32],
    ) -> Result<Option<Bytes>, StoreError> {
        let name = || format!("leaf {} of session {session}", hex::encode(path));
        let Some(packed) = self.inner.kv.get(Space::Leaf, &leaf_key(supplier, session, path))? else {
            return Ok(None);
        };
        let leaf = PackedLeaf::unpack(path, &packed).ok_or_else(|| StoreError::corrupt(name(), "wrong length"))?;
        let data = self.inner.kv.get(Space::Log, &number_key(supplier, leaf.locator.seq))?;
        let data = data.ok_or_else(|| StoreError::corrupt(name(), "its bytes are not in the log"))?;
        let relay = MinedRelay::parse(data).map_err(|error| StoreError::corrupt(name(), error))?;
        Ok(Some(relay.relay_bytes))
    }

    pub(crate) async fn session_put(
        &self,
        record: &SessionRecord,
        epoch: u64,
        expected: u64,
        counts: &[Count],
    ) -> Result<u64, PutError> {
        let supplier = record.supplier.as_str();
        let key = session_key(supplier, &record.session);
        {
            let mut state = self.lock();
            check_epoch(&state, supplier, epoch)?;
            let stored = self.inner.kv.get(Space::State, &key)?.map(|row| read_session(&key, &row)).transpose()?;
            let (current, leaves) = stored.map_or((0, 0), |stored| (stored.record.revision, stored.leaves));
            if current != expected {
                return Err(PutError::Conflict { session: record.session.clone(), expected, current });
            }
            let record = SessionRecord { revision: current + 1, ..record.clone() };
            let mut batch = Batch::default();
            batch.put(Space::State, key, session_row(leaves, &record));
            let log = state.log(supplier);
            let counters = log.counted(counts);
            log.put_row(&mut batch, supplier, &counters);
            self.inner.kv.write(batch)?;
            log.counters = counters;
        }
        self.settle().await?;
        Ok(expected + 1)
    }

    #[expect(clippy::unused_async, reason = "the other engine awaits here")]
    pub(crate) async fn session(&self, supplier: &str, session: &str) -> Result<Option<StoredSession>, StoreError> {
        let key = session_key(supplier, session);
        self.inner.kv.get(Space::State, &key)?.map(|row| read_session(&key, &row)).transpose()
    }

    #[expect(clippy::unused_async, reason = "the other engine awaits here")]
    pub(crate) async fn sessions(&self, supplier: &str) -> Result<Vec<StoredSession>, StoreError> {
        let prefix = session_key(supplier, "");
        let rows = self.inner.kv.scan(Space::State, &prefix, &prefix, usize::MAX)?;
        rows.iter().map(|(key, row)| read_session(key, row)).collect()
    }

    #[expect(clippy::unused_async, reason = "the other engine awaits here")]
    pub(crate) async fn close_sessions(&self, supplier: &str, end_height: i64, epoch: u64) -> Result<(), PutError> {
        let mut state = self.lock();
        check_epoch(&state, supplier, epoch)?;
        let closed = u64::try_from(end_height).unwrap_or(0);
        let log = state.log(supplier);
        let mut batch = Batch::default();
        put_row(&mut batch, supplier, &log.counters, Own { closed, ..log.own() });
        self.inner.kv.write(batch)?;
        log.closed = closed;
        Ok(())
    }

    #[expect(clippy::unused_async, reason = "the other engine awaits here")]
    pub(crate) async fn closed_sessions(&self, supplier: &str) -> Result<i64, StoreError> {
        Ok(self.lock().logs.get(supplier).map_or(0, |log| i64::try_from(log.closed).unwrap_or(i64::MAX)))
    }

    pub(crate) async fn forget_session(&self, supplier: &str, session: &str, epoch: u64) -> Result<(), PutError> {
        let leaves = self.leaves(supplier, session).await?;
        let mut chunks = leaves.chunks(FORGET_LEAVES).peekable();
        loop {
            let chunk = chunks.next().unwrap_or_default();
            let last = chunks.peek().is_none();
            {
                let state = self.lock();
                check_epoch(&state, supplier, epoch)?;
                let mut batch = Batch::default();
                for leaf in chunk {
                    batch.delete(Space::Leaf, leaf_key(supplier, session, &leaf.path));
                    batch.delete(Space::Log, number_key(supplier, leaf.locator.seq));
                }
                // The record goes last: while it is there, a forgetting that was cut short can be repeated.
                if last {
                    batch.delete(Space::State, session_key(supplier, session));
                }
                self.inner.kv.write(batch)?;
            }
            if last {
                break;
            }
            tokio::task::yield_now().await;
        }
        Ok(self.settle().await?)
    }
}
