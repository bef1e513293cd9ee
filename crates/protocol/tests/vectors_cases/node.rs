//! `node.json`: a whole session of a real node, replayed through the same rules: every recorded claim and proof is
//! executed in order and answered as the chain answered it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use pocket_crypto::keys::{PublicKey, SecretKey};
use pocket_crypto::ring::Verifier;
use pocket_crypto::smst;
use pocket_proto::cosmos::tx::v1beta1::{SimulateRequest, TxBody};
use pocket_proto::json;
use pocket_proto::pocket::application::Application;
use pocket_proto::pocket::proof::{Claim, MsgCreateClaim, MsgSubmitProof, Proof};
use pocket_proto::pocket::session::Session;
use pocket_proto::pocket::shared::{ServiceConfigUpdate, Supplier};
use pocket_protocol::error::codes;
use pocket_protocol::height::Height;
use pocket_protocol::mining::{BASE_TARGET, Target};
use pocket_protocol::params::{self, Shared};
use pocket_protocol::proof::{self, ProofFacts, ValidationFacts, Verdict};
use pocket_protocol::session::{ChainFacts, get_session, id};
use pocket_protocol::tx::{self, Decoded, TxLimits};
use pocket_protocol::{ChainError, Upokt, relay};
use prost::Message as _;
use prost_types::Timestamp;
use serde_json::Value;

use super::support::{Kind, bytes, digest, folder, int, list, run, text_of, time, uint};

#[test]
fn vectors_node() {
    const DEVNET: &str = "devnet";
    run(
        "node.json",
        &[
            ("session", Kind::Here(session)),
            ("tree", Kind::Here(tree)),
            ("proof_seed", Kind::Here(proof_seed)),
            ("tx", Kind::Here(tx_alone)),
            ("simulate", Kind::Here(simulate)),
            ("block_events", Kind::Elsewhere(DEVNET)),
            ("rpc", Kind::Elsewhere(DEVNET)),
            ("rpc_json", Kind::Elsewhere(DEVNET)),
        ],
    );
}

/// The transactions one after another against the state they left, and the proofs at the end of their blocks.
#[test]
fn vectors_node_session_replayed() {
    let cases = cases();
    let chain = Node::of(&cases);
    let verifier = Verifier::new(64);
    let mut executed = 0;
    let mut last_height = 0;
    for case in cases.iter().filter(|case| text_of(case, "kind") == "tx" && !case["deliver_tx"].is_null()) {
        let (name, result) = (text_of(case, "name"), &case["deliver_tx"]);
        let height = int(result, "height");
        if height != last_height {
            chain.end_block(last_height, &cases, &verifier);
            last_height = height;
        }
        chain.state.borrow_mut().height = height;
        let decoded = tx::decode(&bytes(case, "tx_raw")).expect("the node took it");
        if !decoded.messages().iter().all(is_claim_or_proof) {
            continue;
        }
        chain.execute(name, &decoded, result);
        executed += 1;
    }
    chain.end_block(last_height, &cases, &verifier);
    println!("node.json: {executed} transactions with claims and proofs replayed");
    assert!(executed > 20, "claims and proofs were recorded");
}

fn is_claim_or_proof(message: &prost_types::Any) -> bool {
    matches!(message.type_url.as_str(), "/pocket.proof.MsgCreateClaim" | "/pocket.proof.MsgSubmitProof")
}

fn cases() -> Vec<Value> {
    let text = std::fs::read_to_string(folder().join("node.json")).expect("node.json is there");
    let all: Value = serde_json::from_str(&text).expect("vector files are JSON");
    list(&all, "cases").to_vec()
}

/// The recorded chain at the time of its session.
struct Node {
    session: Session,
    start_hash: Vec<u8>,
    seed: (Height, Vec<u8>),
    shared: Shared,
    proof_params: params::Proof,
    compute_units_per_relay: u64,
    keys: BTreeMap<String, PublicKey>,
    state: RefCell<State>,
}

/// What transactions change.
#[derive(Default)]
struct State {
    height: Height,
    claims: BTreeMap<(String, String), Claim>,
    proofs: BTreeMap<(String, String), Proof>,
}

