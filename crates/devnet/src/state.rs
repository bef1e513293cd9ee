//! Everything the chain knows at one height.
//!
//! A [`State`] is a handful of persistent ordered maps: cloning one is a dozen pointer copies, and a clone shares with
//! its origin what neither has changed since. So a transaction works on a clone that is dropped when it fails, a
//! snapshot is a clone, and the last [`STATES_KEPT`] heights are kept as clones to answer queries about the past.
//!
//! What a real chain keeps for ever is kept here for [`HISTORY_BLOCKS`] heights, so that memory stays flat.

use std::sync::Arc;

use pocket_crypto::{address::Address, keys::PublicKey};
use pocket_proto::pocket::{
    application::Application,
    gateway::Gateway,
    proof::{Claim, Proof},
    shared::{Service, ServiceConfigUpdate, Supplier},
};
use pocket_protocol::{
    mining::{ComputeUnitsEntry, Difficulty, DifficultyEntry},
    params::{self, SessionState, Shared, SharedState},
};

use crate::{header::Hash, moment::Time};

mod accounts;
mod bank;
mod facts;
mod sessions;

pub use accounts::{Account, Module};
pub(crate) use bank::coins_text;
pub use bank::{BankError, MODULES};
pub use sessions::{Choices, InSession};

/// An ordered map whose clones share what they have in common.
pub type Map<K, V> = rpds::RedBlackTreeMapSync<K, V>;

/// How many past heights answer queries.
pub const STATES_KEPT: usize = 1_000;
/// For how many heights block hashes, difficulties and prices of the past are kept. Sessions, their windows and their
/// settlement look back a few dozen.
pub const HISTORY_BLOCKS: i64 = 10_000;

/// Parameters of the modules that keep no history of them, as now in force.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are the modules")]
pub struct Params {
    pub proof: params::Proof,
    pub tokenomics: params::Tokenomics,
    pub service: params::Service,
    pub application: params::Application,
    pub supplier: params::Supplier,
    pub gateway: params::Gateway,
    pub auth: AuthParams,
}

/// `cosmos.auth.v1beta1.Params`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as on the chain, protocol §9.3")]
pub struct AuthParams {
    pub max_memo_characters: u64,
    pub tx_sig_limit: u64,
    pub tx_size_cost_per_byte: u64,
    pub sig_verify_cost_ed25519: u64,
    pub sig_verify_cost_secp256k1: u64,
}

/// The one validator: what of it is public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validator {
    /// Account that earns the proposer's share.
    pub account: Address,
    /// Node name.
    pub moniker: String,
    /// Bonded stake in upokt.
    pub bonded: u128,
    /// Commission as a fraction, in units of 10^-18.
    pub commission_rate: u128,
    /// Ed25519 consensus key.
    pub consensus_key: [u8; 32],
    /// Consensus address.
    pub consensus_address: [u8; 20],
    /// Node id, hex.
    pub node_id: String,
}

impl Validator {
    /// Returns the voting power: bonded stake in millions.
    pub fn voting_power(&self) -> i64 {
        i64::try_from(self.bonded / 1_000_000).unwrap_or(i64::MAX)
    }
}

/// A service's difficulty: the newest, and what held from which height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceDifficulty {
    /// What a query without a height returns.
    pub live: Difficulty,
    /// What holds from which height, in order of heights.
    pub history: Vec<DifficultyEntry>,
}

/// Key of a claim or proof: session id, then supplier, as the chain's store orders them.
pub type SessionSupplier = (Arc<str>, Arc<str>);

/// Key of a service configuration: service, activation height, operator, as the chain's store orders them.
pub type ConfigKey = (Arc<str>, i64, Arc<str>);

