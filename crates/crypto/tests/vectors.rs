//! Every recorded case of keys, ring signatures and ECDSA, checked against this crate.
//!
//! The cases come from the folder in `POCKET_VECTORS`, else from the copies kept with `pocket-protocol`.
//! (The sum trie has its own binary, `smst_vectors`.)
#![expect(clippy::unwrap_used, reason = "a broken vector file shall stop the test")]

mod vectors_ecdsa;
mod vectors_keys;
mod vectors_ring;
mod vectors_support;
