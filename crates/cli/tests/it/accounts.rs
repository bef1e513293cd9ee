//! Public keys on a chain whose genesis has none.

use std::path::{Path, PathBuf};

use pocket_testbed::{PrivateDevnet, devnet};
use serde_json::Value;

use crate::tool::{good, good_json, refused};

fn rendered(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The network of the Docker environment, whose accounts have never signed anything.
async fn silent_network(folder: &Path) -> PrivateDevnet {
    let text = std::fs::read_to_string(rendered("tilt/docker/config/facts.json")).expect("it is rendered");
    let mut facts: Value = serde_json::from_str(&text).expect("JSON");
    facts["public_keys_at_genesis"] = false.into();
    let file = folder.join("facts.json");
    std::fs::write(&file, facts.to_string()).expect("written");
    devnet(&format!("block_time_ms: 200\nfacts_file: {}", file.display())).await.expect("a chain")
}

fn arguments<'a>(keys: &'a str, rpc: &'a str, grpc: &'a str) -> Vec<&'a str> {
    vec!["accounts", "init", "--keys-file", keys, "--rpc", rpc, "--grpc", grpc]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_account_publishes_its_key_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let chain = silent_network(folder.path()).await;
    let node = chain.node();
    let keys = rendered("tilt/config/all-keys.yaml").display().to_string();
    let mut call = arguments(&keys, &node.query_node_rpc_url, &node.query_node_grpc_url);
    call.push("--json");
    tokio::task::spawn_blocking({
        let call: Vec<String> = call.iter().map(ToString::to_string).collect();
        move || {
            let call: Vec<&str> = call.iter().map(String::as_str).collect();
            for expected in ["published", "known"] {
                let told = good_json(&call);
                let told = told.as_array().expect("a list");
                assert!(told.len() > 20, "{told:?}");
                assert!(told.iter().all(|one| one["result"] == expected), "{expected}: {told:?}");
            }
        }
    })
    .await
    .expect("no panic");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_without_a_key_on_the_chain_fails_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let chain = silent_network(folder.path()).await;
    let node = chain.node();
    let key = pocket_crypto::keys::SecretKey::from_secret(b"nobody has heard of this one");
    let keys = folder.path().join("keys.yaml");
    let secret = key.to_hex_secret().to_string();
    let text = format!("accounts:\n- name: stranger\n  address: {}\n  private_key: {secret}\n", key.address());
    std::fs::write(&keys, text).expect("written");
    let keys = keys.display().to_string();
    let (rpc, grpc) = (node.query_node_rpc_url, node.query_node_grpc_url);
    tokio::task::spawn_blocking(move || {
        let (code, said) = refused(&arguments(&keys, &rpc, &grpc));
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("1 of 1 accounts"), "{said}");
        assert!(!said.contains(&secret), "no key is shown");
    })
    .await
    .expect("no panic");
}

#[test]
fn a_key_of_another_address_is_refused_before_anything_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys.yaml");
    let key = pocket_crypto::keys::SecretKey::from_secret(b"one");
    let secret = key.to_hex_secret().to_string();
    let other = pocket_crypto::keys::SecretKey::from_secret(b"another").address();
    std::fs::write(&keys, format!("accounts:\n- name: app1\n  address: {other}\n  private_key: {secret}\n"))
        .expect("written");
    let keys = keys.display().to_string();
    let (code, said) = refused(&arguments(&keys, "http://localhost:1", "http://localhost:1"));
    assert!(code == 1 && said.contains("account app1 says address") && !said.contains(&secret), "{said}");
    assert!(good(&["accounts", "init", "--help"]).contains("--keys-file"));
}
