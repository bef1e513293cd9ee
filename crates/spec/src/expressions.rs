//! Expressions of boards and alerts, parsed and held against the catalogue of metrics: contract C23.

use std::collections::BTreeSet;

use pocket_config::document::nearest;
use pocket_config::metrics::{Catalogue, Kind};
use promql_parser::parser::{Expr, VectorSelector, parse};

use crate::page::Page;
use crate::refusal::Refusal;
use crate::spec::{Observability, PanelKind};

/// Labels that Prometheus gives to every series that it scrapes.
const SCRAPED: [&str; 2] = ["job", "instance"];

/// What the series of a histogram are called after its name.
const HISTOGRAM: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Begins the complaint about a name.
const NO_METRIC: &str = "there is no metric ";

/// Refuses the first expression that asks for what no program registers.
///
/// # Errors
/// The refusal.
pub fn check(page: &Page) -> Result<(), Refusal> {
    let observability = &page.spec.observability;
    for written in expressions(observability) {
        let Some(fault) = faults(observability, &written.expr).into_iter().next() else { continue };
        let nearest = unknown(&fault).and_then(|name| metric_near(observability, name));
        let remedy = match nearest {
            Some(name) => format!("did you mean `{name}`?"),
            None if parsed(&written.expr).is_err() => format!("write PromQL; this is none: {}", written.expr),
            None => "crates/config/metrics.json has every metric with its kind and labels; declare those of others in `observability.foreign`".to_owned(),
        };
        return Err(page.refuse(&written.at, format!("{}: {fault}", written.place), vec![remedy]));
    }
    Ok(())
}

/// The name in the one complaint that a nearer name may mend.
fn unknown(fault: &str) -> Option<&str> {
    fault.strip_prefix(NO_METRIC)
}

fn metric_near<'a>(observability: &'a Observability, name: &str) -> Option<&'a str> {
    let ours = Catalogue::builtin().iter().map(|metric| metric.name.as_str());
    nearest(name, ours.chain(observability.foreign.keys().map(String::as_str)))
}

/// What a name in an expression stands for.
#[derive(Debug)]
pub struct Series {
    /// None for a metric that is not ours.
    pub kind: Option<Kind>,
    /// Base unit; empty for a metric that is not ours.
    pub unit: String,
    /// Labels of each of its series.
    pub labels: BTreeSet<String>,
}

/// Returns what a name stands for.
///
/// # Errors
/// What is wrong with it: no metric of ours or of those declared, or the name of a histogram itself.
pub fn series(observability: &Observability, name: &str) -> Result<Series, String> {
    let catalogue = Catalogue::builtin();
    let scraped = SCRAPED.iter().map(|label| (*label).to_owned());
    if let Some(foreign) = observability.foreign.get(name) {
        return Ok(Series { kind: None, unit: String::new(), labels: scraped.chain(foreign.labels.clone()).collect() });
    }
    let part = HISTOGRAM.iter().find_map(|part| Some((name.strip_suffix(*part)?, *part)));
    let histogram = part.and_then(|(name, part)| Some((catalogue.find(name)?, part)));
    let (metric, part) = match (catalogue.find(name), histogram) {
        (Some(metric), _) if metric.kind == Kind::Histogram => {
            return Err(format!("{name} is a histogram: ask for {name}_bucket"));
        }
        (Some(metric), _) => (metric, ""),
        (None, Some((metric, part))) if metric.kind == Kind::Histogram => (metric, part),
        _ => return Err(format!("{NO_METRIC}{name}")),
    };
    let le = (part == "_bucket").then(|| "le".to_owned());
    let labels = scraped.chain(metric.labels.clone()).chain(le).collect();
    Ok(Series { kind: Some(metric.kind), unit: metric.unit.clone(), labels })
}

/// An expression and where it stands.
#[derive(Debug)]
pub struct Written {
    /// Field of the page.
    pub at: String,
    /// For people.
    pub place: String,
    /// The expression.
    pub expr: String,
}

