//! What an environment adds: names of replicas, host ports, volumes, the order of starting.

use std::collections::BTreeMap;

use super::{Dependency, Environment, HostPort, Link, Plan, Port, Replica, SecretFile, StateFolder, Workload};
use crate::spec::{self, Chain, EnvironmentKind, GatewayKind, PortBinding, Secret, Spec, State};

/// Compose profile of every replica after the first.
pub const REPLICAS_PROFILE: &str = "replicas";

/// Folder of key files inside.
const KEYS: &str = "/keys";

pub(super) fn bind(spec: &Spec, kind: EnvironmentKind, plan: &Plan) -> Environment {
    let running: BTreeMap<&String, &spec::Workload> = spec
        .workloads
        .iter()
        .filter(|(_, workload)| workload.enabled && workload.only_in.contains(&kind) && workload.replicas > 0)
        .collect();
    let mut workloads: Vec<Workload> =
        running.iter().map(|(name, workload)| self::workload(spec, kind, plan, name, workload)).collect();
    start_order(&mut workloads);
    Environment { kind, registry: registry(spec, kind, &workloads), workloads }
}

fn workload(spec: &Spec, kind: EnvironmentKind, plan: &Plan, name: &str, one: &spec::Workload) -> Workload {
    let real = one.real.as_ref().filter(|_| replaced(spec, name));
    let ports: Vec<Port> = one.ports.iter().map(|(name, binding)| port(name, binding)).collect();
    let replicas = (1..=one.replicas).map(|number| replica(kind, name, number, one)).collect();
    let mut aliases = one.aliases.clone();
    if name == spec.suppliers.relayer {
        let (host, _) = plan.network.relayer_endpoint.split_once(':').unwrap_or_default();
        aliases.push(host.to_owned());
    }
    Workload {
        name: name.to_owned(),
        image: real.map_or(&one.image, |real| &real.image).clone(),
        args: real.map_or(&one.args, |real| &real.args).clone(),
        one_shot: one.one_shot,
        replicas,
        ports,
        health: real.and_then(|real| real.health.as_ref()).unwrap_or(&one.health).clone(),
        resources: one.resources.clone(),
        threads: one.resources.cpu_milli.limit.div_ceil(1000),
        after: after(spec, one),
        configs: Vec::new(),
        secrets: one.secrets.iter().map(|secret| self::secret(*secret)).collect(),
        state: one.state.as_ref().map(|folder| StateFolder {
            path: folder.path.clone(),
            volume: format!("{name}-data"),
            size_mib: folder.size_mib,
            persistent: spec.state == State::Persistent,
        }),
        label: one.label.clone(),
        aliases,
        links: links(spec, kind, name, one),
        grace_seconds: one.budget_seconds,
    }
}

/// Whether a switch puts the real program in a workload's place.
fn replaced(spec: &Spec, name: &str) -> bool {
    match name {
        "validator" => spec.chain == Chain::Pocketd,
        "gateway" => spec.gateway == GatewayKind::Path,
        _ => false,
    }
}

fn port(name: &str, binding: &PortBinding) -> Port {
    Port {
        name: name.to_owned(),
        container: binding.container,
        speaks: binding.speaks.clone(),
        metrics: binding.metrics,
        loopback_only: binding.loopback_only,
        live: !binding.later,
        about: binding.about.clone(),
    }
}

fn replica(kind: EnvironmentKind, name: &str, number: u16, workload: &spec::Workload) -> Replica {
    let (own, profile) = match kind {
        EnvironmentKind::Docker if number == 1 => (name.to_owned(), None),
        EnvironmentKind::Docker => (format!("{name}-{number}"), Some(REPLICAS_PROFILE.to_owned())),
        EnvironmentKind::Kubernetes => (format!("{name}-{}", number - 1), None),
    };
    let live = workload.ports.iter().filter(|(_, binding)| !binding.later);
    let host_ports = live.map(|(name, binding)| (name.clone(), host_port(kind, binding, number))).collect();
    Replica { number, name: own, profile, host_ports }
}

