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
use pocket_runtime::http::{HeaderMap, Held};
use pocket_runtime::task;
use pocket_store::Store;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::account::Log;
use crate::calendar::Calendar;
use crate::height::Height;
use crate::lookups::Lookups;
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
    pub(crate) calendar: Calendar,
    pub(crate) lookups: Lookups,
    pub(crate) chain: Chain,
    /// The height that decides when sessions end.
    pub(crate) height: Height,
    pub(crate) store: Store,
    pub(crate) log: Log,
    pub(crate) verifier: Verifier,
    /// Signatures checked or made at once: further relays wait for a place, so that those begun end soon.
    pub(crate) crypto: Semaphore,
    /// Relays on the road at once; further ones are refused. Each has its place until it is accounted for.
    pub(crate) in_flight: Arc<Semaphore>,
    pub(crate) relays_max: u32,
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
    /// Holds the body's bytes in the budget of this process.
    pub(crate) held: Held,
    /// When its last byte came.
    pub(crate) at: Instant,
}

/// What a relay takes up until it is accounted for: its place among those in flight, and its bytes.
pub(crate) struct Room {
    pub(crate) _place: OwnedSemaphorePermit,
    pub(crate) _held: Held,
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
    pub(crate) room: Room,
}

/// A relay that the backend has answered.
pub(crate) struct Served {
    pub(crate) admitted: Admitted,
    pub(crate) kept: Kept,
    pub(crate) answer: BackendAnswer,
}

/// A relay whose answer the supplier has signed.
pub(crate) struct Signed {
    pub(crate) counters: Arc<Counters>,
    pub(crate) session: Arc<Session>,
    pub(crate) seat: Arc<Seat>,
    pub(crate) height: i64,
    pub(crate) kept: Kept,
    /// As the trie counts it: the very answer that is delivered, without its payload.
    pub(crate) relay: StoredRelay,
    pub(crate) answer: Answer,
    pub(crate) at: Instant,
    pub(crate) room: Room,
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

/// A charge that is given back unless it comes to the backend.
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

    /// Keeps the charge from here on: the backend is about to be called.
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

/// A charge that stays, whether or not anybody gets an answer, unless it is known that the backend did nothing for it or
/// that we could not log what it did.
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
    pub(crate) fn relays_in_flight(&self) -> u32 {
        let free = u32::try_from(self.in_flight.available_permits()).unwrap_or(u32::MAX);
        self.relays_max.saturating_sub(free)
    }

    /// Waits until no relay is on the road, and takes no more from then on.
    pub(crate) async fn drained(&self) {
        self.in_flight.acquire_many(self.relays_max).await.expect("the places are never closed").forget();
    }

    /// Answers a relay: admit, serve, sign, account, in this order.
    ///
    /// Until it is admitted a relay is its caller's, and ends when the caller leaves. What has been admitted runs to its
    /// end, in a task of its own once nobody listens any more: what a backend served is charged and logged.
    pub(crate) async fn relay(self: &Arc<Self>, received: Received) -> Result<Answer, Rejection> {
        // Who the relay concerned, as far as admission came to know it.
        let mut counters = self.unknown.clone();
        let admitted = match timed(&self.metrics.phases.admit, self.admit(received, &mut counters)).await {
            Ok(admitted) => admitted,
            Err(rejection) => return Err(self.refused(&counters, rejection)),
        };
        let pipeline = self.clone();
        // Not in a task from the start: making one and waking its thread costs a busy relayer a third of its time.
        let rest = task::to_the_end("relay", async move {
            let answer = pipeline.answer(admitted).await;
            answer.map_err(|rejection| pipeline.refused(&counters, rejection))
        });
        // A panic has been logged and counted.
        rest.await.unwrap_or(Err(Rejection::Internal))
    }

    /// Serves, signs and accounts for a relay.
    ///
    /// That ends when the session's claim is about to be sealed: what cannot be logged by then would be served for
    /// nothing, so it is not answered.
    async fn answer(&self, admitted: Admitted) -> Result<Answer, Rejection> {
        let phases = &self.metrics.phases;
        let sealed = admitted.session.sealed_at();
        let rest = async {
            let served = timed(&phases.serve, self.serve(admitted)).await?;
            let signed = timed(&phases.sign, self.sign(served)).await;
            timed(&phases.account, self.account(signed)).await
        };
        tokio::select! {
            biased;
            answer = rest => answer,
            () = self.height.reached(sealed) => Err(Rejection::ClaimSealed),
        }
    }

    fn refused(&self, counters: &Counters, rejection: Rejection) -> Rejection {
        self.metrics.refused(counters, &rejection);
        tracing::debug!(reason = rejection.face().reason, error = %rejection, "relay refused");
        rejection
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
