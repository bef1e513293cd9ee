//! Ring signatures: bLSAG over secp256k1, byte for byte as ring-go with the decred backend (protocol §3).
//!
//! A gateway signs the 32 byte hash of a relay request in the name of a ring: the application's key and those
//! of its gateways. [`Signature::decode`] reads what came over the wire and checks its points;
//! the caller compares [`Signature::keys`] with the ring it expects (that is `protocol`'s business, and comes
//! before anything costly); [`Verifier::verify`] walks the ring. On the other side a [`Signer`] signs.
//!
//! The scheme, with `H(P)` = [`hash_to_curve`] and `C(m, L, R)` = [`hash_to_scalar`] of `m || L || R`:
//!
//! ```text
//! c = c0;  for each member:  L = s*G + c*P,  R = s*H(P) + c*I,  c = C(m, L, R);  accept when c = c0 again
//! ```
//!
//! Quirks that are load-bearing, each pinned by recorded vectors: a challenge whose leading byte is zero is
//! aligned left; infinity is hashed as `02 00…00` and such signatures verify; scalars not below the group order
//! are reduced; bytes after the last member are ignored; rings of one verify; keys may repeat.
//!
//! [`verify`](verify()) is the plain path, all of it `k256`'s. A [`Verifier`] comes to the same verdicts several
//! times as fast once it has tables of a ring's points (`tables`).
//!
//! Verification sees public data only and runs in variable time. What touches the secret while signing (the
//! nonce times `G` and `H(P)`, the key image, the last scalar) runs in constant time. Which member signs is not
//! hidden from somebody timing the signer: the protocol uses rings for authorisation, not for anonymity.

mod challenge;

mod signature;

mod verify;

mod tables;

mod verifier;

mod sign;

mod placeholder;

pub use challenge::{hash_to_curve, hash_to_scalar};
pub use placeholder::{PLACEHOLDER_ADDRESS, PLACEHOLDER_PUBLIC_KEY, PLACEHOLDER_SECRET, placeholder_secret_key};
pub use sign::{Signer, sign, sign_with_draws};
pub use signature::Signature;
pub use verifier::{TABLE_BYTES_MAX, Verifier};
pub use verify::{challenges, verify};

/// Why a ring signature cannot be read, made, or is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// The input ends before the head of a signature (69 bytes) does.
    #[error("ring signature has {length} bytes, fewer than its head of {head}", head = signature::HEAD_LEN)]
    TooShort {
        /// Number of bytes given.
        length: usize,
    },
    /// The signature names no member.
    #[error("ring signature has no members")]
    NoMembers,
    /// The input is too short for the number of members it claims.
    #[error("ring signature claims {members} members but has only {length} bytes")]
    Truncated {
        /// Number of members claimed.
        members: u32,
        /// Number of bytes given.
        length: usize,
    },
    /// The signature has more members than the caller is willing to pay for.
    #[error("ring signature has {members} members, more than the limit of {limit}")]
    TooManyMembers {
        /// Number of members claimed.
        members: u32,
        /// The caller's limit.
        limit: usize,
    },
    /// The key image is not a point of the curve.
    #[error("key image of ring signature is not a point of secp256k1")]
    KeyImage,
    /// A member's key is not a point of the curve.
    #[error("key of ring member {index} is not a point of secp256k1")]
    MemberKey {
        /// Position in the ring, from 0.
        index: usize,
    },
    /// None of 128 digests of a key is the x of a point; no such key is known.
    #[error("a ring key hashes to no point of secp256k1")]
    HashToCurve,
    /// The signature is whole, but not one of this message by a member of its ring.
    #[error("ring signature does not match message and ring")]
    Mismatch,
    /// A ring to sign for has fewer than two members.
    #[error("ring has {members} members, signing needs at least 2")]
    RingTooSmall {
        /// Number of keys given.
        members: usize,
    },
    /// The signer's own key is not in the ring to sign for.
    #[error("the signer's key is not a member of the ring")]
    SignerNotInRing,
    /// Fewer random values were given than the ring has members.
    #[error("signing for {needed} members needs as many random draws, {given} were given")]
    Draws {
        /// Number of members.
        needed: usize,
        /// Number of draws given.
        given: usize,
    },
    /// The nonce drawn is zero; a signature with it would reveal the secret key.
    #[error("the nonce drawn is zero, the source of randomness is broken")]
    ZeroNonce,
}
