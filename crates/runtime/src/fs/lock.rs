//! A file that one process holds at a time, and that tells the others who does.

use std::io;
use std::path::{Path, PathBuf};

use super::FsError;

/// Holds a file exclusively until dropped, or until the process ends in whatever way.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Real(std::fs::File),
    #[cfg(feature = "simulation")]
    Simulated(crate::simulation::disk::Disk),
}

/// A lock that was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("`{}` is held by another process ({contents}); stop it, or use another folder", path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// What the holder wrote into it, such as its pid and admin address.
        contents: String,
    },
    /// The file could not be opened or written.
    #[error("failed to take the lock")]
    Failed(#[from] FsError),
}

impl Lock {
    /// Takes the lock file `path`, making it if needed, and writes `contents` into it for others to read.
    pub fn exclusive(path: impl AsRef<Path>, contents: &str) -> Result<Self, LockError> {
        let path = path.as_ref();
        #[cfg(feature = "simulation")]
        if let Some(disk) = crate::simulation::disk::here() {
            return match disk.lock(path, contents) {
                Ok(()) => Ok(Self { path: path.to_owned(), held: Held::Simulated(disk) }),
                Err(contents) => Err(LockError::Held { path: path.to_owned(), contents }),
            };
        }
        Self::take(path, contents)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door to files")]
    fn take(path: &Path, contents: &str) -> Result<Self, LockError> {
        use std::fs::TryLockError;
        use std::io::Write;
        let failed = |operation| FsError::at(operation, path);
        let mut file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let contents = io::read_to_string(&file).unwrap_or_default().trim().to_owned();
                return Err(LockError::Held { path: path.to_owned(), contents });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source).into()),
        }
        // Truncated only now: whoever was refused has read the holder's words, not ours.
        file.set_len(0).map_err(failed("write"))?;
        file.write_all(contents.as_bytes()).map_err(failed("write"))?;
        Ok(Self { path: path.to_owned(), held: Held::Real(file) })
    }

    /// Returns the path of the lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        match &self.held {
            // The file stays, empty: removing it would let two processes hold two files of one name.
            Held::Real(file) => {
                let _ = file.set_len(0);
                let _ = file.unlock();
            }
            #[cfg(feature = "simulation")]
            Held::Simulated(disk) => disk.unlock(&self.path),
        }
    }
}
