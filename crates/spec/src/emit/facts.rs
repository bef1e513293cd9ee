//! The facts of the network, of the shape that `crates/config` reads: compiled into the programs, and given to a
//! development chain of another spec as a file. Beside them the keys, and the ports of `pocket up`.

use serde_json::{Map, Value, json};

use super::File;
use crate::plan::{Account, Plan};
use crate::spec::EnvironmentKind;

/// Doors of `pocket up`: name, workload, port.
const DOORS: [(&str, &str, &str); 12] = [
    ("gateway", "gateway", "http"),
    ("relayer", "relayer", "relay"),
    ("backend", "backend", "http"),
    ("chain_grpc", "validator", "grpc"),
    ("chain_rpc", "validator", "rpc"),
    ("chain_rest", "validator", "rest"),
    ("chain_control", "validator", "control"),
    ("relayer_health", "relayer", "health"),
    ("relayer_metrics", "relayer", "metrics"),
    ("miner_metrics", "miner", "metrics"),
    ("gateway_metrics", "gateway", "metrics"),
    ("backend_metrics", "backend", "metrics"),
];

/// The one that no workload has: read verbs of a store inside `pocket up`.
const STORE_ADMIN: &str = "store_admin";

/// Renders facts, keys and ports.
pub fn emit(plan: &Plan) -> Vec<File> {
    let relay = plan.network.relayer_endpoint.rsplit(':').next().unwrap_or_default();
    vec![
        File::json("crates/config/facts/localnet.json", &facts(plan, &format!("127.0.0.1:{relay}"))),
        File::json("crates/config/facts/keys.json", &keys(plan)),
        File::json("crates/config/facts/ports.json", &ports(plan)),
    ]
}

/// What `pocket up --spec` begins with: facts, private keys, and the time between blocks, for one machine.
pub fn network(plan: &Plan) -> Value {
    let relay = plan.network.relayer_endpoint.rsplit(':').next().unwrap_or_default();
    json!({
        "facts": facts(plan, &format!("127.0.0.1:{relay}")),
        "keys": keys(plan)["keys"],
        "block_time_ms": plan.network.block_time_ms,
    })
}

/// The facts, with the address that suppliers advertise.
pub fn facts(plan: &Plan, relayer_endpoint: &str) -> Value {
    let network = &plan.network;
    json!({
        "chain_id": network.chain_id,
        "genesis_time": network.genesis_time,
        "denom": network.denom,
        "accounts": plan.accounts.iter().map(account).collect::<Vec<Value>>(),
        "services": services(plan),
        "applications": applications(plan),
        "gateways": gateways(plan),
        "suppliers": suppliers(plan),
        "relayer_endpoint": relayer_endpoint,
        "module_balances_upokt": module_balances(plan),
        "validator": {
            "account": plan.validator.account,
            "moniker": plan.validator.moniker,
            "self_bond_upokt": amount(plan.validator.self_bond),
            "commission_rate": decimal(&plan.validator.commission.rate),
            "consensus_public_key_base64": plan.validator.consensus_public_key,
            "consensus_address_hex": plan.validator.consensus_address,
            "node_id": plan.validator.node_id,
        },
        "public_keys_at_genesis": network.public_keys_at_genesis,
        "params": params(plan),
        "profiles": profiles(plan),
    })
}

fn account(account: &Account) -> Value {
    json!({
        "name": account.name,
        "address": account.address,
        "public_key": account.public_key,
        "balance_upokt": amount(account.balance),
    })
}

fn services(plan: &Plan) -> Vec<Value> {
    plan.services
        .iter()
        .map(|service| {
            json!({
                "id": service.id,
                "name": service.id,
                "compute_units_per_relay": service.compute_units_per_relay,
                "owner": service.owner,
                "rpc_type": service.rpc_type.on_chain(),
            })
        })
        .collect()
}

fn applications(plan: &Plan) -> Vec<Value> {
    plan.applications
        .iter()
        .map(|application| {
            json!({
                "account": application.account,
                "stake_upokt": amount(application.stake),
                "service": application.service,
                "gateways": application.gateways,
            })
        })
        .collect()
}

fn gateways(plan: &Plan) -> Vec<Value> {
    plan.gateways.iter().map(|(name, stake)| json!({"account": name, "stake_upokt": amount(*stake)})).collect()
}

