//! The page, typed: what the contracts let through, field for field.

mod observability;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use pocket_config::facts;

pub use observability::{
    Alert, Color, Dashboard, Foreign, Logs, Needs, Observability, Panel, PanelKind, Query, Row, Scrape, Severity,
    Threshold, Unit, Variable,
};

/// The whole spec.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Who makes the blocks.
    pub chain: Chain,
    /// Who signs clients' requests.
    pub gateway: GatewayKind,
    /// Whether chain and store outlive their containers.
    pub state: State,
    /// Namespace in Kubernetes.
    pub namespace: String,
    /// The chain.
    pub network: Network,
    /// Who holds coins at genesis.
    pub accounts: BTreeMap<String, Account>,
    /// Accounts whose keys are given away though they are no suppliers.
    pub decoys: Vec<String>,
    /// Staked gateways, by account.
    pub gateways: BTreeMap<String, Gateway>,
    /// What is served, by id.
    pub services: BTreeMap<String, Service>,
    /// What every application has.
    pub applications: Applications,
    /// What every supplier has.
    pub suppliers: Suppliers,
    /// The one validator.
    pub validator: Validator,
    /// Where programs come from.
    pub images: BTreeMap<String, Image>,
    /// What runs.
    pub workloads: BTreeMap<String, Workload>,
    /// Host ports that something else takes.
    pub reserved_ports: BTreeMap<String, u16>,
    /// The smallest node that must carry everything.
    pub budget: Budget,
    /// What programs are told beyond what follows from the rest.
    pub settings: Settings,
    /// What is watched.
    pub observability: Observability,
    /// How it looks in Tilt.
    pub tilt: Tilt,
    /// Named runs of the tests.
    pub scenarios: BTreeMap<String, Scenario>,
}

/// Who makes the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Chain {
    /// `pocket-devnet`.
    Devnet,
    /// A real node.
    Pocketd,
}

/// Who signs clients' requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GatewayKind {
    /// `pocket-gateway`.
    Pocket,
    /// The PATH image.
    Path,
}

/// Whether chain and store outlive their containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// They do not.
    Ephemeral,
    /// They do.
    Persistent,
}

/// Where a workload runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EnvironmentKind {
    /// Docker Compose.
    Docker,
    /// Kubernetes.
    Kubernetes,
}

/// A protocol of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RpcType {
    /// JSON-RPC over HTTP.
    JsonRpc,
    /// REST and streams over HTTP.
    Rest,
    /// `CometBFT`'s JSON-RPC.
    CometBft,
    /// WebSocket.
    WebSocket,
    /// gRPC.
    Grpc,
}

impl RpcType {
    /// Its name on the chain.
    pub fn on_chain(self) -> &'static str {
        match self {
            Self::JsonRpc => "JSON_RPC",
            Self::Rest => "REST",
            Self::CometBft => "COMET_BFT",
            Self::WebSocket => "WEBSOCKET",
            Self::Grpc => "GRPC",
        }
    }

    /// Its name among a relayer's backends.
    pub fn backend(self) -> &'static str {
        match self {
            Self::JsonRpc => "jsonrpc",
            Self::Rest => "rest",
            Self::CometBft => "cometbft",
            Self::WebSocket => "websocket",
            Self::Grpc => "grpc",
        }
    }

    /// The scheme of its URLs.
    pub fn scheme(self) -> &'static str {
        if self == Self::WebSocket { "ws" } else { "http" }
    }
}

/// The chain.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/network.ncl")]
pub struct Network {
    pub chain_id: String,
    pub denom: String,
    pub genesis_time: String,
    pub block_time_ms: u64,
    pub public_keys_at_genesis: bool,
    pub params: Params,
    pub profiles: BTreeMap<String, Profile>,
}

/// Parameters of all modules. Amounts are upokt.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/network.ncl")]
pub struct Params {
    pub shared: facts::SharedParams,
    pub session: facts::SessionParams,
    pub proof: ProofParams,
    pub tokenomics: facts::TokenomicsParams,
    pub service: ServiceParams,
    pub application: ApplicationParams,
    pub supplier: SupplierParams,
    pub gateway: GatewayParams,
    pub auth: facts::AuthParams,
    pub minimum_gas_price_upokt: String,
}

/// Parameters of proofs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/network.ncl")]
pub struct ProofParams {
    pub proof_request_probability: f64,
    pub proof_requirement_threshold: u64,
    pub proof_missing_penalty: u64,
    pub proof_submission_fee: u64,
}

/// Parameters of services.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/network.ncl")]
pub struct ServiceParams {
    pub add_service_fee: u64,
    pub target_num_relays: u64,
}

/// Parameters of applications.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/network.ncl")]
pub struct ApplicationParams {
    pub max_delegated_gateways: u64,
    pub min_stake: u64,
}

/// Parameters of suppliers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/network.ncl")]
pub struct SupplierParams {
    pub min_stake: u64,
    pub staking_fee: u64,
}

/// Parameters of gateways.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/network.ncl")]
pub struct GatewayParams {
    pub min_stake: u64,
}

/// Differences for a purpose.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/network.ncl")]
pub struct Profile {
    #[serde(default)]
    pub application_stake: Option<u64>,
    #[serde(default)]
    pub compute_units_to_tokens_multiplier: Option<u64>,
    #[serde(default)]
    pub target_num_relays: Option<u64>,
}

/// An account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/network.ncl")]
pub struct Account {
    #[serde(default)]
    pub mnemonic: Option<String>,
    #[serde(default)]
    pub number: Option<u64>,
    pub balance: u64,
}

/// A gateway's stake.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/network.ncl")]
pub struct Gateway {
    pub stake: u64,
}

