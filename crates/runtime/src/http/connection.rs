//! What the server knows of one connection: whether it is busy, idle, half asked or not reading, and when to cut it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;

use super::body::BoxError;
use super::progress::Paced;
use crate::net::TcpStream;

/// Shared by the connection's socket, its requests and its watch; all of them run on the connection's own tasks, so the
/// atomics are hardly ever contended. It lives as long as the last of them.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    requests: AtomicU64,
    in_flight: AtomicUsize,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
    // How much had been read when the last request ended: more since means that a next one is on its way.
    read_at_rest: AtomicU64,
    write_blocked: AtomicBool,
    http2: AtomicBool,
    // Set by the server when it shuts down; the waker is the connection's task.
    leaving: AtomicBool,
    task: AtomicWaker,
}

impl Pulse {
    pub(super) fn request_begins(self: &Arc<Self>, http2: bool) -> Beat {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        if http2 {
            self.http2.store(true, Ordering::Relaxed);
        }
        Beat(self.clone())
    }

    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
        self.task.wake();
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    pub(super) fn wake_on_leave(&self, waker: &Waker) {
        self.task.register(waker);
    }
}

/// A request in flight: from its head to the last byte of its answer handed to the socket.
#[derive(Debug)]
pub(super) struct Beat(Arc<Pulse>);

impl Drop for Beat {
    fn drop(&mut self) {
        self.0.read_at_rest.store(self.0.bytes_read.load(Ordering::Relaxed), Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer's body that keeps its request in flight until it is sent or dropped.
#[derive(Debug)]
pub(super) struct Beating {
    pub(super) body: Paced,
    pub(super) _beat: Beat,
}

impl HttpBody for Beating {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Why a connection was cut by its watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Nobody asked anything for too long: say goodbye politely.
    Idle,
    /// A request's head takes too long.
    SlowHead,
    /// The client does not read its answer.
    NotReading,
}

impl Cut {
    /// Returns the reason as a word for logs.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::SlowHead => "slow_head",
            Self::NotReading => "not_reading",
        }
    }
}

/// Looks at a connection's pulse from time to time and says when it has to go.
///
/// One coarse timer per connection instead of one per request: a connection is cut at most one look after its limit.
#[derive(Debug)]
pub(super) struct Watch {
    pulse: Arc<Pulse>,
    limits: Limits,
    look: Duration,
    resting: Duration,
    asking: Duration,
    blocked: Duration,
    requests_seen: u64,
    written_seen: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) head: Duration,
    pub(super) idle: Duration,
    pub(super) write: Duration,
}

/// How many looks fit into the shortest limit.
const LOOKS_PER_LIMIT: u32 = 4;
/// Looking more often than this would cost more than it finds.
const LOOK_MIN: Duration = Duration::from_millis(10);

impl Watch {
    pub(super) fn new(pulse: Arc<Pulse>, limits: Limits) -> Self {
        let look = (limits.head.min(limits.idle).min(limits.write) / LOOKS_PER_LIMIT).max(LOOK_MIN);
        let zero = Duration::ZERO;
        Self { pulse, limits, look, resting: zero, asking: zero, blocked: zero, requests_seen: 0, written_seen: 0 }
    }

    pub(super) fn period(&self) -> Duration {
        self.look
    }

    /// How long an idle connection may take to close once asked.
    pub(super) fn goodbye(&self) -> Duration {
        self.limits.write
    }

    /// Called once a period.
    pub(super) fn look(&mut self) -> Option<Cut> {
        let pulse = &self.pulse;
        let requests = pulse.requests.load(Ordering::Relaxed);
        let written = pulse.bytes_written.load(Ordering::Relaxed);
        let blocked = pulse.write_blocked.load(Ordering::Relaxed);
        let stuck = blocked && written == self.written_seen;
        // An answer handed to the socket's last buffers is no longer in flight, and yet may take its client long to read.
        let busy = blocked || pulse.in_flight.load(Ordering::Relaxed) > 0 || requests != self.requests_seen;
        let http2 = pulse.http2.load(Ordering::Relaxed);
        // On HTTP/2 anything may be read while nothing is asked (pings, window updates).
        let half_asked = !http2
            && (requests == 0 || pulse.bytes_read.load(Ordering::Relaxed) > pulse.read_at_rest.load(Ordering::Relaxed));
        self.requests_seen = requests;
        self.written_seen = written;
        grow(&mut self.blocked, stuck, self.look);
        grow(&mut self.resting, !busy, self.look);
        grow(&mut self.asking, !busy && half_asked, self.look);
        if self.blocked >= self.limits.write {
            Some(Cut::NotReading)
        } else if self.asking >= self.limits.head {
            Some(Cut::SlowHead)
        } else if self.resting >= self.limits.idle {
            Some(Cut::Idle)
        } else {
            None
        }
    }
}

fn grow(time: &mut Duration, goes_on: bool, by: Duration) {
    *time = if goes_on { *time + by } else { Duration::ZERO };
}

/// The connection's socket, felt by its pulse. It holds the connection's place among the server's connections, also
/// after an upgrade has taken it out of the server's hands.
#[derive(Debug)]
pub(super) struct Felt {
    stream: TcpStream,
    pulse: Arc<Pulse>,
    _place: OwnedSemaphorePermit,
}

impl Felt {
    pub(super) fn new(stream: TcpStream, pulse: Arc<Pulse>, place: OwnedSemaphorePermit) -> Self {
        Self { stream, pulse, _place: place }
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Pending => self.pulse.write_blocked.store(true, Ordering::Relaxed),
            Poll::Ready(Ok(count)) => {
                self.pulse.write_blocked.store(false, Ordering::Relaxed);
                self.pulse.bytes_written.fetch_add(*count as u64, Ordering::Relaxed);
            }
            Poll::Ready(Err(_)) => {}
        }
        result
    }
}

impl AsyncRead for Felt {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        let count = buf.filled().len() - before;
        if count > 0 {
            self.pulse.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
        }
        result
    }
}

impl AsyncWrite for Felt {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
