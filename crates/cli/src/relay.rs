//! `pocket relay`: relays sent, answers checked, times told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use hdrhistogram::Histogram;
use pocket_localnet::Door;
use pocket_runtime::http::{Client, ClientOptions, Request};
use pocket_runtime::process::{self, Exit};
use pocket_runtime::{clock, task};
use serde_json::{Value, json};

use crate::direct::{self, Direct};
use crate::output;

/// How relays are sent.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// JSON-RPC over HTTP, through the gateway, or signed here and sent straight to a relayer.
    Jsonrpc(JsonRpc),
}

#[derive(Debug, clap::Args)]
pub(crate) struct JsonRpc {
    /// The gateway, with the path it serves relays at, such as <http://localhost:3069/v1>; by default that of `pocket up`.
    #[arg(long, value_name = "URL", value_parser = gateway_url)]
    url: Option<String>,
    /// Service asked for.
    #[arg(long, default_value = "develop-http")]
    service: String,
    /// Method called.
    #[arg(long, default_value = "eth_blockNumber", conflicts_with = "payload")]
    method: String,
    /// Its parameters, as JSON.
    #[arg(long, default_value = "[]", conflicts_with = "payload")]
    params: String,
    /// A whole body instead; its `id` is made distinct for each relay if it is a JSON object.
    #[arg(long, value_name = "JSON")]
    payload: Option<String>,
    /// Application that pays; by default the gateway chooses one.
    #[arg(long, value_name = "ADDRESS")]
    app: Option<String>,
    /// Suppliers that may be chosen, separated by commas.
    #[arg(long, value_name = "ADDRESS,…")]
    suppliers: Option<String>,
    /// Relays sent.
    #[arg(long, short = 'n', default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    count: u64,
    /// Relays in flight at a time.
    #[arg(long, short = 'c', default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// Time one relay may take.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = output::duration)]
    timeout: Duration,
    /// One JSON object instead of lines.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    direct: direct::Args,
}

/// The path that gateways serve relays at, and below.
const RELAYS_AT: &str = "/v1";

/// Takes a gateway's URL that can be one: without that path each relay would be answered that there is nothing.
fn gateway_url(text: &str) -> Result<String, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let path = rest[authority.len()..].split(['?', '#']).next().unwrap_or_default();
    let has_path = path.split('/').any(|segment| segment == RELAYS_AT.trim_start_matches('/'));
    if has_path && text.contains("://") {
        return Ok(text.to_owned());
    }
    Err(format!("gateways serve relays at {RELAYS_AT}: write {scheme}://{authority}{RELAYS_AT}"))
}

/// Differing texts of failures that are told.
const FAILURES_TOLD: usize = 10;
/// Characters of an unexpected answer that are told.
const ANSWER_CHARS: usize = 200;
/// Longest time told; longer ones count as this long.
const LATENCY_MICROS_MAX: u64 = 3_600_000_000;
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 100 << 20;

pub(crate) async fn run(verb: Verb) -> anyhow::Result<Exit> {
    let Verb::Jsonrpc(args) = verb;
    let calls = Calls::of(&args)?;
    let road = Road::of(&args).await?;
    let sent = send_all(&args, calls, road).await?;
    let report = Report::of(&args, sent);
    if args.json {
        output::tell_json(&report.json())?;
    } else {
        report.tell();
    }
    Ok(if report.failed == 0 { Exit::Success } else { Exit::Failure })
}

/// The bodies, and what their answers should be.
struct Calls {
    body: Value,
    /// Whether the answer of the demo backend is expected to the byte.
    exact: bool,
}

impl Calls {
    fn of(args: &JsonRpc) -> anyhow::Result<Self> {
        let Some(payload) = &args.payload else {
            let params: Value = serde_json::from_str(&args.params).context("--params is not JSON")?;
            let body = json!({"jsonrpc": "2.0", "method": args.method, "params": params});
            // The demo backend escapes markup in its answers; such parameters are checked by their id alone.
            let plain = !args.params.contains(['<', '>', '&', '\\']) && !args.method.contains(['<', '>', '&']);
            return Ok(Self { body, exact: args.service.starts_with("develop-") && plain });
        };
        let body = serde_json::from_str(payload).unwrap_or_else(|_| Value::String(payload.clone()));
        Ok(Self { body, exact: false })
    }

    fn body(&self, id: u64) -> Bytes {
        match &self.body {
            Value::Object(call) => {
                let mut call = call.clone();
                call.insert("id".to_owned(), id.into());
                Value::Object(call).to_string().into()
            }
            Value::String(text) => text.clone().into(),
            other => other.to_string().into(),
        }
    }

