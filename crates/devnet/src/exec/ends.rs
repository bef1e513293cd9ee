//! The beginning and the end of a block, module by module in the chain's order (protocol §8.6).

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use pocket_crypto::{address::Address, ring::Verifier};
use pocket_proto::{
    pocket::{
        application::{
            Application, ApplicationUnbondingReason, EventApplicationStakeStuckInModulePool,
            EventApplicationUnbondingEnd,
        },
        gateway::{EventGatewayUnbondingEnd, Gateway},
        proof::Claim,
        service::EventRelayMiningDifficultyUpdated,
        shared::Supplier,
        supplier::{
            EventSupplierServiceConfigActivated, EventSupplierStakeStuckInModulePool, EventSupplierUnbondingEnd,
            SupplierUnbondingReason,
        },
    },
    tendermint::abci::Event,
};
use pocket_protocol::{
    Upokt, mining,
    params::coin,
    proof,
    settlement::{
        self, BankOperation, Delegation, Event as SettlementEvent, Movement, ServiceFacts, SettlementInput,
        SettlementOutcome, Validator,
    },
};

use super::{
    messages::{application_unbonding_end, gateway_unbonding_end, remove_gateway, supplier_unbonding_end},
    typed, typed_parts,
};
use crate::{
    event::mark,
    header::Hash,
    state::{HISTORY_BLOCKS, ServiceDifficulty, State, stake_of},
};

/// Ring keys that the verifier of proofs remembers.
const RING_KEYS_REMEMBERED: usize = 1_024;
/// Verifies ring signatures; it remembers the keys of rings it has seen, for all chains of this process.
static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| Verifier::new(RING_KEYS_REMEMBERED));

/// Begins a block after the bank's part: forgets nonces that have run out, and announces the service configurations
/// that begin to count.
pub fn begin_block(state: &mut State) -> Vec<Event> {
    let now = state.time.as_nanos();
    while let Some((nonce, ())) = state.nonces.first().filter(|((timeout, _), ())| *timeout < now) {
        let nonce = nonce.clone();
        state.nonces.remove_mut(&nonce);
    }
    let mut events = Vec::new();
    let height = state.height;
    // Genesis configurations count from the first block without being announced.
    if height > 1 && state.shared_at(height).session_at(height).starts_at(height) {
        for service in state.service_ids_configured() {
            for ((_, activation, operator), _) in state.service_configs_of(&service) {
                if *activation == height {
                    events.push(typed(&EventSupplierServiceConfigActivated {
                        activation_height: height,
                        operator_address: operator.to_string(),
                        service_id: service.to_string(),
                    }));
                }
            }
        }
    }
    mark(&mut events, "mode", "BeginBlock");
    events
}

/// Ends a block: session, proof, tokenomics, gateway, application, supplier, shared.
pub fn end_block(state: &mut State, block_hash: Hash) -> Vec<Event> {
    let mut events = Vec::new();
    store_block_hash(state, block_hash);
    validate_proofs(state, &mut events);
    let relays = settle(state, &mut events);
    update_difficulties(state, &relays, &mut events);
    end_gateways(state, &mut events);
    end_applications(state, &mut events);
    end_suppliers(state, &mut events);
    let height = state.height;
    if state.shared.history.starting_at(height).is_some() {
        Arc::make_mut(&mut state.shared).end_block(height);
    }
    prune(state);
    mark(&mut events, "mode", "EndBlock");
    events
}

fn store_block_hash(state: &mut State, block_hash: Hash) {
    state.block_hashes.insert_mut(state.height, block_hash);
    state.block_hashes.remove_mut(&(state.height - HISTORY_BLOCKS));
}

fn validate_proofs(state: &mut State, events: &mut Vec<Event>) {
    let proofs: Vec<_> = state.proofs.iter().map(|(key, proof)| (key.clone(), Arc::clone(proof))).collect();
    for (key, stored) in proofs {
        let verdict = proof::validate(state, &stored, &VERIFIER);
        let Some(claim) = verdict.claim() else { continue };
        if let Some(event) = verdict.event(state.height) {
            events.push(typed(&event));
        }
        state.put_claim(&key.0, &key.1, claim);
        state.proofs.remove_mut(&key);
    }
}

fn settle(state: &mut State, events: &mut Vec<Event>) -> BTreeMap<String, u64> {
    let ends = settlement::due_session_ends(&state.shared, state.height);
    let keys: Vec<_> = ends.iter().flat_map(|end| state.claims_ending_at(*end)).collect();
    if keys.is_empty() {
        return BTreeMap::new();
    }
    let claims: Vec<Claim> =
        keys.iter().filter_map(|key| state.claims.get(key)).map(|claim| Claim::clone(claim)).collect();
    let outcome = match settlement_of(state, &claims, &ends) {
        Ok(outcome) => outcome,
        Err(error) => {
            // Only a state that no transaction can bring about comes here; the claims stay for whoever looks.
            tracing::error!(height = state.height, %error, "claims cannot be settled");
            return BTreeMap::new();
        }
    };
    apply(state, outcome, events)
}

