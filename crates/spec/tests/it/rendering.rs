//! What is rendered: always the same, always committed, and never more than what depends on a change.

use std::collections::{BTreeMap, BTreeSet};

use pocket_spec::page::Overlay;
use pocket_spec::spec::EnvironmentKind;
use pocket_spec::{verbs, write};

use crate::world::{files, local, plan, refusal, root};

#[test]
fn everything_that_is_committed_is_what_the_spec_renders() {
    let files = verbs::rendered(&root(), &Overlay::None).unwrap_or_else(|error| panic!("{error:#}"));
    let changes = write::compare(&root(), &files).expect("the files can be read");
    assert!(changes.is_empty(), "run `pocket spec render`: {changes:#?}");
}

#[test]
fn two_renderings_are_the_same_bytes() {
    assert_eq!(files(&Overlay::None), files(&Overlay::None));
}

/// Paths of files that an overlay changes, adds or removes.
fn changed(overlay: &str) -> BTreeSet<String> {
    let by_path = |overlay: &Overlay| -> BTreeMap<String, String> {
        files(overlay).into_iter().map(|file| (file.path, file.content)).collect()
    };
    let (before, after) = (by_path(&Overlay::None), by_path(&local(overlay)));
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    paths.into_iter().filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
}

#[test]
fn another_mnemonic_of_a_supplier_changes_genesis_keys_facts_and_what_holds_them_alone() {
    let words = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
    let changed = changed(&format!("{{ accounts.supplier3.mnemonic = \"{words}\" }}"));
    let expected = [
        "crates/config/facts/keys.json",
        "crates/config/facts/localnet.json",
        "tilt/config/all-keys.yaml",
        "tilt/config/genesis.json",
        "tilt/config/supplier-keys.yaml",
        "tilt/docker/config/facts.json",
        // Kubernetes' secrets and maps hold the same text as the files that Docker mounts.
        "tilt/k8s/account-init.yaml",
        "tilt/k8s/miner.yaml",
        "tilt/k8s/relayer.yaml",
        "tilt/k8s/validator.yaml",
    ];
    assert_eq!(changed, expected.into_iter().map(str::to_owned).collect());
}

#[test]
fn a_service_in_one_place_is_everywhere() {
    let service =
        "{ services.my-chain = { rpc_type = 'JsonRpc, backend = { workload = \"backend\", port = \"http\" } } }";
    let plan = plan(&local(service));
    let files = files(&local(service));
    let text = |path: &str| {
        let file = files.iter().find(|file| file.path == path);
        file.unwrap_or_else(|| panic!("{path} is rendered")).content.clone()
    };
    let application = plan.account("app-my-chain").expect("an application is made for it");
    assert!(application.address.starts_with("pokt1"));
    for path in ["tilt/config/genesis.json", "tilt/docker/config/relayer-config.yaml", "tilt/docker/config/facts.json"]
    {
        assert!(text(path).contains("my-chain"), "{path}");
    }
    assert!(text("tilt/config/genesis.json").contains(&application.address));
    assert!(text("tilt/config/all-keys.yaml").contains(&application.address));
    assert!(text("tilt/docker/config/gateway-config.yaml").contains(&application.address));
    assert!(plan.suppliers.iter().all(|supplier| supplier.services.contains(&"my-chain".to_owned())));
}

#[test]
fn a_third_relayer_is_one_more_of_everything() {
    let plan = plan(&local("{ workloads.relayer.replicas = 3 }"));
    let docker = plan.environment(EnvironmentKind::Docker).workload("relayer").expect("it runs");
    let names: Vec<&str> = docker.replicas.iter().map(|replica| replica.name.as_str()).collect();
    assert_eq!(names, ["relayer", "relayer-2", "relayer-3"]);
    assert_eq!(docker.replicas[2].host_ports["relay"], 8182);
    let pods = plan.environment(EnvironmentKind::Kubernetes).workload("relayer").expect("it runs");
    assert_eq!(pods.replicas[2].name, "relayer-2");
    assert_eq!(pods.replicas[2].host_ports["metrics"], 9192);
}

#[test]
fn a_fourth_miner_is_refused_and_both_owners_of_the_port_are_named() {
    let refusal = refusal("{ workloads.miner.replicas = 4 }");
    assert_eq!(refusal.message, "port 9095 belongs to backend.metrics and to miner-4.metrics");
}

/// The seed's table: port, owner in Docker, owner in Kubernetes.
#[test]
fn ports_are_those_of_the_table() {
    let plan = plan(&Overlay::None);
    let owner = |kind: EnvironmentKind, port: u16| {
        let registry = &plan.environment(kind).registry;
        registry.iter().find(|entry| entry.port == port).map(|entry| entry.owner.clone()).unwrap_or_default()
    };
    for (port, docker, kubernetes) in [
        (6379, "redis.store", "redis.store"),
        (26657, "validator.rpc", "validator.rpc"),
        (9090, "validator.grpc", "validator.grpc"),
        (8545, "backend.http", "backend.http"),
        (50051, "backend.grpc", "backend.grpc"),
        (3069, "gateway.http", "gateway.http"),
        (8080, "relayer-1.relay", ""),
        (8180, "", "relayer-1.relay"),
        (8181, "relayer-2.relay", "relayer-2.relay"),
        (9092, "miner-1.metrics", "miner-1.metrics"),
        (9093, "miner-2.metrics", "miner-2.metrics"),
        (9091, "prometheus.http", "prometheus.http"),
        (3000, "grafana.http", "grafana.http"),
        (6060, "relayer-1.pprof", "relayer-1.pprof"),
        (6065, "miner-1.pprof", "miner-1.pprof"),
    ] {
        assert_eq!(owner(EnvironmentKind::Docker, port), docker, "port {port} in Docker");
        assert_eq!(owner(EnvironmentKind::Kubernetes, port), kubernetes, "port {port} in Kubernetes");
    }
}

#[test]
fn what_is_marked_later_is_kept_and_not_advertised() {
    let plan = plan(&Overlay::None);
    let relayer = plan.environment(EnvironmentKind::Docker).workload("relayer").expect("it runs");
    assert!(!relayer.replicas[0].host_ports.contains_key("pprof"));
    let settings = &relayer.configs[0].content;
    let served: Vec<&String> = settings["services"].as_object().expect("services").keys().collect();
    assert_eq!(served, ["develop-http"]);
}

#[test]
fn nobody_stands_before_whom_it_waits_for() {
    let plan = plan(&Overlay::None);
    for environment in &plan.environments {
        let order: Vec<&str> = environment.workloads.iter().map(|workload| workload.name.as_str()).collect();
        for (index, workload) in environment.workloads.iter().enumerate() {
            for other in &workload.after {
                assert!(order[..index].contains(&other.name.as_str()), "{} before {}", workload.name, other.name);
            }
        }
    }
}

#[test]
fn one_switch_puts_the_real_node_and_the_real_gateway_in_place_with_the_same_ports() {
    let ours = plan(&Overlay::None);
    let real = plan(&local("{ chain = 'Pocketd, gateway = 'Path }"));
    let docker = real.environment(EnvironmentKind::Docker);
    assert_eq!(docker.workload("validator").map(|workload| workload.image.as_str()), Some("pocketd"));
    assert_eq!(docker.workload("gateway").map(|workload| workload.image.as_str()), Some("path"));
    let ports = |plan: &pocket_spec::plan::Plan| -> Vec<u16> {
        plan.environment(EnvironmentKind::Docker).registry.iter().map(|entry| entry.port).collect()
    };
    assert_eq!(ports(&ours), ports(&real));
}
