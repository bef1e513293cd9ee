//! Who is on the chain, with keys and addresses.

use serde::Serialize;

use crate::lock::{Lock, made_application};
use crate::page::Page;
use crate::spec::{Commission, Params, Profile, Route, RpcType, Served, Spec};

use std::collections::BTreeMap;

/// Balance of an account that is made for an application.
const MADE_BALANCE_UPOKT: u64 = 1_000_000_000_000;

/// The chain.
#[derive(Debug, Clone, Serialize)]
pub struct Network {
    /// What transactions are signed for.
    pub chain_id: String,
    /// The coin's smallest unit.
    pub denom: String,
    /// RFC 3339.
    pub genesis_time: String,
    /// Time between blocks.
    pub block_time_ms: u64,
    /// Whether accounts have their public keys from the first block.
    pub public_keys_at_genesis: bool,
    /// Host and port that suppliers advertise; the scheme comes from the service's protocol. One name in both
    /// environments: Kubernetes knows it, and Docker is told it as an alias.
    pub relayer_endpoint: String,
    /// Parameters of all modules.
    pub params: Params,
    /// Differences for a purpose.
    pub profiles: BTreeMap<String, Profile>,
}

/// An account with its key.
#[derive(Debug, Clone, Serialize)]
pub struct Account {
    /// Name used by the rest of the plan.
    pub name: String,
    /// At genesis; also its place in the list.
    pub number: u64,
    /// Bech32.
    pub address: String,
    /// Compressed, hex.
    pub public_key: String,
    /// Hex. Known to everybody.
    pub private_key: String,
    /// Words.
    pub mnemonic: String,
    /// At genesis, in upokt.
    pub balance: u64,
    /// What it is for.
    pub roles: Roles,
}

/// What an account is for.
#[derive(Debug, Clone, Default, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "roles that an account plays or does not, each by itself")]
pub struct Roles {
    /// Pays for this service.
    pub application_of: Option<String>,
    /// Signs for applications.
    pub gateway: bool,
    /// Serves.
    pub supplier: bool,
    /// Makes blocks.
    pub validator: bool,
    /// Its key is among the suppliers' though it is none.
    pub decoy: bool,
}

/// A service.
#[derive(Debug, Clone, Serialize)]
pub struct Service {
    /// Id.
    pub id: String,
    /// Protocol.
    pub rpc_type: RpcType,
    /// Weight of a relay.
    pub compute_units_per_relay: u64,
    /// Account that owns it.
    pub owner: String,
    /// Account that pays.
    pub application: String,
    /// Name of its deadlines.
    pub timeout_profile: String,
    /// Name of its connection limits.
    pub pool_profile: String,
    /// Who serves it.
    pub route: Route,
    /// Served now. Others are on the chain only.
    pub live: bool,
}

/// An application.
#[derive(Debug, Clone, Serialize)]
pub struct Application {
    /// Account.
    pub account: String,
    /// Bech32.
    pub address: String,
    /// In upokt.
    pub stake: u64,
    /// The one service.
    pub service: String,
    /// Accounts of its gateways.
    pub gateways: Vec<String>,
}

/// A supplier.
#[derive(Debug, Clone, Serialize)]
pub struct Supplier {
    /// Account.
    pub account: String,
    /// Bech32.
    pub address: String,
    /// In upokt.
    pub stake: u64,
    /// Ids.
    pub services: Vec<String>,
    /// Accounts and percent.
    pub rev_share: Vec<(String, u64)>,
}

/// The validator.
#[derive(Debug, Clone, Serialize)]
pub struct Validator {
    /// Account.
    pub account: String,
    /// Bech32, `poktvaloper1…`.
    pub operator_address: String,
    /// Name of the node.
    pub moniker: String,
    /// In upokt.
    pub self_bond: u64,
    /// What it keeps.
    pub commission: Commission,
    /// Upper-case hex.
    pub consensus_address: String,
    /// Base64.
    pub consensus_public_key: String,
    /// Base64 of seed and public key.
    pub consensus_key: String,
    /// Base64 of seed and public key.
    pub node_key: String,
    /// Hex.
    pub node_id: String,
    /// `<node id>@<address>`.
    pub memo: String,
    /// Base64.
    pub gentx_signature: String,
}

pub(super) struct Parts {
    pub(super) network: Network,
    pub(super) accounts: Vec<Account>,
    pub(super) services: Vec<Service>,
    pub(super) applications: Vec<Application>,
    pub(super) suppliers: Vec<Supplier>,
    pub(super) validator: Validator,
}

