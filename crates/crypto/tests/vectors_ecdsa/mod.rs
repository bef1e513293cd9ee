//! ECDSA signatures recorded in relay.json (suppliers) and tx.json (transactions).

use pocket_crypto::keys::{PublicKey, SecretKey};

use crate::vectors_support::{Case, check_file};

#[test]
fn vectors_ecdsa_of_relay_responses() {
    let elsewhere = ["http_request", "http_response", "relay_request", "relay", "applicable", "decode_request"];
    check_file("relay.json", &[("relay_response", check_response)], &elsewhere);
}

#[test]
fn vectors_ecdsa_of_transactions() {
    check_file("tx.json", &[("miner_tx", check_transaction), ("ordered_tx", check_transaction)], &[]);
}

fn check_response(case: &Case) {
    let hash: [u8; 32] = case.array("signable_hash");
    let text = case.value("/response/meta/supplier_operator_signature").as_str().unwrap_or_default();
    let signature = hex::decode(text).unwrap();
    assert_eq!(pocket_crypto::hash::sha256(&hash), case.array("ecdsa_digest"));

    let key = PublicKey::from_bytes(&case.bytes("supplier_public_key")).unwrap();
    assert_eq!(key.verify(&hash, &signature).is_ok(), case.value("/verify/ok").as_bool().unwrap());
    if case.value("/deterministic_signature").as_bool().unwrap() {
        let secret = SecretKey::from_hex(case.text("supplier_private_key")).unwrap();
        assert_eq!(secret.sign(&hash).to_vec(), signature);
        assert_eq!(secret.sign_digest(&case.array("ecdsa_digest")).to_vec(), signature);
    }
}

fn check_transaction(case: &Case) {
    let secret = SecretKey::from_hex(case.text("private_key")).unwrap();
    let document = case.bytes("sign_doc_bytes");
    assert_eq!(pocket_crypto::hash::sha256(&document), case.array("sign_doc_sha256"));
    assert_eq!(secret.sign(&document).to_vec(), case.bytes("signature"));
    secret.public_key().verify(&document, &case.bytes("signature")).unwrap();
}
