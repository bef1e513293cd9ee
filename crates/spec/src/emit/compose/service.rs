//! One compose service.

use serde_json::{Map, Value, json};

use super::{NETWORK, dockerfile, from_here, health, secret_files};
use crate::emit::foreign::{list, told};
use crate::plan::{Environment, Plan, Replica, StateFolder, Workload};
use crate::spec::EnvironmentKind;

/// Time over which the processors' use is counted, in microseconds: Docker's own.
const CPU_PERIOD_US: u64 = 100_000;

/// Whom our own programs run as; nobody on the machine has this number by rights.
const USER: &str = "1000:1000";

/// What all replicas of a workload have in common.
pub(super) fn common(plan: &Plan, docker: &Environment, workload: &Workload) -> Value {
    let image = &plan.images[&workload.image];
    let told = told(plan, EnvironmentKind::Docker, workload);
    let mut service = json!({
        "image": image.reference,
        "networks": {NETWORK: {"aliases": aliases(workload)}},
        "restart": if workload.one_shot { "no" } else { "unless-stopped" },
        "stop_grace_period": format!("{}s", workload.grace_seconds),
        // What `cpus` would say; Docker refuses to start a container whose `cpus` are more than the machine has.
        "cpu_period": CPU_PERIOD_US,
        "cpu_quota": workload.resources.cpu_milli.limit * CPU_PERIOD_US / 1000,
        "mem_limit": format!("{}m", workload.resources.memory_mib.limit),
        "security_opt": ["no-new-privileges:true"],
    });
    let mut add = |key: &str, value: Value| {
        service[key] = value;
    };
    if let Some(binary) = &image.binary {
        add("build", json!({"context": "../..", "dockerfile": dockerfile::RENDERED, "target": binary}));
        add("user", json!(USER));
        add("read_only", json!(true));
        add("cap_drop", json!(["ALL"]));
    }
    if workload.image == "pocketd" {
        // A fresh volume belongs to root, and the image knows nobody who could change that.
        add("user", json!("0:0"));
    }
    if !told.command.is_empty() {
        add("entrypoint", list(&told.command));
    }
    if !told.args.is_empty() {
        // Compose replaces `$NAME` by itself.
        let args: Vec<String> = told.args.iter().map(|arg| arg.replace('$', "$$")).collect();
        add("command", list(&args));
    }
    if !told.env.is_empty() {
        add("environment", json!(told.env));
    }
    if let Some(check) = health::check(plan, workload) {
        add("healthcheck", check);
    }
    if !workload.after.is_empty() {
        add("depends_on", Value::Object(after(plan, docker, workload)));
    }
    let secrets = secret_files(plan, workload);
    if !secrets.is_empty() {
        let mounts = secrets.iter().map(|(name, (_, inside))| json!({"source": name, "target": inside}));
        add("secrets", mounts.collect());
    }
    let volumes = volumes(plan, workload);
    if !volumes.is_empty() {
        add("volumes", Value::Array(volumes));
    }
    service
}

/// What only this replica has.
pub(super) fn own(workload: &Workload, replica: &Replica) -> Value {
    let mut service = json!({});
    if let Some(profile) = &replica.profile {
        service["profiles"] = json!([profile]);
    }
    let ports: Vec<String> = workload
        .live_ports()
        .map(|port| {
            let here = if port.loopback_only { "127.0.0.1:" } else { "" };
            format!("{here}{}:{}", replica.host_ports[&port.name], port.container)
        })
        .collect();
    if !ports.is_empty() {
        service["ports"] = json!(ports);
    }
    service
}

/// Every replica answers to the workload's name.
fn aliases(workload: &Workload) -> Vec<&String> {
    std::iter::once(&workload.name).chain(&workload.aliases).collect()
}

fn after(plan: &Plan, docker: &Environment, workload: &Workload) -> Map<String, Value> {
    let condition = |name: &str, done: bool| {
        let watched = docker.workload(name).is_some_and(|other| health::check(plan, other).is_some());
        match (done, watched) {
            (true, _) => "service_completed_successfully",
            (false, true) => "service_healthy",
            (false, false) => "service_started",
        }
    };
    let waits = workload.after.iter();
    waits.map(|other| (other.name.clone(), json!({"condition": condition(&other.name, other.done)}))).collect()
}

fn volumes(plan: &Plan, workload: &Workload) -> Vec<Value> {
    let settings =
        workload.configs.iter().map(|config| (config.path.clone(), format!("tilt/docker/config/{}", config.name)));
    let files = settings.chain(told(plan, EnvironmentKind::Docker, workload).files);
    let mut volumes: Vec<Value> = files.map(|(inside, rendered)| bind(&inside, &rendered)).collect();
    volumes.extend(workload.state.as_ref().map(state));
    volumes
}

/// A file that is missing is an error; by itself Docker would make a folder of that name.
fn bind(inside: &str, rendered: &str) -> Value {
    json!({
        "type": "bind",
        "source": from_here(rendered),
        "target": inside,
        "read_only": true,
        "bind": {"create_host_path": false},
    })
}

/// A volume without a name lasts as long as the service: through restarts and new builds, until `down`. So chain and
/// store begin anew together, and a crash of one of them is no reset.
fn state(folder: &StateFolder) -> Value {
    let mut volume = json!({"type": "volume", "target": folder.path});
    if folder.persistent {
        volume["source"] = json!(folder.volume);
    }
    volume
}
