//! The server: accepts up to a limit, serves HTTP/1.1 and HTTP/2 with prior knowledge, drains, cuts the slow.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::Semaphore;

use super::body::Body;
use super::connection::{Beating, Cut, Felt, Limits, Pulse, Watch};
use super::progress::{Paced, Streams};
use crate::net::{self, Listener};
use crate::shutdown::{Drain, InFlight, Shutdown};
use crate::task;

/// Limits of a server. Every field is given at the call site.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// Name of the server's tasks in logs and metrics.
    pub name: &'static str,
    /// Connections open at a time; more wait in the kernel's queue.
    pub max_connections: usize,
    /// How long a request's head may take from its first byte, and a new connection to its first request.
    pub header_timeout: Duration,
    /// How long a connection may be idle between requests.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of an answer that waits for it: then HTTP/1.1 loses the connection, HTTP/2 the
    /// stream, unless its whole connection stands still.
    pub write_timeout: Duration,
    /// Headers of a request; 100 is the cheapest, as they need no allocation of their own.
    pub max_headers: usize,
    /// Bytes of a request's head, at least 8,192.
    pub max_header_bytes: usize,
    /// Whether HTTP/2 with prior knowledge is served beside HTTP/1.1.
    pub h2c: bool,
    /// Requests at a time on one HTTP/2 connection.
    pub max_streams: u32,
}

/// hyper keeps up to this many headers on the stack, and more (or a limit set to anything) in an allocation per request.
const HEADERS_ON_STACK: usize = 100;
/// hyper refuses smaller buffers.
const HEADER_BYTES_MIN: usize = 8192;

/// What connections need to end after they have been cut.
const LAST_STEPS: Duration = Duration::from_millis(500);

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Connections that were cut because they did not end within the grace period.
    pub cut: usize,
}

/// Serves `service` on `listener` until `shutdown`, then lets requests in flight end within its grace period.
///
/// A panic in the service costs the request's connection (on HTTP/2 the request), and is logged and counted.
pub async fn serve<S, F>(listener: impl Into<Listener>, options: ServeOptions, service: S, shutdown: Shutdown) -> Served
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    serve_with_peer(listener, options, move |_peer| service.clone(), shutdown).await
}

/// Serves like [`serve`], with a service made for each connection, which may remember its peer's address.
pub async fn serve_with_peer<M, S, F>(
    listener: impl Into<Listener>,
    options: ServeOptions,
    make_service: M,
    shutdown: Shutdown,
) -> Served
where
    M: Fn(SocketAddr) -> S + Send + Sync + 'static,
    S: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = listener.into();
    let places = Arc::new(Semaphore::new(options.max_connections.min(Semaphore::MAX_PERMITS)));
    let limits = Limits { head: options.header_timeout, idle: options.idle_timeout, write: options.write_timeout };
    let protocols = Protocols::of(&options);
    let open = Arc::new(Open::default());
    let drain = Drain::new();
    let cut = Arc::new(AtomicUsize::new(0));
    loop {
        let accepted = shutdown.unless_triggered(async {
            let place = places.clone().acquire_owned().await.expect("the places are never closed");
            (listener.accept().await, place)
        });
        let (accepted, place) = match accepted.await {
            None => break,
            Some((Ok(accepted), place)) => (accepted, place),
            Some((Err(error), _)) => {
                net::pause_after(&error).await;
                continue;
            }
        };
        let (stream, peer) = accepted;
        let pulse = Arc::new(Pulse::default());
        open.add(&pulse);
        let connection = Connection {
            protocols: protocols.clone(),
            service: make_service(peer),
            io: Felt::new(stream, pulse.clone(), place),
            life: Life {
                watch: Watch::new(pulse.clone(), limits),
                pulse,
                in_flight: drain.enter(),
                cut: cut.clone(),
                shutdown: shutdown.clone(),
            },
        };
        drop(task::spawn(options.name, connection.run(peer)));
    }
    drop(listener);
    open.leave();
    // Each connection cuts itself at the deadline; the slack is for their last steps.
    let _ = drain.wait(tokio::time::Instant::now() + shutdown.remaining() + LAST_STEPS).await;
    let cut = cut.load(Ordering::Relaxed) + drain.count();
    if cut > 0 {
        tracing::warn!(server = options.name, connections = cut, "connections outlived the grace period and were cut");
    }
    Served { cut }
}

/// What a connection is served by. hyper-util's builder looks at its first bytes to tell HTTP/2 from HTTP/1.1.
#[derive(Clone)]
enum Protocols {
    Http1(Arc<http1::Builder>),
    Both(Arc<auto::Builder<Streams>>),
}

