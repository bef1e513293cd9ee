//! A process of its own: this test binary, started again to run one of the ignored tests below as a child.

use std::io::{BufRead, BufReader, Lines, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use pocket_runtime::log::{Format, LogOptions};
use pocket_runtime::process::{self, Exit};
use pocket_runtime::{log, shutdown, task};

use crate::support::DEADLINE;

/// Lines of the test harness end up on the child's stdout too; ours begin with this.
const SAYS: &str = "child says: ";

/// Set for children alone: whoever runs all ignored tests must not wait for a signal.
const CHILD: &str = "POCKET_RUNTIME_TEST_CHILD";

struct Started {
    child: Child,
    // Open to the end: a child that cannot say what it wants dies of it.
    lines: Lines<BufReader<ChildStdout>>,
}

impl Started {
    fn new(test: &str) -> Self {
        let itself = std::env::current_exe().unwrap();
        let mut child = Command::new(itself)
            .args(["--exact", &format!("process::{test}"), "--ignored", "--nocapture", "--test-threads=1"])
            .env(CHILD, "yes")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn wait_for(&mut self, word: &str) {
        // The harness writes the test's name on the same line first.
        let expected = format!("{SAYS}{word}");
        let found = self.lines.by_ref().map_while(Result::ok).any(|line| line.ends_with(&expected));
        assert!(found, "the child ended without saying `{word}`");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn end(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the child does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        let mut talk = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut talk).unwrap();
        (status, talk)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_options() -> LogOptions {
    LogOptions { process: "child", filter: "info".to_owned(), format: Format::Json }
}

// The harness would go on after the child's `main`: what it says, not its exit code, is compared where it returns.
fn main_of(main: impl Future<Output = Exit>) {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let code = process::run("child", main);
    println!("{SAYS}{code:?}");
}

#[test]
#[ignore = "a child of the tests below"]
fn child_that_leaves_when_told() {
    main_of(async {
        log::init(&log_options()).unwrap();
        let shutdown = shutdown::signal(Duration::from_secs(7));
        println!("{SAYS}ready");
        shutdown.triggered().await;
        tracing::info!(left = shutdown.remaining() > Duration::from_secs(1), "leaving");
        Exit::Success
    });
}

#[test]
#[ignore = "a child of the tests below"]
fn child_that_is_stubborn() {
    main_of(async {
        let shutdown = shutdown::signal(Duration::from_secs(7));
        println!("{SAYS}ready");
        shutdown.triggered().await;
        println!("{SAYS}heard");
        std::future::pending().await
    });
}

#[test]
#[ignore = "a child of the tests below"]
fn child_whose_task_panics() {
    main_of(async {
        log::init(&log_options()).unwrap();
        let failed: Result<(), _> = task::spawn("clumsy", async { panic!("dropped \"it\"") }).await;
        tracing::info!(alive = failed.is_err(), "still here");
        Exit::Success
    });
}

#[test]
#[ignore = "a child of the tests below"]
fn child_whose_main_panics() {
    main_of(async { panic!("at the very start") });
}

#[test]
fn a_panic_of_main_is_a_failure_that_says_where() {
    let mut child = Started::new("child_whose_main_panics");
    child.wait_for("ExitCode(unix_exit_status(1))");
    let (_, talk) = child.end();
    assert!(
        talk.contains("child: panic at") && talk.contains("process.rs:") && talk.contains("at the very start"),
        "{talk}"
    );
}

#[test]
fn a_signal_is_heard_and_the_log_is_json_with_the_name_of_the_process() {
    let mut child = Started::new("child_that_leaves_when_told");
    child.wait_for("ready");
    child.signal("TERM");
    let (status, talk) = child.end();
    assert!(status.success());
    let lines: Vec<serde_json::Value> = talk.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(lines.iter().all(|line| line["process"] == "child"), "{talk}");
    let told = lines.iter().find(|line| line["signal"] == "SIGTERM").expect("the signal is logged");
    assert_eq!(told["grace_seconds"], 7);
    assert!(lines.iter().any(|line| line["message"] == "leaving" && line["left"] == true), "{talk}");
}

#[test]
fn a_second_signal_leaves_at_once() {
    let mut child = Started::new("child_that_is_stubborn");
    child.wait_for("ready");
    child.signal("INT");
    child.wait_for("heard");
    child.signal("TERM");
    let (status, _) = child.end();
    assert_eq!(status.code(), Some(130));
}

#[test]
fn a_panicking_task_is_logged_with_its_name_and_place_and_the_process_lives() {
    let (status, talk) = Started::new("child_whose_task_panics").end();
    assert!(status.success());
    let lines: Vec<serde_json::Value> = talk.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let logged = lines.iter().find(|line| line["task"] == "clumsy").expect("the panic is logged");
    assert_eq!(logged["panic"], "dropped \"it\"");
    let place = lines.iter().find_map(|line| line["place"].as_str()).expect("the place is logged");
    assert!(place.contains("process.rs:"), "{place}");
    assert!(lines.iter().any(|line| line["alive"] == true), "{talk}");
}

#[test]
fn traces_need_a_build_that_can_send_them() {
    let traces = log::TraceOptions { endpoint: "http://localhost:4317".to_owned(), sample_ratio: 1.0 };
    if cfg!(not(feature = "otlp")) {
        let refused = log::init_with_traces(&log_options(), Some(&traces)).unwrap_err().to_string();
        assert!(refused.contains("`http://localhost:4317`") && refused.contains("--features otlp"), "{refused}");
        assert_eq!(log::trace_id(), None);
    }
}

#[test]
fn an_error_is_told_once_with_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("failed to start")]
    struct Outer(#[source] std::io::Error);
    let error = Outer(std::io::Error::other("the disk is full"));
    assert_eq!(process::chain(&error), "failed to start: the disk is full");
    assert_eq!((Exit::Success.code(), Exit::Failure.code(), Exit::Usage.code()), (0, 1, 2));
}

#[test]
fn a_settings_file_is_checked_or_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("settings");
    let parse = |text: &str| text.trim().parse::<u16>();
    assert_eq!(process::load_config("test", &path, false, parse), Err(Exit::Usage));
    std::fs::write(&path, "12").unwrap();
    assert_eq!(process::load_config("test", &path, false, parse), Ok(12));
    assert_eq!(process::load_config("test", &path, true, parse), Err(Exit::Success));
    std::fs::write(&path, "twelve").unwrap();
    assert_eq!(process::load_config("test", &path, true, parse), Err(Exit::Usage));
}

/// A collector that understands no traces, but sees the names in them.
#[cfg(feature = "otlp")]
#[tokio::test(flavor = "multi_thread")]
async fn spans_of_our_rooms_reach_the_collector_and_have_an_id() {
    use http_body_util::BodyExt;
    use pocket_runtime::http::{Body, Incoming, Request, Response};
    use tracing::Instrument;

    use crate::support::{Server, serve_options};

    let (sent, mut received) = tokio::sync::mpsc::unbounded_channel();
    let collector = Server::start(serve_options(), DEADLINE, move |request: Request<Incoming>| {
        let sent = sent.clone();
        async move {
            assert!(request.uri().path().ends_with("TraceService/Export"));
            let body = request.into_body().collect().await.unwrap().to_bytes();
            sent.send(String::from_utf8_lossy(&body).into_owned()).unwrap();
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            let empty = http_body_util::Full::new(bytes::Bytes::from_static(&[0; 5]));
            let mut answer = Response::new(Body::boxed(empty.with_trailers(async { Some(Ok(trailers)) })));
            answer.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
            answer
        }
    })
    .await;
    let traces = log::TraceOptions { endpoint: format!("http://{}", collector.address), sample_ratio: 1.0 };
    let logging = log::init_with_traces(&log_options(), Some(&traces)).unwrap();
    assert_eq!(log::trace_id(), None);
    let id = async { log::trace_id() }
        .instrument(tracing::info_span!(target: "pocket_relayer", "relay", service = "svc"))
        .await
        .expect("a sampled span has an id");
    assert_eq!(id.len(), 32);
    task::spawn("not exported", async {}).await.unwrap();
    task::blocking("flush", move || drop(logging)).await.unwrap();
    let mut names = String::new();
    while let Ok(batch) = received.try_recv() {
        names.push_str(&batch);
    }
    assert!(names.contains("relay") && names.contains("svc") && names.contains("child"), "{names}");
    assert!(!names.contains("not exported"), "{names}");
}
