//! The proxy that knows bytes, on which the others stand.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use pocket_runtime::task::{self, AbortOnDrop, Group};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

use super::carry::{Allowance, Outlet, Plain, Skies, Weather, Wire, carry};
use super::{Cut, Flow};

/// Connections that a proxy carries at a time; more are reset.
const CONNECTIONS: usize = 1024;

/// Connections that the kernel keeps waiting.
const BACKLOG: u32 = 1024;

/// How long an upstream may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What a proxy has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Connections taken from clients.
    pub accepted: u64,
    /// Those of them that the upstream did not take, and that were reset.
    pub unreachable: u64,
    /// Those that are open now.
    pub open: u64,
    /// Those that the proxy cut.
    pub cut: u64,
}

#[derive(Debug, Default)]
struct Tally {
    accepted: AtomicU64,
    unreachable: AtomicU64,
    ended: AtomicU64,
    cut: AtomicU64,
}

/// Makes the protocol of a new connection.
pub(super) type Make = dyn Fn(Outlet) -> Box<dyn Wire> + Send + Sync;

/// A TCP proxy; dropping it ends its connections and closes its port.
#[derive(Debug)]
pub struct Tcp {
    address: SocketAddr,
    skies: Arc<Skies>,
    tally: Arc<Tally>,
    // Whether the door shall be open; the door's own answer is `is_open`.
    open: watch::Sender<bool>,
    is_open: watch::Receiver<bool>,
    _door: AbortOnDrop<()>,
}

impl Tcp {
    /// Starts a proxy to `upstream` (`host:port`), which need not listen yet.
    ///
    /// # Errors
    /// A machine without a free port.
    pub async fn start(upstream: impl Into<String>) -> anyhow::Result<Self> {
        Self::with(upstream.into(), Arc::new(|_| Box::new(Plain))).await
    }

