//! `CometBFT` JSON-RPC: by POST, by URI, in batches, and over `WebSocket`.
//!
//! A transport reads a request into a method and its [`params::Params`]; [`methods::call`] answers it with the JSON text of the
//! result; the transport wraps it. Texts of errors, status codes and headers are the node's.

use std::sync::Arc;

use pocket_runtime::{
    clock,
    http::{Body, BodyError, Incoming, Method, Request, Response, StatusCode, read_body},
};
use serde_json::value::RawValue;

use super::grpc::Queries;

mod golang;
mod methods;
mod params;
mod shapes;
mod socket;

use params::Params;

/// Largest request body and WebSocket message, in bytes, where the settings allow more.
const BODY_BYTES_MAX: usize = 10 << 20;
/// Most requests of a batch.
const BATCH_MAX: usize = 100;
/// How long a body may take to arrive.
const BODY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);
/// The id of answers to requests by URI, which have none.
const URI_ID: &str = "-1";

/// Answers RPC.
#[derive(Debug, Clone)]
pub(super) struct Rpc {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    queries: Queries,
    body_bytes_max: usize,
    /// Subscribed connections, to keep their number bounded.
    clients: socket::Clients,
    shutdown: pocket_runtime::shutdown::Shutdown,
}

/// Why a method gives no result.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Failure {
    /// The parameters cannot be read.
    Params(String),
    /// Anything else.
    Internal(String),
}

impl Failure {
    #[expect(clippy::needless_pass_by_value, reason = "so that errors can be mapped by its name")]
    fn internal(problem: impl ToString) -> Self {
        Self::Internal(problem.to_string())
    }
}

/// An answer without its id.
enum Outcome {
    Result(String),
    Error { code: i32, message: &'static str, data: String },
}

impl Outcome {
    fn parse_error(problem: &str) -> Self {
        let data = format!("error unmarshaling request: {problem}");
        Self::Error { code: -32700, message: "Parse error. Invalid JSON", data }
    }

    fn method_not_found() -> Self {
        Self::Error { code: -32601, message: "Method not found", data: String::new() }
    }

    fn invalid_params(problem: &str, source: &str) -> Self {
        let data = format!("error converting {source} params to arguments: {problem}");
        Self::Error { code: -32602, message: "Invalid params", data }
    }

    fn internal(data: String) -> Self {
        Self::Error { code: -32603, message: "Internal error", data }
    }

    fn of(result: Result<String, Failure>, source: &str) -> Self {
        match result {
            Ok(result) => Self::Result(result),
            Err(Failure::Params(problem)) => Self::invalid_params(&problem, source),
            Err(Failure::Internal(problem)) => Self::internal(problem),
        }
    }

