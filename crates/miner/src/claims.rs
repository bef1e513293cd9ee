//! Claims: built, found on the chain, given up, settled.

use num_bigint::BigUint;
use pocket_chain::{Prepared, QueryErrorKind};
use pocket_proto::pocket::proof::{Claim, ClaimProofStatus, MsgCreateClaim};
use pocket_protocol::height::Height;
use pocket_protocol::mining::profit::{self, Fees};
use pocket_protocol::sampling;
use pocket_store::{Outcome, SessionRecord, SessionState, Settlement};
use prost::{Message, Name};
use prost_types::Any;

use crate::event::Event;
use crate::ledger::Unclaimed;
use crate::session::{self, Session};
use crate::settlement::{ClaimKey, Fate};
use crate::submit::Item;
use crate::tenure::{Cell, StepError, Tenure};
use crate::terms::{self, Terms};

impl Tenure {
    /// Builds a sealed session's claim. Its root is computed once and recorded.
    pub(crate) async fn claim(&self, cell: &Cell, session: &mut Session) -> Result<Item, StepError> {
        self.fix_root(session).await?;
        let record = &session.record;
        let message = MsgCreateClaim {
            supplier_operator_address: record.supplier.clone(),
            session_header: Some(terms::header(record)),
            root_hash: root_of(record).unwrap_or_default(),
        };
        Ok(Item {
            cell: cell.clone(),
            message: any(&message),
            sends: session.view().claim,
            close: session.terms.windows.claim_close,
        })
    }

    async fn fix_root(&self, session: &mut Session) -> Result<(), StepError> {
        if session.record.root.is_some() {
            return Ok(());
        }
        let root = session.root(&self.miner.store).await?;
        let upokt = session.terms.upokt(root.sum());
        self.write(session, |record| {
            record.root = Some(hex::encode(root.as_bytes()));
            record.relays = root.count();
            record.compute_units = root.sum();
            record.claimed_upokt = upokt;
        })
        .await
    }

    /// Leaves out the claims that would not earn their share of this transaction's fee and of a proof's.
    pub(crate) async fn keep_profitable(&self, items: Vec<Item>, prepared: &Prepared, height: Height) -> Vec<Item> {
        let params = match self.miner.chain.proof_params().await {
            Ok(params) => params,
            Err(error) => {
                tracing::warn!(%error, "the proof parameters could not be read; claims are sent whatever they earn");
                return items;
            }
        };
        let share = prepared.fee.0.div_ceil(items.len().max(1) as u128);
        let share = u64::try_from(share).unwrap_or(u64::MAX);
        let fees = Fees {
            claim_tx_upokt: share,
            proof_tx_upokt: share,
            proof_submission_upokt: u64::try_from(params.submission_fee.0).unwrap_or(u64::MAX),
        };
        let mut kept = Vec::new();
        for item in items {
            let mut session = item.cell.lock().await;
            let upokt = session.record.claimed_upokt;
            let certain = u128::from(upokt) >= params.requirement_threshold.0;
            let probability = if certain { 1.0 } else { params.request_probability };
            let worth_it = profit::decide(&BigUint::from(upokt), fees, probability).is_claim();
            // A claim that was sent may land, so it is too late to leave it out.
            if worth_it || item.sends.count > 0 {
                drop(session);
                kept.push(item);
            } else if let Err(error) = self.give_up(&mut session, Unclaimed::Unprofitable, height).await {
                tracing::warn!(%error, "an unprofitable claim could not be given up; it is looked at again");
            }
        }
        kept
    }

