//! The reference on the wire: its refusals over HTTP, situation by situation, and its answers, byte for byte.
//!
//! The recordings were made on another chain, so each refused situation is made anew here and what the caller sees is
//! compared: the status, and the body with addresses, ids and numbers left out. The reference's bodies may carry a source
//! path of its build machine, and quotes that make them no JSON; those are compared without.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pocket_config::document;
use pocket_config::relayer::Relayer;
use pocket_protocol::relay;
use pocket_runtime::net::{self, TcpListener};
use pocket_store::{SupplierState, SupplierStatus};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Options, PATIENCE, Reply, SERVICE, Shape, World, address, call, key, stranger, until, world};

fn folder() -> PathBuf {
    let vectors = std::env::var_os("POCKET_VECTORS").map(PathBuf::from);
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/tests/vectors");
    vectors.filter(|folder| folder.join("transports").is_dir()).unwrap_or(own).join("transports")
}

/// The recordings of a kind, by name.
fn recordings(kind: &str) -> BTreeMap<String, Value> {
    let files = std::fs::read_dir(folder().join(kind)).expect("the recordings are there");
    let read = files.map(|file| {
        let path = file.expect("readable").path();
        let text = std::fs::read_to_string(&path).expect("readable");
        assert!(!text.trim().is_empty(), "{} is empty", path.display());
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    });
    read.collect()
}

/// The first answer of the relayer in a recording.
fn answer(recording: &Value) -> &Value {
    let items = recording["client_leg"].as_array().expect("a leg");
    items.iter().find(|item| item["dir"] == "relayer->client" && item["status"] != 100).expect("an answer")
}

/// A text without what differs between chains and builds.
fn plain(text: &str) -> String {
    let text = text.split(" [<gopath>").next().unwrap_or(text).trim_end_matches("\"}");
    let mut plain = String::new();
    for word in text.split_inclusive([' ', ',', ':', '"', '{', '}', '\\']) {
        let bare: String = word.chars().filter(|character| !"\\\"{}".contains(*character)).collect();
        let core = bare.trim_end_matches([' ', ',', ':']);
        let is_id = core.len() == 64 && core.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_number = !core.is_empty() && core.bytes().all(|byte| byte.is_ascii_digit());
        if is_id || is_number || core.starts_with("pokt1") {
            plain.push_str("<>");
            plain.push_str(&bare[core.len()..]);
        } else {
            plain.push_str(&bare);
        }
    }
    plain.trim().to_owned()
}

/// How far our body is the reference's.
#[derive(Clone, Copy)]
enum Body {
    Same,
    /// Beyond this it words what another program said.
    Begins(&'static str),
    /// A 200, whose body is a signed answer.
    Signed,
}

#[derive(Clone, Copy)]
struct Expect {
    status: Option<u16>,
    body: Body,
}

/// As the reference.
const SAME: Expect = Expect { status: None, body: Body::Same };

fn begins(text: &'static str) -> Expect {
    Expect { status: None, body: Body::Begins(text) }
}

/// What a situation sends, and what is expected of it.
struct Situation {
    body: Vec<u8>,
    headers: Vec<(&'static str, &'static str)>,
    expect: Expect,
}

impl Situation {
    fn of(shape: Shape) -> Self {
        Self { body: relay::request_bytes(&shape.signed()), headers: Vec::new(), expect: SAME }
    }

    fn raw(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), headers: Vec::new(), expect: SAME }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn expecting(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }
}

/// Situations that need something that is made elsewhere, each with the test that makes it.
const ELSEWHERE: [(&str, &str); 3] = [
    ("http-short-body", "refusals::a_body_that_breaks_off_is_refused"),
    ("http-supplier-corrupt", "suppliers::the_registry_decides_where_it_has_an_entry"),
    ("http-rpc-type-websocket-on-ws-service", "refusals::a_backend_type_that_is_not_configured_is_unavailable"),
];

