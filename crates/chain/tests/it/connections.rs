//! Connections that break as those of real nodes do.

use std::time::Duration;

use pocket_chain::Chain;
use pocket_runtime::shutdown;
use pocket_testbed::proxy::{Call, Cut, Http2, http2};

use crate::{APP1, PATIENCE};

const SESSION: &str = "/pocket.session.Query/GetSession";

fn faults() -> [Call; 9] {
    [
        Call::GoAway(http2::NO_ERROR),
        Call::GoAway(http2::ENHANCE_YOUR_CALM),
        Call::Reset(http2::REFUSED_STREAM),
        Call::Reset(http2::INTERNAL_ERROR),
        Call::ResetAfterEffect(http2::CANCEL),
        Call::CutInBody(Cut::Close),
        Call::CutInBody(Cut::Reset),
        Call::CutBeforeAnswer(Cut::Close),
        Call::Status { code: 8, message: "too many requests".to_owned() },
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_says_nothing_about_a_session() {
    let devnet = pocket_testbed::devnet("block_time_ms: 60000").await.expect("a chain");
    for fault in faults() {
        let what = format!("{fault:?}");
        let proxy = Http2::start(devnet.running.grpc_addr.to_string()).await.expect("a proxy");
        let (_trigger, shutdown) = shutdown::channel(Duration::from_millis(100));
        let mut node = devnet.node();
        node.query_node_grpc_url = proxy.address().to_string();
        let chain = Chain::connect(&node, PATIENCE, &shutdown).await.expect("connected");
        proxy.break_call(SESSION, fault);
        match chain.session(APP1, "develop-http", 0).await {
            // What was certainly not worked on may have been asked again underneath.
            Ok(_) => assert_eq!(proxy.broken(), 1, "{what}"),
            Err(error) => assert!(error.is_passing(), "{what}: {error}"),
        }
        // In the same block, as soon as there is another connection.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while let Err(error) = chain.session(APP1, "develop-http", 0).await {
            assert!(error.is_passing() && tokio::time::Instant::now() < deadline, "{what}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_connections_break_is_left_for_the_next() {
    let devnet = pocket_testbed::devnet("block_time_ms: 60000").await.expect("a chain");
    for fault in faults() {
        let what = format!("{fault:?}");
        let proxy = Http2::start(devnet.running.grpc_addr.to_string()).await.expect("a proxy");
        let (_trigger, shutdown) = shutdown::channel(Duration::from_millis(100));
        let mut node = devnet.node();
        node.fallback_grpc_urls = vec![std::mem::replace(&mut node.query_node_grpc_url, proxy.address().to_string())];
        let chain = Chain::connect(&node, PATIENCE, &shutdown).await.expect("connected");
        proxy.break_calls(SESSION, 0, 1_000, fault);
        chain.session(APP1, "develop-http", 0).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(proxy.broken() > 0, "{what}");
    }
}
