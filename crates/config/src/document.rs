//! From a file's text to whole, valid settings.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The one file of defaults, a section per process.
const DEFAULTS: &str = include_str!("../defaults.json");

/// Why a settings file was refused. Each text names the place and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The text is neither YAML nor JSON.
    #[error("the file is not valid YAML: {0}")]
    Syntax(String),
    /// The top level is not a mapping of keys to values.
    #[error("the file must hold keys and values at its top level, not {0}")]
    NotAMapping(&'static str),
    /// A key that no setting has.
    #[error("unknown key `{key}`{}{suggestion}", place(.path))]
    UnknownKey {
        /// Path of the mapping that holds the key, dotted; empty at the top level.
        path: String,
        /// The key as written.
        key: String,
        /// `; did you mean …?` or the list of known keys.
        suggestion: String,
    },
    /// A value of the wrong kind, or a required key that is absent.
    #[error("{message}{}", place(.path))]
    Value {
        /// Dotted path of the value.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// Values that are well-formed each, and cannot be together.
    #[error("`{path}`: {message}")]
    Rule {
        /// Dotted path of the value to change.
        path: String,
        /// The rule, and what to write instead.
        message: String,
    },
}

impl LoadError {
    /// A broken rule about the value at `path`.
    pub fn rule(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Rule { path: path.into(), message: message.into() }
    }
}

fn place(path: &str) -> String {
    if path.is_empty() || path == "." { String::new() } else { format!(" in `{path}`") }
}

/// Settings of one process: what is needed to load them.
pub trait Settings: DeserializeOwned {
    /// Section of `defaults.json` that completes a file of this kind.
    const SECTION: &'static str;

    /// Keys of the reference's files that are accepted and do nothing here: dotted path (`*` stands for any one key)
    /// and the reason.
    const WITHOUT_EFFECT: &'static [(&'static str, &'static str)];

    /// Checks rules between values.
    ///
    /// # Errors
    /// The first broken rule, by path.
    fn validate(&self) -> Result<(), LoadError>;
}

/// Settings, and what should be said about the file they came from.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The settings, complete and valid.
    pub settings: T,
    /// One line for each key that was accepted and has no effect.
    pub notes: Vec<String>,
}

/// Loads settings from the text of a YAML or JSON file. An empty text gives the defaults.
///
/// # Errors
/// [`LoadError`], naming the key and the remedy.
pub fn load<T: Settings>(text: &str) -> Result<Loaded<T>, LoadError> {
    let mut document = parse(text)?;
    let notes = strip_without_effect(&mut document, T::WITHOUT_EFFECT);
    let mut whole = defaults(T::SECTION);
    merge(&mut whole, document);
    let settings = deserialize::<T>(whole)?;
    settings.validate()?;
    Ok(Loaded { settings, notes })
}

/// Deserializes `value`, turning serde's complaint into one that names the path and the nearest key.
///
/// # Errors
/// [`LoadError::UnknownKey`] or [`LoadError::Value`].
pub fn deserialize<T: DeserializeOwned>(value: Value) -> Result<T, LoadError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let message = error.inner().to_string();
        unknown_key(&path, &message).unwrap_or(LoadError::Value { path, message })
    })
}

/// Returns the section of the defaults for a process, as a JSON object.
///
/// # Panics
/// If `defaults.json`, which is part of this crate, lacks the section: a test looks at each.
pub fn defaults(section: &str) -> Value {
    let all: Value = serde_json::from_str(DEFAULTS).expect("defaults.json is part of this crate and is valid JSON");
    let mut whole = all["common"].clone();
    let own = all.get(section).unwrap_or_else(|| panic!("defaults.json has a section {section}")).clone();
    // A process takes from `common` only the blocks it names itself, so that its type stays strict.
    if let (Value::Object(common), Value::Object(own)) = (&mut whole, &own) {
        common.retain(|key, _| own.contains_key(key));
    }
    merge(&mut whole, own);
    whole
}

