//! JSON-RPC beyond the recordings: batches, ids, parameters, commits, the rest of the methods.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::world::World;

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

async fn ask(world: &World, method: &str, params: Value) -> Value {
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    parsed(&world.rpc(&call.to_string()).await.body)
}

#[tokio::test]
async fn a_batch_is_answered_in_order_and_notifications_not_at_all() {
    let world = World::open().await;
    world.make_until(3);
    let batch = r#"[{"jsonrpc":"2.0","id":"a","method":"health"},{"jsonrpc":"2.0","method":"health"},
        {"jsonrpc":"2.0","id":2,"method":"nope"},{"jsonrpc":"2.0","id":3,"method":"block","params":["2"]}]"#;
    let answer = parsed(&world.rpc(batch).await.body);
    let answers = answer.as_array().expect("a batch");
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0], json!({"jsonrpc": "2.0", "id": "a", "result": {}}));
    assert_eq!(answers[1]["error"]["code"], -32601);
    assert_eq!(answers[2]["result"]["block"]["header"]["height"], "2");
    assert_eq!(world.rpc(r#"{"jsonrpc":"2.0","method":"health"}"#).await.body, "");
    let long = format!("[{}]", vec![r#"{"id":1,"method":"health"}"#; 101].join(","));
    let refused = world.rpc(&long).await;
    assert_eq!((refused.status, parsed(&refused.body)["error"]["code"].as_i64()), (500, Some(-32600)));
}

#[tokio::test]
async fn wrong_parameters_are_refused_with_what_is_wrong() {
    let world = World::open().await;
    world.make_until(2);
    let bare = ask(&world, "block", json!({"height": 2})).await;
    assert_eq!(bare["error"]["code"], -32602);
    let data = bare["error"]["data"].as_str().expect("data");
    assert_eq!(
        data,
        r#"error converting json params to arguments: invalid 64-bit integer encoding "2", expected string"#
    );
    let many = ask(&world, "block", json!(["1", "2"])).await;
    assert_eq!(many["error"]["code"], -32602);
    let uri = world.uri("/block?height=two").await;
    assert_eq!((uri.status, parsed(&uri.body)["error"]["code"].as_i64()), (500, Some(-32602)));
    let quoted = parsed(&world.uri("/block?height=%222%22").await.body);
    assert_eq!(quoted["result"]["block"]["header"]["height"], "2");
    let negative = ask(&world, "block_results", json!({"height": "-1"})).await;
    assert_eq!(negative["error"]["data"], "height must be greater than 0, but got -1");
}

#[tokio::test]
async fn blocks_are_found_by_hash_and_listed_newest_first() {
    let world = World::open().await;
    world.make_until(30);
    let block = world.chain.block(Some(12)).expect("a block");
    let found = ask(&world, "block_by_hash", json!({"hash": BASE64_STANDARD.encode(block.id.hash)})).await;
    assert_eq!(found["result"]["block"]["header"]["height"], "12");
    let by_uri = parsed(&world.uri(&format!("/block_by_hash?hash=0x{}", hex::encode(block.id.hash))).await.body);
    assert_eq!(by_uri["result"], found["result"]);
    let none = ask(&world, "block_by_hash", json!({"hash": BASE64_STANDARD.encode([1; 32])})).await;
    assert_eq!(none["result"]["block"], Value::Null);
    let listed = ask(&world, "blockchain", json!({"minHeight": "5", "maxHeight": "100"})).await;
    let metas = listed["result"]["block_metas"].as_array().expect("metas");
    assert_eq!((metas.len(), metas[0]["header"]["height"].as_str()), (20, Some("30")));
    assert_eq!(listed["result"]["last_height"], "30");
    let first = ask(&world, "block", json!({"height": "1"})).await;
    assert_eq!(first["result"]["block"]["last_commit"]["signatures"], json!([]));
}

#[tokio::test]
async fn genesis_parameters_and_waiting_transactions_are_told() {
    let world = World::open().await;
    world.make_until(1);
    let genesis = ask(&world, "genesis", json!({})).await;
    assert_eq!(genesis["result"]["genesis"]["chain_id"], "pocket");
    let chunk = ask(&world, "genesis_chunked", json!({"chunk": "0"})).await;
    let bytes = BASE64_STANDARD.decode(chunk["result"]["data"].as_str().expect("data")).expect("base64");
    assert_eq!(parsed(&String::from_utf8(bytes).expect("text")), genesis["result"]["genesis"]);
    let params = ask(&world, "consensus_params", json!({})).await;
    assert_eq!(params["result"]["consensus_params"]["block"]["max_gas"], "-1");
    let waiting = ask(&world, "num_unconfirmed_txs", json!({})).await;
    assert_eq!(waiting["result"]["n_txs"], "0");
    let index = world.uri("/").await;
    assert!(index.content_type.starts_with("text/html") && index.body.contains("/block_results"));
}

#[tokio::test]
async fn queries_by_path_answer_as_by_grpc() {
    let world = World::open().await;
    world.make_until(4);
    let service = ask(
        &world,
        "abci_query",
        json!({"path": "/pocket.service.Query/Service", "data": hex::encode(b"\x0a\x04nope")}),
    )
    .await;
    let response = &service["result"]["response"];
    assert_eq!((response["code"].as_u64(), response["codespace"].as_str()), (Some(22), Some("sdk")));
    assert!(response["log"].as_str().expect("a log").contains(r#"service ID not found: "nope""#));
    let nowhere = ask(&world, "abci_query", json!({"path": "/pocket.nosuch.Query/Nope"})).await;
    assert_eq!(nowhere["result"]["response"]["code"], 6);
    let past = ask(&world, "abci_query", json!({"path": "/pocket.shared.Query/Params", "height": "2"})).await;
    assert_eq!(past["result"]["response"]["height"], "2");
    let future = ask(&world, "abci_query", json!({"path": "/pocket.shared.Query/Params", "height": "99"})).await;
    assert_eq!(future["result"]["response"]["code"], 26);
}

#[tokio::test]
async fn a_transaction_that_cannot_be_read_is_refused_by_every_broadcast() {
    let world = World::open().await;
    world.make_until(1);
    let tx = json!({"tx": BASE64_STANDARD.encode([1, 2, 3])});
    for method in ["broadcast_tx_sync", "broadcast_tx_commit"] {
        let answer = ask(&world, method, tx.clone()).await;
        let check = if method == "broadcast_tx_sync" { &answer["result"] } else { &answer["result"]["check_tx"] };
        assert_eq!((check["code"].as_u64(), check["codespace"].as_str()), (Some(2), Some("sdk")), "{answer}");
    }
    let answer = ask(&world, "broadcast_tx_async", tx).await;
    assert_eq!(answer["result"]["code"], 0, "the sender is not told");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let world = World::open().await;
    let answer = world.rpc(&" ".repeat((4 << 20) + 1)).await;
    assert_eq!(answer.status, 413);
}
