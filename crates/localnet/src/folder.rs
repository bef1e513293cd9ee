//! The folder of a network: its owner, what it may not change, its keys.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pocket_config::facts::{DevelopmentKey, Facts, development_keys};
use pocket_runtime::fs::{self, FsError, Lock, LockError};
use pocket_runtime::random;
use serde::{Deserialize, Serialize};

use crate::options::Options;
use crate::ports::{Addresses, Door, Ports};

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process uses it.
    #[error("the data folder is in use")]
    Locked(#[from] LockError),
    /// It cannot be written.
    #[error("the data folder cannot be used")]
    Failed(#[from] FsError),
    /// What it says of itself cannot be read.
    #[error("`{path}` is damaged: {reason}; use another folder, or remove this one to begin anew")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// It belongs to another network.
    #[error("the chain in `{folder}` has {what} {kept}, not {wanted}; {remedy}")]
    Other {
        /// The folder.
        folder: String,
        /// What differs.
        what: &'static str,
        /// As the folder has it.
        kept: String,
        /// As asked for.
        wanted: String,
        /// What to do.
        remedy: String,
    },
}

/// What is in a chain's genesis, and so cannot change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    version: u32,
    profile: String,
    seed: u64,
    relayer_port: u16,
}

const IDENTITY_VERSION: u32 = 1;

/// A folder that this process holds.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    identity: Option<Identity>,
    // Of a folder that outlives the process; none for one that is removed at the end.
    lock: Option<Lock>,
}

impl Folder {
    /// Opens the folder that the options name, or makes one that is gone when this handle drops.
    pub(crate) fn open(options: &Options) -> Result<Self, FolderError> {
        let Some(path) = options.data_dir.clone() else {
            let path = std::env::temp_dir().join(format!("pocket-{}-{:016x}", std::process::id(), random::u64()));
            fs::create_dir_all(&path)?;
            return Ok(Self { path, identity: None, lock: None });
        };
        fs::create_dir_all(&path)?;
        let lock = Lock::exclusive(path.join("lock"), &format!("pocket up, process {}", std::process::id()))?;
        let mut folder = Self { path, identity: None, lock: Some(lock) };
        folder.identity = folder.read_identity()?;
        folder.check(options)?;
        Ok(folder)
    }

    fn identity_path(&self) -> PathBuf {
        self.path.join("localnet.json")
    }

    fn read_identity(&self) -> Result<Option<Identity>, FolderError> {
        let path = self.identity_path();
        if !fs::exists(&path) {
            return Ok(None);
        }
        let damaged = |reason: String| FolderError::Damaged { path: path.display().to_string(), reason };
        let identity: Identity =
            serde_json::from_slice(&fs::read(&path)?).map_err(|error| damaged(error.to_string()))?;
        if identity.version != IDENTITY_VERSION {
            return Err(damaged(format!("its version is {}, not {IDENTITY_VERSION}", identity.version)));
        }
        Ok(Some(identity))
    }

    fn check(&self, options: &Options) -> Result<(), FolderError> {
        let Some(identity) = &self.identity else { return Ok(()) };
        let other = |what, kept: String, wanted: String, remedy: String| FolderError::Other {
            folder: self.path.display().to_string(),
            what,
            kept,
            wanted,
            remedy,
        };
        if identity.profile != options.profile {
            let remedy = format!("start it with `--profile {}`, or use another folder", identity.profile);
            return Err(other("profile", identity.profile.clone(), options.profile.clone(), remedy));
        }
        if identity.seed != options.seed {
            let remedy = format!("start it with `--seed {}`, or use another folder", identity.seed);
            return Err(other("seed", identity.seed.to_string(), options.seed.to_string(), remedy));
        }
        let wanted = match options.ports {
            Ports::Seed => Some(Door::Relayer.port()),
            Ports::Offset(offset) => Door::Relayer.port().checked_add(offset),
            Ports::Auto => None,
        };
        match wanted {
            Some(wanted) if wanted != identity.relayer_port => {
                let offset = identity.relayer_port.checked_sub(Door::Relayer.port());
                let remedy = match offset {
                    Some(0) => "start it without `--port-offset`, or use another folder".to_owned(),
                    Some(offset) => {
                        format!("start it with `--ports auto` or `--port-offset {offset}`, or use another folder")
                    }
                    None => "start it with `--ports auto`, or use another folder".to_owned(),
                };
                Err(other("its suppliers at port", identity.relayer_port.to_string(), wanted.to_string(), remedy))
            }
            _ => Ok(()),
        }
    }

