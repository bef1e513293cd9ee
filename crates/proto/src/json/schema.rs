//! The descriptor set, indexed by full name.

use std::{collections::BTreeMap, sync::OnceLock};

use prost::Message as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

/// Every message and enum this crate knows.
pub(super) struct Schema {
    messages: BTreeMap<String, Layout>,
    enums: BTreeMap<String, BTreeMap<i32, String>>,
}

/// A message's fields in the order of declaration.
pub(super) struct Layout {
    pub(super) fields: Vec<Field>,
    /// An entry of a map, written as a member of an object.
    pub(super) is_map_entry: bool,
}

pub(super) struct Field {
    pub(super) name: String,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
    /// Index of the `oneof` it belongs to.
    pub(super) oneof: Option<i32>,
}

/// What a field holds; messages and enums by full name.
pub(super) enum Kind {
    Double,
    Float,
    Int64,
    Uint64,
    Sint64,
    Fixed64,
    Sfixed64,
    Int32,
    Uint32,
    Sint32,
    Fixed32,
    Sfixed32,
    Bool,
    Text,
    Bytes,
    Enum(String),
    Message(String),
}

impl Schema {
    pub(super) fn get() -> &'static Self {
        static SCHEMA: OnceLock<Schema> = OnceLock::new();
        SCHEMA.get_or_init(|| {
            let set = FileDescriptorSet::decode(crate::DESCRIPTOR_SET).expect("the committed descriptor set decodes");
            let mut schema = Self { messages: BTreeMap::new(), enums: BTreeMap::new() };
            for file in &set.file {
                let package = file.package();
                for message in &file.message_type {
                    schema.add_message(package, message);
                }
                for kind in &file.enum_type {
                    schema.add_enum(package, kind);
                }
            }
            schema
        })
    }

    pub(super) fn message(&self, full_name: &str) -> Option<&Layout> {
        self.messages.get(full_name)
    }

    pub(super) fn enum_value(&self, full_name: &str, number: i32) -> Option<&str> {
        self.enums.get(full_name)?.get(&number).map(String::as_str)
    }

    fn add_message(&mut self, scope: &str, descriptor: &DescriptorProto) {
        let name = format!("{scope}.{}", descriptor.name());
        for nested in &descriptor.nested_type {
            self.add_message(&name, nested);
        }
        for nested in &descriptor.enum_type {
            self.add_enum(&name, nested);
        }
        let fields = descriptor
            .field
            .iter()
            .map(|field| Field {
                name: field.name().to_owned(),
                number: field.number().unsigned_abs(),
                kind: kind(field.r#type(), field.type_name()),
                repeated: field.label() == Label::Repeated,
                oneof: field.oneof_index,
            })
            .collect();
        let is_map_entry = descriptor.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry);
        self.messages.insert(name, Layout { fields, is_map_entry });
    }

    fn add_enum(&mut self, scope: &str, descriptor: &EnumDescriptorProto) {
        let values = descriptor.value.iter().map(|value| (value.number(), value.name().to_owned())).collect();
        self.enums.insert(format!("{scope}.{}", descriptor.name()), values);
    }
}

fn kind(kind: Type, type_name: &str) -> Kind {
    let name = || type_name.trim_start_matches('.').to_owned();
    match kind {
        Type::Double => Kind::Double,
        Type::Float => Kind::Float,
        Type::Int64 => Kind::Int64,
        Type::Uint64 => Kind::Uint64,
        Type::Sint64 => Kind::Sint64,
        Type::Fixed64 => Kind::Fixed64,
        Type::Sfixed64 => Kind::Sfixed64,
        Type::Int32 => Kind::Int32,
        Type::Uint32 => Kind::Uint32,
        Type::Sint32 => Kind::Sint32,
        Type::Fixed32 => Kind::Fixed32,
        Type::Sfixed32 => Kind::Sfixed32,
        Type::Bool => Kind::Bool,
        Type::String => Kind::Text,
        Type::Bytes => Kind::Bytes,
        Type::Enum => Kind::Enum(name()),
        Type::Message | Type::Group => Kind::Message(name()),
    }
}
