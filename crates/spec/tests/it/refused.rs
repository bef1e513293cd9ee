//! Pages that are refused: each with the line to change, the reason and the remedy.

use rstest::rstest;

use crate::world::refusal;

/// The only caller of the spec here: what is laid over the page, the first place that is named, the message, the remedy.
#[track_caller]
fn check(overlay: &str, place: &str, message: &str, remedy: &str) {
    let refusal = refusal(overlay);
    let first = refusal.values.first().map(|value| value.place.to_string()).unwrap_or_default();
    let remedies = refusal.remedies.join("; ");
    assert_eq!((first.as_str(), refusal.message.as_str(), remedies.as_str()), (place, message, remedy), "{refusal}");
}

#[rstest]
#[case::a_replica_is_no_field_of_a_workload(
    "{ workloads.relayer.replica = 3 }",
    "local.ncl:1",
    "there is no `replica` in `workloads.relayer`",
    "did you mean `replicas`?"
)]
#[case::a_misspelt_top(
    "{ workload.relayer.replicas = 3 }",
    "local.ncl:1",
    "there is no `workload` in the spec",
    "did you mean `workloads`?"
)]
#[case::a_misspelt_service_field(
    "{ services.develop-http.rpc_typ = 'JsonRpc }",
    "local.ncl:1",
    "there is no `rpc_typ` in `services.develop-http`",
    "did you mean `rpc_type`?"
)]
#[case::a_misspelt_port_field(
    "{ workloads.miner.ports.metrics.hosts = 9000 }",
    "local.ncl:1",
    "there is no `hosts` in `workloads.miner.ports.metrics`",
    "did you mean `host`?"
)]
#[case::a_misspelt_section_of_settings(
    "{ settings.relayr.limits.drain_ms = 1 }",
    "local.ncl:1",
    "there is no `relayr` in `settings`",
    "did you mean `relayer`?"
)]
#[case::a_misspelt_limit(
    "{ settings.relayer.limits.drain = 1 }",
    "local.ncl:1",
    "there is no `drain` in `settings.relayer.limits`",
    "did you mean `drain_ms`?"
)]
#[case::a_misspelt_block_of_settings(
    "{ settings.miner.transactions.gas_limit = 1 }",
    "local.ncl:1",
    "there is no `transactions` in `settings.miner`",
    "did you mean `transaction`?"
)]
#[case::a_misspelt_parameter(
    "{ network.params.shared.num_block_per_session = 5 }",
    "local.ncl:1",
    "there is no `num_block_per_session` in `network.params.shared`",
    "did you mean `num_blocks_per_session`?"
)]
#[case::a_misspelt_account_field(
    "{ accounts.app1.balanc = 5 }",
    "local.ncl:1",
    "there is no `balanc` in `accounts.app1`",
    "did you mean `balance`?"
)]
#[case::a_misspelt_image_field(
    r#"{ images.redis.tags = "8.2" }"#,
    "local.ncl:1",
    "there is no `tags` in `images.redis`",
    "did you mean `tag`?"
)]
#[case::a_misspelt_scenario_field(
    "{ scenarios.smoke.block = 40 }",
    "local.ncl:1",
    "there is no `block` in `scenarios.smoke`",
    "did you mean `blocks`?"
)]
#[case::a_misspelt_probe_field(
    r#"{ workloads.relayer.health.ready.paths = "/x" }"#,
    "local.ncl:1",
    "there is no `paths` in `workloads.relayer.health.ready`",
    "did you mean `path`?"
)]
#[case::a_misspelt_resource(
    "{ workloads.relayer.resources.cpu.limit = 1 }",
    "local.ncl:1",
    "there is no `cpu` in `workloads.relayer.resources`",
    "it may have: cpu_milli, memory_mib"
)]
#[case::a_misspelt_link_field(
    r#"{ tilt.links.grafana.titel = "x" }"#,
    "local.ncl:1",
    "there is no `titel` in `tilt.links.grafana`",
    "did you mean `title`?"
)]
#[case::a_misspelt_alert_field(
    "{ observability.alerts.TargetDown.for = 3 }",
    "local.ncl:1",
    "there is no `for` in `observability.alerts.TargetDown`",
    "it may have: expr, for_seconds, severity, summary, about, remedy, plant, fires"
)]
#[case::a_misspelt_validator_field(
    r#"{ validator.self_bonds = "1 POKT" }"#,
    "local.ncl:1",
    "there is no `self_bonds` in `validator`",
    "did you mean `self_bond`?"
)]
#[case::a_field_far_from_any(
    "{ zebra = 1 }",
    "local.ncl:1",
    "there is no `zebra` in the spec",
    "it may have: chain, gateway, state, namespace, network, accounts, decoys, gateways, services, applications, suppliers, validator, images, workloads, reserved_ports, budget, settings, observability, tilt, scenarios"
)]
#[case::a_field_of_the_reference(
    "{ network.block_time_seconds = 10 }",
    "local.ncl:1",
    "there is no `block_time_seconds` in `network`",
    "it may have: chain_id, denom, genesis_time, block_time_ms, public_keys_at_genesis, params, profiles"
)]
#[case::a_name_within_a_chosen_name(
    r#"{ gateways.gateway1.stakes = "2 POKT" }"#,
    "local.ncl:1",
    "there is no `stakes` in `gateways.gateway1`",
    "did you mean `stake`?"
)]
#[case::a_misspelt_rev_share(
    "{ suppliers.rev_shares = { operator = 100 } }",
    "local.ncl:1",
    "there is no `rev_shares` in `suppliers`",
    "did you mean `rev_share`?"
)]
#[case::a_misspelt_commission(
    r#"{ validator.commission.rates = "0.1" }"#,
    "local.ncl:1",
    "there is no `rates` in `validator.commission`",
    "did you mean `rate`?"
)]
#[case::a_misspelt_folder(
    "{ workloads.redis.state.size = 10 }",
    "local.ncl:1",
    "there is no `size` in `workloads.redis.state`",
    "it may have: path, size_mib"
)]
#[case::a_misspelt_scrape(
    "{ observability.scrape.interval = 10 }",
    "local.ncl:1",
    "there is no `interval` in `observability.scrape`",
    "it may have: interval_seconds, retention_days"
)]
#[case::a_misspelt_profile_field(
    "{ network.profiles.load.stake = 10 }",
    "local.ncl:1",
    "there is no `stake` in `network.profiles.load`",
    "it may have: application_stake, compute_units_to_tokens_multiplier, target_num_relays"
)]
#[case::a_misspelt_route(
    r#"{ services.develop-http.backend.workloads = "backend" }"#,
    "local.ncl:1",
    "there is no `workloads` in `services.develop-http.backend`",
    "did you mean `workload`?"
)]
fn names_that_nobody_has_are_refused_with_the_nearest(
    #[case] overlay: &str,
    #[case] place: &str,
    #[case] message: &str,
    #[case] remedy: &str,
) {
    check(overlay, place, message, remedy);
}

