//! The gateway on real sockets, between a client, a development chain, and suppliers that behave as they are told.

#![allow(clippy::disallowed_methods, reason = "tests write their key files themselves")]

mod supplier;

use std::time::Duration;

use bytes::Bytes;
use pocket_chain::Chain;
use pocket_config::{document, facts, gateway::Gateway};
use pocket_runtime::http::{Client, ClientOptions, Request, Response, StatusCode};
use pocket_runtime::shutdown::{self, ShutdownTrigger};
use pocket_testbed::PrivateDevnet;

use supplier::{Manner, Suppliers};

const APP1: &str = "pokt1mrqt5f7qh8uxs27cjm9t7v9e74a9vvdnq5jva4";
const READ: &str = r#"{"jsonrpc":"2.0","method":"eth_blockNumber","params":[],"id":1}"#;
const WRITE: &str = r#"{"jsonrpc":"2.0","method":"eth_sendRawTransaction","params":["0x00"],"id":1}"#;

struct Case {
    gateway: pocket_gateway::Running,
    suppliers: Suppliers,
    client: Client,
    _devnet: PrivateDevnet,
    _trigger: ShutdownTrigger,
    _folder: tempfile::TempDir,
}

/// A gateway whose suppliers answer as `manners` say, one after another, the last one for ever.
async fn start(manners: &[Manner], settings: &str) -> Case {
    let (trigger, shutdown) = shutdown::channel(Duration::from_millis(200));
    let suppliers = Suppliers::start(manners, &shutdown).await;
    let devnet = pocket_testbed::devnet(&format!("block_time_ms: 100\nrelayer_endpoint: {}", suppliers.addr))
        .await
        .expect("a chain");
    let node = devnet.node();
    let chain = Chain::connect(&node, Duration::from_secs(10), &shutdown).await.expect("connected");

    let folder = tempfile::tempdir().expect("a folder");
    let key = facts::development_keys().into_iter().find(|key| key.name == "gateway1").expect("the gateway's key");
    let key_file = folder.path().join("key.yaml");
    std::fs::write(&key_file, format!("keys: [\"{}\"]\n", key.private_key)).expect("written");
    let text = format!(
        "listen_addr: 127.0.0.1:0\nmetrics: {{addr: '127.0.0.1:0'}}\ngateway_key_file: '{}'\napplications: ['{APP1}']\nrelay_timeout_ms: 700\nrequest_timeout_ms: 5000\npocket_node: {{query_node_rpc_url: '{}', query_node_grpc_url: '{}'}}\n{settings}",
        key_file.display(),
        node.query_node_rpc_url,
        node.query_node_grpc_url,
    );
    let settings = document::load::<Gateway>(&text).expect("valid settings").settings;
    let gateway = pocket_gateway::start(&settings, chain, &shutdown).await.expect("started");
    let client = Client::new(ClientOptions {
        connect_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(10),
        idle_per_host: 4,
        idle_timeout: Duration::from_secs(5),
        max_per_host: 64,
        max_response_bytes: 1 << 20,
    });
    Case { gateway, suppliers, client, _devnet: devnet, _trigger: trigger, _folder: folder }
}

impl Case {
    async fn send(&self, path: &str, headers: &[(&str, &str)], body: &'static str) -> Response<Bytes> {
        let mut request =
            Request::post(format!("http://{}{path}", self.gateway.addr)).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.client.send(request.body(body).expect("a request")).await.expect("an answer of the gateway")
    }

    async fn relay(&self, body: &'static str) -> Response<Bytes> {
        self.send("/v1", &[("target-service-id", "develop-http")], body).await
    }
}

