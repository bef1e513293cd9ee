//! Prometheus: whom it asks, what it warns of, and the proof that each warning works.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::File;
use crate::plan::{Environment, Plan, Port, Workload};
use crate::spec::{Alert, EnvironmentKind, Observability};

/// Time between two samples of a series in the tests of alerts.
const SAMPLE_SECONDS: u64 = 15;

/// A planted fault is looked for so long after its alert's own patience: the longest window of an expression has filled.
const PLANTED_SECONDS: u64 = 600;

/// When a healthy network is looked at: at its start, and when every window is full.
const HEALTHY_SECONDS: [u64; 3] = [60, 1200, 2700];

/// Renders whom it asks in each environment, and the alerts, which are one file for both. A configuration and the alerts
/// are mounted into one folder.
pub fn emit(plan: &Plan) -> Vec<File> {
    let config = |kind| config(&plan.observability, plan.environment(kind));
    vec![
        File::yaml("tilt/docker/config/prometheus.yml", &config(EnvironmentKind::Docker)),
        File::yaml("tilt/k8s/config/prometheus.yml", &config(EnvironmentKind::Kubernetes)),
        File::yaml("grafana/alerts.yaml", &rules(&plan.observability)),
        File::yaml("grafana/alerts.test.yaml", &tests(&plan.observability)),
    ]
}

/// `prometheus.yml` of an environment: a job for every workload with a port of metrics, under the workload's name.
pub fn config(observability: &Observability, environment: &Environment) -> Value {
    let interval = &format!("{}s", observability.scrape.interval_seconds);
    let jobs: Vec<Value> = environment
        .workloads
        .iter()
        .flat_map(|workload| {
            let ports = workload.live_ports().filter(|port| port.metrics);
            ports.map(move |port| job(environment.kind, workload, port, interval))
        })
        .collect();
    json!({
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": ["alerts.yaml"],
        "scrape_configs": jobs,
    })
}

/// One workload. `job` and `instance` are the names of the workload and of its replica in both environments, so that an
/// expression means the same in both. A replica that always runs is expected: without an answer it counts as down. One
/// that Docker starts only with a profile is found by its name, and expected once it is there.
fn job(kind: EnvironmentKind, workload: &Workload, port: &Port, interval: &str) -> Value {
    let (asked, found): (Vec<_>, Vec<_>) = workload.replicas.iter().partition(|replica| replica.profile.is_none());
    let targets: Vec<Value> = asked
        .iter()
        .map(|replica| {
            // A pod is reached by the name of its own service, which a workload's only replica need not have.
            let alone = kind == EnvironmentKind::Kubernetes && workload.replicas.len() == 1;
            let host = if alone { &workload.name } else { &replica.name };
            json!({"targets": [format!("{host}:{}", port.container)], "labels": {"instance": replica.name}})
        })
        .collect();
    let mut job = json!({"job_name": workload.name, "static_configs": targets});
    if !found.is_empty() {
        let names: Vec<&String> = found.iter().map(|replica| &replica.name).collect();
        job["dns_sd_configs"] =
            json!([{"names": names, "type": "A", "port": port.container, "refresh_interval": interval}]);
        job["relabel_configs"] =
            json!([{"source_labels": ["__meta_dns_name"], "regex": "(.+)", "target_label": "instance"}]);
    }
    job
}

/// The alerts.
pub fn rules(observability: &Observability) -> Value {
    let rules: Vec<Value> = observability.alerts.iter().map(|(name, alert)| rule(name, alert)).collect();
    json!({"groups": [{"name": "pocket", "rules": rules}]})
}

fn rule(name: &str, alert: &Alert) -> Value {
    let mut rule = json!({
        "alert": name,
        "expr": alert.expr,
        "labels": {"severity": severity(alert)},
        "annotations": annotations(name, alert, &alert.summary),
    });
    if alert.for_seconds > 0 {
        rule["for"] = json!(format!("{}s", alert.for_seconds));
    }
    rule
}

fn severity(alert: &Alert) -> String {
    format!("{:?}", alert.severity).to_lowercase()
}

fn annotations(name: &str, alert: &Alert, summary: &str) -> Value {
    json!({
        "summary": summary,
        "description": alert.about,
        "runbook": format!("grafana/runbook.md#{}", name.to_lowercase()),
    })
}

/// Tests of the alerts for `promtool test rules`: each fires on what is planted for it in a healthy network, and none
/// fires in a healthy network.
pub fn tests(observability: &Observability) -> Value {
    let planted = observability.alerts.iter().map(|(name, alert)| {
        let mut series = observability.healthy.clone();
        series.extend(alert.plant.clone());
        json!({
            "name": format!("{name} fires"),
            "interval": format!("{SAMPLE_SECONDS}s"),
            "input_series": input(&series),
            "alert_rule_test": [expected(name, alert)],
        })
    });
    let silent: Vec<Value> = HEALTHY_SECONDS
        .iter()
        .flat_map(|at| {
            let silence = |name: &String| json!({"eval_time": format!("{at}s"), "alertname": name, "exp_alerts": []});
            observability.alerts.keys().map(silence).collect::<Vec<Value>>()
        })
        .collect();
    let healthy = json!({
        "name": "a healthy network is silent",
        "interval": format!("{SAMPLE_SECONDS}s"),
        "input_series": input(&observability.healthy),
        "alert_rule_test": silent,
    });
    let tests: Vec<Value> = std::iter::once(healthy).chain(planted).collect();
    json!({"rule_files": ["alerts.yaml"], "evaluation_interval": format!("{SAMPLE_SECONDS}s"), "tests": tests})
}

fn input(series: &BTreeMap<String, String>) -> Value {
    series.iter().map(|(series, values)| json!({"series": series, "values": values})).collect()
}

fn expected(name: &str, alert: &Alert) -> Value {
    let mut labels = alert.fires.clone();
    labels.insert("severity".to_owned(), severity(alert));
    let summary = alert
        .fires
        .iter()
        .fold(alert.summary.clone(), |text, (label, value)| text.replace(&format!("{{{{ $labels.{label} }}}}"), value));
    json!({
        "eval_time": format!("{}s", alert.for_seconds + PLANTED_SECONDS),
        "alertname": name,
        "exp_alerts": [{"exp_labels": labels, "exp_annotations": annotations(name, alert, &summary)}],
    })
}
