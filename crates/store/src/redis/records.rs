//! Boundary records, events and the meter.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use pocket_runtime::{clock, task};
use redis::{Client, Pipeline, RedisError, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast;

use super::link::RETRY_DELAYS;
use super::{ANSWER_TIMEOUT, METER_TTL_SECONDS, Redis, SILENCE_MAX, SUBSCRIBE_TIMEOUT, scripts, values};
use crate::boundary::{
    BlockEvent, CacheKind, Event, RegistryAction, RegistryEvent, RegistryRecord, RewardableEvent, ServiceFactor,
    SupplierState,
};
use crate::error::StoreError;
use crate::keys::Namespace;
use crate::meter::{Allowance, ChargeKey, Reserved};

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("boundary records have text keys only, so they are always JSON")
}

fn read_json<T: DeserializeOwned>(key: &str, value: Value) -> Result<Option<T>, StoreError> {
    let Some(value) = values::bytes(value) else { return Ok(None) };
    serde_json::from_slice(&value).map(Some).map_err(|error| StoreError::corrupt(key, error))
}

/// Adds the write of a record, with its time to live in whole seconds as the reference gives it.
fn set(commands: &mut Pipeline, key: &str, value: &[u8], ttl: Option<Duration>) {
    let command = commands.cmd("SET").arg(key).arg(value);
    if let Some(ttl) = ttl {
        command.arg("EX").arg(ttl.as_secs().max(1));
    }
    command.ignore();
}

fn publish(commands: &mut Pipeline, channel: &str, payload: &[u8]) {
    commands.cmd("PUBLISH").arg(channel).arg(payload).ignore();
}

impl Redis {
    async fn get(&self, key: &str) -> Result<Value, StoreError> {
        let mut commands = redis::pipe();
        commands.cmd("GET").arg(key);
        let (value,): (Value,) = self.run("read a record", &commands).await?;
        Ok(value)
    }

    fn invalidate(&self, commands: &mut Pipeline, kind: CacheKind, id: Option<&str>) {
        publish(commands, &self.names.event_channel(kind.word(), "invalidate"), kind.payload(id).as_bytes());
    }

    pub(crate) async fn block_publish(&self, block: &BlockEvent) -> Result<(), StoreError> {
        let payload = json(block);
        let mut commands = redis::pipe();
        let last = self.names.last_block();
        let mut call = scripts::call(&self.scripts.block, [last.as_str()]);
        call.arg(block.height).arg(&payload);
        commands.add_command(call).ignore();
        publish(&mut commands, &self.names.block_channel(), &payload);
        self.run("publish a block", &commands).await
    }

    pub(crate) async fn block_last(&self) -> Result<Option<BlockEvent>, StoreError> {
        let key = self.names.last_block();
        read_json(&key, self.get(&key).await?)
    }

    pub(crate) async fn supplier_put(&self, state: &SupplierState) -> Result<(), StoreError> {
        let mut commands = redis::pipe();
        set(&mut commands, &self.names.supplier(&state.operator_address), &json(state), None);
        self.invalidate(&mut commands, CacheKind::Supplier, Some(&state.operator_address));
        self.run("write a supplier's state", &commands).await
    }

    pub(crate) async fn supplier(&self, supplier: &str) -> Result<Option<SupplierState>, StoreError> {
        let key = self.names.supplier(supplier);
        read_json(&key, self.get(&key).await?)
    }

    pub(crate) async fn suppliers(&self) -> Result<Vec<SupplierState>, StoreError> {
        let keys = self.scan(&format!("{}:*", self.names.supplier_prefix())).await?;
        let mut states = Vec::with_capacity(keys.len());
        for keys in keys.chunks(super::READ_STREAMS_MAX) {
            let mut commands = redis::pipe();
            commands.cmd("MGET").arg(keys);
            let (answer,): (Vec<Value>,) = self.run("read supplier states", &commands).await?;
            for (key, value) in keys.iter().zip(answer) {
                states.extend(read_json::<SupplierState>(key, value)?);
            }
        }
        Ok(states)
    }

    pub(crate) async fn supplier_delete(&self, supplier: &str) -> Result<(), StoreError> {
        let mut commands = redis::pipe();
        commands.cmd("DEL").arg(self.names.supplier(supplier)).ignore();
        self.invalidate(&mut commands, CacheKind::Supplier, Some(supplier));
        self.run("delete a supplier's state", &commands).await
    }

    pub(crate) async fn registry_publish(&self, event: &RegistryEvent) -> Result<(), StoreError> {
        let names = &self.names;
        let key = names.supplier_registry(&event.operator_addr);
        let mut commands = redis::pipe();
        if let Some(record) = RegistryRecord::after(event, clock::unix().seconds()) {
            set(&mut commands, &key, &json(&record), None);
            if event.action != RegistryAction::Draining {
                commands.cmd("SADD").arg(names.supplier_registry_index()).arg(&event.operator_addr).ignore();
            }
        } else {
            commands.cmd("DEL").arg(&key).ignore();
            commands.cmd("SREM").arg(names.supplier_registry_index()).arg(&event.operator_addr).ignore();
        }
        publish(&mut commands, &names.supplier_update_channel(), &json(event));
        self.run("publish a supplier's registry entry", &commands).await
    }

