//! The READMEs of the environments, with the port registry as tables.

use super::{File, NOTICE};
use crate::plan::{Environment, Plan};
use crate::spec::EnvironmentKind;

/// Renders them.
pub fn emit(plan: &Plan) -> Vec<File> {
    let docker = ports(plan.environment(EnvironmentKind::Docker));
    let cluster = ports(plan.environment(EnvironmentKind::Kubernetes));
    let both = include_str!("guide/tilt.md");
    let both = both.replace("{{docker}}", &docker).replace("{{kubernetes}}", &cluster);
    let contexts: Vec<String> = plan.tilt.contexts.iter().map(|context| format!("`{context}`")).collect();
    let both = both.replace("{{contexts}}", &contexts.join(", "));
    let one = include_str!("guide/docker.md").replace("{{docker}}", &docker);
    [("tilt/README.md", both), ("tilt/docker/README.md", one)]
        .map(|(path, text)| File::new(path, format!("<!-- {NOTICE} -->\n{text}")))
        .into()
}

/// Every port that answers on this machine.
fn ports(environment: &Environment) -> String {
    let mut table = "| port | owner | what is there |\n|---|---|---|\n".to_owned();
    for entry in environment.registry.iter().filter(|entry| entry.live) {
        let here = if entry.loopback_only { "; this machine only" } else { "" };
        table.extend([format!("| {} | `{}` | {}{here} |\n", entry.port, entry.replica, entry.about)]);
    }
    table.trim_end().to_owned()
}
