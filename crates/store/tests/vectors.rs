//! The boundary between relayers and miners, as recorded from the reference: names, messages, records, events.
//!
//! Reads the folder in `POCKET_VECTORS`, else the copies in `crates/protocol/tests/vectors`. Every case of every kind is
//! either checked or named as pending with the reason; a kind or case that is neither fails.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use libtest_mimic::{Arguments, Failed, Trial};
use pocket_store::boundary::StakedEndpoint;
use pocket_store::{
    Allowance, AppendError, BlockEvent, CacheKind, Charge, ChargeKey, Durability, MinedRelay, Namespace,
    RegistryAction, RegistryEvent, Store, StoreOptions, SupplierState, SupplierStatus,
};
use pocket_testbed::redis::{Need, needs};
use pocket_testbed::{Config, RedisServer, Version};
use prost::Message as _;
use serde_json::Value;

/// Cases of kind `redis`, by how their names begin, that no process of ours writes or reads yet.
const PENDING: [(&str, &str); 7] = [
    ("cache-session", "read by Go relayers alone; ours keep sessions in process"),
    ("cache-shared-params-at-height", "read by Go relayers alone; ours keep parameters in process"),
    ("dedup", "Go miners among themselves"),
    ("session-", "Go miners among themselves; read when a fleet moves"),
    ("smst-", "Go miners among themselves; read when a fleet moves"),
    ("tx-track", "Go miners among themselves"),
    ("rebroadcast", "Go miners among themselves"),
];

