//! The way out of the relay log: one reader over any number of suppliers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pocket_runtime::clock;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::error::StoreError;
use crate::relay::{EntryId, LogEntry};

/// Reads relay logs under one consumer name. An entry comes again until it is acknowledged by a commit.
///
/// The name belongs to one reader at a time. A reader that starts under the name of a dead one first gets everything that
/// was handed to the dead one and never acknowledged; entries of readers that do not come back are taken over once they
/// have been idle for `claim_idle`.
#[derive(Debug)]
pub struct Reader {
    engine: Arc<Engine>,
    consumer: String,
    claim_idle: Duration,
    // Suppliers whose own pending entries have not all been handed out again, with the last one that was.
    own: BTreeMap<String, Own>,
    // When entries of other readers were last looked for.
    idle_checked: Option<Instant>,
    // Set while a read is under way.
    reading: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    After(EntryId),
    Done,
}

impl Reader {
    pub(crate) fn new(engine: Arc<Engine>, consumer: &str, claim_idle: Duration) -> Self {
        Self {
            engine,
            consumer: consumer.to_owned(),
            claim_idle,
            own: BTreeMap::new(),
            idle_checked: None,
            reading: false,
        }
    }

    /// Returns the next entries of these suppliers, at most `max` for each, waiting up to `wait` if there are none.
    pub async fn take(
        &mut self,
        suppliers: &[String],
        max: usize,
        wait: Duration,
    ) -> Result<Vec<LogEntry>, StoreError> {
        if suppliers.is_empty() {
            tokio::time::sleep(wait).await;
            return Ok(Vec::new());
        }
        // A read that failed or was dropped may have been handed entries that nobody saw.
        if std::mem::replace(&mut self.reading, true) {
            self.own.clear();
        }
        let entries = self.read(suppliers, max, wait).await?;
        self.reading = false;
        Ok(entries)
    }

    async fn read(&mut self, suppliers: &[String], max: usize, wait: Duration) -> Result<Vec<LogEntry>, StoreError> {
        self.own.retain(|supplier, _| suppliers.contains(supplier));
        let entries = self.take_own(suppliers, max).await?;
        if !entries.is_empty() {
            return Ok(entries);
        }
        if self.idle_checked.is_none_or(|at| clock::now() - at >= self.claim_idle / 2) {
            self.idle_checked = Some(clock::now());
            let entries = self.engine.read_idle(&self.consumer, suppliers, self.claim_idle, max).await?;
            if !entries.is_empty() {
                // There may be more: look again next time.
                self.idle_checked = None;
                return Ok(entries);
            }
        }
        self.engine.read_new(&self.consumer, suppliers, max, wait).await
    }

    /// Hands out a supplier's unacknowledged entries of this reader once more, from the first: for a reader that has lost
    /// track of what it took, for instance when a commit failed.
    pub fn rewind(&mut self, supplier: &str) {
        self.own.remove(supplier);
    }

    async fn take_own(&mut self, suppliers: &[String], max: usize) -> Result<Vec<LogEntry>, StoreError> {
        let mut ask = Vec::new();
        for supplier in suppliers {
            match self.own.get(supplier) {
                Some(Own::Done) => {}
                Some(Own::After(id)) => ask.push((supplier.clone(), *id)),
                None => ask.push((supplier.clone(), EntryId::ZERO)),
            }
        }
        if ask.is_empty() {
            return Ok(Vec::new());
        }
        let entries = self.engine.read_own(&self.consumer, &ask, max).await?;
        for (supplier, _) in ask {
            let last = entries.iter().filter(|entry| entry.supplier == supplier).map(|entry| entry.id).max();
            self.own.insert(supplier, last.map_or(Own::Done, Own::After));
        }
        Ok(entries)
    }
}
