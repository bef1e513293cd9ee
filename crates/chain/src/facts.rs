//! What the chain says: queries, and the one cache of their answers.
//!
//! Pinned facts are kept by a bounded cache and never asked twice; live ones are kept with the height they were read at,
//! and asked again once there is a newer block. Concurrent askers of the same fact share one query and what came of it, also
//! when that is no answer, which nobody else gets.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use pocket_crypto::keys::PublicKey;
use pocket_proto::pocket::{application, proof, service, session, shared, supplier};
use pocket_protocol::mining::{self, Target};
use pocket_protocol::params;
use pocket_protocol::ring;
use pocket_protocol::windows::Windows;
use quick_cache::Equivalent;
use quick_cache::sync::Cache as Quick;

use crate::Chain;
use crate::error::{Asked, QueryError, QueryErrorKind};
use crate::methods;

/// Blocks beyond the newest one seen for which a session is asked for: others may see a block before we do. For heights
/// farther away a node need not be asked, since only a node far behind, or a caller who is mistaken, makes them so.
const SESSION_AHEAD_MAX: i64 = 16;

/// Sessions kept.
const SESSIONS_MAX: usize = 16_384;

/// Heights whose shared parameters are kept.
const PARAMS_MAX: usize = 1_024;

/// Accounts whose public keys are kept.
const KEYS_MAX: usize = 65_536;

/// Applications, suppliers and services kept as of the newest block.
const LIVE_MAX: usize = 16_384;

/// Rings kept, one per application and session end.
const RINGS_MAX: usize = 16_384;

/// A session with everything that serving, metering, claiming and proving in it depends on. Pinned.
#[derive(Debug)]
pub struct Session {
    /// As the chain hydrates it.
    pub header: session::SessionHeader,
    /// Counted from 1.
    pub number: i64,
    /// The application as it stood when the session was first asked for. Its stake and delegations are live facts: see
    /// [`Chain::application`] and [`Chain::ring`].
    pub application: application::Application,
    /// The suppliers that may serve, in the chain's order.
    pub suppliers: Vec<SessionSupplier>,
    /// Shared parameters from the session's start to its end: no change takes effect within a session.
    pub shared: params::Shared,
    /// Session module's limit on suppliers, which divides an application's allowance.
    pub suppliers_per_session: u64,
    /// When it may be claimed and proved.
    pub windows: Windows,
    /// Weight of one relay of its service.
    pub compute_units_per_relay: u64,
    /// Difficulty of its service: relays whose hash is not below are served and not counted.
    pub target: Target,
}

impl Session {
    /// First height.
    pub fn start(&self) -> i64 {
        self.header.session_start_block_height
    }

    /// Last height.
    pub fn end(&self) -> i64 {
        self.header.session_end_block_height
    }

    /// Returns the supplier of that operator address, if it is in the session.
    pub fn supplier(&self, operator: &str) -> Option<&SessionSupplier> {
        self.suppliers.iter().find(|one| one.operator == operator)
    }
}

/// A supplier in a session.
#[derive(Debug, Clone)]
pub struct SessionSupplier {
    /// Operator address, whose key signs answers.
    pub operator: String,
    /// Where it serves the session's service.
    pub endpoints: Vec<Endpoint>,
}

/// An advertised endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// As staked.
    pub url: String,
    /// How it is spoken to; `UnknownRpc` for a number this program does not know.
    pub rpc_type: shared::RpcType,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SessionKey {
    application: Box<str>,
    service: Box<str>,
    height: i64,
}

#[derive(Hash)]
struct SessionRef<'a> {
    application: &'a str,
    service: &'a str,
    height: i64,
}

impl Equivalent<SessionKey> for SessionRef<'_> {
    fn equivalent(&self, key: &SessionKey) -> bool {
        self.height == key.height && *self.application == *key.application && *self.service == *key.service
    }
}

impl From<&SessionRef<'_>> for SessionKey {
    fn from(key: &SessionRef<'_>) -> Self {
        Self { application: key.application.into(), service: key.service.into(), height: key.height }
    }
}

/// Keys that may sign for an application.
type Ring = Arc<Vec<PublicKey>>;

