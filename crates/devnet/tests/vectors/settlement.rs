//! `mining.json`, kind `settlement`: the recorded state before, one block of ours, the recorded state after. The rules are
//! judged where they are; here is judged what the chain does with their outcome: money, stakes, claims, events.

use std::{collections::BTreeMap, sync::Arc};

use pocket_crypto::address::Address;
use pocket_devnet::{
    Chain, State,
    state::{Map, ServiceDifficulty, Validator, stake_of},
};
use pocket_proto::pocket::{
    application::Application,
    proof::Claim,
    shared::{
        ApplicationServiceConfig, RpcType, Service, ServiceConfigUpdate, ServiceRevenueShare, Supplier,
        SupplierEndpoint, SupplierServiceConfig,
    },
};
use pocket_protocol::{
    Upokt,
    mining::{BASE_TARGET, Difficulty, DifficultyEntry},
    params::{Shared, SharedState, Shares, Tokenomics, coin},
    session::Candidate,
};
use serde_json::Value;

use super::replay::chain_at;
use crate::{print_counts, read};

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} of {value}"))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap())
}

fn upokt(value: &Value) -> Upokt {
    Upokt(value.as_str().unwrap().parse().unwrap())
}

fn hash(value: &Value) -> [u8; 32] {
    hex::decode(value.as_str().unwrap()).unwrap().try_into().unwrap()
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn shares(value: &Value) -> Shares {
    let share = |name: &str| value[name].as_f64().unwrap();
    Shares {
        dao: share("dao"),
        proposer: share("proposer"),
        supplier: share("supplier"),
        source_owner: share("source_owner"),
        application: share("application"),
    }
}

/// Shared parameters whose windows are together as long as recorded.
fn shared(case: &Value) -> Shared {
    let recorded = &case["shared_params"];
    let sum = number(&recorded["window_offsets_sum"]);
    let claim_close = (sum - 1) / 2;
    Shared {
        num_blocks_per_session: number(&recorded["num_blocks_per_session"]),
        compute_units_to_tokens_multiplier: number(&recorded["compute_units_to_tokens_multiplier"]),
        compute_unit_cost_granularity: number(&recorded["compute_unit_cost_granularity"]),
        claim_window_open_offset_blocks: 1,
        claim_window_close_offset_blocks: claim_close,
        proof_window_open_offset_blocks: 0,
        proof_window_close_offset_blocks: sum - 1 - claim_close,
        ..Shared::DEFAULT
    }
}

fn service_id(case: &Value) -> String {
    let first = case["claims"].as_array().unwrap().first().map(claim);
    first.and_then(|claim| claim.session_header).map_or_else(|| "svc1".to_owned(), |header| header.service_id)
}

fn claim(value: &Value) -> Claim {
    prost::Message::decode(&hex::decode(text(value, "claim")).unwrap()[..]).unwrap()
}

fn list<'a>(case: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    case[key].as_array().unwrap().iter()
}

