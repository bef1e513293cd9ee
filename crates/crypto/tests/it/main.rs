//! Behaviour of keys, addresses and signatures on inputs nobody recorded.
//!
//! Random tests print their seed; `POCKET_SEED=<number>` runs them again with it.
#![expect(clippy::unwrap_used, reason = "a failed expectation shall stop the test")]

mod address;
mod ecdsa;
mod hash;
mod keys;
mod ring;
mod seed;
