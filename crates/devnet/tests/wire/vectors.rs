//! `node/grpc`, `node/rpc`, `node/tx`, `node/blocks` and `node/rpc/websocket.json`: every recorded request is sent to
//! our chain in the recorded situation, over real sockets, and the answers are compared.
//!
//! Compared by value where the answer follows from genesis and the transactions alone. Compared by shape (keys in their
//! order, kinds of values, events with their attributes, codes and words), because the values are the recorded node's
//! private history:
//!
//! - blocks, headers, commits, status: hashes, votes and times of another validator;
//! - accounts and balances: sequences, fees and rewards of transactions from before the recording;
//! - gas used: our gas is an estimate of the same order;
//! - the node's own name: its Go modules (`build_deps`) and version;
//! - sessions whose block hash was not recorded: their id and the order of their suppliers.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use pocket_crypto::hash::sha256;
use pocket_proto::{DESCRIPTOR_SET, cosmos::tx::v1beta1 as tx, json};
use prost::Message;
use serde_json::Value;

use crate::{
    compare::{Json, difference, skeleton, words},
    files,
    situation::{Recorded, adapt, expect_sequence, recording, rename},
    world::{World, unary},
};

/// Methods whose answers are the node's private history, see above.
const BY_SHAPE: [&str; 11] = [
    "cosmos.auth.v1beta1.Query.Account",
    "cosmos.bank.v1beta1.Query.Balance",
    "cosmos.base.node.v1beta1.Service.Status",
    "cosmos.base.tendermint.v1beta1.Service.GetBlockByHeight",
    "cosmos.base.tendermint.v1beta1.Service.GetLatestBlock",
    "cosmos.base.tendermint.v1beta1.Service.GetNodeInfo",
    "cosmos.tx.v1beta1.Service.GetTx",
    "cosmos.tx.v1beta1.Service.GetTxsEvent",
    "cosmos.tx.v1beta1.Service.Simulate",
    "cosmos.tx.v1beta1.Service.BroadcastTx",
    "pocket.session.Query.GetSession",
];

/// One recording, with the height it was taken at.
struct Item {
    height: i64,
    /// Queries come before transactions, which come before the answers about them.
    order: u8,
    captured: String,
    name: String,
    kind: Kind,
    recorded: Value,
}

