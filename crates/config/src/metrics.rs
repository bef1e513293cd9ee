//! The catalogue of metrics: every series a process may register, as data.
//!
//! A process can register nothing that is not listed in `metrics.json`; dashboards and alerts are checked against the
//! same list.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

/// What kind of series a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution, in [`Metric::buckets`].
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Full name, such as `pocket_relayer_relays_total`.
    pub name: String,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Base unit of its value: `seconds`, `bytes`, `relays`, `upokt`, …
    pub unit: String,
    /// What it means, in one sentence.
    pub help: String,
    /// Names of its labels, in order; their values come from closed enums.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Upper bounds of a histogram's buckets, ascending; empty for the other kinds.
    #[serde(default)]
    pub buckets: Vec<f64>,
    /// The process that registers it, or `runtime` or `store` for what several do.
    pub process: String,
}

/// All metrics, by name.
#[derive(Debug)]
pub struct Catalogue {
    metrics: BTreeMap<String, Metric>,
}

impl Catalogue {
    /// Returns the catalogue that is part of this crate.
    ///
    /// # Panics
    /// If `metrics.json` is not valid: a test of this crate reads it.
    pub fn builtin() -> &'static Self {
        static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
        CATALOGUE.get_or_init(|| {
            Self::parse(include_str!("../metrics.json")).expect("metrics.json is part of this crate and is valid")
        })
    }

    /// Reads a catalogue from JSON: a list of [`Metric`].
    ///
    /// # Errors
    /// A text that says which entry is wrong, and why.
    pub fn parse(json: &str) -> Result<Self, String> {
        let list: Vec<Metric> = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let mut metrics = BTreeMap::new();
        for metric in list {
            check(&metric)?;
            let name = metric.name.clone();
            if metrics.insert(name.clone(), metric).is_some() {
                return Err(format!("metric {name} is listed twice"));
            }
        }
        Ok(Self { metrics })
    }

    /// Returns the metric of that name.
    pub fn find(&self, name: &str) -> Option<&Metric> {
        self.metrics.get(name)
    }

    /// Returns all metrics in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Metric> {
        self.metrics.values()
    }
}

fn check(metric: &Metric) -> Result<(), String> {
    let name = &metric.name;
    let fault = match metric.kind {
        Kind::Counter if !name.ends_with("_total") => "a counter's name ends in _total",
        Kind::Histogram if metric.buckets.is_empty() => "a histogram needs buckets",
        Kind::Counter | Kind::Gauge if !metric.buckets.is_empty() => "only a histogram has buckets",
        _ if !metric.buckets.is_sorted() => "buckets ascend",
        _ if metric.help.is_empty() || metric.unit.is_empty() => "help and unit are required",
        _ => return Ok(()),
    };
    Err(format!("metric {name}: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_valid() {
        assert!(Catalogue::builtin().iter().count() > 0);
    }

    #[test]
    fn a_counter_must_be_called_total() {
        let json = r#"[{"name":"a","kind":"counter","unit":"x","help":"h","process":"p"}]"#;
        assert_eq!(Catalogue::parse(json).expect_err("refused"), "metric a: a counter's name ends in _total");
    }
}
