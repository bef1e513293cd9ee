//! The runbook: a heading for every alert, with what it means and what to do.

use std::fmt::Write as _;

use super::{File, NOTICE};
use crate::spec::{Alert, Observability};

/// Renders it.
pub fn emit(observability: &Observability) -> Vec<File> {
    vec![File::new("grafana/runbook.md", text(observability))]
}

fn text(observability: &Observability) -> String {
    let mut text = format!(
        "<!-- {NOTICE} -->\n# Runbook\n\nA heading for every alert. *Critical*: money is being lost now. *Warning*: it will be \
         if nobody looks.\n"
    );
    for (name, alert) in &observability.alerts {
        section(&mut text, observability, name, alert);
    }
    text
}

fn section(text: &mut String, observability: &Observability, name: &str, alert: &Alert) {
    let patience = match alert.for_seconds {
        0 => "at once".to_owned(),
        seconds => format!("after {seconds} s"),
    };
    let summary = alert.summary.replace("`{{ $labels.", "{{ $labels.").replace(" }}`", " }}");
    let summary = summary.replace("{{ $labels.", "`").replace(" }}", "`");
    let _ = write!(
        text,
        "\n## {name}\n\n*{:?}, {patience}.* {summary}\n\n{}\n\n```promql\n{}\n```\n\n",
        alert.severity, alert.about, alert.expr
    );
    for (index, step) in alert.remedy.iter().enumerate() {
        let _ = writeln!(text, "{}. {step}", index + 1);
    }
    let panels = panels(observability, name);
    if !panels.is_empty() {
        let _ = writeln!(text, "\nSee {}.", panels.join("; "));
    }
}

/// Where it is seen: the panels that lead here, board by board.
fn panels(observability: &Observability, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for board in observability.dashboards.values() {
        let panels = board.rows.iter().flat_map(|row| &row.panels);
        let leading = panels.filter(|panel| panel.runbook.as_deref() == Some(name));
        let titles: Vec<String> = leading.map(|panel| format!("\"{}\"", panel.title)).collect();
        if !titles.is_empty() {
            found.push(format!("{} on *{}*", titles.join(", "), board.title));
        }
    }
    found
}
