//! The methods: their names, their parameters, what each answers.

use std::{fmt::Write, sync::Arc, time::Duration};

use pocket_crypto::hash::sha256;
use tokio::sync::broadcast::error::RecvError;

use super::{
    Failure,
    params::Params,
    shapes::{self, base64, hex, list, text, wide},
};
use crate::{
    block::Block,
    chain::{Chain, FoundTx},
    engine::CheckResult,
    header::Hash,
    moment::Time,
    query::{QUERY_BYTES_MAX, Query},
    wire::{
        abci,
        grpc::Queries,
        node::{COMET_VERSION, LISTEN_ADDRESS, P2P_CHANNELS, P2P_PROTOCOL},
    },
};

/// Most entries of a page, and entries when the request does not say.
const PER_PAGE_MAX: i64 = 100;
const PER_PAGE_DEFAULT: i64 = 30;
/// Most blocks of one `blockchain` answer.
const METAS_MAX: i64 = 20;
/// How long `broadcast_tx_commit` waits for a block.
const COMMIT_WAIT: Duration = Duration::from_secs(10);

/// When an answer may be cached.
#[derive(Debug, Clone, Copy)]
enum Caching {
    Never,
    Always,
    /// When this parameter is given: the answer is then about something that does not change.
    Given(&'static str),
}

/// A method by name.
#[derive(Debug)]
pub(super) struct Method {
    /// Its name, also in URIs.
    pub(super) name: &'static str,
    /// Its parameters, in order.
    pub(super) params: &'static [&'static str],
    /// Whether it needs a WebSocket.
    pub(super) socket_only: bool,
    caching: Caching,
}

impl Method {
    pub(super) fn is_cacheable(&self, params: &Params) -> bool {
        match self.caching {
            Caching::Never => false,
            Caching::Always => true,
            Caching::Given(name) => !params.is_absent(name),
        }
    }
}