#[derive(PartialEq, Clone, Copy)]
enum Kind {
    Grpc,
    Rpc,
    Tx,
    Block,
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn result_of(body: &Value) -> Option<Json> {
    body.as_str().map(|text| Json::parse(text).get("result").clone())
}

fn tx_height(recorded: &Value) -> Option<i64> {
    result_of(&recorded["rpc_tx_response_body"])?.get("height").text().parse().ok()
}

/// Returns the height of a recorded block.
fn height_of(block: &Value) -> i64 {
    let height = &block["height"];
    height.as_i64().or_else(|| height.as_str()?.parse().ok()).expect("a block has a height")
}

/// Returns the first number after some words of a text.
fn number_after(text: &str, before: &str) -> Option<i64> {
    let rest = &text[text.find(before)? + before.len()..];
    let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

/// Returns the height at which a transaction was sent.
fn tx_situation(recorded: &Recorded, value: &Value) -> i64 {
    let message = value["simulate"]["error"]["message"].as_str().unwrap_or_default();
    let included = tx_height(value).map(|height| height - 1);
    let sent = || {
        files("node/grpc").into_iter().find_map(|(_, path)| {
            let grpc = recording(&path);
            let same = text(&grpc, "method").ends_with("/BroadcastTx")
                && text(&grpc, "request_hex").contains(text(value, "tx_hex"));
            same.then(|| grpc["response_headers"]["x-cosmos-block-height"][0].as_str()?.parse().ok())?
        })
    };
    // A transaction of which nothing but its bytes was recorded is in one of the recorded blocks.
    let in_block = || {
        let encoded = BASE64_STANDARD.encode(hex::decode(text(value, "tx_hex")).expect("hexadecimal"));
        files("node/blocks").into_iter().find_map(|(_, path)| {
            let block = recording(&path);
            if !text(&block, "response_body").contains(&encoded) {
                return None;
            }
            Some(height_of(&block) - 1)
        })
    };
    let by_time = || {
        let log = value["broadcast"]["response_json"]["tx_response"]["raw_log"].as_str().unwrap_or(message);
        let time = log.strip_prefix("block time: ")?;
        let mut words = time.split(' ');
        let time = pocket_devnet::Time::parse(&format!("{}T{}Z", words.next()?, words.next()?))?;
        (recorded.first..=recorded.last).rev().find(|height| recorded.time_of(*height) <= time)
    };
    let simulated = number_after(message, "current block height (");
    let told = included.or_else(sent).or_else(in_block).or(simulated).or_else(by_time);
    // The rest is refused whatever the height: as early as any other of its kind.
    told.unwrap_or_else(|| {
        let others = files("node/tx").into_iter().filter_map(|(_, path)| tx_height(&recording(&path)));
        others.min().map_or(recorded.last, |height| height - 1)
    })
}

fn items(recorded: &Recorded) -> Vec<Item> {
    let mut items = Vec::new();
    let mut add = |height, order, captured: &str, name: &str, kind, value| {
        let (captured, name) = (captured.to_owned(), name.to_owned());
        items.push(Item { height, order, captured, name, kind, recorded: value });
    };
    let mut sent_at: BTreeMap<String, i64> = BTreeMap::new();
    for (name, path) in files("node/tx") {
        let value = recording(&path);
        let height = tx_situation(recorded, &value);
        sent_at.insert(text(&value, "tx_hex").to_owned(), height);
        add(height, 2, "", &name, Kind::Tx, value);
    }
    for (name, path) in files("node/grpc") {
        let value = recording(&path);
        let message = value["error"]["message"].as_str().unwrap_or_default();
        let told = number_after(message, "current block height (")
            .or_else(|| number_after(message, "last committed block height "));
        let height = match told.or_else(|| value["response_headers"]["x-cosmos-block-height"][0].as_str()?.parse().ok())
        {
            Some(height) => height,
            // A simulation of a transaction whose story is known.
            None if text(&value, "method").ends_with("/Simulate") => {
                let known = sent_at.iter().find(|(tx, _)| text(&value, "request_hex").contains(tx.as_str()));
                known.map_or_else(|| recorded.height_at(text(&value, "captured")), |(_, height)| *height)
            }
            None => recorded.height_at(text(&value, "captured")),
        };
        let captured = text(&value, "captured").to_owned();
        // A transaction that was broadcast counts for the queries after it.
        add(height, 1, &captured, &name, Kind::Grpc, value);
    }
    for (name, path) in files("node/rpc") {
        if name == "websocket.json" {
            continue;
        }
        let value = recording(&path);
        let told = number_after(text(&value, "response_body"), "current blockchain height ");
        let captured = text(&value, "captured").to_owned();
        let height = told.unwrap_or_else(|| recorded.height_at(&captured));
        add(height, 3, &captured, &name, Kind::Rpc, value);
    }
    for (name, path) in files("node/blocks") {
        let value = recording(&path);
        let height = height_of(&value);
        add(height, 4, "", &name, Kind::Block, value);
    }
    items.sort_by(|a, b| (a.height, a.order, &a.captured, &a.name).cmp(&(b.height, b.order, &b.captured, &b.name)));
    items
}

/// What our chain has been through.
struct Replay {
    world: World,
    recorded: Recorded,
    outputs: BTreeMap<String, String>,
    /// Sessions and transactions that have other names here, ours by the recorded.
    names: BTreeMap<String, String>,
    /// What came of transactions that were broadcast, by recorded bytes: code, codespace, log.
    sent: BTreeMap<Vec<u8>, (u32, String, String)>,
    counts: BTreeMap<String, usize>,
    by_value: usize,
    failures: Vec<String>,
}

/// Returns the type of the answer of every method in the descriptors.
fn outputs() -> BTreeMap<String, String> {
    let set = prost_types::FileDescriptorSet::decode(DESCRIPTOR_SET).expect("our descriptors");
    let mut outputs = BTreeMap::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                outputs.insert(path, method.output_type().trim_start_matches('.').to_owned());
            }
        }
    }
    outputs
}

impl Replay {
    async fn new() -> Self {
        Self {
            world: World::open().await,
            recorded: Recorded::read(),
            outputs: outputs(),
            names: BTreeMap::new(),
            sent: BTreeMap::new(),
            counts: BTreeMap::new(),
            by_value: 0,
            failures: Vec::new(),
        }
    }

    fn count(&mut self, kind: &str) {
        *self.counts.entry(kind.to_owned()).or_insert(0) += 1;
    }