/// A service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/network.ncl")]
pub struct Service {
    pub rpc_type: RpcType,
    pub compute_units_per_relay: u64,
    pub owner: String,
    #[serde(default)]
    pub application: Option<String>,
    pub timeout_profile: String,
    pub pool_profile: String,
    pub backend: Route,
    pub later: bool,
}

/// Where a service is served.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/network.ncl")]
pub struct Route {
    pub workload: String,
    pub port: String,
    pub path: String,
}

/// What every application has.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/network.ncl")]
pub struct Applications {
    pub stake: u64,
    pub gateways: Vec<String>,
}

/// What every supplier has.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/network.ncl")]
pub struct Suppliers {
    pub accounts: Vec<String>,
    pub stake: u64,
    pub services: Served,
    pub rev_share: BTreeMap<String, u64>,
    pub relayer: String,
    pub warn_missed_proofs: u64,
}

/// Services that suppliers stake for.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Served {
    /// These.
    These(Vec<String>),
    /// The word `Every`.
    Word(String),
}

/// The validator.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/network.ncl")]
pub struct Validator {
    pub account: String,
    pub moniker: String,
    pub self_bond: u64,
    pub commission: Commission,
    pub consensus_key: String,
    pub node_key: String,
    pub peer_address: String,
}

/// What a validator keeps.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/network.ncl")]
pub struct Commission {
    pub rate: String,
    pub max_rate: String,
    pub max_change_rate: String,
}

/// Where a program comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/workloads.ncl")]
pub struct Image {
    #[serde(default)]
    pub repo: Option<String>,
    #[serde(default)]
    pub tag: Option<String>,
    #[serde(default)]
    pub digest: Option<String>,
    #[serde(default)]
    pub binary: Option<String>,
    #[serde(default)]
    pub waiver: Option<String>,
}

/// What runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/workloads.ncl")]
pub struct Workload {
    pub image: String,
    pub args: Vec<String>,
    #[serde(default)]
    pub settings: Option<String>,
    #[serde(default)]
    pub real: Option<Real>,
    pub replicas: u16,
    pub only_in: Vec<EnvironmentKind>,
    pub enabled: bool,
    pub one_shot: bool,
    pub ports: BTreeMap<String, PortBinding>,
    pub health: Health,
    pub resources: Resources,
    pub after: Vec<String>,
    #[serde(default)]
    pub state: Option<Folder>,
    pub secrets: Vec<Secret>,
    pub label: String,
    pub aliases: Vec<String>,
    pub budget_seconds: u64,
}

/// What stands in a workload's place.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/workloads.ncl")]
pub struct Real {
    pub image: String,
    pub args: Vec<String>,
    #[serde(default)]
    pub health: Option<Health>,
}

/// A kind of key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Secret {
    /// Keys of all suppliers, and the decoys'.
    SupplierKeys,
    /// The gateway's key.
    GatewayKey,
    /// Keys of the node and of its validator.
    ValidatorKeys,
    /// Every account's key, by name.
    AccountKeys,
}

/// Where a workload listens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/workloads.ncl")]
pub struct PortBinding {
    pub container: u16,
    pub host: u16,
    pub kubernetes_host: u16,
    pub replicas_from: u16,
    pub speaks: Vec<RpcType>,
    pub metrics: bool,
    pub loopback_only: bool,
    pub later: bool,
    pub about: String,
}

/// How one sees that a workload works.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/workloads.ncl")]
pub struct Health {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Probe>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Probe>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    pub period_seconds: u64,
    pub timeout_seconds: u64,
    pub patience: u64,
    pub start_seconds: u64,
}

/// An HTTP question.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/workloads.ncl")]
pub struct Probe {
    pub port: String,
    pub path: String,
}

/// What a workload may use.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/workloads.ncl")]
pub struct Resources {
    pub cpu_milli: Quantity,
    pub memory_mib: Quantity,
}

/// An amount that is kept free and one that is never exceeded.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/workloads.ncl")]
pub struct Quantity {
    pub request: u64,
    pub limit: u64,
}

/// A folder with room.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/workloads.ncl")]
pub struct Folder {
    pub path: String,
    pub size_mib: u64,
}

/// A node's size.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/workloads.ncl")]
pub struct Budget {
    pub cpu_milli: u64,
    pub memory_mib: u64,
}

/// What programs are told. The sections of our own are checked against their Rust types in the plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/settings")]
pub struct Settings {
    pub relayer: Value,
    pub miner: Value,
    pub gateway: Value,
    pub devnet: Value,
    pub backend: Value,
    pub redis: RedisServer,
    pub node: Value,
    pub path: Value,
    pub simulation: Value,
}

/// The shared store.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/settings/environment.ncl")]
pub struct RedisServer {
    pub max_memory_mib: u64,
    pub eviction: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eviction_waiver: Option<String>,
    pub append_only: bool,
    pub fsync: String,
}

/// How the environments look in Tilt.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/tilt.ncl")]
pub struct Tilt {
    pub port: u16,
    pub contexts: Vec<String>,
    pub links: BTreeMap<String, Link>,
    pub buttons: BTreeMap<String, Button>,
    pub ignore: Vec<String>,
}

/// A link beside a workload.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/tilt.ncl")]
pub struct Link {
    pub workload: String,
    pub port: String,
    pub path: String,
    pub title: String,
}

/// Something one does often.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/tilt.ncl")]
pub struct Button {
    pub workload: String,
    pub title: String,
    pub command: Vec<String>,
}

/// A named run of the tests.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in crates/config/contracts/tilt.ncl")]
pub struct Scenario {
    pub about: String,
    pub test: String,
    pub relays: u64,
    pub concurrency: u64,
    pub faults: Vec<String>,
    pub blocks: u64,
    pub needs: Vec<String>,
    pub relays_lost_max: u64,
}
