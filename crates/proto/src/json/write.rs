//! From wire bytes to JSON text, by the schema.

use std::{collections::BTreeMap, fmt::Write as _};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Buf as _;
use prost::{
    Message,
    encoding::{WireType, decode_key, decode_varint},
};
use prost_types::{Any, Duration, Timestamp};

use super::{
    JsonError, NESTING_MAX,
    schema::{Field, Kind, Layout, Schema},
    text,
};

const ANY: &str = "google.protobuf.Any";
const TIMESTAMP: &str = "google.protobuf.Timestamp";
const DURATION: &str = "google.protobuf.Duration";

/// How empty bytes are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `""`
    Plain,
    /// `null`
    Rest,
}

pub(super) struct Writer {
    schema: &'static Schema,
    style: Style,
}

/// A value on the wire.
#[derive(Clone, Copy)]
enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Delimited(&'a [u8]),
}

/// What was read of a message: values by field number, in wire order, and the last-set member of each `oneof`.
struct Values<'a> {
    by_number: BTreeMap<u32, Vec<Wire<'a>>>,
    chosen: BTreeMap<i32, u32>,
}

/// Where we are, for errors.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    depth: usize,
}

impl Place<'_> {
    fn malformed(self, what: &'static str) -> JsonError {
        JsonError::Malformed { name: self.name.to_owned(), what }
    }

    fn inside(self, name: &str) -> Result<Place<'_>, JsonError> {
        if self.depth == NESTING_MAX {
            return Err(JsonError::TooDeep { name: name.to_owned() });
        }
        Ok(Place { name, depth: self.depth + 1 })
    }
}

impl Writer {
    pub(super) fn new(style: Style) -> Self {
        Self { schema: Schema::get(), style }
    }

    pub(super) fn message(&self, full_name: &str, bytes: &[u8]) -> Result<String, JsonError> {
        let mut out = String::new();
        self.push_message(&mut out, Place { name: full_name, depth: 0 }, bytes)?;
        Ok(out)
    }

    /// The top-level fields, each with its JSON text, in the order of declaration.
    pub(super) fn fields(&self, full_name: &str, bytes: &[u8]) -> Result<Vec<(String, String)>, JsonError> {
        let place = Place { name: full_name, depth: 0 };
        let message = self.lookup(full_name)?;
        let values = read(message, place, bytes)?;
        let mut fields = Vec::with_capacity(message.fields.len());
        for field in written(message, &values) {
            let mut out = String::new();
            self.push_field(&mut out, field, &values, place)?;
            fields.push((field.name.clone(), out));
        }
        Ok(fields)
    }