/// Returns all expressions; those for Loki are in another language.
pub fn expressions(observability: &Observability) -> Vec<Written> {
    let alerts = observability.alerts.iter().map(|(name, alert)| Written {
        at: format!("observability.alerts.{name}.expr"),
        place: format!("alert `{name}`"),
        expr: alert.expr.clone(),
    });
    let mut found: Vec<Written> = alerts.collect();
    for (name, board) in &observability.dashboards {
        for panel in board.rows.iter().flat_map(|row| &row.panels).filter(|panel| panel.kind != PanelKind::Logs) {
            let place = format!("panel \"{}\" of `{name}`", panel.title);
            let at = format!("observability.dashboards.{name}.rows");
            let written = |expr: &String| Written { at: at.clone(), place: place.clone(), expr: expr.clone() };
            found.extend(panel.queries.iter().map(|query| written(&query.expr)));
        }
    }
    found
}

/// Parses an expression. Grafana's durations are none that Prometheus knows.
///
/// # Errors
/// The parser's words.
pub fn parsed(expr: &str) -> Result<Expr, String> {
    parse(&expr.replace("$__rate_interval", "1m").replace("$__range", "15m"))
}

/// Returns the selectors of an expression.
pub fn selectors(expr: &Expr) -> Vec<&VectorSelector> {
    match expr {
        Expr::VectorSelector(selector) => vec![selector],
        Expr::MatrixSelector(matrix) => vec![&matrix.vs],
        other => children(other).into_iter().flat_map(selectors).collect(),
    }
}

fn children(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Aggregate(aggregate) => std::iter::once(&*aggregate.expr).chain(aggregate.param.as_deref()).collect(),
        Expr::Unary(unary) => vec![&*unary.expr],
        Expr::Binary(binary) => vec![&*binary.lhs, &*binary.rhs],
        Expr::Paren(paren) => vec![&*paren.expr],
        Expr::Subquery(subquery) => vec![&*subquery.expr],
        Expr::Call(call) => call.args.args.iter().map(|argument| &**argument).collect(),
        _ => Vec::new(),
    }
}

/// Returns what is wrong with an expression.
pub fn faults(observability: &Observability, expr: &str) -> Vec<String> {
    match parsed(expr) {
        Ok(expr) => faults_of(observability, &expr),
        Err(error) => vec![error],
    }
}

fn faults_of(observability: &Observability, expr: &Expr) -> Vec<String> {
    let mut faults = Vec::new();
    match expr {
        Expr::VectorSelector(selector) => faults.extend(of_selector(observability, selector)),
        Expr::MatrixSelector(matrix) => faults.extend(of_selector(observability, &matrix.vs)),
        Expr::Aggregate(aggregate) => {
            let labels = aggregate.modifier.iter().flat_map(|modifier| &modifier.labels().labels);
            faults.extend(labels.flat_map(|label| lacking(observability, &aggregate.expr, label)));
        }
        Expr::Call(call) => {
            faults.extend(call.args.args.iter().filter_map(|inner| of_call(observability, call.func.name, inner)));
        }
        _ => {}
    }
    faults.extend(children(expr).into_iter().flat_map(|inner| faults_of(observability, inner)));
    faults
}

fn of_selector(observability: &Observability, selector: &VectorSelector) -> Vec<String> {
    let Some(name) = &selector.name else { return vec!["a selector names no metric".to_owned()] };
    let known = match series(observability, name) {
        Ok(known) => known,
        Err(fault) => return vec![fault],
    };
    let matchers = selector.matchers.matchers.iter();
    let unknown = matchers.filter(|matcher| !known.labels.contains(&matcher.name));
    unknown.map(|matcher| format!("{name} has no label {}", matcher.name)).collect()
}

/// A label that is grouped by must be one of every series below.
fn lacking(observability: &Observability, expr: &Expr, label: &str) -> Vec<String> {
    let named = selectors(expr).into_iter().filter_map(|selector| selector.name.as_ref());
    let without = named.filter(|name| series(observability, name).is_ok_and(|known| !known.labels.contains(label)));
    without.map(|name| format!("{name} has no label {label} to group by")).collect()
}

/// A gauge has no rate, and a counter no difference that survives a restart.
fn of_call(observability: &Observability, function: &str, argument: &Expr) -> Option<String> {
    let Expr::MatrixSelector(matrix) = argument else { return None };
    let name = matrix.vs.name.as_ref()?;
    let is_gauge = series(observability, name).ok()?.kind? == Kind::Gauge;
    match function {
        "rate" | "irate" | "increase" if is_gauge => Some(format!("{function} of {name}, which is a gauge")),
        "delta" | "idelta" | "deriv" if !is_gauge => Some(format!("{function} of {name}, which is a counter")),
        _ => None,
    }
}
