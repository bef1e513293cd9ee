//! The lock file of a data folder: who holds it, and where the holder answers.
//!
//! The lock itself is the engine's, held by the kernel for as long as the process lives; this file only says whose it is.

use std::path::{Path, PathBuf};

use pocket_runtime::fs;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;

/// What the lock file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The process that holds the folder, or held it last.
    pub pid: u32,
    /// Where it answers read verbs, if it does: `host:port`, or the path of a unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
}

/// Returns where a data folder's lock file is.
pub fn path(folder: &Path) -> PathBuf {
    folder.join("store.lock.json")
}

/// Reads a data folder's lock file; none if there is none or it cannot be read.
pub fn read(folder: &Path) -> Option<Owner> {
    serde_json::from_slice(&fs::read(path(folder)).ok()?).ok()
}

pub(crate) fn write(folder: &Path, admin: Option<&str>) -> Result<(), StoreError> {
    let owner = Owner { pid: std::process::id(), admin: admin.map(str::to_owned) };
    let text = serde_json::to_vec(&owner).expect("a number and a text are always JSON");
    fs::write_atomic(path(folder), &text).map_err(|error| StoreError::unavailable("write the lock file", error))
}

pub(crate) fn owner(folder: &Path) -> String {
    match read(folder) {
        Some(Owner { pid, admin: Some(admin) }) => format!("process {pid}, which answers on {admin}"),
        Some(Owner { pid, admin: None }) => format!("process {pid}"),
        None => "another process".to_owned(),
    }
}
