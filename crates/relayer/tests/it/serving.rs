//! What is answered, what the backend sees of it, and what is said around it.

use pocket_proto::sdk::types::PokthttpRequest;
use pocket_protocol::{http as inner, relay};
use pocket_store::{Durability, Namespace, Store, StoreOptions};

use crate::support::{Gate, Options, PATIENCE, SERVICE, Shape, address, backend, call, key, until, values, world};

#[tokio::test]
async fn a_relay_is_served_signed_and_logged() {
    let world = world(Options::default()).await;
    let request = world.shape().await.signed();
    let reply = world.send(&request).await;
    let (response, answer) = reply.verified("supplier1");
    assert_eq!(reply.headers["content-type"], "application/json");
    assert_eq!(answer.status_code, 200);
    assert_eq!(answer.body_bz, br#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#);
    assert_eq!(values(&answer)["Content-Type"], ["application/json"]);
    let meta = response.meta.as_ref().expect("set");
    assert_eq!(meta.session_header, request.meta.as_ref().expect("set").session_header);

    let mut reader = world.store.reader("test", PATIENCE);
    let suppliers = [address("supplier1")];
    let entries = reader.take(&suppliers, 10, PATIENCE).await.expect("entries");
    let [entry] = &entries[..] else { panic!("one entry: {entries:?}") };
    let pocket_store::Delivered::Relay(mined) = &entry.relay else { panic!("a relay") };
    let stored = relay::stored_relay(&request, &response);
    assert_eq!(mined.relay_bytes, stored.bytes, "the relay of the trie is the answer delivered, without its payload");
    assert_eq!(mined.relay_hash[..], stored.hash);
    assert_eq!((mined.compute_units_per_relay, mined.arrival_block_height), (1000, 3));
    assert_eq!((mined.session_start_height, mined.session_end_height), (1, 10));
    let ledger = world.store.ledger(None).await.expect("a ledger");
    assert_eq!((ledger.served, ledger.logged, ledger.pending), (1, 1, 1));
    assert!(ledger.balances());
}

#[tokio::test]
async fn any_member_of_the_ring_may_sign_in_any_order() {
    let world = world(Options::default()).await;
    let (app, gateway) = (key("app1"), key("gateway1"));
    let (app_key, gateway_key) = (app.public_key(), gateway.public_key());
    for (ring, signer) in [(vec![gateway_key, app_key], gateway), (vec![app_key, gateway_key], app)] {
        let shape = Shape { ring, signer, ..world.shape().await };
        world.send(&shape.signed()).await.verified("supplier1");
    }
}

#[tokio::test]
async fn a_relay_of_the_session_before_is_served_in_its_grace_period() {
    let world = world(Options::default()).await;
    let session = world.session().await;
    world.send(&world.shape_in(&session).signed()).await.verified("supplier1");
    // Height 11: the next session has begun, and the grace period of the one that ended at 10 is not over.
    world.advance(8).await;
    world.send(&world.shape_in(&session).signed()).await.verified("supplier1");
    world.relay("/").await.verified("supplier1");
}

#[tokio::test]
async fn a_gateway_delegated_to_in_the_middle_of_a_session_may_sign_from_the_next_block_on() {
    let world = world(Options::default()).await;
    world.relay("/").await.verified("supplier1");
    let newcomer = key("app2");
    let shape = Shape {
        ring: vec![key("app1").public_key(), newcomer.public_key()],
        signer: newcomer.clone(),
        ..world.shape().await
    };
    let request = shape.signed();
    assert_eq!(world.send(&request).await.status, 403);
    world.devnet.running.chain.amend(|state| {
        let app = key("app1").address();
        let mut application = (**state.applications.get(app.to_string().as_str()).expect("staked")).clone();
        application.delegatee_gateway_addresses.push(newcomer.address().to_string());
        state.applications.insert_mut(app, std::sync::Arc::new(application));
    });
    world.advance(1).await;
    world.send(&request).await.verified("supplier1");
}

#[tokio::test]
async fn statuses_below_500_are_answers() {
    let world = world(Options::default()).await;
    for status in [201, 204, 301, 400, 404, 429] {
        let (_, answer) = world.relay(&format!("/x/status/{status}")).await.verified("supplier1");
        assert_eq!(answer.status_code, status);
        assert!(!answer.header.contains_key("X-Hop") && !answer.header.contains_key("Connection"));
    }
    world.store.flush().await;
    assert_eq!(world.store.ledger(None).await.expect("a ledger").logged, 6, "an empty answer is billed too");
}

#[tokio::test]
async fn several_values_of_one_header_come_through() {
    let world = world(Options::default()).await;
    let (_, answer) = world.relay("/x/cookies").await.verified("supplier1");
    assert_eq!(values(&answer)["Set-Cookie"], ["b=1", "a=2"]);
}

#[tokio::test]
async fn a_packed_answer_is_signed_plain() {
    let world = world(Options::default()).await;
    for path in ["/x/gzip/0", "/x/gzip/1"] {
        let (_, answer) = world.relay(path).await.verified("supplier1");
        assert_eq!(answer.body_bz, b"{\"plain\":true}");
        let headers = values(&answer);
        assert!(!headers.contains_key("Content-Encoding"));
        assert_eq!(headers["Content-Length"], ["14"]);
    }
}

#[tokio::test]
async fn the_backend_sees_the_inner_request_and_who_asks() {
    let options = Options {
        backends: String::new(),
        settings: "response_compression: {enabled: false}".to_owned(),
        ..Options::default()
    };
    let world = world(options).await;
    let headers = inner::headers([
        ("Content-Type", "application/json"),
        ("X-Inner", "one"),
        ("X-Inner", "two"),
        ("Connection", "x-private"),
        ("X-Private", "1"),
        ("Accept-Encoding", "br"),
        ("Host", "elsewhere.example"),
        ("Content-Length", "9999"),
    ]);
    let url = "http://elsewhere.example/x/multi//a/../b/?z=1&a=2";
    let payload = inner::request_payload(&inner::request("DELETE", url, headers, b"body".to_vec()));
    let shape = Shape { payload, ..world.shape().await };
    let outer = [
        ("rpc-type", "4"),
        ("rpc-type", "2"),
        ("user-agent", "ua"),
        ("accept", "text/weird; q=1"),
        ("content-type", "application/x-protobuf"),
        ("pocket-foo", "bar"),
        ("pocket-supplier", "forged"),
        ("authorization", "Bearer client"),
        ("cookie", "c=1"),
    ];
    let reply = world.post(relay::request_bytes(&shape.signed()), &outer).await;
    reply.verified("supplier1");
    assert_eq!(reply.headers["content-type"], "text/weird; q=1", "Accept comes back");

    let seen = world.seen();
    let [seen] = &seen[..] else { panic!("one request") };
    assert_eq!((seen.method.as_str(), seen.uri.to_string().as_str()), ("DELETE", "/x/multi/b/?z=1&a=2"));
    assert_eq!(seen.body, "body");
    let get = |name: &str| seen.headers.get_all(name).iter().map(|v| v.to_str().expect("text")).collect::<Vec<_>>();
    assert_eq!(get("host"), [world.backend.to_string()]);
    assert_eq!(get("content-length"), ["4"]);
    assert_eq!(get("content-type"), ["application/json"], "the inner header wins");
    assert_eq!(get("x-inner"), ["one", "two"]);
    assert_eq!(get("accept"), ["text/weird; q=1"]);
    assert_eq!(get("user-agent"), ["ua"]);
    assert_eq!(get("accept-encoding"), ["identity"]);
    assert_eq!(get("pocket-foo"), ["bar"]);
    assert_eq!(get("pocket-supplier"), [address("supplier1")]);
    assert_eq!(get("pocket-application"), [address("app1")]);
    assert_eq!(get("pocket-service"), [SERVICE]);
    for absent in ["x-private", "connection", "authorization", "cookie"] {
        assert!(get(absent).is_empty(), "{absent}");
    }
}

#[tokio::test]
async fn headers_and_credentials_of_the_settings_are_sent() {
    let world = world(Options::default()).await;
    let backends = format!(
        "      cometbft: {{url: \"http://{}/prefix?key=k\", headers: {{X-Operator: \"yes\"}}, authentication: {{username: u, password: p}}}}",
        world.backend
    );
    let second = crate::support::world(Options { backends, ..Options::default() }).await;
    let shape = Shape { payload: call("/block?height=1"), ..second.shape().await };
    second.post(relay::request_bytes(&shape.signed()), &[("rpc-type", "cometbft")]).await.verified("supplier1");
    let seen = world.seen();
    let [seen] = &seen[..] else { panic!("one request") };
    assert_eq!(seen.uri, "/prefix/block?key=k&height=1");
    assert_eq!(seen.headers["x-operator"], "yes");
    assert_eq!(seen.headers["authorization"], "Basic dTpw");
}

#[tokio::test]
async fn an_empty_payload_is_a_get_of_the_root() {
    let world = world(Options::default()).await;
    let empty = Shape { payload: Vec::new(), ..world.shape().await };
    world.send(&empty.signed()).await.verified("supplier1");
    let odd = inner::request_payload(&PokthttpRequest { method: "bad method".into(), ..PokthttpRequest::default() });
    let odd = Shape { payload: odd, ..world.shape().await };
    assert_eq!(world.send(&odd.signed()).await.status, 502);
    let seen = world.seen();
    let [seen] = &seen[..] else { panic!("one request") };
    assert_eq!((seen.method.as_str(), seen.uri.to_string().as_str()), ("GET", "/"));
}

#[tokio::test]
async fn a_relay_is_tried_elsewhere_only_where_that_is_safe() {
    let world = world(Options::default()).await;
    let dead = pocket_runtime::net::TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr();
    let backends = format!(
        "      cometbft: {{urls: [\"http://{dead}\", \"http://{}\"], load_balancing: first_healthy}}",
        world.backend
    );
    let second = crate::support::world(Options { backends, ..Options::default() }).await;
    let send = async |payload: Vec<u8>| {
        let shape = Shape { payload, ..second.shape().await };
        second.post(relay::request_bytes(&shape.signed()), &[("rpc-type", "5")]).await
    };
    // Nothing was sent to the dead endpoint, so even a POST may go to the other.
    let reply = send(call("/")).await;
    reply.verified("supplier1");
    assert_eq!(reply.headers["backend-retries"], "1");
    assert_eq!(world.seen().len(), 1);
    drop(second);

    let seen = crate::support::SeenList::default();
    let other = backend(seen.clone(), &world.shutdown).await;
    let backends = format!("      cometbft: {{urls: [\"http://{other}\", \"http://{}\"]}}", world.backend);
    let third = crate::support::world(Options { backends, ..Options::default() }).await;
    let calls = || seen.lock().expect("not poisoned").len() + world.seen().len();
    let send = async |payload: Vec<u8>| {
        let shape = Shape { payload, ..third.shape().await };
        third.post(relay::request_bytes(&shape.signed()), &[("rpc-type", "5")]).await.status
    };
    let get = |path: &str| inner::request_payload(&inner::request("GET", path, inner::Headers::new(), Vec::new()));
    for (payload, tries) in
        [(call("/x/status/500"), 1), (call("/x/status/503"), 2), (get("/x/status/500"), 2), (call("/x/abort"), 1)]
    {
        let before = calls();
        assert!(send(payload).await >= 500);
        assert_eq!(calls() - before, tries);
    }
}

#[tokio::test]
async fn round_robin_spreads_over_the_endpoints() {
    let world = world(Options::default()).await;
    let seen = crate::support::SeenList::default();
    let other = backend(seen.clone(), &world.shutdown).await;
    let backends =
        format!("      cometbft: {{urls: [\"http://{other}\", {{name: b, url: \"http://{}\"}}]}}", world.backend);
    let second = crate::support::world(Options { backends, ..Options::default() }).await;
    for _ in 0..6 {
        let body = relay::request_bytes(&second.shape().await.signed());
        second.post(body, &[("rpc-type", "5")]).await.verified("supplier1");
    }
    assert_eq!((seen.lock().expect("not poisoned").len(), world.seen().len()), (3, 3));
}

#[tokio::test]
async fn an_answer_is_packed_for_those_who_ask() {
    let settings = "response_compression: {enabled: true, min_size_bytes: 500}".to_owned();
    let world = world(Options { settings, ..Options::default() }).await;
    let body = relay::request_bytes(&Shape { payload: call("/x/bytes/5000"), ..world.shape().await }.signed());
    let packed = world.post(body.clone(), &[("accept-encoding", "gzip")]).await;
    assert_eq!(packed.headers["content-encoding"], "gzip");
    assert!(packed.body.len() < 1000);
    let plain = world.post(body, &[]).await;
    assert!(!plain.headers.contains_key("content-encoding"));
    plain.verified("supplier1");
}

#[tokio::test]
async fn health_is_told_on_every_listener() {
    let world = world(Options::default()).await;
    let relay_port = world.relayer.addr;
    for path in ["/health", "/healthz", "/ready"] {
        let reply = world.get(relay_port, path).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "{\"status\":\"healthy\",\"block_height\":3}"));
    }
    let ready = world.get(relay_port, "/ready/develop-http").await;
    assert_eq!(ready.status, 200);
    let report: serde_json::Value = serde_json::from_slice(&ready.body).expect("JSON");
    assert_eq!(report["backends"]["healthy"], 2);
    assert!(!ready.text().contains("http://"), "a stranger does not learn where the backends are");
    assert_eq!(world.get(relay_port, "/ready/nope").await.status, 404);
    assert_eq!(world.get(relay_port, "/ready/").await.status, 400);

    let health = world.relayer.health_addr.expect("on");
    assert_eq!(world.get(health, "/health").await.text(), "OK");
    until("it is ready", || async { world.get(health, "/ready").await.text() == "READY" }).await;
    assert!(world.get(health, "/ready/develop-http").await.text().contains(&world.backend.to_string()));
    let admin = world.relayer.admin_addr.expect("on");
    assert_eq!(world.get(admin, "/livez").await.status, 200);
    assert_eq!(world.get(admin, "/readyz").await.status, 200);
    world.relay("/").await.verified("supplier1");
    let page = world.get(admin, "/metrics").await.text();
    assert!(page.contains(
        "ha_relayer_relays_served_total{rpc_type=\"jsonrpc\",service_id=\"develop-http\",status_code=\"200\"} 1"
    ));
    assert!(!page.contains(&world.session().await.header.session_id));
}

