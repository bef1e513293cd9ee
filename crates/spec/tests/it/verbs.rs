//! What people do with the spec, on a copy of the page.

use std::path::Path;

use pocket_runtime::fs;
use pocket_spec::page::{Overlay, Page};
use pocket_spec::verbs::{self, Addition};

use crate::world::root;

/// A copy of the page, its contracts and its lock, to write to.
fn copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["config.ncl", "config.lock.json"] {
        let bytes = fs::read(root().join(name)).expect("it is committed");
        fs::write_atomic(folder.path().join(name), &bytes).expect("written");
    }
    copy_folder(&root().join("crates/config/contracts"), &folder.path().join("crates/config/contracts"));
    folder
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for path in fs::list(from).expect("the contracts") {
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::write_atomic(&target, &fs::read(&path).expect("read")).expect("written");
        }
    }
}

#[test]
fn rendering_writes_once_and_a_changed_file_is_shown_and_written_again() {
    let folder = copy();
    let written = verbs::render(folder.path(), &Overlay::None).unwrap_or_else(|error| panic!("{error:#}"));
    assert!(written.len() > 15, "{written:?}");
    assert_eq!(verbs::check(folder.path(), &Overlay::None).expect("compared"), []);
    let path = folder.path().join("tilt/config/client.toml");
    let text = fs::read_to_string(&path).expect("read").replace("sync", "async");
    fs::write_atomic(&path, text.as_bytes()).expect("written");
    let changes = verbs::check(folder.path(), &Overlay::None).expect("compared");
    let shown = format!("{changes:?}");
    assert!(shown.contains("-broadcast-mode = \\\"async\\\"") && shown.contains("+broadcast-mode"), "{shown}");
    assert_eq!(verbs::render(folder.path(), &Overlay::None).expect("written").len(), 1);
}

#[test]
fn an_overlay_changes_the_environments_and_not_what_is_compiled_in() {
    let folder = copy();
    verbs::render(folder.path(), &Overlay::None).unwrap_or_else(|error| panic!("{error:#}"));
    fs::write_atomic(folder.path().join("local.ncl"), b"{ settings.relayer.limits.drain_ms = 1 }").expect("written");
    let changed = verbs::render(folder.path(), &Overlay::Local).unwrap_or_else(|error| panic!("{error:#}"));
    let paths: Vec<&str> = changed.iter().map(pocket_spec::write::Change::path).collect();
    assert_eq!(paths, ["tilt/docker/config/relayer-config.yaml", "tilt/k8s/relayer.yaml"]);
}

#[test]
fn a_new_service_is_one_line_and_has_a_key() {
    let folder = copy();
    let addition = |id: &str, port: &str| Addition {
        id: id.to_owned(),
        rpc_type: "JsonRpc".to_owned(),
        workload: "backend".to_owned(),
        port: port.to_owned(),
    };
    verbs::new_service(folder.path(), &addition("my-chain", "http")).unwrap_or_else(|error| panic!("{error:#}"));
    let (_, plan) = verbs::planned(folder.path(), &Overlay::None).unwrap_or_else(|error| panic!("{error:#}"));
    assert!(plan.account("app-my-chain").is_some());
    let before = fs::read_to_string(folder.path().join("config.ncl")).expect("read");
    let error = verbs::new_service(folder.path(), &addition("other", "grpc")).expect_err("it does not speak JSON-RPC");
    assert!(error.to_string().contains("does not speak JsonRpc"), "{error:#}");
    assert_eq!(fs::read_to_string(folder.path().join("config.ncl")).expect("read"), before);
}

#[test]
fn a_field_is_explained_with_its_document_its_value_and_its_places() {
    let page = Page::read(&root(), &crate::world::local("{\n  network.block_time_ms = 2000\n}")).expect("a page");
    let text = verbs::explain(&page, "network.block_time_ms").expect("a field");
    for part in ["Time between blocks", "value    2000", "local.ncl:2  2000", "config.ncl:", "network.ncl:"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let refusal = verbs::explain(&page, "workloads.relayer.replica").expect_err("no such field");
    assert_eq!(refusal.remedies, ["did you mean `replicas`?"]);
}

#[test]
fn a_references_settings_become_an_overlay_that_holds() {
    let page = Page::read(&root(), &Overlay::None).expect("a page");
    let text = "
redis: {url: 'redis://elsewhere:6379', pool_size: 50}
pocket_node: {query_node_rpc_url: 'http://node:26657', query_node_grpc_url: 'node:9090', grpc_insecure: true}
keys: {keys_file: /keys.yaml}
default_validation_mode: optimistic
relay_meter: {enabled: true, fail_behavior: closed}
services: {develop-http: {backends: {jsonrpc: {url: 'http://backend:8545'}}}}
";
    let (nickel, left) = verbs::import(&page, text).unwrap_or_else(|error| panic!("{error:#}"));
    assert!(
        nickel.contains("default_validation_mode = 'optimistic") && nickel.contains("fail_behavior = 'closed"),
        "{nickel}"
    );
    for part in ["`redis.pool_size` has no effect", "`redis.url` is not carried", "`services` is not carried"] {
        assert!(left.iter().any(|line| line.contains(part)), "{part} in {left:?}");
    }
    let page = Page::read(&root(), &crate::world::local(&nickel)).unwrap_or_else(|error| panic!("{error:#}"));
    assert_eq!(page.value["settings"]["relayer"]["default_validation_mode"], "optimistic");
}

#[test]
fn the_plan_and_the_ports_are_printed_for_people_and_programs() {
    let (_, plan) = verbs::planned(&root(), &Overlay::None).unwrap_or_else(|error| panic!("{error:#}"));
    let ports = verbs::ports_text(&plan);
    assert!(ports.contains("8181") && ports.contains("relayer-2.relay"), "{ports}");
    assert!(verbs::plan_text(&plan).contains("develop-http"));
    serde_json::to_string(&plan).expect("a plan is plain data");
}