pub(super) fn parts(page: &Page, lock: &Lock) -> Parts {
    let spec = &page.spec;
    let services = services(spec);
    let accounts = accounts(spec, lock, &services);
    let address = |name: &str| lock.accounts.get(name).map(|locked| locked.address.clone()).unwrap_or_default();
    let applications: Vec<Application> = services
        .iter()
        .map(|service| Application {
            account: service.application.clone(),
            address: address(&service.application),
            stake: spec.applications.stake,
            service: service.id.clone(),
            gateways: spec.applications.gateways.clone(),
        })
        .collect();
    let served: Vec<String> = match &spec.suppliers.services {
        Served::These(ids) => ids.clone(),
        Served::Word(_) => services.iter().map(|service| service.id.clone()).collect(),
    };
    let suppliers = spec
        .suppliers
        .accounts
        .iter()
        .map(|name| Supplier {
            account: name.clone(),
            address: address(name),
            stake: spec.suppliers.stake,
            services: served.clone(),
            rev_share: rev_share(spec, name),
        })
        .collect();
    Parts { network: network(spec), accounts, services, applications, suppliers, validator: validator(spec, lock) }
}

fn network(spec: &Spec) -> Network {
    let one = &spec.network;
    let relayer = &spec.suppliers.relayer;
    let port = spec.workloads[relayer].ports["relay"].container;
    Network {
        chain_id: one.chain_id.clone(),
        denom: one.denom.clone(),
        genesis_time: one.genesis_time.clone(),
        block_time_ms: one.block_time_ms,
        public_keys_at_genesis: one.public_keys_at_genesis,
        relayer_endpoint: format!("{relayer}.{}.svc.cluster.local:{port}", spec.namespace),
        params: one.params.clone(),
        profiles: one.profiles.clone(),
    }
}

/// In order of the applications, which is the order in which people number them.
fn services(spec: &Spec) -> Vec<Service> {
    let mut services: Vec<Service> = spec
        .services
        .iter()
        .map(|(id, service)| Service {
            id: id.clone(),
            rpc_type: service.rpc_type,
            compute_units_per_relay: service.compute_units_per_relay,
            owner: service.owner.clone(),
            application: service.application.clone().unwrap_or_else(|| made_application(id)),
            timeout_profile: service.timeout_profile.clone(),
            pool_profile: service.pool_profile.clone(),
            route: service.backend.clone(),
            live: !service.later,
        })
        .collect();
    services.sort_by(|left, right| left.application.cmp(&right.application));
    services
}

/// Numbered accounts first, then the others by name.
fn accounts(spec: &Spec, lock: &Lock, services: &[Service]) -> Vec<Account> {
    let mut names: Vec<(u64, &String)> = lock
        .accounts
        .keys()
        .filter(|name| known(spec, services, name))
        .map(|name| (number(spec, name), name))
        .collect();
    names.sort();
    (0..)
        .zip(names)
        .map(|(number, (_, name))| {
            let locked = &lock.accounts[name];
            Account {
                name: name.clone(),
                number,
                address: locked.address.clone(),
                public_key: locked.public_key.clone(),
                private_key: locked.private_key.clone(),
                mnemonic: lock.mnemonic(spec, name).unwrap_or_default().to_owned(),
                balance: spec.accounts.get(name).map_or(MADE_BALANCE_UPOKT, |account| account.balance),
                roles: roles(spec, services, name),
            }
        })
        .collect()
}

/// A lock may still hold what the page has no more.
fn known(spec: &Spec, services: &[Service], name: &str) -> bool {
    spec.accounts.contains_key(name) || services.iter().any(|service| service.application == name)
}

fn number(spec: &Spec, name: &str) -> u64 {
    spec.accounts.get(name).and_then(|account| account.number).unwrap_or(u64::MAX)
}

fn roles(spec: &Spec, services: &[Service], name: &str) -> Roles {
    Roles {
        application_of: services.iter().find(|service| service.application == name).map(|service| service.id.clone()),
        gateway: spec.gateways.contains_key(name),
        supplier: spec.suppliers.accounts.iter().any(|supplier| supplier == name),
        validator: spec.validator.account == name,
        decoy: spec.decoys.iter().any(|decoy| decoy == name),
    }
}

fn rev_share(spec: &Spec, supplier: &str) -> Vec<(String, u64)> {
    let name = |one: &String| if one == "operator" { supplier.to_owned() } else { one.clone() };
    spec.suppliers.rev_share.iter().map(|(one, percent)| (name(one), *percent)).collect()
}

fn validator(spec: &Spec, lock: &Lock) -> Validator {
    let one = &spec.validator;
    let locked = &lock.validator;
    Validator {
        account: one.account.clone(),
        operator_address: locked.operator_address.clone(),
        moniker: one.moniker.clone(),
        self_bond: one.self_bond,
        commission: one.commission.clone(),
        consensus_address: locked.consensus_address.clone(),
        consensus_public_key: locked.consensus_public_key.clone(),
        consensus_key: one.consensus_key.clone(),
        node_key: one.node_key.clone(),
        node_id: locked.node_id.clone(),
        memo: format!("{}@{}", locked.node_id, one.peer_address),
        gentx_signature: locked.gentx_signature.clone(),
    }
}
