//! From the plan to files. Each kind of file is a module with pure functions from [`Plan`] to [`File`]s.

pub mod chain;
pub mod compose;
pub mod defaults;
pub mod facts;
pub mod foreign;
pub mod genesis;
pub mod grafana;
pub mod guide;
pub mod keys;
pub mod kubernetes;
pub mod path;
pub mod programs;
pub mod prometheus;
pub mod runbook;
pub mod tilt;

use std::fmt::Write as _;

use serde_json::Value;

use crate::plan::Plan;

/// First line of whatever is rendered, where the form allows a comment.
pub const NOTICE: &str = "Rendered from config.ncl by `pocket spec render`. Change the spec, not this file.";

/// A rendered file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// From the root of the repository, with `/`.
    pub path: String,
    /// The whole text.
    pub content: String,
}

impl File {
    /// A file as it stands.
    pub fn new(path: impl Into<String>, content: impl Into<String>) -> Self {
        Self { path: path.into(), content: content.into() }
    }

    /// A YAML file with the notice.
    pub fn yaml(path: impl Into<String>, value: &Value) -> Self {
        Self::new(path, format!("# {NOTICE}\n{}", yaml(value)))
    }

    /// A JSON file. Its form allows no notice.
    pub fn json(path: impl Into<String>, value: &Value) -> Self {
        Self::new(path, json(value))
    }
}

/// Files that are compiled into the programs. They depend on the committed page alone, never on an operator's overlay.
pub fn embedded(plan: &Plan) -> Vec<File> {
    [defaults::emit(plan), facts::emit(plan)].concat()
}

/// Whether a file is one that is compiled into the programs.
pub fn is_embedded(path: &str) -> bool {
    path.starts_with("crates/")
}

/// Files of the environments.
pub fn environments(plan: &Plan) -> Vec<File> {
    let own = [keys::emit(plan), genesis::emit(plan), chain::emit(plan), programs::emit(plan), path::emit(plan)];
    let files = [own.concat(), sight(plan)].concat();
    let around = [compose::emit(plan), kubernetes::emit(plan, &files), tilt::emit(plan, &files), guide::emit(plan)];
    [files, around.concat()].concat()
}

/// Files of Prometheus and Grafana.
pub fn sight(plan: &Plan) -> Vec<File> {
    [prometheus::emit(plan), grafana::emit(plan), runbook::emit(&plan.observability)].concat()
}

/// Everything, in order of path.
pub fn all(base: &Plan, plan: &Plan) -> Vec<File> {
    let mut files = [embedded(base), environments(plan)].concat();
    files.sort_by(|left, right| left.path.cmp(&right.path));
    files
}

/// A value as YAML, keys in order, with a newline at its end.
pub fn yaml(value: &Value) -> String {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let mut text = serde_saphyr::to_string_with_options(value, options).expect("plain data has a YAML form");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Every line moved to the right.
pub fn indented(text: &str, by: usize) -> String {
    let margin = " ".repeat(by);
    text.lines().flat_map(|line| [if line.is_empty() { "" } else { &margin }, line, "\n"]).collect()
}

/// Longest line of a JSON file that is not broken up.
const JSON_WIDTH: usize = 140;

/// A value as JSON, keys in order: what fits a line stands on one.
pub fn json(value: &Value) -> String {
    let mut text = String::new();
    write_json(&mut text, value, 0, 0);
    text.push('\n');
    text
}

fn write_json(text: &mut String, value: &Value, depth: usize, before: usize) {
    let line = one_line(value);
    if 2 * depth + before + line.len() <= JSON_WIDTH && !(depth == 0 && value.is_object()) {
        text.push_str(&line);
        return;
    }
    let indent = "  ".repeat(depth + 1);
    match value {
        Value::Object(object) if !object.is_empty() => {
            text.push_str("{\n");
            for (index, (key, inner)) in object.iter().enumerate() {
                let key = Value::String(key.clone()).to_string();
                let _ = write!(text, "{indent}{key}: ");
                write_json(text, inner, depth + 1, key.len() + 2);
                text.push_str(if index + 1 == object.len() { "\n" } else { ",\n" });
            }
            let _ = write!(text, "{}}}", "  ".repeat(depth));
        }
        Value::Array(list) if !list.is_empty() => {
            text.push_str("[\n");
            for (index, inner) in list.iter().enumerate() {
                text.push_str(&indent);
                write_json(text, inner, depth + 1, 0);
                text.push_str(if index + 1 == list.len() { "\n" } else { ",\n" });
            }
            let _ = write!(text, "{}]", "  ".repeat(depth));
        }
        _ => text.push_str(&line),
    }
}

fn one_line(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let fields: Vec<String> = object
                .iter()
                .map(|(key, inner)| format!("{}: {}", Value::String(key.clone()), one_line(inner)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(one_line).collect::<Vec<String>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_breaks_only_what_does_not_fit() {
        let value = serde_json::json!({"a": {"b": [1, 2]}, "long": "x".repeat(150)});
        let text = json(&value);
        assert!(text.starts_with("{\n  \"a\": {\"b\": [1, 2]},\n  \"long\": "), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), value);
    }
}