    fn lookup(&self, full_name: &str) -> Result<&'static Layout, JsonError> {
        self.schema.message(full_name).ok_or_else(|| JsonError::UnknownType { name: full_name.to_owned() })
    }

    fn push_message(&self, out: &mut String, place: Place<'_>, bytes: &[u8]) -> Result<(), JsonError> {
        match place.name {
            ANY => self.push_any(out, place, bytes),
            TIMESTAMP => {
                let Timestamp { seconds, nanos } = well_known(place, bytes)?;
                let timestamp =
                    text::timestamp(seconds, nanos).ok_or_else(|| place.malformed("not within the years 1 to 9999"))?;
                write!(out, "\"{timestamp}\"").expect("a string grows");
                Ok(())
            }
            DURATION => {
                let Duration { seconds, nanos } = well_known(place, bytes)?;
                write!(out, "\"{}\"", text::duration(seconds, nanos)).expect("a string grows");
                Ok(())
            }
            name => {
                let message = self.lookup(name)?;
                out.push('{');
                self.push_members(out, place, message, bytes, true)?;
                out.push('}');
                Ok(())
            }
        }
    }

    fn push_members(
        &self,
        out: &mut String,
        place: Place<'_>,
        message: &Layout,
        bytes: &[u8],
        mut first: bool,
    ) -> Result<(), JsonError> {
        let values = read(message, place, bytes)?;
        for field in written(message, &values) {
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            text::push_string(out, &field.name);
            out.push(':');
            self.push_field(out, field, &values, place)?;
        }
        Ok(())
    }

    fn push_any(&self, out: &mut String, place: Place<'_>, bytes: &[u8]) -> Result<(), JsonError> {
        let Any { type_url, value } = well_known(place, bytes)?;
        out.push_str("{\"@type\":");
        text::push_string(out, &type_url);
        let name = type_url.rsplit('/').next().unwrap_or_default();
        let start = out.len();
        match self.push_opened(out, place.inside(name)?, &value) {
            // A type of another module, or bytes that are not of that type: the bytes, rather than no answer at all.
            Err(JsonError::UnknownType { .. } | JsonError::Malformed { .. }) => {
                out.truncate(start);
                write!(out, ",\"value\":\"{}\"", BASE64_STANDARD.encode(&value)).expect("a string grows");
            }
            opened => opened?,
        }
        out.push('}');
        Ok(())
    }

    /// The members of an opened `Any` that follow its `@type`.
    fn push_opened(&self, out: &mut String, place: Place<'_>, value: &[u8]) -> Result<(), JsonError> {
        if matches!(place.name, ANY | TIMESTAMP | DURATION) {
            out.push_str(",\"value\":");
            return self.push_message(out, place, value);
        }
        self.push_members(out, place, self.lookup(place.name)?, value, false)
    }

    fn push_field(
        &self,
        out: &mut String,
        field: &Field,
        values: &Values<'_>,
        place: Place<'_>,
    ) -> Result<(), JsonError> {
        let wires = values.by_number.get(&field.number).map_or(&[][..], Vec::as_slice);
        if !field.repeated {
            return self.push_single(out, &field.kind, wires, place);
        }
        if let Kind::Message(name) = &field.kind {
            let message = self.lookup(name)?;
            if message.is_map_entry {
                return self.push_map(out, message, wires, place.inside(name)?);
            }
        }
        out.push('[');
        let mut first = true;
        for wire in wires {
            for value in unpacked(&field.kind, *wire, place)? {
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                self.push_single(out, &field.kind, &[value], place)?;
            }
        }
        out.push(']');
        Ok(())
    }

    /// Entries sorted by key, numbers by value; of equal keys the last one.
    fn push_map(
        &self,
        out: &mut String,
        entry: &Layout,
        wires: &[Wire<'_>],
        place: Place<'_>,
    ) -> Result<(), JsonError> {
        let (Some(key), Some(value)) =
            (entry.fields.iter().find(|field| field.number == 1), entry.fields.iter().find(|field| field.number == 2))
        else {
            return Err(place.malformed("a map entry without key or value"));
        };
        let mut members = BTreeMap::new();
        for wire in wires {
            let Wire::Delimited(bytes) = wire else { return Err(place.malformed("a map entry is not delimited")) };
            let values = read(entry, place, bytes)?;
            let mut name = String::new();
            self.push_field(&mut name, key, &values, place)?;
            let name = if name.starts_with('"') { name } else { format!("\"{name}\"") };
            // Shorter numbers are smaller numbers; negative ones do not occur as keys.
            let width = if matches!(key.kind, Kind::Text) { 0 } else { name.len() };
            let mut json = String::new();
            let present = values.by_number.get(&value.number).map_or(&[][..], Vec::as_slice);
            match &value.kind {
                Kind::Message(_) if present.is_empty() => {
                    self.push_single(&mut json, &value.kind, &[Wire::Delimited(&[])], place)?;
                }
                kind => self.push_single(&mut json, kind, present, place)?,
            }
            members.insert((width, name), json);
        }
        out.push('{');
        for (index, ((_, name), json)) in members.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            write!(out, "{name}:{json}").expect("a string grows");
        }
        out.push('}');
        Ok(())
    }

    /// The last value of a scalar, or its default; all of a message, merged, or `null`.
    fn push_single(
        &self,
        out: &mut String,
        kind: &Kind,
        wires: &[Wire<'_>],
        place: Place<'_>,
    ) -> Result<(), JsonError> {
        let wrong = || place.malformed("a field has the wrong wire type");
        match kind {
            Kind::Message(name) => match wires {
                [] => out.push_str("null"),
                [Wire::Delimited(bytes)] => self.push_message(out, place.inside(name)?, bytes)?,
                several => {
                    // Parts of an embedded message merge, which is what their concatenation means.
                    let mut merged = Vec::new();
                    for part in several {
                        let Wire::Delimited(bytes) = part else { return Err(wrong()) };
                        merged.extend_from_slice(bytes);
                    }
                    self.push_message(out, place.inside(name)?, &merged)?;
                }
            },
            Kind::Text | Kind::Bytes => {
                let bytes = match wires.last() {
                    None => &[],
                    Some(Wire::Delimited(bytes)) => *bytes,
                    Some(_) => return Err(wrong()),
                };
                if matches!(kind, Kind::Text) {
                    text::push_string(out, &String::from_utf8_lossy(bytes));
                } else if bytes.is_empty() && self.style == Style::Rest {
                    out.push_str("null");
                } else {
                    write!(out, "\"{}\"", BASE64_STANDARD.encode(bytes)).expect("a string grows");
                }
            }
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => {
                let bits = match wires.last() {
                    None => 0,
                    Some(Wire::Fixed64(bits)) => *bits,
                    Some(_) => return Err(wrong()),
                };
                match kind {
                    Kind::Double => out.push_str(&text::double(f64::from_bits(bits))),
                    Kind::Fixed64 => write!(out, "\"{bits}\"").expect("a string grows"),
                    _ => write!(out, "\"{}\"", bits.cast_signed()).expect("a string grows"),
                }
            }
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => {
                let bits = match wires.last() {
                    None => 0,
                    Some(Wire::Fixed32(bits)) => *bits,
                    Some(_) => return Err(wrong()),
                };
                match kind {
                    Kind::Float => write!(out, "{}", f32::from_bits(bits)).expect("a string grows"),
                    Kind::Fixed32 => write!(out, "{bits}").expect("a string grows"),
                    _ => write!(out, "{}", bits.cast_signed()).expect("a string grows"),
                }
            }
            _ => {
                let value = match wires.last() {
                    None => 0,
                    Some(Wire::Varint(value)) => *value,
                    Some(_) => return Err(wrong()),
                };
                self.push_varint(out, kind, value);
            }
        }
        Ok(())
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "32-bit fields keep the low bits of a longer varint, as protobuf says"
    )]
    fn push_varint(&self, out: &mut String, kind: &Kind, value: u64) {
        let zigzag = |value: u64| (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
        match kind {
            Kind::Int64 => write!(out, "\"{}\"", value.cast_signed()),
            Kind::Uint64 => write!(out, "\"{value}\""),
            Kind::Sint64 => write!(out, "\"{}\"", zigzag(value)),
            Kind::Sint32 => write!(out, "{}", zigzag(u64::from(value as u32)) as i32),
            Kind::Uint32 => write!(out, "{}", value as u32),
            Kind::Bool => write!(out, "{}", value != 0),
            Kind::Enum(name) => match self.schema.enum_value(name, value as i32) {
                Some(value) => write!(out, "\"{value}\""),
                None => write!(out, "{}", value as i32),
            },
            _ => write!(out, "{}", value as i32),
        }
        .expect("a string grows");
    }
}