    /// Returns the whole answer; `id` is JSON text, absent where the request could not be read.
    fn text(&self, id: Option<&str>) -> String {
        let id = id.map(|id| format!(r#","id":{id}"#)).unwrap_or_default();
        let text = match self {
            Self::Result(result) => format!(r#"{{"jsonrpc":"2.0"{id},"result":{result}}}"#),
            Self::Error { code, message, data } if data.is_empty() => {
                format!(r#"{{"jsonrpc":"2.0"{id},"error":{{"code":{code},"message":"{message}"}}}}"#)
            }
            Self::Error { code, message, data } => {
                let data = shapes::text(data);
                format!(r#"{{"jsonrpc":"2.0"{id},"error":{{"code":{code},"message":"{message}","data":{data}}}}}"#)
            }
        };
        golang::escape(text)
    }
}

/// A request by POST or WebSocket.
#[derive(serde::Deserialize)]
struct Call<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    method: String,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

impl Call<'_> {
    /// Returns the id to echo: a number or a text. Anything else is not answered, as for a notification.
    fn id(&self) -> Option<&str> {
        self.id
            .map(RawValue::get)
            .filter(|id| id.starts_with(['"', '-']) || id.starts_with(|c: char| c.is_ascii_digit()))
    }
}

impl Rpc {
    pub(super) fn new(queries: Queries, body_bytes_max: u64, shutdown: pocket_runtime::shutdown::Shutdown) -> Self {
        let body_bytes_max = usize::try_from(body_bytes_max).unwrap_or(usize::MAX).min(BODY_BYTES_MAX);
        Self { inner: Arc::new(Inner { queries, body_bytes_max, clients: socket::Clients::default(), shutdown }) }
    }

    /// Answers one HTTP request.
    pub(super) async fn serve(self, request: Request<Incoming>) -> Response<Body> {
        match request.uri().path() {
            "/websocket" => socket::upgrade(&self, request),
            "/" => self.post(request).await,
            path => match methods::find(&path[1..]) {
                Some(method) => self.uri(method, request.uri().query().unwrap_or_default()).await,
                None => plain(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n".to_owned()),
            },
        }
    }

    async fn uri(&self, method: &'static methods::Method, query: &str) -> Response<Body> {
        if method.socket_only {
            let text = Outcome::method_not_found().text(Some(URI_ID));
            return plain(StatusCode::NOT_FOUND, JSON, text);
        }
        let params = Params::of_uri(query);
        let cacheable = method.is_cacheable(&params);
        match Outcome::of(self.run(method, &params).await, "http") {
            outcome @ Outcome::Result(_) => {
                let response = plain(StatusCode::OK, JSON, outcome.text(Some(URI_ID)));
                if cacheable { cached(response) } else { response }
            }
            outcome @ Outcome::Error { .. } => {
                plain(StatusCode::INTERNAL_SERVER_ERROR, JSON, outcome.text(Some(URI_ID)))
            }
        }
    }

    async fn post(&self, request: Request<Incoming>) -> Response<Body> {
        if request.method() == Method::GET || request.method() == Method::HEAD {
            return plain(StatusCode::OK, "text/html", methods::index());
        }
        let body = match read_body(request.into_body(), self.inner.body_bytes_max, BODY_TIMEOUT).await {
            Ok(body) if body.is_empty() => return plain(StatusCode::OK, "text/html", methods::index()),
            Ok(body) => body,
            Err(error) => {
                let status = match error {
                    BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
                    _ => StatusCode::INTERNAL_SERVER_ERROR,
                };
                let data = format!("error reading request body: {error}");
                let outcome = Outcome::Error { code: -32600, message: "Invalid Request", data };
                return plain(status, JSON, outcome.text(None));
            }
        };
        let batch: Option<Vec<Call<'_>>> = serde_json::from_slice(&body).ok();
        if let Some(calls) = batch {
            return self.batch(&calls).await;
        }
        match serde_json::from_slice::<Call<'_>>(&body) {
            Ok(call) => {
                let (answer, cacheable) = self.answer(&call, false).await;
                let response = plain(StatusCode::OK, JSON, answer.unwrap_or_default());
                if cacheable { cached(response) } else { response }
            }
            Err(error) => {
                let problem = golang::json_problem(&body).unwrap_or_else(|| error.to_string());
                plain(StatusCode::INTERNAL_SERVER_ERROR, JSON, Outcome::parse_error(&problem).text(None))
            }
        }
    }

    async fn batch(&self, calls: &[Call<'_>]) -> Response<Body> {
        if calls.len() > BATCH_MAX {
            let data = format!("{} requests in a batch, at most {BATCH_MAX} are answered", calls.len());
            let outcome = Outcome::Error { code: -32600, message: "Invalid Request", data };
            return plain(StatusCode::INTERNAL_SERVER_ERROR, JSON, outcome.text(None));
        }
        let mut answers = Vec::with_capacity(calls.len());
        let mut all_cacheable = true;
        for call in calls {
            let (answer, cacheable) = self.answer(call, false).await;
            if let Some(answer) = answer {
                all_cacheable &= cacheable;
                answers.push(answer);
            }
        }
        let text = match answers.as_slice() {
            [] => String::new(),
            // A batch of one is answered like a single request, as the node does.
            [one] => one.clone(),
            _ => format!("[{}]", answers.join(",")),
        };
        let response = plain(StatusCode::OK, JSON, text);
        if all_cacheable { cached(response) } else { response }
    }

    /// Answers one call, and tells whether the answer may be cached. A notification has no answer.
    async fn answer(&self, call: &Call<'_>, by_socket: bool) -> (Option<String>, bool) {
        let Some(id) = call.id() else { return (None, true) };
        let method = methods::find(&call.method).filter(|method| by_socket || !method.socket_only);
        let Some(method) = method else { return (Some(Outcome::method_not_found().text(Some(id))), false) };
        let params = match Params::of_json(call.params.map(RawValue::get), method.params) {
            Ok(params) => params,
            Err(problem) => return (Some(Outcome::invalid_params(&problem, "json").text(Some(id))), false),
        };
        let result = self.run(method, &params).await;
        let cacheable = method.is_cacheable(&params) && !matches!(result, Err(Failure::Params(_)));
        (Some(Outcome::of(result, "json").text(Some(id))), cacheable)
    }

    async fn run(&self, method: &'static methods::Method, params: &Params) -> Result<String, Failure> {
        super::grpc::strike(&self.inner.queries.chain, method.name, None)
            .await
            .map_err(|status| Failure::internal(status.message()))?;
        methods::call(&self.inner.queries, method.name, params).await
    }
}

const JSON: &str = "application/json";

fn plain(status: StatusCode, content_type: &'static str, text: String) -> Response<Body> {
    let response = Response::builder()
        .status(status)
        .header("Content-Type", content_type)
        .header("X-Server-Time", clock::unix().seconds())
        .body(Body::from(text));
    response.expect("the headers are well formed")
}

fn cached(mut response: Response<Body>) -> Response<Body> {
    let value = http::HeaderValue::from_static("public, max-age=86400");
    response.headers_mut().insert(http::header::CACHE_CONTROL, value);
    response
}
