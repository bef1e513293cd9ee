//! Reading vector files and counting what was checked.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::Value;

pub(crate) struct Case(Value);

/// What must hold of a case; it panics where it does not.
pub(crate) type Check = fn(&Case);

impl Case {
    pub(crate) fn name(&self) -> &str {
        self.text("name")
    }

    pub(crate) fn has(&self, field: &str) -> bool {
        self.0.get(field).is_some_and(|value| !value.is_null())
    }

    pub(crate) fn value(&self, pointer: &str) -> &Value {
        self.0.pointer(pointer).unwrap_or(&Value::Null)
    }

    #[track_caller]
    pub(crate) fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_else(|| panic!("{} has no text {field}", self.0["name"]))
    }

    #[track_caller]
    pub(crate) fn bytes(&self, field: &str) -> Vec<u8> {
        hex::decode(self.text(field)).unwrap()
    }

    #[track_caller]
    pub(crate) fn array<const N: usize>(&self, field: &str) -> [u8; N] {
        self.bytes(field).try_into().unwrap()
    }

    #[track_caller]
    pub(crate) fn arrays<const N: usize>(&self, field: &str) -> Vec<[u8; N]> {
        let list = self.0[field].as_array().unwrap_or_else(|| panic!("{} has no list {field}", self.0["name"]));
        list.iter().map(|item| hex::decode(item.as_str().unwrap()).unwrap().try_into().unwrap()).collect()
    }
}

/// Gives every case of `file` to the check of its kind; kinds without a check must be listed in `elsewhere`.
/// Fails when the file is missing or empty, when a kind is unknown, and when a check met no case.
pub(crate) fn check_file(file: &str, checks: &[(&str, Check)], elsewhere: &[&str]) {
    let folder = std::env::var_os("POCKET_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/tests/vectors")),
        PathBuf::from,
    );
    let path = folder.join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let mut document: Value = serde_json::from_str(&text).unwrap();
    let Value::Array(cases) = document["cases"].take() else { panic!("{file} has no list of cases") };
    assert!(!cases.is_empty(), "{file} has no cases");

    let mut counts = BTreeMap::<String, usize>::new();
    for case in cases {
        let case = Case(case);
        let kind = case.text("kind").to_owned();
        if let Some((_, check)) = checks.iter().find(|(known, _)| *known == kind) {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&case)));
            assert!(outcome.is_ok(), "{file} {kind}: case {} failed", case.name());
        } else {
            assert!(elsewhere.contains(&kind.as_str()), "{file} has a case of unknown kind {kind}");
        }
        *counts.entry(kind).or_default() += 1;
    }
    for (kind, count) in &counts {
        let place = if elsewhere.contains(&kind.as_str()) { " (checked in pocket-protocol)" } else { "" };
        println!("{file} {kind}: {count} cases{place}");
    }
    for (kind, _) in checks {
        assert!(counts.contains_key(*kind), "{file} has no case of kind {kind}");
    }
}
