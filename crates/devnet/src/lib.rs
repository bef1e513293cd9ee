//! A chain small enough to read: Pocket's rules, a node's wire, and time under control.
//!
//! **What it is for.** What relayers, miners and gateways meet in production, on a laptop or inside a test: it enforces
//! what the chain enforces and answers as a node answers. The rules themselves are pure functions in `pocket_protocol`;
//! this room holds what they work on, in which order, and keeps it.
//!
//! **How data passes through.** [`genesis`] makes a [`State`] of facts. A transaction comes in by [`Chain::submit`], is
//! checked on a copy of the newest state ([`exec`], mode `Check`) and waits in the [`mempool`]. The [`driver`] makes a
//! block when the [`clock`] says so: [`engine`] plans it, executes it on a copy of the state outside the lock (beginning,
//! transactions, end), writes it to the [`journal`] and makes the copy the state. Servers take states, blocks and
//! results from the [`Chain`] and follow new blocks by subscription.
//!
//! **Invariants.** Block hashes follow from the seed, the facts, which transactions came at which heights, and which blocks
//! were undone before; nothing reads a wall clock or draws a random number. A block is in the journal before anybody hears of it, and replaying the
//! journal gives the same hashes. A failed transaction changes nothing but what its ante checks took. Everything that
//! grows with time is cut at a named limit.
//!
//! **Deliberately not here.** The rules (`pocket_protocol`), the client's side of the wire (`pocket_chain`), consensus:
//! there is one validator, and its votes are not signed.

pub mod moment;

pub mod header;

pub mod decimal;

pub mod event;

pub mod state;

pub mod genesis;

pub mod exec;

pub mod block;

pub mod clock;

pub mod mempool;

pub mod faults;

pub mod engine;

pub mod journal;

pub mod query;

pub mod chain;

pub mod driver;

pub mod devnet;

pub mod wire;

pub mod running;

pub use block::Block;
pub use chain::{Chain, Warp};
pub use devnet::{Opened, Settings, StartError, open};
pub use moment::Time;
pub use running::{Devnet, RunError, Running};
pub use state::State;
