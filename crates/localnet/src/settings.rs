//! What each room is told, as its own settings file would say it.

use std::path::Path;

use pocket_config::backend::Backend;
use pocket_config::devnet::Devnet;
use pocket_config::document::{self, LoadError, Settings};
use pocket_config::facts::{Facts, Service};
use pocket_config::gateway::Gateway;
use pocket_config::miner::Miner;
use pocket_config::relayer::Relayer;
use serde_json::{Value, json};

use crate::folder::{Folder, KeyFiles};
use crate::options::Options;
use crate::ports::{Addresses, Door};

/// Longest wait of a miner for relays, as a share of a block: what is served late in a session must be claimed in time.
const TAKE_WAITS_PER_BLOCK: u128 = 4;

/// How facts name services that are one HTTP exchange.
const JSON_RPC: &str = "JSON_RPC";

/// The settings of every room.
#[derive(Debug)]
pub(crate) struct All {
    pub(crate) devnet: Devnet,
    pub(crate) backend: Backend,
    pub(crate) relayer: Relayer,
    pub(crate) miner: Miner,
    pub(crate) gateway: Gateway,
}

fn load<T: Settings>(value: &Value) -> Result<T, LoadError> {
    document::load::<T>(&value.to_string()).map(|loaded| loaded.settings)
}

impl All {
    pub(crate) fn of(
        options: &Options,
        facts: &Facts,
        facts_file: Option<&Path>,
        addresses: &Addresses,
        folder: &Folder,
        keys: &KeyFiles,
    ) -> Result<Self, LoadError> {
        let at = |door: Door| addresses.of(door).to_string();
        let listener = |door: Door| json!({"enabled": true, "addr": at(door)});
        let room = |name: &str| folder.of_room(name).map(|path| path.display().to_string()).unwrap_or_default();
        let block_ms = u64::try_from(options.block_time.as_millis()).unwrap_or(u64::MAX);
        let take_wait = (options.block_time.as_millis() / TAKE_WAITS_PER_BLOCK).clamp(1, 100);
        let node = json!({
            "query_node_rpc_url": format!("http://{}", at(Door::Rpc)),
            "query_node_grpc_url": format!("http://{}", at(Door::Grpc)),
            "grpc_insecure": true,
            "chain_id": facts.chain_id,
            "poll_interval_ms": block_ms.clamp(50, 1000),
        });
        let store = json!({"kind": "embedded", "data_dir": room("store"), "admin_addr": at(Door::StoreAdmin)});
        let supplier_keys = json!({"keys_file": keys.suppliers});
        let applications: Vec<&str> = facts
            .applications
            .iter()
            .filter_map(|one| facts.account(&one.account))
            .map(|account| account.address.as_str())
            .collect();
        Ok(Self {
            devnet: load(&json!({
                "grpc_addr": at(Door::Grpc),
                "rpc_addr": at(Door::Rpc),
                "rest_addr": at(Door::Rest),
                "control_addr": at(Door::Control),
                "data_dir": room("chain"),
                "facts_file": facts_file.map(|path| path.display().to_string()).unwrap_or_default(),
                "profile": options.profile,
                "relayer_endpoint": at(Door::Relayer),
                "seed": options.seed,
                "block_time_ms": block_ms,
            }))?,
            backend: load(&json!({
                "listen_addr": at(Door::Backend),
                "metrics": listener(Door::BackendMetrics),
            }))?,
            relayer: load(&json!({
                "listen_addr": at(Door::Relayer),
                "store": store,
                "pocket_node": node,
                "keys": supplier_keys,
                "services": services(facts, &at(Door::Backend)),
                "metrics": listener(Door::RelayerMetrics),
                "health_check": listener(Door::RelayerHealth),
            }))?,
            miner: load(&json!({
                "store": store,
                "pocket_node": node,
                "keys": supplier_keys,
                "metrics": listener(Door::MinerMetrics),
                "block_time_seconds": options.block_time.as_secs_f64(),
                "limits": {"take_wait_ms": u64::try_from(take_wait).unwrap_or(100)},
            }))?,
            gateway: load(&json!({
                "listen_addr": at(Door::Gateway),
                "pocket_node": node,
                "gateway_key_file": keys.gateway,
                "applications": applications,
                "metrics": listener(Door::GatewayMetrics),
            }))?,
        })
    }
}

/// Services that the demo backend can serve: those that are one HTTP exchange.
fn services(facts: &Facts, backend: &str) -> Value {
    let jsonrpc = facts.services.iter().filter(|service| service.rpc_type == JSON_RPC);
    let service = |service: &Service| {
        let backends = json!({"jsonrpc": {"url": format!("http://{backend}")}});
        (service.id.clone(), json!({"default_backend": "jsonrpc", "backends": backends}))
    };
    Value::Object(jsonrpc.map(service).collect())
}