#[rstest]
#[case::a_port_above_the_last(
    "{ workloads.relayer.ports.relay.container = 80800 }",
    "local.ncl:1",
    "80800 is no TCP port",
    "a port is a whole number from 1 to 65535"
)]
#[case::a_port_of_nought(
    "{ workloads.redis.ports.store.container = 0 }",
    "local.ncl:1",
    "0 is no TCP port",
    "a port is a whole number from 1 to 65535"
)]
#[case::a_port_in_quotes(
    r#"{ workloads.redis.ports.store.host = "6379" }"#,
    "local.ncl:1",
    r#""6379" is no TCP port"#,
    "a port is a whole number from 1 to 65535"
)]
#[case::half_a_port(
    "{ tilt.port = 10350.5 }",
    "local.ncl:1",
    "10350.5 is no TCP port",
    "a port is a whole number from 1 to 65535"
)]
#[case::a_reserved_port_that_is_none(
    "{ reserved_ports.mine = 70000 }",
    "local.ncl:1",
    "70000 is no TCP port",
    "a port is a whole number from 1 to 65535"
)]
#[case::replicas_below_nought(
    "{ workloads.relayer.replicas = -1 }",
    "local.ncl:1",
    "-1 is no number of replicas",
    "replicas are a whole number from 0 to 99"
)]
#[case::half_a_replica(
    "{ workloads.relayer.replicas = 1.5 }",
    "local.ncl:1",
    "1.5 is no number of replicas",
    "replicas are a whole number from 0 to 99"
)]
#[case::replicas_in_words(
    r#"{ workloads.relayer.replicas = "two" }"#,
    "local.ncl:1",
    r#""two" is no number of replicas"#,
    "replicas are a whole number from 0 to 99"
)]
#[case::a_hundred_replicas(
    "{ workloads.relayer.replicas = 100 }",
    "local.ncl:1",
    "100 is no number of replicas",
    "replicas are a whole number from 0 to 99"
)]
#[case::a_chain_that_is_none(
    "{ chain = 'Anvil }",
    "local.ncl:1",
    "'Anvil is none of the words for `chain`",
    "write one of 'Devnet, 'Pocketd"
)]
#[case::a_chain_in_quotes(
    r#"{ chain = "Pocketd" }"#,
    "local.ncl:1",
    "`chain` is none of its words, which begin with a `'`",
    "write one of 'Devnet, 'Pocketd"
)]
#[case::a_gateway_that_is_none(
    "{ gateway = 'Nginx }",
    "local.ncl:1",
    "'Nginx is none of the words for `gateway`",
    "write one of 'Pocket, 'Path"
)]
#[case::a_state_that_is_none(
    "{ state = 'Durable }",
    "local.ncl:1",
    "'Durable is none of the words for `state`",
    "write one of 'Ephemeral, 'Persistent"
)]
#[case::a_protocol_that_is_none(
    "{ services.develop-http.rpc_type = 'Soap }",
    "local.ncl:1",
    "'Soap is none of the words for `services.develop-http.rpc_type`",
    "write one of 'JsonRpc, 'Rest, 'CometBft, 'WebSocket, 'Grpc"
)]
#[case::a_protocol_in_quotes(
    r#"{ services.develop-http.rpc_type = "JsonRpc" }"#,
    "local.ncl:1",
    "`services.develop-http.rpc_type` is none of its words, which begin with a `'`",
    "write one of 'JsonRpc, 'Rest, 'CometBft, 'WebSocket, 'Grpc"
)]
#[case::an_environment_that_is_none(
    "{ workloads.relayer.only_in = ['Nomad] }",
    "local.ncl:1",
    "a word in `workloads.relayer.only_in` is none that may stand there",
    "write a list of 'Docker, 'Kubernetes"
)]
#[case::a_time_in_words(
    r#"{ network.block_time_ms = "10s" }"#,
    "local.ncl:1",
    r#""10s" is no time in milliseconds"#,
    "write a whole number of milliseconds, 1 or more"
)]
#[case::a_block_time_of_nought(
    "{ network.block_time_ms = 0 }",
    "local.ncl:1",
    "0 is no time in milliseconds",
    "write a whole number of milliseconds, 1 or more"
)]
#[case::a_moment_without_a_zone(
    r#"{ network.genesis_time = "2025-12-19T23:17:58" }"#,
    "local.ncl:1",
    r#""2025-12-19T23:17:58" is no moment"#,
    r#"write it as RFC 3339 in UTC, such as "2025-12-19T23:17:58Z""#
)]
#[case::a_day_for_a_moment(
    r#"{ network.genesis_time = "2025-12-19" }"#,
    "local.ncl:1",
    r#""2025-12-19" is no moment"#,
    r#"write it as RFC 3339 in UTC, such as "2025-12-19T23:17:58Z""#
)]
#[case::an_amount_below_nought(
    "{ suppliers.stake = -5 }",
    "local.ncl:1",
    "-5 is no amount",
    r#"write POKT in quotes, such as "2 POKT" or "0.25 POKT", or a whole number of upokt"#
)]
#[case::an_amount_of_another_coin(
    r#"{ suppliers.stake = "2 ETH" }"#,
    "local.ncl:1",
    r#""2 ETH" is no amount"#,
    r#"write POKT in quotes, such as "2 POKT" or "0.25 POKT", or a whole number of upokt"#
)]
#[case::an_amount_without_its_coin(
    r#"{ suppliers.stake = "2" }"#,
    "local.ncl:1",
    r#""2" is no amount"#,
    r#"write POKT in quotes, such as "2 POKT" or "0.25 POKT", or a whole number of upokt"#
)]
#[case::an_amount_finer_than_upokt(
    r#"{ suppliers.stake = "2.0000001 POKT" }"#,
    "local.ncl:1",
    r#""2.0000001 POKT" is no amount"#,
    r#"write POKT in quotes, such as "2 POKT" or "0.25 POKT", or a whole number of upokt"#
)]
#[case::half_a_upokt(
    "{ suppliers.stake = 2000000.5 }",
    "local.ncl:1",
    "2000000.5 is no amount",
    r#"write POKT in quotes, such as "2 POKT" or "0.25 POKT", or a whole number of upokt"#
)]
#[case::a_balance_in_words(
    r#"{ accounts.app1.balance = "much" }"#,
    "local.ncl:1",
    r#""much" is no amount"#,
    r#"write POKT in quotes, such as "2 POKT" or "0.25 POKT", or a whole number of upokt"#
)]
#[case::a_mnemonic_too_short(
    r#"{ accounts.x.mnemonic = "a b c" }"#,
    "local.ncl:1",
    r#""a b c" is no mnemonic"#,
    "write 12 to 24 words, one space between them"
)]
#[case::a_mnemonic_with_capitals(
    r#"{ accounts.x.mnemonic = "ABANDON abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about" }"#,
    "local.ncl:1",
    r#""ABANDON abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about" is no mnemonic"#,
    "write 12 to 24 words, one space between them"
)]
#[case::an_account_number_below_nought(
    "{ accounts.x.number = -1 }",
    "local.ncl:1",
    "-1 is no count",
    "a count is a whole number, 0 or more"
)]
#[case::a_share_above_one(
    "{ network.params.tokenomics.mint_ratio = 2 }",
    "local.ncl:1",
    "2 is no fraction",
    "a fraction is a number from 0 to 1"
)]
#[case::a_probability_in_percent(
    "{ network.params.proof.proof_request_probability = 25 }",
    "local.ncl:1",
    "25 is no fraction",
    "a fraction is a number from 0 to 1"
)]
#[case::a_window_of_no_length(
    "{ network.params.shared.claim_window_close_offset_blocks = 0 }",
    "local.ncl:1",
    "0 is no count above 0",
    "write a whole number, 1 or more"
)]
#[case::half_a_block(
    "{ network.params.shared.grace_period_end_offset_blocks = 0.5 }",
    "local.ncl:1",
    "0.5 is no number of blocks",
    "write a whole number of blocks, 0 or more"
)]
#[case::sessions_of_no_length(
    "{ network.params.shared.num_blocks_per_session = 0 }",
    "local.ncl:1",
    "0 is no count above 0",
    "write a whole number, 1 or more"
)]
#[case::a_floating_image(
    r#"{ images.redis.tag = "latest" }"#,
    "local.ncl:1",
    r#""latest" is no image tag"#,
    "an image is pinned: write a version, never `latest`"
)]
#[case::an_empty_tag(
    r#"{ images.redis.tag = "" }"#,
    "local.ncl:1",
    r#""" is no image tag"#,
    "an image is pinned: write a version, never `latest`"
)]
#[case::a_digest_that_is_none(
    r#"{ images.redis.digest = "sha256:abc" }"#,
    "local.ncl:1",
    r#""sha256:abc" is no image digest"#,
    "let `pocket spec pin` write it"
)]
#[case::a_digest_by_another_hash(
    r#"{ images.redis.digest = "md5:0123" }"#,
    "local.ncl:1",
    r#""md5:0123" is no image digest"#,
    "let `pocket spec pin` write it"
)]
#[case::a_list_for_a_text(
    r#"{ workloads.relayer.label = ["a"] }"#,
    "local.ncl:1",
    "this is no name",
    "a name has small letters, digits, `-` and `_`, and begins with a letter"
)]
#[case::a_label_with_capitals(
    r#"{ workloads.relayer.label = "Relay" }"#,
    "local.ncl:1",
    r#""Relay" is no name"#,
    "a name has small letters, digits, `-` and `_`, and begins with a letter"
)]
#[case::a_text_for_a_list(
    r#"{ workloads.relayer.after = "redis" }"#,
    "local.ncl:1",
    "`workloads.relayer.after` is no list",
    "write a list: [ … ]"
)]
#[case::a_number_in_a_list_of_names(
    "{ workloads.relayer.after = [3] }",
    "local.ncl:1",
    "3 is no name",
    "a name has small letters, digits, `-` and `_`, and begins with a letter"
)]
#[case::a_number_for_a_record(
    "{ workloads.relayer = 3 }",
    "local.ncl:1",
    "`workloads.relayer` is no record",
    "write a record with: image, args, settings, real, replicas, only_in, enabled, one_shot, ports, health, resources, after, state, secrets, label, aliases, budget_seconds"
)]
#[case::a_list_for_a_record(
    "{ workloads = [] }",
    "local.ncl:1",
    "`workloads` is no record",
    "write a record of such, by name: { name = { … } }"
)]
#[case::a_text_for_a_truth(
    r#"{ workloads.relayer.enabled = "yes" }"#,
    "local.ncl:1",
    "`workloads.relayer.enabled` is not `true` or `false`",
    "write true or false"
)]
#[case::a_path_without_a_slash(
    r#"{ workloads.relayer.health.ready.path = "readyz" }"#,
    "local.ncl:1",
    r#""readyz" is no path"#,
    "a path begins with `/`"
)]
#[case::a_service_id_with_a_space(
    r#"{ suppliers.services = ["my service"] }"#,
    "local.ncl:1",
    r#""my service" is no name"#,
    "a name has small letters, digits, `-` and `_`, and begins with a letter"
)]
#[case::a_percentage_above_a_hundred(
    "{ suppliers.rev_share = { operator = 101 } }",
    "local.ncl:1",
    "101 is no percentage",
    "a percentage is a whole number from 0 to 100"
)]
#[case::a_status_that_is_none(
    "{ settings.backend.error_code = 42 }",
    "local.ncl:1",
    "42 is no HTTP status",
    "a status is a whole number from 100 to 599"
)]
#[case::an_error_rate_in_percent(
    "{ settings.backend.error_rate = 5 }",
    "local.ncl:1",
    "5 is no fraction",
    "a fraction is a number from 0 to 1"
)]
#[case::a_limit_below_nought(
    "{ settings.relayer.limits.connections_max = -1 }",
    "local.ncl:1",
    "-1 is no count",
    "a count is a whole number, 0 or more"
)]
#[case::a_limit_in_words(
    r#"{ settings.relayer.limits.connections_max = "many" }"#,
    "local.ncl:1",
    r#""many" is no count"#,
    "a count is a whole number, 0 or more"
)]
#[case::a_mode_that_is_none(
    "{ settings.relayer.default_validation_mode = 'lazy }",
    "local.ncl:1",
    "'lazy is none of the words for `settings.relayer.default_validation_mode`",
    "write one of 'eager, 'optimistic"
)]
#[case::a_behaviour_that_is_none(
    "{ settings.relayer.relay_meter.fail_behavior = 'ajar }",
    "local.ncl:1",
    "'ajar is none of the words for `settings.relayer.relay_meter.fail_behavior`",
    "write one of 'open, 'closed"
)]
#[case::a_durability_that_is_none(
    "{ settings.relayer.store.durability = 'paper }",
    "local.ncl:1",
    "'paper is none of the words for `settings.relayer.store.durability`",
    "write one of 'process, 'disk"
)]
#[case::a_log_format_that_is_none(
    "{ settings.relayer.logging.format = 'xml }",
    "local.ncl:1",
    "'xml is none of the words for `settings.relayer.logging.format`",
    "write one of 'json, 'text"
)]
#[case::an_eviction_that_is_none(
    "{ settings.redis.eviction = 'oldest }",
    "local.ncl:1",
    "'oldest is none of the words for `settings.redis.eviction`",
    "write one of 'noeviction, 'allkeys-lru, 'allkeys-lfu, 'volatile-lru, 'volatile-ttl"
)]
#[case::an_fsync_that_is_none(
    "{ settings.redis.fsync = 'sometimes }",
    "local.ncl:1",
    "'sometimes is none of the words for `settings.redis.fsync`",
    "write one of 'always, 'everysec, 'no"
)]
#[case::memory_of_nought(
    "{ settings.redis.max_memory_mib = 0 }",
    "local.ncl:1",
    "0 is no count above 0",
    "write a whole number, 1 or more"
)]
#[case::a_key_that_is_no_key(
    r#"{ validator.consensus_key = "abc" }"#,
    "local.ncl:1",
    r#""abc" is no Ed25519 key"#,
    "write the 64 bytes of seed and public key in base64, as CometBFT keeps them"
)]
#[case::half_a_key(
    r#"{ validator.node_key = "vr2ZUKkx157Xz/uclOI5vFx/KN90F0f1ZyPzf/oi9EU=" }"#,
    "local.ncl:1",
    r#""vr2ZUKkx157Xz/uclOI5vFx/KN90F0f1ZyPzf/oi9EU=" is no Ed25519 key"#,
    "write the 64 bytes of seed and public key in base64, as CometBFT keeps them"
)]
#[case::a_commission_in_percent(
    r#"{ validator.commission.rate = "10%" }"#,
    "local.ncl:1",
    r#""10%" is no decimal"#,
    r#"write a decimal in quotes, such as "0.1""#
)]
#[case::a_commission_as_a_number(
    "{ validator.commission.rate = 0.1 }",
    "local.ncl:1",
    "0.1 is no decimal",
    r#"write a decimal in quotes, such as "0.1""#
)]
#[case::a_panel_that_is_none(
    r#"{ observability.dashboards.x = { title = "X", about = "x", rows = [{ title = "r", panels = [{ title = "p", kind = 'Pie, queries = [{ expr = "up" }] }] }] } }"#,
    "local.ncl:1",
    "a word in `observability.dashboards.x.rows` is none that may stand there",
    "look up in the contract what may stand there"
)]
#[case::a_severity_that_is_none(
    "{ observability.alerts.TargetDown.severity = 'Mild }",
    "local.ncl:1",
    "'Mild is none of the words for `observability.alerts.TargetDown.severity`",
    "write one of 'Critical, 'Warning"
)]
#[case::an_interval_of_nought(
    "{ observability.scrape.interval_seconds = 0 }",
    "local.ncl:1",
    "0 is no count above 0",
    "write a whole number, 1 or more"
)]
#[case::a_fault_that_is_none(
    "{ scenarios.smoke.faults = ['Flood] }",
    "local.ncl:1",
    "a word in `scenarios.smoke.faults` is none that may stand there",
    "write a list of 'KillRelayer, 'KillMiner, 'KillStore, 'SilenceNode, 'FailBackend"
)]
#[case::a_secret_that_is_none(
    "{ workloads.relayer.secrets = ['Passwords] }",
    "local.ncl:1",
    "a word in `workloads.relayer.secrets` is none that may stand there",
    "write a list of 'SupplierKeys, 'GatewayKey, 'ValidatorKeys, 'AccountKeys"
)]
#[case::a_timeout_profile_that_is_none(
    "{ services.develop-http.timeout_profile = 'slow }",
    "local.ncl:1",
    "'slow is none of the words for `services.develop-http.timeout_profile`",
    "write one of 'fast, 'streaming"
)]
#[case::a_pool_that_is_none(
    "{ services.develop-http.pool_profile = 'huge }",
    "local.ncl:1",
    "'huge is none of the words for `services.develop-http.pool_profile`",
    "write one of 'low, 'medium, 'high"
)]
#[case::a_chain_id_with_a_space(
    r#"{ network.chain_id = "my chain" }"#,
    "local.ncl:1",
    r#""my chain" is no name"#,
    "a name has small letters, digits, `-` and `_`, and begins with a letter"
)]
#[case::a_namespace_with_capitals(
    r#"{ namespace = "Default" }"#,
    "local.ncl:1",
    r#""Default" is no name"#,
    "a name has small letters, digits, `-` and `_`, and begins with a letter"
)]
#[case::compute_units_of_nought(
    "{ services.develop-http.compute_units_per_relay = 0 }",
    "local.ncl:1",
    "0 is no count above 0",
    "write a whole number, 1 or more"
)]
#[case::processor_time_in_words(
    r#"{ workloads.relayer.resources.cpu_milli.limit = "4" }"#,
    "local.ncl:1",
    r#""4" is no count above 0"#,
    "write a whole number, 1 or more"
)]
#[case::a_button_that_runs_a_text(
    r#"{ tilt.buttons.relay.command = "pocket relay" }"#,
    "local.ncl:1",
    "`tilt.buttons.relay.command` is no list",
    "write a list: [ … ]"
)]
fn values_of_the_wrong_kind_are_refused(
    #[case] overlay: &str,
    #[case] place: &str,
    #[case] message: &str,
    #[case] remedy: &str,
) {
    check(overlay, place, message, remedy);
}

