//! One pod: what runs, as whom, with what, and how one sees that it works. Every pod keeps to the restricted standard.

use serde_json::{Map, Value, json};

use super::contents::{Contents, config_name, key, secret_name};
use crate::emit::foreign::{list, told};
use crate::plan::{Plan, Workload};
use crate::spec::{EnvironmentKind, Probe};

/// Name of the volume with what a workload keeps.
pub(super) const STATE: &str = "state";

/// Annotation that changes with the files a pod reads.
const HASH: &str = "pocket-relayminer/config-hash";

pub(super) fn template(plan: &Plan, workload: &Workload, contents: &Contents, restart: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": workload.name}, "annotations": {HASH: contents.hash()}},
        "spec": {
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "restartPolicy": restart,
            "terminationGracePeriodSeconds": workload.grace_seconds,
            "securityContext": security(workload),
            "containers": [container(plan, workload, contents)],
            "volumes": volumes(workload, contents),
        },
    })
}

/// Users that images of others are made for. Everybody else is 1000.
fn user(workload: &Workload) -> u64 {
    match workload.image.as_str() {
        "redis" => 999,
        "prometheus" => 65534,
        "grafana" => 472,
        "loki" => 10001,
        _ => 1000,
    }
}

fn security(workload: &Workload) -> Value {
    let user = user(workload);
    json!({
        "runAsNonRoot": true,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

fn container(plan: &Plan, workload: &Workload, contents: &Contents) -> Value {
    let image = &plan.images[&workload.image];
    let told = told(plan, EnvironmentKind::Kubernetes, workload);
    let ports: Vec<Value> =
        workload.live_ports().map(|port| json!({"name": port.name, "containerPort": port.container})).collect();
    let env: Vec<Value> = told.env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let mut container = json!({
        "name": workload.name,
        "image": image.reference,
        "imagePullPolicy": "IfNotPresent",
        "resources": resources(workload),
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": image.binary.is_some(),
        },
        "volumeMounts": mounts(workload, contents),
    });
    for (key, value) in [
        ("command", list(&told.command)),
        ("args", list(&told.args)),
        ("env", Value::Array(env)),
        ("ports", Value::Array(ports)),
    ] {
        if value.as_array().is_some_and(|value| !value.is_empty()) {
            container[key] = value;
        }
    }
    if !workload.one_shot {
        for (key, value) in probes(workload) {
            container[key] = value;
        }
    }
    container
}

fn resources(workload: &Workload) -> Value {
    let (cpu, memory) = (workload.resources.cpu_milli, workload.resources.memory_mib);
    json!({
        "requests": {"cpu": format!("{}m", cpu.request), "memory": format!("{}Mi", memory.request)},
        "limits": {"cpu": format!("{}m", cpu.limit), "memory": format!("{}Mi", memory.limit)},
    })
}

/// Readiness decides who is sent work, liveness who is started anew. A program that is still starting is not hurried.
fn probes(workload: &Workload) -> Map<String, Value> {
    let health = &workload.health;
    let probe = |asks: Value, failures: u64| {
        let mut probe = asks;
        probe["periodSeconds"] = json!(health.period_seconds);
        probe["timeoutSeconds"] = json!(health.timeout_seconds);
        probe["failureThreshold"] = json!(failures);
        probe
    };
    let http = |asked: &Probe| json!({"httpGet": {"port": asked.port, "path": asked.path}});
    let command = health.command.as_ref().map(|command| json!({"exec": {"command": command}}));
    let ready = command.clone().or_else(|| health.ready.as_ref().map(http));
    let live = command.or_else(|| health.live.as_ref().map(http));
    let mut probes = Map::new();
    if let Some(ready) = ready {
        probes.insert("readinessProbe".to_owned(), probe(ready, 1));
    }
    if let Some(live) = live {
        let starting = health.start_seconds.div_ceil(health.period_seconds) + health.patience;
        probes.insert("startupProbe".to_owned(), probe(live.clone(), starting));
        probes.insert("livenessProbe".to_owned(), probe(live, health.patience));
    }
    probes
}

fn mounts(workload: &Workload, contents: &Contents) -> Vec<Value> {
    let file = |volume: &str, inside: &String| json!({"name": volume, "mountPath": inside, "subPath": key(inside), "readOnly": true});
    let mut mounts: Vec<Value> = contents.configs.keys().map(|inside| file("config", inside)).collect();
    mounts.extend(contents.secrets.keys().map(|inside| file("keys", inside)));
    if let Some(state) = &workload.state {
        mounts.push(json!({"name": STATE, "mountPath": state.path}));
    }
    mounts.push(json!({"name": "tmp", "mountPath": "/tmp"}));
    mounts
}

fn volumes(workload: &Workload, contents: &Contents) -> Vec<Value> {
    let mut volumes = Vec::new();
    if !contents.configs.is_empty() {
        volumes.push(json!({"name": "config", "configMap": {"name": config_name(workload)}}));
    }
    if !contents.secrets.is_empty() {
        // Read by the one user of the pod, through the group of its volumes.
        volumes.push(json!({"name": "keys", "secret": {"secretName": secret_name(workload), "defaultMode": 0o440}}));
    }
    if let Some(state) = workload.state.as_ref().filter(|state| !state.persistent) {
        volumes.push(json!({"name": STATE, "emptyDir": {"sizeLimit": format!("{}Mi", state.size_mib)}}));
    }
    volumes.push(json!({"name": "tmp", "emptyDir": {}}));
    volumes
}
