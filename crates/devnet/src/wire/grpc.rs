//! Cosmos gRPC: the queries of every module, transactions, blocks, node, reflection, health.
//!
//! Each query is a function of [`At`], a state and what surrounds it, to an answer. What all have in common is here: the
//! height asked for in `x-cosmos-block-height` and answered in the same header, and the faults set for a method.

use std::{convert::Infallible, sync::Arc};

use pocket_proto::{DESCRIPTOR_SET, cosmos, pocket};
use tonic::{
    Code, Request, Response, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
    service::Routes,
};

use crate::{chain::Chain, state::State};

#[expect(
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_value,
    reason = "queries have one shape, whether or not they can fail or keep the request"
)]
mod accounts;
#[expect(clippy::unnecessary_wraps, reason = "queries have one shape, whether or not they can fail")]
mod blocks;
#[expect(
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_value,
    reason = "queries have one shape, whether or not they can fail or keep the request"
)]
mod participants;
#[expect(
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_value,
    reason = "queries have one shape, whether or not they can fail or keep the request"
)]
mod proofs;
#[expect(
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_value,
    reason = "queries have one shape, whether or not they can fail or keep the request"
)]
mod services;
#[expect(
    clippy::unnecessary_wraps,
    clippy::needless_pass_by_value,
    reason = "queries have one shape, whether or not they can fail or keep the request"
)]
mod sessions;
#[expect(clippy::needless_pass_by_value, reason = "queries have one shape, whether or not they keep the request")]
mod txs;

pub(super) use txs::simulated;

/// Metadata that names the height asked about, and the height answered at.
pub(super) const HEIGHT_HEADER: &str = "x-cosmos-block-height";
/// Largest request, in bytes.
const REQUEST_BYTES_MAX: usize = 10 << 20;

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

impl Queries {
    /// Answers one call: faults first, then the state of the height asked for, then the query itself.
    async fn answer<Q, A>(
        &self,
        method: &str,
        request: Request<Q>,
        supplier: Option<&str>,
        query: impl FnOnce(&At<'_>, Q) -> Result<A, Status>,
    ) -> Result<Response<A>, Status> {
        strike(&self.chain, method, supplier).await?;
        let height = height_asked(request.metadata())?;
        let state = self.chain.state_at(height).map_err(|error| Status::unknown(error.to_string()))?;
        let height = state.height;
        let at = At { state, chain: &self.chain, rpc_address: &self.rpc_address };
        let mut response = Response::new(query(&at, request.into_inner())?);
        response.metadata_mut().insert(HEIGHT_HEADER, MetadataValue::from(height));
        Ok(response)
    }

    /// Returns everything that listens on the gRPC port.
    pub(super) async fn routes(&self) -> Routes {
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_service_status("", tonic_health::ServingStatus::Serving).await;
        let reflection_v1 = reflection().build_v1().expect("our own descriptors are whole");
        let reflection_v1alpha = reflection().build_v1alpha().expect("our own descriptors are whole");
        let services = self.queries().add_service(health).add_service(reflection_v1).add_service(reflection_v1alpha);
        services
            .into_axum_router()
            .layer(tower::layer::layer_fn(named))
            .fallback_service(tower::service_fn(unknown))
            .into()
    }

    /// Returns the services of the chain alone, for calls from within.
    pub(super) fn queries(&self) -> Routes {
        macro_rules! all {
            ($($server:path),* $(,)?) => {{
                let mut routes = Routes::default();
                $(
                    let service = <$server>::new(self.clone()).max_decoding_message_size(REQUEST_BYTES_MAX);
                    routes = routes.add_service(service);
                )*
                routes
            }};
        }
        all![
            pocket::shared::query_server::QueryServer::<Self>,
            pocket::session::query_server::QueryServer::<Self>,
            pocket::application::query_server::QueryServer::<Self>,
            pocket::supplier::query_server::QueryServer::<Self>,
            pocket::gateway::query_server::QueryServer::<Self>,
            pocket::service::query_server::QueryServer::<Self>,
            pocket::proof::query_server::QueryServer::<Self>,
            pocket::tokenomics::query_server::QueryServer::<Self>,
            cosmos::auth::v1beta1::query_server::QueryServer::<Self>,
            cosmos::bank::v1beta1::query_server::QueryServer::<Self>,
            cosmos::tx::v1beta1::service_server::ServiceServer::<Self>,
            cosmos::base::tendermint::v1beta1::service_server::ServiceServer::<Self>,
            cosmos::base::node::v1beta1::service_server::ServiceServer::<Self>,
        ]
    }
}

/// Answers a call to a service that there is not, as the node words it.
async fn unknown(request: Call) -> Result<Reply, Infallible> {
    let service = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
    Ok(Status::unimplemented(format!("unknown service {service}")).into_http())
}

type Call = http::Request<tonic::service::AxumBody>;
type Reply = http::Response<tonic::service::AxumBody>;

/// Lets a service say which method there is not, as the node words it, where the generated server says nothing.
fn named<S>(inner: S) -> impl tower::Service<Call, Response = Reply, Error = Infallible, Future: Send> + Clone
where
    S: tower::Service<Call, Response = Reply, Error = Infallible, Future: Send> + Clone + Send,
{
    tower::service_fn(move |call: Call| {
        let path = call.uri().path().to_owned();
        let answered = inner.clone().call(call);
        async move {
            let reply = answered.await?;
            let status = reply.headers().get(Status::GRPC_STATUS);
            let unimplemented = status.is_some_and(|status| status.as_bytes() == b"12");
            if !unimplemented || reply.headers().contains_key(Status::GRPC_MESSAGE) {
                return Ok(reply);
            }
            let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
            Ok(Status::unimplemented(format!("unknown method {method} for service {service}")).into_http())
        }
    })
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

/// Returns the height that a call asks about; 0 for the newest.
fn height_asked(metadata: &MetadataMap) -> Result<i64, Status> {
    let invalid = |text: &str| {
        Status::unknown(format!(
            "codespace sdk code 18: invalid request: Baseapp.RegisterGRPCServer: invalid height header {}",
            pocket_protocol::error::quoted(text)
        ))
    };
    let Some(value): Option<&MetadataValue<Ascii>> = metadata.get(HEIGHT_HEADER) else { return Ok(0) };
    let text = value.to_str().map_err(|_| invalid(""))?;
    text.parse().map_err(|_| invalid(text))
}

/// Returns a refusal of a module as its query reports it.
fn refused(code: Code, error: &pocket_protocol::error::ChainError) -> Status {
    Status::new(code, error.text.clone())
}

/// Implements the trait of a generated server: one line for each method, with the function that answers it.
macro_rules! serve {
    ($trait:path, $service:literal, { $($method:ident, $name:literal, $request:ty => $answer:ty, $query:path $(, $supplier:ident)?;)* }) => {
        #[tonic::async_trait]
        impl $trait for crate::wire::grpc::Queries {
            $(
                async fn $method(
                    &self,
                    request: tonic::Request<$request>,
                ) -> Result<tonic::Response<$answer>, tonic::Status> {
                    let supplier: Option<String> = None $(.or(Some(request.get_ref().$supplier.clone())))?;
                    self.answer(concat!("/", $service, "/", $name), request, supplier.as_deref(), $query).await
                }
            )*
        }
    };
}
use serve;