fn settlement_of(state: &State, claims: &[Claim], ends: &[i64]) -> Result<SettlementOutcome, settlement::InputError> {
    let mut applications = BTreeMap::new();
    let mut suppliers = BTreeMap::new();
    let mut services = BTreeMap::new();
    for claim in claims {
        let Some(header) = &claim.session_header else { continue };
        if let Some(application) = state.applications.get(header.application_address.as_str()) {
            applications.insert(header.application_address.clone(), Application::clone(application));
        }
        let operator = &claim.supplier_operator_address;
        if !suppliers.contains_key(operator)
            && let Some(supplier) = state.supplier_hydrated(operator)
        {
            suppliers.insert(operator.clone(), supplier);
        }
        if let Some(service) = state.services.get(header.service_id.as_str()) {
            let id = header.service_id.as_str();
            let facts = ServiceFacts {
                owner_address: service.owner_address.clone(),
                compute_units_per_relay: service.compute_units_per_relay,
                compute_units_history: state
                    .compute_units
                    .get(id)
                    .map(|history| Vec::clone(history))
                    .unwrap_or_default(),
                difficulty_history: state.difficulties.get(id).map(|one| one.history.clone()).unwrap_or_default(),
            };
            services.insert(header.service_id.clone(), facts);
        }
    }
    let mut block_hashes = BTreeMap::new();
    for end in ends {
        let seed = state.shared_at(*end).windows_at(*end).seed_height();
        block_hashes.insert(seed, state.block_hash(seed).map(|hash| hash.to_vec()).unwrap_or_default());
    }
    let validator = &state.validator;
    let bonded = Upokt(validator.bonded);
    settlement::settle(&SettlementInput {
        height: state.height,
        claims,
        shared: &state.shared,
        proof: &state.params.proof,
        tokenomics: &state.params.tokenomics,
        application_min_stake: state.params.application.min_stake,
        supplier_min_stake: state.params.supplier.min_stake,
        applications: &applications,
        suppliers: &suppliers,
        services: &services,
        block_hashes: &block_hashes,
        validators: &[Validator {
            operator_address: validator.account.to_valoper(),
            account_address: validator.account.to_string(),
            bonded_tokens: bonded,
            commission_rate: validator.commission_rate,
            delegations: vec![Delegation { delegator_address: validator.account.to_string(), tokens: bonded }],
        }],
    })
}

fn apply(state: &mut State, outcome: SettlementOutcome, events: &mut Vec<Event>) -> BTreeMap<String, u64> {
    let mut bank = outcome.bank.into_iter();
    for event in &outcome.events {
        // Each sum is moved just before it is announced, and what is slashed just before that is.
        let movements = match event {
            SettlementEvent::SettlementBatch(_) => 1,
            SettlementEvent::SupplierSlashed(slashed) if slashed.proof_missing_penalty != "0upokt" => 2,
            _ => 0,
        };
        for operation in bank.by_ref().take(movements) {
            move_tokens(state, &operation, events);
        }
        let (kind, attributes) = event.typed();
        events.push(typed_parts(kind, &attributes));
    }
    for operation in bank {
        move_tokens(state, &operation, events);
    }
    for change in outcome.applications {
        if let Some(application) = state.applications.get(change.address.as_str()) {
            let mut application = Application::clone(application);
            application.stake = Some(coin(change.stake));
            application.unstake_session_end_height = change.unstake_session_end_height.unsigned_abs();
            if let Ok(address) = change.address.parse() {
                state.applications.insert_mut(address, Arc::new(application));
            }
        }
    }
    for change in outcome.suppliers {
        if let Some(supplier) = state.suppliers.get(change.operator_address.as_str()) {
            let mut supplier = Supplier::clone(supplier);
            supplier.stake = Some(coin(change.stake));
            supplier.unstake_session_end_height = change.unstake_session_end_height.unsigned_abs();
            if let Ok(address) = change.operator_address.parse() {
                state.put_supplier(address, supplier);
            }
        }
    }
    for key in outcome.removed {
        state.remove_claim(&crate::state::key(&key.session_id, &key.supplier_operator_address));
    }
    outcome.relays_per_service
}

