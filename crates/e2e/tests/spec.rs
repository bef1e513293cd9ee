//! `pocket up` on a network that a page describes, with the real `pocket-spec` beside it.
#![expect(clippy::disallowed_methods, reason = "these tests stand outside the house: they start its processes")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use pocket_testbed::binary;
use serde_json::Value;

/// Ends with its handle.
struct Network(Child);

impl Drop for Network {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_service_of_the_spec_is_served_and_paid() {
    binary("pocket-spec").expect("it is built");
    let pocket = binary("pocket").expect("it is built");
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("mine.ncl");
    let service = "{ network.block_time_ms = 200, \
        services.my-chain = { rpc_type = 'JsonRpc, backend = { workload = \"backend\", port = \"http\" } } }";
    std::fs::write(&page, service).expect("written");
    let mut child = Command::new(&pocket)
        .args(["up", "--ports", "auto", "--json", "--spec"])
        .arg(&page)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let network = Network(child);
    let mut next = || -> Value {
        let line = lines.next().expect("it goes on").expect("text");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    let started = next();
    assert_eq!(started["block_time_ms"], 200, "{started}");
    assert!(started["services"].as_array().is_some_and(|all| all.contains(&"my-chain".into())), "{started}");
    let url = started["gateway_url"].as_str().expect("a URL");
    let relays = Command::new(&pocket)
        .args(["relay", "jsonrpc", "--url", url, "--service", "my-chain", "--count", "20", "--json"])
        .output()
        .expect("it runs");
    let report: Value = serde_json::from_slice(&relays.stdout).expect("a report");
    assert_eq!((&report["verified"], &report["failed"]), (&20.into(), &0.into()), "{report}");
    loop {
        let event = next();
        if event["event"] == "ledger" && event["settled_proved"].as_i64() >= Some(20) {
            assert_eq!(event["balanced"], true, "{event}");
            break;
        }
    }
    drop(network);
}
