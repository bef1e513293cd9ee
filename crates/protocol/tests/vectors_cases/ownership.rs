//! Which crate checks which recorded file. A file that nobody reads fails here.

use std::collections::BTreeSet;

use super::support::folder;

/// Files at the top, and who reads them.
const FILES: [(&str, &str); 10] = [
    ("keys.json", "crypto"),
    ("ring.json", "crypto; kind relay_request: protocol"),
    ("smst.json", "crypto"),
    ("session.json", "protocol"),
    ("relay.json", "protocol"),
    ("tx.json", "protocol"),
    ("sampling.json", "protocol (tests/mining_vectors.rs)"),
    ("mining.json", "protocol (tests/mining_vectors.rs)"),
    ("redis.json", "store"),
    ("node.json", "devnet; kinds tx, tree, session, proof_seed: protocol as well"),
];

/// The recording of a node, and who reads each part.
const NODE: [(&str, &str); 7] = [
    ("genesis.json", "devnet"),
    ("path.json", "devnet"),
    ("redis.json", "store"),
    ("blocks", "devnet"),
    ("grpc", "devnet"),
    ("rpc", "devnet"),
    ("tx", "devnet; protocol (decoding)"),
];

/// Recorded with processes that only a whole network has.
const PENDING: [(&str, &str); 1] = [("transports", "the relayer's wire, checked by the relayer's and the e2e tests")];

#[test]
fn vectors_every_file_has_a_reader() {
    let present = names("");
    let known = |name: &str| FILES.iter().chain(&PENDING).any(|(file, _)| *file == name) || name == "node";
    for name in &present {
        assert!(known(name), "nobody reads {name}");
    }
    for (file, reader) in FILES {
        assert!(present.contains(file), "{file} is missing");
        println!("{file}: {reader}");
    }
    let node = names("node");
    for name in &node {
        assert!(NODE.iter().any(|(part, _)| part == name), "nobody reads node/{name}");
    }
    for (part, reader) in NODE {
        assert!(node.contains(part), "node/{part} is missing");
        println!("node/{part}: {reader}");
    }
    for (name, what) in PENDING {
        println!("pending here: {name}: {what}");
    }
    println!("pending here: redis.json: what needs several miners or the relayer's transports, see the store's tests");
}

fn names(below: &str) -> BTreeSet<String> {
    let path = folder().join(below);
    let entries = std::fs::read_dir(&path).unwrap_or_else(|error| panic!("failed to list {}: {error}", path.display()));
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"));
    names.filter(|name| name != "README.md").collect()
}
