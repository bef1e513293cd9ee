//! What the committed boards ask.

use std::path::Path;

use serde_json::Value;

/// What stands for Grafana's durations in a run of a minute or two.
const DURATIONS: [(&str, &str); 2] = [("$__rate_interval", "1m"), ("$__range", "5m")];

/// Every expression with its board and panel, every choice on "All".
pub(crate) fn expressions(root: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root.join("grafana/dashboards"))? {
        let board: Value = serde_json::from_slice(&std::fs::read(entry?.path())?)?;
        let names = board["templating"]["list"].as_array().into_iter().flatten();
        let names: Vec<&str> = names.filter_map(|variable| variable["name"].as_str()).collect();
        for panel in board["panels"].as_array().into_iter().flatten() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let place = format!("{}: {}", board["title"], panel["title"]);
                let mut expr = target["expr"].as_str().unwrap_or_default().to_owned();
                for (name, duration) in DURATIONS {
                    expr = expr.replace(name, duration);
                }
                for name in &names {
                    expr = expr.replace(&format!("${name}"), ".*");
                }
                found.push((place, expr));
            }
        }
    }
    Ok(found)
}
