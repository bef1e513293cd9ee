//! The client: a pool of keep-alive HTTP/1.1 connections for each authority.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::client::conn::http2;
use hyper::header::{HOST, HeaderValue};
use hyper::rt::Executor;
use hyper::{Request, Response, Uri, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::body::{Body, BodyError, BoxError, collect};
use crate::net::{self, Alpn, TcpStream};
use crate::task;

/// Limits of a client. Every field is given at the call site.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// How long a request may take in all: waiting for a connection, asking, and reading the whole answer.
    pub request_timeout: Duration,
    /// Idle connections kept for one authority.
    pub idle_per_host: usize,
    /// How long an idle connection is trusted; keep it below the idle timeout of the servers.
    pub idle_timeout: Duration,
    /// Connections to one authority at a time; more requests wait.
    pub max_per_host: usize,
    /// Bytes of an answer's body.
    pub max_response_bytes: usize,
}

/// What a request was waiting for when its time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// For one of the connections its authority may have.
    Pool,
    /// For a new connection.
    Connect,
    /// For the head of the answer.
    Response,
    /// For the rest of the answer's body.
    Body,
}

impl Phase {
    /// Returns the phase as a word for logs and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::Connect => "connect",
            Self::Response => "response",
            Self::Body => "body",
        }
    }
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The request cannot be sent as it is.
    #[error("cannot request `{uri}`: {reason}")]
    Invalid {
        /// As given.
        uri: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No connection: nothing was sent.
    #[error("cannot connect to {authority}")]
    Connect {
        /// host:port.
        authority: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Time ran out. In the phases `Pool` and `Connect` nothing was sent.
    #[error("{authority} did not answer within {limit:?} (waiting for: {})", phase.as_str())]
    Timeout {
        /// host:port.
        authority: String,
        /// What it was waiting for.
        phase: Phase,
        /// The time it had.
        limit: Duration,
    },
    /// The answer is longer than allowed.
    #[error("{authority} answered with more than {limit} bytes, the limit")]
    TooLarge {
        /// host:port.
        authority: String,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The connection broke before the whole answer came; the request may have been acted upon.
    #[error("{authority} broke off")]
    Broken {
        /// host:port.
        authority: String,
        /// What hyper said.
        #[source]
        source: BoxError,
    },
}

impl ClientError {
    /// Returns whether the request certainly did not reach the other side, so that it may be sent elsewhere.
    pub const fn is_unsent(&self) -> bool {
        matches!(
            self,
            Self::Invalid { .. } | Self::Connect { .. } | Self::Timeout { phase: Phase::Pool | Phase::Connect, .. }
        )
    }
}

type Sender = SendRequest<Full<Bytes>>;

/// Sends requests over pooled connections. Clones share the pool.
///
/// A request that finds its pooled connection closed is sent once more on a new connection, but only if hyper hands it
/// back, which says that no byte of it was written.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: ClientOptions,
    // Looked up by authority, never iterated. Locked to find or make a pool, never over an await.
    pools: Mutex<HashMap<String, Arc<Pool>>>,
    // The same for https.
    secure_pools: Mutex<HashMap<String, Arc<Pool>>>,
}

/// The connections to one authority. Held by the client and by each request to it.
#[derive(Debug)]
struct Pool {
    authority: String,
    secure: bool,
    host: HeaderValue,
    places: Arc<Semaphore>,
    // Newest last, so that those not needed grow old and are dropped. Locked to take or give one back.
    idle: Mutex<Vec<Idle>>,
    idle_max: usize,
    idle_timeout: Duration,
    // The one HTTP/2 connection, if there was need of it.
    http2: tokio::sync::Mutex<Option<http2::SendRequest<Body>>>,
}

#[derive(Debug)]
struct Idle {
    sender: Sender,
    since: Instant,
}

/// Authorities kept; beyond, those without a connection in use are forgotten.
const POOLS_MAX: usize = 4096;

/// What a peer may send ahead on HTTP/2.
const HTTP2_WINDOW_BYTES: u32 = 1 << 20;

/// What a new connection says of its place in the pool's logs.
const CONNECTION_TASK: &str = "http client connection";

impl Client {
    /// Makes a client with an empty pool.
    pub fn new(options: ClientOptions) -> Self {
        Self { inner: Arc::new(Inner { options, pools: Mutex::default(), secure_pools: Mutex::default() }) }
    }

    /// Returns the limits given at the start.
    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    /// Sends a request (absolute `http://` or `https://` URI) and reads the whole answer, within the limits of the client.
    pub async fn send(&self, request: Request<impl Into<Bytes>>) -> Result<Response<Bytes>, ClientError> {
        let limit = self.inner.options.request_timeout;
        self.send_within(request, limit).await
    }

    /// Sends like [`Client::send`], in at most `limit` instead of the client's request timeout.
    pub async fn send_within(
        &self,
        request: Request<impl Into<Bytes>>,
        limit: Duration,
    ) -> Result<Response<Bytes>, ClientError> {
        let (pool, request) = self.prepare(request)?;
        let mut phase = Phase::Pool;
        let exchange = async {
            let answer = self.exchange(&pool, request, &mut phase).await?;
            phase = Phase::Body;
            let (head, body) = answer.into_parts();
            let max = self.inner.options.max_response_bytes;
            let body = collect(body, max).await.map_err(|error| match error {
                BodyError::TooLarge { .. } => ClientError::TooLarge { authority: pool.authority.clone(), limit: max },
                BodyError::Slow { limit } => pool.timeout(Phase::Body, limit),
                BodyError::Broken(source) => ClientError::Broken { authority: pool.authority.clone(), source },
            })?;
            Ok(Response::from_parts(head, body))
        };
        let result = tokio::time::timeout(limit, exchange).await;
        result.unwrap_or_else(|_| Err(pool.timeout(phase, limit)))
    }

    /// Sends a request and returns the answer as soon as its head is there, the body to be read as it comes.
    ///
    /// The request timeout bounds the time to the head. The body has no limit of length or time here: that is the
    /// reader's matter. Its connection goes back to the pool when the body has been read to its end.
    pub async fn open(&self, request: Request<impl Into<Bytes>>) -> Result<Response<ResponseBody>, ClientError> {
        let (pool, request) = self.prepare(request)?;
        let limit = self.inner.options.request_timeout;
        let mut phase = Phase::Pool;
        let result = tokio::time::timeout(limit, self.exchange(&pool, request, &mut phase)).await;
        result.unwrap_or_else(|_| Err(pool.timeout(phase, limit)))
    }

    fn prepare(&self, request: Request<impl Into<Bytes>>) -> Result<(Arc<Pool>, Request<Full<Bytes>>), ClientError> {
        let (mut head, body) = request.into_parts();
        let pool = self.pool(&head.uri)?;
        let target = head.uri.into_parts().path_and_query;
        head.uri = target.map_or_else(|| Uri::from_static("/"), Uri::from);
        head.version = Version::HTTP_11;
        if !head.headers.contains_key(HOST) {
            head.headers.insert(HOST, pool.host.clone());
        }
        Ok((pool, Request::from_parts(head, Full::new(body.into()))))
    }

    fn pool(&self, uri: &Uri) -> Result<Arc<Pool>, ClientError> {
        let invalid = |reason| ClientError::Invalid { uri: uri.to_string(), reason };
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") if net::HAS_TLS => true,
            Some("https") => return Err(invalid("https needs TLS support, which this build lacks")),
            _ => return Err(invalid("write http://host:port/path")),
        };
        let authority = uri.authority().ok_or_else(|| invalid("it names no host"))?;
        let pools = if secure { &self.inner.secure_pools } else { &self.inner.pools };
        let mut pools = pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(authority.as_str()) {
            return Ok(pool.clone());
        }
        if pools.len() >= POOLS_MAX {
            pools.retain(|_, pool| Arc::strong_count(pool) > 1);
        }
        let options = &self.inner.options;
        // Credentials in a URI are not part of its host, and never of an error.
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let pool = Arc::new(Pool {
            authority: format!("{}:{port}", authority.host()),
            secure,
            host: HeaderValue::from_str(host).map_err(|_| invalid("its host is not one"))?,
            places: Arc::new(Semaphore::new(options.max_per_host.min(Semaphore::MAX_PERMITS))),
            idle: Mutex::default(),
            idle_max: options.idle_per_host,
            idle_timeout: options.idle_timeout,
            http2: tokio::sync::Mutex::default(),
        });
        pools.insert(authority.as_str().to_owned(), pool.clone());
        Ok(pool)
    }

    /// Sends a request over HTTP/2 (with prior knowledge, or agreed by TLS) and returns the answer as soon as its head
    /// is there; both bodies flow as they come, and the answer's may end in trailers. For gRPC.
    ///
    /// All such requests to one authority share one connection. The request timeout bounds the time to the head.
    pub async fn open_http2(&self, request: Request<Body>) -> Result<Response<Incoming>, ClientError> {
        let (mut head, body) = request.into_parts();
        let pool = self.pool(&head.uri)?;
        head.version = Version::HTTP_2;
        // HTTP/2 says it in `:authority`.
        head.headers.remove(HOST);
        let request = Request::from_parts(head, body);
        let limit = self.inner.options.request_timeout;
        let mut phase = Phase::Connect;
        let result = tokio::time::timeout(limit, self.exchange_http2(&pool, request, &mut phase)).await;
        result.unwrap_or_else(|_| Err(pool.timeout(phase, limit)))
    }

    async fn exchange_http2(
        &self,
        pool: &Pool,
        request: Request<Body>,
        phase: &mut Phase,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut request = request;
        for last in [false, true] {
            *phase = Phase::Connect;
            let mut sender = self.sender_http2(pool).await?;
            *phase = Phase::Response;
            match sender.try_send_request(request).await {
                Ok(answer) => return Ok(answer),
                Err(mut error) => match error.take_message() {
                    // The connection was closed before it saw anything of the request.
                    Some(unsent) if !last => request = unsent,
                    _ => return Err(pool.broken(error.into_error())),
                },
            }
        }
        unreachable!("the last attempt returns")
    }

    async fn sender_http2(&self, pool: &Pool) -> Result<http2::SendRequest<Body>, ClientError> {
        // Held while connecting, so that those who come meanwhile wait for one connection instead of opening theirs.
        let mut slot = pool.http2.lock().await;
        if let Some(sender) = slot.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let io = self.dial(pool, Alpn::Http2).await?;
        let mut builder = http2::Builder::new(Spawner);
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(HTTP2_WINDOW_BYTES)
            .initial_connection_window_size(HTTP2_WINDOW_BYTES);
        let (sender, connection) = builder.handshake(io).await.map_err(|error| pool.broken(error))?;
        drop(task::spawn(CONNECTION_TASK, async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "connection to a server ended with an error");
            }
        }));
        *slot = Some(sender.clone());
        Ok(sender)
    }

    async fn dial(&self, pool: &Pool, alpn: Alpn) -> Result<TokioIo<TcpStream>, ClientError> {
        let limit = self.inner.options.connect_timeout;
        let opening = async {
            if pool.secure {
                net::connect_tls(&pool.authority, alpn).await
            } else {
                net::connect(&pool.authority).await
            }
        };
        let opened = tokio::time::timeout(limit, opening).await.map_err(|_| pool.timeout(Phase::Connect, limit))?;
        let stream = opened.map_err(|source| ClientError::Connect { authority: pool.authority.clone(), source })?;
        Ok(TokioIo::new(stream))
    }

    async fn exchange(
        &self,
        pool: &Arc<Pool>,
        request: Request<Full<Bytes>>,
        phase: &mut Phase,
    ) -> Result<Response<ResponseBody>, ClientError> {
        *phase = Phase::Pool;
        let place = pool.places.clone().acquire_owned().await.expect("the places are never closed");
        let mut request = request;
        if let Some(mut sender) = pool.take().await {
            *phase = Phase::Response;
            match sender.try_send_request(request).await {
                Ok(answer) => return Ok(pool.lend(answer, sender, place)),
                Err(mut error) => match error.take_message() {
                    // The server had closed the connection before it saw anything of the request.
                    Some(unsent) => request = unsent,
                    None => return Err(pool.broken(error.into_error())),
                },
            }
        }
        *phase = Phase::Connect;
        let mut sender = self.connect(pool).await?;
        *phase = Phase::Response;
        match sender.try_send_request(request).await {
            Ok(answer) => Ok(pool.lend(answer, sender, place)),
            Err(error) => Err(pool.broken(error.into_error())),
        }
    }

    async fn connect(&self, pool: &Pool) -> Result<Sender, ClientError> {
        let io = self.dial(pool, Alpn::Http1).await?;
        let (sender, connection) = http1::handshake::<_, Full<Bytes>>(io).await.map_err(|error| pool.broken(error))?;
        drop(task::spawn(CONNECTION_TASK, async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "connection to a server ended with an error");
            }
        }));
        Ok(sender)
    }
}

