//! Who works: clients of the gateway, each relay with an id of its own, and what they were answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use pocket_runtime::http::{Client, ClientOptions, Request, Response, StatusCode};
use tokio::task::JoinHandle;

/// A session's id and a supplier: what a claim is about.
pub(crate) type Key = (String, String);

/// What clients saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Relays answered with the exact expected bytes: the id that the client gave each, and the claim it belongs in.
    pub(crate) answered: BTreeMap<u64, Key>,
    /// Relays without an answer, by their ids; they may or may not have been served.
    pub(crate) unanswered: BTreeSet<u64>,
    /// Answers that were wrong, with what was wrong. There must be none.
    pub(crate) wrong: Vec<String>,
}

/// Pause of a client that got no answer.
const PAUSE: Duration = Duration::from_millis(20);

/// Not a method that only reads: the gateway sends such a call again only if it was certainly not served, so that a
/// client's relay is served at most once.
const METHOD: &str = "eth_sendRawTransaction";

/// Clients at work until they are told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    workers: Vec<JoinHandle<()>>,
}

/// A client that gives up after `timeout`.
pub(crate) fn client(timeout: Duration) -> Client {
    Client::new(ClientOptions {
        connect_timeout: timeout,
        request_timeout: timeout,
        idle_per_host: 64,
        idle_timeout: Duration::from_secs(10),
        max_per_host: 64,
        max_response_bytes: 1 << 20,
    })
}

impl Load {
    /// Starts `concurrency` clients of the gateway at `url`. `limit` bounds the relays of all of them together.
    pub(crate) fn start(url: &str, concurrency: usize, limit: Option<u64>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let next = Arc::new(AtomicU64::new(1));
        let client = client(Duration::from_secs(10));
        let workers = (0..concurrency)
            .map(|_| {
                let (url, stop, seen, next, client) =
                    (url.to_owned(), stop.clone(), seen.clone(), next.clone(), client.clone());
                tokio::task::spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        let id = next.fetch_add(1, Ordering::Relaxed);
                        if limit.is_some_and(|limit| id > limit) {
                            return;
                        }
                        one(&client, &url, id, &seen).await;
                    }
                })
            })
            .collect();
        Self { stop, seen, workers }
    }

    /// How many relays have been answered.
    pub(crate) fn answered(&self) -> usize {
        self.seen.lock().expect("no panic").answered.len()
    }

    /// Waits until every client has sent its last relay.
    pub(crate) async fn finished(self) -> Seen {
        for worker in self.workers {
            worker.await.expect("a client does not panic");
        }
        std::mem::take(&mut *self.seen.lock().expect("no panic"))
    }

    /// Tells the clients to stop, and waits for what is in flight.
    pub(crate) async fn stopped(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.finished().await
    }
}

async fn one(client: &Client, url: &str, id: u64, seen: &Mutex<Seen>) {
    let body = format!(r#"{{"jsonrpc":"2.0","method":"{METHOD}","params":[],"id":{id}}}"#);
    let expected =
        format!(r#"{{"id":{id},"jsonrpc":"2.0","result":{{"method":"{METHOD}","params":[],"status":"ok"}}}}"#);
    let request = Request::post(url)
        .header("target-service-id", "develop-http")
        .header("content-type", "application/json")
        .body(body)
        .expect("a request");
    let answered = match client.send(request).await {
        Ok(response) => judge(id, &response, expected.as_bytes(), seen),
        Err(_) => false,
    };
    if !answered {
        seen.lock().expect("no panic").unanswered.insert(id);
        // Somebody is away: a moment, not a storm.
        tokio::time::sleep(PAUSE).await;
    }
}

/// Records an answer; a refusal is none.
fn judge(id: u64, response: &Response<Bytes>, expected: &[u8], seen: &Mutex<Seen>) -> bool {
    if response.status() != StatusCode::OK {
        return false;
    }
    let header =
        |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let key = (header("x-session-id"), header("x-supplier-address"));
    let mut seen = seen.lock().expect("no panic");
    if response.body() == expected {
        seen.answered.insert(id, key);
    } else {
        seen.wrong.push(format!("relay {id}: {:?}", response.body()));
    }
    true
}
