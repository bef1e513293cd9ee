//! Bytes and JSON against recordings of the chain. Reads the folder in `POCKET_VECTORS`, or the copies in `pocket-protocol`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::BTreeMap, fs, path::PathBuf};

use bytes::Bytes;
use pocket_proto::{
    DESCRIPTOR_SET,
    canonical::{self, WireError},
    json,
    pocket::service::{Relay, RelayRequest, RelayResponse},
};
use prost::Message as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

fn vectors() -> PathBuf {
    std::env::var_os("POCKET_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/tests/vectors")), PathBuf::from)
}

fn read(path: &PathBuf) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The `.json` files of a folder, by name.
fn files(folder: &str) -> BTreeMap<String, Value> {
    let folder = vectors().join(folder);
    let found: BTreeMap<_, _> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), read(&path)))
        .collect();
    assert!(!found.is_empty(), "{} is empty", folder.display());
    found
}

fn relay_cases(kind: &str) -> Vec<Value> {
    const KINDS: [&str; 7] =
        ["applicable", "decode_request", "http_request", "http_response", "relay", "relay_request", "relay_response"];
    let file = read(&vectors().join("relay.json"));
    let cases = file["cases"].as_array().expect("cases");
    for case in cases {
        let kind = case["kind"].as_str().expect("kind");
        assert!(KINDS.contains(&kind), "unknown kind {kind} in relay.json");
    }
    let cases: Vec<_> = cases.iter().filter(|case| case["kind"] == kind).cloned().collect();
    assert!(!cases.is_empty(), "relay.json has no {kind}");
    println!("relay.json {kind}: {} cases", cases.len());
    cases
}

#[track_caller]
fn hex_of(case: &Value, key: &str) -> Vec<u8> {
    hex::decode(case[key].as_str().unwrap_or_else(|| panic!("no {key} in {case}"))).unwrap()
}

#[test]
fn vectors_of_requests_decode_and_marshal_again_as_on_the_chain() {
    for case in relay_cases("decode_request") {
        let name = case["name"].as_str().unwrap();
        let bytes = hex_of(&case, "bytes");
        let decoded = canonical::decode_request(&Bytes::from(bytes.clone()));
        if case["decode"]["ok"] == false {
            let refusal = case["decode"]["error"].as_str().unwrap();
            assert_eq!(decoded.expect_err(name).to_string(), refusal, "{name}");
            assert_eq!(canonical::remarshal_request(&bytes).expect_err(name).to_string(), refusal, "{name}");
            continue;
        }
        let decoded = decoded.unwrap_or_else(|error| panic!("{name}: {error}"));
        let remarshalled = hex_of(&case, "remarshalled");
        assert_eq!(hex::encode(canonical::remarshal_request(&bytes).unwrap()), hex::encode(&remarshalled), "{name}");
        check_request(name, &decoded, &case["request"]);
        // Text that is not UTF-8 is exact in the bytes only.
        if name == "decode-invalid-utf8-supplier" {
            continue;
        }
        assert_eq!(hex::encode(canonical::encode_request(&decoded)), hex::encode(&remarshalled), "{name}");
        let mut signable = decoded;
        signable.meta.as_mut().unwrap().signature = Bytes::new();
        let hash = Sha256::digest(canonical::encode_request(&signable));
        assert_eq!(hex::encode(hash), case["signable_hash"].as_str().unwrap(), "{name}");
    }
}

#[track_caller]
fn check_request(name: &str, request: &RelayRequest, expected: &Value) {
    let meta = request.meta.as_ref().expect("meta is always present");
    assert_eq!(hex::encode(&request.payload), expected["payload"].as_str().unwrap(), "{name}");
    let expected = &expected["meta"];
    assert_eq!(hex::encode(&meta.signature), expected["signature"].as_str().unwrap(), "{name}");
    assert_eq!(meta.supplier_operator_address, expected["supplier_operator_address"].as_str().unwrap(), "{name}");
    let Some(header) = &meta.session_header else {
        assert_eq!(expected["session_header"], Value::Null, "{name}");
        return;
    };
    let expected = &expected["session_header"];
    assert_eq!(header.application_address, expected["application_address"].as_str().unwrap(), "{name}");
    assert_eq!(header.service_id, expected["service_id"].as_str().unwrap(), "{name}");
    assert_eq!(header.session_id, expected["session_id"].as_str().unwrap(), "{name}");
    assert_eq!(header.session_start_block_height, expected["session_start_block_height"].as_i64().unwrap(), "{name}");
    assert_eq!(header.session_end_block_height, expected["session_end_block_height"].as_i64().unwrap(), "{name}");
}

