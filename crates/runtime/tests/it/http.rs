//! The server and the client, against each other and against rude peers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt;
use pocket_runtime::http::{
    Body, BodyError, Client, ClientError, Incoming, Phase, Request, Response, StatusCode, read_body,
};
use pocket_runtime::net::{self, TcpListener};
use pocket_runtime::task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::support::{DEADLINE, Server, client, client_options, get, post, serve_options};

async fn echo(request: Request<Incoming>) -> Response<Body> {
    match read_body(request.into_body(), 1000, DEADLINE).await {
        Ok(bytes) => Response::new(Body::full(bytes)),
        Err(BodyError::TooLarge { .. }) => status(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => status(StatusCode::BAD_REQUEST),
    }
}

fn status(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer
}

async fn read_to_end(stream: &mut net::TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut bytes)).await;
    read.expect("the server cuts the connection before the test's deadline").unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn requests_are_answered_over_one_kept_connection() {
    let connections = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().to_string();
    let (trigger, shutdown) = pocket_runtime::shutdown::channel(DEADLINE);
    let count = connections.clone();
    let make = move |peer: std::net::SocketAddr| {
        assert!(peer.ip().is_loopback());
        count.fetch_add(1, Ordering::Relaxed);
        echo
    };
    let serving =
        task::spawn("test server", pocket_runtime::http::serve_with_peer(listener, serve_options(), make, shutdown));
    let client = client();
    for turn in 0..20 {
        let answer = client.send(post(&address, "/", format!("turn {turn}"))).await.unwrap();
        assert_eq!(answer.into_body(), format!("turn {turn}"));
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    trigger.trigger();
    assert_eq!(serving.await.unwrap().cut, 0);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_announced_or_not() {
    let server = Server::start(serve_options(), DEADLINE, echo).await;
    let client = client();
    let answer = client.send(post(&server.address, "/", vec![b'x'; 1000])).await.unwrap();
    assert_eq!((answer.status(), answer.body().len()), (StatusCode::OK, 1000));
    let answer = client.send(post(&server.address, "/", vec![b'x'; 1001])).await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let mut stream = net::connect(&server.address).await.unwrap();
    let chunk = format!("258\r\n{}\r\n", "x".repeat(600));
    let request = format!("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 413");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_slow_and_one_that_ends_early_is_broken() {
    let silent = Body::stream(stream::pending::<Result<Bytes, std::io::Error>>());
    assert!(matches!(read_body(silent, 10, Duration::from_secs(3)).await, Err(BodyError::Slow { .. })));
    let pieces = [Ok(Bytes::from("half")), Err(std::io::Error::other("gone"))];
    let broken = Body::stream(stream::iter(pieces));
    assert!(matches!(read_body(broken, 10, DEADLINE).await, Err(BodyError::Broken(_))));
    let pieces = || {
        let pieces = ["one,", "two,", "", "three"];
        Body::stream(stream::iter(pieces.map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)))))
    };
    assert_eq!(read_body(pieces(), 13, DEADLINE).await.unwrap(), "one,two,three");
    let error = read_body(pieces(), 12, DEADLINE).await.unwrap_err();
    assert_eq!(error.to_string(), "the body is longer than 12 bytes, the limit");
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_served_where_allowed() {
    for h2c in [true, false] {
        let mut options = serve_options();
        options.h2c = h2c;
        let server = Server::start(options, DEADLINE, echo).await;
        let stream = net::connect(&server.address).await.unwrap();
        let io = hyper_util::rt::TokioIo::new(stream);
        let executor = hyper_util::rt::TokioExecutor::new();
        let answer = async {
            let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await?;
            drop(task::spawn("test h2", connection));
            let request = Request::post(format!("http://{}/", server.address));
            let request = request.body(http_body_util::Full::new(Bytes::from("two"))).unwrap();
            sender.send_request(request).await
        };
        let answer: Result<_, hyper::Error> = tokio::time::timeout(DEADLINE, answer).await.unwrap();
        if h2c {
            assert_eq!(answer.unwrap().into_body().collect().await.unwrap().to_bytes(), "two");
        } else {
            assert!(answer.is_err());
        }
    }
}

#[tokio::test]
async fn a_panic_in_the_service_costs_one_connection() {
    let server = Server::start(serve_options(), DEADLINE, |request: Request<Incoming>| async move {
        assert_ne!(request.uri().path(), "/panic", "asked to");
        Response::new(Body::from("fine"))
    })
    .await;
    let client = client();
    let error = client.send(server.get("/panic")).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error:?}");
    assert!(!error.is_unsent());
    assert_eq!(client.send(server.get("/")).await.unwrap().into_body(), "fine");
}

