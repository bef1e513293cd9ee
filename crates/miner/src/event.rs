//! What happens to claims, told to whoever shows it to people.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::broadcast;

/// Events that a slow listener may fall behind before it misses some.
const EVENTS_MAX: usize = 4_096;

/// Which session of which supplier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct About {
    /// The supplier's operator address.
    pub supplier: String,
    /// The session's id.
    pub session: String,
    /// The service.
    pub service: String,
    /// The application that pays.
    pub application: String,
}

/// Something that happened to a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A claim was sent.
    ClaimSent {
        /// Whose.
        #[serde(flatten)]
        about: About,
        /// After which block.
        height: i64,
        /// Hash of its transaction.
        tx: String,
        /// Relays in it.
        relays: u64,
        /// Its worth.
        upokt: u64,
        /// 1 for the first time.
        attempt: u32,
    },
    /// The chain holds the claim.
    ClaimLanded {
        /// Whose.
        #[serde(flatten)]
        about: About,
        /// Where it was seen.
        height: i64,
        /// Relays in it.
        relays: u64,
        /// Its worth.
        upokt: u64,
    },
    /// No claim was made.
    Unclaimed {
        /// Whose.
        #[serde(flatten)]
        about: About,
        /// Where that was clear.
        height: i64,
        /// Relays not claimed.
        relays: u64,
        /// Why.
        reason: &'static str,
    },
    /// The chain wants no proof of the claim.
    ProofNotRequired {
        /// Whose.
        #[serde(flatten)]
        about: About,
        /// Where that was clear.
        height: i64,
    },
    /// A proof was sent.
    ProofSent {
        /// Whose.
        #[serde(flatten)]
        about: About,
        /// After which block.
        height: i64,
        /// Hash of its transaction.
        tx: String,
        /// 1 for the first time.
        attempt: u32,
    },
    /// The chain has found the proof good.
    ProofValid {
        /// Whose.
        #[serde(flatten)]
        about: About,
        /// Where it was seen.
        height: i64,
    },
    /// The chain has found the proof wrong.
    ProofInvalid {
        /// Whose.
        #[serde(flatten)]
        about: About,
        /// Where it was seen.
        height: i64,
    },
    /// The chain has paid.
    Settled {
        /// Whose.
        #[serde(flatten)]
        about: About,
        /// In which block.
        height: i64,
        /// Relays paid for.
        relays: u64,
        /// What was claimed.
        claimed_upokt: u64,
        /// What was paid.
        upokt: u64,
        /// Whether with a proof.
        proved: bool,
    },
    /// The claim expired: a proof was wanted and missing or wrong.
    Expired {
        /// Whose.
        #[serde(flatten)]
        about: About,
        /// In which block.
        height: i64,
        /// Relays not paid for.
        relays: u64,
        /// What the supplier lost beside, in upokt.
        slashed_upokt: u64,
    },
    /// The chain could not settle the claim.
    Discarded {
        /// Whose.
        #[serde(flatten)]
        about: About,
        /// In which block.
        height: i64,
        /// Relays not paid for.
        relays: u64,
    },
}

/// Where events are told. Nobody has to listen.
#[derive(Debug, Clone)]
pub(crate) struct Teller {
    sender: broadcast::Sender<Event>,
    /// Opened with the teller, so that whoever listens first hears everything since the start.
    first: Arc<Mutex<Option<broadcast::Receiver<Event>>>>,
}

impl Teller {
    pub(crate) fn new() -> Self {
        let (sender, first) = broadcast::channel(EVENTS_MAX);
        Self { sender, first: Arc::new(Mutex::new(Some(first))) }
    }

    pub(crate) fn tell(&self, event: Event) {
        // Nobody listens: nobody minds.
        let _ = self.sender.send(event);
    }

    pub(crate) fn listen(&self) -> Events {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        Events { receiver: first.unwrap_or_else(|| self.sender.subscribe()) }
    }
}

/// Events as they come.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
}

impl Events {
    /// Waits for the next event; none when the miner is gone. A listener that falls behind misses the oldest.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "a listener of events fell behind");
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
