//! A reader of relay messages that follows the chain's unmarshaler step by step, and a writer in canonical form.
//!
//! It works on tables instead of types, so that text stays the bytes it was. Not on the hot path: [`super::decode_request`] comes here
//! only with what the quick decoder refused.

use std::borrow::Cow;

/// The layout of a message: its fields in ascending order.
#[derive(Debug)]
pub struct Schema {
    name: &'static str,
    fields: &'static [Field],
}

#[derive(Debug)]
struct Field {
    number: i32,
    name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Int64,
    Uint32,
    Text,
    Bytes,
    Message(&'static Schema),
    /// Not nullable on the chain: written even when absent.
    MessageAlways(&'static Schema),
}

const fn field(number: i32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, kind }
}

static SESSION_HEADER: Schema = Schema {
    name: "SessionHeader",
    fields: &[
        field(1, "ApplicationAddress", Kind::Text),
        field(2, "ServiceId", Kind::Text),
        field(3, "SessionId", Kind::Text),
        field(4, "SessionStartBlockHeight", Kind::Int64),
        field(5, "SessionEndBlockHeight", Kind::Int64),
    ],
};

static RELAY_REQUEST_METADATA: Schema = Schema {
    name: "RelayRequestMetadata",
    fields: &[
        field(1, "SessionHeader", Kind::Message(&SESSION_HEADER)),
        field(2, "Signature", Kind::Bytes),
        field(3, "SupplierOperatorAddress", Kind::Text),
    ],
};

static RELAY_RESPONSE_METADATA: Schema = Schema {
    name: "RelayResponseMetadata",
    fields: &[
        field(1, "SessionHeader", Kind::Message(&SESSION_HEADER)),
        field(2, "SupplierOperatorSignature", Kind::Bytes),
    ],
};

static RELAY_MINER_ERROR: Schema = Schema {
    name: "RelayMinerError",
    fields: &[
        field(1, "Codespace", Kind::Text),
        field(2, "Code", Kind::Uint32),
        field(3, "Description", Kind::Text),
        field(4, "Message", Kind::Text),
    ],
};

/// Layout of `pocket.service.RelayRequest`.
pub static RELAY_REQUEST: Schema = Schema {
    name: "RelayRequest",
    fields: &[field(1, "Meta", Kind::MessageAlways(&RELAY_REQUEST_METADATA)), field(2, "Payload", Kind::Bytes)],
};

/// Layout of `pocket.service.RelayResponse`.
pub static RELAY_RESPONSE: Schema = Schema {
    name: "RelayResponse",
    fields: &[
        field(1, "Meta", Kind::MessageAlways(&RELAY_RESPONSE_METADATA)),
        field(2, "Payload", Kind::Bytes),
        field(3, "RelayMinerError", Kind::Message(&RELAY_MINER_ERROR)),
        field(4, "PayloadHash", Kind::Bytes),
    ],
};

/// Layout of `pocket.service.Relay`.
pub static RELAY: Schema = Schema {
    name: "Relay",
    fields: &[field(1, "Req", Kind::Message(&RELAY_REQUEST)), field(2, "Res", Kind::Message(&RELAY_RESPONSE))],
};

/// Why the chain refuses bytes; the texts are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end inside a field.
    #[error("unexpected EOF")]
    Truncated,
    /// A varint of more than ten bytes.
    #[error("proto: integer overflow")]
    Overflow,
    /// A length that does not fit a signed 64-bit integer.
    #[error("proto: negative length found during unmarshaling")]
    InvalidLength,
    /// A known field with the wire type of another kind.
    #[error("proto: wrong wireType = {wire_type} for field {field}")]
    WrongWireType {
        /// The wire type found, 0 to 7.
        wire_type: u8,
        /// The field's name.
        field: &'static str,
    },
    /// A field number that is not positive.
    #[error("proto: {message}: illegal tag {number} (wire type {wire_type})")]
    IllegalTag {
        /// The message's name.
        message: &'static str,
        /// The field number found.
        number: i32,
        /// The wire type found, 0 to 7.
        wire_type: u8,
    },
    /// The end of a group that did not begin.
    #[error("proto: {message}: wiretype end group for non-group")]
    StrayEndGroup {
        /// The message's name.
        message: &'static str,
    },
    /// Wire type 6 or 7.
    #[error("proto: illegal wireType {wire_type}")]
    IllegalWireType {
        /// The wire type found.
        wire_type: u8,
    },
}

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
pub(super) const DELIMITED: u8 = 2;
const START_GROUP: u8 = 3;
const END_GROUP: u8 = 4;
const FIXED32: u8 = 5;

/// Reads and writes again, text as the bytes it was.
///
/// # Errors
/// If the chain refuses the bytes.
pub fn remarshal(schema: &'static Schema, bytes: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::with_capacity(bytes.len());
    Node::read(schema, bytes)?.write(&mut out, |text| Cow::Borrowed(text));
    Ok(out)
}

/// Reads and writes again, text that is not UTF-8 with U+FFFD in place of what is not.
///
/// # Errors
/// If the chain refuses the bytes.
pub fn remarshal_as_utf8(schema: &'static Schema, bytes: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::with_capacity(bytes.len());
    Node::read(schema, bytes)?.write(&mut out, |text| match String::from_utf8_lossy(text) {
        Cow::Borrowed(valid) => Cow::Borrowed(valid.as_bytes()),
        Cow::Owned(mended) => Cow::Owned(mended.into_bytes()),
    });
    Ok(out)
}

