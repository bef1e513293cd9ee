//! `mining.json`: whole settlements, with every balance, stake and event.

use std::collections::BTreeMap;

use pocket_proto::cosmos::base::v1beta1::Coin;
use pocket_proto::pocket::application::Application;
use pocket_proto::pocket::proof::Claim;
use pocket_proto::pocket::shared::{
    ApplicationServiceConfig, RpcType, ServiceConfigUpdate, ServiceRevenueShare, Supplier, SupplierEndpoint,
    SupplierServiceConfig,
};
use pocket_protocol::Upokt;
use pocket_protocol::mining::{Difficulty, DifficultyEntry};
use pocket_protocol::params::{Proof, Shared, SharedState, Shares, Tokenomics};
use pocket_protocol::settlement::{Movement, ServiceFacts, SettlementInput, SettlementOutcome, Validator, settle};
use pocket_protocol::windows::Windows;
use prost::Message as _;
use serde_json::Value;

use super::{Case, integer};

const SERVICE: &str = "svc1";

pub(crate) fn settlement(case: &Case<'_>) {
    let state = State::of(case);
    let outcome = settle(&state.input()).unwrap_or_else(|error| panic!("{}: {error}", case.name()));
    let go = case.object("go");
    assert_eq!(go.at("ok"), true, "{}: the chain settles", case.name());

    let removed = outcome.removed.len() as u64;
    let counts = (outcome.settled, outcome.expired, outcome.discarded, state.claims.len() as u64 - removed);
    let expected = (go.integer("settled"), go.integer("expired"), go.integer("discarded"), go.integer("claims_left"));
    assert_eq!(counts, expected, "{}: settled, expired, discarded, left", case.name());

    assert_eq!(balance_changes(&outcome), state.expected_changes(&go), "{}: balances", case.name());
    state.check_stakes(case, &go, &outcome);

    let emitted: Vec<_> = outcome.events.iter().map(pocket_protocol::settlement::Event::typed).collect();
    let expected: Vec<_> = go.list("events").iter().map(event).collect();
    for (index, (emitted, expected)) in emitted.iter().zip(&expected).enumerate() {
        assert_eq!(emitted, expected, "{}: event {index}", case.name());
    }
    assert_eq!(emitted.len(), expected.len(), "{}: number of events", case.name());
}

/// The chain's state before the settlement.
struct State {
    height: i64,
    claims: Vec<Claim>,
    shared: SharedState,
    proof: Proof,
    tokenomics: Tokenomics,
    application_min_stake: Upokt,
    supplier_min_stake: Upokt,
    applications: BTreeMap<String, Application>,
    suppliers: BTreeMap<String, Supplier>,
    services: BTreeMap<String, ServiceFacts>,
    block_hashes: BTreeMap<i64, Vec<u8>>,
    validators: Vec<Validator>,
    addresses: BTreeMap<String, String>,
}

impl State {
    fn of(case: &Case<'_>) -> Self {
        let shared = shared(&case.object("shared_params"));
        let seed_height = Windows::after(case.integer("session_end"), shared.offsets()).seed_height();
        let addresses: BTreeMap<String, String> = case
            .entries("addresses")
            .map(|(role, address)| (role.to_owned(), address.as_str().expect("text").to_owned()))
            .collect();
        let proof = case.object("proof_params");
        Self {
            height: case.integer("settlement_height"),
            claims: case
                .list("claims")
                .iter()
                .map(|claim| Claim::decode(claim.bytes("claim").as_slice()).expect("a claim"))
                .collect(),
            shared: SharedState::new(shared),
            proof: Proof {
                request_probability: proof.float("proof_request_probability"),
                requirement_threshold: Upokt(proof.integer("proof_requirement_threshold")),
                missing_penalty: Upokt(proof.integer("proof_missing_penalty")),
                submission_fee: Upokt::ZERO,
            },
            tokenomics: tokenomics(&case.object("tokenomics_params")),
            application_min_stake: Upokt(case.integer("application_min_stake")),
            supplier_min_stake: Upokt(case.integer("supplier_min_stake")),
            applications: case.list("applications").iter().map(application).collect(),
            suppliers: case.list("suppliers").iter().map(supplier).collect(),
            services: [(SERVICE.to_owned(), service(case))].into(),
            block_hashes: [(seed_height, case.bytes("seed_block_hash"))].into(),
            validators: vec![validator(&addresses["validator"])],
            addresses,
        }
    }

