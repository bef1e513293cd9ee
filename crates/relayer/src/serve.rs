//! Serve: the backend's answer, whole and plain, or the reason why there is none.

mod backend;
mod breaker;
mod gzip;
mod headers;
mod probe;
mod service;
mod url;

use std::time::Duration;

use bytes::Bytes;
use pocket_proto::sdk::types::PokthttpRequest;
use pocket_runtime::clock;
use pocket_runtime::http::{ClientError, HeaderMap, Method, Request, Response, Uri, drop_hop_by_hop};

pub(crate) use backend::{Backend, Endpoint};
pub(crate) use probe::probe;
pub use service::ServiceError;
pub(crate) use service::{Service, Services, services};

use crate::rejection::{BackendFailure, Rejection};
use crate::relay::{Admitted, Pipeline, Served};

/// What a backend answered, with its body plain.
#[derive(Debug)]
pub(crate) struct BackendAnswer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Tries beyond the first.
    pub(crate) retries: u32,
}

/// Whether a failed try may be repeated elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    /// It certainly had no effect.
    Safe,
    /// It may have had one: only for methods that change nothing.
    IfHarmless,
    Never,
}

/// Why there is no answer to pass on.
struct Unserved {
    rejection: Rejection,
    /// Whether a backend was put to work all the same: by a caller who asked for too much, or by one who knew that it
    /// would fail. Such a relay stays charged, or it could be had for nothing any number of times.
    worked: bool,
}

impl Pipeline {
    /// Calls the backend, on another endpoint again where that is safe, within the service's time.
    pub(crate) async fn serve(&self, mut admitted: Admitted) -> Result<Served, Rejection> {
        let started = clock::now();
        // From here the charge stays whatever becomes of this task, unless no backend had anything to do.
        let kept = admitted.charge.keep();
        let body = Bytes::from(std::mem::take(&mut admitted.call.body_bz));
        let result = call(&admitted, body).await;
        let outcome = result.as_ref().map(|answer| answer.status).map_err(|unserved| &unserved.rejection);
        admitted.counters.called(started.elapsed(), outcome);
        match result {
            Ok(answer) => Ok(Served { admitted, kept, answer }),
            Err(Unserved { rejection, worked }) => {
                if !worked {
                    kept.give_back();
                }
                Err(rejection)
            }
        }
    }
}

async fn call(admitted: &Admitted, body: Bytes) -> Result<BackendAnswer, Unserved> {
    let backend = &admitted.backend;
    let unsendable = |rejection| Unserved { rejection, worked: false };
    let method = method(&admitted.call).map_err(unsendable)?;
    let headers = headers::to_backend(admitted).map_err(unsendable)?;
    let deadline = clock::now() + backend.timeout;
    let mut worked = false;
    let mut retries = 0;
    let mut last = None;
    loop {
        let Some(endpoint) = backend.pick(last) else {
            let rejection = Rejection::BackendUnavailable { service: admitted.service.id.clone() };
            return Err(Unserved { rejection, worked });
        };
        let left = deadline.saturating_duration_since(clock::now());
        let (headers, body) = (headers.clone(), body.clone());
        let tried = try_once(backend, endpoint, &method, &admitted.call.url, headers, body, left).await;
        let (rejection, again) = match tried {
            Ok(response) if response.status().as_u16() < 500 => {
                endpoint.breaker.succeeded();
                let answer = plain(backend, response, retries).await;
                return answer.map_err(|rejection| Unserved { rejection, worked: true });
            }
            Ok(response) => {
                endpoint.failed("backend_5xx");
                let status = response.status().as_u16();
                // Of the 5xx, only 503 says that nothing was done.
                let again = if status == 503 { Again::Safe } else { Again::IfHarmless };
                (Rejection::BackendStatus(status), again)
            }
            Err((failure, again)) => {
                let rejection = Rejection::Backend(failure);
                tracing::debug!(
                    service = admitted.service.id,
                    endpoint = endpoint.name,
                    reason = rejection.face().reason,
                    "backend call failed"
                );
                (rejection, again)
            }
        };
        worked |= again != Again::Safe && !is_unsendable(&rejection);
        let may = match again {
            Again::Safe => true,
            Again::IfHarmless => matches!(method, Method::GET | Method::HEAD | Method::OPTIONS),
            Again::Never => false,
        };
        if !may || retries >= backend.retries_max || !backend.has_other(endpoint) || deadline <= clock::now() {
            return Err(Unserved { rejection, worked });
        }
        retries += 1;
        last = Some(endpoint.index);
    }
}

