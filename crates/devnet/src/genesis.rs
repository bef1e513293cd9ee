//! From facts to the state before the first block.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use pocket_config::facts::{self, Amount, Facts};
use pocket_crypto::{address::Address, hash, keys::PublicKey};
use pocket_proto::{
    cosmos::base::v1beta1::Coin,
    pocket::{
        application, gateway,
        shared::{
            ApplicationServiceConfig, RpcType, Service, ServiceConfigUpdate, ServiceRevenueShare, Supplier,
            SupplierEndpoint, SupplierServiceConfig,
        },
    },
};
use pocket_protocol::{
    Upokt,
    params::{self, SessionState, SharedState},
};

use crate::{
    moment::Time,
    state::{AuthParams, Choices, Map, Params, State, Validator},
};

/// Facts that do not make a network: which, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {problem}")]
pub struct GenesisError {
    what: String,
    problem: String,
}

fn wrong(what: impl Into<String>, problem: impl Into<String>) -> GenesisError {
    GenesisError { what: what.into(), problem: problem.into() }
}

/// Returns the state before the first block. `seed` enters the application hash, so that every block hash follows from
/// it and from the facts.
pub fn state(facts: &Facts, seed: u64) -> Result<State, GenesisError> {
    let time = Time::parse(&facts.genesis_time)
        .ok_or_else(|| wrong("genesis_time", format!("`{}` is no RFC 3339 time", facts.genesis_time)))?;
    let names = Names::read(facts)?;
    let mut state = State {
        chain_id: Arc::from(facts.chain_id.as_str()),
        height: 0,
        time,
        app_hash: genesis_hash(facts, seed),
        undone: None,
        validator: Arc::new(validator(&facts.validator, &names)?),
        accounts: Map::new_sync(),
        accounts_next: 0,
        balances: Map::new_sync(),
        supply: 0,
        params: Arc::new(params(&facts.params, &facts.denom, &names)?),
        shared: Arc::new(SharedState::new(shared_params(&facts.params.shared)?)),
        session: Arc::new(SessionState::new(session_params(&facts.params.session)?)),
        block_hashes: Map::new_sync(),
        services: Map::new_sync(),
        compute_units: Map::new_sync(),
        difficulties: Map::new_sync(),
        applications: Map::new_sync(),
        gateways: Map::new_sync(),
        suppliers: Map::new_sync(),
        service_configs: Map::new_sync(),
        configs_by_supplier: Map::new_sync(),
        suppliers_revision: 0,
        choices: Choices::default(),
        unbonding_suppliers: Map::new_sync(),
        claims: Map::new_sync(),
        claims_by_end: Map::new_sync(),
        claims_by_supplier: Map::new_sync(),
        proofs: Map::new_sync(),
        nonces: Map::new_sync(),
    };
    open_accounts(&mut state, facts)?;
    let rpc_types = add_services(&mut state, facts, &names)?;
    add_applications(&mut state, facts, &names)?;
    add_gateways(&mut state, facts, &names)?;
    add_suppliers(&mut state, facts, &names, &rpc_types)?;
    Ok(state)
}

fn genesis_hash(facts: &Facts, seed: u64) -> [u8; 32] {
    let text = serde_json::to_vec(facts).expect("facts are plain data with text keys");
    hash::sha256_parts(&[b"pocket devnet genesis 1", &seed.to_be_bytes(), &text])
}

/// Addresses by account name.
struct Names(BTreeMap<String, Address>);

impl Names {
    fn read(facts: &Facts) -> Result<Self, GenesisError> {
        let mut names = BTreeMap::new();
        for account in &facts.accounts {
            let address = account
                .address
                .parse()
                .map_err(|error| wrong(format!("account {}", account.name), format!("{error}")))?;
            if names.insert(account.name.clone(), address).is_some() {
                return Err(wrong(format!("account {}", account.name), "is there twice"));
            }
        }
        Ok(Self(names))
    }

    fn find(&self, what: &str, name: &str) -> Result<&Address, GenesisError> {
        self.0.get(name).ok_or_else(|| wrong(what, format!("there is no account named `{name}`")))
    }
}

fn open_accounts(state: &mut State, facts: &Facts) -> Result<(), GenesisError> {
    for account in &facts.accounts {
        let what = || format!("account {}", account.name);
        let address: Address = account.address.parse().map_err(|error| wrong(what(), format!("{error}")))?;
        let key = hex::decode(&account.public_key)
            .ok()
            .and_then(|bytes| PublicKey::from_bytes(&bytes).ok())
            .ok_or_else(|| wrong(what(), "its public key is not 66 hexadecimal digits of a compressed point"))?;
        if key.address() != address {
            return Err(wrong(what(), format!("its public key belongs to {}", key.address())));
        }
        state.open_account(address.clone(), facts.public_keys_at_genesis.then_some(key), None);
        state.endow(&address, account.balance_upokt.0);
    }
    state.open_modules();
    for (module, balance) in &facts.module_balances_upokt {
        if !crate::state::MODULES.iter().any(|(name, _)| name == module) {
            return Err(wrong("module_balances_upokt", format!("there is no module `{module}`")));
        }
        state.endow(&Address::module(module), balance.0);
    }
    let bonded = facts.validator.self_bond_upokt.0;
    let account = state.validator.account.clone();
    let mut unseen = Vec::new();
    // The validator's genesis transaction bonds its stake out of its balance.
    state
        .transfer(&account, &Address::module("bonded_tokens_pool"), bonded, &mut unseen)
        .map_err(|error| wrong("validator", error.to_string()))
}