#[expect(clippy::too_many_lines, reason = "a list of situations, one after another")]
async fn situation(world: &World, name: &str) -> Option<Situation> {
    let shape = world.shape().await;
    let other_id = "ab".repeat(32);
    let header = |change: &dyn Fn(&mut pocket_proto::pocket::session::SessionHeader)| {
        let mut shape = world.shape_in_now();
        change(&mut shape.header);
        shape
    };
    let supplier = |supplier: String| Shape { supplier, ..world.shape_in_now() };
    let ring = |ring: Vec<_>, signer| Shape { ring, signer, ..world.shape_in_now() };
    let bytes = |request| relay::request_bytes(&request);
    let signature = |change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let mut request = world.shape_in_now().signed();
        let meta = request.meta.as_mut().expect("set");
        meta.signature = change(meta.signature.to_vec()).into();
        Situation::raw(bytes(request))
    };
    let no_session = begins("error:relay validation failed: failed to get session: ");
    Some(match name {
        "http-empty-body" | "http-get-no-body" | "http-options" => Situation::raw(""),
        "http-malformed-body" => Situation::raw([0xff; 64]),
        "http-json-body" => Situation::raw("{\"jsonrpc\":\"2.0\",\"method\":\"eth_blockNumber\",\"params\":[],\"id\":1}"),
        "http-gzip-body" => Situation::raw([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1, 2, 3]).with("content-encoding", "gzip"),
        "http-truncated" => {
            let good = bytes(shape.signed());
            Situation::raw(&good[..good.len() / 2])
        }
        "http-payload-not-http" => Situation::of(Shape { payload: b"{\"id\":1}".to_vec(), ..shape }),
        "http-no-service-id" => Situation::of(header(&|header| header.service_id.clear())),
        "http-no-session-header" => {
            let mut request = shape.signed();
            request.meta.as_mut().expect("set").session_header = None;
            Situation::raw(bytes(request))
        }
        "http-unknown-service" => Situation::of(header(&|header| header.service_id = "no-such-service".into())),
        "http-no-supplier" => Situation::of(supplier(String::new())),
        "http-garbage-supplier" => Situation::of(supplier("hello".into())),
        "http-unknown-supplier" => Situation::of(supplier(address("validator1"))),
        "http-body-over-default-limit" => Situation::raw(vec![0; 262_145]),
        "http-body-over-service-limit" => {
            let mut payload = call("/");
            payload.extend_from_slice(&[0x22, 0x80, 0x80, 0x04]);
            payload.extend_from_slice(&vec![b' '; 65_536]);
            Situation::of(Shape { payload, ..shape })
        }
        "http-zero-heights" => Situation::of(header(&|header| {
            (header.session_start_block_height, header.session_end_block_height) = (0, 0);
        })),
        "http-negative-height" => Situation::of(header(&|header| header.session_start_block_height = -1)),
        "http-end-before-start" => Situation::of(header(&|header| header.session_end_block_height = 1)),
        "http-far-future-session" => Situation::of(header(&|header| {
            header.session_start_block_height += 20_000;
            header.session_end_block_height += 20_000;
        })),
        "http-future-session" => Situation::of(header(&|header| {
            header.session_start_block_height += 10;
            header.session_end_block_height += 10;
        }))
        .expecting(no_session),
        "http-empty-session-id" => Situation::of(header(&|header| header.session_id.clear())),
        "http-wrong-session-id" => Situation::of(header(&|header| header.session_id.clone_from(&other_id))),
        "http-wrong-session-start" => Situation::of(header(&|header| header.session_start_block_height -= 1)),
        "http-wrong-session-end" => Situation::of(header(&|header| header.session_end_block_height += 1)),
        "http-expired-session" => Situation::of(world.shape_in(&*world.session_at(1).await)),
        "http-just-expired-session" => Situation::of(world.shape_in(&*world.session_at(11).await)),
        "http-no-application" => Situation::of(header(&|header| header.application_address.clear())),
        "http-garbage-application" => Situation::of(header(&|header| header.application_address = "hello".into())),
        // The session is asked for before its ring is made, so the refusal comes a step earlier.
        "http-missing-application" => {
            Situation::of(header(&|header| header.application_address = stranger().address().to_string()))
                .expecting(begins("error:relay validation failed: "))
        }
        "http-app-of-other-service" => {
            Situation::of(header(&|header| header.application_address = address("app2"))).expecting(no_session)
        }
        "http-no-signature" => signature(&|_| Vec::new()),
        // The reference panics.
        "http-short-signature" => {
            let body = Body::Begins("error:relay validation failed: ring signature verification failed: ");
            signature(&|signature| signature[..3].to_vec()).expecting(Expect { status: Some(403), body })
        }
        "http-truncated-signature" => signature(&|signature| signature[..signature.len() - 1].to_vec()).expecting(begins(
            "error:relay validation failed: ring signature verification failed: error deserializing ring signature: ",
        )),
        "http-flipped-signature" => signature(&|mut signature| {
            // In the first response: every point stays one.
            signature[75] ^= 1;
            signature
        }),
        "http-tampered-payload" => {
            let mut request = shape.signed();
            request.payload = call("/").into();
            Situation::raw(bytes(request))
        }
        "http-tampered-supplier" => {
            let mut request = shape.signed();
            request.meta.as_mut().expect("set").supplier_operator_address = address("supplier2");
            Situation::raw(bytes(request))
        }
        "http-stranger-ring" => {
            Situation::of(ring(vec![stranger().public_key(), key("gateway1").public_key()], stranger()))
        }
        "http-gateway-signs-stranger-ring" => {
            Situation::of(ring(vec![stranger().public_key(), key("gateway1").public_key()], key("gateway1")))
        }
        "http-supplier-not-in-session" => Situation::of(supplier(stranger().address().to_string())),
        "http-supplier-key-not-held" => registered(world, SupplierStatus::Active, true, &[SERVICE]).await,
        "http-supplier-unstaking" => registered(world, SupplierStatus::Unstaking, true, &[SERVICE]).await,
        "http-supplier-not-staked" => registered(world, SupplierStatus::NotStaked, false, &[SERVICE]).await,
        "http-supplier-wrong-service" => registered(world, SupplierStatus::Active, true, &["develop-grpc"]).await,
        "http-supplier-no-services" => registered(world, SupplierStatus::Active, true, &[]).await,
        "http-over-allowance" => {
            world.store.service_factor_put(Some(SERVICE), 0.000_000_001, Duration::from_mins(10)).await.expect("written");
            Situation::of(shape)
        }
        "http-rpc-type-cometbft" => Situation::of(shape).with("rpc-type", "5"),
        "http-rpc-type-foo" => Situation::of(shape).with("rpc-type", "foo"),
        "http-rpc-type-grpc" => Situation::of(shape).with("rpc-type", "1"),
        "http-rpc-type-number-9" => Situation::of(shape).with("rpc-type", "9"),
        "http-rpc-type-uppercase" => Situation::of(shape).with("rpc-type", "JSONRPC"),
        "http-rpc-type-websocket" => Situation::of(shape).with("rpc-type", "2"),
        "http-two-rpc-types" => Situation::of(shape)
            .with("rpc-type", "3")
            .with("rpc-type", "2")
            .expecting(Expect { status: None, body: Body::Signed }),
        _ => return None,
    })
}

