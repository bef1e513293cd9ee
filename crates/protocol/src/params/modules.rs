//! Parameters of the other modules (protocol §1.3, §1.5 – §1.10).

use pocket_proto::pocket;

use super::{ParamsError, amount, coin};
use crate::address;
use crate::coin::Upokt;
use crate::error::{ChainError, codes, quoted};

/// Parameters of the session module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Session {
    /// How many suppliers serve in a session, where there are enough.
    pub num_suppliers_per_session: u64,
}

impl Session {
    /// The defaults in the chain's code.
    pub const DEFAULT: Self = Self { num_suppliers_per_session: 15 };

    /// Checks that a session has a supplier.
    ///
    /// # Errors
    /// `session` 1110.
    pub fn validate(&self) -> Result<(), ChainError> {
        if self.num_suppliers_per_session < 1 {
            let context = format!(
                "number of suppliers per session ({}) must be greater than or equal to 1",
                self.num_suppliers_per_session
            );
            return Err(codes::session::PARAM_INVALID.wrap(context));
        }
        Ok(())
    }
}

impl From<&pocket::session::Params> for Session {
    fn from(params: &pocket::session::Params) -> Self {
        Self { num_suppliers_per_session: params.num_suppliers_per_session }
    }
}

impl From<&Session> for pocket::session::Params {
    fn from(params: &Session) -> Self {
        Self { num_suppliers_per_session: params.num_suppliers_per_session }
    }
}

/// Parameters of the proof module. Always the live ones count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proof {
    /// Probability in 0..=1 with which a claim below the threshold must be proved.
    pub request_probability: f64,
    /// Claims of at least this amount must always be proved.
    pub requirement_threshold: Upokt,
    /// What a supplier loses for a required proof that does not come or does not hold.
    pub missing_penalty: Upokt,
    /// What submitting a proof costs besides gas.
    pub submission_fee: Upokt,
}

impl Proof {
    /// Checks the probability.
    ///
    /// # Errors
    /// `proof` 1120.
    pub fn validate(&self) -> Result<(), ChainError> {
        if !(0.0..=1.0).contains(&self.request_probability) {
            let context = format!("invalid ProofRequestProbability: ({})", self.request_probability);
            return Err(codes::proof::PARAM_INVALID.wrap(context));
        }
        Ok(())
    }
}

impl TryFrom<&pocket::proof::Params> for Proof {
    type Error = ParamsError;

    fn try_from(params: &pocket::proof::Params) -> Result<Self, ParamsError> {
        Ok(Self {
            request_probability: params.proof_request_probability,
            requirement_threshold: amount(
                "proof",
                "proof_requirement_threshold",
                params.proof_requirement_threshold.as_ref(),
            )?,
            missing_penalty: amount("proof", "proof_missing_penalty", params.proof_missing_penalty.as_ref())?,
            submission_fee: amount("proof", "proof_submission_fee", params.proof_submission_fee.as_ref())?,
        })
    }
}

impl From<&Proof> for pocket::proof::Params {
    fn from(params: &Proof) -> Self {
        Self {
            proof_request_probability: params.request_probability,
            proof_requirement_threshold: Some(coin(params.requirement_threshold)),
            proof_missing_penalty: Some(coin(params.missing_penalty)),
            proof_submission_fee: Some(coin(params.submission_fee)),
        }
    }
}

/// How a reward is split; the shares add up to 1. Their decimal text is what the chain computes with (§8.7.5).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// The DAO's share; it also gets what rounding leaves.
    pub dao: f64,
    /// Validators and their delegators.
    pub proposer: f64,
    /// The supplier and those it shares with.
    pub supplier: f64,
    /// The owner of the service.
    pub source_owner: f64,
    /// The application itself.
    pub application: f64,
}

impl Shares {
    /// The shares in the chain's code, for both distributions.
    pub const DEFAULT: Self = Self { dao: 0.1, proposer: 0.05, supplier: 0.7, source_owner: 0.15, application: 0.0 };

