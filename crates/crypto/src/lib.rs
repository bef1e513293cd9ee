//! Curve, keys, addresses, ring signatures and the sparse Merkle sum trie: the mathematics of the protocol.
//!
//! Everything here is a function from bytes to bytes. A secret becomes a [`keys::SecretKey`], whose
//! [`keys::PublicKey`] has an [`address::Address`]; a supplier signs answers with [`ecdsa`]; a gateway signs
//! requests with [`ring`], and a relayer checks them there; relays are counted in [`smst`]. The bytes are the
//! chain's, quirks included, and vectors recorded from the chain's own code are the judge (`tests/vectors.rs`).
//!
//! Invariants:
//! * a [`keys::PublicKey`], an [`address::Address`] or a decoded [`ring::Signature`] is valid because it exists;
//! * no input makes this crate panic or allocate more than a small multiple of the input's size;
//! * whatever computes with a secret runs in constant time; whatever handles public data only (verification) may
//!   run in variable time;
//! * secret keys, nonces, seeds and phrases are wiped when dropped, and have no `Display` and no revealing `Debug`.
//!
//! Deliberately not here: protobuf, what a relay is and which keys a ring must hold (`protocol`), reading key
//! files (`runtime`, `config`), any clock, any source of randomness (the caller hands one in), logging.

pub mod hash;

pub mod address;
mod bech32;

mod curve;

pub mod keys;

pub mod mnemonic;

pub mod ecdsa;

pub mod ring;

pub mod smst;