/// A case whose name begins as a pending one does, and which is checked.
const NOT_PENDING: &str = "cache-session-nonrewardable";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let need = needs(Version::V7_0);
    let ignored = matches!(need, Need::Skip { .. });
    let tests: [(&str, bool, Check); 5] = [
        ("vectors_redis_kinds_are_known", false, kinds_are_known),
        ("vectors_redis_key_names", false, key_names),
        ("vectors_redis_mined_relays", false, mined_relays),
        ("vectors_redis_keyspace", true, keyspace),
        ("vectors_node_redis_keyspace", false, node_keyspace),
    ];
    let mut trials = Vec::new();
    for (name, needs_server, check) in tests {
        for (of, recording) in [("", Recording::read as fn() -> _), ("_of_others", Recording::of_others)] {
            let need = need.clone();
            let test = move || match need {
                Need::Fail { reason } if needs_server => Err(Failed::from(reason)),
                _ => check(&recording()).map_err(|error| Failed::from(format!("{error:#}"))),
            };
            trials.push(Trial::test(format!("{name}{of}"), test).with_ignored_flag(needs_server && ignored));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

type Check = fn(&Recording) -> anyhow::Result<()>;

/// What was recorded, or the same as if it had been recorded of others.
struct Recording {
    folder: PathBuf,
    others: bool,
}

impl Recording {
    fn read() -> Self {
        let folder = std::env::var_os("POCKET_VECTORS")
            .map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/tests/vectors").into(), PathBuf::from);
        Self { folder, others: false }
    }

    /// Another recording of the same kinds, as far as one can be made of this: every address, every session and every
    /// service is another, in texts and inside messages. Nothing that is checked may be known beforehand.
    fn of_others() -> Self {
        Self { others: true, ..Self::read() }
    }

    fn load(&self, name: &str) -> anyhow::Result<Value> {
        let path = self.folder.join(name);
        let mut text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        if self.others {
            for (from, to) in renamed(&text) {
                // Hexadecimal of JSON or protobuf; as long as before, so that lengths hold.
                text = text.replace(&from, &to).replace(&hex::encode(&from), &hex::encode(&to));
            }
        }
        serde_json::from_str(&text).with_context(|| format!("parse {}", path.display()))
    }

    /// Returns the cases of `redis.json` of one kind, or of all.
    fn cases(&self, kind: Option<&str>) -> anyhow::Result<Vec<Value>> {
        let file = self.load("redis.json")?;
        let all = file["cases"].as_array().context("redis.json has no cases")?;
        let is_wanted = |case: &&Value| kind.is_none_or(|kind| case["kind"] == kind);
        let found: Vec<Value> = all.iter().filter(is_wanted).cloned().collect();
        ensure!(!found.is_empty(), "redis.json has no cases of kind {kind:?}");
        Ok(found)
    }
}

/// Returns other names for the addresses, sessions and services in a text, each turned round behind its prefix.
fn renamed(text: &str) -> BTreeMap<String, String> {
    let words = text.split(|character: char| !(character.is_ascii_alphanumeric() || "-_".contains(character)));
    let mut renamed = BTreeMap::new();
    for word in words.collect::<BTreeSet<_>>() {
        let is_session =
            word.len() == 64 && text.contains(&format!(":{word}")) && word.chars().all(|c| c.is_ascii_hexdigit());
        let kept = match word.len() {
            43 if word.starts_with("pokt1") => "pokt1",
            64 if is_session => "",
            _ if word.starts_with("develop-") => "develop-",
            _ => continue,
        };
        let turned: String = word[kept.len()..].chars().rev().collect();
        renamed.insert(word.to_owned(), format!("{kept}{turned}"));
    }
    renamed
}

fn name_of(case: &Value) -> &str {
    case["name"].as_str().unwrap_or_default()
}

fn unhex(value: &Value) -> anyhow::Result<Bytes> {
    Ok(hex::decode(value.as_str().with_context(|| format!("{value} is not hex"))?)?.into())
}

/// Reads a number that may be written as text because of its size.
fn number<T: std::str::FromStr>(value: &Value) -> anyhow::Result<T> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.parse().ok().with_context(|| format!("{value} is not such a number"))
}

fn kinds_are_known(recording: &Recording) -> anyhow::Result<()> {
    let mut counted: BTreeMap<String, usize> = BTreeMap::new();
    for case in recording.cases(None)? {
        let kind = case["kind"].as_str().context("a case has no kind")?;
        match kind {
            // The last is the relayer's: how an answer is signed.
            "key_names" | "mined_relay" | "process_relay" | "redis" | "delivered_response" => {}
            unknown => bail!("unknown kind {unknown}"),
        }
        *counted.entry(kind.to_owned()).or_default() += 1;
    }
    for (kind, count) in counted {
        println!("redis.json {kind}: {count} cases");
    }
    Ok(())
}

fn key_names(recording: &Recording) -> anyhow::Result<()> {
    let cases = recording.cases(Some("key_names"))?;
    for case in &cases {
        let prefix = |name: &str| case["namespace"][name].as_str().unwrap_or_default().to_owned();
        let names = Namespace {
            base: prefix("base_prefix"),
            cache: prefix("cache_prefix"),
            events: prefix("events_prefix"),
            streams: prefix("streams_prefix"),
            miner: prefix("miner_prefix"),
            supplier: prefix("supplier_prefix"),
            meter: prefix("meter_prefix"),
            params: prefix("params_prefix"),
            consumer_group: prefix("consumer_group_prefix"),
            meter_key: String::new(),
        }
        .or_defaults();
        let argument = |name: &str| case["args"][name].as_str().unwrap_or_default();
        let supplier = argument("supplier");
        let session = argument("session");
        let end: i64 = number(&case["args"]["session_end"])?;
        let keys = case["keys"].as_object().context("a case has no keys")?;
        for (name, expected) in keys {
            let ours = match name.as_str() {
                "block_channel" => names.block_channel(),
                "cache" => names.cache(argument("type"), argument("id")),
                "cache_known" => names.cache_known(argument("type")),
                "cache_lock" => names.cache_lock(argument("type"), argument("id")),
                "consumer_group" => names.consumer_group(),
                "event_channel" => names.event_channel(argument("type"), argument("event")),
                "global_leader" => names.global_leader(),
                "meter_active_sessions" => names.meter_active_sessions(),
                "meter_cleanup_channel" => names.meter_cleanup_channel(),
                "miner_active" => names.miner_active(),
                "miner_claim" => names.miner_claim(supplier),
                "miner_dedup_prefix" => names.miner_dedup_prefix(),
                "miner_instance" => names.miner_instance(argument("instance")),
                "miner_leader_prefix" => names.miner_leader_prefix(),
                "miner_session" => names.miner_session(supplier, session),
                "miner_session_state_index" => names.miner_sessions_state(supplier, argument("state")),
                "miner_sessions_index" => names.miner_sessions_index(supplier),
                "proof_params" | "session_params" | "shared_params" => names.cache_single(name),
                "proof_params_lock" => names.cache_lock_single("proof_params"),
                "shared_params_lock" => names.cache_lock_single("shared_params"),
                "rebroadcast" => names.rebroadcast(argument("phase"), supplier, end),
                "rebroadcast_index" => names.rebroadcast_index(argument("phase")),
                "service_factor_default" => names.service_factor_default(),
                "service_factor_service" => names.service_factor(argument("service")),
                "session_rewardable_channel" => names.session_rewardable_channel(),
                "shared_params_height_invalidate_channel" => names.shared_params_height_invalidate_channel(),
                "simulation_replay" => names.simulation_replay(argument("hash")),
                "smst_live_root" => names.smst(supplier, session, "live_root"),
                "smst_nodes" => names.smst(supplier, session, "nodes"),
                "smst_root" => names.smst(supplier, session, "root"),
                "smst_stats" => names.smst(supplier, session, "stats"),
                "stream_prefix" => names.stream_prefix(),
                "supplier_params_invalidate_channel" => names.supplier_params_invalidate_channel(),
                "supplier_prefix" => names.supplier_prefix(),
                "supplier_update_channel" => names.supplier_update_channel(),
                "suppliers_registry_index" => names.supplier_registry_index(),
                "suppliers_registry_prefix" => {
                    names.supplier_registry("").strip_suffix(':').context("a prefix")?.to_owned()
                }
                "tx_track" => names.tx_track(supplier, end, session),
                unknown => bail!("{}: unknown name {unknown}", name_of(case)),
            };
            ensure!(ours == expected.as_str().unwrap_or_default(), "{} {name}: {ours}, not {expected}", name_of(case));
        }
    }
    println!("redis.json key_names: {} cases", cases.len());
    Ok(())
}

fn mined_relays(recording: &Recording) -> anyhow::Result<()> {
    let plain = recording.cases(Some("mined_relay"))?;
    for case in &plain {
        let message = &case["message"];
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        let relay = MinedRelay {
            relay_hash: unhex(&message["relay_hash"])?,
            relay_bytes: unhex(&message["relay_bytes"])?,
            compute_units_per_relay: number(&message["compute_units_per_relay"])?,
            session_id: text("session_id"),
            session_end_height: number(&message["session_end_height"])?,
            supplier_operator_address: text("supplier_operator_address"),
            service_id: text("service_id"),
            application_address: text("application_address"),
            arrival_block_height: number(&message["arrival_block_height"])?,
            published_at_unix_nano: number(&message["published_at_unix_nano"])?,
            session_start_height: number(&message["session_start_height"])?,
        };
        let bytes = unhex(&case["bytes"])?;
        ensure!(relay.encode_to_vec() == bytes, "{}: other bytes", name_of(case));
        ensure!(MinedRelay::parse(bytes)? == relay, "{}: reads otherwise", name_of(case));
    }
    println!("redis.json mined_relay: {} cases", plain.len());

    let processed = recording.cases(Some("process_relay"))?;
    for case in &processed {
        let bytes = unhex(&case["mined_relay"])?;
        let relay = MinedRelay::parse(bytes.clone())?;
        ensure!(relay.encode_to_vec() == bytes, "{}: other bytes", name_of(case));
        ensure!(relay.relay_bytes == unhex(&case["relay_bytes"])?, "{}: other relay", name_of(case));
        ensure!(relay.relay_hash == unhex(&case["relay_hash"])?, "{}: other hash", name_of(case));
    }
    println!("redis.json process_relay: {} cases", processed.len());
    Ok(())
}

/// Returns whether a key is one of our own, which the reference does not know.
fn is_own(key: &str) -> bool {
    key.contains('{') || key == "ha:known:suppliers" || key == "ha:block:last"
}

fn keyspace(recording: &Recording) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let server = RedisServer::start(Version::V7_0, Config::forgetful()).await?;
        let (mut checked, mut pending) = (0, Vec::new());
        for case in recording.cases(Some("redis"))? {
            let name = name_of(&case).to_owned();
            let is_pending = |(prefix, _): &&(&str, &str)| name.starts_with(prefix) && !name.starts_with(NOT_PENDING);
            if let Some((_, reason)) = PENDING.iter().find(is_pending) {
                println!("redis.json redis {name}: pending ({reason})");
                pending.push(name);
                continue;
            }
            check_keyspace(&server, &case).await.with_context(|| name.clone())?;
            checked += 1;
        }
        ensure!(checked > 0, "no case was checked");
        println!("redis.json redis: {checked} cases, {} pending", pending.len());
        Ok(())
    })
}