/// Lets hyper spawn what an HTTP/2 connection needs through our door.
#[derive(Clone, Debug)]
struct Spawner;

impl<F> Executor<F> for Spawner
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        drop(task::spawn(CONNECTION_TASK, future));
    }
}

impl Pool {
    async fn take(&self) -> Option<Sender> {
        loop {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if idle.sender.is_closed() || idle.since.elapsed() > self.idle_timeout {
                continue;
            }
            // Usually ready already: it was given back when the answer had been read.
            if idle.sender.is_ready() || idle.sender.ready().await.is_ok() {
                return Some(idle.sender);
            }
        }
    }

    fn give_back(&self, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= self.idle_max {
            return;
        }
        idle.push(Idle { sender, since: Instant::now() });
    }

    fn lend(
        self: &Arc<Self>,
        answer: Response<Incoming>,
        sender: Sender,
        place: OwnedSemaphorePermit,
    ) -> Response<ResponseBody> {
        answer.map(|body| {
            let mut body = ResponseBody { body, lease: Some(Lease { pool: self.clone(), sender, _place: place }) };
            body.release_at_end();
            body
        })
    }

    fn timeout(&self, phase: Phase, limit: Duration) -> ClientError {
        ClientError::Timeout { authority: self.authority.clone(), phase, limit }
    }

    fn broken(&self, source: hyper::Error) -> ClientError {
        ClientError::Broken { authority: self.authority.clone(), source: source.into() }
    }
}

/// The body of an answer that is read as it comes. Dropping it before its end closes its connection.
#[derive(Debug)]
pub struct ResponseBody {
    body: Incoming,
    lease: Option<Lease>,
}

#[derive(Debug)]
struct Lease {
    pool: Arc<Pool>,
    sender: Sender,
    _place: OwnedSemaphorePermit,
}

impl ResponseBody {
    fn release_at_end(&mut self) {
        if self.body.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.pool.give_back(lease.sender);
        }
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => {
                if let Some(lease) = self.lease.take() {
                    lease.pool.give_back(lease.sender);
                }
            }
            Poll::Ready(Some(Ok(_))) => self.release_at_end(),
            Poll::Ready(Some(Err(_))) => self.lease = None,
            Poll::Pending => {}
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
