//! What a stranger's message may hold beside the bytes it is for, counted before anything is decoded.
//!
//! A decoder makes an object of every entry, and an entry may be two bytes long: a message of ten megabytes can become
//! a hundred times as much. The chain has no such caps, since its nodes are paid for every byte; whoever reads messages
//! of strangers has.

use pocket_proto::canonical::WireError;

/// Why a message is not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CapError {
    /// Its fields cannot be told apart.
    #[error("it is no message")]
    Wire(#[from] WireError),
    /// It holds too much of something.
    #[error("it has more than {limit} {what}")]
    Over {
        /// What is counted.
        what: &'static str,
        /// How much of it is read.
        limit: usize,
    },
}

/// Something that is counted while a message is looked through.
#[derive(Debug)]
pub(crate) struct Count {
    what: &'static str,
    limit: usize,
    seen: usize,
}

impl Count {
    pub(crate) fn up_to(limit: usize, what: &'static str) -> Self {
        Self { what, limit, seen: 0 }
    }

    /// Counts so much more, if that is not too much.
    pub(crate) fn add(&mut self, more: usize) -> Result<(), CapError> {
        self.seen = self.seen.saturating_add(more);
        if self.seen > self.limit {
            return Err(CapError::Over { what: self.what, limit: self.limit });
        }
        Ok(())
    }
}

/// The bytes of a message beside its content: the last field of one number, where earlier ones are replaced by it.
#[derive(Debug)]
pub(crate) struct Head {
    content: i32,
    content_bytes: usize,
    bytes: Count,
}

impl Head {
    pub(crate) fn of(content: i32, bytes: Count) -> Self {
        Self { content, content_bytes: 0, bytes }
    }

    /// Counts a field.
    pub(crate) fn add(&mut self, number: i32, length: usize) -> Result<(), CapError> {
        if number == self.content {
            return self.bytes.add(std::mem::replace(&mut self.content_bytes, length));
        }
        self.bytes.add(length)
    }
}
