//! Appending to logs and reading from them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pocket_runtime::clock;

use super::kv::{Batch, Space};
use super::{Delivery, Embedded, Own, State, number_key, put_row, quarantine_key, split_number, supplier_prefix};
use crate::append::{Appended, Item};
use crate::error::{CommitError, Fenced, StoreError};
use crate::ledger::{Count, Term};
use crate::relay::{Delivered, EntryId, LogEntry, LogStats};

/// Returns the entry that a number names.
pub(super) fn entry_id(number: u64) -> EntryId {
    EntryId { ms: 0, seq: number }
}

impl Embedded {
    pub(crate) async fn append(&self, items: Vec<Item>) -> Vec<Result<Appended, Arc<StoreError>>> {
        let count = items.len();
        let appended = match self.append_group(items) {
            Ok(appended) => self.settle().await.map(|()| appended),
            Err(error) => Err(error),
        };
        match appended {
            Ok(appended) => appended.into_iter().map(Ok).collect(),
            Err(error) => {
                let error = Arc::new(error);
                (0..count).map(|_| Err(Arc::clone(&error))).collect()
            }
        }
    }

    fn append_group(&self, items: Vec<Item>) -> Result<Vec<Appended>, StoreError> {
        let mut appended = vec![Appended::Refused; items.len()];
        let mut by_supplier: BTreeMap<String, Vec<(usize, Item)>> = BTreeMap::new();
        for (index, item) in items.into_iter().enumerate() {
            by_supplier.entry(item.supplier.clone()).or_default().push((index, item));
        }
        let mut state = self.lock();
        let mut batch = Batch::default();
        let mut grown = Vec::with_capacity(by_supplier.len());
        for (supplier, items) in by_supplier {
            let log = state.log(&supplier);
            let closed = i64::try_from(log.closed).unwrap_or(i64::MAX);
            let mut last = log.last;
            let mut logged = 0;
            for (index, item) in items {
                if item.is_refused(closed) {
                    continue;
                }
                last += 1;
                logged += 1;
                appended[index] = Appended::Logged(entry_id(last));
                batch.put(Space::Log, number_key(&supplier, last), item.data);
                batch.put(Space::Queue, number_key(&supplier, last), Bytes::new());
            }
            let counters = log.counted(&[Count::of(Term::Logged, logged), Count::of(Term::Served, logged)]);
            put_row(&mut batch, &supplier, &counters, Own { last, ..log.own() });
            grown.push((supplier, last, counters));
        }
        self.inner.kv.write(batch)?;
        for (supplier, last, counters) in grown {
            let log = state.log(&supplier);
            log.length += last - log.last;
            log.last = last;
            log.counters = counters;
            state.fresh.insert(supplier);
        }
        drop(state);
        self.inner.arrived.notify_waiters();
        Ok(appended)
    }

    #[expect(clippy::unused_async, reason = "the other engine awaits here")]
    pub(crate) async fn read_own(
        &self,
        consumer: &str,
        after: &[(String, EntryId)],
        max: usize,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let state = self.lock();
        let mut entries = Vec::new();
        for (supplier, after) in after {
            let Some(log) = state.logs.get(supplier) else { continue };
            let numbers: Vec<u64> = log
                .delivered
                .range(after.seq + 1..)
                .filter(|(_, delivery)| &*delivery.reader == consumer)
                .map(|(number, _)| *number)
                .take(max)
                .collect();
            for number in numbers {
                entries.push(self.entry(supplier, number, true)?);
            }
        }
        Ok(entries)
    }

    #[expect(clippy::unused_async, reason = "the other engine awaits here")]
    pub(crate) async fn read_idle(
        &self,
        consumer: &str,
        suppliers: &[String],
        idle: Duration,
        max: usize,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let now = clock::now();
        let reader: Arc<str> = consumer.into();
        let mut state = self.lock();
        let mut entries = Vec::new();
        for supplier in suppliers {
            let Some(log) = state.logs.get_mut(supplier) else { continue };
            for (number, delivery) in log.delivered.iter_mut().filter(|(_, d)| now - d.at >= idle).take(max) {
                entries.push(self.entry(supplier, *number, true)?);
                *delivery = Delivery { reader: Arc::clone(&reader), at: now };
            }
        }
        Ok(entries)
    }

    pub(crate) async fn read_new(
        &self,
        consumer: &str,
        suppliers: &[String],
        max: usize,
        wait: Duration,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let deadline = clock::now() + wait;
        loop {
            // Listening begins before looking, so that nothing arrives unheard in between.
            let arrived = self.inner.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            let entries = self.hand_out(consumer, suppliers, max)?;
            if !entries.is_empty() || tokio::time::timeout_at(deadline, arrived).await.is_err() {
                return Ok(entries);
            }
        }
    }

