//! What Nickel cannot compute: keys, addresses, the genesis transaction. Derived once, and kept in a committed file.
//!
//! Deriving takes a while for each mnemonic; reading does not. So the file is checked against the page by digests on every
//! run, and against the derivation by a test.

mod gentx;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pocket_crypto::hash::sha256;
use pocket_crypto::keys::{PublicKey, SecretKey};
use pocket_crypto::mnemonic::{self, DEFAULT_PATH};
use pocket_runtime::fs;
use serde::{Deserialize, Serialize};

use crate::page::Page;
use crate::refusal::Refusal;
use crate::spec::Spec;

pub use gentx::GAS_LIMIT as GENTX_GAS_LIMIT;
use gentx::Gentx;

/// The committed file, from the root.
pub const LOCK: &str = "config.lock.json";

/// What to do when the file does not fit the page.
const REMEDY: &str = "run `pocket spec lock`, and commit config.lock.json";

/// Keys and what follows from them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// A word to whoever opens the file.
    pub about: String,
    /// By account name.
    pub accounts: BTreeMap<String, LockedAccount>,
    /// The validator's.
    pub validator: LockedValidator,
}

/// One account's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedAccount {
    /// Bech32.
    pub address: String,
    /// Compressed secp256k1 point, 66 hex digits.
    pub public_key: String,
    /// 64 hex digits. Known to everybody.
    pub private_key: String,
    /// SHA-256 of the mnemonic that it was derived from, so that a changed one is seen.
    pub mnemonic_sha256: String,
    /// The mnemonic, for accounts whose page gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_mnemonic: Option<String>,
}

/// What follows from the validator's keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedValidator {
    /// Upper-case hex.
    pub consensus_address: String,
    /// Base64 of 32 bytes.
    pub consensus_public_key: String,
    /// Name among peers, hex.
    pub node_id: String,
    /// Bech32, `poktvaloper1…`.
    pub operator_address: String,
    /// SHA-256 of what the genesis transaction signs.
    pub gentx_sha256: String,
    /// Base64 of 64 bytes.
    pub gentx_signature: String,
}

impl Lock {
    /// Derives everything anew.
    ///
    /// # Errors
    /// If a mnemonic or a key of the page is none.
    pub fn derive(spec: &Spec) -> anyhow::Result<Self> {
        let mut accounts = BTreeMap::new();
        for (name, given) in mnemonics(spec)? {
            let key = SecretKey::from_mnemonic(&given.words, DEFAULT_PATH)
                .with_context(|| format!("accounts.{name}.mnemonic"))?;
            accounts.insert(
                name,
                LockedAccount {
                    address: key.address().to_string(),
                    public_key: hex::encode(key.public_key().as_bytes()),
                    private_key: key.to_hex_secret().to_string(),
                    mnemonic_sha256: hex::encode(sha256(given.words.as_bytes())),
                    made_mnemonic: given.made.then_some(given.words),
                },
            );
        }
        let owner = accounts.get(&spec.validator.account).context("validator.account is no account")?;
        let key = SecretKey::from_hex(&owner.private_key)?;
        let gentx = Gentx::of(spec, &key.public_key())?;
        let validator = LockedValidator {
            consensus_address: consensus_address(spec)?,
            consensus_public_key: BASE64.encode(public_half(&spec.validator.consensus_key)?),
            node_id: node_id(spec)?,
            operator_address: key.address().to_valoper(),
            gentx_sha256: hex::encode(gentx.digest()),
            gentx_signature: BASE64.encode(key.sign_digest(&gentx.digest())),
        };
        let about = "Derived by `pocket spec lock`. Public development keys: never use them where value is held.";
        Ok(Self { about: about.to_owned(), accounts, validator })
    }

    /// Reads the committed file and holds it against the page.
    ///
    /// # Errors
    /// A [`Refusal`] that names what changed, with the remedy.
    pub fn read(page: &Page) -> anyhow::Result<Self> {
        let path = page.root.join(LOCK);
        if !fs::exists(&path) {
            let remedies = vec![REMEDY.to_owned()];
            return Err(Refusal { remedies, ..Refusal::of(format!("there is no {LOCK}")) }.into());
        }
        let lock: Self = serde_json::from_slice(&fs::read(&path)?).with_context(|| format!("{LOCK} is damaged"))?;
        lock.check(page)?;
        Ok(lock)
    }