#[rstest]
#[case::a_workload_of_nothing(
    "{ workloads.x = {} }",
    "local.ncl:1",
    "`workloads.x` lacks `image`: Name in `images`",
    "add `image = …`"
)]
#[case::a_workload_without_its_use_of_the_node(
    r#"{ workloads.x = { image = "redis", label = "x" } }"#,
    "local.ncl:1",
    "`workloads.x` lacks `resources`: What it may use",
    "add `resources = …`: write a record with: cpu_milli, memory_mib"
)]
#[case::a_port_without_words(
    "{ workloads.redis.ports.extra = { container = 7000 } }",
    "local.ncl:1",
    "`workloads.redis.ports.extra` lacks `about`: What is behind it, for tables and links",
    "add `about = …`: write a text in quotes"
)]
#[case::a_port_without_a_number(
    r#"{ workloads.redis.ports.extra = { about = "x" } }"#,
    "local.ncl:1",
    "`workloads.redis.ports.extra` lacks `container`: Where it listens inside",
    "add `container = …`"
)]
#[case::a_service_without_a_backend(
    "{ services.x = { rpc_type = 'JsonRpc } }",
    "local.ncl:1",
    "`services.x` lacks `backend`: Where a relayer sends what was asked",
    "add `backend = …`: write a record with: workload, port, path"
)]
#[case::a_service_without_a_protocol(
    r#"{ services.x = { backend = { workload = "backend", port = "http" } } }"#,
    "local.ncl:1",
    "`services.x` lacks `rpc_type`: Protocol that its clients speak",
    "add `rpc_type = …`: write one of 'JsonRpc, 'Rest, 'CometBft, 'WebSocket, 'Grpc"
)]
#[case::a_route_without_a_port(
    r#"{ services.x = { rpc_type = 'JsonRpc, backend = { workload = "backend" } } }"#,
    "local.ncl:1",
    "`services.x.backend` lacks `port`: Name of the port of that workload",
    "add `port = …`"
)]
#[case::a_probe_without_a_path(
    r#"{ workloads.redis.health.ready = { port = "store" } }"#,
    "local.ncl:1",
    "`workloads.redis.health.ready` lacks `path`: Answers 200 when all is well",
    "add `path = …`"
)]
#[case::a_link_without_a_title(
    r#"{ tilt.links.x = { workload = "grafana", port = "http" } }"#,
    "local.ncl:1",
    "`tilt.links.x` lacks `title`: Text of the link",
    "add `title = …`: write a text in quotes"
)]
#[case::a_scenario_without_blocks(
    r#"{ scenarios.x = { about = "x", test = "x", needs = [] } }"#,
    "local.ncl:1",
    "`scenarios.x` lacks `blocks`: Blocks until everything must be settled",
    "add `blocks = …`"
)]
#[case::a_board_without_rows(
    r#"{ observability.dashboards.x = { title = "X", about = "x" } }"#,
    "local.ncl:1",
    "`observability.dashboards.x` lacks `rows`: From the top",
    "add `rows = …`: write a list: [ … ]"
)]
#[case::a_board_without_words(
    r#"{ observability.dashboards.x = { title = "X", rows = [] } }"#,
    "local.ncl:1",
    "`observability.dashboards.x` lacks `about`: What it is for",
    "add `about = …`: write a text in quotes"
)]
#[case::an_alert_without_a_proof(
    r#"{ observability.alerts.X = { for_seconds = 1, severity = 'Warning, summary = "x" } }"#,
    "local.ncl:1",
    "`observability.alerts.X` lacks `plant`: Series that make it fire, by series, in promtool's notation; over those of `healthy`",
    "add `plant = …`: write a record of such, by name: { name = { … } }"
)]
#[case::a_folder_without_room(
    r#"{ workloads.miner.state = { path = "/data" } }"#,
    "local.ncl:1",
    "`workloads.miner.state` lacks `size_mib`: Room for it, in MiB",
    "add `size_mib = …`"
)]
#[case::a_quantity_without_a_limit(
    r#"{ workloads.x = { image = "redis", label = "x", resources = { cpu_milli = { request = 1 }, memory_mib = { request = 1, limit = 1 } } } }"#,
    "local.ncl:1",
    "`workloads.x.resources.cpu_milli` lacks `limit`: Never more",
    "add `limit = …`"
)]
fn what_is_missing_is_named(#[case] overlay: &str, #[case] place: &str, #[case] message: &str, #[case] remedy: &str) {
    check(overlay, place, message, remedy);
}

