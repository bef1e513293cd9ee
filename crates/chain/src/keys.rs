//! Keys of suppliers' operators: read once at start, shown by nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use pocket_config::common;
use pocket_crypto::keys::{KeyError, SecretKey};
use pocket_runtime::fs::{self, FsError};
use serde::Deserialize;

/// The operator keys that a process signs with, by address. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    by_address: Arc<BTreeMap<String, Arc<SecretKey>>>,
}

/// Why keys were not loaded. No message contains any part of a key.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file or folder cannot be read.
    #[error("failed to load supplier keys")]
    Read(#[from] FsError),
    /// A file is not of the form expected.
    #[error("`{file}` is no key file: {reason}; write `keys:` and a list of hex private keys")]
    Form {
        /// Its path.
        file: String,
        /// What is wrong, without its contents.
        reason: &'static str,
    },
    /// An entry is no key.
    #[error("key {number} of `{file}` cannot be used")]
    Key {
        /// Its path.
        file: String,
        /// Position in the file, from 1.
        number: usize,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The address written beside a key is another key's.
    #[error("`{file}` says operator_address {written}, but its key belongs to {derived}")]
    OtherAddress {
        /// Its path.
        file: String,
        /// As written.
        written: String,
        /// Of the key.
        derived: String,
    },
    /// No source has a key.
    #[error("no supplier key in `{sources}`; without one nothing can be signed")]
    None {
        /// Where they were looked for.
        sources: String,
    },
}

/// A key file: a list of keys, or one key with its address.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    private_key_hex: Option<String>,
    #[serde(default)]
    operator_address: Option<String>,
}

impl Keys {
    /// Holds these keys, for callers that have them already.
    pub fn of(keys: impl IntoIterator<Item = SecretKey>) -> Self {
        let by_address = keys.into_iter().map(|key| (key.address().to_string(), Arc::new(key))).collect();
        Self { by_address: Arc::new(by_address) }
    }

    /// Loads the keys of every configured source.
    ///
    /// # Errors
    /// [`KeysError`]: any file that cannot be read or used stops the start, since a supplier left out in silence earns
    /// nothing.
    pub fn load(settings: &common::Keys) -> Result<Self, KeysError> {
        let mut keys = Vec::new();
        let mut sources = Vec::new();
        if !settings.keys_file.is_empty() {
            sources.push(settings.keys_file.clone());
            keys.extend(load_file(Path::new(&settings.keys_file))?);
        }
        if !settings.keys_dir.is_empty() {
            sources.push(settings.keys_dir.clone());
            for path in fs::list(&settings.keys_dir)? {
                let extension = path.extension().and_then(|extension| extension.to_str());
                if matches!(extension, Some("yaml" | "yml" | "json")) {
                    keys.extend(load_file(&path)?);
                }
            }
        }
        if keys.is_empty() {
            return Err(KeysError::None { sources: sources.join("`, `") });
        }
        Ok(Self::of(keys))
    }

    /// Returns addresses and keys, in order of address.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Arc<SecretKey>)> {
        self.by_address.iter()
    }

    /// Returns the addresses, in order.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.by_address.keys().map(String::as_str)
    }

    /// Returns the key of an operator address.
    pub fn get(&self, address: &str) -> Option<&Arc<SecretKey>> {
        self.by_address.get(address)
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }
}

fn load_file(path: &Path) -> Result<Vec<SecretKey>, KeysError> {
    parse(&path.display().to_string(), &fs::read_to_string(path)?)
}

fn parse(file: &str, text: &str) -> Result<Vec<SecretKey>, KeysError> {
    let form = |reason| KeysError::Form { file: file.to_owned(), reason };
    // The parser's own message would quote the line it stumbled over.
    let parsed: File = serde_saphyr::from_str(text).map_err(|_| form("it is not YAML of the expected shape"))?;
    let mut keys = Vec::new();
    for hex in parsed.keys.iter().chain(&parsed.private_key_hex) {
        let key = SecretKey::from_hex(hex);
        keys.push(key.map_err(|source| KeysError::Key { file: file.to_owned(), number: keys.len() + 1, source })?);
    }
    let derived = keys.last().ok_or_else(|| form("it holds no key"))?.address().to_string();
    match (&parsed.private_key_hex, parsed.operator_address) {
        (Some(_), Some(written)) if written != derived => {
            Err(KeysError::OtherAddress { file: file.to_owned(), written, derived })
        }
        _ => Ok(keys),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "2d00ef074d9b51e46886dc9a1df11e7b986611d0f336bdcf1f0adce3e037ec0a";
    const ADDRESS: &str = "pokt1mrqt5f7qh8uxs27cjm9t7v9e74a9vvdnq5jva4";

    #[track_caller]
    fn check(text: &str, expected: Result<&[&str], &str>) {
        let parsed = parse("keys.yaml", text);
        let addresses = parsed.map(|keys| keys.iter().map(|key| key.address().to_string()).collect::<Vec<_>>());
        match (addresses, expected) {
            (Ok(addresses), Ok(expected)) => assert_eq!(addresses, expected),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (found, _) => panic!("{found:?}"),
        }
    }

    #[test]
    fn keys_are_read_in_both_forms() {
        check(&format!("keys:\n  - {KEY}\n  - \"0x{KEY}\"\n"), Ok(&[ADDRESS, ADDRESS]));
        check(&format!("operator_address: {ADDRESS}\nprivate_key_hex: {KEY}\n"), Ok(&[ADDRESS]));
    }

    #[test]
    fn wrong_files_are_refused_without_quoting_them() {
        check(&format!("keys: [{KEY}"), Err("it is not YAML"));
        check("keys: []\n", Err("it holds no key"));
        check("keys:\n  - abc\n", Err("key 1 of `keys.yaml`"));
        let other = "pokt13gyxtzds0n5qt8fjw3awr726zjma2xywac2m0k";
        check(&format!("operator_address: {other}\nprivate_key_hex: {KEY}\n"), Err("but its key belongs to"));
        assert!(!parse("keys.yaml", &format!("keys: [{KEY}")).unwrap_err().to_string().contains(KEY));
    }
}
