//! Typed settings of every process, the facts of the development network, and the catalogue of metrics.
//!
//! A process reads one file (YAML or JSON), hands its text to [`document::load`], and gets either settings that are
//! whole and valid, or an error that names the key, what is wrong with it and what to write instead. The values a file
//! leaves out come from `defaults.json`, which is the only place where a default is written down.
//!
//! Invariants: no Rust type here has a default of its own; a key that nobody reads is refused, with the nearest known
//! key as suggestion; a key of the reference that has no meaning here is accepted by name, and said to have no effect.
//!
//! Deliberately not here: reading files, sockets or the environment (`runtime` does), evaluating Nickel (`spec` will),
//! and any behaviour.

pub mod document;

pub mod common;

pub mod backend;
pub mod devnet;
pub mod gateway;
pub mod miner;
pub mod relayer;
pub mod standalone;

pub mod facts;
pub mod metrics;

pub use document::{LoadError, Loaded};
