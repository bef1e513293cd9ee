//! Endpoints that fail: dead ones, and a proxy that eats `WebSocket`s.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use pocket_chain::Chain;
use pocket_runtime::http::{self, Body, Client, ClientOptions, Incoming, Request, Response, ServeOptions, StatusCode};
use pocket_runtime::net::TcpListener;
use pocket_runtime::shutdown::{self, Shutdown};
use pocket_runtime::task;

use crate::PATIENCE;

/// Forwards calls to a node and refuses event streams.
async fn proxy_without_events(node: SocketAddr, shutdown: Shutdown) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr();
    let client = Client::new(ClientOptions {
        connect_timeout: PATIENCE,
        request_timeout: PATIENCE,
        idle_per_host: 4,
        idle_timeout: PATIENCE,
        max_per_host: 16,
        max_response_bytes: 1 << 24,
    });
    let options = ServeOptions {
        name: "proxy",
        max_connections: 64,
        header_timeout: PATIENCE,
        idle_timeout: PATIENCE,
        write_timeout: PATIENCE,
        max_headers: 100,
        max_header_bytes: 16 << 10,
        h2c: false,
        max_streams: 1,
    };
    let service = move |request: Request<Incoming>| {
        let client = client.clone();
        async move {
            if request.uri().path() == "/websocket" {
                let mut refused = Response::new(Body::empty());
                *refused.status_mut() = StatusCode::NOT_FOUND;
                return refused;
            }
            let body = http::read_body(request.into_body(), 1 << 20, PATIENCE).await.expect("a body");
            let onward = Request::post(format!("http://{node}/")).header("content-type", "application/json").body(body);
            let answer = client.send(onward.expect("a request")).await.expect("the node answers");
            answer.map(|body: Bytes| Body::full(body))
        }
    };
    drop(task::spawn("proxy", async move {
        http::serve(listener, options, service, shutdown).await;
    }));
    addr
}

/// An address that nobody listens on.
async fn dead() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polling_takes_over_where_there_are_no_events() {
    let devnet = pocket_testbed::devnet("block_time_ms: 40").await.expect("a chain");
    let (_trigger, shutdown) = shutdown::channel(Duration::from_millis(100));
    let mut node = devnet.node();
    node.query_node_rpc_url =
        format!("http://{}", proxy_without_events(devnet.running.rpc_addr, shutdown.clone()).await);
    node.poll_interval_ms = 20;
    let chain = Chain::connect(&node, PATIENCE, &shutdown).await.expect("connected");

    let mut height = chain.height();
    for _ in 0..15 {
        let block =
            tokio::time::timeout(PATIENCE, chain.blocks().after(height)).await.expect("in time").expect("a block");
        assert_eq!(block.height, height + 1, "none is skipped");
        height = block.height;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_endpoint_is_left_for_the_next() {
    let devnet = pocket_testbed::devnet("block_time_ms: 40").await.expect("a chain");
    let (_trigger, shutdown) = shutdown::channel(Duration::from_millis(100));
    let mut node = devnet.node();
    node.fallback_rpc_urls = vec![std::mem::replace(&mut node.query_node_rpc_url, format!("http://{}", dead().await))];
    node.fallback_grpc_urls = vec![std::mem::replace(&mut node.query_node_grpc_url, dead().await.to_string())];
    let chain = Chain::connect(&node, PATIENCE, &shutdown).await.expect("connected");

    chain.session(crate::APP1, "develop-http", 0).await.expect("a session");
    let height = chain.height();
    tokio::time::timeout(PATIENCE, chain.blocks().reached(height + 5)).await.expect("blocks go on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_not_there_is_named() {
    let devnet = pocket_testbed::devnet("block_time_ms: 40").await.expect("a chain");
    let (_trigger, shutdown) = shutdown::channel(Duration::from_millis(100));
    let mut node = devnet.node();
    node.query_node_rpc_url = format!("http://{}", dead().await);
    let error = Chain::connect(&node, Duration::from_millis(100), &shutdown).await.err().expect("refused");
    assert!(error.to_string().contains(&node.query_node_rpc_url), "{error}");

    let mut node = devnet.node();
    node.chain_id = "another".to_owned();
    let error = Chain::connect(&node, PATIENCE, &shutdown).await.err().expect("refused");
    assert!(error.to_string().contains("chain `pocket`"), "{error}");
}
