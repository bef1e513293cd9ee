//! `tx.json`.

use std::time::Duration;

use pocket_crypto::keys::SecretKey;
use pocket_protocol::Upokt;
use pocket_protocol::tx::{self, GasPrice, Order, Signer, TxOptions};
use prost_types::{Any, Timestamp};
use serde_json::Value;

use super::support::{Kind, bytes, list, run, text_of, time, uint};

#[test]
fn vectors_tx() {
    run("tx.json", &[("miner_tx", Kind::Here(miner_tx)), ("ordered_tx", Kind::Here(ordered_tx))]);
}

fn messages(case: &Value) -> Vec<Any> {
    let any =
        |message: &Value| Any { type_url: text_of(message, "type_url").to_owned(), value: bytes(message, "value") };
    list(case, "messages").iter().map(any).collect()
}

fn recorded_timeout(case: &Value) -> Timestamp {
    let timeout = &case["timeout_timestamp"];
    Timestamp {
        seconds: timeout["unix_seconds"].as_i64().expect("seconds"),
        nanos: i32::try_from(timeout["nanos"].as_i64().expect("nanoseconds")).expect("less than a second"),
    }
}

fn recorded_fee(case: &Value) -> Upokt {
    match text_of(case, "fee") {
        "" => Upokt::ZERO,
        fee => fee.parse().expect("a fee"),
    }
}

/// A transaction of the reference miner, from its settings on.
fn miner_tx(case: &Value) {
    let gas_limit = match uint(case, "configured_gas_limit") {
        0 => {
            let adjustment = case["gas_adjustment"].as_f64().expect("an adjustment");
            tx::adjusted_gas(uint(case, "simulated_gas"), adjustment)
        }
        configured => configured,
    };
    assert_eq!(gas_limit, uint(case, "gas_limit"));
    let fee = match case["gas_price"].as_str() {
        Some(price) => tx::fee(gas_limit, &price.parse::<GasPrice>().expect("a gas price")),
        None => recorded_fee(case),
    };
    assert_eq!(fee, recorded_fee(case));
    let timeout = match case["block_time"].as_str() {
        Some(block_time) => {
            let window = uint(case, "window_seconds");
            let window = (window > 0).then(|| Duration::from_secs(window));
            tx::unordered::timeout(time(block_time), tx::unordered::time_to_live(window))
        }
        None => recorded_timeout(case),
    };
    assert_eq!(timeout, recorded_timeout(case));

    let options = TxOptions { order: Order::Unordered { timeout }, memo: text_of(case, "memo"), gas_limit, fee };
    check(case, &options);
    if let Some(simulated) = case["simulate_tx"].as_str() {
        let key = SecretKey::from_hex(text_of(case, "private_key")).expect("a secret key");
        let options = TxOptions { gas_limit: 0, fee: Upokt::ZERO, ..options };
        assert_eq!(hex::encode(signer(case, &key).build(&messages(case), &options).bytes), simulated);
    }
}

fn ordered_tx(case: &Value) {
    let order =
        Order::Ordered { sequence: uint(case, "account_sequence"), timeout_height: uint(case, "timeout_height") };
    let (memo, gas_limit) = (text_of(case, "memo"), uint(case, "gas_limit"));
    check(case, &TxOptions { order, memo, gas_limit, fee: recorded_fee(case) });
}

fn signer<'a>(case: &'a Value, key: &'a SecretKey) -> Signer<'a> {
    Signer { key, chain_id: text_of(case, "chain_id"), account_number: uint(case, "account_number") }
}

fn check(case: &Value, options: &TxOptions<'_>) {
    let key = SecretKey::from_hex(text_of(case, "private_key")).expect("a secret key");
    assert_eq!(key.address().as_str(), text_of(case, "signer"));
    let account = signer(case, &key);
    let signed = account.build(&messages(case), options);
    assert_eq!(hex::encode(&signed.body_bytes), text_of(case, "body_bytes"));
    assert_eq!(hex::encode(&signed.auth_info_bytes), text_of(case, "auth_info_bytes"));
    let document = tx::sign_doc(&signed.body_bytes, &signed.auth_info_bytes, account.chain_id, account.account_number);
    assert_eq!(hex::encode(&document), text_of(case, "sign_doc_bytes"));
    assert_eq!(hex::encode(pocket_crypto::hash::sha256(&document)), text_of(case, "sign_doc_sha256"));
    assert_eq!(hex::encode(signed.signature), text_of(case, "signature"));
    assert_eq!(hex::encode(&signed.bytes), text_of(case, "tx_raw"));
    assert_eq!(signed.hash_text(), text_of(case, "tx_hash"));

    // And the way back, as a node reads it.
    let decoded = tx::decode(&signed.bytes).expect("our own transaction");
    assert_eq!(decoded.messages(), messages(case));
    assert_eq!(decoded.hash, signed.hash);
    assert_eq!(decoded.public_key(0).expect("a key"), Some(key.public_key()));
    assert_eq!(decoded.sequence(0), uint(case, "sequence_in_signer_info"));
    decoded.check_basic(&[text_of(case, "signer").to_owned()], tx::TxLimits::DEFAULT).expect("well formed");
    decoded.check_signature(0, &key.public_key(), account.chain_id, account.account_number).expect("our own signature");
    assert!(decoded.check_signature(0, &key.public_key(), "another-chain", account.account_number).is_err());

    // Whatever is cut off or flipped, reading says yes or no, and never does anything else.
    for at in 0..signed.bytes.len() {
        let _ = tx::decode(&signed.bytes[..at]);
        let mut flipped = signed.bytes.clone();
        flipped[at] ^= 0x41;
        if let Ok(decoded) = tx::decode(&flipped) {
            let signature = decoded.check_signature(0, &key.public_key(), account.chain_id, account.account_number);
            assert!(signature.is_err(), "a transaction changed at byte {at} is still signed");
        }
    }
}
