//! Keys from phrases: BIP-39 seed, BIP-32 derivation, BIP-44 path with the coin type of the Cosmos SDK
//! (protocol §0.2).

use bip32::{DerivationPath, XPrv};
use bip39::{Language, Mnemonic};
use zeroize::Zeroizing;

use crate::keys::{KeyError, SecretKey};

/// The path of an account's first key; 118 is the coin type of the Cosmos SDK.
pub const DEFAULT_PATH: &str = "m/44'/118'/0'/0/0";

/// Returns the phrase of `entropy`: 16, 20, 24, 28 or 32 bytes give 12 to 24 English words.
///
/// # Errors
/// [`KeyError::Mnemonic`] for any other number of bytes.
pub fn from_entropy(entropy: &[u8]) -> Result<Zeroizing<String>, KeyError> {
    let mnemonic = Mnemonic::from_entropy_in(Language::English, entropy).map_err(KeyError::Mnemonic)?;
    Ok(Zeroizing::new(mnemonic.to_string()))
}

pub(crate) fn derive(phrase: &str, path: &str) -> Result<SecretKey, KeyError> {
    let path: DerivationPath = path.parse().map_err(|_| KeyError::Path)?;
    let mnemonic = Mnemonic::parse_in_normalized(Language::English, phrase).map_err(KeyError::Mnemonic)?;
    let seed = Zeroizing::new(mnemonic.to_seed_normalized(""));
    let extended = XPrv::derive_from_path(seed.as_ref(), &path).map_err(|_| KeyError::Derivation)?;

    Ok(SecretKey::from_signing(extended.private_key().clone()))
}
