//! The ledger, and what there is in the server.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use redis::Value;

use super::{READ_STREAMS_MAX, Redis, scripts, sessions, values};
use crate::error::StoreError;
use crate::ledger::{Count, Ledger, LogMeasure};
use crate::session::StoredSession;
use crate::store::KeyInfo;

/// Keys that one step of a scan looks at.
const SCAN_COUNT: usize = 1_000;

impl Redis {
    pub(crate) async fn count(&self, supplier: &str, counts: &[Count]) -> Result<(), StoreError> {
        self.know(supplier).await?;
        let keys = [self.names.ledger(supplier), self.names.writers(supplier)];
        let mut number = self.counting.lock().await;
        *number += 1;
        let mut call = scripts::call(&self.scripts.count, keys.iter().map(String::as_str));
        // A field of its own, beside the one of this writer's appends.
        call.arg(format!("{}:count", self.writer)).arg(*number);
        for count in counts {
            for field in count.fields() {
                call.arg(field).arg(count.by);
            }
        }
        let mut commands = redis::pipe();
        commands.add_command(call).ignore();
        self.run("raise counters", &commands).await
    }

    /// Returns one supplier's counters, what is in its log, and its sessions, of one moment.
    pub(super) async fn measure(
        &self,
        supplier: &str,
    ) -> Result<(BTreeMap<String, i64>, LogMeasure, Vec<StoredSession>), StoreError> {
        let names = &self.names;
        let keys = [names.stream(supplier), names.ledger(supplier), names.sessions(supplier)];
        let mut call = scripts::call(&self.scripts.measure, keys.iter().map(String::as_str));
        call.arg(names.session(supplier, "")).arg(names.leaf(supplier, ""));
        let mut commands = redis::pipe();
        commands.add_command(call);
        let (answer,): (Value,) = self.run("measure a supplier", &commands).await?;
        let mut parts = values::list(answer).into_iter();
        let mut next = || parts.next().unwrap_or_default();
        let mut counters = BTreeMap::new();
        let mut fields = values::list(next()).into_iter();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            let value = values::text(value).and_then(|text| text.parse().ok());
            if let (Some(name), Some(value)) = (values::text(name), value) {
                counters.insert(name, value);
            }
        }
        let number = |value| values::text(value).and_then(|text| text.parse().ok());
        let length = number(next()).unwrap_or(0);
        let mut found = Vec::new();
        for session in values::list(next()) {
            let mut parts = values::list(session).into_iter();
            let mut next = || parts.next().unwrap_or_default();
            found.push(sessions::decode(&keys[2], next(), next(), next())?);
        }
        let added = number(next());
        Ok((counters, LogMeasure { length, added }, found))
    }

    pub(crate) async fn ledger(&self, supplier: Option<&str>) -> Result<Ledger, StoreError> {
        let suppliers = match supplier {
            Some(supplier) => vec![supplier.to_owned()],
            None => self.known_suppliers().await?,
        };
        let mut ledger = Ledger::default();
        for supplier in suppliers {
            let (counters, log, sessions) = self.measure(&supplier).await?;
            let before = ledger.vanished();
            ledger.add_counters(counters.iter().map(|(name, value)| (name.as_str(), *value)));
            ledger.add_log(&log, counters.get("logged").copied().unwrap_or(0));
            let vanished = ledger.vanished() - before;
            if vanished != 0 && self.is_mined_by_others(&supplier).await? {
                ledger.taken += vanished.max(0);
                // The reference lets a log expire, and with it the count of what was in it.
                ledger.foreign -= vanished.min(0);
            } else if vanished < 0 && log.added.is_none() {
                ledger.foreign -= vanished;
            }
            for session in &sessions {
                ledger.add_session(session);
            }
        }
        Ok(ledger)
    }

    /// Returns whether a miner of the reference has left traces of working for a supplier: its claim on it, or sessions,
    /// which it forgets two hours after the last one.
    async fn is_mined_by_others(&self, supplier: &str) -> Result<bool, StoreError> {
        let mut commands = redis::pipe();
        commands.cmd("EXISTS").arg(self.names.miner_claim(supplier));
        commands.cmd("EXISTS").arg(self.names.miner_sessions_index(supplier));
        let (claim, sessions): (u64, u64) = self.run("look for miners of another kind", &commands).await?;
        Ok(claim + sessions > 0)
    }

    pub(crate) async fn known_suppliers(&self) -> Result<Vec<String>, StoreError> {
        let mut commands = redis::pipe();
        commands.cmd("SMEMBERS").arg(self.names.known_suppliers());
        let (suppliers,): (BTreeSet<String>,) = self.run("list suppliers", &commands).await?;
        Ok(suppliers.into_iter().collect())
    }

    /// Returns the names of keys that match, in order, without holding the server up.
    pub(super) async fn scan(&self, pattern: &str) -> Result<Vec<String>, StoreError> {
        let mut keys = BTreeSet::new();
        let mut cursor = "0".to_owned();
        loop {
            let mut commands = redis::pipe();
            commands.cmd("SCAN").arg(&cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(SCAN_COUNT);
            let ((next, found),): ((String, Vec<Vec<u8>>),) = self.run("list keys", &commands).await?;
            keys.extend(found.into_iter().map(|key| String::from_utf8_lossy(&key).into_owned()));
            cursor = next;
            if cursor == "0" {
                return Ok(keys.into_iter().collect());
            }
        }
    }

    pub(crate) async fn keys(&self, pattern: &str, stats: bool) -> Result<Vec<KeyInfo>, StoreError> {
        let keys = self.scan(pattern).await?;
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(READ_STREAMS_MAX) {
            let mut ask = redis::pipe();
            for key in keys {
                ask.cmd("TYPE").arg(key).cmd("PTTL").arg(key);
            }
            let answers: Vec<Value> = self.run("describe keys", &ask).await?;
            let mut answers = answers.into_iter();
            for key in keys {
                let kind = answers.next().and_then(values::text).unwrap_or_default();
                let ttl_seconds = match answers.next() {
                    Some(Value::Int(ms)) => u64::try_from(ms).ok().map(|ms| ms / 1_000),
                    _ => None,
                };
                // Gone between the scan and now.
                if kind != "none" {
                    found.push(KeyInfo { key: key.clone(), kind, ttl_seconds, entries: None, bytes: None });
                }
            }
        }
        if stats {
            for infos in found.chunks_mut(READ_STREAMS_MAX) {
                let mut ask = redis::pipe();
                ask.ignore_errors();
                for info in infos.iter() {
                    let length = match info.kind.as_str() {
                        "hash" => "HLEN",
                        "set" => "SCARD",
                        "zset" => "ZCARD",
                        "list" => "LLEN",
                        "stream" => "XLEN",
                        _ => "STRLEN",
                    };
                    ask.cmd(length).arg(&info.key).cmd("MEMORY").arg("USAGE").arg(&info.key);
                }
                let answers: Vec<Value> = self.run("measure keys", &ask).await?;
                let mut answers = answers.into_iter();
                for info in infos {
                    let mut number = || match answers.next() {
                        Some(Value::Int(number)) => u64::try_from(number).ok(),
                        _ => None,
                    };
                    info.entries = number();
                    info.bytes = number();
                }
            }
        }
        Ok(found)
    }
}
