//! Parameters of a call: JSON by name or in order, or the query of a URI, read as the node reads them.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

use super::Failure;

/// The parameters of one call.
#[derive(Debug)]
pub(super) enum Params {
    Json(BTreeMap<String, Value>),
    Uri(BTreeMap<String, String>),
}

impl Params {
    /// Reads JSON parameters: an object, or an array in the order of `names`.
    pub(super) fn of_json(text: Option<&str>, names: &[&str]) -> Result<Self, String> {
        let value = text.map(serde_json::from_str::<Value>).transpose().map_err(|error| error.to_string())?;
        match value {
            None | Some(Value::Null) => Ok(Self::Json(BTreeMap::new())),
            Some(Value::Object(map)) => Ok(Self::Json(map.into_iter().collect())),
            Some(Value::Array(values)) if values.len() == names.len() => {
                Ok(Self::Json(names.iter().map(|&name| name.to_owned()).zip(values).collect()))
            }
            Some(Value::Array(values)) => Err(format!(
                "expected {} parameters ([{}]), got {} ({})",
                names.len(),
                names.join(" "),
                values.len(),
                Value::Array(values)
            )),
            Some(_) => Err("unknown type for JSON params. Expected map or array".to_owned()),
        }
    }

    /// Reads the query of a URI.
    pub(super) fn of_uri(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decoded(name), percent_decoded(value))
        });
        let mut first = BTreeMap::new();
        for (name, value) in pairs {
            first.entry(name).or_insert(value);
        }
        Self::Uri(first)
    }

    /// Tells whether a parameter is absent, or (in a URI) empty.
    pub(super) fn is_absent(&self, name: &str) -> bool {
        match self {
            Self::Json(map) => map.get(name).is_none_or(Value::is_null),
            Self::Uri(map) => map.get(name).is_none_or(String::is_empty),
        }
    }

    /// Returns an integer: in JSON a text of digits, as all wide integers are.
    pub(super) fn int(&self, name: &str) -> Result<Option<i64>, Failure> {
        if self.is_absent(name) {
            return Ok(None);
        }
        let wrong = |text: &str| {
            Failure::Params(format!(r#"strconv.ParseInt: parsing "{}": invalid syntax"#, text.escape_default()))
        };
        match self {
            Self::Json(map) => match &map[name] {
                Value::String(text) => text.parse().map(Some).map_err(|_| wrong(text)),
                other => {
                    Err(Failure::Params(format!("invalid 64-bit integer encoding {}, expected string", shown(other))))
                }
            },
            Self::Uri(map) => {
                let text = map[name].as_str();
                let unquoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
                match unquoted.parse() {
                    Ok(number) => Ok(Some(number)),
                    Err(_) if is_hex(text) => {
                        Err(Failure::Params("got a hex string arg, but expected 'int64'".to_owned()))
                    }
                    Err(_) if unquoted.len() < text.len() => Err(wrong(unquoted)),
                    Err(_) => {
                        let problem = super::golang::json_problem(text.as_bytes());
                        let expected = || format!("invalid 64-bit integer encoding \"{text}\", expected string");
                        Err(Failure::Params(problem.unwrap_or_else(expected)))
                    }
                }
            }
        }
    }

    /// Returns a text; in a URI it is quoted, or hexadecimal after `0x`.
    pub(super) fn text(&self, name: &str) -> Result<String, Failure> {
        if self.is_absent(name) {
            return Ok(String::new());
        }
        match self {
            Self::Json(map) => match &map[name] {
                Value::String(text) => Ok(text.clone()),
                other => Err(mismatch(other, "string")),
            },
            Self::Uri(map) => {
                let text = map[name].as_str();
                if is_hex(text) {
                    return Ok(String::from_utf8_lossy(&from_hex(&text[2..])?).into_owned());
                }
                serde_json::from_str::<String>(text).map_err(|error| {
                    let problem = super::golang::json_problem(text.as_bytes());
                    Failure::Params(problem.unwrap_or_else(|| error.to_string()))
                })
            }
        }
    }

    /// Returns bytes: base64 in JSON; in a URI hexadecimal after `0x`, or a quoted text taken as it is.
    pub(super) fn bytes(&self, name: &str) -> Result<Vec<u8>, Failure> {
        self.bytes_by(name, |text| {
            BASE64_STANDARD.decode(text).map_err(|_| Failure::Params("illegal base64 data at input byte 0".to_owned()))
        })
    }

    /// Returns bytes that are hexadecimal in JSON; in a URI as [`Self::bytes`].
    pub(super) fn hex(&self, name: &str) -> Result<Vec<u8>, Failure> {
        self.bytes_by(name, from_hex)
    }

    fn bytes_by(&self, name: &str, decode: impl FnOnce(&str) -> Result<Vec<u8>, Failure>) -> Result<Vec<u8>, Failure> {
        if self.is_absent(name) {
            return Ok(Vec::new());
        }
        match self {
            Self::Json(map) => match &map[name] {
                Value::String(text) => decode(text),
                other => Err(mismatch(other, "[]uint8")),
            },
            Self::Uri(map) => {
                let text = map[name].as_str();
                if is_hex(text) {
                    return from_hex(&text[2..]);
                }
                if let Ok(quoted) = serde_json::from_str::<String>(text) {
                    return Ok(quoted.into_bytes());
                }
                let problem = super::golang::json_problem(text.as_bytes());
                Err(Failure::Params(
                    problem.unwrap_or_else(|| "expected 0x and hexadecimal digits, or a quoted text".to_owned()),
                ))
            }
        }
    }

    /// Returns a truth value; absent is false.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Failure> {
        if self.is_absent(name) {
            return Ok(false);
        }
        match self {
            Self::Json(map) => map[name].as_bool().ok_or_else(|| mismatch(&map[name], "bool")),
            Self::Uri(map) => match map[name].as_str() {
                "true" => Ok(true),
                "false" => Ok(false),
                text => Err(Failure::Params(format!("expected true or false instead of `{text}`"))),
            },
        }
    }
}

