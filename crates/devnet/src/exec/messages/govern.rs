//! Changing parameters by authority: the account of the governance module.
//!
//! That account has no key. On the development chain its messages come through [`crate::Chain::govern`].

use std::sync::Arc;

use pocket_crypto::address::Address;
use pocket_proto::{
    cosmos::base::v1beta1::Coin,
    pocket::{application, gateway, proof, service, session, shared, supplier, tokenomics},
};
use pocket_protocol::{
    ChainError, Upokt,
    error::{Registered, codes},
    params::{self, ParamsError, Shares},
};

use super::{INVALID_SIGNER, Message, invalid};
use crate::exec::{Context, Failure, gas};

/// What an update turns out to be.
enum Update {
    Shared(params::Shared),
    Session(params::Session),
    Proof(params::Proof),
    Tokenomics(params::Tokenomics),
    Service(params::Service),
    Application(params::Application),
    Supplier(params::Supplier),
    Gateway(params::Gateway),
}

pub(super) fn handle(context: &mut Context<'_>, message: &Message) -> Result<(), Failure> {
    context.gas.consume(gas::OBJECT, gas::AT_WRITE)?;
    let authority = Address::module("gov");
    for signer in message.signers() {
        if signer != authority.as_str() {
            let text = format!("invalid authority; expected {authority}, got {signer}");
            let refusal = Registered::new(module_of(message), 1100, INVALID_SIGNER);
            return Err(invalid(refusal.wrap(text)));
        }
    }
    let update = read(context, message).map_err(invalid)?;
    apply(context, update)
}

fn module_of(message: &Message) -> &'static str {
    match message {
        Message::SharedParams(_) | Message::SharedParam(_) => "shared",
        Message::SessionParams(_) | Message::SessionParam(_) => "session",
        Message::TokenomicsParams(_) | Message::TokenomicsParam(_) => "tokenomics",
        Message::ServiceParams(_) | Message::ServiceParam(_) => "service",
        Message::ApplicationParams(_) | Message::ApplicationParam(_) => "application",
        Message::SupplierParams(_) | Message::SupplierParam(_) => "supplier",
        Message::GatewayParams(_) | Message::GatewayParam(_) => "gateway",
        _ => "proof",
    }
}

/// Code of an unknown parameter's name by module: unlike that of an invalid value it is not listed for all.
fn name_invalid(module: &'static str) -> Registered {
    let code = match module {
        "proof" => 1119,
        "tokenomics" => 1111,
        "shared" => 1102,
        "session" => 1110,
        "supplier" => 1107,
        "gateway" => 1105,
        _ => 1115,
    };
    Registered::new(module, code, "the provided param name is invalid")
}

fn unsupported(module: &'static str, name: &str) -> ChainError {
    name_invalid(module).wrap(format!("unsupported param {}", pocket_protocol::error::quoted(name)))
}

fn unreadable(error: &ParamsError) -> ChainError {
    name_invalid(error.module).wrap(error)
}

fn coin(module: &'static str, name: &str, coin: &Coin) -> Result<Upokt, ChainError> {
    Upokt::from_parts(&coin.denom, &coin.amount).map_err(|error| name_invalid(module).wrap(format!("{name}: {error}")))
}

fn read(context: &Context<'_>, message: &Message) -> Result<Update, ChainError> {
    let now = &context.state.params;
    let unreadable = |error: ParamsError| unreadable(&error);
    Ok(match message {
        Message::SharedParams(message) => Update::Shared((&message.params.unwrap_or_default()).into()),
        Message::SharedParam(message) => {
            let Some(shared::msg_update_param::AsType::AsUint64(value)) = message.as_type else {
                return Err(unsupported("shared", &message.name));
            };
            Update::Shared(context.state.shared.live.with(&message.name, value)?)
        }
        Message::SessionParams(message) => Update::Session((&message.params.unwrap_or_default()).into()),
        Message::SessionParam(message) => match (message.name.as_str(), message.as_type) {
            ("num_suppliers_per_session", Some(session::msg_update_param::AsType::AsUint64(value))) => {
                Update::Session(params::Session { num_suppliers_per_session: value })
            }
            (name, _) => return Err(unsupported("session", name)),
        },
        Message::ProofParams(message) => {
            Update::Proof((&message.params.clone().unwrap_or_default()).try_into().map_err(unreadable)?)
        }
        Message::ProofParam(message) => Update::Proof(proof_param(now.proof, message)?),
        Message::TokenomicsParams(message) => Update::Tokenomics((&message.params.clone().unwrap_or_default()).into()),
        Message::TokenomicsParam(message) => Update::Tokenomics(tokenomics_param(now.tokenomics.clone(), message)?),
        Message::ServiceParams(message) => {
            Update::Service((&message.params.clone().unwrap_or_default()).try_into().map_err(unreadable)?)
        }
        Message::ServiceParam(message) => Update::Service(service_param(now.service, message)?),
        Message::ApplicationParams(message) => {
            Update::Application((&message.params.clone().unwrap_or_default()).try_into().map_err(unreadable)?)
        }
        Message::ApplicationParam(message) => Update::Application(application_param(now.application, message)?),
        Message::SupplierParams(message) => {
            Update::Supplier((&message.params.clone().unwrap_or_default()).try_into().map_err(unreadable)?)
        }
        Message::SupplierParam(message) => Update::Supplier(supplier_param(now.supplier, message)?),
        Message::GatewayParams(message) => {
            Update::Gateway((&message.params.clone().unwrap_or_default()).try_into().map_err(unreadable)?)
        }
        Message::GatewayParam(message) => match (message.name.as_str(), &message.as_type) {
            ("min_stake", Some(gateway::msg_update_param::AsType::AsCoin(value))) => {
                Update::Gateway(params::Gateway { min_stake: coin("gateway", "min_stake", value)? })
            }
            (name, _) => return Err(unsupported("gateway", name)),
        },
        _ => return Err(codes::sdk::UNKNOWN_REQUEST.wrap("no parameters")),
    })
}