/// Writes a registry entry of a supplier whose key is not held, and waits until the relayer follows it.
async fn registered(world: &World, status: SupplierStatus, staked: bool, services: &[&str]) -> Situation {
    let supplier = address("supplier9");
    let state = SupplierState {
        status,
        staked,
        services: Some(services.iter().map(|&service| service.to_owned()).collect()),
        staked_endpoints: Vec::new(),
        unstake_session_end_height: 0,
        operator_address: supplier.clone(),
        owner_address: String::new(),
        last_updated: 0,
        last_refresh_session_start: 0,
        updated_by: String::new(),
    };
    world.store.supplier_put(&state).await.expect("written");
    let situation = Situation::of(Shape { supplier, ..world.shape().await });
    if !services.is_empty() {
        // Without an entry it is "not registered"; with one it is something else.
        until("the entry is followed", || async {
            !world.post(situation.body.clone(), &[]).await.text().contains("not registered")
        })
        .await;
    }
    situation
}

impl World {
    fn shape_in_now(&self) -> Shape {
        let height = self.chain.height();
        let session = self.chain.known_session(&address("app1"), SERVICE, height).expect("asked for before");
        self.shape_in(&session)
    }
}

#[track_caller]
fn compare(name: &str, recorded: &Value, reply: &Reply, expect: Expect) {
    let status = expect.status.map_or_else(|| recorded["status"].as_u64().expect("a status"), u64::from);
    assert_eq!(u64::from(reply.status), status, "{name}: {}", reply.text());
    let theirs = plain(recorded["body_text"].as_str().unwrap_or_default());
    let ours = plain(&reply.text());
    match expect.body {
        Body::Same => assert_eq!(ours, theirs, "{name}"),
        Body::Begins(text) => {
            assert!(ours.starts_with(text), "{name}: {ours}");
            assert!(expect.status.is_some() || theirs.starts_with(text), "{name}: {theirs}");
        }
        Body::Signed => drop(reply.verified("supplier1")),
    }
}

