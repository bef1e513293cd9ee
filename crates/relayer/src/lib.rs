//! The relayer: admits, serves, signs and accounts for relays.
//!
//! **What it is for.** A gateway sends a relay request, signed in an application's ring, to a supplier. This process
//! checks it, calls the supplier's backend, signs the answer and logs the relay for the miner, so that whatever is
//! answered is also paid.
//!
//! **How data passes through.**
//!
//! ```text
//! http ── Received ─▶ admit ── Admitted ─▶ serve ── Served ─▶ sign ── Signed ─▶ account ── Answer ─▶ http
//!                      │ suppliers, sessions │ backends        │ keys            │ store's log, or the spool
//!                      └── Rejection, from any phase: one closed list, one table ┘
//! ```
//!
//! The road is [`relay`]; each phase is a function in the module of its name; the stages between them are types.
//!
//! **Invariants.**
//!
//! - Nothing is charged for, and nothing reaches a backend of, a caller who has not proved who they are.
//! - An answer leaves only after its relay stands in the log at the configured durability, or in the disk spool while the
//!   log is away. What can no longer be claimed is not answered.
//! - What has been admitted runs to its end, whoever still listens. A charge is given back only if the backend had nothing
//!   to do for it (it was not reached, or said 503), or if we could not log what it did: a relay that fails because its
//!   caller leaves, asks for too much, or knows what fails, is not to be had for nothing.
//! - What a caller writes is decoded only as far as it is needed to know who the caller is; the rest after the signature
//!   holds. A relay that waits for an answer of the node takes no place from those that need none.
//! - Every refusal is a [`Rejection`], the same on every transport.
//! - Everything that holds others' work is bounded: connections, bytes of bodies, lookups, relays in flight, sessions, the
//!   spool.
//!
//! **The registry of suppliers.** Miners write the state of each supplier into the store; this process follows those
//! records and keeps serving from what it last knew while the store is away. A supplier without a record is served if its
//! key is held here: the chain's session then decides whether it may serve, so nothing waits for a miner's first write.
//!
//! **Deliberately not here.** What a relay proves or earns (`protocol`), the trie and claims (`miner`), the chain's
//! facts and their cache (`chain`), the meter's arithmetic of reservations (`store`). Optimistic validation and the
//! transports beside HTTP are not part of this version: a relay is always checked before it is served.

mod account;
mod admit;
mod calendar;
mod health;
mod height;
mod http;
mod lookups;
mod metrics;
mod rejection;
mod relay;
mod relayer;
mod serve;
mod sessions;
mod sign;
mod suppliers;

pub use account::SpoolError;
pub use rejection::{BackendFailure, Face, Fault, Invalid, Rejection};
pub use relayer::{Check, Deps, Running, StartError, check, run, start};
pub use serve::ServiceError;
