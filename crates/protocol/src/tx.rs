//! Transactions: building, signing, paying for and reading them (protocol §9.1 – §9.3).
//!
//! A [`Signer`] wraps messages into signed bytes ([`Signer::build`]); [`fee`] says what they cost; [`unordered`] when
//! they run out. A node reads the bytes back with [`decode`] and checks them with [`Decoded::check_signature`] and the
//! rules of unordered transactions.

mod build;

mod decode;

mod fee;

mod unknown;

pub mod unordered;

pub use build::{Order, SignedTx, Signer, TxOptions, hash, hash_text, sign_doc};
pub use decode::{Decoded, TxLimits, check_timeouts, decode};
pub use fee::{DecimalError, GasPrice, adjusted_gas, fee};

/// Memo of the reference miner's transactions.
pub const MEMO_REFERENCE: &str = "HA RelayMiner";

/// Type URL of the public keys of accounts.
pub const SECP256K1_TYPE_URL: &str = "/cosmos.crypto.secp256k1.PubKey";
