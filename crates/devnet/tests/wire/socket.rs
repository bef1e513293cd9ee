//! Subscriptions: what was recorded, and what keeps them bounded.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    compare::{Json, difference, skeleton},
    files,
    situation::{Recorded, recording},
    world::World,
};

/// Returns what tells an event of a recording from others: its id, its type, its height, its place in the block.
fn event_key(frame: &Json) -> Option<(String, String, String, String)> {
    let data = frame.at(&["result", "data"]);
    let kind = data.get("type").text();
    let value = data.get("value");
    let height = match kind {
        "tendermint/event/NewBlock" => value.at(&["block", "header", "height"]),
        "tendermint/event/NewBlockHeader" => value.at(&["header", "height"]),
        "tendermint/event/Tx" => value.at(&["TxResult", "height"]),
        _ => return None,
    };
    let index = format!("{:?}", value.at(&["TxResult", "index"]));
    Some((format!("{:?}", frame.get("id")), kind.to_owned(), height.text().to_owned(), index))
}

#[tokio::test]
async fn vectors_recorded_websocket_frames_come_as_from_the_node() {
    let world = World::open().await;
    let recorded = Recorded::read();
    let path = files("node/rpc").into_iter().find(|(name, _)| name == "websocket.json").expect("it was recorded").1;
    let connections = recording(&path);
    // Blocks with the recorded transactions of sessions that are the same here.
    let mut transactions: BTreeMap<i64, Vec<Vec<u8>>> = BTreeMap::new();
    for connection in connections.as_array().expect("connections") {
        for frame in frames(connection) {
            let json = Json::parse(&frame);
            if let Some((_, kind, height, _)) = event_key(&json)
                && kind.ends_with("/NewBlock")
                && let Json::List(txs) = json.at(&["result", "data", "value", "block", "data", "txs"])
            {
                let decode = |tx: &Json| {
                    use base64::{Engine as _, prelude::BASE64_STANDARD};
                    BASE64_STANDARD.decode(tx.text()).expect("base64")
                };
                transactions.insert(height.parse().expect("a height"), txs.iter().map(decode).collect());
            }
        }
    }
    let mut cases: BTreeMap<String, usize> = BTreeMap::new();
    let mut sockets = Vec::new();
    for connection in connections.as_array().expect("connections") {
        let mut socket = world.socket().await;
        let mut answers =
            frames_of(connection, "node").filter(|frame| !frame.contains("\"query\"")).collect::<Vec<_>>();
        answers.reverse();
        for frame in frames_of(connection, "client").filter(|frame| !frame.contains("unsubscribe_all")) {
            let ours = socket.ask(&frame).await;
            assert_eq!(Some(ours), answers.pop(), "{frame}");
            *cases.entry("answer".to_owned()).or_default() += 1;
        }
        sockets.push((socket, connection, answers));
    }
    while world.chain.height() < recorded.last {
        for tx in transactions.get(&(world.chain.height() + 1)).into_iter().flatten() {
            let height = world.chain.height();
            let time = recorded.time_of(height);
            assert!(world.chain.amend(|state| state.time = time));
            crate::situation::expect_sequence(&world.chain, tx, "");
            let checked = world.chain.submit(tx).expect("it is new");
            assert_eq!(checked.code, 0, "{}", checked.log);
        }
        recorded.make_block(&world.chain);
    }
    for (mut socket, connection, mut answers) in sockets {
        // The answer to this comes after everything that was announced before.
        let leave = frames_of(connection, "client").find(|frame| frame.contains("unsubscribe_all"));
        socket.say(r#"{"jsonrpc":"2.0","id":"end","method":"health"}"#).await;
        let mut heard = BTreeMap::new();
        loop {
            let frame = socket.hear().await.expect("the node stays");
            if frame.contains(r#""id":"end""#) && !frame.contains("\"query\"") {
                // Blocks were made by this very thread; what is announced late comes before the next answer.
                if heard.keys().any(|key: &(String, String, String, String)| key.2 == recorded.last.to_string()) {
                    break;
                }
                tokio::task::yield_now().await;
                socket.say(r#"{"jsonrpc":"2.0","id":"end","method":"health"}"#).await;
                continue;
            }
            let json = Json::parse(&frame);
            heard.insert(event_key(&json).expect("an event"), json);
        }
        for frame in frames(connection) {
            let mut theirs = Json::parse(&frame);
            let Some(key) = event_key(&theirs) else { continue };
            let mut ours = heard.remove(&key).unwrap_or_else(|| panic!("{key:?} was not announced"));
            for json in [&mut theirs, &mut ours] {
                // Go writes maps in any order.
                json.sort_at("events");
            }
            let settlement = key.1.ends_with("/NewBlock") && frame.contains("EventClaimSettled");
            if settlement {
                // Settlement follows from proofs of an unrecorded block's path: its shapes are compared with `blocks`.
                continue;
            }
            let (theirs, ours) = (skeleton(&theirs), skeleton(&ours));
            assert!(theirs == ours, "{}", difference(&format!("{key:?}"), &theirs, &ours));
            *cases.entry(key.1.clone()).or_default() += 1;
        }
        if let Some(leave) = leave {
            assert_eq!(Some(socket.ask(&leave).await), answers.pop());
            *cases.entry("answer".to_owned()).or_default() += 1;
        }
    }
    for (kind, count) in cases {
        println!("node websocket {kind}: {count} cases");
    }
}

fn frames_of<'a>(connection: &'a Value, from: &'a str) -> impl Iterator<Item = String> + 'a {
    let frames = connection["frames"].as_array().expect("frames").iter();
    frames.filter(move |frame| frame["from"] == from).map(|frame| frame["frame"].as_str().expect("text").to_owned())
}

fn frames(connection: &Value) -> impl Iterator<Item = String> + '_ {
    frames_of(connection, "node")
}

fn height_of(frame: &str) -> i64 {
    let json: Value = serde_json::from_str(frame).expect("JSON");
    let height = json["result"]["data"]["value"]["header"]["height"].as_str();
    height.unwrap_or_else(|| panic!("no header: {frame}")).parse().expect("a height")
}

const HEADERS: &str = r#"{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"query":"tm.event='NewBlockHeader'"}}"#;

#[tokio::test]
async fn every_block_is_announced_once_in_order_and_can_be_read_at_once() {
    let world = World::open().await;
    world.make_until(3);
    let mut socket = world.socket().await;
    assert_eq!(socket.ask(HEADERS).await, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    let chain = world.chain.clone();
    // More blocks than a subscriber may lag behind, while nobody reads.
    chain.advance(400).expect("blocks");
    for expected in 4..=403 {
        let frame = socket.hear().await.expect("an event");
        assert_eq!(height_of(&frame), expected);
        if expected % 100 == 0 {
            let block = world.uri(&format!("/block?height={expected}")).await;
            assert_eq!(block.status, 200, "{}", block.body);
        }
    }
}

#[tokio::test]
async fn blocks_after_a_restored_snapshot_are_announced_again() {
    let world = World::open().await;
    world.make_until(5);
    let (id, _) = world.chain.snapshot();
    let mut socket = world.socket().await;
    socket.ask(HEADERS).await;
    world.make_until(8);
    for expected in 6..=8 {
        assert_eq!(height_of(&socket.hear().await.expect("an event")), expected);
    }
    world.chain.restore(&id).expect("the snapshot");
    world.make_until(7);
    for expected in 6..=7 {
        assert_eq!(height_of(&socket.hear().await.expect("an event")), expected);
    }
}

#[tokio::test]
async fn subscriptions_are_limited_and_queries_of_all_kinds_work() {
    let world = World::open().await;
    let mut socket = world.socket().await;
    for number in 0..5 {
        let query = format!("tm.event='NewBlockHeader' AND block.number={number}");
        let ask = format!(r#"{{"jsonrpc":"2.0","id":{number},"method":"subscribe","params":{{"query":"{query}"}}}}"#);
        assert!(socket.ask(&ask).await.contains(r#""result":{}"#));
    }
    let refused = socket.ask(HEADERS).await;
    assert!(refused.contains("max_subscriptions_per_client 5 reached"), "{refused}");
    let status = socket.ask(r#"{"jsonrpc":"2.0","id":"s","method":"status"}"#).await;
    assert!(status.contains(r#""id":"s""#) && status.contains("sync_info"));
    let unknown = socket.ask(r#"{"jsonrpc":"2.0","id":9,"method":"nope"}"#).await;
    assert!(unknown.contains("-32601"));
    let broken = socket.ask("{bad").await;
    assert!(broken.contains("-32700") && !broken.contains("\"id\""), "{broken}");
    assert!(
        socket
            .ask(r#"{"jsonrpc":"2.0","id":10,"method":"unsubscribe_all","params":{}}"#)
            .await
            .contains(r#""result":{}"#)
    );
    // Only blocks whose events match.
    let minted = r#"{"jsonrpc":"2.0","id":11,"method":"subscribe","params":{"query":"tm.event='NewBlock' AND mint.amount='0'"}}"#;
    socket.ask(minted).await;
    world.make_until(1);
    let frame = socket.hear().await.expect("an event");
    assert!(frame.contains("tendermint/event/NewBlock") && frame.contains(r#""id":11"#));
}

#[tokio::test]
async fn a_plain_request_to_the_websocket_path_is_refused() {
    let world = World::open().await;
    assert_eq!(world.uri("/websocket").await.status, 400);
    let by_uri = world.uri("/subscribe?query=%22tm.event='Tx'%22").await;
    assert_eq!(by_uri.status, 404);
}

#[tokio::test]
async fn a_client_that_is_silent_is_asked_whether_it_lives() {
    use futures_util::StreamExt;
    use tokio_tungstenite::tungstenite::Message;
    let world = World::open().await;
    let mut socket = world.socket().await;
    socket.ask(HEADERS).await;
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    for _ in 0..3 {
        let message = socket.0.next().await.expect("the node stays").expect("a frame");
        assert!(matches!(message, Message::Ping(_)), "{message:?}");
    }
    let waited = begun.elapsed().as_secs();
    assert!((75..90).contains(&waited), "three pings within {waited} s of the chain's time");
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_dropped() {
    let world = World::open().await;
    let mut socket = world.socket().await;
    for number in 0..5 {
        // Texts that differ, so that the events come five times: more than the buffers of a connection hold.
        let query = format!("tm.event='NewBlock' AND mint.amount>{}", number - 5);
        let ask = format!(r#"{{"jsonrpc":"2.0","id":{number},"method":"subscribe","params":{{"query":"{query}"}}}}"#);
        assert!(socket.ask(&ask).await.contains(r#""result":{}"#));
    }
    tokio::time::pause();
    world.chain.advance(900).expect("blocks");
    tokio::time::sleep(std::time::Duration::from_secs(40)).await;
    tokio::time::resume();
    let mut heard = 0;
    while socket.hear().await.is_some() {
        heard += 1;
    }
    assert!(heard < 5 * 900, "{heard} frames were kept for a client that did not read");
    // Others are served as before.
    let mut other = world.socket().await;
    other.ask(HEADERS).await;
    world.make_until(901);
    assert_eq!(height_of(&other.hear().await.expect("an event")), 901);
}
