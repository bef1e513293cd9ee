//! `ring.json`, kind `relay_request`: the whole check of a request by the chain.

use std::collections::BTreeMap;

use pocket_crypto::keys::PublicKey;
use pocket_crypto::ring::Verifier;
use pocket_proto::pocket::application::Application;
use pocket_protocol::session::Grid;
use pocket_protocol::{relay, ring};
use prost::Message as _;
use serde_json::Value;

use super::support::{Kind, bytes, check_go_text, digest, int, list, list_or_null, run, text_of};

#[test]
fn vectors_ring() {
    const CRYPTO: &str = "crypto";
    run(
        "ring.json",
        &[
            ("placeholder", Kind::Elsewhere(CRYPTO)),
            ("hash_to_curve", Kind::Elsewhere(CRYPTO)),
            ("hash_to_scalar", Kind::Elsewhere(CRYPTO)),
            ("sign", Kind::Elsewhere(CRYPTO)),
            ("verify", Kind::Elsewhere(CRYPTO)),
            ("relay_request", Kind::Here(relay_request)),
        ],
    );
}

fn relay_request(case: &Value) {
    let name = text_of(case, "name");
    let request = relay::decode_request(&bytes(case, "relay_request").into()).expect("a request");
    let application = case["application"].as_str().map(|hex| {
        let bytes = hex::decode(hex).expect("hexadecimal");
        Application::decode(&bytes[..]).expect("an application")
    });
    let accounts: BTreeMap<&str, PublicKey> = case["accounts"]
        .as_object()
        .expect("accounts")
        .iter()
        .map(|(address, key)| {
            let key = hex::decode(key.as_str().expect("a key")).expect("hexadecimal");
            (address.as_str(), PublicKey::from_bytes(&key).expect("a public key"))
        })
        .collect();
    let grid = Grid { session_blocks: int(case, "num_blocks_per_session"), anchor_height: 1, anchor_number: 1 };
    check_application(case, application.as_ref());

    if let (Some(application), false) = (&application, case["expected_ring_addresses"].is_null()) {
        let header = request.meta.as_ref().and_then(|meta| meta.session_header.clone()).unwrap_or_default();
        let addresses = ring::addresses(application, grid.session_at(header.session_end_block_height).end);
        let chains: Vec<&str> =
            list(case, "expected_ring_addresses").iter().map(|address| address.as_str().expect("text")).collect();
        assert_eq!(addresses, chains, "{name}");
        let keys = ring::keys(&addresses, |address| accounts.get(address).copied()).expect("the chain had all keys");
        let chains: Vec<&str> =
            list(case, "expected_ring_keys").iter().map(|key| key.as_str().expect("text")).collect();
        assert_eq!(keys.iter().map(ToString::to_string).collect::<Vec<_>>(), chains, "{name}");
    }
    if !name.contains("changed") {
        assert_eq!(relay::request_signable_hash(&request), digest(case, "signable_hash"), "{name}");
    }

    let verifier = Verifier::new(16);
    // Twice: the second time the verifier knows the points.
    for _ in 0..2 {
        let facts = ring::Facts {
            application: application.as_ref(),
            grid,
            key_of: |address: &str| accounts.get(address).copied(),
            members_max: usize::MAX,
        };
        check_go_text(name, &case["go"], ring::verify_request(&request, facts, &verifier), without_decoding_reason);
    }
}

/// Why a signature cannot be read is worded by the ring library, and only there.
fn without_decoding_reason(text: String) -> String {
    const PREFIX: &str = "error deserializing ring signature: ";
    if text.starts_with(PREFIX) { PREFIX.to_owned() } else { text }
}

/// The delegation fields are given beside the encoded application: they must be the same.
fn check_application(case: &Value, application: Option<&Application>) {
    let Some(application) = application else { return };
    let delegatees: Vec<&str> = list_or_null(case, "delegatee_gateway_addresses")
        .iter()
        .map(|address| address.as_str().expect("text"))
        .collect();
    assert_eq!(application.delegatee_gateway_addresses, delegatees);
    let pending = case["pending_undelegations"].as_object().map_or(0, serde_json::Map::len);
    assert_eq!(application.pending_undelegations.len(), pending);
}
