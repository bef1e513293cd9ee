//! `relay.json`.

use bytes::Bytes;
use pocket_crypto::hash::sha256;
use pocket_crypto::keys::{PublicKey, SecretKey};
use pocket_proto::canonical;
use pocket_proto::pocket::service::{
    RelayMinerError, RelayRequest, RelayRequestMetadata, RelayResponse, RelayResponseMetadata,
};
use pocket_proto::pocket::session::SessionHeader;
use pocket_proto::sdk::types::{Header, PokthttpRequest, PokthttpResponse};
use pocket_protocol::{http, mining, relay};
use serde_json::Value;

use super::support::{Kind, bytes, check_go, digest, int, is_ok, list_or_null, run, text_of, uint};

#[test]
fn vectors_relay() {
    run(
        "relay.json",
        &[
            ("http_request", Kind::Here(http_request)),
            ("http_response", Kind::Here(http_response)),
            ("relay_request", Kind::Here(relay_request)),
            ("relay_response", Kind::Here(relay_response)),
            ("relay", Kind::Here(whole_relay)),
            ("applicable", Kind::Here(applicable)),
            ("decode_request", Kind::Here(decode_request)),
        ],
    );
}

/// Headers as recorded: one case spells names in ways that our own builder would not.
fn headers(case: &Value) -> http::Headers {
    let header = |entry: &Value| {
        let key = text_of(entry, "key").to_owned();
        let values = list_or_null(entry, "values").iter().map(|value| value.as_str().expect("text").to_owned());
        (key.clone(), Header { key, values: values.collect() })
    };
    list_or_null(case, "headers").iter().map(header).collect()
}

fn http_request(case: &Value) {
    let request = PokthttpRequest {
        method: text_of(case, "method").to_owned(),
        header: headers(case),
        url: text_of(case, "url").to_owned(),
        body_bz: bytes(case, "body"),
    };
    let encoded = bytes(case, "bytes");
    assert_eq!(http::request_payload(&request), encoded);
    assert_eq!(http::decode_request(&encoded), Ok(request));
}

fn http_response(case: &Value) {
    let response = PokthttpResponse {
        status_code: u32::try_from(uint(case, "status_code")).expect("32 bits"),
        header: headers(case),
        body_bz: bytes(case, "body"),
    };
    let encoded = bytes(case, "bytes");
    assert_eq!(http::response_payload(&response), encoded);
    assert_eq!(http::decode_response(&encoded), Ok(response));
}

fn header(value: &Value) -> Option<SessionHeader> {
    (!value.is_null()).then(|| SessionHeader {
        application_address: text_of(value, "application_address").to_owned(),
        service_id: text_of(value, "service_id").to_owned(),
        session_id: text_of(value, "session_id").to_owned(),
        session_start_block_height: int(value, "session_start_block_height"),
        session_end_block_height: int(value, "session_end_block_height"),
    })
}

fn optional_bytes(value: &Value, field: &str) -> Bytes {
    if value[field].is_null() { Bytes::new() } else { bytes(value, field).into() }
}

fn request(value: &Value) -> RelayRequest {
    let meta = &value["meta"];
    RelayRequest {
        meta: Some(RelayRequestMetadata {
            session_header: header(&meta["session_header"]),
            signature: optional_bytes(meta, "signature"),
            supplier_operator_address: text_of(meta, "supplier_operator_address").to_owned(),
        }),
        payload: optional_bytes(value, "payload"),
    }
}

fn relay_request(case: &Value) {
    let request = request(&case["request"]);
    let encoded = bytes(case, "bytes");
    assert_eq!(relay::request_bytes(&request), encoded);
    assert_eq!(relay::decode_request(&Bytes::from(encoded)), Ok(request.clone()));
    assert_eq!(relay::request_signable_bytes(&request), bytes(case, "signable_bytes"));
    assert_eq!(relay::request_signable_hash(&request), digest(case, "signable_hash"));
    check_go(text_of(case, "name"), &case["validate_basic"], relay::validate_request(&request));
}