fn parse(text: &str) -> Result<Value, LoadError> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Value::Object(Map::new()));
    }
    let value: Value = serde_saphyr::from_str(text).map_err(|error| LoadError::Syntax(error.to_string()))?;
    match value {
        Value::Object(_) => Ok(value),
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Array(_) => Err(LoadError::NotAMapping("a list")),
        _ => Err(LoadError::NotAMapping("a single value")),
    }
}

/// Lays `over` upon `base`: mappings merge key by key, everything else replaces. A null takes nothing away: a key
/// written without a value keeps its default.
pub fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (base, over) => *base = over,
    }
}

fn strip_without_effect(document: &mut Value, keys: &[(&str, &str)]) -> Vec<String> {
    let mut notes = Vec::new();
    for (path, reason) in keys {
        let parts: Vec<&str> = path.split('.').collect();
        if remove(document, &parts) {
            notes.push(format!("`{path}` has no effect here: {reason}"));
        }
    }
    notes
}

fn remove(value: &mut Value, path: &[&str]) -> bool {
    let Value::Object(object) = value else { return false };
    match path {
        [] => false,
        [last] => object.remove(*last).is_some(),
        ["*", rest @ ..] => object.values_mut().map(|child| remove(child, rest)).fold(false, |any, one| any | one),
        [first, rest @ ..] => object.get_mut(*first).is_some_and(|child| remove(child, rest)),
    }
}

/// Recognises serde's text for an unknown field and finds the nearest known one.
fn unknown_key(path: &str, message: &str) -> Option<LoadError> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    // serde_path_to_error names the unknown key as the last part of the path.
    let parent = path.strip_suffix(key).map_or(path, |parent| parent.trim_end_matches('.'));
    Some(LoadError::UnknownKey {
        path: parent.to_owned(),
        key: key.to_owned(),
        suggestion: nearest(key, known.iter().copied()).map_or_else(
            || if known.is_empty() { String::new() } else { format!("; known keys: {}", known.join(", ")) },
            |near| format!("; did you mean `{near}`?"),
        ),
    })
}

/// Returns the candidate nearest to `word`, if any is near enough to be a likely slip.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(word.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "read by serde only")]
        listen_addr: String,
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest() {
        let error = deserialize::<Sample>(serde_json::json!({"listen_adr": "x"})).expect_err("refused");
        assert_eq!(error.to_string(), "unknown key `listen_adr`; did you mean `listen_addr`?");
    }

    #[test]
    fn a_far_key_lists_the_known_ones() {
        let error = deserialize::<Sample>(serde_json::json!({"zebra": "x"})).expect_err("refused");
        assert_eq!(error.to_string(), "unknown key `zebra`; known keys: listen_addr");
    }

    #[test]
    fn a_wrong_kind_names_its_place() {
        let error = deserialize::<Sample>(serde_json::json!({"listen_addr": 3})).expect_err("refused");
        assert!(error.to_string().ends_with("in `listen_addr`"), "{error}");
    }

    #[test]
    fn merging_keeps_what_a_file_leaves_out() {
        let mut base = serde_json::json!({"a": {"b": 1, "c": 2}, "d": [1]});
        merge(&mut base, serde_json::json!({"a": {"c": 3}, "d": [2], "e": null}));
        assert_eq!(base, serde_json::json!({"a": {"b": 1, "c": 3}, "d": [2], "e": null}));
    }

    #[test]
    fn keys_without_effect_are_taken_out_and_said() {
        let mut document = serde_json::json!({"services": {"x": {"dead": 1, "live": 2}}});
        let notes = strip_without_effect(&mut document, &[("services.*.dead", "nothing reads it")]);
        assert_eq!(document, serde_json::json!({"services": {"x": {"live": 2}}}));
        assert_eq!(notes, ["`services.*.dead` has no effect here: nothing reads it"]);
    }
}
