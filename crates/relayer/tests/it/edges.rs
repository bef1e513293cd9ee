//! What a caller may not do to a backend: climb, ask for what is no request, or say who asked.

use std::collections::BTreeMap;

use pocket_proto::sdk::types::Header;
use pocket_protocol::{http as inner, relay};

use crate::support::{Options, Reply, Shape, World, call, world};

/// A world whose backend `rest` is a folder of its server.
async fn folder() -> (World, World) {
    let server = world(Options::default()).await;
    let backends = format!("      cometbft: {{url: \"http://{}/inside/folder?key=k\"}}", server.backend);
    (world(Options { backends, ..Options::default() }).await, server)
}

async fn post(world: &World, payload: Vec<u8>, rpc_type: &str) -> Reply {
    let shape = Shape { payload, ..world.shape().await };
    world.post(relay::request_bytes(&shape.signed()), &[("rpc-type", rpc_type)]).await
}

#[tokio::test]
async fn no_spelling_of_dots_leaves_the_base_path() {
    let (world, server) = folder().await;
    for path in [
        "/../../secret",
        "/%2e%2e/%2E%2e/secret",
        "/.%2e/%2e./secret",
        "/..%2f..%2Fsecret",
        "/..%5c..\\secret",
        "/x%2f..%2f..%2f..%2fsecret",
        "/..;a=b/..%3b/secret",
        "/inside/folder/%2e%2e/%2e%2e/secret",
        "http://elsewhere.example/%2e%2e/%2e%2e/secret",
    ] {
        post(&world, call(path), "cometbft").await.verified("supplier1");
        let seen = server.seen().pop().expect("a request");
        assert_eq!(seen.uri, "/inside/folder/secret?key=k", "{path}");
    }
    // Not dots: names that only look like them once more unescaped, and slashes that are part of a name.
    for path in ["/%252e%252e/secret", "/.../secret", "/denoms/ibc%2FABC", "/a%5Cb"] {
        post(&world, call(path), "cometbft").await.verified("supplier1");
        let seen = server.seen().pop().expect("a request");
        assert_eq!(seen.uri, format!("/inside/folder{path}?key=k").as_str());
    }
}

#[tokio::test]
async fn more_headers_than_any_backend_takes_are_refused() {
    let world = world(Options::default()).await;
    let header = |key: String, values: usize| {
        let header = Header { key: key.clone(), values: vec![String::new(); values] };
        (key, header)
    };
    let many: BTreeMap<_, _> = (0..24_569).map(|number| header(format!("X-{number}"), 1)).collect();
    let repeated = BTreeMap::from([header("X-Same".to_owned(), 40_000)]);
    for headers in [many, repeated] {
        let payload = inner::request_payload(&inner::request("POST", "/", headers, Vec::new()));
        let reply = post(&world, payload, "jsonrpc").await;
        assert!(reply.status >= 400, "{}", reply.status);
    }
    assert!(world.seen().is_empty());
    world.relay("/").await.verified("supplier1");
}

#[tokio::test]
async fn methods_that_are_not_for_a_backend_reach_none() {
    let world = world(Options::default()).await;
    for method in ["TRACE", "CONNECT", "trace", "Connect"] {
        let payload = inner::request_payload(&inner::request(method, "/", inner::Headers::new(), Vec::new()));
        let reply = post(&world, payload, "jsonrpc").await;
        assert_eq!(reply.status, 502, "{method}: {}", reply.text());
    }
    assert!(world.seen().is_empty());
}

#[tokio::test]
async fn a_caller_does_not_tell_a_backend_who_asked_or_what_else_was_meant() {
    let headers = [
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Forwarded-Host", "admin.internal"),
        ("X-Forwarded-Whatever", "1"),
        ("Forwarded", "for=10.0.0.1"),
        ("X-Real-IP", "10.0.0.1"),
        ("X-Client-IP", "10.0.0.1"),
        ("True-Client-IP", "10.0.0.1"),
        ("CF-Connecting-IP", "10.0.0.1"),
        ("Via", "1.1 inside"),
        ("X-Original-URL", "/secret"),
        ("X-Rewrite-URL", "/secret"),
        ("Proxy-Authorization", "Basic eA=="),
        ("Proxy-Connection", "keep-alive"),
        ("Keep-Alive", "timeout=1"),
        ("Trailer", "x"),
        ("Upgrade", "websocket"),
        ("HTTP2-Settings", "x"),
        ("Connection", "x-first"),
        ("Connection", "X-Second , x-third"),
        ("X-First", "1"),
        ("X-Second", "1"),
        ("X-Third", "1"),
    ];
    let kept = [("X-Forward", "1"), ("X-Request-Id", "7"), ("Via-Nothing", "1")];
    let payload = inner::request("POST", "/", inner::headers(headers.into_iter().chain(kept)), b"body".to_vec());
    let server = world(Options::default()).await;
    let backends = format!(
        "      cometbft: {{url: \"http://{}\", headers: {{X-Forwarded-Proto: https, Forwarded: proto=https}}}}",
        server.backend
    );
    let world = world(Options { backends, ..Options::default() }).await;
    post(&world, inner::request_payload(&payload), "cometbft").await.verified("supplier1");
    let seen = server.seen().pop().expect("a request");
    for (name, value) in kept {
        assert_eq!(seen.headers[name], value);
    }
    // What the operator says is said.
    assert_eq!(
        (&seen.headers["x-forwarded-proto"], &seen.headers["forwarded"]),
        (&"https".parse().expect("a value"), &"proto=https".parse().expect("a value"))
    );
    for (name, _) in headers {
        let left: Vec<_> = seen.headers.get_all(name).iter().filter(|value| *value != "proto=https").collect();
        assert!(left.is_empty(), "{name}: {left:?}");
    }
}
