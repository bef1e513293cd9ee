//! What of a node's errors is the chain's own word.
//!
//! A refusal may have a lasting effect: a relay in quarantine, a supplier published as not staked. So only what the chain
//! itself is known to say counts as one, by the status *and* the words that its modules give it, per method, as recorded
//! of a real node. Whatever else comes as an error says nothing about the chain, however final it sounds: `Internal` is
//! also a connection that a load balancer closed, `Unknown` half an answer, `NotFound` a route that a proxy has not.

use pocket_protocol::error::Registered;
use tonic::{Code, Status};

use crate::error::QueryErrorKind;

/// A refusal that the chain is known to answer a method with.
pub(crate) struct Refusal {
    code: Code,
    words: Words,
}

/// The words by which an error is known.
enum Words {
    /// The description of a module's error, which ends its text.
    Of(&'static Registered),
    /// A text that is no module's; `*` stands for what varies.
    Like(&'static str),
}

impl Refusal {
    /// An error that a module registers, under the status that the method gives it.
    pub(crate) const fn of(code: Code, error: &'static Registered) -> Self {
        Self { code, words: Words::Of(error) }
    }

    /// A text under a status; `*` stands for what varies.
    pub(crate) const fn like(code: Code, pattern: &'static str) -> Self {
        Self { code, words: Words::Like(pattern) }
    }

    fn is(&self, status: &Status) -> bool {
        let text = status.message();
        self.code == status.code()
            && match self.words {
                // A description may end in a blank, which not everything on the way keeps.
                Words::Of(error) => text.trim_end().ends_with(error.description.trim_end()),
                Words::Like(pattern) => is_like(text, pattern),
            }
    }
}

/// Says what an error tells about the chain, for a method that the chain refuses in these ways only.
pub(crate) fn of(refusals: &[Refusal], status: &Status) -> QueryErrorKind {
    if is_ahead(status.message()) {
        QueryErrorKind::Ahead
    } else if !refusals.iter().any(|refusal| refusal.is(status)) {
        QueryErrorKind::Unavailable
    } else if status.code() == Code::NotFound {
        QueryErrorKind::NotFound
    } else {
        QueryErrorKind::Refused
    }
}

/// Returns whether a node says that it has not come so far: a session's height, the height asked at, or its first block.
fn is_ahead(text: &str) -> bool {
    text.contains("is ahead of the last committed block")
        || text.contains("please wait for first block")
        || text.contains("cannot query with height in the future")
}

fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests;
