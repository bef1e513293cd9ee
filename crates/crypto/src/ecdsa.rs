//! ECDSA over secp256k1 in the form of the SDK's accounts: 64 bytes `r || s`, low s, over SHA-256 of the
//! message (protocol §0.3, §2.3, §9.2).
//!
//! "Double hash" where the chain does it: a supplier signs `SHA-256(h)` where `h` is the 32 byte hash of the
//! response, that is `key.sign(&h)`; a transaction is signed as `key.sign(&sign_doc)`.
//!
//! Signing is deterministic (RFC 6979) and runs in constant time. Verification handles public data only and
//! runs in variable time.

use k256::{
    Scalar,
    ecdsa::{
        Signature, VerifyingKey,
        signature::hazmat::{PrehashSigner, PrehashVerifier},
    },
    elliptic_curve::scalar::IsHigh,
};

use crate::{
    curve, hash,
    keys::{PublicKey, SecretKey},
};

/// Why an ECDSA signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The signature has another length than 64 bytes.
    #[error("signature has {length} bytes, expected 64")]
    Length {
        /// Number of bytes given.
        length: usize,
    },
    /// `r` or `s` is zero modulo the group order.
    #[error("signature has a zero scalar")]
    Zero,
    /// `s` is in the upper half: somebody else's second form of a signature.
    #[error("signature is not in low-s form")]
    HighS,
    /// The signature is not this key's signature of this message.
    #[error("signature does not match key and message")]
    Mismatch,
}

impl SecretKey {
    /// Signs the SHA-256 digest of `message`; the same input always gives the same 64 bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.sign_digest(&hash::sha256(message))
    }

    /// Signs `digest` itself, without hashing it again.
    #[must_use]
    pub fn sign_digest(&self, digest: &[u8; 32]) -> [u8; 64] {
        let signature: Signature = self
            .signing()
            .sign_prehash(digest)
            .expect("a digest of 32 bytes can always be signed with RFC 6979 nonces");
        signature.normalize_s().to_bytes().into()
    }
}

impl PublicKey {
    /// Verifies a 64 byte signature over the SHA-256 digest of `message`.
    ///
    /// # Errors
    /// A [`SignatureError`] exactly where the chain refuses. Scalars not below the group order are reduced
    /// first, as the chain does.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        self.verify_digest(&hash::sha256(message), signature)
    }

    /// Verifies a 64 byte signature over `digest` itself.
    ///
    /// # Errors
    /// As for [`PublicKey::verify`].
    pub fn verify_digest(&self, digest: &[u8; 32], signature: &[u8]) -> Result<(), SignatureError> {
        let signature = parse(signature)?;
        let key = VerifyingKey::from_affine(self.0.affine).map_err(|_| SignatureError::Mismatch)?;
        key.verify_prehash(digest, &signature).map_err(|_| SignatureError::Mismatch)
    }
}

fn parse(bytes: &[u8]) -> Result<Signature, SignatureError> {
    let bytes: &[u8; 64] = bytes.try_into().map_err(|_| SignatureError::Length { length: bytes.len() })?;
    let r = scalar_at(bytes, 0);
    let s = scalar_at(bytes, 32);
    if bool::from(r.is_zero()) || bool::from(s.is_zero()) {
        return Err(SignatureError::Zero);
    }
    if bool::from(s.is_high()) {
        return Err(SignatureError::HighS);
    }
    Signature::from_scalars(r, s).map_err(|_| SignatureError::Zero)
}

fn scalar_at(bytes: &[u8; 64], offset: usize) -> Scalar {
    curve::scalar_reduced(bytes[offset..offset + 32].try_into().expect("32 of 64 bytes, at 0 or 32"))
}
