//! Every refusal, as a gateway sees it on the wire.

use std::time::Duration;

use pocket_proto::pocket::devnet::v1::{Fault, FaultKind};
use pocket_proto::sdk::types::PokthttpRequest;
use pocket_protocol::proof::request_bytes_max;
use pocket_protocol::{http as inner, relay};
use pocket_runtime::net;
use pocket_store::{SupplierState, SupplierStatus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Options, PATIENCE, Reply, SERVICE, Shape, World, address, call, key, stranger, until, world};

#[track_caller]
fn check(reply: &Reply, status: u16, error: &str) {
    let body: serde_json::Value =
        serde_json::from_slice(&reply.body).unwrap_or_else(|_| panic!("JSON: {}", reply.text()));
    assert_eq!((reply.status, body["error"].as_str().unwrap_or_default()), (status, error));
    assert_eq!(reply.headers["content-type"], "application/json");
}

/// Nothing was charged for and nothing reached the backend.
async fn nothing_happened(world: &World) {
    assert!(world.seen().is_empty(), "the backend was called");
    assert_eq!(
        world
            .metric("ha_relayer_relay_meter_consumptions_total{result=\"within_limit\",service_id=\"develop-http\"}")
            .await,
        0
    );
    let ledger = world.store.ledger(None).await.expect("a ledger");
    assert_eq!((ledger.served, ledger.logged), (0, 0));
}

const MALFORMED: &str = "invalid relay request: body must be a valid RelayRequest protobuf";
const SIGNATURE: &str = "relay validation failed: ring signature verification failed: invalid relay request signature or bytes: invalid \
     relay request signature";

#[tokio::test]
async fn what_is_no_relay_request_is_refused() {
    let world = world(Options::default()).await;
    let good = relay::request_bytes(&world.shape().await.signed());
    for body in [Vec::new(), vec![0xff; 40], b"{\"jsonrpc\":\"2.0\"}".to_vec(), good[..good.len() / 2].to_vec()] {
        check(&world.post(body, &[]).await, 400, MALFORMED);
    }
    let raw = Shape { payload: b"{\"id\":1}".to_vec(), ..world.shape().await };
    check(&world.send(&raw.signed()).await, 400, MALFORMED);
    let mut headless = world.shape().await.signed();
    headless.meta.as_mut().expect("set").session_header = None;
    check(&world.send(&headless).await, 400, MALFORMED);
    nothing_happened(&world).await;
}

#[tokio::test]
async fn an_unknown_service_is_refused() {
    let world = world(Options::default()).await;
    let mut shape = world.shape().await;
    shape.header.service_id = "no-such-service".into();
    check(&world.send(&shape.signed()).await, 404, "unknown service: no-such-service");
    nothing_happened(&world).await;
}

#[tokio::test]
async fn an_unknown_supplier_is_refused() {
    let world = world(Options::default()).await;
    for supplier in [stranger().address().to_string(), "hello".to_owned()] {
        let shape = Shape { supplier: supplier.clone(), ..world.shape().await };
        check(&world.send(&shape.signed()).await, 503, &format!("supplier {supplier} not registered with any miner"));
    }
    let nobody = Shape { supplier: String::new(), ..world.shape().await };
    check(&world.send(&nobody.signed()).await, 400, "missing supplier operator address in relay request");
    nothing_happened(&world).await;
}

#[tokio::test]
async fn what_miners_register_decides_who_is_served_for() {
    let world = world(Options::default()).await;
    let elsewhere = stranger().address().to_string();
    let state = |status, staked, services: &[&str]| SupplierState {
        status,
        staked,
        services: Some(services.iter().map(|&service| service.to_owned()).collect()),
        staked_endpoints: Vec::new(),
        unstake_session_end_height: 0,
        operator_address: elsewhere.clone(),
        owner_address: String::new(),
        last_updated: 0,
        last_refresh_session_start: 0,
        updated_by: String::new(),
    };
    for (state, status, error) in [
        (state(SupplierStatus::NotStaked, false, &[SERVICE]), 503, (format!("supplier {elsewhere} is not_staked"))),
        (
            state(SupplierStatus::Active, true, &["other"]),
            503,
            (format!("supplier {elsewhere} not staked for service {SERVICE}")),
        ),
        (
            state(SupplierStatus::Active, true, &[SERVICE]),
            403,
            (format!("relay validation failed: supplier {elsewhere} is not allowed by this relayer")),
        ),
        (
            state(SupplierStatus::Unstaking, true, &[SERVICE]),
            403,
            (format!("relay validation failed: supplier {elsewhere} is not allowed by this relayer")),
        ),
    ] {
        world.store.supplier_put(&state).await.expect("written");
        let request = Shape { supplier: elsewhere.clone(), ..world.shape().await }.signed();
        // The relayer hears of it by the store's event.
        until("the registry entry is followed", || async {
            let reply = world.send(&request).await;
            reply.status == status && reply.text() == format!("{{\"error\":\"{error}\"}}")
        })
        .await;
    }
    nothing_happened(&world).await;
}

