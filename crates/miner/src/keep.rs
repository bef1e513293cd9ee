//! One supplier, from block to block: its lease, and what its sessions ask for.
//!
//! Each supplier is a task of its own that works at its own pace: after a block it looks at the newest height, whatever
//! passed meanwhile. A step that fails is left as it was and looked at again after the next block.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pocket_crypto::keys::SecretKey;
use pocket_proto::pocket::proof::Claim;
use pocket_protocol::height::Height;
use pocket_runtime::shutdown::Shutdown;
use pocket_runtime::{clock, task};
use pocket_store::{Lease, LeaseError, LeaseName, SessionState};

use crate::claims;
use crate::lifecycle::{self, Due};
use crate::miner::Miner;
use crate::session::Session;
use crate::submit::{Item, Kind};
use crate::tenure::{self, Cell, StepError, Tenure};

/// Pause before a lease is asked for again.
const LEASE_RETRY: Duration = Duration::from_millis(500);

/// Steps of one session after one block, at most; a life has fewer.
const STEPS_MAX: usize = 8;

/// Longest wait in one block for ingest to decide on what is in the log before a session is sealed.
const DRAIN_WAIT: Duration = Duration::from_millis(50);

/// A supplier to keep.
pub(crate) struct Keeper {
    pub(crate) miner: Arc<Miner>,
    pub(crate) supplier: String,
    pub(crate) key: Arc<SecretKey>,
}

/// What comes after a step of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The next step, at once.
    Step,
    /// Nothing more before the next block.
    Rest,
}

/// What the chain holds of a supplier's claims, by session id; none where it was not asked or did not answer.
pub(crate) type OnChain = Option<BTreeMap<String, Claim>>;

impl Keeper {
    /// Holds the supplier's lease whenever it can be had, and does its work meanwhile, until `shutdown`.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let name = LeaseName::Supplier(self.supplier.clone());
        while !shutdown.is_triggered() {
            let Some(lease) = acquire(&self.miner, &name, &shutdown).await else { return };
            if self.miner.losses.are_recent() {
                tracing::debug!(supplier = %self.supplier, epoch = lease.epoch, "supplier is ours again");
            } else {
                tracing::info!(supplier = %self.supplier, epoch = lease.epoch, "supplier is ours");
            }
            if let Some(tenure) = self.begin(&lease, &shutdown).await {
                self.serve(&tenure, &shutdown).await;
                self.miner.remove(&tenure);
            }
            if shutdown.is_triggered()
                && let Err(error) = self.miner.store.lease_release(&lease).await
            {
                tracing::debug!(supplier = %self.supplier, %error, "the lease was not given back; it runs out");
            }
        }
    }

    async fn begin(&self, lease: &Lease, shutdown: &Shutdown) -> Option<Arc<Tenure>> {
        while !shutdown.is_triggered() {
            match Tenure::begin(&self.miner, lease.clone(), &self.supplier, self.key.clone(), shutdown).await {
                Ok(tenure) => {
                    let tenure = Arc::new(tenure);
                    self.miner.add(&tenure);
                    return Some(tenure);
                }
                Err(error) => {
                    tracing::warn!(supplier = %self.supplier, %error, "the supplier's sessions could not be resumed; trying again");
                }
            }
            shutdown.unless_triggered(tokio::time::sleep(LEASE_RETRY)).await?;
            if !matches!(self.miner.store.lease_renew(lease, self.miner.lease_ttl()).await, Ok(())) {
                return None;
            }
        }
        None
    }

    async fn serve(&self, tenure: &Arc<Tenure>, shutdown: &Shutdown) {
        let _renewing = task::spawn("renew lease", renew(tenure.clone())).abort_on_drop();
        let blocks = self.miner.chain.blocks().clone();
        let mut last = None;
        while !tenure.is_ended() {
            let block = tokio::select! {
                biased;
                () = tenure.ended() => break,
                block = blocks.next(last) => block,
            };
            last = Some(block);
            let begun = clock::now();
            tokio::select! {
                biased;
                // Nothing of a step is lost by leaving in its middle.
                () = past(shutdown) => break,
                () = tenure.step_until_drained(block.height) => {}
            }
            self.miner.metrics.block.observe((clock::now() - begun).as_secs_f64());
        }
    }
}

/// Ends when the time to finish what is under way is over.
async fn past(shutdown: &Shutdown) {
    shutdown.triggered().await;
    tokio::time::sleep(shutdown.remaining() / 2).await;
}

