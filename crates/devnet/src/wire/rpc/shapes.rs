//! The JSON of blocks and results: wide integers as text, hashes in upper-case hexadecimal, bytes in base64, keys in the
//! node's order.

use std::fmt::Display;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use pocket_proto::tendermint::abci::{Event, ExecTxResult};

use crate::{
    block::Block,
    chain::FoundTx,
    header::{BLOCK_PROTOCOL, BlockId, Commit, Header},
    state::Validator,
};

/// The consensus parameters, which never change, as blocks report them.
pub(super) const PARAM_UPDATES: &str = r#"{"block":{"max_bytes":"22020096","max_gas":"-1"},"evidence":{"max_age_num_blocks":"100000","max_age_duration":"172800000000000","max_bytes":"1048576"},"validator":{"pub_key_types":["ed25519"]},"version":{},"abci":{}}"#;
/// The same, as genesis and `consensus_params` report them.
pub(super) const PARAMS: &str = r#"{"block":{"max_bytes":"22020096","max_gas":"-1"},"evidence":{"max_age_num_blocks":"100000","max_age_duration":"172800000000000","max_bytes":"1048576"},"validator":{"pub_key_types":["ed25519"]},"version":{"app":"0"},"abci":{"vote_extensions_enable_height":"0"}}"#;

/// Returns a JSON text.
pub(super) fn text(value: &str) -> String {
    serde_json::to_string(value).expect("a text is always JSON")
}

/// Returns bytes in upper-case hexadecimal, quoted.
pub(super) fn hex(bytes: &[u8]) -> String {
    format!("\"{}\"", hex::encode_upper(bytes))
}

/// Returns bytes in base64, quoted.
pub(super) fn base64(bytes: &[u8]) -> String {
    format!("\"{}\"", BASE64_STANDARD.encode(bytes))
}

fn base64_or_null(bytes: &[u8]) -> String {
    if bytes.is_empty() { "null".to_owned() } else { base64(bytes) }
}

/// Returns a list of JSON values.
pub(super) fn list(values: impl Iterator<Item = String>) -> String {
    let values: Vec<String> = values.collect();
    format!("[{}]", values.join(","))
}

/// Returns a number as the node writes 64-bit numbers: quoted.
pub(super) fn wide(number: impl Display) -> String {
    format!("\"{number}\"")
}

