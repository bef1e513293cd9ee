//! The answer to a JSON-RPC request: the request itself, in a fixed form.

use serde_json::{Map, Value};

/// What a request is worth.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The bytes of a good answer.
    Good(Vec<u8>),
    /// The content type is not JSON: a strict node says so with status 200.
    NotJson,
    /// The body is no JSON object.
    Invalid,
}

/// The answer to a request that does not say it is JSON.
pub(crate) const NOT_JSON: &[u8] =
    br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request"}}"#;

/// Answers a request body. `filler_bytes` adds a field `filler` of that length to the result.
pub(crate) fn answer(content_type: Option<&str>, body: &[u8], filler_bytes: usize) -> Answer {
    if !content_type.is_some_and(|text| text.starts_with("application/json")) {
        return Answer::NotJson;
    }
    let Ok(Value::Object(mut request)) = serde_json::from_slice::<Value>(body) else {
        return Answer::Invalid;
    };
    let mut result = Map::new();
    if filler_bytes > 0 {
        result.insert("filler".to_owned(), "x".repeat(filler_bytes).into());
    }
    let method = match request.remove("method") {
        Some(Value::String(method)) => method,
        _ => String::new(),
    };
    result.insert("method".to_owned(), method.into());
    result.insert("params".to_owned(), request.remove("params").unwrap_or(Value::Null));
    result.insert("status".to_owned(), "ok".into());

    // serde_json writes an object's keys in order, which is the documented form.
    let mut whole = Map::new();
    whole.insert("id".to_owned(), request.remove("id").unwrap_or(Value::Null));
    whole.insert("jsonrpc".to_owned(), "2.0".into());
    whole.insert("result".to_owned(), Value::Object(result));
    Answer::Good(escape(&Value::Object(whole).to_string()))
}

/// Escapes what a page would read as markup, as the documented answers do. Outside strings JSON has none of these.
fn escape(json: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(json.len());
    for byte in json.bytes() {
        match byte {
            b'<' => bytes.extend_from_slice(b"\\u003c"),
            b'>' => bytes.extend_from_slice(b"\\u003e"),
            b'&' => bytes.extend_from_slice(b"\\u0026"),
            other => bytes.push(other),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        let Answer::Good(bytes) = answer(Some("application/json"), body.as_bytes(), 0) else { panic!("refused") };
        assert_eq!(String::from_utf8(bytes).expect("text"), expected);
    }

    #[test]
    fn the_documented_request_gets_the_documented_bytes() {
        check(
            r#"{"jsonrpc":"2.0","method":"eth_blockNumber","params":[],"id":1}"#,
            r#"{"id":1,"jsonrpc":"2.0","result":{"method":"eth_blockNumber","params":[],"status":"ok"}}"#,
        );
    }

    #[test]
    fn absent_fields_become_null_and_markup_is_escaped() {
        check(
            r#"{"method":"a<b>&c"}"#,
            r#"{"id":null,"jsonrpc":"2.0","result":{"method":"a\u003cb\u003e\u0026c","params":null,"status":"ok"}}"#,
        );
    }

    #[test]
    fn what_is_not_a_json_object_is_invalid() {
        for body in ["", "[]", "[{}]", "1", "{"] {
            assert_eq!(answer(Some("application/json"), body.as_bytes(), 0), Answer::Invalid, "{body}");
        }
        assert_eq!(answer(Some("text/plain"), b"{}", 0), Answer::NotJson);
        assert_eq!(answer(None, b"{}", 0), Answer::NotJson);
    }
}
