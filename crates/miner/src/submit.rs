//! Claims and proofs on their way: batched, recorded, sent.
//!
//! All messages of a transaction succeed or fail together, so one that the chain refuses is taken out, by its index where
//! the chain names it and by halving where not, and the others go on. What is about to be sent is in the store first.

use std::time::Duration;

use pocket_chain::{Prepared, Refusal, RefusalClass, SendError};
use pocket_protocol::height::Height;
use pocket_store::{SessionRecord, SessionState, Submission};
use prost_types::Any;

use crate::event::Event;
use crate::lifecycle::Sends;
use crate::session;
use crate::tenure::{Cell, StepError, Tenure};

/// Bytes of a transaction beside its messages: signature, key, fee, memo, and the frames of messages.
const ENVELOPE_BYTES: usize = 512;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Claim,
    Proof,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Proof => "proof",
        }
    }

    fn submission(self, record: &mut SessionRecord) -> &mut Submission {
        match self {
            Self::Claim => record.claim.get_or_insert_default(),
            Self::Proof => record.proof.get_or_insert_default(),
        }
    }
}

/// A claim or proof that is due.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) cell: Cell,
    pub(crate) message: Any,
    /// How it was sent before.
    pub(crate) sends: Sends,
    /// Last height at which it may be included.
    pub(crate) close: Height,
}

impl Tenure {
    /// Sends what is due after the block at `height`.
    pub(crate) async fn submit(&self, kind: Kind, items: Vec<Item>, height: Height) {
        let settings = &self.miner.settings.transaction;
        let single = match kind {
            Kind::Claim => settings.disable_claim_batching,
            Kind::Proof => settings.disable_proof_batching,
        };
        let messages_max = if single { 1 } else { settings.messages_max };
        let mut waiting = split(items, messages_max, settings.bytes_max);
        // A stack: the halves of a refused batch come next.
        while let Some(items) = waiting.pop() {
            if self.is_ended() {
                return;
            }
            waiting.extend(self.submit_one(kind, items, height).await);
        }
    }

    /// Sends one transaction; returns what has to be sent in others instead.
    async fn submit_one(&self, kind: Kind, mut items: Vec<Item>, height: Height) -> Vec<Vec<Item>> {
        let Ok(_slot) = self.miner.submissions.acquire().await else { return Vec::new() };
        let messages: Vec<Any> = items.iter().map(|item| item.message.clone()).collect();
        let close = items.iter().map(|item| item.close).min().unwrap_or(height);
        let ttl = self.time_to_live(close - height);
        let prepared = match self.sender.prepare(&messages, &self.miner.gas, ttl).await {
            Ok(prepared) => prepared,
            Err(error) => return self.take_apart(kind, items, &error, height).await,
        };
        if kind == Kind::Claim && self.miner.settings.skip_unprofitable_claims {
            let before = items.len();
            items = self.keep_profitable(items, &prepared, height).await;
            if items.len() < before {
                // The fee is another now.
                return if items.is_empty() { Vec::new() } else { vec![items] };
            }
        }
        // Building took its time, and what counts is when it is sent.
        let height = self.miner.chain.height().max(height);
        let mut before = Vec::with_capacity(items.len());
        for item in &items {
            match self.record_send(kind, item, &prepared, height).await {
                Ok(submission) => before.push(submission),
                Err(error) => {
                    self.miner.metrics.steps_failed.with_label_values(&[kind.word()]).inc();
                    tracing::warn!(supplier = %self.supplier, kind = kind.word(), %error, "a submission could not be recorded and was not sent");
                    self.record_unsent(kind, &items, before).await;
                    return Vec::new();
                }
            }
        }
        match self.sender.broadcast(&prepared).await {
            Ok(()) => self.count_sent(kind, items.len(), "sent"),
            Err(SendError::Refused(refusal)) if refusal.class == RefusalClass::AlreadySent => {
                self.count_sent(kind, items.len(), "sent");
            }
            Err(error) => {
                // Of a refusal it is certain that nothing is under way, so nothing has to be waited for.
                if matches!(error, SendError::Refused(_)) {
                    self.record_unsent(kind, &items, before).await;
                }
                return self.take_apart(kind, items, &error, height).await;
            }
        }
        for item in &items {
            self.tell_sent(kind, item, &prepared, height).await;
        }
        Vec::new()
    }

