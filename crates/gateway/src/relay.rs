//! One relay to one supplier: wrapped, signed, sent, verified, unwrapped (protocol §2.11).

use std::time::Duration;

use bytes::Bytes;
use pocket_chain::{Chain, Session};
use pocket_crypto::ring::Signer;
use pocket_proto::canonical;
use pocket_proto::pocket::service::{RelayRequest, RelayRequestMetadata, RelayResponse};
use pocket_proto::sdk::types::PokthttpResponse;
use pocket_protocol::{http as pokt_http, relay};
use pocket_runtime::http::{
    Client, ClientError, HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, drop_hop_by_hop, header,
};
use pocket_runtime::random::Random;

use crate::refusal::Upstream;
use crate::suppliers::Choice;

/// Characters of a relayer's refusal that are passed on.
const REFUSAL_CHARS_MAX: usize = 300;

/// A client's request, as far as it is relayed.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) method: String,
    /// Path and query behind `/v1`.
    pub(crate) path_and_query: String,
    pub(crate) content_type: Option<String>,
    pub(crate) accept: Option<String>,
    pub(crate) body: Bytes,
}

/// Sends relays.
pub(crate) struct Relays {
    pub(crate) chain: Chain,
    pub(crate) client: Client,
    pub(crate) signer: Signer,
    pub(crate) timeout: Duration,
}

impl Relays {
    /// Sends the request to a supplier and returns the backend's answer, once it is certain that the supplier gave it.
    pub(crate) async fn send(&self, session: &Session, choice: &Choice, wanted: &Wanted) -> Result<Answer, Upstream> {
        let request = self.sign(session, choice, wanted).await?;
        let body = canonical::encode_request(&request);
        let http = Request::post(&choice.url)
            .header("content-type", "application/json")
            .header("rpc-type", (choice.rpc_type as i32).to_string())
            .body(Bytes::from(body))
            .map_err(|error| Upstream::Unreachable(format!("`{}`: {error}", choice.url)))?;
        let response = self.client.send_within(http, self.timeout).await.map_err(|error| unanswered(&error))?;
        if response.status() != StatusCode::OK {
            return Err(refused(&response));
        }
        self.verify(&request, response.into_body()).await
    }

    async fn sign(&self, session: &Session, choice: &Choice, wanted: &Wanted) -> Result<RelayRequest, Upstream> {
        let url = format!("{}{}", choice.url.trim_end_matches('/'), wanted.path_and_query);
        let names = [("Content-Type", &wanted.content_type), ("Accept", &wanted.accept)];
        let headers = names.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
        let inner = pokt_http::request(&wanted.method, &url, pokt_http::headers(headers), wanted.body.to_vec());
        let mut request = RelayRequest {
            meta: Some(RelayRequestMetadata {
                session_header: Some(session.header.clone()),
                signature: Bytes::new(),
                supplier_operator_address: choice.supplier.clone(),
            }),
            payload: pokt_http::request_payload(&inner).into(),
        };
        let ring = self.chain.ring(session, false).await.map_err(|error| Upstream::Unreachable(error.to_string()))?;
        let hash = relay::request_signable_hash(&request);
        let signature = self
            .signer
            .sign(&hash, &ring, &mut Random)
            .map_err(|error| Upstream::Unreachable(format!("the request could not be signed: {error}")))?;
        if let Some(meta) = &mut request.meta {
            meta.signature = signature.encode().into();
        }
        Ok(request)
    }

    async fn verify(&self, request: &RelayRequest, body: Bytes) -> Result<Answer, Upstream> {
        let unverified = |reason: String| Upstream::Unverified(reason);
        let response: RelayResponse =
            canonical::decode_response(&body).map_err(|error| unverified(error.to_string()))?;
        relay::validate_response(&response).map_err(|error| unverified(error.to_string()))?;
        let asked = request.meta.as_ref();
        let answered = response.meta.as_ref().and_then(|meta| meta.session_header.as_ref());
        if asked.and_then(|meta| meta.session_header.as_ref()) != answered {
            return Err(unverified("it is for another session".to_owned()));
        }
        let supplier = asked.map_or("", |meta| &meta.supplier_operator_address);
        let key = self.chain.public_key(supplier).await.map_err(|error| unverified(error.to_string()))?;
        let key = key.ok_or_else(|| unverified(format!("supplier {supplier} has published no key")))?;
        relay::verify_response(&response, &key).map_err(|error| unverified(error.to_string()))?;
        if !relay::payload_matches_hash(&response) {
            return Err(unverified("its payload is not the one that was signed".to_owned()));
        }
        if let Some(error) = &response.relay_miner_error {
            let status = u16::try_from(error.code).ok().filter(|code| (400..600).contains(code)).unwrap_or(502);
            return Err(Upstream::Refused { status, text: error.message.clone() });
        }
        let answer = pokt_http::decode_response(&response.payload);
        Answer::of(answer.map_err(|error| Upstream::Unusable(error.to_string()))?)
    }
}

