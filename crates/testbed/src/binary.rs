//! Binaries of this workspace.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

/// Returns the binary of that name: beside the folder of the calling test's own.
///
/// # Errors
/// If it is not built, with the command that builds it.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.parent().and_then(Path::parent).context("the test's own folder")?.join(name);
    ensure!(path.exists(), "{} is not built; run `cargo test --workspace --no-run`", path.display());
    Ok(path)
}