/// Does what the reference did and compares the whole keyspace and everything that was published.
async fn check_keyspace(server: &RedisServer, case: &Value) -> anyhow::Result<()> {
    server.command(&["FLUSHALL"])?;
    let client = redis::Client::open(server.url())?;
    let mut messages = client.get_async_pubsub().await?;
    messages.psubscribe("*").await?;
    let options = StoreOptions {
        // Reserving ahead would show in the meter before it is spent.
        meter_reserve_relays: 1,
        ..StoreOptions::new(Namespace::default(), Durability::Process)
    };
    let store = Store::redis(&server.url(), options).await?;
    act(&store, case).await?;

    let expected: Vec<(String, String)> = case["published"]
        .as_array()
        .context("a case has no list of what was published")?
        .iter()
        .map(|message| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&message["channel"]), text(&message["payload"]["text"]))
        })
        .collect();
    let mut published = Vec::new();
    {
        use futures_util::StreamExt as _;
        let mut stream = messages.on_message();
        while published.len() < expected.len() {
            let message = tokio::time::timeout(Duration::from_secs(10), stream.next()).await;
            let message = message.with_context(|| format!("only {published:?} was published"))?.context("it ended")?;
            published.push((message.get_channel_name().to_owned(), message.get_payload::<String>()?));
        }
        // What comes before the answer to a ping was published before it; nothing more may.
        let more = tokio::time::timeout(Duration::from_millis(20), stream.next()).await;
        ensure!(more.is_err(), "more was published: {more:?}");
    }
    ensure!(published == expected, "published {published:?}, not {expected:?}");

    let mut connection = client.get_multiplexed_async_connection().await?;
    let present: BTreeSet<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await?;
    let present: BTreeSet<&str> = present.iter().map(String::as_str).filter(|key| !is_own(key)).collect();
    let recorded = case["keys"].as_array().context("a case has no keys")?;
    let wanted: BTreeSet<&str> = recorded.iter().filter_map(|key| key["key"].as_str()).collect();
    ensure!(present == wanted, "keys {present:?}, not {wanted:?}");
    for key in recorded {
        check_key(&mut connection, key).await.with_context(|| key["key"].to_string())?;
    }
    Ok(())
}