#[tokio::test]
async fn a_wrong_session_is_refused() {
    let world = world(Options::default()).await;
    let session = world.session().await;
    let (start, end, id) = (session.start(), session.end(), session.header.session_id.clone());
    let other = "ab".repeat(32);

    let mut shape = world.shape().await;
    shape.header.session_id.clone_from(&other);
    let error = format!("relay validation failed: session ID mismatch, expected: {id}, got: {other}");
    check(&world.send(&shape.signed()).await, 403, &error);

    let mut shape = world.shape().await;
    shape.header.session_end_block_height += 1;
    let error = format!(
        "relay validation failed: session header session end height mismatch, expecting: {end}, got: {}",
        end + 1
    );
    check(&world.send(&shape.signed()).await, 403, &error);

    let mut shape = world.shape().await;
    shape.header.session_start_block_height += 1;
    let error = format!(
        "relay validation failed: session header session start height mismatch, expecting: {start}, got: {}",
        start + 1
    );
    check(&world.send(&shape.signed()).await, 403, &error);

    let mut shape = world.shape().await;
    shape.header.session_id.clear();
    let reply = world.send(&shape.signed()).await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("basic validation failed: invalid session header"), "{}", reply.text());
    nothing_happened(&world).await;
}

#[tokio::test]
async fn implausible_heights_are_refused_before_the_chain_is_asked() {
    let world = world(Options::default()).await;
    for (start, end) in [(0, 0), (-1, 10), (10, 9), (20_000, 20_010), (1, 10_002), (i64::MIN, i64::MAX)] {
        let mut shape = world.shape().await;
        shape.header.session_start_block_height = start;
        shape.header.session_end_block_height = end;
        check(&world.send(&shape.signed()).await, 400, "implausible session heights");
    }
    nothing_happened(&world).await;
}

#[tokio::test]
async fn a_session_still_to_come_is_refused() {
    let world = world(Options::default()).await;
    let mut shape = world.shape().await;
    shape.header.session_start_block_height = 11;
    shape.header.session_end_block_height = 20;
    let reply = world.send(&shape.signed()).await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("failed to get session: block height 11 is ahead"), "{}", reply.text());
    nothing_happened(&world).await;
}

#[tokio::test]
async fn what_a_node_cannot_say_of_a_session_is_said_to_the_caller_and_asked_again() {
    let world = world(Options::default()).await;
    let request = world.shape().await.signed();
    let faults = [
        (13, "h2 protocol error: http2 error", 1),
        (8, "too many requests", 1),
        (2, "codespace sdk code 38: not found: failed to load state at height 1; version does not exist", 1),
        // Longer than it is waited for.
        (2, "codespace sdk code 26: invalid height: cannot query with height in the future", 21),
    ];
    for (code, message, count) in faults {
        let fault = Fault {
            kind: FaultKind::Reject.into(),
            target: "/pocket.session.Query/GetSession".to_owned(),
            code,
            message: message.to_owned(),
            count,
            ..Fault::default()
        };
        world.devnet.running.chain.fault(fault).expect("a fault");
        check(&world.send(&request).await, 503, "chain state unavailable, try again");
        nothing_happened(&world).await;
    }
    // In the same block.
    world.send(&request).await.verified("supplier1");
}