#[test]
fn vectors_of_relay_messages_survive_decoding_and_encoding() {
    for (kind, key) in [
        ("relay_request", "bytes"),
        ("relay_response", "bytes"),
        ("relay", "full_relay_bytes"),
        ("relay", "relay_bytes"),
    ] {
        for case in relay_cases(kind) {
            let name = case["name"].as_str().unwrap();
            let bytes = hex_of(&case, key);
            let owned = Bytes::from(bytes.clone());
            let (again, remarshalled) = match kind {
                "relay_request" => (
                    canonical::encode_request(&canonical::decode_request(&owned).unwrap()),
                    canonical::remarshal_request(&bytes).unwrap(),
                ),
                "relay_response" => (
                    canonical::encode_response(&canonical::decode_response(&owned).unwrap()),
                    canonical::remarshal_response(&bytes).unwrap(),
                ),
                _ => (
                    canonical::encode_relay(&canonical::decode_relay(&owned).unwrap()),
                    canonical::remarshal_relay(&bytes).unwrap(),
                ),
            };
            assert_eq!(hex::encode(again), hex::encode(&bytes), "{name}");
            assert_eq!(hex::encode(remarshalled), hex::encode(&bytes), "{name}");
        }
    }
}

#[test]
fn absent_metadata_is_written_as_an_empty_message() {
    assert_eq!(canonical::encode_request(&RelayRequest::default()), [0x0a, 0]);
    assert_eq!(canonical::encode_response(&RelayResponse::default()), [0x0a, 0]);
    let relay = Relay { req: Some(RelayRequest::default()), res: Some(RelayResponse::default()) };
    assert_eq!(canonical::encode_relay(&relay), [0x0a, 2, 0x0a, 0, 0x12, 2, 0x0a, 0]);
    assert_eq!(canonical::encode_relay(&Relay::default()), [0_u8; 0]);
    assert_eq!(canonical::remarshal_relay(&[0x0a, 0, 0x12, 0]).unwrap(), canonical::encode_relay(&relay));
}

#[test]
fn what_the_quick_decoder_refuses_is_read_as_the_chain_reads_it() {
    let header = |bytes: &[u8]| canonical::decode_request(&Bytes::copy_from_slice(bytes));
    // The field number of a tag is cut to 32 bits: this is field 2.
    let wrapped = [0x92, 0x80, 0x80, 0x80, 0x80, 0x01, 0x01, b'x'];
    assert_eq!(header(&wrapped).unwrap().payload, "x");
    // Groups end with any number, and may hold field number 0.
    assert_eq!(header(&[0x7b, 0x00, 0x01, 0x74]).unwrap(), header(&[]).unwrap());
    assert_eq!(header(&[0x7b]), Err(WireError::Truncated));
    assert_eq!(header(&[0x0f]), Err(WireError::WrongWireType { wire_type: 7, field: "Meta" }));
    assert_eq!(header(&[0x7f]), Err(WireError::IllegalWireType { wire_type: 7 }));
    let negative = [0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(header(&negative), Err(WireError::InvalidLength));
    // Deep groups cost a counter, not the stack.
    let deep = [vec![0x7b; 100_000], vec![0x7c; 100_000]].concat();
    assert!(header(&deep).is_ok());
}

/// Request and response types by method, such as `pocket.proof.Query.Claim`.
fn methods() -> BTreeMap<String, (String, String)> {
    let set = prost_types::FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap();
    let mut methods = BTreeMap::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let name = format!("{}.{}.{}", file.package(), service.name(), method.name());
                let bare = |name: &str| name.trim_start_matches('.').to_owned();
                methods.insert(name, (bare(method.input_type()), bare(method.output_type())));
            }
        }
    }
    methods
}

#[test]
fn vectors_of_grpc_calls_are_written_as_the_same_json() {
    let methods = methods();
    let (mut requests, mut answers) = (0, 0);
    for (file, call) in files("node/grpc") {
        let method = call["method"].as_str().unwrap().trim_start_matches('/').replace('/', ".");
        if method == "pocket.nosuch.Query.Nope" {
            continue;
        }
        let (request, response) = methods.get(&method).unwrap_or_else(|| panic!("{file}: no method {method}"));
        if !call["request_json"].is_null() {
            check_json(&file, request, &call["request_hex"], &call["request_json"]);
            requests += 1;
        }
        if call.get("error").is_none() {
            check_json(&file, response, &call["response_hex"], &call["response_json"]);
            answers += 1;
        }
    }
    println!("node/grpc request: {requests} cases");
    println!("node/grpc response: {answers} cases");
    assert!(requests > 0 && answers > 0);
}

#[track_caller]
fn check_json(file: &str, name: &str, bytes: &Value, expected: &Value) {
    let bytes = hex::decode(bytes.as_str().unwrap()).unwrap();
    let written = json::to_json(name, &bytes).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_eq!(written, *expected, "{file}: {name}");
}