    pub(crate) async fn service_factor_put(
        &self,
        service: Option<&str>,
        factor: f64,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        let names = &self.names;
        let key = service.map_or_else(|| names.service_factor_default(), |service| names.service_factor(service));
        let mut commands = redis::pipe();
        let value = json(&ServiceFactor { factor, updated_at: clock::unix().seconds() });
        set(&mut commands, &key, &value, Some(ttl));
        self.invalidate(&mut commands, CacheKind::ServiceFactor, service);
        self.run("write a service factor", &commands).await
    }

    pub(crate) async fn service_factor(&self, service: &str) -> Result<Option<f64>, StoreError> {
        let keys = [self.names.service_factor(service), self.names.service_factor_default()];
        let mut commands = redis::pipe();
        commands.cmd("MGET").arg(&keys[..]);
        let (answer,): (Vec<Value>,) = self.run("read a service factor", &commands).await?;
        for (key, value) in keys.iter().zip(answer) {
            if let Some(factor) = read_json::<ServiceFactor>(key, value)? {
                return Ok(Some(factor.factor));
            }
        }
        Ok(None)
    }

    pub(crate) async fn rewardable_put(&self, event: &RewardableEvent, ttl: Duration) -> Result<(), StoreError> {
        let mut commands = redis::pipe();
        set(&mut commands, &self.names.session_rewardable(&event.session_id), b"false", Some(ttl));
        publish(&mut commands, &self.names.session_rewardable_channel(), &json(event));
        self.run("mark a session as one that no longer pays", &commands).await
    }

    pub(crate) async fn rewardable(&self, session: &str) -> Result<bool, StoreError> {
        let value = self.get(&self.names.session_rewardable(session)).await?;
        Ok(values::bytes(value).is_none_or(|flag| flag != "false"))
    }

    fn cache_key(&self, kind: CacheKind, id: Option<&str>) -> String {
        id.map_or_else(|| self.names.cache_single(kind.word()), |id| self.names.cache(kind.word(), id))
    }

    pub(crate) async fn cache_put(
        &self,
        kind: CacheKind,
        id: Option<&str>,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<(), StoreError> {
        let mut commands = redis::pipe();
        set(&mut commands, &self.cache_key(kind, id), &value, ttl);
        self.run("write a cache entry", &commands).await
    }

    pub(crate) async fn cache_get(&self, kind: CacheKind, id: Option<&str>) -> Result<Option<Bytes>, StoreError> {
        Ok(values::bytes(self.get(&self.cache_key(kind, id)).await?))
    }

    pub(crate) async fn cache_invalidate(&self, kind: CacheKind, id: Option<&str>) -> Result<(), StoreError> {
        let mut commands = redis::pipe();
        if id.is_some() {
            commands.cmd("DEL").arg(self.cache_key(kind, id)).ignore();
        }
        self.invalidate(&mut commands, kind, id);
        self.run("invalidate a cache entry", &commands).await
    }

    /// Reserves by single-key steps, because the reference's meter keys cannot share a slot.
    ///
    /// A reservation whose answer is lost stays reserved: some relays less are served, never one more.
    pub(crate) async fn meter_reserve(
        &self,
        key: &ChargeKey,
        allowance: &Allowance,
        cost: u64,
        want: u64,
    ) -> Result<Reserved, StoreError> {
        let names = &self.names;
        let consumed = names.meter_consumed(&key.session, &key.supplier);
        let mut commands = redis::pipe();
        let mut call = scripts::call(&self.scripts.reserve, [consumed.as_str()]);
        call.arg(allowance.limit_upokt).arg(cost).arg(want).arg(METER_TTL_SECONDS);
        commands.add_command(call);
        let meta = json(&key.meta(allowance, clock::unix().seconds()));
        let command = commands.cmd("SET").arg(names.meter_meta(&key.session, &key.supplier)).arg(meta);
        command.arg("EX").arg(METER_TTL_SECONDS).arg("NX").ignore();
        let member = format!("{}|{}", key.session, key.supplier);
        commands.cmd("SADD").arg(names.meter_active_sessions()).arg(member).ignore();
        commands.cmd("EXPIRE").arg(names.meter_active_sessions()).arg(METER_TTL_SECONDS).ignore();
        let ((granted, total),): ((u64, u64),) = self.run("charge a relay", &commands).await?;
        Ok(Reserved { granted, total })
    }

    pub(crate) async fn meter_return(&self, session: &str, supplier: &str, unspent: u64) -> Result<(), StoreError> {
        let consumed = self.names.meter_consumed(session, supplier);
        let mut commands = redis::pipe();
        let mut call = scripts::call(&self.scripts.give_back, [consumed.as_str()]);
        call.arg(unspent);
        commands.add_command(call).ignore();
        // Sent once: giving back twice would let more be served than is paid.
        self.control.once(&commands).await.map_err(|error| StoreError::unavailable("return a reservation", error))
    }

    pub(crate) async fn meter_cleanup(&self, session: &str, supplier: &str) -> Result<(), StoreError> {
        let names = &self.names;
        let member = format!("{session}|{supplier}");
        let mut commands = redis::pipe();
        commands.cmd("SREM").arg(names.meter_active_sessions()).arg(&member).ignore();
        commands.cmd("DEL").arg(names.meter_meta(session, supplier)).ignore();
        commands.cmd("DEL").arg(names.meter_consumed(session, supplier)).ignore();
        publish(&mut commands, &names.meter_cleanup_channel(), member.as_bytes());
        self.run("release a meter", &commands).await
    }

    pub(crate) async fn subscribe(&self) -> Result<broadcast::Receiver<Event>, StoreError> {
        let mut listener = self.listener.lock().await;
        let receiver = self.events.subscribe();
        if listener.is_none() {
            let channels = Channels::new(&self.names);
            let connect = listen(&self.client, &channels);
            let messages = tokio::time::timeout(SUBSCRIBE_TIMEOUT, connect)
                .await
                .map_err(|error| StoreError::unavailable("subscribe to events", error))?
                .map_err(|error| StoreError::unavailable("subscribe to events", error))?;
            let forward = forward(self.client.clone(), channels, messages, self.events.clone());
            *listener = Some(task::spawn("store-events", forward).abort_on_drop());
        }
        Ok(receiver)
    }
}

/// The channels we listen to.
struct Channels {
    block: String,
    registry: String,
    rewardable: String,
    cleanup: String,
    caches: Vec<(String, CacheKind)>,
}

impl Channels {
    fn new(names: &Namespace) -> Self {
        let caches = CacheKind::ALL.map(|kind| (names.event_channel(kind.word(), "invalidate"), kind));
        Self {
            block: names.block_channel(),
            registry: names.supplier_update_channel(),
            rewardable: names.session_rewardable_channel(),
            cleanup: names.meter_cleanup_channel(),
            caches: caches.into(),
        }
    }

