//! The Kubernetes environment: manifests, and what the published schemas say of them.

use std::path::Path;
use std::process::Command;

use pocket_spec::emit::File;
use pocket_spec::page::Overlay;
use rstest::rstest;
use serde_json::Value;

use crate::compose::{lay, tool};
use crate::world::{files, local};

/// The rendered manifests.
fn manifests(files: &[File]) -> impl Iterator<Item = &File> {
    let is_yaml = |file: &&File| Path::new(&file.path).extension().is_some_and(|extension| extension == "yaml");
    files.iter().filter(|file| file.path.starts_with("tilt/k8s/")).filter(is_yaml)
}

/// Every object of the rendered manifests.
fn objects(files: &[File]) -> Vec<Value> {
    let documents = manifests(files).flat_map(|file| file.content.split("\n---\n"));
    documents.map(|text| serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))).collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

fn named<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = of_kind(objects, kind).into_iter().find(|object| object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

fn pods(objects: &[Value]) -> Vec<&Value> {
    let workloads = objects.iter().filter(|object| object["kind"] == "StatefulSet" || object["kind"] == "Job");
    workloads.map(|workload| &workload["spec"]["template"]).collect()
}

#[rstest]
#[case::ours("{}", &["1.33", "1.35", "1.37"])]
#[case::the_real_ones("{ chain = 'Pocketd, gateway = 'Path }", &["1.37"])]
#[case::kept_with_logs("{ state = 'Persistent, observability.logs.enabled = true }", &["1.37"])]
fn the_published_schemas_take_every_form_of_it(#[case] overlay: &str, #[case] versions: &[&str]) {
    let Some(validator) = tool("kubernetes-validate") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let files = files(&local(overlay));
    lay(&files, folder.path());
    let paths: Vec<&String> = manifests(&files).map(|file| &file.path).collect();
    for version in versions {
        let output = Command::new("python3")
            .args(["-m", "kubernetes_validate", "--strict", "--kubernetes-version", *version])
            .args(&paths)
            .current_dir(folder.path())
            .env("PYTHONPATH", &validator)
            .output()
            .expect("it runs");
        let told = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{version}: {}", String::from_utf8_lossy(&told));
    }
}

/// What the schemas cannot see.
#[test]
fn every_selector_meets_the_labels_of_its_pods() {
    let objects = objects(&files(&Overlay::None));
    let sets = of_kind(&objects, "StatefulSet");
    assert!(sets.len() >= 8, "{}", sets.len());
    for set in sets {
        let labels = &set["spec"]["template"]["metadata"]["labels"];
        assert_eq!(&set["spec"]["selector"]["matchLabels"], labels);
        assert_eq!(labels["app"], set["metadata"]["name"]);
        named(&objects, "Service", set["spec"]["serviceName"].as_str().expect("a service"));
    }
}

#[test]
fn every_pod_keeps_to_the_restricted_standard_and_has_its_limits() {
    for overlay in ["{}", "{ chain = 'Pocketd, gateway = 'Path }"] {
        for pod in pods(&objects(&files(&local(overlay)))) {
            let spec = &pod["spec"];
            let container = &spec["containers"][0];
            let name = &container["name"];
            assert_eq!(spec["securityContext"]["runAsNonRoot"], true, "{name}");
            assert_eq!(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
            assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(container["securityContext"]["capabilities"]["drop"][0], "ALL", "{name}");
            for bound in ["requests", "limits"] {
                assert!(container["resources"][bound]["cpu"].is_string(), "{name} {bound}");
                assert!(container["resources"][bound]["memory"].is_string(), "{name} {bound}");
            }
        }
    }
}

#[test]
fn ours_are_asked_whether_they_make_progress_and_whether_they_are_ready() {
    let objects = objects(&files(&Overlay::None));
    for name in ["relayer", "miner", "gateway", "backend"] {
        let container = &named(&objects, "StatefulSet", name)["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/livez", "{name}");
        // A miner that waits for another's leases is as it should be.
        let ready = if name == "miner" { "/livez" } else { "/readyz" };
        assert_eq!(container["readinessProbe"]["httpGet"]["path"], ready, "{name}");
        assert!(container["startupProbe"]["failureThreshold"].as_u64().is_some_and(|failures| failures > 1), "{name}");
    }
}

#[test]
fn no_key_stands_in_a_config_map() {
    for overlay in ["{}", "{ chain = 'Pocketd, gateway = 'Path }"] {
        let plan = crate::world::plan(&local(overlay));
        let objects = objects(&files(&local(overlay)));
        let maps: Vec<String> = of_kind(&objects, "ConfigMap").iter().map(|map| map["data"].to_string()).collect();
        assert!(!maps.is_empty());
        for account in &plan.accounts {
            let leaks = maps.iter().any(|map| map.contains(&account.private_key) || map.contains(&account.mnemonic));
            assert!(!leaks, "{}", account.name);
        }
        for key in [&plan.validator.consensus_key, &plan.validator.node_key] {
            assert!(!maps.iter().any(|map| map.contains(key.as_str())));
        }
    }
}

#[test]
fn a_pod_is_replaced_when_what_it_reads_changes_and_only_then() {
    let hashes = |overlay: &str| -> Vec<(String, String)> {
        let objects = objects(&files(&local(overlay)));
        pods(&objects)
            .iter()
            .map(|pod| {
                let text =
                    |path: &str| pod["metadata"].pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
                (text("/labels/app"), text("/annotations/pocket-relayminer~1config-hash"))
            })
            .collect()
    };
    let (before, after) = (hashes("{}"), hashes("{ settings.relayer.limits.drain_ms = 1 }"));
    let changed: Vec<&String> =
        before.iter().zip(&after).filter(|(one, other)| one != other).map(|((name, _), _)| name).collect();
    assert_eq!(changed, ["relayer"]);
    assert!(before.iter().all(|(_, hash)| hash.len() == 16));
}

#[test]
fn a_third_relayer_is_one_more_pod_with_a_name_of_its_own() {
    let objects = objects(&files(&local("{ workloads.relayer.replicas = 3 }")));
    assert_eq!(named(&objects, "StatefulSet", "relayer")["spec"]["replicas"], 3);
    assert_eq!(named(&objects, "PodDisruptionBudget", "relayer")["spec"]["maxUnavailable"], 1);
    for name in ["relayer", "relayer-0", "relayer-1", "relayer-2"] {
        named(&objects, "Service", name);
    }
}

#[test]
fn a_pod_is_entered_by_those_who_need_it() {
    let objects = objects(&files(&Overlay::None));
    let policy = &named(&objects, "NetworkPolicy", "redis")["spec"];
    let clients: Vec<&str> = policy["ingress"][0]["from"]
        .as_array()
        .expect("clients")
        .iter()
        .filter_map(|from| from["podSelector"]["matchLabels"]["app"].as_str())
        .collect();
    assert_eq!(clients, ["miner", "relayer", "gateway"], "in the order of starting");
    assert_eq!(of_kind(&objects, "NetworkPolicy").len(), pods(&objects).len());
}