    fn input(&self) -> SettlementInput<'_> {
        SettlementInput {
            height: self.height,
            claims: &self.claims,
            shared: &self.shared,
            proof: &self.proof,
            tokenomics: &self.tokenomics,
            application_min_stake: self.application_min_stake,
            supplier_min_stake: self.supplier_min_stake,
            applications: &self.applications,
            suppliers: &self.suppliers,
            services: &self.services,
            block_hashes: &self.block_hashes,
            validators: &self.validators,
        }
    }

    /// Returns the recorded balance changes by address, module or `total_supply`.
    fn expected_changes(&self, go: &Case<'_>) -> BTreeMap<String, i128> {
        let changes = go.entries("balance_changes");
        changes
            .map(|(role, change)| {
                let account = self.addresses.get(role).map_or(role, String::as_str).to_owned();
                (account, integer(change).expect("an amount"))
            })
            .collect()
    }

    fn check_stakes(&self, case: &Case<'_>, go: &Case<'_>, outcome: &SettlementOutcome) {
        let mut after: BTreeMap<&str, (u128, i64)> = BTreeMap::new();
        let stake = |coin: &Option<Coin>| coin.as_ref().expect("a stake").amount.parse().expect("an amount");
        for (address, application) in &self.applications {
            after.insert(address, (stake(&application.stake), 0));
        }
        for (operator, supplier) in &self.suppliers {
            after.insert(operator, (stake(&supplier.stake), 0));
        }
        for change in &outcome.applications {
            after.insert(&change.address, (change.stake.0, change.unstake_session_end_height));
        }
        for change in &outcome.suppliers {
            after.insert(&change.operator_address, (change.stake.0, change.unstake_session_end_height));
        }
        let stakes: BTreeMap<&str, &Value> = go.entries("stakes_after").collect();
        let unstakes: BTreeMap<&str, &Value> = go.entries("unstake_session_end_height_after").collect();
        assert_eq!(stakes.len(), after.len(), "{}: stakes", case.name());
        for (role, expected) in stakes {
            let (stake, unstake) = after[self.addresses[role].as_str()];
            assert_eq!(Some(stake), integer(expected), "{}: stake of {role}", case.name());
            assert_eq!(Some(unstake), integer(unstakes[role]), "{}: unbonding of {role}", case.name());
        }
    }
}

/// Applies the bank operations one by one; no module may pay what it does not have beyond the stakes.
fn balance_changes(outcome: &SettlementOutcome) -> BTreeMap<String, i128> {
    let mut changes: BTreeMap<String, i128> = BTreeMap::new();
    let mut change = |account: &str, amount: i128| *changes.entry(account.to_owned()).or_default() += amount;
    for operation in &outcome.bank {
        let amount = i128::try_from(operation.amount.0).expect("an amount");
        match &operation.movement {
            Movement::Mint { module } => {
                change(&format!("module:{module}"), amount);
                change("total_supply", amount);
            }
            Movement::Burn { module } => {
                change(&format!("module:{module}"), -amount);
                change("total_supply", -amount);
            }
            Movement::ModuleToModule { from, to } => {
                change(&format!("module:{from}"), -amount);
                change(&format!("module:{to}"), amount);
            }
            Movement::ModuleToAccount { from, to } => {
                change(&format!("module:{from}"), -amount);
                change(to, amount);
            }
        }
    }
    changes.retain(|_, change| *change != 0);
    changes
}

fn event(event: &Case<'_>) -> (String, Vec<(String, String)>) {
    let attributes = event.entries("attributes");
    let mut attributes: Vec<_> =
        attributes.map(|(key, value)| (key.to_owned(), value.as_str().expect("JSON as text").to_owned())).collect();
    attributes.sort();
    (event.text("type").to_owned(), attributes)
}