#[tokio::test]
async fn vectors_refusals_are_the_references() {
    let recordings = recordings("refuse");
    let http: Vec<&String> = recordings.keys().filter(|name| name.starts_with("http-")).collect();
    assert!(!http.is_empty());
    let mut cases = 0;
    for name in http {
        if let Some((_, test)) = ELSEWHERE.iter().find(|(elsewhere, _)| elsewhere == name) {
            println!("transports/refuse/{name}: made by {test}");
            continue;
        }
        let options = Options {
            suppliers: vec![key("supplier1"), key("supplier2"), stranger()],
            settings: "default_max_body_size_bytes: 262144".to_owned(),
            service: "    max_body_size_bytes: 65536".to_owned(),
            ..Options::default()
        };
        let world = world(options).await;
        // Two sessions have passed, as in the recordings.
        world.advance(20).await;
        let situation = situation(&world, name).await;
        let situation = situation.unwrap_or_else(|| panic!("refuse/{name} is a situation that no test makes"));
        let reply = world.post(situation.body, &situation.headers).await;
        compare(name, answer(&recordings[name]), &reply, situation.expect);
        cases += 1;
    }
    println!("transports/refuse http: {cases} cases");
}

/// A backend that answers any request with these bytes.
async fn replay(bytes: Vec<u8>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr();
    drop(pocket_runtime::task::spawn("recorded backend", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 64 << 10];
            let mut read = 0;
            // Requests of these tests end with the brace of their JSON, or have no body.
            while !request[..read].ends_with(b"}") {
                match stream.read(&mut request[read..]).await {
                    Ok(more) if more > 0 => read += more,
                    _ => break,
                }
            }
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
    }));
    address
}

fn body_of(item: &Value) -> Vec<u8> {
    match (item["body_hex"].as_str(), item["body_text"].as_str()) {
        (Some(text), _) => hex::decode(text).expect("hexadecimal"),
        (None, Some(text)) => text.as_bytes().to_vec(),
        (None, None) => Vec::new(),
    }
}

