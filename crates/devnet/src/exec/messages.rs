//! The messages that the chain understands: who signs them, what is checked without state, and what they do.

use pocket_proto::{
    cosmos::bank::v1beta1::MsgSend,
    pocket::{application, gateway, proof, service, session, shared, supplier, tokenomics},
};
use pocket_protocol::{
    ChainError, GrpcStatus,
    error::{Registered, codes},
};
use prost::Name as _;
use prost_types::Any;

use super::{Context, Failure};

pub(super) use applications::{remove_gateway, unbonding_end as application_unbonding_end};
pub(super) use gateways::unbonding_end as gateway_unbonding_end;
pub(super) use suppliers::unbonding_end as supplier_unbonding_end;

mod applications;
mod bank;
mod claims;
mod gateways;
mod govern;
mod services;
mod suppliers;

/// Refuses a message whose signer is not who must sign.
const INVALID_SIGNER: &str = "expected gov account as only signer for proposal message";

macro_rules! messages {
    ($($variant:ident($message:ty) signed by $signer:ident,)*) => {
        /// A message of a known type.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(missing_docs, reason = "named as the messages are")]
        pub enum Message {
            $($variant(Box<$message>),)*
        }

        fn decode(any: &Any) -> Result<Message, Failure> {
            let refused = |error: prost::DecodeError| {
                Failure::from(codes::sdk::TX_DECODE.wrap(codes::sdk::TX_DECODE.wrap(error)))
            };
            $(
                if any.type_url.strip_prefix('/') == Some(<$message>::full_name().as_str()) {
                    let message: $message = prost::Message::decode(&any.value[..]).map_err(refused)?;
                    return Ok(Message::$variant(Box::new(message)));
                }
            )*
            let text = format!("unable to resolve type URL {}", any.type_url);
            Err(codes::sdk::TX_DECODE.wrap(codes::sdk::TX_DECODE.wrap(text)).into())
        }

        impl Message {
            /// Returns who must sign.
            pub fn signers(&self) -> Vec<String> {
                match self {
                    $(Self::$variant(message) => vec![message.$signer.clone()],)*
                }
            }
        }
    };
}

messages! {
    Send(MsgSend) signed by from_address,
    CreateClaim(proof::MsgCreateClaim) signed by supplier_operator_address,
    SubmitProof(proof::MsgSubmitProof) signed by supplier_operator_address,
    StakeApplication(application::MsgStakeApplication) signed by address,
    UnstakeApplication(application::MsgUnstakeApplication) signed by address,
    DelegateToGateway(application::MsgDelegateToGateway) signed by app_address,
    UndelegateFromGateway(application::MsgUndelegateFromGateway) signed by app_address,
    StakeGateway(gateway::MsgStakeGateway) signed by address,
    UnstakeGateway(gateway::MsgUnstakeGateway) signed by address,
    StakeSupplier(supplier::MsgStakeSupplier) signed by signer,
    UnstakeSupplier(supplier::MsgUnstakeSupplier) signed by signer,
    AddService(service::MsgAddService) signed by owner_address,
    SharedParams(shared::MsgUpdateParams) signed by authority,
    SharedParam(shared::MsgUpdateParam) signed by authority,
    SessionParams(session::MsgUpdateParams) signed by authority,
    SessionParam(session::MsgUpdateParam) signed by authority,
    ProofParams(proof::MsgUpdateParams) signed by authority,
    ProofParam(proof::MsgUpdateParam) signed by authority,
    TokenomicsParams(tokenomics::MsgUpdateParams) signed by authority,
    TokenomicsParam(tokenomics::MsgUpdateParam) signed by authority,
    ServiceParams(service::MsgUpdateParams) signed by authority,
    ServiceParam(service::MsgUpdateParam) signed by authority,
    ApplicationParams(application::MsgUpdateParams) signed by authority,
    ApplicationParam(application::MsgUpdateParam) signed by authority,
    SupplierParams(supplier::MsgUpdateParams) signed by authority,
    SupplierParam(supplier::MsgUpdateParam) signed by authority,
    GatewayParams(gateway::MsgUpdateParams) signed by authority,
    GatewayParam(gateway::MsgUpdateParam) signed by authority,
}

/// Reads the messages of a transaction.
pub(super) fn decode_all(messages: &[Any]) -> Result<Vec<Message>, Failure> {
    messages.iter().map(decode).collect()
}

impl Message {
    /// Checks what needs no state (`ValidateBasic`): failing here keeps the module's own code.
    pub(super) fn validate(&self) -> Result<(), Failure> {
        match self {
            Self::CreateClaim(message) => claims::validate_claim(message),
            Self::SubmitProof(message) => claims::validate_proof(message),
            Self::StakeApplication(message) => applications::validate_stake(message),
            Self::UnstakeApplication(message) => address(&message.address, &applications::INVALID_ADDRESS),
            Self::DelegateToGateway(message) => {
                applications::validate_pair(&message.app_address, &message.gateway_address)
            }
            Self::UndelegateFromGateway(message) => {
                applications::validate_pair(&message.app_address, &message.gateway_address)
            }
            Self::StakeGateway(message) => gateways::validate_stake(message),
            Self::UnstakeGateway(message) => address(&message.address, &gateways::INVALID_ADDRESS),
            Self::StakeSupplier(message) => suppliers::validate_stake(message),
            Self::UnstakeSupplier(message) => suppliers::validate_unstake(message),
            Self::AddService(message) => services::validate(message),
            // The bank module checks everything in its handler, and so do the parameters' messages.
            _ => Ok(()),
        }
    }

    /// Does what the message says.
    pub(super) fn handle(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        match self {
            Self::Send(message) => bank::send(context, message),
            Self::CreateClaim(message) => claims::create_claim(context, message),
            Self::SubmitProof(message) => claims::submit_proof(context, message),
            Self::StakeApplication(message) => applications::stake(context, message),
            Self::UnstakeApplication(message) => applications::unstake(context, message),
            Self::DelegateToGateway(message) => applications::delegate(context, message),
            Self::UndelegateFromGateway(message) => applications::undelegate(context, message),
            Self::StakeGateway(message) => gateways::stake(context, message),
            Self::UnstakeGateway(message) => gateways::unstake(context, message),
            Self::StakeSupplier(message) => suppliers::stake(context, message),
            Self::UnstakeSupplier(message) => suppliers::unstake(context, message),
            Self::AddService(message) => services::add(context, message),
            _ => govern::handle(context, self),
        }
    }
}

/// Checks an address that a message names.
fn address(text: &str, refusal: &Registered) -> Result<(), Failure> {
    pocket_protocol::address::parse(text)
        .map(|_| ())
        .map_err(|reason| refusal.wrap(format!("{text}; ({reason})")).into())
}

/// Reads an address that was checked before.
fn parsed(text: &str) -> Result<pocket_crypto::address::Address, Failure> {
    pocket_protocol::address::parse(text).map_err(|reason| codes::sdk::INVALID_ADDRESS.wrap(reason).into())
}

fn invalid(error: ChainError) -> Failure {
    error.with_status(GrpcStatus::InvalidArgument).into()
}
