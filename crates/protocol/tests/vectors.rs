//! The chain's own answers, recorded: every case of every kind that this crate is the judge of.
//!
//! The folder is the one that `POCKET_VECTORS` names, or the copies beside this file. `ownership` says which crate
//! checks what, and fails on a file that nobody reads.

#[path = "vectors_cases/support.rs"]
mod support;

#[path = "vectors_cases/ownership.rs"]
mod ownership;

#[path = "vectors_cases/session.rs"]
mod session;

#[path = "vectors_cases/relay.rs"]
mod relay;

#[path = "vectors_cases/ring.rs"]
mod ring;

#[path = "vectors_cases/tx.rs"]
mod tx;

#[path = "vectors_cases/node.rs"]
mod node;