/// A stream's entry: its id, its fields.
type Entry = (String, Vec<(String, Vec<u8>)>);

async fn check_key(connection: &mut redis::aio::MultiplexedConnection, recorded: &Value) -> anyhow::Result<()> {
    let key = recorded["key"].as_str().context("a key has no name")?;
    let kind: String = redis::cmd("TYPE").arg(key).query_async(connection).await?;
    ensure!(recorded["type"] == kind.as_str(), "it is a {kind}");
    let ttl: i64 = redis::cmd("TTL").arg(key).query_async(connection).await?;
    match recorded["ttl_seconds"].as_i64() {
        // A stream that expires takes unread relays with it: ours does not, on purpose.
        _ if kind == "stream" => ensure!(ttl == -1, "the stream expires in {ttl} s"),
        None => ensure!(ttl == -1, "it expires in {ttl} s"),
        Some(wanted) => ensure!((wanted - 2..=wanted).contains(&ttl), "it expires in {ttl} s, not {wanted}"),
    }
    match kind.as_str() {
        "string" => {
            let value: Vec<u8> = redis::cmd("GET").arg(key).query_async(connection).await?;
            let wanted = match recorded["value"]["hex"].as_str() {
                Some(hex) => hex::decode(hex)?,
                None => recorded["value"]["text"].as_str().context("a value has no text")?.as_bytes().to_vec(),
            };
            let (value, wanted) = (without_times(&value), without_times(&wanted));
            ensure!(value == wanted, "{}, not {}", String::from_utf8_lossy(&value), String::from_utf8_lossy(&wanted));
        }
        "set" => {
            let members: BTreeSet<String> = redis::cmd("SMEMBERS").arg(key).query_async(connection).await?;
            let wanted = recorded["members"].as_array().context("a set has no members")?;
            let wanted: BTreeSet<String> =
                wanted.iter().filter_map(|member| member["text"].as_str()).map(str::to_owned).collect();
            ensure!(members == wanted, "{members:?}, not {wanted:?}");
        }
        "stream" => {
            let entries: Vec<Entry> = redis::cmd("XRANGE").arg(key).arg("-").arg("+").query_async(connection).await?;
            let wanted = recorded["entries"].as_array().context("a stream has no entries")?;
            ensure!(entries.len() == wanted.len(), "{} entries, not {}", entries.len(), wanted.len());
            for ((_, fields), wanted) in entries.iter().zip(wanted) {
                let [(field, value)] = fields.as_slice() else { bail!("{} fields, not one", fields.len()) };
                ensure!(wanted["field"] == field.as_str(), "field {field}");
                let wanted = unhex(&wanted["value"])?;
                let (mut ours, mut theirs) = (MinedRelay::decode(&value[..])?, MinedRelay::decode(wanted.clone())?);
                if *value != wanted {
                    // Only the time of publishing may differ.
                    ours.published_at_unix_nano = 0;
                    theirs.published_at_unix_nano = 0;
                    ensure!(ours == theirs, "another relay");
                }
            }
        }
        other => bail!("no check of type {other}"),
    }
    Ok(())
}

