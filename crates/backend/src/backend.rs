//! Wiring: listeners, requests, faults.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use pocket_config::backend::Backend as Settings;
use pocket_config::metrics::Catalogue;
use pocket_runtime::admin::{self, Admin, Health, Routes};
use pocket_runtime::clock;
use pocket_runtime::http::{
    self, Body, BodyError, HeaderValue, Incoming, Request, Response, ServeOptions, StatusCode, header,
};
use pocket_runtime::metrics::Registry;
use pocket_runtime::net::{BindError, TcpListener};
use pocket_runtime::random;
use pocket_runtime::shutdown::Shutdown;
use pocket_runtime::task::{self, Task};

use crate::answer::{Answer, NOT_JSON, answer};
use crate::fault::Fault;
use crate::metrics::Metrics;

/// Time a client may take to send a request.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Idle connections are kept this long.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);

/// Faults that can be waiting, at most.
const FAULTS_MAX: usize = 1_000_000;

/// Why the backend did not start.
#[derive(Debug, thiserror::Error)]
#[error("failed to open the {what} listener")]
pub struct StartError {
    what: &'static str,
    #[source]
    source: BindError,
}

/// A backend that runs until its shutdown.
pub struct Running {
    /// Where JSON-RPC is answered.
    pub addr: SocketAddr,
    /// Where `/metrics` and `/fault` are, if that listener is on.
    pub admin_addr: Option<SocketAddr>,
    tasks: Vec<Task<()>>,
}

impl Running {
    /// Waits until every listener has closed.
    pub async fn ended(self) {
        for task in self.tasks {
            // A panic has been logged and counted where it happened.
            let _ = task.await;
        }
    }
}

struct Backend {
    settings: Settings,
    metrics: Metrics,
    /// A fault for the next requests, and how many of them. Written by the admin listener, counted down by requests.
    next: Mutex<Option<(Fault, usize)>>,
}

/// Opens the listeners and answers until `shutdown`.
///
/// # Errors
/// [`StartError`] naming the address that is taken, and the remedy.
pub fn start<'a>(
    settings: &'a Settings,
    shutdown: &'a Shutdown,
) -> std::pin::Pin<Box<dyn Future<Output = Result<Running, StartError>> + Send + 'a>> {
    // Boxed at the crate's border, so that its code is compiled here, once, and not again in every binary that awaits it.
    Box::pin(open(settings, shutdown))
}

async fn open(settings: &Settings, shutdown: &Shutdown) -> Result<Running, StartError> {
    let registry = Registry::new("backend", Catalogue::builtin());
    let backend =
        Arc::new(Backend { settings: settings.clone(), metrics: Metrics::new(&registry), next: Mutex::new(None) });
    let listener =
        TcpListener::bind(&settings.listen_addr).await.map_err(|source| StartError { what: "JSON-RPC", source })?;
    let addr = listener.local_addr();
    let mut tasks = Vec::new();
    let mut admin_addr = None;
    if settings.metrics.enabled {
        let listener = TcpListener::bind(&settings.metrics.bind_addr())
            .await
            .map_err(|source| StartError { what: "admin", source })?;
        admin_addr = Some(listener.local_addr());
        let admin = Admin { registry, health: Health::new(), routes: fault_route(&backend) };
        let shutdown = shutdown.clone();
        tasks.push(task::spawn("backend admin", async move {
            admin::serve(listener, admin, shutdown).await;
        }));
    }
    let options = ServeOptions {
        name: "backend",
        max_connections: settings.connections_max,
        header_timeout: CLIENT_TIMEOUT,
        idle_timeout: IDLE_TIMEOUT,
        write_timeout: CLIENT_TIMEOUT,
        max_headers: 100,
        max_header_bytes: 64 << 10,
        h2c: true,
        max_streams: 256,
    };
    let serving = shutdown.clone();
    tasks.push(task::spawn("backend", async move {
        let service = move |request| {
            let backend = backend.clone();
            async move { backend.respond(request).await }
        };
        http::serve(listener, options, service, serving).await;
    }));
    tracing::info!(%addr, "backend answers");
    Ok(Running { addr, admin_addr, tasks })
}

/// `POST /fault?set=hang&for=10` makes the next ten requests hang; `POST /fault?set=none` forgets it.
fn fault_route(backend: &Arc<Backend>) -> Routes {
    let backend = backend.clone();
    Routes::new().post("/fault", move |query: String| {
        let backend = backend.clone();
        async move {
            match backend.set_fault(&query) {
                Ok(told) => admin::json(StatusCode::OK, &serde_json::json!({"fault": told})),
                Err(error) => admin::json(StatusCode::BAD_REQUEST, &serde_json::json!({"error": error})),
            }
        }
    })
}

