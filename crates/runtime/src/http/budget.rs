//! A budget of bytes for bodies that are held at the same time: memory is bounded by what came, not by how many came.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::body::BoxError;

/// Bytes that bodies may take together.
#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    /// Makes a budget of `limit` bytes, none of which is used.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    /// Returns how many bytes are in use.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Begins to hold bytes: none so far.
    pub fn hold(self: &Arc<Self>) -> Held {
        Held { budget: self.clone(), bytes: 0 }
    }
}

/// A part of a budget, given back when dropped: keep it for as long as the bytes are kept.
#[derive(Debug)]
pub struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Held {
    /// Takes so many bytes more, if the budget has them.
    pub fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let limit = self.budget.limit;
        let with_more = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= limit);
        let taken = self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with_more);
        taken.map_err(|_| NoRoom { limit })?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Bodies take as much as they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bodies take up their budget of {limit} bytes")]
pub struct NoRoom {
    /// The budget.
    pub limit: usize,
}

/// A body whose bytes are taken from a budget as they come; it breaks off with [`NoRoom`] when there are no more.
///
/// What a body announces takes nothing: only what is really held does.
#[derive(Debug)]
pub struct Budgeted<'a, B> {
    body: B,
    held: &'a mut Held,
}

impl<'a, B> Budgeted<'a, B> {
    /// Lets what comes of `body` be held by `held`.
    pub fn new(body: B, held: &'a mut Held) -> Self {
        Self { body, held }
    }
}

impl<B> HttpBody for Budgeted<'_, B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        polled.map(|frame| {
            let frame = match frame? {
                Ok(frame) => frame,
                Err(error) => return Some(Err(error.into())),
            };
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            Some(self.held.grow(bytes).map(|()| frame).map_err(Into::into))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::{Body, BodyError, read_body};

    const PATIENCE: Duration = Duration::from_secs(10);

    fn pieces(count: usize) -> Body {
        let piece = || Ok::<_, std::io::Error>(Bytes::from_static(&[7; 10]));
        Body::stream(futures_util::stream::iter((0..count).map(move |_| piece())))
    }

    #[tokio::test]
    async fn bodies_share_a_budget_and_give_it_back() {
        let budget = Budget::new(100);
        let (mut one, mut two) = (budget.hold(), budget.hold());
        let body = read_body(Budgeted::new(pieces(6), &mut one), 1_000, PATIENCE).await.expect("within the budget");
        assert_eq!((body.len(), budget.used()), (60, 60));
        let refused = read_body(Budgeted::new(pieces(6), &mut two), 1_000, PATIENCE).await;
        let Err(BodyError::Broken(error)) = refused else { panic!("{refused:?}") };
        assert_eq!(error.downcast_ref::<NoRoom>(), Some(&NoRoom { limit: 100 }));
        drop(one);
        drop(two);
        assert_eq!(budget.used(), 0);
    }
}