    fn validate(&self, what: &str) -> Result<(), ChainError> {
        for (name, share) in [
            ("DAO", self.dao),
            ("proposer", self.proposer),
            ("supplier", self.supplier),
            ("source owner", self.source_owner),
            ("application", self.application),
        ] {
            if share.is_nan() || share < 0.0 {
                let context = format!("{what} to {name} must be greater than or equal to 0: got {share:.6}");
                return Err(codes::tokenomics::PARAM_INVALID.wrap(context));
            }
        }
        // The chain adds in floating point and allows for its noise.
        let sum = self.dao + self.proposer + self.supplier + self.source_owner + self.application;
        if (sum - 1.0).abs() > 1e-9 {
            let context = format!("{what} percentages do not add to 1.0: got {sum:.6}");
            return Err(codes::tokenomics::PARAM_INVALID.wrap(context));
        }
        Ok(())
    }
}

/// Parameters of the tokenomics module. Always the live ones count.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokenomics {
    /// Who receives the DAO's shares, bech32.
    pub dao_reward_address: String,
    /// Split of what inflation mints.
    pub mint_allocation: Shares,
    /// Split of what a claim earns.
    pub mint_equals_burn_distribution: Shares,
    /// Inflation as a fraction of each settled claim.
    pub global_inflation_per_claim: f64,
    /// Fraction of the burned amount that is minted.
    pub mint_ratio: f64,
    /// How many times its share of the budget a claim may take of what others leave; 0 is read as 1.
    pub overservicing_bonus_multiplier: u64,
}

impl Tokenomics {
    /// Checks shares, ratio and address.
    ///
    /// # Errors
    /// `tokenomics` 1112.
    pub fn validate(&self) -> Result<(), ChainError> {
        const BONUS_MAX: u64 = 1000;
        let invalid = |context: String| Err(codes::tokenomics::PARAM_INVALID.wrap(context));

        self.mint_allocation.validate("mint allocation")?;
        self.mint_equals_burn_distribution.validate("mint equals burn claim distribution")?;
        if let Err(reason) = address::parse(&self.dao_reward_address) {
            return invalid(format!("invalid dao reward address {}: {reason}", quoted(&self.dao_reward_address)));
        }
        if self.global_inflation_per_claim.is_nan() || self.global_inflation_per_claim < 0.0 {
            return invalid(format!(
                "GlobalInflationPerClaim must be greater than or equal to 0: got {:.6}",
                self.global_inflation_per_claim
            ));
        }
        if !(self.mint_ratio > 0.0 && self.mint_ratio <= 1.0) {
            return invalid(format!("mint ratio must be in the range (0, 1]: got {:.6}", self.mint_ratio));
        }
        if self.overservicing_bonus_multiplier > BONUS_MAX {
            return invalid(format!(
                "overservicing bonus multiplier must be at most {BONUS_MAX}: got {}",
                self.overservicing_bonus_multiplier
            ));
        }
        Ok(())
    }
}

impl From<&pocket::tokenomics::Params> for Tokenomics {
    fn from(params: &pocket::tokenomics::Params) -> Self {
        let allocation = params.mint_allocation_percentages.unwrap_or_default();
        let distribution = params.mint_equals_burn_claim_distribution.unwrap_or_default();
        Self {
            dao_reward_address: params.dao_reward_address.clone(),
            mint_allocation: Shares {
                dao: allocation.dao,
                proposer: allocation.proposer,
                supplier: allocation.supplier,
                source_owner: allocation.source_owner,
                application: allocation.application,
            },
            mint_equals_burn_distribution: Shares {
                dao: distribution.dao,
                proposer: distribution.proposer,
                supplier: distribution.supplier,
                source_owner: distribution.source_owner,
                application: distribution.application,
            },
            global_inflation_per_claim: params.global_inflation_per_claim,
            mint_ratio: params.mint_ratio,
            overservicing_bonus_multiplier: params.overservicing_bonus_multiplier,
        }
    }
}