fn add_services(state: &mut State, facts: &Facts, names: &Names) -> Result<BTreeMap<String, RpcType>, GenesisError> {
    let mut rpc_types = BTreeMap::new();
    for one in &facts.services {
        let what = format!("service {}", one.id);
        pocket_protocol::session::check_service_id(&one.id).map_err(|error| wrong(&what, error.text))?;
        let rpc_type = RpcType::from_str_name(&one.rpc_type)
            .ok_or_else(|| wrong(&what, format!("`{}` is no RPC type", one.rpc_type)))?;
        rpc_types.insert(one.id.clone(), rpc_type);
        let service = Service {
            id: one.id.clone(),
            name: one.name.clone(),
            compute_units_per_relay: one.compute_units_per_relay,
            owner_address: names.find(&what, &one.owner)?.to_string(),
            metadata: None,
        };
        state.services.insert_mut(Arc::from(one.id.as_str()), Arc::new(service));
    }
    Ok(rpc_types)
}

fn add_applications(state: &mut State, facts: &Facts, names: &Names) -> Result<(), GenesisError> {
    for one in &facts.applications {
        let what = format!("application {}", one.account);
        let address = names.find(&what, &one.account)?;
        if state.services.get(one.service.as_str()).is_none() {
            return Err(wrong(what, format!("there is no service `{}`", one.service)));
        }
        let mut gateways = Vec::new();
        for gateway in &one.gateways {
            gateways.push(names.find(&what, gateway)?.to_string());
        }
        let application = application::Application {
            address: address.to_string(),
            stake: Some(coin(one.stake_upokt)),
            service_configs: vec![ApplicationServiceConfig { service_id: one.service.clone() }],
            delegatee_gateway_addresses: gateways,
            ..application::Application::default()
        };
        state.applications.insert_mut(address.clone(), Arc::new(application));
    }
    Ok(())
}

fn add_gateways(state: &mut State, facts: &Facts, names: &Names) -> Result<(), GenesisError> {
    for one in &facts.gateways {
        let address = names.find(&format!("gateway {}", one.account), &one.account)?;
        let gateway = gateway::Gateway {
            address: address.to_string(),
            stake: Some(coin(one.stake_upokt)),
            ..gateway::Gateway::default()
        };
        state.gateways.insert_mut(address.clone(), Arc::new(gateway));
    }
    Ok(())
}

fn add_suppliers(
    state: &mut State,
    facts: &Facts,
    names: &Names,
    rpc_types: &BTreeMap<String, RpcType>,
) -> Result<(), GenesisError> {
    for one in &facts.suppliers {
        let what = format!("supplier {}", one.account);
        let operator = names.find(&what, &one.account)?;
        let mut rev_share = Vec::new();
        for share in &one.rev_share {
            rev_share.push(ServiceRevenueShare {
                address: names.find(&what, &share.account)?.to_string(),
                rev_share_percentage: share.percentage,
            });
        }
        let mut services = Vec::new();
        for service_id in &one.services {
            let rpc_type = *rpc_types
                .get(service_id)
                .ok_or_else(|| wrong(&what, format!("there is no service `{service_id}`")))?;
            let scheme = if rpc_type == RpcType::Websocket { "ws" } else { "http" };
            let endpoint = SupplierEndpoint {
                url: format!("{scheme}://{}", facts.relayer_endpoint),
                rpc_type: rpc_type.into(),
                configs: Vec::new(),
            };
            services.push(SupplierServiceConfig {
                service_id: service_id.clone(),
                endpoints: vec![endpoint],
                rev_share: rev_share.clone(),
            });
        }
        for service in &services {
            let update = ServiceConfigUpdate {
                operator_address: operator.to_string(),
                service: Some(service.clone()),
                activation_height: 1,
                deactivation_height: 0,
            };
            state.put_service_config(operator.as_str(), update);
        }
        let supplier = Supplier {
            owner_address: names.find(&what, &one.owner)?.to_string(),
            operator_address: operator.to_string(),
            stake: Some(coin(one.stake_upokt)),
            services,
            ..Supplier::default()
        };
        state.put_supplier(operator.clone(), supplier);
    }
    Ok(())
}

