//! Files that are right, files that are wrong, and what is said of them.

use pocket_config::document::{Settings, load};
use pocket_config::{backend::Backend, devnet::Devnet, gateway::Gateway, miner::Miner, relayer::Relayer, standalone};

const RELAYER: &str = r"
pocket_node: {query_node_rpc_url: 'tcp://localhost:26657', query_node_grpc_url: 'localhost:9090', grpc_insecure: true}
keys: {keys_file: /keys/supplier-keys.yaml}
services:
  develop-http:
    validation_mode: eager
    timeout_profile: fast
    default_backend: jsonrpc
    backends: {jsonrpc: {url: 'http://backend:8545'}}
";

#[track_caller]
fn refuses<T: Settings + std::fmt::Debug>(text: &str, message: &str) {
    assert_eq!(load::<T>(text).expect_err("must be refused").to_string(), message);
}

#[test]
fn a_minimal_relayer_file_is_completed_from_the_defaults() {
    let relayer = load::<Relayer>(RELAYER).expect("valid").settings;
    assert_eq!(relayer.listen_addr, "0.0.0.0:8080");
    assert_eq!(relayer.pocket_node.rpc_endpoints(), ["http://localhost:26657"]);
    assert_eq!(relayer.pocket_node.grpc_endpoints(), ["http://localhost:9090"]);
    assert_eq!(relayer.redis.namespace.base_prefix, "ha");
}

#[test]
fn files_that_need_nothing_may_be_empty() {
    load::<Devnet>("").expect("valid");
    load::<Backend>("# nothing to say\n").expect("valid");
}

#[test]
fn unknown_keys_are_refused_with_a_suggestion() {
    refuses::<Devnet>("block_time: 5", "unknown key `block_time`; did you mean `block_time_ms`?");
    refuses::<Relayer>(
        &RELAYER.replace("timeout_profile", "timeout_profil"),
        "unknown key `timeout_profil` in `services.develop-http`; did you mean `timeout_profile`?",
    );
    refuses::<Miner>(
        "transaction: {gas_prices: 1}",
        "unknown key `gas_prices` in `transaction`; did you mean `gas_price`?",
    );
}

#[test]
fn keys_of_the_reference_that_mean_nothing_here_are_said() {
    let loaded = load::<Relayer>(&format!("{RELAYER}\nredis: {{pool_size: 50}}\ncache_warmup: {{enabled: true}}\n"))
        .expect("valid");
    assert_eq!(loaded.notes.len(), 2, "{:?}", loaded.notes);
}

#[test]
fn a_wrong_backend_type_is_refused_with_a_hint() {
    refuses::<Relayer>(
        &RELAYER
            .replace("backends: {jsonrpc", "backends: {http")
            .replace("default_backend: jsonrpc", "default_backend: http"),
        "`services.develop-http.backends.http`: no such backend type; did you mean `jsonrpc`?",
    );
}

#[test]
fn a_profile_that_does_not_exist_is_refused() {
    refuses::<Relayer>(
        &RELAYER.replace("timeout_profile: fast", "timeout_profile: fsat"),
        "`services.develop-http.timeout_profile`: `fsat` does not exist; did you mean `fast`?",
    );
}

#[test]
fn missing_requirements_are_named() {
    refuses::<Relayer>("", "`pocket_node.query_node_rpc_url`: required: the address of a full node");
    refuses::<Gateway>(
        "pocket_node: {query_node_rpc_url: a, query_node_grpc_url: b}",
        "`gateway_key_file`: required: the file with the gateway's private key",
    );
}

#[test]
fn a_relation_between_defaults_and_given_values_is_checked() {
    refuses::<Miner>(
        "pocket_node: {query_node_rpc_url: a, query_node_grpc_url: b}\nkeys: {keys_file: k}\nsupplier_claiming: {renew_rate_seconds: 120}",
        "`supplier_claiming.renew_rate_seconds`: must be below claim_ttl_seconds (90)",
    );
}

#[test]
fn limits_that_would_let_nothing_through_are_refused() {
    for (limits, message) in [
        (
            "body_bytes_held_max: 1048575",
            "`limits.body_bytes_held_max`: must be at least 1048576, so that one request has room",
        ),
        ("session_lookups_waiting_max: 0", "`limits.session_lookups_waiting_max`: must be above 0"),
        ("tx_bytes_max: 65535", "`limits.tx_bytes_max`: must be at least 65536"),
    ] {
        refuses::<Relayer>(&format!("{RELAYER}limits: {{{limits}}}\n"), message);
    }
}

#[test]
fn text_that_is_no_mapping_is_refused() {
    refuses::<Devnet>("- a\n- b\n", "the file must hold keys and values at its top level, not a list");
}

#[test]
fn a_standalone_file_completes_both_halves() {
    let text = "
common:
  pocket_node: {query_node_rpc_url: 'http://localhost:26657', query_node_grpc_url: 'localhost:9090', grpc_insecure: true}
  keys: {keys_file: keys.yaml}
  store: {data_dir: data}
relayer:
  services: {develop-http: {backends: {jsonrpc: {url: 'http://localhost:8545'}}}}
";
    let both = standalone::load(text).expect("valid").settings;
    assert_eq!(both.relayer.store.data_dir, "data");
    assert_eq!(both.miner.store.data_dir, "data");
    let error = standalone::load(&text.replace("{data_dir: data}", "{kind: redis}")).expect_err("refused");
    assert!(error.to_string().contains("run pocket-relayer and pocket-miner"), "{error}");
    let error = standalone::load(&format!("{text}miner: {{store: {{data_dir: elsewhere}}}}")).expect_err("refused");
    assert!(error.to_string().contains("share one store"), "{error}");
}

#[test]
fn every_example_is_valid_and_says_nothing_without_effect() {
    let example = |name: &str| {
        let path = format!("{}/examples/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let notes = [
        load::<Relayer>(&example("relayer")).expect("relayer.yaml").notes,
        load::<Miner>(&example("miner")).expect("miner.yaml").notes,
        load::<Gateway>(&example("gateway")).expect("gateway.yaml").notes,
        load::<Devnet>(&example("devnet")).expect("devnet.yaml").notes,
        load::<Backend>(&example("backend")).expect("backend.yaml").notes,
        standalone::load(&example("standalone")).expect("standalone.yaml").notes,
    ];
    assert_eq!(notes.concat(), Vec::<String>::new());
}