fn proof_param(mut now: params::Proof, message: &proof::MsgUpdateParam) -> Result<params::Proof, ChainError> {
    use proof::msg_update_param::AsType;

    match (message.name.as_str(), &message.as_type) {
        ("proof_request_probability", Some(AsType::AsFloat(value))) => now.request_probability = *value,
        ("proof_requirement_threshold", Some(AsType::AsCoin(value))) => {
            now.requirement_threshold = coin("proof", &message.name, value)?;
        }
        ("proof_missing_penalty", Some(AsType::AsCoin(value))) => {
            now.missing_penalty = coin("proof", &message.name, value)?;
        }
        ("proof_submission_fee", Some(AsType::AsCoin(value))) => {
            now.submission_fee = coin("proof", &message.name, value)?;
        }
        (name, _) => return Err(unsupported("proof", name)),
    }
    Ok(now)
}

fn tokenomics_param(
    mut now: params::Tokenomics,
    message: &tokenomics::MsgUpdateParam,
) -> Result<params::Tokenomics, ChainError> {
    use tokenomics::msg_update_param::AsType;

    match (message.name.as_str(), &message.as_type) {
        ("mint_allocation_percentages", Some(AsType::AsMintAllocationPercentages(value))) => {
            now.mint_allocation = Shares {
                dao: value.dao,
                proposer: value.proposer,
                supplier: value.supplier,
                source_owner: value.source_owner,
                application: value.application,
            };
        }
        ("mint_equals_burn_claim_distribution", Some(AsType::AsMintEqualsBurnClaimDistribution(value))) => {
            now.mint_equals_burn_distribution = Shares {
                dao: value.dao,
                proposer: value.proposer,
                supplier: value.supplier,
                source_owner: value.source_owner,
                application: value.application,
            };
        }
        ("dao_reward_address", Some(AsType::AsString(value))) => now.dao_reward_address.clone_from(value),
        ("global_inflation_per_claim", Some(AsType::AsFloat(value))) => now.global_inflation_per_claim = *value,
        ("mint_ratio", Some(AsType::AsFloat(value))) => now.mint_ratio = *value,
        ("overservicing_bonus_multiplier", Some(AsType::AsUint64(value))) => {
            now.overservicing_bonus_multiplier = *value;
        }
        (name, _) => return Err(unsupported("tokenomics", name)),
    }
    Ok(now)
}

fn service_param(mut now: params::Service, message: &service::MsgUpdateParam) -> Result<params::Service, ChainError> {
    use service::msg_update_param::AsType;

    match (message.name.as_str(), &message.as_type) {
        ("add_service_fee", Some(AsType::AsCoin(value))) => {
            now.add_service_fee = coin("service", &message.name, value)?;
        }
        ("target_num_relays", Some(AsType::AsUint64(value))) => now.target_num_relays = *value,
        (name, _) => return Err(unsupported("service", name)),
    }
    Ok(now)
}

fn application_param(
    mut now: params::Application,
    message: &application::MsgUpdateParam,
) -> Result<params::Application, ChainError> {
    use application::msg_update_param::AsType;

    match (message.name.as_str(), &message.as_type) {
        ("max_delegated_gateways", Some(AsType::AsUint64(value))) => now.max_delegated_gateways = *value,
        ("min_stake", Some(AsType::AsCoin(value))) => now.min_stake = coin("application", &message.name, value)?,
        (name, _) => return Err(unsupported("application", name)),
    }
    Ok(now)
}

fn supplier_param(
    mut now: params::Supplier,
    message: &supplier::MsgUpdateParam,
) -> Result<params::Supplier, ChainError> {
    use supplier::msg_update_param::AsType;

    match (message.name.as_str(), &message.as_type) {
        ("min_stake", Some(AsType::AsCoin(value))) => now.min_stake = coin("supplier", &message.name, value)?,
        ("staking_fee", Some(AsType::AsCoin(value))) => now.staking_fee = coin("supplier", &message.name, value)?,
        (name, _) => return Err(unsupported("supplier", name)),
    }
    Ok(now)
}

fn apply(context: &mut Context<'_>, update: Update) -> Result<(), Failure> {
    let state = &mut *context.state;
    let height = state.height;
    match update {
        Update::Shared(new) => Arc::make_mut(&mut state.shared).update(height, new)?,
        Update::Session(new) => {
            let shared = state.shared_at(height);
            Arc::make_mut(&mut state.session).update(height, new, &shared)?;
        }
        Update::Proof(new) => {
            new.validate().map_err(invalid)?;
            state.with_params(|params| params.proof = new);
        }
        Update::Tokenomics(new) => {
            new.validate().map_err(invalid)?;
            state.with_params(|params| params.tokenomics = new);
        }
        Update::Service(new) => {
            if new.target_num_relays == 0 {
                let text = "TargetNumRelays (0) must be greater than 0";
                return Err(invalid(codes::service::PARAM_INVALID.wrap(text)));
            }
            state.with_params(|params| params.service = new);
        }
        Update::Application(new) => state.with_params(|params| params.application = new),
        Update::Supplier(new) => state.with_params(|params| params.supplier = new),
        Update::Gateway(new) => state.with_params(|params| params.gateway = new),
    }
    Ok(())
}