impl Protocols {
    fn of(options: &ServeOptions) -> Self {
        let header_bytes = options.max_header_bytes.max(HEADER_BYTES_MIN);
        // The connection's watch does what hyper's timer of heads would, without a timer for each request.
        if !options.h2c {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(header_bytes);
            builder.auto_date_header(is_dated());
            if options.max_headers != HEADERS_ON_STACK {
                builder.max_headers(options.max_headers);
            }
            return Self::Http1(Arc::new(builder));
        }
        let mut builder = auto::Builder::new(Streams { name: options.name, patience: options.write_timeout });
        builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(header_bytes);
        builder.http1().auto_date_header(is_dated());
        builder.http2().auto_date_header(is_dated());
        if options.max_headers != HEADERS_ON_STACK {
            builder.http1().max_headers(options.max_headers);
        }
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(options.max_streams)
            .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX));
        Self::Both(Arc::new(builder))
    }
}

// hyper takes the date of answers from the machine's clock, which a simulated world does not have.
fn is_dated() -> bool {
    #[cfg(feature = "simulation")]
    return !crate::simulation::is_simulated();
    #[cfg(not(feature = "simulation"))]
    true
}

/// The connections that are open, to tell them when to leave. Locked when one is opened and at the end.
#[derive(Debug, Default)]
struct Open {
    pulses: Mutex<Pulses>,
}

#[derive(Debug, Default)]
struct Pulses {
    list: Vec<Weak<Pulse>>,
    sweep_at: usize,
}

impl Open {
    fn add(&self, pulse: &Arc<Pulse>) {
        let mut pulses = self.pulses.lock().unwrap_or_else(PoisonError::into_inner);
        if pulses.list.len() >= pulses.sweep_at {
            pulses.list.retain(|pulse| pulse.strong_count() > 0);
            pulses.sweep_at = (pulses.list.len() * 2).max(64);
        }
        pulses.list.push(Arc::downgrade(pulse));
    }

    fn leave(&self) {
        let pulses = self.pulses.lock().unwrap_or_else(PoisonError::into_inner);
        for pulse in pulses.list.iter().filter_map(Weak::upgrade) {
            pulse.leave();
        }
    }
}

struct Connection<S> {
    protocols: Protocols,
    service: S,
    io: Felt,
    life: Life,
}

/// What decides how long a connection lives.
struct Life {
    pulse: Arc<Pulse>,
    watch: Watch,
    in_flight: InFlight,
    // Counts the connections that did not leave in time; read by the server at the end.
    cut: Arc<AtomicUsize>,
    shutdown: Shutdown,
}

/// How the ordinary life of a connection ended.
enum End {
    Closed,
    Cut(Cut),
    Leaving,
}

impl<S, F> Connection<S>
where
    S: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    async fn run(self, peer: SocketAddr) {
        let Self { protocols, service, io, life } = self;
        let beats = life.pulse.clone();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let beat = beats.request_begins(request.version() == hyper::Version::HTTP_2);
            let answer = service(request);
            async move { Ok::<_, Infallible>(answer.await.map(|body| Beating { body: Paced::new(body), _beat: beat })) }
        });
        let io = TokioIo::new(io);
        match protocols {
            Protocols::Http1(builder) => {
                let serving = builder.serve_connection(io, service).with_upgrades();
                life.live(peer, serving, http1::UpgradeableConnection::graceful_shutdown).await;
            }
            Protocols::Both(builder) => {
                let serving = builder.serve_connection_with_upgrades(io, service);
                life.live(peer, serving, auto::UpgradeableConnection::graceful_shutdown).await;
            }
        }
    }
}

impl Life {
    /// Drives a connection until it ends, is cut, or has to leave.
    async fn live<C, E>(self, peer: SocketAddr, serving: C, leave: impl Fn(Pin<&mut C>))
    where
        C: Future<Output = Result<(), E>>,
        E: std::fmt::Display,
    {
        let Self { pulse, mut watch, in_flight, cut, shutdown } = self;
        let _in_flight = in_flight;
        tokio::pin!(serving);
        let look = tokio::time::sleep(watch.period());
        tokio::pin!(look);
        let end = std::future::poll_fn(|cx| {
            if let Poll::Ready(result) = serving.as_mut().poll(cx) {
                if let Err(error) = result {
                    tracing::debug!(%peer, error = %error, "connection ended with an error");
                }
                return Poll::Ready(End::Closed);
            }
            while look.as_mut().poll(cx).is_ready() {
                if let Some(cut) = watch.look() {
                    return Poll::Ready(End::Cut(cut));
                }
                look.as_mut().reset(tokio::time::Instant::now() + watch.period());
            }
            pulse.wake_on_leave(cx.waker());
            if pulse.is_leaving() { Poll::Ready(End::Leaving) } else { Poll::Pending }
        });
        let goodbye = match end.await {
            End::Closed => return,
            End::Leaving => shutdown.remaining(),
            End::Cut(Cut::Idle) => watch.goodbye(),
            End::Cut(reason) => {
                tracing::debug!(%peer, reason = reason.as_str(), "connection cut");
                return;
            }
        };
        // Requests in flight are answered, no new ones are taken.
        leave(serving.as_mut());
        if tokio::time::timeout(goodbye, serving).await.is_err() {
            cut.fetch_add(1, Ordering::Relaxed);
        }
    }
}
