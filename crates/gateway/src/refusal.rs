//! Every reason not to answer a client, and what it means for them.

use pocket_runtime::http::{Body, HeaderValue, Response, StatusCode, header};

/// Why a client's request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no service ID provided in 'Target-Service-Id' header: name the service, for example `develop-http`")]
    NoService,
    #[error("nothing is served at {0}: send requests to /v1")]
    NoRoute(String),
    #[error("the request body exceeds {limit} bytes")]
    BodyTooLarge { limit: u64 },
    #[error("the request body did not arrive: {0}")]
    BodyBroken(String),
    #[error("'App-Address' {address} cannot be used: {reason}")]
    Application { address: String, reason: String },
    #[error("no application of this gateway is staked for service `{service}`; it signs for: {known}")]
    NoApplication { service: String, known: String },
    #[error("no session of service `{service}` for application {application}: {reason}")]
    NoSession { service: String, application: String, reason: String },
    #[error("no supplier of the session serves `{service}` over HTTP")]
    NoSupplier { service: String },
    #[error("the full node did not answer: {0}")]
    Chain(String),
    #[error("too many requests are in flight; try again")]
    Busy,
    #[error("no supplier answered; the last one: {0}")]
    Upstream(Upstream),
    #[error("no supplier answered within {millis} ms")]
    Deadline { millis: u64 },
}

/// Why one relay to one supplier failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Upstream {
    #[error("could not be reached: {0}")]
    Unreachable(String),
    #[error("did not answer in time")]
    Timeout,
    #[error("broke off: {0}")]
    Broken(String),
    #[error("refused with status {status}: {text}")]
    Refused { status: u16, text: String },
    #[error("gave an answer that is not what it signed: {0}")]
    Unverified(String),
    #[error("gave an answer that cannot be passed on: {0}")]
    Unusable(String),
}

impl Upstream {
    /// The kind as a label.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Timeout => "timeout",
            Self::Broken(_) => "broken",
            Self::Refused { .. } => "refused",
            Self::Unverified(_) => "unverified",
            Self::Unusable(_) => "unusable",
        }
    }

    /// Whether the backend certainly did not act on the relay, so that any request may be sent to another supplier.
    pub(crate) fn is_unserved(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            // These are given before a backend is called.
            Self::Refused { status, .. } => matches!(status, 400 | 403 | 404 | 429 | 503),
            Self::Timeout | Self::Broken(_) | Self::Unverified(_) | Self::Unusable(_) => false,
        }
    }
}

impl Upstream {
    /// What a client sees of it: the relayer's own word where that says what to do, else a bad gateway.
    fn status(&self) -> StatusCode {
        match self {
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Refused { status: status @ (413 | 429 | 500..=599), .. } => {
                StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY)
            }
            _ => StatusCode::BAD_GATEWAY,
        }
    }
}

impl Refusal {
    /// The kind as a label.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::NoService => "no_service",
            Self::NoRoute(_) => "no_route",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyBroken(_) => "body_broken",
            Self::Application { .. } => "application",
            Self::NoApplication { .. } => "no_application",
            Self::NoSession { .. } => "no_session",
            Self::NoSupplier { .. } => "no_supplier",
            Self::Chain(_) => "chain",
            Self::Busy => "busy",
            Self::Upstream(_) => "upstream",
            Self::Deadline { .. } => "deadline",
        }
    }

    /// The status a client sees.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoService | Self::BodyBroken(_) | Self::Application { .. } => StatusCode::BAD_REQUEST,
            Self::NoRoute(_) | Self::NoApplication { .. } | Self::NoSession { .. } => StatusCode::NOT_FOUND,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoSupplier { .. } | Self::Chain(_) | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Deadline { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Upstream(upstream) => upstream.status(),
        }
    }

    /// The answer: `{"code":…,"message":…}`.
    pub(crate) fn response(&self) -> Response<Body> {
        let status = self.status();
        let body = serde_json::json!({"code": status.as_u16(), "message": self.to_string()}).to_string();
        let mut response = Response::new(Body::full(body));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_never_reached_a_backend_is_safe_to_repeat() {
        for status in [403, 404, 429, 503] {
            assert!(Upstream::Refused { status, text: String::new() }.is_unserved(), "{status}");
        }
        for status in [500, 502, 504] {
            assert!(!Upstream::Refused { status, text: String::new() }.is_unserved(), "{status}");
        }
        assert!(!Upstream::Timeout.is_unserved());
    }

    #[test]
    fn no_refusal_looks_like_success() {
        let all = [
            Refusal::NoService,
            Refusal::Busy,
            Refusal::Deadline { millis: 1 },
            Refusal::Upstream(Upstream::Timeout),
            Refusal::Upstream(Upstream::Refused { status: 200, text: String::new() }),
        ];
        for refusal in all {
            assert!(refusal.status().is_client_error() || refusal.status().is_server_error(), "{refusal}");
        }
    }
}