#[tokio::test]
async fn an_expired_session_is_refused_whether_it_was_served_before_or_not() {
    let world = world(Options::default()).await;
    let shape = world.shape().await;
    let (known, unknown) = (shape.signed(), Shape { supplier: address("supplier2"), ..world.shape().await }.signed());
    world.send(&known).await.verified("supplier1");
    // The session ends at 10 and its grace period at 11.
    world.advance(9).await;
    let error = "relay validation failed: session timing validation failed: session expired, session end height: 10, \
                 current height: 12 (grace period elapsed)";
    for request in [known, unknown] {
        check(&world.send(&request).await, 403, error);
    }
    assert_eq!(world.seen().len(), 1);
}

#[tokio::test]
async fn a_bad_signature_is_refused() {
    let world = world(Options::default()).await;
    let good = world.shape().await.signed();

    let mut flipped = good.clone();
    let mut signature = flipped.meta.as_ref().expect("set").signature.to_vec();
    signature[40] ^= 1;
    flipped.meta.as_mut().expect("set").signature = signature.clone().into();
    let reply = world.send(&flipped).await;
    assert_eq!(reply.status, 403, "{}", reply.text());
    assert!(reply.text().contains("ring signature verification failed"), "{}", reply.text());

    let mut tampered = good.clone();
    tampered.payload = call("/").into();
    check(&world.send(&tampered).await, 403, SIGNATURE);

    let mut moved = good.clone();
    moved.meta.as_mut().expect("set").supplier_operator_address = address("supplier2");
    check(&world.send(&moved).await, 403, SIGNATURE);

    for length in [0, 3, signature.len() - 1] {
        let mut short = good.clone();
        short.meta.as_mut().expect("set").signature = signature[..length].to_vec().into();
        let reply = world.send(&short).await;
        assert_eq!(reply.status, 403, "{}", reply.text());
        assert!(serde_json::from_slice::<serde_json::Value>(&reply.body).is_ok(), "{}", reply.text());
    }
    nothing_happened(&world).await;
    assert_eq!(
        world.metric("pocket_relayer_rejections_total{fault=\"client\",reason=\"bad_signature\"}").await,
        5,
        "an absent signature is an invalid request, the others are bad signatures"
    );
}

#[tokio::test]
async fn a_forged_ring_and_a_ring_of_strangers_are_refused() {
    let world = world(Options::default()).await;
    let error = format!(
        "relay validation failed: ring signature verification failed: ring signature in the relay request does not match \
         the expected one for the app {}: invalid relay request signature",
        address("app1")
    );
    let (app, gateway, stranger) = (key("app1").public_key(), key("gateway1").public_key(), stranger());
    for (ring, signer) in [
        (vec![stranger.public_key(), gateway], stranger.clone()),
        (vec![stranger.public_key(), gateway], key("gateway1")),
        (vec![stranger.public_key(), key("app2").public_key()], stranger.clone()),
        (vec![app, gateway, stranger.public_key()], stranger.clone()),
    ] {
        let shape = Shape { ring, signer, ..world.shape().await };
        check(&world.send(&shape.signed()).await, 403, &error);
    }
    nothing_happened(&world).await;
}

#[tokio::test]
async fn a_ring_with_a_member_too_many_is_refused_before_it_is_looked_at() {
    let world = world(Options::default()).await;
    let error = format!(
        "relay validation failed: ring signature verification failed: ring signature in the relay request does not match \
         the expected one for the app {}: invalid relay request signature",
        address("app1")
    );
    let (app, gateway) = (key("app1").public_key(), key("gateway1").public_key());
    for ring in [
        vec![app, app],
        vec![gateway, gateway],
        vec![app, gateway, app],
        std::iter::repeat_n([app, gateway], 16).flatten().collect(),
    ] {
        let signer = if ring[0] == app { key("app1") } else { key("gateway1") };
        let shape = Shape { ring, signer, ..world.shape().await };
        check(&world.send(&shape.signed()).await, 403, &error);
    }
    // A member that is no point of the curve: had the signature been decoded, that would be the complaint.
    let mut request = world.shape().await.signed();
    let meta = request.meta.as_mut().expect("set");
    let mut signature = meta.signature.to_vec();
    signature[69 + 32..69 + 65].fill(0xff);
    meta.signature = signature.into();
    check(&world.send(&request).await, 403, &error);
    nothing_happened(&world).await;
}

