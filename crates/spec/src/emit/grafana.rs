//! Grafana: the boards, and the files by which it finds them and its data.

mod panel;

use serde_json::{Value, json};

use super::File;
use crate::plan::Plan;
use crate::spec::{Chain, Dashboard, EnvironmentKind, GatewayKind, Needs, Observability, Panel, Variable};

/// Version of the boards' form, as Grafana 12 writes it.
const SCHEMA_VERSION: u64 = 41;

/// Columns of the grid.
const COLUMNS: u64 = 24;

/// Where Grafana finds the boards inside.
const FOLDER: &str = "/var/lib/grafana/dashboards";

/// Uid of the data source of logs.
pub const LOGS: &str = "loki";

/// Renders the boards and the provisioning.
pub fn emit(plan: &Plan) -> Vec<File> {
    let observability = &plan.observability;
    let boards = observability
        .dashboards
        .iter()
        .map(|(name, board)| File::json(format!("grafana/dashboards/{name}.json"), &dashboard(plan, name, board)));
    let provisioning = [
        File::yaml("grafana/provisioning/dashboards/dashboards.yaml", &providers()),
        File::yaml("grafana/provisioning/datasources/datasources.yaml", &datasources(plan)),
    ];
    boards.chain(provisioning).collect()
}

fn dashboard(plan: &Plan, name: &str, board: &Dashboard) -> Value {
    let observability = &plan.observability;
    let variables = board.variables.iter().map(|name| variable(observability, name, &observability.variables[name]));
    json!({
        "uid": name,
        "title": board.title,
        "description": board.about,
        "tags": ["pocket"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-15m", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [{
            "type": "dashboards", "tags": ["pocket"], "title": "Boards", "icon": "external link", "tooltip": "",
            "asDropdown": false, "includeVars": false, "keepTime": true, "targetBlank": false,
        }],
        "templating": {"list": variables.collect::<Vec<Value>>()},
        "panels": laid_out(plan, board),
    })
}

/// A choice whose values are those that a label has. `.*` stands for all of them, and for series without the label.
fn variable(observability: &Observability, name: &str, variable: &Variable) -> Value {
    let query = format!("label_values({}, {})", variable.metric, variable.label);
    json!({
        "name": name,
        "label": variable.title,
        "type": "query",
        "datasource": datasource(observability),
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": true,
        "includeAll": true,
        "allValue": ".*",
        "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
        "options": [],
    })
}

/// The panels that have data here, from left to right and down, under the headings of their rows.
fn laid_out(plan: &Plan, board: &Dashboard) -> Vec<Value> {
    let mut panels = Vec::new();
    let mut top = 0;
    for row in &board.rows {
        let shown: Vec<&Panel> = row.panels.iter().filter(|panel| is_met(plan, panel.needs)).collect();
        if shown.is_empty() {
            continue;
        }
        let id = panels.len() + 1;
        panels.push(json!({
            "id": id, "type": "row", "title": row.title, "collapsed": false, "panels": [],
            "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
        }));
        top += 1;
        let (mut left, mut tallest) = (0, 0);
        for one in shown {
            if left + one.width > COLUMNS {
                top += tallest;
                (left, tallest) = (0, 0);
            }
            let place = json!({"x": left, "y": top, "w": one.width, "h": one.height});
            panels.push(panel::panel(&plan.observability, one, panels.len() + 1, &place));
            left += one.width;
            tallest = tallest.max(one.height);
        }
        top += tallest;
    }
    panels
}

/// Whether what a panel needs is running.
fn is_met(plan: &Plan, needs: Needs) -> bool {
    match needs {
        Needs::Nothing => true,
        Needs::Ours => plan.gateway == GatewayKind::Pocket,
        Needs::Path => plan.gateway == GatewayKind::Path,
        Needs::Pocketd => plan.chain == Chain::Pocketd,
        Needs::Logs => plan.observability.logs.enabled,
    }
}

fn datasource(observability: &Observability) -> Value {
    json!({"type": "prometheus", "uid": observability.datasource})
}

fn providers() -> Value {
    json!({
        "apiVersion": 1,
        "providers": [{
            "name": "pocket", "orgId": 1, "folder": "Pocket", "type": "file", "disableDeletion": true,
            "allowUiUpdates": false, "updateIntervalSeconds": 10, "options": {"path": FOLDER},
        }],
    })
}

/// Both environments name Prometheus alike, so that one file serves both.
fn datasources(plan: &Plan) -> Value {
    let url = |workload: &str| {
        let endpoint = plan.environment(EnvironmentKind::Docker).endpoint(workload, "http");
        format!("http://{}", endpoint.unwrap_or_default())
    };
    let observability = &plan.observability;
    let mut sources = vec![json!({
        "name": "Prometheus", "uid": observability.datasource, "type": "prometheus", "access": "proxy",
        "url": url("prometheus"), "isDefault": true, "editable": false,
        "jsonData": {"httpMethod": "POST", "timeInterval": format!("{}s", observability.scrape.interval_seconds)},
    })];
    if observability.logs.enabled {
        sources.push(json!({
            "name": "Loki", "uid": LOGS, "type": "loki", "access": "proxy", "url": url("loki"), "editable": false,
        }));
    }
    json!({"apiVersion": 1, "datasources": sources})
}