/// Returns whether a refusal means that the request is none that a backend could be sent.
const fn is_unsendable(rejection: &Rejection) -> bool {
    matches!(rejection, Rejection::Backend(BackendFailure::NotHttp | BackendFailure::BadRequest))
}

/// Methods that ask something of whoever stands between, and nothing of a backend: to be a tunnel, and to show how a
/// request arrived, with the operator's credentials in it.
const NOT_FOR_BACKENDS: [Method; 2] = [Method::CONNECT, Method::TRACE];

fn method(call: &PokthttpRequest) -> Result<Method, Rejection> {
    let refused = Rejection::Backend(BackendFailure::BadRequest);
    // An empty method means GET, as in Go.
    match call.method.as_str() {
        "" | "GET" => Ok(Method::GET),
        "POST" => Ok(Method::POST),
        // In any spelling, as not every server tells them apart.
        other if NOT_FOR_BACKENDS.iter().any(|method| method.as_str().eq_ignore_ascii_case(other)) => Err(refused),
        other => Method::from_bytes(other.as_bytes()).map_err(|_| refused),
    }
}

async fn try_once(
    backend: &Backend,
    endpoint: &Endpoint,
    method: &Method,
    url: &str,
    headers: HeaderMap,
    body: Bytes,
    limit: Duration,
) -> Result<Response<Bytes>, (BackendFailure, Again)> {
    let Some(base) = &endpoint.base else { return Err((BackendFailure::NotHttp, Again::Never)) };
    let target = url::join(base, url);
    let uri: Uri = target.parse().map_err(|_| (BackendFailure::BadRequest, Again::Never))?;
    let mut request = Request::new(body);
    *request.method_mut() = method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    backend.exchange(request, limit).await.map_err(|error| {
        let unsent = error.is_unsent();
        match &error {
            ClientError::Invalid { .. } => (BackendFailure::BadRequest, Again::Never),
            // The backend did its part; another one would answer as much.
            ClientError::TooLarge { .. } => (BackendFailure::TooLarge, Again::Never),
            ClientError::Timeout { phase: pocket_runtime::http::Phase::Pool, .. } => {
                // Our own limit of connections, nothing the endpoint did.
                (BackendFailure::Timeout, Again::Safe)
            }
            ClientError::Timeout { .. } => {
                endpoint.failed("timeout");
                (BackendFailure::Timeout, if unsent { Again::Safe } else { Again::Never })
            }
            ClientError::Connect { .. } | ClientError::Broken { .. } => {
                endpoint.failed("transport_error");
                (BackendFailure::Network, if unsent { Again::Safe } else { Again::IfHarmless })
            }
        }
    })
}

/// Takes compression off an answer, as the signed payload is always plain.
async fn plain(backend: &Backend, response: Response<Bytes>, retries: u32) -> Result<BackendAnswer, Rejection> {
    let (head, body) = response.into_parts();
    let mut headers = head.headers;
    let body = match gzip::plain(&headers, &body, backend.response_bytes_max).await {
        gzip::Plain::AsItWas => body,
        gzip::Plain::Unpacked(bytes) => {
            headers::unpacked(&mut headers, bytes.len());
            bytes
        }
        gzip::Plain::TooLarge => return Err(Rejection::Backend(BackendFailure::TooLarge)),
    };
    drop_hop_by_hop(&mut headers);
    Ok(BackendAnswer { status: head.status.as_u16(), headers, body, retries })
}
