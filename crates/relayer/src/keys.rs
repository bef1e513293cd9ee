//! Supplier keys: read once at start, held in memory, shown by nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use pocket_config::common;
use pocket_crypto::keys::{KeyError, SecretKey};
use pocket_runtime::fs::{self, FsError};
use serde::Deserialize;

/// The operator keys held here, by address. Clones share them.
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
    #[error("no supplier key in {sources}; without one nothing can be signed")]
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
    /// Loads the keys of every configured source.
    ///
    /// # Errors
    /// [`KeysError`]: any file that cannot be read or used stops the start, since a supplier left out in silence earns
    /// nothing.
    pub fn load(settings: &common::Keys) -> Result<Self, KeysError> {
        let mut by_address = BTreeMap::new();
        let mut sources = Vec::new();
        if !settings.keys_file.is_empty() {
            sources.push(format!("`{}`", settings.keys_file));
            load_file(Path::new(&settings.keys_file), &mut by_address)?;
        }
        if !settings.keys_dir.is_empty() {
            sources.push(format!("`{}`", settings.keys_dir));
            for path in fs::list(&settings.keys_dir)? {
                let extension = path.extension().and_then(|extension| extension.to_str());
                if matches!(extension, Some("yaml" | "yml" | "json")) {
                    load_file(&path, &mut by_address)?;
                }
            }
        }
        if by_address.is_empty() {
            return Err(KeysError::None { sources: sources.join(" and ") });
        }
        Ok(Self { by_address: Arc::new(by_address) })
    }

    /// Holds these keys, for callers that have them already.
    pub fn of(keys: impl IntoIterator<Item = SecretKey>) -> Self {
        let by_address = keys.into_iter().map(|key| (key.address().to_string(), Arc::new(key))).collect();
        Self { by_address: Arc::new(by_address) }
    }

    /// Returns the key of an operator address.
    pub fn get(&self, address: &str) -> Option<&Arc<SecretKey>> {
        self.by_address.get(address)
    }

    /// Returns the addresses, in order.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.by_address.keys().map(String::as_str)
    }

    /// Returns how many keys are held.
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    /// Returns whether none is held.
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }
}

fn load_file(path: &Path, into: &mut BTreeMap<String, Arc<SecretKey>>) -> Result<(), KeysError> {
    let file = path.display().to_string();
    let text = fs::read_to_string(path)?;
    for (number, key) in parse(&file, &text)?.into_iter().enumerate() {
        let key = key.map_err(|source| KeysError::Key { file: file.clone(), number: number + 1, source })?;
        into.insert(key.address().to_string(), Arc::new(key));
    }
    Ok(())
}

fn parse(file: &str, text: &str) -> Result<Vec<Result<SecretKey, KeyError>>, KeysError> {
    let form = |reason| KeysError::Form { file: file.to_owned(), reason };
    // The parser's own message would quote the line it stumbled over.
    let parsed: File = serde_saphyr::from_str(text).map_err(|_| form("it is not YAML of the expected shape"))?;
    let mut keys: Vec<_> = parsed.keys.iter().map(|hex| SecretKey::from_hex(hex)).collect();
    if let Some(hex) = &parsed.private_key_hex {
        let key = SecretKey::from_hex(hex);
        if let (Ok(key), Some(written)) = (&key, &parsed.operator_address) {
            let derived = key.address().to_string();
            if derived != *written {
                return Err(KeysError::OtherAddress { file: file.to_owned(), written: written.clone(), derived });
            }
        }
        keys.push(key);
    }
    if keys.is_empty() { Err(form("it holds no key")) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "2d00ef074d9b51e46886dc9a1df11e7b986611d0f336bdcf1f0adce3e037ec0a";
    const ADDRESS: &str = "pokt1mrqt5f7qh8uxs27cjm9t7v9e74a9vvdnq5jva4";

    #[track_caller]
    fn check(text: &str, expected: Result<&[&str], &str>) {
        let parsed = parse("keys.yaml", text).map(|keys| {
            let address =
                |key: Result<SecretKey, KeyError>| key.map_or_else(|e| e.to_string(), |k| k.address().to_string());
            keys.into_iter().map(address).collect::<Vec<_>>()
        });
        match (parsed, expected) {
            (Ok(keys), Ok(expected)) => assert_eq!(keys, expected),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (parsed, _) => panic!("{parsed:?}"),
        }
    }

    #[test]
    fn a_list_of_keys_is_read() {
        check(&format!("keys:\n  - {KEY}\n  - \"0x{KEY}\"\n"), Ok(&[ADDRESS, ADDRESS]));
    }

    #[test]
    fn one_key_with_its_address_is_read() {
        check(&format!("operator_address: {ADDRESS}\nprivate_key_hex: {KEY}\n"), Ok(&[ADDRESS]));
    }

    #[test]
    fn an_address_of_another_key_is_refused() {
        let text = format!("operator_address: pokt13gyxtzds0n5qt8fjw3awr726zjma2xywac2m0k\nprivate_key_hex: {KEY}\n");
        check(&text, Err("but its key belongs to"));
    }

    #[test]
    fn a_broken_file_is_refused_without_quoting_it() {
        check(&format!("keys: [{KEY}"), Err("it is not YAML"));
        assert!(!parse("keys.yaml", &format!("keys: [{KEY}")).expect_err("refused").to_string().contains(KEY));
        check("keys: []\n", Err("it holds no key"));
        check("keys:\n  - abc\n", Ok(&["secret key is not 64 hexadecimal digits (optionally after 0x)"]));
    }
}
