//! Prepared HTTP requests over kept connections, as fast as they are answered.
//!
//! The client shares the machine with what it measures, so it does as little as it can: requests are written as they lie in
//! memory, and of an answer only the status and the length are read.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::{Buf as _, Bytes, BytesMut};
use hdrhistogram::Histogram;
use pocket_runtime::{clock, net, task};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Latencies are kept in nanoseconds from 1 µs to a minute, to three digits.
const LATENCY_NS: (u64, u64) = (1_000, 60_000_000_000);

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of an answer's head.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Wrong answers that are shown; all are counted.
const WRONG_SHOWN_MAX: usize = 3;

/// What a replay saw.
#[derive(Debug)]
pub struct Replayed {
    /// From the first request to the last answer.
    pub wall: Duration,
    /// Latencies of the answers, in nanoseconds.
    pub latencies: Histogram<u64>,
    /// Requests answered 200.
    pub answered: u64,
    /// Requests answered otherwise.
    pub wrong: u64,
    /// The first of those.
    pub wrong_shown: Vec<String>,
    /// Answers kept, with the index of their request.
    pub sample: Vec<(usize, Bytes)>,
}

impl Replayed {
    /// Answers in a second.
    pub fn per_second(&self) -> f64 {
        f64::from(u32::try_from(self.answered).unwrap_or(u32::MAX)) / self.wall.as_secs_f64()
    }

    /// A quantile of the latencies, in milliseconds.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        Duration::from_nanos(self.latencies.value_at_quantile(quantile)).as_secs_f64() * 1e3
    }

    /// Checks that every answer was 200.
    ///
    /// # Errors
    /// How many were not, and the first of them.
    pub fn all_answered(&self) -> anyhow::Result<()> {
        ensure!(self.wrong == 0, "{} requests were not answered 200: {}", self.wrong, self.wrong_shown.join("; "));
        Ok(())
    }
}

/// Returns a whole HTTP/1.1 request.
pub fn post(path: &str, host: &str, headers: &[(&str, &str)], body: &[u8]) -> Bytes {
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    let mut request = BytesMut::from(head.as_bytes());
    request.extend_from_slice(body);
    request.freeze()
}

/// Returns the body of a whole request.
///
/// # Errors
/// It has no end of its head.
pub fn body_of(request: &Bytes) -> anyhow::Result<Bytes> {
    let head = head_length(request).context("a whole request")?;
    Ok(request.slice(head..))
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|position| position + 4)
}

/// How requests are sent.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Manner {
    /// Connections, each with one request in flight.
    pub concurrency: usize,
    /// Time from one request to the next, over all connections; none sends each as soon as a connection is free.
    pub pace: Option<Duration>,
}

impl fmt::Display for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pace {
            None => write!(f, "c={}", self.concurrency),
            Some(pace) => write!(f, "{:.0}/s", 1.0 / pace.as_secs_f64()),
        }
    }
}

/// Sends every request once, over kept connections. Keeps every `sample_every`-th answer, or none if that is 0.
///
/// # Errors
/// A connection that cannot be made or breaks, an answer without a length, or none in time.
pub async fn replay(
    address: SocketAddr,
    requests: &Arc<Vec<Bytes>>,
    manner: Manner,
    sample_every: usize,
) -> anyhow::Result<Replayed> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut connections = Vec::new();
    for _ in 0..manner.concurrency {
        connections.push(net::connect(&address.to_string()).await.with_context(|| format!("connect to {address}"))?);
    }
    let start = clock::now();
    let mut workers = Vec::new();
    for stream in connections {
        let worker = Worker {
            stream,
            read: BytesMut::new(),
            requests: requests.clone(),
            next: next.clone(),
            manner,
            sample_every,
            start,
        };
        workers.push(task::spawn("bench-client", worker.run()));
    }
    let mut whole = Replayed::empty()?;
    for worker in workers {
        let part = worker.await??;
        whole.latencies.add(&part.latencies).context("histograms of one kind")?;
        whole.answered += part.answered;
        whole.wrong += part.wrong;
        whole.wrong_shown.extend(part.wrong_shown);
        whole.sample.extend(part.sample);
    }
    whole.wall = start.elapsed();
    whole.wrong_shown.truncate(WRONG_SHOWN_MAX);
    Ok(whole)
}

