//! What the whole house costs, measured on real processes.
//!
//! **What it is for.** `cargo bench -p pocket-benches --bench relay` answers what a relay costs: processor time per relay of
//! every process, relays a second, latencies, memory, on both stores, beside the Go program's figures and beside yardsticks
//! of the same run. `--bench up` answers how long `pocket up` takes to the first answered relay and to its payment. What a
//! single signature or a single leaf costs is measured in `crates/crypto/benches`.
//!
//! **How data passes through.**
//!
//! ```text
//! house ── chain, backend, store, relayer, miner, gateway as child processes
//!   │
//! presign ── distinct signed relays ──▶ replay ── over kept connections ──▶ latencies, answers
//!   │                                     │
//!   └── usage: processor time and memory of each process, before and after ──▶ table, beside go and yardstick
//! ```
//!
//! **Invariants.**
//!
//! - Every answer is read whole and must be 200; a sample is verified with the supplier's key. In the end the chain must have
//!   settled exactly the relays that were answered.
//! - Figures are medians with the least and the most; nothing fails because it is slow.
//! - Nothing is built here: a missing binary is named with the command that makes it.
//!
//! **Deliberately not here.** Budgets as tests: a shared machine would break them. Profiles: attach a profiler to the process
//! whose id `--hold` prints.

pub mod go;
pub mod house;
pub mod measure;
pub mod paths;
pub mod presign;
pub mod process;
pub mod replay;
pub mod table;
pub mod usage;
pub mod yardstick;
