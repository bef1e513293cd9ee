//! A chain, a store, keys, and relays as a relayer would log them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pocket_chain::{Chain, Session};
use pocket_config::document;
use pocket_config::facts::{self, DevelopmentKey};
use pocket_config::miner::Miner as Settings;
use pocket_crypto::keys::SecretKey;
use pocket_crypto::ring::Signer;
use pocket_miner::{Deps, Running};
use pocket_proto::pocket::service::{RelayRequest, RelayRequestMetadata, RelayResponse, RelayResponseMetadata};
use pocket_protocol::relay;
use pocket_runtime::random::Random;
use pocket_runtime::shutdown::{self, ShutdownTrigger};
use pocket_store::{Durability, Ledger, MinedRelay, Namespace, Store, StoreOptions};
use pocket_testbed::{Config, PrivateDevnet, RedisServer, Version};
use tempfile::TempDir;

/// Longest a condition may take: several sessions of the chain, on a machine that has other things to do.
pub(crate) const DEADLINE: Duration = Duration::from_mins(2);

/// Time for a node to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The application whose relays are served, and what it is staked for.
const APPLICATION: &str = "app1";
const SERVICE: &str = "develop-http";

pub(crate) struct World {
    pub(crate) devnet: PrivateDevnet,
    pub(crate) chain: Chain,
    pub(crate) store: Store,
    _folder: TempDir,
    redis: Option<RedisServer>,
    pub(crate) settings: Settings,
    suppliers: BTreeMap<String, SecretKey>,
    application: String,
    signer: Signer,
    serial: std::sync::atomic::AtomicU64,
    _chain_end: ShutdownTrigger,
}

/// Which store a world has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Memory,
    Disk,
    Redis(Version),
}

/// How a world is made.
#[derive(Clone, Copy, Default)]
pub(crate) struct Options {
    /// The chain wants no proofs.
    pub(crate) unproved: bool,
    /// Lines of settings for the miner.
    pub(crate) miner: &'static str,
}

fn secret(key: &DevelopmentKey) -> SecretKey {
    SecretKey::from_hex(&key.private_key).unwrap()
}

fn key(name: &str) -> SecretKey {
    secret(facts::development_keys().iter().find(|key| key.name == name).unwrap())
}

impl World {
    pub(crate) async fn new(backend: Backend, options: Options) -> Self {
        let folder = TempDir::new().unwrap();
        let mut chain_settings = "block_time_ms: 250\nmetrics: {enabled: false}\n".to_owned();
        if options.unproved {
            let text = include_str!("../../../config/facts/localnet.json");
            let mut facts: serde_json::Value = serde_json::from_str(text).unwrap();
            facts["params"]["proof"]["proof_request_probability"] = 0.0.into();
            facts["params"]["proof"]["proof_requirement_threshold_upokt"] = "999999999999".into();
            let path = folder.path().join("facts.json");
            pocket_runtime::fs::write_atomic(&path, facts.to_string().as_bytes()).unwrap();
            writeln!(chain_settings, "facts_file: {}", path.display()).unwrap();
        }
        let devnet = pocket_testbed::devnet(&chain_settings).await.unwrap();
        let (chain_end, chain_shutdown) = shutdown::channel(Duration::ZERO);
        let chain = Chain::connect(&devnet.node(), PATIENCE, &chain_shutdown).await.unwrap();

        let named = facts::development_keys();
        let named: Vec<_> = named.iter().filter(|key| key.name.starts_with("supplier")).collect();
        let lines: Vec<_> = named.iter().map(|key| format!("  - \"{}\"\n", key.private_key)).collect();
        let lines = lines.concat();
        let keys = folder.path().join("keys.yaml");
        pocket_runtime::fs::write_private(&keys, format!("keys:\n{lines}").as_bytes()).unwrap();
        let node = devnet.node();
        let settings = format!(
            "pocket_node: {{query_node_rpc_url: '{}', query_node_grpc_url: '{}', grpc_insecure: true}}\n\
             keys: {{keys_file: '{}'}}\nmetrics: {{enabled: false}}\nlimits: {{take_wait_ms: 20}}\nstore: {{data_dir: '{}'}}\n{}",
            node.query_node_rpc_url,
            node.query_node_grpc_url,
            keys.display(),
            folder.path().join("miner").display(),
            options.miner
        );
        let settings = document::load::<Settings>(&settings).unwrap().settings;

        let store_options = StoreOptions::new(Namespace::default(), Durability::Process);
        let mut redis = None;
        let store = match backend {
            Backend::Memory => Store::memory(store_options),
            Backend::Disk => Store::disk(&folder.path().join("store"), None, store_options).await.unwrap(),
            Backend::Redis(version) => {
                let server = RedisServer::start(version, Config::durable()).await.unwrap();
                let store = Store::redis(&server.url(), store_options).await.unwrap();
                redis = Some(server);
                store
            }
        };
        let application = key(APPLICATION);
        Self {
            devnet,
            chain,
            store,
            _folder: folder,
            redis,
            settings,
            suppliers: named.into_iter().map(|key| (secret(key).address().to_string(), secret(key))).collect(),
            application: application.address().to_string(),
            signer: Signer::new(application, 8).unwrap(),
            serial: std::sync::atomic::AtomicU64::new(0),
            _chain_end: chain_end,
        }
    }