fn is_hex(text: &str) -> bool {
    text.starts_with("0x") || text.starts_with("0X")
}

fn from_hex(text: &str) -> Result<Vec<u8>, Failure> {
    hex::decode(text).map_err(|_| {
        let strange = text.chars().find(|character| !character.is_ascii_hexdigit());
        Failure::Params(match strange {
            Some(strange) => format!("encoding/hex: invalid byte: U+{:04X} '{strange}'", u32::from(strange)),
            None => "encoding/hex: odd length hex string".to_owned(),
        })
    })
}

fn shown(value: &Value) -> String {
    format!(r#""{value}""#)
}

fn mismatch(value: &Value, expected: &str) -> Failure {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    Failure::Params(format!("json: cannot unmarshal {kind} into Go value of type {expected}"))
}

/// Decodes `%20` and `+`; what is no escape stays as it is.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escape.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, escaped) {
            (b'%', Some(escaped)) => {
                decoded.push(escaped);
                at += 3;
                continue;
            }
            (b'+', _) => decoded.push(b' '),
            _ => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_quote_texts_and_prefix_bytes() {
        let params = Params::of_uri("height=%2212%22&query=%22tm.event%3D'Tx'%22&hash=0x0aFF&tx=%22abc%22&prove=true");
        assert_eq!(params.int("height"), Ok(Some(12)));
        assert_eq!(params.text("query"), Ok("tm.event='Tx'".to_owned()));
        assert_eq!(params.bytes("hash"), Ok(vec![0x0a, 0xff]));
        assert_eq!(params.bytes("tx"), Ok(b"abc".to_vec()));
        assert_eq!(params.flag("prove"), Ok(true));
        assert_eq!(Params::of_uri("height=7").int("height"), Ok(Some(7)));
        assert_eq!(Params::of_uri("height=").int("height"), Ok(None));
        assert!(Params::of_uri("height=x").int("height").is_err());
    }

    #[test]
    fn json_parameters_come_by_name_or_in_order() {
        let by_name = Params::of_json(Some(r#"{"height":"12"}"#), &["height"]).expect("an object");
        assert_eq!(by_name.int("height"), Ok(Some(12)));
        let in_order = Params::of_json(Some(r#"["12"]"#), &["height"]).expect("an array");
        assert_eq!(in_order.int("height"), Ok(Some(12)));
        assert!(Params::of_json(Some(r#"["12","13"]"#), &["height"]).is_err());
        assert!(Params::of_json(Some("7"), &["height"]).is_err());
        let bare = Params::of_json(Some(r#"{"height":12}"#), &["height"]).expect("an object");
        let expected = r#"invalid 64-bit integer encoding "12", expected string"#;
        assert_eq!(bare.int("height"), Err(Failure::Params(expected.to_owned())));
    }
}
