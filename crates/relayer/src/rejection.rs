//! Every reason to refuse a relay, and what each one means to whoever asks: a caller on any transport, a dashboard, a
//! person. One closed list; transports and metrics only read it.

use std::fmt;

use bytes::Bytes;
use pocket_protocol::error::ChainError;
use pocket_runtime::http::StatusCode;

/// Why a relay was not answered with a signed response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// The body broke off or came too slowly.
    BodyUnreadable,
    /// The body is longer than any service takes.
    BodyTooLarge,
    /// The body is longer than this service takes.
    BodyTooLargeForService,
    /// The body is so long that its relay could not be proved: a proof shows it whole, in one transaction.
    BodyTooLargeToProve,
    /// The body is no relay request, names no service, or its payload is no HTTP request.
    Malformed,
    /// The service is not served here.
    UnknownService(String),
    /// The request names no supplier.
    SupplierMissing,
    /// The supplier's key is not held, and no miner has registered it.
    SupplierUnknown(String),
    /// The supplier's registry entry cannot be read.
    SupplierUnreadable,
    /// The registry says that the supplier is not staked.
    SupplierInactive {
        /// Operator address.
        supplier: String,
        /// The registry's word.
        status: &'static str,
    },
    /// The registry has no service of the supplier.
    SupplierWithoutServices(String),
    /// The registry has other services of the supplier.
    SupplierNotForService {
        /// Operator address.
        supplier: String,
        /// The service asked for.
        service: String,
    },
    /// Heights that no session near the current height can have.
    ImplausibleHeights,
    /// The request does not prove that its application may be served now.
    Invalid(Invalid),
    /// The application's share with this supplier in this session is spent.
    AllowanceSpent,
    /// The session is marked as one that pays no more.
    SessionUnpaid,
    /// The meter cannot be asked, and the operator chose not to serve without it.
    MeterUnavailable,
    /// What has to be known of the chain cannot be read now.
    ChainUnavailable,
    /// As many relays, or as many of their bytes, are held as this process takes.
    Busy,
    /// The relay cannot be logged now: it would be served for nothing.
    LogUnavailable,
    /// No backend of the asked type, or none that is healthy.
    BackendUnavailable {
        /// The service.
        service: String,
    },
    /// The backend gave no whole answer.
    Backend(BackendFailure),
    /// The backend answered with a status of 500 or above, passed on.
    BackendStatus(u16),
    /// The relay could not be logged before its session's claim is sealed.
    ClaimSealed,
    /// A bug of this program, which costs the relay.
    Internal,
}

/// What is wrong with a request that claims a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalid {
    /// A field is missing or malformed.
    Basic(ChainError),
    /// The supplier's key is not held here.
    SupplierNotHeld(String),
    /// The session and its grace period are over.
    Expired {
        /// Last height of the session.
        end: i64,
        /// Height at arrival.
        height: i64,
    },
    /// The chain has no such session.
    NoSession(String),
    /// A height of the header is not the session's.
    Height {
        /// `start` or `end`.
        which: &'static str,
        /// The chain's.
        expected: i64,
        /// The request's.
        got: i64,
    },
    /// The session id is not the session's.
    SessionId {
        /// The chain's.
        expected: String,
        /// The request's.
        got: String,
    },
    /// The supplier does not serve in the session.
    SupplierNotInSession(String),
    /// The ring signature does not hold, or its ring cannot be made.
    Ring(String),
}

/// How a backend failed to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BackendFailure {
    /// No connection, or one that broke.
    Network,
    /// No whole answer in time.
    Timeout,
    /// An answer beyond the limit.
    TooLarge,
    /// A backend of this type cannot be reached by a plain request.
    NotHttp,
    /// The request inside the relay is none that HTTP can carry.
    BadRequest,
}

/// Whose matter a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The caller's: another request would be answered.
    Client,
    /// The application's: it has no claim to be served more.
    Application,
    /// The backend's.
    Backend,
    /// The operator's: this process or what it stands on.
    Operator,
    /// The chain's or the node's.
    Chain,
}

impl Fault {
    /// Returns the metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Application => "application",
            Self::Backend => "backend",
            Self::Operator => "operator",
            Self::Chain => "chain",
        }
    }
}

