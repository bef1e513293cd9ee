//! Building and signing (protocol §9.2).

use pocket_crypto::hash::sha256;
use pocket_crypto::keys::{PublicKey, SecretKey};
use pocket_proto::cosmos::crypto::secp256k1::PubKey;
use pocket_proto::cosmos::tx::signing::v1beta1::SignMode;
use pocket_proto::cosmos::tx::v1beta1::{AuthInfo, Fee, ModeInfo, SignDoc, SignerInfo, TxBody, TxRaw, mode_info};
use prost::Message as _;
use prost_types::{Any, Timestamp};

use crate::coin::Upokt;
use crate::params::coin;

/// What orders a transaction among others of its signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Nothing: it is valid until `timeout`, by block time. No two of a signer may have the same timeout.
    Unordered {
        /// See [`super::unordered::timeout`].
        timeout: Timestamp,
    },
    /// The account's sequence.
    Ordered {
        /// The account's next sequence.
        sequence: u64,
        /// Last height at which it may be included; 0 for no limit.
        timeout_height: u64,
    },
}

/// Everything about a transaction but its messages and its signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxOptions<'a> {
    /// Place among the signer's other transactions.
    pub order: Order,
    /// A note; the chain's default limit is 256 bytes.
    pub memo: &'a str,
    /// Most gas it may use. 0 together with a zero fee is the form that is sent to `Simulate`.
    pub gas_limit: u64,
    /// What is paid for it; a zero fee is written as no coins at all.
    pub fee: Upokt,
}

/// An account that signs.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// Its key.
    pub key: &'a SecretKey,
    /// The chain it signs for.
    pub chain_id: &'a str,
    /// Its number on that chain, as the auth module has it.
    pub account_number: u64,
}

/// A signed transaction and the parts that were signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTx {
    /// `TxRaw`: what is broadcast.
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes.
    pub hash: [u8; 32],
    /// `TxBody`.
    pub body_bytes: Vec<u8>,
    /// `AuthInfo`.
    pub auth_info_bytes: Vec<u8>,
    /// 64 bytes `r || s`, low s.
    pub signature: [u8; 64],
}

impl SignedTx {
    /// Returns the hash as nodes write it: 64 upper-case hexadecimal digits.
    #[must_use]
    pub fn hash_text(&self) -> String {
        hash_text(&self.hash)
    }
}

impl Signer<'_> {
    /// Wraps messages into a signed transaction. All messages must name this signer; the same input gives the same
    /// bytes.
    #[must_use]
    pub fn build(&self, messages: &[Any], options: &TxOptions<'_>) -> SignedTx {
        let body_bytes = body(messages, options).encode_to_vec();
        let auth_info_bytes = auth_info(&self.key.public_key(), options).encode_to_vec();
        let document = sign_doc(&body_bytes, &auth_info_bytes, self.chain_id, self.account_number);
        // The key hashes the document itself.
        let signature = self.key.sign(&document);
        let raw = TxRaw {
            body_bytes: body_bytes.clone(),
            auth_info_bytes: auth_info_bytes.clone(),
            signatures: vec![signature.to_vec()],
        };
        let bytes = raw.encode_to_vec();
        SignedTx { hash: hash(&bytes), bytes, body_bytes, auth_info_bytes, signature }
    }

    /// Wraps messages into a signed unordered transaction that is valid until `timeout`.
    #[must_use]
    pub fn build_unordered(
        &self,
        messages: &[Any],
        timeout: Timestamp,
        memo: &str,
        gas_limit: u64,
        fee: Upokt,
    ) -> SignedTx {
        self.build(messages, &TxOptions { order: Order::Unordered { timeout }, memo, gas_limit, fee })
    }
}

/// Returns the bytes whose SHA-256 is signed.
#[must_use]
pub fn sign_doc(body_bytes: &[u8], auth_info_bytes: &[u8], chain_id: &str, account_number: u64) -> Vec<u8> {
    SignDoc {
        body_bytes: body_bytes.to_vec(),
        auth_info_bytes: auth_info_bytes.to_vec(),
        chain_id: chain_id.to_owned(),
        account_number,
    }
    .encode_to_vec()
}

/// Returns the hash by which a transaction is known: SHA-256 of its bytes.
#[must_use]
pub fn hash(tx_bytes: &[u8]) -> [u8; 32] {
    sha256(tx_bytes)
}

/// Writes a transaction hash as nodes do.
#[must_use]
pub fn hash_text(hash: &[u8; 32]) -> String {
    hex::encode_upper(hash)
}

fn body(messages: &[Any], options: &TxOptions<'_>) -> TxBody {
    let (unordered, timeout_timestamp, timeout_height) = match &options.order {
        Order::Unordered { timeout } => (true, Some(*timeout), 0),
        Order::Ordered { timeout_height, .. } => (false, None, *timeout_height),
    };
    TxBody {
        messages: messages.to_vec(),
        memo: options.memo.to_owned(),
        timeout_height,
        unordered,
        timeout_timestamp,
        extension_options: Vec::new(),
        non_critical_extension_options: Vec::new(),
    }
}

fn auth_info(key: &PublicKey, options: &TxOptions<'_>) -> AuthInfo {
    let public_key = pocket_proto::any(&PubKey { key: key.to_bytes().to_vec() });
    let single = mode_info::Single { mode: SignMode::Direct.into() };
    let sequence = match options.order {
        Order::Unordered { .. } => 0,
        Order::Ordered { sequence, .. } => sequence,
    };
    let amount = if options.fee.is_zero() { Vec::new() } else { vec![coin(options.fee)] };
    AuthInfo {
        signer_infos: vec![SignerInfo {
            public_key: Some(public_key),
            mode_info: Some(ModeInfo { sum: Some(mode_info::Sum::Single(single)) }),
            sequence,
        }],
        // Written even when it is empty, as the SDK does.
        fee: Some(Fee { amount, gas_limit: options.gas_limit, payer: String::new(), granter: String::new() }),
        tip: None,
    }
}
