//! A session in memory: its record as last written, and its trie.

use pocket_crypto::smst::{self, Root, Trie};
use pocket_runtime::task;
use pocket_store::{Leaf, LeafStatus, SessionHeader, SessionRecord, Store, StoreError, StoredSession, Submission};

use crate::event::About;
use crate::lifecycle::{Sends, View};
use crate::terms::Terms;

/// Leaves above which hashing and sorting go to the pool for such work: below, they take less than a task does.
const LEAVES_INLINE_MAX: usize = 512;

/// One session of one supplier. Its lock orders commits, the seal and everything after.
#[derive(Debug)]
pub(crate) struct Session {
    /// As the store has it; revision 0 until the first commit has made it.
    pub(crate) record: SessionRecord,
    /// Leaves in the store.
    pub(crate) leaves: u64,
    pub(crate) terms: Terms,
    /// Grown with each commit; none when memory is short or it is no longer wanted. It is rebuilt from the store's leaves.
    trie: Option<Trie>,
    /// Whether a commit may have changed what the store has without our being told. It is read again before anything is
    /// decided on the session.
    pub(crate) is_doubtful: bool,
    /// Entries of the log to be acknowledged before it is sealed; set when sealing becomes due.
    pub(crate) drained_at: Option<u64>,
    /// What had been sent when this tenure began.
    sent_before: SentBefore,
}

/// Attempts that an earlier tenure recorded.
#[derive(Debug, Clone, Copy, Default)]
struct SentBefore {
    claim: u32,
    proof: u32,
}

/// A session's work cannot be done now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrieError {
    #[error("failed to read the leaves of a session")]
    Leaves(#[from] StoreError),
    #[error("the trie could not be built")]
    Build(#[from] task::TaskError),
    /// A broken promise of the store: nothing may be claimed on it.
    #[error("session {session} has {counted} leaves by its record and {built} in its trie")]
    Miscounted { session: String, counted: u64, built: u64 },
}

impl Session {
    /// A session whose first relay has just come.
    pub(crate) fn open(header: &SessionHeader, terms: Terms, with_trie: bool) -> Self {
        Self {
            record: SessionRecord::open(header),
            leaves: 0,
            terms,
            trie: with_trie.then(Trie::new),
            is_doubtful: false,
            drained_at: None,
            sent_before: SentBefore::default(),
        }
    }

    /// A session that the store remembers.
    pub(crate) fn resumed(stored: StoredSession, terms: Terms) -> Self {
        let attempts = |submission: &Option<Submission>| submission.as_ref().map_or(0, |sent| sent.attempts);
        let sent_before = SentBefore { claim: attempts(&stored.record.claim), proof: attempts(&stored.record.proof) };
        Self {
            record: stored.record,
            leaves: stored.leaves,
            terms,
            trie: None,
            is_doubtful: false,
            drained_at: None,
            sent_before,
        }
    }

    pub(crate) fn view(&self) -> View {
        View {
            state: self.record.state,
            leaves: self.leaves,
            claim: sends(self.record.claim.as_ref(), self.sent_before.claim),
            proof_required: self.record.proof_required,
            proof: sends(self.record.proof.as_ref(), self.sent_before.proof),
            final_height: self.record.final_height,
        }
    }

    pub(crate) fn about(&self) -> About {
        About {
            supplier: self.record.supplier.clone(),
            session: self.record.session.clone(),
            service: self.record.service.clone(),
            application: self.record.application.clone(),
        }
    }

    /// Grows the trie by what a commit has made durable.
    pub(crate) fn grow(&mut self, leaves: &[Leaf], statuses: &[LeafStatus]) {
        let Some(trie) = &mut self.trie else { return };
        for (leaf, status) in leaves.iter().zip(statuses) {
            if *status != LeafStatus::Missing {
                trie.insert_packed(leaf.path, leaf.leaf_hash, leaf.weight);
            }
        }
    }

    /// Forgets the trie: what the store took is not known, or the trie is not wanted any more.
    pub(crate) fn drop_trie(&mut self) {
        self.trie = None;
    }

    pub(crate) fn trie_bytes(&self) -> usize {
        self.trie.as_ref().map_or(0, Trie::bytes)
    }

    /// Returns the root over all leaves of a sealed session.
    pub(crate) async fn root(&mut self, store: &Store) -> Result<Root, TrieError> {
        let (root, trie) = on_pool(self.whole_trie(store).await?, Trie::root).await?;
        self.trie = Some(trie);
        Ok(root)
    }

    /// Hands the whole trie to `work`, off the async workers where it is large.
    pub(crate) async fn with_trie<T: Send + 'static>(
        &mut self,
        store: &Store,
        work: impl FnOnce(&mut Trie) -> T + Send + 'static,
    ) -> Result<T, TrieError> {
        let (result, trie) = on_pool(self.whole_trie(store).await?, work).await?;
        self.trie = Some(trie);
        Ok(result)
    }

    /// Takes the trie, rebuilt first if it is not there or lacks a leaf.
    async fn whole_trie(&mut self, store: &Store) -> Result<Trie, TrieError> {
        if let Some(trie) = self.trie.take()
            && trie.len() as u64 == self.leaves
        {
            return Ok(trie);
        }
        let leaves = store.leaves(&self.record.supplier, &self.record.session).await?;
        let load = move || {
            let packed = leaves.iter().map(|leaf| smst::PackedLeaf {
                path: leaf.path,
                leaf_hash: leaf.leaf_hash,
                weight: leaf.weight,
            });
            Trie::from_sorted(packed)
        };
        let trie = if self.leaves > LEAVES_INLINE_MAX as u64 { task::blocking("trie", load).await? } else { load() };
        let built = trie.len() as u64;
        if built != self.leaves {
            let session = self.record.session.clone();
            return Err(TrieError::Miscounted { session, counted: self.leaves, built });
        }
        Ok(trie)
    }
}

