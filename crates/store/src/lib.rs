//! The only door to what relayers and miners share: the relay log, leaves, sessions, leases, the meter, the ledger.
//!
//! **What it is for.** A relayer appends the relays it has served; a miner takes them, decides, and commits leaves from
//! which a session's trie can be rebuilt at any time; both see blocks, supplier states and one budget per session. All of
//! it is behind [`Store`], in verbs of the domain, over two engines that keep the same promises: a Redis server shared by
//! many processes, and an embedded store in a folder or in memory for one.
//!
//! **How data passes through.**
//!
//! ```text
//! relayer ── charge ── append ─▶ relay log ── take ─▶ miner ── commit ─▶ leaves ── leaves, leaf_bytes ─▶ trie, proof
//!                                                       └── session_put ─▶ records ─┐
//!                     every step raises its counters in the same write ─────────────┴─▶ ledger
//! ```
//!
//! **Invariants.**
//!
//! - What [`Store::append`] has acknowledged survives `kill -9` of any process of ours, and is handed out until a commit
//!   acknowledges it.
//! - A commit adds leaves, acknowledges entries and counts in one atomic step, once, however often it is repeated.
//! - A write that matters carries the epoch of its writer's lease and changes nothing once the epoch has moved on.
//! - Counters change in the same step as what they count; the ledger's equations hold at every moment.
//! - Names, values and messages that Go programs share with ours are theirs, byte for byte ([`keys`], [`boundary`]).
//!
//! **Deliberately not here.** What a relay is worth or when a claim is due (`protocol`, `miner`); tries (`crypto`); asking
//! the chain (`chain`); a relayer's own disk spool (`relayer`).

pub mod admin;
pub mod boundary;
pub mod error;
pub mod keys;
pub mod leaf;
pub mod lease;
pub mod ledger;
pub mod lock;
pub mod meter;
pub mod reader;
pub mod relay;
pub mod session;
pub mod store;

mod append;
mod embedded;
mod engine;
mod metrics;
mod redis;

pub use admin::{Reading, Remote};
pub use boundary::{BlockEvent, CacheKind, Event, RegistryAction, RegistryEvent, SupplierState, SupplierStatus};
pub use error::{AppendError, CommitError, Fenced, LeaseError, PutError, StoreError};
pub use keys::Namespace;
pub use leaf::{CommitBatch, CommitOutcome, Leaf, LeafStatus, PackedLeaf, Rejected, SessionHeader};
pub use lease::{Lease, LeaseInfo, LeaseName};
pub use ledger::{Count, Ledger, Term};
pub use meter::{Allowance, Charge, ChargeKey};
pub use reader::Reader;
pub use relay::{Delivered, EntryId, LogEntry, LogPosition, LogStats, MinedRelay};
pub use session::{Outcome, SessionRecord, SessionState, SessionTerms, Settlement, StoredSession, Submission};
pub use store::{Durability, Events, KeyInfo, Store, StoreOptions};
