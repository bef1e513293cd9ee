//! Claims are read as of a height: a node that is behind cannot answer with less than it is asked for.

use pocket_chain::{Chain, QueryErrorKind};
use pocket_proto::pocket::proof::Claim;
use pocket_proto::pocket::session::SessionHeader;

use crate::{SUPPLIER1, start};

/// More claims than one page holds.
const CLAIMS: usize = 1_500;

fn session_id(number: usize) -> String {
    format!("{number:064x}")
}

fn claim(number: usize) -> Claim {
    let header = SessionHeader { session_id: session_id(number), ..SessionHeader::default() };
    Claim {
        supplier_operator_address: SUPPLIER1.to_owned(),
        session_header: Some(header),
        root_hash: vec![7; 48],
        proof_validation_status: 0,
    }
}

async fn count(chain: &Chain, height: i64) -> usize {
    chain.claims_of_supplier(SUPPLIER1, height).await.expect("answered").len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_are_those_of_the_height_asked_for_on_every_page() {
    let case = start("block_time_ms: 60000").await;
    let devnet = &case.devnet.running.chain;
    let none = devnet.height();
    devnet.produce_block().expect("a block");
    let many = devnet.height();
    assert!(devnet.amend(|state| {
        for number in 0..CLAIMS {
            state.put_claim(&session_id(number), SUPPLIER1, claim(number));
        }
    }));
    devnet.produce_block().expect("a block");
    let settled = devnet.height();
    assert!(devnet.amend(|state| {
        let keys: Vec<_> = state.claims.keys().cloned().collect();
        for key in keys {
            state.remove_claim(&key);
        }
    }));

    assert_eq!(count(&case.chain, none).await, 0);
    assert_eq!(count(&case.chain, many).await, CLAIMS);
    assert_eq!(count(&case.chain, settled).await, 0);
    let id = session_id(1);
    let one = |height| case.chain.claim(&id, SUPPLIER1, height);
    assert_eq!(one(none).await.expect("answered"), None);
    assert_eq!(one(many).await.expect("answered"), Some(claim(1)));
    assert_eq!(one(settled).await.expect("answered"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_not_come_so_far_says_nothing_about_claims() {
    let case = start("block_time_ms: 60000").await;
    let ahead = case.devnet.running.chain.height() + 1;
    let error = case.chain.claims_of_supplier(SUPPLIER1, ahead).await.expect_err("there is no such block");
    assert_eq!(error.kind, QueryErrorKind::Ahead, "{error}");
    let error = case.chain.claim("00", SUPPLIER1, ahead).await.expect_err("there is no such block");
    assert_eq!(error.kind, QueryErrorKind::Ahead, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_height_that_the_node_has_forgotten_is_never_answered_from_a_newer_one() {
    let case = start("block_time_ms: 60000\nlimits: {history_blocks: 64}").await;
    let devnet = &case.devnet.running.chain;
    devnet.advance(100).expect("blocks");
    assert_eq!(count(&case.chain, devnet.height()).await, 0);
    let error = case.chain.claims_of_supplier(SUPPLIER1, 3).await.expect_err("it is forgotten");
    assert!(error.is_passing(), "{error}");
    assert!(error.message.contains("version does not exist"), "{error}");
}
