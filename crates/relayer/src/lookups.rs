//! The way to the chain for what a relay needs and is not known here: two queues, so that strangers, who can invent any
//! number of applications, wait for each other and not before those who were served here.
//!
//! A relay that waits holds no place among the relays in flight: those are for callers who need no answer of a node.

use quick_cache::sync::Cache;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::rejection::Rejection;

/// Callers of each queue who ask the chain at once. Bounds what strangers can make this process ask of a node.
const LOOKUPS_MAX: usize = 32;

/// The two queues.
pub(crate) struct Lookups {
    familiar: Queue,
    strangers: Queue,
    /// Applications in whose sessions was served.
    applications: Cache<Box<str>, ()>,
}

struct Queue {
    /// Taken by all who are in the queue, those who ask included.
    waiting: Semaphore,
    asking: Semaphore,
}

/// A turn to ask the chain, until dropped.
pub(crate) struct Turn<'a> {
    _waiting: SemaphorePermit<'a>,
    _asking: SemaphorePermit<'a>,
}

impl Lookups {
    /// Makes queues of at most `waiting_max` callers each that remember up to `applications_max` applications.
    pub(crate) fn new(waiting_max: usize, applications_max: usize) -> Self {
        let queue = || Queue {
            waiting: Semaphore::new(waiting_max.min(Semaphore::MAX_PERMITS)),
            asking: Semaphore::new(LOOKUPS_MAX),
        };
        Self { familiar: queue(), strangers: queue(), applications: Cache::new(applications_max.max(1)) }
    }

    /// Makes an application a familiar one: the chain has it, and it has been served.
    pub(crate) fn remember(&self, application: &str) {
        if self.applications.get(application).is_none() {
            self.applications.insert(application.into(), ());
        }
    }

    /// Waits for a turn to ask about a session of an application.
    pub(crate) async fn of_application(&self, application: &str) -> Result<Turn<'_>, Rejection> {
        let is_familiar = self.applications.get(application).is_some();
        let queue = if is_familiar { &self.familiar } else { &self.strangers };
        queue.turn().await
    }

    /// Waits for a turn to ask what only somebody unknown wants to know.
    pub(crate) async fn of_stranger(&self) -> Result<Turn<'_>, Rejection> {
        self.strangers.turn().await
    }
}

impl Queue {
    async fn turn(&self) -> Result<Turn<'_>, Rejection> {
        let waiting = self.waiting.try_acquire().map_err(|_| Rejection::Busy)?;
        let asking = self.asking.acquire().await.expect("the turns are never closed");
        Ok(Turn { _waiting: waiting, _asking: asking })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_full_queue_refuses_and_leaves_the_other_alone() {
        let lookups = Lookups::new(LOOKUPS_MAX + 1, 10);
        lookups.remember("ours");
        let mut turns: Vec<_> = (0..LOOKUPS_MAX)
            .map(|_| lookups.of_application("forged").now_or_never().expect("at once").expect("a turn"))
            .collect();
        {
            let mut waiting = Box::pin(lookups.of_application("forged"));
            assert!(waiting.as_mut().now_or_never().is_none(), "it waits for a turn");
            let refused = lookups.of_stranger().now_or_never().expect("at once");
            assert_eq!(refused.err(), Some(Rejection::Busy));
            assert!(lookups.of_application("ours").now_or_never().expect("at once").is_ok());
            turns.pop();
            assert!(waiting.now_or_never().expect("its turn").is_ok());
        }
        assert!(lookups.of_stranger().now_or_never().expect("at once").is_ok());
    }
}