impl Node {
    fn of(cases: &[Value]) -> Self {
        let one = |kind: &str| cases.iter().find(|case| text_of(case, "kind") == kind).expect("a recorded case");
        let (recorded, seed) = (one("session"), one("proof_seed"));
        let shared_params =
            pocket_proto::pocket::shared::Params::decode(&bytes(recorded, "shared_params")[..]).expect("parameters");
        let proof_params =
            pocket_proto::pocket::proof::Params::decode(&bytes(recorded, "proof_params")[..]).expect("parameters");
        Self {
            session: Session::decode(&bytes(recorded, "session")[..]).expect("a session"),
            start_hash: bytes(recorded, "block_hash_start"),
            seed: (int(seed, "seed_block_height"), bytes(seed, "seed_block_hash")),
            shared: Shared::from(&shared_params),
            proof_params: params::Proof::try_from(&proof_params).expect("amounts"),
            compute_units_per_relay: uint(recorded, "compute_units_per_relay"),
            keys: published_keys(),
            state: RefCell::default(),
        }
    }

    fn header(&self) -> pocket_proto::pocket::session::SessionHeader {
        self.session.header.clone().expect("a session has a header")
    }

    /// Executes a transaction's messages and compares with the node's result; a failed one changes nothing.
    fn execute(&self, name: &str, decoded: &Decoded, result: &Value) {
        let mut events = Vec::new();
        let (mut claims, mut proofs) = (Vec::new(), Vec::new());
        let mut failure = None;
        for (index, message) in decoded.messages().iter().enumerate() {
            let outcome = if message.type_url == "/pocket.proof.MsgCreateClaim" {
                let message = MsgCreateClaim::decode(&message.value[..]).expect("a claim");
                proof::create_claim(self, &message).map(|accepted| {
                    events.push(if accepted.replaces {
                        json::event_of(&accepted.updated_event()).expect("an event")
                    } else {
                        json::event_of(&accepted.created_event()).expect("an event")
                    });
                    claims.push(accepted.claim);
                })
            } else {
                let message = MsgSubmitProof::decode(&message.value[..]).expect("a proof");
                proof::submit_proof(self, &message).map(|accepted| {
                    events.push(json::event_of(&accepted.submitted_event()).expect("an event"));
                    proofs.push(accepted.proof);
                })
            };
            if let Err(error) = outcome {
                failure = Some((index, error));
                break;
            }
        }
        check_result(name, failure, result);
        if uint(result, "code") != 0 {
            return;
        }
        check_events(name, &events, list(result, "pocket_events"));
        let mut state = self.state.borrow_mut();
        for claim in claims {
            state.claims.insert(key(claim.session_header.as_ref(), &claim.supplier_operator_address), claim);
        }
        for proof in proofs {
            state.proofs.insert(key(proof.session_header.as_ref(), &proof.supplier_operator_address), proof);
        }
    }

    /// Validates the proofs of a block and compares with the recorded events, whose order is free.
    fn end_block(&self, height: Height, cases: &[Value], verifier: &Verifier) {
        let proofs = std::mem::take(&mut self.state.borrow_mut().proofs);
        if proofs.is_empty() {
            return;
        }
        let mut ours = Vec::new();
        for (key, proof) in &proofs {
            let verdict = proof::validate(self, proof, verifier);
            assert_ne!(verdict, Verdict::Skipped, "every recorded proof has its claim");
            let event = verdict.event(height).expect("a verdict has an event");
            ours.push(json::event_of(&event).expect("an event"));
            let claim = verdict.claim().expect("a verdict has a claim");
            self.state.borrow_mut().claims.insert(key.clone(), claim);
        }
        let recorded = cases
            .iter()
            .find(|case| text_of(case, "kind") == "block_events" && int(case, "height") == height)
            .unwrap_or_else(|| panic!("events of block {height} were recorded"));
        let mut chains: Vec<Value> = list(recorded, "events")
            .iter()
            .filter(|event| text_of(event, "type") == "pocket.proof.EventProofValidityChecked")
            .cloned()
            .collect();
        let supplier = |event: &Value| {
            let attributes = list(event, "attributes");
            let named = attributes.iter().find(|entry| text_of(entry, "key") == "supplier_operator_address");
            text_of(named.expect("an event names its supplier"), "value").to_owned()
        };
        chains.sort_by_key(supplier);
        ours.sort_by_key(|(_, attributes)| {
            attributes.iter().find(|(key, _)| key == "supplier_operator_address").map(|(_, value)| value.clone())
        });
        check_events(&format!("end of block {height}"), &ours, &chains);
    }
}

fn key(header: Option<&pocket_proto::pocket::session::SessionHeader>, supplier: &str) -> (String, String) {
    (header.map(|header| header.session_id.clone()).unwrap_or_default(), supplier.to_owned())
}