/// How a refusal looks from outside, on every transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Face {
    /// HTTP status.
    pub status: u16,
    /// gRPC status code.
    pub grpc: u8,
    /// WebSocket close code.
    pub close: u16,
    /// Label of metrics and logs.
    pub reason: &'static str,
    /// The reference's label for the same, which dashboards of mixed fleets know.
    pub reference: &'static str,
    /// Whose matter it is.
    pub fault: Fault,
    /// Whether the same request may succeed at another supplier or later.
    pub may_retry: bool,
}

mod grpc {
    pub(super) const INVALID_ARGUMENT: u8 = 3;
    pub(super) const DEADLINE_EXCEEDED: u8 = 4;
    pub(super) const NOT_FOUND: u8 = 5;
    pub(super) const PERMISSION_DENIED: u8 = 7;
    pub(super) const RESOURCE_EXHAUSTED: u8 = 8;
    pub(super) const FAILED_PRECONDITION: u8 = 9;
    pub(super) const INTERNAL: u8 = 13;
    pub(super) const UNAVAILABLE: u8 = 14;
}

mod close {
    pub(super) const POLICY: u16 = 1008;
    pub(super) const TOO_BIG: u16 = 1009;
    pub(super) const INTERNAL: u16 = 1011;
    pub(super) const TRY_LATER: u16 = 1013;
    pub(super) const EXPIRED: u16 = 4000;
    pub(super) const INVALID: u16 = 4001;
    pub(super) const SPENT: u16 = 4002;
}