    fn go_to(&mut self, height: i64) {
        while self.world.chain.height() < height {
            self.recorded.make_block(&self.world.chain);
            self.names.extend(self.recorded.renamed(&self.world.chain));
        }
    }

    fn ours(&self, tx: &[u8], wrong_chain: bool) -> Vec<u8> {
        let sessions: BTreeMap<String, String> = self
            .names
            .iter()
            .filter(|(from, _)| from.bytes().all(|byte| !byte.is_ascii_uppercase()))
            .map(|(a, b)| (a.clone(), b.clone()))
            .collect();
        adapt(tx, &self.world.chain, &sessions, wrong_chain)
    }

    /// Remembers the hash under which a recorded transaction goes here.
    fn remember(&mut self, recorded: &[u8], ours: &[u8]) {
        let (from, to) = (sha256(recorded), sha256(ours));
        if from != to {
            self.names.insert(hex::encode(from), hex::encode(to));
            self.names.insert(hex::encode_upper(from), hex::encode_upper(to));
            self.names.insert(BASE64_STANDARD.encode(from), BASE64_STANDARD.encode(to));
        }
    }

    /// Sends a request of `node/grpc` or of a transaction's story; returns the answer as JSON, or code and message.
    async fn call(
        &self,
        method: &str,
        metadata: &[(String, String)],
        request: Vec<u8>,
    ) -> Result<(Json, i64), (i32, String)> {
        let answered = unary(self.world.grpc(), method, metadata, request).await;
        match answered {
            Ok((bytes, headers)) => {
                let height = headers.get("x-cosmos-block-height").map(|value| value.to_str().expect("text").to_owned());
                let text = json::to_json_string(&self.outputs[method], &bytes).expect("an answer of its type");
                Ok((Json::parse(&text), height.expect("the height is answered").parse().expect("a number")))
            }
            Err(status) => Err((i32::from(status.code()), status.message().to_owned())),
        }
    }

    async fn grpc(&mut self, item: &Item) {
        let (name, recorded) = (&item.name, &item.recorded);
        let method = text(recorded, "method").to_owned();
        let bytes = hex::decode(text(recorded, "request_hex")).expect("hexadecimal");
        let mut metadata = Vec::new();
        if let Some(fields) = recorded["request_metadata"].as_object() {
            for (key, values) in fields {
                metadata.push((key.clone(), values[0].as_str().expect("text").to_owned()));
            }
        }
        let log = recorded["error"]["message"].as_str().unwrap_or_default();
        let request = match method.rsplit('/').next().expect("a name") {
            "Simulate" => {
                let mut simulate = tx::SimulateRequest::decode(bytes.as_slice()).expect("a request");
                simulate.tx_bytes = self.ours(&simulate.tx_bytes, false);
                expect_sequence(&self.world.chain, &simulate.tx_bytes, log);
                simulate.encode_to_vec()
            }
            "BroadcastTx" => {
                let mut broadcast = tx::BroadcastTxRequest::decode(bytes.as_slice()).expect("a request");
                let theirs = broadcast.tx_bytes.clone();
                broadcast.tx_bytes = self.ours(&theirs, false);
                self.remember(&theirs, &broadcast.tx_bytes);
                expect_sequence(&self.world.chain, &broadcast.tx_bytes, log);
                self.sent.insert(theirs, (0, String::new(), String::new()));
                broadcast.encode_to_vec()
            }
            _ => rename(&bytes, &self.names),
        };
        let answered = self.call(&method, &metadata, request).await;
        let service = name.rsplitn(4, '.').last().unwrap_or_default();
        let error = &recorded["error"];
        match (answered, error.is_object()) {
            (Err((code, message)), true) => {
                if i64::from(code) != error["code"].as_i64().expect("a code")
                    || words(&message) != words(&renamed_text(text(error, "message"), &self.names))
                {
                    self.failures.push(format!("{name}: recorded {error}, ours {code} {message}"));
                }
            }
            (Ok((mut ours, height)), false) => {
                let told: i64 = recorded["response_headers"]["x-cosmos-block-height"][0]
                    .as_str()
                    .expect("a height")
                    .parse()
                    .expect("a number");
                if height != told {
                    self.failures.push(format!("{name}: recorded at {told}, ours at {height}"));
                }
                let recorded_text = renamed_text(&recorded["response_json"].to_string(), &self.names);
                let mut theirs =
                    json_of_answer(&self.outputs[&method], text(recorded, "response_hex"), &recorded_text, &self.names);
                if service == "cosmos.base.tendermint.v1beta1.Service.GetNodeInfo" {
                    for json in [&mut ours, &mut theirs] {
                        for key in ["build_deps", "name", "app_name", "version", "go_version", "rpc_address"] {
                            json.without(key);
                        }
                    }
                }
                if service == "cosmos.auth.v1beta1.Query.Account" {
                    // Our genesis gives every account its key.
                    ours.without("pub_key");
                    theirs.without("pub_key");
                }
                let same_session = service == "pocket.session.Query.GetSession"
                    && !renamed_in(&recorded["response_json"], &self.names);
                if BY_SHAPE.contains(&service) && !same_session {
                    if skeleton(&theirs) != skeleton(&ours) {
                        self.failures.push(difference(name, &skeleton(&theirs), &skeleton(&ours)));
                    }
                } else if theirs == ours {
                    self.by_value += 1;
                } else {
                    self.failures.push(difference(name, &format!("{theirs:?}"), &format!("{ours:?}")));
                }
            }
            (answered, _) => {
                self.failures.push(format!("{name}: recorded {error}, ours {answered:?}"));
            }
        }
        self.count(&format!("grpc {service}"));
    }