#[rstest]
#[case::an_owner_that_is_no_account(
    r#"{ services.develop-http.owner = "nobody" }"#,
    "local.ncl:1",
    "there is no account `nobody`",
    "add it, or name one of: app1, app2, app3, app4, app5, faucet, gateway1, pnf, source_owner_develop, supplier1, supplier10, supplier11, supplier12, supplier13, supplier14, supplier15, supplier2, supplier3, supplier4, supplier5, supplier6, supplier7, supplier8, supplier9, validator1"
)]
#[case::an_owner_nearly_right(
    r#"{ services.develop-http.owner = "pn" }"#,
    "local.ncl:1",
    "there is no account `pn`",
    "did you mean `pnf`?"
)]
#[case::an_application_that_is_no_account(
    r#"{ services.develop-http.application = "app9" }"#,
    "local.ncl:1",
    "there is no account `app9`",
    "did you mean `app1`?"
)]
#[case::a_supplier_that_is_no_account(
    r#"{ suppliers.accounts = ["supplier99"] }"#,
    "local.ncl:1",
    "there is no account `supplier99`",
    "did you mean `supplier9`?"
)]
#[case::a_gateway_that_is_no_account(
    "{ gateways.gateway9 = {} }",
    "local.ncl:1",
    "there is no account `gateway9`",
    "did you mean `gateway1`?"
)]
#[case::a_validator_that_is_no_account(
    r#"{ validator.account = "validator9" }"#,
    "local.ncl:1",
    "there is no account `validator9`",
    "did you mean `validator1`?"
)]
#[case::a_dao_that_is_no_account(
    r#"{ network.params.tokenomics.dao_reward_account = "dao" }"#,
    "local.ncl:1",
    "there is no account `dao`",
    "add it, or name one of: app1, app2, app3, app4, app5, faucet, gateway1, pnf, source_owner_develop, supplier1, supplier10, supplier11, supplier12, supplier13, supplier14, supplier15, supplier2, supplier3, supplier4, supplier5, supplier6, supplier7, supplier8, supplier9, validator1"
)]
#[case::a_decoy_that_is_no_account(
    r#"{ decoys = ["app77"] }"#,
    "local.ncl:1",
    "there is no account `app77`",
    "did you mean `app1`?"
)]
#[case::a_supplier_that_is_an_application(
    r#"{ suppliers.accounts = ["supplier1", "app1"] }"#,
    "local.ncl:1",
    "account `app1` is a supplier and the application of `develop-http`",
    "an account plays one role: name another, or leave `application` out and one is made"
)]
#[case::an_application_of_two_services(
    r#"{ services.develop-grpc.application = "app1" }"#,
    "local.ncl:1",
    "account `app1` is the application of `develop-grpc` and the application of `develop-http`",
    "an account plays one role: name another, or leave `application` out and one is made"
)]
#[case::a_gateway_that_is_an_application(
    "{ gateways.app1 = {} }",
    "local.ncl:1",
    "account `app1` is a gateway and the application of `develop-http`",
    "an account plays one role: name another, or leave `application` out and one is made"
)]
#[case::a_validator_that_is_a_supplier(
    r#"{ validator.account = "supplier1" }"#,
    "local.ncl:1",
    "account `supplier1` is a supplier and the validator",
    "an account plays one role: name another, or leave `application` out and one is made"
)]
#[case::a_supplier_named_twice(
    r#"{ suppliers.accounts = ["supplier1", "supplier1"] }"#,
    "local.ncl:1",
    "supplier `supplier1` is named twice",
    "name it once"
)]
#[case::no_supplier(
    "{ suppliers.accounts = [] }",
    "local.ncl:1",
    "there is no supplier",
    "nobody would serve: name at least one account"
)]
#[case::suppliers_of_nothing(
    "{ suppliers.services = [] }",
    "local.ncl:1",
    "suppliers serve nothing",
    "name at least one service"
)]
#[case::suppliers_of_an_unknown_service(
    r#"{ suppliers.services = ["develop-htp"] }"#,
    "local.ncl:1",
    "there is no service `develop-htp`",
    "did you mean `develop-http`?"
)]
#[case::suppliers_behind_an_unknown_workload(
    r#"{ suppliers.relayer = "relay" }"#,
    "local.ncl:1",
    "there is no workload `relay`",
    "did you mean `relayer`?"
)]
#[case::suppliers_behind_a_workload_that_takes_no_relays(
    r#"{ suppliers.relayer = "miner" }"#,
    "local.ncl:1",
    "workload `miner` has no port `relay`",
    "suppliers advertise that port: name a workload that has one"
)]
#[case::a_delegation_to_nobody(
    r#"{ applications.gateways = ["gateway2"] }"#,
    "local.ncl:1",
    "there is no gateway `gateway2`",
    "did you mean `gateway1`?"
)]
#[case::no_delegation(
    "{ applications.gateways = [] }",
    "local.ncl:1",
    "no gateway may sign for the applications",
    "name at least one of: gateway1"
)]
#[case::more_delegations_than_the_chain_allows(
    r#"{ gateways = { faucet = {}, pnf = {} }, applications.gateways = ["gateway1", "faucet", "pnf"], network.params.application.max_delegated_gateways = 2 }"#,
    "local.ncl:1",
    "an application delegates to 2 gateways at most, not to 3",
    "name fewer, or raise network.params.application.max_delegated_gateways"
)]
#[case::an_account_number_twice(
    "{ accounts.x = { number = 3 } }",
    "local.ncl:1",
    "account number 3 belongs to `app1` and to `x`",
    "leave `number` out, and the account follows the numbered ones"
)]
#[case::an_account_number_with_a_gap(
    "{ accounts.x = { number = 77 } }",
    "local.ncl:1",
    "account number 77 leaves a gap: there are 26 numbered accounts",
    "number them from 0 without gaps, or leave `number` out"
)]
#[case::a_route_to_an_unknown_workload(
    r#"{ services.develop-http.backend.workload = "backnd" }"#,
    "local.ncl:1",
    "there is no workload `backnd`",
    "did you mean `backend`?"
)]
#[case::a_route_to_an_unknown_port(
    r#"{ services.develop-http.backend.port = "htp" }"#,
    "local.ncl:1",
    "there is no port of backend `htp`",
    "did you mean `http`?"
)]
#[case::a_route_to_a_port_of_another_protocol(
    r#"{ services.develop-http.backend.port = "metrics" }"#,
    "local.ncl:1",
    "port `backend.metrics` does not speak JsonRpc",
    "route to a port that speaks it, or change `rpc_type`"
)]
#[case::a_route_to_a_workload_that_does_not_run(
    r#"{ workloads.backend.enabled = false, workloads.relayer.after = ["redis"], scenarios.smoke.needs = [], scenarios.failover.needs = [] }"#,
    "local.ncl:1",
    "workload `backend` is not enabled",
    "enable it, or route `develop-grpc` elsewhere"
)]
#[case::a_served_service_behind_a_port_that_does_not_listen(
    "{ services.develop-grpc.later = false }",
    "local.ncl:1",
    "`develop-grpc` is served, and port `backend.grpc` behind it is marked `later`",
    "mark the service `later` too, or remove the mark of the port"
)]
#[case::nothing_is_served(
    "{ services.develop-http.later = true }",
    "local.ncl:1",
    "no service is served now",
    "add one, or remove the mark `later` of one"
)]
#[case::a_scenario_that_needs_an_unknown_workload(
    r#"{ scenarios.smoke.needs = ["gatewy"] }"#,
    "local.ncl:1",
    "there is no workload `gatewy`",
    "did you mean `gateway`?"
)]
#[case::a_scenario_that_needs_what_does_not_run(
    r#"{ scenarios.smoke.needs = ["loki"] }"#,
    "local.ncl:1",
    "scenario `smoke` needs `loki`, which is not enabled",
    "enable workloads.loki, or take it out of the scenario"
)]
#[case::a_scenario_that_does_not_wait(
    "{ scenarios.smoke.blocks = 10 }",
    "local.ncl:1",
    "scenario `smoke` waits 10 blocks, and a relay may take 28 to be settled",
    "write 28 or more"
)]
#[case::a_scenario_that_does_not_wait_for_longer_windows(
    r"{
  network.params.shared.proof_window_close_offset_blocks = 20,
}",
    "local.ncl:2",
    "scenario `smoke` waits 30 blocks, and a relay may take 40 to be settled",
    "write 40 or more"
)]
#[case::a_link_to_an_unknown_workload(
    r#"{ tilt.links.grafana.workload = "graphana" }"#,
    "local.ncl:1",
    "there is no workload `graphana`",
    "did you mean `grafana`?"
)]
#[case::a_link_to_an_unknown_port(
    r#"{ tilt.links.grafana.port = "web" }"#,
    "local.ncl:1",
    "there is no port of grafana `web`",
    "add it, or name one of: http"
)]
#[case::a_link_to_a_port_that_does_not_listen(
    r#"{ tilt.links.pprof = { workload = "relayer", port = "pprof", title = "Profiles" } }"#,
    "local.ncl:1",
    "`relayer.pprof` is marked `later`: nothing answers there",
    "remove the link, or the mark"
)]
#[case::a_button_of_an_unknown_workload(
    r#"{ tilt.buttons.relay.workload = "gateways" }"#,
    "local.ncl:1",
    "there is no workload `gateways`",
    "did you mean `gateway`?"
)]
#[case::a_factor_of_an_unknown_service(
    "{ settings.miner.service_factors = { develop-htp = 1 } }",
    "local.ncl:1",
    "there is no service `develop-htp`",
    "did you mean `develop-http`?"
)]
#[case::a_profile_that_does_not_exist(
    r#"{ settings.devnet.profile = "loud" }"#,
    "local.ncl:1",
    "there is no profile `loud`",
    "did you mean `load`?"
)]
#[case::a_share_of_nobody(
    "{ suppliers.rev_share = { operator = 90, nobody = 10 } }",
    "local.ncl:1",
    "there is no account `nobody`",
    "add it, or name one of: app1, app2, app3, app4, app5, faucet, gateway1, pnf, source_owner_develop, supplier1, supplier10, supplier11, supplier12, supplier13, supplier14, supplier15, supplier2, supplier3, supplier4, supplier5, supplier6, supplier7, supplier8, supplier9, validator1"
)]
fn references_that_lead_nowhere_are_refused(
    #[case] overlay: &str,
    #[case] place: &str,
    #[case] message: &str,
    #[case] remedy: &str,
) {
    check(overlay, place, message, remedy);
}