/// Replaces the numbers that say when something was written, whose values nobody can repeat.
fn without_times(value: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(value) else { return value.to_vec() };
    let mut text = text.to_owned();
    for field in ["last_updated", "updated_at", "created_at"] {
        let marker = format!("\"{field}\":");
        if let Some(start) = text.find(&marker).map(|at| at + marker.len()) {
            let digits = text[start..].bytes().take_while(u8::is_ascii_digit).count();
            text.replace_range(start..start + digits, "0");
        }
    }
    text.into_bytes()
}

/// Returns what the recorded key says of its subject, where the case's input leaves it out.
fn named<'a>(case: &'a Value, prefix: &str) -> anyhow::Result<&'a str> {
    let mut keys = case["keys"].as_array().into_iter().flatten().filter_map(|key| key["key"].as_str());
    keys.find_map(|key| key.strip_prefix(prefix)).with_context(|| format!("no recorded key begins with {prefix}"))
}

/// Returns the text of an invalidation's only field.
fn published_id(case: &Value) -> Option<String> {
    let payload = case["published"].get(0)?["payload"]["text"].as_str()?;
    let payload: BTreeMap<String, String> = serde_json::from_str(payload).ok()?;
    payload.into_values().next()
}

async fn act(store: &Store, case: &Value) -> anyhow::Result<()> {
    let name = name_of(case);
    let input = &case["input"];
    let payload = || -> anyhow::Result<Value> {
        let text = case["published"][0]["payload"]["text"].as_str().context("the recording has no message")?;
        serde_json::from_str(text).context("its message is not JSON")
    };
    if name.starts_with("stream-publish") {
        return publish_relays(store, case).await;
    }
    if name.starts_with("meter-") && !name.starts_with("meter-cleanup") {
        return meter(store, case).await;
    }
    if let Some(kind) = name.strip_prefix("invalidate-") {
        let kind = CacheKind::ALL.into_iter().find(|known| known.word() == kind).context("unknown cache")?;
        return Ok(store.cache_invalidate(kind, None).await?);
    }
    if name.starts_with("block-event") {
        let event = BlockEvent {
            height: number(&input["height"])?,
            hash: unhex(&input["hash"])?.into(),
            timestamp: input["timestamp"].as_str().unwrap_or_default().to_owned(),
        };
        return Ok(store.block_publish(&event).await?);
    }
    if let Some(action) = name.strip_prefix("supplier-registry-") {
        let action = match action.split('-').next().unwrap_or_default() {
            "add" => RegistryAction::Add,
            "update" => RegistryAction::Update,
            "draining" => RegistryAction::Draining,
            "remove" => RegistryAction::Remove,
            unknown => bail!("unknown action {unknown}"),
        };
        let services = input["services"].as_array().into_iter().flatten();
        let services = services.filter_map(Value::as_str).map(str::to_owned).collect();
        let operator_addr = payload()?["operator_addr"].as_str().context("no operator")?.to_owned();
        let event = RegistryEvent { action, operator_addr, services, reason: String::new() };
        return Ok(store.registry_publish(&event).await?);
    }
    let recorded = case["keys"].as_array().context("a case has no keys")?;
    let ttl = recorded.first().and_then(|key| key["ttl_seconds"].as_u64()).map(Duration::from_secs);
    if name.starts_with("supplier-state-delete") {
        let id = payload()?["operator_address"].as_str().unwrap_or_default().to_owned();
        store.supplier_put(&SupplierState { operator_address: id.clone(), ..not_staked() }).await?;
        store.supplier_delete(&id).await?;
    } else if name.starts_with("supplier-state-") {
        store.supplier_put(&supplier_state(case)?).await?;
    } else if name.starts_with("cache-") && name.ends_with("-invalidate") {
        let kind = cache_kind(name.trim_start_matches("cache-").trim_end_matches("-invalidate"))?;
        let id = published_id(case).context("the recorded message names nobody")?;
        store.cache_invalidate(kind, Some(&id)).await?;
    } else if name.starts_with(NOT_PENDING) {
        let id = named(case, "ha:cache:session:rewardable:")?;
        let reason = payload()?["reason"].as_str().unwrap_or_default().to_owned();
        store.session_unrewardable(id, &reason, ttl.context("the flag has no time to live")?).await?;
    } else if let Some(kind) = name.strip_prefix("cache-") {
        let kind = cache_kind(kind)?;
        let field = match kind {
            CacheKind::Account => "public_key",
            CacheKind::SharedParams | CacheKind::ProofParams => "params",
            other => other.word(),
        };
        let id = kind.id_field().map(|_| named(case, &format!("ha:cache:{}:", kind.word()))).transpose()?;
        store.cache_put(kind, id, unhex(&input[field])?, ttl).await?;
    } else if name.starts_with("service-factors") {
        for key in recorded {
            let service = key["key"].as_str().and_then(|key| key.strip_prefix("ha:service_factor:service:"));
            let value: Value = serde_json::from_str(key["value"]["text"].as_str().unwrap_or_default())?;
            store
                .service_factor_put(service, value["factor"].as_f64().context("no factor")?, ttl.context("no ttl")?)
                .await?;
        }
    } else if name.starts_with("meter-cleanup") {
        let text = case["published"][0]["payload"]["text"].as_str().unwrap_or_default();
        let (session, supplier) = text.split_once('|').context("no `|` in the recorded message")?;
        store.meter_cleanup(session, supplier).await?;
    } else {
        bail!("no check for case {name}");
    }
    Ok(())
}