    async fn rpc(&mut self, item: &Item) {
        let (name, recorded) = (&item.name, &item.recorded);
        let body = renamed_text(text(recorded, "request_body"), &self.names);
        let tx = serde_json::from_str::<Value>(text(recorded, "request_body")).ok();
        let tx = tx.and_then(|call| BASE64_STANDARD.decode(call["params"]["tx"].as_str()?).ok());
        let body = match &tx {
            Some(theirs) => {
                let ours = self.ours(theirs, false);
                body.replace(&BASE64_STANDARD.encode(theirs), &BASE64_STANDARD.encode(ours))
            }
            None => body,
        };
        let address = self.world.bound.rpc_addr;
        let answer = self.world.http(address, text(recorded, "http_method"), text(recorded, "path"), &body).await;
        let header = |key: &str| recorded["response_headers"][key][0].as_str().map(str::to_owned);
        assert_eq!(i64::from(answer.status), recorded["status"].as_i64().expect("a status"), "{name}: {}", answer.body);
        assert_eq!(Some(answer.content_type), header("Content-Type"), "{name}");
        assert_eq!(answer.cache_control, header("Cache-Control"), "{name}");
        assert_eq!(answer.server_time.is_some(), header("X-Server-Time").is_some(), "{name}");
        let theirs = renamed_text(text(recorded, "response_body"), &self.names);
        if theirs.starts_with('{') {
            let (theirs, ours) = (skeleton(&without_build(&theirs)), skeleton(&without_build(&answer.body)));
            if theirs != ours {
                self.failures.push(difference(name, &theirs, &ours));
            }
        } else {
            assert_eq!(answer.body, theirs, "{name}");
        }
        self.count(&format!("rpc {}", name.split('.').next().unwrap_or_default()));
    }

