//! The beginning and the end of a block, module by module in the chain's order (protocol §8.6).

use std::sync::{Arc, LazyLock};

use pocket_crypto::ring::Verifier;
use pocket_proto::{pocket::supplier::EventSupplierServiceConfigActivated, tendermint::abci::Event};
use pocket_protocol::proof;

use super::typed;
use crate::{
    event::mark,
    header::Hash,
    state::{HISTORY_BLOCKS, State},
};

mod settlement;
mod unbonding;

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
    let relays = settlement::settle(state, &mut events);
    settlement::update_difficulties(state, &relays, &mut events);
    unbonding::end_gateways(state, &mut events);
    unbonding::end_applications(state, &mut events);
    unbonding::end_suppliers(state, &mut events);
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

/// Drops what nobody can ask for any more.
fn prune(state: &mut State) {
    let oldest = state.height - HISTORY_BLOCKS;
    if oldest <= 0 || state.height % HISTORY_BLOCKS != 0 {
        return;
    }
    Arc::make_mut(&mut state.shared).history.prune_before(oldest);
    Arc::make_mut(&mut state.session).history.prune_before(oldest);
}