/// Replaces what the network's genesis holds by the recorded state.
fn prepare(state: &mut State, case: &Value) {
    let service: Arc<str> = Arc::from(service_id(case));
    state.balances = Map::new_sync();
    state.supply = 0;
    state.applications = Map::new_sync();
    for key in state.suppliers.keys().cloned().collect::<Vec<_>>() {
        state.suppliers.remove_mut(&key);
    }
    for key in state.service_configs.keys().cloned().collect::<Vec<_>>() {
        state.remove_service_config(&key);
    }
    state.shared = Arc::new(SharedState::new(shared(case)));
    let end = case["session_end"].as_i64().unwrap();
    let seed = state.shared_at(end).windows_at(end).seed_height();
    state.block_hashes.insert_mut(seed, hash(&case["seed_block_hash"]));
    let owner = text(case, "service_owner").to_owned();
    let compute_units_per_relay = number(&case["compute_units_per_relay"]);
    let facts =
        Service { id: service.to_string(), owner_address: owner, compute_units_per_relay, ..Service::default() };
    state.services.insert_mut(Arc::clone(&service), Arc::new(facts));
    let target = hash(&case["target_hash"]);
    if target != BASE_TARGET {
        let live = Difficulty { block_height: 1, num_relays_ema: 1, target };
        let history = vec![DifficultyEntry { effective_height: 1, difficulty: live.clone() }];
        state.difficulties.insert_mut(Arc::clone(&service), Arc::new(ServiceDifficulty { live, history }));
    }
    for one in list(case, "applications") {
        let staked = upokt(&one["stake"]);
        let application = Application {
            address: text(one, "address").to_owned(),
            stake: Some(coin(staked)),
            service_configs: vec![ApplicationServiceConfig { service_id: service.to_string() }],
            per_session_spend_limit: one["per_session_spend_limit"]
                .as_str()
                .map(|limit| coin(Upokt(limit.parse().unwrap()))),
            ..Application::default()
        };
        state.applications.insert_mut(address(&application.address), Arc::new(application));
        state.endow(&Address::module("application"), staked.0);
    }
    for one in list(case, "suppliers") {
        let staked = upokt(&one["stake"]);
        let operator = text(one, "operator_address").to_owned();
        let rev_share = list(one, "rev_share").map(|share| ServiceRevenueShare {
            address: text(share, "address").to_owned(),
            rev_share_percentage: number(&share["percentage"]),
        });
        let endpoint = SupplierEndpoint {
            url: "http://x.example".to_owned(),
            rpc_type: RpcType::JsonRpc.into(),
            configs: Vec::new(),
        };
        let config = SupplierServiceConfig {
            service_id: service.to_string(),
            endpoints: vec![endpoint],
            rev_share: rev_share.collect(),
        };
        let supplier = Supplier {
            operator_address: operator.clone(),
            owner_address: text(one, "owner_address").to_owned(),
            stake: Some(coin(staked)),
            services: vec![config.clone()],
            ..Supplier::default()
        };
        state.put_supplier(address(&operator), supplier);
        let update = ServiceConfigUpdate {
            operator_address: operator.clone(),
            service: Some(config),
            activation_height: 1,
            deactivation_height: 0,
        };
        state.put_service_config(&operator, update);
        state.endow(&Address::module("supplier"), staked.0);
    }
    for one in list(case, "claims") {
        let claim = claim(one);
        state.put_claim(text(one, "session_id"), &claim.supplier_operator_address.clone(), claim);
    }
    set_params(state, case);
}

fn set_params(state: &mut State, case: &Value) {
    let (proof, tokenomics) = (&case["proof_params"], &case["tokenomics_params"]);
    state.with_params(|params| {
        params.proof.missing_penalty = upokt(&proof["proof_missing_penalty"]);
        params.proof.requirement_threshold = upokt(&proof["proof_requirement_threshold"]);
        params.proof.request_probability = proof["proof_request_probability"].as_f64().unwrap();
        params.application.min_stake = upokt(&case["application_min_stake"]);
        params.supplier.min_stake = upokt(&case["supplier_min_stake"]);
        params.tokenomics = Tokenomics {
            dao_reward_address: text(tokenomics, "dao_reward_address").to_owned(),
            mint_allocation: shares(&tokenomics["mint_allocation_percentages"]),
            mint_equals_burn_distribution: shares(&tokenomics["mint_equals_burn_claim_distribution"]),
            global_inflation_per_claim: tokenomics["global_inflation_per_claim"].as_f64().unwrap(),
            mint_ratio: tokenomics["mint_ratio"].as_f64().unwrap(),
            overservicing_bonus_multiplier: number(&tokenomics["overservicing_bonus_multiplier"]),
        };
    });
    let validator = Validator {
        account: address(text(&case["addresses"], "validator")),
        commission_rate: 0,
        ..Validator::clone(&state.validator)
    };
    state.validator = Arc::new(validator);
}

/// Balances by the roles that the recording names.
fn balances(state: &State, case: &Value) -> BTreeMap<String, i128> {
    let roles = case["addresses"].as_object().unwrap().iter();
    let mut balances: BTreeMap<String, i128> =
        roles.map(|(role, address)| (role.clone(), state.balance(address.as_str().unwrap()).cast_signed())).collect();
    for module in ["application", "supplier", "tokenomics"] {
        balances.insert(format!("module:{module}"), state.balance(Address::module(module).as_str()).cast_signed());
    }
    balances.insert("total_supply".to_owned(), state.supply.cast_signed());
    balances
}

fn check_money(name: &str, case: &Value, before: &BTreeMap<String, i128>, after: &BTreeMap<String, i128>) {
    let recorded = case["go"]["balance_changes"].as_object().unwrap();
    for (role, before) in before {
        let expected: i128 = recorded.get(role).map_or(0, |change| change.as_str().unwrap().parse().unwrap());
        assert_eq!(after[role] - before, expected, "{name}: change of {role}");
    }
    for role in recorded.keys() {
        assert!(before.contains_key(role), "{name}: unknown role {role}");
    }
}

