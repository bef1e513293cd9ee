//! Behaviour of keys, addresses and signatures on inputs nobody recorded.
//!
//! Random tests print their seed; `POCKET_SEED=<number>` runs them again with it.

#![allow(clippy::disallowed_methods, reason = "a test without a seed draws one from the machine, and prints it")]
#![expect(clippy::unwrap_used, reason = "a failed expectation shall stop the test")]

mod address;
mod ecdsa;
mod hash;
mod keys;
mod ring;
mod ring_tables;
mod seed;