fn validator(facts: &facts::Validator, names: &Names) -> Result<Validator, GenesisError> {
    let key = BASE64
        .decode(&facts.consensus_public_key_base64)
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .ok_or_else(|| wrong("validator", "its consensus key is not 32 bytes in base64"))?;
    let address = hex::decode(&facts.consensus_address_hex)
        .ok()
        .and_then(|bytes| <[u8; 20]>::try_from(bytes).ok())
        .ok_or_else(|| wrong("validator", "its consensus address is not 40 hexadecimal digits"))?;
    if address[..] != hash::sha256(&key)[..20] {
        return Err(wrong("validator", "its consensus address does not belong to its consensus key"));
    }
    Ok(Validator {
        account: names.find("validator", &facts.account)?.clone(),
        moniker: facts.moniker.clone(),
        bonded: facts.self_bond_upokt.0,
        commission_rate: crate::decimal::parse(&facts.commission_rate)
            .ok_or_else(|| wrong("validator", format!("`{}` is no decimal", facts.commission_rate)))?,
        consensus_key: key,
        consensus_address: address,
        node_id: facts.node_id.clone(),
    })
}

fn shared_params(facts: &facts::SharedParams) -> Result<params::Shared, GenesisError> {
    let shared = params::Shared {
        num_blocks_per_session: facts.num_blocks_per_session,
        grace_period_end_offset_blocks: facts.grace_period_end_offset_blocks,
        claim_window_open_offset_blocks: facts.claim_window_open_offset_blocks,
        claim_window_close_offset_blocks: facts.claim_window_close_offset_blocks,
        proof_window_open_offset_blocks: facts.proof_window_open_offset_blocks,
        proof_window_close_offset_blocks: facts.proof_window_close_offset_blocks,
        supplier_unbonding_period_sessions: facts.supplier_unbonding_period_sessions,
        application_unbonding_period_sessions: facts.application_unbonding_period_sessions,
        compute_units_to_tokens_multiplier: facts.compute_units_to_tokens_multiplier,
        gateway_unbonding_period_sessions: facts.gateway_unbonding_period_sessions,
        compute_unit_cost_granularity: facts.compute_unit_cost_granularity,
        session_grid_anchor_height: 0,
        session_number_at_anchor: 0,
    };
    shared.validate().map_err(|error| wrong("params.shared", error.text))?;
    Ok(shared)
}

fn session_params(facts: &facts::SessionParams) -> Result<params::Session, GenesisError> {
    let session = params::Session { num_suppliers_per_session: facts.num_suppliers_per_session };
    session.validate().map_err(|error| wrong("params.session", error.text))?;
    Ok(session)
}

fn params(facts: &facts::Params, denom: &str, names: &Names) -> Result<Params, GenesisError> {
    if denom != "upokt" {
        return Err(wrong("denom", format!("`{denom}` instead of `upokt`, the only one the chain's rules know")));
    }
    let dao = names.find("params.tokenomics.dao_reward_account", &facts.tokenomics.dao_reward_account)?;
    let proof = params::Proof {
        request_probability: facts.proof.proof_request_probability,
        requirement_threshold: upokt(facts.proof.proof_requirement_threshold_upokt),
        missing_penalty: upokt(facts.proof.proof_missing_penalty_upokt),
        submission_fee: upokt(facts.proof.proof_submission_fee_upokt),
    };
    proof.validate().map_err(|error| wrong("params.proof", error.text))?;
    let tokenomics = params::Tokenomics {
        dao_reward_address: dao.to_string(),
        mint_allocation: shares(&facts.tokenomics.mint_allocation_percentages),
        mint_equals_burn_distribution: shares(&facts.tokenomics.mint_equals_burn_claim_distribution),
        global_inflation_per_claim: facts.tokenomics.global_inflation_per_claim,
        mint_ratio: facts.tokenomics.mint_ratio,
        overservicing_bonus_multiplier: facts.tokenomics.overservicing_bonus_multiplier,
    };
    tokenomics.validate().map_err(|error| wrong("params.tokenomics", error.text))?;
    Ok(Params {
        proof,
        tokenomics,
        service: params::Service {
            add_service_fee: upokt(facts.service.add_service_fee_upokt),
            target_num_relays: facts.service.target_num_relays,
        },
        application: params::Application {
            max_delegated_gateways: facts.application.max_delegated_gateways,
            min_stake: upokt(facts.application.min_stake_upokt),
        },
        supplier: params::Supplier {
            min_stake: upokt(facts.supplier.min_stake_upokt),
            staking_fee: upokt(facts.supplier.staking_fee_upokt),
        },
        gateway: params::Gateway { min_stake: upokt(facts.gateway.min_stake_upokt) },
        auth: AuthParams {
            max_memo_characters: facts.auth.max_memo_characters,
            tx_sig_limit: facts.auth.tx_sig_limit,
            tx_size_cost_per_byte: facts.auth.tx_size_cost_per_byte,
            sig_verify_cost_ed25519: facts.auth.sig_verify_cost_ed25519,
            sig_verify_cost_secp256k1: facts.auth.sig_verify_cost_secp256k1,
        },
    })
}

fn shares(facts: &facts::Shares) -> params::Shares {
    params::Shares {
        dao: facts.dao,
        proposer: facts.proposer,
        supplier: facts.supplier,
        source_owner: facts.source_owner,
        application: facts.application,
    }
}

fn upokt(amount: Amount) -> Upokt {
    Upokt(amount.0)
}

fn coin(amount: Amount) -> Coin {
    Coin { denom: "upokt".to_owned(), amount: amount.0.to_string() }
}