    /// Compares what the chain holds with what we believe, and believes the chain.
    pub(crate) async fn reconcile(
        &self,
        session: &mut Session,
        claim: Option<&Claim>,
        height: Height,
    ) -> Result<(), StepError> {
        let Some(claim) = claim else { return Ok(()) };
        let state = session.record.state;
        if matches!(state, SessionState::Sealed | SessionState::Unclaimed) {
            // Without a root nothing of ours was ever sent.
            if root_of(&session.record).is_none_or(|ours| claim.root_hash[..] != ours[..]) {
                // While the window is open ours replaces it; it is sent anyway.
                if state == SessionState::Sealed && height >= session.terms.windows.claim_close {
                    self.give_up(session, Unclaimed::OtherRoot, height).await?;
                }
                return Ok(());
            }
            self.landed(session, height).await?;
        }
        if session.record.state != SessionState::Claimed {
            return Ok(());
        }
        match ClaimProofStatus::try_from(claim.proof_validation_status) {
            Ok(ClaimProofStatus::Validated) => {
                self.write(session, |record| {
                    record.state = SessionState::Proved;
                    record.proof_required = Some(true);
                    record.proof.get_or_insert_default().included_height = Some(height);
                })
                .await?;
                let about = session.about();
                tracing::info!(supplier = %about.supplier, session = %about.session, height, "proof is valid");
                self.miner.teller.tell(Event::ProofValid { about, height });
            }
            Ok(ClaimProofStatus::Invalid) => self.proof_invalid(session, height).await?,
            _ => {}
        }
        Ok(())
    }

    /// The chain holds the claim, even if we had given it up.
    async fn landed(&self, session: &mut Session, height: Height) -> Result<(), StepError> {
        self.write(session, |record| {
            record.state = SessionState::Claimed;
            record.unclaimed = None;
            record.final_height = None;
            record.claim.get_or_insert_default().included_height = Some(height);
        })
        .await?;
        let about = session.about();
        let (relays, upokt) = (session.record.relays, session.record.claimed_upokt);
        tracing::info!(supplier = %about.supplier, session = %about.session, height, relays, upokt, "claim is on the chain");
        let labels = [about.supplier.as_str(), about.service.as_str()];
        self.miner.metrics.ha_relays_claimed.with_label_values(&labels).inc_by(relays);
        self.miner.metrics.ha_upokt_claimed.with_label_values(&labels).inc_by(upokt);
        self.miner.teller.tell(Event::ClaimLanded { about, height, relays, upokt });
        Ok(())
    }

    /// Gives up a session for which nothing was ever sent. Another miner may have claimed it all the same.
    pub(crate) async fn missed(&self, session: &mut Session, height: Height) -> Result<(), StepError> {
        let claimed = self.is_claimed_by_another(session, height).await;
        self.give_up(session, if claimed { Unclaimed::OtherRoot } else { Unclaimed::Window }, height).await
    }

    /// Returns whether the chain holds, or has settled, a claim of a session that we never claimed. It decides on a word
    /// alone, so that a node that cannot tell holds nothing up.
    async fn is_claimed_by_another(&self, session: &Session, height: Height) -> bool {
        let (chain, windows) = (&self.miner.chain, &session.terms.windows);
        if height >= windows.proof_close {
            let settled = self.miner.settled.at(chain, windows.proof_close).await;
            return settled.is_ok_and(|settled| settled.fate(&key_of(&session.record)).is_some());
        }
        let claims = chain.claims_of_supplier(&self.supplier, height).await.unwrap_or_default();
        let of = |claim: &Claim| claim.session_header.as_ref().map(|header| header.session_id.clone());
        claims.iter().any(|claim| of(claim).as_ref() == Some(&session.record.session))
    }

