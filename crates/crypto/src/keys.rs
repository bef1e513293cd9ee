//! secp256k1 keys as the chain's accounts use them (protocol §0.2, §10.7).

use std::{cmp::Ordering, fmt, hash::Hash, hash::Hasher};

use k256::{
    Scalar, U256,
    ecdsa::SigningKey,
    elliptic_curve::{NonZeroScalar, ops::ReduceNonZero},
};
use rand_core::CryptoRng;
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::{
    address::Address,
    curve::{Compressed, Point},
    hash, mnemonic,
};

/// A secret key: wiped when dropped, shown by nothing but [`SecretKey::to_hex_secret`].
#[derive(Clone)]
pub struct SecretKey {
    signing: SigningKey,
    public: PublicKey,
}

/// A public key: a point of the curve in its 33 byte compressed form.
///
/// Equality, order and hash are those of the bytes.
#[derive(Clone, Copy)]
pub struct PublicKey(pub(crate) Point);

/// Why bytes or text are not a key. No message contains any part of the input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is not 64 hexadecimal digits, optionally after `0x`.
    #[error("secret key is not 64 hexadecimal digits (optionally after 0x)")]
    Hex,
    /// The secret is zero or not below the order of the group.
    #[error("secret key is zero or not below the order of secp256k1")]
    OutOfRange,
    /// A public key has another length than 33 bytes.
    #[error("public key has {length} bytes, expected 33 (compressed form)")]
    PublicKeyLength {
        /// Number of bytes given.
        length: usize,
    },
    /// The bytes are not the compressed form of a point on the curve.
    #[error("public key is not a point of secp256k1 in compressed form (02 or 03, then x)")]
    NotOnCurve,
    /// The text is not a BIP-39 mnemonic.
    #[error("mnemonic is not a valid BIP-39 phrase of English words")]
    Mnemonic(#[source] bip39::Error),
    /// The text is not a BIP-32 path.
    #[error("derivation path is not of the form m/44'/118'/0'/0/0")]
    Path,
    /// The path leads to no key of the mnemonic; this happens once in 2^127 paths.
    #[error("derivation path leads to no key, use another index")]
    Derivation,
}

impl SecretKey {
    /// Reads a secret of 32 big-endian bytes.
    ///
    /// # Errors
    /// [`KeyError::OutOfRange`] for zero and for values not below the group order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let signing = SigningKey::from_slice(bytes).map_err(|_| KeyError::OutOfRange)?;
        Ok(Self::from_signing(signing))
    }

    /// Reads a secret of 64 hexadecimal digits; a leading `0x` and white space around it are dropped.
    ///
    /// # Errors
    /// [`KeyError::Hex`] or [`KeyError::OutOfRange`].
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text).trim();
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits, bytes.as_mut()).map_err(|_| KeyError::Hex)?;
        Self::from_bytes(&bytes)
    }

    /// Derives a key from any byte string as the SDK's `GenPrivKeyFromSecret` does:
    /// `sha256(secret) mod (N - 1) + 1`. For public test keys only: a guessable secret is no secret.
    #[must_use]
    pub fn from_secret(secret: &[u8]) -> Self {
        let digest = Zeroizing::new(hash::sha256(secret));
        let scalar =
            Zeroizing::new(<Scalar as ReduceNonZero<U256>>::reduce_nonzero(&U256::from_be_slice(digest.as_ref())));
        let nonzero =
            NonZeroScalar::new(*scalar).into_option().expect("reduction modulo N - 1, plus one, is never zero");
        Self::from_signing(SigningKey::from(nonzero))
    }

    /// Derives the key of a BIP-39 `phrase` (English, empty passphrase) at a BIP-32 `path`;
    /// accounts use [`mnemonic::DEFAULT_PATH`].
    ///
    /// # Errors
    /// [`KeyError::Mnemonic`], [`KeyError::Path`] or [`KeyError::Derivation`].
    pub fn from_mnemonic(phrase: &str, path: &str) -> Result<Self, KeyError> {
        mnemonic::derive(phrase, path)
    }

    /// Draws a fresh key from `rng`.
    #[must_use]
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        loop {
            rng.fill_bytes(bytes.as_mut());
            // Values that are zero or too large come once in 2^128 draws.
            if let Ok(key) = Self::from_bytes(&bytes) {
                return key;
            }
        }
    }

    /// Returns the public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.public
    }

    /// Returns the account address of the public key.
    #[must_use]
    pub fn address(&self) -> Address {
        self.public.address()
    }

    /// Returns the secret as 64 lower-case hexadecimal digits, for writing a key file; wiped when dropped.
    #[must_use]
    pub fn to_hex_secret(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(<[u8; 32]>::from(self.signing.to_bytes()));
        Zeroizing::new(hex::encode(bytes.as_ref()))
    }

    pub(crate) fn from_signing(signing: SigningKey) -> Self {
        let public = PublicKey(Point::from_affine(*signing.verifying_key().as_affine()));
        Self { signing, public }
    }

    pub(crate) fn signing(&self) -> &SigningKey {
        &self.signing
    }

    pub(crate) fn scalar(&self) -> &Scalar {
        self.signing.as_nonzero_scalar()
    }
}

/// The only secret in it is a `SigningKey`, which wipes itself.
impl ZeroizeOnDrop for SecretKey {}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretKey(..)")
    }
}

impl PublicKey {
    /// Reads a compressed public key.
    ///
    /// # Errors
    /// [`KeyError::PublicKeyLength`] or [`KeyError::NotOnCurve`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes: &Compressed = bytes.try_into().map_err(|_| KeyError::PublicKeyLength { length: bytes.len() })?;
        Point::decode(bytes).map(Self).ok_or(KeyError::NotOnCurve)
    }

    /// Returns the compressed form: 02 or 03, then x.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 33] {
        self.0.bytes
    }

    /// Borrows the compressed form.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 33] {
        &self.0.bytes
    }

    /// Returns the account address, `bech32("pokt", ripemd160(sha256(bytes)))`.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::from_bytes(hash::ripemd160(&hash::sha256(&self.0.bytes)))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({})", hex::encode(self.0.bytes))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0.bytes))
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}

impl Eq for PublicKey {}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.bytes.cmp(&other.0.bytes)
    }
}

impl Hash for PublicKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.bytes.hash(state);
    }
}