#[rstest]
#[case::a_fourth_miner(
    "{ workloads.miner.replicas = 4 }",
    "local.ncl:1",
    "port 9095 belongs to backend.metrics and to miner-4.metrics",
    "give one of them another `host` or `replicas_from`, or run fewer replicas"
)]
#[case::a_sixth_relayer(
    "{ workloads.relayer.replicas = 6, budget.cpu_milli = 64000 }",
    "local.ncl:1",
    "port 6065 belongs to miner-1.pprof and to relayer-6.pprof",
    "give one of them another `host` or `replicas_from`, or run fewer replicas"
)]
#[case::grafana_on_the_gateway_s_port(
    "{ workloads.grafana.ports.http.host = 3069 }",
    "local.ncl:1",
    "port 3069 belongs to gateway.http and to grafana.http",
    "give one of them another `host` or `replicas_from`, or run fewer replicas"
)]
#[case::redis_on_tilt_s_port(
    "{ workloads.redis.ports.store.host = 10350 }",
    "local.ncl:1",
    "port 10350 belongs to redis.store and to tilt",
    "give one of them another `host` or `replicas_from`, or run fewer replicas"
)]
#[case::tilt_on_redis_port(
    "{ tilt.port = 6379 }",
    "local.ncl:1",
    "port 6379 belongs to redis.store and to tilt",
    "give one of them another `host` or `replicas_from`, or run fewer replicas"
)]
#[case::a_reserved_port_that_is_taken(
    "{ reserved_ports.mine = 8545 }",
    "local.ncl:1",
    "port 8545 belongs to backend.http and to reserved_ports.mine",
    "give one of them another `host` or `replicas_from`, or run fewer replicas"
)]
#[case::a_workload_on_the_image_registry_s_port(
    "{ workloads.backend.ports.http.host = 5001 }",
    "local.ncl:1",
    "port 5001 belongs to backend.http and to reserved_ports.image_registry",
    "give one of them another `host` or `replicas_from`, or run fewer replicas"
)]
#[case::a_collision_in_kubernetes_alone(
    "{ workloads.grafana.ports.http.kubernetes_host = 8180 }",
    "local.ncl:1",
    "port 8180 belongs to grafana.http and to relayer-1.relay",
    "give one of them another `host` or `replicas_from`, or run fewer replicas"
)]
#[case::a_replica_on_another_s_port(
    "{ workloads.relayer.ports.health.replicas_from = 8180 }",
    "local.ncl:1",
    "port 8181 belongs to relayer-2.health and to relayer-2.relay",
    "give one of them another `host` or `replicas_from`, or run fewer replicas"
)]
#[case::a_later_port_keeps_its_number(
    "{ workloads.grafana.ports.http.host = 6060 }",
    "local.ncl:1",
    "port 6060 belongs to grafana.http and to relayer-1.pprof",
    "give one of them another `host` or `replicas_from`, or run fewer replicas"
)]
#[case::replicas_beyond_the_last_port(
    "{ workloads.miner.ports.metrics.replicas_from = 65535 }",
    "local.ncl:1",
    "replica 2 of `miner` would have its `metrics` at port 65536",
    "the last port is 65535: lower `replicas_from`, or run fewer replicas"
)]
#[case::a_port_listened_on_twice(
    "{ workloads.relayer.ports.health = { container = 8080, host = 8082 } }",
    "local.ncl:1",
    "`relayer` listens on port 8080 as `health` and as `relay`",
    "give one of them another `container` port"
)]
#[case::a_probe_of_an_unknown_port(
    r#"{ workloads.relayer.health.ready.port = "metric" }"#,
    "local.ncl:1",
    "there is no port of relayer `metric`",
    "did you mean `metrics`?"
)]
#[case::a_probe_of_a_port_that_does_not_listen(
    r#"{ workloads.relayer.health.live.port = "pprof" }"#,
    "local.ncl:1",
    "`relayer` is asked at port `pprof`, which is marked `later`",
    "nothing listens there yet: ask another port"
)]
#[case::a_probe_of_the_real_gateway_at_an_unknown_port(
    r#"{ workloads.gateway.real.health.ready.port = "htp" }"#,
    "local.ncl:1",
    "there is no port of gateway `htp`",
    "did you mean `http`?"
)]
#[case::two_backends_on_one_port(
    "{ workloads.backend.ports.metrics.host = 8545 }",
    "local.ncl:1",
    "port 8545 belongs to backend.http and to backend.metrics",
    "give one of them another `host` or `replicas_from`, or run fewer replicas"
)]
fn ports_that_cannot_be_are_refused(
    #[case] overlay: &str,
    #[case] place: &str,
    #[case] message: &str,
    #[case] remedy: &str,
) {
    check(overlay, place, message, remedy);
}

