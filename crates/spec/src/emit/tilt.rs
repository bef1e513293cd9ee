//! The Tiltfiles. What they do is code that stands in `tilt/*.Tiltfile` beside this file and is copied; what they do it with
//! is data from the plan, in `config`, `defaults` and `ports`. Docker and Kubernetes use the same of both.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{File, NOTICE, kubernetes};
use crate::plan::{Environment, Plan, Workload};
use crate::spec::EnvironmentKind;

/// Tiltfiles whose code depends on nothing: where each is rendered, and its text.
const CODE: [(&str, &str); 11] = [
    ("tilt/docker/Tiltfile", include_str!("tilt/docker.Tiltfile")),
    ("tilt/k8s/Tiltfile", include_str!("tilt/kubernetes.Tiltfile")),
    ("tilt/k8s/utils.Tiltfile", include_str!("tilt/utils.Tiltfile")),
    ("tilt/k8s/redis.Tiltfile", include_str!("tilt/redis.Tiltfile")),
    ("tilt/k8s/validator.Tiltfile", include_str!("tilt/validator.Tiltfile")),
    ("tilt/k8s/account-init.Tiltfile", include_str!("tilt/account-init.Tiltfile")),
    ("tilt/k8s/backend.Tiltfile", include_str!("tilt/backend.Tiltfile")),
    ("tilt/k8s/relayer.Tiltfile", include_str!("tilt/relayer.Tiltfile")),
    ("tilt/k8s/miner.Tiltfile", include_str!("tilt/miner.Tiltfile")),
    ("tilt/k8s/path.Tiltfile", include_str!("tilt/path.Tiltfile")),
    ("tilt/k8s/observability.Tiltfile", include_str!("tilt/observability.Tiltfile")),
];

/// Renders them. `rendered` are the files that pods are given a copy of.
pub fn emit(plan: &Plan, rendered: &[File]) -> Vec<File> {
    let code = CODE.iter().map(|(path, text)| File::new(*path, format!("# {NOTICE}\n{text}")));
    code.chain([
        File::new("tilt/k8s/config.Tiltfile", config(plan)),
        File::new("tilt/k8s/defaults.Tiltfile", defaults(plan, rendered)),
        File::new("tilt/k8s/ports.Tiltfile", ports(plan)),
    ])
    .collect()
}

/// What is said of the environments as a whole.
fn config(plan: &Plan) -> String {
    let buttons: BTreeMap<&String, Value> = plan
        .tilt
        .buttons
        .iter()
        .map(|(name, button)| {
            let label =
                plan.environment(EnvironmentKind::Docker).workload(&button.workload).map(|workload| &workload.label);
            (name, json!({"after": button.workload, "command": button.command, "label": label}))
        })
        .collect();
    let mut text = format!("# {NOTICE}\n# What both environments have in common.\n");
    for (about, name, value) in [
        ("Kubernetes contexts that may be changed: clusters on this machine.", "CONTEXTS", json!(plan.tilt.contexts)),
        (
            "Namespace in Kubernetes; the suppliers' address on the chain contains it.",
            "NAMESPACE",
            json!(plan.namespace),
        ),
        ("Programs that are built from this repository, by image.", "BUILT", json!(built(plan))),
        ("What they are built from. Nothing else rebuilds them.", "SOURCES", json!(super::compose::SOURCES)),
        ("Files among those whose change rebuilds nothing all the same.", "IGNORED", json!(plan.tilt.ignore)),
        (
            "What one does often, at the press of a button; commands run from the repository's root.",
            "BUTTONS",
            json!(buttons),
        ),
        ("A first request, and its answer to the byte.", "SMOKE", smoke(plan)),
    ] {
        text.extend([format!("\n# {about}\n{name} = {}", super::json(&value))]);
    }
    text
}

/// Images of ours that something runs.
fn built(plan: &Plan) -> BTreeMap<&str, &str> {
    let workloads = plan.environments.iter().flat_map(|environment| &environment.workloads);
    let images: BTreeSet<&String> = workloads.map(|workload| &workload.image).collect();
    let images = images.into_iter().map(|name| &plan.images[name]);
    images.filter_map(|image| image.binary.as_deref().map(|binary| (image.reference.as_str(), binary))).collect()
}

/// The request that every environment must answer: one to the first JSON-RPC service.
fn smoke(plan: &Plan) -> Value {
    let service = plan.live_services().find(|service| service.rpc_type == crate::spec::RpcType::JsonRpc);
    json!({
        "service": service.map(|service| &service.id),
        "request": r#"{"jsonrpc":"2.0","method":"eth_blockNumber","params":[],"id":1}"#,
        "answer": r#"{"id":1,"jsonrpc":"2.0","result":{"method":"eth_blockNumber","params":[],"status":"ok"}}"#,
    })
}

/// What is said of each workload.
fn defaults(plan: &Plan, rendered: &[File]) -> String {
    let mut text = format!(
        "# {NOTICE}\n# What runs where, in an order in which it can be started. `replicas` are compose services or pods.\n"
    );
    for (name, environment) in sides(plan) {
        text.extend([format!("\n{name} = {{\n")]);
        for workload in &environment.workloads {
            let mut described = described(workload);
            if environment.kind == EnvironmentKind::Kubernetes {
                described["objects"] = json!(kubernetes::objects(plan, workload, rendered));
            }
            text.extend([format!("    \"{}\": {},\n", workload.name, literal(&described))]);
        }
        text.push_str("}\n");
    }
    text
}

fn described(workload: &Workload) -> Value {
    let replicas: Vec<&String> = workload.replicas.iter().map(|replica| &replica.name).collect();
    json!({
        "after": workload.after.iter().map(|other| &other.name).collect::<Vec<&String>>(),
        "label": workload.label,
        "links": workload.links.iter().map(|link| [&link.url, &link.title]).collect::<Vec<[&String; 2]>>(),
        "replicas": if workload.one_shot { Vec::new() } else { replicas },
    })
}

/// Every port, by replica, as it is outside and inside; and all that this machine must have free.
fn ports(plan: &Plan) -> String {
    let mut text =
        format!("# {NOTICE}\n# Host ports by replica and name, each with the port inside that is behind it.\n");
    for (name, environment) in sides(plan) {
        text.extend([format!("\n{name}_PORTS = {{\n")]);
        for workload in &environment.workloads {
            for replica in workload.replicas.iter().filter(|replica| !replica.host_ports.is_empty()) {
                let ports: BTreeMap<&String, [u16; 2]> = workload
                    .live_ports()
                    .map(|port| (&port.name, [replica.host_ports[&port.name], port.container]))
                    .collect();
                text.extend([format!("    \"{}\": {},\n", replica.name, literal(&json!(ports)))]);
            }
        }
        text.push_str("}\n");
    }
    text.push_str(include_str!("tilt/ports.Tiltfile"));
    text
}

fn sides(plan: &Plan) -> [(&'static str, &Environment); 2] {
    [
        ("DOCKER", plan.environment(EnvironmentKind::Docker)),
        ("KUBERNETES", plan.environment(EnvironmentKind::Kubernetes)),
    ]
}

/// A value on one line: without booleans and nulls, JSON is Starlark.
fn literal(value: &Value) -> String {
    super::one_line(value)
}