    /// Holds the lock against the page: every account is there, and was derived from what the page says now.
    ///
    /// # Errors
    /// A [`Refusal`] that names what changed, with the remedy.
    pub fn check(&self, page: &Page) -> anyhow::Result<()> {
        let remedies = || vec![REMEDY.to_owned()];
        for (name, given) in mnemonics(&page.spec)? {
            let at = format!("accounts.{name}.mnemonic");
            let Some(locked) = self.accounts.get(&name) else {
                return Err(page.refuse(&at, format!("{LOCK} has no key of account `{name}`"), remedies()).into());
            };
            if locked.mnemonic_sha256 != hex::encode(sha256(given.words.as_bytes())) {
                let message = format!("{LOCK} has a key of account `{name}` from another mnemonic");
                return Err(page.refuse(&at, message, remedies()).into());
            }
            let derived = hex::decode(&locked.public_key).ok().and_then(|bytes| PublicKey::from_bytes(&bytes).ok());
            if derived.is_none_or(|key| key.address().as_str() != locked.address) {
                let message = format!("{LOCK} has an address of account `{name}` that is not its key's");
                return Err(page.refuse(&at, message, remedies()).into());
            }
        }
        let spec = &page.spec;
        let key = hex::decode(&self.accounts[&spec.validator.account].public_key)?;
        let gentx = Gentx::of(spec, &PublicKey::from_bytes(&key)?)?;
        if self.validator.gentx_sha256 != hex::encode(gentx.digest())
            || self.validator.node_id != node_id(spec)?
            || self.validator.consensus_address != consensus_address(spec)?
        {
            let message = format!("the validator's genesis transaction in {LOCK} is of another validator or chain");
            return Err(page.refuse("validator", message, remedies()).into());
        }
        Ok(())
    }

    /// Writes the committed file; says whether it changed.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, root: &Path) -> anyhow::Result<bool> {
        let text = self.text();
        let path = root.join(LOCK);
        if fs::exists(&path) && fs::read(&path)? == text.as_bytes() {
            return Ok(false);
        }
        fs::write_atomic(&path, text.as_bytes())?;
        Ok(true)
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a lock is plain data with text keys");
        text.push('\n');
        text
    }

    /// The words of an account: the page's, or those that were made for it.
    pub fn mnemonic<'a>(&'a self, spec: &'a Spec, name: &str) -> Option<&'a str> {
        let given = spec.accounts.get(name).and_then(|account| account.mnemonic.as_deref());
        given.or_else(|| self.accounts.get(name)?.made_mnemonic.as_deref())
    }
}

struct Given {
    words: String,
    made: bool,
}

/// The words of every account. Those that the page leaves out are made from the chain's id and the account's name, so
/// that a new service or account is one line, and its key is the same on every machine.
fn mnemonics(spec: &Spec) -> anyhow::Result<BTreeMap<String, Given>> {
    let mut given = BTreeMap::new();
    let made = spec.services.iter().filter(|(_, service)| service.application.is_none());
    let names = spec.accounts.keys().cloned().chain(made.map(|(id, _)| made_application(id)));
    for name in names {
        let words = spec.accounts.get(&name).and_then(|account| account.mnemonic.clone());
        let (words, made) = if let Some(words) = words {
            (words, false)
        } else {
            let entropy = sha256(format!("development account {name} of {}", spec.network.chain_id).as_bytes());
            (mnemonic::from_entropy(&entropy)?.to_string(), true)
        };
        given.insert(name, Given { words, made });
    }
    Ok(given)
}

/// Name of the account that is made for a service's application.
pub fn made_application(service: &str) -> String {
    format!("app-{service}")
}

fn public_half(key: &str) -> anyhow::Result<[u8; 32]> {
    let bytes = BASE64.decode(key).context("a key of the validator is no base64")?;
    let half = bytes.get(32..64).and_then(|half| half.try_into().ok());
    half.context("a key of the validator has not 64 bytes")
}

/// The first 20 bytes of the digest of a public key, as `CometBFT` names nodes and validators.
fn comet_address(key: &str) -> anyhow::Result<String> {
    Ok(hex::encode(&sha256(&public_half(key)?)[..20]))
}

fn consensus_address(spec: &Spec) -> anyhow::Result<String> {
    Ok(comet_address(&spec.validator.consensus_key)?.to_uppercase())
}

fn node_id(spec: &Spec) -> anyhow::Result<String> {
    comet_address(&spec.validator.node_key)
}