fn check_stakes(name: &str, case: &Value, state: &State) {
    let go = &case["go"];
    for (role, expected) in go["stakes_after"].as_object().unwrap() {
        let address = text(&case["addresses"], role);
        let (staked, unstake) = if let Some(application) = state.applications.get(address) {
            (stake_of(application.stake.as_ref()), application.unstake_session_end_height)
        } else {
            let supplier = state.suppliers.get(address).unwrap_or_else(|| panic!("{name}: {role} is gone"));
            (stake_of(supplier.stake.as_ref()), supplier.unstake_session_end_height)
        };
        assert_eq!(staked, upokt(expected), "{name}: stake of {role}");
        let expected = number(&go["unstake_session_end_height_after"][role]);
        assert_eq!(unstake, expected, "{name}: unbonding of {role}");
    }
}

fn check_events(name: &str, case: &Value, chain: &Chain) {
    let block = chain.block(None).unwrap();
    let ours: Vec<_> = block
        .events()
        .filter(|event| event.r#type.starts_with("pocket.") && !event.r#type.starts_with("pocket.service."))
        .collect();
    let theirs: Vec<&Value> = case["go"]["events"].as_array().unwrap().iter().collect();
    let kinds: Vec<&str> = ours.iter().map(|event| event.r#type.as_str()).collect();
    let expected: Vec<&str> = theirs.iter().map(|event| text(event, "type")).collect();
    assert_eq!(kinds, expected, "{name}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        let mut attributes: BTreeMap<&str, &str> =
            ours.attributes.iter().map(|one| (one.key.as_str(), one.value.as_str())).collect();
        assert_eq!(attributes.remove("mode"), Some("EndBlock"), "{name}");
        for (key, expected) in theirs["attributes"].as_object().unwrap() {
            // The recorded validator had no delegation, ours delegates to itself.
            if key == "total_delegated_stake_upokt" {
                continue;
            }
            assert_eq!(attributes.get(key.as_str()), expected.as_str().as_ref(), "{name}: {} {key}", ours.r#type);
        }
        assert_eq!(attributes.len(), theirs["attributes"].as_object().unwrap().len(), "{name}");
    }
}

fn check_afterwards(name: &str, case: &Value, chain: &Chain) {
    let operator = text(&case["addresses"], "supplier0");
    for later in case["go"]["slashed_supplier_afterwards"].as_array().into_iter().flatten() {
        let height = later["height"].as_i64().unwrap();
        while chain.height() < height {
            chain.produce_block().unwrap();
        }
        let state = chain.state();
        assert_eq!(state.suppliers.get(operator).is_some(), later["still_in_store"] == true, "{name} at {height}");
        let configs = state.configs_of_supplier(operator);
        let active = configs.iter().any(|(_, update)| {
            let (activation_height, deactivation_height) = (update.activation_height, update.deactivation_height);
            Candidate { operator, activation_height, deactivation_height }.is_active_at(height)
        });
        assert_eq!(active, later["still_in_session"] == true, "{name} at {height}");
    }
}

#[test]
fn vectors_mining_settlements_move_money_stakes_and_claims_as_recorded() {
    let file = read("mining.json");
    let mut counts = BTreeMap::new();
    for case in file["cases"].as_array().unwrap().iter().filter(|case| case["kind"] == "settlement") {
        let name = text(case, "name");
        let height = case["settlement_height"].as_i64().unwrap();
        let chain = chain_at(height - 1, |state| prepare(state, case));
        let before = balances(&chain.state(), case);
        chain.produce_block().unwrap();
        let state = chain.state();
        check_money(name, case, &before, &balances(&state, case));
        check_stakes(name, case, &state);
        assert_eq!(state.claims.size() as u64, number(&case["go"]["claims_left"]), "{name}: claims left");
        assert_eq!(state.claims_by_end.size(), state.claims.size(), "{name}: index by end");
        assert_eq!(state.claims_by_supplier.size(), state.claims.size(), "{name}: index by supplier");
        check_events(name, case, &chain);
        check_afterwards(name, case, &chain);
        *counts.entry("settlement".to_owned()).or_insert(0) += 1;
    }
    print_counts("mining.json", &counts);
}