/// A fact with the height it was read at; a refusal is a fact too.
#[derive(Debug, Clone)]
struct Live<T> {
    height: i64,
    answer: Result<T, QueryError>,
}

pub(crate) struct Cache {
    sessions: Quick<SessionKey, Live<Arc<Session>>>,
    shared: Quick<i64, Live<params::Shared>>,
    keys: Quick<String, PublicKey>,
    rings: Quick<(Box<str>, i64), Live<Ring>>,
    applications: Quick<String, Live<Arc<application::Application>>>,
    suppliers: Quick<String, Live<Arc<shared::Supplier>>>,
    services: Quick<String, Live<Arc<shared::Service>>>,
    proof_params: Quick<(), Live<params::Proof>>,
    session_params: Quick<(), Live<params::Session>>,
    /// Heights at which a ring was read anew because a signature did not fit; bounds what forged requests can cost.
    ring_refreshes: Mutex<BTreeMap<Box<str>, i64>>,
    /// The history of the chain that all this is of, by its number.
    history: u64,
}

impl Cache {
    pub(crate) fn new(history: u64) -> Self {
        Self {
            sessions: Quick::new(SESSIONS_MAX),
            shared: Quick::new(PARAMS_MAX),
            keys: Quick::new(KEYS_MAX),
            rings: Quick::new(RINGS_MAX),
            applications: Quick::new(LIVE_MAX),
            suppliers: Quick::new(LIVE_MAX),
            services: Quick::new(LIVE_MAX),
            proof_params: Quick::new(1),
            session_params: Quick::new(1),
            ring_refreshes: Mutex::new(BTreeMap::new()),
            history,
        }
    }

    fn may_refresh(&self, application: &str, now: i64) -> bool {
        let mut refreshes = self.ring_refreshes.lock().unwrap_or_else(PoisonError::into_inner);
        if refreshes.get(application).is_some_and(|height| *height >= now) {
            return false;
        }
        if refreshes.len() >= LIVE_MAX {
            refreshes.clear();
        }
        refreshes.insert(application.into(), now);
        true
    }
}

impl<T> Live<T> {
    fn is_passing(&self) -> bool {
        self.answer.as_ref().is_err_and(QueryError::is_passing)
    }
}

/// Returns a fact from its cache while it is `good`; else it is read at `now` by whoever asks first, for all who ask
/// meanwhile.
async fn fact<K, Q, T>(
    cache: &Quick<K, Live<T>>,
    key: &Q,
    now: i64,
    good: impl Fn(&Live<T>) -> bool,
    read: impl Future<Output = Result<T, QueryError>>,
) -> Result<T, QueryError>
where
    K: std::hash::Hash + Eq,
    Q: std::hash::Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
    T: Clone,
{
    if let Some(known) = cache.get(key) {
        if good(&known) {
            return known.answer;
        }
        // Not what somebody has read anew since.
        cache.remove_if(key, |known| !good(known));
    }
    let read = async { Ok::<_, Infallible>(Live { height: now, answer: read.await }) };
    let Ok(found) = cache.get_or_insert_async(key, read).await;
    if found.is_passing() {
        // Those who waited have it too: each asking by itself, one after the other, would wait for ever longer. Nobody else
        // shall have it.
        cache.remove_if(key, Live::is_passing);
    }
    found.answer
}

impl Chain {
    /// What is known of the chain as it is. Of another history than the present nothing is: what is pinned holds for ever in
    /// one history only, as a session's id follows from the hash of a block.
    fn facts(&self) -> Arc<Cache> {
        let history = self.inner.blocks.histories();
        let facts = self.inner.facts.load_full();
        if facts.history == history {
            return facts;
        }
        let anew = Arc::new(Cache::new(history));
        // Answers of the old history that are still under way go to the old cache.
        self.inner.facts.rcu(|facts| if facts.history < history { anew.clone() } else { facts.clone() });
        self.inner.facts.load_full()
    }

