//! Traces: the spans of our rooms, sent to a collector over OTLP. Off until an endpoint is configured.

#[cfg(not(feature = "otlp"))]
pub(super) use off::{Traces, start};
#[cfg(feature = "otlp")]
pub(super) use on::{Traces, start};

/// Where traces go. Every field is given at the call site.
#[derive(Debug, Clone)]
pub struct TraceOptions {
    /// The collector's gRPC endpoint, such as `http://localhost:4317`.
    pub endpoint: String,
    /// Share of traces that are sent, 0.0 to 1.0; decided at a trace's first span.
    pub sample_ratio: f64,
}

/// Returns the id of the trace the caller is in, as 32 hexadecimal digits, for the headers of an answer.
///
/// None while traces are off, or when this one was not sampled.
pub fn trace_id() -> Option<String> {
    #[cfg(feature = "otlp")]
    return on::trace_id();
    #[cfg(not(feature = "otlp"))]
    None
}

#[cfg(not(feature = "otlp"))]
mod off {
    use super::TraceOptions;
    use crate::log::{BoxedLayer, LogError};

    #[derive(Debug)]
    pub(in crate::log) enum Traces {}

    pub(in crate::log) fn start(
        _process: &'static str,
        options: &TraceOptions,
    ) -> Result<(BoxedLayer, Traces), LogError> {
        let reason = "this build cannot send traces; build it with `--features otlp` or remove the endpoint";
        Err(LogError::Traces { endpoint: options.endpoint.clone(), reason: reason.to_owned() })
    }
}

#[cfg(feature = "otlp")]
mod on {
    use std::time::Duration;

    use opentelemetry::trace::{TraceContextExt, TracerProvider};
    use opentelemetry_otlp::{SpanExporter, WithExportConfig};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
    use tracing::{Level, Span};
    use tracing_opentelemetry::OpenTelemetrySpanExt;
    use tracing_subscriber::Layer;
    use tracing_subscriber::filter::filter_fn;

    use super::TraceOptions;
    use crate::log::{BoxedLayer, LogError};

    /// How long a batch may take to be sent, and the last one at the end.
    const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);

    /// Sends what is left when dropped.
    #[derive(Debug)]
    pub(in crate::log) struct Traces(SdkTracerProvider);

    impl Drop for Traces {
        fn drop(&mut self) {
            if let Err(error) = self.0.shutdown_with_timeout(EXPORT_TIMEOUT) {
                tracing::warn!(error = %error, "the last traces were not sent");
            }
        }
    }

    pub(in crate::log) fn start(
        process: &'static str,
        options: &TraceOptions,
    ) -> Result<(BoxedLayer, Traces), LogError> {
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&options.endpoint)
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(|error| LogError::Traces { endpoint: options.endpoint.clone(), reason: error.to_string() })?;
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(options.sample_ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(Resource::builder().with_service_name(process).build())
            .build();
        // The runtime's own spans are those of tasks, which live as long as a connection: a relay's trace must not
        // hang on them. Other people's spans are not our story.
        let ours = filter_fn(|metadata| {
            metadata.is_span()
                && metadata.target().starts_with("pocket")
                && !metadata.target().starts_with("pocket_runtime")
                && *metadata.level() <= Level::DEBUG
        });
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("pocket")).with_filter(ours);
        Ok((layer.boxed(), Traces(provider)))
    }

    pub(super) fn trace_id() -> Option<String> {
        let context = Span::current().context();
        let span = context.span();
        let span = span.span_context();
        (span.is_valid() && span.is_sampled()).then(|| span.trace_id().to_string())
    }
}
