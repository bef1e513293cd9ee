//! The chain's rules as pure functions over plain data.
//!
//! **What it is for.** Everything that a relayer, a miner, a gateway or a small chain has to agree on with Pocket's
//! chain, bit by bit: where sessions begin, who serves in them, what is hashed and signed, what a claim is worth, when
//! a proof is due, how a transaction is built. `spec` numbers in the documentation (§) are sections of the protocol
//! description that these modules were written from; vectors recorded from the chain's own code judge them
//! (`tests/vectors.rs`).
//!
//! **How data passes through.** Numbers and messages come in, numbers, bytes and [`ChainError`]s go out:
//! a [`height`] and [`params`] give a [`session`] and its [`windows`]; a [`relay`] is validated, hashed and signed, its
//! sender proved by [`ring`]; [`mining`] says whether it counts and [`sampling`] whether its claim must be proved;
//! [`proof`] repeats the chain's checks on claims and proofs; [`settlement`] pays; [`tx`] wraps messages for the node.
//!
//! **Invariants.** Nothing here awaits, logs, reads a clock, a file or the environment, or draws randomness. No input
//! panics: what the chain refuses is an error with the chain's codespace, code and text.
//!
//! **Deliberately not here.** Asking a node (`chain`), remembering (`store`), deciding what to do next (`miner`,
//! `relayer`), keeping chain state between blocks (`devnet`); the curve, the trie and gob (`crypto`); message types and
//! their JSON (`proto`).

pub mod height;

pub mod error;

pub mod coin;

pub mod address;

pub mod params;

pub mod session;

pub mod windows;

pub mod caps;

pub mod relay;

pub mod http;

pub mod ring;

pub mod mining;

pub mod sampling;

pub mod proof;

pub mod settlement;

pub mod tx;

pub use coin::Upokt;
pub use error::{ChainError, GrpcStatus, Registered};
pub use height::Height;