#[tokio::test]
async fn draining_answers_what_is_in_flight_and_takes_nothing_new() {
    let (asked, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (heard, open) = (asked.clone(), gate.clone());
    let server = Server::start(serve_options(), DEADLINE, move |_| {
        let (heard, open) = (heard.clone(), open.clone());
        async move {
            heard.notify_one();
            open.notified().await;
            Response::new(Body::from("late but here"))
        }
    })
    .await;
    let client = client();
    let request = server.get("/");
    let asking = task::spawn("test ask", async move { client.send(request).await });
    asked.notified().await;
    server.trigger.trigger();
    let refused = async {
        while net::connect(&server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, refused).await.expect("a server that leaves stops listening");
    gate.notify_one();
    assert_eq!(asking.await.unwrap().unwrap().into_body(), "late but here");
    assert_eq!(server.served.await.unwrap().cut, 0);
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_leaving() {
    let server = Server::start(serve_options(), DEADLINE, echo).await;
    let client = client();
    client.send(server.get("/")).await.unwrap();
    let silent = net::connect(&server.address).await.unwrap();
    let began = tokio::time::Instant::now();
    server.trigger.trigger();
    assert_eq!(server.served.await.unwrap().cut, 0);
    assert!(began.elapsed() < DEADLINE / 2, "waited for idle connections");
    drop(silent);
}

#[tokio::test]
async fn what_outlives_the_grace_period_is_cut_and_counted() {
    let asked = Arc::new(Notify::new());
    let heard = asked.clone();
    let server = Server::start(serve_options(), Duration::from_millis(50), move |_| {
        heard.notify_one();
        std::future::pending::<Response<Body>>()
    })
    .await;
    let client = client();
    let request = server.get("/");
    let asking = task::spawn("test ask", async move { client.send(request).await });
    asked.notified().await;
    server.trigger.trigger();
    assert_eq!(server.served.await.unwrap().cut, 1);
    assert!(asking.await.unwrap().is_err());
}

#[tokio::test]
async fn slow_heads_are_cut() {
    let mut options = serve_options();
    options.header_timeout = Duration::from_millis(100);
    let server = Server::start(options, DEADLINE, echo).await;
    for start in ["", "GET / HT", "GET / HTTP/1.1\r\nhost: x\r\n"] {
        let mut stream = net::connect(&server.address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        assert_eq!(read_to_end(&mut stream).await, "", "{start}");
    }
    // The second request's head counts as much as the first one's.
    let mut stream = net::connect(&server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    stream.write_all(b"GET /").await.unwrap();
    assert!(!read_to_end(&mut stream).await.contains("HTTP/1.1 200"));
}

#[tokio::test]
async fn idle_connections_are_closed_and_busy_ones_are_not() {
    let mut options = serve_options();
    options.idle_timeout = Duration::from_millis(100);
    let server = Server::start(options, DEADLINE, |_| async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        Response::new(Body::from("worth waiting for"))
    })
    .await;
    let mut stream = net::connect(&server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let text = read_to_end(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("worth waiting for"), "{text}");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let mut options = serve_options();
    options.write_timeout = Duration::from_millis(100);
    let dropped = Arc::new(Notify::new());
    let told = dropped.clone();
    let server = Server::start(options, DEADLINE, move |_| {
        let told = NotifyOnDrop(told.clone());
        async move {
            Response::new(Body::stream(stream::repeat_with(move || {
                let _ = &told;
                Ok::<_, std::io::Error>(Bytes::from(vec![0; 65_536]))
            })))
        }
    })
    .await;
    let mut stream = net::connect(&server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    tokio::time::timeout(DEADLINE, dropped.notified()).await.expect("the endless answer is dropped");
    drop(server);
}

struct NotifyOnDrop(Arc<Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn more_connections_than_allowed_wait_their_turn() {
    let mut options = serve_options();
    options.max_connections = 1;
    let server = Server::start(options, DEADLINE, echo).await;
    let mut first = net::connect(&server.address).await.unwrap();
    first.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n").await.unwrap();
    let request = post(&server.address, "/", "second");
    let client = client();
    let mut second = task::spawn("test ask", async move { client.send(request).await });
    tokio::select! {
        biased;
        _ = &mut second => panic!("the second connection was served beside the first"),
        () = tokio::time::sleep(Duration::from_millis(100)) => {}
    }
    first.write_all(b"x").await.unwrap();
    drop(first);
    assert_eq!(second.await.unwrap().unwrap().into_body(), "second");
}

#[tokio::test]
async fn too_many_or_too_long_headers_are_refused() {
    let mut options = serve_options();
    options.max_headers = 4;
    let server = Server::start(options, DEADLINE, echo).await;
    for (headers, expected) in [
        ("a: 1\r\n".repeat(3), "HTTP/1.1 200"),
        ("a: 1\r\n".repeat(4), "HTTP/1.1 431"),
        (format!("a: {}\r\n", "x".repeat(9000)), "HTTP/1.1 431"),
    ] {
        let mut stream = net::connect(&server.address).await.unwrap();
        let head = format!("GET / HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), expected);
    }
}

/// A peer that answers each connection with the next of `scripts`, whatever it is asked, then closes it.
async fn scripted(scripts: Vec<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().to_string();
    drop(task::spawn("test peer", async move {
        for script in scripts {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 1024];
            let _ = stream.read(&mut bytes).await;
            stream.write_all(script.as_bytes()).await.unwrap();
        }
    }));
    address
}

const GREETING: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

#[tokio::test]
async fn a_connection_closed_while_idle_costs_no_request() {
    let address = scripted(vec![GREETING, GREETING, GREETING]).await;
    let client = client();
    for _ in 0..3 {
        assert_eq!(client.send(get(&address, "/")).await.unwrap().into_body(), "hi");
    }
}

#[tokio::test]
async fn a_request_that_may_have_been_seen_is_not_sent_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().to_string();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    drop(task::spawn("test peer", async move {
        let mut bytes = [0; 1024];
        let (mut stream, _) = listener.accept().await.unwrap();
        for answer in [GREETING, ""] {
            let read = stream.read(&mut bytes).await.unwrap();
            assert!(read > 0);
            count.fetch_add(1, Ordering::Relaxed);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        drop(stream);
        let _ = listener.accept().await;
        count.fetch_add(100, Ordering::Relaxed);
    }));
    let client = client();
    assert!(client.send(get(&address, "/")).await.is_ok());
    let error = client.send(get(&address, "/")).await.unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error:?}");
    assert_eq!(seen.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn every_failure_has_its_variant() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().to_string();
    drop(listener);
    let error = client().send(get(&nobody, "/")).await.unwrap_err();
    assert!(matches!(&error, ClientError::Connect { authority, .. } if *authority == nobody), "{error:?}");
    assert!(error.is_unsent());

    let mut options = client_options();
    options.max_response_bytes = 5;
    let small = Client::new(options);
    let address = scripted(vec![
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabcdef",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc",
        "SMTP hello\r\n\r\n",
    ])
    .await;
    let error = small.send(get(&address, "/")).await.unwrap_err();
    assert!(matches!(error, ClientError::TooLarge { limit: 5, .. }), "{error:?}");
    for _ in 0..2 {
        let error = small.send(get(&address, "/")).await.unwrap_err();
        assert!(matches!(error, ClientError::Broken { .. }), "{error:?}");
    }

    for (uri, says) in [("/path", "write http://host:port/path"), ("ftp://host/", "write http://host:port/path")] {
        let request = Request::get(uri).body(Bytes::new()).unwrap();
        let error = client().send(request).await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_timeout_names_its_phase() {
    let mut options = client_options();
    options.request_timeout = Duration::from_millis(100);
    options.max_per_host = 1;
    let client = Client::new(options);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().to_string();
    let phase_of = |error: ClientError| match error {
        ClientError::Timeout { phase, .. } => phase,
        other => panic!("{other:?}"),
    };
    let error = client.send(get(&address, "/")).await.unwrap_err();
    assert!(error.to_string().contains("did not answer within 100ms (waiting for: response)"), "{error}");
    assert_eq!(phase_of(error), Phase::Response);

    let (asking, request) = (client.clone(), get(&address, "/"));
    let first = task::spawn("test ask", async move { asking.send_within(request, DEADLINE).await });
    // The pool's only place is taken once the peer sees a connection; the one before it was of the first request.
    let _held = [silent.accept().await.unwrap(), silent.accept().await.unwrap()];
    assert_eq!(phase_of(client.send(get(&address, "/")).await.unwrap_err()), Phase::Pool);
    first.abort();
    drop(first);

    let server = Server::start(serve_options(), Duration::ZERO, |_| async {
        Response::new(Body::stream(stream::pending::<Result<Bytes, std::io::Error>>()))
    })
    .await;
    assert_eq!(phase_of(client.send(server.get("/")).await.unwrap_err()), Phase::Body);
}

#[tokio::test]
async fn a_streamed_answer_comes_piece_by_piece_and_frees_its_connection_at_the_end() {
    let (pieces, source) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let source = Arc::new(std::sync::Mutex::new(Some(source)));
    let server = Server::start(serve_options(), DEADLINE, move |_| {
        let source = source.lock().unwrap().take();
        async move {
            match source {
                Some(mut source) => Response::new(Body::stream(stream::poll_fn(move |cx| source.poll_recv(cx)))),
                None => Response::new(Body::from("plain")),
            }
        }
    })
    .await;
    let mut options = client_options();
    options.max_per_host = 1;
    let client = Client::new(options);
    let mut body = client.open(server.get("/")).await.unwrap().into_body();
    for piece in ["first", "second"] {
        pieces.send(Ok(Bytes::from(piece))).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), piece);
    }
    drop(pieces);
    assert!(body.frame().await.is_none());
    assert_eq!(client.send(server.get("/")).await.unwrap().into_body(), "plain");
}

#[tokio::test]
async fn an_upgraded_connection_speaks_freely() {
    let server = Server::start(serve_options(), DEADLINE, |mut request: Request<Incoming>| async move {
        drop(task::spawn("test upgrade", async move {
            let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
            let mut io = hyper_util::rt::TokioIo::new(upgraded);
            let byte = io.read_u8().await.unwrap();
            io.write_all(&[byte + 1]).await.unwrap();
            io.flush().await.unwrap();
        }));
        let mut answer = status(StatusCode::SWITCHING_PROTOCOLS);
        answer.headers_mut().insert("connection", "upgrade".parse().unwrap());
        answer.headers_mut().insert("upgrade", "counting".parse().unwrap());
        answer
    })
    .await;
    let mut stream = net::connect(&server.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: counting\r\n\r\n").await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    stream.write_all(&[41]).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 42);
}

#[tokio::test]
async fn http2_requests_share_a_connection_and_carry_trailers() {
    let connections = Arc::new(AtomicUsize::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().to_string();
    let (trigger, shutdown) = pocket_runtime::shutdown::channel(DEADLINE);
    let count = connections.clone();
    let make = move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        |request: Request<Incoming>| async move {
            assert_eq!(request.version(), http::Version::HTTP_2);
            assert!(!request.headers().contains_key("host"));
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            let body = http_body_util::Full::new(body).with_trailers(async { Some(Ok(trailers)) });
            Response::new(Body::boxed(body))
        }
    };
    let serving =
        task::spawn("test server", pocket_runtime::http::serve_with_peer(listener, serve_options(), make, shutdown));
    let client = client();
    let ask = async |turn: usize| {
        let request = Request::post(format!("http://{address}/service/method"));
        let request = request.header("host", "old").body(Body::from(format!("turn {turn}"))).unwrap();
        let body = client.open_http2(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(body.to_bytes(), format!("turn {turn}"));
    };
    tokio::join!(ask(0), ask(1), ask(2));
    ask(3).await;
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    trigger.trigger();
    assert_eq!(serving.await.unwrap().cut, 0);
}
