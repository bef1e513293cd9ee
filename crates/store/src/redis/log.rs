//! Appending to streams and reading from them.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pocket_runtime::clock;
use redis::{Pipeline, Value};

use super::link::has_code;
use super::{DISK_WAIT_MS, READ_STREAMS_MAX, Redis, fenced, scripts, values};
use crate::append::{Appended, Item, Origin};
use crate::error::{CommitError, StoreError};
use crate::relay::{EntryId, LogEntry, LogStats, ParseEntryIdError};

/// How long the server may take beyond the wait it was asked for.
const READ_GRACE: Duration = Duration::from_secs(2);
/// How long one read waits where there are more streams than one read takes.
const READ_SLICE: Duration = Duration::from_millis(50);

#[derive(Default)]
struct Group {
    indexes: Vec<usize>,
    /// The end of the relay's session, 0 if it is appended in any case, and its bytes.
    relays: Vec<(i64, Bytes)>,
}

/// Reads what the script says of one relay.
fn read_appended(text: &str) -> Result<Appended, ParseEntryIdError> {
    if text == "-" { Ok(Appended::Refused) } else { text.parse().map(Appended::Logged) }
}

/// Says of each stream that what nobody was handed yet is wanted.
fn new_in(suppliers: &[String]) -> Vec<String> {
    vec![">".to_owned(); suppliers.len()]
}

impl Redis {
    pub(crate) async fn append(&self, items: Vec<Item>) -> Vec<Result<Appended, Arc<StoreError>>> {
        let count = items.len();
        match self.append_group(items).await {
            Ok(appended) => appended.into_iter().map(Ok).collect(),
            Err(error) => {
                let error = Arc::new(error);
                (0..count).map(|_| Err(Arc::clone(&error))).collect()
            }
        }
    }

    /// Appends to all streams in one pipeline. Sent again as it is until it succeeds: the scripts know a repeated batch.
    async fn append_group(&self, items: Vec<Item>) -> Result<Vec<Appended>, StoreError> {
        const OPERATION: &str = "append to the relay log";
        let mut appended = vec![Appended::Refused; items.len()];
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        for (index, item) in items.into_iter().enumerate() {
            let group = groups.entry(item.supplier).or_default();
            group.indexes.push(index);
            let end = match item.origin {
                Origin::Served => item.session_end,
                Origin::Answered => 0,
            };
            group.relays.push((end, item.data));
        }
        let batch = self.batch.fetch_add(1, Ordering::Relaxed) + 1;
        let mut commands = redis::pipe();
        for (supplier, group) in &groups {
            self.know(supplier).await?;
            let names = &self.names;
            let keys =
                [names.stream(supplier), names.ledger(supplier), names.writers(supplier), names.closed(supplier)];
            let mut call = scripts::call(&self.scripts.append, keys.iter().map(String::as_str));
            call.arg(&self.writer).arg(batch);
            for (end, data) in &group.relays {
                call.arg(end).arg(data.as_ref());
            }
            commands.add_command(call);
        }
        if self.capabilities.wait_aof {
            commands.cmd("WAITAOF").arg(1).arg(0).arg(DISK_WAIT_MS);
        }
        let mut answers: Vec<Value> = self.appends.run(OPERATION, self.append_timeout, &commands).await?;
        if self.capabilities.wait_aof {
            let synced = values::list(answers.pop().unwrap_or_default()).into_iter().next();
            if !matches!(synced, Some(Value::Int(1))) {
                return Err(StoreError::unavailable(OPERATION, "the server's disk did not confirm in time"));
            }
        }
        for ((supplier, group), answer) in groups.iter().zip(answers) {
            let joined = values::text(answer).unwrap_or_default();
            let parsed: Result<Vec<Appended>, _> = joined.split(',').map(read_appended).collect();
            let parsed = parsed.map_err(|error| StoreError::corrupt(self.names.stream(supplier), error))?;
            if parsed.len() != group.indexes.len() {
                return Err(StoreError::corrupt(
                    self.names.stream(supplier),
                    "another number of entries than appended",
                ));
            }
            for (index, fate) in group.indexes.iter().zip(parsed) {
                appended[*index] = fate;
            }
        }
        Ok(appended)
    }