/// Everything the chain knows at one height. See the module documentation.
#[derive(Debug, Clone)]
pub struct State {
    /// Chain id.
    pub chain_id: Arc<str>,
    /// Height of the last block executed; 0 at genesis.
    pub height: i64,
    /// Time of that block.
    pub time: Time,
    /// Application hash after that block.
    pub app_hash: Hash,
    /// Hash of the newest block of the history that was undone last, if one was.
    pub undone: Option<Hash>,
    /// The validator.
    pub validator: Arc<Validator>,
    /// Accounts, modules among them.
    pub accounts: Map<Address, Arc<Account>>,
    /// Number of the next account.
    pub accounts_next: u64,
    /// Spendable upokt; an address without any is absent.
    pub balances: Map<Address, u128>,
    /// All upokt there is.
    pub supply: u128,
    /// Parameters in force.
    pub params: Arc<Params>,
    /// Shared parameters and their history.
    pub shared: Arc<SharedState>,
    /// Session parameters and their history.
    pub session: Arc<SessionState>,
    /// Block hashes by height.
    pub block_hashes: Map<i64, Hash>,
    /// Services by id.
    pub services: Map<Arc<str>, Arc<Service>>,
    /// History of compute units per relay by service.
    pub compute_units: Map<Arc<str>, Arc<Vec<ComputeUnitsEntry>>>,
    /// Relay mining difficulty by service, for services that ever settled a claim.
    pub difficulties: Map<Arc<str>, Arc<ServiceDifficulty>>,
    /// Applications.
    pub applications: Map<Address, Arc<Application>>,
    /// Gateways.
    pub gateways: Map<Address, Arc<Gateway>>,
    /// Suppliers by operator; `service_config_history` is empty here and kept in `service_configs`.
    pub suppliers: Map<Address, Arc<Supplier>>,
    /// Service configurations by service, activation height and operator: the order in which sessions meet them.
    pub service_configs: Map<ConfigKey, Arc<ServiceConfigUpdate>>,
    /// The same by operator, service and activation height.
    pub configs_by_supplier: Map<(Arc<str>, Arc<str>, i64), ()>,
    /// Changes whenever an entry of `service_configs` or a supplier does: what caches of sessions depend on.
    pub suppliers_revision: u64,
    /// Which suppliers sessions chose; not part of the state, only quick to ask.
    pub choices: Choices,
    /// Operators that the unbonding at session ends knows of (a slashed one is not among them).
    pub unbonding_suppliers: Map<Address, ()>,
    /// Claims.
    pub claims: Map<SessionSupplier, Arc<Claim>>,
    /// Claims by session end height.
    pub claims_by_end: Map<(i64, Arc<str>, Arc<str>), ()>,
    /// Claims by supplier.
    pub claims_by_supplier: Map<(Arc<str>, Arc<str>), ()>,
    /// Proofs that wait for the end of the block.
    pub proofs: Map<SessionSupplier, Arc<Proof>>,
    /// Used nonces of unordered transactions: timeout in nanoseconds, then signer.
    pub nonces: Map<(i128, Arc<str>), ()>,
}

impl State {
    /// Returns the claim of a supplier for a session.
    pub fn claim(&self, session_id: &str, supplier: &str) -> Option<&Arc<Claim>> {
        self.claims.get(&key(session_id, supplier))
    }

    /// Stores a claim in place of any other of its supplier for its session; returns whether there was one.
    pub fn put_claim(&mut self, session_id: &str, supplier: &str, claim: Claim) -> bool {
        let key = key(session_id, supplier);
        let replaced = self.remove_claim(&key);
        let (session, supplier) = (Arc::clone(&key.0), Arc::clone(&key.1));
        self.claims_by_end.insert_mut((session_end_of(&claim), Arc::clone(&session), Arc::clone(&supplier)), ());
        self.claims_by_supplier.insert_mut((supplier, session), ());
        self.claims.insert_mut(key, Arc::new(claim));
        replaced
    }

    /// Removes a claim with its index entries; returns whether there was one.
    pub fn remove_claim(&mut self, key: &SessionSupplier) -> bool {
        let Some(claim) = self.claims.get(key).cloned() else { return false };
        self.claims_by_end.remove_mut(&(session_end_of(&claim), Arc::clone(&key.0), Arc::clone(&key.1)));
        self.claims_by_supplier.remove_mut(&(Arc::clone(&key.1), Arc::clone(&key.0)));
        self.claims.remove_mut(key)
    }

    /// Returns the keys of all claims whose session ends at `height`, in the order in which the chain settles them.
    pub fn claims_ending_at(&self, height: i64) -> Vec<SessionSupplier> {
        let from = (height, Arc::from(""), Arc::from(""));
        self.claims_by_end
            .range(from..)
            .take_while(|((end, _, _), ())| *end == height)
            .map(|((_, session_id, supplier), ())| (Arc::clone(session_id), Arc::clone(supplier)))
            .collect()
    }

    /// Returns a supplier with its whole service configuration history, as queries give it out.
    pub fn supplier_hydrated(&self, operator: &str) -> Option<Supplier> {
        let mut supplier = Supplier::clone(self.suppliers.get(operator)?);
        let history = self.configs_of_supplier(operator).into_iter();
        let history = history.map(|(_, update)| ServiceConfigUpdate::clone(&update)).collect();
        supplier.service_config_history = history;
        Some(supplier)
    }

