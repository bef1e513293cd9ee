//! Errors as the chain reports them: codespace, code and text (protocol §1.9, §9.3).
//!
//! A text is always `"<context>: <description>"`, context first. Message handlers turn an error into a gRPC status; what
//! a client then reads is [`ChainError::rpc_text`].

use std::fmt;

pub mod codes;

/// An error as one of the chain's modules registers it: the fixed part of a [`ChainError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    /// The module that owns the code, e.g. `proof`.
    pub codespace: &'static str,
    /// Unique within the codespace.
    pub code: u32,
    /// The text that ends every message of this error.
    pub description: &'static str,
}

impl Registered {
    /// Declares an error of `codespace`.
    #[must_use]
    pub const fn new(codespace: &'static str, code: u32, description: &'static str) -> Self {
        Self { codespace, code, description }
    }

    /// Returns this error with the context that the chain puts before its description.
    #[must_use]
    pub fn wrap(&self, context: impl fmt::Display) -> ChainError {
        ChainError {
            codespace: self.codespace,
            code: self.code,
            text: format!("{context}: {}", self.description),
            status: None,
        }
    }

    /// Returns this error without context.
    #[must_use]
    pub fn bare(&self) -> ChainError {
        ChainError { codespace: self.codespace, code: self.code, text: self.description.to_owned(), status: None }
    }
}

/// A refusal as the chain words it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ChainError {
    /// The module that refused.
    pub codespace: &'static str,
    /// The module's code for the reason.
    pub code: u32,
    /// `"<context>: <description>"`.
    pub text: String,
    /// The gRPC status under which a query or a message handler reports it; `None` for stateless checks, which keep
    /// their own codespace and code (protocol §8.1).
    pub status: Option<GrpcStatus>,
}

impl ChainError {
    /// Returns the same error, reported under `status`.
    #[must_use]
    pub fn with_status(mut self, status: GrpcStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Returns the same error with another text, for the few that the chain does not word as context and description.
    #[must_use]
    pub fn with_text(mut self, text: String) -> Self {
        self.text = text;
        self
    }

    /// Tells whether this is `registered`, whatever its context.
    #[must_use]
    pub fn is(&self, registered: &Registered) -> bool {
        self.codespace == registered.codespace && self.code == registered.code
    }

    /// Returns the text a Go client prints: `rpc error: code = NotFound desc = …`, or the bare text without a status.
    #[must_use]
    pub fn rpc_text(&self) -> String {
        match self.status {
            Some(status) => format!("rpc error: code = {} desc = {}", status.name(), self.text),
            None => self.text.clone(),
        }
    }
}

/// The gRPC status codes that the chain's handlers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GrpcStatus {
    /// 2: errors that handlers return as they are.
    Unknown,
    /// 3
    InvalidArgument,
    /// 5
    NotFound,
    /// 7
    PermissionDenied,
    /// 9
    FailedPrecondition,
    /// 12
    Unimplemented,
    /// 13
    Internal,
}

impl GrpcStatus {
    /// Returns the number on the wire.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Unknown => 2,
            Self::InvalidArgument => 3,
            Self::NotFound => 5,
            Self::PermissionDenied => 7,
            Self::FailedPrecondition => 9,
            Self::Unimplemented => 12,
            Self::Internal => 13,
        }
    }

    /// Returns the name as Go prints it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::InvalidArgument => "InvalidArgument",
            Self::NotFound => "NotFound",
            Self::PermissionDenied => "PermissionDenied",
            Self::FailedPrecondition => "FailedPrecondition",
            Self::Unimplemented => "Unimplemented",
            Self::Internal => "Internal",
        }
    }
}

/// Quotes a string as Go's `%q` does, for the texts that contain names given by a client.
#[must_use]
pub fn quoted(text: &str) -> String {
    use fmt::Write as _;

    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{07}' => quoted.push_str("\\a"),
            '\u{08}' => quoted.push_str("\\b"),
            '\u{0b}' => quoted.push_str("\\v"),
            '\u{0c}' => quoted.push_str("\\f"),
            control if control.is_ascii_control() => {
                write!(quoted, "\\x{:02x}", u32::from(control)).expect("writing to a string cannot fail");
            }
            printable => quoted.push(printable),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_comes_before_the_description() {
        let error = codes::proof::NOT_REQUIRED.wrap("claim of svc1").with_status(GrpcStatus::FailedPrecondition);
        assert_eq!(error.text, "claim of svc1: proof not required");
        assert_eq!(error.rpc_text(), "rpc error: code = FailedPrecondition desc = claim of svc1: proof not required");
        assert!(error.is(&codes::proof::NOT_REQUIRED) && !error.is(&codes::proof::INVALID_PROOF));
    }

    #[test]
    fn names_of_clients_are_quoted_as_go_quotes_them() {
        assert_eq!(quoted("a\"b\\\n\u{1}é"), "\"a\\\"b\\\\\\n\\x01é\"");
    }
}
