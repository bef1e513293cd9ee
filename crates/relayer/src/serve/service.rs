//! The services that are served, with everything a relay of each needs, made once at start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pocket_config::relayer as settings;
use pocket_runtime::http::HeaderMap;

use super::backend::{Backend, HttpLimits};
use crate::metrics::{Counters, Metrics};

/// The services, by id.
pub(crate) type Services = BTreeMap<String, Arc<Service>>;

/// A service.
pub(crate) struct Service {
    pub(crate) id: String,
    pub(crate) body_bytes_max: usize,
    default_backend: String,
    pub(crate) backends: BTreeMap<String, Arc<Backend>>,
    pub(crate) limits: HttpLimits,
    counters: BTreeMap<String, Arc<Counters>>,
    /// Counts what asks for a type of backend that the service lacks.
    unknown: Arc<Counters>,
}

/// A service that cannot be served as configured.
#[derive(Debug, thiserror::Error)]
#[error("services.{service}.backends.{backend}: {reason}")]
pub struct ServiceError {
    pub(crate) service: String,
    pub(crate) backend: String,
    pub(crate) reason: String,
}

/// The header that names a backend by number or name.
const RPC_TYPE: &str = "rpc-type";

/// Backend when neither the request nor the service names one.
const DEFAULT_BACKEND: &str = "jsonrpc";

/// Makes the services of the settings.
pub(crate) fn services(settings: &settings::Relayer, metrics: &Metrics) -> Result<Services, ServiceError> {
    let mut services = Services::new();
    for (id, service) in &settings.services {
        let limits = limits(settings, service);
        let mut backends = BTreeMap::new();
        for (kind, backend) in &service.backends {
            let made = Backend::new(kind, backend, &limits).map_err(|reason| ServiceError {
                service: id.clone(),
                backend: kind.clone(),
                reason,
            })?;
            backends.insert(kind.clone(), Arc::new(made));
        }
        let service = Service {
            id: id.clone(),
            body_bytes_max: bytes(service.max_body_size_bytes.unwrap_or(settings.default_max_body_size_bytes)),
            default_backend: service.default_backend.clone().unwrap_or_else(|| DEFAULT_BACKEND.to_owned()),
            backends,
            limits,
            counters: service
                .backends
                .keys()
                .map(|kind| (kind.clone(), metrics.counters(Some(id), Some(kind))))
                .collect(),
            unknown: metrics.counters(Some(id), None),
        };
        services.insert(id.clone(), Arc::new(service));
    }
    Ok(services)
}

/// Deadlines and connection limits of a service: its profiles over the transport's values.
fn limits(settings: &settings::Relayer, service: &settings::Service) -> HttpLimits {
    let transport = &settings.http_transport;
    let timeouts = &settings.timeout_profiles[service.timeout_profile.as_deref().unwrap_or("fast")];
    let pool = service.pool_profile.as_ref().map(|name| &settings.pool_profiles[name]);
    let or = |value: u64, other: u64| if value == 0 { other } else { value };
    let or_usize = |value: Option<usize>, other: usize| value.filter(|value| *value > 0).unwrap_or(other);
    let seconds = Duration::from_secs;
    HttpLimits {
        request_timeout: seconds(or(timeouts.request_timeout_seconds, settings.default_request_timeout_seconds).max(1)),
        header_timeout: seconds(timeouts.response_header_timeout_seconds),
        dial_timeout: seconds(or(timeouts.dial_timeout_seconds, transport.dial_timeout_seconds).max(1)),
        connections_max: or_usize(pool.map(|pool| pool.max_conns_per_host), transport.max_conns_per_host).max(1),
        idle_max: or_usize(pool.map(|pool| pool.max_idle_conns_per_host), transport.max_idle_conns_per_host),
        idle_timeout: seconds(or(
            pool.map_or(0, |pool| pool.idle_conn_timeout_seconds),
            transport.idle_conn_timeout_seconds,
        )),
        response_bytes_max: bytes(settings.limits.response_bytes_max),
    }
}

fn bytes(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

impl Service {
    /// Returns the backend that a request's headers ask for, and who counts it. There is no fallback from one type to
    /// another.
    pub(crate) fn backend_for(&self, headers: &HeaderMap) -> (Option<&Arc<Backend>>, &Arc<Counters>) {
        let asked = headers.get(RPC_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
        let asked = backend_name(if asked.is_empty() { &self.default_backend } else { asked });
        (self.backends.get(asked), self.counters.get(asked).unwrap_or(&self.unknown))
    }
}

/// Numbers of the chain's `RPCType`, and names as they are.
fn backend_name(asked: &str) -> &str {
    match asked {
        "1" => "grpc",
        "2" => "websocket",
        "3" => "jsonrpc",
        "4" => "rest",
        "5" => "cometbft",
        other => other,
    }
}