/// Reads a cache's word as a case's name begins with it.
fn cache_kind(name: &str) -> anyhow::Result<CacheKind> {
    let name = name.replace('-', "_");
    let mut kinds = CacheKind::ALL.into_iter().filter(|kind| name.starts_with(kind.word()));
    kinds.next().with_context(|| format!("unknown cache {name}"))
}

async fn publish_relays(store: &Store, case: &Value) -> anyhow::Result<()> {
    let bytes = &case["input"]["message_bytes"];
    let messages = bytes.as_array().cloned().unwrap_or_else(|| vec![bytes.clone()]);
    for message in messages {
        let result = store.append(MinedRelay::parse(unhex(&message)?)?).await;
        if case["go"]["ok"] == true {
            result?;
        } else {
            let Err(AppendError::Invalid { reason }) = &result else { bail!("{result:?}") };
            ensure!(case["go"]["error"] == *reason, "{reason}");
        }
    }
    Ok(())
}

fn not_staked() -> SupplierState {
    SupplierState {
        status: SupplierStatus::NotStaked,
        staked: false,
        services: None,
        staked_endpoints: Vec::new(),
        unstake_session_end_height: 0,
        operator_address: String::new(),
        owner_address: String::new(),
        last_updated: 0,
        last_refresh_session_start: 0,
        updated_by: String::new(),
    }
}

