//! What a settlement reads.

use std::collections::BTreeMap;

use pocket_proto::pocket::application::Application;
use pocket_proto::pocket::proof::Claim;
use pocket_proto::pocket::shared::Supplier;

use crate::mining::{ComputeUnitsEntry, DifficultyEntry};
use crate::params::{self, SharedState};
use crate::{Height, Upokt};

/// The chain's state as settlement sees it, at the end of the block at `height`.
#[derive(Debug, Clone, Copy)]
pub struct SettlementInput<'a> {
    /// The current height.
    pub height: Height,
    /// Stored claims, in any order and with their status as stored. Those that are not due are left alone.
    pub claims: &'a [Claim],
    /// Shared parameters, live and past.
    pub shared: &'a SharedState,
    /// Live parameters of the proof module.
    pub proof: &'a params::Proof,
    /// Live parameters of the tokenomics module.
    pub tokenomics: &'a params::Tokenomics,
    /// `min_stake` of the application module.
    pub application_min_stake: Upokt,
    /// `min_stake` of the supplier module.
    pub supplier_min_stake: Upokt,
    /// Applications by address.
    pub applications: &'a BTreeMap<String, Application>,
    /// Suppliers by operator address, with `service_config_history`; `services` is not read.
    pub suppliers: &'a BTreeMap<String, Supplier>,
    /// Services by id.
    pub services: &'a BTreeMap<String, ServiceFacts>,
    /// Stored block hashes (§4.3). An absent one counts as empty, as on the chain.
    pub block_hashes: &'a BTreeMap<Height, Vec<u8>>,
    /// The bonded validators.
    pub validators: &'a [Validator],
}

/// A service as settlement needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFacts {
    /// Who receives the source owner's share.
    pub owner_address: String,
    /// Live compute units per relay.
    pub compute_units_per_relay: u64,
    /// Their history (§7.5).
    pub compute_units_history: Vec<ComputeUnitsEntry>,
    /// History of the difficulty (§7.4).
    pub difficulty_history: Vec<DifficultyEntry>,
}

/// A bonded validator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validator {
    /// `poktvaloper1…`.
    pub operator_address: String,
    /// The same bytes as `pokt1…`.
    pub account_address: String,
    /// Bonded tokens, its weight.
    pub bonded_tokens: Upokt,
    /// Commission rate in parts of 10^18.
    pub commission_rate: u128,
    /// Its delegations, self-delegation included, in whole tokens. Without any, the validator keeps everything.
    pub delegations: Vec<Delegation>,
}

/// A delegation to a validator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// Who delegates.
    pub delegator_address: String,
    /// The tokens that its shares are worth, rounded down.
    pub tokens: Upokt,
}

/// The input cannot be the state of a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// A stake is missing or is no amount of upokt.
    #[error("stake of {owner} is {found}: expected an amount of upokt")]
    Stake {
        /// Whose stake.
        owner: String,
        /// What was found.
        found: String,
    },
    /// A governance float is no share of something.
    #[error("tokenomics parameter {name} is {value}: expected a finite number that is not negative")]
    Param {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// The shares of a distribution exceed the whole.
    #[error("shares of {0} add up to more than 1: correct the tokenomics parameters")]
    Shares(&'static str),
}