    /// Says that no claim will be made: the leaves are accounted for by the reason.
    pub(crate) async fn give_up(
        &self,
        session: &mut Session,
        reason: Unclaimed,
        height: Height,
    ) -> Result<(), StepError> {
        if session.record.state == SessionState::Open {
            // No leaf may come after they have been counted, nor have come unnoticed before.
            self.write(session, |record| record.state = SessionState::Sealed).await?;
            self.reload(session).await?;
        }
        let leaves = session.leaves;
        self.write(session, |record| {
            record.state = SessionState::Unclaimed;
            record.unclaimed = Some(reason.word().to_owned());
            record.relays = leaves;
            record.final_height = Some(height);
        })
        .await?;
        if leaves == 0 {
            return Ok(());
        }
        let about = session.about();
        match reason {
            Unclaimed::Unprofitable => tracing::info!(
                supplier = %about.supplier, session = %about.session, service = %about.service, height,
                relays = leaves, upokt = session.record.claimed_upokt, "a claim below its fees is left out"
            ),
            Unclaimed::OtherRoot => tracing::warn!(
                supplier = %about.supplier, session = %about.session, service = %about.service, height,
                relays = leaves, "another miner has claimed a session; whether our relays are in its claim is not known"
            ),
            Unclaimed::Window | Unclaimed::Refused => tracing::error!(
                supplier = %about.supplier, session = %about.session, service = %about.service, height,
                relays = leaves, reason = reason.word(),
                last_error = session.record.claim.as_ref().and_then(|claim| claim.last_error.as_deref()),
                "a session was not claimed"
            ),
        }
        self.miner.metrics.claims.with_label_values(&["unclaimed"]).inc();
        self.miner.metrics.claimed_relays.with_label_values(&["unclaimed"]).inc_by(leaves);
        self.miner.teller.tell(Event::Unclaimed { about, height, relays: leaves, reason: reason.word() });
        Ok(())
    }

