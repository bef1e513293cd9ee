//! What logs look like: fields are for people and for searches, so none is written as Rust's debug text.

#![allow(clippy::disallowed_methods, reason = "the text of the house is read from outside")]

use std::path::{Path, PathBuf};

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

#[test]
fn no_field_of_a_log_is_debug_text() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates");
    let mut files = Vec::new();
    for room in std::fs::read_dir(crates).expect("readable") {
        sources(&room.expect("readable").path().join("src"), &mut files);
    }
    let mut faults = Vec::new();
    let mut calls = 0;
    for file in &files {
        let text = std::fs::read_to_string(file).expect("readable");
        for (line, call) in log_calls(&text) {
            calls += 1;
            if is_debug_text(call) {
                faults.push(format!("{}:{line}", file.strip_prefix(crates).expect("below crates").display()));
            }
        }
    }
    assert!(calls > 100, "only {calls} calls were found in {} files", files.len());
    assert!(faults.is_empty(), "write these fields as people do (`%`, a word, a number):\n{}", faults.join("\n"));
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The calls of tracing's macros, with the lines where they begin.
fn log_calls(text: &str) -> Vec<(usize, &str)> {
    let mut calls = Vec::new();
    for level in LEVELS {
        let name = format!("tracing::{level}!(");
        for (at, _) in text.match_indices(&name) {
            let call = &text[at + name.len()..];
            calls.push((text[..at].matches('\n').count() + 1, &call[..length(call)]));
        }
    }
    calls
}

/// Bytes up to the bracket that closes a call. Texts of logs hold brackets in pairs.
fn length(call: &str) -> usize {
    let mut depth = 1;
    for (at, character) in call.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    call.len()
}

/// Whether a call has a field marked with `?`, or a text with `{:?}`. As an operator `?` stands behind a value.
fn is_debug_text(call: &str) -> bool {
    let before = |at: usize| call[..at].trim_end().chars().next_back().unwrap_or('(');
    call.contains(":?}") || call.match_indices('?').any(|(at, _)| matches!(before(at), '(' | ',' | '='))
}

#[test]
fn debug_text_is_found_wherever_it_stands() {
    for call in ["?a, \"x\"", "\"x\", a = ?b", "a,\n  ?b, \"x\"", "a = ?(b - c), \"x\"", "\"{a:?}\"", "\"{:?}\", a"] {
        assert!(is_debug_text(call), "{call}");
    }
    for call in ["%a, \"why?\"", "a = b()?, \"x\"", "a, \"{b}\""] {
        assert!(!is_debug_text(call), "{call}");
    }
}
