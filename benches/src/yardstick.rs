//! What cannot be avoided, measured in the same run: one verification, one signature, one plain pass through a proxy.

use std::hint::black_box;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use pocket_crypto::keys::SecretKey;
use pocket_crypto::ring::{self, Signature, Verifier};
use pocket_runtime::http::{self, Body, Client, ClientOptions, Incoming, Request, Response, ServeOptions, StatusCode};
use pocket_runtime::{net::TcpListener, shutdown::Shutdown};

use crate::process::mortal;
use crate::usage;

/// Limits of the proxy: those of a relayer's defaults.
const CONNECTIONS_MAX: usize = 4096;
const BODY_BYTES_MAX: usize = 10 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Processor time of single steps, in microseconds.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Steps {
    /// Ring of two, decode and verify, points known.
    pub verify_us: f64,
    /// The same, nothing known.
    pub verify_first_seen_us: f64,
    /// One ECDSA signature.
    pub sign_us: f64,
}

/// Measures single steps on one relay's message and signature, on this thread.
///
/// # Errors
/// The signature does not verify.
pub fn steps(message: &[u8; 32], signature: &Bytes, rounds: u32) -> anyhow::Result<Steps> {
    let verifier = Verifier::new(64);
    verifier.verify(message, &verifier.decode(signature, 8)?)?;
    let verify_us = each(rounds, || Ok(verifier.verify(message, &verifier.decode(black_box(signature), 8)?)?))?;
    let verify_first_seen_us = each(rounds, || Ok(ring::verify(message, &Signature::decode(black_box(signature))?)?))?;
    let secret = SecretKey::from_secret(b"a yardstick");
    let sign_us = each(rounds, || {
        black_box(secret.sign(black_box(message)));
        Ok(())
    })?;
    Ok(Steps { verify_us, verify_first_seen_us, sign_us })
}

fn each(rounds: u32, mut step: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let before = usage::thread_cpu()?;
    for _ in 0..rounds {
        step()?;
    }
    let used = usage::thread_cpu()?.saturating_sub(before);
    Ok(used.as_secs_f64() * 1e6 / f64::from(rounds))
}

/// Runs a proxy that only passes requests on, until it is ended. Prints where it listens.
///
/// # Errors
/// It cannot listen.
#[expect(clippy::print_stdout, reason = "its parent reads the address there")]
pub async fn serve_proxy(backend: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr());
    let client = Client::new(ClientOptions {
        connect_timeout: TIMEOUT,
        request_timeout: TIMEOUT,
        idle_per_host: 100,
        idle_timeout: TIMEOUT,
        max_per_host: 500,
        max_response_bytes: BODY_BYTES_MAX,
    });
    let options = ServeOptions {
        name: "proxy",
        max_connections: CONNECTIONS_MAX,
        header_timeout: TIMEOUT,
        idle_timeout: TIMEOUT,
        write_timeout: TIMEOUT,
        max_headers: 100,
        max_header_bytes: 16 << 10,
        h2c: true,
        max_streams: 128,
    };
    let service = move |request| pass(client.clone(), backend, request);
    // The parent ends this process when it has measured enough.
    http::serve(listener, options, service, Shutdown::never()).await;
    Ok(())
}

async fn pass(client: Client, backend: SocketAddr, request: Request<Incoming>) -> Response<Body> {
    let answer = async {
        let body = http::read_body(request.into_body(), BODY_BYTES_MAX, TIMEOUT).await?;
        let request =
            Request::post(format!("http://{backend}/")).header("content-type", "application/json").body(body)?;
        anyhow::Ok(client.send(request).await?)
    };
    answer.await.map_or_else(
        |error| {
            let mut response = Response::new(Body::full(error.to_string()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        },
        |response| response.map(Body::full),
    )
}

/// A running proxy. Dropping it ends it.
pub struct Proxy {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Proxy {
    /// Starts this program again as a proxy before `backend`.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(backend: SocketAddr) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("find this bench's own path")?;
        let mut child = mortal(&own)
            .args(["--bench", "--proxy-to", &backend.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the proxy")?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("the proxy's standard output")?;
        BufReader::new(stdout).read_line(&mut line).context("read where the proxy listens")?;
        let address = line.trim().parse().with_context(|| format!("`{line}` is no address"))?;
        Ok(Self { child, address })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after the wait.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