fn header<'a>(response: &'a Response<Bytes>, name: &str) -> &'a str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn message(response: &Response<Bytes>) -> String {
    let json: serde_json::Value = serde_json::from_slice(response.body()).expect("refusals are JSON");
    assert_eq!(json["code"], response.status().as_u16());
    json["message"].as_str().expect("a message").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_answer_is_passed_on_with_its_status_and_where_it_came_from() {
    let case = start(&[Manner::Honest(StatusCode::OK)], "").await;
    let response = case.relay(READ).await;
    assert_eq!(response.status(), StatusCode::OK, "{response:?}");
    assert_eq!(response.body(), supplier::BODY);
    assert_eq!(header(&response, "x-app-address"), APP1);
    assert_eq!(header(&response, "x-retry-count"), "0");
    assert_eq!(header(&response, "x-session-id").len(), 64);
    assert_eq!(header(&response, "x-supplier-address"), case.suppliers.asked()[0].supplier);
    assert_eq!(case.suppliers.asked()[0].rpc_type, "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_backend_answered_is_the_status() {
    let case = start(&[Manner::Honest(StatusCode::NOT_FOUND)], "").await;
    assert_eq!(case.relay(READ).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_of_the_backends_connection_are_not_passed_on() {
    let case = start(&[Manner::Headers(3)], "").await;
    let response = case.relay(READ).await;
    assert_eq!(response.status(), StatusCode::OK, "{response:?}");
    assert_eq!(["x-0", "x-1", "x-2"].map(|name| header(&response, name)), ["1"; 3]);
    for name in ["connection", "keep-alive", "proxy-authenticate", "upgrade", "x-hop"] {
        assert_eq!(header(&response, name), "", "{name}");
    }
    assert_eq!(header(&response, "content-length"), response.body().len().to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_more_headers_than_anybody_takes_is_refused() {
    let case = start(&[Manner::Headers(30_000)], "").await;
    let response = case.relay(WRITE).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert!(message(&response).contains("cannot be passed on"), "{}", message(&response));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn path_and_query_behind_v1_reach_the_supplier() {
    let case = start(&[Manner::Honest(StatusCode::OK)], "").await;
    case.send("/v1/deep/path?x=1", &[("target-service-id", "develop-http")], READ).await;
    assert!(case.suppliers.asked()[0].url.ends_with("/deep/path?x=1"), "{:?}", case.suppliers.asked());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lies_are_never_passed_on() {
    for lie in [Manner::WrongKey, Manner::SwappedPayload, Manner::OtherSession, Manner::Unsigned, Manner::Garbage] {
        let case = start(&[lie], "").await;
        let response = case.relay(WRITE).await;
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "{lie:?}");
        assert!(message(&response).contains("not what it signed"), "{lie:?}: {}", message(&response));
        assert_eq!(case.suppliers.asked().len(), 1, "{lie:?}: a write is not repeated");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_supplier_is_tried_when_nothing_was_served() {
    for refusal in [503, 429, 403] {
        let case = start(&[Manner::Refuse(refusal), Manner::Honest(StatusCode::OK)], "").await;
        let response = case.relay(WRITE).await;
        assert_eq!(response.status(), StatusCode::OK, "{refusal}");
        assert_eq!(header(&response, "x-retry-count"), "1");
        let asked = case.suppliers.asked();
        assert_ne!(asked[0].supplier, asked[1].supplier);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_have_been_served_is_repeated_only_if_it_reads() {
    let case = start(&[Manner::Refuse(500), Manner::Honest(StatusCode::OK)], "").await;
    let response = case.relay(WRITE).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "an upstream error stays one");
    assert_eq!(case.suppliers.asked().len(), 1);

    let case = start(&[Manner::Refuse(500), Manner::Honest(StatusCode::OK)], "").await;
    assert_eq!(case.relay(READ).await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supplier_that_hangs_is_a_gateway_timeout() {
    let case = start(&[Manner::Hang], "retries_max: 0").await;
    assert_eq!(case.relay(READ).await.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suppliers_that_are_away_are_a_bad_gateway() {
    let case = start(&[Manner::Honest(StatusCode::OK)], "").await;
    case.suppliers.leave().await;
    let response = case.relay(READ).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert!(message(&response).contains("could not be reached"), "{}", message(&response));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_cannot_be_relayed_say_why() {
    let case = start(&[Manner::Honest(StatusCode::OK)], "limits: {body_bytes_max: 100}").await;
    let service = [("target-service-id", "develop-http")];

    let response = case.send("/v1", &[], READ).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(message(&response).contains("'Target-Service-Id'"));

    assert_eq!(case.send("/elsewhere", &service, READ).await.status(), StatusCode::NOT_FOUND);

    let response = case.send("/v1", &[("target-service-id", "no-such")], READ).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(message(&response).contains(APP1), "it says for whom it signs: {}", message(&response));

    let stranger = "pokt1mdccn4u38eyjdxkk4h0jaddw4n3c72u82m5m9e";
    let response = case.send("/v1", &[service[0], ("app-address", stranger)], READ).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(message(&response).contains("no such application"), "{}", message(&response));

    let long = "{\"jsonrpc\":\"2.0\",\"method\":\"a_method_whose_name_takes_more_than_its_share_of_the_hundred_bytes_there_are\"}";
    assert_eq!(case.send("/v1", &service, long).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(case.suppliers.asked().is_empty(), "nothing of this reached a supplier");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_suppliers_asked_for_are_asked() {
    let case = start(&[Manner::Honest(StatusCode::OK)], "").await;
    let wanted = "pokt19a3t4yunp0dlpfjrp7qwnzwlrzd5fzs2gjaaaj";
    for _ in 0..5 {
        case.send("/v1", &[("target-service-id", "develop-http"), ("target-suppliers", wanted)], READ).await;
    }
    assert!(case.suppliers.asked().iter().all(|asked| asked.supplier == wanted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_its_places_a_gateway_says_busy() {
    let case = start(&[Manner::Hang], "retries_max: 0\nlimits: {requests_in_flight_max: 1}").await;
    let (first, second) = tokio::join!(case.relay(READ), case.relay(READ));
    let mut statuses = [first.status(), second.status()];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT]);
}
