//! Sessions that relays are being served in, warm: everything a relay needs of its session in one object, found by the
//! session's id without a query.
//!
//! A session is here only if the chain has it, so the number of entries follows what exists, not what callers write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use pocket_chain::{Chain, Keys, QueryError, Session as Facts};
use pocket_crypto::keys::{PublicKey, SecretKey};
use pocket_proto::pocket::application::Application;
use pocket_protocol::mining::{self, Price};
use pocket_runtime::task;
use pocket_store::{Allowance, ChargeKey, Store, StoreError};
use prometheus::IntCounter;
use quick_cache::sync::Cache;

use crate::metrics::Metrics;

/// How long a relay waits for what the store says of its session or budget. Longer than a store that is well takes.
const STORE_PATIENCE: Duration = Duration::from_millis(500);

/// The sessions known here.
pub(crate) struct Sessions {
    warm: Cache<Box<str>, Arc<Session>>,
}

/// A session in which a supplier of ours serves.
pub(crate) struct Session {
    pub(crate) facts: Arc<Facts>,
    /// Upokt that one relay costs its application.
    pub(crate) cost: u64,
    seats: BTreeMap<String, Arc<Seat>>,
    /// Who may sign for the application. Replaced when a signature names a key that is not in it, and should be.
    ring: ArcSwap<Vec<PublicKey>>,
    /// Replaced when the application's stake or the service's factor has changed.
    allowance: ArcSwap<Allowance>,
    /// Height that the allowance was computed at; lower than the current one means that it should be looked at again.
    allowance_height: AtomicI64,
    refreshing: AtomicBool,
    pays: AtomicBool,
}

/// A supplier of ours in a session.
pub(crate) struct Seat {
    /// Whose budget its relays are charged to.
    pub(crate) charge: ChargeKey,
    pub(crate) key: Arc<SecretKey>,
    /// Counts its relays in the log.
    pub(crate) published: IntCounter,
}

/// Why a session could not be prepared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// The ring cannot be made.
    #[error(transparent)]
    Ring(QueryError),
    /// The chain could not be asked.
    #[error(transparent)]
    Chain(QueryError),
    /// The store could not be asked, and must be.
    #[error(transparent)]
    Store(#[from] StoreAway),
}

/// A store that did not answer in time, or not at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreAway {
    #[error("the store did not answer within {STORE_PATIENCE:?}")]
    Slow,
    #[error(transparent)]
    Failed(#[from] StoreError),
}

/// Waits for the store, but no longer than a relay can.
pub(crate) async fn patiently<T>(asking: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreAway> {
    match tokio::time::timeout(STORE_PATIENCE, asking).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(StoreAway::Slow),
    }
}

impl Sessions {
    pub(crate) fn new(sessions_max: usize) -> Self {
        Self { warm: Cache::new(sessions_max.max(1)) }
    }

    /// Returns the session of that id, if it is warm.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Session>> {
        self.warm.get(id)
    }

    pub(crate) fn insert(&self, session: &Arc<Session>) {
        self.warm.insert(session.facts.header.session_id.as_str().into(), session.clone());
    }

    /// Returns how many sessions are warm.
    pub(crate) fn len(&self) -> usize {
        self.warm.len()
    }

    /// Forgets the factors that allowances were made with: the next relay of each session looks again.
    pub(crate) fn refresh_allowances(&self) {
        for (_, session) in self.warm.iter() {
            session.allowance_height.store(0, Ordering::Relaxed);
        }
    }
}

/// What a session is prepared with.
pub(crate) struct Sources<'a> {
    pub(crate) chain: &'a Chain,
    pub(crate) store: &'a Store,
    pub(crate) keys: &'a Keys,
    pub(crate) metrics: &'a Metrics,
    /// Whether a store that is away may be served without.
    pub(crate) without_store: bool,
}

impl Session {
    /// Prepares a session that the chain has: its ring, price, allowance and our seats in it.
    pub(crate) async fn prepare(facts: Arc<Facts>, sources: Sources<'_>) -> Result<Self, SessionError> {
        let Sources { chain, store, keys, metrics, without_store } = sources;
        let passing = |error: QueryError, other: fn(QueryError) -> SessionError| {
            if error.is_passing() { SessionError::Chain(error) } else { other(error) }
        };
        let ring = chain.ring(&facts, false).await.map_err(|error| passing(error, SessionError::Ring))?;
        let header = &facts.header;
        let height = chain.height();
        let application = chain.application(&header.application_address).await;
        let application = application.map_err(|error| passing(error, SessionError::Ring))?;
        let factor = match patiently(store.service_factor(&header.service_id)).await {
            Err(_) if without_store => None,
            factor => factor?,
        };
        let pays = match patiently(store.session_rewardable(&header.session_id)).await {
            Err(_) if without_store => true,
            pays => pays?,
        };
        let allowance = allowance(&facts, &application, factor);
        let seat = |supplier: &str| {
            let key = keys.get(supplier)?.clone();
            let charge = ChargeKey {
                session: header.session_id.clone(),
                application: header.application_address.clone(),
                service: header.service_id.clone(),
                supplier: supplier.to_owned(),
                session_end_height: header.session_end_block_height,
            };
            let published = metrics.published(&header.service_id, supplier);
            Some((supplier.to_owned(), Arc::new(Seat { charge, key, published })))
        };
        let seats = facts.suppliers.iter().filter_map(|supplier| seat(&supplier.operator)).collect();
        Ok(Self {
            cost: cost(&facts),
            seats,
            ring: ArcSwap::new(ring),
            allowance: ArcSwap::from_pointee(allowance),
            allowance_height: AtomicI64::new(height),
            refreshing: AtomicBool::new(false),
            pays: AtomicBool::new(pays),
            facts,
        })
    }

