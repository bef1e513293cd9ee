//! The Docker environment: what is rendered of it, and what the real Compose says of that.

use std::path::{Path, PathBuf};
use std::process::Command;

use pocket_spec::emit::File;
use pocket_spec::page::Overlay;
use rstest::rstest;
use serde_json::Value;

use crate::world::{files, local, refusal};

/// A tool of the testbed, which `make testbed` gets. Without it the test is passed over, unless it is required.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let exe = std::env::current_exe().expect("this test");
    let target = exe.ancestors().nth(3).expect("the target folder");
    let path = target.join("testbed").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var("POCKET_TESTBED").as_deref() != Ok("required"),
        "{} is missing: `make testbed` gets it",
        path.display()
    );
    eprintln!("ignored: {} is missing", path.display());
    None
}

/// Writes rendered files below a folder.
pub(crate) fn lay(files: &[File], folder: &Path) {
    for file in files {
        let path = folder.join(&file.path);
        pocket_runtime::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        pocket_runtime::fs::write_atomic(path, file.content.as_bytes()).expect("written");
    }
}

/// What Compose understands of the rendered file, with every replica.
fn understood(files: &[File]) -> Option<Value> {
    let compose = tool("compose/bin/docker-compose")?;
    let folder = tempfile::tempdir().expect("a folder");
    lay(files, folder.path());
    let output = Command::new(compose)
        .args(["--file", "tilt/docker/docker-compose.yaml", "--profile", "replicas", "config", "--format", "json"])
        .current_dir(folder.path())
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// `published` of a service, by the port inside, with the address it is bound to.
fn published(service: &Value) -> Vec<(u64, String, String)> {
    let ports = service["ports"].as_array().into_iter().flatten();
    ports
        .map(|port| {
            let text = |key: &str| port[key].as_str().unwrap_or_default().to_owned();
            (port["target"].as_u64().expect("a port"), text("published"), text("host_ip"))
        })
        .collect()
}

#[rstest]
#[case::ours("{}")]
#[case::the_real_node("{ chain = 'Pocketd }")]
#[case::the_real_gateway("{ gateway = 'Path }")]
#[case::kept("{ state = 'Persistent }")]
#[case::with_logs("{ observability.logs.enabled = true }")]
fn compose_takes_every_form_of_it(#[case] overlay: &str) {
    let Some(config) = understood(&files(&local(overlay))) else { return };
    let services = config["services"].as_object().expect("services");
    for name in ["redis", "validator", "backend", "relayer", "relayer-2", "miner", "miner-2", "gateway", "account-init"]
    {
        assert!(services.contains_key(name), "{name}");
    }
}

/// Docker refuses to start a container whose `cpus` are more than the machine has.
#[test]
fn the_limit_of_processors_is_one_that_a_smaller_machine_takes() {
    let Some(config) = understood(&files(&Overlay::None)) else { return };
    for (name, service) in config["services"].as_object().expect("services") {
        assert!(service.get("cpus").is_none(), "{name}");
    }
    let relayer = &config["services"]["relayer"];
    assert_eq!((&relayer["cpu_quota"], &relayer["cpu_period"]), (&400_000.into(), &100_000.into()));
}

#[test]
fn the_ports_are_those_of_the_table_and_the_operators_are_on_loopback_only() {
    let Some(config) = understood(&files(&Overlay::None)) else { return };
    let own = |port: u64, host: &str| (port, host.to_owned(), String::new());
    let loopback = |port: u64, host: &str| (port, host.to_owned(), "127.0.0.1".to_owned());
    let services = &config["services"];
    assert_eq!(published(&services["gateway"]), [own(3069, "3069"), loopback(9096, "9096")]);
    assert_eq!(published(&services["relayer"]), [own(8081, "8081"), loopback(9190, "9190"), own(8080, "8080")]);
    assert_eq!(published(&services["relayer-2"]), [own(8081, "8281"), loopback(9190, "9191"), own(8080, "8181")]);
    assert_eq!(published(&services["miner"]), [loopback(9092, "9092")]);
    assert_eq!(published(&services["miner-2"]), [loopback(9092, "9093")]);
    assert_eq!(published(&services["redis"]), [loopback(6379, "6379")]);
    assert_eq!(published(&services["prometheus"]), [own(9090, "9091")]);
    assert_eq!(published(&services["grafana"]), [own(3000, "3000")]);
}

#[test]
fn nobody_starts_before_the_accounts_are_on_the_chain() {
    let Some(config) = understood(&files(&Overlay::None)) else { return };
    for name in ["relayer", "relayer-2", "miner", "miner-2", "gateway"] {
        let after = &config["services"][name]["depends_on"];
        assert_eq!(after["account-init"]["condition"], "service_completed_successfully", "{name}");
        assert_eq!(after["redis"]["condition"], "service_healthy", "{name}");
        assert_eq!(after["validator"]["condition"], "service_healthy", "{name}");
    }
    assert_eq!(config["services"]["account-init"]["depends_on"]["validator"]["condition"], "service_healthy");
}

#[test]
fn our_own_run_as_nobody_on_a_disk_that_they_cannot_write() {
    let Some(config) = understood(&files(&Overlay::None)) else { return };
    for (name, service) in config["services"].as_object().expect("services") {
        let ours = service["image"].as_str().is_some_and(|image| image.ends_with(":local"));
        if ours {
            assert_eq!(service["user"], "1000:1000", "{name}");
            assert_eq!(service["read_only"], true, "{name}");
            assert_eq!(service["cap_drop"][0], "ALL", "{name}");
            assert!(service["build"]["target"].is_string(), "{name} is built here");
        }
    }
}

#[test]
fn a_third_relayer_is_one_more_service_and_a_fourth_miner_is_refused() {
    let Some(config) = understood(&files(&local("{ workloads.relayer.replicas = 3 }"))) else { return };
    let third = &config["services"]["relayer-3"];
    assert_eq!(third["profiles"][0], "replicas");
    assert_eq!(published(third)[2].1, "8182");
    let refusal = refusal("{ workloads.miner.replicas = 4 }");
    assert!(
        refusal.message.contains("backend.metrics") && refusal.message.contains("miner-4.metrics"),
        "{}",
        refusal.message
    );
}

#[test]
fn what_is_kept_has_a_name_and_what_is_not_kept_has_none() {
    for (overlay, source) in [("{}", Value::Null), ("{ state = 'Persistent }", Value::from("validator-data"))] {
        let Some(config) = understood(&files(&local(overlay))) else { return };
        let volumes = config["services"]["validator"]["volumes"].as_array().expect("volumes");
        let state = volumes.iter().find(|volume| volume["target"] == "/data").expect("its state");
        assert_eq!(state.get("source").cloned().unwrap_or_default(), source, "{overlay}");
    }
}

#[test]
fn everything_it_mounts_of_ours_is_rendered() {
    for overlay in ["{}", "{ chain = 'Pocketd, gateway = 'Path }"] {
        let files = files(&local(overlay));
        let compose = files.iter().find(|file| file.path.ends_with("docker-compose.yaml")).expect("rendered");
        for line in compose.content.lines().filter(|line| line.contains("./config/") || line.contains("../config/")) {
            let (_, path) = line.rsplit_once(": ").expect("a path");
            let path =
                path.trim_matches('\'').replace("../config", "tilt/config").replace("./config", "tilt/docker/config");
            // What is watched has emitters of its own.
            assert!(path.contains("prometheus") || files.iter().any(|file| file.path == path), "{path}");
        }
    }
}
