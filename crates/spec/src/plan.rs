//! The plan: every name, port, address, link and order of starting, decided once.
//!
//! Emitters only format what stands here. It is data: `pocket spec plan --json` prints it, and whoever writes an emitter
//! reads it there first.

mod environment;
mod network;
mod programs;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::expressions;
use crate::lock::Lock;
use crate::page::Page;
use crate::spec::{
    Chain, EnvironmentKind, GatewayKind, Health, Observability, Resources, RpcType, Scenario, Secret, Settings, State,
    Tilt,
};

pub use environment::REPLICAS_PROFILE;
pub use network::{Account, Application, Network, Roles, Service, Supplier, Validator};
pub use programs::{ADDRESSES, Address, section_of, set};

/// Everything that is rendered, decided.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// Who makes the blocks.
    pub chain: Chain,
    /// Who signs clients' requests.
    pub gateway: GatewayKind,
    /// Whether chain and store outlive their containers.
    pub state: State,
    /// Namespace in Kubernetes.
    pub namespace: String,
    /// The chain, its parameters, and the address that suppliers advertise.
    pub network: Network,
    /// Accounts in order of their numbers, which are their places here.
    pub accounts: Vec<Account>,
    /// Services in order of their applications.
    pub services: Vec<Service>,
    /// Applications, one for each service and in the same order.
    pub applications: Vec<Application>,
    /// Stakes of gateways in upokt, by account.
    pub gateways: BTreeMap<String, u64>,
    /// Suppliers in the order of the page.
    pub suppliers: Vec<Supplier>,
    /// The validator.
    pub validator: Validator,
    /// Images by name.
    pub images: BTreeMap<String, Image>,
    /// Docker, then Kubernetes.
    pub environments: Vec<Environment>,
    /// Boards, alerts, scraping.
    pub observability: Observability,
    /// Contexts, buttons, files that rebuild nothing. Links stand with their workloads.
    pub tilt: Tilt,
    /// Named runs of the tests.
    pub scenarios: BTreeMap<String, Scenario>,
    /// Complete settings by program, as `crates/config/defaults.json` and the page give them; what a workload is really
    /// told stands with the workload.
    pub settings: Settings,
}

/// Where a program comes from.
#[derive(Debug, Clone, Serialize)]
pub struct Image {
    /// What is written after `image:`. One built here is `<binary>:local`; one from a registry has its tag, and its
    /// digest once `pocket spec pin` has found it.
    pub reference: String,
    /// Built from this repository: the binary inside, which is its entry point.
    pub binary: Option<String>,
    /// Name without tag.
    pub repo: String,
    /// Version; `local` for what is built here.
    pub tag: String,
}

/// Docker or Kubernetes, with everything bound to it.
#[derive(Debug, Clone, Serialize)]
pub struct Environment {
    /// Which one.
    pub kind: EnvironmentKind,
    /// What runs, in an order in which it can be started: nobody before whom it waits for.
    pub workloads: Vec<Workload>,
    /// Every host port that is taken, in order. Ports marked `later` are in it, and have `live: false`.
    pub registry: Vec<HostPort>,
}

/// Something that runs.
#[derive(Debug, Clone, Serialize)]
pub struct Workload {
    /// Host name of its service in both environments, its compose service, its `app` label, its Tilt resource.
    pub name: String,
    /// Name in [`Plan::images`].
    pub image: String,
    /// Arguments after the image's entry point.
    pub args: Vec<String>,
    /// Does its work and ends.
    pub one_shot: bool,
    /// Its replicas, from 1. Never empty.
    pub replicas: Vec<Replica>,
    /// Where it listens, in order of names. Only those with `live` are published, probed, scraped and advertised.
    pub ports: Vec<Port>,
    /// How one sees that it works.
    pub health: Health,
    /// What it may use.
    pub resources: Resources,
    /// Worker threads of a program of ours: its processor limit, rounded up.
    pub threads: u64,
    /// Whom it waits for.
    pub after: Vec<Dependency>,
    /// Files that it reads, its settings first.
    pub configs: Vec<ConfigFile>,
    /// Key files that it is given.
    pub secrets: Vec<SecretFile>,
    /// Folder that it writes.
    pub state: Option<StateFolder>,
    /// Group in the Tilt page.
    pub label: String,
    /// Further host names.
    pub aliases: Vec<String>,
    /// Links beside it in the Tilt page.
    pub links: Vec<Link>,
    /// Time left to finish when it is stopped.
    pub grace_seconds: u64,
}

/// One replica of a workload.
#[derive(Debug, Clone, Serialize)]
pub struct Replica {
    /// From 1.
    pub number: u16,
    /// Docker: the compose service, `relayer`, `relayer-2`. Kubernetes: the pod of its `StatefulSet`, `relayer-0`.
    pub name: String,
    /// Compose profile that starts it; none for the first, which always runs.
    pub profile: Option<String>,
    /// Host port by name of the port. Only live ones.
    pub host_ports: BTreeMap<String, u16>,
}

/// Where a workload listens.
#[derive(Debug, Clone, Serialize)]
pub struct Port {
    /// Such as `metrics`.
    pub name: String,
    /// Inside.
    pub container: u16,
    /// Protocols that services are routed to here.
    pub speaks: Vec<RpcType>,
    /// Prometheus scrapes `/metrics` here.
    pub metrics: bool,
    /// Published on loopback only.
    pub loopback_only: bool,
    /// The program listens here.
    pub live: bool,
    /// What is behind it, for people.
    pub about: String,
}

