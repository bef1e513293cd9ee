//! The Tiltfiles, run as Tilt runs them: every call is looked at.

use std::path::Path;
use std::process::Command;

use pocket_spec::emit::File;
use pocket_spec::page::Overlay;
use serde_json::{Value, json};

use crate::compose::{lay, tool};
use crate::world::{files, local, root};

/// The calls of a Tiltfile, or what it is refused with. `None` where the interpreter is missing.
fn run(
    files: &[File],
    tiltfile: &str,
    context: &str,
    arguments: &[&str],
) -> Option<Result<Vec<(String, Value)>, String>> {
    let interpreter = tool("starlark")?;
    let folder = tempfile::tempdir().expect("a folder");
    lay(files, folder.path());
    for source in ["Cargo.toml", "Cargo.lock", "benches/any", "crates/any"] {
        let any = File::new(source, "");
        lay(&[any], folder.path());
    }
    let output = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tilt.py"))
        .arg(folder.path().join(tiltfile))
        .arg(context)
        .args(arguments)
        .env("PYTHONPATH", interpreter)
        .output()
        .expect("python3 runs");
    if !output.status.success() {
        return Some(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let text = String::from_utf8(output.stdout).expect("text");
    // What the Tiltfile prints comes first.
    let calls = text.lines().last().unwrap_or_default();
    Some(Ok(serde_json::from_str(calls).expect("calls as JSON")))
}

fn docker(overlay: &Overlay, arguments: &[&str]) -> Option<Vec<(String, Value)>> {
    let calls = run(&files(overlay), "tilt/docker/Tiltfile", "none", arguments)?;
    Some(calls.unwrap_or_else(|error| panic!("{error}")))
}

/// Arguments of every call of a function.
fn of<'a>(calls: &'a [(String, Value)], function: &str) -> Vec<&'a Value> {
    calls.iter().filter(|(name, _)| name == function).map(|(_, arguments)| arguments).collect()
}