#[tokio::test]
async fn an_application_without_stake_and_one_of_another_service_are_refused() {
    let world = world(Options::default()).await;
    for (application, word) in [("gateway1", "not found"), ("app2", "not staked for service")] {
        let mut shape = world.shape().await;
        shape.header.application_address = address(application);
        shape.ring = vec![key(application).public_key(), key("gateway1").public_key()];
        let reply = world.send(&shape.signed()).await;
        assert_eq!(reply.status, 403, "{}", reply.text());
        assert!(reply.text().contains(word), "{}", reply.text());
    }
    nothing_happened(&world).await;
}

#[tokio::test]
async fn a_supplier_that_is_not_in_the_session_is_refused() {
    let suppliers = vec![key("supplier1"), stranger()];
    let world = world(Options { suppliers, ..Options::default() }).await;
    let supplier = stranger().address().to_string();
    let shape = Shape { supplier: supplier.clone(), ..world.shape().await };
    let error = format!("relay validation failed: supplier {supplier} not found in session");
    check(&world.send(&shape.signed()).await, 403, &error);
    nothing_happened(&world).await;
}

#[tokio::test]
async fn an_oversized_body_is_refused() {
    let options = Options {
        settings: "default_max_body_size_bytes: 262144".to_owned(),
        service: "    max_body_size_bytes: 65536".to_owned(),
        ..Options::default()
    };
    let world = world(options).await;
    let mut shape = world.shape().await;
    shape.payload.extend_from_slice(&[0x22, 0x80, 0x80, 0x04]);
    shape.payload.extend_from_slice(&vec![b' '; 65_536]);
    check(&world.send(&shape.signed()).await, 413, "request body too large for service");
    check(&world.post(vec![0; 262_145], &[]).await, 413, "request body too large");
    nothing_happened(&world).await;
}

#[tokio::test]
async fn a_relay_that_could_not_be_proved_is_refused_and_the_longest_that_can_is_served() {
    const TX_BYTES_MAX: usize = 131_072;
    let settings = format!("limits: {{tx_bytes_max: {TX_BYTES_MAX}}}");
    let world = world(Options { settings, ..Options::default() }).await;
    let block_bytes_max = world.chain.block_bytes_max().await.expect("the chain says");
    assert_eq!(block_bytes_max, Some(22_020_096), "blocks are no narrower than transactions here");
    let longest = request_bytes_max(TX_BYTES_MAX);
    let padded = async |length: usize| {
        let shape = world.shape().await;
        // Of the same number of digits as the length that is wanted.
        let body = |padding: usize| inner::request("POST", "/", inner::Headers::new(), vec![b' '; padding]);
        let signed = |padding| Shape { payload: inner::request_payload(&body(padding)), ..shape.again() }.signed();
        let beside = relay::request_bytes(&signed(length - 1_000)).len() - (length - 1_000);
        let bytes = relay::request_bytes(&signed(length - beside));
        assert_eq!(bytes.len(), length);
        bytes
    };
    let over = world.post(padded(longest + 1).await, &[]).await;
    check(&over, 413, "request body too large to be proved on the chain");
    nothing_happened(&world).await;
    let reply = world.post(padded(longest).await, &[]).await;
    reply.verified("supplier1");
}

#[tokio::test]
async fn a_slow_client_is_cut_off() {
    let world = world(Options { settings: "limits: {client_timeout_ms: 300}".to_owned(), ..Options::default() }).await;
    let mut stream = net::connect(&world.relayer.addr.to_string()).await.expect("connects");
    stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc").await.expect("sent");
    let mut answer = vec![0; 1024];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.expect("in time").expect("readable");
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.ends_with("{\"error\":\"failed to read request body\"}"), "{answer}");
    nothing_happened(&world).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let world = world(Options::default()).await;
    let mut stream = net::connect(&world.relayer.addr.to_string()).await.expect("connects");
    stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc").await.expect("sent");
    stream.shutdown().await.expect("half closed");
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("in time");
    // Nobody is left to read it, so the answer may be cut; the refusal is counted.
    until("the refusal is counted", || async {
        world.metric("pocket_relayer_rejections_total{fault=\"client\",reason=\"body_unreadable\"}").await == 1
    })
    .await;
}