    /// The server of a world on Redis.
    pub(crate) fn redis(&self) -> &RedisServer {
        self.redis.as_ref().unwrap()
    }

    /// Starts a miner as a new process would: with a chain handle of its own, on the same store.
    pub(crate) async fn miner(&self) -> Miner {
        self.start(self.settings.clone(), self.store.clone()).await
    }

    /// Starts one that reaches the store in another way.
    pub(crate) async fn miner_on(&self, store: Store) -> Miner {
        self.start(self.settings.clone(), store).await
    }

    /// Starts one whose questions to the chain go to another address.
    pub(crate) async fn miner_behind(&self, grpc: SocketAddr) -> Miner {
        let mut settings = self.settings.clone();
        settings.pocket_node.query_node_grpc_url = format!("http://{grpc}");
        self.start(settings, self.store.clone()).await
    }

    async fn start(&self, settings: Settings, store: Store) -> Miner {
        let (trigger, shutdown) = shutdown::channel(Duration::from_secs(2));
        let chain = Chain::connect(&settings.pocket_node, PATIENCE, &shutdown).await.unwrap();
        let running = pocket_miner::start(&settings, Deps { chain, store }, &shutdown).await.unwrap();
        Miner { running, trigger }
    }

    /// Returns a session that has enough blocks left to be filled.
    pub(crate) async fn fresh_session(&self) -> Arc<Session> {
        let now = self.chain.height();
        let session = self.session_at(now).await;
        if session.end() - now >= 5 {
            return session;
        }
        self.chain.blocks().reached(session.end() + 1).await;
        self.session_at(session.end() + 1).await
    }

    pub(crate) async fn session_at(&self, height: i64) -> Arc<Session> {
        self.chain.session(&self.application, SERVICE, height).await.unwrap()
    }

    /// Returns a relay that the supplier has served in the session, unlike any other.
    pub(crate) async fn relay(&self, session: &Session, supplier: &str) -> MinedRelay {
        let serial = self.serial.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let ring = self.chain.ring(session, false).await.unwrap();
        let mut request = RelayRequest {
            meta: Some(RelayRequestMetadata {
                session_header: Some(session.header.clone()),
                signature: Bytes::new(),
                supplier_operator_address: supplier.to_owned(),
            }),
            payload: format!("request {serial}").into(),
        };
        let signature = self.signer.sign(&relay::request_signable_hash(&request), &ring, &mut Random).unwrap();
        request.meta.as_mut().unwrap().signature = signature.encode().into();
        let mut response = RelayResponse {
            meta: Some(RelayResponseMetadata {
                session_header: Some(session.header.clone()),
                supplier_operator_signature: Bytes::new(),
            }),
            payload: format!("answer {serial}").into(),
            ..RelayResponse::default()
        };
        relay::sign_response(&mut response, &self.suppliers[supplier]);
        let stored = relay::stored_relay(&request, &response);
        MinedRelay {
            relay_hash: Bytes::copy_from_slice(&stored.hash),
            relay_bytes: stored.bytes.into(),
            compute_units_per_relay: session.compute_units_per_relay,
            session_id: session.header.session_id.clone(),
            session_end_height: session.end(),
            supplier_operator_address: supplier.to_owned(),
            service_id: SERVICE.to_owned(),
            application_address: self.application.clone(),
            arrival_block_height: self.chain.height(),
            published_at_unix_nano: 0,
            session_start_height: session.start(),
        }
    }

    /// Logs `count` relays of the session, in turn for its first `suppliers` suppliers.
    pub(crate) async fn log(&self, session: &Session, suppliers: usize, count: usize) -> Vec<MinedRelay> {
        let mut relays = Vec::new();
        for number in 0..count {
            let supplier = &session.suppliers[number % suppliers].operator;
            let relay = self.relay(session, supplier).await;
            self.store.append(relay.clone()).await.unwrap();
            relays.push(relay);
        }
        relays
    }

    pub(crate) async fn ledger(&self) -> Ledger {
        self.store.ledger(None).await.unwrap()
    }

    /// Waits until the ledger satisfies `condition`.
    pub(crate) async fn until(&self, what: &'static str, condition: impl Fn(&Ledger) -> bool) -> Ledger {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            let ledger = self.ledger().await;
            if condition(&ledger) {
                return ledger;
            }
            assert!(tokio::time::Instant::now() < deadline, "{what}: not so in time: {ledger:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until nothing is open or waiting any more.
    pub(crate) async fn until_all_settled(&self, leaves: i64) -> Ledger {
        self.until("everything is settled", |ledger| {
            ledger.leaves == leaves && ledger.pending == 0 && ledger.open == 0 && ledger.waiting == 0
        })
        .await
    }
}

/// A running miner under the test's control.
pub(crate) struct Miner {
    pub(crate) running: Running,
    trigger: ShutdownTrigger,
}

impl Miner {
    /// Ends it as `kill -9` would.
    pub(crate) async fn kill(self) {
        self.running.abort().await;
    }

    /// Asks it to leave, and waits.
    pub(crate) async fn stop(self) {
        self.trigger.trigger();
        self.running.ended().await;
    }
}

#[track_caller]
pub(crate) fn check_balances(ledger: &Ledger) {
    for (equation, difference) in ledger.differences() {
        assert_eq!(difference, 0, "{equation}: {ledger:#?}");
    }
}