    /// Returns the seat of a supplier of ours.
    pub(crate) fn seat(&self, supplier: &str) -> Option<&Arc<Seat>> {
        self.seats.get(supplier)
    }

    /// Returns the keys that may sign for the application.
    pub(crate) fn ring(&self) -> Arc<Vec<PublicKey>> {
        self.ring.load_full()
    }

    pub(crate) fn replace_ring(&self, ring: Arc<Vec<PublicKey>>) {
        self.ring.store(ring);
    }

    /// Returns the height from which a relay of this session may be too late for its claim.
    pub(crate) fn sealed_at(&self) -> i64 {
        self.facts.windows.serve_end()
    }

    /// Returns whether relays of this session still pay.
    pub(crate) fn pays(&self) -> bool {
        self.pays.load(Ordering::Relaxed)
    }

    pub(crate) fn set_pays(&self, pays: bool) {
        self.pays.store(pays, Ordering::Relaxed);
    }

    /// Returns how much the application may spend with one supplier, as of a block or so ago.
    ///
    /// Looking again is never waited for: one task does it when there has been a block since.
    pub(crate) fn allowance(self: &Arc<Self>, chain: &Chain, store: &Store, height: i64) -> Arc<Allowance> {
        if self.allowance_height.load(Ordering::Relaxed) < height && !self.refreshing.swap(true, Ordering::AcqRel) {
            let (session, chain, store) = (self.clone(), chain.clone(), store.clone());
            drop(task::spawn("relayer allowance", async move {
                session.refresh_allowance(&chain, &store, height).await;
                session.refreshing.store(false, Ordering::Release);
            }));
        }
        self.allowance.load_full()
    }

    async fn refresh_allowance(&self, chain: &Chain, store: &Store, height: i64) {
        let header = &self.facts.header;
        // What cannot be read now stays as it was; the next relay looks again.
        let Ok(application) = chain.application(&header.application_address).await else { return };
        let Ok(factor) = store.service_factor(&header.service_id).await else { return };
        let Ok(pays) = store.session_rewardable(&header.session_id).await else { return };
        self.set_pays(pays);
        let fresh = allowance(&self.facts, &application, factor);
        if **self.allowance.load() != fresh {
            self.allowance.store(Arc::new(fresh));
        }
        self.allowance_height.store(height, Ordering::Relaxed);
    }
}

/// One relay is never free: a price below one upokt would otherwise allow any number of them.
fn cost(facts: &Facts) -> u64 {
    let price = Price::from(&facts.shared);
    mining::cost(facts.compute_units_per_relay.max(1), price).unwrap_or(1).max(1)
}

/// An application's share with one supplier in one session (relayer §4.1).
fn allowance(facts: &Facts, application: &Application, service_factor: Option<f64>) -> Allowance {
    let stake = application.stake.as_ref().and_then(|coin| coin.amount.parse::<u64>().ok()).unwrap_or(0);
    let pending = u64::try_from(facts.shared.pending_sessions()).unwrap_or(0).saturating_add(1);
    limit(stake, facts.suppliers_per_session, pending, service_factor)
}

fn limit(stake: u64, suppliers_per_session: u64, pending_sessions: u64, service_factor: Option<f64>) -> Allowance {
    let base = stake / suppliers_per_session.max(1) / pending_sessions.max(1);
    let limit_upokt = match service_factor {
        Some(factor) if factor > 0.0 => scaled(stake, factor),
        _ => base,
    };
    Allowance { limit_upokt, app_stake_upokt: stake, service_factor }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the operator's factor is a float, as in the reference; the cast saturates and the factor is above 0"
)]
fn scaled(stake: u64, factor: f64) -> u64 {
    (stake as f64 * factor) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_recorded_one() {
        assert_eq!(limit(9_997_300_000, 15, 3, None).limit_upokt, 222_162_222);
    }

    #[test]
    fn a_factor_replaces_the_share() {
        assert_eq!(limit(1_000, 15, 3, Some(0.5)).limit_upokt, 500);
        assert_eq!(limit(u64::MAX, 1, 1, Some(2.0)).limit_upokt, u64::MAX);
        assert_eq!(limit(450, 15, 3, Some(0.0)).limit_upokt, 10, "0 means that none is set");
    }

    #[test]
    fn zero_divisors_count_as_one() {
        assert_eq!(limit(30, 0, 0, None).limit_upokt, 30);
    }
}