/// A port on which nobody listens.
async fn closed_port() -> std::net::SocketAddr {
    net::TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr()
}

#[tokio::test]
async fn a_dead_backend_is_502_and_then_left_alone() {
    let dead = closed_port().await;
    let backends = format!("      cometbft: {{url: \"http://{dead}\", max_retries: 0}}");
    let world = world(Options { backends, ..Options::default() }).await;
    for _ in 0..5 {
        let body = relay::request_bytes(&world.shape().await.signed());
        check(&world.post(body, &[("rpc-type", "5")]).await, 502, "backend error");
    }
    let reply = world.post(relay::request_bytes(&world.shape().await.signed()), &[("rpc-type", "5")]).await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.text(), "{\"error\":\"service temporarily unavailable\",\"service\":\"develop-http\"}");
    // Nothing was answered, so nothing is billed but the one good relay.
    world.relay("/").await.verified("supplier1");
    assert_eq!(world.store.ledger(None).await.expect("a ledger").served, 1);
}

#[tokio::test]
async fn a_hung_backend_is_502_after_the_services_time() {
    let settings = "timeout_profiles: {fast: {request_timeout_seconds: 1, response_header_timeout_seconds: 1}}";
    let world = world(Options { settings: settings.to_owned(), ..Options::default() }).await;
    check(&world.relay("/x/hang").await, 502, "backend error");
    let series =
        "ha_relayer_relays_rejected_total{reason=\"backend_timeout\",rpc_type=\"jsonrpc\",service_id=\"develop-http\"}";
    assert_eq!(world.metric(series).await, 1);
}

#[tokio::test]
async fn a_backends_failure_is_passed_on_unsigned() {
    let world = world(Options::default()).await;
    for status in [500, 503, 599] {
        check(&world.relay(&format!("/x/status/{status}")).await, status, "backend service error");
    }
    check(&world.relay("/x/abort").await, 502, "backend error");
    let ledger = world.store.ledger(None).await.expect("a ledger");
    assert_eq!(ledger.served, 0, "none of these is billed");
}

#[tokio::test]
async fn an_oversized_answer_is_502_and_no_fault_of_the_endpoint() {
    let world =
        world(Options { settings: "limits: {response_bytes_max: 1000}".to_owned(), ..Options::default() }).await;
    for _ in 0..6 {
        check(&world.relay("/x/bytes/1001").await, 502, "backend error");
    }
    world.relay("/x/bytes/1000").await.verified("supplier1");
}

#[tokio::test]
async fn a_backend_type_that_is_not_configured_is_unavailable() {
    let backends = "      websocket: {url: \"ws://127.0.0.1:1/ws\"}".to_owned();
    let world = world(Options { backends, ..Options::default() }).await;
    for name in ["foo", "9", "JSONRPC", "1", "grpc", "5"] {
        let body = relay::request_bytes(&world.shape().await.signed());
        let reply = world.post(body, &[("rpc-type", name)]).await;
        assert_eq!(reply.status, 503, "{name}");
        assert_eq!(reply.text(), "{\"error\":\"service temporarily unavailable\",\"service\":\"develop-http\"}");
    }
    // A backend that does not speak HTTP cannot be called by a plain request, and is not blamed for it.
    for _ in 0..6 {
        let body = relay::request_bytes(&world.shape().await.signed());
        check(&world.post(body, &[("rpc-type", "2")]).await, 502, "backend error");
    }
    assert!(world.seen().is_empty());
}

#[tokio::test]
async fn a_spent_allowance_is_refused_in_the_words_that_gateways_know() {
    let world = world(Options::default()).await;
    // One relay costs 100,000 upokt; this share of a stake of 10^10 covers two and a half.
    world.store.service_factor_put(Some(SERVICE), 0.000_025, Duration::from_mins(10)).await.expect("written");
    for _ in 0..2 {
        world.relay("/").await.verified("supplier1");
    }
    check(&world.relay("/").await, 429, "session relay limit reached: claimable portion fully consumed");
    let other = Shape { supplier: address("supplier2"), ..world.shape().await };
    world.send(&other.signed()).await.verified("supplier2");
    assert_eq!(world.seen().len(), 3, "the refused relay did not reach the backend");
}