/// Returns the state that the recorded record describes, built from its facts and not from its text.
fn supplier_state(case: &Value) -> anyhow::Result<SupplierState> {
    let text = case["keys"][0]["value"]["text"].as_str().context("the record has no text")?;
    let value: Value = serde_json::from_str(text)?;
    let word = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let status = match case["input"]["status"].as_str().unwrap_or_default() {
        "active" => SupplierStatus::Active,
        "unstaking" => SupplierStatus::Unstaking,
        "not_staked" => SupplierStatus::NotStaked,
        unknown => bail!("unknown status {unknown}"),
    };
    let endpoints = value["staked_endpoints"].as_array().into_iter().flatten();
    Ok(SupplierState {
        status,
        staked: value["staked"] == true,
        services: value["services"]
            .as_array()
            .map(|services| services.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        staked_endpoints: endpoints
            .map(|endpoint| StakedEndpoint {
                service_id: endpoint["service_id"].as_str().unwrap_or_default().to_owned(),
                rpc_type: endpoint["rpc_type"].as_str().unwrap_or_default().to_owned(),
            })
            .collect(),
        unstake_session_end_height: value["unstake_session_end_height"].as_u64().unwrap_or(0),
        operator_address: word("operator_address"),
        owner_address: word("owner_address"),
        last_updated: 0,
        last_refresh_session_start: value["last_refresh_session_start"].as_i64().unwrap_or(0),
        updated_by: word("updated_by"),
    })
}

async fn meter(store: &Store, case: &Value) -> anyhow::Result<()> {
    let input = &case["input"];
    let get = |name: &str| number::<u64>(&input[name]);
    let units = get("compute_units_per_relay")? * get("compute_units_to_tokens_multiplier")?;
    let cost = units / get("compute_unit_cost_granularity")?;
    let stake = get("app_stake")?;
    let pending = get("window_offsets_sum")?.div_ceil(get("num_blocks_per_session")?) + 1;
    let factor: f64 = number(&input["service_factor"])?;
    let has_factor = input["has_service_factor"] == true;
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
    let limit =
        if has_factor { (stake as f64 * factor) as u64 } else { stake / get("num_suppliers_per_session")? / pending };
    let word = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
    let meta = case["keys"].as_array().context("no keys")?.iter().find_map(|key| {
        let is_meta = key["key"].as_str()?.ends_with(":meta");
        is_meta.then(|| serde_json::from_str::<Value>(key["value"]["text"].as_str().unwrap_or_default()).ok())?
    });
    let meta = meta.context("the recording has no meter facts")?;
    let fact = |name: &str| meta[name].as_str().unwrap_or_default().to_owned();
    let key = ChargeKey {
        session: word("session_id"),
        application: fact("app_address"),
        service: fact("service_id"),
        supplier: word("supplier"),
        session_end_height: meta["session_end_height"].as_i64().unwrap_or(0),
    };
    let allowance =
        Allowance { limit_upokt: limit, app_stake_upokt: stake, service_factor: has_factor.then_some(factor) };
    for wanted in case["allowed"].as_array().context("a meter case says nothing of what was allowed")? {
        let charged = store.charge(&key, cost, &allowance).await?;
        ensure!(*wanted == matches!(charged, Charge::Charged { .. }), "{charged:?}, not {wanted}");
    }
    if input["revert_one"] == true {
        store.refund(&key, cost);
    }
    Ok(store.meter_return_all().await?)
}

/// What a real relayer and a real miner left in Redis: every key and message is one that we name, read or leave alone.
fn node_keyspace(recording: &Recording) -> anyhow::Result<()> {
    let file = recording.load("node/redis.json")?;
    let names = Namespace::default();
    let snapshots = file["snapshots"].as_object().context("no snapshots")?;
    ensure!(!snapshots.is_empty(), "no snapshots");
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for snapshot in snapshots.values() {
        for key in snapshot["changed_or_new"].as_array().context("a snapshot has no keys")? {
            let family = check_recorded(&names, key).with_context(|| key["key"].to_string())?;
            *counted.entry(family).or_default() += 1;
        }
    }
    let added = file["stream_xadd"].as_array().context("no stream entries")?;
    for entry in added {
        let words: Vec<Bytes> =
            entry["args_hex"].as_array().context("no words")?.iter().map(unhex).collect::<Result<_, _>>()?;
        let [command, stream, id, field, data] = words.as_slice() else { bail!("{} words", words.len()) };
        ensure!(command.eq_ignore_ascii_case(b"xadd") && id == "*" && field == "data");
        let relay = MinedRelay::parse(data.clone())?;
        ensure!(relay.problem().is_none(), "{:?}", relay.problem());
        ensure!(*stream == names.stream(&relay.supplier_operator_address), "{stream:?}");
        ensure!(relay.encode_to_vec() == *data, "a relay is written otherwise");
    }
    *counted.entry("stream entries").or_default() += added.len();
    let channels = file["pubsub"]["examples"].as_object().context("no messages")?;
    for (channel, examples) in channels {
        for example in examples.as_array().context("no examples")? {
            check_message(&names, channel, &unhex(&example["hex"])?).with_context(|| channel.clone())?;
            *counted.entry("messages").or_default() += 1;
        }
    }
    for (family, count) in counted {
        ensure!(count > 0);
        println!("node/redis.json {family}: {count} cases");
    }
    Ok(())
}

fn round_trip<T: serde::Serialize + serde::de::DeserializeOwned>(text: &[u8]) -> anyhow::Result<T> {
    let value: T = serde_json::from_slice(text)?;
    let ours = serde_json::to_vec(&value)?;
    ensure!(ours == text, "{} is written as {}", String::from_utf8_lossy(text), String::from_utf8_lossy(&ours));
    Ok(value)
}

fn check_recorded(names: &Namespace, recorded: &Value) -> anyhow::Result<&'static str> {
    let key = recorded["key"].as_str().context("a key has no name")?;
    let value = || -> anyhow::Result<Bytes> { unhex(&recorded["value"]["hex"]) };
    if let Some(address) = key.strip_prefix(&format!("{}:", names.supplier_prefix())) {
        let state: SupplierState = round_trip(&value()?)?;
        ensure!(names.supplier(&state.operator_address) == key && address == state.operator_address);
        ensure!(recorded["pttl"] == -1, "supplier states live for ever");
        return Ok("supplier states");
    }
    if key.starts_with("ha:meter:") {
        if key.ends_with(":meta") {
            let meta: pocket_store::boundary::MeterMeta = round_trip(&value()?)?;
            ensure!(names.meter_meta(&meta.session_id, &meta.supplier_address) == key);
        } else if key.ends_with(":consumed") {
            ensure!(std::str::from_utf8(&value()?)?.parse::<u64>().is_ok());
        } else {
            ensure!(key == names.meter_active_sessions());
        }
        return Ok("meter");
    }
    if key == names.supplier_registry_index() || key.starts_with(&names.supplier_registry("")) {
        return Ok("supplier registry");
    }
    if key.starts_with(&format!("{}:", names.stream_prefix())) {
        ensure!(recorded["type"] == "stream");
        return Ok("streams");
    }
    for (kind, family) in [
        (CacheKind::Application, "cached applications"),
        (CacheKind::Service, "cached services"),
        (CacheKind::Account, "cached accounts"),
    ] {
        if key.starts_with(&names.cache(kind.word(), "")) {
            ensure!(kind != CacheKind::Account || value()?.len() == 33, "a public key has 33 bytes");
            return Ok(family);
        }
    }
    // The reference's own, which we neither write nor read yet.
    let others = [
        names.cache_single(""),
        format!("{}:{}:", names.base, names.miner),
        "ha:smst:".to_owned(),
        "ha:tx:track:".to_owned(),
    ];
    ensure!(others.iter().any(|prefix| key.starts_with(prefix)), "a key of no known family");
    Ok("of Go replicas alone (pending)")
}

fn check_message(names: &Namespace, channel: &str, payload: &[u8]) -> anyhow::Result<()> {
    if channel == names.block_channel() {
        let block: BlockEvent = round_trip(payload)?;
        ensure!(block.hash.len() == 32 && block.height > 0);
    } else if channel == names.supplier_update_channel() {
        round_trip::<RegistryEvent>(payload)?;
    } else if channel == names.supplier_params_invalidate_channel() {
        ensure!(payload == b"refresh");
    } else if channel == names.meter_cleanup_channel() {
        let (session, supplier) = std::str::from_utf8(payload)?.split_once('|').context("no `|`")?;
        ensure!(!session.is_empty() && supplier.starts_with("pokt1"));
    } else if channel == names.session_rewardable_channel() {
        round_trip::<pocket_store::boundary::RewardableEvent>(payload)?;
    } else {
        let kind = CacheKind::ALL.into_iter().find(|kind| names.event_channel(kind.word(), "invalidate") == channel);
        kind.context("a channel that nobody names")?;
        serde_json::from_slice::<BTreeMap<String, String>>(payload)?;
    }
    Ok(())
}