    async fn tx(&mut self, item: &Item) {
        let (name, recorded) = (&item.name, &item.recorded);
        let theirs = hex::decode(text(recorded, "tx_hex")).expect("hexadecimal");
        assert_eq!(hex::encode_upper(sha256(&theirs)), text(recorded, "tx_hash"), "{name}");
        let broadcast = &recorded["broadcast"];
        let (code, codespace, log) = broadcast_result(broadcast);
        let ours = self.ours(&theirs, code == 4);
        self.remember(&theirs, &ours);
        if recorded["simulate"].is_object() && !self.sent.contains_key(&theirs) {
            let message = recorded["simulate"]["error"]["message"].as_str().unwrap_or_default();
            expect_sequence(&self.world.chain, &ours, message);
            let simulate = tx::SimulateRequest { tx_bytes: ours.clone(), ..Default::default() }.encode_to_vec();
            let answered = self.call("/cosmos.tx.v1beta1.Service/Simulate", &[], simulate).await;
            let hex = text(&recorded["simulate"], "response_hex");
            match answered {
                Err((code, ours)) if hex.is_empty() => {
                    let theirs = renamed_text(message, &self.names);
                    if code != 2 || words(&ours) != words(&theirs) {
                        self.failures.push(format!("{name}: simulated\n recorded {theirs}\n ours     {ours}"));
                    }
                }
                Ok((ours, _)) if !hex.is_empty() => {
                    let theirs = json_of_answer("cosmos.tx.v1beta1.SimulateResponse", hex, "", &self.names);
                    if skeleton(&theirs) != skeleton(&ours) {
                        self.failures.push(difference(
                            &format!("{name} simulated"),
                            &skeleton(&theirs),
                            &skeleton(&ours),
                        ));
                    }
                }
                other => self.failures.push(format!("{name}: simulated: recorded {message}, ours {other:?}")),
            }
        }
        if !self.sent.contains_key(&theirs) {
            expect_sequence(&self.world.chain, &ours, &log);
            let result = if broadcast["rpc_response_body"].is_string() {
                let body = format!(
                    r#"{{"id":7,"jsonrpc":"2.0","method":"broadcast_tx_sync","params":{{"tx":"{}"}}}}"#,
                    BASE64_STANDARD.encode(&ours)
                );
                let answer = self.world.rpc(&body).await;
                broadcast_result(&serde_json::json!({ "rpc_response_body": answer.body }))
            } else {
                let request = tx::BroadcastTxRequest { tx_bytes: ours.clone(), mode: 2 }.encode_to_vec();
                let (answer, _) =
                    self.call("/cosmos.tx.v1beta1.Service/BroadcastTx", &[], request).await.expect("an answer");
                let answer = answer.get("tx_response").clone();
                let code = if let Json::Number(code) = answer.get("code") { code.parse().expect("a code") } else { 0 };
                (code, answer.get("codespace").text().to_owned(), answer.get("raw_log").text().to_owned())
            };
            let theirs_log = renamed_text(&log, &self.names);
            if (result.0, &result.1) != (code, &codespace) || words(&result.2) != words(&theirs_log) {
                self.failures.push(format!(
                    "{name}: broadcast\n recorded {code} {codespace} {theirs_log}\n ours     {result:?}"
                ));
            }
            self.sent.insert(theirs, result);
        }
        self.count("tx broadcast");
    }