/// A world in which the application's share covers one relay, and a second while the first is given back.
async fn world_of_one_relay(options: Options) -> World {
    let world = world(options).await;
    world.store.service_factor_put(Some(SERVICE), 0.000_01, Duration::from_mins(10)).await.expect("written");
    world
}

#[tokio::test]
async fn what_a_backend_was_put_to_is_charged_although_it_failed() {
    let fast = "timeout_profiles: {fast: {request_timeout_seconds: 1, response_header_timeout_seconds: 1}}\n\
                limits: {response_bytes_max: 1000}";
    for (path, status) in [("/x/status/500", 500), ("/x/hang", 502), ("/x/abort", 502), ("/x/bytes/1001", 502)] {
        let world = world_of_one_relay(Options { settings: fast.to_owned(), ..Options::default() }).await;
        assert_eq!(world.relay(path).await.status, status, "{path}");
        let reply = world.relay("/").await;
        check(&reply, 429, "session relay limit reached: claimable portion fully consumed");
        assert_eq!(world.seen().len(), 1, "{path}");
    }
}

#[tokio::test]
async fn what_no_backend_had_to_do_with_is_given_back() {
    let dead = closed_port().await;
    let backends = format!(
        "      cometbft: {{url: \"http://{dead}\", max_retries: 0}}\n      websocket: {{url: \"ws://127.0.0.1:1/ws\"}}"
    );
    let world = world_of_one_relay(Options { backends, ..Options::default() }).await;
    let post = async |shape: Shape, rpc_type: &str| {
        world.post(relay::request_bytes(&shape.signed()), &[("rpc-type", rpc_type)]).await.status
    };
    // Nobody listens, until the breaker opens; a backend that does not speak HTTP; a method that is none; and a backend
    // that says itself that it did nothing.
    for _ in 0..6 {
        assert!(post(world.shape().await, "5").await >= 500);
        assert_eq!(post(world.shape().await, "2").await, 502);
    }
    let odd = PokthttpRequest { method: "bad method".into(), ..PokthttpRequest::default() };
    let odd = Shape { payload: inner::request_payload(&odd), ..world.shape().await };
    assert_eq!(post(odd, "3").await, 502);
    assert_eq!(world.relay("/x/status/503").await.status, 503);
    world.relay("/").await.verified("supplier1");
    assert_eq!(world.relay("/").await.status, 429);
}

#[tokio::test]
async fn a_session_that_no_longer_pays_is_refused() {
    let world = world(Options::default()).await;
    world.relay("/").await.verified("supplier1");
    let id = world.session().await.header.session_id.clone();
    world.store.session_unrewardable(&id, "claimed", Duration::from_mins(1)).await.expect("written");
    until("the session is refused", || async {
        let reply = world.relay("/").await;
        reply.status == 429 && reply.text().contains("session can no longer be claimed")
    })
    .await;
}

#[tokio::test]
async fn what_can_no_longer_be_claimed_is_not_answered() {
    let world = world(Options::default()).await;
    let shape = Shape { payload: call("/x/hang"), ..world.shape().await };
    let request = shape.signed();
    let (reply, ()) = tokio::join!(world.send(&request), async {
        until("the backend has the relay", || async { !world.seen().is_empty() }).await;
        // The claim of the session that ends at 10 may be included from 12 on.
        world.advance(9).await;
    });
    check(&reply, 504, "backend too slow: the session's claim is being sealed");
    assert_eq!(world.store.ledger(None).await.expect("a ledger").served, 0);
}

#[tokio::test]
async fn more_relays_than_the_limit_are_refused() {
    let world = world(Options { settings: "limits: {relays_in_flight_max: 1}".to_owned(), ..Options::default() }).await;
    let hanging = Shape { payload: call("/x/hang"), ..world.shape().await }.signed();
    let (reply, ()) = tokio::join!(world.send(&hanging), async {
        until("the backend has the relay", || async { !world.seen().is_empty() }).await;
        check(&world.relay("/").await, 503, "relayer is busy, try again");
        world.advance(9).await;
    });
    assert_eq!(reply.status, 504);
}
