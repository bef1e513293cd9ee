//! The proxy that knows calls of gRPC: a full node that answers chosen methods badly, or lags.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Collected, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pocket_runtime::net::{self, TcpListener, TcpStream};
use pocket_runtime::task::{self, AbortOnDrop, Group};

/// Connections that a node takes at a time.
const CONNECTIONS: usize = 256;

/// Metadata that names the height asked about.
const HEIGHT_HEADER: &str = "x-cosmos-block-height";

/// `UNAVAILABLE`, for what the node behind could not be asked.
const UNAVAILABLE: u32 = 14;
/// `UNKNOWN`, with which a node answers questions about heights that it does not have.
const UNKNOWN: u32 = 2;
/// What it says then, word for word.
const AHEAD: &str =
    "codespace sdk code 26: invalid height: cannot query with height in the future; please provide a valid height";

/// What an answer consists of beside its metadata, all of it known.
type Parts = StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;
type Answer = Response<Parts>;

/// A full node's gRPC, in front of a real one. Calls have one request and one answer. Dropping it closes it.
#[derive(Debug)]
pub struct Node {
    address: SocketAddr,
    moods: Arc<Mutex<Moods>>,
    _door: AbortOnDrop<()>,
}

#[derive(Debug, Default)]
struct Moods {
    // By path. Never held over an await.
    refusals: HashMap<String, Refusal>,
    // The height that it is thought to have come to.
    height: Option<i64>,
    // Calls seen, by path.
    calls: HashMap<String, u64>,
}

#[derive(Debug, Clone)]
struct Refusal {
    code: u32,
    message: String,
    // How many more calls; `None` for all.
    times: Option<usize>,
}

impl Node {
    /// Starts a node in front of the one at `upstream` (`host:port`).
    ///
    /// # Errors
    /// A machine without a free port.
    pub async fn start(upstream: impl Into<String>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr();
        let moods = Arc::new(Mutex::new(Moods::default()));
        let upstream: Arc<str> = upstream.into().into();
        let door = task::spawn("faulty node", keep(listener, upstream, moods.clone()));
        Ok(Self { address, moods, _door: door.abort_on_drop() })
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers every call of `path` with this status from now on; the node behind is not asked.
    pub fn refuse(&self, path: &str, code: u32, message: &str) {
        self.set(path, Refusal { code, message: message.to_owned(), times: None });
    }

    /// Answers the next so many calls of `path` with this status; the node behind is not asked.
    pub fn refuse_times(&self, path: &str, times: usize, code: u32, message: &str) {
        self.set(path, Refusal { code, message: message.to_owned(), times: Some(times) });
    }

    fn set(&self, path: &str, refusal: Refusal) {
        self.lock().refusals.insert(path.to_owned(), refusal);
    }

    /// Lets every call pass again.
    pub fn refuse_nothing(&self) {
        self.lock().refusals.clear();
    }

    /// Answers as a node that has come no further than `height`: questions without a height are answered as of it, those
    /// about later heights are refused. What a node sends on its own (blocks, over RPC) is not delayed by this.
    pub fn lag_at(&self, height: i64) {
        self.lock().height = Some(height);
    }

    /// Ends the lag.
    pub fn catch_up(&self) {
        self.lock().height = None;
    }

    /// Returns how many calls of `path` have come.
    pub fn calls(&self, path: &str) -> u64 {
        self.lock().calls.get(path).copied().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Moods> {
        self.moods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Moods {
    /// Returns the answer to a call that does not come from the node behind, or pins the call to the node's height.
    fn answer(&mut self, path: &str, headers: &mut HeaderMap) -> Option<Answer> {
        *self.calls.entry(path.to_owned()).or_default() += 1;
        if let Some(refusal) = self.refusals.get_mut(path) {
            if let Some(times) = &mut refusal.times {
                *times = times.saturating_sub(1);
            }
            let said = refusal.clone();
            if said.times == Some(0) {
                self.refusals.remove(path);
            }
            return Some(status(said.code, &said.message));
        }
        let height = self.height?;
        let asked = headers.get(HEIGHT_HEADER).and_then(|value| value.to_str().ok()?.parse::<i64>().ok());
        match asked.filter(|asked| *asked > 0) {
            Some(asked) if asked > height => Some(status(UNKNOWN, AHEAD)),
            Some(_) => None,
            None => {
                headers.insert(HEIGHT_HEADER, HeaderValue::from(height));
                None
            }
        }
    }
}

async fn keep(listener: TcpListener, upstream: Arc<str>, moods: Arc<Mutex<Moods>>) {
    let connections = Group::new("faulty node's connections", CONNECTIONS);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                net::pause_after(&error).await;
                continue;
            }
        };
        let (upstream, moods) = (upstream.clone(), moods.clone());
        // A full group drops the future, and the connection with it.
        drop(connections.try_spawn(async move { serve(stream, upstream, moods).await }));
    }
}

/// Serves one connection, over one connection of its own to the node behind.
async fn serve(stream: TcpStream, upstream: Arc<str>, moods: Arc<Mutex<Moods>>) {
    let behind = Arc::new(tokio::sync::Mutex::new(None));
    let service = service_fn(move |request: Request<Incoming>| {
        let (upstream, moods, behind) = (upstream.clone(), moods.clone(), behind.clone());
        async move { Ok::<_, Infallible>(call(request, &upstream, &moods, &behind).await) }
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // An error says that the client left.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

type Whole = http_body_util::Full<Bytes>;
type Behind = tokio::sync::Mutex<Option<SendRequest<Whole>>>;

async fn call(request: Request<Incoming>, upstream: &str, moods: &Mutex<Moods>, behind: &Behind) -> Answer {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let said = moods.lock().unwrap_or_else(PoisonError::into_inner).answer(&path, &mut head.headers);
    if let Some(said) = said {
        return said;
    }
    match pass(Request::from_parts(head, body), upstream, behind).await {
        Ok(answer) => answer,
        Err(error) => status(UNAVAILABLE, &format!("the node behind cannot be asked: {error}")),
    }
}

async fn pass(request: Request<Incoming>, upstream: &str, behind: &Behind) -> anyhow::Result<Answer> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut sender = connected(upstream, behind).await?;
    let answer = sender.send_request(Request::from_parts(head, Whole::new(body))).await?;
    let (head, body) = answer.into_parts();
    Ok(Response::from_parts(head, whole(body.collect().await?)))
}

async fn connected(upstream: &str, behind: &Behind) -> anyhow::Result<SendRequest<Whole>> {
    let mut behind = behind.lock().await;
    if let Some(sender) = behind.as_ref().filter(|sender| !sender.is_closed()) {
        return Ok(sender.clone());
    }
    let stream = TokioIo::new(net::connect(upstream).await?);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
    // It ends when the last sender is dropped.
    drop(task::spawn("faulty node's upstream", connection));
    *behind = Some(sender.clone());
    Ok(sender)
}

fn whole(collected: Collected<Bytes>) -> Parts {
    let trailers = collected.trailers().cloned();
    let bytes = collected.to_bytes();
    let data = (!bytes.is_empty()).then(|| Ok(Frame::data(bytes)));
    let frames: Vec<_> = data.into_iter().chain(trailers.map(|trailers| Ok(Frame::trailers(trailers)))).collect();
    StreamBody::new(futures_util::stream::iter(frames))
}

fn status(code: u32, message: &str) -> Answer {
    let mut answer = Response::new(StreamBody::new(futures_util::stream::iter(Vec::new())));
    let headers = answer.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(code));
    if let Ok(message) = HeaderValue::from_str(message) {
        headers.insert("grpc-message", message);
    }
    answer
}