    fn all(&self) -> Vec<&str> {
        let fixed = [&self.block, &self.registry, &self.rewardable, &self.cleanup];
        fixed.into_iter().chain(self.caches.iter().map(|(name, _)| name)).map(String::as_str).collect()
    }

    /// Reads a message; none if nobody could make sense of it.
    fn read(&self, channel: &str, payload: &[u8]) -> Option<Event> {
        if channel == self.block {
            serde_json::from_slice(payload).ok().map(Event::Block)
        } else if channel == self.registry {
            serde_json::from_slice(payload).ok().map(Event::Registry)
        } else if channel == self.rewardable {
            serde_json::from_slice(payload).ok().map(Event::Rewardable)
        } else if channel == self.cleanup {
            Event::meter_cleanup(payload)
        } else {
            let (_, kind) = self.caches.iter().find(|(name, _)| name == channel)?;
            Some(Event::Invalidate { kind: *kind, id: kind.read_payload(payload) })
        }
    }
}

async fn listen(client: &Client, channels: &Channels) -> Result<redis::aio::PubSub, RedisError> {
    let mut messages = client.get_async_pubsub().await?;
    messages.subscribe(channels.all()).await?;
    Ok(messages)
}

/// Forwards messages for ever; where some may have been missed, says so.
async fn forward(
    client: Client,
    channels: Channels,
    mut messages: redis::aio::PubSub,
    events: broadcast::Sender<Event>,
) {
    loop {
        let (mut sink, mut stream) = messages.split();
        loop {
            tokio::select! {
                biased;
                message = stream.next() => {
                    let Some(message) = message else { break };
                    let channel = message.get_channel_name().to_owned();
                    if let Some(event) = channels.read(&channel, message.get_payload_bytes()) {
                        // Nobody listening is no failure.
                        drop(events.send(event));
                    } else {
                        tracing::warn!(channel, "published message cannot be read and is ignored");
                    }
                }
                // A connection that has died in silence says nothing by itself.
                () = tokio::time::sleep(SILENCE_MAX) => {
                    let answered = tokio::time::timeout(ANSWER_TIMEOUT, sink.ping::<redis::Value>()).await;
                    if !matches!(answered, Ok(Ok(_))) {
                        break;
                    }
                }
            }
        }
        let mut attempt = 0;
        messages = loop {
            match tokio::time::timeout(SUBSCRIBE_TIMEOUT, listen(&client, &channels)).await {
                Ok(Ok(messages)) => break messages,
                Ok(Err(error)) => tracing::debug!(error = %error, "cannot subscribe, trying again"),
                Err(_) => tracing::debug!("cannot subscribe in time, trying again"),
            }
            tokio::time::sleep(RETRY_DELAYS[RETRY_DELAYS.len().min(attempt + 1) - 1]).await;
            attempt += 1;
        };
        drop(events.send(Event::Missed));
    }
}