/// What our types write after reading an answer, for those whose fields the chain writes even when empty, or sorted.
fn again(method: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    use pocket_proto::{cosmos, pocket};
    fn round<M: prost::Message + Default>(bytes: &[u8]) -> Vec<u8> {
        M::decode(bytes).unwrap().encode_to_vec()
    }
    Some(match method {
        "/cosmos.auth.v1beta1.Query/Account" => round::<cosmos::auth::v1beta1::QueryAccountResponse>(bytes),
        "/cosmos.base.tendermint.v1beta1.Service/GetBlockByHeight" => {
            round::<cosmos::base::tendermint::v1beta1::GetBlockByHeightResponse>(bytes)
        }
        "/cosmos.base.tendermint.v1beta1.Service/GetNodeInfo" => {
            round::<cosmos::base::tendermint::v1beta1::GetNodeInfoResponse>(bytes)
        }
        "/cosmos.tx.v1beta1.Service/GetTx" => round::<cosmos::tx::v1beta1::GetTxResponse>(bytes),
        "/cosmos.tx.v1beta1.Service/Simulate" => round::<cosmos::tx::v1beta1::SimulateResponse>(bytes),
        "/pocket.application.Query/AllApplications" => {
            round::<pocket::application::QueryAllApplicationsResponse>(bytes)
        }
        "/pocket.proof.Query/AllClaims" => round::<pocket::proof::QueryAllClaimsResponse>(bytes),
        "/pocket.session.Query/GetSession" => round::<pocket::session::QueryGetSessionResponse>(bytes),
        "/pocket.supplier.Query/AllSuppliers" => round::<pocket::supplier::QueryAllSuppliersResponse>(bytes),
        "/pocket.tokenomics.Query/Params" => round::<pocket::tokenomics::QueryParamsResponse>(bytes),
        _ => return None,
    })
}

#[test]
fn vectors_of_answers_survive_decoding_and_encoding() {
    let mut checked: BTreeMap<String, usize> = BTreeMap::new();
    for (file, call) in files("node/grpc") {
        let method = call["method"].as_str().unwrap();
        if call.get("error").is_some() {
            continue;
        }
        let bytes = hex_of(&call, "response_hex");
        if let Some(again) = again(method, &bytes) {
            assert_eq!(hex::encode(again), hex::encode(bytes), "{file}");
            *checked.entry(method.to_owned()).or_default() += 1;
        }
    }
    for (method, count) in &checked {
        println!("node/grpc {method}: {count} cases");
    }
    assert_eq!(checked.len(), 10, "{checked:?}");
}

#[test]
fn vectors_of_http_payloads_survive_decoding_and_encoding() {
    use pocket_proto::sdk::types::{PokthttpRequest, PokthttpResponse};
    for case in relay_cases("http_request") {
        let bytes = hex_of(&case, "bytes");
        let again = PokthttpRequest::decode(&*bytes).unwrap().encode_to_vec();
        assert_eq!(hex::encode(again), hex::encode(bytes), "{}", case["name"]);
    }
    for case in relay_cases("http_response") {
        let bytes = hex_of(&case, "bytes");
        let again = PokthttpResponse::decode(&*bytes).unwrap().encode_to_vec();
        assert_eq!(hex::encode(again), hex::encode(bytes), "{}", case["name"]);
    }
}

/// A JSON value's kind: what a typed attribute keeps whatever its value.
fn shape(json: &str) -> &'static str {
    match serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}")) {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[test]
fn vectors_of_block_events_have_the_attributes_of_our_types() {
    let mut checked: BTreeMap<String, usize> = BTreeMap::new();
    for (file, answer) in files("node/blocks") {
        let body: Value = serde_json::from_str(answer["response_body"].as_str().unwrap()).unwrap();
        let result = &body["result"];
        let mut events: Vec<Value> = result["finalize_block_events"].as_array().cloned().unwrap_or_default();
        for tx in result["txs_results"].as_array().into_iter().flatten() {
            events.extend(tx["events"].as_array().cloned().unwrap_or_default());
        }
        for event in events {
            let name = event["type"].as_str().unwrap();
            if !name.starts_with("pocket.") {
                continue;
            }
            let recorded: Vec<(&str, &str)> = event["attributes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|attribute| (attribute["key"].as_str().unwrap(), attribute["value"].as_str().unwrap()))
                .filter(|(key, _)| !["mode", "msg_index"].contains(key))
                .collect();
            let ours = json::typed_event(name, &[]).unwrap_or_else(|error| panic!("{file}: {error}"));
            let keys = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, _)| (*key).to_owned()).collect::<Vec<_>>();
            let ours: Vec<(&str, &str)> = ours.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            assert_eq!(keys(&ours), keys(&recorded), "{file}: {name}");
            for ((key, ours), (_, recorded)) in ours.iter().zip(&recorded) {
                // An absent message is null in an empty event.
                if *ours != "null" {
                    assert_eq!(shape(ours), shape(recorded), "{file}: {name}.{key}: {recorded}");
                }
            }
            *checked.entry(name.to_owned()).or_default() += 1;
        }
    }
    for (name, count) in &checked {
        println!("node/blocks {name}: {count} cases");
    }
    assert!(checked.len() >= 6, "only {checked:?}");
}