#[rstest]
#[case::a_supplier_s_stake_below_the_minimum(
    r#"{ suppliers.stake = "0.5 POKT" }"#,
    "local.ncl:1",
    "a supplier's stake of 0.5 POKT is below the chain's minimum of 1 POKT",
    "raise it, or lower network.params.supplier.min_stake"
)]
#[case::an_application_s_stake_below_the_minimum(
    r#"{ applications.stake = "1 POKT" }"#,
    "local.ncl:1",
    "an application's stake of 1 POKT is below the chain's minimum of 100 POKT",
    "raise it, or lower network.params.application.min_stake"
)]
#[case::a_gateway_s_stake_below_the_minimum(
    "{ gateways.gateway1.stake = 5 }",
    "local.ncl:1",
    "a gateway's stake of 5e-6 POKT is below the chain's minimum of 1 POKT",
    "raise it, or lower network.params.gateway.min_stake"
)]
#[case::a_profile_s_stake_below_the_minimum(
    "{ network.profiles.load.application_stake = 5 }",
    "local.ncl:1",
    "an application's stake of 5e-6 POKT is below the chain's minimum of 100 POKT",
    "raise it, or lower network.params.application.min_stake"
)]
#[case::a_minimum_above_the_stakes(
    r#"{ network.params.supplier.min_stake = "50 POKT" }"#,
    "local.ncl:1",
    "a supplier's stake of 2 POKT is below the chain's minimum of 50 POKT",
    "raise it, or lower network.params.supplier.min_stake"
)]
#[case::a_supplier_who_is_warned_of_from_the_start(
    "{ suppliers.warn_missed_proofs = 10 }",
    "local.ncl:1",
    "10 missed proofs cost 2.5 POKT, and the stake is 1 POKT above the minimum",
    "every supplier would be warned of from the start: stake 3.5 POKT or more, or lower suppliers.warn_missed_proofs"
)]
#[case::a_penalty_that_no_stake_survives(
    r#"{ network.params.proof.proof_missing_penalty = "10 POKT" }"#,
    "local.ncl:1",
    "3 missed proofs cost 30 POKT, and the stake is 1 POKT above the minimum",
    "every supplier would be warned of from the start: stake 31 POKT or more, or lower suppliers.warn_missed_proofs"
)]
#[case::a_supplier_that_cannot_pay_for_a_proof(
    "{ accounts.supplier1.balance = 5 }",
    "local.ncl:1",
    "supplier `supplier1` holds 5e-6 POKT, and one proof costs 1 POKT",
    "give it more, or lower network.params.proof.proof_submission_fee"
)]
#[case::a_fee_beyond_every_balance(
    r#"{ network.params.proof.proof_submission_fee = "2000000 POKT" }"#,
    "local.ncl:1",
    "supplier `supplier1` holds 1000000 POKT, and one proof costs 2000000 POKT",
    "give it more, or lower network.params.proof.proof_submission_fee"
)]
#[case::a_validator_that_bonds_more_than_it_has(
    r#"{ validator.self_bond = "900000001 POKT" }"#,
    "local.ncl:1",
    "the validator bonds 900000001 POKT, and `validator1` holds 900000000 POKT",
    "bond less, or raise accounts.validator1.balance"
)]
#[case::shares_of_ninety_percent(
    "{ suppliers.rev_share = { operator = 90 } }",
    "local.ncl:1",
    "the shares of a supplier's revenue, in percent, sum up to 90, not to 100",
    "change one of them"
)]
#[case::shares_above_a_hundred_percent(
    "{ suppliers.rev_share = { operator = 60, pnf = 60 } }",
    "local.ncl:1",
    "the shares of a supplier's revenue, in percent, sum up to 120, not to 100",
    "change one of them"
)]
#[case::a_claim_shared_in_part(
    "{ network.params.tokenomics.mint_equals_burn_claim_distribution.dao = 0 }",
    "local.ncl:1",
    "the shares of what is burnt sum up to 0.9, not to 1",
    "change one of them"
)]
#[case::a_mint_shared_twice(
    "{ network.params.tokenomics.mint_allocation_percentages.supplier = 0.9 }",
    "local.ncl:1",
    "the shares of what is minted sum up to 1.2, not to 1",
    "change one of them"
)]
#[case::a_commission_above_its_maximum(
    r#"{ validator.commission.rate = "0.5" }"#,
    "local.ncl:1",
    "the commission's bounds contradict each other",
    "`rate` and `max_change_rate` are at most `max_rate`, and that at most 1"
)]
#[case::a_change_above_the_maximum(
    r#"{ validator.commission.max_change_rate = "0.3" }"#,
    "local.ncl:1",
    "the commission's bounds contradict each other",
    "`rate` and `max_change_rate` are at most `max_rate`, and that at most 1"
)]
fn money_that_does_not_add_up_is_refused(
    #[case] overlay: &str,
    #[case] place: &str,
    #[case] message: &str,
    #[case] remedy: &str,
) {
    check(overlay, place, message, remedy);
}