    /// Makes the consumer groups that are not known to stand.
    async fn group(&self, suppliers: &[String]) -> Result<(), StoreError> {
        let missing: Vec<&String> = {
            let grouped = self.grouped.lock().unwrap_or_else(PoisonError::into_inner);
            suppliers.iter().filter(|supplier| !grouped.contains(*supplier)).collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        let group = self.names.consumer_group();
        for chunk in missing.chunks(READ_STREAMS_MAX) {
            let mut commands = redis::pipe();
            commands.ignore_errors();
            for supplier in chunk {
                let stream = self.names.stream(supplier);
                commands.cmd("XGROUP").arg("CREATE").arg(&stream).arg(&group).arg(0).arg("MKSTREAM");
                // A Go relayer lets its stream expire; what is not yet mined must not.
                commands.cmd("PERSIST").arg(&stream);
            }
            let answers: Vec<Value> = self.run("make the consumer group", &commands).await?;
            for (supplier, answer) in chunk.iter().zip(answers.into_iter().step_by(2)) {
                if let Value::ServerError(error) = answer
                    && error.code() != "BUSYGROUP"
                {
                    let text = format!("{} {}", error.code(), error.details().unwrap_or_default());
                    return Err(StoreError::corrupt(self.names.stream(supplier), text));
                }
            }
        }
        self.grouped.lock().unwrap_or_else(PoisonError::into_inner).extend(missing.into_iter().cloned());
        Ok(())
    }

    /// Reads groups of streams; where a group has gone with its stream, makes it anew and reads again.
    async fn read(&self, suppliers: &[String], limit: Duration, commands: &Pipeline) -> Result<Vec<Value>, StoreError> {
        const OPERATION: &str = "read the relay log";
        self.group(suppliers).await?;
        for attempt in 0..2 {
            let read = tokio::time::timeout(limit, self.reads.once::<Vec<Value>>(commands));
            match read.await {
                Ok(Ok(answers)) => return Ok(answers),
                Ok(Err(error)) if has_code(&error, &["NOGROUP"]) && attempt == 0 => {
                    self.grouped.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    self.group(suppliers).await?;
                }
                Ok(Err(error)) => return Err(StoreError::unavailable(OPERATION, error)),
                Err(elapsed) => {
                    // The connection is silent, so it is of no more use: the next read makes a new one.
                    self.reads.reset().await;
                    return Err(StoreError::unavailable(OPERATION, elapsed));
                }
            }
        }
        Err(StoreError::unavailable(OPERATION, "its consumer group keeps vanishing"))
    }

    pub(crate) async fn read_own(
        &self,
        consumer: &str,
        after: &[(String, EntryId)],
        max: usize,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let mut entries = Vec::new();
        for chunk in after.chunks(READ_STREAMS_MAX) {
            let suppliers: Vec<String> = chunk.iter().map(|(supplier, _)| supplier.clone()).collect();
            let from: Vec<String> = chunk.iter().map(|(_, id)| id.to_string()).collect();
            entries.extend(self.read_group(consumer, &suppliers, &from, max, None).await?);
        }
        for entry in &mut entries {
            entry.redelivered = true;
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
        let chunks: Vec<&[String]> = suppliers.chunks(READ_STREAMS_MAX).collect();
        for turn in 0.. {
            // Where one read cannot wait on all streams, look at all first, then wait a little on some of them.
            let mut entries = Vec::new();
            if chunks.len() > 1 {
                for chunk in &chunks {
                    entries.extend(self.read_group(consumer, chunk, &new_in(chunk), max, None).await?);
                }
            }
            let left = deadline.saturating_duration_since(clock::now());
            if !entries.is_empty() || (turn > 0 && left.is_zero()) {
                return Ok(entries);
            }
            let slice = if chunks.len() == 1 { left } else { left.min(READ_SLICE) };
            let chunk = chunks[turn % chunks.len()];
            let entries = self.read_group(consumer, chunk, &new_in(chunk), max, Some(slice)).await?;
            if !entries.is_empty() || chunks.len() == 1 {
                return Ok(entries);
            }
        }
        Ok(Vec::new())
    }

    async fn read_group(
        &self,
        consumer: &str,
        suppliers: &[String],
        from: &[String],
        max: usize,
        block: Option<Duration>,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let mut commands = redis::pipe();
        let command = commands.cmd("XREADGROUP");
        command.arg("GROUP").arg(self.names.consumer_group()).arg(consumer).arg("COUNT").arg(max);
        if let Some(block) = block {
            // Zero would mean for ever.
            command.arg("BLOCK").arg(u64::try_from(block.as_millis()).unwrap_or(u64::MAX).max(1));
        }
        command.arg("STREAMS");
        for supplier in suppliers {
            command.arg(self.names.stream(supplier));
        }
        command.arg(from);
        let limit = block.unwrap_or_default() + READ_GRACE;
        let answer = self.read(suppliers, limit, &commands).await?.pop().unwrap_or_default();
        let prefix = format!("{}:", self.names.stream_prefix());
        let mut entries = Vec::new();
        let mut streams = values::list(answer).into_iter();
        while let Some(first) = streams.next() {
            // An array of pairs, or with the newer protocol a map laid flat.
            let (name, rows) = match first {
                Value::Array(pair) => {
                    let mut pair = pair.into_iter();
                    (pair.next().unwrap_or_default(), pair.next().unwrap_or_default())
                }
                name => (name, streams.next().unwrap_or_default()),
            };
            let Some(name) = values::text(name) else { continue };
            let Some(supplier) = name.strip_prefix(&prefix) else { continue };
            entries.extend(values::entries(supplier, rows, false));
        }
        Ok(entries)
    }

    pub(crate) async fn read_idle(
        &self,
        consumer: &str,
        suppliers: &[String],
        idle: Duration,
        max: usize,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let idle_ms = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        let mut entries = Vec::new();
        for chunk in suppliers.chunks(READ_STREAMS_MAX) {
            let mut commands = redis::pipe();
            for supplier in chunk {
                let command = commands.cmd("XAUTOCLAIM").arg(self.names.stream(supplier));
                command.arg(self.names.consumer_group()).arg(consumer).arg(idle_ms).arg("0-0").arg("COUNT").arg(max);
            }
            let answers = self.read(chunk, self.operation_timeout, &commands).await?;
            for (supplier, answer) in chunk.iter().zip(answers) {
                let claimed = values::list(answer).into_iter().nth(1).unwrap_or_default();
                entries.extend(values::entries(supplier, claimed, true));
            }
        }
        Ok(entries)
    }

    pub(crate) async fn quarantine(
        &self,
        entry: &LogEntry,
        reason: &'static str,
        note: &str,
        epoch: u64,
    ) -> Result<(), CommitError> {
        let supplier = &entry.supplier;
        let names = &self.names;
        let keys = [names.stream(supplier), names.quarantine(supplier), names.ledger(supplier), names.epoch(supplier)];
        let mut call = scripts::call(&self.scripts.quarantine, keys.iter().map(String::as_str));
        call.arg(names.consumer_group())
            .arg(epoch)
            .arg(entry.id.to_string())
            .arg(reason)
            .arg(note)
            .arg(self.quarantine_max);
        let mut commands = redis::pipe();
        commands.add_command(call);
        let (answer,): (Vec<String>,) = self.run("quarantine an entry", &commands).await?;
        match answer.as_slice() {
            [word, current] if word == "fenced" => Err(fenced(supplier, epoch, current).into()),
            _ => Ok(()),
        }
    }

    pub(crate) async fn log_stats(&self, supplier: &str) -> Result<LogStats, StoreError> {
        let stream = self.names.stream(supplier);
        let mut commands = redis::pipe();
        commands.ignore_errors();
        commands.cmd("XLEN").arg(&stream);
        commands.cmd("XPENDING").arg(&stream).arg(self.names.consumer_group());
        commands.cmd("XLEN").arg(self.names.quarantine(supplier));
        commands.cmd("XRANGE").arg(&stream).arg("-").arg("+").arg("COUNT").arg(1);
        let answers: Vec<Value> = self.run("measure the relay log", &commands).await?;
        let mut answers = answers.into_iter();
        let mut next = || answers.next().unwrap_or_default();
        let number = |value| match value {
            Value::Int(number) => u64::try_from(number).unwrap_or(0),
            _ => 0,
        };
        let length = number(next());
        let delivered = number(values::list(next()).into_iter().next().unwrap_or_default());
        let quarantined = number(next());
        let oldest = values::entries(supplier, next(), false).pop().map(|entry| entry.id.to_string());
        Ok(LogStats { length, delivered, quarantined, oldest })
    }
}
