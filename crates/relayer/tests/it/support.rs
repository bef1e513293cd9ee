//! A world for one test: chain, store, backend, relayer, and who signs what.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use pocket_chain::{Chain, Session};
use pocket_config::common::PocketNode;
use pocket_config::document;
use pocket_config::facts::development_keys;
use pocket_config::relayer::Relayer as Settings;
use pocket_crypto::keys::{PublicKey, SecretKey};
use pocket_crypto::ring;
use pocket_proto::pocket::service::{RelayRequest, RelayRequestMetadata, RelayResponse};
use pocket_proto::pocket::session::SessionHeader;
use pocket_proto::sdk::types::PokthttpResponse;
use pocket_protocol::{http as inner, relay};
use pocket_relayer::{Deps, Running, start};
use pocket_runtime::fs;
use pocket_runtime::http::{
    Body, Client, ClientOptions, HeaderMap, Incoming, Method, Request, Response, ServeOptions, StatusCode, Uri,
    read_body, serve,
};
use pocket_runtime::net::{self, TcpListener, TcpStream};
use pocket_runtime::random::Random;
use pocket_runtime::shutdown::{self, Shutdown, ShutdownTrigger};
use pocket_runtime::task;
use pocket_store::{Durability, Namespace, Store, StoreOptions};
use pocket_testbed::PrivateDevnet;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

pub(crate) const SERVICE: &str = "develop-http";

/// Patience of tests: far beyond what anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The development keys, by account name.
pub(crate) fn key(name: &str) -> SecretKey {
    let keys = development_keys();
    let found = keys.iter().find(|key| key.name == name).unwrap_or_else(|| panic!("no development key {name}"));
    SecretKey::from_hex(&found.private_key).expect("a key")
}

pub(crate) fn address(name: &str) -> String {
    key(name).address().to_string()
}

/// A key that no account has.
pub(crate) fn stranger() -> SecretKey {
    SecretKey::from_secret(b"a stranger to this chain")
}

/// What the backend saw.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) type SeenList = Arc<Mutex<Vec<Seen>>>;

/// Options of a world, each with the value that most tests want.
pub(crate) struct Options {
    /// Suppliers whose keys the relayer holds, by account name.
    pub(crate) suppliers: Vec<SecretKey>,
    /// Further lines of the relayer's settings.
    pub(crate) settings: String,
    /// Further backends of the service, as YAML below `backends:`.
    pub(crate) backends: String,
    /// Further lines of the service.
    pub(crate) service: String,
    /// The store; one in memory where none is given.
    pub(crate) store: Option<Store>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            suppliers: vec![key("supplier1"), key("supplier2")],
            settings: String::new(),
            backends: String::new(),
            service: String::new(),
            store: None,
        }
    }
}

pub(crate) struct World {
    pub(crate) devnet: PrivateDevnet,
    pub(crate) chain: Chain,
    pub(crate) store: Store,
    pub(crate) relayer: Running,
    pub(crate) backend: SocketAddr,
    pub(crate) seen: SeenList,
    pub(crate) client: Client,
    pub(crate) shutdown: Shutdown,
    trigger: ShutdownTrigger,
    _keys: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.trigger.trigger();
    }
}

/// Starts a world at height 3, in the middle of its first session, whose blocks come when the test says so.
pub(crate) async fn world(options: Options) -> World {
    let devnet = pocket_testbed::devnet("blocks: manual").await.expect("a chain");
    devnet.running.chain.advance(3).expect("blocks");
    let (trigger, shutdown) = shutdown::channel(Duration::from_secs(2));
    // No test waits for a node's time to run out.
    let node = PocketNode { query_timeout_seconds: 3 * PATIENCE.as_secs(), ..devnet.node() };
    let chain = Chain::connect(&node, PATIENCE, &shutdown).await.expect("the chain answers");
    let store = options.store.clone().unwrap_or_else(|| Store::memory(store_options()));
    let seen = SeenList::default();
    let backend = backend(seen.clone(), &shutdown).await;
    let keys = tempfile::tempdir().expect("a folder");
    let settings = settings(&options, backend, keys.path());
    let deps = Deps { chain: chain.clone(), store: store.clone() };
    let relayer = start(&settings, deps, &shutdown).await.expect("the relayer starts");
    World { devnet, chain, store, relayer, backend, seen, client: client(), shutdown, trigger, _keys: keys }
}

pub(crate) fn store_options() -> StoreOptions {
    StoreOptions::new(Namespace::default(), Durability::Process)
}

pub(crate) fn client() -> Client {
    Client::new(ClientOptions {
        connect_timeout: PATIENCE,
        request_timeout: PATIENCE,
        idle_per_host: 8,
        idle_timeout: PATIENCE,
        max_per_host: 64,
        max_response_bytes: 64 << 20,
    })
}

