//! Nodes that are behind: what they do not know yet is not taken for what is not there.

use std::time::Duration;

use pocket_chain::{Chain, QueryErrorKind};
use pocket_protocol::address;
use pocket_runtime::shutdown::{self, ShutdownTrigger};
use pocket_testbed::{PrivateDevnet, pocket_devnet};

use crate::{APP1, PATIENCE, SUPPLIER1};

/// Height of the node whose blocks are followed.
const AHEAD: u64 = 45;

/// Two nodes of one chain: the blocks of one are followed, and the other, which is behind, is asked.
struct Two {
    ahead: PrivateDevnet,
    behind: PrivateDevnet,
    chain: Chain,
    _trigger: ShutdownTrigger,
}

/// What the node that is behind has not come to: nobody is staked yet.
fn before_staking(state: &mut pocket_devnet::State) {
    state.applications.remove_mut(&address::parse(APP1).expect("an address"));
    state.suppliers.remove_mut(&address::parse(SUPPLIER1).expect("an address"));
}

impl Two {
    async fn start(with_fallback: bool) -> Self {
        let node = || pocket_testbed::devnet("block_time_ms: 60000");
        let (ahead, behind) = (node().await.expect("a chain"), node().await.expect("a chain"));
        ahead.running.chain.advance(AHEAD).expect("blocks");
        assert!(behind.running.chain.amend(before_staking));
        let mut settings = ahead.node();
        settings.query_node_grpc_url = behind.node().query_node_grpc_url;
        if with_fallback {
            settings.fallback_grpc_urls = vec![ahead.node().query_node_grpc_url];
        }
        let (trigger, shutdown) = shutdown::channel(Duration::from_millis(100));
        let chain = Chain::connect(&settings, PATIENCE, &shutdown).await.expect("connected");
        Self { ahead, behind, chain, _trigger: trigger }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_that_is_behind_does_not_know_is_neither_missing_nor_refused() {
    let two = Two::start(false).await;
    let chain = &two.chain;
    let (application, supplier, now, old, params, key) = tokio::join!(
        chain.application(APP1),
        chain.supplier(SUPPLIER1),
        chain.session(APP1, "develop-http", 0),
        // Even what it has is not asked of it: it may not know of a stake that reaches back.
        chain.session(APP1, "develop-http", 1),
        chain.shared_at(41),
        chain.public_key(APP1),
    );
    let errors = [application.err(), supplier.err(), now.err(), old.err(), params.err(), key.err()];
    for error in errors {
        let error = error.expect("it is behind");
        assert_eq!(error.kind, QueryErrorKind::Ahead, "{error}");
        assert!(error.is_passing());
    }

    let (ahead, behind) = (&two.ahead.running.chain, &two.behind.running.chain);
    behind.advance(ahead.height().abs_diff(behind.height())).expect("blocks");
    let now = ahead.state();
    assert!(behind.amend(|state| *state = now));
    chain.application(APP1).await.expect("it has caught up");
    chain.supplier(SUPPLIER1).await.expect("it has caught up");
    chain.session(APP1, "develop-http", 0).await.expect("it has caught up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_behind_is_left_for_one_that_is_not() {
    let two = Two::start(true).await;
    two.chain.application(APP1).await.expect("the other knows it");
    let session = two.chain.session(APP1, "develop-http", 0).await.expect("the other has come to it");
    assert!(session.start() <= two.chain.height() && two.chain.height() <= session.end());
}
