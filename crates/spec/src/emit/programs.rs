//! Settings files of our own programs. Docker mounts these files; Kubernetes' manifests hold the same text.

use super::File;
use crate::plan::{ConfigFile, Plan};
use crate::spec::EnvironmentKind;

/// Renders the files that Docker mounts.
pub fn emit(plan: &Plan) -> Vec<File> {
    let docker = plan.environment(EnvironmentKind::Docker);
    let configs = docker.workloads.iter().flat_map(|workload| &workload.configs);
    configs.map(|config| File::new(format!("tilt/docker/config/{}", config.name), text(config))).collect()
}

/// The text of a file that a workload reads.
pub fn text(config: &ConfigFile) -> String {
    let json = std::path::Path::new(&config.path).extension().is_some_and(|extension| extension == "json");
    let file = if json { File::json("", &config.content) } else { File::yaml("", &config.content) };
    file.content
}