fn check_result(name: &str, failure: Option<(usize, ChainError)>, result: &Value) {
    let (code, log) = (uint(result, "code"), text_of(result, "log"));
    match failure {
        None => assert_eq!((code, log), (0, ""), "{name}"),
        Some((_, error)) if error.is(&codes::undefined::RECOVERED) => {
            assert_eq!(code, u64::from(error.code), "{name}: {error}");
            assert!(log.starts_with("recovered: "), "{name}");
        }
        Some((index, error)) => {
            let ours = format!("failed to execute message; message index: {index}: {}", error.rpc_text());
            assert_eq!((code, text_of(result, "codespace")), (1, "undefined"), "{name}: {error}");
            assert_eq!(ours, log, "{name}");
        }
    }
}

fn check_events(name: &str, ours: &[(String, Vec<(String, String)>)], chains: &[Value]) {
    assert_eq!(ours.len(), chains.len(), "{name}: number of events");
    for ((kind, attributes), chains) in ours.iter().zip(chains) {
        assert_eq!(kind, text_of(chains, "type"), "{name}");
        let chains: Vec<(&str, &str)> = list(chains, "attributes")
            .iter()
            .map(|entry| (text_of(entry, "key"), text_of(entry, "value")))
            .filter(|(key, _)| *key != "msg_index" && *key != "mode")
            .collect();
        let ours: Vec<(&str, &str)> = attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(ours, chains, "{name}");
    }
}

/// Keys of the local network, which every account of the recording had published.
fn published_keys() -> BTreeMap<String, PublicKey> {
    let text = std::fs::read_to_string(folder().join("keys.json")).expect("keys.json is there");
    let all: Value = serde_json::from_str(&text).expect("vector files are JSON");
    list(&all, "cases")
        .iter()
        .filter(|case| text_of(case, "kind") == "localnet_key")
        .map(|case| {
            let key = SecretKey::from_hex(text_of(case, "private_key")).expect("a key").public_key();
            (key.address().to_string(), key)
        })
        .collect()
}

impl ChainFacts for Node {
    fn height(&self) -> Height {
        self.state.borrow().height
    }

    fn shared_params_at(&self, _height: Height) -> Shared {
        self.shared
    }

    fn suppliers_per_session_at(&self, _height: Height) -> u64 {
        params::Session::DEFAULT.num_suppliers_per_session
    }

    fn block_hash(&self, height: Height) -> Vec<u8> {
        match height {
            start if start == self.header().session_start_block_height => self.start_hash.clone(),
            seed if seed == self.seed.0 => self.seed.1.clone(),
            _ => Vec::new(),
        }
    }

    fn application(&self, address: &str) -> Option<Application> {
        self.session.application.clone().filter(|application| application.address == address)
    }

    fn service_configs(&self, service_id: &str) -> Vec<ServiceConfigUpdate> {
        if service_id != self.header().service_id {
            return Vec::new();
        }
        let config = |supplier: &Supplier| ServiceConfigUpdate {
            operator_address: supplier.operator_address.clone(),
            service: supplier.services.first().cloned(),
            activation_height: 1,
            deactivation_height: 0,
        };
        // In another order than the session's, which selecting has to restore.
        self.session.suppliers.iter().rev().map(config).collect()
    }

    fn supplier(&self, operator: &str) -> Option<Supplier> {
        self.session.suppliers.iter().find(|supplier| supplier.operator_address == operator).cloned()
    }
}

impl ProofFacts for Node {
    fn compute_units_per_relay_at(&self, service_id: &str, _height: Height) -> Option<u64> {
        (service_id == self.header().service_id).then_some(self.compute_units_per_relay)
    }

    fn difficulty_target_at(&self, service_id: &str, _height: Height) -> Option<Target> {
        (service_id == self.header().service_id).then_some(BASE_TARGET)
    }

    fn claim(&self, session_id: &str, supplier: &str) -> Option<Claim> {
        self.state.borrow().claims.get(&(session_id.to_owned(), supplier.to_owned())).cloned()
    }

    fn proof_params(&self) -> params::Proof {
        self.proof_params
    }

    fn spendable(&self, _address: &str) -> Option<Upokt> {
        Some(Upokt(1_000_000_000_000))
    }
}

impl ValidationFacts for Node {
    fn claim(&self, session_id: &str, supplier: &str) -> Option<Claim> {
        ProofFacts::claim(self, session_id, supplier)
    }

    fn application(&self, address: &str) -> Option<Application> {
        ChainFacts::application(self, address)
    }

    fn public_key(&self, address: &str) -> Option<PublicKey> {
        self.keys.get(address).copied()
    }

