//! An HTTP/2 answer on its way: handed over in pieces, so that it shows whether its client takes them, and reset if not.
//!
//! On HTTP/2 each answer waits for its own client's leave to send, while the socket flows on for others: the connection's
//! watch sees nothing of that. hyper takes the next piece of an answer when there is room for the one before, so a piece
//! that is not asked for is one that the client does not take.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::{Instant, Sleep};

use super::body::{Body, BoxError};
use crate::task;

/// Bytes of an answer handed to HTTP/2 at a time: what one may hold beyond its client's window, and the least that its
/// client has to take within the server's `write_timeout`.
const PIECE_BYTES_MAX: usize = 16 << 10;

tokio::task_local! {
    // Set while hyper's task of a stream is polled, which is where the answer's body is made.
    static PROGRESS: Arc<Progress>;
}

/// How far the answer of a stream has been handed over. Shared by the stream's task and the body that it polls; both
/// end together.
#[derive(Debug, Default)]
struct Progress {
    pieces: AtomicU64,
    // What was given last is a piece, and nothing has been asked for since.
    is_waiting: AtomicBool,
}

impl Progress {
    /// The number of the piece that the client has to take next.
    fn waiting(&self) -> Option<u64> {
        self.is_waiting.load(Ordering::Relaxed).then(|| self.pieces.load(Ordering::Relaxed))
    }
}

/// A body that on HTTP/2 goes out in pieces, and on HTTP/1 as it is.
#[derive(Debug)]
pub(super) struct Paced {
    body: Body,
    // What is left of what the body gave last.
    rest: Bytes,
    progress: Option<Arc<Progress>>,
}

impl Paced {
    /// Must be called where the answer is made: it finds out by itself whether that is the task of an HTTP/2 stream.
    pub(super) fn new(body: Body) -> Self {
        Self { body, rest: Bytes::new(), progress: PROGRESS.try_with(Arc::clone).ok() }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => self.rest = bytes,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return other,
            }
        }
        // The last byte goes by itself: it is asked for when all before it has room, so that at the end of the stream's
        // task nothing waits for the client any more.
        let length = self.rest.len().saturating_sub(1).clamp(1, PIECE_BYTES_MAX).min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(progress) = self.progress.clone() else { return Pin::new(&mut self.body).poll_frame(cx) };
        let polled = self.poll_piece(cx);
        progress.pieces.fetch_add(1, Ordering::Relaxed);
        progress.is_waiting.store(polled.is_ready(), Ordering::Relaxed);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(rest));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

/// Lets hyper spawn its HTTP/2 streams through our door, and resets those whose client takes nothing for too long.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    /// The server's, for its tasks.
    pub(super) name: &'static str,
    /// How long a piece may wait.
    pub(super) patience: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        drop(task::spawn(self.name, while_taken(stream, self.patience)));
    }
}

/// Drives a stream to its end, or until its answer stands still: dropping its task resets it.
async fn while_taken(stream: impl Future<Output = ()>, patience: Duration) {
    let progress = Arc::new(Progress::default());
    let mut stream = pin!(stream);
    let mut standstill = Standstill { patience, piece: 0, end: None };
    std::future::poll_fn(|cx| {
        if PROGRESS.sync_scope(progress.clone(), || stream.as_mut().poll(cx)).is_ready() {
            return Poll::Ready(());
        }
        let Some(piece) = progress.waiting() else { return Poll::Pending };
        standstill.poll_too_long(piece, cx).map(|()| {
            tracing::debug!(
                piece,
                seconds = patience.as_secs_f64(),
                "an answer that its client does not take is reset"
            );
        })
    })
    .await;
}

/// How long a piece has waited. Its timer is made when a first one waits, which most answers never do.
struct Standstill {
    patience: Duration,
    piece: u64,
    end: Option<Pin<Box<Sleep>>>,
}

impl Standstill {
    fn poll_too_long(&mut self, piece: u64, cx: &mut Context<'_>) -> Poll<()> {
        let is_new = std::mem::replace(&mut self.piece, piece) != piece;
        let end = self.end.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.patience)));
        if is_new {
            end.as_mut().reset(Instant::now() + self.patience);
        }
        end.as_mut().poll(cx)
    }
}
