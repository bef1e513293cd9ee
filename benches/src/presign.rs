//! Relay requests signed before the clock runs, and the check of what was answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use pocket_chain::{Chain, Session};
use pocket_config::facts;
use pocket_crypto::keys::{PublicKey, SecretKey};
use pocket_crypto::ring::Signer;
use pocket_proto::canonical;
use pocket_proto::pocket::service::{RelayRequest, RelayRequestMetadata, RelayResponse};
use pocket_proto::pocket::shared::RpcType;
use pocket_protocol::{http as pokt_http, relay};
use pocket_runtime::random::Random;

use crate::house::{APPLICATION, SERVICE};
use crate::replay;

/// Ring members whose points a signer keeps.
const RING_POINTS: usize = 16;

/// Everything needed to sign for one session and to check the answers.
pub struct Presigner {
    /// The session all relays belong to.
    pub session: Arc<Session>,
    ring: Arc<Vec<PublicKey>>,
    signer: Signer,
    /// Keys of the session's suppliers, by operator address.
    keys: BTreeMap<String, PublicKey>,
    host: String,
    next_id: u64,
}

impl Presigner {
    /// Reads the current session of the measured application, its ring and the keys of its suppliers.
    ///
    /// # Errors
    /// The chain does not answer, or a supplier has no key.
    pub async fn new(chain: &Chain, relayer: std::net::SocketAddr) -> anyhow::Result<Self> {
        let facts = facts::Facts::localnet("load")?;
        let application = &facts.account(APPLICATION).context("the application is a fact")?.address;
        let session = chain.session(application, SERVICE, chain.height()).await?;
        let ring = chain.ring(&session, false).await?;
        let keys = facts::development_keys();
        let gateway = keys.iter().find(|key| key.name == "gateway1").context("the gateway's development key")?;
        let signer = Signer::new(SecretKey::from_hex(&gateway.private_key)?, RING_POINTS)?;
        let mut keys = BTreeMap::new();
        for supplier in &session.suppliers {
            let key = chain.public_key(&supplier.operator).await?;
            keys.insert(supplier.operator.clone(), key.with_context(|| format!("no key of {}", supplier.operator))?);
        }
        Ok(Self { session, ring, signer, keys, host: relayer.to_string(), next_id: 1 })
    }

    /// Signs so many distinct relays, round robin over the suppliers, on all cores. Each is a whole HTTP request.
    ///
    /// # Errors
    /// A ring that the gateway's key is not in.
    pub fn sign(&mut self, count: u64) -> anyhow::Result<Vec<Bytes>> {
        let first = self.next_id;
        self.next_id += count;
        let threads = u64::try_from(std::thread::available_parallelism().map_or(1, usize::from)).unwrap_or(1);
        let share = count.div_ceil(threads).max(1);
        let this = &*self;
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|thread| {
                    let from = first + (thread * share).min(count);
                    let until = first + ((thread + 1) * share).min(count);
                    scope.spawn(move || (from..until).map(|id| this.request(id)).collect::<anyhow::Result<Vec<_>>>())
                })
                .collect();
            let mut requests = Vec::new();
            for worker in workers {
                requests.extend(worker.join().expect("signing does not panic")?);
            }
            Ok(requests)
        })
    }

    fn request(&self, id: u64) -> anyhow::Result<Bytes> {
        let index = usize::try_from(id).unwrap_or(usize::MAX) % self.session.suppliers.len().max(1);
        let supplier = self.session.suppliers.get(index).context("the session has no suppliers")?;
        let endpoint = supplier.endpoints.iter().find(|endpoint| endpoint.rpc_type == RpcType::JsonRpc);
        let url = &endpoint.context("the supplier has no JSON-RPC endpoint")?.url;
        let headers = pokt_http::headers([("Content-Type", "application/json")]);
        let inner = pokt_http::request("POST", url, headers, rpc_body(id).into_bytes());
        let mut request = RelayRequest {
            meta: Some(RelayRequestMetadata {
                session_header: Some(self.session.header.clone()),
                signature: Bytes::new(),
                supplier_operator_address: supplier.operator.clone(),
            }),
            payload: pokt_http::request_payload(&inner).into(),
        };
        let signature = self.signer.sign(&relay::request_signable_hash(&request), &self.ring, &mut Random)?;
        if let Some(meta) = &mut request.meta {
            meta.signature = signature.encode().into();
        }
        let rpc_type = (RpcType::JsonRpc as i32).to_string();
        let body = canonical::encode_request(&request);
        Ok(replay::post("/", &self.host, &[("content-type", "application/json"), ("rpc-type", &rpc_type)], &body))
    }

    /// The message and the signature of a request, for measuring what their verification costs.
    ///
    /// # Errors
    /// The request is not one of ours.
    pub fn parts(&self, request: &Bytes) -> anyhow::Result<([u8; 32], Bytes)> {
        let request = canonical::decode_request(&replay::body_of(request)?)?;
        let meta = request.meta.as_ref().context("a relay has its metadata")?;
        Ok((relay::request_signable_hash(&request), meta.signature.clone()))
    }

    /// Checks that an answer is the supplier's, is signed, and carries the backend's words.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self, request: &Bytes, answer: &Bytes) -> anyhow::Result<()> {
        let request = canonical::decode_request(&replay::body_of(request)?)?;
        let supplier = request.meta.map(|meta| meta.supplier_operator_address).context("a relay has its metadata")?;
        let key = self.keys.get(&supplier).with_context(|| format!("no key of {supplier}"))?;
        let response: RelayResponse = canonical::decode_response(answer)?;
        relay::validate_response(&response)?;
        relay::verify_response(&response, key)?;
        ensure!(relay::payload_matches_hash(&response), "the payload is not the one that was signed");
        let inner = pokt_http::decode_response(&response.payload)?;
        let text = String::from_utf8_lossy(&inner.body_bz);
        ensure!(inner.status_code == 200 && text.contains("eth_blockNumber"), "the backend's answer is `{text}`");
        Ok(())
    }
}

/// A JSON-RPC request that differs from all others.
pub fn rpc_body(id: u64) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"eth_blockNumber","params":[],"id":{id}}}"#)
}