fn suppliers(plan: &Plan) -> Vec<Value> {
    plan.suppliers
        .iter()
        .map(|supplier| {
            let shares: Vec<Value> = supplier
                .rev_share
                .iter()
                .map(|(account, percentage)| json!({"account": account, "percentage": percentage}))
                .collect();
            json!({
                "account": supplier.account,
                "owner": supplier.account,
                "stake_upokt": amount(supplier.stake),
                "services": supplier.services,
                "rev_share": shares,
            })
        })
        .collect()
}

/// What the module accounts hold: the sums of what was staked and paid, so that they cannot be short.
pub fn module_balances(plan: &Plan) -> Map<String, Value> {
    let applications: u64 = plan.applications.iter().map(|application| application.stake).sum();
    let suppliers: u64 = plan.suppliers.iter().map(|supplier| supplier.stake).sum();
    let gateways: u64 = plan.gateways.values().sum();
    let services = plan.services.len() as u64 * plan.network.params.service.add_service_fee;
    [("application", applications), ("supplier", suppliers), ("gateway", gateways), ("service", services)]
        .into_iter()
        .map(|(module, balance)| (module.to_owned(), amount(balance)))
        .collect()
}

fn params(plan: &Plan) -> Value {
    let params = &plan.network.params;
    json!({
        "shared": params.shared,
        "session": params.session,
        "proof": {
            "proof_request_probability": params.proof.proof_request_probability,
            "proof_requirement_threshold_upokt": amount(params.proof.proof_requirement_threshold),
            "proof_missing_penalty_upokt": amount(params.proof.proof_missing_penalty),
            "proof_submission_fee_upokt": amount(params.proof.proof_submission_fee),
        },
        "tokenomics": params.tokenomics,
        "service": {
            "add_service_fee_upokt": amount(params.service.add_service_fee),
            "target_num_relays": params.service.target_num_relays,
        },
        "application": {
            "max_delegated_gateways": params.application.max_delegated_gateways,
            "min_stake_upokt": amount(params.application.min_stake),
        },
        "supplier": {
            "min_stake_upokt": amount(params.supplier.min_stake),
            "staking_fee_upokt": amount(params.supplier.staking_fee),
        },
        "gateway": {"min_stake_upokt": amount(params.gateway.min_stake)},
        "auth": params.auth,
        "minimum_gas_price_upokt": params.minimum_gas_price_upokt,
    })
}

fn profiles(plan: &Plan) -> Value {
    let mut profiles = Map::new();
    for (name, profile) in &plan.network.profiles {
        let mut differences = Map::new();
        if let Some(stake) = profile.application_stake {
            differences.insert("application_stake_upokt".to_owned(), amount(stake));
        }
        if let Some(multiplier) = profile.compute_units_to_tokens_multiplier {
            differences.insert("compute_units_to_tokens_multiplier".to_owned(), json!(multiplier));
        }
        if let Some(target) = profile.target_num_relays {
            differences.insert("target_num_relays".to_owned(), json!(target));
        }
        profiles.insert(name.clone(), Value::Object(differences));
    }
    Value::Object(profiles)
}

fn keys(plan: &Plan) -> Value {
    let keys: Vec<Value> = plan
        .accounts
        .iter()
        .map(|account| json!({"name": account.name, "private_key": account.private_key, "mnemonic": account.mnemonic}))
        .collect();
    json!({
        "about": "Public development keys: everybody knows them. Never use them on a network that holds value.",
        "keys": keys,
    })
}

fn ports(plan: &Plan) -> Value {
    let docker = plan.environment(EnvironmentKind::Docker);
    let mut ports = Map::new();
    for (door, workload, port) in DOORS {
        if let Some(port) = docker.workload(workload).and_then(|workload| workload.port(port)) {
            ports.insert(door.to_owned(), json!({"port": port.container, "about": port.about}));
        }
    }
    if let Some(kept) = docker.registry.iter().find(|port| port.owner == STORE_ADMIN) {
        let about = "store: read verbs (`pocket redis …`, `pocket ledger`)";
        ports.insert(STORE_ADMIN.to_owned(), json!({"port": kept.port, "about": about}));
    }
    Value::Object(ports)
}

/// Amounts are texts, since they may exceed 2^53.
fn amount(upokt: u64) -> Value {
    Value::String(upokt.to_string())
}

/// A decimal with the chain's 18 places.
pub fn decimal(text: &str) -> String {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}.{part:0<18}")
}
