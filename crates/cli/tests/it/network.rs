//! A network in a process of its own, and every verb that speaks to it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::tool::{DEADLINE, Network, good, good_json, refused};

#[test]
fn up_says_where_it_is_and_every_verb_finds_it() {
    let network = Network::up(&[]);
    assert_eq!(network.started["event"], "started");
    assert_eq!(network.started["chain_id"], "pocket");
    assert_eq!(network.started["addresses"].as_object().expect("addresses").len(), 13);

    let answer = good(&["relay", "jsonrpc", "--url", network.url()]);
    assert_eq!(
        answer.trim_end(),
        r#"{"id":1,"jsonrpc":"2.0","result":{"method":"eth_blockNumber","params":[],"status":"ok"}}"#
    );
    let report = good_json(&["relay", "jsonrpc", "--url", network.url(), "--count", "50", "-c", "4", "--json"]);
    assert_eq!((&report["verified"], &report["failed"]), (&50.into(), &0.into()), "{report}");
    assert!(report["latency_ms"]["p50"].as_f64().expect("a number") > 0.0, "{report}");

    let settled = network.line(|line| line["event"] == "ledger" && line["settled_proved"].as_i64() >= Some(51));
    assert_eq!(settled["balanced"], true, "{settled}");
    let ledger = good_json(&["ledger", "--json", "--admin", network.at("store_admin")]);
    assert_eq!(ledger["upokt"]["paid"], ledger["upokt"]["claimed"], "{ledger}");

    let admin = network.at("store_admin");
    let supplier = report["suppliers"].as_object().expect("suppliers").keys().next().expect("one").clone();
    let sessions = good_json(&["redis", "sessions", "--supplier", &supplier, "--json", "--admin", admin]);
    assert!(sessions.as_array().is_some_and(|list| !list.is_empty()), "{sessions}");
    let leader = good_json(&["redis", "leader", "--json", "--admin", admin]);
    assert!(leader["holder"].is_string(), "{leader}");
    let keys = good(&["redis", "keys", "--pattern", "ha:*", "--stats", "--limit", "0", "--admin", admin]);
    assert!(keys.contains("TYPE") && keys.contains(&supplier), "{keys}");

    let last = network.interrupt();
    assert_eq!(last["kept"], false, "{last}");
    assert_eq!(last["ledger"]["balanced"], true, "{last}");
}

#[test]
fn the_time_of_the_chain_is_in_hand() {
    let network = Network::up(&["--block-time", "1m"]);
    let control = network.at("chain_control").to_owned();
    let height = |verb: &[&str]| {
        let mut args = vec!["chain", "--json", "--control", &control];
        args.extend(verb);
        good_json(&args)["height"].as_i64().expect("a height")
    };
    let start = height(&["status"]);
    let snapshot = good_json(&["chain", "--json", "--control", &control, "snapshot"]);
    assert_eq!(height(&["advance", "7"]), start + 7);
    assert_eq!(height(&["warp", "--to-height", "30"]), 30);
    // Sessions of ten blocks; the window opens two blocks after a session's end.
    assert_eq!(height(&["warp", "--to-session-end"]), 30);
    assert_eq!(height(&["restore", snapshot["id"].as_str().expect("an id")]), start);
    assert_eq!(height(&["halt"]), start);
    let (_, words) = refused(&["chain", "advance", "--control", &control]);
    assert!(words.contains("halt"), "{words}");
    assert_eq!(height(&["resume"]), start);
    let (_, words) = refused(&["chain", "status", "--control", network.at("chain_grpc")]);
    assert!(words.contains("real node"), "{words}");
    network.interrupt();
}

