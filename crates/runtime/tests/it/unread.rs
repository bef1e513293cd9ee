//! Answers that their clients do not take, or take slowly.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pocket_runtime::http::{Body, Incoming, Request, Response};
use pocket_runtime::{net, task};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::support::{DEADLINE, Server, serve_options};

/// Short, for what is to be cut; everything that is not takes several times as long.
const WRITE_TIMEOUT: Duration = Duration::from_millis(100);

/// Bytes that tell when the last of them has been let go.
struct Held {
    bytes: Vec<u8>,
    freed: Arc<Notify>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.freed.notify_one();
    }
}

fn pattern(size: usize) -> Vec<u8> {
    (0..=250).cycle().take(size).collect()
}

/// Answers `/N` with N bytes, and `/` with none.
async fn sized(write_timeout: Duration) -> (Server, Arc<Notify>) {
    let freed = Arc::new(Notify::new());
    let told = freed.clone();
    let mut options = serve_options();
    options.write_timeout = write_timeout;
    let server = Server::start(options, DEADLINE, move |request: Request<Incoming>| {
        let freed = told.clone();
        async move {
            match request.uri().path()[1..].parse() {
                Ok(size) => Response::new(Body::full(Bytes::from_owner(Held { bytes: pattern(size), freed }))),
                Err(_) => Response::new(Body::empty()),
            }
        }
    })
    .await;
    (server, freed)
}

/// A client that lets each answer have `window` bytes ahead of its reader.
async fn http2(server: &Server, window: u32) -> SendRequest<Full<Bytes>> {
    let io = TokioIo::new(net::connect(&server.address).await.unwrap());
    let mut builder = Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.initial_stream_window_size(window).handshake(io).await.unwrap();
    drop(task::spawn("test h2", connection));
    sender
}

async fn ask(server: &Server, sender: &mut SendRequest<Full<Bytes>>, path: &str) -> Response<Incoming> {
    let request = Request::get(format!("http://{}{path}", server.address)).body(Full::default()).unwrap();
    tokio::time::timeout(DEADLINE, sender.send_request(request)).await.expect("an answer's head").unwrap()
}

#[tokio::test]
async fn an_http2_answer_that_nobody_takes_is_reset_and_its_bytes_are_freed() {
    let (server, freed) = sized(WRITE_TIMEOUT).await;
    for (size, window) in [(1 << 20, 0), (1 << 20, 1), (1 << 20, 65_535), (1, 0), (100, 0), (100, 50), (100, 99)] {
        let mut sender = http2(&server, window).await;
        let mut unread = ask(&server, &mut sender, &format!("/{size}")).await.into_body();
        let waiting = tokio::time::timeout(DEADLINE, freed.notified()).await;
        waiting.unwrap_or_else(|_| panic!("{size} bytes stay in memory behind a window of {window}"));
        assert!(ask(&server, &mut sender, "/").await.into_body().collect().await.is_ok(), "the connection serves on");
        let broken = async { while unread.frame().await.expect("no end but a reset").is_ok() {} };
        tokio::time::timeout(DEADLINE, broken).await.expect("the client learns of the reset");
    }
}

#[tokio::test]
async fn an_http2_answer_arrives_whole_whatever_its_size_and_window() {
    let (server, _) = sized(DEADLINE).await;
    for window in [1_000, 16_384, 65_535, 1 << 20] {
        let mut sender = http2(&server, window).await;
        for size in [1, 2, 999, 1_000, 1_001, 16_383, 16_384, 16_385, 65_535, 65_536, 300_000] {
            let answer = ask(&server, &mut sender, &format!("/{size}")).await;
            assert_eq!(answer.headers()["content-length"], size.to_string());
            let body = tokio::time::timeout(DEADLINE, answer.into_body().collect()).await.expect("the whole answer");
            assert!(body.unwrap().to_bytes() == pattern(size), "{size} bytes through a window of {window}");
        }
    }
}

#[tokio::test]
async fn an_http2_answer_that_fits_its_window_needs_no_reader() {
    let (server, freed) = sized(WRITE_TIMEOUT).await;
    let mut sender = http2(&server, 65_535).await;
    for size in [1, 100, 40_000] {
        let body = ask(&server, &mut sender, &format!("/{size}")).await.into_body();
        tokio::time::timeout(DEADLINE, freed.notified()).await.expect("it has been sent");
        tokio::time::sleep(WRITE_TIMEOUT * 3).await;
        assert_eq!(body.collect().await.expect("it was not reset").to_bytes().len(), size);
    }
}

#[tokio::test]
async fn an_http2_answer_read_slowly_but_steadily_is_not_reset() {
    let (server, _) = sized(WRITE_TIMEOUT * 10).await;
    let mut sender = http2(&server, 16_384).await;
    let mut body = ask(&server, &mut sender, "/400000").await.into_body();
    let (began, mut read) = (tokio::time::Instant::now(), 0);
    while let Some(frame) = body.frame().await {
        read += frame.expect("it is not reset").into_data().unwrap().len();
        tokio::time::sleep(WRITE_TIMEOUT).await;
    }
    assert_eq!(read, 400_000);
    assert!(began.elapsed() > WRITE_TIMEOUT * 20, "it took longer than an answer that stands still may");
}

#[tokio::test]
async fn an_http2_answer_that_its_service_delays_is_not_reset() {
    let mut options = serve_options();
    options.write_timeout = WRITE_TIMEOUT;
    let server = Server::start(options, DEADLINE, |_| async {
        let pieces = stream::iter(["slow", " but", " here"]).then(|piece| async move {
            tokio::time::sleep(WRITE_TIMEOUT * 3).await;
            Ok::<_, std::io::Error>(Bytes::from(piece))
        });
        Response::new(Body::stream(pieces))
    })
    .await;
    let mut sender = http2(&server, 65_535).await;
    let body = ask(&server, &mut sender, "/").await.into_body();
    assert_eq!(body.collect().await.expect("it is not reset").to_bytes(), "slow but here");
}

#[tokio::test]
async fn an_http1_answer_read_slowly_but_steadily_is_not_taken_for_idle() {
    let size = 48 << 20;
    let mut options = serve_options();
    (options.write_timeout, options.idle_timeout) = (WRITE_TIMEOUT * 2, WRITE_TIMEOUT);
    let server =
        Server::start(options, DEADLINE, move |_| async move { Response::new(Body::full(vec![0; size])) }).await;
    let mut stream = net::connect(&server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let (began, mut read, mut piece) = (tokio::time::Instant::now(), 0, vec![0; 1 << 20]);
    while read < size {
        let count = tokio::time::timeout(DEADLINE, stream.read(&mut piece)).await.expect("more").unwrap();
        assert!(count > 0, "cut after {read} bytes");
        read += count;
        tokio::time::sleep(WRITE_TIMEOUT / 5).await;
    }
    assert!(began.elapsed() > WRITE_TIMEOUT * 4, "it took longer than an idle connection may");
}