    /// Returns the shared parameters in force at `height`, which must not lie beyond the current session. Pinned.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn shared_at(&self, height: i64) -> Asked<'_, params::Shared> {
        Box::pin(async move {
            // A node that has seen less might not know of the change that made them.
            self.shared_as_of(height, self.height()).await
        })
    }

    async fn shared_as_of(&self, height: i64, state: i64) -> Result<params::Shared, QueryError> {
        let read = async {
            let operation = "read the shared parameters at a height";
            let request = shared::QueryParamsAtHeightRequest { height };
            let answer = self.inner.node.ask_at(operation, &methods::SHARED_PARAMS_AT_HEIGHT, &request, state).await?;
            let params = answer.params.ok_or_else(|| QueryError::malformed(operation, "no parameters"))?;
            Ok(params::Shared::from(&params))
        };
        fact(&self.facts().shared, &height, state, |known| known.answer.is_ok(), read).await
    }

    /// Returns the session of an application and service that `height` falls in; 0 means now. Pinned.
    ///
    /// The answer is that of a state at or after both `height` and the newest block seen, so that a node that is behind
    /// refuses nothing. A refusal (no such application, not staked for the service, no suppliers) is remembered until the
    /// next block.
    ///
    /// # Errors
    /// [`QueryError`]; the kind is `Refused` for a session that cannot be, `Ahead` for a height still to come, or that the
    /// node has not come to.
    pub fn session<'a>(&'a self, application: &'a str, service: &'a str, height: i64) -> Asked<'a, Arc<Session>> {
        Box::pin(async move {
            let now = self.height();
            let height = if height == 0 { now } else { height };
            if height > now + SESSION_AHEAD_MAX {
                let message = format!("height {height} is far ahead of the newest block seen, {now}");
                return Err(QueryError::new("read a session", QueryErrorKind::Ahead, message));
            }
            let key = SessionRef { application, service, height };
            let facts = self.facts();
            let good = |known: &Live<_>| known.answer.is_ok() || known.height >= now;
            // Without making a key of it: nearly always it is known.
            if let Some(known) = facts.sessions.get(&key).filter(good) {
                return known.answer;
            }
            let read = async { Box::pin(self.hydrate(application, service, height, now.max(height))).await };
            fact(&facts.sessions, &SessionKey::from(&key), now, good, read).await
        })
    }

    /// Returns the session only if it is known already: the fast path of a relay, without a query.
    pub fn known_session(&self, application: &str, service: &str, height: i64) -> Option<Arc<Session>> {
        let known = self.facts().sessions.get(&SessionRef { application, service, height })?;
        known.answer.ok()
    }

    /// Reads a session that `height` falls in, and what belongs to it, as the chain knew them at the height `state`.
    async fn hydrate(
        &self,
        application: &str,
        service_id: &str,
        height: i64,
        state: i64,
    ) -> Result<Arc<Session>, QueryError> {
        let operation = "read a session";
        let node = &self.inner.node;
        let request = session::QueryGetSessionRequest {
            application_address: application.to_owned(),
            service_id: service_id.to_owned(),
            block_height: height,
        };
        let answer = node.ask_at(operation, &methods::SESSION, &request, state).await?;
        let found = answer.session.ok_or_else(|| QueryError::malformed(operation, "no session"))?;
        let header = found.header.ok_or_else(|| QueryError::malformed(operation, "no session header"))?;
        let application = found.application.ok_or_else(|| QueryError::malformed(operation, "no application"))?;

        let start = header.session_start_block_height;
        let shared = self.shared_as_of(start, state).await?;
        let suppliers_per_session = self.session_params().await?.num_suppliers_per_session;
        let compute_units_per_relay = self.compute_units_at(service_id, start, state).await?;
        let target = self.target_at(service_id, start, state).await?;
        let windows = Windows::after(header.session_end_block_height, shared.offsets());
        let suppliers = found.suppliers.into_iter().map(|one| SessionSupplier::of(one, service_id)).collect();
        Ok(Arc::new(Session {
            header,
            number: found.session_number,
            application,
            suppliers,
            shared,
            suppliers_per_session,
            windows,
            compute_units_per_relay,
            target,
        }))
    }

    /// Returns the keys that may sign for the session's application, as of its end.
    ///
    /// Read once per session. With `anew`, for a signature by a key that is not among them, the application is read
    /// again, at most once a block.
    ///
    /// # Errors
    /// [`QueryError`]; the kind is `Refused` if the application or one of its gateways has not published its key.
    pub fn ring<'a>(&'a self, session: &'a Session, anew: bool) -> Asked<'a, Arc<Vec<PublicKey>>> {
        Box::pin(async move {
            let application = session.header.application_address.as_str();
            let now = self.height();
            let key = (Box::<str>::from(application), session.end());
            let facts = self.facts();
            let is_old = facts.rings.get(&key).is_some_and(|known| known.height < now);
            let anew = anew && is_old && facts.may_refresh(application, now);
            let good = |known: &Live<_>| known.height >= now || (known.answer.is_ok() && !anew);
            let read = async { Box::pin(self.read_ring(application, session.end())).await };
            fact(&facts.rings, &key, now, good, read).await
        })
    }

    async fn read_ring(&self, application: &str, session_end: i64) -> Result<Arc<Vec<PublicKey>>, QueryError> {
        let operation = "find the ring of an application";
        let application = self.application(application).await?;
        let addresses = ring::addresses(&application, session_end);
        let mut known = BTreeMap::new();
        for address in addresses.iter().filter(|address| address.as_str() != pocket_crypto::ring::PLACEHOLDER_ADDRESS) {
            if let Some(key) = self.public_key(address).await? {
                known.insert(address.as_str(), key);
            }
        }
        let keys = ring::keys(&addresses, |address| known.get(address).copied());
        keys.map(Arc::new).map_err(|error| QueryError::new(operation, QueryErrorKind::Refused, error.to_string()))
    }

    /// Returns an application as of the newest block. Live.
    ///
    /// # Errors
    /// [`QueryError`], of the kind `NotFound` if there is none of that address.
    pub fn application<'a>(&'a self, address: &'a str) -> Asked<'a, Arc<application::Application>> {
        Box::pin(async move {
            let operation = "read an application";
            let read = async |now| {
                let request = application::QueryGetApplicationRequest { address: address.to_owned() };
                let answer = self.inner.node.ask_at(operation, &methods::APPLICATION, &request, now).await?;
                answer.application.map(Arc::new).ok_or_else(|| QueryError::malformed(operation, "no application"))
            };
            self.live(&self.facts().applications, address, read).await
        })
    }

    /// Returns a supplier as of the newest block, with its services. Live.
    ///
    /// # Errors
    /// [`QueryError`], of the kind `NotFound` if there is none of that operator address.
    pub fn supplier<'a>(&'a self, operator: &'a str) -> Asked<'a, Arc<shared::Supplier>> {
        Box::pin(async move {
            let operation = "read a supplier";
            let read = async |now| {
                let request =
                    supplier::QueryGetSupplierRequest { operator_address: operator.to_owned(), dehydrated: false };
                let answer = self.inner.node.ask_at(operation, &methods::SUPPLIER, &request, now).await?;
                answer.supplier.map(Arc::new).ok_or_else(|| QueryError::malformed(operation, "no supplier"))
            };
            self.live(&self.facts().suppliers, operator, read).await
        })
    }

    /// Returns a service as of the newest block. Live.
    ///
    /// # Errors
    /// [`QueryError`], of the kind `NotFound` if there is none of that id.
    pub fn service<'a>(&'a self, id: &'a str) -> Asked<'a, Arc<shared::Service>> {
        Box::pin(async move {
            let operation = "read a service";
            let read = async |now| {
                let request = service::QueryGetServiceRequest { id: id.to_owned(), dehydrated: true };
                let answer = self.inner.node.ask_at(operation, &methods::SERVICE, &request, now).await?;
                answer.service.map(Arc::new).ok_or_else(|| QueryError::malformed(operation, "no service"))
            };
            self.live(&self.facts().services, id, read).await
        })
    }

    /// Returns the proof module's parameters as of the newest block. Live.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn proof_params(&self) -> Asked<'_, params::Proof> {
        Box::pin(async move {
            let operation = "read the proof parameters";
            let read = async |now| {
                let answer = self
                    .inner
                    .node
                    .ask_at(operation, &methods::PROOF_PARAMS, &proof::QueryParamsRequest {}, now)
                    .await?;
                let params = answer.params.ok_or_else(|| QueryError::malformed(operation, "no parameters"))?;
                params::Proof::try_from(&params).map_err(|error| QueryError::malformed(operation, error.to_string()))
            };
            self.live(&self.facts().proof_params, &(), read).await
        })
    }

    /// Returns the session module's parameters as of the newest block. Live.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn session_params(&self) -> Asked<'_, params::Session> {
        Box::pin(async move {
            let operation = "read the session parameters";
            let read = async |now| {
                let answer = self
                    .inner
                    .node
                    .ask_at(operation, &methods::SESSION_PARAMS, &session::QueryParamsRequest {}, now)
                    .await?;
                let params = answer.params.ok_or_else(|| QueryError::malformed(operation, "no parameters"))?;
                Ok(params::Session::from(&params))
            };
            self.live(&self.facts().session_params, &(), read).await
        })
    }

    /// A live fact: from the cache if it is as new as the newest block, else read by whoever asks first, as of that block:
    /// what a node that is behind does not know yet is not taken for what is not there.
    async fn live<K, Q, T>(
        &self,
        cache: &Quick<K, Live<T>>,
        key: &Q,
        read: impl AsyncFnOnce(i64) -> Result<T, QueryError>,
    ) -> Result<T, QueryError>
    where
        K: std::hash::Hash + Eq,
        Q: std::hash::Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        T: Clone,
    {
        let now = self.height();
        let read = async { Box::pin(read(now)).await };
        fact(cache, key, now, |known| known.height >= now, read).await
    }

    /// Returns the public key an account has published, `None` while it has not. Pinned once published.
    ///
    /// # Errors
    /// [`QueryError`], but not of the kind `NotFound`: an unknown account has no key.
    pub fn public_key<'a>(&'a self, address: &'a str) -> Asked<'a, Option<PublicKey>> {
        Box::pin(async move {
            if let Some(key) = self.facts().keys.get(address) {
                return Ok(Some(key));
            }
            let account = match self.account_now(address).await {
                Err(error) if error.is_not_found() => return Ok(None),
                account => account?,
            };
            if let Some(key) = account.public_key {
                self.facts().keys.insert(address.into(), key);
            }
            Ok(account.public_key)
        })
    }

    async fn compute_units_at(&self, service_id: &str, height: i64, state: i64) -> Result<u64, QueryError> {
        let request = service::QueryGetComputeUnitsPerRelayAtHeightRequest {
            service_id: service_id.to_owned(),
            block_height: height,
        };
        let answer = self
            .inner
            .node
            .ask_at("read the compute units per relay of a service", &methods::COMPUTE_UNITS_AT_HEIGHT, &request, state)
            .await?;
        Ok(answer.compute_units_per_relay)
    }

    async fn target_at(&self, service_id: &str, height: i64, state: i64) -> Result<Target, QueryError> {
        let operation = "read the difficulty of a service";
        let request = service::QueryGetRelayMiningDifficultyAtHeightRequest {
            service_id: service_id.to_owned(),
            block_height: height,
        };
        let answer = self.inner.node.ask_at(operation, &methods::DIFFICULTY_AT_HEIGHT, &request, state).await?;
        let difficulty = answer.relay_mining_difficulty.unwrap_or_default();
        mining::target(&difficulty.target_hash).map_err(|error| QueryError::malformed(operation, error.to_string()))
    }
}

impl SessionSupplier {
    fn of(supplier: shared::Supplier, service_id: &str) -> Self {
        let endpoints = supplier
            .services
            .into_iter()
            .filter(|config| config.service_id == service_id)
            .flat_map(|config| config.endpoints)
            .map(|endpoint| Endpoint {
                rpc_type: shared::RpcType::try_from(endpoint.rpc_type).unwrap_or(shared::RpcType::UnknownRpc),
                url: endpoint.url,
            })
            .collect();
        Self { operator: supplier.operator_address, endpoints }
    }
}
