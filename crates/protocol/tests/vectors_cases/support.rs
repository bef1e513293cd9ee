//! Reading vector files, and comparing with what Go said.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pocket_protocol::ChainError;
use prost_types::Timestamp;
use serde_json::Value;

/// The folder of vectors.
pub(crate) fn folder() -> PathBuf {
    std::env::var_os("POCKET_VECTORS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors")), PathBuf::from)
}

/// Who checks a kind of case.
pub(crate) enum Kind {
    /// This test does, with this function.
    Here(fn(&Value)),
    /// A test of the named crate or file does.
    Elsewhere(&'static str),
}

/// Runs every case of a file, kind by kind; an unknown kind, a kind without cases and an empty file fail.
pub(crate) fn run(file: &str, kinds: &[(&str, Kind)]) {
    let path = folder().join(file);
    let text =
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("failed to read {}: {error}", path.display()));
    let all: Value = serde_json::from_str(&text).expect("vector files are JSON");
    let cases = all["cases"].as_array().expect("a vector file has cases");
    assert!(!cases.is_empty(), "{file} has no cases");

    let mut counts: BTreeMap<&str, usize> = kinds.iter().map(|(kind, _)| (*kind, 0)).collect();
    for case in cases {
        let (kind, name) = (text_of(case, "kind"), text_of(case, "name"));
        let (_, judge) =
            kinds.iter().find(|(known, _)| *known == kind).unwrap_or_else(|| panic!("{file}: unknown kind {kind}"));
        if let Kind::Here(check) = judge {
            let outcome = std::panic::catch_unwind(|| check(case));
            assert!(outcome.is_ok(), "{file} {kind} {name} failed, see above");
        }
        *counts.get_mut(kind).expect("a known kind") += 1;
    }
    for (kind, judge) in kinds {
        match judge {
            Kind::Here(_) => println!("{file} {kind}: {} cases", counts[kind]),
            Kind::Elsewhere(place) => println!("{file} {kind}: {} cases, checked by {place}", counts[kind]),
        }
        assert!(counts[kind] > 0, "{file} has no case of kind {kind}");
    }
}

/// A field that is text.
#[track_caller]
pub(crate) fn text_of<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is no text: {}", value[field]))
}

/// A field that is a list.
#[track_caller]
pub(crate) fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or_else(|| panic!("{field} is no list: {}", value[field]), Vec::as_slice)
}

/// A list that is written as null when it is empty.
pub(crate) fn list_or_null<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

/// An integer, which is a number, or a text where a number could lose digits.
#[track_caller]
pub(crate) fn int(value: &Value, field: &str) -> i64 {
    let value = &value[field];
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{field} is no integer: {value}"))
}

/// An unsigned integer.
#[track_caller]
pub(crate) fn uint(value: &Value, field: &str) -> u64 {
    let value = &value[field];
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{field} is no integer: {value}"))
}

/// Bytes in hexadecimal.
#[track_caller]
pub(crate) fn bytes(value: &Value, field: &str) -> Vec<u8> {
    hex::decode(text_of(value, field)).unwrap_or_else(|error| panic!("{field}: {error}"))
}

/// A digest in hexadecimal.
#[track_caller]
pub(crate) fn digest(value: &Value, field: &str) -> [u8; 32] {
    bytes(value, field).try_into().unwrap_or_else(|_| panic!("{field} is no digest"))
}

/// Whether Go was content.
#[track_caller]
pub(crate) fn is_ok(go: &Value) -> bool {
    go["ok"].as_bool().unwrap_or_else(|| panic!("no verdict: {go}"))
}

/// Compares an outcome with a `go` result: verdict, codespace and code where given, and text. Where Go has no verdict
/// (`malformed`), any error will do.
#[track_caller]
pub(crate) fn check_go<T: std::fmt::Debug>(name: &str, go: &Value, ours: Result<T, ChainError>) {
    check_go_text(name, go, ours, |text| text);
}

/// As [`check_go`], with our text and Go's passed through `normal` first.
#[track_caller]
pub(crate) fn check_go_text<T: std::fmt::Debug>(
    name: &str,
    go: &Value,
    ours: Result<T, ChainError>,
    normal: fn(String) -> String,
) {
    if is_ok(go) {
        assert!(ours.is_ok(), "{name}: Go accepts, we say {ours:?}");
        return;
    }
    let Err(error) = ours else { panic!("{name}: Go says {go}, we accept {ours:?}") };
    if go["malformed"].as_bool() == Some(true) {
        return;
    }
    if !go["code"].is_null() {
        assert_eq!((error.codespace, u64::from(error.code)), (text_of(go, "codespace"), uint(go, "code")), "{name}");
    }
    assert_eq!(normal(error.rpc_text()), normal(without_place(text_of(go, "error"))), "{name}");
}

/// Removes the `[path/file.go:line]` that some builds put into texts.
pub(crate) fn without_place(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some(start) = rest.find(" [") {
        let Some(length) = rest[start..].find(']') else { break };
        let inside = &rest[start + 2..start + length];
        kept.push_str(&rest[..start]);
        if !inside.contains(".go:") {
            kept.push_str(&rest[start..=start + length]);
        }
        rest = &rest[start + length + 1..];
    }
    kept + rest
}

/// Reads a UTC time: `2026-01-01T00:00:01.066922204Z`, or as Go prints it, `2026-01-01 00:00:01.066922204 +0000 UTC`.
pub(crate) fn time(text: &str) -> Timestamp {
    let (date, rest) = text.split_at_checked(10).unwrap_or_else(|| panic!("no time: {text}"));
    let clock = rest[1..].split(['Z', ' ']).next().expect("split gives at least one part");
    let numbers = |part: &str, by: char| -> Vec<i64> {
        part.split(by).map(|number| number.parse().unwrap_or_else(|_| panic!("no time: {text}"))).collect()
    };
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let (date, clock) = (numbers(date, '-'), numbers(whole, ':'));
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let years: i64 = (1970..date[0]).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let february = if is_leap(date[0]) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months: i64 = lengths.iter().zip(1..date[1]).map(|(length, _)| length).sum();
    let days = years + months + date[2] - 1;
    let nanos = format!("{fraction:0<9}").parse().expect("a fraction of nine digits");
    Timestamp { seconds: days * 86_400 + clock[0] * 3600 + clock[1] * 60 + clock[2], nanos }
}
