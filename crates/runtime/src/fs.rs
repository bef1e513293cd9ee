//! Files: the machine's, or those on the disk of a simulated host.
//!
//! Calls block, briefly when the data is in the page cache; run [`AppendFile::sync_data`] and large reads on
//! [`crate::task::blocking`]. Every error names the operation and the path.

use std::io;
use std::path::{Path, PathBuf};

mod disk;
mod lock;

pub use lock::{Lock, LockError};

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("failed to {operation} `{}`", path.display())]
pub struct FsError {
    /// What was tried, such as `read`.
    pub operation: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl FsError {
    fn at<'a>(operation: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self { operation, path: path.to_owned(), source }
    }

    /// Returns whether the file or folder does not exist.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// Who may read a file this process writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// As the user's umask says.
    Shared,
    /// Only this user (mode 0600): keys and secrets.
    Private,
}

/// Reads a whole file.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>, FsError> {
    let path = path.as_ref();
    disk::read(path).map_err(FsError::at("read", path))
}

/// Reads `length` bytes at `offset`; an end of file before that is an error.
pub fn read_at(path: impl AsRef<Path>, offset: u64, length: usize) -> Result<Vec<u8>, FsError> {
    let path = path.as_ref();
    disk::read_at(path, offset, length).map_err(FsError::at("read", path))
}

/// Reads a whole file as UTF-8.
pub fn read_to_string(path: impl AsRef<Path>) -> Result<String, FsError> {
    let path = path.as_ref();
    let bytes = read(path)?;
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
        .map_err(FsError::at("read", path))
}

/// Writes a whole file in one step: a reader or a crash sees the old contents or the new, never a mixture.
///
/// The bytes and the name are on the disk when this returns (temporary file, fsync, rename, fsync of the folder).
pub fn write_atomic(path: impl AsRef<Path>, contents: &[u8]) -> Result<(), FsError> {
    let path = path.as_ref();
    disk::write_atomic(path, contents, Access::Shared).map_err(FsError::at("write", path))
}

/// Writes like [`write_atomic`], readable by this user only.
pub fn write_private(path: impl AsRef<Path>, contents: &[u8]) -> Result<(), FsError> {
    let path = path.as_ref();
    disk::write_atomic(path, contents, Access::Private).map_err(FsError::at("write", path))
}

/// Creates a folder and those above it; one that exists is fine.
pub fn create_dir_all(path: impl AsRef<Path>) -> Result<(), FsError> {
    let path = path.as_ref();
    disk::create_dir_all(path).map_err(FsError::at("create folder", path))
}

/// Removes a file; one that is not there is an error that [`FsError::is_not_found`] recognises.
pub fn remove_file(path: impl AsRef<Path>) -> Result<(), FsError> {
    let path = path.as_ref();
    disk::remove_file(path).map_err(FsError::at("remove", path))
}

/// Removes a folder and all in it; one that is not there is fine.
pub fn remove_dir_all(path: impl AsRef<Path>) -> Result<(), FsError> {
    let path = path.as_ref();
    match disk::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(FsError::at("remove folder", path)),
    }
}

/// Gives a file a new name, replacing what had it.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<(), FsError> {
    let from = from.as_ref();
    disk::rename(from, to.as_ref()).map_err(FsError::at("rename", from))
}

/// Returns whether a file or folder is there.
pub fn exists(path: impl AsRef<Path>) -> bool {
    disk::exists(path.as_ref())
}

/// Returns the paths of the files and folders in a folder, in order of name.
pub fn list(path: impl AsRef<Path>) -> Result<Vec<PathBuf>, FsError> {
    let path = path.as_ref();
    disk::list(path).map_err(FsError::at("list", path))
}

/// Returns a file's length in bytes.
pub fn length(path: impl AsRef<Path>) -> Result<u64, FsError> {
    let path = path.as_ref();
    disk::length(path).map_err(FsError::at("look at", path))
}

/// When a file was last changed, for those who reload it; simulated files count their changes instead.
pub fn modified(path: impl AsRef<Path>) -> Result<crate::clock::UnixTime, FsError> {
    let path = path.as_ref();
    disk::modified(path).map_err(FsError::at("look at", path))
}

/// Opens a file for appending, and makes it if it is not there.
pub fn append(path: impl AsRef<Path>) -> Result<AppendFile, FsError> {
    let path = path.as_ref();
    let (inner, length) = disk::append(path).map_err(FsError::at("open", path))?;
    Ok(AppendFile { inner, path: path.to_owned(), length })
}

/// A file that grows at its end.
///
/// What [`AppendFile::write_all`] wrote survives a `kill -9` of this process; after [`AppendFile::sync_data`] it survives
/// a loss of power.
#[derive(Debug)]
pub struct AppendFile {
    inner: disk::Appender,
    path: PathBuf,
    length: u64,
}

impl AppendFile {
    /// Appends all bytes. After an error the file may hold a part of them: [`AppendFile::truncate`] to the length before.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), FsError> {
        self.inner.write_all(bytes).map_err(FsError::at("append to", &self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Hands buffered bytes to the system. Nothing is buffered here: kept for symmetry with other writers.
    pub fn flush(&mut self) -> Result<(), FsError> {
        Ok(())
    }

    /// Waits until all that was written is on the disk.
    pub fn sync_data(&self) -> Result<(), FsError> {
        self.inner.sync_data().map_err(FsError::at("sync", &self.path))
    }

    /// Makes another handle of the same file, so that syncing need not hold up appending.
    pub fn sync_handle(&self) -> Result<SyncHandle, FsError> {
        let inner = self.inner.try_clone().map_err(FsError::at("open", &self.path))?;
        Ok(SyncHandle { inner, path: self.path.clone() })
    }

    /// Reads `length` bytes at `offset`.
    pub fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>, FsError> {
        self.inner.read_at(offset, length).map_err(FsError::at("read", &self.path))
    }

    /// Returns the length: what was there at opening and has been appended since.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Returns whether the file holds nothing.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Cuts the file down to `length` bytes.
    pub fn truncate(&mut self, length: u64) -> Result<(), FsError> {
        self.inner.truncate(length).map_err(FsError::at("truncate", &self.path))?;
        self.length = length;
        Ok(())
    }

    /// Returns the path it was opened with.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Syncs an [`AppendFile`] from another thread.
#[derive(Debug)]
pub struct SyncHandle {
    inner: disk::Appender,
    path: PathBuf,
}

impl SyncHandle {
    /// Waits until all that was written before this call is on the disk.
    pub fn sync_data(&self) -> Result<(), FsError> {
        self.inner.sync_data().map_err(FsError::at("sync", &self.path))
    }
}
