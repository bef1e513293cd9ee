//! Wiring: listeners, one client request, its tries.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pocket_chain::{Chain, Session};
use pocket_config::gateway::Gateway as Settings;
use pocket_config::metrics::Catalogue;
use pocket_crypto::keys::{KeyError, SecretKey};
use pocket_crypto::ring::{RingError, Signer};
use pocket_runtime::admin::{self, Admin, Health, Routes};
use pocket_runtime::http::{
    self, Body, BodyError, Client, ClientOptions, HeaderValue, Incoming, Method, Request, Response, ServeOptions,
};
use pocket_runtime::metrics::Registry;
use pocket_runtime::net::{BindError, TcpListener};
use pocket_runtime::shutdown::Shutdown;
use pocket_runtime::task::{self, Task};
use pocket_runtime::{clock, fs};
use tokio::sync::Semaphore;

use crate::metrics::Metrics;
use crate::refusal::{Refusal, Upstream};
use crate::relay::{Answer, Relays, Wanted};
use crate::suppliers::{Choice, Suppliers};

/// Idle connections of clients are kept this long; those to relayers a little less than a relayer keeps them.
const CLIENT_IDLE: Duration = Duration::from_mins(2);
const RELAYER_IDLE: Duration = Duration::from_mins(1);

/// Time to connect to a relayer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Ring keys and hash-points kept by the signer.
const RING_POINTS_MAX: usize = 4096;

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener could not be opened.
    #[error("failed to open the {what} listener")]
    Bind {
        /// Which.
        what: &'static str,
        /// Why.
        #[source]
        source: BindError,
    },
    /// The key file could not be read.
    #[error("failed to read the gateway's key")]
    KeyFile(#[from] fs::FsError),
    /// The key file holds no key.
    #[error("`{path}` holds no private key: write 64 hex digits, or a YAML list `keys` with one")]
    Key {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The key cannot sign rings.
    #[error("the gateway's key cannot sign")]
    Signer(#[from] RingError),
}

/// A gateway that runs until its shutdown.
pub struct Running {
    /// Where clients are served.
    pub addr: SocketAddr,
    /// Where `/metrics` is, if that listener is on.
    pub admin_addr: Option<SocketAddr>,
    /// Bech32 address of the gateway's key.
    pub address: String,
    tasks: Vec<Task<()>>,
}

impl Running {
    /// Waits until every listener has closed and requests in flight have ended.
    pub async fn ended(self) {
        for task in self.tasks {
            // A panic has been logged and counted where it happened.
            let _ = task.await;
        }
    }
}

struct Gateway {
    settings: Settings,
    chain: Chain,
    relays: Relays,
    suppliers: Suppliers,
    metrics: Metrics,
    places: Semaphore,
    /// Turns among the applications that serve the same service.
    turn: AtomicUsize,
}

/// Reads the gateway's private key from its file.
///
/// # Errors
/// [`StartError`] naming the file and what it should hold.
fn read_key(path: &str) -> Result<SecretKey, StartError> {
    #[derive(serde::Deserialize)]
    struct File {
        keys: Vec<String>,
    }
    let text = fs::read_to_string(path)?;
    let listed = serde_saphyr::from_str::<File>(&text).ok().and_then(|file| file.keys.into_iter().next());
    let hex = listed.as_deref().unwrap_or(&text).trim();
    SecretKey::from_hex(hex).map_err(|source| StartError::Key { path: path.to_owned(), source })
}

/// Opens the listeners and serves clients until `shutdown`.
///
/// # Errors
/// [`StartError`].
pub fn start<'a>(
    settings: &'a Settings,
    chain: Chain,
    shutdown: &'a Shutdown,
) -> std::pin::Pin<Box<dyn Future<Output = Result<Running, StartError>> + Send + 'a>> {
    // Boxed at the crate's border, so that its code is compiled here, once, and not again in every binary that awaits it.
    Box::pin(open(settings, chain, shutdown))
}