/// Only the sum of the window offsets is recorded; how it is divided does not matter here.
fn shared(params: &Case<'_>) -> Shared {
    let sum: u64 = params.integer("window_offsets_sum");
    let shared = Shared {
        num_blocks_per_session: params.integer("num_blocks_per_session"),
        claim_window_open_offset_blocks: 1,
        claim_window_close_offset_blocks: 4,
        proof_window_open_offset_blocks: 0,
        proof_window_close_offset_blocks: sum - 5,
        compute_units_to_tokens_multiplier: params.integer("compute_units_to_tokens_multiplier"),
        compute_unit_cost_granularity: params.integer("compute_unit_cost_granularity"),
        ..Shared::DEFAULT
    };
    assert_eq!(shared.pending_sessions(), params.integer::<i64>("pending_sessions"));
    shared
}

fn tokenomics(params: &Case<'_>) -> Tokenomics {
    let shares = |field: &str| {
        let shares = params.object(field);
        Shares {
            dao: shares.float("dao"),
            proposer: shares.float("proposer"),
            supplier: shares.float("supplier"),
            source_owner: shares.float("source_owner"),
            application: shares.float("application"),
        }
    };
    Tokenomics {
        dao_reward_address: params.text("dao_reward_address").to_owned(),
        mint_allocation: shares("mint_allocation_percentages"),
        mint_equals_burn_distribution: shares("mint_equals_burn_claim_distribution"),
        global_inflation_per_claim: params.float("global_inflation_per_claim"),
        mint_ratio: params.float("mint_ratio"),
        overservicing_bonus_multiplier: params.integer("overservicing_bonus_multiplier"),
    }
}

fn application(case: &Case<'_>) -> (String, Application) {
    let address = case.text("address").to_owned();
    let application = Application {
        address: address.clone(),
        stake: Some(coin(case.text("stake"))),
        service_configs: vec![ApplicationServiceConfig { service_id: SERVICE.to_owned() }],
        per_session_spend_limit: case.get("per_session_spend_limit").map(|limit| coin(limit.as_str().expect("text"))),
        ..Application::default()
    };
    (address, application)
}

fn supplier(case: &Case<'_>) -> (String, Supplier) {
    let operator = case.text("operator_address").to_owned();
    let config = SupplierServiceConfig {
        service_id: SERVICE.to_owned(),
        endpoints: vec![SupplierEndpoint {
            url: "http://x.example".to_owned(),
            rpc_type: RpcType::JsonRpc.into(),
            configs: Vec::new(),
        }],
        rev_share: case
            .list("rev_share")
            .iter()
            .map(|share| ServiceRevenueShare {
                address: share.text("address").to_owned(),
                rev_share_percentage: share.integer("percentage"),
            })
            .collect(),
    };
    let supplier = Supplier {
        owner_address: case.text("owner_address").to_owned(),
        operator_address: operator.clone(),
        stake: Some(coin(case.text("stake"))),
        services: Vec::new(),
        unstake_session_end_height: 0,
        service_config_history: vec![ServiceConfigUpdate {
            operator_address: operator.clone(),
            service: Some(config),
            activation_height: 1,
            deactivation_height: 0,
        }],
    };
    (operator, supplier)
}

fn service(case: &Case<'_>) -> ServiceFacts {
    let difficulty = Difficulty { block_height: 1, num_relays_ema: 1, target: case.array("target_hash") };
    ServiceFacts {
        owner_address: case.text("service_owner").to_owned(),
        compute_units_per_relay: case.integer("compute_units_per_relay"),
        compute_units_history: Vec::new(),
        difficulty_history: vec![DifficultyEntry { effective_height: 1, difficulty }],
    }
}

/// One bonded validator, no commission, no delegations.
fn validator(account: &str) -> Validator {
    let address: pocket_crypto::address::Address = account.parse().expect("an address");
    Validator {
        operator_address: address.to_valoper(),
        account_address: account.to_owned(),
        bonded_tokens: Upokt(1_000_000),
        commission_rate: 0,
        delegations: Vec::new(),
    }
}

fn coin(amount: &str) -> Coin {
    Coin { denom: "upokt".to_owned(), amount: amount.to_owned() }
}