/// Fields in the order of declaration, without the members of a `oneof` that are not set.
fn written<'a>(message: &'a Layout, values: &Values<'_>) -> impl Iterator<Item = &'a Field> {
    message
        .fields
        .iter()
        .filter(move |field| field.oneof.is_none_or(|oneof| values.chosen.get(&oneof) == Some(&field.number)))
        .collect::<Vec<_>>()
        .into_iter()
}

fn read<'a>(message: &Layout, place: Place<'_>, mut rest: &'a [u8]) -> Result<Values<'a>, JsonError> {
    let mut values = Values { by_number: BTreeMap::new(), chosen: BTreeMap::new() };
    while !rest.is_empty() {
        let (number, wire_type) = decode_key(&mut rest).map_err(|_| place.malformed("a tag is invalid"))?;
        let wire = read_wire(wire_type, place, &mut rest)?;
        let Some(field) = message.fields.iter().find(|field| field.number == number) else { continue };
        if let Some(oneof) = field.oneof {
            values.chosen.insert(oneof, number);
        }
        values.by_number.entry(number).or_default().push(wire);
    }
    Ok(values)
}

fn read_wire<'a>(wire_type: WireType, place: Place<'_>, rest: &mut &'a [u8]) -> Result<Wire<'a>, JsonError> {
    let truncated = || place.malformed("they end inside a field");
    match wire_type {
        WireType::Varint => decode_varint(rest).map(Wire::Varint).map_err(|_| place.malformed("a varint is invalid")),
        WireType::SixtyFourBit => rest.try_get_u64_le().map(Wire::Fixed64).map_err(|_| truncated()),
        WireType::ThirtyTwoBit => rest.try_get_u32_le().map(Wire::Fixed32).map_err(|_| truncated()),
        WireType::LengthDelimited => {
            let len = decode_varint(rest).map_err(|_| place.malformed("a length is invalid"))?;
            let len = usize::try_from(len).map_err(|_| truncated())?;
            let (bytes, after) = rest.split_at_checked(len).ok_or_else(truncated)?;
            *rest = after;
            Ok(Wire::Delimited(bytes))
        }
        WireType::StartGroup | WireType::EndGroup => Err(place.malformed("groups are not in use")),
    }
}

/// The elements of one occurrence of a repeated field: several if it is packed.
fn unpacked<'a>(kind: &Kind, wire: Wire<'a>, place: Place<'_>) -> Result<Vec<Wire<'a>>, JsonError> {
    let Wire::Delimited(mut rest) = wire else { return Ok(vec![wire]) };
    let element = match kind {
        Kind::Text | Kind::Bytes | Kind::Message(_) => return Ok(vec![wire]),
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireType::SixtyFourBit,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireType::ThirtyTwoBit,
        _ => WireType::Varint,
    };
    let mut elements = Vec::new();
    while !rest.is_empty() {
        elements.push(read_wire(element, place, &mut rest)?);
    }
    Ok(elements)
}

fn well_known<M: Message + Default>(place: Place<'_>, bytes: &[u8]) -> Result<M, JsonError> {
    M::decode(bytes).map_err(|_| place.malformed("they do not decode"))
}
