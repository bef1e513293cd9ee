//! Which bytes are a transaction at all: ADR-027 for the outer message, no unknown fields within (protocol §9.2).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// Set in the number of a field that may be ignored by those who do not know it.
const NON_CRITICAL: u32 = 1 << 10;
const ANY: &str = "google.protobuf.Any";
/// Nesting beyond this is nobody's transaction.
const DEPTH_MAX: usize = 64;

/// Checks the outer message: its three fields in order, each length in as few bytes as possible.
pub(super) fn check_outer(bytes: &[u8]) -> Result<(), String> {
    let mut rest = bytes;
    let mut previous = 0;
    while !rest.is_empty() {
        let (number, wire_type) = take_tag(&mut rest).map_err(|reason| format!("invalid length; {reason}"))?;
        if wire_type != LENGTH_DELIMITED {
            return Err(format!("expected {LENGTH_DELIMITED} wire type, got {wire_type}"));
        }
        if number < previous {
            return Err(format!("txRaw must follow ADR-027, got tagNum {number} after tagNum {previous}"));
        }
        previous = number;
        let before = rest.len();
        let length = take_varint(&mut rest).map_err(|reason| format!("invalid length; {reason}"))?;
        let (used, needed) = (before - rest.len(), prost::encoding::encoded_len_varint(length));
        if used != needed {
            return Err(format!(
                "length prefix varint for tagNum {number} is not as short as possible, read {used}, only need {needed}"
            ));
        }
        take(&mut rest, length).map_err(|reason| format!("invalid length; {reason}"))?;
    }
    Ok(())
}

/// Checks that a message and everything in it has only fields that its type knows; `non_critical` lets those pass whose
/// number says that they may be ignored.
pub(super) fn check(message: &str, bytes: &[u8], non_critical: bool) -> Result<(), String> {
    check_nested(message, bytes, non_critical, 0)
}

fn check_nested(message: &str, bytes: &[u8], non_critical: bool, depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("{message} is nested more than {DEPTH_MAX} deep"));
    }
    let Some(fields) = SCHEMA.get(message) else {
        return Err(format!("unable to resolve type URL /{message}"));
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        let (number, wire_type) = take_tag(&mut rest).map_err(|_| "invalid length".to_owned())?;
        let field = fields.get(&number);
        match field {
            Some(field) if !field.accepts(wire_type) => {
                return Err(format!("{message}: {{TagNum: {number}, GotWireType: {}}}", quoted_type(wire_type)));
            }
            Some(_) => {}
            None if non_critical && number & NON_CRITICAL != 0 => {}
            None => {
                return Err(format!(
                    "{message}: {{TagNum: {number}, WireType:{}}}: unknown protobuf field",
                    quoted_type(wire_type)
                ));
            }
        }
        let value = take_value(&mut rest, number, wire_type)?;
        if let Some(nested) = field.and_then(|field| field.message.as_deref()) {
            check_nested(nested, value, non_critical, depth + 1)?;
            if nested == ANY {
                let packed = prost_types::Any::decode(value).map_err(|error| error.to_string())?;
                check_nested(packed.type_url.trim_start_matches('/'), &packed.value, non_critical, depth + 1)?;
            }
        }
    }
    Ok(())
}

/// What the check has to know of a field.
struct Field {
    wire_type: u8,
    /// A list of numbers may also be packed.
    packable: bool,
    /// Full name of its message type.
    message: Option<String>,
}

impl Field {
    fn of(field: &FieldDescriptorProto) -> Self {
        let wire_type = match field.r#type() {
            Type::Double | Type::Fixed64 | Type::Sfixed64 => FIXED64,
            Type::Float | Type::Fixed32 | Type::Sfixed32 => FIXED32,
            Type::String | Type::Bytes | Type::Message => LENGTH_DELIMITED,
            Type::Group => START_GROUP,
            _ => VARINT,
        };
        let message =
            matches!(field.r#type(), Type::Message).then(|| field.type_name().trim_start_matches('.').to_owned());
        Self { wire_type, packable: field.label() == Label::Repeated && wire_type != LENGTH_DELIMITED, message }
    }

    fn accepts(&self, wire_type: u8) -> bool {
        wire_type == self.wire_type || (self.packable && wire_type == LENGTH_DELIMITED)
    }
}

/// Fields of every message type we know, by full name.
static SCHEMA: LazyLock<BTreeMap<String, BTreeMap<u32, Field>>> = LazyLock::new(|| {
    let files =
        FileDescriptorSet::decode(pocket_proto::DESCRIPTOR_SET).expect("the descriptor set is built with the types");
    let mut schema = BTreeMap::new();
    for file in &files.file {
        for message in &file.message_type {
            collect(&mut schema, file.package(), message);
        }
    }
    schema
});

fn collect(schema: &mut BTreeMap<String, BTreeMap<u32, Field>>, scope: &str, message: &DescriptorProto) {
    let name = if scope.is_empty() { message.name().to_owned() } else { format!("{scope}.{}", message.name()) };
    for nested in &message.nested_type {
        collect(schema, &name, nested);
    }
    let fields = message.field.iter().map(|field| (field.number().unsigned_abs(), Field::of(field))).collect();
    schema.insert(name, fields);
}

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH_DELIMITED: u8 = 2;
const START_GROUP: u8 = 3;
const END_GROUP: u8 = 4;
const FIXED32: u8 = 5;

