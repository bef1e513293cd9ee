//! Boards, as described and as rendered.

use std::collections::BTreeSet;

use libtest_mimic::Failed;
use pocket_spec::emit;
use pocket_spec::expressions::{parsed, selectors, series};
use pocket_spec::plan::Plan;
use pocket_spec::spec::{Panel, PanelKind, Unit};
use serde_json::Value;

fn panels(plan: &Plan) -> impl Iterator<Item = &Panel> {
    plan.observability.dashboards.values().flat_map(|board| &board.rows).flat_map(|row| &row.panels)
}

/// The base unit that a metric has which is shown so; none where any may be.
fn base(unit: Unit) -> Option<&'static str> {
    match unit {
        Unit::Seconds => Some("seconds"),
        Unit::Bytes => Some("bytes"),
        Unit::Blocks => Some("blocks"),
        Unit::Pokt | Unit::PoktPerSecond => Some("upokt"),
        Unit::Count | Unit::PerSecond | Unit::Fraction | Unit::Up => None,
    }
}

pub(crate) fn units_agree() -> Result<(), Failed> {
    let plan = crate::plan("");
    let mut faults = Vec::new();
    for panel in panels(&plan).filter(|panel| panel.kind != PanelKind::Logs) {
        let pokt = matches!(panel.unit, Unit::Pokt | Unit::PoktPerSecond);
        for query in &panel.queries {
            if pokt && !query.expr.ends_with("/ 1e6") {
                faults.push(format!("\"{}\" shows POKT and does not divide upokt: {}", panel.title, query.expr));
            }
            let Some(base) = base(panel.unit) else { continue };
            let expr = parsed(&query.expr)?;
            for name in selectors(&expr).into_iter().filter_map(|selector| selector.name.as_ref()) {
                let known = series(&plan.observability, name)?;
                if known.kind.is_some() && known.unit != base {
                    faults.push(format!("\"{}\" shows {base}, and {name} is in {}", panel.title, known.unit));
                }
            }
        }
    }
    crate::none(&faults)
}

/// Names after `$` in an expression, without Grafana's own.
fn variables(expr: &str) -> BTreeSet<String> {
    let names = expr.split('$').skip(1).map(|rest| {
        rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect::<String>()
    });
    names.filter(|name| !name.starts_with("__")).collect()
}

pub(crate) fn variables_agree() -> Result<(), Failed> {
    let plan = crate::plan("");
    let mut faults = Vec::new();
    for (name, board) in &plan.observability.dashboards {
        let queries = board.rows.iter().flat_map(|row| &row.panels).flat_map(|panel| &panel.queries);
        let used: BTreeSet<String> = queries.flat_map(|query| variables(&query.expr)).collect();
        let offered: BTreeSet<String> = board.variables.iter().cloned().collect();
        if used != offered {
            faults.push(format!("{name} uses {used:?} and offers {offered:?}"));
        }
    }
    for (name, variable) in &plan.observability.variables {
        let selector = format!("sum by({}) ({})", variable.label, variable.metric);
        if let Err(fault) = series(&plan.observability, &variable.metric) {
            faults.push(format!("variable {name}: {fault}"));
        }
        parsed(&selector)?;
    }
    crate::none(&faults)
}

/// The rendered boards, parsed.
fn boards(plan: &Plan) -> Vec<Value> {
    let files = emit::grafana::emit(plan);
    let boards = files.iter().filter(|file| file.path.starts_with("grafana/dashboards/"));
    boards.map(|file| serde_json::from_str(&file.content).expect("a board is JSON")).collect()
}

pub(crate) fn links_lead_somewhere() -> Result<(), Failed> {
    let plan = crate::plan("");
    let runbook = emit::runbook::emit(&plan.observability).remove(0).content;
    let anchors: BTreeSet<String> =
        runbook.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_lowercase).collect();
    let mut faults = Vec::new();
    for name in plan.observability.alerts.keys().filter(|name| !anchors.contains(&name.to_lowercase())) {
        faults.push(format!("the runbook has no heading {name}"));
    }
    for board in boards(&plan) {
        for panel in board["panels"].as_array().into_iter().flatten() {
            for link in panel["links"].as_array().into_iter().flatten() {
                let anchor = link["url"].as_str().and_then(|url| url.split_once('#')).map(|(_, anchor)| anchor);
                if !anchor.is_some_and(|anchor| anchors.contains(anchor)) {
                    faults.push(format!("{} leads to {link}", panel["title"]));
                }
            }
        }
    }
    crate::none(&faults)
}

pub(crate) fn panels_have_places() -> Result<(), Failed> {
    let plan = crate::plan("{ observability.logs.enabled = true }");
    let sources = emit::grafana::emit(&plan);
    let sources = sources.iter().find(|file| file.path.ends_with("datasources.yaml")).expect("it is rendered");
    let mut faults = Vec::new();
    for board in boards(&plan) {
        let mut taken = BTreeSet::new();
        for panel in board["panels"].as_array().into_iter().flatten() {
            let side = |name: &str| panel["gridPos"][name].as_u64().expect("a panel has a place");
            for column in side("x")..side("x") + side("w") {
                for row in side("y")..side("y") + side("h") {
                    if column >= 24 || !taken.insert((column, row)) {
                        faults.push(format!("{} is over another, or outside", panel["title"]));
                    }
                }
            }
            if let Some(uid) = panel["datasource"]["uid"].as_str()
                && !sources.content.contains(&format!("uid: {uid}"))
            {
                faults.push(format!("{} asks {uid}, which is not provisioned", panel["title"]));
            }
        }
    }
    faults.dedup();
    crate::none(&faults)
}

/// Titles of all rendered panels.
fn titles(overlay: &str) -> BTreeSet<String> {
    let boards = boards(&crate::plan(overlay));
    let panels = boards.iter().flat_map(|board| board["panels"].as_array().into_iter().flatten());
    panels.filter_map(|panel| panel["title"].as_str()).map(str::to_owned).collect()
}

pub(crate) fn needs_are_met() -> Result<(), Failed> {
    let of_others = ["PATH: requests", "Consensus of the node", "Errors"];
    let mut faults = Vec::new();
    let ours = titles("");
    faults.extend(of_others.iter().filter(|title| ours.contains(**title)).map(|title| format!("{title} has no data")));
    let real = titles("{ chain = 'Pocketd, gateway = 'Path, observability.logs.enabled = true }");
    faults.extend(of_others.iter().filter(|title| !real.contains(**title)).map(|title| format!("{title} is left out")));
    if real.contains("Requests of clients") {
        faults.push("our gateway is shown and does not run".to_owned());
    }
    crate::none(&faults)
}
