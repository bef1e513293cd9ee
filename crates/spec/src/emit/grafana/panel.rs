//! One panel, in Grafana's words.

use serde_json::{Value, json};

use super::{LOGS, datasource};
use crate::spec::{Color, Observability, Panel, PanelKind, Query, Threshold, Unit};

pub(super) fn panel(observability: &Observability, panel: &Panel, id: usize, place: &Value) -> Value {
    let source = match panel.kind {
        PanelKind::Logs => json!({"type": "loki", "uid": LOGS}),
        _ => datasource(observability),
    };
    let queries = panel.queries.iter().enumerate();
    let targets: Vec<Value> = queries.map(|(index, query)| target(panel.kind, index, query, &source)).collect();
    let mut drawn = json!({
        "id": id,
        "type": plugin(panel.kind),
        "title": panel.title,
        "description": panel.about,
        "gridPos": place,
        "datasource": source,
        "targets": targets,
        "fieldConfig": {"defaults": defaults(panel), "overrides": []},
        "options": options(panel.kind),
    });
    if let Some(runbook) = &panel.runbook {
        let url = format!("{}#{}", observability.runbook_url, runbook.to_lowercase());
        drawn["links"] = json!([{
            "type": "link", "title": format!("Runbook: {runbook}"), "url": url, "icon": "doc", "tooltip": "", "tags": [],
            "asDropdown": false, "includeVars": false, "keepTime": false, "targetBlank": true,
        }]);
    }
    drawn
}

fn plugin(kind: PanelKind) -> &'static str {
    match kind {
        PanelKind::Stat => "stat",
        PanelKind::TimeSeries => "timeseries",
        PanelKind::Gauge => "gauge",
        PanelKind::BarGauge => "bargauge",
        PanelKind::Table => "table",
        PanelKind::PieChart => "piechart",
        PanelKind::Heatmap => "heatmap",
        PanelKind::StateTimeline => "state-timeline",
        PanelKind::Logs => "logs",
    }
}

/// Whether a panel shows the course of the time chosen, rather than its end.
fn shows_course(kind: PanelKind) -> bool {
    matches!(kind, PanelKind::TimeSeries | PanelKind::Heatmap | PanelKind::StateTimeline | PanelKind::Logs)
}

fn target(kind: PanelKind, index: usize, query: &Query, source: &Value) -> Value {
    let letter = u8::try_from(index).map_or('Z', |index| char::from(b'A' + index.min(25)));
    let format = match kind {
        PanelKind::Table => "table",
        PanelKind::Heatmap => "heatmap",
        _ => "time_series",
    };
    json!({
        "refId": letter.to_string(),
        "datasource": source,
        "expr": query.expr,
        "legendFormat": query.legend,
        "format": format,
        "instant": !shows_course(kind),
        "range": shows_course(kind),
    })
}

/// Grafana's name of a unit.
fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "short",
        Unit::PerSecond => "reqps",
        Unit::Seconds => "s",
        Unit::Bytes => "bytes",
        Unit::Fraction => "percentunit",
        Unit::Blocks => "suffix: blocks",
        Unit::Pokt => "suffix: POKT",
        Unit::PoktPerSecond => "suffix: POKT/s",
        Unit::Up => "none",
    }
}

fn defaults(panel: &Panel) -> Value {
    let mut defaults = json!({
        "unit": unit(panel.unit),
        "color": {"mode": if panel.thresholds.is_empty() { "palette-classic" } else { "thresholds" }},
        "thresholds": {"mode": "absolute", "steps": steps(&panel.thresholds)},
    });
    if panel.unit == Unit::Fraction {
        defaults["min"] = json!(0);
        defaults["max"] = json!(1);
    }
    if panel.unit == Unit::Up {
        let words = json!({"0": {"text": "down", "color": "red", "index": 0}, "1": {"text": "up", "color": "green", "index": 1}});
        defaults["mappings"] = json!([{"type": "value", "options": words}]);
    }
    if panel.kind == PanelKind::TimeSeries {
        defaults["custom"] = json!({"lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false});
    }
    defaults
}

/// The first step has no lower bound: Grafana wants it so.
fn steps(thresholds: &[Threshold]) -> Vec<Value> {
    if thresholds.is_empty() {
        return vec![json!({"color": "green", "value": null})];
    }
    let step = |(index, threshold): (usize, &Threshold)| {
        let value = if index == 0 { Value::Null } else { json!(threshold.above) };
        json!({"color": color(threshold.color), "value": value})
    };
    thresholds.iter().enumerate().map(step).collect()
}

fn color(color: Color) -> &'static str {
    match color {
        Color::Green => "green",
        Color::Yellow => "yellow",
        Color::Orange => "orange",
        Color::Red => "red",
    }
}

fn options(kind: PanelKind) -> Value {
    let last = json!({"calcs": ["lastNotNull"], "fields": "", "values": false});
    let legend = json!({"showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": []});
    let hidden = json!({"showLegend": false, "displayMode": "list", "placement": "bottom", "calcs": []});
    let tooltip = json!({"mode": "multi", "sort": "desc"});
    match kind {
        PanelKind::Stat => json!({
            "reduceOptions": last, "colorMode": "value", "graphMode": "none", "justifyMode": "auto", "textMode": "auto",
            "orientation": "auto", "wideLayout": true, "showPercentChange": false, "percentChangeColorMode": "standard",
        }),
        PanelKind::TimeSeries => json!({"legend": legend, "tooltip": tooltip}),
        PanelKind::Gauge => json!({
            "reduceOptions": last, "orientation": "auto", "showThresholdLabels": false, "showThresholdMarkers": true,
            "sizing": "auto", "minVizHeight": 75, "minVizWidth": 75,
        }),
        PanelKind::BarGauge => json!({
            "reduceOptions": last, "orientation": "horizontal", "displayMode": "basic", "valueMode": "color",
            "namePlacement": "left", "showUnfilled": true, "sizing": "auto", "minVizHeight": 16, "minVizWidth": 8,
            "maxVizHeight": 300, "legend": hidden,
        }),
        PanelKind::Table => json!({"showHeader": true, "cellHeight": "sm", "frameIndex": 0}),
        PanelKind::PieChart => json!({
            "reduceOptions": last, "orientation": "auto", "pieType": "donut", "displayLabels": ["name"], "tooltip": tooltip,
            "legend": {"showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": [], "values": ["value"]},
        }),
        PanelKind::Heatmap => json!({
            "calculate": false, "cellGap": 1, "showValue": "never", "legend": {"show": true},
            "color": {"mode": "scheme", "scheme": "Oranges", "fill": "dark-orange", "exponent": 0.5, "steps": 64, "reverse": false},
            "tooltip": {"mode": "single", "yHistogram": true},
            "yAxis": {"unit": unit(Unit::Seconds), "axisPlacement": "left"},
            "rowsFrame": {"layout": "auto"}, "filterValues": {"le": 1e-9}, "exemplars": {"color": "red"},
        }),
        PanelKind::StateTimeline => json!({
            "showValue": "never", "rowHeight": 0.8, "mergeValues": true, "alignValue": "left", "legend": legend,
            "tooltip": {"mode": "single", "sort": "none"},
        }),
        PanelKind::Logs => json!({
            "showTime": true, "showLabels": false, "showCommonLabels": false, "wrapLogMessage": true,
            "prettifyLogMessage": false, "enableLogDetails": true, "sortOrder": "Descending", "dedupStrategy": "none",
            "showLogContextToggle": false,
        }),
    }
}