/// Asks for a lease until it is given; none at shutdown.
pub(crate) async fn acquire(miner: &Miner, name: &LeaseName, shutdown: &Shutdown) -> Option<Lease> {
    let mut told = false;
    loop {
        match miner.store.lease_acquire(name, &miner.name, miner.lease_ttl()).await {
            Ok(lease) => return Some(lease),
            Err(LeaseError::Held { holder, .. }) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::info!(lease = %name, %holder, "another miner holds the lease; waiting");
                }
            }
            Err(error) => tracing::warn!(lease = %name, %error, "the lease could not be asked for; trying again"),
        }
        shutdown.unless_triggered(tokio::time::sleep(LEASE_RETRY)).await?;
    }
}

/// Renews a tenure's lease until it is lost.
async fn renew(tenure: Arc<Tenure>) {
    let every = Duration::from_secs(tenure.miner.settings.supplier_claiming.renew_rate_seconds.max(1));
    let ttl = tenure.miner.lease_ttl();
    let mut until = clock::now() + ttl;
    loop {
        tokio::time::sleep(every).await;
        let asked = clock::now();
        match tenure.miner.store.lease_renew(&tenure.lease, ttl).await {
            Ok(()) => until = asked + ttl,
            Err(LeaseError::Store(error)) if clock::now() < until => {
                tracing::warn!(supplier = %tenure.supplier, %error, "the lease could not be renewed; trying again");
            }
            Err(error) => {
                tenure.lose(&error);
                return;
            }
        }
    }
}

impl Tenure {
    /// Does what is due, and while ingest still works through what came before a seal, does so again.
    async fn step_until_drained(&self, height: Height) {
        let begun = clock::now();
        while self.step(height).await && clock::now() - begun < DRAIN_WAIT {
            // A progress that came between is not heard; the wait is short.
            let _ = tokio::time::timeout(DRAIN_WAIT / 5, self.progress()).await;
        }
    }

    /// Does what is due after the block at `height`; returns whether a seal still waits for ingest.
    async fn step(&self, height: Height) -> bool {
        let cells = self.cells();
        let mut wanted = false;
        for cell in &cells {
            let session = cell.lock().await;
            wanted |= lifecycle::wants_claim(&session.view(), height, &session.terms.windows);
        }
        let on_chain = if wanted { self.claims_on_chain(height).await } else { None };
        let mut claims = Vec::new();
        let mut proofs = Vec::new();
        let mut undrained = false;
        for cell in &cells {
            let mut session = cell.lock().await;
            let done = self.advance(cell, &mut session, height, &on_chain, &mut claims, &mut proofs).await;
            if let Err((step, error)) = done {
                if matches!(error, StepError::Lost) {
                    return false;
                }
                self.miner.metrics.steps_failed.with_label_values(&[step]).inc();
                tracing::warn!(
                    supplier = %self.supplier, session = %session.record.session, height, step,
                    error = %pocket_runtime::process::chain(&error),
                    "a step of a session failed; trying again after the next block"
                );
            }
            undrained |= tenure::due(&self.miner, &session, height) == Due::Seal;
            if !tenure::wants_trie(&session, height) {
                session.drop_trie();
            }
        }
        // None waits for another.
        tokio::join!(
            self.submit(Kind::Claim, claims, height),
            self.submit(Kind::Proof, proofs, height),
            self.close_ended(height)
        );
        undrained
    }

    async fn claims_on_chain(&self, height: Height) -> OnChain {
        match self.miner.chain.claims_of_supplier(&self.supplier, height).await {
            Ok(claims) => {
                let by_session = |claim: Claim| {
                    let id = claim.session_header.as_ref()?.session_id.clone();
                    Some((id, claim))
                };
                Some(claims.into_iter().filter_map(by_session).collect())
            }
            Err(error) => {
                self.miner.metrics.steps_failed.with_label_values(&["claims"]).inc();
                tracing::warn!(supplier = %self.supplier, %error, "the claims on the chain could not be read");
                None
            }
        }
    }

