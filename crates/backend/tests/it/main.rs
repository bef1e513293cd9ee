//! The backend on a real socket: good answers, and each way to fail.

use std::time::Duration;

use bytes::Bytes;
use pocket_config::{backend::Backend, document};
use pocket_runtime::http::{Client, ClientError, ClientOptions, Phase, Request, Response, StatusCode};
use pocket_runtime::shutdown::{self, ShutdownTrigger};

struct Case {
    running: pocket_backend::Running,
    client: Client,
    _trigger: ShutdownTrigger,
}

async fn start(settings: &str) -> Case {
    let text = format!("listen_addr: '127.0.0.1:0'\nmetrics: {{addr: '127.0.0.1:0'}}\n{settings}");
    let settings = document::load::<Backend>(&text).expect("valid settings").settings;
    let (trigger, shutdown) = shutdown::channel(Duration::from_secs(1));
    let running = pocket_backend::start(&settings, &shutdown).await.expect("started");
    let client = Client::new(ClientOptions {
        connect_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_millis(500),
        idle_per_host: 4,
        idle_timeout: Duration::from_secs(5),
        max_per_host: 4,
        max_response_bytes: 1 << 20,
    });
    Case { running, client, _trigger: trigger }
}

impl Case {
    async fn post(&self, path: &str, body: &'static str) -> Result<Response<Bytes>, ClientError> {
        let uri = format!("http://{}{path}", self.running.addr);
        let request = Request::post(uri).header("content-type", "application/json").body(body).expect("a request");
        self.client.send(request).await
    }
}

const REQUEST: &str = r#"{"jsonrpc":"2.0","method":"eth_blockNumber","params":[],"id":1}"#;
const ANSWER: &str = r#"{"id":1,"jsonrpc":"2.0","result":{"method":"eth_blockNumber","params":[],"status":"ok"}}"#;

#[tokio::test]
async fn any_path_gets_the_documented_bytes() {
    let case = start("").await;
    for path in ["/", "/v1/anything"] {
        let response = case.post(path, REQUEST).await.expect("answered");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.body(), ANSWER);
    }
}

#[tokio::test]
async fn it_says_that_it_lives() {
    let case = start("").await;
    let response = case.post("/health", "").await.expect("answered");
    assert_eq!(response.body(), "{\"service\":\"demo-backend\",\"status\":\"healthy\"}\n");
}

#[tokio::test]
async fn it_fails_on_request() {
    let case = start("").await;
    let refused = case.post("/?fault=status:503", REQUEST).await.expect("answered");
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.body(), "injected error (code: 503)\n");

    let hung = case.post("/?fault=hang", REQUEST).await.expect_err("no answer");
    assert!(matches!(hung, ClientError::Timeout { phase: Phase::Response, .. }), "{hung:?}");

    for fault in ["truncated", "reset"] {
        let broken = case.post(&format!("/?fault={fault}"), REQUEST).await.expect_err("half an answer");
        assert!(matches!(broken, ClientError::Broken { .. }), "{fault}: {broken:?}");
    }
    let huge = case.post("/?fault=huge:2000000", REQUEST).await.expect_err("over the client's limit");
    assert!(matches!(huge, ClientError::TooLarge { .. }), "{huge:?}");

    let unknown = case.post("/?fault=explode", REQUEST).await.expect("answered");
    assert_eq!(unknown.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_fault_set_by_the_admin_listener_lasts_for_so_many_requests() {
    let case = start("").await;
    let admin = case.running.admin_addr.expect("an admin listener");
    let request = Request::post(format!("http://{admin}/fault?set=status:500&for=2")).body("").expect("a request");
    assert_eq!(case.client.send(request).await.expect("answered").status(), StatusCode::OK);
    for expected in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::INTERNAL_SERVER_ERROR, StatusCode::OK] {
        assert_eq!(case.post("/", REQUEST).await.expect("answered").status(), expected);
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let case = start("body_bytes_max: 10").await;
    assert_eq!(case.post("/", REQUEST).await.expect("answered").status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let case = start("").await;
    let text = format!("listen_addr: '{}'", case.running.addr);
    let settings = document::load::<Backend>(&text).expect("valid").settings;
    let (_trigger, shutdown) = shutdown::channel(Duration::from_secs(1));
    let error = pocket_backend::start(&settings, &shutdown).await.err().expect("refused");
    let line = pocket_runtime::process::chain(&error);
    assert!(line.contains(&case.running.addr.to_string()), "{line}");
}