impl Rejection {
    /// Returns how the refusal looks from outside: the one table.
    #[rustfmt::skip]
    pub const fn face(&self) -> Face {
        use BackendFailure::{BadRequest, Network, NotHttp, Timeout, TooLarge};
        use Fault::{Application, Backend, Chain, Client, Operator};
        match self {
            //                                       status  gRPC code                  close code        reason                      the reference's reason      fault        retry
            Self::BodyUnreadable                => face(400, grpc::INVALID_ARGUMENT,    close::POLICY,    "body_unreadable",          "read_body_error",          Client,      false),
            Self::BodyTooLarge | Self::BodyTooLargeForService
                                                => face(413, grpc::RESOURCE_EXHAUSTED,  close::TOO_BIG,   "body_too_large",           "body_too_large",           Client,      false),
            Self::BodyTooLargeToProve           => face(413, grpc::RESOURCE_EXHAUSTED,  close::TOO_BIG,   "body_too_large_to_prove",  "body_too_large",           Client,      false),
            Self::Malformed                     => face(400, grpc::INVALID_ARGUMENT,    close::POLICY,    "malformed",                "invalid_relay_request",    Client,      false),
            Self::UnknownService(_)             => face(404, grpc::NOT_FOUND,           close::POLICY,    "unknown_service",          "unknown_service",          Client,      false),
            Self::SupplierMissing               => face(400, grpc::INVALID_ARGUMENT,    close::POLICY,    "supplier_missing",         "missing_supplier_address", Client,      false),
            Self::SupplierUnknown(_)            => face(503, grpc::FAILED_PRECONDITION, close::POLICY,    "supplier_unknown",         "supplier_not_found",       Client,      true),
            Self::SupplierUnreadable            => face(503, grpc::UNAVAILABLE,         close::TRY_LATER, "supplier_unreadable",      "supplier_cache_error",     Operator,    true),
            Self::SupplierInactive { .. }       => face(503, grpc::FAILED_PRECONDITION, close::POLICY,    "supplier_inactive",        "supplier_inactive",        Operator,    true),
            Self::SupplierWithoutServices(_)    => face(503, grpc::FAILED_PRECONDITION, close::POLICY,    "supplier_inactive",        "no_services",              Operator,    true),
            Self::SupplierNotForService { .. }  => face(503, grpc::FAILED_PRECONDITION, close::POLICY,    "supplier_not_for_service", "wrong_service",            Client,      true),
            Self::ImplausibleHeights            => face(400, grpc::INVALID_ARGUMENT,    close::POLICY,    "implausible_heights",      "implausible_session_heights", Client,   false),
            Self::Invalid(Invalid::Basic(_))    => face(403, grpc::PERMISSION_DENIED,   close::INVALID,   "invalid_request",          "validation_failed",        Client,      false),
            Self::Invalid(Invalid::SupplierNotHeld(_))
                                                => face(403, grpc::FAILED_PRECONDITION, close::INVALID,   "supplier_not_held",        "validation_failed",        Operator,    true),
            Self::Invalid(Invalid::Expired { .. })
                                                => face(403, grpc::PERMISSION_DENIED,   close::EXPIRED,   "session_expired",          "validation_failed",        Client,      false),
            Self::Invalid(Invalid::NoSession(_))
                                                => face(403, grpc::PERMISSION_DENIED,   close::INVALID,   "no_session",               "validation_failed",        Application, false),
            Self::Invalid(Invalid::Height { .. } | Invalid::SessionId { .. })
                                                => face(403, grpc::PERMISSION_DENIED,   close::INVALID,   "session_mismatch",         "validation_failed",        Client,      false),
            Self::Invalid(Invalid::SupplierNotInSession(_))
                                                => face(403, grpc::PERMISSION_DENIED,   close::INVALID,   "supplier_not_in_session",  "validation_failed",        Client,      true),
            Self::Invalid(Invalid::Ring(_))     => face(403, grpc::PERMISSION_DENIED,   close::INVALID,   "bad_signature",            "validation_failed",        Client,      false),
            Self::AllowanceSpent                => face(429, grpc::RESOURCE_EXHAUSTED,  close::SPENT,     "allowance_spent",          "stake_exhausted",          Application, true),
            Self::SessionUnpaid                 => face(429, grpc::RESOURCE_EXHAUSTED,  close::SPENT,     "session_unpaid",           "stake_exhausted",          Application, true),
            Self::MeterUnavailable              => face(503, grpc::UNAVAILABLE,         close::TRY_LATER, "meter_unavailable",        "meter_error",              Operator,    true),
            Self::ChainUnavailable              => face(503, grpc::UNAVAILABLE,         close::TRY_LATER, "chain_unavailable",        "validation_failed",        Chain,       true),
            Self::Busy                          => face(503, grpc::UNAVAILABLE,         close::TRY_LATER, "busy",                     "busy",                     Operator,    true),
            Self::LogUnavailable                => face(503, grpc::UNAVAILABLE,         close::TRY_LATER, "log_unavailable",          "log_unavailable",          Operator,    true),
            Self::BackendUnavailable { .. }     => face(503, grpc::UNAVAILABLE,         close::TRY_LATER, "backend_unavailable",      "fast_fail",                Backend,     true),
            Self::Backend(Network)              => face(502, grpc::UNAVAILABLE,         close::INTERNAL,  "backend_network",          "backend_network_error",    Backend,     true),
            Self::Backend(Timeout)              => face(502, grpc::UNAVAILABLE,         close::INTERNAL,  "backend_timeout",          "backend_timeout",          Backend,     true),
            Self::Backend(TooLarge)             => face(502, grpc::UNAVAILABLE,         close::TOO_BIG,   "backend_too_large",        "backend_network_error",    Backend,     false),
            Self::Backend(NotHttp)              => face(502, grpc::UNAVAILABLE,         close::POLICY,    "backend_not_http",         "backend_network_error",    Client,      false),
            Self::Backend(BadRequest)           => face(502, grpc::INVALID_ARGUMENT,    close::POLICY,    "backend_bad_request",      "backend_network_error",    Client,      false),
            Self::BackendStatus(status)         => face(*status, grpc::UNAVAILABLE,     close::INTERNAL,  "backend_5xx",              "backend_5xx",              Backend,     true),
            Self::ClaimSealed                   => face(504, grpc::DEADLINE_EXCEEDED,   close::EXPIRED,   "claim_sealed",             "claim_sealed",             Backend,     true),
            Self::Internal                      => face(500, grpc::INTERNAL,            close::INTERNAL,  "internal",                 "internal",                 Operator,    true),
        }
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.face().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Returns the body of an HTTP answer: JSON whose `error` is the text.
    pub fn body(&self) -> Bytes {
        let text = serde_json::Value::from(self.to_string());
        match self {
            // Written out, as gateways know the order of the two fields.
            Self::BackendUnavailable { service } => {
                Bytes::from(format!("{{\"error\":{text},\"service\":{}}}", serde_json::Value::from(service.as_str())))
            }
            _ => Bytes::from(format!("{{\"error\":{text}}}")),
        }
    }
}

const fn face(
    status: u16,
    grpc: u8,
    close: u16,
    reason: &'static str,
    reference: &'static str,
    fault: Fault,
    may_retry: bool,
) -> Face {
    Face { status, grpc, close, reason, reference, fault, may_retry }
}

/// The text a caller reads. Gateways match some of these by words: they are the reference's.
impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BodyUnreadable => f.write_str("failed to read request body"),
            Self::BodyTooLarge => f.write_str("request body too large"),
            Self::BodyTooLargeForService => f.write_str("request body too large for service"),
            Self::BodyTooLargeToProve => f.write_str("request body too large to be proved on the chain"),
            Self::Malformed => f.write_str("invalid relay request: body must be a valid RelayRequest protobuf"),
            Self::UnknownService(service) => write!(f, "unknown service: {service}"),
            Self::SupplierMissing => f.write_str("missing supplier operator address in relay request"),
            Self::SupplierUnknown(supplier) => write!(f, "supplier {supplier} not registered with any miner"),
            Self::SupplierUnreadable => f.write_str("failed to verify supplier state"),
            Self::SupplierInactive { supplier, status } => write!(f, "supplier {supplier} is {status}"),
            Self::SupplierWithoutServices(supplier) => write!(f, "supplier {supplier} has no services registered"),
            Self::SupplierNotForService { supplier, service } => {
                write!(f, "supplier {supplier} not staked for service {service}")
            }
            Self::ImplausibleHeights => f.write_str("implausible session heights"),
            Self::Invalid(invalid) => write!(f, "relay validation failed: {invalid}"),
            Self::AllowanceSpent => f.write_str("session relay limit reached: claimable portion fully consumed"),
            Self::SessionUnpaid => f.write_str("session relay limit reached: session can no longer be claimed"),
            Self::MeterUnavailable => f.write_str("relay metering unavailable"),
            Self::ChainUnavailable => f.write_str("chain state unavailable, try again"),
            Self::Busy => f.write_str("relayer is busy, try again"),
            Self::LogUnavailable => f.write_str("relay log unavailable, try again"),
            Self::BackendUnavailable { .. } => f.write_str("service temporarily unavailable"),
            Self::Backend(_) => f.write_str("backend error"),
            Self::BackendStatus(_) => f.write_str("backend service error"),
            Self::ClaimSealed => f.write_str("backend too slow: the session's claim is being sealed"),
            Self::Internal => f.write_str("internal error"),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic(error) => write!(f, "basic validation failed: {error}"),
            Self::SupplierNotHeld(supplier) => write!(f, "supplier {supplier} is not allowed by this relayer"),
            Self::Expired { end, height } => write!(
                f,
                "session timing validation failed: session expired, session end height: {end}, current height: {height} \
                 (grace period elapsed)"
            ),
            Self::NoSession(why) => write!(f, "failed to get session: {why}"),
            Self::Height { which, expected, got } => {
                write!(f, "session header session {which} height mismatch, expecting: {expected}, got: {got}")
            }
            Self::SessionId { expected, got } => write!(f, "session ID mismatch, expected: {expected}, got: {got}"),
            Self::SupplierNotInSession(supplier) => write!(f, "supplier {supplier} not found in session"),
            Self::Ring(why) => write!(f, "ring signature verification failed: {why}"),
        }
    }
}

