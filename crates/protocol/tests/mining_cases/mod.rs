//! How the cases of each kind are read and checked.

pub(crate) mod difficulty;
pub(crate) mod sampling;
pub(crate) mod settlement;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

/// Checks one case; panics when it fails.
pub(crate) type Check = fn(&Case<'_>);

/// One case of a file, with accessors that name it when it is not as expected.
pub(crate) struct Case<'a> {
    name: &'a str,
    value: &'a Value,
}

/// Runs the check of its kind on every case of a file and prints how many there were.
pub(crate) fn check_file(file: &str, check_of: impl Fn(&str) -> Option<Check>) {
    let path = vectors().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    let cases = document["cases"].as_array().unwrap_or_else(|| panic!("{file} has no cases"));
    assert!(!cases.is_empty(), "{file} has no cases");

    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for value in cases {
        let kind = value["kind"].as_str().unwrap_or_else(|| panic!("{file}: a case has no kind"));
        let name = value["name"].as_str().unwrap_or_else(|| panic!("{file}: a case has no name"));
        let check = check_of(kind).unwrap_or_else(|| panic!("{file}: case {name} has the unknown kind {kind}"));
        check(&Case { name, value });
        *counts.entry(kind).or_default() += 1;
    }
    for (kind, count) in counts {
        println!("{file} {kind}: {count} cases");
    }
}

fn vectors() -> PathBuf {
    std::env::var_os("POCKET_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors")), PathBuf::from)
}

impl<'a> Case<'a> {
    /// Returns a part of the case under the same name.
    pub(crate) fn part(&self, value: &'a Value) -> Case<'a> {
        Case { name: self.name, value }
    }

    pub(crate) fn name(&self) -> &'a str {
        self.name
    }

    /// Returns a field, `None` when it is absent or null.
    pub(crate) fn get(&self, field: &str) -> Option<&'a Value> {
        self.value.get(field).filter(|value| !value.is_null())
    }

    pub(crate) fn at(&self, field: &str) -> &'a Value {
        self.value.get(field).unwrap_or_else(|| panic!("{}: field {field} is missing", self.name))
    }

    pub(crate) fn object(&self, field: &str) -> Case<'a> {
        self.part(self.at(field))
    }

    pub(crate) fn list(&self, field: &str) -> Vec<Case<'a>> {
        let list = self.at(field).as_array().unwrap_or_else(|| panic!("{}: field {field} is no list", self.name));
        list.iter().map(|value| self.part(value)).collect()
    }

    /// Returns the entries of a field that is an object.
    pub(crate) fn entries(&self, field: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let map = self.at(field).as_object().unwrap_or_else(|| panic!("{}: field {field} is no object", self.name));
        map.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub(crate) fn text(&self, field: &str) -> &'a str {
        self.at(field).as_str().unwrap_or_else(|| panic!("{}: field {field} is no text", self.name))
    }

    pub(crate) fn bytes(&self, field: &str) -> Vec<u8> {
        hex::decode(self.text(field)).unwrap_or_else(|error| panic!("{}: field {field}: {error}", self.name))
    }

    pub(crate) fn array<const N: usize>(&self, field: &str) -> [u8; N] {
        self.bytes(field).try_into().unwrap_or_else(|_| panic!("{}: field {field} is not {N} bytes", self.name))
    }

    /// Reads an integer that may be a number or a decimal text.
    pub(crate) fn integer<T: std::str::FromStr>(&self, field: &str) -> T {
        integer(self.at(field)).unwrap_or_else(|| panic!("{}: field {field} is no such integer", self.name))
    }

    /// Reads a plain JSON number as a float.
    pub(crate) fn float(&self, field: &str) -> f64 {
        self.at(field).as_f64().unwrap_or_else(|| panic!("{}: field {field} is no number", self.name))
    }

    /// Reads a float given as `{dec, bits}`.
    pub(crate) fn exact_float(&self, field: &str) -> f64 {
        exact_float(self.at(field)).unwrap_or_else(|| panic!("{}: field {field} is no exact float", self.name))
    }
}

pub(crate) fn integer<T: std::str::FromStr>(value: &Value) -> Option<T> {
    value.as_str().map_or_else(|| value.to_string().parse().ok(), |text| text.parse().ok())
}

pub(crate) fn exact_float(value: &Value) -> Option<f64> {
    let bits = u64::from_str_radix(value.get("bits")?.as_str()?, 16).ok()?;
    Some(f64::from_bits(bits))
}
