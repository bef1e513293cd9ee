//! Admit: may this caller be served? Cheap checks first, and nothing is charged, nor looked at that only the backend
//! needs, before the signature holds.

use std::sync::Arc;

use pocket_chain::QueryError;
use pocket_config::relayer::FailBehavior;
use pocket_crypto::ring::{RingError, Signature};
use pocket_proto::pocket::service::RelayRequest;
use pocket_proto::pocket::session::SessionHeader;
use pocket_protocol::relay::{read_request, request_signable_hash, validate_request};
use pocket_protocol::session::{Timing, is_plausible, timing};
use pocket_protocol::{http, ring};
use pocket_runtime::clock;
use pocket_store::Charge;

use crate::metrics::Counters;
use crate::rejection::{Invalid, Rejection};
use crate::relay::{Admitted, Charged, Pipeline, Received, Room};
use crate::sessions::{Seat, Session, SessionError, Sources, patiently};

/// Members that a ring signature may have: an application and the most gateways that any network allows it, and room.
const RING_MEMBERS_MAX: usize = 32;

/// Blocks after a session's end beyond which no grace period reaches, so that the chain need not be asked for it.
const GRACE_BLOCKS_MAX: i64 = 1_000;

/// Blocks that the chain may be ahead of what this process has seen of it.
const AHEAD_BLOCKS_MAX: i64 = 1;

impl Pipeline {
    /// Checks a relay in the order of the reference, except that the allowance is charged last. `counters` becomes those
    /// of the relay's service as soon as it is known.
    pub(crate) async fn admit(&self, received: Received, counters: &mut Arc<Counters>) -> Result<Admitted, Rejection> {
        let Received { body, headers, held, at } = received;
        // What is served must be logged: while that cannot be, nothing is begun.
        if !self.log.accepts() {
            return Err(Rejection::LogUnavailable);
        }
        if body.is_empty() {
            return Err(Rejection::Malformed);
        }
        let request = read_request(&body).map_err(|_| Rejection::Malformed)?;
        let meta = request.meta.as_ref().ok_or(Rejection::Malformed)?;
        let header = meta.session_header.as_ref().ok_or(Rejection::Malformed)?;
        if header.service_id.is_empty() {
            return Err(Rejection::Malformed);
        }
        let service = self.services.get(&header.service_id);
        let service = service.ok_or_else(|| Rejection::UnknownService(header.service_id.clone()))?.clone();
        let (backend, of_service) = service.backend_for(&headers);
        counters.clone_from(of_service);
        counters.received(body.len());

        let supplier = meta.supplier_operator_address.as_str();
        if supplier.is_empty() {
            return Err(Rejection::SupplierMissing);
        }
        self.suppliers.check(supplier, &service.id)?;
        if body.len() > service.body_bytes_max {
            return Err(Rejection::BodyTooLargeForService);
        }
        // Not to be held twice, where the request is no longer a part of it.
        drop(body);

        // One height for every check of this relay.
        let height = self.height.now();
        let (start, end) = (header.session_start_block_height, header.session_end_block_height);
        if start <= 0 || end <= start || !is_plausible(start, end, height) {
            return Err(Rejection::ImplausibleHeights);
        }
        let Some(backend) = backend.filter(|backend| backend.is_healthy()).cloned() else {
            return Err(Rejection::BackendUnavailable { service: service.id.clone() });
        };
        validate_request(&request).map_err(Invalid::Basic)?;
        if self.suppliers.keys.get(supplier).is_none() {
            return Err(Invalid::SupplierNotHeld(supplier.to_owned()).into());
        }

        let started = clock::now();
        let session = self.session(header, height).await?;
        compare(header, &session.facts.header)?;
        let Some(seat) = session.seat(supplier).cloned() else {
            return Err(Invalid::SupplierNotInSession(supplier.to_owned()).into());
        };
        self.expect_ring(&request, &session).await?;
        // All that a node had to be asked for is known: from here a relay is quick, and has a place.
        let place = self.in_flight.clone().try_acquire_owned().map_err(|_| Rejection::Busy)?;
        self.verify(&request).await?;
        counters.validated(started.elapsed());

        let call = http::decode_request(&request.payload).map_err(|_| Rejection::Malformed)?;
        if height >= session.sealed_at() {
            return Err(Rejection::ClaimSealed);
        }
        if !session.pays() {
            return Err(Rejection::SessionUnpaid);
        }
        let charge = self.charge(&session, &seat, height).await?;
        counters.charged();
        let counters = counters.clone();
        let room = Room { _place: place, _held: held };
        Ok(Admitted { request, call, headers, service, backend, counters, session, seat, height, charge, at, room })
    }

