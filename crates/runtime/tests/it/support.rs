//! What the tests share: limits with room to spare, and a server on port 0.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use pocket_runtime::http::{Body, Client, ClientOptions, Incoming, Request, Response, ServeOptions, Served};
use pocket_runtime::net::TcpListener;
use pocket_runtime::shutdown::{self, ShutdownTrigger};
use pocket_runtime::task::{self, Task};

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn serve_options() -> ServeOptions {
    ServeOptions {
        name: "test server",
        max_connections: 64,
        header_timeout: DEADLINE,
        idle_timeout: DEADLINE,
        write_timeout: DEADLINE,
        max_headers: 100,
        max_header_bytes: 8192,
        h2c: true,
        max_streams: 100,
    }
}

pub(crate) fn client_options() -> ClientOptions {
    ClientOptions {
        connect_timeout: DEADLINE,
        request_timeout: DEADLINE,
        idle_per_host: 8,
        idle_timeout: DEADLINE,
        max_per_host: 8,
        max_response_bytes: 1 << 20,
    }
}

/// A server that is told to leave when the test ends.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) trigger: ShutdownTrigger,
    pub(crate) served: Task<Served>,
}

impl Server {
    pub(crate) async fn start<S, F>(options: ServeOptions, grace: Duration, service: S) -> Self
    where
        S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port 0 is free");
        let address = listener.local_addr().to_string();
        let (trigger, shutdown) = shutdown::channel(grace);
        let served = task::spawn("test", pocket_runtime::http::serve(listener, options, service, shutdown));
        Self { address, trigger, served }
    }

    pub(crate) fn get(&self, path: &str) -> Request<Bytes> {
        get(&self.address, path)
    }
}

pub(crate) fn get(address: &str, path: &str) -> Request<Bytes> {
    Request::get(format!("http://{address}{path}")).body(Bytes::new()).expect("a valid request")
}

pub(crate) fn post(address: &str, path: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    Request::post(format!("http://{address}{path}")).body(body.into()).expect("a valid request")
}

pub(crate) fn client() -> Client {
    Client::new(client_options())
}

/// Waits until `holds`, and fails with `what` at the deadline.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "{what}: still not so after {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