/// A host port and its owner.
#[derive(Debug, Clone, Serialize)]
pub struct HostPort {
    /// The number.
    pub port: u16,
    /// `relayer-2.metrics`, or `backend.http` where there is one replica.
    pub owner: String,
    /// The workload, or `tilt` or `reserved`.
    pub workload: String,
    /// The replica's name.
    pub replica: String,
    /// Inside; 0 where there is no inside.
    pub container: u16,
    /// Published on loopback only.
    pub loopback_only: bool,
    /// Published at all.
    pub live: bool,
    /// What is behind it.
    pub about: String,
}

/// Somebody who must be there first.
#[derive(Debug, Clone, Serialize)]
pub struct Dependency {
    /// The workload.
    pub name: String,
    /// It must have ended with success; otherwise it must be ready.
    pub done: bool,
}

/// A file that a workload reads.
#[derive(Debug, Clone, Serialize)]
pub struct ConfigFile {
    /// Path inside, `/config/config.yaml`. The extension tells the form.
    pub path: String,
    /// Name of the rendered file, such as `relayer-config.yaml`.
    pub name: String,
    /// What it says: of settings, whatever differs from the program's defaults.
    pub content: Value,
}

/// Files with keys.
#[derive(Debug, Clone, Serialize)]
pub struct SecretFile {
    /// Which keys.
    pub kind: Secret,
    /// Name of the Kubernetes Secret and of the compose secret.
    pub name: String,
    /// Path inside of each file, by its rendered path from the repository's root.
    pub files: BTreeMap<String, String>,
}

/// A folder that a workload writes.
#[derive(Debug, Clone, Serialize)]
pub struct StateFolder {
    /// Inside.
    pub path: String,
    /// Name of the volume.
    pub volume: String,
    /// Room, in MiB.
    pub size_mib: u64,
    /// Whether it outlives the container.
    pub persistent: bool,
}

/// A link in the Tilt page.
#[derive(Debug, Clone, Serialize)]
pub struct Link {
    /// Text.
    pub title: String,
    /// To this machine.
    pub url: String,
}

impl Plan {
    /// Decides everything.
    ///
    /// # Errors
    /// A [`Refusal`](crate::refusal::Refusal) of what only the programs' own types or the catalogue of metrics can tell.
    pub fn of(page: &Page, lock: &Lock) -> anyhow::Result<Self> {
        expressions::check(page)?;
        let spec = &page.spec;
        let parts = network::parts(page, lock);
        let mut plan = Self {
            chain: spec.chain,
            gateway: spec.gateway,
            state: spec.state,
            namespace: spec.namespace.clone(),
            network: parts.network,
            accounts: parts.accounts,
            services: parts.services,
            applications: parts.applications,
            gateways: spec.gateways.iter().map(|(name, gateway)| (name.clone(), gateway.stake)).collect(),
            suppliers: parts.suppliers,
            validator: parts.validator,
            images: spec.images.iter().map(|(name, image)| (name.clone(), Image::of(image))).collect(),
            environments: Vec::new(),
            observability: spec.observability.clone(),
            tilt: spec.tilt.clone(),
            scenarios: spec.scenarios.clone(),
            settings: spec.settings.clone(),
        };
        for kind in [EnvironmentKind::Docker, EnvironmentKind::Kubernetes] {
            let mut environment = environment::bind(spec, kind, &plan);
            programs::configure(page, &plan, &mut environment)?;
            plan.environments.push(environment);
        }
        Ok(plan)
    }

    /// Returns an environment.
    pub fn environment(&self, kind: EnvironmentKind) -> &Environment {
        let index = usize::from(kind == EnvironmentKind::Kubernetes);
        &self.environments[index]
    }

    /// Returns an account.
    pub fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// Services that are served now.
    pub fn live_services(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|service| service.live)
    }
}

impl Environment {
    /// Returns a workload.
    pub fn workload(&self, name: &str) -> Option<&Workload> {
        self.workloads.iter().find(|workload| workload.name == name)
    }

    /// Returns `host:port` of a port of a workload, from inside.
    pub fn endpoint(&self, workload: &str, port: &str) -> Option<String> {
        let found = self.workload(workload)?.port(port)?;
        Some(format!("{workload}:{}", found.container))
    }
}

impl Workload {
    /// Returns a port.
    pub fn port(&self, name: &str) -> Option<&Port> {
        self.ports.iter().find(|port| port.name == name)
    }

    /// Ports that the program listens on.
    pub fn live_ports(&self) -> impl Iterator<Item = &Port> {
        self.ports.iter().filter(|port| port.live)
    }
}

impl Image {
    fn of(image: &crate::spec::Image) -> Self {
        if let Some(binary) = &image.binary {
            let tag = "local".to_owned();
            return Self {
                reference: format!("{binary}:{tag}"),
                binary: Some(binary.clone()),
                repo: binary.clone(),
                tag,
            };
        }
        let repo = image.repo.clone().unwrap_or_default();
        let tag = image.tag.clone().unwrap_or_default();
        let digest = image.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
        Self { reference: format!("{repo}:{tag}{digest}"), binary: None, repo, tag }
    }
}