const fn method(name: &'static str, params: &'static [&'static str], caching: Caching) -> Method {
    Method { name, params, socket_only: false, caching }
}

const fn socket_method(name: &'static str, params: &'static [&'static str]) -> Method {
    Method { name, params, socket_only: true, caching: Caching::Never }
}

const METHODS: &[Method] = &[
    socket_method("subscribe", &["query"]),
    socket_method("unsubscribe", &["query"]),
    socket_method("unsubscribe_all", &[]),
    method("health", &[], Caching::Never),
    method("status", &[], Caching::Never),
    method("net_info", &[], Caching::Never),
    method("blockchain", &["minHeight", "maxHeight"], Caching::Always),
    method("genesis", &[], Caching::Always),
    method("genesis_chunked", &["chunk"], Caching::Always),
    method("block", &["height"], Caching::Given("height")),
    method("block_by_hash", &["hash"], Caching::Always),
    method("block_results", &["height"], Caching::Given("height")),
    method("commit", &["height"], Caching::Given("height")),
    method("header", &["height"], Caching::Given("height")),
    method("header_by_hash", &["hash"], Caching::Always),
    method("check_tx", &["tx"], Caching::Never),
    method("tx", &["hash", "prove"], Caching::Always),
    method("tx_search", &["query", "prove", "page", "per_page", "order_by"], Caching::Never),
    method("validators", &["height", "page", "per_page"], Caching::Given("height")),
    method("consensus_params", &["height"], Caching::Given("height")),
    method("unconfirmed_txs", &["limit"], Caching::Never),
    method("num_unconfirmed_txs", &[], Caching::Never),
    method("broadcast_tx_commit", &["tx"], Caching::Never),
    method("broadcast_tx_sync", &["tx"], Caching::Never),
    method("broadcast_tx_async", &["tx"], Caching::Never),
    method("abci_query", &["path", "data", "height", "prove"], Caching::Never),
    method("abci_info", &[], Caching::Always),
];

/// Returns a method by name.
pub(super) fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// Returns a page that lists the methods.
pub(super) fn index() -> String {
    let mut page = "<html><body><br>Available endpoints:<br>".to_owned();
    for method in METHODS.iter().filter(|method| !method.socket_only) {
        let params: Vec<String> = method.params.iter().map(|name| format!("{name}=_")).collect();
        let query = if params.is_empty() { String::new() } else { format!("?{}", params.join("&")) };
        write!(page, "<a href=\"/{0}\">/{0}{query}</a><br>", method.name).expect("writing to a string cannot fail");
    }
    page.push_str("</body></html>");
    page
}

/// Answers a call with the JSON of its result.
pub(super) async fn call(queries: &Queries, name: &str, params: &Params) -> Result<String, Failure> {
    let chain = &queries.chain;
    match name {
        "health" => Ok("{}".to_owned()),
        "status" => Ok(status(queries)),
        "net_info" => Ok(r#"{"listening":true,"listeners":["Listener(@)"],"n_peers":"0","peers":[]}"#.to_owned()),
        "blockchain" => blockchain(chain, params),
        "genesis" => Ok(format!(r#"{{"genesis":{}}}"#, genesis(chain))),
        "genesis_chunked" => genesis_chunked(chain, params),
        "block" => Ok(shapes::identified(Some(&*block_at(chain, params)?))),
        "block_by_hash" => Ok(shapes::identified(by_hash(chain, &params.bytes("hash")?).as_deref())),
        "block_results" => Ok(shapes::block_results(&*block_at(chain, params)?)),
        "commit" => commit(chain, params),
        "header" => Ok(format!(r#"{{"header":{}}}"#, shapes::header(&block_at(chain, params)?.header))),
        "header_by_hash" => {
            let found = by_hash(chain, &params.hex("hash")?);
            let header = found.map_or_else(|| "null".to_owned(), |block| shapes::header(&block.header));
            Ok(format!(r#"{{"header":{header}}}"#))
        }
        "check_tx" => check_tx(chain, params),
        "tx" => tx(chain, params),
        "tx_search" => tx_search(chain, params),
        "validators" => validators(chain, params),
        "consensus_params" => {
            let height = block_at(chain, params)?.height();
            Ok(format!(r#"{{"block_height":"{height}","consensus_params":{}}}"#, shapes::PARAMS))
        }
        "unconfirmed_txs" => unconfirmed(chain, params, true),
        "num_unconfirmed_txs" => unconfirmed(chain, params, false),
        "broadcast_tx_sync" => broadcast(chain, params),
        "broadcast_tx_async" => {
            let tx = params.bytes("tx")?;
            // The sender is not told what came of the check, only what kept it from being checked.
            chain.submit(&tx).map_err(Failure::internal)?;
            Ok(submitted(0, "", "", &sha256(&tx)))
        }
        "broadcast_tx_commit" => broadcast_commit(chain, params).await,
        "abci_query" => abci_query(queries, params).await,
        "abci_info" => {
            let state = chain.state();
            let (height, hash) = (state.height, base64(&state.app_hash));
            Ok(format!(
                r#"{{"response":{{"data":"pocket","last_block_height":"{height}","last_block_app_hash":{hash}}}}}"#
            ))
        }
        _ => Err(Failure::internal("this method needs a websocket")),
    }
}

fn block_at(chain: &Chain, params: &Params) -> Result<Arc<Block>, Failure> {
    chain.block(params.int("height")?).map_err(Failure::internal)
}

fn by_hash(chain: &Chain, bytes: &[u8]) -> Option<Arc<Block>> {
    chain.block_by_hash(&Hash::try_from(bytes).ok()?)
}

fn status(queries: &Queries) -> String {
    let status = queries.chain.status();
    let validator = &status.validator;
    let sync = |prefix: &str, block: Option<&Block>| {
        let (hash, app_hash) =
            block.map_or_else(|| (text(""), text("")), |block| (hex(&block.id.hash), hex(&block.header.app_hash)));
        let (height, time) =
            block.map_or((0, NO_TIME.to_owned()), |block| (block.height(), block.header.time.to_rfc3339()));
        format!(
            r#""{prefix}_block_hash":{hash},"{prefix}_app_hash":{app_hash},"{prefix}_block_height":"{height}","{prefix}_block_time":"{time}""#
        )
    };
    format!(
        r#"{{"node_info":{{"protocol_version":{{"p2p":"{P2P_PROTOCOL}","block":"{block_protocol}","app":"0"}},"id":{id},"listen_addr":"{LISTEN_ADDRESS}","network":{network},"version":"{COMET_VERSION}","channels":{channels},"moniker":{moniker},"other":{{"tx_index":"on","rpc_address":{rpc}}}}},"sync_info":{{{latest},{earliest},"catching_up":false}},"validator_info":{{"address":{address},"pub_key":{key},"voting_power":"{power}"}}}}"#,
        block_protocol = crate::header::BLOCK_PROTOCOL,
        id = text(&validator.node_id),
        network = text(&status.chain_id),
        channels = hex(P2P_CHANNELS),
        moniker = text(&validator.moniker),
        rpc = text(&format!("tcp://{}", queries.rpc_address)),
        latest = sync("latest", status.latest.as_deref()),
        earliest = sync("earliest", status.earliest.as_deref()),
        address = hex(&validator.consensus_address),
        key = shapes::public_key(validator),
        power = validator.voting_power(),
    )
}

/// What Go writes for a time that was never set.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

fn blockchain(chain: &Chain, params: &Params) -> Result<String, Failure> {
    let (low, high) = (params.int("minHeight")?.unwrap_or(0), params.int("maxHeight")?.unwrap_or(0));
    if low < 0 || high < 0 {
        return Err(Failure::internal("heights must be non-negative"));
    }
    let status = chain.status();
    let last = status.state.height;
    let base = status.earliest.map_or(1, |block| block.height());
    let high = if high == 0 { last } else { high.min(last) };
    let low = low.max(1).max(base).max(high - METAS_MAX + 1);
    if low > high {
        return Err(Failure::internal(format!("min height {low} can't be greater than max height {high}")));
    }
    let blocks = (low..=high).rev().filter_map(|height| chain.block(Some(height)).ok());
    let metas = list(blocks.map(|block| shapes::meta(&block)));
    Ok(format!(r#"{{"last_height":"{last}","block_metas":{metas}}}"#))
}

/// Returns the genesis document: chain, time and consensus parameters. What accounts and modules begin with is not part
/// of it; it is asked for by gRPC.
fn genesis(chain: &Chain) -> String {
    let status = chain.status();
    let begun = chain.block(Some(1)).map_or(Time::default(), |block| block.header.time);
    format!(
        r#"{{"genesis_time":"{begun}","chain_id":{},"initial_height":"1","consensus_params":{},"app_hash":"","app_state":{{}}}}"#,
        text(&status.chain_id),
        shapes::PARAMS,
    )
}

fn genesis_chunked(chain: &Chain, params: &Params) -> Result<String, Failure> {
    let chunk = params.int("chunk")?.unwrap_or(0);
    if chunk != 0 {
        return Err(Failure::internal(format!("there are 0 chunks, {chunk} is invalid")));
    }
    Ok(format!(r#"{{"chunk":"0","total":"1","data":{}}}"#, base64(genesis(chain).as_bytes())))
}

fn commit(chain: &Chain, params: &Params) -> Result<String, Failure> {
    let block = block_at(chain, params)?;
    let commit = chain.commit_of(&block);
    Ok(format!(
        r#"{{"signed_header":{{"header":{},"commit":{}}},"canonical":{}}}"#,
        shapes::header(&block.header),
        shapes::commit(Some(&commit)),
        // Until the next block carries it, the vote is the node's own.
        chain.height() > block.height(),
    ))
}

fn check_tx(chain: &Chain, params: &Params) -> Result<String, Failure> {
    let outcome = chain.simulate(&params.bytes("tx")?);
    Ok(checked(
        outcome.code,
        &outcome.log,
        outcome.gas_wanted,
        outcome.gas_used,
        &shapes::events(outcome.events.iter()),
        &outcome.codespace,
    ))
}

fn checked(code: u32, log: &str, gas_wanted: i64, gas_used: i64, events: &str, codespace: &str) -> String {
    format!(
        r#"{{"code":{code},"data":null,"log":{},"info":"","gas_wanted":"{gas_wanted}","gas_used":"{gas_used}","events":{events},"codespace":{}}}"#,
        text(log),
        text(codespace),
    )
}

fn tx(chain: &Chain, params: &Params) -> Result<String, Failure> {
    let hash = params.bytes("hash")?;
    params.flag("prove")?;
    let found = Hash::try_from(hash.as_slice()).ok().and_then(|hash| chain.tx(&hash));
    match found {
        Some(found) => Ok(shapes::found(&found)),
        None => Err(Failure::internal(format!("tx ({}) not found", hex::encode_upper(&hash)))),
    }
}

fn tx_search(chain: &Chain, params: &Params) -> Result<String, Failure> {
    let wanted = params.text("query")?;
    params.flag("prove")?;
    if wanted.len() > QUERY_BYTES_MAX {
        return Err(Failure::internal("maximum query length exceeded"));
    }
    let query = Query::parse(&wanted).map_err(Failure::internal)?;
    let mut found = chain.search(&query);
    match params.text("order_by")?.as_str() {
        "desc" => found.reverse(),
        "asc" | "" => {}
        _ => return Err(Failure::internal("expected order_by to be either `asc` or `desc` or empty")),
    }
    let total = found.len();
    let page: Vec<FoundTx> = page(found, params)?;
    Ok(format!(r#"{{"txs":{},"total_count":"{total}"}}"#, list(page.iter().map(shapes::found))))
}

fn page<T>(all: Vec<T>, params: &Params) -> Result<Vec<T>, Failure> {
    let per_page = match params.int("per_page")? {
        None | Some(..1) => PER_PAGE_DEFAULT,
        Some(asked) => asked.min(PER_PAGE_MAX),
    };
    let per_page = usize::try_from(per_page).unwrap_or(1);
    let page = params.int("page")?.unwrap_or(1);
    let pages = all.len().div_ceil(per_page).max(1);
    let skipped = usize::try_from(page - 1).ok().filter(|before| *before < pages);
    let Some(skipped) = skipped else {
        return Err(Failure::internal(format!("page should be within [1, {pages}] range, given {page}")));
    };
    Ok(all.into_iter().skip(skipped * per_page).take(per_page).collect())
}

fn validators(chain: &Chain, params: &Params) -> Result<String, Failure> {
    let height = block_at(chain, params)?.height();
    let validator = chain.status().validator;
    page(vec![()], params)?;
    let (address, key, power) =
        (hex(&validator.consensus_address), shapes::public_key(&validator), validator.voting_power());
    Ok(format!(
        r#"{{"block_height":"{height}","validators":[{{"address":{address},"pub_key":{key},"voting_power":"{power}","proposer_priority":"0"}}],"count":"1","total":"1"}}"#
    ))
}

fn unconfirmed(chain: &Chain, params: &Params, with_txs: bool) -> Result<String, Failure> {
    let limit = match params.int("limit")? {
        None | Some(..1) => PER_PAGE_DEFAULT,
        Some(asked) => asked.min(PER_PAGE_MAX),
    };
    let pending = chain.pending();
    let bytes: usize = pending.iter().map(|pending| pending.bytes.len()).sum();
    let shown = usize::try_from(limit).unwrap_or(0).min(pending.len());
    let (count, txs) = if with_txs {
        (shown, list(pending.iter().take(shown).map(|pending| base64(&pending.bytes))))
    } else {
        (pending.len(), "null".to_owned())
    };
    let total = pending.len();
    Ok(format!(r#"{{"n_txs":"{count}","total":"{total}","total_bytes":"{bytes}","txs":{txs}}}"#))
}

fn submitted(code: u32, log: &str, codespace: &str, hash: &Hash) -> String {
    let (log, codespace, hash) = (text(log), text(codespace), hex(hash));
    format!(r#"{{"code":{code},"data":"","log":{log},"codespace":{codespace},"hash":{hash}}}"#)
}

fn broadcast(chain: &Chain, params: &Params) -> Result<String, Failure> {
    let result = chain.submit(&params.bytes("tx")?).map_err(Failure::internal)?;
    Ok(submitted(result.code, &result.log, &result.codespace, &result.hash))
}

async fn broadcast_commit(chain: &Chain, params: &Params) -> Result<String, Failure> {
    let tx = params.bytes("tx")?;
    // Subscribed before the transaction is in, so that its block cannot pass unseen.
    let mut blocks = chain.subscribe();
    let check = chain.submit(&tx).map_err(|error| Failure::Internal(format!("error on broadcastTxCommit: {error}")))?;
    if check.code != 0 {
        let empty =
            r#"{"code":0,"data":null,"log":"","info":"","gas_wanted":"0","gas_used":"0","events":[],"codespace":""}"#;
        return Ok(committed(&check, empty, 0));
    }
    let included = async {
        loop {
            if let Some(found) = chain.tx(&check.hash) {
                return Ok(committed(&check, &shapes::result(found.result()), found.block.height()));
            }
            if let Err(RecvError::Closed) = blocks.recv().await {
                return Err(Failure::internal("the chain has ended"));
            }
        }
    };
    let timed_out = || Failure::internal("timed out waiting for tx to be included in a block");
    tokio::time::timeout(COMMIT_WAIT, included).await.unwrap_or_else(|_| Err(timed_out()))
}

fn committed(check: &CheckResult, result: &str, height: i64) -> String {
    let events = shapes::events(check.events.iter());
    format!(
        r#"{{"check_tx":{},"tx_result":{result},"hash":{},"height":{}}}"#,
        checked(check.code, &check.log, check.gas_wanted, check.gas_used, &events, &check.codespace),
        hex(&check.hash),
        wide(height),
    )
}

async fn abci_query(queries: &Queries, params: &Params) -> Result<String, Failure> {
    let (path, data) = (params.text("path")?, params.hex("data")?);
    let height = params.int("height")?.unwrap_or(0);
    params.flag("prove")?;
    let answered = abci::query(queries, &path, data.into(), height).await;
    let value = if answered.value.is_empty() { "null".to_owned() } else { base64(&answered.value) };
    Ok(format!(
        r#"{{"response":{{"code":{},"log":{},"info":"","index":"0","key":null,"value":{value},"proofOps":null,"height":"{}","codespace":{}}}}}"#,
        answered.code,
        text(&answered.log),
        answered.height,
        text(&answered.codespace),
    ))
}
