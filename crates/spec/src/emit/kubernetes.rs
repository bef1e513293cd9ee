//! `tilt/k8s/<workload>.yaml`: everything of a workload in one file, to be applied with Tilt or by hand.

mod contents;
mod network;
mod pod;

use serde_json::{Value, json};

use super::{File, NOTICE, yaml};
use crate::plan::{Environment, Plan, Workload};
use crate::spec::EnvironmentKind;

use contents::Contents;

/// Renders them. `rendered` are the files that pods are given a copy of.
pub fn emit(plan: &Plan, rendered: &[File]) -> Vec<File> {
    let cluster = plan.environment(EnvironmentKind::Kubernetes);
    let workloads = cluster.workloads.iter();
    workloads.map(|workload| manifest(plan, cluster, workload, rendered)).collect()
}

/// Objects of a workload that Tilt does not find by itself, as `name:kind`.
pub fn objects(plan: &Plan, workload: &Workload, rendered: &[File]) -> Vec<String> {
    let cluster = plan.environment(EnvironmentKind::Kubernetes);
    let documents = documents(plan, cluster, workload, rendered);
    let found_by_itself = ["StatefulSet", "Job", "Service"];
    let of =
        |document: &Value, path: &str| document.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let others = documents.iter().filter(|document| !found_by_itself.contains(&of(document, "/kind").as_str()));
    others
        .map(|document| format!("{}:{}", of(document, "/metadata/name"), of(document, "/kind").to_lowercase()))
        .collect()
}

fn manifest(plan: &Plan, cluster: &Environment, workload: &Workload, rendered: &[File]) -> File {
    let documents: Vec<String> = documents(plan, cluster, workload, rendered).iter().map(yaml).collect();
    File::new(format!("tilt/k8s/{}.yaml", workload.name), format!("# {NOTICE}\n{}", documents.join("---\n")))
}

fn documents(plan: &Plan, cluster: &Environment, workload: &Workload, rendered: &[File]) -> Vec<Value> {
    let contents = Contents::of(plan, workload, rendered);
    let mut documents = contents.objects(plan, workload);
    documents.extend(network::services(plan, workload));
    documents.push(network::policy(plan, cluster, workload));
    if workload.one_shot {
        documents.push(job(plan, workload, &contents));
    } else {
        documents.push(stateful_set(plan, workload, &contents));
    }
    if workload.replicas.len() > 1 {
        documents.push(budget(plan, workload));
    }
    documents
}

/// Name, namespace and the label that everything of a workload carries.
fn metadata(plan: &Plan, workload: &Workload, name: &str) -> Value {
    json!({"name": name, "namespace": plan.namespace, "labels": {"app": workload.name}})
}

fn selector(workload: &Workload) -> Value {
    json!({"matchLabels": {"app": workload.name}})
}

/// Pods with stable names, which start and stop side by side: replicas do not wait for each other.
fn stateful_set(plan: &Plan, workload: &Workload, contents: &Contents) -> Value {
    let mut spec = json!({
        "serviceName": workload.name,
        "replicas": workload.replicas.len(),
        "podManagementPolicy": "Parallel",
        "selector": selector(workload),
        "template": pod::template(plan, workload, contents, "Always"),
    });
    if let Some(state) = workload.state.as_ref().filter(|state| state.persistent) {
        spec["volumeClaimTemplates"] = json!([{
            "metadata": {"name": pod::STATE},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": format!("{}Mi", state.size_mib)}},
            },
        }]);
    }
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata(plan, workload, &workload.name), "spec": spec})
}

/// How often work that ends is tried; the node it speaks to may still be starting.
const TRIES: u64 = 10;

fn job(plan: &Plan, workload: &Workload, contents: &Contents) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(plan, workload, &workload.name),
        "spec": {"backoffLimit": TRIES, "template": pod::template(plan, workload, contents, "OnFailure")},
    })
}

/// A node that is emptied takes one replica at a time.
fn budget(plan: &Plan, workload: &Workload) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(plan, workload, &workload.name),
        "spec": {"maxUnavailable": 1, "selector": selector(workload)},
    })
}
