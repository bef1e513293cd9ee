//! Which sessions can be served at a height, whoever's they are: a request whose heights are no session's is refused
//! without asking anybody for the session.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use pocket_chain::{Chain, QueryError};
use pocket_protocol::params::Shared;

use crate::rejection::Invalid;

/// Sessions on a page. Grace periods are shorter than sessions, so two are enough unless their length has just changed.
const SPANS_MAX: usize = 8;

/// The sessions that can be served while the current one lasts.
#[derive(Default)]
pub(crate) struct Calendar {
    /// Turned by the first relay that needs to know after a session has begun.
    page: ArcSwapOption<Page>,
}

/// The sessions that may be served in the course of one of them.
#[derive(Debug)]
pub(crate) struct Page {
    current: Span,
    /// Those before, as far as the grace period reaches into the current one; the latest first.
    before: Vec<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: i64,
    end: i64,
    /// Last height at which its relays are served.
    grace_end: i64,
}

impl Span {
    fn at(height: i64, shared: &Shared) -> Self {
        let session = shared.session_at(height);
        Self { start: session.start, end: session.end, grace_end: shared.windows_at(height).grace_end }
    }

    fn contains(&self, height: i64) -> bool {
        (self.start..=self.end).contains(&height)
    }
}

impl Calendar {
    /// Returns the page that `height` is on, if it lies open.
    pub(crate) fn page(&self, height: i64) -> Option<Arc<Page>> {
        self.page.load_full().filter(|page| page.current.contains(height))
    }

    /// Returns the page that `height` is on, and asks the chain where it does not lie open.
    pub(crate) async fn turn(&self, chain: &Chain, height: i64) -> Result<Arc<Page>, QueryError> {
        if let Some(page) = self.page(height) {
            return Ok(page);
        }
        let page = Arc::new(Page::read(chain, height).await?);
        self.page.store(Some(page.clone()));
        Ok(page)
    }
}

impl Page {
    async fn read(chain: &Chain, height: i64) -> Result<Self, QueryError> {
        let current = Span::at(height, &chain.shared_at(height).await?);
        let mut before = Vec::new();
        let mut at = current.start - 1;
        while at > 0 && before.len() < SPANS_MAX {
            let span = Span::at(at, &chain.shared_at(at).await?);
            if span.grace_end < current.start {
                break;
            }
            before.push(span);
            at = span.start - 1;
        }
        Ok(Self { current, before })
    }

    /// Returns the height at which the chain is to be asked for the session `start..=end` by a relay that came at
    /// `height`: its start while it lasts, then its end (protocol §2.10).
    ///
    /// The texts of refusals are those of a chain that was asked.
    pub(crate) fn locate(&self, start: i64, end: i64, height: i64) -> Result<i64, Invalid> {
        let find = |at: i64| std::iter::once(&self.current).chain(&self.before).find(|span| span.contains(at));
        if end < height {
            let span = find(end).filter(|span| height <= span.grace_end).ok_or(Invalid::Expired { end, height })?;
            return span.compare(start, end).map(|()| end);
        }
        if start == self.current.end + 1 {
            // Of the next session only its start is known yet: a node may be a block ahead of us.
            return Ok(start);
        }
        find(start).unwrap_or(&self.current).compare(start, end).map(|()| start)
    }
}

impl Span {
    fn compare(&self, start: i64, end: i64) -> Result<(), Invalid> {
        for (which, expected, got) in [("start", self.start, start), ("end", self.end, end)] {
            if expected != got {
                return Err(Invalid::Height { which, expected, got });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The session 21 to 30, and the one before with its grace period.
    fn page() -> Page {
        Page {
            current: Span { start: 21, end: 30, grace_end: 32 },
            before: vec![Span { start: 11, end: 20, grace_end: 22 }],
        }
    }

    #[track_caller]
    fn check(session: (i64, i64), height: i64, expected: Result<i64, &str>) {
        let located = page().locate(session.0, session.1, height).map_err(|invalid| invalid.to_string());
        match expected {
            Ok(at) => assert_eq!(located, Ok(at)),
            Err(words) => assert!(located.as_ref().is_err_and(|text| text.contains(words)), "{located:?}"),
        }
    }

    #[test]
    fn a_session_is_asked_for_at_its_start_and_in_its_grace_period_at_its_end() {
        check((21, 30), 21, Ok(21));
        check((21, 30), 30, Ok(21));
        check((11, 20), 22, Ok(20));
        check((11, 20), 23, Err("session expired, session end height: 20"));
        check((1, 10), 22, Err("session expired, session end height: 10"));
    }

    #[test]
    fn heights_that_are_no_sessions_are_refused() {
        check((22, 30), 25, Err("start height mismatch, expecting: 21, got: 22"));
        check((21, 31), 25, Err("end height mismatch, expecting: 30, got: 31"));
        check((5, 30), 25, Err("start height mismatch, expecting: 21, got: 5"));
        check((20, 30), 25, Err("start height mismatch, expecting: 11, got: 20"));
        check((12, 20), 21, Err("start height mismatch, expecting: 11, got: 12"));
        check((9, 19), 21, Err("start height mismatch, expecting: 11, got: 9"));
    }

    #[test]
    fn a_session_that_has_just_begun_elsewhere_may_be_asked_for() {
        check((31, 40), 30, Ok(31));
        check((31, 99), 30, Ok(31));
    }
}