async fn open(settings: &Settings, chain: Chain, shutdown: &Shutdown) -> Result<Running, StartError> {
    let registry = Registry::new("gateway", Catalogue::builtin());
    let key = read_key(&settings.gateway_key_file)?;
    let address = key.address().to_string();
    let limits = &settings.limits;
    let bytes = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    let client = Client::new(ClientOptions {
        connect_timeout: CONNECT_TIMEOUT,
        request_timeout: Duration::from_millis(settings.relay_timeout_ms),
        idle_per_host: limits.connections_per_relayer_max,
        idle_timeout: RELAYER_IDLE,
        max_per_host: limits.connections_per_relayer_max,
        max_response_bytes: bytes(limits.response_bytes_max),
    });
    let gateway = Arc::new(Gateway {
        settings: settings.clone(),
        chain: chain.clone(),
        relays: Relays {
            chain,
            client,
            signer: Signer::new(key, RING_POINTS_MAX)?,
            timeout: Duration::from_millis(settings.relay_timeout_ms),
        },
        suppliers: Suppliers::new(),
        metrics: Metrics::new(&registry),
        places: Semaphore::new(limits.requests_in_flight_max),
        turn: AtomicUsize::new(0),
    });

    let bind = |what: &'static str| move |source| StartError::Bind { what, source };
    let listener = TcpListener::bind(&settings.listen_addr).await.map_err(bind("client"))?;
    let addr = listener.local_addr();
    let mut tasks = Vec::new();
    let mut admin_addr = None;
    if settings.metrics.enabled {
        let listener = TcpListener::bind(&settings.metrics.bind_addr()).await.map_err(bind("admin"))?;
        admin_addr = Some(listener.local_addr());
        let admin = Admin { registry, health: Health::new(), routes: Routes::new() };
        let shutdown = shutdown.clone();
        tasks.push(task::spawn("gateway admin", async move {
            admin::serve(listener, admin, shutdown).await;
        }));
    }
    let options = ServeOptions {
        name: "gateway",
        max_connections: limits.connections_max,
        header_timeout: Duration::from_millis(limits.client_timeout_ms),
        idle_timeout: CLIENT_IDLE,
        write_timeout: Duration::from_millis(limits.client_timeout_ms),
        max_headers: 100,
        max_header_bytes: 64 << 10,
        h2c: true,
        max_streams: 256,
    };
    let serving = shutdown.clone();
    tasks.push(task::spawn("gateway", async move {
        let service = move |request| {
            let gateway = gateway.clone();
            async move { gateway.respond(request).await }
        };
        http::serve(listener, options, service, serving).await;
    }));
    tracing::info!(%addr, gateway = %address, "gateway serves");
    Ok(Running { addr, admin_addr, address, tasks })
}

/// An answer and how it came about.
struct Answered {
    answer: Answer,
    session: Arc<Session>,
    tried: Vec<Choice>,
}

