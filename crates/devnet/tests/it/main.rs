//! Behaviour of the chain, without its servers.

#![expect(clippy::unwrap_used, reason = "a test may stop where it is surprised")]
#![expect(clippy::disallowed_methods, reason = "these tests damage files and kill processes of the real system")]

mod support;

mod blocks;
mod claims;
mod faults;
mod journal;
mod params;
mod process;
mod staking;
mod transactions;
