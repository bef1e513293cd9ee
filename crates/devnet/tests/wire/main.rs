//! The wire over real sockets: recorded answers of a real node, and the behaviours that no recording shows.

mod compare;
mod control;
mod grpc;
mod node;
mod rest;
mod rpc;
mod situation;
mod socket;
mod vectors;
mod world;

use std::path::{Path, PathBuf};

use serde_json::Value;

/// Returns the folder of the vectors: `POCKET_VECTORS`, or the copies in the project.
fn folder() -> PathBuf {
    std::env::var_os("POCKET_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/tests/vectors")), PathBuf::from)
}

fn read_text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&read_text(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the files of a folder of recordings by name, in order; an empty folder fails.
fn files(part: &str) -> Vec<(String, PathBuf)> {
    let folder = folder().join(part);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<(String, PathBuf)> = entries
        .map(|entry| entry.expect("a folder entry").path())
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}
