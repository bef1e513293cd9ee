//! `node.json`: a whole session on a real node, sent again to this chain.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pocket_crypto::address::Address;
use pocket_devnet::{Chain, State, Time, mempool::SubmitError, state::ServiceDifficulty};
use pocket_proto::{
    pocket::session::Session,
    tendermint::abci::{Event, ExecTxResult},
};
use pocket_protocol::{
    mining::{Difficulty, DifficultyEntry},
    tx,
};
use serde_json::Value;

use super::replay::chain_at;
use crate::{print_counts, read};

/// How the node's gRPC reports bytes it has seen before.
const CODE_IN_CACHE: u32 = 19;

fn cases<'a>(file: &'a Value, kind: &str) -> Vec<&'a Value> {
    file["cases"].as_array().unwrap().iter().filter(|case| case["kind"] == kind).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn hash(value: &Value) -> [u8; 32] {
    hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

fn code(result: &Value) -> u32 {
    u32::try_from(integer(&result["code"])).unwrap()
}

fn integer(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

/// Removes the part of a Go text that names a file of the build.
fn without_path(text: &str) -> String {
    match (text.find(" ["), text.find(']')) {
        (Some(from), Some(to)) if from < to && text[from..to].contains(".go:") => {
            format!("{}{}", &text[..from], &text[to + 1..])
        }
        _ => text.to_owned(),
    }
}

/// Types of events, and their attributes in order.
type Events = Vec<(String, Vec<(String, String)>)>;

fn recorded_events(events: &Value) -> Events {
    let attributes = |event: &Value| {
        let all = event["attributes"].as_array().unwrap().iter();
        all.map(|one| (text(one, "key").to_owned(), text(one, "value").to_owned())).collect()
    };
    events.as_array().unwrap().iter().map(|event| (text(event, "type").to_owned(), attributes(event))).collect()
}

fn pocket_events<'a>(events: impl Iterator<Item = &'a Event>) -> Events {
    events
        .filter(|event| event.r#type.starts_with("pocket."))
        .map(|event| {
            let attributes = event.attributes.iter().map(|one| (one.key.clone(), one.value.clone()));
            (event.r#type.clone(), attributes.collect())
        })
        .collect()
}

/// Block time at which a recorded transaction means what it meant: as its log says, or a minute before it runs out.
fn time_for(bytes: &[u8], log: &str) -> Option<Time> {
    if let Some(rest) = log.strip_prefix("block time: ") {
        let (date, rest) = rest.split_once(' ')?;
        let (clock, _) = rest.split_once(' ')?;
        return Time::parse(&format!("{date}T{clock}Z"));
    }
    let timeout = tx::decode(bytes).ok()?.body.timeout_timestamp?;
    // The one that asks for too much asks for more than ten minutes.
    let ahead = if log.contains("ttl exceeds") { 20 * 60 } else { 60 };
    Some(Time { seconds: timeout.seconds - ahead, nanos: 0 })
}

fn check_delivered(name: &str, recorded: &Value, result: &ExecTxResult) {
    assert_eq!(result.code, code(recorded), "{name}: code; {}", result.log);
    assert_eq!(result.codespace, text(recorded, "codespace"), "{name}: codespace");
    let log = text(recorded, "log");
    if log.starts_with("recovered: ") {
        assert!(result.log.starts_with("recovered: "), "{name}: {}", result.log);
    } else if log.starts_with("out of gas in location") {
        assert!(result.log.starts_with("out of gas in location: WritePerByte; gasWanted: "), "{name}: {}", result.log);
        assert!(result.log.ends_with(": out of gas"), "{name}: {}", result.log);
    } else {
        assert_eq!(without_path(&result.log), without_path(log), "{name}: log");
    }
    assert_eq!(result.gas_wanted, integer(&recorded["gas_wanted"]), "{name}: gas wanted");
    let data = recorded["data"].as_str().map(|data| STANDARD.decode(data).unwrap()).unwrap_or_default();
    assert_eq!(result.data, data, "{name}: data");
    assert_eq!(pocket_events(result.events.iter()), recorded_events(&recorded["pocket_events"]), "{name}: events");
    let (ours, theirs) = (result.gas_used, integer(&recorded["gas_used"]));
    assert!(ours * 2 > theirs && ours < theirs * 2, "{name}: used {ours} gas where the node used {theirs}");
}

/// Sends what was recorded to the chain, block by block, and calls `at_height` after each block.
fn replay(file: &Value, chain: &Chain, mut at_height: impl FnMut(i64, &Chain)) -> usize {
    let transactions = cases(file, "tx");
    let mut waiting: Vec<(&Value, [u8; 32])> = Vec::new();
    let flush = |waiting: &mut Vec<(&Value, [u8; 32])>, at_height: &mut dyn FnMut(i64, &Chain)| {
        let block = chain.produce_block().unwrap();
        for (case, hash) in waiting.drain(..) {
            let found = chain.tx(&hash).unwrap_or_else(|| panic!("{} is in no block", text(case, "name")));
            check_delivered(text(case, "name"), &case["deliver_tx"], found.result());
        }
        at_height(block.height(), chain);
    };
    for case in &transactions {
        let name = text(case, "name");
        let bytes = hex::decode(text(case, "tx_raw")).unwrap();
        let delivered_at = case["deliver_tx"]["height"].as_str().map(|height| height.parse::<i64>().unwrap());
        if let Some(height) = delivered_at {
            while chain.height() < height - 1 {
                flush(&mut waiting, &mut at_height);
            }
        } else if !waiting.is_empty() && code(&case["check_tx"]) == CODE_IN_CACHE {
            // The same bytes were sent again after they had been included.
            flush(&mut waiting, &mut at_height);
        }
        let check = &case["check_tx"];
        if let Some(time) = time_for(&bytes, text(check, "raw_log")) {
            assert!(chain.amend(|state| state.time = time));
        }
        let wanted = code(check);
        match chain.submit(&bytes) {
            Err(SubmitError::InCache) => assert_eq!(wanted, CODE_IN_CACHE, "{name}"),
            Err(error) => panic!("{name}: {error}"),
            Ok(result) => {
                assert_eq!(result.code, wanted, "{name}: {}", result.log);
                assert_eq!(result.codespace, text(check, "codespace"), "{name}");
                let log = text(check, "raw_log");
                // The recorded chain had moved on between blocks; only its height may differ.
                if log.starts_with("block height: ") {
                    assert!(
                        result.log.starts_with("block height: ") && result.log.ends_with(&log[17..]),
                        "{name}: {}",
                        result.log
                    );
                } else {
                    assert_eq!(without_path(&result.log), without_path(log), "{name}");
                }
                assert_eq!(hex::encode_upper(result.hash), text(case, "tx_hash"), "{name}");
                if delivered_at.is_some() {
                    waiting.push((case, result.hash));
                }
            }
        }
    }
    flush(&mut waiting, &mut at_height);
    transactions.len()
}

/// Returns who signed a recorded transaction, and the sequence in it.
fn signer(bytes: &[u8]) -> (Address, u64) {
    let decoded = tx::decode(bytes).unwrap();
    (decoded.public_key(0).unwrap().unwrap().address(), decoded.sequence(0))
}

/// Sets the sequences that the first ordered transactions were accepted with.
fn adopt_sequences(state: &mut State, file: &Value) {
    let mut seen = BTreeSet::new();
    for case in cases(file, "tx").into_iter().filter(|case| case["deliver_tx"]["height"].is_string()) {
        let bytes = hex::decode(text(case, "tx_raw")).unwrap();
        let (signer, sequence) = signer(&bytes);
        if !tx::decode(&bytes).unwrap().body.unordered && seen.insert(signer.clone()) {
            state.change_account(&signer, |account| account.sequence = sequence);
        }
    }
}

/// Sets the difficulty that earlier sessions had left, as the event of its change names it.
fn adopt_difficulty(state: &mut State, file: &Value, start: i64) {
    let events = cases(file, "block_events").into_iter().flat_map(|case| recorded_events(&case["events"]));
    for (_, attributes) in events.filter(|(kind, _)| kind == "pocket.service.EventRelayMiningDifficultyUpdated") {
        let attributes: BTreeMap<String, String> = attributes.into_iter().collect();
        let value = |key: &str| attributes[key].trim_matches('"').to_owned();
        let target = hex::decode(value("prev_target_hash_hex_encoded")).unwrap().try_into().unwrap();
        let num_relays_ema = value("prev_num_relays_ema").parse().unwrap();
        let live = Difficulty { block_height: start, num_relays_ema, target };
        let history = vec![DifficultyEntry { effective_height: start, difficulty: live.clone() }];
        state.difficulties.insert_mut(value("service_id").into(), ServiceDifficulty { live, history }.into());
    }
}

fn recorded_session(case: &Value) -> Session {
    let bytes = hex::decode(text(case, "session")).unwrap();
    prost::Message::decode(&bytes[..]).unwrap()
}

/// Takes over what the application had spent and the suppliers had lost by the time of the recording.
fn adopt(state: &mut State, session: &Session) {
    let application = session.application.clone().unwrap();
    state.applications.insert_mut(application.address.parse().unwrap(), application.into());
    for recorded in &session.suppliers {
        let operator = recorded.operator_address.parse().unwrap();
        let mut supplier = state.supplier_hydrated(&recorded.operator_address).unwrap();
        supplier.stake.clone_from(&recorded.stake);
        state.put_supplier(operator, supplier);
    }
}

#[test]
fn vectors_node_a_whole_session_goes_as_on_the_node() {
    let file = read("node.json");
    let session = cases(&file, "session")[0];
    let seed = cases(&file, "proof_seed")[0];
    let recorded = recorded_session(session);
    let start = recorded.header.as_ref().unwrap().session_start_block_height;
    let seed_height = integer(&seed["seed_block_height"]);
    let delivered = cases(&file, "tx").into_iter().filter(|case| case["deliver_tx"]["height"].is_string());
    let first = delivered.map(|case| integer(&case["deliver_tx"]["height"])).min().unwrap();
    let chain = chain_at(first - 2, |state| {
        adopt_sequences(state, &file);
        adopt(state, &recorded);
        adopt_difficulty(state, &file, start);
    });
    let mut settled = Vec::new();
    let mut checked: BTreeMap<i64, Events> = BTreeMap::new();
    let count = replay(&file, &chain, |height, chain| {
        // The recorded hashes take the place of ours, so that the recorded session and proof path are the chain's.
        if height == start {
            let hash = hash(&session["block_hash_start"]);
            chain.amend(|state| state.block_hashes.insert_mut(start, hash));
        }
        if height == seed_height {
            let hash = hash(&seed["seed_block_hash"]);
            chain.amend(|state| state.block_hashes.insert_mut(seed_height, hash));
        }
        let block = chain.block(Some(height)).unwrap();
        checked.insert(height, pocket_events(block.events()));
        if height == integer(&session["proof_close"]) {
            settled.push(height);
        }
    });
    let mut counts = BTreeMap::from([("tx".to_owned(), count)]);
    for case in cases(&file, "block_events") {
        let height = integer(&case["height"]);
        let mut ours = checked.get(&height).cloned().unwrap_or_default();
        let mut theirs = recorded_events(&case["events"]);
        if theirs.iter().all(|(kind, _)| kind.ends_with("EventProofValidityChecked")) {
            // The node validates proofs in parallel and reports them in any order.
            ours.sort();
            theirs.sort();
        }
        assert_eq!(ours.len(), theirs.len(), "block {height}: {ours:#?}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "block {height}");
        }
        *counts.entry("block_events".to_owned()).or_insert(0) += 1;
    }
    assert_eq!(settled.len(), 1, "the session was settled");
    print_counts("node.json", &counts);
}

#[test]
fn vectors_node_sessions_trees_and_seeds_are_the_chains() {
    let file = read("node.json");
    let mut counts = BTreeMap::new();
    let session = cases(&file, "session")[0];
    let end = integer(&session["end"]);
    let recorded = recorded_session(session);
    let (start, query) = (recorded.header.as_ref().unwrap().session_start_block_height, end - 1);
    let chain = chain_at(query, |state| {
        state.block_hashes.insert_mut(start, hash(&session["block_hash_start"]));
        adopt(state, &recorded);
    });
    let request = pocket_proto::pocket::session::QueryGetSessionRequest {
        application_address: text(session, "application").to_owned(),
        service_id: recorded.header.as_ref().unwrap().service_id.clone(),
        block_height: query,
    };
    let ours = pocket_protocol::session::get_session(&chain.state(), &request).unwrap();
    assert!(ours == recorded, "the session differs");
    counts.insert("session".to_owned(), 1);

    let seed = cases(&file, "proof_seed")[0];
    let windows = chain.state().shared_at(end).windows_at(end);
    assert_eq!(windows.seed_height(), integer(&seed["seed_block_height"]));
    let path = pocket_crypto::smst::proof_path(&hash(&seed["seed_block_hash"]), text(seed, "session_id"));
    assert_eq!(hex::encode(path), text(seed, "path"));
    counts.insert("proof_seed".to_owned(), 1);
    for key in ["claim_open", "claim_close", "proof_open", "proof_close"] {
        let ours = match key {
            "claim_open" => windows.claim_open,
            "claim_close" => windows.claim_close,
            "proof_open" => windows.proof_open,
            _ => windows.proof_close,
        };
        assert_eq!(ours, integer(&session[key]), "{key}");
    }

    for tree in cases(&file, "tree") {
        let mut ours = pocket_crypto::smst::Trie::with_capacity(8);
        for relay in tree["relays"].as_array().unwrap() {
            let bytes = hex::decode(text(relay, "relay_bytes")).unwrap();
            let weight = integer(&tree["weight"]).unsigned_abs();
            let stored = pocket_protocol::relay::StoredRelay::from_bytes(bytes);
            ours.insert(&stored.hash, &stored.bytes, weight);
        }
        assert_eq!(hex::encode(ours.root()), text(tree, "root"), "{}", text(tree, "name"));
        *counts.entry("tree".to_owned()).or_insert(0) += 1;
    }
    print_counts("node.json", &counts);
}

#[test]
fn vectors_node_simulations_answer_as_on_the_node() {
    let file = read("node.json");
    // They were simulated before the recorded session began.
    let height = integer(&cases(&file, "session")[0]["start"]) - 1;
    let mut counts = BTreeMap::new();
    for case in cases(&file, "simulate") {
        let name = text(case, "name");
        let bytes = hex::decode(text(case, "tx_raw")).unwrap();
        let chain = chain_at(height, |state| {
            let expected =
                text(&case["go"], "error").split_once("expected ").and_then(|(_, rest)| rest.split_once(','));
            let (signer, sequence) = signer(&bytes);
            let sequence = expected.map_or(sequence, |(sequence, _)| sequence.parse().unwrap());
            state.change_account(&signer, |account| account.sequence = sequence);
            if let Some(time) = time_for(&bytes, "") {
                state.time = time;
            }
        });
        let outcome = chain.simulate(&bytes);
        if case["go"]["ok"] == true {
            assert_eq!(outcome.code, 0, "{name}: {}", outcome.log);
            let (ours, theirs) = (outcome.gas_used, integer(&case["gas_used"]));
            assert!(ours * 2 > theirs && ours < theirs * 2, "{name}: used {ours} gas where the node used {theirs}");
        } else {
            let error = without_path(text(&case["go"], "error"));
            let error = error.strip_prefix("rpc error: code = Unknown desc = ").unwrap();
            let (log, _) = error.split_once(" with gas used: ").unwrap();
            assert_eq!(outcome.log, log, "{name}");
        }
        *counts.entry("simulate".to_owned()).or_insert(0) += 1;
    }
    print_counts("node.json", &counts);
}

#[test]
fn vectors_node_every_kind_is_known() {
    let file = read("node.json");
    // The raw answers on the wire (`rpc`, `rpc_json`) are checked where the wire is.
    let known = ["tx", "session", "tree", "proof_seed", "block_events", "simulate", "rpc", "rpc_json"];
    for case in file["cases"].as_array().unwrap() {
        assert!(known.contains(&text(case, "kind")), "unknown kind {}", case["kind"]);
    }
}
