//! HTTP: bytes into a relay, an outcome into bytes. Every path and method is a relay, except those of health.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use pocket_config::relayer::ResponseCompression;
use pocket_runtime::clock;
use pocket_runtime::http::{
    Body, BodyError, Budget, Budgeted, HeaderMap, HeaderValue, Held, Incoming, NoRoom, Request, Response, StatusCode,
    Version, header, read_body,
};
use pocket_runtime::task;
use prometheus::IntGauge;

use crate::health;
use crate::rejection::Rejection;
use crate::relay::{Answer, Pipeline, Received};

/// Answers above this many bytes are compressed off the worker: they would hold it for longer than half a millisecond.
const INLINE_BYTES_MAX: usize = 32 * 1024;

/// The header that says how often the backend was tried again.
const BACKEND_RETRIES: &str = "backend-retries";

/// What the relay port is told, once.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Largest body that any service takes.
    pub(crate) body_bytes_max: usize,
    /// Largest body whose relay can be proved.
    pub(crate) provable_bytes_max: usize,
    /// What bodies may take together, from their first byte until their relay is accounted for.
    pub(crate) bodies: Arc<Budget>,
    /// Time a client may take to send its body.
    pub(crate) client_timeout: Duration,
    pub(crate) compression: ResponseCompression,
}

/// Counts a request as being handled until dropped.
struct Active<'a>(&'a IntGauge);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Answers a request to the relay port.
pub(crate) async fn respond(
    pipeline: Arc<Pipeline>,
    options: Arc<Options>,
    request: Request<Incoming>,
) -> Response<Body> {
    let path = request.uri().path();
    // As in the reference these shadow relays, whatever the method.
    match path {
        "/health" | "/healthz" => return health::relay_port(&pipeline, true),
        "/ready" => return health::relay_port(&pipeline, health::may_serve(&pipeline)),
        _ => {}
    }
    if let Some(service) = path.strip_prefix("/ready/") {
        return health::service(&pipeline, service, health::Urls::Hidden);
    }
    pipeline.metrics.active.inc();
    let _active = Active(&pipeline.metrics.active);
    let inbound = &pipeline.metrics.inbound;
    let by_protocol = if request.version() == Version::HTTP_2 { &inbound.h2c } else { &inbound.http1 };
    by_protocol.inc();

    let (head, body) = request.into_parts();
    let mut room = options.bodies.hold();
    let body = match receive(body, &mut room, &options).await {
        Ok(body) => body,
        Err(rejection) => {
            pipeline.metrics.refused(&pipeline.unknown, &rejection);
            return refusal(&rejection);
        }
    };
    let accept = head.headers.get(header::ACCEPT).cloned();
    let gzip = options.compression.enabled && accepts_gzip(&head.headers);
    match pipeline.relay(Received { body, headers: head.headers, held: room, at: clock::now() }).await {
        Ok(answer) => deliver(answer, accept, gzip.then_some(options.compression.min_size_bytes)).await,
        Err(rejection) => refusal(&rejection),
    }
}

/// Reads a body that can become a relay.
async fn receive(body: Incoming, room: &mut Held, options: &Options) -> Result<Bytes, Rejection> {
    let limit = options.body_bytes_max.min(options.provable_bytes_max);
    read_body(Budgeted::new(body, room), limit, options.client_timeout).await.map_err(|error| match error {
        BodyError::TooLarge { .. } if limit < options.body_bytes_max => Rejection::BodyTooLargeToProve,
        BodyError::TooLarge { .. } => Rejection::BodyTooLarge,
        BodyError::Broken(error) if error.is::<NoRoom>() => Rejection::Busy,
        BodyError::Slow { .. } | BodyError::Broken(_) => Rejection::BodyUnreadable,
    })
}

/// The status is 200 whatever the backend's was: that one is inside, under the signature.
async fn deliver(answer: Answer, accept: Option<HeaderValue>, gzip_from: Option<usize>) -> Response<Body> {
    let packed = match gzip_from {
        Some(min) if answer.bytes.len() >= min => gzip(&answer.bytes).await,
        _ => None,
    };
    let is_packed = packed.is_some();
    let mut response = Response::new(Body::full(packed.unwrap_or(answer.bytes)));
    let headers = response.headers_mut();
    let accept = accept.filter(|accept| !accept.is_empty() && accept != "*/*");
    headers.insert(header::CONTENT_TYPE, accept.unwrap_or(HeaderValue::from_static("application/json")));
    if is_packed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if answer.retries > 0 {
        headers.insert(BACKEND_RETRIES, HeaderValue::from(answer.retries));
    }
    response
}

/// An unsigned answer that says why there is no signed one.
pub(crate) fn refusal(rejection: &Rejection) -> Response<Body> {
    json(rejection.status(), rejection.body())
}

pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT_ENCODING).iter().any(|value| {
        let text = value.to_str().unwrap_or_default();
        text.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip")) && !parts.any(|part| part == "q=0")
        })
    })
}

async fn gzip(bytes: &Bytes) -> Option<Bytes> {
    if bytes.len() <= INLINE_BYTES_MAX {
        return pack(bytes);
    }
    let bytes = bytes.clone();
    // A panic has been logged; the answer goes out as it is.
    task::blocking("relayer gzip", move || pack(&bytes)).await.unwrap_or(None)
}

fn pack(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for (value, takes) in
            [("gzip", true), ("br, GZIP;q=0.5", true), ("gzip;q=0", false), ("identity", false), ("", false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepts_gzip(&headers), takes, "{value}");
        }
    }
}
