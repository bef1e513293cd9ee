//! What can go wrong in the store. Each error names the operation and carries its cause.

use std::error::Error as StdError;

/// A cause that the store hands on.
pub type Cause = Box<dyn StdError + Send + Sync + 'static>;

/// An operation on the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store could not be reached or did not answer in time. The effect may or may not have happened; every verb may
    /// be repeated without doubling it.
    #[error("failed to {operation}: the store is not available")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Cause,
    },
    /// A stored record cannot be read.
    #[error("record {key} cannot be read: {reason}")]
    Corrupt {
        /// Its name.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store refuses to start as it is set up.
    #[error("{problem}; {remedy}")]
    Setup {
        /// What is wrong.
        problem: String,
        /// What to do about it.
        remedy: String,
    },
    /// Another process holds the data folder.
    #[error("{folder} is in use by {owner}; stop that process, or give this one another folder with --data")]
    InUse {
        /// The folder.
        folder: String,
        /// Who holds it, as the lock file says.
        owner: String,
    },
    /// The store has been closed.
    #[error("failed to {operation}: the store is closed")]
    Closed {
        /// What was tried.
        operation: &'static str,
    },
}

impl StoreError {
    pub(crate) fn unavailable(operation: &'static str, source: impl Into<Cause>) -> Self {
        Self::Unavailable { operation, source: source.into() }
    }

    pub(crate) fn corrupt(key: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self::Corrupt { key: key.into(), reason: reason.to_string() }
    }
}

/// A relay was not appended to the log.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The relay cannot be logged at all.
    #[error("relay cannot be logged: {reason}")]
    Invalid {
        /// What it lacks.
        reason: &'static str,
    },
    /// As many relays wait as `append_queue_max` allows: the log is slower than the traffic, or away.
    #[error("{waiting} relays already wait for the log, its limit (append_queue_max)")]
    QueueFull {
        /// The limit.
        waiting: usize,
    },
    /// The session is closed: its claim is being made without this relay. Nobody may be served for it.
    #[error("session {session} of supplier {supplier} is closed: its claim is being made")]
    Closed {
        /// Whose log.
        supplier: String,
        /// The session.
        session: String,
    },
    /// The log did not take the relay within the time allowed. It may hold it: appending it again is safe.
    #[error("failed to append to the log of supplier {supplier}")]
    Log {
        /// Whose log.
        supplier: String,
        /// Why.
        #[source]
        source: std::sync::Arc<StoreError>,
    },
}

/// A write was refused because the writer no longer owns the supplier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("supplier {supplier} is at epoch {current}, the writer at {presented}: another miner has taken over")]
pub struct Fenced {
    /// Whose state it is.
    pub supplier: String,
    /// The writer's epoch.
    pub presented: u64,
    /// The supplier's epoch now.
    pub current: u64,
}

/// A commit changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The writer no longer owns the supplier.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// The session is sealed: its root is fixed and takes no more leaves. Commit the relays again as rejected.
    #[error("session {session} is sealed and takes no more leaves")]
    Sealed {
        /// The session.
        session: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A session record was not written.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The writer no longer owns the supplier.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// Somebody else has written the record since it was read. Read it again.
    #[error("record of session {session} is at revision {current}, not {expected}")]
    Conflict {
        /// The session.
        session: String,
        /// The revision the writer knew.
        expected: u64,
        /// The revision it has; 0 if there is none.
        current: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A lease was not taken or kept.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else holds it.
    #[error("held by {holder} at epoch {epoch}")]
    Held {
        /// By whom.
        holder: String,
        /// At which epoch.
        epoch: u64,
    },
    /// It has run out or passed to somebody else: stop writing at once.
    #[error("lost: it was held at epoch {presented}, and the epoch is {current} now")]
    Lost {
        /// The lease's epoch.
        presented: u64,
        /// The epoch now.
        current: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
