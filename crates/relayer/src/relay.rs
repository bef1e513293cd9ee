//! The life of a relay: one road, and the stages a relay is in along it.

use std::sync::Arc;

use bytes::Bytes;
use pocket_chain::Chain;
use pocket_config::common::Durability;
use pocket_config::relayer::FailBehavior;
use pocket_crypto::ring::Verifier;
use pocket_proto::pocket::service::RelayRequest;
use pocket_proto::sdk::types::PokthttpRequest;
use pocket_protocol::relay::StoredRelay;
use pocket_runtime::clock;
use pocket_runtime::http::HeaderMap;
use pocket_store::Store;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::account::Log;
use crate::metrics::{Counters, Metrics};
use crate::rejection::Rejection;
use crate::serve::{Backend, BackendAnswer, Service, Services};
use crate::sessions::{Seat, Session, Sessions};
use crate::suppliers::Suppliers;

/// What a relay needs on its way. One per process, shared by every transport.
pub(crate) struct Pipeline {
    pub(crate) services: Services,
    pub(crate) suppliers: Suppliers,
    pub(crate) sessions: Sessions,
    pub(crate) chain: Chain,
    pub(crate) store: Store,
    pub(crate) log: Log,
    pub(crate) verifier: Verifier,
    /// Signatures checked or made at once: further relays wait for a place, so that those begun end soon.
    pub(crate) crypto: Semaphore,
    /// Relays on the road at once; further ones are refused.
    pub(crate) in_flight: Semaphore,
    pub(crate) relays_max: usize,
    pub(crate) meter: Meter,
    pub(crate) metrics: Metrics,
    /// Counts what names no service of ours.
    pub(crate) unknown: Arc<Counters>,
}

/// How allowances are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meter {
    /// Whether relays are charged at all.
    pub(crate) enabled: bool,
    /// Whether relays are served while the meter cannot be asked.
    pub(crate) fail_behavior: FailBehavior,
}

/// A relay as a transport received it: bytes, and what came around them.
#[derive(Debug)]
pub(crate) struct Received {
    /// A serialized relay request, within the largest size any service takes.
    pub(crate) body: Bytes,
    /// The headers around it; empty where the transport has none.
    pub(crate) headers: HeaderMap,
    /// When its last byte came.
    pub(crate) at: Instant,
}

/// A relay whose caller may be served, and has been charged.
pub(crate) struct Admitted {
    pub(crate) request: RelayRequest,
    /// The request for the backend, from the relay's payload.
    pub(crate) call: PokthttpRequest,
    pub(crate) headers: HeaderMap,
    pub(crate) service: Arc<Service>,
    pub(crate) backend: Arc<Backend>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) session: Arc<Session>,
    pub(crate) seat: Arc<Seat>,
    /// Height at which it arrived.
    pub(crate) height: i64,
    pub(crate) charge: Charged,
    pub(crate) at: Instant,
}

/// A relay that the backend has answered.
pub(crate) struct Served {
    pub(crate) admitted: Admitted,
    pub(crate) answer: BackendAnswer,
}

/// A relay whose answer the supplier has signed.
pub(crate) struct Signed {
    pub(crate) counters: Arc<Counters>,
    pub(crate) session: Arc<Session>,
    pub(crate) seat: Arc<Seat>,
    pub(crate) height: i64,
    pub(crate) charge: Charged,
    /// As the trie counts it: the very answer that is delivered, without its payload.
    pub(crate) relay: StoredRelay,
    pub(crate) answer: Answer,
    pub(crate) at: Instant,
}

/// What the caller gets: a serialized relay response, and what transports say around it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) bytes: Bytes,
    /// The backend's status, for metrics.
    pub(crate) backend_status: u16,
    /// Tries beyond the first.
    pub(crate) retries: u32,
}

/// A charge that is given back unless its relay is accounted for.
pub(crate) struct Charged {
    back: Option<(Store, Arc<Seat>, u64)>,
}

impl Charged {
    /// A relay that was charged `cost` upokt.
    pub(crate) fn of(store: &Store, seat: &Arc<Seat>, cost: u64) -> Self {
        Self { back: Some((store.clone(), seat.clone(), cost)) }
    }

    /// A relay that is served without a charge: the meter is off, or away and the operator serves on.
    pub(crate) const fn nothing() -> Self {
        Self { back: None }
    }

    /// Keeps the charge from here on: the relay is about to be logged, and logged relays are billed.
    pub(crate) fn keep(&mut self) -> Kept {
        Kept { back: self.back.take() }
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        if let Some((store, seat, cost)) = self.back.take() {
            store.refund(&seat.charge, cost);
        }
    }
}

/// A charge that stays, unless the relay is known not to have been logged.
pub(crate) struct Kept {
    back: Option<(Store, Arc<Seat>, u64)>,
}

impl Kept {
    /// Gives it back after all.
    pub(crate) fn give_back(self) {
        drop(Charged { back: self.back });
    }
}

impl Pipeline {
    /// Returns how many relays are on the road.
    pub(crate) fn relays_in_flight(&self) -> usize {
        self.relays_max.saturating_sub(self.in_flight.available_permits())
    }

    /// Answers a relay: admit, serve, sign, account, in this order.
    ///
    /// The three later phases end when the session's claim is about to be sealed: what cannot be logged by then would be
    /// served for nothing, so it is not answered.
    pub(crate) async fn relay(&self, received: Received) -> Result<Answer, Rejection> {
        let Ok(_place) = self.in_flight.try_acquire() else {
            self.metrics.refused(&self.unknown, &Rejection::Busy);
            return Err(Rejection::Busy);
        };
        let phases = &self.metrics.phases;
        // Who the relay concerned, as far as admission came to know it.
        let mut counters = self.unknown.clone();
        let road = async {
            let admitted = timed(&phases.admit, self.admit(received, &mut counters)).await?;
            let sealed = admitted.session.sealed_at();
            let rest = async {
                let served = timed(&phases.serve, self.serve(admitted)).await?;
                let signed = timed(&phases.sign, self.sign(served)).await;
                timed(&phases.account, self.account(signed)).await
            };
            tokio::select! {
                biased;
                answer = rest => answer,
                _ = self.chain.blocks().reached(sealed) => Err(Rejection::ClaimSealed),
            }
        };
        let answer = road.await;
        if let Err(rejection) = &answer {
            self.metrics.refused(&counters, rejection);
            tracing::debug!(reason = rejection.face().reason, error = %rejection, "relay refused");
        }
        answer
    }
}

async fn timed<T>(histogram: &prometheus::Histogram, phase: impl Future<Output = T>) -> T {
    let started = clock::now();
    let outcome = phase.await;
    histogram.observe(started.elapsed().as_secs_f64());
    outcome
}

/// Returns the word for a durability level.
pub(crate) const fn durability_word(durability: Durability) -> &'static str {
    match durability {
        Durability::Process => "process (survives kill -9 of this process)",
        Durability::Disk => "disk (survives loss of power)",
    }
}
