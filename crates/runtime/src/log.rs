//! Logs: one subscriber for the process, the names of fields, and a wrapper for what must not be logged.

use std::fmt;
use std::io::IsTerminal;

use pocket_config::common::LogFormat;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Format as Lines, Json, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

mod traces;

pub use traces::{TraceOptions, trace_id};

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
    /// Name of the process: the `process` field of each JSON line, the service's name in traces.
    pub process: &'static str,
    /// A level (`info`), or a filter such as `info,pocket_relayer=debug`.
    pub filter: String,
    /// Text or JSON, on stderr.
    pub format: Format,
}

/// Logging that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error(
        "`{filter}` is not a log filter: write a level (error, warn, info, debug, trace) or `info,pocket_relayer=debug`"
    )]
    Filter {
        /// As given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Traces were asked for, and cannot be sent.
    #[error("cannot send traces to `{endpoint}`: {reason}")]
    Traces {
        /// As given.
        endpoint: String,
        /// What is wrong, and what to do.
        reason: String,
    },
}

/// Keeps logging complete: when it is dropped, at the end of `main`, what is left of the traces is sent.
#[derive(Debug)]
#[must_use = "hold it until the end of main"]
pub struct Logging {
    _traces: Option<traces::Traces>,
}

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts logging to stderr. A second call checks its options and changes nothing, so tests may call it freely.
pub fn init(options: &LogOptions) -> Result<(), LogError> {
    init_with_traces(options, None).map(drop)
}

/// Starts logging like [`init`], and sends the spans of our rooms to a collector if `traces` says where.
///
/// Must be called inside a runtime when traces are on. An endpoint in a build without the feature `otlp` is an error.
pub fn init_with_traces(options: &LogOptions, traces: Option<&TraceOptions>) -> Result<Logging, LogError> {
    let filter = options
        .filter
        .parse::<Targets>()
        .map_err(|source| LogError::Filter { filter: options.filter.clone(), source })?;
    let lines: BoxedLayer = match options.format {
        Format::Text => tracing_subscriber::fmt::layer()
            .with_timer(WorldTime)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .boxed(),
        Format::Json => {
            let lines = Lines::default().json().flatten_event(true).with_current_span(false).with_timer(WorldTime);
            let json = tracing_subscriber::fmt::format::JsonFields::new();
            tracing_subscriber::fmt::layer()
                .fmt_fields(json)
                .event_format(Named { process: options.process, lines })
                .with_writer(std::io::stderr)
                .boxed()
        }
    };
    let Some(traces) = traces else {
        // One filter for all is cheaper than one for each layer. The only failure is that somebody was here before.
        let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
        return Ok(Logging { _traces: None });
    };
    let (layer, traces) = traces::start(options.process, traces)?;
    let _ = tracing_subscriber::registry().with(vec![lines.with_filter(filter).boxed(), layer]).try_init();
    Ok(Logging { _traces: Some(traces) })
}

/// Starts logging as a process's settings say; see [`init_with_traces`]. Hold the result until the end of `main`.
pub fn start(process: &'static str, settings: &pocket_config::common::Logging) -> Result<Logging, LogError> {
    let format = match settings.format {
        LogFormat::Json => Format::Json,
        LogFormat::Text => Format::Text,
    };
    let options = LogOptions { process, filter: settings.level.clone(), format };
    let endpoint = settings.otlp_endpoint.as_str();
    let sample_ratio = settings.trace_sample_ratio;
    let traces = (!endpoint.is_empty()).then(|| TraceOptions { endpoint: endpoint.to_owned(), sample_ratio });
    init_with_traces(&options, traces.as_ref())
}

/// The time of our clock, so that a simulated world's log tells its own.
struct WorldTime;

impl FormatTime for WorldTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", crate::clock::unix())
    }
}

/// JSON lines that begin with the name of their process.
struct Named {
    process: &'static str,
    lines: Lines<Json, WorldTime>,
}

impl<S, N> FormatEvent<S, N> for Named
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.lines.format_event(context, Writer::new(&mut line), event)?;
        write!(writer, "{{\"process\":\"{}\",{}", self.process, line.trim_start_matches('{'))
    }
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
