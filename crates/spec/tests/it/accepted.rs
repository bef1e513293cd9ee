//! Pages that are right, however unusual.

use rstest::rstest;

use crate::world::{local, plan};

#[rstest]
#[case::nothing("{}")]
#[case::a_third_relayer("{ workloads.relayer.replicas = 3 }")]
#[case::five_relayers_on_a_larger_node("{ workloads.relayer.replicas = 5 }")]
#[case::three_miners("{ workloads.miner.replicas = 3 }")]
#[case::one_of_everything("{ workloads = { relayer.replicas = 1, miner.replicas = 1 } }")]
#[case::no_relayer_at_all("{ workloads.relayer.replicas = 0 }")]
#[case::a_fourth_miner_with_another_port(
    "{ workloads.miner.replicas = 4, workloads.backend.ports.metrics.host = 9195 }"
)]
#[case::another_port_for_grafana("{ workloads.grafana.ports.http.host = 3001 }")]
#[case::another_port_inside("{ workloads.relayer.ports.relay.container = 8088 }")]
#[case::quicker_blocks("{ network.block_time_ms = 2000 }")]
#[case::another_chain(r#"{ network.chain_id = "mychain" }"#)]
#[case::another_namespace(r#"{ namespace = "pocket" }"#)]
#[case::a_real_node("{ chain = 'Pocketd }")]
#[case::a_real_gateway("{ gateway = 'Path }")]
#[case::both_real("{ chain = 'Pocketd, gateway = 'Path }")]
#[case::state_that_stays("{ state = 'Persistent }")]
#[case::a_new_service(
    r#"{ services.my-chain = { rpc_type = 'JsonRpc, backend = { workload = "backend", port = "http" } } }"#
)]
#[case::a_new_service_with_its_application(r#"{ accounts.app6 = {}, services.my-chain = { rpc_type = 'JsonRpc, application = "app6", backend = { workload = "backend", port = "http" } } }"#)]
#[case::a_service_of_another_price("{ services.develop-http.compute_units_per_relay = 5 }")]
#[case::a_service_on_the_chain_only(
    r#"{ services.my-grpc = { rpc_type = 'Grpc, backend = { workload = "backend", port = "grpc" }, later = true } }"#
)]
#[case::live_grpc("{ services.develop-grpc.later = false, workloads.backend.ports.grpc.later = false }")]
#[case::live_websockets("{ services.develop-websocket.later = false }")]
#[case::live_profiles("{ workloads.relayer.ports.pprof.later = false }")]
#[case::an_account_in_upokt("{ accounts.extra = { balance = 12 } }")]
#[case::an_account_in_fractions(r#"{ accounts.extra = { balance = "0.5 POKT" } }"#)]
#[case::another_mnemonic(r#"{ accounts.supplier3.mnemonic = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about" }"#)]
#[case::a_second_gateway(
    r#"{ accounts.gateway2 = {}, gateways.gateway2 = {}, applications.gateways = ["gateway1", "gateway2"] }"#
)]
#[case::three_suppliers(r#"{ suppliers.accounts = ["supplier1", "supplier2", "supplier3"] }"#)]
#[case::suppliers_of_one_service(r#"{ suppliers.services = ["develop-http"] }"#)]
#[case::a_shared_revenue("{ suppliers.rev_share = { operator = 80, pnf = 20 } }")]
#[case::a_larger_stake(r#"{ suppliers.stake = "100 POKT" }"#)]
#[case::no_warning_wanted("{ suppliers.warn_missed_proofs = 0 }")]
#[case::no_decoys("{ decoys = [] }")]
#[case::shorter_sessions("{ network.params.shared.num_blocks_per_session = 5 }")]
#[case::fewer_proofs("{ network.params.proof.proof_request_probability = 0.25 }")]
#[case::a_price_of_gas(r#"{ network.params.minimum_gas_price_upokt = "0.001" }"#)]
#[case::keys_learnt_from_transactions("{ network.public_keys_at_genesis = false }")]
#[case::logs_that_are_kept("{ observability.logs.enabled = true }")]
#[case::no_observability("{ workloads = { prometheus.enabled = false, grafana.enabled = false } }")]
#[case::grafana_in_docker_only("{ workloads.grafana.only_in = ['Docker] }")]
#[case::another_redis(r#"{ images.redis.tag = "7.0" }"#)]
#[case::an_old_redis_that_has_the_commands(r#"{ images.redis.tag = "6.2-alpine" }"#)]
#[case::a_valkey_of_another_numbering(r#"{ images.redis = { repo = "valkey/valkey", tag = "9.1" } }"#)]
#[case::a_redis_that_may_forget_with_a_reason(
    r#"{ settings.redis = { eviction = 'allkeys-lru, eviction_waiver = "a load test" } }"#
)]
#[case::a_redis_that_syncs_always("{ settings.redis.fsync = 'always }")]
#[case::a_pinned_image(
    r#"{ images.redis.digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }"#
)]
#[case::a_relayer_s_limits("{ settings.relayer.limits = { relays_in_flight_max = 64, drain_ms = 1000 } }")]
#[case::optimistic_validation("{ settings.relayer.default_validation_mode = 'optimistic }")]
#[case::a_third_timeout_profile("{ settings.relayer.timeout_profiles.slow = { request_timeout_seconds = 120 } }")]
#[case::a_closed_meter("{ settings.relayer.relay_meter.fail_behavior = 'closed }")]
#[case::durable_relays("{ settings.relayer.store.durability = 'disk }")]
#[case::another_namespace_of_keys_for_both(
    r#"{ settings = { relayer.redis.namespace.base_prefix = "mine", miner.redis.namespace.base_prefix = "mine" } }"#
)]
#[case::a_factor_for_a_service("{ settings.miner.service_factors = { develop-http = 0.5 } }")]
#[case::the_load_profile(r#"{ settings.devnet.profile = "load" }"#)]
#[case::a_slow_backend("{ settings.backend = { delay_ms = 50, error_rate = 0.01 } }")]
#[case::more_words_in_a_log(r#"{ settings.miner.logging.level = "debug" }"#)]
#[case::a_longer_scenario(r#"{ scenarios.long = { about = "A long run.", test = "chaos", relays = 100000, blocks = 500, needs = ["gateway", "relayer", "miner"] } }"#)]
#[case::another_workload(r#"{ workloads.cache = { image = "redis", label = "infrastructure", ports.store = { container = 6379, host = 6380, about = "a cache" }, resources = { cpu_milli = { request = 10, limit = 100 }, memory_mib = { request = 16, limit = 64 } } } }"#)]
#[case::a_further_context(r#"{ tilt.contexts = ["kind-kind", "minikube", "docker-desktop"] }"#)]
#[case::a_further_board(r#"{ observability.dashboards.own = { title = "Own", about = "Mine.", rows = [{ title = "One", panels = [{ title = "Up", kind = 'Stat, queries = [{ expr = "up" }] }] }] } }"#)]
#[case::a_value_that_is_computed("{ workloads.relayer.replicas = 1 + 2 }")]
#[case::a_value_with_a_comment(
    r"{
  # More of them.
  workloads.relayer.replicas = 3,
}"
)]
#[case::a_default_that_gives_way("{ network.block_time_ms | default = 5 }")]
fn a_page_that_is_right_is_accepted(#[case] overlay: &str) {
    plan(&local(overlay));
}
