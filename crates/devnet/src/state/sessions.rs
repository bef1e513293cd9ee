//! Sessions of a state, without choosing their suppliers anew each time.
//!
//! Choosing among thousands of suppliers takes milliseconds, and every claim, proof and relayer asks for the same few
//! sessions. Which configurations are chosen is fixed once a session has begun, so the choice is remembered; everything
//! else (stakes, the application) is read from the state at hand.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use pocket_proto::pocket::{
    application::Application,
    proof::Claim,
    session::{QueryGetSessionRequest, Session},
    shared::{ServiceConfigUpdate, Supplier},
};
use pocket_protocol::{
    ChainError, Upokt,
    mining::Target,
    params::{self, Shared},
    proof::ProofFacts,
    session::{self, Candidate, ChainFacts},
};

use super::State;

/// Sessions whose suppliers are remembered.
const CHOICES_MAX: usize = 1_024;

/// What the choice of a session's suppliers depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// Hash of the session's first block, application, service and start.
    preimage: Vec<u8>,
    suppliers_per_session: u64,
    revision: u64,
}

/// Choices of suppliers, shared by all states of a chain.
#[derive(Debug, Clone, Default)]
pub struct Choices(Arc<Mutex<Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    chosen: BTreeMap<Key, Arc<Vec<ServiceConfigUpdate>>>,
    order: VecDeque<Key>,
}

impl Choices {
    fn get(&self, key: &Key) -> Option<Arc<Vec<ServiceConfigUpdate>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).chosen.get(key).cloned()
    }

    fn put(&self, key: Key, chosen: Arc<Vec<ServiceConfigUpdate>>) {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.chosen.insert(key.clone(), chosen).is_none() {
            remembered.order.push_back(key);
        }
        if remembered.order.len() > CHOICES_MAX
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.chosen.remove(&oldest);
        }
    }
}

/// A state as the rules see it that ask for one session: they are shown only the configurations that it chooses, out of
/// which they choose the same, in the same order.
#[derive(Debug)]
pub struct InSession<'a> {
    state: &'a State,
    service_id: &'a str,
    chosen: Arc<Vec<ServiceConfigUpdate>>,
}

impl State {
    /// Returns the session that a query asks for, as [`session::get_session`] does.
    pub fn get_session(&self, request: &QueryGetSessionRequest) -> Result<Session, ChainError> {
        session::get_session(
            &self.in_session(&request.application_address, &request.service_id, request.block_height),
            request,
        )
    }

    /// Returns this state as the rules may see it while they ask for no other session than that of `height`, where 0
    /// means the newest.
    pub fn in_session<'a>(&'a self, application: &str, service_id: &'a str, height: i64) -> InSession<'a> {
        let height = if height == 0 { self.height } else { height };
        // Heights to come are refused before suppliers matter.
        let chosen = if (1..=self.height).contains(&height) {
            self.chosen(application, service_id, height)
        } else {
            Arc::default()
        };
        InSession { state: self, service_id, chosen }
    }

    fn chosen(&self, application: &str, service_id: &str, height: i64) -> Arc<Vec<ServiceConfigUpdate>> {
        let start = self.shared_at(height).session_at(height).start;
        let preimage = session::preimage(&ChainFacts::block_hash(self, start), service_id, application, start);
        let suppliers_per_session = self.session.at(height).num_suppliers_per_session;
        let key = Key { preimage, suppliers_per_session, revision: self.suppliers_revision };
        if let Some(chosen) = self.choices.get(&key) {
            return chosen;
        }
        let updates: Vec<&Arc<ServiceConfigUpdate>> =
            self.service_configs_of(service_id).map(|(_, update)| update).collect();
        let candidates: Vec<Candidate<'_>> = updates
            .iter()
            .map(|update| Candidate {
                operator: &update.operator_address,
                activation_height: update.activation_height,
                deactivation_height: update.deactivation_height,
            })
            .collect();
        let chosen = session::select(&candidates, height, suppliers_per_session, &key.preimage);
        let chosen: Vec<ServiceConfigUpdate> =
            chosen.into_iter().map(|index| ServiceConfigUpdate::clone(updates[index])).collect();
        let chosen = Arc::new(chosen);
        self.choices.put(key, Arc::clone(&chosen));
        chosen
    }
}

impl ChainFacts for InSession<'_> {
    fn height(&self) -> i64 {
        self.state.height
    }

    fn shared_params_at(&self, height: i64) -> Shared {
        self.state.shared_at(height)
    }

    fn suppliers_per_session_at(&self, height: i64) -> u64 {
        self.state.suppliers_per_session_at(height)
    }

    fn block_hash(&self, height: i64) -> Vec<u8> {
        ChainFacts::block_hash(self.state, height)
    }

    fn application(&self, address: &str) -> Option<Application> {
        ChainFacts::application(self.state, address)
    }

    fn service_configs(&self, service_id: &str) -> Vec<ServiceConfigUpdate> {
        if service_id == self.service_id { Vec::clone(&self.chosen) } else { self.state.service_configs(service_id) }
    }

    fn supplier(&self, operator: &str) -> Option<Supplier> {
        self.state.supplier(operator)
    }
}

impl ProofFacts for InSession<'_> {
    fn compute_units_per_relay_at(&self, service_id: &str, height: i64) -> Option<u64> {
        self.state.compute_units_per_relay_at(service_id, height)
    }

    fn difficulty_target_at(&self, service_id: &str, height: i64) -> Option<Target> {
        self.state.difficulty_target_at(service_id, height)
    }

    fn claim(&self, session_id: &str, supplier: &str) -> Option<Claim> {
        ProofFacts::claim(self.state, session_id, supplier)
    }

    fn proof_params(&self) -> params::Proof {
        self.state.proof_params()
    }

    fn spendable(&self, address: &str) -> Option<Upokt> {
        self.state.spendable(address)
    }
}
