//! How pods are reached, and by whom.

use serde_json::{Value, json};

use super::{metadata, selector};
use crate::plan::{Environment, Plan, Workload};

/// Whose business the `metrics` ports are.
const SCRAPER: &str = "prometheus";

/// One name for all replicas, which suppliers advertise; and where there are several, a name for each.
pub(super) fn services(plan: &Plan, workload: &Workload) -> Vec<Value> {
    if workload.live_ports().next().is_none() {
        return Vec::new();
    }
    let mut services = vec![service(plan, workload, &workload.name, &json!({"app": workload.name}))];
    if workload.replicas.len() > 1 {
        let replicas = workload.replicas.iter();
        services.extend(replicas.map(|replica| {
            let one = json!({"statefulset.kubernetes.io/pod-name": replica.name});
            service(plan, workload, &replica.name, &one)
        }));
    }
    services
}

fn service(plan: &Plan, workload: &Workload, name: &str, selector: &Value) -> Value {
    let ports: Vec<Value> = workload
        .live_ports()
        .map(|port| json!({"name": port.name, "port": port.container, "targetPort": port.name}))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(plan, workload, name),
        "spec": {"selector": selector, "ports": ports},
    })
}

/// Who waits for a workload may speak to it, and its metrics are there for Prometheus; nobody else is let in. Forwarded
/// ports and probes come from the node, which no policy stops.
pub(super) fn policy(plan: &Plan, cluster: &Environment, workload: &Workload) -> Value {
    let pods = |name: &str| json!({"podSelector": {"matchLabels": {"app": name}}});
    let clients: Vec<Value> = cluster
        .workloads
        .iter()
        .filter(|other| other.after.iter().any(|waited| waited.name == workload.name))
        .map(|other| pods(&other.name))
        .collect();
    let mut ingress = Vec::new();
    let open: Vec<Value> =
        workload.live_ports().filter(|port| !port.metrics).map(|port| json!({"port": port.name})).collect();
    if !clients.is_empty() && !open.is_empty() {
        ingress.push(json!({"from": clients, "ports": open}));
    }
    let metrics: Vec<Value> =
        workload.live_ports().filter(|port| port.metrics).map(|port| json!({"port": port.name})).collect();
    if !metrics.is_empty() {
        ingress.push(json!({"from": [pods(SCRAPER)], "ports": metrics}));
    }
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(plan, workload, &workload.name),
        "spec": {"podSelector": selector(workload), "policyTypes": ["Ingress"], "ingress": ingress},
    })
}
