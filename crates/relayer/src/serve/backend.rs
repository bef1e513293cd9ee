//! A backend of a service: its endpoints, which of them is next, and the connections to them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use pocket_config::relayer::{self as settings, Endpoint as EndpointSetting};
use pocket_runtime::http::{
    BodyError, Client, ClientError, ClientOptions, HeaderMap, HeaderName, HeaderValue, Phase, Request, Response,
    header, read_body,
};

use super::breaker::Breaker;
use super::url::Base;

/// Tries beyond the first where the settings say nothing.
const RETRIES_DEFAULT: u32 = 1;

/// Failures in a row that open a breaker where the settings say nothing.
const FAILURES_DEFAULT: u32 = 5;

/// Time until a failing endpoint is tried again where the settings say nothing.
const RECOVERY_DEFAULT_SECONDS: u64 = 30;

/// Deadlines and connection limits of a service.
#[derive(Debug, Clone)]
pub(crate) struct HttpLimits {
    pub(crate) request_timeout: Duration,
    /// Zero for none of its own.
    pub(crate) header_timeout: Duration,
    pub(crate) dial_timeout: Duration,
    pub(crate) connections_max: usize,
    pub(crate) idle_max: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) response_bytes_max: usize,
}

/// A backend of one type.
pub(crate) struct Backend {
    pub(crate) kind: String,
    pub(crate) endpoints: Vec<Endpoint>,
    round_robin: bool,
    /// Counts picks; the next endpoint follows from it.
    picks: AtomicUsize,
    pub(crate) retries_max: u32,
    pub(crate) timeout: Duration,
    header_timeout: Option<Duration>,
    pub(crate) response_bytes_max: usize,
    client: Client,
    /// Of the settings, with the credentials: sent with every request.
    pub(crate) headers: HeaderMap,
    pub(crate) probe: Option<settings::Probe>,
}

/// One server behind a backend.
pub(crate) struct Endpoint {
    pub(crate) index: usize,
    pub(crate) name: String,
    /// Where its requests go; none if it does not speak HTTP.
    pub(crate) base: Option<Base>,
    pub(crate) breaker: Breaker,
}

impl Backend {
    /// Makes a backend of the settings; an error says what to write instead.
    pub(crate) fn new(kind: &str, backend: &settings::Backend, limits: &HttpLimits) -> Result<Self, String> {
        let threshold = backend.health_check.as_ref().and_then(|probe| probe.unhealthy_threshold).filter(|&n| n > 0);
        let recovery = backend.recovery_timeout_seconds.unwrap_or(RECOVERY_DEFAULT_SECONDS);
        let recovery = (recovery > 0).then(|| Duration::from_secs(recovery));
        let named: Vec<(Option<&str>, &str)> = match (&backend.url, &backend.urls) {
            (Some(url), _) => vec![(None, url)],
            (None, Some(urls)) => urls
                .iter()
                .map(|endpoint| match endpoint {
                    EndpointSetting::Url(url) => (None, url.as_str()),
                    EndpointSetting::Named { name, url } => (Some(name.as_str()), url.as_str()),
                })
                .collect(),
            (None, None) => return Err("exactly one of `url` and `urls` is needed".to_owned()),
        };
        let mut endpoints = Vec::with_capacity(named.len());
        let mut credentials = None;
        for (index, (name, url)) in named.into_iter().enumerate() {
            let base = Base::parse(url, backend.base_path.as_deref())?;
            credentials = credentials.or_else(|| base.as_ref().and_then(|base| base.userinfo.clone()));
            let name = name.map_or_else(|| authority(url).to_owned(), ToOwned::to_owned);
            let breaker = Breaker::new(threshold.unwrap_or(FAILURES_DEFAULT), recovery);
            endpoints.push(Endpoint { index, name, base, breaker });
        }
        let round_robin = match backend.load_balancing.as_deref() {
            None | Some("") => endpoints.len() > 1,
            Some(strategy) => strategy == "round_robin",
        };
        let client = Client::new(ClientOptions {
            connect_timeout: limits.dial_timeout,
            request_timeout: limits.request_timeout,
            idle_per_host: limits.idle_max,
            idle_timeout: limits.idle_timeout,
            max_per_host: limits.connections_max,
            max_response_bytes: limits.response_bytes_max,
        });
        let header_timeout =
            Some(limits.header_timeout).filter(|time| !time.is_zero() && *time < limits.request_timeout);
        Ok(Self {
            kind: kind.to_owned(),
            endpoints,
            round_robin,
            picks: AtomicUsize::new(0),
            retries_max: backend.max_retries.unwrap_or(RETRIES_DEFAULT),
            timeout: limits.request_timeout,
            header_timeout,
            response_bytes_max: limits.response_bytes_max,
            client,
            headers: headers(backend, credentials.as_deref())?,
            probe: backend.health_check.clone().filter(|probe| probe.enabled),
        })
    }