impl From<&Tokenomics> for pocket::tokenomics::Params {
    fn from(params: &Tokenomics) -> Self {
        let (allocation, distribution) = (params.mint_allocation, params.mint_equals_burn_distribution);
        Self {
            dao_reward_address: params.dao_reward_address.clone(),
            mint_allocation_percentages: Some(pocket::tokenomics::MintAllocationPercentages {
                dao: allocation.dao,
                proposer: allocation.proposer,
                supplier: allocation.supplier,
                source_owner: allocation.source_owner,
                application: allocation.application,
            }),
            global_inflation_per_claim: params.global_inflation_per_claim,
            mint_equals_burn_claim_distribution: Some(pocket::tokenomics::MintEqualsBurnClaimDistribution {
                dao: distribution.dao,
                proposer: distribution.proposer,
                supplier: distribution.supplier,
                source_owner: distribution.source_owner,
                application: distribution.application,
            }),
            mint_ratio: params.mint_ratio,
            overservicing_bonus_multiplier: params.overservicing_bonus_multiplier,
        }
    }
}

/// Parameters of the service module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Service {
    /// What adding a service costs.
    pub add_service_fee: Upokt,
    /// How many relays of a service the chain wants mined per session (§7.3).
    pub target_num_relays: u64,
}

impl TryFrom<&pocket::service::Params> for Service {
    type Error = ParamsError;

    fn try_from(params: &pocket::service::Params) -> Result<Self, ParamsError> {
        let add_service_fee = amount("service", "add_service_fee", params.add_service_fee.as_ref())?;
        Ok(Self { add_service_fee, target_num_relays: params.target_num_relays })
    }
}

impl From<&Service> for pocket::service::Params {
    fn from(params: &Service) -> Self {
        Self { add_service_fee: Some(coin(params.add_service_fee)), target_num_relays: params.target_num_relays }
    }
}

/// Parameters of the application module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Application {
    /// Most gateways an application can delegate to.
    pub max_delegated_gateways: u64,
    /// Least stake; below it an application is unbonded.
    pub min_stake: Upokt,
}

impl TryFrom<&pocket::application::Params> for Application {
    type Error = ParamsError;

    fn try_from(params: &pocket::application::Params) -> Result<Self, ParamsError> {
        let min_stake = amount("application", "min_stake", params.min_stake.as_ref())?;
        Ok(Self { max_delegated_gateways: params.max_delegated_gateways, min_stake })
    }
}

impl From<&Application> for pocket::application::Params {
    fn from(params: &Application) -> Self {
        Self { max_delegated_gateways: params.max_delegated_gateways, min_stake: Some(coin(params.min_stake)) }
    }
}

/// Parameters of the supplier module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Supplier {
    /// Least stake; below it a supplier is marked as unbonding.
    pub min_stake: Upokt,
    /// What each stake message costs.
    pub staking_fee: Upokt,
}

impl TryFrom<&pocket::supplier::Params> for Supplier {
    type Error = ParamsError;

    fn try_from(params: &pocket::supplier::Params) -> Result<Self, ParamsError> {
        Ok(Self {
            min_stake: amount("supplier", "min_stake", params.min_stake.as_ref())?,
            staking_fee: amount("supplier", "staking_fee", params.staking_fee.as_ref())?,
        })
    }
}

impl From<&Supplier> for pocket::supplier::Params {
    fn from(params: &Supplier) -> Self {
        Self { min_stake: Some(coin(params.min_stake)), staking_fee: Some(coin(params.staking_fee)) }
    }
}

/// Parameters of the gateway module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gateway {
    /// Least stake.
    pub min_stake: Upokt,
}

impl TryFrom<&pocket::gateway::Params> for Gateway {
    type Error = ParamsError;

    fn try_from(params: &pocket::gateway::Params) -> Result<Self, ParamsError> {
        Ok(Self { min_stake: amount("gateway", "min_stake", params.min_stake.as_ref())? })
    }
}

impl From<&Gateway> for pocket::gateway::Params {
    fn from(params: &Gateway) -> Self {
        Self { min_stake: Some(coin(params.min_stake)) }
    }
}
