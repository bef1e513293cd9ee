//! What is watched, how it is shown, and when somebody must look.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything that one sees.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/observability.ncl")]
pub struct Observability {
    pub scrape: Scrape,
    pub datasource: String,
    pub runbook_url: String,
    pub variables: BTreeMap<String, Variable>,
    pub dashboards: BTreeMap<String, Dashboard>,
    pub alerts: BTreeMap<String, Alert>,
    pub healthy: BTreeMap<String, String>,
    pub foreign: BTreeMap<String, Foreign>,
    pub logs: Logs,
    pub admin_password: String,
}

/// How often and how long.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/observability.ncl")]
pub struct Scrape {
    pub interval_seconds: u64,
    pub retention_days: u64,
}

/// A choice at the top of a board.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/observability.ncl")]
pub struct Variable {
    pub title: String,
    pub metric: String,
    pub label: String,
}

/// A board.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/observability.ncl")]
pub struct Dashboard {
    pub title: String,
    pub about: String,
    pub variables: Vec<String>,
    pub rows: Vec<Row>,
}

/// A row of panels.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/observability.ncl")]
pub struct Row {
    pub title: String,
    pub panels: Vec<Panel>,
}

/// A panel.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/observability.ncl")]
pub struct Panel {
    pub title: String,
    pub kind: PanelKind,
    pub unit: Unit,
    pub about: String,
    pub queries: Vec<Query>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    pub thresholds: Vec<Threshold>,
    pub width: u64,
    pub height: u64,
    pub needs: Needs,
}

/// How a panel is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/observability.ncl")]
pub enum PanelKind {
    Stat,
    TimeSeries,
    Gauge,
    BarGauge,
    Table,
    PieChart,
    Heatmap,
    StateTimeline,
    Logs,
}

/// What a panel's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/observability.ncl")]
pub enum Unit {
    Count,
    PerSecond,
    Seconds,
    Bytes,
    Fraction,
    Blocks,
    Pokt,
    PoktPerSecond,
    Up,
}

/// What must run for a panel to have data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/observability.ncl")]
pub enum Needs {
    Nothing,
    Ours,
    Path,
    Pocketd,
    Logs,
}

/// A question to Prometheus.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/observability.ncl")]
pub struct Query {
    pub expr: String,
    pub legend: String,
}

/// A value that matters.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/observability.ncl")]
pub struct Threshold {
    pub above: f64,
    pub color: Color,
}

/// A colour of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/observability.ncl")]
#[serde(rename_all = "lowercase")]
pub enum Color {
    Green,
    Yellow,
    Orange,
    Red,
}

/// When somebody must look.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/observability.ncl")]
pub struct Alert {
    pub expr: String,
    pub for_seconds: u64,
    pub severity: Severity,
    pub summary: String,
    pub about: String,
    pub remedy: Vec<String>,
    pub plant: BTreeMap<String, String>,
    pub fires: BTreeMap<String, String>,
}

/// What it costs when nobody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/observability.ncl")]
pub enum Severity {
    Critical,
    Warning,
}

/// A metric of a program that is not ours.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/observability.ncl")]
pub struct Foreign {
    pub labels: Vec<String>,
}

/// Whether logs are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/observability.ncl")]
pub struct Logs {
    pub enabled: bool,
    pub retention_hours: u64,
}