#[tokio::test]
async fn vectors_answers_are_wrapped_as_the_reference_wraps_them() {
    let mut cases = 0;
    for (name, recording) in recordings("ok") {
        let recorded = answer_if_any(&recording);
        let backend =
            recording["backend_leg"].as_array().into_iter().flatten().find(|item| item["dir"] == "backend->relayer");
        // Those of the reference's own tool and of HTTP/2 hold no single exchange over HTTP/1.
        let (Some(recorded), Some(backend)) = (recorded, backend) else {
            println!("transports/ok/{name}: no plain exchange to compare");
            continue;
        };
        if name.starts_with("cli-") || recorded["relay_response"]["payload_as_http_response"].is_null() {
            println!("transports/ok/{name}: no plain exchange to compare");
            continue;
        }
        let mut bytes = format!("{}\r\n", backend["start_line"].as_str().expect("a start line")).into_bytes();
        for header in backend["headers"].as_array().expect("headers") {
            let text = |at: usize| header[at].as_str().expect("text");
            bytes.extend_from_slice(format!("{}: {}\r\n", text(0), text(1)).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&body_of(backend));
        let address = replay(bytes).await;
        let backends = format!("      cometbft: {{url: \"http://{address}\"}}");
        let world = world(Options { backends, ..Options::default() }).await;
        let body = relay::request_bytes(&world.shape().await.signed());
        let reply = world.post(body, &[("rpc-type", "5")]).await;
        let (response, inner) = reply.verified("supplier1");
        let expected = &recorded["relay_response"];
        if name.contains("gzip") {
            // The reference keeps the length of the packed body beside the plain one.
            assert_eq!(inner.body_bz, body_of(&expected["payload_as_http_response"]), "{name}");
            assert!(!inner.header.contains_key("Content-Encoding"), "{name}");
        } else {
            assert_eq!(
                hex::encode(&response.payload_hash),
                expected["payload_hash_hex"].as_str().expect("text"),
                "{name}"
            );
        }
        cases += 1;
    }
    assert!(cases > 10, "most recordings hold a plain exchange, {cases} were compared");
    println!("transports/ok http: {cases} cases");
}

fn answer_if_any(recording: &Value) -> Option<&Value> {
    recording["client_leg"].as_array()?.iter().find(|item| item["dir"] == "relayer->client" && item["status"] == 200)
}

#[tokio::test]
async fn vectors_failures_of_backends_look_like_the_references() {
    let mut cases = 0;
    for (name, recording) in recordings("backend") {
        let (path, settings) = match name.as_str() {
            "500" | "503" | "599" => (format!("/x/status/{name}"), ""),
            "abort" => ("/x/abort".to_owned(), ""),
            "timeout" => ("/x/hang".to_owned(), "timeout_profiles: {fast: {request_timeout_seconds: 1}}"),
            "response-large" => ("/x/bytes/40000".to_owned(), ""),
            "response-too-large" => ("/x/bytes/2000".to_owned(), "limits: {response_bytes_max: 1000}"),
            "after-500" | "reset" | "reset2" | "breaker-recovers" => ("/".to_owned(), ""),
            "down-and-breaker" | "client-gone" => {
                println!("transports/backend/{name}: made by a test of its own");
                continue;
            }
            other => panic!("backend/{other} is a situation that no test makes"),
        };
        let world = world(Options { settings: settings.to_owned(), ..Options::default() }).await;
        let reply = world.relay(&path).await;
        let recorded = answer(&recording);
        let body = if recorded["status"] == 200 { Body::Signed } else { Body::Same };
        compare(&name, recorded, &reply, Expect { status: None, body });
        cases += 1;
    }
    println!("transports/backend http: {cases} cases");
}

#[tokio::test]
async fn relays_come_over_http2_with_prior_knowledge_too() {
    let world = world(Options::default()).await;
    let mut stream = net::connect(&world.relayer.addr.to_string()).await.expect("connects");
    // The preface and an empty SETTINGS frame; the server answers with its own.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("sent");
    let mut head = [0; 9];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut head)).await.expect("in time").expect("readable");
    assert_eq!(head[3], 4, "a SETTINGS frame");
}

#[test]
fn vectors_the_references_settings_are_taken_as_they_are() {
    let text = std::fs::read_to_string(folder().join("relayer-config.yaml")).expect("readable");
    let keys = tempfile::tempdir().expect("a folder");
    let file = keys.path().join("supplier-keys.yaml");
    let line = format!("keys:\n  - {}\n", *key("supplier1").to_hex_secret());
    pocket_runtime::fs::write_private(&file, line.as_bytes()).expect("a key file");
    let text = text.replace("supplier-keys.yaml", &file.display().to_string());
    let loaded = document::load::<Relayer>(&text).unwrap_or_else(|error| panic!("{error}"));
    let check = pocket_relayer::check(&loaded.settings).expect("good");
    let said = check.lines.join("\n");
    for expected in [
        "services: develop-cometbft, develop-grpc, develop-http, develop-stream, develop-websocket",
        "durability: process",
        "store: redis",
        &format!("supplier {}", address("supplier1")),
    ] {
        assert!(said.contains(expected), "{said}");
    }
}