/// Waits until the relayer follows the chain at such a height; gateway and miner follow in the same way.
fn until(network: &Network, is_it: impl Fn(i64) -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_it(health_height(network.at("relayer"))) {
        assert!(Instant::now() < deadline, "the relayer does not follow");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The height that a relayer says it has seen.
fn health_height(address: &str) -> i64 {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: relayer\r\nconnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (_, rest) = answer.split_once("\"block_height\":").unwrap_or_else(|| panic!("no height: {answer}"));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a height")
}

#[test]
fn after_a_restore_everything_goes_back_and_relays_are_paid_in_the_other_history() {
    let network = Network::up(&[]);
    let control = network.at("chain_control").to_owned();
    let chain = |verb: &[&str]| good_json(&[&["chain", "--json", "--control", &control], verb].concat());
    let relays = || {
        let report = good_json(&["relay", "jsonrpc", "--url", network.url(), "--count", "10", "--json"]);
        assert_eq!(report["verified"], 10, "{report}");
    };
    let settled = |relays: i64| {
        let is_it = |line: &Value| line["event"] == "ledger" && line["settled_proved"].as_i64() >= Some(relays);
        let settled = network.line(is_it);
        assert_eq!(settled["balanced"], true, "{settled}");
        assert_eq!((&settled["unclaimed"], &settled["rejected"]), (&0.into(), &0.into()), "{settled}");
    };
    relays();
    settled(10);
    let snapshot = chain(&["snapshot"]);
    let start = snapshot["height"].as_i64().expect("a height");
    // Farther than any process keeps blocks.
    chain(&["advance", "400"]);
    until(&network, |height| height >= start + 400);
    assert_eq!(chain(&["restore", snapshot["id"].as_str().expect("an id")])["height"], start);
    // In a session that begins in the other history.
    until(&network, |height| height > start + 20 && height < start + 100);
    relays();
    settled(20);
    network.interrupt();
}

#[test]
fn relays_signed_here_go_straight_to_the_relayer() {
    let network = Network::up(&["--block-time", "2s"]);
    let (relayer, rpc) = (format!("http://{}", network.at("relayer")), format!("http://{}", network.at("chain_rpc")));
    let grpc = network.at("chain_grpc");
    let direct = ["--direct", &relayer, "--node-rpc", &rpc, "--node-grpc", grpc];
    let mut args = vec!["relay", "jsonrpc", "--count", "15", "--concurrency", "3", "--json"];
    args.extend(direct);
    let report = good_json(&args);
    assert_eq!(report["verified"], 15, "{report}");
    assert_eq!(report["suppliers"].as_object().map(serde_json::Map::len), Some(15), "each in turn: {report}");
    network.interrupt();
}

#[test]
fn after_kill_9_the_chain_and_the_money_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("text");
    let network = Network::up(&["--data", data]);
    let report = good_json(&["relay", "jsonrpc", "--url", network.url(), "--count", "30", "--json"]);
    assert_eq!(report["verified"], 30, "{report}");
    let height = network.line(|line| line["event"] == "block")["height"].as_i64().expect("a height");
    network.kill();

    let at_rest = good_json(&["ledger", "--json", "--data", data]);
    assert!(at_rest["served"].as_i64() >= Some(30), "{at_rest}");

    let network = Network::up(&["--data", data]);
    assert!(network.started["height"].as_i64() >= Some(height), "{}", network.started);
    let running = good_json(&["ledger", "--json", "--data", data]);
    assert!(running["served"].as_i64() >= Some(30), "{running}");
    let (code, words) = refused(&["up", "--ports", "auto", "--data", data]);
    assert_eq!(code, 1);
    assert!(words.contains("is held by another process"), "{words}");
    let settled = network.line(|line| line["event"] == "ledger" && line["settled_proved"].as_i64() >= Some(30));
    assert_eq!(settled["balanced"], true, "{settled}");
    let last = network.interrupt();
    assert_eq!(last["kept"], true);
    assert_eq!(last["ledger"]["unclaimed"], 0, "{last}");
}

#[test]
fn a_taken_port_is_named_with_its_remedy() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = held.local_addr().expect("an address").port();
    let Some(offset) = port.checked_sub(3069) else { panic!("{port} is below the gateway's") };
    let (code, words) = refused(&["up", "--port-offset", &offset.to_string()]);
    assert_eq!(code, 1);
    assert!(words.contains(&port.to_string()) && words.contains("--ports auto"), "{words}");
}
