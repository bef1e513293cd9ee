//! What each program is told: what follows from the rest of the plan, and what the page adds.

use pocket_config::document::{self, LoadError, Settings as _};
use pocket_config::{backend::Backend, devnet::Devnet, gateway::Gateway, miner::Miner, relayer::Relayer};
use serde_json::{Map, Value, json};

use super::{ConfigFile, Environment, Plan, Workload};
use crate::page::Page;
use crate::spec::{Chain, GatewayKind, RpcType, Settings};

/// Where a program of ours finds its settings inside.
const CONFIG: &str = "/config/config.yaml";

/// Where a development chain finds the facts of its network inside.
const FACTS: &str = "/config/facts.json";

/// Which port decides an address of a program's settings: section, path of the setting, workload, port, and whether it is
/// open to other machines when the program runs by itself.
pub const ADDRESSES: [Address; 13] = [
    Address { section: "relayer", path: &["listen_addr"], workload: "relayer", port: "relay", open: true },
    Address { section: "relayer", path: &["metrics", "addr"], workload: "relayer", port: "metrics", open: false },
    Address { section: "relayer", path: &["health_check", "addr"], workload: "relayer", port: "health", open: false },
    Address { section: "miner", path: &["metrics", "addr"], workload: "miner", port: "metrics", open: false },
    Address { section: "gateway", path: &["listen_addr"], workload: "gateway", port: "http", open: true },
    Address { section: "gateway", path: &["metrics", "addr"], workload: "gateway", port: "metrics", open: false },
    Address { section: "devnet", path: &["grpc_addr"], workload: "validator", port: "grpc", open: false },
    Address { section: "devnet", path: &["rpc_addr"], workload: "validator", port: "rpc", open: false },
    Address { section: "devnet", path: &["rest_addr"], workload: "validator", port: "rest", open: false },
    Address { section: "devnet", path: &["control_addr"], workload: "validator", port: "control", open: false },
    Address { section: "devnet", path: &["metrics", "addr"], workload: "validator", port: "metrics", open: false },
    Address { section: "backend", path: &["listen_addr"], workload: "backend", port: "http", open: false },
    Address { section: "backend", path: &["metrics", "addr"], workload: "backend", port: "metrics", open: false },
];

/// A setting that a port decides.
#[derive(Debug, Clone, Copy)]
pub struct Address {
    /// Section of the settings.
    pub section: &'static str,
    /// Path of the setting.
    pub path: &'static [&'static str],
    /// Workload.
    pub workload: &'static str,
    /// Its port.
    pub port: &'static str,
    /// Open to other machines when the program runs by itself.
    pub open: bool,
}

pub(super) fn configure(page: &Page, plan: &Plan, environment: &mut Environment) -> anyhow::Result<()> {
    for index in 0..environment.workloads.len() {
        let workload = &environment.workloads[index];
        let Some(section) = page.spec.workloads[&workload.name].settings.as_deref() else { continue };
        let real = (section == "devnet" && plan.chain == Chain::Pocketd)
            || (section == "gateway" && plan.gateway == GatewayKind::Path);
        if real {
            // The real programs read files of their own form, which their emitters write.
            continue;
        }
        let settings = settings(plan, environment, workload, section);
        check(page, section, &settings)?;
        let name = format!("{}-config.yaml", workload.name);
        let mut configs = vec![ConfigFile { path: CONFIG.to_owned(), name, content: settings }];
        if section == Devnet::SECTION {
            let content = crate::emit::facts::facts(plan, &plan.network.relayer_endpoint);
            configs.push(ConfigFile { path: FACTS.to_owned(), name: "facts.json".to_owned(), content });
        }
        environment.workloads[index].configs = configs;
    }
    Ok(())
}

/// What differs from the program's defaults: what the page adds, and what follows from the rest of the plan.
fn settings(plan: &Plan, environment: &Environment, workload: &Workload, section: &str) -> Value {
    let mut content = difference(&section_of(&plan.settings, section), &document::defaults(section));
    document::merge(&mut content, derived(plan, environment, workload, section));
    content
}

/// The page's settings of a program.
pub fn section_of(settings: &Settings, section: &str) -> Value {
    match section {
        "relayer" => settings.relayer.clone(),
        "miner" => settings.miner.clone(),
        "gateway" => settings.gateway.clone(),
        "devnet" => settings.devnet.clone(),
        "backend" => settings.backend.clone(),
        _ => json!({}),
    }
}

/// What of `value` differs from `base`.
fn difference(value: &Value, base: &Value) -> Value {
    let (Value::Object(value), Value::Object(base)) = (value, base) else { return value.clone() };
    let mut different = Map::new();
    for (key, one) in value {
        match base.get(key) {
            Some(other) if same(one, other) => {}
            Some(other) if one.is_object() && other.is_object() => {
                let inner = difference(one, other);
                if inner.as_object().is_some_and(|inner| !inner.is_empty()) {
                    different.insert(key.clone(), inner);
                }
            }
            _ => {
                different.insert(key.clone(), one.clone());
            }
        }
    }
    Value::Object(different)
}