    /// Compares what came of a transaction, once its block is made.
    async fn tx_outcome(&mut self, item: &Item) {
        let (name, recorded) = (&item.name, &item.recorded);
        let hash = renamed_text(text(recorded, "tx_hash"), &self.names);
        if let Some(theirs) = recorded["rpc_tx_response_body"].as_str() {
            let hash = BASE64_STANDARD.encode(hex::decode(&hash).expect("hexadecimal"));
            let answer = self
                .world
                .rpc(&format!(r#"{{"id":7,"jsonrpc":"2.0","method":"tx","params":{{"hash":"{hash}","prove":false}}}}"#))
                .await;
            let theirs = Json::parse(&renamed_text(theirs, &self.names));
            let ours = Json::parse(&answer.body);
            if theirs.at(&["result", "height"]) != ours.at(&["result", "height"])
                || skeleton(&theirs) != skeleton(&ours)
            {
                self.failures.push(difference(&format!("{name} by tx"), &skeleton(&theirs), &skeleton(&ours)));
            }
            self.count("tx by rpc");
        }
        let hex = text(&recorded["get_tx"], "response_hex");
        if !hex.is_empty() {
            let request = tx::GetTxRequest { hash: hash.to_lowercase() }.encode_to_vec();
            let (ours, _) =
                self.call("/cosmos.tx.v1beta1.Service/GetTx", &[], request).await.expect("it is in a block");
            let theirs = json_of_answer("cosmos.tx.v1beta1.GetTxResponse", hex, "", &self.names);
            if skeleton(&theirs) != skeleton(&ours) {
                self.failures.push(difference(&format!("{name} by GetTx"), &skeleton(&theirs), &skeleton(&ours)));
            }
            self.count("tx by GetTx");
        }
    }

    async fn block(&mut self, item: &Item) {
        let (name, recorded) = (&item.name, &item.recorded);
        let method = name.split('.').next().expect("a name");
        let answer = self.world.uri(&format!("/{method}?height={}", item.height)).await;
        let mut theirs = Json::parse(&renamed_text(text(recorded, "response_body"), &self.names));
        let mut ours = Json::parse(&answer.body);
        for json in [&mut theirs, &mut ours] {
            json.without("id");
            sort_checks(json);
        }
        if skeleton(&theirs) != skeleton(&ours) {
            self.failures.push(difference(name, &skeleton(&theirs), &skeleton(&ours)));
        }
        self.count(&format!("blocks {method}"));
    }
}

/// The node validates proofs in parallel and reports them in any order.
fn sort_checks(json: &mut Json) {
    if let Json::Object(fields) = json {
        for (name, value) in fields {
            if let (true, Json::List(events)) = (name == "finalize_block_events" || name == "events", &mut *value) {
                let is_check = |event: &Json| event.get("type").text().ends_with("EventProofValidityChecked");
                let mut checks: Vec<Json> = events.iter().filter(|event| is_check(event)).cloned().collect();
                checks.sort_by_key(|event| format!("{event:?}"));
                let mut checks = checks.into_iter();
                for event in events.iter_mut().filter(|event| is_check(event)) {
                    *event = checks.next().expect("as many as there were");
                }
            }
            sort_checks(value);
        }
    }
}

fn code_of(result: &Value) -> u32 {
    result["code"].as_u64().map_or(0, |code| u32::try_from(code).expect("a code"))
}

fn broadcast_result(broadcast: &Value) -> (u32, String, String) {
    if let Some(body) = broadcast["rpc_response_body"].as_str() {
        let answer: Value = serde_json::from_str(body).expect("JSON");
        let result = &answer["result"];
        let code = code_of(result);
        let log = answer["error"]["data"].as_str().unwrap_or_else(|| text(result, "log"));
        return (code, text(result, "codespace").to_owned(), log.to_owned());
    }
    let response = &broadcast["response_json"]["tx_response"];
    let code = code_of(response);
    (code, text(response, "codespace").to_owned(), text(response, "raw_log").to_owned())
}

fn renamed_text(text: &str, names: &BTreeMap<String, String>) -> String {
    String::from_utf8(rename(text.as_bytes(), names)).expect("text stays text")
}

/// Tells whether an answer names anything that has another name here.
fn renamed_in(answer: &Value, names: &BTreeMap<String, String>) -> bool {
    let text = answer.to_string();
    names.keys().any(|name| text.contains(name.as_str()))
}

/// Returns a recorded answer in the order of our encoder's keys: from its bytes, with our names in place of the recorded.
fn json_of_answer(kind: &str, hex: &str, fallback: &str, names: &BTreeMap<String, String>) -> Json {
    if hex.is_empty() {
        return Json::parse(if fallback.is_empty() { "{}" } else { fallback });
    }
    let bytes = rename(&hex::decode(hex).expect("hexadecimal"), names);
    let text = json::to_json_string(kind, &bytes).expect("an answer of its type");
    Json::parse(&text)
}

fn without_build(text: &str) -> Json {
    let mut json = Json::parse(text);
    for key in ["version", "rpc_address", "moniker"] {
        if !matches!(json.at(&["result", "node_info", key]), Json::Null) {
            json.without(key);
        }
    }
    json
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vectors_recorded_requests_are_answered_as_by_the_node() {
    let mut replay = Replay::new().await;
    let items = items(&replay.recorded);
    let mut waiting: Vec<&Item> = Vec::new();
    for item in &items {
        if item.height > replay.world.chain.height() {
            let sent = std::mem::take(&mut waiting);
            if !sent.is_empty() {
                let next = replay.world.chain.height() + 1;
                replay.go_to(next);
                for item in sent {
                    replay.tx_outcome(item).await;
                }
            }
            replay.go_to(item.height);
        }
        match item.kind {
            Kind::Grpc => replay.grpc(item).await,
            Kind::Rpc => replay.rpc(item).await,
            Kind::Tx => {
                replay.tx(item).await;
                waiting.push(item);
            }
            Kind::Block => replay.block(item).await,
        }
    }
    for (kind, count) in &replay.counts {
        println!("node {kind}: {count} cases");
    }
    println!("node grpc answers equal by value: {}", replay.by_value);
    assert!(replay.failures.is_empty(), "{} differ:\n{}", replay.failures.len(), replay.failures.join("\n"));
}

#[test]
fn vectors_every_folder_of_recordings_is_read() {
    let known = ["README.md", "blocks", "genesis.json", "grpc", "path.json", "redis.json", "rpc", "tx"];
    for (name, _) in files("node") {
        assert!(known.contains(&name.as_str()), "node/{name} is read by no test");
    }
}