/// A message as read: one value for each field of its schema.
struct Node<'a> {
    schema: &'static Schema,
    values: Vec<Option<Value<'a>>>,
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Message(Node<'a>),
}

impl<'a> Node<'a> {
    fn new(schema: &'static Schema) -> Self {
        Self { schema, values: schema.fields.iter().map(|_| None).collect() }
    }

    fn read(schema: &'static Schema, bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut node = Self::new(schema);
        node.merge(bytes)?;
        Ok(node)
    }

    /// Reads `bytes` over what is there: the last scalar wins, embedded messages are merged.
    fn merge(&mut self, bytes: &'a [u8]) -> Result<(), WireError> {
        let mut cursor = Cursor { rest: bytes };
        while !cursor.rest.is_empty() {
            let before = cursor.rest;
            let (number, wire_type) = cursor.tag()?;
            if wire_type == END_GROUP {
                return Err(WireError::StrayEndGroup { message: self.schema.name });
            }
            if number <= 0 {
                return Err(WireError::IllegalTag { message: self.schema.name, number, wire_type });
            }
            let Some(index) = self.schema.fields.iter().position(|field| field.number == number) else {
                cursor.rest = before;
                cursor.skip()?;
                continue;
            };
            let field = &self.schema.fields[index];
            let expected = match field.kind {
                Kind::Int64 | Kind::Uint32 => VARINT,
                Kind::Text | Kind::Bytes | Kind::Message(_) | Kind::MessageAlways(_) => DELIMITED,
            };
            if wire_type != expected {
                return Err(WireError::WrongWireType { wire_type, field: field.name });
            }
            let slot = &mut self.values[index];
            match field.kind {
                Kind::Int64 => *slot = Some(Value::Number(cursor.varint()?)),
                Kind::Uint32 => *slot = Some(Value::Number(cursor.varint()? & u64::from(u32::MAX))),
                Kind::Text | Kind::Bytes => *slot = Some(Value::Bytes(cursor.delimited()?)),
                Kind::Message(schema) | Kind::MessageAlways(schema) => {
                    let bytes = cursor.delimited()?;
                    if let Some(Value::Message(node)) = slot {
                        node.merge(bytes)?;
                    } else {
                        *slot = Some(Value::Message(Node::read(schema, bytes)?));
                    }
                }
            }
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>, text: fn(&[u8]) -> Cow<'_, [u8]>) {
        for (field, value) in self.schema.fields.iter().zip(&self.values) {
            match (value, field.kind) {
                (Some(Value::Number(0) | Value::Bytes([])), _) => {}
                (Some(Value::Number(number)), _) => {
                    put_tag(out, field.number, VARINT);
                    put_varint(out, *number);
                }
                (Some(Value::Bytes(bytes)), Kind::Text) => put_delimited(out, field.number, &text(bytes)),
                (Some(Value::Bytes(bytes)), _) => put_delimited(out, field.number, bytes),
                (Some(Value::Message(node)), _) => {
                    let mut inner = Vec::new();
                    node.write(&mut inner, text);
                    put_delimited(out, field.number, &inner);
                }
                (None, Kind::MessageAlways(schema)) => {
                    let mut inner = Vec::new();
                    Node::new(schema).write(&mut inner, text);
                    put_delimited(out, field.number, &inner);
                }
                (None, _) => {}
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// At most ten bytes; what does not fit 64 bits is cut off, not refused.
    fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(WireError::Truncated)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(WireError::Overflow)
    }

    /// Field number (cut to 32 bits, as the chain does) and wire type.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the chain's reader truncates the field number and masks the type"
    )]
    pub(super) fn tag(&mut self) -> Result<(i32, u8), WireError> {
        let key = self.varint()?;
        Ok(((key >> 3) as i32, (key & 7) as u8))
    }

    pub(super) fn delimited(&mut self) -> Result<&'a [u8], WireError> {
        let len = i64::try_from(self.varint()?).map_err(|_| WireError::InvalidLength)?;
        let len = usize::try_from(len).map_err(|_| WireError::InvalidLength)?;
        self.take(len)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Passes over one unknown field; within groups neither field numbers nor their pairing are looked at.
    pub(super) fn skip(&mut self) -> Result<(), WireError> {
        let mut depth = 0_usize;
        loop {
            if self.rest.is_empty() {
                return Err(WireError::Truncated);
            }
            let (_, wire_type) = self.tag()?;
            match wire_type {
                VARINT => drop(self.varint()?),
                FIXED64 => drop(self.take(8)?),
                DELIMITED => drop(self.delimited()?),
                START_GROUP => depth += 1,
                END_GROUP if depth > 0 => depth -= 1,
                END_GROUP => return Err(WireError::StrayEndGroup { message: "unknown field" }),
                FIXED32 => drop(self.take(4)?),
                _ => return Err(WireError::IllegalWireType { wire_type }),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn put_tag(out: &mut Vec<u8>, number: i32, wire_type: u8) {
    put_varint(out, u64::from(number.unsigned_abs()) << 3 | u64::from(wire_type));
}

fn put_delimited(out: &mut Vec<u8>, number: i32, bytes: &[u8]) {
    put_tag(out, number, DELIMITED);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
