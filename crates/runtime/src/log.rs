//! Logs: one subscriber for the process, the names of fields, and a wrapper for what must not be logged.

use std::fmt;
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Names of the fields that several rooms log, so that one search finds a thing wherever it went.
pub mod field {
    /// Operator address of a supplier.
    pub const SUPPLIER: &str = "supplier";
    /// Address of an application.
    pub const APPLICATION: &str = "application";
    /// Id of a service.
    pub const SERVICE: &str = "service";
    /// Id of a session.
    pub const SESSION: &str = "session";
    /// Height of a block.
    pub const HEIGHT: &str = "height";
    /// Hash of a transaction, upper-case hexadecimal.
    pub const TX: &str = "tx";
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Name of the process, the `process` field of each JSON line.
    pub process: &'static str,
    /// A level (`info`), or a filter such as `info,pocket_relayer=debug`.
    pub filter: String,
    /// Text or JSON, on stderr.
    pub format: Format,
}

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{filter}` is not a log filter: write a level (error, warn, info, debug, trace) or `info,pocket_relayer=debug`"
)]
pub struct LogError {
    filter: String,
    #[source]
    source: tracing_subscriber::filter::ParseError,
}

/// Starts logging to stderr. A second call checks its options and changes nothing, so tests may call it freely.
pub fn init(options: &LogOptions) -> Result<(), LogError> {
    let filter =
        EnvFilter::try_new(&options.filter).map_err(|source| LogError { filter: options.filter.clone(), source })?;
    let registry = tracing_subscriber::registry().with(filter);
    let result = match options.format {
        Format::Text => {
            let lines = tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(std::io::stderr().is_terminal())
                .with_target(false);
            registry.with(lines).try_init()
        }
        Format::Json => {
            let lines = tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_writer(std::io::stderr);
            registry.with(lines).try_init()
        }
    };
    // The only failure is that somebody was here before.
    if result.is_ok() {
        tracing::debug!(process = options.process, filter = %options.filter, "logging starts");
    }
    Ok(())
}

/// A value that never shows in logs, errors or debug output.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Shows the value to the one who uses it.
    pub const fn reveal(&self) -> &T {
        &self.0
    }

    /// Gives the value away.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "<secret> <secret> Some(<secret>)");
        assert_eq!(secret.reveal(), "hunter2");
    }

    #[test]
    fn init_twice_is_fine_and_a_wrong_filter_is_refused() {
        let options = |filter: &str| LogOptions { process: "test", filter: filter.to_owned(), format: Format::Text };
        init(&options("info")).unwrap();
        init(&options("debug")).unwrap();
        let refused = init(&options("info,pocket=loud")).unwrap_err().to_string();
        assert!(refused.contains("`info,pocket=loud` is not a log filter"), "{refused}");
    }
}
