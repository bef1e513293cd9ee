//! Files of a real node beside its genesis and its keys. The development chain reads none of them.

use serde_json::json;

use super::{File, NOTICE};
use crate::plan::{Plan, Workload};
use crate::spec::EnvironmentKind;

/// Renders them.
pub fn emit(plan: &Plan) -> Vec<File> {
    let Some(node) = plan.environment(EnvironmentKind::Docker).workload("validator") else { return Vec::new() };
    vec![
        File::new("tilt/config/config.toml", comet(plan, node)),
        File::new("tilt/config/app.toml", application(plan, node)),
        File::new("tilt/config/client.toml", client(plan, node)),
        File::json("tilt/config/priv_validator_state.json", &json!({"height": "0", "round": 0, "step": 0})),
    ]
}

fn port(node: &Workload, name: &str) -> u16 {
    node.port(name).map_or(0, |port| port.container)
}

/// `CometBFT`'s settings: those that differ from its own defaults, which it fills in.
fn comet(plan: &Plan, node: &Workload) -> String {
    let settings = &plan.settings.node;
    let block_ms = plan.network.block_time_ms;
    format!(
        r#"# {NOTICE}
moniker = "{moniker}"
log_level = {log_level}
log_format = "json"

[rpc]
laddr = "tcp://0.0.0.0:{rpc}"
cors_allowed_origins = ["*"]
max_open_connections = {connections}
max_body_bytes = {body}
timeout_broadcast_tx_commit = "10s"

[p2p]
laddr = "tcp://0.0.0.0:26656"
pex = false

[mempool]
max_tx_bytes = {body}

[consensus]
timeout_propose = "{block_ms}ms"
timeout_prevote = "{block_ms}ms"
timeout_precommit = "{block_ms}ms"
timeout_commit = "{block_ms}ms"

[instrumentation]
prometheus = true
prometheus_listen_addr = ":{metrics}"
"#,
        moniker = plan.validator.moniker,
        log_level = settings["log_level"],
        rpc = port(node, "rpc"),
        connections = settings["max_open_connections"],
        body = settings["max_body_bytes"],
        metrics = port(node, "metrics"),
    )
}

fn application(plan: &Plan, node: &Workload) -> String {
    let settings = &plan.settings.node;
    format!(
        r#"# {NOTICE}
minimum-gas-prices = "{price}{denom}"
pruning = "nothing"

[api]
enable = true
address = "tcp://0.0.0.0:{rest}"
enabled-unsafe-cors = true
rpc-max-body-bytes = {body}

[grpc]
enable = true
address = "0.0.0.0:{grpc}"
max-recv-msg-size = "{body}"

[grpc-web]
enable = true

[mempool]
max-txs = {transactions}

[telemetry]
enabled = true
prometheus-retention-time = 86400
"#,
        price = plan.network.params.minimum_gas_price_upokt,
        denom = plan.network.denom,
        rest = port(node, "rest"),
        grpc = port(node, "grpc"),
        body = settings["max_body_bytes"],
        transactions = settings["mempool_max_txs"],
    )
}

fn client(plan: &Plan, node: &Workload) -> String {
    format!(
        r#"# {NOTICE}
chain-id = "{chain}"
keyring-backend = "test"
output = "text"
node = "tcp://localhost:{rpc}"
broadcast-mode = "sync"
"#,
        chain = plan.network.chain_id,
        rpc = port(node, "rpc"),
    )
}
