//! Where the binaries under measurement are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Names the folder of the binaries, when they are not beside this bench.
pub const VARIABLE: &str = "POCKET_BIN_DIR";

/// Returns a binary of this workspace: in `POCKET_BIN_DIR` if it is set, else where `cargo` puts it for this bench's profile.
///
/// # Errors
/// It is not there; the text says what to build.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let folder = match std::env::var_os(VARIABLE) {
        Some(folder) => PathBuf::from(folder),
        None => beside_this_bench()?,
    };
    let path = folder.join(name);
    if !path.exists() {
        bail!(
            "{} is not built; run `cargo build --release --workspace --bins`, or name its folder in {VARIABLE}",
            path.display()
        );
    }
    Ok(path)
}

fn beside_this_bench() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("find this bench's own path")?;
    // target/PROFILE/deps/relay-0123456789abcdef
    own.parent().and_then(Path::parent).map(Path::to_path_buf).context("this bench is in no target folder")
}
