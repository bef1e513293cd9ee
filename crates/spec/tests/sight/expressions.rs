//! Expressions, parsed and held against the catalogue of metrics.

use std::collections::BTreeSet;

use libtest_mimic::Failed;
use pocket_config::metrics::{Catalogue, Kind};
use pocket_spec::spec::{Observability, PanelKind};
use promql_parser::parser::{Expr, VectorSelector, parse};

/// Labels that Prometheus gives to every series that it scrapes.
const SCRAPED: [&str; 2] = ["job", "instance"];

/// What the series of a histogram are called after its name.
const HISTOGRAM: [&str; 3] = ["_bucket", "_sum", "_count"];

/// What a name in an expression stands for.
pub(crate) struct Series {
    /// None for a metric that is not ours.
    pub(crate) kind: Option<Kind>,
    /// Base unit; empty for a metric that is not ours.
    pub(crate) unit: String,
    labels: BTreeSet<String>,
}

/// Returns what a name stands for.
pub(crate) fn series(observability: &Observability, name: &str) -> Result<Series, String> {
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
        _ => return Err(format!("there is no metric {name}")),
    };
    let le = (part == "_bucket").then(|| "le".to_owned());
    let labels = scraped.chain(metric.labels.clone()).chain(le).collect();
    Ok(Series { kind: Some(metric.kind), unit: metric.unit.clone(), labels })
}

/// All expressions with where they stand; those for Loki are in another language.
pub(crate) fn expressions(observability: &Observability) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> =
        observability.alerts.iter().map(|(name, alert)| (format!("alert {name}"), alert.expr.clone())).collect();
    for (name, board) in &observability.dashboards {
        for panel in board.rows.iter().flat_map(|row| &row.panels).filter(|panel| panel.kind != PanelKind::Logs) {
            let place = format!("{name}, \"{}\"", panel.title);
            found.extend(panel.queries.iter().map(|query| (place.clone(), query.expr.clone())));
        }
    }
    found
}

/// Parses an expression. Grafana's durations are none that Prometheus knows.
pub(crate) fn parsed(expr: &str) -> Result<Expr, String> {
    parse(&expr.replace("$__rate_interval", "1m").replace("$__range", "15m"))
}

/// The selectors of an expression.
pub(crate) fn selectors(expr: &Expr) -> Vec<&VectorSelector> {
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

/// What is wrong with an expression.
fn faults(observability: &Observability, expr: &str) -> Vec<String> {
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

pub(crate) fn are_of_the_catalogue() -> Result<(), Failed> {
    let observability = crate::plan("").observability;
    let mut found = Vec::new();
    for (place, expr) in expressions(&observability) {
        found.extend(faults(&observability, &expr).into_iter().map(|fault| format!("{place}: {fault}\n    {expr}")));
    }
    crate::none(&found)
}

pub(crate) fn faults_are_found() -> Result<(), Failed> {
    let observability = crate::plan("").observability;
    for (expr, told) in [
        ("pocket_miner_hight", "there is no metric pocket_miner_hight"),
        ("pocket_miner_height_sum", "there is no metric pocket_miner_height_sum"),
        (
            "pocket_miner_batch_duration_seconds",
            "pocket_miner_batch_duration_seconds is a histogram: ask for pocket_miner_batch_duration_seconds_bucket",
        ),
        ("pocket_miner_height{service=\"a\"}", "pocket_miner_height has no label service"),
        ("sum by(term) (pocket_miner_height)", "pocket_miner_height has no label term to group by"),
        ("rate(pocket_miner_height[5m])", "rate of pocket_miner_height, which is a gauge"),
        ("delta(pocket_miner_claims_total[5m])", "delta of pocket_miner_claims_total, which is a counter"),
        ("{job=\"miner\"}", "a selector names no metric"),
    ] {
        let found = faults(&observability, expr);
        if found != [told] {
            return Err(format!("{expr}: {found:?}").into());
        }
    }
    Ok(())
}

/// Series of tests have exactly the labels that programs give them.
pub(crate) fn series_are_real() -> Result<(), Failed> {
    let observability = crate::plan("").observability;
    let planted = observability.alerts.values().flat_map(|alert| alert.plant.keys());
    let mut found = Vec::new();
    for text in observability.healthy.keys().chain(planted) {
        let Ok(Expr::VectorSelector(selector)) = parse(text) else {
            found.push(format!("{text} is no series"));
            continue;
        };
        let labels: BTreeSet<String> = selector.matchers.matchers.iter().map(|matcher| matcher.name.clone()).collect();
        match series(&observability, selector.name.as_deref().unwrap_or_default()) {
            Ok(known) if known.labels == labels => {}
            Ok(known) => found.push(format!("{text}: its labels are {:?}", known.labels)),
            Err(fault) => found.push(format!("{text}: {fault}")),
        }
    }
    crate::none(&found)
}
