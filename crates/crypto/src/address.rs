//! Account addresses, `pokt1…` (protocol §0.2, §10.6).

use std::{borrow::Borrow, cmp::Ordering, fmt, hash::Hash, hash::Hasher, str::FromStr, sync::Arc};

use crate::{bech32, hash};

/// Prefix of account and module addresses.
pub const PREFIX_ACCOUNT: &str = "pokt";
/// Prefix of validator operator addresses.
pub const PREFIX_VALOPER: &str = "poktvaloper";
/// Prefix of consensus addresses.
pub const PREFIX_VALCONS: &str = "poktvalcons";
/// Greatest length of an address in bytes. Accounts have 20; the chain accepts any other from 1 to this.
pub const ADDRESS_BYTES_MAX: usize = 255;

/// An account address, valid because it exists; cheap to clone.
///
/// Equality, order and hash are those of the lower-case text, which is how the chain sorts addresses.
/// Parsing accepts exactly what the chain's `AccAddressFromBech32` accepts, also all upper case and lengths
/// other than 20 bytes; the text kept is always lower case.
#[derive(Clone)]
pub struct Address(Arc<Parts>);

struct Parts {
    text: Box<str>,
    bytes: Box<[u8]>,
}

/// Why a text or byte string is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing, or nothing but white space, was given.
    #[error("address is empty; expected text like pokt1… of 43 characters")]
    Empty,
    /// The text is shorter than 8 or longer than 1023 characters.
    #[error("address has {length} characters; bech32 text has 8 to 1023")]
    TextLength {
        /// Length of the text in bytes.
        length: usize,
    },
    /// A character is not printable ASCII, or not one of the bech32 alphabet in the data part.
    #[error("address has an invalid character at position {position}")]
    Character {
        /// Offset of the character in bytes, from 0.
        position: usize,
    },
    /// Upper and lower case are mixed.
    #[error("address mixes upper and lower case")]
    MixedCase,
    /// There is no `1` between prefix and data, or too little after it.
    #[error("address has no separator '1' between prefix and data; is it hexadecimal instead of bech32?")]
    Separator,
    /// The checksum does not match: a character is wrong or missing.
    #[error("address checksum does not match; check it for a typing error")]
    Checksum,
    /// The bits left over after the last byte are not zero.
    #[error("address has non-zero padding bits")]
    Padding,
    /// The address is of another kind or another chain.
    #[error("address has prefix {found}, expected {expected}")]
    Prefix {
        /// The prefix asked for.
        expected: &'static str,
        /// The prefix of the text.
        found: String,
    },
    /// The decoded address is empty or longer than [`ADDRESS_BYTES_MAX`].
    #[error("address has {length} bytes; expected 1 to {ADDRESS_BYTES_MAX}")]
    Length {
        /// Number of bytes decoded.
        length: usize,
    },
}

impl Address {
    /// Returns the account address of 20 bytes, `ripemd160(sha256(public key))`.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 20]) -> Self {
        Self::new(&bytes)
    }

    /// Returns the address of `bytes`, of which the chain takes any number from 1 to 255.
    ///
    /// # Errors
    /// [`AddressError::Length`] for any other number.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, AddressError> {
        if bytes.is_empty() || bytes.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::Length { length: bytes.len() });
        }
        Ok(Self::new(bytes))
    }

    /// Returns the account of the chain's module `name`: the first 20 bytes of `sha256(name)` (protocol §10.6).
    #[must_use]
    pub fn module(name: &str) -> Self {
        let digest = hash::sha256(name.as_bytes());
        Self::new(&digest[..20])
    }

    /// Parses a validator operator address, `poktvaloper1…`, as the account of the same bytes.
    ///
    /// # Errors
    /// As for parsing an account address.
    pub fn from_valoper(text: &str) -> Result<Self, AddressError> {
        Self::parse(PREFIX_VALOPER, text)
    }

    /// Parses a consensus address, `poktvalcons1…`, as the account of the same bytes.
    ///
    /// # Errors
    /// As for parsing an account address.
    pub fn from_valcons(text: &str) -> Result<Self, AddressError> {
        Self::parse(PREFIX_VALCONS, text)
    }

    /// Returns the text, `pokt1…`, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Returns the bytes: 20 of an account, 1 to 255 of an address parsed from elsewhere.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// Returns the validator operator form of the same bytes, `poktvaloper1…`.
    #[must_use]
    pub fn to_valoper(&self) -> String {
        bech32::encode(PREFIX_VALOPER, &self.0.bytes)
    }

    /// Returns the consensus form of the same bytes, `poktvalcons1…`.
    #[must_use]
    pub fn to_valcons(&self) -> String {
        bech32::encode(PREFIX_VALCONS, &self.0.bytes)
    }

    fn parse(prefix: &'static str, text: &str) -> Result<Self, AddressError> {
        if text.trim().is_empty() {
            return Err(AddressError::Empty);
        }
        Self::checked(prefix, text)
    }

    fn checked(prefix: &'static str, text: &str) -> Result<Self, AddressError> {
        Self::from_slice(&bech32::decode(prefix, text)?)
    }

    fn new(bytes: &[u8]) -> Self {
        let text = bech32::encode(PREFIX_ACCOUNT, bytes).into_boxed_str();
        Self(Arc::new(Parts { text, bytes: bytes.into() }))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(PREFIX_ACCOUNT, text)
    }
}

impl TryFrom<&str> for Address {
    type Error = AddressError;

    fn try_from(text: &str) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<&Address> for String {
    fn from(address: &Address) -> Self {
        address.as_str().to_owned()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl AsRef<str> for Address {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// Lets a map keyed by addresses be asked with a text.
impl Borrow<str> for Address {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.as_str() == other.as_str()
    }
}

impl Eq for Address {}

impl PartialEq<str> for Address {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Address {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}