    /// Returns the session a header names, from those that are warm or from the chain, if it may be served in at `height`.
    async fn session(&self, header: &SessionHeader, height: i64) -> Result<Arc<Session>, Rejection> {
        let (start, end) = (header.session_start_block_height, header.session_end_block_height);
        let expired = || Rejection::Invalid(Invalid::Expired { end, height });
        if let Some(warm) = self.sessions.get(&header.session_id) {
            // A header with this id and other heights fails the comparison that follows.
            let grace = warm.facts.windows.grace_end - warm.facts.end();
            return match timing(start, end, height, grace) {
                Timing::Expired => Err(expired()),
                Timing::Active(_) | Timing::Grace(_) => Ok(warm),
            };
        }
        if end.saturating_add(GRACE_BLOCKS_MAX) < height {
            return Err(expired());
        }
        if start > height + AHEAD_BLOCKS_MAX {
            let why = format!("block height {start} is ahead of the last committed block height {height}");
            return Err(Invalid::NoSession(why).into());
        }
        self.look_up(header, height).await
    }

    /// Reads a session from the chain, if its heights are those of a session that may be served in at `height`.
    async fn look_up(&self, header: &SessionHeader, height: i64) -> Result<Arc<Session>, Rejection> {
        let (start, end) = (header.session_start_block_height, header.session_end_block_height);
        let (application, service) = (header.application_address.as_str(), header.service_id.as_str());
        // As far as sessions are known, heights of none are refused without a turn.
        if let Some(page) = self.calendar.page(height) {
            page.locate(start, end, height)?;
        }
        let _turn = self.lookups.of_application(application).await?;
        let page = self.calendar.turn(&self.chain, height).await.map_err(|error| unreadable(&error, header))?;
        let at = page.locate(start, end, height)?;
        if let Some(warm) = self.sessions.get(&header.session_id) {
            // Somebody else had the same question.
            return Ok(warm);
        }
        let missing = |error: QueryError| {
            if error.is_passing() { unreadable(&error, header) } else { Invalid::NoSession(error.message).into() }
        };
        // That there is no such application is remembered for a block, whatever session of it is asked for.
        self.chain.application(application).await.map_err(missing)?;
        let facts = self.chain.session(application, service, at).await.map_err(missing)?;
        compare(header, &facts.header)?;
        let sources = Sources {
            chain: &self.chain,
            store: &self.store,
            keys: &self.suppliers.keys,
            metrics: &self.metrics,
            without_store: self.meter.fail_behavior == FailBehavior::Open,
        };
        let session = Session::prepare(facts, sources).await.map_err(|error| match error {
            SessionError::Ring(error) => {
                let why = format!("error getting ring for application address {application}: {}", error.message);
                Rejection::Invalid(Invalid::Ring(why))
            }
            SessionError::Chain(error) => unreadable(&error, header),
            SessionError::Store(error) => {
                tracing::warn!(error = %error, application, service, "cannot prepare a session");
                Rejection::MeterUnavailable
            }
        })?;
        let session = Arc::new(session);
        self.sessions.insert(&session);
        self.lookups.remember(application);
        Ok(session)
    }

    /// Checks that the signature names members of the application's ring only, and none more often than the ring has
    /// it: before any of it is known to be a point, since each member costs as much to verify as an honest one.
    async fn expect_ring(&self, request: &RelayRequest, session: &Session) -> Result<(), Rejection> {
        let keys = Signature::keys_in(signature(request)).map_err(unreadable_ring)?;
        if keys.len() > RING_MEMBERS_MAX {
            let members = u32::try_from(keys.len()).unwrap_or(u32::MAX);
            return Err(unreadable_ring(RingError::TooManyMembers { members, limit: RING_MEMBERS_MAX }));
        }
        if ring::is_within(&keys, &session.ring()) {
            return Ok(());
        }
        // A gateway may have been delegated to since the ring was read. The chain is asked at most once a block.
        let _turn = self.lookups.of_stranger().await?;
        let fresh = self.chain.ring(&session.facts, true).await.map_err(|error| {
            tracing::debug!(error = %error, "cannot read a ring again");
            Rejection::ChainUnavailable
        })?;
        if !ring::is_within(&keys, &fresh) {
            return Err(bad_ring(format!(
                "ring signature in the relay request does not match the expected one for the app {}: invalid relay \
                 request signature",
                session.facts.header.application_address
            )));
        }
        session.replace_ring(fresh);
        Ok(())
    }

