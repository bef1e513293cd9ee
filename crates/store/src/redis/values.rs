//! Reading the server's answers.

use bytes::Bytes;
use redis::Value;

use crate::relay::{Delivered, EntryId, LogEntry};

/// Returns an array's elements; none for anything else.
pub(super) fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) | Value::Set(items) => items,
        Value::Map(pairs) => pairs.into_iter().flat_map(|(key, value)| [key, value]).collect(),
        _ => Vec::new(),
    }
}

/// Returns a string's bytes.
pub(super) fn bytes(value: Value) -> Option<Bytes> {
    match value {
        Value::BulkString(bytes) => Some(bytes.into()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.into_bytes().into()),
        Value::Int(number) => Some(number.to_string().into_bytes().into()),
        _ => None,
    }
}

/// Returns a string's text.
pub(super) fn text(value: Value) -> Option<String> {
    String::from_utf8(bytes(value)?.into()).ok()
}

/// Returns the entries of one stream as a read hands them out: `[[id, [field, value, …]], …]`.
pub(super) fn entries(supplier: &str, value: Value, redelivered: bool) -> Vec<LogEntry> {
    let mut entries = Vec::new();
    for entry in list(value) {
        let mut parts = list(entry).into_iter();
        let Some(id) = parts.next().and_then(text).and_then(|id| id.parse::<EntryId>().ok()) else { continue };
        let mut data = None;
        let mut fields = list(parts.next().unwrap_or(Value::Nil)).into_iter();
        while let (Some(field), Some(value)) = (fields.next(), fields.next()) {
            if bytes(field).is_some_and(|field| field == "data") {
                data = bytes(value);
            }
        }
        entries.push(LogEntry { supplier: supplier.to_owned(), id, redelivered, relay: Delivered::read(data) });
    }
    entries
}
