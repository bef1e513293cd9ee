//! The hash functions of the protocol, as plain functions (protocol §0.3 says which is used where).

use ripemd::Ripemd160;
use sha2::{Digest, Sha256};
use sha3::{Sha3_256, Sha3_512};

/// Returns the SHA-256 digest of `input`: relay hashes, trie nodes, payload hashes, transaction hashes.
#[must_use]
pub fn sha256(input: &[u8]) -> [u8; 32] {
    Sha256::digest(input).into()
}

/// Returns the SHA-256 digest of the concatenation of `parts`, without building it.
#[must_use]
pub fn sha256_parts(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Returns the SHA3-256 digest (FIPS 202, not Keccak) of `input`: session ids, supplier selection, hash-to-curve.
#[must_use]
pub fn sha3_256(input: &[u8]) -> [u8; 32] {
    Sha3_256::digest(input).into()
}

/// Returns the SHA3-512 digest (FIPS 202, not Keccak) of `input`: ring challenges.
#[must_use]
pub fn sha3_512(input: &[u8]) -> [u8; 64] {
    Sha3_512::digest(input).into()
}

/// Returns the RIPEMD-160 digest of `input`: the second half of an account address.
#[must_use]
pub fn ripemd160(input: &[u8]) -> [u8; 20] {
    Ripemd160::digest(input).into()
}
