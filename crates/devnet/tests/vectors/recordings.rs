//! Blocks recorded from a node: their hashes are computed anew from what they hold.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use pocket_devnet::{
    Time,
    header::{self, BlockId, Commit, Header},
};
use serde_json::Value;

use crate::{folder, print_counts};

fn hash(value: &Value) -> [u8; 32] {
    hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

fn short(value: &Value) -> [u8; 20] {
    hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

fn time(value: &Value) -> Time {
    Time::parse(value.as_str().unwrap()).unwrap()
}

fn number(value: &Value) -> i64 {
    value.as_str().unwrap().parse().unwrap()
}

fn block_id(value: &Value) -> BlockId {
    BlockId {
        hash: hash(&value["hash"]),
        parts_total: value["parts"]["total"].as_u64().unwrap().try_into().unwrap(),
        parts_hash: hash(&value["parts"]["hash"]),
    }
}

fn header(value: &Value) -> Header {
    assert!(value["version"]["app"].is_null(), "the application's version is 0");
    Header {
        chain_id: value["chain_id"].as_str().unwrap().to_owned(),
        height: number(&value["height"]),
        time: time(&value["time"]),
        last_block_id: block_id(&value["last_block_id"]),
        last_commit_hash: hash(&value["last_commit_hash"]),
        data_hash: hash(&value["data_hash"]),
        validators_hash: hash(&value["validators_hash"]),
        next_validators_hash: hash(&value["next_validators_hash"]),
        consensus_hash: hash(&value["consensus_hash"]),
        app_hash: hash(&value["app_hash"]),
        last_results_hash: hash(&value["last_results_hash"]),
        evidence_hash: hash(&value["evidence_hash"]),
        proposer_address: short(&value["proposer_address"]),
    }
}

/// Returns the answers that were recorded in the files of a folder whose names begin so, by file.
fn answers(part: &str, begin: &str) -> BTreeMap<String, Value> {
    let files = std::fs::read_dir(folder().join(part)).unwrap().map(|entry| entry.unwrap().path());
    let name = |file: &std::path::Path| file.file_name().unwrap().to_str().unwrap().to_owned();
    files
        .filter(|file| name(file).starts_with(begin))
        .map(|file| {
            let recorded: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
            (name(&file), serde_json::from_str(recorded["response_body"].as_str().unwrap()).unwrap())
        })
        .collect()
}

/// Returns the limits of a block, in bytes and gas.
fn block_limits() -> (i64, i64) {
    let results = answers("node/blocks", "block_results.");
    let limits = results.values().map(|answer| &answer["result"]["consensus_param_updates"]["block"]);
    let limits = limits.into_iter().find(|limits| limits.is_object()).expect("some answer names them");
    (number(&limits["max_bytes"]), number(&limits["max_gas"]))
}

/// Returns key and power of the recorded validator.
fn validator() -> (Vec<u8>, i64) {
    let recorded = answers("node/rpc", "validators.ok.");
    let answer = recorded.values().next().expect("the validators were asked for");
    let validator = &answer["result"]["validators"][0];
    (STANDARD.decode(validator["pub_key"]["value"].as_str().unwrap()).unwrap(), number(&validator["voting_power"]))
}

#[test]
fn vectors_block_hashes_are_those_of_the_node() {
    let mut counts = BTreeMap::new();
    let (max_bytes, max_gas) = block_limits();
    for (name, answer) in answers("node/blocks", "block.") {
        let (block, id) = (&answer["result"]["block"], block_id(&answer["result"]["block_id"]));
        let header = header(&block["header"]);
        let txs: Vec<Vec<u8>> = match block["data"]["txs"].as_array() {
            Some(txs) => txs.iter().map(|tx| STANDARD.decode(tx.as_str().unwrap()).unwrap()).collect(),
            None => Vec::new(),
        };
        let signed = &block["last_commit"]["signatures"][0];
        let commit = Commit {
            height: number(&block["last_commit"]["height"]),
            block_id: block_id(&block["last_commit"]["block_id"]),
            timestamp: time(&signed["timestamp"]),
            validator_address: short(&signed["validator_address"]),
            signature: STANDARD.decode(signed["signature"].as_str().unwrap()).unwrap(),
        };
        assert_eq!(header.hash(), id.hash, "{name}: header");
        assert_eq!(header::data_hash(&txs), header.data_hash, "{name}: transactions");
        assert_eq!(commit.hash(), header.last_commit_hash, "{name}: commit");
        assert_eq!(header::block_id(&header, &txs, Some(&commit)), id, "{name}: parts");
        assert_eq!(header.time, commit.timestamp, "{name}: a block bears the time of the vote for the one before");
        let (key, power) = validator();
        assert_eq!(header::validators_hash(&key, power), header.validators_hash, "{name}: validators");
        assert_eq!(header::consensus_hash(max_bytes, max_gas), header.consensus_hash, "{name}: parameters");
        *counts.entry("block".to_owned()).or_insert(0) += 1;
    }
    print_counts("node/blocks", &counts);
}
