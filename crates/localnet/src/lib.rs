//! The whole house in one process: chain, backend, store, relayer, miner, gateway.
//!
//! **What it is for.** `pocket up`, and every test that wants a network: one call starts the rooms, each with settings of
//! its own, and one call takes them down in order.
//!
//! **How data passes through.** The rooms meet as they do in production, over sockets on loopback; only the store, which
//! two of them share, is handed over.
//!
//! ```text
//! options ─▶ ports (all tried first) ─▶ keys and settings ─▶ devnet, backend ─▶ relayer, miner ─▶ gateway
//!                                                                └── store ──┘
//! shutdown ─▶ gateway ─▶ relayer ─▶ log flushed ─▶ miner ─▶ backend ─▶ devnet ─▶ summary
//! ```
//!
//! **Invariants.**
//!
//! - Nothing starts before every port is known to be free, and nothing is left running when a start fails.
//! - A data folder has one owner, and keeps the profile, the seed and the relayer's port it began with: they are in the
//!   chain's genesis.
//! - Who is fed leaves before who feeds: no room sees a neighbour vanish on the way out.
//!
//! **Deliberately not here.** Anything a room decides by itself; words for people (`cli`). [`standalone`] is relayer and
//! miner alone, on a node that is somebody else's.

pub mod options;
pub mod ports;

mod folder;
mod settings;

pub mod event;
pub mod localnet;
pub mod standalone;

pub use event::{Event, Events, Summary};
pub use folder::{FolderError, KeyFiles, write_development_keys};
pub use localnet::{Localnet, Running, StartError};
pub use options::{Network, Options};

pub use pocket_miner::Event as ClaimEvent;
pub use ports::{Addresses, Door, Ports, PortsTaken};
