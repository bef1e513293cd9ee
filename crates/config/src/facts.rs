//! The facts of the development network: who exists, what they staked, and the parameters.
//!
//! Data files rendered from the declarative spec: `facts/localnet.json`, the ports in `facts/ports.json`, and the well-known
//! private keys in `facts/keys.json`, apart, so that whoever only needs the network never holds a key. A *profile* is a small
//! set of differences laid over the facts.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::document::LoadError;

/// A whole network at its genesis.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Chain id, as signed in every transaction.
    pub chain_id: String,
    /// RFC 3339, with nanoseconds.
    pub genesis_time: String,
    /// Base denomination of every amount here.
    pub denom: String,
    /// Accounts in order of their account numbers, from 0.
    pub accounts: Vec<Account>,
    /// Services that can be staked for.
    pub services: Vec<Service>,
    /// Staked applications.
    pub applications: Vec<Application>,
    /// Staked gateways.
    pub gateways: Vec<Gateway>,
    /// Staked suppliers.
    pub suppliers: Vec<Supplier>,
    /// Host and port that every supplier advertises; the scheme comes from the service's RPC type.
    pub relayer_endpoint: String,
    /// Balances of module accounts by module name. They need not match the stakes: the reference's do not.
    pub module_balances_upokt: BTreeMap<String, Amount>,
    /// The one validator.
    pub validator: Validator,
    /// Whether accounts have their public keys from the first block. A real chain learns each from the account's first
    /// transaction.
    pub public_keys_at_genesis: bool,
    /// Module parameters.
    pub params: Params,
    /// Named sets of differences.
    pub profiles: BTreeMap<String, Profile>,
}

/// An amount of upokt, written as a decimal string since it may exceed 2^53.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub u128);

impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| serde::de::Error::custom(format!("`{text}` is no amount of upokt")))
    }
}

/// An account with its coins.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Name used by the rest of the facts.
    pub name: String,
    /// Bech32 address.
    pub address: String,
    /// Compressed secp256k1 public key, 66 hex digits.
    pub public_key: String,
    /// Spendable balance.
    pub balance_upokt: Amount,
}

/// A service.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Service id.
    pub id: String,
    /// Human name.
    pub name: String,
    /// Weight of one relay.
    pub compute_units_per_relay: u64,
    /// Account that owns it and earns the source owner's share.
    pub owner: String,
    /// How suppliers serve it: `JSON_RPC`, `WEBSOCKET`, `REST`, `GRPC` or `COMET_BFT`.
    pub rpc_type: String,
}

/// A staked application.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Account name.
    pub account: String,
    /// Stake, from which its relays are paid.
    pub stake_upokt: Amount,
    /// The one service it uses.
    pub service: String,
    /// Account names of the gateways that may sign for it.
    pub gateways: Vec<String>,
}

/// A staked gateway.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Account name.
    pub account: String,
    /// Stake.
    pub stake_upokt: Amount,
}

/// A staked supplier.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Supplier {
    /// Account name of the operator, whose key signs.
    pub account: String,
    /// Account name of the owner.
    pub owner: String,
    /// Stake, from which it is slashed.
    pub stake_upokt: Amount,
    /// Services it serves, each through one endpoint.
    pub services: Vec<String>,
    /// Who earns its share, in percent; sums to 100.
    pub rev_share: Vec<RevShare>,
}

/// One shareholder of a supplier.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RevShare {
    /// Account name.
    pub account: String,
    /// Percent.
    pub percentage: u64,
}

/// The validator that makes the blocks.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Validator {
    /// Account name.
    pub account: String,
    /// Node name.
    pub moniker: String,
    /// Bonded stake.
    pub self_bond_upokt: Amount,
    /// Decimal with 18 places.
    pub commission_rate: String,
    /// Ed25519 consensus key, base64.
    pub consensus_public_key_base64: String,
    /// Consensus address, upper-case hex.
    pub consensus_address_hex: String,
    /// Peer-to-peer node id, hex.
    pub node_id: String,
}

