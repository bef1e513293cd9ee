//! Health: what probes ask on the relay port and on the health listener, and the watch behind `/readyz` and `/livez`.

use std::sync::Arc;
use std::time::Duration;

use pocket_runtime::admin::{Health, Heartbeat, Ready};
use pocket_runtime::clock;
use pocket_runtime::http::{Body, HeaderValue, Incoming, Request, Response, StatusCode, header};
use pocket_runtime::shutdown::Shutdown;
use pocket_store::{CacheKind, Event, Events};
use serde::Serialize;

use crate::http::json;
use crate::relay::Pipeline;
use crate::serve::Service;

/// Silence of the chain after which this process is not ready: no known network makes blocks this slowly.
const BLOCKS_SILENT_MAX: Duration = Duration::from_mins(5);

/// Blocks that this process' node may be behind the miners' while it is ready.
const BEHIND_BLOCKS_MAX: i64 = 10;

/// How often the watch looks.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Looks that the watch may miss before `/livez` fails.
const LOOK_SILENCE_MAX: Duration = Duration::from_secs(30);

/// Pause before the store's events are subscribed to again.
const SUBSCRIBE_PAUSE: Duration = Duration::from_secs(1);

/// How often the registry is read whole, for what events may have missed.
const RELOAD_PAUSE: Duration = Duration::from_mins(1);

/// Whether backends' addresses may be shown: not to strangers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Urls {
    Hidden,
    Shown,
}

/// Returns whether a relay that came now could be served.
pub(crate) fn may_serve(pipeline: &Pipeline) -> bool {
    pipeline.chain.height() > 0 && pipeline.log.accepts()
}

/// The relay port's own health, in the reference's words.
pub(crate) fn relay_port(pipeline: &Pipeline, healthy: bool) -> Response<Body> {
    let (status, word) =
        if healthy { (StatusCode::OK, "healthy") } else { (StatusCode::SERVICE_UNAVAILABLE, "unavailable") };
    json(status, format!("{{\"status\":\"{word}\",\"block_height\":{}}}", pipeline.chain.height()))
}

#[derive(Serialize)]
struct Report<'a> {
    service_id: &'a str,
    ready: bool,
    block_height: i64,
    pool: Pool,
    backends: Backends<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

#[derive(Serialize, Default)]
struct Pool {
    max_conns_per_host: usize,
    max_idle_conns_per_host: usize,
    idle_conn_timeout_seconds: u64,
}

#[derive(Serialize, Default)]
struct Backends<'a> {
    total: usize,
    healthy: usize,
    endpoints: Vec<EndpointReport<'a>>,
}

#[derive(Serialize)]
struct EndpointReport<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    healthy: bool,
}

/// Whether a service has a healthy endpoint, and which.
pub(crate) fn service(pipeline: &Pipeline, id: &str, urls: Urls) -> Response<Body> {
    let nothing = |error| Report {
        service_id: id,
        ready: false,
        block_height: 0,
        pool: Pool::default(),
        backends: Backends::default(),
        error: Some(error),
    };
    if id.is_empty() {
        return report(StatusCode::BAD_REQUEST, &nothing("service_id path parameter is required"));
    }
    let Some(service) = pipeline.services.get(id) else {
        return report(StatusCode::NOT_FOUND, &nothing("unknown service"));
    };
    let backends = backends(service, urls);
    let ready = backends.healthy > 0;
    let pool = Pool {
        max_conns_per_host: service.limits.connections_max,
        max_idle_conns_per_host: service.limits.idle_max,
        idle_conn_timeout_seconds: service.limits.idle_timeout.as_secs(),
    };
    let block_height = pipeline.chain.height();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    report(status, &Report { service_id: id, ready, block_height, pool, backends, error: None })
}

fn backends(service: &Service, urls: Urls) -> Backends<'_> {
    let mut endpoints = Vec::new();
    for backend in service.backends.values() {
        for endpoint in &backend.endpoints {
            endpoints.push(EndpointReport {
                name: &endpoint.name,
                kind: &backend.kind,
                url: endpoint.base.as_ref().filter(|_| urls == Urls::Shown).map(ToString::to_string),
                healthy: endpoint.breaker.is_closed(),
            });
        }
    }
    Backends {
        total: endpoints.len(),
        healthy: endpoints.iter().filter(|endpoint| endpoint.healthy).count(),
        endpoints,
    }
}

fn report(status: StatusCode, report: &Report<'_>) -> Response<Body> {
    json(status, serde_json::to_vec(report).unwrap_or_default())
}

