//! Expressions, held against the catalogue of metrics.

use std::collections::BTreeSet;

use libtest_mimic::Failed;
use pocket_spec::expressions::{expressions, faults, series};
use promql_parser::parser::{Expr, parse};

pub(crate) fn are_of_the_catalogue() -> Result<(), Failed> {
    let observability = crate::plan("").observability;
    let mut found = Vec::new();
    for written in expressions(&observability) {
        let faults = faults(&observability, &written.expr).into_iter();
        found.extend(faults.map(|fault| format!("{}: {fault}\n    {}", written.place, written.expr)));
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