    fn shared_params(&self) -> Shared {
        self.shared
    }

    fn shared_params_at(&self, _height: Height) -> Shared {
        self.shared
    }

    fn block_hash(&self, height: Height) -> Vec<u8> {
        ChainFacts::block_hash(self, height)
    }
}

fn session(case: &Value) {
    let node = Node::of(&cases());
    let (start, end) = (int(case, "start"), int(case, "end"));
    node.state.borrow_mut().height = end;
    let session = node.shared.session_at(start);
    assert_eq!((session.start, session.end), (start, end));
    let windows = node.shared.windows_at(start);
    assert_eq!(
        [windows.claim_open, windows.claim_close, windows.proof_open, windows.proof_close],
        ["claim_open", "claim_close", "proof_open", "proof_close"].map(|field| int(case, field))
    );
    let header = node.header();
    let application = text_of(case, "application");
    assert_eq!(id(&node.start_hash, &header.service_id, application, start), text_of(case, "session_id"));

    // With as many suppliers as a session takes, hydration gives back the node's own session, order included.
    let request = pocket_proto::pocket::session::QueryGetSessionRequest {
        application_address: application.to_owned(),
        service_id: header.service_id,
        block_height: start,
    };
    let ours = get_session(&node, &request).expect("the node had it");
    assert_eq!(hex::encode(ours.encode_to_vec()), text_of(case, "session"));
}

fn tree(case: &Value) {
    let key = SecretKey::from_hex(text_of(case, "supplier_private_key")).expect("a key").public_key();
    let mut trie = smst::Trie::with_capacity(list(case, "relays").len());
    for recorded in list(case, "relays") {
        let read = relay::decode_relay(&bytes(recorded, "relay_bytes").into()).expect("a relay");
        let (request, response) = (read.req.expect("a request"), read.res.expect("a response"));
        let stored = relay::stored_relay(&request, &response);
        assert_eq!(hex::encode(&stored.bytes), text_of(recorded, "relay_bytes"));
        relay::validate_request(&request).expect("a valid request");
        relay::validate_response(&response).expect("a valid response");
        relay::verify_response(&response, &key).expect("its supplier signed it");
        trie.insert(&stored.hash, &stored.bytes, uint(case, "weight"));
    }
    assert_eq!(hex::encode(trie.root().to_bytes()), text_of(case, "root"));
}

fn proof_seed(case: &Value) {
    let path = smst::proof_path(&bytes(case, "seed_block_hash"), text_of(case, "session_id"));
    assert_eq!(path, digest(case, "path"));
    let node = Node::of(&cases());
    assert_eq!(
        node.shared.windows_at(node.header().session_start_block_height).seed_height(),
        int(case, "seed_block_height")
    );
}

/// What can be said of a transaction without the state: its bytes, its signature, its timeouts.
fn tx_alone(case: &Value) {
    let name = text_of(case, "name");
    let decoded = tx::decode(&bytes(case, "tx_raw")).expect("the node could read it");
    assert_eq!(tx::hash_text(&decoded.hash), text_of(case, "tx_hash"), "{name}");
    let key = decoded.public_key(0).expect("a key").expect("every recorded signer gives its key");
    let signer = key.address().to_string();
    decoded.check_basic(std::slice::from_ref(&signer), TxLimits::DEFAULT).expect("all were well formed");

    let signature = decoded.check_signature(0, &key, "pocket", account_number(&signer));
    let stateless = decoded.messages().iter().try_for_each(check_message);
    let timeouts = check_timeouts(&decoded, case);
    let chains = &case["check_tx"];
    let (code, log) = (uint(chains, "code"), text_of(chains, "raw_log"));
    let ours = stateless.and(timeouts).and(signature);
    // Balances, accounts, gas, fees, the mempool, heights, sequences and used nonces are state.
    let is_state = text_of(chains, "codespace") == "sdk"
        && ([5, 8, 9, 11, 13, 19, 20, 30, 32].contains(&code) || log.contains("already used timeout"));
    match ours {
        Ok(()) => assert!(code == 0 || is_state, "{name}: the node says {log}"),
        Err(error) => {
            assert_eq!((error.codespace, u64::from(error.code)), (text_of(chains, "codespace"), code), "{name}");
            assert_eq!(error.text, log, "{name}");
        }
    }
}

fn check_message(message: &prost_types::Any) -> Result<(), ChainError> {
    match message.type_url.as_str() {
        "/pocket.proof.MsgCreateClaim" => {
            proof::check_claim_message(&MsgCreateClaim::decode(&message.value[..]).expect("a claim")).map(|_| ())
        }
        "/pocket.proof.MsgSubmitProof" => {
            proof::check_proof_message(&MsgSubmitProof::decode(&message.value[..]).expect("a proof"))
        }
        _ => Ok(()),
    }
}

