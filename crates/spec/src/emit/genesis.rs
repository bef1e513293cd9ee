//! The genesis of a real node, from the same facts as the development chain's.
//!
//! What no fact of ours touches (governance, bridges, slashing, …) is `genesis_base.json`, as the reference's development
//! network has it. It differs from the reference's genesis where the spec says more: accounts have their public keys,
//! module accounts hold the sum of what was staked, and the coin `mact`, which nothing uses, is left out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pocket_crypto::address::Address;
use serde_json::{Value, json};

use super::File;
use super::facts::{decimal, module_balances};
use crate::plan::{Account, Plan, Supplier};

/// Modules whose state no fact of ours touches.
const BASE: &str = include_str!("genesis_base.json");

/// When the grants of the governance module end.
const GRANTS_END: &str = "2500-01-01T00:00:00Z";

/// Least deposit of a proposal, and that of one in a hurry.
const DEPOSIT_UPOKT: (u64, u64) = (10_000, 50_000_000);

/// Fee of reporting a broken invariant.
const CRISIS_FEE_UPOKT: u64 = 10_000;

/// Renders the file.
pub fn emit(plan: &Plan) -> Vec<File> {
    vec![File::json("tilt/config/genesis.json", &genesis(plan))]
}

/// The whole genesis.
pub fn genesis(plan: &Plan) -> Value {
    let base: Value = serde_json::from_str(BASE).expect("genesis_base.json is part of this crate and is valid");
    let mut state = base["app_state"].clone();
    let network = &plan.network;
    state["auth"] = json!({"params": text_numbers(&json!(network.params.auth)), "accounts": accounts(plan)});
    state["bank"] = bank(plan);
    state["application"] = applications(plan);
    state["gateway"] = gateways(plan);
    state["service"] = services(plan);
    state["supplier"] = suppliers(plan);
    state["session"] = json!({"params": network.params.session});
    state["shared"] = json!({"params": network.params.shared});
    state["proof"] = proof(plan);
    state["tokenomics"] = tokenomics(plan);
    state["genutil"] = json!({"gen_txs": [gentx(plan)]});
    state["authz"] = json!({"authorization": grants(plan, &base["granted_messages"])});
    state["staking"]["params"]["bond_denom"] = json!(network.denom);
    state["mint"]["params"]["mint_denom"] = json!(network.denom);
    state["crisis"]["constant_fee"] = coin(plan, CRISIS_FEE_UPOKT);
    state["gov"]["params"]["min_deposit"] = json!([coin(plan, DEPOSIT_UPOKT.0)]);
    state["gov"]["params"]["expedited_min_deposit"] = json!([coin(plan, DEPOSIT_UPOKT.1)]);
    json!({
        "app_name": "pocket",
        "app_version": plan.images.get("pocketd").map(|image| image.tag.clone()).unwrap_or_default(),
        "genesis_time": network.genesis_time,
        "chain_id": network.chain_id,
        "initial_height": 1,
        "app_hash": null,
        "consensus": base["consensus"],
        "app_state": state,
    })
}

fn accounts(plan: &Plan) -> Vec<Value> {
    plan.accounts
        .iter()
        .map(|account| {
            let key = plan.network.public_keys_at_genesis.then(|| public_key(account));
            json!({
                "@type": "/cosmos.auth.v1beta1.BaseAccount",
                "address": account.address,
                "pub_key": key,
                "account_number": account.number.to_string(),
                "sequence": "0",
            })
        })
        .collect()
}

fn public_key(account: &Account) -> Value {
    let bytes = hex::decode(&account.public_key).unwrap_or_default();
    json!({"@type": "/cosmos.crypto.secp256k1.PubKey", "key": BASE64.encode(bytes)})
}

/// Everybody's coins. The supply is their sum, so that it cannot be wrong.
fn bank(plan: &Plan) -> Value {
    let mut balances: Vec<(String, u64)> =
        plan.accounts.iter().map(|account| (account.address.clone(), account.balance)).collect();
    for (module, balance) in module_balances(plan) {
        let upokt = balance.as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
        balances.push((Address::module(&module).to_string(), upokt));
    }
    balances.sort();
    let supply: u128 = balances.iter().map(|(_, upokt)| u128::from(*upokt)).sum();
    let balances: Vec<Value> = balances
        .into_iter()
        .map(|(address, upokt)| json!({"address": address, "coins": [coin(plan, upokt)]}))
        .collect();
    json!({
        "params": {"send_enabled": [], "default_send_enabled": true},
        "balances": balances,
        "supply": [{"denom": plan.network.denom, "amount": supply.to_string()}],
        "denom_metadata": [],
        "send_enabled": [],
    })
}

fn applications(plan: &Plan) -> Value {
    let params = &plan.network.params.application;
    let list: Vec<Value> = plan
        .applications
        .iter()
        .map(|one| {
            let gateways: Vec<&str> = one.gateways.iter().map(|name| address(plan, name)).collect();
            json!({
                "address": one.address,
                "stake": coin(plan, one.stake),
                "service_configs": [{"service_id": one.service}],
                "delegatee_gateway_addresses": gateways,
            })
        })
        .collect();
    json!({
        "params": {"max_delegated_gateways": params.max_delegated_gateways.to_string(), "min_stake": coin(plan, params.min_stake)},
        "applicationList": list,
    })
}

fn gateways(plan: &Plan) -> Value {
    let list: Vec<Value> = plan
        .gateways
        .iter()
        .map(|(name, stake)| json!({"address": address(plan, name), "stake": coin(plan, *stake)}))
        .collect();
    json!({"params": {"min_stake": coin(plan, plan.network.params.gateway.min_stake)}, "gatewayList": list})
}