/// Parameters of all modules.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the modules")]
pub struct Params {
    pub shared: SharedParams,
    pub session: SessionParams,
    pub proof: ProofParams,
    pub tokenomics: TokenomicsParams,
    pub service: ServiceParams,
    pub application: ApplicationParams,
    pub supplier: SupplierParams,
    pub gateway: GatewayParams,
    pub auth: AuthParams,
    /// Price per unit of gas below which the node refuses a transaction: a decimal with up to 18 places.
    pub minimum_gas_price_upokt: String,
}

/// `pocket.shared.Params` (protocol §1.4), without the two derived fields of the session grid.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as on the chain, protocol §1.4")]
pub struct SharedParams {
    pub num_blocks_per_session: u64,
    pub grace_period_end_offset_blocks: u64,
    pub claim_window_open_offset_blocks: u64,
    pub claim_window_close_offset_blocks: u64,
    pub proof_window_open_offset_blocks: u64,
    pub proof_window_close_offset_blocks: u64,
    pub supplier_unbonding_period_sessions: u64,
    pub application_unbonding_period_sessions: u64,
    pub gateway_unbonding_period_sessions: u64,
    pub compute_units_to_tokens_multiplier: u64,
    pub compute_unit_cost_granularity: u64,
}

/// `pocket.session.Params` (protocol §1.3).
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as on the chain, protocol §1.3")]
pub struct SessionParams {
    pub num_suppliers_per_session: u64,
}

/// `pocket.proof.Params` (protocol §1.9).
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as on the chain, protocol §1.9")]
pub struct ProofParams {
    pub proof_request_probability: f64,
    pub proof_requirement_threshold_upokt: Amount,
    pub proof_missing_penalty_upokt: Amount,
    pub proof_submission_fee_upokt: Amount,
}

/// `pocket.tokenomics.Params` (protocol §1.10).
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as on the chain, protocol §1.10")]
pub struct TokenomicsParams {
    /// Account name.
    pub dao_reward_account: String,
    pub global_inflation_per_claim: f64,
    pub mint_ratio: f64,
    pub overservicing_bonus_multiplier: u64,
    pub mint_allocation_percentages: Shares,
    pub mint_equals_burn_claim_distribution: Shares,
}

/// How a minted amount is split; sums to 1.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as on the chain, protocol §1.10")]
pub struct Shares {
    pub dao: f64,
    pub proposer: f64,
    pub supplier: f64,
    pub source_owner: f64,
    pub application: f64,
}

/// `pocket.service.Params` (protocol §1.8).
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as on the chain, protocol §1.8")]
pub struct ServiceParams {
    pub add_service_fee_upokt: Amount,
    pub target_num_relays: u64,
}

/// `pocket.application.Params` (protocol §1.5).
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as on the chain, protocol §1.5")]
pub struct ApplicationParams {
    pub max_delegated_gateways: u64,
    pub min_stake_upokt: Amount,
}

/// `pocket.supplier.Params` (protocol §1.7).
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as on the chain, protocol §1.7")]
pub struct SupplierParams {
    pub min_stake_upokt: Amount,
    pub staking_fee_upokt: Amount,
}

/// `pocket.gateway.Params` (protocol §1.6).
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as on the chain, protocol §1.6")]
pub struct GatewayParams {
    pub min_stake_upokt: Amount,
}

/// `cosmos.auth.v1beta1.Params` (protocol §9.3).
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "named as on the chain, protocol §9.3")]
pub struct AuthParams {
    pub max_memo_characters: u64,
    pub tx_sig_limit: u64,
    pub tx_size_cost_per_byte: u64,
    pub sig_verify_cost_ed25519: u64,
    pub sig_verify_cost_secp256k1: u64,
}

/// Differences that a profile lays over the facts.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Stake of every application; its module account is raised to match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_stake_upokt: Option<Amount>,
    /// `shared.compute_units_to_tokens_multiplier`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute_units_to_tokens_multiplier: Option<u64>,
    /// `service.target_num_relays`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_num_relays: Option<u64>,
}

impl Facts {
    /// Returns the development network under a profile: `seed` or `load`.
    ///
    /// # Errors
    /// [`LoadError::Rule`] if there is no such profile.
    ///
    /// # Panics
    /// If the data file, which is part of this crate, is not valid: a test reads it.
    pub fn localnet(profile: &str) -> Result<Self, LoadError> {
        let facts: Self = serde_json::from_str(include_str!("../facts/localnet.json"))
            .expect("facts/localnet.json is part of this crate and is valid");
        facts.under(profile)
    }