    /// Starts a proxy whose connections speak a protocol.
    #[expect(clippy::unused_async, reason = "sockets belong to a runtime, so only async code may make them")]
    pub(super) async fn with(upstream: String, make: Arc<Make>) -> anyhow::Result<Self> {
        let listener = bind(0)?.listen(BACKLOG).context("listen on a free port")?;
        let address = listener.local_addr()?;
        let weather =
            Weather { requests: Flow::Pass, answers: Flow::Pass, delay: Duration::ZERO, cuts: (0, Cut::Reset) };
        let skies = Arc::new(Skies { weather: watch::Sender::new(weather), allowance: Mutex::new(None) });
        let tally = Arc::new(Tally::default());
        let open = watch::Sender::new(true);
        let door = Door {
            port: address.port(),
            upstream: upstream.into(),
            make,
            skies: skies.clone(),
            tally: tally.clone(),
            connections: Group::new("proxied connections", CONNECTIONS),
        };
        let (said, is_open) = watch::channel(true);
        let task = task::spawn("fault proxy", door.keep(listener, open.subscribe(), said));
        Ok(Self { address, skies, tally, open, is_open, _door: task.abort_on_drop() })
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the port of [`Self::address`].
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Cuts every connection that is open now. New ones are taken as before.
    pub fn cut(&self, how: Cut) {
        self.skies.weather.send_modify(|weather| weather.cuts = (weather.cuts.0 + 1, how));
    }

    /// Refuses new connections, as a port does where nobody listens; those that are open stay.
    pub async fn refuse(&self) {
        self.set_open(false).await;
    }

    /// Takes new connections again.
    pub async fn accept(&self) {
        self.set_open(true).await;
    }

    async fn set_open(&self, open: bool) {
        self.open.send_replace(open);
        let mut is_open = self.is_open.clone();
        // An error says that the door is gone, which happens with the runtime only.
        let _ = is_open.wait_for(|is_open| *is_open == open).await;
    }

    /// Says what becomes of requests from now on, on all connections, old and new.
    pub fn requests(&self, flow: Flow) {
        self.skies.weather.send_modify(|weather| weather.requests = flow);
    }

    /// Says what becomes of answers from now on, on all connections, old and new.
    pub fn answers(&self, flow: Flow) {
        self.skies.weather.send_modify(|weather| weather.answers = flow);
    }

    /// Passes nothing in either direction; connections are taken and kept.
    pub fn stall(&self) {
        self.requests(Flow::Hold);
        self.answers(Flow::Hold);
    }

    /// Passes everything in both directions, first of all what waited.
    pub fn resume(&self) {
        self.requests(Flow::Pass);
        self.answers(Flow::Pass);
    }

    /// Delays whatever is sent from now on by so much in each direction, so that a round trip takes twice as long.
    pub fn delay(&self, time: Duration) {
        self.skies.weather.send_modify(|weather| weather.delay = time);
    }

    /// Passes so many more bytes of answers, over all connections, then cuts the connection whose answer is longer: in the
    /// middle of it, and once.
    pub fn cut_answers_after(&self, bytes: u64, how: Cut) {
        let allowance = Allowance { bytes, cut: how };
        *self.skies.allowance.lock().unwrap_or_else(PoisonError::into_inner) = Some(allowance);
    }

    /// Returns what it has done so far.
    pub fn counts(&self) -> Counts {
        let read = |count: &AtomicU64| count.load(Ordering::SeqCst);
        // Read first, so that a connection that ends meanwhile cannot make it less than none.
        let ended = read(&self.tally.ended);
        let accepted = read(&self.tally.accepted);
        let (unreachable, cut) = (read(&self.tally.unreachable), read(&self.tally.cut));
        Counts { accepted, unreachable, open: accepted - ended, cut }
    }
}

/// Takes connections while it is open.
struct Door {
    port: u16,
    upstream: Arc<str>,
    make: Arc<Make>,
    skies: Arc<Skies>,
    tally: Arc<Tally>,
    connections: Group,
}

impl Door {
    async fn keep(self, listener: TcpListener, mut open: watch::Receiver<bool>, said: watch::Sender<bool>) {
        let mut listener = listener;
        loop {
            tokio::select! {
                biased;
                closed = open.wait_for(|open| !open) => if closed.is_err() { return },
                () = self.take(&listener) => continue,
            }
            drop(listener);
            // Bound without listening: the port stays ours, and whoever connects is refused.
            let Ok(placeholder) = bind(self.port) else { return };
            said.send_replace(false);
            if open.wait_for(|open| *open).await.is_err() {
                return;
            }
            let Ok(again) = placeholder.listen(BACKLOG) else { return };
            listener = again;
            said.send_replace(true);
        }
    }

    async fn take(&self, listener: &TcpListener) {
        let Ok((client, _)) = listener.accept().await else { return };
        self.tally.accepted.fetch_add(1, Ordering::SeqCst);
        let (upstream, make) = (self.upstream.clone(), self.make.clone());
        let (skies, tally) = (self.skies.clone(), self.tally.clone());
        let cuts_before = skies.weather.borrow().cuts.0;
        // A full group drops the future, and the connection with it.
        let refused = self.connections.try_spawn(async move {
            one(client, &upstream, &*make, &skies, cuts_before, &tally).await;
            tally.ended.fetch_add(1, Ordering::SeqCst);
        });
        if refused.is_err() {
            self.tally.ended.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn one(client: TcpStream, upstream: &str, make: &Make, skies: &Skies, cuts_before: u64, tally: &Tally) {
    let Ok(Ok(server)) = tokio::time::timeout(CONNECT_TIMEOUT, connect(upstream)).await else {
        tally.unreachable.fetch_add(1, Ordering::SeqCst);
        let _ = client.set_zero_linger();
        return;
    };
    // What passes shall pass at once, as it would without a proxy.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    if carry(client, server, make, skies, cuts_before).await {
        tally.cut.fetch_add(1, Ordering::SeqCst);
    }
}

#[expect(clippy::disallowed_methods, reason = "an RST and a half-closed connection need the kernel's own socket")]
async fn connect(upstream: &str) -> std::io::Result<TcpStream> {
    TcpStream::connect(upstream).await
}

/// Takes a port of loopback without listening on it; 0 lets the system choose.
fn bind(port: u16) -> anyhow::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections of an earlier listener may still be open on this port.
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into()).with_context(|| format!("bind port {port} of 127.0.0.1"))?;
    Ok(socket)
}