    /// The relayer's port, which the chain's suppliers have staked.
    pub(crate) fn relayer_port(&self) -> Option<u16> {
        self.identity.as_ref().map(|identity| identity.relayer_port)
    }

    /// Writes down what may not change any more.
    pub(crate) fn remember(&mut self, options: &Options, addresses: &Addresses) -> Result<(), FolderError> {
        if self.lock.is_none() || self.identity.is_some() {
            return Ok(());
        }
        let identity = Identity {
            version: IDENTITY_VERSION,
            profile: options.profile.clone(),
            seed: options.seed,
            relayer_port: addresses.of(Door::Relayer).port(),
        };
        let text = serde_json::to_vec_pretty(&identity).expect("numbers and a text are always JSON");
        fs::write_atomic(self.identity_path(), &text)?;
        self.identity = Some(identity);
        Ok(())
    }

    /// Folder of a room, if it outlives the process.
    pub(crate) fn of_room(&self, room: &str) -> Option<PathBuf> {
        self.lock.is_some().then(|| self.path.join(room))
    }

    /// Writes the keys that rooms are told to read.
    pub(crate) fn write_keys(&self, facts: &Facts, keys: &[DevelopmentKey]) -> Result<KeyFiles, FolderError> {
        Ok(write_keys(&self.path.join("keys"), facts, keys)?)
    }

    /// Writes the facts of a network that is not the one compiled in, and returns where.
    pub(crate) fn write_facts(&self, facts: &Facts) -> Result<PathBuf, FolderError> {
        let path = self.path.join("facts.json");
        let text = serde_json::to_vec(facts).expect("facts have a JSON form");
        fs::write_atomic(&path, &text)?;
        Ok(path)
    }

    fn remove(path: &Path) {
        if let Err(error) = fs::remove_dir_all(path) {
            tracing::warn!(error = %pocket_runtime::process::chain(&error), "a temporary folder is left behind");
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.lock.is_none() {
            Self::remove(&self.path);
        }
    }
}

/// Where keys are, for settings to name.
#[derive(Debug)]
pub struct KeyFiles {
    /// Those of every supplier.
    pub suppliers: PathBuf,
    /// The gateway's.
    pub gateway: PathBuf,
}

/// Writes the development network's suppliers' keys and its gateway's into files of a folder, for their owner alone.
///
/// # Errors
/// [`FsError`], naming the file.
///
/// # Panics
/// If the facts, which are part of the program, are not valid: a test reads them.
pub fn write_development_keys(folder: &Path) -> Result<KeyFiles, FsError> {
    let facts = Facts::localnet("seed").expect("the facts are part of the program");
    write_keys(folder, &facts, &development_keys())
}

fn write_keys(folder: &Path, facts: &Facts, keys: &[DevelopmentKey]) -> Result<KeyFiles, FsError> {
    fs::create_dir_all(folder)?;
    let write = |name: &str, owners: &BTreeSet<&str>| {
        let lines: Vec<String> = keys
            .iter()
            .filter(|key| owners.contains(key.name.as_str()))
            .map(|key| format!("  - \"{}\"\n", key.private_key))
            .collect();
        let warning = "# Public development keys: never use them on a network that holds value.";
        let path = folder.join(name);
        fs::write_private(&path, format!("{warning}\nkeys:\n{}", lines.concat()).as_bytes())?;
        Ok(path)
    };
    let suppliers = facts.suppliers.iter().map(|supplier| supplier.account.as_str()).collect();
    // The process signs for one gateway.
    let gateway = facts.gateways.iter().take(1).map(|gateway| gateway.account.as_str()).collect();
    Ok(KeyFiles { suppliers: write("supplier-keys.yaml", &suppliers)?, gateway: write("gateway-key.yaml", &gateway)? })
}