    /// Reads how the chain settled a session; false if that block is not to be had yet.
    pub(crate) async fn settle(&self, session: &mut Session, height: Height) -> Result<bool, StepError> {
        let settled_at = session.terms.windows.proof_close;
        let settlements = match self.miner.settled.at(&self.miner.chain, settled_at).await {
            Ok(settlements) => settlements,
            Err(error) if error.kind == QueryErrorKind::Ahead => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let fate = settlements.fate(&key_of(&session.record));
        let is_sealed = session.record.state == SessionState::Sealed;
        // Nobody saw a claim of ours: it may be another miner's that was settled.
        if let Some(fate) = &fate
            && is_sealed
            && !self.is_ours(session, fate).await?
        {
            return self.give_up(session, Unclaimed::OtherRoot, height).await.map(|()| true);
        }
        match fate {
            Some(fate) => self.settled(session, fate, settled_at).await.map(|()| true),
            // Sent, perhaps, and never on the chain.
            None if is_sealed => {
                let reason = missed_because(session);
                self.give_up(session, reason, height).await.map(|()| true)
            }
            None => {
                if height <= settled_at + 1 {
                    tracing::error!(
                        supplier = %self.supplier, session = %session.record.session, height = settled_at,
                        "the block that should have settled a claim does not mention it; it stays in `waiting`"
                    );
                }
                Ok(false)
            }
        }
    }

    /// Returns whether a settled claim may be the one we made, or would have.
    async fn is_ours(&self, session: &mut Session, fate: &Fate) -> Result<bool, StepError> {
        self.fix_root(session).await?;
        Ok(fate.compute_units.is_none_or(|units| units == session.record.compute_units))
    }

    async fn settled(&self, session: &mut Session, fate: Fate, settled_at: Height) -> Result<(), StepError> {
        // Claimed, and nobody saw it before it was settled.
        self.fix_root(session).await?;
        let Fate { outcome, paid_upokt, slashed_upokt, .. } = fate;
        self.write(session, |record| {
            record.settlement = Some(Settlement {
                outcome,
                height: settled_at,
                relays: record.relays,
                claimed_upokt: record.claimed_upokt,
                paid_upokt,
                slashed_upokt,
                extra: std::collections::BTreeMap::new(),
            });
            record.state = SessionState::Settled;
            record.final_height = Some(settled_at);
        })
        .await?;
        self.tell_settled(session, fate, settled_at);
        Ok(())
    }

    fn tell_settled(&self, session: &Session, fate: Fate, height: Height) {
        let about = session.about();
        let (relays, claimed_upokt) = (session.record.relays, session.record.claimed_upokt);
        let Fate { outcome, paid_upokt: upokt, slashed_upokt, .. } = fate;
        let metrics = &self.miner.metrics;
        let upokt_to = |term: &str, amount| metrics.upokt.with_label_values(&[term]).inc_by(amount);
        let (supplier, id) = (about.supplier.clone(), about.session.clone());
        let word = match outcome {
            Outcome::SettledProved => "settled_proved",
            Outcome::SettledUnproved => "settled_unproved",
            Outcome::Expired => "expired",
            Outcome::Discarded => "discarded",
        };
        metrics.claims.with_label_values(&[word]).inc();
        metrics.claimed_relays.with_label_values(&[word]).inc_by(relays);
        match outcome {
            Outcome::SettledProved | Outcome::SettledUnproved => {
                tracing::info!(%supplier, session = %id, height, relays, upokt, claimed_upokt, "claim is settled");
                upokt_to("paid", upokt);
                upokt_to("capped", claimed_upokt.saturating_sub(upokt));
                let labels = [about.supplier.as_str(), about.service.as_str()];
                metrics.ha_upokt_earned.with_label_values(&labels).inc_by(upokt);
                let proved = outcome == Outcome::SettledProved;
                self.miner.teller.tell(Event::Settled { about, height, relays, claimed_upokt, upokt, proved });
            }
            Outcome::Expired => {
                tracing::error!(%supplier, session = %id, height, relays, slashed_upokt, "claim has expired: its proof was missing or wrong");
                upokt_to("expired", claimed_upokt);
                self.miner.teller.tell(Event::Expired { about, height, relays, slashed_upokt });
            }
            Outcome::Discarded => {
                tracing::error!(%supplier, session = %id, height, relays, "the chain has discarded a claim");
                upokt_to("discarded", claimed_upokt);
                self.miner.teller.tell(Event::Discarded { about, height, relays });
            }
        }
    }

    /// Finds out whether the claim, as the chain stores it, must be proved.
    pub(crate) async fn decide(&self, session: &mut Session, claim: &Claim, height: Height) -> Result<(), StepError> {
        let chain = &self.miner.chain;
        let seed = chain.blocks().at(session.terms.windows.seed_height()).await?;
        let params = chain.proof_params().await?;
        let required = requirement(claim, &seed.hash, &session.terms, &sampling::Terms::from(&params));
        self.write(session, |record| {
            record.proof_required = Some(required);
            if !required {
                record.state = SessionState::Proved;
            }
        })
        .await?;
        let about = session.about();
        tracing::info!(supplier = %about.supplier, session = %about.session, height, required, "proof decided on");
        if !required {
            self.miner.teller.tell(Event::ProofNotRequired { about, height });
        }
        Ok(())
    }
}

/// Returns whether a claim must be proved, by the sample of its stored form. A proof was tried already for a claim that is
/// no longer pending, so it was wanted.
fn requirement(claim: &Claim, seed: &[u8; 32], terms: &Terms, sampling_terms: &sampling::Terms) -> bool {
    if claim.proof_validation_status != i32::from(ClaimProofStatus::PendingValidation) {
        return true;
    }
    let compute_units = pocket_protocol::mining::Work::of_root(&claim.root_hash).map_or(0, |work| work.compute_units);
    match pocket_protocol::mining::claimed_upokt(compute_units, &terms.target, terms.price) {
        Ok(upokt) => {
            let hash = sampling::claim_hash(&claim.encode_to_vec());
            sampling::decide(&hash, seed, &upokt, sampling_terms).requirement.is_required()
        }
        // A worth that cannot be computed cannot be decided on: a proof that is not wanted only costs its fee.
        Err(_) => true,
    }
}

/// Returns what names a session's claim in the events of its settlement.
fn key_of(record: &SessionRecord) -> ClaimKey {
    ClaimKey {
        supplier: record.supplier.clone(),
        application: record.application.clone(),
        service: record.service.clone(),
        end_height: record.end_height,
    }
}

/// Returns why a sealed session has no claim on the chain.
pub(crate) fn missed_because(session: &Session) -> Unclaimed {
    if session::is_refused(&session.record) { Unclaimed::Refused } else { Unclaimed::Window }
}

/// Returns the root of a sealed session, once it is fixed.
pub(crate) fn root_of(record: &SessionRecord) -> Option<Vec<u8>> {
    hex::decode(record.root.as_deref()?).ok()
}

/// Packs a message for a transaction.
pub(crate) fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}