    fn time_to_live(&self, blocks: Height) -> Duration {
        let settings = &self.miner.settings;
        let (min, max) = (settings.transaction.tx_timeout_min_seconds, settings.transaction.tx_timeout_max_seconds);
        let blocks = u32::try_from(blocks.max(0)).unwrap_or(u32::MAX);
        let window = f64::from(blocks) * settings.block_time_seconds.max(0.0);
        Duration::try_from_secs_f64(window)
            .unwrap_or(Duration::from_secs(max))
            .clamp(Duration::from_secs(min), Duration::from_secs(max))
    }

    /// Decides what a failed transaction means for its messages; returns what is to be sent without delay.
    async fn take_apart(&self, kind: Kind, mut items: Vec<Item>, error: &SendError, height: Height) -> Vec<Vec<Item>> {
        let refusal = match error {
            SendError::Query(error) => {
                self.count_sent(kind, items.len(), "unanswered");
                tracing::warn!(supplier = %self.supplier, kind = kind.word(), %error, "the node did not take a submission; trying again after the next block");
                return Vec::new();
            }
            SendError::Refused(refusal) => refusal,
        };
        if !concerns_message(refusal) {
            self.count_sent(kind, items.len(), refusal.class.label());
            self.report(kind, refusal);
            return Vec::new();
        }
        if items.len() > 1 {
            if let Some(index) = refusal.message_index.filter(|index| *index < items.len()) {
                let bad = items.remove(index);
                self.refused(kind, &bad, refusal, height).await;
                return vec![items];
            }
            let rest = items.split_off(items.len() / 2);
            return vec![rest, items];
        }
        for item in &items {
            self.refused(kind, item, refusal, height).await;
        }
        Vec::new()
    }

    /// Notes what the chain said of one claim or proof. It is tried again while its window is open: a node may be behind.
    async fn refused(&self, kind: Kind, item: &Item, refusal: &Refusal, height: Height) {
        self.count_sent(kind, 1, refusal.class.label());
        let mut session = item.cell.lock().await;
        tracing::warn!(
            supplier = %self.supplier, session = %session.record.session, kind = kind.word(), height, %refusal,
            "the chain refuses a submission"
        );
        let written = match (kind, refusal.class) {
            // The chain's own rule has the last word on what it wants.
            (Kind::Proof, RefusalClass::NotRequired) => {
                let settles_alone = |record: &mut SessionRecord| {
                    record.proof_required = Some(false);
                    record.state = SessionState::Proved;
                };
                self.write(&mut session, settles_alone).await
            }
            // Not refused: early or late.
            (_, RefusalClass::WindowNotOpen | RefusalClass::WindowClosed) => Ok(()),
            (_, class) => {
                if class == RefusalClass::FundsShort {
                    self.report(kind, refusal);
                }
                let label = class.label();
                let known = kind.submission(&mut session.record.clone()).last_error.clone();
                if known.as_deref().is_some_and(|known| refusal.log.starts_with(known)) {
                    return;
                }
                let note = |record: &mut SessionRecord| {
                    session::set_refusal(kind.submission(record), label, &refusal.log);
                };
                self.write(&mut session, note).await
            }
        };
        if let Err(error) = written {
            tracing::debug!(%error, "a refusal could not be recorded");
        }
    }

    fn report(&self, kind: Kind, refusal: &Refusal) {
        match refusal.class {
            RefusalClass::FundsShort => tracing::error!(
                supplier = %self.supplier, kind = kind.word(), %refusal,
                "the supplier's operator account cannot pay for its transactions: send upokt to it"
            ),
            RefusalClass::FeeTooLow => tracing::error!(
                supplier = %self.supplier, kind = kind.word(), %refusal,
                "the node wants a higher fee: raise `transaction.gas_price`"
            ),
            _ => tracing::warn!(
                supplier = %self.supplier, kind = kind.word(), %refusal,
                "the node did not take a submission; trying again after the next block"
            ),
        }
    }