/// Block time is in the recording where it mattered; elsewhere a moment before the transaction's timeout will do.
fn check_timeouts(decoded: &Decoded, case: &Value) -> Result<(), ChainError> {
    let log = text_of(&case["check_tx"], "raw_log");
    let timeout = decoded.body.timeout_timestamp;
    let block_time = match log.strip_prefix("block time: ") {
        Some(text) => time(text),
        None if log.contains("ttl exceeds") => {
            Timestamp { seconds: timeout.unwrap_or_default().seconds - 601, nanos: 0 }
        }
        None => Timestamp { seconds: timeout.unwrap_or_default().seconds - 60, nanos: 0 },
    };
    // Timeout heights were checked against a height that the recording does not always tell.
    let body = TxBody { timeout_height: 0, ..decoded.body.clone() };
    tx::check_timeouts(&body, 1, block_time)?;
    if decoded.body.unordered {
        tx::unordered::check(timeout, decoded.sequence(0), block_time)?;
    }
    Ok(())
}

/// Numbers of the accounts in the local genesis.
fn account_number(address: &str) -> u64 {
    let text = std::fs::read_to_string(folder().join("keys.json")).expect("keys.json is there");
    let all: Value = serde_json::from_str(&text).expect("vector files are JSON");
    let case = list(&all, "cases").iter().find(|case| case["address"] == address).expect("a local account");
    let name = text_of(case, "name").trim_start_matches("localnet-");
    let numbered = |role: &str| name.strip_prefix(role).and_then(|number| number.parse::<u64>().ok());
    match (numbered("supplier"), numbered("app"), name) {
        (Some(number), ..) => number + 6,
        (_, Some(5), _) => 24,
        (_, Some(number), _) => number + 2,
        (.., "faucet") => 0,
        (.., "pnf") => 1,
        (.., "validator1") => 2,
        (.., "gateway1") => 22,
        (.., "source_owner_develop") => 23,
        _ => panic!("teach this test the account {name}"),
    }
}

/// Signatures are no matter to a simulation: only the bytes have to be a transaction.
fn simulate(case: &Value) {
    let decoded = tx::decode(&bytes(case, "tx_raw")).expect("the node could read it");
    assert!(!decoded.messages().is_empty());
    let log = case["go"]["error"].as_str().unwrap_or_default();
    if let Some((_, expected)) = log.split_once("expected ") {
        let expected = expected.split(',').next().and_then(|number| number.parse().ok()).expect("a sequence");
        let error = decoded.check_sequence(0, expected).expect_err("the node refused");
        assert!(log.contains(&error.text), "{error}");
    }
}

/// The other recording of a node: every transaction in it is read as the node read it.
#[test]
fn vectors_node_transactions_are_read() {
    let mut read = 0;
    let entries = std::fs::read_dir(folder().join("node/tx")).expect("node/tx is there");
    for entry in entries {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let recorded: Value = serde_json::from_str(&text).expect("vector files are JSON");
        let decoded = tx::decode(&bytes(&recorded, "tx_hex")).expect("the node could read it");
        assert_eq!(tx::hash_text(&decoded.hash), text_of(&recorded, "tx_hash"), "{}", path.display());
        read += 1;
    }
    println!("node/tx: {read} transactions");
    assert!(read > 0, "node/tx is empty");
}

/// Bytes that are no transaction are refused in the node's words.
#[test]
fn vectors_node_garbage_is_no_transaction() {
    let calls = std::fs::read_dir(folder().join("node/grpc")).expect("node/grpc is there");
    let mut refused = 0;
    for call in calls {
        let text = std::fs::read_to_string(call.expect("an entry").path()).expect("a readable file");
        let call: Value = serde_json::from_str(&text).expect("vector files are JSON");
        if !text_of(&call, "method").ends_with("/Simulate") {
            continue;
        }
        let request = SimulateRequest::decode(&bytes(&call, "request_hex")[..]).expect("a request");
        let Err(error) = tx::decode(&request.tx_bytes) else { continue };
        let message = text_of(&call["error"], "message");
        assert!(message.starts_with(&error.text), "we say {error}, the node said {message}");
        assert!(error.is(&codes::sdk::TX_DECODE));
        refused += 1;
    }
    assert!(refused > 0, "no simulation of garbage was recorded");
}