/// Values of all headers that an answer may have. Clients take some hundred.
const HEADER_VALUES_MAX: usize = 1_024;

/// A backend's answer, as a client gets it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads what a supplier has signed: it may be anything. What is no header is left out.
    fn of(response: PokthttpResponse) -> Result<Self, Upstream> {
        let too_many = || Upstream::Unusable(format!("it has more than {HEADER_VALUES_MAX} values of headers"));
        // Counted first: a map of headers panics beyond some 24,000 of them.
        if response.header.values().map(|header| header.values.len()).sum::<usize>() > HEADER_VALUES_MAX {
            return Err(too_many());
        }
        let mut headers = HeaderMap::new();
        for (name, header) in &response.header {
            let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
            for value in &header.values {
                if let Ok(value) = HeaderValue::from_str(value) {
                    headers.try_append(name.clone(), value).map_err(|_| too_many())?;
                }
            }
        }
        drop_hop_by_hop(&mut headers);
        // The server writes it itself, from what it really sends.
        headers.remove(header::CONTENT_LENGTH);
        let status = u16::try_from(response.status_code).ok().and_then(|code| StatusCode::from_u16(code).ok());
        Ok(Self { status: status.unwrap_or(StatusCode::BAD_GATEWAY), headers, body: response.body_bz })
    }
}

fn unanswered(error: &ClientError) -> Upstream {
    let text = pocket_runtime::process::chain(error);
    match error {
        error if error.is_unsent() => Upstream::Unreachable(text),
        ClientError::Timeout { .. } => Upstream::Timeout,
        _ => Upstream::Broken(text),
    }
}

fn refused(response: &Response<Bytes>) -> Upstream {
    let body = response.body();
    let text = serde_json::from_slice::<serde_json::Value>(body)
        .ok()
        .and_then(|json| json["error"].as_str().map(str::to_owned))
        .unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    Upstream::Refused { status: response.status().as_u16(), text: text.chars().take(REFUSAL_CHARS_MAX).collect() }
}

/// JSON-RPC methods that only read: a relay of one may be repeated though it was perhaps answered before.
const READING_PREFIXES: [&str; 8] =
    ["eth_get", "eth_call", "eth_blockNumber", "eth_chainId", "eth_estimateGas", "eth_gasPrice", "net_", "web3_"];

/// As much of a JSON-RPC call as tells whether it reads.
#[derive(serde::Deserialize)]
struct Call {
    method: String,
}

impl Wanted {
    /// Whether doing it twice is as good as once.
    pub(crate) fn is_idempotent(&self) -> bool {
        if matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS") {
            return true;
        }
        serde_json::from_slice::<Call>(&self.body)
            .is_ok_and(|call| READING_PREFIXES.iter().any(|prefix| call.method.starts_with(prefix)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &str, body: &'static str, idempotent: bool) {
        let wanted = Wanted {
            method: method.to_owned(),
            path_and_query: String::new(),
            content_type: None,
            accept: None,
            body: Bytes::from_static(body.as_bytes()),
        };
        assert_eq!(wanted.is_idempotent(), idempotent, "{method} {body}");
    }

    #[test]
    fn only_reads_are_repeated() {
        check("GET", "", true);
        check("POST", r#"{"method":"eth_blockNumber"}"#, true);
        check("POST", r#"{"method":"eth_sendRawTransaction"}"#, false);
        check("POST", r#"[{"method":"eth_call"}]"#, false);
        check("POST", "", false);
    }
}
