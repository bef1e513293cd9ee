//! The recordings of a real node against this chain: headers and hashes, and a whole session of transactions from claims
//! to settlement, byte for byte as they were sent.

#![expect(clippy::unwrap_used, reason = "a recording that cannot be read fails its test")]

use std::{collections::BTreeMap, path::PathBuf};

mod vectors {
    pub(crate) mod node;
    pub(crate) mod recordings;
    pub(crate) mod replay;
    pub(crate) mod settlement;
}

/// Returns the folder of the vectors: `POCKET_VECTORS`, or the copies in the project.
fn folder() -> PathBuf {
    std::env::var_os("POCKET_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/tests/vectors")), PathBuf::from)
}

fn read(path: &str) -> serde_json::Value {
    let path = folder().join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn print_counts(file: &str, counts: &BTreeMap<String, usize>) {
    assert!(!counts.is_empty(), "{file} has no cases");
    for (kind, count) in counts {
        println!("{file} {kind}: {count} cases");
    }
}
