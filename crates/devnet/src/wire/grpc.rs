//! Cosmos gRPC: the queries of every module, transactions, blocks, node, reflection, health.
//!
//! Each query is a function of [`At`], a state and what surrounds it, to an answer; a table names them. What all have in
//! common is here: the height asked for in `x-cosmos-block-height` and answered in the same header, and the faults set for
//! a method. `server` puts the table on the wire.

#![expect(
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_value,
    reason = "queries have one shape, whether or not they can fail or keep the request"
)]

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use pocket_proto::cosmos::base::tendermint::v1beta1::{AbciQueryRequest, AbciQueryResponse};
use prost::Message;
use tonic::{Code, Status};

use crate::{chain::Chain, state::State};

mod accounts;
mod blocks;
mod participants;
mod proofs;
mod server;
mod services;
mod sessions;
mod txs;

pub(super) use txs::simulated;

/// Metadata that names the height asked about, and the height answered at.
pub(super) const HEIGHT_HEADER: &str = "x-cosmos-block-height";

/// The one method that is no function of a state, because it calls the others.
const ABCI_QUERY: &str = "/cosmos.base.tendermint.v1beta1.Service/ABCIQuery";

/// Answers queries about a chain.
#[derive(Debug, Clone)]
pub(super) struct Queries {
    pub(super) chain: Chain,
    /// Where the node says its RPC listens.
    pub(super) rpc_address: Arc<str>,
}

/// What a query is answered from.
#[derive(Debug)]
pub(super) struct At<'a> {
    /// The state after the block asked about.
    pub(super) state: State,
    /// The chain, for what is not part of a state.
    pub(super) chain: &'a Chain,
    /// Where the node says its RPC listens.
    pub(super) rpc_address: &'a str,
}

/// A method and the function behind it, from bytes to bytes: its messages are its own affair.
#[derive(Debug)]
struct Method {
    /// `/package.Service/Name`.
    path: &'static str,
    /// Reads the supplier asked about, which a fault may be limited to.
    supplier: fn(&[u8]) -> Option<String>,
    answer: fn(&At<'_>, &[u8]) -> Result<Vec<u8>, Status>,
}

/// An encoded answer, and the height of the state that it was read from.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) message: Bytes,
    pub(super) height: i64,
}

/// Every method but [`ABCI_QUERY`], by path.
static METHODS: LazyLock<BTreeMap<&'static str, &'static Method>> = LazyLock::new(|| {
    let services: [&'static [Method]; 13] = [
        accounts::AUTH,
        accounts::BANK,
        blocks::COMET,
        blocks::NODE,
        participants::APPLICATION,
        participants::GATEWAY,
        participants::SUPPLIER,
        proofs::PROOF,
        services::SERVICE,
        sessions::SESSION,
        sessions::SHARED,
        sessions::TOKENOMICS,
        txs::TX,
    ];
    services.into_iter().flatten().map(|method| (method.path, method)).collect()
});

impl Queries {
    /// Answers one call: faults first, then the state of the height asked for (0: the newest), then the query itself.
    pub(super) async fn call(&self, path: &str, request: Bytes, height: i64) -> Result<Answer, Status> {
        if path == ABCI_QUERY {
            strike(&self.chain, path, None).await?;
            return Box::pin(self.abci_query(&request)).await;
        }
        let method = METHODS.get(path).ok_or_else(|| unimplemented(path))?;
        let supplier = (method.supplier)(&request);
        strike(&self.chain, path, supplier.as_deref()).await?;
        let state = self.chain.state_at(height).map_err(|error| Status::unknown(error.to_string()))?;
        let height = state.height;
        let at = At { state, chain: &self.chain, rpc_address: &self.rpc_address };
        let message = (method.answer)(&at, &request)?;
        Ok(Answer { message: message.into(), height })
    }

    async fn abci_query(&self, request: &[u8]) -> Result<Answer, Status> {
        let asked: AbciQueryRequest = decoded(request)?;
        let answered = super::abci::query(self, &asked.path, asked.data.into(), asked.height).await;
        let height = answered.height;
        let answer = AbciQueryResponse {
            code: answered.code,
            log: answered.log,
            value: answered.value.to_vec(),
            height,
            codespace: answered.codespace,
            ..AbciQueryResponse::default()
        };
        Ok(Answer { message: answer.encode_to_vec().into(), height })
    }
}

/// Lets the faults set for a method strike before it is answered.
pub(super) async fn strike(chain: &Chain, method: &str, supplier: Option<&str>) -> Result<(), Status> {
    let fault = chain.answer_fault(method, supplier);
    if !fault.delay.is_zero() {
        tokio::time::sleep(fault.delay).await;
    }
    match fault.refusal {
        Some((code, message)) => Err(Status::new(Code::from(code.cast_signed()), message)),
        None => Ok(()),
    }
}

/// Refuses a path that leads nowhere, as the node words it.
fn unimplemented(path: &str) -> Status {
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    let folder = format!("/{service}/");
    let known = METHODS.range(folder.as_str()..).next().is_some_and(|(path, _)| path.starts_with(&folder));
    Status::unimplemented(if known {
        format!("unknown method {method} for service {service}")
    } else {
        format!("unknown service {service}")
    })
}

/// Returns a refusal of a module as its query reports it.
fn refused(code: Code, error: &pocket_protocol::error::ChainError) -> Status {
    Status::new(code, error.text.clone())
}

fn decoded<Q: Message + Default>(request: &[u8]) -> Result<Q, Status> {
    Q::decode(request).map_err(|error| Status::internal(format!("grpc: error unmarshalling request: {error}")))
}

/// Answers in bytes what was asked in bytes.
fn answered<Q: Message + Default, A: Message>(
    at: &At<'_>,
    request: &[u8],
    query: impl Fn(&At<'_>, Q) -> Result<A, Status>,
) -> Result<Vec<u8>, Status> {
    Ok(query(at, decoded(request)?)?.encode_to_vec())
}

/// Reads a field of the request that `query` takes; none of one that cannot be read, which is refused later.
fn field<Q: Message + Default, A>(
    request: &[u8],
    _query: impl Fn(&At<'_>, Q) -> Result<A, Status>,
    read: impl Fn(Q) -> String,
) -> Option<String> {
    Q::decode(request).ok().map(read)
}

/// The table of a service: for each method its name, the function that answers it, and the field that names a supplier.
macro_rules! methods {
    ($service:literal, { $($name:literal, $query:path $(, $supplier:ident)?;)* }) => {
        &[$(
            $crate::wire::grpc::Method {
                path: concat!("/", $service, "/", $name),
                supplier: |_request| {
                    None$(.or($crate::wire::grpc::field(_request, $query, |asked| asked.$supplier)))?
                },
                answer: |at, request| $crate::wire::grpc::answered(at, request, $query),
            },
        )*]
    };
}
use methods;