fn relay_response(case: &Value) {
    let name = text_of(case, "name");
    let value = &case["response"];
    let error = &value["relay_miner_error"];
    let response = RelayResponse {
        meta: Some(RelayResponseMetadata {
            session_header: header(&value["meta"]["session_header"]),
            supplier_operator_signature: optional_bytes(&value["meta"], "supplier_operator_signature"),
        }),
        payload: optional_bytes(value, "payload"),
        payload_hash: optional_bytes(value, "payload_hash"),
        relay_miner_error: (!error.is_null()).then(|| RelayMinerError {
            codespace: text_of(error, "codespace").to_owned(),
            code: u32::try_from(uint(error, "code")).expect("32 bits"),
            description: text_of(error, "description").to_owned(),
            message: text_of(error, "message").to_owned(),
        }),
    };
    let encoded = bytes(case, "bytes");
    assert_eq!(relay::response_bytes(&response), encoded);
    assert_eq!(relay::decode_response(&Bytes::from(encoded)), Ok(response.clone()));
    assert_eq!(relay::response_signable_bytes(&response), bytes(case, "signable_bytes"));
    let signable_hash = relay::response_signable_hash(&response);
    assert_eq!(signable_hash, digest(case, "signable_hash"));
    assert_eq!(sha256(&signable_hash), digest(case, "ecdsa_digest"));
    check_go(name, &case["validate_basic"], relay::validate_response(&response));

    let key = PublicKey::from_bytes(&bytes(case, "supplier_public_key")).expect("a public key");
    check_go(name, &case["verify"], relay::verify_response(&response, &key));

    if case["deterministic_signature"].as_bool() == Some(true) {
        let secret = SecretKey::from_hex(text_of(case, "supplier_private_key")).expect("a secret key");
        let signature = response.meta.as_ref().expect("set above").supplier_operator_signature.clone();
        assert_eq!(relay::supplier_signature(&response, &secret)[..], signature[..], "{name}");
        if !response.payload_hash.is_empty() && relay::payload_matches_hash(&response) {
            let mut signed = response.clone();
            signed.meta.as_mut().expect("set above").supplier_operator_signature = Bytes::new();
            signed.payload_hash = Bytes::new();
            relay::sign_response(&mut signed, &secret);
            assert_eq!(signed, response, "{name}");
        }
    }
}

fn whole_relay(case: &Value) {
    let request = relay::decode_request(&bytes(case, "request_bytes").into()).expect("a request");
    let response = relay::decode_response(&bytes(case, "response_bytes").into()).expect("a response");
    assert_eq!(relay::full_relay_bytes(&request, &response), bytes(case, "full_relay_bytes"));
    let stored = relay::stored_relay(&request, &response);
    assert_eq!(stored.bytes, bytes(case, "relay_bytes"));
    assert_eq!(stored.hash, digest(case, "relay_hash"));
    assert_eq!(stored.hash, digest(case, "smst_key"));
    assert_eq!(stored.path(), digest(case, "smst_path"));
    let read = relay::decode_relay(&stored.bytes.into()).expect("a relay");
    let payload = if response.payload_hash.is_empty() { response.payload.clone() } else { Bytes::new() };
    let response = RelayResponse { payload, ..response };
    assert_eq!((read.req, read.res), (Some(request), Some(response)));
}

fn applicable(case: &Value) {
    let target = bytes(case, "target");
    let verdict = case["applicable"].as_bool().expect("a verdict");
    match mining::target(&target) {
        Ok(target) => {
            let hash = bytes(case, "relay_hash");
            // A relay hash is 32 bytes by its type; a shorter one would be compared as the bytes it has.
            let ours = hash.first_chunk().map_or(hash[..] < target[..], |hash| mining::applicable(hash, &target));
            assert_eq!(ours, verdict);
        }
        // The recorded function compares bytes of any length; before it is asked, the chain refuses such a target
        // (protocol §7.1), and so do we.
        Err(error) => assert!(target.len() != 32, "{error}"),
    }
}

fn decode_request(case: &Value) {
    let input = Bytes::from(bytes(case, "bytes"));
    let ours = relay::decode_request(&input);
    if !is_ok(&case["decode"]) {
        assert_eq!(ours.expect_err("the chain refuses").to_string(), text_of(&case["decode"], "error"));
        return;
    }
    let ours = ours.expect("the chain accepts");
    assert_eq!(ours, request(&case["request"]));
    let remarshalled = canonical::remarshal_request(&input).expect("the chain accepts");
    assert_eq!(remarshalled, bytes(case, "remarshalled"));
    // A text that is none is carried as replacement characters: there only the exact bytes can be hashed. The request
    // of that case has no signature, so they are what is signed.
    let hash = if case["request"].to_string().contains('\u{fffd}') {
        sha256(&remarshalled)
    } else {
        relay::request_signable_hash(&ours)
    };
    assert_eq!(hash, digest(case, "signable_hash"));
}