/// Whoever is behind neither takes what is over nor is sent more.
#[tokio::test]
async fn a_node_that_is_behind_the_miners_ends_sessions_when_they_do_and_is_not_ready() {
    let world = world(Options::default()).await;
    let health = world.relayer.health_addr.expect("on");
    until("it is ready", || async { world.get(health, "/ready").await.text() == "READY" }).await;
    let session = world.session().await;
    // What is known of a session needs no node.
    world.relay("/").await.verified("supplier1");
    let publish = async |height| {
        let block = pocket_store::BlockEvent { height, hash: Vec::new(), timestamp: String::new() };
        world.store.block_publish(&block).await.expect("a store in memory");
    };
    publish(session.windows.serve_end() - 1).await;
    world.relay("/").await.verified("supplier1");
    let gate = Gate::shut();
    let waiting = async { world.relay(&gate.path()).await };
    let ends = async {
        until("the backend has it", || async { world.seen_count() == 3 }).await;
        publish(session.windows.claim_close + 1).await;
    };
    let (late, ()) = tokio::join!(waiting, ends);
    assert_eq!(late.status, 504, "{}", late.text());
    gate.open();
    until("it is not ready", || async { world.get(health, "/ready").await.status == 503 }).await;
    assert!(
        world.get(health, "/ready").await.text().contains("behind"),
        "{}",
        world.get(health, "/ready").await.text()
    );
}

#[tokio::test]
async fn a_taken_port_and_a_missing_key_are_named() {
    let world = world(Options::default()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = crate::support::settings(&Options::default(), world.backend, folder.path());
    let deps = pocket_relayer::Deps {
        chain: world.chain.clone(),
        store: Store::memory(StoreOptions::new(Namespace::default(), Durability::Process)),
    };
    settings.listen_addr = world.relayer.addr.to_string();
    let error = pocket_relayer::start(&settings, deps.clone(), &world.shutdown).await.err().expect("refused");
    let text = pocket_runtime::process::chain(&error);
    assert!(text.contains("relay listener") && text.contains(&world.relayer.addr.to_string()), "{text}");

    settings.keys.keys_file = folder.path().join("absent.yaml").display().to_string();
    let error = pocket_relayer::start(&settings, deps, &world.shutdown).await.err().expect("refused");
    assert!(pocket_runtime::process::chain(&error).contains("absent.yaml"));
}
