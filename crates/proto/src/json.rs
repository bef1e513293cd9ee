//! Protobuf JSON, as the chain writes it in typed events and REST answers (protocol 0.4, 8.9).
//!
//! One encoder for every message in the [descriptor set](crate::DESCRIPTOR_SET): it walks wire bytes, so it needs no generated code.
//! Names are the original field names in the order of declaration, defaults are written out, absent messages are `null`, 64-bit
//! integers are text, bytes are base64, enums are their names, timestamps RFC 3339, maps are objects sorted by key, an unset `oneof` is
//! left out, and an `Any` of a known type is opened beside its `@type` (any other keeps its bytes as `value`). `<`, `>` and `&` in text are escaped as the chain escapes them.
//!
//! Reading JSON is deliberately not here: nothing of ours receives messages in that form.

use prost::Message;
use serde_json::Value;

mod schema;
mod text;
mod write;

use write::{Style, Writer};

/// How deep messages may be nested.
pub const NESTING_MAX: usize = 100;

/// Why bytes could not be written as JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// No such message in the descriptor set.
    #[error("no message is named {name}; names are full, such as pocket.proof.Claim")]
    UnknownType {
        /// The name asked for.
        name: String,
    },
    /// The bytes are not of this message.
    #[error("bytes of {name} are malformed: {what}")]
    Malformed {
        /// Full name of the message.
        name: String,
        /// What is wrong.
        what: &'static str,
    },
    /// Messages nested deeper than [`NESTING_MAX`].
    #[error("bytes of {name} nest deeper than {NESTING_MAX} messages")]
    TooDeep {
        /// Full name of the message.
        name: String,
    },
}

/// Writes a serialized message as JSON text, empty bytes as `""`.
///
/// # Errors
/// If the name is unknown or the bytes are not such a message.
pub fn to_json_string(full_name: &str, bytes: &[u8]) -> Result<String, JsonError> {
    Writer::new(Style::Plain).message(full_name, bytes)
}

/// Writes a serialized message as a JSON value (keys sorted, since values do not keep their order), empty bytes as `""`.
///
/// # Errors
/// If the name is unknown or the bytes are not such a message.
pub fn to_json(full_name: &str, bytes: &[u8]) -> Result<Value, JsonError> {
    let text = to_json_string(full_name, bytes)?;
    Ok(serde_json::from_str(&text).expect("the encoder writes JSON"))
}

/// Writes a serialized message as the chain's REST gateway does: as [`to_json_string`], but empty bytes as `null`.
///
/// # Errors
/// If the name is unknown or the bytes are not such a message.
pub fn to_rest_string(full_name: &str, bytes: &[u8]) -> Result<String, JsonError> {
    Writer::new(Style::Rest).message(full_name, bytes)
}

/// Returns the attributes of a typed event: one for each top-level field, sorted by key, with the JSON text of its value.
/// What the chain appends to them (`mode`, `msg_index`) is the caller's.
///
/// # Errors
/// If the name is unknown or the bytes are not such a message.
pub fn typed_event(full_name: &str, bytes: &[u8]) -> Result<Vec<(String, String)>, JsonError> {
    let mut attributes = Writer::new(Style::Rest).fields(full_name, bytes)?;
    attributes.sort();
    Ok(attributes)
}

/// Writes a message of this crate as a JSON value; see [`to_json`].
///
/// # Errors
/// If it holds a time outside the years 1 to 9999, or nests too deep.
pub fn of<M: Message + prost::Name>(message: &M) -> Result<Value, JsonError> {
    to_json(&M::full_name(), &message.encode_to_vec())
}

/// Writes a message of this crate as the chain's REST gateway does; see [`to_rest_string`].
///
/// # Errors
/// See [`of`].
pub fn rest_of<M: Message + prost::Name>(message: &M) -> Result<String, JsonError> {
    to_rest_string(&M::full_name(), &message.encode_to_vec())
}

/// Returns type and attributes of a typed event of this crate; see [`typed_event`].
///
/// # Errors
/// See [`of`]. Events of `pocket` packages hold no times, so that theirs never fail.
pub fn event_of<M: Message + prost::Name>(event: &M) -> Result<(String, Vec<(String, String)>), JsonError> {
    let name = M::full_name();
    let attributes = typed_event(&name, &event.encode_to_vec())?;
    Ok((name, attributes))
}