const NUMBER_MAX: u64 = (1 << 29) - 1;

fn take_tag(rest: &mut &[u8]) -> Result<(u32, u8), &'static str> {
    let tag = take_varint(rest)?;
    let number = tag >> 3;
    match u32::try_from(number) {
        Ok(small) if (1..=NUMBER_MAX).contains(&number) => Ok((small, (tag & 7) as u8)),
        _ => Err("proto: invalid field number"),
    }
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0_u64;
    for at in 0..10 {
        let Some((&byte, behind)) = rest.split_first() else {
            return Err("unexpected EOF");
        };
        *rest = behind;
        if at == 9 && byte > 1 {
            return Err("proto: variable length integer overflow");
        }
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("proto: variable length integer overflow")
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], &'static str> {
    let length = usize::try_from(length).map_err(|_| "unexpected EOF")?;
    let (value, behind) = rest.split_at_checked(length).ok_or("unexpected EOF")?;
    *rest = behind;
    Ok(value)
}

fn take_value<'a>(rest: &mut &'a [u8], number: u32, wire_type: u8) -> Result<&'a [u8], String> {
    let taken = match wire_type {
        VARINT => take_varint(rest).map(|_| &[][..]),
        FIXED64 => take(rest, 8),
        LENGTH_DELIMITED => take_varint(rest).and_then(|length| take(rest, length)),
        FIXED32 => take(rest, 4),
        START_GROUP => skip_group(rest, number).map(|()| &[][..]),
        END_GROUP => Err("proto: mismatching end group marker"),
        _ => Err("proto: cannot parse reserved wire type"),
    };
    taken.map_err(|reason| {
        format!("could not consume field value for tagNum: {number}, wireType: {}; {reason}", quoted_type(wire_type))
    })
}

fn skip_group(rest: &mut &[u8], number: u32) -> Result<(), &'static str> {
    let mut open = vec![number];
    while let Some(&group) = open.last() {
        let (number, wire_type) = take_tag(rest)?;
        match wire_type {
            VARINT => {
                take_varint(rest)?;
            }
            FIXED64 => {
                take(rest, 8)?;
            }
            LENGTH_DELIMITED => {
                let length = take_varint(rest)?;
                take(rest, length)?;
            }
            FIXED32 => {
                take(rest, 4)?;
            }
            START_GROUP if open.len() < DEPTH_MAX => open.push(number),
            END_GROUP if number == group => {
                open.pop();
            }
            END_GROUP => return Err("proto: mismatching end group marker"),
            _ => return Err("proto: cannot parse reserved wire type"),
        }
    }
    Ok(())
}

fn quoted_type(wire_type: u8) -> &'static str {
    match wire_type {
        VARINT => "\"varint\"",
        FIXED64 => "\"fixed64\"",
        LENGTH_DELIMITED => "\"bytes\"",
        START_GROUP => "\"start_group\"",
        END_GROUP => "\"end_group\"",
        FIXED32 => "\"fixed32\"",
        _ => "\"unknown type\"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_message_has_one_encoding() {
        assert_eq!(check_outer(&[0x0a, 1, 7, 0x12, 0, 0x1a, 0, 0x1a, 0]), Ok(()));
        assert_eq!(check_outer(&[1, 2, 3]), Err("invalid length; proto: invalid field number".to_owned()));
        let unordered = check_outer(&[0x12, 0, 0x0a, 0]).expect_err("descending");
        assert_eq!(unordered, "txRaw must follow ADR-027, got tagNum 1 after tagNum 2");
        let long = check_outer(&[0x0a, 0x81, 0, 7]).expect_err("overlong");
        assert!(long.contains("is not as short as possible, read 2, only need 1"), "{long}");
    }

    #[test]
    fn only_non_critical_fields_may_be_unknown_and_only_where_allowed() {
        let unknown = |number: u32| {
            let mut bytes = Vec::new();
            prost::encoding::encode_varint(u64::from(number << 3 | 2), &mut bytes);
            bytes.push(0);
            bytes
        };
        let body = "cosmos.tx.v1beta1.TxBody";
        assert!(check(body, &unknown(6), true).is_err());
        assert!(check(body, &unknown(1024 + 6), true).is_ok());
        assert!(check(body, &unknown(1024 + 6), false).is_err());
    }

    #[test]
    fn messages_inside_are_looked_at() {
        let any = |type_url: &str, value: Vec<u8>| prost_types::Any { type_url: type_url.to_owned(), value };
        let body = |any: prost_types::Any| {
            pocket_proto::cosmos::tx::v1beta1::TxBody { messages: vec![any], ..Default::default() }.encode_to_vec()
        };
        let claim = "/pocket.proof.MsgCreateClaim";
        assert!(check("cosmos.tx.v1beta1.TxBody", &body(any(claim, vec![0x1a, 0])), true).is_ok());
        let unknown = check("cosmos.tx.v1beta1.TxBody", &body(any(claim, vec![0x7a, 0])), true).expect_err("field 15");
        assert_eq!(unknown, "pocket.proof.MsgCreateClaim: {TagNum: 15, WireType:\"bytes\"}: unknown protobuf field");
        assert!(check("cosmos.tx.v1beta1.TxBody", &body(any("/no.Such", Vec::new())), true).is_err());
    }
}
