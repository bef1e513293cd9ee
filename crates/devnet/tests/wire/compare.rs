//! How answers are compared: JSON with its order of keys, texts without what is a build's or a moment's own.

use std::fmt::{self, Write};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// JSON that keeps the order of its keys.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    #[track_caller]
    pub(crate) fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    pub(crate) fn get(&self, key: &str) -> &Self {
        match self {
            Self::Object(fields) => fields.iter().find(|(name, _)| name == key).map_or(&Self::Null, |(_, value)| value),
            _ => &Self::Null,
        }
    }

    pub(crate) fn at(&self, path: &[&str]) -> &Self {
        path.iter().fold(self, |json, key| json.get(key))
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            _ => "",
        }
    }

    /// Drops a key wherever it occurs.
    pub(crate) fn without(&mut self, key: &str) {
        match self {
            Self::List(items) => items.iter_mut().for_each(|item| item.without(key)),
            Self::Object(fields) => {
                fields.retain(|(name, _)| name != key);
                for (_, value) in fields {
                    value.without(key);
                }
            }
            _ => {}
        }
    }

    /// Sorts the keys of all objects, for recordings that did not keep their order.
    pub(crate) fn sort(&mut self) {
        match self {
            Self::List(items) => items.iter_mut().for_each(Self::sort),
            Self::Object(fields) => {
                fields.sort_by(|a, b| a.0.cmp(&b.0));
                for (_, value) in fields {
                    value.sort();
                }
            }
            _ => {}
        }
    }

    /// Sorts the keys of the object at a key, whose order means nothing.
    pub(crate) fn sort_at(&mut self, key: &str) {
        if let Self::Object(fields) = self {
            for (name, value) in fields {
                if name == key {
                    if let Self::Object(inner) = value {
                        inner.sort_by(|a, b| a.0.cmp(&b.0));
                    }
                } else {
                    value.sort_at(key);
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Number(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Number(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
                Ok(Json::Number(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Json::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = entries.next_entry()? {
                    fields.push(field);
                }
                Ok(Json::Object(fields))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Keys whose values mean the same everywhere and are compared themselves.
const VERBATIM: [&str; 10] =
    ["type", "key", "code", "codespace", "jsonrpc", "message", "id", "block_id_flag", "@type", "query"];
/// Keys whose values are texts with numbers of the moment in them.
const WORDS: [&str; 3] = ["log", "raw_log", "data"];

/// Writes what must be alike of two answers: keys in their order, kinds of values, lengths of lists of events, and the
/// values of keys that say what something is.
pub(crate) fn skeleton(json: &Json) -> String {
    let mut out = String::new();
    write_skeleton("", json, &mut out);
    out
}

fn write_skeleton(key: &str, json: &Json, out: &mut String) {
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(_) => out.push_str("bool"),
        Json::Number(value) if VERBATIM.contains(&key) => out.push_str(value),
        Json::Number(_) => out.push_str("number"),
        // A public key is called `key` too.
        Json::Text(text) if VERBATIM.contains(&key) && text.len() != 44 => {
            write!(out, "{text:?}").expect("writing to a string cannot fail");
        }
        Json::Text(text) if WORDS.contains(&key) && text.contains(' ') => out.push_str(&words(text)),
        Json::Text(text) if key == "value" || key == "amount" || text.is_empty() => {
            out.push_str(if key == "value" || key == "amount" { "text" } else { "\"\"" });
        }
        Json::Text(text) => out.push_str(form(text)),
        Json::List(items) => {
            out.push('[');
            // Lists of texts differ in length from moment to moment; lists of objects are events, results, signatures.
            if items.iter().all(|item| matches!(item, Json::Text(_))) {
                match items.first() {
                    // The values of an event's attribute, by `type.attribute`.
                    Some(_) if key.contains('.') => out.push_str("text"),
                    Some(first) => write_skeleton(key, first, out),
                    None => {}
                }
            } else {
                for item in items {
                    write_skeleton(key, item, out);
                    out.push('\n');
                }
            }
            out.push(']');
        }
        Json::Object(fields) => {
            out.push('{');
            for (name, value) in fields {
                out.push_str(name);
                out.push(':');
                write_skeleton(name, value, out);
                out.push(',');
            }
            out.push('}');
        }
    }
}

fn form(text: &str) -> &'static str {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        "digits"
    } else if text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte)) {
        "HEX"
    } else if text.len() >= 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T' {
        "time"
    } else {
        "text"
    }
}

/// Strips a text of what is a moment's or a build's own: numbers, hashes, times, source paths.
pub(crate) fn words(text: &str) -> String {
    let text = without_gas_location(&without_path(text));
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(character) = chars.next() {
        if character.is_ascii_digit() {
            out.push('#');
            while chars.peek().is_some_and(|next| next.is_ascii_digit() || *next == '.' && out.ends_with('#')) {
                chars.next();
            }
        } else {
            out.push(character);
        }
    }
    out
}

/// Removes the part of a Go text that names a file of the build.
fn without_path(text: &str) -> String {
    match (text.find(" ["), text.find(']')) {
        (Some(from), Some(to)) if from < to && text[from..to].contains(".go:") => {
            format!("{}{}", &text[..from], &text[to + 1..])
        }
        _ => text.to_owned(),
    }
}

/// Removes which step ran out of gas, since our gas is an estimate and it may be the one before or after; and why bytes
/// are no gob, which the decoder of proofs words and is tested for elsewhere.
fn without_gas_location(text: &str) -> String {
    if let (Some(from), Some(to)) = (text.find("proof: gob: "), text.find(": invalid proof")) {
        return format!("{}proof: gob{}", &text[..from], &text[to..]);
    }
    match text.strip_prefix("out of gas in location: ").and_then(|rest| rest.split_once("; ")) {
        Some((_, rest)) => format!("out of gas; {rest}"),
        None => text.to_owned(),
    }
}

/// Shows where two texts part.
pub(crate) fn difference(name: &str, recorded: &str, ours: &str) -> String {
    let at = recorded.bytes().zip(ours.bytes()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| {
        let mut from = at.saturating_sub(160);
        while !text.is_char_boundary(from) {
            from -= 1;
        }
        text[from.min(text.len())..].chars().take(400).collect::<String>().replace('\n', " ")
    };
    format!("{name}:\n recorded …{}\n ours     …{}", around(recorded), around(ours))
}
