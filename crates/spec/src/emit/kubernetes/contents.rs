//! Files that pods are given: settings in a `ConfigMap`, whatever holds a key in a `Secret`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::metadata;
use crate::emit::foreign::told;
use crate::emit::{File, path, programs};
use crate::plan::{Plan, Workload};
use crate::spec::EnvironmentKind;

/// A file by its path inside.
type Files = BTreeMap<String, String>;

/// What a workload's pods are given.
pub(super) struct Contents {
    /// Settings.
    pub(super) configs: Files,
    /// Files with keys.
    pub(super) secrets: Files,
}

impl Contents {
    pub(super) fn of(plan: &Plan, workload: &Workload, rendered: &[File]) -> Self {
        let told = told(plan, EnvironmentKind::Kubernetes, workload);
        let mut configs: Files =
            workload.configs.iter().map(|config| (config.path.clone(), programs::text(config))).collect();
        for (inside, from) in &told.files {
            configs.extend(below(rendered, from, inside));
        }
        let mut secrets = Files::new();
        for (from, inside) in workload.secrets.iter().flat_map(|secret| &secret.files) {
            secrets.extend(below(rendered, from, inside));
        }
        for inside in told.secret_files.keys() {
            secrets.insert(inside.clone(), path::text(plan, EnvironmentKind::Kubernetes));
        }
        Self { configs, secrets }
    }

    /// The objects that hold them.
    pub(super) fn objects(&self, plan: &Plan, workload: &Workload) -> Vec<Value> {
        let data = |files: &Files| -> BTreeMap<String, String> {
            files.iter().map(|(inside, text)| (key(inside), text.clone())).collect()
        };
        let mut objects = Vec::new();
        if !self.configs.is_empty() {
            let metadata = metadata(plan, workload, &config_name(workload));
            objects.push(
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data(&self.configs)}),
            );
        }
        if !self.secrets.is_empty() {
            let metadata = metadata(plan, workload, &secret_name(workload));
            objects.push(
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data(&self.secrets)}),
            );
        }
        objects
    }

    /// Another value for other files, so that pods are replaced when what they read has changed.
    pub(super) fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (inside, text) in self.configs.iter().chain(&self.secrets) {
            for part in [inside, text] {
                hash.update(part.len().to_be_bytes());
                hash.update(part);
            }
        }
        hex::encode(hash.finalize())[..16].to_owned()
    }
}

/// A file's key in its object.
pub(super) fn key(inside: &str) -> String {
    inside.trim_start_matches('/').replace('/', "_")
}

pub(super) fn config_name(workload: &Workload) -> String {
    format!("{}-config", workload.name)
}

pub(super) fn secret_name(workload: &Workload) -> String {
    format!("{}-keys", workload.name)
}

/// A rendered file, or all files of a rendered folder, by their paths inside.
fn below(rendered: &[File], from: &str, inside: &str) -> Files {
    let found = rendered.iter().filter_map(|file| {
        let rest = file.path.strip_prefix(from)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| (format!("{inside}{rest}"), file.content.clone()))
    });
    found.collect()
}
