//! `tilt/docker/docker-compose.yaml`, and the Dockerfile that its images are built from where nobody has packed them.

mod dockerfile;
mod health;
mod service;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::foreign::told;
use super::{File, NOTICE, indented, yaml};
use crate::plan::{Environment, Plan, Workload};
use crate::spec::EnvironmentKind;

/// Where it is rendered. Paths in it start from its folder.
pub const RENDERED: &str = "tilt/docker/docker-compose.yaml";

/// The one network.
const NETWORK: &str = "pocket";

/// What our own images are built from, from the repository's root.
pub const SOURCES: [&str; 4] = ["Cargo.toml", "Cargo.lock", "benches", "crates"];

/// Renders them.
pub fn emit(plan: &Plan) -> Vec<File> {
    let mut files = vec![File::new(RENDERED, compose(plan))];
    files.extend(dockerfile::emit(plan));
    files
}

fn compose(plan: &Plan) -> String {
    let docker = plan.environment(EnvironmentKind::Docker);
    let mut text = format!(
        "# {NOTICE}\n# Everything: `docker compose up --wait` here, or `make tilt-up-docker`; with every replica: `--profile replicas`.\n\
         # `down -v` leaves nothing behind. Chain and store are always reset together.\nname: pocket\n"
    );
    for workload in docker.workloads.iter().filter(|workload| workload.replicas.len() > 1) {
        text.extend([format!("\n# What all replicas of {0} have in common.\nx-{0}: &{0}\n", workload.name)]);
        text.push_str(&indented(&yaml(&service::common(plan, docker, workload)), 2));
    }
    text.push_str("\nservices:\n");
    for workload in &docker.workloads {
        text.push_str(&services(plan, docker, workload));
    }
    for (key, value) in [
        ("networks", json!({NETWORK: {"driver": "bridge"}})),
        ("secrets", Value::Object(secrets(plan, docker))),
        ("volumes", Value::Object(volumes(docker))),
    ] {
        if value.as_object().is_some_and(|value| !value.is_empty()) {
            text.extend([format!("\n{}", yaml(&json!({ key: value })))]);
        }
    }
    text
}

/// The services of a workload: one for each replica.
fn services(plan: &Plan, docker: &Environment, workload: &Workload) -> String {
    let mut text = String::new();
    for replica in &workload.replicas {
        let own = service::own(workload, replica);
        let (shared, body) = if workload.replicas.len() > 1 {
            (format!("    <<: *{}\n", workload.name), own)
        } else {
            let mut whole = service::common(plan, docker, workload);
            pocket_config::document::merge(&mut whole, own);
            (String::new(), whole)
        };
        let body = if body.as_object().is_some_and(Map::is_empty) { String::new() } else { indented(&yaml(&body), 4) };
        text.extend([format!("  {}:\n{shared}{body}\n", replica.name)]);
    }
    text
}

/// Key files by the name of their compose secret: the file's own, without its ending.
fn secret_files(plan: &Plan, workload: &Workload) -> BTreeMap<String, (String, String)> {
    let keys = workload.secrets.iter().flat_map(|secret| secret.files.clone());
    let settings = told(plan, EnvironmentKind::Docker, workload)
        .secret_files
        .into_iter()
        .map(|(inside, rendered)| (rendered, inside));
    keys.chain(settings)
        .map(|(rendered, inside)| {
            let name = std::path::Path::new(&rendered).file_stem().unwrap_or_default();
            (name.to_string_lossy().into_owned(), (rendered, inside))
        })
        .collect()
}

fn secrets(plan: &Plan, docker: &Environment) -> Map<String, Value> {
    let files = docker.workloads.iter().flat_map(|workload| secret_files(plan, workload));
    files.map(|(name, (rendered, _))| (name, json!({"file": from_here(&rendered)}))).collect()
}

/// Volumes with a name are those that outlive their containers.
fn volumes(docker: &Environment) -> Map<String, Value> {
    let folders = docker.workloads.iter().filter_map(|workload| workload.state.as_ref());
    folders.filter(|folder| folder.persistent).map(|folder| (folder.volume.clone(), json!({}))).collect()
}

/// A rendered path, as seen from the folder of the compose file.
fn from_here(rendered: &str) -> String {
    if let Some(inside) = rendered.strip_prefix("tilt/docker/") {
        return format!("./{inside}");
    }
    match rendered.strip_prefix("tilt/") {
        Some(beside) => format!("../{beside}"),
        None => format!("../../{rendered}"),
    }
}
