//! Height and history: a node that is behind takes neither back, a development chain that was restored takes both.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use pocket_chain::{Block, Chain};
use pocket_runtime::http::{self, Body, Client, ClientOptions, Incoming, Request, Response, ServeOptions, StatusCode};
use pocket_runtime::net::TcpListener;
use pocket_runtime::shutdown::{self, Shutdown, ShutdownTrigger};
use pocket_runtime::task;
use pocket_testbed::PrivateDevnet;
use serde_json::{Value, json};

use crate::{APP1, PATIENCE, start};

/// A node of the same chain that may have come no farther than some height; it has no event stream.
struct Lagging {
    address: SocketAddr,
    height: Arc<AtomicI64>,
    asked: Arc<AtomicU64>,
}

impl Lagging {
    async fn start(node: SocketAddr, shutdown: Shutdown) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr();
        let (height, asked) = (Arc::new(AtomicI64::new(i64::MAX)), Arc::new(AtomicU64::new(0)));
        let client = Client::new(ClientOptions {
            connect_timeout: PATIENCE,
            request_timeout: PATIENCE,
            idle_per_host: 4,
            idle_timeout: PATIENCE,
            max_per_host: 16,
            max_response_bytes: 1 << 24,
        });
        let options = ServeOptions {
            name: "lagging node",
            max_connections: 64,
            header_timeout: PATIENCE,
            idle_timeout: PATIENCE,
            write_timeout: PATIENCE,
            max_headers: 100,
            max_header_bytes: 16 << 10,
            h2c: false,
            max_streams: 1,
        };
        let (lag, counter) = (height.clone(), asked.clone());
        let service = move |request: Request<Incoming>| {
            let (client, lag, counter) = (client.clone(), lag.load(Ordering::SeqCst), counter.clone());
            async move {
                if request.uri().path() == "/websocket" {
                    let mut refused = Response::new(Body::empty());
                    *refused.status_mut() = StatusCode::NOT_FOUND;
                    return refused;
                }
                let body = http::read_body(request.into_body(), 1 << 20, PATIENCE).await.expect("a body");
                let mut call: Value = serde_json::from_slice(&body).expect("a call");
                counter.fetch_add(1, Ordering::SeqCst);
                if call["method"] == "block" && call["params"]["height"].is_null() && lag < i64::MAX {
                    call["params"]["height"] = lag.to_string().into();
                }
                let asked: i64 = call["params"]["height"].as_str().map_or(0, |text| text.parse().expect("a height"));
                if asked > lag {
                    let data =
                        format!("height {asked} must be less than or equal to the current blockchain height {lag}");
                    let error = json!({"code": -32603, "message": "Internal error", "data": data});
                    return Response::new(Body::full(json!({"jsonrpc": "2.0", "id": 1, "error": error}).to_string()));
                }
                let onward = Request::post(format!("http://{node}/")).header("content-type", "application/json");
                let onward = onward.body(bytes::Bytes::from(call.to_string())).expect("a request");
                client.send(onward).await.expect("the node answers").map(Body::full)
            }
        };
        drop(task::spawn("lagging node", async move { http::serve(listener, options, service, shutdown).await }));
        Self { address, height, asked }
    }

    /// Waits until it has been asked so often from now on.
    async fn is_asked(&self, times: u64) {
        let until = self.asked.load(Ordering::SeqCst) + times;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.asked.load(Ordering::SeqCst) < until {
            assert!(tokio::time::Instant::now() < deadline, "nobody asks");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A chain whose blocks are made by hand, followed through a node that may lag.
async fn followed() -> (PrivateDevnet, Lagging, Chain, ShutdownTrigger) {
    let devnet = pocket_testbed::devnet("block_time_ms: 60000").await.expect("a chain");
    let (trigger, shutdown) = shutdown::channel(Duration::from_millis(100));
    let lagging = Lagging::start(devnet.running.rpc_addr, shutdown.clone()).await;
    let mut node = devnet.node();
    node.query_node_rpc_url = format!("http://{}", lagging.address);
    node.poll_interval_ms = 10;
    let chain = Chain::connect(&node, PATIENCE, &shutdown).await.expect("connected");
    (devnet, lagging, chain, trigger)
}

async fn reached(chain: &Chain, height: i64) -> Block {
    tokio::time::timeout(PATIENCE, chain.blocks().reached(height)).await.expect("in time")
}

async fn next(chain: &Chain, last: Block) -> Block {
    tokio::time::timeout(PATIENCE, chain.blocks().next(Some(last))).await.expect("in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_height_does_not_go_back_for_a_node_that_is_behind() {
    let (devnet, lagging, chain, _trigger) = followed().await;
    devnet.running.chain.advance(400).expect("blocks");
    let newest = reached(&chain, 401).await;
    for lag in [400, 399, 350, 20, 1] {
        lagging.height.store(lag, Ordering::SeqCst);
        lagging.is_asked(5).await;
        assert_eq!(chain.blocks().latest(), newest, "lags at {lag}");
    }
    lagging.height.store(i64::MAX, Ordering::SeqCst);
    devnet.running.chain.advance(1).expect("a block");
    assert_eq!(next(&chain, newest).await.height, 402);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_chain_is_followed_from_the_first_block_that_is_another() {
    let case = start("block_time_ms: 60000").await;
    let (devnet, chain) = (&case.devnet.running.chain, &case.chain);
    let (snapshot, start) = devnet.snapshot();
    // Beyond the blocks that are kept.
    devnet.advance(600).expect("blocks");
    let newest = reached(chain, start + 600).await;
    let undone = chain.session(APP1, "develop-http", start + 25).await.expect("a session");

    assert_eq!(devnet.restore(&snapshot).expect("restored"), start);
    devnet.advance(1).expect("a block");
    let other = next(chain, newest).await;
    assert_eq!(other.height, start + 1);
    assert_eq!(other.hash, devnet.block(None).expect("a block").id.hash);

    // What was known of the heights to come is forgotten with their blocks.
    devnet.advance(24).expect("blocks");
    reached(chain, start + 25).await;
    let session = chain.session(APP1, "develop-http", start + 25).await.expect("a session");
    assert_eq!(session.start(), undone.start());
    assert_ne!(session.header.session_id, undone.header.session_id);
    chain.application(APP1).await.expect("as of now");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_chain_that_has_overtaken_its_follower_is_recognised() {
    for further in [15, 400] {
        let (devnet, lagging, chain, _trigger) = followed().await;
        let devnet = &devnet.running.chain;
        let (snapshot, _) = devnet.snapshot();
        devnet.advance(10).expect("blocks");
        let newest = reached(&chain, 11).await;
        // It shows nothing meanwhile.
        lagging.height.store(0, Ordering::SeqCst);
        devnet.restore(&snapshot).expect("restored");
        devnet.advance(further).expect("blocks");
        // It shows the new history only from beyond what was seen of the old one.
        lagging.height.store(i64::MAX, Ordering::SeqCst);
        next(&chain, newest).await;
        let last = devnet.height();
        reached(&chain, last).await;
        for height in 1..=last {
            let ours = chain.blocks().at(height).await.expect("a block");
            assert_eq!(ours.hash, devnet.block(Some(height)).expect("a block").id.hash, "height {height}");
        }
    }
}