impl Replayed {
    fn empty() -> anyhow::Result<Self> {
        let latencies =
            Histogram::new_with_bounds(LATENCY_NS.0, LATENCY_NS.1, 3).context("the bounds of a histogram")?;
        Ok(Self { wall: Duration::ZERO, latencies, answered: 0, wrong: 0, wrong_shown: Vec::new(), sample: Vec::new() })
    }
}

/// One client on one connection.
struct Worker {
    stream: net::TcpStream,
    read: BytesMut,
    requests: Arc<Vec<Bytes>>,
    next: Arc<AtomicUsize>,
    manner: Manner,
    sample_every: usize,
    start: tokio::time::Instant,
}

impl Worker {
    async fn run(mut self) -> anyhow::Result<Replayed> {
        let mut seen = Replayed::empty()?;
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(request) = self.requests.get(index).cloned() else { return Ok(seen) };
            if let Some(pace) = self.manner.pace {
                tokio::time::sleep_until(self.start + pace * u32::try_from(index).unwrap_or(u32::MAX)).await;
            }
            let start = clock::now();
            self.stream.write_all(&request).await.context("send a request")?;
            let (status, body) = tokio::time::timeout(ANSWER_TIMEOUT, self.answer())
                .await
                .with_context(|| format!("no answer within {ANSWER_TIMEOUT:?}"))??;
            let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            seen.latencies.saturating_record(nanos);
            if status == 200 {
                seen.answered += 1;
            } else {
                seen.wrong += 1;
                if seen.wrong_shown.len() < WRONG_SHOWN_MAX {
                    seen.wrong_shown.push(format!("{status} {}", String::from_utf8_lossy(&body)));
                }
            }
            if self.sample_every > 0 && index.is_multiple_of(self.sample_every) {
                seen.sample.push((index, body));
            }
        }
    }

    async fn answer(&mut self) -> anyhow::Result<(u16, Bytes)> {
        let head = loop {
            if let Some(head) = head_length(&self.read) {
                break head;
            }
            ensure!(self.read.len() <= HEAD_BYTES_MAX, "the head of an answer has no end");
            self.fill().await?;
        };
        let (status, length) = status_and_length(&self.read[..head])?;
        while self.read.len() < head + length {
            self.fill().await?;
        }
        self.read.advance(head);
        Ok((status, self.read.split_to(length).freeze()))
    }

    async fn fill(&mut self) -> anyhow::Result<()> {
        self.read.reserve(4096);
        if self.stream.read_buf(&mut self.read).await.context("read an answer")? == 0 {
            bail!("the connection was closed before the answer was whole");
        }
        Ok(())
    }
}

fn status_and_length(head: &[u8]) -> anyhow::Result<(u16, usize)> {
    let head = std::str::from_utf8(head).context("the head of an answer")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|text| text.parse().ok());
    let length =
        lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|(_, value)| value.trim().parse().ok());
    match (status, length) {
        (Some(status), Some(length)) => Ok((status, length)),
        _ => bail!("an answer without status or length: `{head}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_whatever_the_case_of_their_names() {
        let head = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 12\r\n\r\n";
        assert_eq!(status_and_length(head).expect("a head"), (503, 12));
        assert!(status_and_length(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn a_request_gives_its_body_back() {
        let request = post("/v1", "here", &[("a", "b")], b"body\r\n\r\nmore");
        assert_eq!(body_of(&request).expect("a head"), &b"body\r\n\r\nmore"[..]);
    }
}
