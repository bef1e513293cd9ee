//! REST: what the development environment asks for, and a clear refusal of the rest.

use serde_json::{Value, json};

use crate::world::{Answer, World};

async fn get(world: &World, path: &str) -> (u16, Value) {
    let Answer { status, body, content_type, .. } = world.http(world.bound.rest_addr, "GET", path, "").await;
    assert_eq!(content_type, "application/json", "{path}");
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}")))
}

#[tokio::test]
async fn the_paths_of_the_environment_are_answered() {
    let world = World::open().await;
    world.make_until(5);
    let (status, node) = get(&world, "/cosmos/base/tendermint/v1beta1/node_info").await;
    assert_eq!((status, node["default_node_info"]["network"].as_str()), (200, Some("pocket")));
    let (_, syncing) = get(&world, "/cosmos/base/tendermint/v1beta1/syncing").await;
    assert_eq!(syncing, json!({"syncing": false}));
    let (_, latest) = get(&world, "/cosmos/base/tendermint/v1beta1/blocks/latest").await;
    assert_eq!(latest["block"]["header"]["height"], "5");
    let application = "pokt1mrqt5f7qh8uxs27cjm9t7v9e74a9vvdnq5jva4";
    let (_, account) = get(&world, &format!("/cosmos/auth/v1beta1/accounts/{application}")).await;
    assert_eq!(account["account"]["address"], application);
    let (_, balances) = get(&world, &format!("/cosmos/bank/v1beta1/balances/{application}")).await;
    assert_eq!(balances["balances"][0]["denom"], "upokt");
    let (_, one) = get(&world, &format!("/cosmos/bank/v1beta1/balances/{application}/by_denom?denom=upokt")).await;
    assert_eq!(one["balance"], balances["balances"][0]);
    for module in ["application", "gateway", "proof", "service", "session", "shared", "supplier", "tokenomics"] {
        let (status, params) = get(&world, &format!("/pokt-network/poktroll/{module}/params")).await;
        assert!(status == 200 && params["params"].is_object(), "{module}: {params}");
    }
}

#[tokio::test]
async fn what_is_not_served_or_not_found_is_refused_in_json() {
    let world = World::open().await;
    world.make_until(1);
    let (status, refusal) = get(&world, "/cosmos/gov/v1/proposals").await;
    assert_eq!((status, refusal["code"].as_i64()), (501, Some(12)));
    assert!(refusal["message"].as_str().expect("text").contains("ask by gRPC"));
    let (status, refusal) =
        get(&world, "/cosmos/auth/v1beta1/accounts/pokt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqw9ltm9").await;
    assert_eq!((status, refusal["code"].as_i64()), (404, Some(5)));
    let (status, _) = get(&world, "/cosmos/base/tendermint/v1beta1/blocks/99").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_transaction_can_be_posted() {
    let world = World::open().await;
    world.make_until(1);
    let body = json!({"tx_bytes": "AQID", "mode": "BROADCAST_MODE_SYNC"}).to_string();
    let answer = world.http(world.bound.rest_addr, "POST", "/cosmos/tx/v1beta1/txs", &body).await;
    let response: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!((answer.status, response["tx_response"]["code"].as_u64()), (200, Some(2)), "{response}");
    let broken = world.http(world.bound.rest_addr, "POST", "/cosmos/tx/v1beta1/txs", "{").await;
    assert_eq!(broken.status, 400);
}
