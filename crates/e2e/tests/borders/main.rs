//! Who may depend on whom, dev-dependencies included. A new edge is the change that deserves the closest look.

mod logs;

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{MetadataCommand, Package};

const FOUNDATIONS: [&str; 4] = ["crypto", "proto", "protocol", "config"];

/// Every room and the rooms it may use.
fn table() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let with = |rooms: &[&'static str]| -> BTreeSet<&'static str> { rooms.iter().copied().collect() };
    let below = |rooms: &[&'static str]| -> BTreeSet<&'static str> {
        FOUNDATIONS.iter().copied().chain(["runtime"]).chain(rooms.iter().copied()).collect()
    };
    let processes = ["relayer", "miner", "gateway", "devnet", "backend"];
    BTreeMap::from([
        ("crypto", with(&[])),
        ("proto", with(&[])),
        ("config", with(&[])),
        ("protocol", with(&["crypto", "proto"])),
        ("runtime", with(&["config"])),
        ("chain", below(&[])),
        ("store", below(&[])),
        ("relayer", below(&["chain", "store"])),
        ("miner", below(&["chain", "store"])),
        ("inspect", below(&["chain", "store"])),
        ("gateway", below(&["chain"])),
        ("devnet", below(&[])),
        ("backend", with(&["runtime", "config"])),
        ("spec", below(&[])),
        ("localnet", below(&["chain", "store"]).into_iter().chain(processes).collect()),
        ("cli", below(&["chain", "store", "inspect", "localnet"])),
    ])
}

/// Rooms for tests and measurements: they may use anything, and only tests may use them.
const TEST_ROOMS: [&str; 3] = ["testbed", "e2e", "benches"];

#[test]
fn rooms_use_only_the_rooms_they_may() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata");
    let rooms: BTreeMap<&str, &Package> = metadata.packages.iter().map(|package| (room(package), package)).collect();
    let table = table();
    let mut faults = Vec::new();

    for (room, package) in &rooms {
        if TEST_ROOMS.contains(room) {
            continue;
        }
        let Some(allowed) = table.get(room) else {
            faults.push(format!("{room} is in no row of the table"));
            continue;
        };
        for dependency in &package.dependencies {
            let Some(used) = used_room(&dependency.name) else { continue };
            let test_only = dependency.kind == cargo_metadata::DependencyKind::Development;
            if !(allowed.contains(used) || (test_only && used == "testbed") || used == *room) {
                faults.push(format!("{room} must not use {used}"));
            }
        }
    }
    assert!(faults.is_empty(), "borders are crossed:\n{}", faults.join("\n"));
    assert!(rooms.len() > 10, "the workspace was not read: {:?}", rooms.keys());
}

#[test]
fn only_spec_evaluates_nickel_and_only_store_speaks_redis() {
    let metadata = MetadataCommand::new().no_deps().exec().expect("cargo metadata");
    for package in &metadata.packages {
        for dependency in &package.dependencies {
            let owner = match dependency.name.as_str() {
                "nickel-lang-core" => "spec",
                "redis" | "fjall" => "store",
                _ => continue,
            };
            assert!([owner, "testbed", "e2e"].contains(&room(package)), "{} uses {}", package.name, dependency.name);
        }
    }
}

fn room(package: &Package) -> &str {
    used_room(&package.name).unwrap_or("?")
}

/// The room of a package of this workspace; `None` for anybody else's.
fn used_room(name: &str) -> Option<&str> {
    if name == "pocket" { Some("cli") } else { name.strip_prefix("pocket-") }
}