    /// Checks that a member of the ring that the signature names signed the request.
    async fn verify(&self, request: &RelayRequest) -> Result<(), Rejection> {
        let _place = self.crypto.acquire().await.expect("the places are never closed");
        let signature = self.verifier.decode(signature(request), RING_MEMBERS_MAX).map_err(unreadable_ring)?;
        // On this worker: it has the bytes, and a quarter of a millisecond is less than moving them would be worth.
        self.verifier.verify(&request_signable_hash(request), &signature).map_err(|_| {
            bad_ring("invalid relay request signature or bytes: invalid relay request signature".to_owned())
        })
    }

    /// Charges one relay to the application's share with this supplier.
    async fn charge(&self, session: &Arc<Session>, seat: &Arc<Seat>, height: i64) -> Result<Charged, Rejection> {
        if !self.meter.enabled {
            return Ok(Charged::nothing());
        }
        let allowance = session.allowance(&self.chain, &self.store, height);
        match patiently(self.store.charge(&seat.charge, session.cost, &allowance)).await {
            Ok(Charge::Charged { .. }) => Ok(Charged::of(&self.store, seat, session.cost)),
            Ok(Charge::Over { total, limit }) => {
                tracing::debug!(
                    supplier = seat.charge.supplier,
                    application = seat.charge.application,
                    session = seat.charge.session,
                    total,
                    limit,
                    "allowance is spent"
                );
                Err(Rejection::AllowanceSpent)
            }
            Err(error) => {
                self.metrics.meter_errors.inc();
                tracing::debug!(error = %error, "the meter cannot be asked");
                match self.meter.fail_behavior {
                    FailBehavior::Open => Ok(Charged::nothing()),
                    FailBehavior::Closed => Err(Rejection::MeterUnavailable),
                }
            }
        }
    }
}

fn signature(request: &RelayRequest) -> &[u8] {
    request.meta.as_ref().map_or(&[][..], |meta| &meta.signature)
}

fn bad_ring(why: String) -> Rejection {
    Rejection::Invalid(Invalid::Ring(why))
}

#[expect(clippy::needless_pass_by_value, reason = "an error that is turned into another")]
fn unreadable_ring(error: RingError) -> Rejection {
    bad_ring(format!("error deserializing ring signature: {error}: invalid relay request signature"))
}

/// A session that cannot be read now is said in the log: whoever asks is not at fault.
fn unreadable(error: &QueryError, header: &SessionHeader) -> Rejection {
    let (application, service) = (header.application_address.as_str(), header.service_id.as_str());
    tracing::warn!(error = %error, application, service, "cannot read a session");
    Rejection::ChainUnavailable
}

/// Compares a request's header with the chain's, field by field. A forged start height would change price and difficulty,
/// and with them make the proof invalid.
fn compare(got: &SessionHeader, expected: &SessionHeader) -> Result<(), Invalid> {
    let heights = [
        ("start", expected.session_start_block_height, got.session_start_block_height),
        ("end", expected.session_end_block_height, got.session_end_block_height),
    ];
    for (which, expected, got) in heights {
        if expected != got {
            return Err(Invalid::Height { which, expected, got });
        }
    }
    let same = got.session_id == expected.session_id
        && got.application_address == expected.application_address
        && got.service_id == expected.service_id;
    if same {
        return Ok(());
    }
    // Asked by application and service, the chain answers with these; a warm session is found by its id, and then it is
    // the id that belongs to another application or service.
    Err(Invalid::SessionId { expected: expected.session_id.clone(), got: got.session_id.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SessionHeader {
        SessionHeader {
            application_address: "app".into(),
            service_id: "eth".into(),
            session_id: "id".into(),
            session_start_block_height: 11,
            session_end_block_height: 20,
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut SessionHeader), text: Option<&str>) {
        let mut got = header();
        change(&mut got);
        assert_eq!(compare(&got, &header()).err().map(|invalid| invalid.to_string()).as_deref(), text);
    }

    #[test]
    fn every_field_of_the_header_counts() {
        check(|_| {}, None);
        check(
            |header| header.session_start_block_height = 10,
            Some("session header session start height mismatch, expecting: 11, got: 10"),
        );
        check(
            |header| header.session_end_block_height = 21,
            Some("session header session end height mismatch, expecting: 20, got: 21"),
        );
        check(|header| header.session_id = "x".into(), Some("session ID mismatch, expected: id, got: x"));
        check(|header| header.application_address = "b".into(), Some("session ID mismatch, expected: id, got: id"));
        check(|header| header.service_id = "btc".into(), Some("session ID mismatch, expected: id, got: id"));
    }
}