fn names(calls: &[(String, Value)], function: &str, key: &str) -> Vec<String> {
    of(calls, function).iter().map(|call| call[key].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn docker_shows_every_service_under_its_label_and_builds_what_is_ours() {
    let Some(calls) = docker(&Overlay::None, &[]) else { return };
    assert_eq!(
        of(&calls, "docker_compose"),
        [&json!({
            "configPaths": "docker-compose.yaml", "env_file": null, "project_name": "", "profiles": [],
        })]
    );
    let mut shown = names(&calls, "dc_resource", "name");
    shown.sort();
    assert_eq!(
        shown,
        ["account-init", "backend", "gateway", "grafana", "miner", "prometheus", "redis", "relayer", "validator"]
    );
    assert!(
        of(&calls, "dc_resource").iter().all(|call| call["labels"].as_array().is_some_and(|labels| labels.len() == 1))
    );
    let mut built = names(&calls, "docker_build", "ref");
    built.sort();
    let ours = ["pocket-backend", "pocket-devnet", "pocket-gateway", "pocket-miner", "pocket-relayer", "pocket"];
    let mut ours: Vec<String> = ours.iter().map(|name| format!("{name}:local")).collect();
    ours.sort();
    assert_eq!(built, ours);
    for call in of(&calls, "docker_build") {
        assert_eq!(call["dockerfile"], "../../tilt/docker/Dockerfile");
        assert_eq!(call["ref"], format!("{}:local", call["target"].as_str().expect("a target")));
        assert!(call["only"].as_array().is_some_and(|only| only.contains(&json!("crates"))));
    }
    assert_eq!(of(&calls, "analytics_settings"), [&json!({"enable": false})]);
    assert_eq!(of(&calls, "ci_settings").len(), 1);
}

#[test]
fn docker_links_the_gateway_and_asks_it_once_everything_is_up() {
    let Some(calls) = docker(&Overlay::None, &[]) else { return };
    let gateway = of(&calls, "dc_resource").into_iter().find(|call| call["name"] == "gateway").expect("it is shown");
    assert_eq!(gateway["links"], json!([["http://localhost:3069/v1", "Send a relay"]]));
    let smoke = of(&calls, "local_resource").into_iter().find(|call| call["name"] == "smoke").expect("a request");
    assert_eq!(smoke["resource_deps"], json!(["gateway"]));
    assert_eq!(smoke["auto_init"], true);
    let command = smoke["cmd"][2].as_str().expect("a command");
    assert!(
        command.contains("http://localhost:3069/v1") && command.contains("Target-Service-Id: develop-http"),
        "{command}"
    );
}

#[test]
fn buttons_do_nothing_by_themselves() {
    let Some(calls) = docker(&Overlay::None, &[]) else { return };
    let buttons: Vec<&Value> =
        of(&calls, "local_resource").into_iter().filter(|call| call["name"] != "smoke").collect();
    assert_eq!(buttons.len(), 2);
    for button in buttons {
        assert_eq!(
            (&button["auto_init"], &button["trigger_mode"], &button["dir"]),
            (&json!(false), &json!(1), &json!("../.."))
        );
    }
}

#[test]
fn every_replica_runs_when_it_is_asked_for_and_a_third_relayer_is_one_more() {
    let third = local("{ workloads.relayer.replicas = 3 }");
    let (Some(two), Some(three)) = (docker(&Overlay::None, &["--replicas"]), docker(&third, &["--replicas"])) else {
        return;
    };
    let (two, three) = (names(&two, "dc_resource", "name"), names(&three, "dc_resource", "name"));
    assert!(two.contains(&"relayer-2".to_owned()) && two.contains(&"miner-2".to_owned()), "{two:?}");
    let more: Vec<&String> = three.iter().filter(|name| !two.contains(name)).collect();
    assert_eq!(more, ["relayer-3"]);
    assert_eq!(docker(&third, &[]).map(|calls| names(&calls, "dc_resource", "name").len()), Some(9));
}

#[test]
fn the_real_node_and_the_real_gateway_are_not_built_here() {
    let real = local("{ chain = 'Pocketd, gateway = 'Path }");
    let Some(calls) = docker(&real, &[]) else { return };
    let built = names(&calls, "docker_build", "target");
    assert!(!built.contains(&"pocket-devnet".to_owned()) && !built.contains(&"pocket-gateway".to_owned()), "{built:?}");
    assert!(built.contains(&"pocket-relayer".to_owned()), "{built:?}");
}

fn kubernetes(overlay: &Overlay, context: &str) -> Option<Result<Vec<(String, Value)>, String>> {
    run(&files(overlay), "tilt/k8s/Tiltfile", context, &[])
}

fn cluster(overlay: &Overlay) -> Option<Vec<(String, Value)>> {
    let calls = kubernetes(overlay, "kind-kind")?;
    Some(calls.unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn kubernetes_runs_on_clusters_of_this_machine_alone() {
    for context in ["kind-kind", "minikube"] {
        match kubernetes(&Overlay::None, context) {
            None => return,
            Some(calls) => assert!(calls.is_ok(), "{context}: {calls:?}"),
        }
    }
    let refused =
        kubernetes(&Overlay::None, "gke_production").expect("the interpreter was there").expect_err("it is not ours");
    assert!(refused.contains("might be production"), "{refused}");
}

#[test]
fn kubernetes_deploys_every_workload_after_those_it_waits_for() {
    let Some(calls) = cluster(&Overlay::None) else { return };
    let plan = crate::world::plan(&Overlay::None);
    let expected = &plan.environment(pocket_spec::spec::EnvironmentKind::Kubernetes).workloads;
    let deployed = of(&calls, "k8s_resource");
    assert_eq!(deployed.len(), expected.len());
    for workload in expected {
        let call = deployed.iter().find(|call| call["workload"] == workload.name.as_str()).expect("it is deployed");
        let after: Vec<&String> = workload.after.iter().map(|other| &other.name).collect();
        assert_eq!(call["resource_deps"], json!(after), "{}", workload.name);
        assert_eq!(call["labels"], json!([workload.label]), "{}", workload.name);
        let objects = call["objects"].as_array().expect("objects");
        assert!(objects.contains(&json!(format!("{}:networkpolicy", workload.name))), "{objects:?}");
    }
    assert_eq!(of(&calls, "k8s_yaml").len(), expected.len());
    assert_eq!(of(&calls, "allow_k8s_contexts"), [&json!({"contexts": ["kind-kind", "minikube"]})]);
    assert_eq!(names(&calls, "docker_build", "ref").len(), 6);
}

#[test]
fn every_relayer_of_a_cluster_is_reached_at_a_port_of_its_own() {
    let forwards = |overlay: &Overlay| -> Option<Vec<(String, String)>> {
        let calls = cluster(overlay)?;
        let served = of(&calls, "local_resource").into_iter().filter(|call| call["serve_cmd"].is_array());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Some(served.map(|call| (text(&call["name"]), text(&call["serve_cmd"][2]))).collect())
    };
    let Some(two) = forwards(&Overlay::None) else { return };
    for (name, service, pair) in [
        ("relayer-0-ports", "service/relayer-0 ", " 8180:8080"),
        ("relayer-1-ports", "service/relayer-1 ", " 8181:8080"),
        ("miner-0-ports", "service/miner-0 ", " 9092:9092"),
        ("miner-1-ports", "service/miner-1 ", " 9093:9092"),
    ] {
        let (_, command) = two.iter().find(|(found, _)| found == name).unwrap_or_else(|| panic!("{name} in {two:?}"));
        assert!(command.contains(service) && command.contains(pair), "{command}");
        assert!(command.contains("--context kind-kind --namespace default"), "{command}");
    }
    let three = forwards(&local("{ workloads.relayer.replicas = 3 }")).expect("the interpreter was there");
    let more: Vec<&(String, String)> = three.iter().filter(|one| !two.contains(one)).collect();
    assert_eq!(more.len(), 1, "{more:?}");
    assert!(more[0].0 == "relayer-2-ports" && more[0].1.contains("8182:8080"), "{more:?}");
}

#[test]
fn a_single_pod_is_reached_at_the_ports_of_the_table() {
    let Some(calls) = cluster(&Overlay::None) else { return };
    let forwards = |name: &str| {
        let call = of(&calls, "k8s_resource").into_iter().find(|call| call["workload"] == name);
        call.unwrap_or_else(|| panic!("{name}"))["port_forwards"].clone()
    };
    assert_eq!(forwards("gateway"), json!(["3069:3069", "9096:9096"]));
    assert_eq!(forwards("redis"), json!(["6379:6379"]));
    assert_eq!(forwards("prometheus"), json!(["9091:9090"]));
    assert_eq!(forwards("grafana"), json!(["3000:3000"]));
    assert_eq!(forwards("relayer"), json!([]));
}

#[test]
fn both_switches_and_a_workload_of_ones_own_are_deployed() {
    let own = "workloads.backend-2 = { image = \"backend\", settings = \"backend\", label = \"backends\", \
               resources = { cpu_milli = { request = 10, limit = 1000 }, memory_mib = { request = 16, limit = 64 } } }";
    let overlay = local(&format!("{{ chain = 'Pocketd, gateway = 'Path, {own} }}"));
    let Some(calls) = cluster(&overlay) else { return };
    let deployed = names(&calls, "k8s_resource", "workload");
    for name in ["validator", "gateway", "backend-2"] {
        assert!(deployed.contains(&name.to_owned()), "{name} in {deployed:?}");
    }
    assert_eq!(names(&calls, "docker_build", "ref").len(), 4);
}

/// The stubs refuse what Tilt refuses; otherwise the tests above would show nothing.
#[test]
fn a_tiltfile_that_names_what_is_not_there_is_refused() {
    let rendered = files(&Overlay::None);
    for (wrong, told) in [
        ("dc_resource(\"relayr\")", "no service relayr"),
        ("docker_compose(\"compose.yaml\")", "no such file"),
        ("load(\"ext://restart_process\", \"docker_build_with_restart\")", "git over the network"),
        ("k8s_yaml(\"docker-compose.yaml\")", "might be production"),
        ("local_resource(\"smoke\", cmd=\"true\")", "two resources"),
        ("local_resource(\"late\", cmd=\"true\", resource_deps=[\"nobody\"])", "waits for nobody's name: nobody"),
        ("dc_resource(\"relayer\", link=\"x\")", "unexpected keyword argument"),
        ("undefined_name()", "undefined_name"),
    ] {
        let mut files = rendered.clone();
        let tiltfile = files.iter_mut().find(|file| file.path == "tilt/docker/Tiltfile").expect("rendered");
        tiltfile.content.push_str(wrong);
        match run(&files, "tilt/docker/Tiltfile", "gke_production", &[]) {
            None => return,
            Some(Ok(calls)) => panic!("{wrong} was let through: {calls:?}"),
            Some(Err(error)) => assert!(error.contains(told), "{wrong}: {error}"),
        }
    }
}

#[test]
fn what_is_committed_of_the_environments_is_what_is_rendered() {
    for file in files(&Overlay::None).iter().filter(|file| file.path.starts_with("tilt/")) {
        let committed = pocket_runtime::fs::read_to_string(root().join(&file.path)).unwrap_or_default();
        assert!(committed == file.content, "{} is not what the spec renders: run `pocket spec render`", file.path);
    }
}
