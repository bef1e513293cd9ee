//! `CometBFT` JSON-RPC: status, blocks and their results (protocol §9.4).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use pocket_runtime::clock::{self, UnixTime};
use pocket_runtime::http::{Client, ClientOptions, Request, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::blocks::{Block, Found};
use crate::error::{ConnectError, QueryError, QueryErrorKind};
use crate::events::BlockResults;

/// Largest answer: a block of 20 MiB in base64, and its events.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Connections to one endpoint.
const CONNECTIONS_MAX: usize = 8;

/// Idle connections kept to one endpoint.
const CONNECTIONS_IDLE: usize = 2;

/// Pause between questions to a node that is not there yet.
const READY_PAUSE: Duration = Duration::from_millis(25);

pub(crate) struct Rpc {
    endpoints: Vec<String>,
    preferred: AtomicUsize,
    client: Client,
}

/// What a node says of itself before we follow it.
pub(crate) struct First {
    pub(crate) chain_id: String,
    pub(crate) block: Block,
}

/// What validators hold blocks to.
#[derive(Deserialize)]
pub(crate) struct ConsensusParams {
    pub(crate) block: BlockParams,
}

#[derive(Deserialize)]
pub(crate) struct BlockParams {
    /// Decimal; `-1` for no limit.
    pub(crate) max_bytes: String,
}

#[derive(Deserialize)]
struct Answer {
    result: Option<Value>,
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Value,
}

impl Rpc {
    pub(crate) fn new(endpoints: &[String], timeout: Duration) -> Result<Self, ConnectError> {
        for endpoint in endpoints {
            let host = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
            if host.is_none_or(str::is_empty) {
                return Err(ConnectError::Rpc { endpoint: endpoint.clone() });
            }
        }
        let client = Client::new(ClientOptions {
            connect_timeout: timeout,
            request_timeout: timeout,
            idle_per_host: CONNECTIONS_IDLE,
            idle_timeout: Duration::from_secs(30),
            max_per_host: CONNECTIONS_MAX,
            max_response_bytes: ANSWER_BYTES_MAX,
        });
        Ok(Self { endpoints: endpoints.to_vec(), preferred: AtomicUsize::new(0), client })
    }

    pub(crate) fn endpoint_count(&self) -> usize {
        self.endpoints.len()
    }

    /// Where the event stream of an endpoint is: `host:port`, and whether over TLS.
    pub(crate) fn authority(&self, index: usize) -> (String, bool) {
        let url = &self.endpoints[index % self.endpoints.len()];
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let is_tls = scheme == "https";
        let host = rest.split('/').next().unwrap_or(rest);
        if host.contains(':') {
            return (host.to_owned(), is_tls);
        }
        (format!("{host}:{}", if is_tls { 443 } else { 80 }), is_tls)
    }

    /// Waits for a node that answers and has a block.
    pub(crate) async fn wait_until_ready(&self, patience: Duration) -> Result<First, ConnectError> {
        let deadline = clock::now() + patience;
        loop {
            match self.first().await {
                Ok(first) => return Ok(first),
                Err(source) if clock::now() >= deadline => {
                    return Err(ConnectError::Silent {
                        endpoints: self.endpoints.join(", "),
                        seconds: patience.as_secs(),
                        source,
                    });
                }
                Err(_) => tokio::time::sleep(READY_PAUSE).await,
            }
        }
    }

    async fn first(&self) -> Result<First, QueryError> {
        let Found { block, .. } = self.latest_block().await?;
        let status = self.call("ask a node for its status", "status", serde_json::json!({})).await?;
        let chain_id = status["node_info"]["network"].as_str().unwrap_or_default().to_owned();
        Ok(First { chain_id, block })
    }

    pub(crate) async fn latest_block(&self) -> Result<Found, QueryError> {
        let operation = "read the newest block";
        let result = self.call(operation, "block", serde_json::json!({})).await?;
        parse_block(operation, &result)
    }

    pub(crate) async fn block(&self, height: i64) -> Result<Found, QueryError> {
        let operation = "read a block";
        let params = serde_json::json!({"height": height.to_string()});
        let result = self.call(operation, "block", params).await?;
        parse_block(operation, &result)
    }

    pub(crate) async fn block_results(&self, height: i64) -> Result<BlockResults, QueryError> {
        let operation = "read the results of a block";
        let params = serde_json::json!({"height": height.to_string()});
        let result = self.call(operation, "block_results", params).await?;
        serde_json::from_value(result).map_err(|error| QueryError::malformed(operation, error.to_string()))
    }

    pub(crate) async fn consensus_params(&self) -> Result<ConsensusParams, QueryError> {
        let operation = "read the consensus parameters";
        let result = self.call(operation, "consensus_params", serde_json::json!({})).await?;
        let params = result["consensus_params"].clone();
        serde_json::from_value(params).map_err(|error| QueryError::malformed(operation, error.to_string()))
    }

    async fn call(&self, operation: &'static str, method: &str, params: Value) -> Result<Value, QueryError> {
        let body = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let body = Bytes::from(body);
        let first = self.preferred.load(Ordering::Relaxed);
        let mut last = QueryError::new(operation, QueryErrorKind::Unavailable, "no endpoint");
        for offset in 0..self.endpoints.len() {
            let index = (first + offset) % self.endpoints.len();
            match self.call_one(operation, index, body.clone()).await {
                Ok(answer) => {
                    if offset > 0 {
                        self.preferred.store(index, Ordering::Relaxed);
                    }
                    return Ok(answer);
                }
                // That one has not come so far says more than what is wrong with the others.
                Err(error) if last.kind != QueryErrorKind::Ahead => last = error,
                Err(_) => {}
            }
        }
        Err(last)
    }

    async fn call_one(&self, operation: &'static str, index: usize, body: Bytes) -> Result<Value, QueryError> {
        let unavailable = |message: String| QueryError::new(operation, QueryErrorKind::Unavailable, message);
        let request = Request::post(&self.endpoints[index])
            .header("content-type", "application/json")
            .body(body)
            .map_err(|error| unavailable(error.to_string()))?;
        let response = self.client.send(request).await.map_err(|error| unavailable(chain_of(&error)))?;
        let status = response.status();
        let answer: Answer = match serde_json::from_slice(response.body()) {
            Ok(answer) => answer,
            Err(_) if status != StatusCode::OK => return Err(unavailable(format!("status {status}"))),
            Err(error) => return Err(QueryError::malformed(operation, error.to_string())),
        };
        match answer {
            Answer { result: Some(result), error: None } => Ok(result),
            Answer { error: Some(fault), .. } => Err(no_answer(operation, &fault)),
            Answer { .. } => Err(QueryError::malformed(operation, "neither result nor error")),
        }
    }
}

/// What a node says where it does not answer. Blocks are facts that another node may have, so none of it is the chain's
/// refusal: it has not come so far, it has forgotten, or something is wrong with it.
fn no_answer(operation: &'static str, fault: &Fault) -> QueryError {
    let data = fault.data.as_str().unwrap_or_default();
    let is_ahead = data.contains("must be less than or equal to the current blockchain height")
        || data.contains("could not find results for height")
        // Before its first block a node has nothing to show.
        || data.contains("nil pointer") || data.contains("no block");
    let kind = if is_ahead { QueryErrorKind::Ahead } else { QueryErrorKind::Unavailable };
    QueryError::new(operation, kind, format!("{} {data}", fault.message))
}

fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn parse_block(operation: &'static str, result: &Value) -> Result<Found, QueryError> {
    let malformed = |what: &str| QueryError::malformed(operation, format!("the block has no {what}"));
    let header = &result["block"]["header"];
    let height = header["height"].as_str().and_then(|text| text.parse().ok()).ok_or_else(|| malformed("height"))?;
    let hash = |id: &Value| hex::decode(id["hash"].as_str()?).ok()?.try_into().ok();
    // The first block has none before it.
    let parent = hash(&header["last_block_id"]);
    let hash = hash(&result["block_id"]).ok_or_else(|| malformed("hash"))?;
    let time =
        header["time"].as_str().and_then(|text| text.parse::<UnixTime>().ok()).ok_or_else(|| malformed("time"))?;
    Ok(Found { block: Block { height, hash, time }, parent })
}