    /// Records that a claim or proof is sent now; returns what was recorded of it before.
    async fn record_send(
        &self,
        kind: Kind,
        item: &Item,
        prepared: &Prepared,
        height: Height,
    ) -> Result<Submission, StepError> {
        let mut session = item.cell.lock().await;
        let before = kind.submission(&mut session.record.clone()).clone();
        self.write(&mut session, |record| {
            let submission = kind.submission(record);
            submission.attempts = item.sends.count + 1;
            submission.tx_hash = Some(prepared.hash.clone());
            submission.first_sent_height.get_or_insert(height);
            submission.last_sent_height = Some(height);
        })
        .await?;
        Ok(before)
    }

    /// Takes records of sends back: what they say was sent certainly was not, and is due again at once.
    async fn record_unsent(&self, kind: Kind, items: &[Item], before: Vec<Submission>) {
        for (item, before) in items.iter().zip(before) {
            let mut session = item.cell.lock().await;
            let restore = |record: &mut SessionRecord| *kind.submission(record) = before;
            if let Err(error) = self.write(&mut session, restore).await {
                tracing::debug!(%error, "an unsent submission stays recorded as sent; it is sent again after a pause");
            }
        }
    }

    async fn tell_sent(&self, kind: Kind, item: &Item, prepared: &Prepared, height: Height) {
        let session = item.cell.lock().await;
        let (about, tx, attempt) = (session.about(), prepared.hash.clone(), item.sends.count + 1);
        tracing::info!(
            supplier = %about.supplier, session = %about.session, service = %about.service, height, tx = %tx, attempt,
            relays = session.record.relays, "{} sent", kind.word()
        );
        let labels = [about.supplier.clone(), about.service.clone()];
        let (relays, upokt) = (session.record.relays, session.record.claimed_upokt);
        match kind {
            Kind::Claim => {
                self.miner.metrics.ha_claims_submitted.with_label_values(&labels).inc();
                self.miner.teller.tell(Event::ClaimSent { about, height, tx, relays, upokt, attempt });
            }
            Kind::Proof => {
                self.miner.metrics.ha_proofs_submitted.with_label_values(&labels).inc();
                self.miner.teller.tell(Event::ProofSent { about, height, tx, attempt });
            }
        }
    }

    fn count_sent(&self, kind: Kind, messages: usize, outcome: &str) {
        self.miner.metrics.submissions.with_label_values(&[kind.word(), outcome]).inc_by(messages as u64);
    }
}

/// Returns whether a refusal is about a message, rather than about the transaction, the account or the node.
fn concerns_message(refusal: &Refusal) -> bool {
    // An account that can pay for some proofs shall prove those.
    if refusal.class == RefusalClass::FundsShort {
        return refusal.message_index.is_some();
    }
    matches!(
        refusal.class,
        RefusalClass::WindowNotOpen
            | RefusalClass::WindowClosed
            | RefusalClass::NotRequired
            | RefusalClass::ClaimMissing
            | RefusalClass::Invalid
    )
}

/// Splits what is due into transactions. What this tenure sent before in vain goes in smaller ones, in the end alone: it
/// may be the one that made the others fail.
fn split(items: Vec<Item>, messages_max: usize, bytes_max: usize) -> Vec<Vec<Item>> {
    let mut batches: Vec<(usize, usize, Vec<Item>)> = Vec::new();
    for item in items {
        let most = messages_max.checked_shr(item.sends.ours.saturating_mul(2)).unwrap_or(0).max(1);
        let bytes = item.message.value.len() + item.message.type_url.len() + 16;
        match batches.last_mut() {
            Some((limit, used, batch))
                if batch.len() < most.min(*limit) && ENVELOPE_BYTES + *used + bytes <= bytes_max =>
            {
                *limit = most.min(*limit);
                *used += bytes;
                batch.push(item);
            }
            _ => batches.push((most, bytes, vec![item])),
        }
    }
    batches.into_iter().map(|(_, _, batch)| batch).collect()
}