#[rstest]
#[case::an_unknown_image(
    r#"{ workloads.redis.image = "reddis" }"#,
    "local.ncl:1",
    "there is no image `reddis`",
    "did you mean `redis`?"
)]
#[case::an_unknown_image_in_place(
    r#"{ workloads.gateway.real.image = "pth" }"#,
    "local.ncl:1",
    "there is no image `pth`",
    "did you mean `path`?"
)]
#[case::an_image_from_nowhere(
    "{ images.x = {} }",
    "local.ncl:1",
    "image `x` is neither built here nor taken from a registry",
    "give it a `binary`, or a `repo` and a `tag`"
)]
#[case::an_image_from_two_places(
    r#"{ images.redis.binary = "redis-server" }"#,
    "local.ncl:1",
    "image `redis` is both built here and taken from a registry",
    "give it a `binary`, or a `repo` and a `tag`"
)]
#[case::an_image_without_a_version(
    r#"{ images.x = { repo = "x" } }"#,
    "local.ncl:1",
    "image `x` has no tag",
    "an image is pinned: add a `tag`"
)]
#[case::waiting_for_nobody(
    r#"{ workloads.relayer.after = ["redes"] }"#,
    "local.ncl:1",
    "there is no workload `redes`",
    "did you mean `redis`?"
)]
#[case::waiting_for_what_does_not_run(
    r#"{ workloads.grafana.after = ["loki"] }"#,
    "local.ncl:1",
    "`grafana` starts after `loki`, which is not enabled",
    "enable it, or take it out of `after`"
)]
#[case::waiting_for_what_runs_elsewhere(
    "{ workloads.prometheus.only_in = ['Docker] }",
    "local.ncl:1",
    "`grafana` runs in Kubernetes and starts after `prometheus`, which does not",
    "let both run there, or take it out of `after`"
)]
#[case::waiting_in_a_circle(
    r#"{ workloads.redis.after = ["relayer"] }"#,
    "local.ncl:1",
    "these start after each other: redis, relayer",
    "take one of them out of another's `after`"
)]
#[case::waiting_for_itself(
    r#"{ workloads.redis.after = ["redis"] }"#,
    "local.ncl:1",
    "these start after each other: redis",
    "take one of them out of another's `after`"
)]
#[case::waiting_for_whom_nobody_can_ask(
    r#"{ workloads.x = { image = "redis", label = "x", resources = workloads.redis.resources }, workloads.miner.after = ["x"] }"#,
    "local.ncl:1",
    "others start after `x`, and nothing tells when it is ready",
    "give it `health.ready` or `health.command`"
)]
#[case::a_one_shot_twice(
    "{ workloads.account-init.replicas = 2 }",
    "local.ncl:1",
    "`account-init` does its work once, so that one of it runs",
    "remove `replicas`"
)]
#[case::settings_that_do_not_exist(
    r#"{ workloads.redis.settings = "redes" }"#,
    "local.ncl:1",
    "there is no section of settings `redes`",
    "did you mean `redis`?"
)]
#[case::a_request_above_its_limit(
    "{ workloads.relayer.resources.cpu_milli.request = 9000 }",
    "local.ncl:1",
    "`relayer` asks for 9000 thousandths of a core, above its limit of 4000",
    "lower the request, or raise the limit"
)]
#[case::memory_above_its_limit(
    "{ workloads.grafana.resources.memory_mib.request = 4096 }",
    "local.ncl:1",
    "`grafana` asks for 4096 MiB, above its limit of 512",
    "lower the request, or raise the limit"
)]
#[case::a_node_too_small(
    "{ budget.cpu_milli = 1000 }",
    "local.ncl:1",
    "all workloads together ask for 4550 thousandths of a core, and the node has 1000",
    "some would wait for ever: run fewer replicas, ask for less, or name a larger node"
)]
#[case::a_node_with_too_little_memory(
    "{ budget.memory_mib = 512 }",
    "local.ncl:1",
    "all workloads together ask for 2528 MiB, and the node has 512",
    "some would wait for ever: run fewer replicas, ask for less, or name a larger node"
)]
#[case::more_relayers_than_the_node_carries(
    "{ workloads.relayer.replicas = 5, budget.cpu_milli = 6000 }",
    "local.ncl:1",
    "all workloads together ask for 7550 thousandths of a core, and the node has 6000",
    "some would wait for ever: run fewer replicas, ask for less, or name a larger node"
)]
#[case::a_key_in_arguments(
    r#"{ workloads.miner.args = ["--key", "2d00ef074d9b51e46886dc9a1df11e7b986611d0f336bdcf1f0adce3e037ec0a"] }"#,
    "local.ncl:1",
    "the arguments of `miner` seem to hold a private key",
    "keys are given as files: use `secrets`"
)]
fn workloads_that_cannot_run_are_refused(
    #[case] overlay: &str,
    #[case] place: &str,
    #[case] message: &str,
    #[case] remedy: &str,
) {
    check(overlay, place, message, remedy);
}