impl Backend {
    fn set_fault(&self, query: &str) -> Result<String, String> {
        let set = parameter(query, "set").ok_or("say which fault: /fault?set=hang&for=10, or set=none")?;
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if set == "none" {
            *next = None;
            return Ok(set.to_owned());
        }
        let fault: Fault = set.parse().map_err(|error: crate::fault::ParseFaultError| error.to_string())?;
        let count =
            parameter(query, "for").map_or(Ok(1), |text| text.parse().map_err(|_| format!("`{text}` is no number")))?;
        *next = Some((fault, count.min(FAULTS_MAX)));
        Ok(set.to_owned())
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        let start = clock::now();
        let (outcome, response) = self.answer(request).await;
        self.metrics.requests.with_label_values(&[outcome]).inc();
        self.metrics.duration.observe(start.elapsed().as_secs_f64());
        response
    }

    async fn answer(&self, request: Request<Incoming>) -> (&'static str, Response<Body>) {
        if request.uri().path() == "/health" {
            let body: &[u8] = b"{\"service\":\"demo-backend\",\"status\":\"healthy\"}\n";
            return ("answered", respond(StatusCode::OK, "application/json", body));
        }
        let fault = match self.fault(&request) {
            Ok(fault) => fault,
            Err(text) => return ("refused", respond(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", text)),
        };
        let content_type = request.headers().get(header::CONTENT_TYPE).cloned();
        let limit = usize::try_from(self.settings.body_bytes_max).unwrap_or(usize::MAX);
        let body = match http::read_body(request.into_body(), limit, CLIENT_TIMEOUT).await {
            Ok(body) => body,
            Err(BodyError::TooLarge { .. }) => {
                return ("refused", respond(StatusCode::PAYLOAD_TOO_LARGE, "text/plain", "body too large\n"));
            }
            Err(_) => return ("refused", respond(StatusCode::BAD_REQUEST, "text/plain", "the body broke off\n")),
        };
        let mut filler = usize::try_from(self.settings.fat_payload_bytes).unwrap_or(usize::MAX);
        if self.settings.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(self.settings.delay_ms)).await;
        }
        match fault {
            Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
            Some(Fault::Huge(bytes)) => filler = bytes,
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Status(code)) => return ("fault", injected(code)),
            Some(Fault::Truncated | Fault::Reset) => return ("fault", broken(fault == Some(Fault::Truncated))),
            None if self.settings.error_rate > 0.0 && random::range(0.0..1.0) < self.settings.error_rate => {
                return ("fault", injected(self.settings.error_code));
            }
            None => {}
        }
        let content_type = content_type.as_ref().and_then(|value| value.to_str().ok());
        match answer(content_type, &body, filler) {
            Answer::Good(bytes) => ("answered", respond(StatusCode::OK, "application/json", bytes)),
            Answer::NotJson => ("refused", respond(StatusCode::OK, "application/json", NOT_JSON)),
            Answer::Invalid => {
                ("refused", respond(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", "invalid JSON\n"))
            }
        }
    }

    fn fault(&self, request: &Request<Incoming>) -> Result<Option<Fault>, String> {
        let asked = request.headers().get("demo-fault").and_then(|value| value.to_str().ok());
        let asked = asked.or_else(|| parameter(request.uri().query().unwrap_or_default(), "fault"));
        if let Some(text) = asked {
            return text.parse().map(Some).map_err(|error: crate::fault::ParseFaultError| format!("{error}\n"));
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((fault, left)) = next.as_mut() else { return Ok(None) };
        let fault = *fault;
        *left = left.saturating_sub(1);
        if *left == 0 {
            *next = None;
        }
        Ok(Some(fault))
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn injected(code: u16) -> Response<Body> {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    respond(status, "text/plain; charset=utf-8", format!("injected error (code: {code})\n"))
}

/// A body that breaks off: after its first half, or before its first byte.
fn broken(half: bool) -> Response<Body> {
    let first = half.then(|| Ok::<_, std::io::Error>(Bytes::from_static(br#"{"id":1,"jsonrpc":"2.0","#)));
    let breaks = futures_util::stream::iter(first)
        .chain(futures_util::stream::once(async { Err(std::io::Error::other("broken off on request")) }));
    let mut response = Response::new(Body::stream(breaks));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("96"));
    response
}
