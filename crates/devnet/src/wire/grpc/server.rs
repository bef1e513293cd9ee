//! The table of methods on a gRPC port, beside reflection and health.
//!
//! One service for all methods, over bytes: what tonic would generate for each method is compiled once.

use std::{convert::Infallible, future::Future, pin::Pin};

use bytes::Bytes;
use pocket_proto::DESCRIPTOR_SET;
use pocket_runtime::grpc::Raw;
use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
    server::{Grpc, UnaryService},
    service::{AxumBody, Routes},
};

use super::{HEIGHT_HEADER, Queries};

/// Largest request, in bytes.
const REQUEST_BYTES_MAX: usize = 10 << 20;

type Call = http::Request<AxumBody>;
type Reply = http::Response<AxumBody>;

impl Queries {
    /// Returns everything that listens on the gRPC port.
    pub(in crate::wire) async fn routes(&self) -> Routes {
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_service_status("", tonic_health::ServingStatus::Serving).await;
        let reflection_v1 = reflection().build_v1().expect("our own descriptors are whole");
        let reflection_v1alpha = reflection().build_v1alpha().expect("our own descriptors are whole");
        let others = Routes::new(health).add_service(reflection_v1).add_service(reflection_v1alpha);
        let queries = self.clone();
        let table = tower::service_fn(move |call: Call| answer(queries.clone(), call));
        others.into_axum_router().layer(tower::layer::layer_fn(named)).fallback_service(table).into()
    }
}

async fn answer(queries: Queries, call: Call) -> Result<http::Response<tonic::body::Body>, Infallible> {
    let path = call.uri().path().to_owned();
    let mut server = Grpc::new(Raw).max_decoding_message_size(REQUEST_BYTES_MAX);
    Ok(server.unary(Query { queries, path }, call).await)
}

/// One call of the table.
struct Query {
    queries: Queries,
    path: String,
}

impl UnaryService<Bytes> for Query {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let Self { queries, path } = self;
        let (queries, path) = (queries.clone(), std::mem::take(path));
        Box::pin(async move {
            let height = height_asked(request.metadata())?;
            let answer = queries.call(&path, request.into_inner(), height).await?;
            let mut response = Response::new(answer.message);
            response.metadata_mut().insert(HEIGHT_HEADER, MetadataValue::from(answer.height));
            Ok(response)
        })
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

/// Lets a generated service say which method there is not, as the node words it, where it says nothing by itself.
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
            let silent = status.is_some_and(|status| status.as_bytes() == b"12")
                && !reply.headers().contains_key(Status::GRPC_MESSAGE);
            if !silent {
                return Ok(reply);
            }
            let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
            Ok(Status::unimplemented(format!("unknown method {method} for service {service}")).into_http())
        }
    })
}
