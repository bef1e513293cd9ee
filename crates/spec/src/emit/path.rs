//! The settings of a real PATH. It keeps private keys in them, so they are handled as a key file.

use serde_json::{Value, json};

use super::{File, NOTICE};
use crate::plan::Plan;
use crate::spec::{EnvironmentKind, GatewayKind, RpcType};

/// Where they are rendered.
pub const RENDERED: &str = "tilt/docker/config/path-config.yaml";

/// Renders them, where the page asks for PATH.
pub fn emit(plan: &Plan) -> Vec<File> {
    if plan.gateway != GatewayKind::Path {
        return Vec::new();
    }
    vec![File::new(RENDERED, text(plan, EnvironmentKind::Docker))]
}

/// Their text in an environment.
pub fn text(plan: &Plan, kind: EnvironmentKind) -> String {
    let warning = "Public development keys: never use them where value is held.";
    format!("# {NOTICE}\n# {warning}\n{}", super::yaml(&settings(plan, kind)))
}

fn settings(plan: &Plan, kind: EnvironmentKind) -> Value {
    let environment = plan.environment(kind);
    let at = |workload: &str, port: &str| environment.endpoint(workload, port).unwrap_or_default();
    let port = |name: &str| {
        let gateway = environment.workload("gateway");
        gateway.and_then(|gateway| gateway.port(name)).map_or(0, |port| port.container)
    };
    let told = &plan.settings.path;
    let milliseconds = |name: &str| format!("{}ms", told[name]);
    let gateway = plan.gateways.keys().next().and_then(|name| plan.account(name));
    let applications: Vec<&str> = plan
        .live_services()
        .filter_map(|service| plan.account(&service.application))
        .map(|account| account.private_key.as_str())
        .collect();
    let services: Vec<Value> = plan
        .live_services()
        .map(|service| {
            let rpc_type = spoken(service.rpc_type);
            json!({"id": service.id, "type": "generic", "rpc_types": [rpc_type], "latency_profile": "standard"})
        })
        .collect();
    json!({
        "redis_config": {"address": at("redis", "store"), "db": 0, "pool_size": told["redis_pool"]},
        "router_config": {
            "port": port("http"),
            "read_timeout": milliseconds("read_ms"),
            "write_timeout": milliseconds("write_ms"),
            "idle_timeout": milliseconds("idle_ms"),
            "websocket_message_buffer_size": told["websocket_buffer"],
        },
        "logger_config": {"level": told["log_level"]},
        "metrics_config": {"prometheus_addr": format!(":{}", port("metrics"))},
        "full_node_config": {
            "rpc_url": format!("http://{}", at("validator", "rpc")),
            "grpc_config": {"host_port": at("validator", "grpc"), "insecure": true},
            "lazy_mode": false,
            "session_rollover_blocks": told["session_rollover_blocks"],
        },
        "gateway_config": {
            "gateway_mode": "centralized",
            "gateway_address": gateway.map(|account| account.address.clone()),
            "gateway_private_key_hex": gateway.map(|account| account.private_key.clone()),
            "owned_apps_private_keys_hex": applications,
            "reputation_config": {"enabled": false},
            "retry_config": {"enabled": false},
            "active_health_checks": {"enabled": false},
            "services": services,
        },
    })
}

/// A protocol in PATH's words.
fn spoken(rpc_type: RpcType) -> &'static str {
    match rpc_type {
        RpcType::JsonRpc => "json_rpc",
        RpcType::Rest => "rest",
        RpcType::CometBft => "comet_bft",
        RpcType::WebSocket => "websocket",
        RpcType::Grpc => "grpc",
    }
}
