//! The name of a replica, in leases and consumer groups.
//!
//! Two processes of one name would take each other's leases for ever, so a name belongs to one process at a time; and a
//! process that is started again should have the name of the one before, so that it need not wait for its own leases to
//! run out. Both come from a folder of numbered places: a process locks the first free one, and finds there the name that
//! was made up when the place was first taken. A lock ends with its process, in whatever way that ends.

use std::path::Path;

use pocket_runtime::fs::{self, FsError, Lock, LockError};
use pocket_runtime::random;

/// Miners that one folder has places for.
const PLACES_MAX: usize = 64;

/// Folder for those who were given none, under the system's one for temporary files. It outlives processes, not a machine.
const SHARED_FOLDER: &str = "pocket-miner";

/// A name, held until dropped.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) name: String,
    _place: Option<Lock>,
}

/// Why a folder gave no name.
#[derive(Debug, thiserror::Error)]
enum PlaceError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Folder(#[from] FsError),
    #[error("all {PLACES_MAX} places are taken")]
    Full,
}

impl Instance {
    /// A name that somebody else answers for.
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), _place: None }
    }

    /// Takes a name that no other process has: from `folder`, else from one that all miners of this machine share.
    ///
    /// Where neither can be used the name is new each time.
    pub(crate) fn take(folder: Option<&Path>) -> Self {
        let shared = std::env::temp_dir().join(SHARED_FOLDER);
        let folder = folder.unwrap_or(&shared);
        match Self::in_folder(folder) {
            Ok(instance) => instance,
            Err(error) => {
                let name = new_name();
                tracing::warn!(
                    folder = %folder.display(), error = %pocket_runtime::process::chain(&error), name,
                    "this miner has a new name: after a restart it waits until its leases have run out"
                );
                Self::named(&name)
            }
        }
    }

    fn in_folder(folder: &Path) -> Result<Self, PlaceError> {
        fs::create_dir_all(folder)?;
        for number in 0..PLACES_MAX {
            let path = folder.join(format!("miner-{number}.lock"));
            match Lock::exclusive(path, &format!("process {}", std::process::id())) {
                Ok(place) => {
                    let name = name_of_place(&folder.join(format!("miner-{number}.name")))?;
                    return Ok(Self { name, _place: Some(place) });
                }
                Err(LockError::Held { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(PlaceError::Full)
    }
}

fn name_of_place(path: &Path) -> Result<String, FsError> {
    match fs::read_to_string(path) {
        Ok(text) if text.trim().starts_with("miner-") => return Ok(text.trim().to_owned()),
        Err(error) if !error.is_not_found() => return Err(error),
        // Nobody has been here, or was interrupted.
        _ => {}
    }
    let name = new_name();
    fs::write_private(path, name.as_bytes())?;
    Ok(name)
}

/// The host is for people; the number makes it one of its kind, also among containers that share a host's name.
fn new_name() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    format!("miner-{}-{:08x}", if host.is_empty() { "localhost" } else { host }, random::u64() & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_miners_of_one_machine_have_two_names_and_each_keeps_its_own_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = [(); 2].map(|()| Instance::take(Some(folder.path())));
        assert_ne!(first.name, second.name);
        let name = first.name.clone();
        drop(first);
        assert_eq!(Instance::take(Some(folder.path())).name, name);
        drop(second);
    }

    #[test]
    fn a_folder_that_cannot_be_used_gives_a_name_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a file");
        fs::write_private(&file, b"").unwrap();
        let [first, second] = [(); 2].map(|()| Instance::take(Some(&file)));
        assert_ne!(first.name, second.name);
    }
}
