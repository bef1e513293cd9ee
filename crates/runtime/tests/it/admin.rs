//! The admin listener.

use std::time::Duration;

use bytes::Bytes;
use pocket_config::metrics::Catalogue;
use pocket_runtime::admin::{self, Admin, Health, Routes};
use pocket_runtime::http::{Client, StatusCode};
use pocket_runtime::metrics::Registry;
use pocket_runtime::net::TcpListener;
use pocket_runtime::shutdown;
use pocket_runtime::task;

use crate::support::{DEADLINE, client_options, get, post};

async fn ask(client: &Client, address: &str, path: &str) -> (StatusCode, String) {
    let answer = client.send(get(address, path)).await.unwrap();
    (answer.status(), String::from_utf8(answer.body().to_vec()).unwrap())
}

#[tokio::test]
async fn a_process_shows_its_metrics_its_health_and_what_it_adds() {
    let health = Health::new();
    let routes = Routes::new()
        .get("/debug/echo", |query| async move { admin::text(StatusCode::OK, "text/plain", query) })
        .post("/debug/change", |_| async { admin::json(StatusCode::ACCEPTED, &"done") });
    let registry = Registry::new("tester", Catalogue::builtin());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().to_string();
    let (trigger, shutdown) = shutdown::channel(DEADLINE);
    let admin = Admin { registry, health: health.clone(), routes };
    let serving = task::spawn("test admin", admin::serve(listener, admin, shutdown));
    let client = Client::new(client_options());

    let (status, text) = ask(&client, &address, "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("pocket_runtime_tasks"), "{text}");

    assert_eq!(ask(&client, &address, "/readyz").await.0, StatusCode::OK);
    let store = health.readiness("store", "not connected yet");
    let (status, text) = ask(&client, &address, "/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text, r#"{"status":"failing","process":"tester","failing":{"store":"not connected yet"}}"#);
    store.ready();
    let (status, text) = ask(&client, &address, "/health").await;
    assert_eq!((status, text.as_str()), (StatusCode::OK, r#"{"status":"ok","process":"tester","failing":{}}"#));
    store.not_ready("connection lost");
    assert!(ask(&client, &address, "/readyz").await.1.contains("connection lost"));

    assert_eq!(ask(&client, &address, "/livez").await.0, StatusCode::OK);
    let silent = health.heartbeat("ingest", Duration::ZERO);
    let (status, text) = ask(&client, &address, "/livez").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains(r#""ingest":"no progress for"#), "{text}");
    drop(silent);
    assert_eq!(ask(&client, &address, "/livez").await.0, StatusCode::OK);

    assert_eq!(ask(&client, &address, "/debug/echo?a=b").await, (StatusCode::OK, "a=b".to_owned()));
    assert_eq!(
        client.send(post(&address, "/debug/change", Bytes::new())).await.unwrap().status(),
        StatusCode::ACCEPTED
    );
    let (status, text) = ask(&client, &address, "/debug/change").await;
    assert_eq!((status, text.as_str()), (StatusCode::NOT_FOUND, r#"{"error":"nothing is at /debug/change"}"#));

    trigger.trigger();
    assert_eq!(serving.await.unwrap().cut, 0);
}

#[tokio::test(start_paused = true)]
async fn a_loop_is_silent_only_after_its_longest_silence() {
    let health = Health::new();
    let beat = health.heartbeat("loop", Duration::from_secs(5));
    tokio::time::advance(Duration::from_secs(4)).await;
    beat.beat();
    tokio::time::advance(Duration::from_secs(4)).await;
    assert_eq!(health.silent(), []);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(health.silent(), [("loop", Duration::from_secs(6))]);
}