impl Gateway {
    async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        if request.method() == Method::GET && request.uri().path() == "/health" {
            return Response::new(Body::empty());
        }
        let start = clock::now();
        let (label, mut response) = if request.method() == Method::OPTIONS {
            ("answered", Response::new(Body::empty()))
        } else {
            match self.serve(request).await {
                Ok(answered) => ("answered", answered.into_response()),
                Err(refusal) => {
                    tracing::debug!(%refusal, "a request has no answer");
                    (refusal.label(), refusal.response())
                }
            }
        };
        let headers = response.headers_mut();
        headers.insert("access-control-allow-origin", HeaderValue::from_static("*"));
        headers.insert("access-control-allow-methods", HeaderValue::from_static("*"));
        headers.insert("access-control-allow-headers", HeaderValue::from_static("*"));
        self.metrics.requests.with_label_values(&[label]).inc();
        self.metrics.duration.observe(start.elapsed().as_secs_f64());
        response
    }

    async fn serve(&self, request: Request<Incoming>) -> Result<Answered, Refusal> {
        let _place = self.places.try_acquire().map_err(|_| Refusal::Busy)?;
        let limit = Duration::from_millis(self.settings.request_timeout_ms);
        let served = tokio::time::timeout(limit, self.serve_within(request)).await;
        served.unwrap_or(Err(Refusal::Deadline { millis: self.settings.request_timeout_ms }))
    }

    async fn serve_within(&self, request: Request<Incoming>) -> Result<Answered, Refusal> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let rest = path.strip_prefix("/v1").filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let rest = rest.ok_or_else(|| Refusal::NoRoute(path.to_owned()))?;
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let service = text("target-service-id").filter(|service| !service.is_empty()).ok_or(Refusal::NoService)?;
        let only: Vec<String> = text("target-suppliers")
            .map(|list| list.split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect())
            .unwrap_or_default();

        let limits = &self.settings.limits;
        let body_limit = usize::try_from(limits.body_bytes_max).unwrap_or(usize::MAX);
        let body = http::read_body(body, body_limit, Duration::from_millis(limits.client_timeout_ms)).await;
        let body = body.map_err(|error| match error {
            BodyError::TooLarge { .. } => Refusal::BodyTooLarge { limit: limits.body_bytes_max },
            other => Refusal::BodyBroken(other.to_string()),
        })?;
        let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let wanted = Wanted {
            method: head.method.to_string(),
            path_and_query: format!("{rest}{query}"),
            content_type: text("content-type"),
            accept: text("accept"),
            body,
        };
        let session = self.session(&service, text("app-address")).await?;
        self.relay(session, &service, &only, &wanted).await
    }

    /// Sends to one supplier after another, as far as that is safe.
    async fn relay(
        &self,
        mut session: Arc<Session>,
        service: &str,
        only: &[String],
        wanted: &Wanted,
    ) -> Result<Answered, Refusal> {
        let mut tried: Vec<Choice> = Vec::new();
        let mut last = None;
        for attempt in 0..=self.settings.retries_max {
            let Some(choice) = self.suppliers.choose(&session, only, &tried) else { break };
            if attempt > 0 {
                self.metrics.retries.inc();
            }
            let outcome = self.relays.send(&session, &choice, wanted).await;
            tried.push(choice.clone());
            match outcome {
                Ok(answer) => {
                    self.suppliers.answered(&choice.supplier);
                    self.metrics.relays.with_label_values(&["answered"]).inc();
                    return Ok(Answered { answer, session, tried });
                }
                Err(upstream) => {
                    tracing::debug!(supplier = %choice.supplier, %upstream, "a relay failed");
                    self.metrics.relays.with_label_values(&[upstream.label()]).inc();
                    if !matches!(upstream, Upstream::Refused { status: 403 | 429, .. }) {
                        self.suppliers.failed(&choice.supplier);
                    }
                    let may_repeat = upstream.is_unserved() || wanted.is_idempotent();
                    let is_old = matches!(upstream, Upstream::Refused { status: 403, .. });
                    last = Some(upstream);
                    if !may_repeat {
                        break;
                    }
                    // A session may have ended between choosing it and serving in it.
                    if is_old && self.chain.height() > session.end() {
                        let application = session.header.application_address.clone();
                        session = self.session(service, Some(application)).await?;
                        tried.clear();
                    }
                }
            }
        }
        Err(last.map_or_else(|| Refusal::NoSupplier { service: service.to_owned() }, Refusal::Upstream))
    }

    /// Finds the current session of an application for the service: the one asked for, or each of ours in turn.
    async fn session(&self, service: &str, application: Option<String>) -> Result<Arc<Session>, Refusal> {
        let application = match application {
            Some(address) => self.delegating(address).await?,
            None => self.staked_for(service).await?,
        };
        self.chain.session(&application, service, 0).await.map_err(|error| {
            if error.is_passing() {
                Refusal::Chain(error.to_string())
            } else {
                Refusal::NoSession { service: service.to_owned(), application, reason: error.message }
            }
        })
    }

    /// An application asked for by name must have delegated to this gateway, or nobody would accept our signature.
    async fn delegating(&self, address: String) -> Result<String, Refusal> {
        if self.settings.applications.contains(&address) {
            return Ok(address);
        }
        let refused = |reason: &str| Refusal::Application { address: address.clone(), reason: reason.to_owned() };
        match self.chain.application(&address).await {
            Ok(found)
                if found
                    .delegatee_gateway_addresses
                    .contains(&self.relays.signer.public_key().address().to_string()) =>
            {
                Ok(address)
            }
            Ok(_) => Err(refused("it has not delegated to this gateway")),
            Err(error) if error.is_passing() => Err(Refusal::Chain(error.to_string())),
            Err(_) => Err(refused("there is no such application on the chain")),
        }
    }

    async fn staked_for(&self, service: &str) -> Result<String, Refusal> {
        let mut staked = Vec::new();
        for address in &self.settings.applications {
            match self.chain.application(address).await {
                Ok(found) if found.service_configs.iter().any(|config| config.service_id == service) => {
                    staked.push(address);
                }
                Ok(_) => {}
                Err(error) if error.is_passing() => return Err(Refusal::Chain(error.to_string())),
                Err(error) => {
                    tracing::warn!(application = %address, %error, "an application of this gateway cannot be used");
                }
            }
        }
        if staked.is_empty() {
            let known = self.settings.applications.join(", ");
            return Err(Refusal::NoApplication { service: service.to_owned(), known });
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        Ok(staked[turn % staked.len()].clone())
    }
}

impl Answered {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::full(self.answer.body));
        *response.status_mut() = self.answer.status;
        *response.headers_mut() = self.answer.headers;
        let headers = response.headers_mut();
        let supplier = self.tried.last().map_or("", |choice| &choice.supplier);
        let tried: Vec<&str> = self.tried.iter().map(|choice| choice.supplier.as_str()).collect();
        for (name, value) in [
            ("x-retry-count", (self.tried.len() - 1).to_string()),
            ("x-suppliers-tried", tried.join(",")),
            ("x-app-address", self.session.header.application_address.clone()),
            ("x-supplier-address", supplier.to_owned()),
            ("x-session-id", self.session.header.session_id.clone()),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response
    }
}