fn move_tokens(state: &mut State, operation: &BankOperation, events: &mut Vec<Event>) {
    let amount = operation.amount.0;
    let moved = match &operation.movement {
        Movement::Mint { module } => {
            state.mint(module, amount, events);
            Ok(())
        }
        Movement::ModuleToModule { from, to } => {
            state.transfer(&Address::module(from), &Address::module(to), amount, events)
        }
        Movement::ModuleToAccount { from, to } => match to.parse() {
            Ok(to) => state.transfer(&Address::module(from), &to, amount, events),
            Err(_) => Ok(()),
        },
        Movement::Burn { module } => state.burn(module, amount, events),
    };
    if let Err(error) = moved {
        tracing::error!(height = state.height, reason = operation.reason.as_str_name(), %error, "settlement is short of coins");
    }
}

fn update_difficulties(state: &mut State, relays: &BTreeMap<String, u64>, events: &mut Vec<Event>) {
    let height = state.height;
    let next_start = state.shared_at(height).session_at(height).next_start();
    let target_num_relays = state.params.service.target_num_relays;
    for (service_id, num_relays) in relays {
        let existing = state.difficulties.get(service_id.as_str()).cloned();
        let updated = mining::update_difficulty(
            existing.as_ref().map(|difficulty| &difficulty.live),
            existing.is_none(),
            *num_relays,
            target_num_relays,
            height,
            next_start,
        );
        let Ok(update) = updated else { continue };
        let mut history = existing.map(|difficulty| difficulty.history.clone()).unwrap_or_default();
        for entry in update.history {
            history.retain(|old| old.effective_height != entry.effective_height);
            history.push(entry);
        }
        prune_before(&mut history, height - HISTORY_BLOCKS, |entry| entry.effective_height);
        events.push(typed(&EventRelayMiningDifficultyUpdated {
            service_id: service_id.clone(),
            prev_target_hash_hex_encoded: hex::encode(update.previous.target),
            new_target_hash_hex_encoded: hex::encode(update.current.target),
            prev_num_relays_ema: update.previous.num_relays_ema,
            new_num_relays_ema: update.current.num_relays_ema,
        }));
        let difficulty = ServiceDifficulty { live: update.current, history };
        state.difficulties.insert_mut(Arc::from(service_id.as_str()), Arc::new(difficulty));
    }
}

/// Drops the entries that were superseded before `height`.
fn prune_before<T>(history: &mut Vec<T>, height: i64, effective: impl Fn(&T) -> i64) {
    let kept = history.iter().filter(|entry| effective(entry) <= height).map(&effective).max();
    if let Some(kept) = kept {
        history.retain(|entry| effective(entry) >= kept);
    }
}

fn end_gateways(state: &mut State, events: &mut Vec<Event>) {
    let height = state.height;
    let session_end_height = state.shared_at(height).session_at(height).end;
    if session_end_height != height {
        return;
    }
    let unbonding: Vec<Arc<Gateway>> =
        state.gateways.values().filter(|gateway| gateway.unstake_session_end_height != 0).cloned().collect();
    for gateway in unbonding {
        let unbonding_end_height = gateway_unbonding_end(state, &gateway);
        if height < unbonding_end_height {
            continue;
        }
        let Ok(address) = gateway.address.parse::<Address>() else { continue };
        let deposit = stake_of(gateway.stake.as_ref());
        if state.transfer(&Address::module("gateway"), &address, deposit.0, events).is_err() {
            continue;
        }
        state.gateways.remove_mut(&address);
        events.push(typed(&EventGatewayUnbondingEnd {
            gateway: Some(Gateway::clone(&gateway)),
            session_end_height,
            unbonding_end_height,
        }));
    }
}

fn end_applications(state: &mut State, events: &mut Vec<Event>) {
    let height = state.height;
    let shared = state.shared_at(height);
    let session_end_height = shared.session_at(height).end;
    if session_end_height != height {
        return;
    }
    undelegate_from_inactive(state, session_end_height);
    let keep_from = height
        - i64::try_from(shared.grace_period_end_offset_blocks.saturating_add(2 * shared.num_blocks_per_session))
            .unwrap_or(i64::MAX);
    let all: Vec<Arc<Application>> = state.applications.values().cloned().collect();
    for application in all {
        let Ok(address) = application.address.parse::<Address>() else { continue };
        let outdated =
            application.pending_undelegations.keys().any(|end| i64::try_from(*end).is_ok_and(|end| end < keep_from));
        if outdated {
            let mut changed = Application::clone(&application);
            changed.pending_undelegations.retain(|end, _| i64::try_from(*end).map_or(true, |end| end >= keep_from));
            state.applications.insert_mut(address.clone(), Arc::new(changed));
        }
        if application.unstake_session_end_height == 0 {
            continue;
        }
        let unbonding_end_height = application_unbonding_end(state, &application);
        if height >= unbonding_end_height {
            end_application(state, &application, &address, (session_end_height, unbonding_end_height), events);
        }
    }
}