    /// Returns the configurations of a service in the order of the chain's store.
    pub fn service_configs_of(
        &self,
        service_id: &str,
    ) -> impl Iterator<Item = (&ConfigKey, &Arc<ServiceConfigUpdate>)> {
        let service: Arc<str> = Arc::from(service_id);
        let from = (Arc::clone(&service), i64::MIN, Arc::from(""));
        self.service_configs.range(from..).take_while(move |((id, _, _), _)| *id == service)
    }

    /// Stores a supplier; its history lives in `service_configs`.
    pub fn put_supplier(&mut self, operator: Address, mut supplier: Supplier) {
        supplier.service_config_history.clear();
        self.suppliers.insert_mut(operator, Arc::new(supplier));
        self.suppliers_revision += 1;
    }

    /// Returns the configurations of a supplier by service and activation height, with their keys.
    pub fn configs_of_supplier(&self, operator: &str) -> Vec<(ConfigKey, Arc<ServiceConfigUpdate>)> {
        let operator: Arc<str> = Arc::from(operator);
        let from = (Arc::clone(&operator), Arc::from(""), i64::MIN);
        let of_supplier = self.configs_by_supplier.range(from..).take_while(|((one, _, _), ())| *one == operator);
        of_supplier
            .filter_map(|((operator, service, activation), ())| {
                let key = (Arc::clone(service), *activation, Arc::clone(operator));
                let update = Arc::clone(self.service_configs.get(&key)?);
                Some((key, update))
            })
            .collect()
    }

    /// Stores a configuration of a supplier's service.
    pub fn put_service_config(&mut self, operator: &str, update: ServiceConfigUpdate) {
        let service_id: Arc<str> = Arc::from(update.service.as_ref().map_or("", |service| service.service_id.as_str()));
        let (operator, activation): (Arc<str>, i64) = (Arc::from(operator), update.activation_height);
        self.configs_by_supplier.insert_mut((Arc::clone(&operator), Arc::clone(&service_id), activation), ());
        self.service_configs.insert_mut((service_id, activation, operator), Arc::new(update));
        self.suppliers_revision += 1;
    }

    /// Removes a configuration of a supplier's service.
    pub fn remove_service_config(&mut self, key: &ConfigKey) {
        let (service_id, activation, operator) = key;
        self.configs_by_supplier.remove_mut(&(Arc::clone(operator), Arc::clone(service_id), *activation));
        self.service_configs.remove_mut(key);
        self.suppliers_revision += 1;
    }

    /// Returns the ids of all services that any supplier has or had a configuration for.
    pub fn service_ids_configured(&self) -> Vec<Arc<str>> {
        let mut ids: Vec<Arc<str>> = Vec::new();
        for ((id, _, _), _) in &self.service_configs {
            if ids.last().is_none_or(|last| last != id) {
                ids.push(Arc::clone(id));
            }
        }
        ids
    }

    /// Returns the public key of an account, known from genesis or its first transaction.
    pub fn public_key(&self, address: &str) -> Option<PublicKey> {
        self.accounts.get(address).and_then(|account| account.public_key)
    }

    /// Returns the hash of a block; nothing while that block executes, and nothing for height 0 and below.
    pub fn block_hash(&self, height: i64) -> Option<Hash> {
        self.block_hashes.get(&height).copied()
    }

    /// Returns the shared parameters in force at `height`.
    pub fn shared_at(&self, height: i64) -> Shared {
        *self.shared.at(height)
    }

    /// Changes the parameters.
    pub fn with_params(&mut self, change: impl FnOnce(&mut Params)) {
        change(Arc::make_mut(&mut self.params));
    }
}

/// Returns the key of a claim or proof.
pub fn key(session_id: &str, supplier: &str) -> SessionSupplier {
    (Arc::from(session_id), Arc::from(supplier))
}

fn session_end_of(claim: &Claim) -> i64 {
    claim.session_header.as_ref().map_or(0, |header| header.session_end_block_height)
}

/// Reads a stake; one that cannot be read is none.
pub fn stake_of(stake: Option<&pocket_proto::cosmos::base::v1beta1::Coin>) -> pocket_protocol::Upokt {
    let read = stake.and_then(|coin| pocket_protocol::Upokt::from_parts(&coin.denom, &coin.amount).ok());
    read.unwrap_or_default()
}
