//! The operations themselves: each asks whether it stands in a simulated world, and does it there or on the machine.
#![expect(clippy::disallowed_methods, reason = "this is the door to files")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Access;
use crate::clock::UnixTime;
#[cfg(feature = "simulation")]
use crate::simulation::disk::{self as simulated, Disk};

/// Runs the expression on the simulated disk when there is one.
macro_rules! in_world {
    ($disk:ident => $simulated:expr) => {
        #[cfg(feature = "simulation")]
        if let Some($disk) = simulated::here() {
            return $simulated;
        }
    };
}

pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    in_world!(disk => disk.read(path));
    fs::read(path)
}

pub(super) fn read_at(path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    in_world!(disk => disk.read_at(path, offset, length));
    exactly(&File::open(path)?, offset, length)
}

fn exactly(file: &File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

pub(super) fn write_atomic(path: &Path, contents: &[u8], access: Access) -> io::Result<()> {
    in_world!(disk => disk.write(path, contents));
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = name.to_owned();
    temporary.push(format!(".{}.{:x}.tmp", std::process::id(), crate::random::u64()));
    let temporary = folder.join(temporary);
    let written = write_new(&temporary, contents, access).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    // The new name is part of the folder, which has to reach the disk too.
    File::open(folder)?.sync_all()
}

fn write_new(path: &Path, contents: &[u8], access: Access) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    if access == Access::Private {
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

pub(super) fn create_dir_all(path: &Path) -> io::Result<()> {
    in_world!(disk => {
        disk.create_folder(path);
        Ok(())
    });
    fs::create_dir_all(path)
}

pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    in_world!(disk => disk.remove(path));
    fs::remove_file(path)
}

pub(super) fn remove_dir_all(path: &Path) -> io::Result<()> {
    in_world!(disk => disk.remove_folder(path));
    fs::remove_dir_all(path)
}

pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    in_world!(disk => disk.rename(from, to));
    fs::rename(from, to)
}

pub(super) fn exists(path: &Path) -> bool {
    in_world!(disk => disk.exists(path));
    path.exists()
}

pub(super) fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    in_world!(disk => disk.list(path));
    let mut paths = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

pub(super) fn length(path: &Path) -> io::Result<u64> {
    in_world!(disk => disk.length(path));
    Ok(fs::metadata(path)?.len())
}

pub(super) fn modified(path: &Path) -> io::Result<UnixTime> {
    in_world!(disk => disk.modified(path));
    let since = fs::metadata(path)?.modified()?.duration_since(std::time::UNIX_EPOCH);
    Ok(UnixTime::EPOCH + since.unwrap_or_default())
}

pub(super) fn append(path: &Path) -> io::Result<(Appender, u64)> {
    #[cfg(feature = "simulation")]
    if let Some(disk) = simulated::here() {
        let length = disk.open(path)?;
        return Ok((Appender::Simulated { disk, path: path.to_owned() }, length));
    }
    let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let length = file.metadata()?.len();
    Ok((Appender::Real(file), length))
}

#[derive(Debug)]
pub(super) enum Appender {
    Real(File),
    #[cfg(feature = "simulation")]
    Simulated {
        disk: Disk,
        path: PathBuf,
    },
}

impl Appender {
    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Real(file) => file.write_all(bytes),
            #[cfg(feature = "simulation")]
            Self::Simulated { disk, path } => disk.append(path, bytes),
        }
    }

    pub(super) fn sync_data(&self) -> io::Result<()> {
        match self {
            Self::Real(file) => file.sync_data(),
            #[cfg(feature = "simulation")]
            Self::Simulated { disk, path } => disk.sync(path),
        }
    }

    pub(super) fn truncate(&mut self, length: u64) -> io::Result<()> {
        match self {
            Self::Real(file) => file.set_len(length),
            #[cfg(feature = "simulation")]
            Self::Simulated { disk, path } => disk.truncate(path, length),
        }
    }

    pub(super) fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Real(file) => exactly(file, offset, length),
            #[cfg(feature = "simulation")]
            Self::Simulated { disk, path } => disk.read_at(path, offset, length),
        }
    }

    pub(super) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Real(file) => Ok(Self::Real(file.try_clone()?)),
            #[cfg(feature = "simulation")]
            Self::Simulated { disk, path } => Ok(Self::Simulated { disk: disk.clone(), path: path.clone() }),
        }
    }
}
