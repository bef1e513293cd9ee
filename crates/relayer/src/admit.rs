//! Admit: may this caller be served? Cheap checks first, and nothing is charged before the signature holds.

use std::sync::Arc;

use pocket_config::relayer::FailBehavior;
use pocket_proto::canonical;
use pocket_proto::pocket::service::RelayRequest;
use pocket_proto::pocket::session::SessionHeader;
use pocket_protocol::relay::{request_signable_hash, validate_request};
use pocket_protocol::session::{Timing, is_plausible, timing};
use pocket_protocol::{http, ring};
use pocket_runtime::clock;
use pocket_store::Charge;

use crate::metrics::Counters;
use crate::rejection::{Invalid, Rejection};
use crate::relay::{Admitted, Charged, Pipeline, Received};
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
        let Received { body, headers, at } = received;
        // What is served must be logged: while that cannot be, nothing is begun.
        if !self.log.accepts() {
            return Err(Rejection::LogUnavailable);
        }
        if body.is_empty() {
            return Err(Rejection::Malformed);
        }
        let request = canonical::decode_request(&body).map_err(|_| Rejection::Malformed)?;
        let call = http::decode_request(&request.payload).map_err(|_| Rejection::Malformed)?;
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

        // One height for every check of this relay.
        let height = self.chain.height();
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
        self.verify(&request, &session).await?;
        counters.validated(started.elapsed());

        if height >= session.sealed_at() {
            return Err(Rejection::ClaimSealed);
        }
        if !session.pays() {
            return Err(Rejection::SessionUnpaid);
        }
        let charge = self.charge(&session, &seat, height).await?;
        counters.charged();
        let counters = counters.clone();
        Ok(Admitted { request, call, headers, service, backend, counters, session, seat, height, charge, at })
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
        let _place = self.sessions.lookups.acquire().await.expect("the places are never closed");
        let grace = if end < height {
            let shared = self.chain.shared_at(end).await.map_err(|_| Rejection::ChainUnavailable)?;
            shared.offsets().grace_end
        } else {
            0
        };
        let at = match timing(start, end, height, grace) {
            Timing::Active(at) | Timing::Grace(at) => at,
            Timing::Expired => return Err(expired()),
        };
        let (application, service) = (header.application_address.as_str(), header.service_id.as_str());
        let facts = self.chain.session(application, service, at).await.map_err(|error| {
            if error.is_passing() {
                tracing::warn!(error = %error, application, service, height = at, "cannot read a session");
                Rejection::ChainUnavailable
            } else {
                Invalid::NoSession(error.message).into()
            }
        })?;
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
            SessionError::Chain(error) => {
                tracing::warn!(error = %error, application, service, "cannot prepare a session");
                Rejection::ChainUnavailable
            }
            SessionError::Store(error) => {
                tracing::warn!(error = %error, application, service, "cannot prepare a session");
                Rejection::MeterUnavailable
            }
        })?;
        let session = Arc::new(session);
        self.sessions.insert(&session);
        Ok(session)
    }

    /// Checks that a member of the application's ring signed the request.
    async fn verify(&self, request: &RelayRequest, session: &Session) -> Result<(), Rejection> {
        let invalid = |why: String| Rejection::Invalid(Invalid::Ring(why));
        let signature = request.meta.as_ref().map_or(&[][..], |meta| &meta.signature);
        let mut place = self.crypto.acquire().await.expect("the places are never closed");
        let signature = self.verifier.decode(signature, RING_MEMBERS_MAX).map_err(|error| {
            invalid(format!("error deserializing ring signature: {error}: invalid relay request signature"))
        })?;
        // Before the costly part: a ring with a stranger in it need not be walked.
        if !ring::is_subset(signature.keys(), &session.ring()) {
            // A gateway may have been delegated to since the ring was read. The chain is asked at most once a block.
            drop(place);
            let fresh = self.chain.ring(&session.facts, true).await.map_err(|error| {
                tracing::debug!(error = %error, "cannot read a ring again");
                Rejection::ChainUnavailable
            })?;
            if !ring::is_subset(signature.keys(), &fresh) {
                return Err(invalid(format!(
                    "ring signature in the relay request does not match the expected one for the app {}: invalid relay \
                     request signature",
                    session.facts.header.application_address
                )));
            }
            session.replace_ring(fresh);
            place = self.crypto.acquire().await.expect("the places are never closed");
        }
        // On this worker: it has the bytes, and a quarter of a millisecond is less than moving them would be worth.
        let verdict = self.verifier.verify(&request_signable_hash(request), &signature);
        drop(place);
        verdict.map_err(|_| {
            invalid("invalid relay request signature or bytes: invalid relay request signature".to_owned())
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