fn services(plan: &Plan) -> Value {
    let params = &plan.network.params.service;
    let list: Vec<Value> = plan
        .services
        .iter()
        .map(|one| {
            json!({
                "id": one.id,
                "name": one.id,
                "compute_units_per_relay": one.compute_units_per_relay,
                "owner_address": address(plan, &one.owner),
            })
        })
        .collect();
    json!({
        "params": {"add_service_fee": coin(plan, params.add_service_fee), "target_num_relays": params.target_num_relays},
        "serviceList": list,
        "relayMiningDifficultyList": [],
    })
}

fn suppliers(plan: &Plan) -> Value {
    let params = &plan.network.params.supplier;
    let list: Vec<Value> = plan.suppliers.iter().map(|one| supplier(plan, one)).collect();
    json!({
        "params": {"min_stake": coin(plan, params.min_stake), "staking_fee": coin(plan, params.staking_fee)},
        "supplierList": list,
    })
}

fn supplier(plan: &Plan, one: &Supplier) -> Value {
    let shares: Vec<Value> = one
        .rev_share
        .iter()
        .map(|(name, percent)| json!({"address": address(plan, name), "rev_share_percentage": percent}))
        .collect();
    let configs: Vec<Value> = plan
        .services
        .iter()
        .filter(|service| one.services.contains(&service.id))
        .map(|service| {
            let url = format!("{}://{}", service.rpc_type.scheme(), plan.network.relayer_endpoint);
            json!({
                "service_id": service.id,
                "endpoints": [{"url": url, "rpc_type": service.rpc_type.on_chain(), "configs": []}],
                "rev_share": shares,
            })
        })
        .collect();
    json!({
        "owner_address": one.address,
        "operator_address": one.address,
        "stake": coin(plan, one.stake),
        "services": configs,
    })
}

fn proof(plan: &Plan) -> Value {
    let params = &plan.network.params.proof;
    json!({
        "params": {
            "proof_request_probability": params.proof_request_probability.to_string(),
            "proof_requirement_threshold": coin(plan, params.proof_requirement_threshold),
            "proof_missing_penalty": coin(plan, params.proof_missing_penalty),
            "proof_submission_fee": coin(plan, params.proof_submission_fee),
        },
        "claim_list": [],
        "proof_list": [],
    })
}

fn tokenomics(plan: &Plan) -> Value {
    let params = &plan.network.params.tokenomics;
    json!({
        "params": {
            "dao_reward_address": address(plan, &params.dao_reward_account),
            "global_inflation_per_claim": params.global_inflation_per_claim,
            "mint_ratio": params.mint_ratio,
            "mint_allocation_percentages": params.mint_allocation_percentages,
            "mint_equals_burn_claim_distribution": params.mint_equals_burn_claim_distribution,
        },
    })
}

fn gentx(plan: &Plan) -> Value {
    let validator = &plan.validator;
    let key = plan.account(&validator.account).map(public_key);
    json!({
        "body": {
            "messages": [{
                "@type": "/cosmos.staking.v1beta1.MsgCreateValidator",
                "description": {
                    "moniker": validator.moniker, "identity": "", "website": "", "security_contact": "", "details": "",
                },
                "commission": {
                    "rate": decimal(&validator.commission.rate),
                    "max_rate": decimal(&validator.commission.max_rate),
                    "max_change_rate": decimal(&validator.commission.max_change_rate),
                },
                "min_self_delegation": "1",
                "delegator_address": "",
                "validator_address": validator.operator_address,
                "pubkey": {"@type": "/cosmos.crypto.ed25519.PubKey", "key": validator.consensus_public_key},
                "value": coin(plan, validator.self_bond),
            }],
            "memo": validator.memo,
            "timeout_height": "0",
            "unordered": false,
            "timeout_timestamp": null,
            "extension_options": [],
            "non_critical_extension_options": [],
        },
        "auth_info": {
            "signer_infos": [{
                "public_key": key,
                "mode_info": {"single": {"mode": "SIGN_MODE_DIRECT"}},
                "sequence": "0",
            }],
            "fee": {"amount": [], "gas_limit": crate::lock::GENTX_GAS_LIMIT.to_string(), "payer": "", "granter": ""},
            "tip": null,
        },
        "signatures": [validator.gentx_signature],
    })
}

/// What the governance module lets the DAO's account do.
fn grants(plan: &Plan, messages: &Value) -> Vec<Value> {
    let from = Address::module("gov");
    let to = address(plan, &plan.network.params.tokenomics.dao_reward_account);
    let messages = messages.as_array().map(Vec::as_slice).unwrap_or_default();
    messages
        .iter()
        .map(|message| {
            json!({
                "granter": from.as_str(),
                "grantee": to,
                "authorization": {"@type": "/cosmos.authz.v1beta1.GenericAuthorization", "msg": message},
                "expiration": GRANTS_END,
            })
        })
        .collect()
}

fn address<'a>(plan: &'a Plan, name: &str) -> &'a str {
    plan.account(name).map_or("", |account| account.address.as_str())
}

fn coin(plan: &Plan, upokt: u64) -> Value {
    json!({"denom": plan.network.denom, "amount": upokt.to_string()})
}

/// The Cosmos SDK writes its own whole numbers as texts.
fn text_numbers(value: &Value) -> Value {
    let Value::Object(object) = value else { return Value::String(value.to_string()) };
    object.iter().map(|(key, inner)| (key.clone(), text_numbers(inner))).collect()
}
