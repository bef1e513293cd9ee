//! Bodies: what a service answers with, and how a body is read within limits.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;

/// Any error of a body that is produced while it is sent.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
#[derive(Debug, Default)]
pub struct Body(Kind);

#[derive(Debug, Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Incoming(Incoming),
    Boxed(UnsyncBoxBody<Bytes, BoxError>),
}

impl Body {
    /// A body of no bytes.
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// A body of these bytes.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self(if bytes.is_empty() { Kind::Empty } else { Kind::Full(bytes) })
    }

    /// A body of pieces, sent as they come. An error cuts the connection, so that the client sees a broken answer.
    pub fn stream<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        use futures_util::TryStreamExt;
        let frames = stream.map_ok(Frame::data).map_err(Into::into);
        Self(Kind::Boxed(BodyExt::boxed_unsync(http_body_util::StreamBody::new(frames))))
    }

    /// Any other body, such as one with trailers.
    pub fn boxed<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(Kind::Boxed(body.map_err(Into::into).boxed_unsync()))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::full(text)
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::full(text)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::full(bytes)
    }
}

/// Passes on a body that is being received.
impl From<Incoming> for Body {
    fn from(incoming: Incoming) -> Self {
        Self(Kind::Incoming(incoming))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Incoming(incoming) => Pin::new(incoming).poll_frame(cx).map_err(Into::into),
            Kind::Boxed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::Incoming(incoming) => incoming.is_end_stream(),
            Kind::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Incoming(incoming) => incoming.size_hint(),
            Kind::Boxed(body) => body.size_hint(),
        }
    }
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is, or says it is, longer than allowed.
    #[error("the body is longer than {limit} bytes, the limit")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// It did not arrive in time.
    #[error("the body did not arrive within {limit:?}")]
    Slow {
        /// The time it had.
        limit: Duration,
    },
    /// The other side broke off.
    #[error("the body broke off")]
    Broken(#[source] BoxError),
}

/// Reads a whole body of at most `limit` bytes within `timeout`.
///
/// A body that comes in one piece is handed over as it is; one that announces too much is refused before it is read.
pub async fn read_body<B>(body: B, limit: usize, timeout: Duration) -> Result<Bytes, BodyError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    tokio::time::timeout(timeout, collect(body, limit)).await.unwrap_or(Err(BodyError::Slow { limit: timeout }))
}

/// Reads like [`read_body`], in whatever time the caller allows.
pub(super) async fn collect<B>(mut body: B, limit: usize) -> Result<Bytes, BodyError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(BodyError::TooLarge { limit });
    }
    let Some(first) = next(&mut body, limit).await? else { return Ok(Bytes::new()) };
    if body.is_end_stream() {
        return Ok(first);
    }
    let Some(second) = next(&mut body, limit - first.len()).await.map_err(|e| e.of_limit(limit))? else {
        return Ok(first);
    };
    let mut whole = Gathered { last: BytesMut::with_capacity(announced.min(BLOCK_BYTES)), ..Gathered::default() };
    whole.take(&first);
    whole.take(&second);
    // They are parts of the connection's buffer, which is free again without them.
    drop((first, second));
    while let Some(piece) = next(&mut body, limit - whole.bytes).await.map_err(|e| e.of_limit(limit))? {
        whole.take(&piece);
    }
    Ok(whole.join())
}

/// Bytes of a block. Large enough that most bodies are one.
const BLOCK_BYTES: usize = 64 << 10;

/// A body that is being received, in blocks of one size: what it announces reserves no more than one, and the memory that
/// one body gives back is what the next one takes, however many of them grow at the same time.
#[derive(Default)]
struct Gathered {
    full: Vec<Bytes>,
    last: BytesMut,
    bytes: usize,
}

impl Gathered {
    fn take(&mut self, mut piece: &[u8]) {
        self.bytes += piece.len();
        while !piece.is_empty() {
            if self.last.is_empty() && !self.full.is_empty() {
                self.last.reserve(BLOCK_BYTES);
            }
            let (now, later) = piece.split_at(piece.len().min(BLOCK_BYTES - self.last.len()));
            self.last.extend_from_slice(now);
            if self.last.len() == BLOCK_BYTES {
                self.full.push(std::mem::take(&mut self.last).freeze());
            }
            piece = later;
        }
    }

    fn join(self) -> Bytes {
        if self.full.is_empty() {
            return self.last.freeze();
        }
        let mut whole = BytesMut::with_capacity(self.bytes);
        for block in self.full {
            whole.extend_from_slice(&block);
        }
        whole.extend_from_slice(&self.last);
        whole.freeze()
    }
}

impl BodyError {
    // The limit the caller named, where only what was left of it is known.
    fn of_limit(self, limit: usize) -> Self {
        match self {
            Self::TooLarge { .. } => Self::TooLarge { limit },
            other => other,
        }
    }
}

async fn next<B>(body: &mut B, left: usize) -> Result<Option<Bytes>, BodyError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| BodyError::Broken(error.into()))?;
        // Trailers say nothing about the bytes.
        if let Ok(piece) = frame.into_data() {
            if piece.len() > left {
                return Err(BodyError::TooLarge { limit: left });
            }
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }
    Ok(None)
}