    /// Takes one session as far as it goes now. What is to be sent is collected, to be sent together.
    async fn advance(
        &self,
        cell: &Cell,
        session: &mut Session,
        height: Height,
        on_chain: &OnChain,
        claims: &mut Vec<Item>,
        proofs: &mut Vec<Item>,
    ) -> Result<(), (&'static str, StepError)> {
        self.settle_doubt(session).await.map_err(|error| ("reload", error))?;
        if let Some(on_chain) = on_chain {
            let claim = on_chain.get(&session.record.session);
            self.reconcile(session, claim, height).await.map_err(|error| ("reconcile", error))?;
        }
        for _ in 0..STEPS_MAX {
            match self.take_step(cell, session, height, on_chain, claims, proofs).await {
                Ok(Next::Rest) => return Ok(()),
                // It has been read again, so what is due now can be told.
                Ok(Next::Step) | Err((_, StepError::Changed)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Does the one thing that is due.
    async fn take_step(
        &self,
        cell: &Cell,
        session: &mut Session,
        height: Height,
        on_chain: &OnChain,
        claims: &mut Vec<Item>,
        proofs: &mut Vec<Item>,
    ) -> Result<Next, (&'static str, StepError)> {
        match tenure::due(&self.miner, session, height) {
            Due::Wait(_) => return Ok(Next::Rest),
            Due::Seal => {
                if !self.seal(session, height).await.map_err(|error| ("seal", error))? {
                    return Ok(Next::Rest);
                }
            }
            Due::Claim => {
                let item = self.claim(cell, session).await.map_err(|error| ("claim", error))?;
                claims.push(item);
                return Ok(Next::Rest);
            }
            Due::ClaimMissed => {
                self.missed(session, height).await.map_err(|error| ("give_up", error))?;
            }
            Due::ClaimVerdict => {
                // As of this height: a claim that is not there now will not come.
                match on_chain {
                    Some(on_chain) if !on_chain.contains_key(&session.record.session) => {
                        let reason = claims::missed_because(session);
                        self.give_up(session, reason, height).await.map_err(|error| ("give_up", error))?;
                    }
                    _ => return Ok(Next::Rest),
                }
            }
            Due::Decide => {
                let claim = on_chain.as_ref().and_then(|claims| claims.get(&session.record.session));
                let Some(claim) = claim else { return Ok(Next::Rest) };
                self.decide(session, claim, height).await.map_err(|error| ("decide", error))?;
            }
            Due::Proof if self.is_under_way(session).await => return Ok(Next::Rest),
            Due::Proof => {
                let item = self.prove(cell, session).await.map_err(|error| ("prove", error))?;
                proofs.push(item);
                return Ok(Next::Rest);
            }
            Due::Settlement => {
                if !self.settle(session, height).await.map_err(|error| ("settle", error))? {
                    return Ok(Next::Rest);
                }
            }
            Due::Forget => {
                self.forget(session).await.map_err(|error| ("forget", error))?;
                return Ok(Next::Rest);
            }
        }
        Ok(Next::Step)
    }

    /// Takes no more leaves for a session and fixes its root; false while relays of it may still be in the log.
    async fn seal(&self, session: &mut Session, height: Height) -> Result<bool, StepError> {
        // Nothing more comes into the log from here on: whoever is behind is refused, and does not answer.
        self.close(session.record.end_height).await?;
        if height < session.terms.windows.seal_undrained() && !self.drained(session).await? {
            // The lock is released while waiting: ingest needs it.
            return Ok(false);
        }
        // The seal comes before the root, so that no leaf can come between. `claim` computes the root.
        self.write(session, |record| record.state = SessionState::Sealed).await?;
        self.reload(session).await?;
        tracing::info!(
            supplier = %self.supplier, session = %session.record.session, service = %session.record.service,
            height, leaves = session.leaves, "session sealed"
        );
        if let Err(error) = self.miner.store.meter_cleanup(&session.record.session, &self.supplier).await {
            tracing::debug!(%error, "the session's meter was not cleaned up; relayers forget it with the session");
        }
        Ok(true)
    }

    async fn forget(&self, session: &Session) -> Result<(), StepError> {
        let id = &session.record.session;
        match self.miner.store.forget_session(&self.supplier, id, self.lease.epoch).await {
            Ok(()) => {
                self.remove(id);
                Ok(())
            }
            Err(pocket_store::PutError::Fenced(fenced)) => {
                self.lose(&fenced);
                Err(StepError::Lost)
            }
            Err(pocket_store::PutError::Store(error)) => Err(error.into()),
            Err(pocket_store::PutError::Conflict { .. }) => Err(StepError::Changed),
        }
    }
}
