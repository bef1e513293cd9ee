//! The validator's transaction in the genesis: it bonds the validator's stake.

use pocket_crypto::address::Address;
use pocket_crypto::hash::sha256;
use pocket_crypto::keys::PublicKey;
use pocket_proto::cosmos::base::v1beta1::Coin;
use pocket_proto::cosmos::crypto::{ed25519, secp256k1};
use pocket_proto::cosmos::tx::v1beta1::{AuthInfo, Fee, ModeInfo, SignerInfo, TxBody, mode_info};
use pocket_protocol::tx::sign_doc;
use prost::Message;

use super::public_half;
use crate::spec::Spec;

/// Gas that a genesis transaction names. It pays no fee.
pub const GAS_LIMIT: u64 = 200_000;

/// `SIGN_MODE_DIRECT`.
const SIGN_MODE_DIRECT: i32 = 1;

/// At genesis every signer's account number counts as 0.
const GENESIS_ACCOUNT_NUMBER: u64 = 0;

/// What the transaction says.
#[derive(Debug, Clone)]
pub(super) struct Gentx {
    sign_bytes: Vec<u8>,
}

/// `cosmos.staking.v1beta1.MsgCreateValidator`; nothing else of that package is used here.
#[derive(Clone, PartialEq, Message)]
struct MsgCreateValidator {
    #[prost(message, optional, tag = "1")]
    description: Option<Description>,
    #[prost(message, optional, tag = "2")]
    commission: Option<CommissionRates>,
    #[prost(string, tag = "3")]
    min_self_delegation: String,
    #[prost(string, tag = "5")]
    validator_address: String,
    #[prost(message, optional, tag = "6")]
    pubkey: Option<prost_types::Any>,
    #[prost(message, optional, tag = "7")]
    value: Option<Coin>,
}

#[derive(Clone, PartialEq, Message)]
struct Description {
    #[prost(string, tag = "1")]
    moniker: String,
}

#[derive(Clone, PartialEq, Message)]
struct CommissionRates {
    #[prost(string, tag = "1")]
    rate: String,
    #[prost(string, tag = "2")]
    max_rate: String,
    #[prost(string, tag = "3")]
    max_change_rate: String,
}

impl Gentx {
    /// Composes the transaction of a spec's validator, whose account has this key.
    pub(super) fn of(spec: &Spec, key: &PublicKey) -> anyhow::Result<Self> {
        let validator = &spec.validator;
        let operator_address = Address::from_bytes(key.address().as_bytes().try_into()?).to_valoper();
        let message = MsgCreateValidator {
            description: Some(Description { moniker: validator.moniker.clone() }),
            commission: Some(CommissionRates {
                rate: atto(&validator.commission.rate)?,
                max_rate: atto(&validator.commission.max_rate)?,
                max_change_rate: atto(&validator.commission.max_change_rate)?,
            }),
            min_self_delegation: "1".to_owned(),
            validator_address: operator_address,
            pubkey: Some(any(
                "/cosmos.crypto.ed25519.PubKey",
                &ed25519::PubKey { key: public_half(&validator.consensus_key)?.to_vec() },
            )),
            value: Some(Coin { denom: spec.network.denom.clone(), amount: validator.self_bond.to_string() }),
        };
        let memo = format!("{}@{}", super::node_id(spec)?, validator.peer_address);
        let body = TxBody {
            messages: vec![any("/cosmos.staking.v1beta1.MsgCreateValidator", &message)],
            memo,
            ..TxBody::default()
        };
        let signer = SignerInfo {
            public_key: Some(any(
                "/cosmos.crypto.secp256k1.PubKey",
                &secp256k1::PubKey { key: key.as_bytes().to_vec() },
            )),
            mode_info: Some(ModeInfo {
                sum: Some(mode_info::Sum::Single(mode_info::Single { mode: SIGN_MODE_DIRECT })),
            }),
            sequence: 0,
        };
        let auth = AuthInfo {
            signer_infos: vec![signer],
            fee: Some(Fee { gas_limit: GAS_LIMIT, ..Fee::default() }),
            ..AuthInfo::default()
        };
        let sign_bytes =
            sign_doc(&body.encode_to_vec(), &auth.encode_to_vec(), &spec.network.chain_id, GENESIS_ACCOUNT_NUMBER);
        Ok(Self { sign_bytes })
    }

    /// What is signed.
    pub(super) fn digest(&self) -> [u8; 32] {
        sha256(&self.sign_bytes)
    }
}

fn any(type_url: &str, message: &impl Message) -> prost_types::Any {
    prost_types::Any { type_url: type_url.to_owned(), value: message.encode_to_vec() }
}

/// A decimal as the chain's wire has it: times 10^18, without a point.
fn atto(decimal: &str) -> anyhow::Result<String> {
    let (whole, part) = decimal.split_once('.').unwrap_or((decimal, ""));
    let digits = format!("{whole}{part:0<18}");
    let value: u128 = digits.parse()?;
    Ok(value.to_string())
}
