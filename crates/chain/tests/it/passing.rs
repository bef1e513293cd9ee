//! What is no word of the chain: it is asked again, kept by nobody, and never taken for a refusal.

use std::time::Duration;

use pocket_chain::{Chain, QueryErrorKind};
use pocket_proto::pocket::devnet::v1::{Fault, FaultKind};
use pocket_runtime::shutdown;
use pocket_testbed::proxy::Node;

use crate::{APP1, Case, PATIENCE, SUPPLIER1, start};

const SESSION: &str = "/pocket.session.Query/GetSession";

/// What nodes, load balancers and connections say: gRPC codes with their texts.
const PASSING: [(u32, &str); 9] = [
    (13, "h2 protocol error: http2 error"),
    (2, "h2 protocol error: error reading a body from connection"),
    (8, "too many requests"),
    (10, "the connection was aborted"),
    (1, "operation was canceled"),
    (5, "no route"),
    (7, "no such key"),
    (
        2,
        "codespace sdk code 26: invalid height: context did not contain latest block height in either check state or finalize block state (9)",
    ),
    (
        2,
        "codespace sdk code 38: not found: failed to load state at height 5; version does not exist (latest height: 9)",
    ),
];

fn strike_once(case: &Case, method: &str, (code, message): (u32, &str)) {
    let fault = Fault {
        kind: FaultKind::Reject.into(),
        target: method.to_owned(),
        code,
        message: message.to_owned(),
        count: 1,
        ..Fault::default()
    };
    case.devnet.running.chain.fault(fault).expect("a fault");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_a_node_could_not_read_is_asked_for_again_in_the_same_block() {
    for what in PASSING {
        let case = start("block_time_ms: 60000").await;
        strike_once(&case, SESSION, what);
        let error = case.chain.session(APP1, "develop-http", 0).await.expect_err("it is struck once");
        assert!(error.is_passing(), "{what:?}: {error}");
        assert_eq!(error.kind, QueryErrorKind::Unavailable, "{what:?}: {error}");
        let again = case.chain.session(APP1, "develop-http", 0).await;
        assert!(again.is_ok(), "{what:?}: {:?}", again.err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_found_by_a_proxy_may_be_there_on_the_chain() {
    let case = start("block_time_ms: 60000").await;
    let chain = &case.chain;
    let no_route = (5, "no route");
    strike_once(&case, "/pocket.supplier.Query/Supplier", no_route);
    assert!(chain.supplier(SUPPLIER1).await.expect_err("it is struck once").is_passing());
    chain.supplier(SUPPLIER1).await.expect("it is staked");
    strike_once(&case, "/pocket.application.Query/Application", no_route);
    assert!(chain.application(APP1).await.expect_err("it is struck once").is_passing());
    chain.application(APP1).await.expect("it is staked");
    strike_once(&case, "/cosmos.auth.v1beta1.Query/Account", no_route);
    assert!(chain.public_key(APP1).await.expect_err("it is struck once").is_passing());
    assert!(chain.public_key(APP1).await.expect("answered").is_some());
    strike_once(&case, "/pocket.proof.Query/Claim", no_route);
    assert!(chain.claim("00", SUPPLIER1, chain.height()).await.expect_err("it is struck once").is_passing());
    strike_once(&case, "/cosmos.tx.v1beta1.Service/GetTx", no_route);
    assert!(chain.outcome(&"AB".repeat(32)).await.expect_err("it is struck once").is_passing());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_is_not_kept_from_a_node_that_could_not_read_a_key() {
    let case = start("block_time_ms: 60000").await;
    let session = case.chain.session(APP1, "develop-http", 0).await.expect("a session");
    strike_once(&case, "/cosmos.auth.v1beta1.Query/Account", (13, "h2 protocol error: http2 error"));
    assert!(case.chain.ring(&session, false).await.expect_err("it is struck once").is_passing());
    assert_eq!(case.chain.ring(&session, false).await.expect("a ring").len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_has_forgotten_of_blocks_is_no_refusal() {
    let case = start("block_time_ms: 60000\nlimits: {history_blocks: 64, blocks_kept: 64}").await;
    case.devnet.running.chain.advance(100).expect("blocks");
    // One that has seen none of them.
    let (_trigger, shutdown) = shutdown::channel(Duration::from_millis(100));
    let chain = Chain::connect(&case.devnet.node(), PATIENCE, &shutdown).await.expect("connected");
    for error in [
        chain.block_results(3).await.expect_err("it is forgotten"),
        chain.blocks().at(3).await.expect_err("it is forgotten"),
    ] {
        assert!(error.is_passing(), "{error}");
        assert!(error.message.contains("lowest height"), "{error}");
    }
    let far = chain.blocks().at(10_000).await.expect_err("it has not come");
    assert_eq!(far.kind, QueryErrorKind::Ahead, "{far}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_ask_at_the_same_time_share_what_came_of_it() {
    let case = start("block_time_ms: 60000").await;
    let node = Node::start(case.devnet.running.grpc_addr.to_string()).await.expect("a node");
    let (_trigger, shutdown) = shutdown::channel(Duration::from_millis(100));
    let mut settings = case.devnet.node();
    settings.query_node_grpc_url = node.address().to_string();
    let chain = Chain::connect(&settings, PATIENCE, &shutdown).await.expect("connected");
    // Each asker by itself would wait until it is over that the node has not come so far.
    node.refuse(SESSION, 2, "codespace sdk code 26: invalid height: cannot query with height in the future");
    let ask = || chain.session(APP1, "develop-http", 0);
    let answers = futures_util::future::join_all((0..32).map(|_| ask())).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|error| error.kind == QueryErrorKind::Ahead)));
    let alone = node.calls(SESSION);
    assert!(alone < 32, "{alone} calls: one asker, and the others with it");
    node.refuse_nothing();
    ask().await.expect("nobody keeps it");
}