impl From<Invalid> for Rejection {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rejection: &Rejection, status: u16, body: &str) {
        assert_eq!(rejection.status().as_u16(), status);
        assert_eq!(rejection.body(), body.as_bytes());
        let json: serde_json::Value = serde_json::from_slice(&rejection.body()).expect("every body is JSON");
        assert!(json["error"].is_string());
    }

    #[test]
    fn bodies_are_json_whatever_the_caller_wrote() {
        check(&Rejection::UnknownService("no\"such".into()), 404, r#"{"error":"unknown service: no\"such"}"#);
        check(
            &Rejection::SupplierUnknown("a\nb".into()),
            503,
            r#"{"error":"supplier a\nb not registered with any miner"}"#,
        );
    }

    #[test]
    fn a_service_without_backend_is_named() {
        check(
            &Rejection::BackendUnavailable { service: "eth".into() },
            503,
            r#"{"error":"service temporarily unavailable","service":"eth"}"#,
        );
    }

    #[test]
    fn a_spent_allowance_keeps_the_words_that_gateways_match() {
        check(
            &Rejection::AllowanceSpent,
            429,
            r#"{"error":"session relay limit reached: claimable portion fully consumed"}"#,
        );
        assert!(Rejection::SessionUnpaid.to_string().contains("session relay limit reached"));
    }

    #[test]
    fn a_backends_own_status_is_passed_on() {
        check(&Rejection::BackendStatus(599), 599, r#"{"error":"backend service error"}"#);
    }
}