/// Returns a block id.
pub(super) fn block_id(id: &BlockId) -> String {
    if id.is_nil() {
        return r#"{"hash":"","parts":{"total":0,"hash":""}}"#.to_owned();
    }
    let (hash, total, parts) = (hex(&id.hash), id.parts_total, hex(&id.parts_hash));
    format!(r#"{{"hash":{hash},"parts":{{"total":{total},"hash":{parts}}}}}"#)
}

/// Returns a header.
pub(super) fn header(header: &Header) -> String {
    format!(
        r#"{{"version":{{"block":"{BLOCK_PROTOCOL}"}},"chain_id":{},"height":"{}","time":"{}","last_block_id":{},"last_commit_hash":{},"data_hash":{},"validators_hash":{},"next_validators_hash":{},"consensus_hash":{},"app_hash":{},"last_results_hash":{},"evidence_hash":{},"proposer_address":{}}}"#,
        text(&header.chain_id),
        header.height,
        header.time,
        block_id(&header.last_block_id),
        hex(&header.last_commit_hash),
        hex(&header.data_hash),
        hex(&header.validators_hash),
        hex(&header.next_validators_hash),
        hex(&header.consensus_hash),
        hex(&header.app_hash),
        hex(&header.last_results_hash),
        hex(&header.evidence_hash),
        hex(&header.proposer_address),
    )
}

/// Returns a commit; the one before the first block is empty.
pub(super) fn commit(commit: Option<&Commit>) -> String {
    let Some(commit) = commit else {
        let id = block_id(&BlockId::default());
        return format!(r#"{{"height":"0","round":0,"block_id":{id},"signatures":[]}}"#);
    };
    format!(
        r#"{{"height":"{}","round":0,"block_id":{},"signatures":[{{"block_id_flag":2,"validator_address":{},"timestamp":"{}","signature":{}}}]}}"#,
        commit.height,
        block_id(&commit.block_id),
        hex(&commit.validator_address),
        commit.timestamp,
        base64(&commit.signature),
    )
}

/// Returns a block without its id.
pub(super) fn block(block: &Block) -> String {
    format!(
        r#"{{"header":{},"data":{{"txs":{}}},"evidence":{{"evidence":[]}},"last_commit":{}}}"#,
        header(&block.header),
        list(block.txs.iter().map(|tx| base64(tx))),
        commit(block.last_commit.as_ref()),
    )
}

/// Returns a block with its id.
pub(super) fn identified(found: Option<&Block>) -> String {
    match found {
        Some(found) => format!(r#"{{"block_id":{},"block":{}}}"#, block_id(&found.id), block(found)),
        None => format!(r#"{{"block_id":{},"block":null}}"#, block_id(&BlockId::default())),
    }
}

/// Returns what `blockchain` lists of a block.
pub(super) fn meta(block: &Block) -> String {
    format!(
        r#"{{"block_id":{},"block_size":"{}","header":{},"num_txs":"{}"}}"#,
        block_id(&block.id),
        block.size,
        header(&block.header),
        block.txs.len(),
    )
}

/// Returns events.
pub(super) fn events<'a>(events: impl Iterator<Item = &'a Event>) -> String {
    list(events.map(|event| {
        let attributes = event.attributes.iter().map(|attribute| {
            let (key, value) = (text(&attribute.key), text(&attribute.value));
            format!(r#"{{"key":{key},"value":{value},"index":{}}}"#, attribute.index)
        });
        format!(r#"{{"type":{},"attributes":{}}}"#, text(&event.r#type), list(attributes))
    }))
}

/// Returns the result of a transaction.
pub(super) fn result(result: &ExecTxResult) -> String {
    format!(
        r#"{{"code":{},"data":{},"log":{},"info":{},"gas_wanted":"{}","gas_used":"{}","events":{},"codespace":{}}}"#,
        result.code,
        base64_or_null(&result.data),
        text(&result.log),
        text(&result.info),
        result.gas_wanted,
        result.gas_used,
        events(result.events.iter()),
        text(&result.codespace),
    )
}

/// Returns a transaction as `tx` and `tx_search` report it.
pub(super) fn found(found: &FoundTx) -> String {
    format!(
        r#"{{"hash":{},"height":"{}","index":{},"tx_result":{},"tx":{}}}"#,
        hex(found.hash()),
        found.block.height(),
        found.index,
        result(found.result()),
        base64(found.bytes()),
    )
}

/// Returns the results of a block.
pub(super) fn block_results(block: &Block) -> String {
    let results = if block.results.is_empty() { "null".to_owned() } else { list(block.results.iter().map(result)) };
    format!(
        r#"{{"height":"{}","txs_results":{results},"finalize_block_events":{},"validator_updates":null,"consensus_param_updates":{PARAM_UPDATES},"app_hash":{}}}"#,
        block.height(),
        events(block.events()),
        base64(&block.app_hash),
    )
}

/// Returns the results of a block as events carry them: without a list of results when there are none.
pub(super) fn finalized(block: &Block) -> String {
    let results = if block.results.is_empty() {
        String::new()
    } else {
        format!(r#""tx_results":{},"#, list(block.results.iter().map(result)))
    };
    format!(
        r#"{{"events":{},{results}"validator_updates":[],"consensus_param_updates":{PARAM_UPDATES},"app_hash":{}}}"#,
        events(block.events()),
        base64(&block.app_hash),
    )
}

/// Returns a transaction as events carry it: without what is zero or empty.
pub(super) fn announced(found: &FoundTx) -> String {
    let outcome = found.result();
    let mut fields = Vec::new();
    if outcome.code != 0 {
        fields.push(format!(r#""code":{}"#, outcome.code));
    }
    if !outcome.data.is_empty() {
        fields.push(format!(r#""data":{}"#, base64(&outcome.data)));
    }
    if !outcome.log.is_empty() {
        fields.push(format!(r#""log":{}"#, text(&outcome.log)));
    }
    if outcome.gas_wanted != 0 {
        fields.push(format!(r#""gas_wanted":"{}""#, outcome.gas_wanted));
    }
    if outcome.gas_used != 0 {
        fields.push(format!(r#""gas_used":"{}""#, outcome.gas_used));
    }
    if !outcome.events.is_empty() {
        fields.push(format!(r#""events":{}"#, events(outcome.events.iter())));
    }
    if !outcome.codespace.is_empty() {
        fields.push(format!(r#""codespace":{}"#, text(&outcome.codespace)));
    }
    let index = if found.index == 0 { String::new() } else { format!(r#","index":{}"#, found.index) };
    format!(
        r#"{{"TxResult":{{"height":"{}"{index},"tx":{},"result":{{{}}}}}}}"#,
        found.block.height(),
        base64(found.bytes()),
        fields.join(","),
    )
}

/// Returns the public key of the validator.
pub(super) fn public_key(validator: &Validator) -> String {
    format!(r#"{{"type":"tendermint/PubKeyEd25519","value":{}}}"#, base64(&validator.consensus_key))
}
