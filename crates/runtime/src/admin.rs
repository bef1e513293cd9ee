//! The loopback listener of a process: metrics, liveness, readiness, and what the process adds.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use tokio::time::Instant;

use crate::http::{self, Body, ServeOptions, Served};
use crate::metrics::Registry;
use crate::net::Listener;
use crate::shutdown::Shutdown;

/// Limits of the admin listener: a few people and a scraper.
const OPTIONS: ServeOptions = ServeOptions {
    name: "admin",
    max_connections: 64,
    header_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_secs(90),
    write_timeout: Duration::from_secs(30),
    max_headers: 100,
    max_header_bytes: 16 * 1024,
    h2c: false,
    max_streams: 16,
};

/// What a process says of its own health. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health {
    // Written by the handles, read by requests; never locked over an await.
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    loops: BTreeMap<&'static str, Beat>,
    checks: BTreeMap<&'static str, Check>,
}

#[derive(Debug)]
struct Beat {
    max_silence: Duration,
    last: Instant,
}

#[derive(Debug)]
enum Check {
    Ready,
    NotReady(String),
}

impl Health {
    /// Makes a health with nothing to watch: live and ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a loop that promises to beat at least every `max_silence`; `/livez` fails when it does not.
    ///
    /// The promise ends when the handle is dropped.
    pub fn heartbeat(&self, name: &'static str, max_silence: Duration) -> Heartbeat {
        self.lock().loops.insert(name, Beat { max_silence, last: Instant::now() });
        Heartbeat { name, health: self.clone() }
    }

    /// Registers a check that `/readyz` waits for; not ready until it says so, with `reason` until then.
    pub fn readiness(&self, name: &'static str, reason: &str) -> Ready {
        self.lock().checks.insert(name, Check::NotReady(reason.to_owned()));
        Ready { name, health: self.clone() }
    }

    /// Returns the loops that have been silent for too long, and for how long.
    pub fn silent(&self) -> Vec<(&'static str, Duration)> {
        let late = |(name, beat): (&&'static str, &Beat)| {
            let silence = beat.last.elapsed();
            (silence > beat.max_silence).then_some((*name, silence))
        };
        self.lock().loops.iter().filter_map(late).collect()
    }

    /// Returns the checks that are not ready, and why.
    pub fn waiting(&self) -> Vec<(&'static str, String)> {
        let waiting = |(name, check): (&&'static str, &Check)| match check {
            Check::Ready => None,
            Check::NotReady(reason) => Some((*name, reason.clone())),
        };
        self.lock().checks.iter().filter_map(waiting).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A loop's promise to make progress.
#[derive(Debug)]
pub struct Heartbeat {
    name: &'static str,
    health: Health,
}

impl Heartbeat {
    /// Says that the loop has made progress.
    pub fn beat(&self) {
        if let Some(beat) = self.health.lock().loops.get_mut(self.name) {
            beat.last = Instant::now();
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.health.lock().loops.remove(self.name);
    }
}

/// A thing the process needs before it may serve. It outlives its handle: what was not ready stays so.
#[derive(Debug, Clone)]
pub struct Ready {
    name: &'static str,
    health: Health,
}

impl Ready {
    /// Says that it is there.
    pub fn ready(&self) {
        self.health.lock().checks.insert(self.name, Check::Ready);
    }

    /// Says that it is not, and why.
    pub fn not_ready(&self, reason: impl fmt::Display) {
        self.health.lock().checks.insert(self.name, Check::NotReady(reason.to_string()));
    }
}

type Answering = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;
type Route = Arc<dyn Fn(String) -> Answering + Send + Sync>;

/// Further paths of a process's admin listener.
#[derive(Clone, Default)]
pub struct Routes {
    routes: BTreeMap<(Verb, String), Route>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Get,
    Post,
}

impl Routes {
    /// No further paths.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers GET `path` with what `answer` makes of the query (the part after `?`, or nothing).
    #[must_use]
    pub fn get<F, Fut>(self, path: &str, answer: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response<Bytes>> + Send + 'static,
    {
        self.with(Verb::Get, path, answer)
    }

    /// Answers POST `path` likewise; for what changes something.
    #[must_use]
    pub fn post<F, Fut>(self, path: &str, answer: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response<Bytes>> + Send + 'static,
    {
        self.with(Verb::Post, path, answer)
    }

    fn with<F, Fut>(mut self, method: Verb, path: &str, answer: F) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response<Bytes>> + Send + 'static,
    {
        let route: Route = Arc::new(move |query| Box::pin(answer(query)));
        self.routes.insert((method, path.to_owned()), route);
        self
    }

    fn find(&self, method: &Method, path: &str) -> Option<Route> {
        let method = match *method {
            Method::GET | Method::HEAD => Verb::Get,
            Method::POST => Verb::Post,
            _ => return None,
        };
        self.routes.get(&(method, path.to_owned())).cloned()
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.keys().map(|(_, path)| path)).finish()
    }
}

/// What the admin listener shows.
#[derive(Clone, Debug)]
pub struct Admin {
    /// For `/metrics`.
    pub registry: Registry,
    /// For `/livez`, `/readyz` and `/health`.
    pub health: Health,
    /// Whatever else.
    pub routes: Routes,
}

/// Serves the admin endpoints on `listener` until `shutdown`.
///
/// Give it a shutdown of its own, triggered when the rest has drained, so that a process can be watched while it leaves;
/// until then its [`Ready`] handles say why it is not ready.
pub async fn serve(listener: impl Into<Listener>, admin: Admin, shutdown: Shutdown) -> Served {
    let admin = Arc::new(admin);
    let leaving = shutdown.clone();
    let service = move |request: Request<Incoming>| {
        let admin = admin.clone();
        let leaving = leaving.is_triggered();
        async move { admin.answer(&request, leaving).await.map(Body::from) }
    };
    http::serve(listener, OPTIONS, service, shutdown).await
}

impl Admin {
    async fn answer(&self, request: &Request<Incoming>, leaving: bool) -> Response<Bytes> {
        let path = request.uri().path();
        if let Some(route) = self.routes.find(request.method(), path) {
            return route(request.uri().query().unwrap_or_default().to_owned()).await;
        }
        match path {
            "/metrics" => text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", self.registry.render()),
            "/livez" => self.live(),
            "/readyz" | "/health" => self.ready(leaving),
            _ => json(StatusCode::NOT_FOUND, &serde_json::json!({"error": format!("nothing is at {path}")})),
        }
    }

    fn live(&self) -> Response<Bytes> {
        let silent: BTreeMap<_, _> = self
            .health
            .silent()
            .into_iter()
            .map(|(name, silence)| (name, format!("no progress for {:.1} s", silence.as_secs_f64())))
            .collect();
        report(self.registry.process(), silent)
    }

    fn ready(&self, leaving: bool) -> Response<Bytes> {
        let mut waiting: BTreeMap<_, _> = self.health.waiting().into_iter().collect();
        if leaving {
            waiting.insert("process", "shutting down".to_owned());
        }
        report(self.registry.process(), waiting)
    }
}

#[derive(Serialize)]
struct Report<'a> {
    status: &'a str,
    process: &'a str,
    failing: BTreeMap<&'static str, String>,
}

fn report(process: &str, failing: BTreeMap<&'static str, String>) -> Response<Bytes> {
    let good = failing.is_empty();
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &Report { status: if good { "ok" } else { "failing" }, process, failing })
}

/// Answers with a value as JSON.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response<Bytes> {
    let body = serde_json::to_vec(value).expect("plain values with text keys are always JSON");
    text(status, "application/json", body)
}

/// Answers with a text of the given content type.
pub fn text(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