    /// Returns whether some endpoint would take a request now.
    pub(crate) fn is_healthy(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.breaker.would_admit())
    }

    /// Returns the endpoint for the next try: by strategy at first, then the first healthy one other than the last.
    pub(crate) fn pick(&self, last: Option<usize>) -> Option<&Endpoint> {
        let count = self.endpoints.len();
        let first = match last {
            None if self.round_robin => self.picks.fetch_add(1, Ordering::Relaxed) % count,
            _ => 0,
        };
        let turn = (0..count).map(|step| &self.endpoints[(first + step) % count]);
        turn.filter(|endpoint| Some(endpoint.index) != last).find(|endpoint| endpoint.breaker.admits())
    }

    /// Returns whether another endpoint than this one would take a request.
    pub(crate) fn has_other(&self, endpoint: &Endpoint) -> bool {
        self.endpoints.iter().any(|other| other.index != endpoint.index && other.breaker.would_admit())
    }

    /// Sends a request and reads the whole answer, in at most `limit`.
    pub(crate) async fn exchange(
        &self,
        request: Request<Bytes>,
        limit: Duration,
    ) -> Result<Response<Bytes>, ClientError> {
        let Some(header_timeout) = self.header_timeout else {
            return self.client.send_within(request, limit).await;
        };
        // The head has a deadline of its own, which the client's way of sending a whole exchange does not know.
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let timeout = |phase| ClientError::Timeout { authority: authority.clone(), phase, limit };
        let deadline = tokio::time::Instant::now() + limit;
        let opening = tokio::time::timeout(header_timeout.min(limit), self.client.open(request));
        let (head, body) = opening.await.map_err(|_| timeout(Phase::Response))??.into_parts();
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        let body = read_body(body, self.response_bytes_max, left).await.map_err(|error| match error {
            BodyError::TooLarge { limit } => ClientError::TooLarge { authority: authority.clone(), limit },
            BodyError::Slow { .. } => timeout(Phase::Body),
            BodyError::Broken(source) => ClientError::Broken { authority: authority.clone(), source },
        })?;
        Ok(Response::from_parts(head, body))
    }
}

impl Endpoint {
    /// Counts a failure against the endpoint, and says so when that takes it out.
    pub(crate) fn failed(&self, reason: &'static str) {
        if self.breaker.failed() {
            tracing::warn!(endpoint = self.name, reason, "BACKEND DOWN: too many failures in a row");
        }
    }
}

fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    authority.rsplit('@').next().unwrap_or(authority)
}

/// The headers of the settings, and the credentials: basic before bearer before plain, and those of the URL last.
fn headers(backend: &settings::Backend, userinfo: Option<&str>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &backend.headers {
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no header name"))?;
        let value = HeaderValue::from_str(value).map_err(|_| format!("the value of header `{name}` cannot be sent"))?;
        headers.insert(parsed, value);
    }
    let mut authorization = userinfo.map(|userinfo| format!("Basic {}", base64(userinfo.as_bytes())));
    if let Some(given) = &backend.authentication {
        let full = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        authorization = match (full(&given.username), full(&given.password)) {
            (Some(user), Some(password)) => Some(format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))),
            _ => full(&given.bearer_token)
                .map(|token| format!("Bearer {token}"))
                .or_else(|| full(&given.plain_token))
                .or(authorization),
        };
    }
    if let Some(text) = authorization {
        let mut value =
            HeaderValue::from_str(&text).map_err(|_| "the credentials cannot be sent in a header".to_owned())?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(headers)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().enumerate().fold(0_u32, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= group.len() { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_standard_one() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("user:pass", "dXNlcjpwYXNz")] {
            assert_eq!(base64(plain.as_bytes()), text);
        }
    }

    #[test]
    fn a_name_never_holds_credentials() {
        assert_eq!(authority("http://user:secret@host:8545/path?key=x"), "host:8545");
        assert_eq!(authority("localhost:50151"), "localhost:50151");
    }
}