pub(crate) fn settings(options: &Options, backend: SocketAddr, folder: &std::path::Path) -> Settings {
    let keys = folder.join("keys.yaml");
    let lines: Vec<String> = options.suppliers.iter().map(|key| format!("  - {}\n", *key.to_hex_secret())).collect();
    fs::write_private(&keys, format!("keys:\n{}", lines.concat()).as_bytes()).expect("a key file");
    let Options { settings, backends, service, .. } = options;
    let text = format!(
        "listen_addr: 127.0.0.1:0\n\
         pocket_node: {{query_node_rpc_url: \"http://unused\", query_node_grpc_url: \"http://unused\"}}\n\
         keys: {{keys_file: \"{}\"}}\n\
         metrics: {{addr: \"127.0.0.1:0\"}}\n\
         health_check: {{addr: \"127.0.0.1:0\"}}\n\
         {settings}\n\
         services:\n  {SERVICE}:\n{service}\n    backends:\n      jsonrpc: {{url: \"http://{backend}\"}}\n      rest: {{url: \"http://{backend}\"}}\n{backends}\n",
        keys.display(),
    );
    document::load::<Settings>(&text).unwrap_or_else(|error| panic!("{error}\n{text}")).settings
}

/// A backend that answers as its path says and remembers what it was asked.
pub(crate) async fn backend(seen: SeenList, shutdown: &Shutdown) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr();
    let options = ServeOptions {
        name: "test backend",
        max_connections: 256,
        header_timeout: PATIENCE,
        idle_timeout: PATIENCE,
        write_timeout: PATIENCE,
        max_headers: 100,
        max_header_bytes: 64 << 10,
        h2c: false,
        max_streams: 1,
    };
    let shutdown = shutdown.clone();
    drop(task::spawn("test backend", async move {
        let service = move |request| answer(seen.clone(), request);
        serve(listener, options, service, shutdown).await;
    }));
    address
}

async fn answer(seen: SeenList, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = read_body(body, 64 << 20, PATIENCE).await.expect("a body");
    let path = head.uri.path().to_owned();
    seen.lock().expect("not poisoned").push(Seen { method: head.method, uri: head.uri, headers: head.headers, body });
    let mut parts = path.strip_prefix("/x/").unwrap_or_default().split('/');
    let what = parts.next().unwrap_or_default();
    let number = parts.next().and_then(|number| number.parse::<usize>().ok()).unwrap_or(0);
    let mut response = Response::new(Body::full("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"0x1\"}"));
    response.headers_mut().insert("content-type", "application/json".parse().expect("a value"));
    match what {
        "status" => {
            *response.status_mut() = StatusCode::from_u16(u16::try_from(number).expect("a status")).expect("a status");
            response.headers_mut().insert("connection", "keep-alive, x-hop".parse().expect("a value"));
            response.headers_mut().insert("x-hop", "1".parse().expect("a value"));
            if number == 204 {
                *response.body_mut() = Body::empty();
            }
        }
        "bytes" => *response.body_mut() = Body::full(vec![b'x'; number]),
        "hang" => std::future::pending::<()>().await,
        "gate" => drop(gate(number).acquire().await),
        "sleep" => tokio::time::sleep(Duration::from_millis(number as u64)).await,
        "abort" => {
            let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("broken off")) });
            *response.body_mut() = Body::stream(broken);
            response.headers_mut().insert("content-length", "96".parse().expect("a value"));
        }
        "gzip" => {
            let packed = gzip(b"{\"plain\":true}");
            *response.body_mut() = Body::full(packed);
            if number == 1 {
                response.headers_mut().insert("content-encoding", "gzip".parse().expect("a value"));
            }
        }
        "cookies" => {
            for cookie in ["b=1", "a=2"] {
                response.headers_mut().append("set-cookie", cookie.parse().expect("a value"));
            }
        }
        _ => {}
    }
    response
}

/// A gate that holds the answers of a backend, on the path `/x/gate/<number>`, until it is opened.
pub(crate) struct Gate {
    number: usize,
}

impl Gate {
    pub(crate) fn shut() -> Self {
        Self { number: usize::try_from(unique()).expect("small") }
    }

    pub(crate) fn path(&self) -> String {
        format!("/x/gate/{}", self.number)
    }

    pub(crate) fn open(&self) {
        gate(self.number).close();
    }
}

fn gate(number: usize) -> Arc<Semaphore> {
    static GATES: Mutex<BTreeMap<usize, Arc<Semaphore>>> = Mutex::new(BTreeMap::new());
    let mut gates = GATES.lock().expect("not poisoned");
    gates.entry(number).or_insert_with(|| Arc::new(Semaphore::new(0))).clone()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("a vector grows");
    encoder.finish().expect("a vector grows")
}

/// What a client signs; tests change a field.
pub(crate) struct Shape {
    pub(crate) header: SessionHeader,
    pub(crate) supplier: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) ring: Vec<PublicKey>,
    pub(crate) signer: SecretKey,
}

impl Shape {
    /// The same once more.
    pub(crate) fn again(&self) -> Self {
        let Self { header, supplier, payload, ring, signer } = self;
        let (supplier, payload) = (supplier.clone(), payload.clone());
        Self { header: header.clone(), supplier, payload, ring: ring.clone(), signer: signer.clone() }
    }

