//! Relays signed here, with a development key, and sent straight to a relayer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use pocket_chain::{Chain, Session};
use pocket_config::facts::{Facts, development_keys};
use pocket_crypto::keys::SecretKey;
use pocket_crypto::ring::Signer;
use pocket_proto::canonical;
use pocket_proto::pocket::service::{RelayRequest, RelayRequestMetadata};
use pocket_proto::pocket::shared::RpcType;
use pocket_protocol::{http as pokt_http, relay};
use pocket_runtime::http::{Client, Request, StatusCode};
use pocket_runtime::random::Random;
use pocket_runtime::shutdown::Shutdown;
use pocket_runtime::{clock, process};

use crate::node::node;
use crate::relay::Answer;

/// Time given to the node.
const PATIENCE: Duration = Duration::from_secs(10);
/// Ring keys kept by the signer.
const RING_POINTS_MAX: usize = 1024;
/// Characters of a refusal that are told.
const REFUSAL_CHARS: usize = 200;

/// The way past the gateway.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Signs each relay here, as gateway1 of the development network, and sends it to this relayer.
    #[arg(long = "direct", value_name = "RELAYER_URL")]
    pub(crate) relayer: Option<String>,
    /// `CometBFT` RPC of the node that knows the session, with --direct.
    #[arg(long, value_name = "URL", requires = "relayer")]
    node_rpc: Option<String>,
    /// Cosmos gRPC of the same node, with --direct.
    #[arg(long, value_name = "HOST:PORT", requires = "relayer")]
    node_grpc: Option<String>,
}

/// A signer, a chain, and a relayer.
pub(crate) struct Direct {
    client: Client,
    chain: Chain,
    signer: Signer,
    relayer: String,
    application: String,
    service: String,
    only: Vec<String>,
    /// Turns among the session's suppliers.
    turn: AtomicUsize,
}

impl Direct {
    pub(crate) async fn connect(
        args: &Args,
        service: &str,
        application: Option<&str>,
        suppliers: Option<&str>,
        client: Client,
    ) -> anyhow::Result<Self> {
        let facts = Facts::localnet("seed")?;
        let node = node(args.node_rpc.as_deref(), args.node_grpc.as_deref())?;
        let chain = Chain::connect(&node, PATIENCE, &Shutdown::never()).await?;
        let key = development_keys().into_iter().find(|key| key.name == "gateway1");
        let key = key.context("the development network has an account gateway1")?;
        let staked = || facts.applications.iter().find(|one| one.service == service);
        let address = application.or_else(|| Some(facts.account(&staked()?.account)?.address.as_str()));
        let application = address.with_context(|| {
            format!("no application of the development network is staked for `{service}`: name one with --app")
        })?;
        let application = application.to_owned();
        Ok(Self {
            client,
            chain,
            signer: Signer::new(SecretKey::from_hex(&key.private_key)?, RING_POINTS_MAX)?,
            relayer: args.relayer.clone().unwrap_or_default(),
            application,
            service: service.to_owned(),
            only: suppliers.map(|list| list.split(',').map(str::to_owned).collect()).unwrap_or_default(),
            turn: AtomicUsize::new(0),
        })
    }

    /// Sends one relay; the answer has been verified.
    pub(crate) async fn send(&self, body: Bytes) -> Result<Answer, String> {
        let session =
            self.chain.session(&self.application, &self.service, 0).await.map_err(|error| error.to_string())?;
        let supplier = self.choose(&session)?;
        let request = self.sign(&session, &supplier, body).await?;
        let http = Request::post(&self.relayer)
            .header("content-type", "application/json")
            .header("rpc-type", (RpcType::JsonRpc as i32).to_string())
            .body(Bytes::from(canonical::encode_request(&request)))
            .map_err(|error| format!("`{}`: {error}", self.relayer))?;
        let start = clock::now();
        let response = self.client.send(http).await.map_err(|error| process::chain(&error))?;
        let took = start.elapsed();
        if response.status() != StatusCode::OK {
            let text: String = String::from_utf8_lossy(response.body()).chars().take(REFUSAL_CHARS).collect();
            return Err(format!("relayer: status {}: {text}", response.status().as_u16()));
        }
        let body = self.verify(&request, &supplier, response.into_body()).await?;
        Ok(Answer { body, supplier, took })
    }

    fn choose(&self, session: &Session) -> Result<String, String> {
        let suppliers: Vec<&str> = session
            .suppliers
            .iter()
            .map(|supplier| supplier.operator.as_str())
            .filter(|operator| self.only.is_empty() || self.only.iter().any(|only| only == operator))
            .collect();
        if suppliers.is_empty() {
            return Err("the session has none of these suppliers".to_owned());
        }
        Ok(suppliers[self.turn.fetch_add(1, Ordering::Relaxed) % suppliers.len()].to_owned())
    }

    async fn sign(&self, session: &Session, supplier: &str, body: Bytes) -> Result<RelayRequest, String> {
        let headers = pokt_http::headers([("Content-Type", "application/json")]);
        let inner = pokt_http::request("POST", &self.relayer, headers, body.to_vec());
        let mut request = RelayRequest {
            meta: Some(RelayRequestMetadata {
                session_header: Some(session.header.clone()),
                signature: Bytes::new(),
                supplier_operator_address: supplier.to_owned(),
            }),
            payload: pokt_http::request_payload(&inner).into(),
        };
        let ring = self.chain.ring(session, false).await.map_err(|error| error.to_string())?;
        let hash = relay::request_signable_hash(&request);
        let signature = self.signer.sign(&hash, &ring, &mut Random).map_err(|error| error.to_string())?;
        if let Some(meta) = &mut request.meta {
            meta.signature = signature.encode().into();
        }
        Ok(request)
    }

    async fn verify(&self, request: &RelayRequest, supplier: &str, body: Bytes) -> Result<Bytes, String> {
        let response = canonical::decode_response(&body).map_err(|error| format!("no relay response: {error}"))?;
        relay::validate_response(&response).map_err(|error| error.to_string())?;
        let asked = request.meta.as_ref().and_then(|meta| meta.session_header.as_ref());
        if asked != response.meta.as_ref().and_then(|meta| meta.session_header.as_ref()) {
            return Err("the answer is for another session".to_owned());
        }
        let key = self.chain.public_key(supplier).await.map_err(|error| error.to_string())?;
        let key = key.ok_or_else(|| format!("supplier {supplier} has published no key"))?;
        relay::verify_response(&response, &key).map_err(|error| error.to_string())?;
        if !relay::payload_matches_hash(&response) {
            return Err("the answer's payload is not the one that was signed".to_owned());
        }
        let inner = pokt_http::decode_response(&response.payload).map_err(|error| error.to_string())?;
        if inner.status_code >= 400 {
            return Err(format!("backend: status {}", inner.status_code));
        }
        Ok(Bytes::from(inner.body_bz))
    }
}