/// 30 and 30.0 are one number.
fn same(one: &Value, other: &Value) -> bool {
    one == other || (one.is_number() && one.as_f64() == other.as_f64())
}

/// What follows from the rest of the plan.
fn derived(plan: &Plan, environment: &Environment, workload: &Workload, section: &str) -> Value {
    let mut settings = addresses(workload, section);
    let node = json!({
        "query_node_rpc_url": url(environment, "validator", "rpc", "http"),
        "query_node_grpc_url": url(environment, "validator", "grpc", "http"),
        "grpc_insecure": true,
        "chain_id": plan.network.chain_id,
    });
    let redis = json!({"url": url(environment, "redis", "store", "redis")});
    let keys = json!({"keys_file": "/keys/supplier-keys.yaml"});
    #[expect(clippy::cast_precision_loss, reason = "a block takes far less than 2^53 milliseconds")]
    let block_seconds = plan.network.block_time_ms as f64 / 1000.0;
    let own = match section {
        "relayer" => json!({
            "pocket_node": node, "redis": redis, "keys": keys, "services": services(plan, environment),
        }),
        "miner" => json!({"pocket_node": node, "redis": redis, "keys": keys, "block_time_seconds": block_seconds}),
        "gateway" => json!({
            "pocket_node": node,
            "gateway_key_file": "/keys/gateway-key.yaml",
            "applications": applications(plan),
        }),
        "devnet" => json!({
            "data_dir": workload.state.as_ref().map(|state| state.path.clone()).unwrap_or_default(),
            "facts_file": FACTS,
            "block_time_ms": plan.network.block_time_ms,
            // As every other address inside; it is published on loopback only.
            "control_open": true,
        }),
        _ => json!({}),
    };
    document::merge(&mut settings, own);
    settings
}

/// Inside a container everything listens on all its addresses; what leaves the machine is decided where it is published.
fn addresses(workload: &Workload, section: &str) -> Value {
    let mut settings = json!({});
    for address in ADDRESSES.iter().filter(|address| address.section == section) {
        if let Some(port) = workload.port(address.port) {
            set(&mut settings, address.path, json!(format!("0.0.0.0:{}", port.container)));
        }
    }
    settings
}

/// Sets the value at a path, making the records above it.
pub fn set(settings: &mut Value, path: &[&str], value: Value) {
    let mut nested = value;
    for key in path.iter().rev() {
        nested = json!({ *key: nested });
    }
    document::merge(settings, nested);
}

fn url(environment: &Environment, workload: &str, port: &str, scheme: &str) -> String {
    environment.endpoint(workload, port).map(|endpoint| format!("{scheme}://{endpoint}")).unwrap_or_default()
}

fn applications(plan: &Plan) -> Vec<&str> {
    let live = plan.live_services().map(|service| service.application.as_str());
    live.filter_map(|name| plan.account(name)).map(|account| account.address.as_str()).collect()
}

/// What relayers serve: every live service, through every replica of the workload behind it that always runs.
fn services(plan: &Plan, environment: &Environment) -> Value {
    let mut services = Map::new();
    for service in plan.live_services() {
        let kind = service.rpc_type.backend();
        let host = url(environment, &service.route.workload, &service.route.port, service.rpc_type.scheme());
        let path = service.route.path.trim_end_matches('/');
        let endpoint = if service.rpc_type == RpcType::Grpc {
            host.trim_start_matches("http://").to_owned()
        } else {
            format!("{host}{path}")
        };
        services.insert(
            service.id.clone(),
            json!({
                "timeout_profile": service.timeout_profile,
                "pool_profile": service.pool_profile,
                "default_backend": kind,
                "backends": { kind: {"url": endpoint} },
            }),
        );
    }
    Value::Object(services)
}

/// Lets the program's own type read what it will be told.
fn check(page: &Page, section: &str, settings: &Value) -> anyhow::Result<()> {
    let text = settings.to_string();
    let read = match section {
        Relayer::SECTION => document::load::<Relayer>(&text).map(|loaded| loaded.notes),
        Miner::SECTION => document::load::<Miner>(&text).map(|loaded| loaded.notes),
        Gateway::SECTION => document::load::<Gateway>(&text).map(|loaded| loaded.notes),
        Devnet::SECTION => document::load::<Devnet>(&text).map(|loaded| loaded.notes),
        Backend::SECTION => document::load::<Backend>(&text).map(|loaded| loaded.notes),
        _ => return Ok(()),
    };
    let at = format!("settings.{section}");
    match read {
        Ok(notes) if notes.is_empty() => Ok(()),
        Ok(notes) => {
            let remedies = vec!["take it out".to_owned()];
            Err(page.refuse(&at, notes.join("; "), remedies).into())
        }
        Err(error) => {
            let (path, message) = match error {
                LoadError::Rule { path, message } | LoadError::Value { path, message } => (path, message),
                other => (String::new(), other.to_string()),
            };
            let at = format!("{at}.{path}");
            let at = at.trim_end_matches('.');
            let remedies = vec![format!("change `{at}`")];
            Err(page.refuse(at, format!("`{at}`: {message}"), remedies).into())
        }
    }
}