fn host_port(kind: EnvironmentKind, binding: &PortBinding, number: u16) -> u16 {
    match (number, kind) {
        (1, EnvironmentKind::Docker) => binding.host,
        (1, EnvironmentKind::Kubernetes) => binding.kubernetes_host,
        (number, _) => binding.replicas_from + number - 1,
    }
}

fn after(spec: &Spec, workload: &spec::Workload) -> Vec<Dependency> {
    workload
        .after
        .iter()
        .map(|name| Dependency {
            name: name.clone(),
            done: spec.workloads.get(name).is_some_and(|other| other.one_shot),
        })
        .collect()
}

fn secret(kind: Secret) -> SecretFile {
    let (name, files): (&str, &[(&str, &str)]) = match kind {
        Secret::SupplierKeys => ("supplier-keys", &[("tilt/config/supplier-keys.yaml", "supplier-keys.yaml")]),
        Secret::GatewayKey => ("gateway-key", &[("tilt/config/gateway-key.yaml", "gateway-key.yaml")]),
        Secret::AccountKeys => ("account-keys", &[("tilt/config/all-keys.yaml", "all-keys.yaml")]),
        Secret::ValidatorKeys => (
            "validator-keys",
            &[
                ("tilt/config/priv_validator_key.json", "priv_validator_key.json"),
                ("tilt/config/node_key.json", "node_key.json"),
            ],
        ),
    };
    let files = files.iter().map(|(rendered, inside)| ((*rendered).to_owned(), format!("{KEYS}/{inside}"))).collect();
    SecretFile { kind, name: name.to_owned(), files }
}

fn links(spec: &Spec, kind: EnvironmentKind, name: &str, workload: &spec::Workload) -> Vec<Link> {
    spec.tilt
        .links
        .values()
        .filter(|link| link.workload == name)
        .map(|link| {
            let port = host_port(kind, &workload.ports[&link.port], 1);
            Link { title: link.title.clone(), url: format!("http://localhost:{port}{}", link.path) }
        })
        .collect()
}

/// Sorts so that nobody stands before whom it waits for; among equals by name.
fn start_order(workloads: &mut Vec<Workload>) {
    let mut waiting = std::mem::take(workloads);
    while !waiting.is_empty() {
        let pending: Vec<String> = waiting.iter().map(|workload| workload.name.clone()).collect();
        let free = |workload: &Workload| !workload.after.iter().any(|other| pending.contains(&other.name));
        let (ready, rest): (Vec<Workload>, Vec<Workload>) = waiting.into_iter().partition(free);
        if ready.is_empty() {
            // The contracts refuse circles; what is left would be one.
            workloads.extend(rest);
            return;
        }
        workloads.extend(ready);
        waiting = rest;
    }
}

fn registry(spec: &Spec, kind: EnvironmentKind, workloads: &[Workload]) -> Vec<HostPort> {
    let mut ports = Vec::new();
    for workload in workloads {
        let bindings = &spec.workloads[&workload.name].ports;
        for replica in &workload.replicas {
            for port in &workload.ports {
                let number = replica.number;
                let single = workload.replicas.len() == 1;
                let owner = if single { workload.name.clone() } else { format!("{}-{number}", workload.name) };
                ports.push(HostPort {
                    port: host_port(kind, &bindings[&port.name], number),
                    owner: format!("{owner}.{}", port.name),
                    workload: workload.name.clone(),
                    replica: replica.name.clone(),
                    container: port.container,
                    loopback_only: port.loopback_only,
                    live: port.live,
                    about: port.about.clone(),
                });
            }
        }
    }
    ports.push(other(spec.tilt.port, "tilt", "Tilt's page"));
    ports.extend(spec.reserved_ports.iter().map(|(name, port)| other(*port, name, "kept for it")));
    ports.sort_by_key(|port| port.port);
    ports
}

fn other(port: u16, owner: &str, about: &str) -> HostPort {
    HostPort {
        port,
        owner: owner.to_owned(),
        workload: owner.to_owned(),
        replica: owner.to_owned(),
        container: 0,
        loopback_only: true,
        live: false,
        about: about.to_owned(),
    }
}
