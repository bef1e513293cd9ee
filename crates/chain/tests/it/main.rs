//! The client against a development chain, over its real wire.

mod claims;
mod connections;
mod fallback;
mod histories;
mod lagging;
mod passing;

use std::sync::Arc;
use std::time::Duration;

use pocket_chain::{Chain, GasPolicy, Outcome, QueryErrorKind, RefusalClass, SendError, Sender};
use pocket_config::facts;
use pocket_crypto::keys::SecretKey;
use pocket_proto::pocket::proof::MsgCreateClaim;
use pocket_runtime::shutdown::{self, ShutdownTrigger};
use pocket_testbed::PrivateDevnet;

const APP1: &str = "pokt1mrqt5f7qh8uxs27cjm9t7v9e74a9vvdnq5jva4";
const SUPPLIER1: &str = "pokt19a3t4yunp0dlpfjrp7qwnzwlrzd5fzs2gjaaaj";
const PATIENCE: Duration = Duration::from_secs(10);

struct Case {
    devnet: PrivateDevnet,
    chain: Chain,
    _trigger: ShutdownTrigger,
}

async fn start(settings: &str) -> Case {
    let devnet = pocket_testbed::devnet(settings).await.expect("a development chain");
    let (trigger, shutdown) = shutdown::channel(Duration::from_millis(100));
    let chain = Chain::connect(&devnet.node(), PATIENCE, &shutdown).await.expect("connected");
    Case { devnet, chain, _trigger: trigger }
}

fn supplier1() -> Arc<SecretKey> {
    let keys = facts::development_keys();
    let key = keys.iter().find(|key| key.name == "supplier1").expect("a development key");
    Arc::new(SecretKey::from_hex(&key.private_key).expect("a key"))
}

fn gas() -> GasPolicy {
    GasPolicy { limit: 0, price: "0.000001upokt".parse().expect("a price"), adjustment: 1.7 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_come_in_order_and_none_is_skipped() {
    let case = start("block_time_ms: 20").await;
    let blocks = case.chain.blocks();
    let mut height = blocks.height();
    for _ in 0..20 {
        let block = tokio::time::timeout(PATIENCE, blocks.after(height)).await.expect("in time").expect("a block");
        assert_eq!(block.height, height + 1);
        let known = case.devnet.running.chain.block(Some(block.height)).expect("the chain has it");
        assert_eq!(block.hash.to_vec(), known.id.hash.to_vec());
        height = block.height;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_brings_all_that_serving_in_it_needs() {
    let case = start("block_time_ms: 50").await;
    let session = case.chain.session(APP1, "develop-http", 0).await.expect("a session");
    assert_eq!(session.suppliers.len(), 15);
    assert_eq!((session.windows.claim_open, session.windows.claim_close), (session.end() + 2, session.end() + 10));
    assert_eq!(session.compute_units_per_relay, 1000);
    assert_eq!(session.target, [0xff; 32]);
    assert_eq!(session.application.address, APP1);
    assert!(session.supplier(SUPPLIER1).is_some());
    let again = case.chain.known_session(APP1, "develop-http", session.start()).is_some()
        || case.chain.session(APP1, "develop-http", session.start()).await.is_ok();
    assert!(again);

    let ring = case.chain.ring(&session, false).await.expect("a ring");
    assert_eq!(ring.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_next_block_brings_is_waited_for_and_what_is_far_away_is_not() {
    let case = start("block_time_ms: 300").await;
    // A node announces a block before its state can be asked for: the same answer as for a block not made yet.
    let next = case.chain.height() + 1;
    let session = case.chain.session(APP1, "develop-http", next).await.expect("the session of the next block");
    assert!(session.start() <= next && next <= session.end());
    let far = case.chain.session(APP1, "develop-http", next + 1_000).await.expect_err("far away");
    assert_eq!(far.kind, QueryErrorKind::Ahead, "{far}");
    assert!(far.message.contains("far ahead"), "the node was asked: {far}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_of_queries_are_told_from_failures() {
    let case = start("block_time_ms: 50").await;
    let nobody = "pokt1mdccn4u38eyjdxkk4h0jaddw4n3c72u82m5m9e";
    assert!(case.chain.application(nobody).await.expect_err("none").is_not_found());
    let unstaked = case.chain.session(APP1, "develop-grpc", 0).await.expect_err("not staked for it");
    assert_eq!(unstaked.kind, QueryErrorKind::Refused, "{unstaked}");
    assert_eq!(case.chain.public_key(nobody).await.expect("answered"), None);
    assert_eq!(case.chain.balance(SUPPLIER1).await.expect("answered"), 1_000_000_000_000);
    assert_eq!(case.chain.claim("00", SUPPLIER1, case.chain.height()).await.expect("answered"), None);
    assert!(case.chain.claims_of_supplier(SUPPLIER1, case.chain.height()).await.expect("answered").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_outside_its_window_is_refused_by_simulation_with_its_class() {
    let case = start("block_time_ms: 50").await;
    let session = case.chain.session(APP1, "develop-http", 0).await.expect("a session");
    let sender = Sender::new(case.chain.clone(), supplier1());
    let mut root = vec![7; 32];
    root.extend(1000_u64.to_be_bytes());
    root.extend(1_u64.to_be_bytes());
    let claim = MsgCreateClaim {
        supplier_operator_address: SUPPLIER1.to_owned(),
        session_header: Some(session.header.clone()),
        root_hash: root,
    };
    let error = sender.prepare(&[pocket_proto::any(&claim)], &gas(), Duration::from_mins(2)).await.expect_err("early");
    let SendError::Refused(refusal) = error else { panic!("{error}") };
    assert_eq!(refusal.class, RefusalClass::WindowNotOpen, "{refusal}");
    assert_eq!(refusal.message_index, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_in_its_window_lands_and_is_found() {
    let case = start("block_time_ms: 50").await;
    let session = case.chain.session(APP1, "develop-http", 0).await.expect("a session");
    let sender = Sender::new(case.chain.clone(), supplier1());
    let mut root = vec![7; 32];
    root.extend(1000_u64.to_be_bytes());
    root.extend(1_u64.to_be_bytes());
    let claim = MsgCreateClaim {
        supplier_operator_address: SUPPLIER1.to_owned(),
        session_header: Some(session.header.clone()),
        root_hash: root.clone(),
    };
    case.chain.blocks().reached(session.windows.claim_open).await;
    let prepared = sender.prepare(&[pocket_proto::any(&claim)], &gas(), Duration::from_mins(2)).await.expect("built");
    sender.broadcast(&prepared).await.expect("taken");
    let again = sender.broadcast(&prepared).await.expect_err("the same bytes");
    assert!(matches!(&again, SendError::Refused(refusal) if refusal.class == RefusalClass::AlreadySent), "{again:?}");

    case.chain.blocks().reached(case.chain.height() + 2).await;
    assert!(matches!(case.chain.outcome(&prepared.hash).await.expect("answered"), Outcome::Done { .. }));
    let now = case.chain.height();
    let found = case.chain.claim(&session.header.session_id, SUPPLIER1, now).await.expect("answered");
    assert_eq!(found.expect("the claim").root_hash, root);
    assert_eq!(case.chain.claims_of_supplier(SUPPLIER1, now).await.expect("answered").len(), 1);
}