    pub(crate) fn signed(self) -> RelayRequest {
        let mut request = self.unsigned();
        let message = relay::request_signable_hash(&request);
        let signature = ring::sign(&message, &self.ring, &self.signer, &mut Random).expect("a ring");
        request.meta.as_mut().expect("set").signature = signature.encode().into();
        request
    }

    pub(crate) fn unsigned(&self) -> RelayRequest {
        RelayRequest {
            meta: Some(RelayRequestMetadata {
                session_header: Some(self.header.clone()),
                signature: Bytes::new(),
                supplier_operator_address: self.supplier.clone(),
            }),
            payload: self.payload.clone().into(),
        }
    }
}

/// A JSON-RPC call for the backend at `path`, different every time.
pub(crate) fn call(path: &str) -> Vec<u8> {
    let body = format!("{{\"jsonrpc\":\"2.0\",\"method\":\"eth_blockNumber\",\"params\":[],\"id\":{}}}", unique());
    let headers = inner::headers([("Content-Type", "application/json")]);
    inner::request_payload(&inner::request("POST", path, headers, body.into_bytes()))
}

pub(crate) fn unique() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// An answer of the relay port.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Reads a signed answer and checks what a gateway checks.
    #[track_caller]
    pub(crate) fn verified(&self, supplier: &str) -> (RelayResponse, PokthttpResponse) {
        assert_eq!(self.status, 200, "{}", self.text());
        let response = relay::decode_response(&self.body).expect("a relay response");
        relay::validate_response(&response).expect("valid");
        relay::verify_response(&response, &key(supplier).public_key()).expect("signed by the supplier");
        assert!(relay::payload_matches_hash(&response));
        let inner = inner::decode_response(&response.payload).expect("an HTTP response");
        (response, inner)
    }
}

impl World {
    pub(crate) async fn session(&self) -> Arc<Session> {
        self.session_at(self.chain.height()).await
    }

    pub(crate) async fn session_at(&self, height: i64) -> Arc<Session> {
        self.chain.session(&address("app1"), SERVICE, height).await.expect("a session")
    }

    /// A good relay in the current session.
    pub(crate) async fn shape(&self) -> Shape {
        self.shape_in(&*self.session().await)
    }

    #[expect(clippy::unused_self, reason = "reads as the world's, beside `shape`")]
    pub(crate) fn shape_in(&self, session: &Session) -> Shape {
        Shape {
            header: session.header.clone(),
            supplier: address("supplier1"),
            payload: call("/"),
            ring: vec![key("app1").public_key(), key("gateway1").public_key()],
            signer: key("gateway1"),
        }
    }

    /// Sends a good relay for the backend at `path`.
    pub(crate) async fn relay(&self, path: &str) -> Reply {
        let shape = Shape { payload: call(path), ..self.shape().await };
        self.send(&shape.signed()).await
    }

    pub(crate) async fn send(&self, request: &RelayRequest) -> Reply {
        self.post(relay::request_bytes(request), &[]).await
    }

    pub(crate) async fn post(&self, body: Vec<u8>, headers: &[(&'static str, &str)]) -> Reply {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = format!("http://{}/{SERVICE}", self.relayer.addr).parse().expect("a URI");
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().expect("a value"));
        }
        let response = self.client.send(request).await.expect("an answer");
        let (head, body) = response.into_parts();
        Reply { status: head.status.as_u16(), headers: head.headers, body }
    }

    pub(crate) async fn get(&self, address: SocketAddr, path: &str) -> Reply {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = format!("http://{address}{path}").parse().expect("a URI");
        let (head, body) = self.client.send(request).await.expect("an answer").into_parts();
        Reply { status: head.status.as_u16(), headers: head.headers, body }
    }

    /// Makes blocks, and waits until this process has seen them.
    pub(crate) async fn advance(&self, blocks: u64) {
        let height = self.devnet.running.chain.advance(blocks).expect("blocks");
        let reached = self.chain.blocks().reached(height);
        tokio::time::timeout(PATIENCE, reached).await.expect("the new block is seen");
    }

    /// Tells everything to shut down.
    pub(crate) fn leave(&self) {
        self.trigger.trigger();
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("not poisoned").clone()
    }

    pub(crate) fn seen_count(&self) -> usize {
        self.seen.lock().expect("not poisoned").len()
    }

    /// A metric of the relayer's page, 0 where it has none: labels as they are written there.
    pub(crate) async fn metric(&self, series: &str) -> i64 {
        let page = self.get(self.relayer.admin_addr.expect("the metrics listener is on"), "/metrics").await.text();
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().expect("a whole number"))
    }
}

/// Sends a relay over a connection of its own, whose answer nobody has read yet.
pub(crate) async fn over_http1(world: &World, body: Vec<u8>) -> TcpStream {
    let mut stream = net::connect(&world.relayer.addr.to_string()).await.expect("connects");
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(&body).await.expect("sent");
    stream
}

/// Waits until `condition` holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Reads header values of a relayed answer.
pub(crate) fn values(response: &PokthttpResponse) -> BTreeMap<String, Vec<String>> {
    response.header.iter().map(|(name, header)| (name.clone(), header.values.clone())).collect()
}