    /// Lays a profile over the facts.
    ///
    /// # Errors
    /// [`LoadError::Rule`] if there is no such profile.
    pub fn under(mut self, profile: &str) -> Result<Self, LoadError> {
        let Some(differences) = self.profiles.get(profile).cloned() else {
            let known: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
            return Err(LoadError::rule("profile", format!("there is no profile `{profile}`; use one of {known:?}")));
        };
        if let Some(stake) = differences.application_stake_upokt {
            for application in &mut self.applications {
                application.stake_upokt = stake;
            }
            let total = stake.0 * self.applications.len() as u128;
            self.module_balances_upokt.insert("application".to_owned(), Amount(total));
        }
        if let Some(multiplier) = differences.compute_units_to_tokens_multiplier {
            self.params.shared.compute_units_to_tokens_multiplier = multiplier;
        }
        if let Some(target) = differences.target_num_relays {
            self.params.service.target_num_relays = target;
        }
        Ok(self)
    }

    /// Returns the account of that name.
    pub fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == name)
    }
}

/// A well-known development key. Its secret is public, so that it protects nothing.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DevelopmentKey {
    /// Account name.
    pub name: String,
    /// 64 hex digits.
    pub private_key: String,
    /// BIP-39 words that give the same key on `m/44'/118'/0'/0/0`, where there are any.
    pub mnemonic: Option<String>,
}

impl std::fmt::Debug for DevelopmentKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("DevelopmentKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Returns the development keys, in order of the accounts.
///
/// # Panics
/// If the data file, which is part of this crate, is not valid: a test reads it.
pub fn development_keys() -> Vec<DevelopmentKey> {
    #[derive(Deserialize)]
    struct File {
        keys: Vec<DevelopmentKey>,
    }
    let file: File = serde_json::from_str(include_str!("../facts/keys.json"))
        .expect("facts/keys.json is part of this crate and is valid");
    file.keys
}

/// A listener of the development network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Its port.
    pub port: u16,
    /// What is behind it, for people.
    pub about: String,
}

/// Returns the listeners of the development network, by name.
///
/// # Panics
/// If the data file, which is part of this crate, is not valid: a test reads it.
pub fn listeners() -> &'static BTreeMap<String, Listener> {
    static LISTENERS: LazyLock<BTreeMap<String, Listener>> = LazyLock::new(|| {
        serde_json::from_str(include_str!("../facts/ports.json"))
            .expect("facts/ports.json is part of this crate and is valid")
    });
    &LISTENERS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_the_facts_is_an_account() {
        let facts = Facts::localnet("seed").expect("a profile");
        let mut names: Vec<&str> = vec![&facts.validator.account, &facts.params.tokenomics.dao_reward_account];
        names.extend(facts.services.iter().map(|service| service.owner.as_str()));
        names.extend(
            facts.applications.iter().flat_map(|one| one.gateways.iter().chain([&one.account])).map(String::as_str),
        );
        names.extend(facts.suppliers.iter().flat_map(|one| [one.account.as_str(), one.owner.as_str()]));
        for name in names {
            assert!(facts.account(name).is_some(), "{name} is no account");
        }
    }

    #[test]
    fn the_load_profile_never_runs_dry() {
        let facts = Facts::localnet("load").expect("a profile");
        assert_eq!(facts.applications[0].stake_upokt, Amount(1_000_000_000_000_000));
        assert_eq!(facts.module_balances_upokt["application"], Amount(5_000_000_000_000_000));
        assert_eq!(facts.params.shared.compute_units_to_tokens_multiplier, 1);
    }

    #[test]
    fn an_unknown_profile_is_named() {
        let error = Facts::localnet("loud").expect_err("refused");
        assert_eq!(error.to_string(), r#"`profile`: there is no profile `loud`; use one of ["load", "seed"]"#);
    }

    #[test]
    fn every_account_has_its_development_key_and_no_key_is_printed() {
        let keys = development_keys();
        let facts = Facts::localnet("seed").expect("a profile");
        assert_eq!(keys.len(), facts.accounts.len());
        assert!(!format!("{:?}", keys[0]).contains(&keys[0].private_key));
    }
}
