//! Metrics: only those of the catalogue, with the help, labels and buckets it gives them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use pocket_config::metrics::{Catalogue, Kind, Metric};
use prometheus::core::Collector;
pub use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
};
use prometheus::{HistogramOpts, Opts};

use crate::task;

const PANICS: &str = "pocket_runtime_panics_total";
const TASKS: &str = "pocket_runtime_tasks";

/// The metrics of one process. Clones share them.
///
/// Asking twice for a name gives the same series, so several parts may write to one. A name that the catalogue lacks, or
/// lists as another kind or with other labels, is a mistake of the program: it panics at start, saying what to mend.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    process: String,
    catalogue: &'static Catalogue,
    registry: prometheus::Registry,
    // What has been registered, by name. Locked at start and at a scrape, not when counting.
    made: Mutex<BTreeMap<String, Made>>,
    panics: Option<IntCounterVec>,
    tasks: Option<IntGaugeVec>,
}

#[derive(Clone)]
enum Made {
    Counter(IntCounter),
    CounterVec(IntCounterVec),
    FloatCounter(Counter),
    FloatCounterVec(CounterVec),
    Gauge(IntGauge),
    GaugeVec(IntGaugeVec),
    FloatGauge(Gauge),
    FloatGaugeVec(GaugeVec),
    Histogram(Histogram),
    HistogramVec(HistogramVec),
}

macro_rules! handles {
    ($($(#[$doc:meta])* $method:ident, $variant:ident, $handle:ty, $kind:ident, labelled: $labelled:literal, $make:expr;)*) => {
        $(
            $(#[$doc])*
            #[track_caller]
            pub fn $method(&self, name: &str) -> $handle {
                let metric = self.expect(name, Kind::$kind, $labelled);
                let mut made = self.inner.made.lock().unwrap_or_else(PoisonError::into_inner);
                match made.get(name) {
                    Some(Made::$variant(handle)) => return handle.clone(),
                    Some(_) => panic!("metric `{name}` is already registered as another type of handle"),
                    None => {}
                }
                let make: fn(&Metric) -> prometheus::Result<$handle> = $make;
                let handle = make(metric).unwrap_or_else(|error| panic!("metric `{name}` is not valid: {error}"));
                self.register(name, handle.clone());
                made.insert(name.to_owned(), Made::$variant(handle.clone()));
                handle
            }
        )*
    };
}

impl Registry {
    /// Makes the registry of `process`, which may register what `catalogue` lists.
    pub fn new(process: &str, catalogue: &'static Catalogue) -> Self {
        let inner = Inner {
            process: process.to_owned(),
            catalogue,
            registry: prometheus::Registry::new(),
            made: Mutex::default(),
            panics: None,
            tasks: None,
        };
        let mut registry = Self { inner: Arc::new(inner) };
        let panics = catalogue.find(PANICS).map(|_| registry.counter_vec(PANICS));
        let tasks = catalogue.find(TASKS).map(|_| registry.gauge_vec(TASKS));
        let inner = Arc::get_mut(&mut registry.inner).expect("nobody else has seen the new registry");
        inner.panics = panics;
        inner.tasks = tasks;
        registry
    }

    /// Returns the process's name.
    pub fn process(&self) -> &str {
        &self.inner.process
    }

    handles! {
        /// Returns a whole-numbered counter without labels.
        counter, Counter, IntCounter, Counter, labelled: false,
            |metric| IntCounter::with_opts(opts(metric));
        /// Returns a whole-numbered counter with the catalogue's labels.
        counter_vec, CounterVec, IntCounterVec, Counter, labelled: true,
            |metric| IntCounterVec::new(opts(metric), &labels(metric));
        /// Returns a counter of fractions, such as seconds.
        float_counter, FloatCounter, Counter, Counter, labelled: false,
            |metric| Counter::with_opts(opts(metric));
        /// Returns a counter of fractions with the catalogue's labels.
        float_counter_vec, FloatCounterVec, CounterVec, Counter, labelled: true,
            |metric| CounterVec::new(opts(metric), &labels(metric));
        /// Returns a whole-numbered gauge without labels.
        gauge, Gauge, IntGauge, Gauge, labelled: false,
            |metric| IntGauge::with_opts(opts(metric));
        /// Returns a whole-numbered gauge with the catalogue's labels.
        gauge_vec, GaugeVec, IntGaugeVec, Gauge, labelled: true,
            |metric| IntGaugeVec::new(opts(metric), &labels(metric));
        /// Returns a gauge of fractions, such as seconds or ratios.
        float_gauge, FloatGauge, Gauge, Gauge, labelled: false,
            |metric| Gauge::with_opts(opts(metric));
        /// Returns a gauge of fractions with the catalogue's labels.
        float_gauge_vec, FloatGaugeVec, GaugeVec, Gauge, labelled: true,
            |metric| GaugeVec::new(opts(metric), &labels(metric));
        /// Returns a histogram without labels.
        histogram, Histogram, Histogram, Histogram, labelled: false,
            |metric| Histogram::with_opts(histogram_opts(metric));
        /// Returns a histogram with the catalogue's labels.
        histogram_vec, HistogramVec, HistogramVec, Histogram, labelled: true,
            |metric| HistogramVec::new(histogram_opts(metric), &labels(metric));
    }

    #[track_caller]
    fn expect(&self, name: &str, kind: Kind, labelled: bool) -> &'static Metric {
        let Some(metric) = self.inner.catalogue.find(name) else {
            panic!("metric `{name}` is not in the catalogue: add it to crates/config/metrics.json");
        };
        assert!(
            metric.kind == kind,
            "metric `{name}` is a {:?} in the catalogue, but the program asks for a {kind:?}",
            metric.kind
        );
        assert!(
            metric.labels.is_empty() != labelled,
            "metric `{name}` has the labels {:?} in the catalogue: ask for a handle {} labels",
            metric.labels,
            if labelled { "without" } else { "with" }
        );
        metric
    }

    fn register(&self, name: &str, handle: impl Collector + 'static) {
        let registered = self.inner.registry.register(Box::new(handle));
        registered.unwrap_or_else(|error| panic!("metric `{name}` cannot be registered: {error}"));
    }

    /// Returns all that has been registered, in the text format of Prometheus.
    pub fn render(&self) -> String {
        for tasks in task::census() {
            if let Some(gauge) = &self.inner.tasks {
                gauge.with_label_values(&[tasks.name]).set(i64::try_from(tasks.running).unwrap_or(i64::MAX));
            }
            if let Some(counter) = &self.inner.panics {
                let counter = counter.with_label_values(&[tasks.name]);
                counter.inc_by(tasks.panics.saturating_sub(counter.get()));
            }
        }
        let families = self.inner.registry.gather();
        prometheus::TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
            tracing::error!(error = %error, "cannot render metrics");
            String::new()
        })
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("process", &self.inner.process).finish_non_exhaustive()
    }
}

fn opts(metric: &Metric) -> Opts {
    Opts::new(&metric.name, &metric.help)
}

fn histogram_opts(metric: &Metric) -> HistogramOpts {
    HistogramOpts::new(&metric.name, &metric.help).buckets(metric.buckets.clone())
}

fn labels(metric: &Metric) -> Vec<&str> {
    metric.labels.iter().map(String::as_str).collect()
}