/// Answers the health listener: `/health`, `/ready` and `/ready/{service}`.
pub(crate) fn respond(pipeline: &Pipeline, health: &Health, request: &Request<Incoming>) -> Response<Body> {
    let path = request.uri().path();
    if let Some(id) = path.strip_prefix("/ready/") {
        return service(pipeline, id, Urls::Shown);
    }
    let (status, body) = match path {
        "/health" => (StatusCode::OK, "OK".to_owned()),
        "/ready" => match health.waiting().first() {
            None => (StatusCode::OK, "READY".to_owned()),
            Some((name, reason)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{name}: {reason}")),
        },
        _ => (StatusCode::NOT_FOUND, "not found; try /health, /ready or /ready/{service}".to_owned()),
    };
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// What this process needs before it may serve.
pub(crate) struct Needs {
    chain: Ready,
    store: Ready,
    keys: Ready,
    beat: Heartbeat,
}

impl Needs {
    pub(crate) fn register(health: &Health) -> Self {
        Self {
            chain: health.readiness("chain", "no block seen yet"),
            store: health.readiness("store", "not asked yet"),
            keys: health.readiness("keys", "not loaded yet"),
            beat: health.heartbeat("relayer watch", LOOK_SILENCE_MAX),
        }
    }
}

/// Looks at what this process stands on, and shows it, until shutdown.
pub(crate) async fn watch(pipeline: Arc<Pipeline>, needs: Needs, shutdown: Shutdown) {
    if pipeline.suppliers.keys.is_empty() {
        needs.keys.not_ready("no supplier key is held");
    } else {
        needs.keys.ready();
    }
    let (mut height, mut seen) = (0, clock::now());
    // A development chain may have a clock of its own; of others an old block says that the node is behind.
    let mut keeps_time = false;
    loop {
        let now = pipeline.chain.height();
        // Lower on a development chain that was restored.
        if now != height {
            (height, seen) = (now, clock::now());
        }
        let age = clock::unix().since(pipeline.chain.blocks().latest().time);
        keeps_time |= age <= BLOCKS_SILENT_MAX;
        let behind = pipeline.height.now() - now;
        if seen.elapsed() > BLOCKS_SILENT_MAX {
            needs.chain.not_ready(format_args!("no block since height {height}"));
        } else if behind > BEHIND_BLOCKS_MAX {
            needs.chain.not_ready(format_args!("the node is {behind} blocks behind what miners have made known"));
        } else if keeps_time && age > BLOCKS_SILENT_MAX {
            needs.chain.not_ready(format_args!("block {height} is {} s old: the node is behind", age.as_secs()));
        } else {
            needs.chain.ready();
        }
        match pipeline.store.ping().await {
            Ok(()) if pipeline.log.accepts() => needs.store.ready(),
            Ok(()) => needs.store.not_ready("the spool is full and not yet replayed"),
            // With room in the spool relays are still served, and none is lost.
            Err(_) if pipeline.log.is_away() && pipeline.log.accepts() => needs.store.ready(),
            Err(error) => needs.store.not_ready(error),
        }
        show(&pipeline, now);
        needs.beat.beat();
        if shutdown.unless_triggered(tokio::time::sleep(LOOK_PAUSE)).await.is_none() {
            return;
        }
    }
}

fn show(pipeline: &Pipeline, height: i64) {
    let metrics = &pipeline.metrics;
    metrics.height(height);
    metrics.sessions.set(i64::try_from(pipeline.sessions.len()).unwrap_or(i64::MAX));
    metrics.in_flight.set(pipeline.relays_in_flight().into());
    for service in pipeline.services.values() {
        for backend in service.backends.values() {
            for endpoint in &backend.endpoints {
                let up = metrics.backend_up.with_label_values(&[&service.id, &backend.kind, &endpoint.name]);
                up.set(i64::from(endpoint.breaker.is_closed()));
            }
        }
    }
}

/// Follows what miners make known: supplier states, service factors, sessions that no longer pay, meters to forget.
pub(crate) async fn follow(pipeline: Arc<Pipeline>, mut events: Option<Events>, shutdown: Shutdown) {
    loop {
        if let Err(error) = pipeline.height.catch_up(&pipeline.store).await {
            tracing::debug!(error = %error, "cannot read the last block that was made known");
        }
        // Events may have been missed, so the registry is read whole each time following begins.
        if let Err(error) = pipeline.suppliers.reload(&pipeline.store).await {
            tracing::debug!(error = %error, "cannot read the registry of suppliers; serving from what is known");
        }
        let end = match &mut events {
            Some(events) => {
                let following = tokio::time::timeout(RELOAD_PAUSE, follow_events(&pipeline, events));
                match shutdown.unless_triggered(following).await {
                    None => return,
                    // Nothing is wrong: it is time to read everything again.
                    Some(Err(_)) => End::Missed,
                    Some(Ok(end)) => end,
                }
            }
            None => End::Closed,
        };
        if end == End::Closed {
            events = pipeline.store.subscribe().await.ok();
            if shutdown.unless_triggered(tokio::time::sleep(SUBSCRIBE_PAUSE)).await.is_none() {
                return;
            }
        }
    }
}

/// Why following ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Events were missed, or all suppliers have changed.
    Missed,
    /// The subscription is over.
    Closed,
}

async fn follow_events(pipeline: &Pipeline, events: &mut Events) -> End {
    loop {
        match events.next().await {
            Some(Event::Invalidate { kind: CacheKind::Supplier, id: Some(supplier) }) => {
                if let Err(error) = pipeline.suppliers.reload_one(&pipeline.store, &supplier).await {
                    tracing::debug!(error = %error, supplier, "cannot read a supplier's state");
                }
            }
            Some(Event::Invalidate { kind: CacheKind::Supplier, id: None } | Event::Missed) => return End::Missed,
            Some(Event::Invalidate { kind: CacheKind::ServiceFactor | CacheKind::Application, .. }) => {
                pipeline.sessions.refresh_allowances();
            }
            Some(Event::Block(block)) => pipeline.height.hear(block.height),
            Some(Event::Rewardable(event)) => {
                if let Some(session) = pipeline.sessions.get(&event.session_id) {
                    session.set_pays(event.is_rewardable);
                }
            }
            Some(Event::MeterCleanup { session, supplier }) => {
                if let Err(error) = pipeline.store.meter_release(&session, &supplier).await {
                    tracing::debug!(error = %error, session, supplier, "cannot return what a meter had reserved");
                }
            }
            Some(_) => {}
            None => return End::Closed,
        }
    }
}
