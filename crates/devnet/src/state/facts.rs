//! What the chain's rules ask of the state.

use pocket_crypto::keys::PublicKey;
use pocket_proto::pocket::{
    application::Application,
    proof::Claim,
    shared::{ServiceConfigUpdate, Supplier},
};
use pocket_protocol::{
    Upokt,
    mining::{self, Difficulty, Target},
    params::{self, Shared},
    proof::{ProofFacts, ValidationFacts},
    session::ChainFacts,
};

use super::State;

impl ChainFacts for State {
    fn height(&self) -> i64 {
        self.height
    }

    fn shared_params_at(&self, height: i64) -> Shared {
        self.shared_at(height)
    }

    fn suppliers_per_session_at(&self, height: i64) -> u64 {
        self.session.at(height).num_suppliers_per_session
    }

    fn block_hash(&self, height: i64) -> Vec<u8> {
        self.block_hashes.get(&height).map(|hash| hash.to_vec()).unwrap_or_default()
    }

    fn application(&self, address: &str) -> Option<Application> {
        self.applications.get(address).map(|application| Application::clone(application))
    }

    fn service_configs(&self, service_id: &str) -> Vec<ServiceConfigUpdate> {
        self.service_configs_of(service_id).map(|(_, update)| ServiceConfigUpdate::clone(update)).collect()
    }

    fn supplier(&self, operator: &str) -> Option<Supplier> {
        self.suppliers.get(operator).map(|supplier| Supplier::clone(supplier))
    }
}

impl ProofFacts for State {
    fn compute_units_per_relay_at(&self, service_id: &str, height: i64) -> Option<u64> {
        self.compute_units_at(service_id, height)
    }

    fn difficulty_target_at(&self, service_id: &str, height: i64) -> Option<Target> {
        self.services.get(service_id)?;
        Some(self.difficulty_at(service_id, height).target)
    }

    fn claim(&self, session_id: &str, supplier: &str) -> Option<Claim> {
        State::claim(self, session_id, supplier).map(|claim| Claim::clone(claim))
    }

    fn proof_params(&self) -> params::Proof {
        self.params.proof
    }

    fn spendable(&self, address: &str) -> Option<Upokt> {
        self.balances.get(address).copied().map(Upokt)
    }
}

impl ValidationFacts for State {
    fn claim(&self, session_id: &str, supplier: &str) -> Option<Claim> {
        ProofFacts::claim(self, session_id, supplier)
    }

    fn application(&self, address: &str) -> Option<Application> {
        ChainFacts::application(self, address)
    }

    fn public_key(&self, address: &str) -> Option<PublicKey> {
        State::public_key(self, address)
    }

    fn shared_params(&self) -> Shared {
        self.shared.live
    }

    fn shared_params_at(&self, height: i64) -> Shared {
        self.shared_at(height)
    }

    fn block_hash(&self, height: i64) -> Vec<u8> {
        ChainFacts::block_hash(self, height)
    }
}

impl State {
    /// Returns the difficulty of a service that held at `height`: a default where there is no history.
    pub fn difficulty_at(&self, service_id: &str, height: i64) -> Difficulty {
        let history = self.difficulties.get(service_id).map(|difficulty| difficulty.history.as_slice());
        mining::difficulty_at_height(history.unwrap_or_default(), height, self.params.service.target_num_relays)
    }

    /// Returns the compute units per relay of a service that held at `height`; nothing for an unknown service.
    pub fn compute_units_at(&self, service_id: &str, height: i64) -> Option<u64> {
        let live = self.services.get(service_id)?.compute_units_per_relay;
        let history = self.compute_units.get(service_id).map(|history| history.as_slice());
        Some(mining::compute_units_at_height(history.unwrap_or_default(), height, live))
    }
}