#[rstest]
#[case::a_lease_renewed_after_its_end(
    "{ settings.miner.supplier_claiming.renew_rate_seconds = 120 }",
    "local.ncl:1",
    "120 is not below 90, the life of the lease that it renews",
    "lower it, or raise the other"
)]
#[case::a_lease_shorter_than_its_renewal(
    "{ settings.miner.supplier_claiming.claim_ttl_seconds = 5 }",
    "local.ncl:1",
    "10 is not below 5, the life of the lease that it renews",
    "lower it, or raise the other"
)]
#[case::path_keeps_more_than_it_has(
    "{ settings.path.overhead_ms = 40000 }",
    "local.ncl:1",
    "40000 is not below 30000, the time to read a request",
    "lower it, or raise the other"
)]
#[case::a_relay_longer_than_the_request(
    "{ settings.gateway.relay_timeout_ms = 40000 }",
    "local.ncl:1",
    "40000 is not below 35000, the whole time for one request",
    "lower it, or raise the other"
)]
#[case::transactions_that_live_too_long(
    "{ settings.miner.transaction.tx_timeout_max_seconds = 700 }",
    "local.ncl:1",
    "the chain refuses transactions that live longer than 600 seconds",
    "write 600 or less"
)]
#[case::a_shortest_life_above_the_longest(
    "{ settings.miner.transaction.tx_timeout_min_seconds = 595 }",
    "local.ncl:1",
    "the shortest life of a transaction is above the longest",
    "lower it"
)]
#[case::gas_below_what_is_needed(
    "{ settings.miner.transaction.gas_adjustment = 0.5 }",
    "local.ncl:1",
    "gas is never adjusted below what the node reported",
    "write 1 or more"
)]
#[case::a_store_that_throws_away(
    "{ settings.redis.eviction = 'allkeys-lru }",
    "local.ncl:1",
    "Redis would throw away relays that are not paid yet when its memory is full",
    "write 'noeviction, or say in settings.redis.eviction_waiver why this environment may lose them"
)]
#[case::a_store_larger_than_its_limit(
    "{ settings.redis.max_memory_mib = 1024 }",
    "local.ncl:1",
    "Redis may fill 1024 MiB, and its workload ends at 768",
    "lower it, or raise workloads.redis.resources.memory_mib.limit"
)]
#[case::a_redis_without_the_commands(
    r#"{ images.redis.tag = "6.0-alpine" }"#,
    "local.ncl:1",
    "Redis 6 lacks commands that the store needs",
    "run 6.2 or later; 8.2 is what the tests use"
)]
#[case::the_chain_s_address_said_again(
    r#"{ settings.relayer.pocket_node.query_node_rpc_url = "http://node:26657" }"#,
    "local.ncl:1",
    "this is decided by workloads.validator.ports, and written into the rendered files",
    "remove it here, and change it there"
)]
#[case::the_chain_id_said_again(
    r#"{ settings.miner.pocket_node.chain_id = "pocket-2" }"#,
    "local.ncl:1",
    "this is decided by network.chain_id, and written into the rendered files",
    "remove it here, and change it there"
)]
#[case::the_store_s_address_said_again(
    r#"{ settings.relayer.redis.url = "redis://elsewhere:6379" }"#,
    "local.ncl:1",
    "this is decided by workloads.redis.ports, and written into the rendered files",
    "remove it here, and change it there"
)]
#[case::the_miner_s_store_said_again(
    r#"{ settings.miner.redis.url = "redis://elsewhere:6379" }"#,
    "local.ncl:1",
    "this is decided by workloads.redis.ports, and written into the rendered files",
    "remove it here, and change it there"
)]
#[case::the_relayer_s_address_said_again(
    r#"{ settings.relayer.listen_addr = "0.0.0.0:9000" }"#,
    "local.ncl:1",
    "this is decided by workloads.relayer.ports.relay, and written into the rendered files",
    "remove it here, and change it there"
)]
#[case::the_miner_s_metrics_said_again(
    r#"{ settings.miner.metrics.addr = "0.0.0.0:9000" }"#,
    "local.ncl:1",
    "this is decided by workloads.miner.ports.metrics, and written into the rendered files",
    "remove it here, and change it there"
)]
#[case::the_gateway_s_key_said_again(
    r#"{ settings.gateway.gateway_key_file = "/my.key" }"#,
    "local.ncl:1",
    "this is decided by workloads.gateway.secrets, and written into the rendered files",
    "remove it here, and change it there"
)]
#[case::the_gateway_s_applications_said_again(
    r#"{ settings.gateway.applications = ["pokt1x"] }"#,
    "local.ncl:1",
    "this is decided by services, and written into the rendered files",
    "remove it here, and change it there"
)]
#[case::the_suppliers_keys_said_again(
    r#"{ settings.relayer.keys.keys_file = "/my.yaml" }"#,
    "local.ncl:1",
    "this is decided by workloads.relayer.secrets, and written into the rendered files",
    "remove it here, and change it there"
)]
#[case::an_address_that_is_none(
    r#"{ settings.miner.metrics.addr = "everywhere" }"#,
    "local.ncl:1",
    "this is decided by workloads.miner.ports.metrics, and written into the rendered files",
    "remove it here, and change it there"
)]
#[case::relayers_and_miners_apart(
    r#"{ settings.miner.redis.namespace.base_prefix = "mine" }"#,
    "local.ncl:1",
    "relayers and miners would not find each other: `base_prefix` differs",
    "write the same for settings.relayer and settings.miner"
)]
#[case::a_batch_of_nothing(
    "{ settings.miner.batch_size = 0 }",
    "local.ncl:1",
    "`settings.miner.batch_size`: must be above 0",
    "change `settings.miner.batch_size`"
)]
#[case::history_of_nothing(
    "{ settings.devnet.limits.history_blocks = 0 }",
    "local.ncl:1",
    "`settings.devnet.limits`: history_blocks, blocks_kept and checkpoint_blocks must be above 0",
    "change `settings.devnet.limits`"
)]
#[case::an_enabled_listener_that_is_no_word(
    "{ settings.miner.metrics.enabled = 1 }",
    "local.ncl:1",
    "`settings.miner.metrics.enabled` is not `true` or `false`",
    "write true or false"
)]
#[case::a_panel_that_asks_nothing(
    r#"{ observability.dashboards.x = { title = "X", about = "x", rows = [{ title = "r", panels = [{ title = "Errors", kind = 'Stat, queries = [] }] }] } }"#,
    "local.ncl:1",
    "panel \"Errors\" asks nothing",
    "give it a query, or remove it"
)]
#[case::a_metric_that_no_program_has(
    r#"{ observability.alerts.TargetDown.expr = "pocket_miner_hieght > 3" }"#,
    "local.ncl:1",
    "alert `TargetDown`: there is no metric pocket_miner_hieght",
    "did you mean `pocket_miner_height`?"
)]
#[case::a_label_that_a_metric_lacks(
    r#"{ observability.dashboards.x = { title = "X", about = "x", rows = [{ title = "r", panels = [{ title = "p", kind = 'Stat, queries = [{ expr = "up{colour=\"red\"}" }] }] }] } }"#,
    "local.ncl:1",
    "panel \"p\" of `x`: up has no label colour",
    "crates/config/metrics.json has every metric with its kind and labels; declare those of others in `observability.foreign`"
)]
#[case::a_rate_of_a_gauge(
    r#"{ observability.dashboards.x = { title = "X", about = "x", rows = [{ title = "r", panels = [{ title = "p", kind = 'Stat, queries = [{ expr = "rate(pocket_miner_height[5m])" }] }] }] } }"#,
    "local.ncl:1",
    "panel \"p\" of `x`: rate of pocket_miner_height, which is a gauge",
    "crates/config/metrics.json has every metric with its kind and labels; declare those of others in `observability.foreign`"
)]
#[case::an_expression_that_is_none(
    r#"{ observability.alerts.TargetDown.expr = "up ==" }"#,
    "local.ncl:1",
    "alert `TargetDown`: invalid promql query",
    "write PromQL; this is none: up =="
)]
fn settings_that_contradict_are_refused(
    #[case] overlay: &str,
    #[case] place: &str,
    #[case] message: &str,
    #[case] remedy: &str,
) {
    check(overlay, place, message, remedy);
}

#[rstest]
#[case::a_record_without_its_end(
    "{ workloads.relayer.replicas = 3",
    "local.ncl:1",
    "this is no Nickel: unexpected end of file when parsing local.ncl",
    "see the line above; config.ncl shows how it is written"
)]
#[case::a_comma_too_many(
    "{ workloads.relayer.replicas = 3,, }",
    "local.ncl:1",
    "this is no Nickel: unexpected token",
    "see the line above; config.ncl shows how it is written"
)]
#[case::a_colon(
    "{ workloads.relayer.replicas: 3 = }",
    "local.ncl:1",
    "invalid contract expression: this can't be used as a contract",
    "This expression is used as a contract as part of an annotation or a type expression."
)]
#[case::an_unknown_word(
    "{ workloads.relayer.replicas = three }",
    "local.ncl:1",
    "unbound identifier `three`",
    "see the line above; config.ncl shows how it is written"
)]
#[case::a_sum_of_unlike_things(
    r#"{ workloads.relayer.replicas = 1 + "a" }"#,
    "local.ncl:1",
    "dynamic type error: this expression has type String, but Number was expected",
    "(+) expects its 2nd argument to be a Number"
)]
#[case::a_list_not_a_record("[1]", "local.ncl:1", "a page is a record, and this is none", "write a record: { … }")]
#[case::a_value_that_waits_for_itself(
    "{ workloads.relayer.replicas = workloads.relayer.replicas }",
    "local.ncl:1",
    "infinite recursion: recursive reference",
    "see the line above; config.ncl shows how it is written"
)]
fn text_that_is_no_spec_is_refused(
    #[case] overlay: &str,
    #[case] place: &str,
    #[case] message: &str,
    #[case] remedy: &str,
) {
    check(overlay, place, message, remedy);
}