fn end_application(
    state: &mut State,
    application: &Application,
    address: &Address,
    (session_end_height, unbonding_end_height): (i64, i64),
    events: &mut Vec<Event>,
) {
    let deposit = stake_of(application.stake.as_ref());
    if let Err(error) = state.transfer(&Address::module("application"), address, deposit.0, events) {
        events.push(typed(&EventApplicationStakeStuckInModulePool {
            application_address: address.to_string(),
            stuck_coin: deposit.to_string(),
            reason: error.to_string(),
            session_end_height,
        }));
    }
    state.applications.remove_mut(address);
    let below = deposit < state.params.application.min_stake;
    let reason = if below { ApplicationUnbondingReason::BelowMinStake } else { ApplicationUnbondingReason::Elective };
    events.push(typed(&EventApplicationUnbondingEnd {
        application: Some(application.clone()),
        reason: reason.into(),
        session_end_height,
        unbonding_end_height,
    }));
}

/// Applications lose the gateways whose last session ends with this block.
fn undelegate_from_inactive(state: &mut State, session_end: i64) {
    let inactive: Vec<String> = state
        .gateways
        .values()
        .filter(|gateway| gateway.unstake_session_end_height == session_end.unsigned_abs())
        .map(|gateway| gateway.address.clone())
        .collect();
    if inactive.is_empty() {
        return;
    }
    let all: Vec<Arc<Application>> = state.applications.values().cloned().collect();
    for application in all {
        let lost: Vec<&String> =
            inactive.iter().filter(|gateway| application.delegatee_gateway_addresses.contains(gateway)).collect();
        if lost.is_empty() {
            continue;
        }
        let mut changed = Application::clone(&application);
        for gateway in lost {
            remove_gateway(&mut changed, gateway, session_end);
        }
        if let Ok(address) = application.address.parse() {
            state.applications.insert_mut(address, Arc::new(changed));
        }
    }
}

fn end_suppliers(state: &mut State, events: &mut Vec<Event>) {
    let height = state.height;
    let session_end_height = state.shared_at(height).session_at(height).end;
    if session_end_height == height {
        let unbonding: Vec<Address> = state.unbonding_suppliers.keys().cloned().collect();
        for operator in unbonding {
            let Some(supplier) = state.suppliers.get(&operator).cloned() else {
                state.unbonding_suppliers.remove_mut(&operator);
                continue;
            };
            let unbonding_end_height = supplier_unbonding_end(state, &supplier);
            if height >= unbonding_end_height {
                end_supplier(state, &supplier, &operator, (session_end_height, unbonding_end_height), events);
            }
        }
    }
    prune_configurations(state);
}

fn end_supplier(
    state: &mut State,
    supplier: &Supplier,
    operator: &Address,
    (session_end_height, unbonding_end_height): (i64, i64),
    events: &mut Vec<Event>,
) {
    let deposit = stake_of(supplier.stake.as_ref());
    let owner = supplier.owner_address.parse().unwrap_or_else(|_| operator.clone());
    if let Err(error) = state.transfer(&Address::module("supplier"), &owner, deposit.0, events) {
        events.push(typed(&EventSupplierStakeStuckInModulePool {
            operator_address: operator.to_string(),
            owner_address: owner.to_string(),
            stuck_coin: deposit.to_string(),
            reason: error.to_string(),
            session_end_height,
        }));
    }
    state.suppliers.remove_mut(operator);
    state.unbonding_suppliers.remove_mut(operator);
    state.suppliers_revision += 1;
    let below = deposit < state.params.supplier.min_stake;
    let reason = if below { SupplierUnbondingReason::BelowMinStake } else { SupplierUnbondingReason::Voluntary };
    events.push(typed(&EventSupplierUnbondingEnd {
        supplier: Some(supplier.clone()),
        reason: reason.into(),
        session_end_height,
        unbonding_end_height,
    }));
}

/// Drops service configurations once the last session they counted in is settled. Looked for at session ends only.
fn prune_configurations(state: &mut State) {
    let height = state.height;
    let shared = state.shared.live;
    if !shared.session_at(height).ends_at(height) {
        return;
    }
    let over = |deactivation: i64| deactivation != 0 && height > shared.windows_at(deactivation - 1).proof_close;
    let gone: Vec<_> = state
        .service_configs
        .iter()
        .filter(|(_, update)| over(update.deactivation_height))
        .map(|(key, _)| key.clone())
        .collect();
    for key in gone {
        state.remove_service_config(&key);
    }
}

/// Drops what nobody can ask for any more.
fn prune(state: &mut State) {
    let oldest = state.height - HISTORY_BLOCKS;
    if oldest <= 0 || state.height % HISTORY_BLOCKS != 0 {
        return;
    }
    Arc::make_mut(&mut state.shared).history.prune_before(oldest);
    Arc::make_mut(&mut state.session).history.prune_before(oldest);
}