    fn hand_out(&self, consumer: &str, suppliers: &[String], max: usize) -> Result<Vec<LogEntry>, StoreError> {
        let mut state = self.lock();
        if state.fresh.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: BTreeSet<&str> = suppliers.iter().map(String::as_str).collect();
        let fresh: Vec<String> = state.fresh.iter().filter(|s| wanted.contains(s.as_str())).cloned().collect();
        let reader: Arc<str> = consumer.into();
        let at = clock::now();
        let mut entries = Vec::new();
        for supplier in fresh {
            let log = state.log(&supplier);
            let from = number_key(&supplier, log.cursor + 1);
            let rows = self.inner.kv.scan(Space::Queue, &supplier_prefix(&supplier), &from, max)?;
            let all = rows.len() < max;
            for (key, _) in rows {
                let Some((_, number)) = split_number(&key) else { continue };
                entries.push(self.entry(&supplier, number, number <= log.before_start)?);
                log.cursor = number;
                log.delivered.insert(number, Delivery { reader: Arc::clone(&reader), at });
            }
            if all {
                state.fresh.remove(&supplier);
            }
        }
        Ok(entries)
    }

    fn entry(&self, supplier: &str, number: u64, redelivered: bool) -> Result<LogEntry, StoreError> {
        let data = self.inner.kv.get(Space::Log, &number_key(supplier, number))?;
        Ok(LogEntry { supplier: supplier.to_owned(), id: entry_id(number), redelivered, relay: Delivered::read(data) })
    }

    pub(crate) async fn quarantine(
        &self,
        entry: &LogEntry,
        reason: &'static str,
        note: &str,
        epoch: u64,
    ) -> Result<(), CommitError> {
        let supplier = &entry.supplier;
        let number = entry.id.seq;
        let key = number_key(supplier, number);
        {
            let mut state = self.lock();
            check_epoch(&state, supplier, epoch)?;
            if self.inner.kv.get(Space::Queue, &key)?.is_none() {
                return Ok(());
            }
            let data = self.inner.kv.get(Space::Log, &key)?.unwrap_or_default();
            let log = state.log(supplier);
            let counters = log.counted(&[Count::because(Term::Rejected, reason, 1)]);
            let mut batch = Batch::default();
            batch.delete(Space::Queue, key.clone());
            batch.delete(Space::Log, key);
            // One line of text, then the bytes as they were found.
            let row = [reason.as_bytes(), b": ", note.replace('\n', " ").as_bytes(), b"\n", &data].concat();
            batch.put(Space::State, quarantine_key(supplier, number), row);
            let mut quarantined = log.quarantined + 1;
            if quarantined > self.inner.quarantine_max {
                let prefix = [b"q".as_slice(), &supplier_prefix(supplier)].concat();
                if let Some((oldest, _)) = self.inner.kv.scan(Space::State, &prefix, &prefix, 1)?.pop() {
                    batch.delete(Space::State, oldest);
                    quarantined -= 1;
                }
            }
            log.put_row(&mut batch, supplier, &counters);
            self.inner.kv.write(batch)?;
            log.counters = counters;
            log.quarantined = quarantined;
            log.length = log.length.saturating_sub(1);
            log.delivered.remove(&number);
        }
        Ok(self.settle().await?)
    }

    #[expect(clippy::unused_async, reason = "the other engine awaits here")]
    pub(crate) async fn log_stats(&self, supplier: &str) -> Result<LogStats, StoreError> {
        let state = self.lock();
        let Some(log) = state.logs.get(supplier) else { return Ok(LogStats::default()) };
        let from = number_key(supplier, log.oldest());
        let oldest = self.inner.kv.scan(Space::Queue, &supplier_prefix(supplier), &from, 1)?.pop();
        let oldest = oldest.and_then(|(key, _)| split_number(&key).map(|(_, number)| number));
        Ok(LogStats {
            length: log.length,
            delivered: log.delivered.len() as u64,
            quarantined: log.quarantined,
            oldest: oldest.map(|number| entry_id(number).to_string()),
        })
    }
}

/// Refuses a writer whose epoch is not the supplier's.
pub(super) fn check_epoch(state: &State, supplier: &str, presented: u64) -> Result<(), Fenced> {
    let current = state.epoch(supplier);
    if current == presented { Ok(()) } else { Err(Fenced { supplier: supplier.to_owned(), presented, current }) }
}
