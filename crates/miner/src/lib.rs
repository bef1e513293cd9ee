//! Turns logged relays into money: owns suppliers, ingests, claims, proves, reconciles with the chain, keeps the ledger.
//!
//! ```text
//!  relay log ── ingest: take ▶ check ▶ commit (leaves + acknowledgement, one step) ▶ grow the trie
//!                                                     │
//!  blocks ──── keep: one task per supplier ── lifecycle::due(session, height) ── what to do now
//!                 │                              seal ▶ claim ▶ (decide ▶ proof) ▶ settlement ▶ forget
//!                 ├── reconcile: what the chain holds, against what we believe; the chain is right
//!                 └── submit: batched, recorded before it is sent, sent again while the window is open
//!  leader: blocks, supplier states and service factors for relayers        books: differences of the ledger
//! ```
//!
//! Invariants:
//!
//! - What is in memory can be lost at any moment: an acknowledged relay is a leaf in the store, and the trie is built from
//!   leaves. Nothing is acknowledged before its leaf is durable, and no leaf is counted twice.
//! - A session is sealed in the store before its root is computed, and takes no leaf afterwards; what comes later is
//!   counted as rejected, `late`. A claim has one root, for ever.
//! - What is about to be sent is recorded before it is sent, and the chain alone says what arrived.
//! - A change of a record and of the ledger is one write, and the ledger's postings follow from the record alone
//!   ([`ledger`]); so no crash, retry or correction counts anything twice.
//! - Every write carries the epoch of the supplier's lease; whoever has lost it changes nothing.
//! - Life is counted in blocks: a chain that halts destroys nothing.
//!
//! Deliberately not here: whether a relay was validly signed (the relayer has checked it before it served); what a claim is
//! worth and when windows are open (`protocol`); how state is kept (`store`); spreading suppliers over several miners.

pub mod event;
pub mod ledger;
pub mod lifecycle;
pub mod settlement;
pub mod terms;

mod books;
mod claims;
mod ingest;
mod instance;
mod keep;
mod leader;
mod losses;
mod metrics;
mod miner;
mod proofs;
mod session;
mod submit;
mod tenure;

pub use event::{About, Event, Events};
pub use miner::{Deps, Running, StartError, check, run, start};