    /// Says what is wrong with an answer.
    fn check(&self, id: u64, answer: &[u8]) -> Result<(), String> {
        if self.exact {
            let result = json!({"method": self.body["method"], "params": self.body["params"], "status": "ok"});
            let expected = json!({"id": id, "jsonrpc": "2.0", "result": result}).to_string();
            if answer == expected.as_bytes() {
                return Ok(());
            }
            return Err(format!("not the expected answer: {}", shortened(answer)));
        }
        let Value::Object(_) = self.body else { return Ok(()) };
        let answer_value: Value =
            serde_json::from_slice(answer).map_err(|_| format!("not JSON: {}", shortened(answer)))?;
        if !answer_value["error"].is_null() {
            return Err(format!("JSON-RPC error: {}", shortened(answer)));
        }
        if answer_value["id"] != id {
            return Err(format!("the answer to another id: {}", shortened(answer)));
        }
        Ok(())
    }
}

fn shortened(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).chars().take(ANSWER_CHARS).collect()
}

/// How a relay gets to a supplier.
enum Road {
    Gateway { client: Client, url: String, service: String, app: Option<String>, suppliers: Option<String> },
    Direct(Box<Direct>),
}

/// A backend's answer, and who gave it.
pub(crate) struct Answer {
    pub(crate) body: Bytes,
    pub(crate) supplier: String,
    /// Time on the wire, without signing and checking.
    pub(crate) took: Duration,
}

pub(crate) fn client(concurrency: u16, timeout: Duration) -> Client {
    Client::new(ClientOptions {
        connect_timeout: Duration::from_secs(3),
        request_timeout: timeout,
        idle_per_host: usize::from(concurrency),
        idle_timeout: Duration::from_secs(30),
        max_per_host: usize::from(concurrency),
        max_response_bytes: ANSWER_BYTES_MAX,
    })
}

impl Road {
    async fn of(args: &JsonRpc) -> anyhow::Result<Self> {
        if args.direct.relayer.is_some() {
            if args.url.is_some() {
                bail!("--url names a gateway and --direct a relayer: give one of them");
            }
            let client = client(args.concurrency, args.timeout);
            let direct =
                Direct::connect(&args.direct, &args.service, args.app.as_deref(), args.suppliers.as_deref(), client);
            return Ok(Self::Direct(Box::new(direct.await?)));
        }
        let url = args.url.clone().unwrap_or_else(|| format!("http://127.0.0.1:{}/v1", Door::Gateway.port()));
        Ok(Self::Gateway {
            client: client(args.concurrency, args.timeout),
            url,
            service: args.service.clone(),
            app: args.app.clone(),
            suppliers: args.suppliers.clone(),
        })
    }

