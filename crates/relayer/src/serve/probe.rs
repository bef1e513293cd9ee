//! Active probes of a backend that asks for them: each endpoint on its own, so that a slow one delays no other.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pocket_config::relayer::Probe;
use pocket_runtime::http::{HeaderName, HeaderValue, Method, Request, header};
use pocket_runtime::shutdown::Shutdown;

use super::backend::{Backend, Endpoint};
use super::url;

const TIMEOUT_DEFAULT_SECONDS: u64 = 5;
const FAILURES_DEFAULT: u32 = 3;
const SUCCESSES_DEFAULT: u32 = 2;

/// Probes the endpoint at `index` until shutdown. Does nothing for a backend without probes or not reached by HTTP.
pub(crate) async fn probe(backend: Arc<Backend>, index: usize, shutdown: Shutdown) {
    let endpoint = &backend.endpoints[index];
    let (Some(probe), Some(_)) = (&backend.probe, &endpoint.base) else { return };
    let interval = Duration::from_secs(probe.interval_seconds.unwrap_or(1).max(1));
    let (mut failures, mut successes) = (0_u32, 0_u32);
    loop {
        if is_well(&backend, endpoint, probe).await {
            (failures, successes) = (0, successes.saturating_add(1));
            let enough = successes >= probe.healthy_threshold.unwrap_or(SUCCESSES_DEFAULT);
            if enough && !endpoint.breaker.is_closed() && endpoint.breaker.succeeded() {
                tracing::warn!(endpoint = endpoint.name, "BACKEND UP: its probe succeeds again");
            }
        } else {
            (failures, successes) = (failures.saturating_add(1), 0);
            if failures >= probe.unhealthy_threshold.unwrap_or(FAILURES_DEFAULT) {
                // Opens it at once whatever relays saw, and keeps it open: a probe outranks the recovery time.
                while endpoint.breaker.is_closed() {
                    endpoint.failed("probe");
                }
                endpoint.breaker.failed();
            }
        }
        if shutdown.unless_triggered(tokio::time::sleep(interval)).await.is_none() {
            return;
        }
    }
}

async fn is_well(backend: &Backend, endpoint: &Endpoint, probe: &Probe) -> bool {
    let Some(request) = request(backend, endpoint, probe) else { return false };
    let timeout = Duration::from_secs(probe.timeout_seconds.filter(|&s| s > 0).unwrap_or(TIMEOUT_DEFAULT_SECONDS));
    let Ok(response) = backend.exchange(request, timeout).await else { return false };
    let status = response.status();
    let expected = match &probe.expected_status {
        Some(list) if !list.is_empty() => list.contains(&status.as_u16()),
        _ => status.is_success(),
    };
    let text = probe.expected_body.as_deref().unwrap_or_default();
    expected && (text.is_empty() || String::from_utf8_lossy(response.body()).contains(text))
}

fn request(backend: &Backend, endpoint: &Endpoint, probe: &Probe) -> Option<Request<Bytes>> {
    let base = endpoint.base.as_ref()?;
    let body = probe.request_body.clone().unwrap_or_default();
    let looks_like_json = body.starts_with(['{', '[']);
    let mut request = Request::new(Bytes::from(body));
    let method = probe.method.as_deref().filter(|method| !method.is_empty()).unwrap_or("GET").to_ascii_uppercase();
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = url::join(base, probe.endpoint.as_deref().unwrap_or("/")).parse().ok()?;
    let headers = request.headers_mut();
    *headers = backend.headers.clone();
    if let Some(content_type) = &probe.content_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(content_type).ok()?);
    } else if looks_like_json {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in &probe.headers {
        headers.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
    }
    Some(request)
}
