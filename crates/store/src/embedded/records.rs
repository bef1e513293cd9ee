//! Boundary records under their Redis names, events inside the process, the meter, the ledger, and what there is.

#![expect(clippy::unused_async, reason = "the other engine awaits in the same verbs")]

use std::time::Duration;

use bytes::Bytes;
use pocket_runtime::clock;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast;

use super::kv::{Batch, Space};
use super::{Embedded, leaf_key, record_key, split_expiry, with_expiry};
use crate::boundary::{
    BlockEvent, CacheKind, Event, RegistryAction, RegistryEvent, RegistryRecord, RewardableEvent, ServiceFactor,
    SupplierState,
};
use crate::error::StoreError;
use crate::keys;
use crate::ledger::{Count, Ledger};
use crate::meter::{Allowance, ChargeKey, Reserved};
use crate::store::KeyInfo;

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("boundary records have text keys only, so they are always JSON")
}

impl Embedded {
    fn record(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        let Some(stored) = self.inner.kv.get(Space::State, &record_key(name))? else { return Ok(None) };
        let (expires, value) = split_expiry(&stored).ok_or_else(|| StoreError::corrupt(name, "too short"))?;
        Ok((expires == 0 || expires > clock::unix().millis()).then_some(value))
    }

    fn record_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let Some(value) = self.record(name)? else { return Ok(None) };
        serde_json::from_slice(&value).map(Some).map_err(|error| StoreError::corrupt(name, error))
    }

    fn put_record(&self, name: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), StoreError> {
        let expires =
            ttl.map_or(0, |ttl| clock::unix().millis() + i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX / 2));
        let mut batch = Batch::default();
        batch.put(Space::State, record_key(name), with_expiry(value, expires));
        self.inner.kv.write(batch)
    }

    fn delete_records(&self, names: &[&str]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for name in names {
            batch.delete(Space::State, record_key(name));
        }
        self.inner.kv.write(batch)
    }

    pub(crate) async fn subscribe(&self) -> Result<broadcast::Receiver<Event>, StoreError> {
        Ok(self.inner.events.subscribe())
    }

    pub(crate) async fn block_publish(&self, block: &BlockEvent) -> Result<(), StoreError> {
        let _one_at_a_time = self.lock();
        let last: Option<BlockEvent> = self.record_json(&self.inner.names.last_block())?;
        if last.is_none_or(|last| last.height <= block.height) {
            self.put_record(&self.inner.names.last_block(), &json(block), None)?;
        }
        self.publish(Event::Block(block.clone()));
        Ok(())
    }

    pub(crate) async fn block_last(&self) -> Result<Option<BlockEvent>, StoreError> {
        self.record_json(&self.inner.names.last_block())
    }

    pub(crate) async fn supplier_put(&self, state: &SupplierState) -> Result<(), StoreError> {
        self.put_record(&self.inner.names.supplier(&state.operator_address), &json(state), None)?;
        self.publish(Event::Invalidate { kind: CacheKind::Supplier, id: Some(state.operator_address.clone()) });
        Ok(())
    }

    pub(crate) async fn supplier(&self, supplier: &str) -> Result<Option<SupplierState>, StoreError> {
        self.record_json(&self.inner.names.supplier(supplier))
    }

    pub(crate) async fn suppliers(&self) -> Result<Vec<SupplierState>, StoreError> {
        let prefix = record_key(&format!("{}:", self.inner.names.supplier_prefix()));
        let mut states = Vec::new();
        for (key, _) in self.inner.kv.scan(Space::State, &prefix, &prefix, usize::MAX)? {
            states.extend(self.record_json::<SupplierState>(&String::from_utf8_lossy(&key[1..]))?);
        }
        Ok(states)
    }

    pub(crate) async fn supplier_delete(&self, supplier: &str) -> Result<(), StoreError> {
        self.delete_records(&[&self.inner.names.supplier(supplier)])?;
        self.publish(Event::Invalidate { kind: CacheKind::Supplier, id: Some(supplier.to_owned()) });
        Ok(())
    }

    pub(crate) async fn registry_publish(&self, event: &RegistryEvent) -> Result<(), StoreError> {
        let key = self.inner.names.supplier_registry(&event.operator_addr);
        match RegistryRecord::after(event, clock::unix().seconds()) {
            Some(record) => self.put_record(&key, &json(&record), None)?,
            None => self.delete_records(&[&key])?,
        }
        self.publish(Event::Registry(event.clone()));
        Ok(())
    }

    pub(crate) async fn service_factor_put(
        &self,
        service: Option<&str>,
        factor: f64,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        let names = &self.inner.names;
        let key = service.map_or_else(|| names.service_factor_default(), |service| names.service_factor(service));
        let value = json(&ServiceFactor { factor, updated_at: clock::unix().seconds() });
        self.put_record(&key, &value, Some(ttl))?;
        self.publish(Event::Invalidate { kind: CacheKind::ServiceFactor, id: service.map(str::to_owned) });
        Ok(())
    }

    pub(crate) async fn service_factor(&self, service: &str) -> Result<Option<f64>, StoreError> {
        let names = &self.inner.names;
        let own: Option<ServiceFactor> = self.record_json(&names.service_factor(service))?;
        let factor = match own {
            Some(own) => Some(own),
            None => self.record_json(&names.service_factor_default())?,
        };
        Ok(factor.map(|factor| factor.factor))
    }

    pub(crate) async fn rewardable_put(&self, event: &RewardableEvent, ttl: Duration) -> Result<(), StoreError> {
        self.put_record(&self.inner.names.session_rewardable(&event.session_id), b"false", Some(ttl))?;
        self.publish(Event::Rewardable(event.clone()));
        Ok(())
    }

    pub(crate) async fn rewardable(&self, session: &str) -> Result<bool, StoreError> {
        Ok(self.record(&self.inner.names.session_rewardable(session))?.is_none_or(|flag| flag != "false"))
    }

    fn cache_key(&self, kind: CacheKind, id: Option<&str>) -> String {
        let names = &self.inner.names;
        id.map_or_else(|| names.cache_single(kind.word()), |id| names.cache(kind.word(), id))
    }

    pub(crate) async fn cache_put(
        &self,
        kind: CacheKind,
        id: Option<&str>,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<(), StoreError> {
        self.put_record(&self.cache_key(kind, id), &value, ttl)
    }

    pub(crate) async fn cache_get(&self, kind: CacheKind, id: Option<&str>) -> Result<Option<Bytes>, StoreError> {
        self.record(&self.cache_key(kind, id))
    }

    pub(crate) async fn cache_invalidate(&self, kind: CacheKind, id: Option<&str>) -> Result<(), StoreError> {
        if id.is_some() {
            self.delete_records(&[&self.cache_key(kind, id)])?;
        }
        self.publish(Event::Invalidate { kind, id: id.map(str::to_owned) });
        Ok(())
    }

    fn consumed(&self, name: &str) -> Result<u64, StoreError> {
        let Some(value) = self.record(name)? else { return Ok(0) };
        let text = std::str::from_utf8(&value).map_err(|error| StoreError::corrupt(name, error))?;
        text.parse().map_err(|error| StoreError::corrupt(name, error))
    }

    pub(crate) async fn meter_reserve(
        &self,
        key: &ChargeKey,
        allowance: &Allowance,
        cost: u64,
        want: u64,
    ) -> Result<Reserved, StoreError> {
        let names = &self.inner.names;
        let _one_at_a_time = self.lock();
        let name = names.meter_consumed(&key.session, &key.supplier);
        let consumed = self.consumed(&name)?;
        let granted = crate::meter::grant(consumed, allowance.limit_upokt, cost, want);
        if granted == 0 && cost > 0 {
            return Ok(Reserved { granted: 0, total: consumed });
        }
        let total = consumed + granted;
        self.put_record(&name, total.to_string().as_bytes(), None)?;
        let meta = names.meter_meta(&key.session, &key.supplier);
        if self.record(&meta)?.is_none() {
            self.put_record(&meta, &json(&key.meta(allowance, clock::unix().seconds())), None)?;
        }
        Ok(Reserved { granted, total })
    }

    pub(crate) async fn meter_return(&self, session: &str, supplier: &str, unspent: u64) -> Result<(), StoreError> {
        let _one_at_a_time = self.lock();
        let name = self.inner.names.meter_consumed(session, supplier);
        match self.consumed(&name)? {
            0 => Ok(()),
            consumed => self.put_record(&name, consumed.saturating_sub(unspent).to_string().as_bytes(), None),
        }
    }

    pub(crate) async fn meter_cleanup(&self, session: &str, supplier: &str) -> Result<(), StoreError> {
        let names = &self.inner.names;
        self.delete_records(&[&names.meter_consumed(session, supplier), &names.meter_meta(session, supplier)])?;
        self.publish(Event::MeterCleanup { session: session.to_owned(), supplier: supplier.to_owned() });
        Ok(())
    }

    pub(crate) async fn count(&self, supplier: &str, counts: &[Count]) -> Result<(), StoreError> {
        {
            let mut state = self.lock();
            let log = state.log(supplier);
            let counters = log.counted(counts);
            let mut batch = Batch::default();
            log.put_row(&mut batch, supplier, &counters);
            self.inner.kv.write(batch)?;
            log.counters = counters;
        }
        self.settle().await
    }

    pub(crate) async fn ledger(&self, supplier: Option<&str>) -> Result<Ledger, StoreError> {
        let mut ledger = Ledger::default();
        let mut measured = Vec::new();
        {
            // Counters and measures are taken under one lock, so that the equations hold at every moment.
            let state = self.lock();
            for (name, log) in state.logs.iter().filter(|(name, _)| supplier.is_none_or(|wanted| wanted == *name)) {
                ledger.add_counters(log.counters.iter().map(|(name, value)| (name.as_str(), *value)));
                ledger.pending += i64::try_from(log.length).unwrap_or(i64::MAX);
                let prefix = super::session_key(name, "");
                measured.extend(self.inner.kv.scan(Space::State, &prefix, &prefix, usize::MAX)?);
            }
        }
        for (key, row) in measured {
            ledger.add_session(&super::sessions::read_session(&key, &row)?);
        }
        Ok(ledger)
    }

    pub(crate) async fn known_suppliers(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.lock().logs.keys().cloned().collect())
    }

    pub(crate) async fn keys(&self, pattern: &str, stats: bool) -> Result<Vec<KeyInfo>, StoreError> {
        let names = &self.inner.names;
        let mut found = Vec::new();
        let mut add = |key: String, kind: &str, ttl: Option<u64>, entries: u64, bytes: u64| {
            if keys::matches(pattern, &key) {
                let stat = |value| stats.then_some(value);
                found.push(KeyInfo {
                    key,
                    kind: kind.to_owned(),
                    ttl_seconds: ttl,
                    entries: stat(entries),
                    bytes: stat(bytes),
                });
            }
        };
        let size =
            |rows: &super::kv::Rows| rows.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>();
        let now = clock::unix().millis();
        for (key, stored) in self.inner.kv.scan(Space::State, b"k", b"k", usize::MAX)? {
            let Some((expires, value)) = split_expiry(&stored) else { continue };
            if expires != 0 && expires <= now {
                continue;
            }
            let ttl = (expires != 0).then(|| u64::try_from((expires - now) / 1_000).unwrap_or(0));
            let length = value.len() as u64;
            add(String::from_utf8_lossy(&key[1..]).into_owned(), "string", ttl, length, length);
        }
        let locked = self.lock();
        for (supplier, log) in &locked.logs {
            let prefix = super::supplier_prefix(supplier);
            let bytes = |space, prefix: &[u8]| -> Result<(u64, u64), StoreError> {
                if !stats {
                    return Ok((0, 0));
                }
                let rows = self.inner.kv.scan(space, prefix, prefix, usize::MAX)?;
                Ok((rows.len() as u64, size(&rows)))
            };
            let (_, log_bytes) = bytes(Space::Log, &prefix)?;
            if log.last > 0 {
                add(names.stream(supplier), "stream", None, log.length, log_bytes);
            }
            add(names.ledger(supplier), "hash", None, log.counters.len() as u64, 0);
            if log.epoch > 0 {
                add(names.epoch(supplier), "string", None, log.epoch.to_string().len() as u64, 0);
            }
            if log.quarantined > 0 {
                add(names.quarantine(supplier), "stream", None, log.quarantined, 0);
            }
            let sessions = super::session_key(supplier, "");
            let rows = self.inner.kv.scan(Space::State, &sessions, &sessions, usize::MAX)?;
            if !rows.is_empty() {
                add(names.sessions(supplier), "set", None, rows.len() as u64, 0);
            }
            for (key, row) in rows {
                let session = String::from_utf8_lossy(&key[sessions.len()..]).into_owned();
                add(names.session(supplier, &session), "hash", None, 1, row.len() as u64);
                let (leaves, leaf_bytes) = bytes(Space::Leaf, &leaf_key(supplier, &session, b""))?;
                add(names.leaf(supplier, &session), "hash", None, leaves, leaf_bytes);
            }
        }
        drop(locked);
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }
}

impl RegistryRecord {
    /// Returns the entry that an event leaves behind; none if it removes it.
    pub(crate) fn after(event: &RegistryEvent, now: i64) -> Option<Self> {
        let status = match event.action {
            RegistryAction::Add | RegistryAction::Update => "active",
            RegistryAction::Draining => "draining",
            RegistryAction::Remove => return None,
        };
        Some(Self {
            operator_addr: event.operator_addr.clone(),
            services: (!event.services.is_empty()).then(|| event.services.clone()),
            status: status.to_owned(),
            updated_at: now,
        })
    }
}