    async fn send(&self, body: Bytes) -> Result<Answer, String> {
        let Self::Gateway { client, url, service, app, suppliers } = self else {
            let Self::Direct(direct) = self else { unreachable!("there are two roads") };
            return direct.send(body).await;
        };
        let mut request =
            Request::post(url).header("target-service-id", service).header("content-type", "application/json");
        for (name, value) in [("app-address", app), ("target-suppliers", suppliers)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let request = request.body(body).map_err(|error| format!("`{url}`: {error}"))?;
        let start = clock::now();
        let answer = client.send(request).await.map_err(|error| {
            let hint = if error.is_unsent() { "; is `pocket up` running?" } else { "" };
            format!("{}{hint}", process::chain(&error))
        })?;
        let took = start.elapsed();
        let supplier = answer.headers().get("x-supplier-address").and_then(|value| value.to_str().ok());
        let supplier = supplier.unwrap_or_default().to_owned();
        if !answer.status().is_success() {
            return Err(format!("status {}: {}", answer.status().as_u16(), shortened(answer.body())));
        }
        Ok(Answer { body: answer.into_body(), supplier, took })
    }
}

/// What became of the relays.
struct Sent {
    latencies: Histogram<u64>,
    verified: u64,
    suppliers: BTreeMap<String, u64>,
    failures: BTreeMap<String, u64>,
    /// Of a single relay, for people to see.
    first: Option<Bytes>,
    took: Duration,
}

async fn send_all(args: &JsonRpc, calls: Calls, road: Road) -> anyhow::Result<Sent> {
    let (calls, road) = (Arc::new(calls), Arc::new(road));
    let next = Arc::new(AtomicU64::new(1));
    // Locked after each answer, never over an await.
    let sent = Arc::new(Mutex::new(Sent {
        latencies: Histogram::new_with_max(LATENCY_MICROS_MAX, 3)?,
        verified: 0,
        suppliers: BTreeMap::new(),
        failures: BTreeMap::new(),
        first: None,
        took: Duration::ZERO,
    }));
    let start = clock::now();
    let count = args.count;
    let workers: Vec<task::Task<()>> = (0..u64::from(args.concurrency).min(count))
        .map(|_| {
            let (calls, road, next, sent) = (calls.clone(), road.clone(), next.clone(), sent.clone());
            task::spawn("relays", async move {
                loop {
                    let id = next.fetch_add(1, Ordering::Relaxed);
                    if id > count {
                        return;
                    }
                    let answered = road.send(calls.body(id)).await;
                    sent.lock().unwrap_or_else(PoisonError::into_inner).note(&calls, id, answered);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await?;
    }
    let took = start.elapsed();
    let sent = Arc::try_unwrap(sent).ok().context("a worker still holds the result")?;
    let mut sent = sent.into_inner().unwrap_or_else(PoisonError::into_inner);
    sent.took = took;
    Ok(sent)
}

impl Sent {
    fn note(&mut self, calls: &Calls, id: u64, answered: Result<Answer, String>) {
        match answered.and_then(|answer| calls.check(id, &answer.body).map(|()| answer)) {
            Ok(answer) => {
                self.verified += 1;
                let micros = u64::try_from(answer.took.as_micros()).unwrap_or(u64::MAX).max(1);
                self.latencies.saturating_record(micros);
                *self.suppliers.entry(answer.supplier).or_default() += 1;
                self.first.get_or_insert(answer.body);
            }
            Err(failure) => *self.failures.entry(failure).or_default() += 1,
        }
    }
}

/// The result in numbers.
struct Report {
    count: u64,
    concurrency: u16,
    failed: u64,
    sent: Sent,
}

impl Report {
    fn of(args: &JsonRpc, sent: Sent) -> Self {
        Self { count: args.count, concurrency: args.concurrency, failed: sent.failures.values().sum(), sent }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn rate(&self) -> f64 {
        self.sent.verified as f64 / self.sent.took.as_secs_f64().max(1e-9)
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds for people")]
    fn millis(&self, quantile: f64) -> f64 {
        self.sent.latencies.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// The commonest failures first.
    fn failures(&self) -> Vec<(&String, u64)> {
        let mut failures: Vec<(&String, u64)> = self.sent.failures.iter().map(|(text, count)| (text, *count)).collect();
        failures.sort_by_key(|(text, count)| (std::cmp::Reverse(*count), (*text).clone()));
        failures.truncate(FAILURES_TOLD);
        failures
    }

    fn json(&self) -> Value {
        let latency: BTreeMap<&str, f64> = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)]
            .into_iter()
            .map(|(name, quantile)| (name, self.millis(quantile)))
            .collect();
        let failures: Vec<Value> =
            self.failures().into_iter().map(|(text, count)| json!({"count": count, "error": text})).collect();
        json!({
            "count": self.count,
            "concurrency": self.concurrency,
            "verified": self.sent.verified,
            "failed": self.failed,
            "identical_pairs": 0,
            "seconds": self.sent.took.as_secs_f64(),
            "relays_per_second": self.rate(),
            "latency_ms": latency,
            "suppliers": self.sent.suppliers,
            "failures": failures,
        })
    }

    fn tell(&self) {
        if self.count == 1 {
            if let Some(answer) = &self.sent.first {
                output::tell(&String::from_utf8_lossy(answer));
                let supplier = self.sent.suppliers.keys().next().map_or("", String::as_str);
                output::say(&format!("verified; {:.2} ms; supplier {supplier}", self.millis(1.0)));
            }
        } else {
            output::tell(&format!("relays     {} sent, {} at a time", output::grouped(self.count), self.concurrency));
            output::tell(&format!(
                "answers    {} verified, {} failed",
                output::grouped(self.sent.verified),
                output::grouped(self.failed)
            ));
            output::tell("identical  none: every relay has its own id and signature");
            output::tell(&format!("time       {:.3} s, {:.0} relays/s", self.sent.took.as_secs_f64(), self.rate()));
            output::tell(&format!(
                "latency    p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
                self.millis(0.5),
                self.millis(0.95),
                self.millis(0.99),
                self.millis(1.0)
            ));
            let suppliers: BTreeSet<&String> = self.sent.suppliers.keys().collect();
            output::tell(&format!("suppliers  {}", suppliers.len()));
        }
        for (text, count) in self.failures() {
            let times = if count == 1 { String::new() } else { format!(" {count} times") };
            output::say(&format!("failed{times}: {text}"));
        }
    }
}