async fn on_pool<T: Send + 'static>(
    mut trie: Trie,
    work: impl FnOnce(&mut Trie) -> T + Send + 'static,
) -> Result<(T, Trie), TrieError> {
    if trie.len() <= LEAVES_INLINE_MAX {
        return Ok((work(&mut trie), trie));
    }
    let work = move || {
        let result = work(&mut trie);
        (result, trie)
    };
    Ok(task::blocking("trie", work).await?)
}

fn sends(submission: Option<&Submission>, before: u32) -> Sends {
    submission.map_or_else(Sends::default, |submission| Sends {
        count: submission.attempts,
        ours: submission.attempts.saturating_sub(before),
        last: submission.last_sent_height,
    })
}

/// Notes the class of the chain's last refusal of a claim or proof.
pub(crate) fn set_refusal(submission: &mut Submission, class: &str, text: &str) {
    submission.last_error = Some(text.chars().take(REFUSAL_CHARS_MAX).collect());
    submission.last_refusal = Some(class.to_owned());
}

/// Returns whether the chain's last word on a claim was a refusal of it.
pub(crate) fn is_refused(record: &SessionRecord) -> bool {
    record.claim.as_ref().is_some_and(|claim| claim.attempts == 0 && claim.last_refusal.is_some())
}

/// Characters of a refusal's text that a record keeps.
const REFUSAL_CHARS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use pocket_protocol::mining::{BASE_TARGET, Price};
    use pocket_protocol::windows::Windows;

    use super::*;

    fn sent(attempts: u32, last: i64) -> Submission {
        Submission { attempts, last_sent_height: Some(last), ..Submission::default() }
    }

    #[test]
    fn what_a_refusal_writes_down_leaves_every_other_fact_in_place() {
        let mut proof = Submission { invalid_at: Some(14), ..sent(2, 13) };
        proof.extra.insert("of_a_later_version".to_owned(), 1.into());
        let before = proof.clone();
        set_refusal(&mut proof, "invalid", "why");
        let expected =
            Submission { last_error: Some("why".to_owned()), last_refusal: Some("invalid".to_owned()), ..before };
        assert_eq!(proof, expected);
    }

    #[test]
    fn a_resumed_session_tells_its_own_sends_from_those_of_an_earlier_tenure() {
        let header = SessionHeader {
            supplier: "supplier".to_owned(),
            session: "session".to_owned(),
            service: "service".to_owned(),
            application: "application".to_owned(),
            start_height: 1,
            end_height: 10,
        };
        let terms = Terms {
            windows: Windows { grace_end: 11, claim_open: 12, claim_close: 20, proof_open: 20, proof_close: 28 },
            compute_units_per_relay: 1,
            target: BASE_TARGET,
            price: Price { compute_units_to_tokens_multiplier: 1, compute_unit_cost_granularity: 1 },
        };
        let record = SessionRecord { claim: Some(sent(2, 13)), ..SessionRecord::open(&header) };
        let mut session = Session::resumed(StoredSession { record, leaves: 1 }, terms);
        assert_eq!(session.view().claim, Sends { count: 2, ours: 0, last: Some(13) });
        assert_eq!(session.view().proof, Sends::default());

        session.record.claim = Some(sent(3, 15));
        session.record.proof = Some(sent(1, 21));
        assert_eq!(session.view().claim, Sends { count: 3, ours: 1, last: Some(15) });
        assert_eq!(session.view().proof, Sends { count: 1, ours: 1, last: Some(21) });
    }
}
