//! The disk of a simulated host: files in memory that outlive its software.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::UnixTime;

/// Returns the disk of the host the caller runs on, if it stands in a simulated world.
pub(crate) fn here() -> Option<Disk> {
    let world = super::current()?;
    let host = super::host()?;
    world.disk_of(&host)
}

/// Clones are the same disk. Shared by the host's open files and the world; locked for one operation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    contents: Arc<Mutex<Contents>>,
}

#[derive(Debug, Default)]
struct Contents {
    files: BTreeMap<PathBuf, File>,
    folders: BTreeSet<PathBuf>,
    locks: BTreeMap<PathBuf, String>,
    changes: i64,
}

#[derive(Debug, Default, Clone)]
struct File {
    bytes: Vec<u8>,
    // How many of them are on the platter.
    synced: usize,
    changed: i64,
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Contents {
    fn file(&self, path: &Path) -> io::Result<&File> {
        self.files.get(path).ok_or_else(not_found)
    }

    fn change(&mut self, path: &Path) -> io::Result<&mut File> {
        let folder = path.parent().unwrap_or(Path::new(""));
        if !self.has_folder(folder) {
            return Err(not_found());
        }
        self.changes += 1;
        let file = self.files.entry(path.to_owned()).or_default();
        file.changed = self.changes;
        Ok(file)
    }

    fn has_folder(&self, path: &Path) -> bool {
        path.as_os_str().is_empty() || path == Path::new("/") || path == Path::new(".") || self.folders.contains(path)
    }
}

impl Disk {
    fn lock_contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.lock_contents().file(path)?.bytes.clone())
    }

    pub(crate) fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let contents = self.lock_contents();
        let bytes = &contents.file(path)?.bytes;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.checked_add(length).filter(|end| *end <= bytes.len());
        end.map(|end| bytes[start..end].to_vec()).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut contents = self.lock_contents();
        let file = contents.change(path)?;
        file.bytes = bytes.to_vec();
        file.synced = bytes.len();
        Ok(())
    }

    pub(crate) fn open(&self, path: &Path) -> io::Result<u64> {
        let mut contents = self.lock_contents();
        if let Ok(file) = contents.file(path) {
            return Ok(file.bytes.len() as u64);
        }
        contents.change(path).map(|_| 0)
    }

    pub(crate) fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.lock_contents().change(path)?.bytes.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn sync(&self, path: &Path) -> io::Result<()> {
        let mut contents = self.lock_contents();
        let file = contents.files.get_mut(path).ok_or_else(not_found)?;
        file.synced = file.bytes.len();
        Ok(())
    }

    pub(crate) fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let mut contents = self.lock_contents();
        let file = contents.change(path)?;
        file.bytes.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
        file.synced = file.synced.min(file.bytes.len());
        Ok(())
    }

    pub(crate) fn create_folder(&self, path: &Path) {
        let mut contents = self.lock_contents();
        contents.folders.extend(path.ancestors().map(Path::to_owned));
    }

    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.lock_contents().files.remove(path).map(|_| ()).ok_or_else(not_found)
    }

    pub(crate) fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut contents = self.lock_contents();
        if !contents.has_folder(path) {
            return Err(not_found());
        }
        contents.files.retain(|file, _| !file.starts_with(path));
        contents.folders.retain(|folder| !folder.starts_with(path));
        Ok(())
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut contents = self.lock_contents();
        let moved = contents.file(from)?.clone();
        *contents.change(to)? = moved;
        contents.files.remove(from);
        Ok(())
    }

    pub(crate) fn exists(&self, path: &Path) -> bool {
        let contents = self.lock_contents();
        contents.files.contains_key(path) || contents.has_folder(path)
    }

    pub(crate) fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let contents = self.lock_contents();
        if !contents.has_folder(path) {
            return Err(not_found());
        }
        let all = contents.files.keys().chain(contents.folders.iter());
        let mut inside: Vec<_> = all.filter(|entry| entry.parent() == Some(path)).cloned().collect();
        inside.sort();
        Ok(inside)
    }

    pub(crate) fn length(&self, path: &Path) -> io::Result<u64> {
        Ok(self.lock_contents().file(path)?.bytes.len() as u64)
    }

    pub(crate) fn modified(&self, path: &Path) -> io::Result<UnixTime> {
        Ok(UnixTime::from_seconds(self.lock_contents().file(path)?.changed))
    }

    /// Takes a lock, or says what its holder wrote.
    pub(crate) fn lock(&self, path: &Path, contents: &str) -> Result<(), String> {
        let mut inner = self.lock_contents();
        if let Some(holder) = inner.locks.get(path) {
            return Err(holder.clone());
        }
        inner.locks.insert(path.to_owned(), contents.to_owned());
        Ok(())
    }

    pub(crate) fn unlock(&self, path: &Path) {
        self.lock_contents().locks.remove(path);
    }

    /// Lets go of all locks, as the kernel does when their process dies.
    pub(super) fn forget_locks(&self) {
        self.lock_contents().locks.clear();
    }

    pub(super) fn lose_unsynced(&self) {
        for file in self.lock_contents().files.values_mut() {
            file.bytes.truncate(file.synced);
        }
    }
}
