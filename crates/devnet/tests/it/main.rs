//! Behaviour of the chain, without its servers.

#![allow(clippy::unwrap_used, reason = "a test may stop where it is surprised")]

mod support;

mod blocks;
mod claims;
mod faults;
mod journal;
mod params;
mod process;
mod staking;
mod transactions;
