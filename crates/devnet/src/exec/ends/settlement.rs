//! Settlement of the claims that are due (protocol §8.7), and the difficulty that follows from them (§7.4): the rules
//! decide, here their outcome is carried out.

use std::{collections::BTreeMap, sync::Arc};

use pocket_crypto::address::Address;
use pocket_proto::{
    pocket::{application::Application, proof::Claim, service::EventRelayMiningDifficultyUpdated, shared::Supplier},
    tendermint::abci::Event,
};
use pocket_protocol::{
    Upokt, mining,
    params::coin,
    settlement::{
        self, BankOperation, Delegation, Event as SettlementEvent, Movement, ServiceFacts, SettlementInput,
        SettlementOutcome, Validator,
    },
};

use crate::{
    exec::{typed, typed_parts},
    state::{HISTORY_BLOCKS, ServiceDifficulty, State},
};

/// Settles what is due; returns the counted relays of the settled claims by service.
pub(super) fn settle(state: &mut State, events: &mut Vec<Event>) -> BTreeMap<String, u64> {
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

/// Lets the difficulty of each service that settled claims follow its traffic.
pub(super) fn update_difficulties(state: &mut State, relays: &BTreeMap<String, u64>, events: &mut Vec<Event>) {
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
