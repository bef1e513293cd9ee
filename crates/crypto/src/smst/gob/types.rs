//! The types a gob stream defines, and skipping a value by its type.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::decode::{Cursor, GobError, MAX_EMPTY_VALUES, MAX_NESTING};

/// Ids below this are Go's own; a stream defines types from here on.
pub(super) const FIRST_USER_ID: i32 = 64;

pub(super) const BOOL: i32 = 1;
pub(super) const INT: i32 = 2;
pub(super) const UINT: i32 = 3;
pub(super) const FLOAT: i32 = 4;
pub(super) const BYTES: i32 = 5;
pub(super) const STRING: i32 = 6;
pub(super) const COMPLEX: i32 = 7;
pub(super) const INTERFACE: i32 = 8;

/// Two of Go's own structs, both of a name and an id: the head of a type definition and a field in one.
const COMMON_HEAD: i32 = 18;
const STRUCT_FIELD: i32 = 21;

/// A type as the stream defines it. An honest definition is of one kind; of several, each is used where it fits, and a
/// value to be skipped is taken for the first of array, map, slice, struct and opaque.
#[derive(Debug, Default)]
pub(super) struct Type {
    pub(super) array: Option<Array>,
    pub(super) slice: Option<Slice>,
    pub(super) structure: Option<Vec<Field>>,
    pub(super) map: Option<Map>,
    /// Encodes itself: a byte string to us.
    pub(super) opaque: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Array {
    pub(super) element: i32,
    pub(super) length: i64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    pub(super) element: i32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Map {
    pub(super) key: i32,
    pub(super) element: i32,
}

/// A field of a struct, by name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) id: i32,
}

/// All types defined so far.
#[derive(Debug, Default)]
pub(super) struct Types {
    defined: BTreeMap<i32, Rc<Type>>,
    skippable: BTreeSet<i32>,
    empty_values: u32,
}

impl Types {
    pub(super) fn define(&mut self, id: i32, definition: Type) {
        self.defined.insert(id, Rc::new(definition));
    }

    pub(super) fn get(&self, id: i32) -> Option<&Type> {
        self.defined.get(&id).map(Rc::as_ref)
    }

    /// Fields of a struct type. Go's own structs may be used without being defined, if only made of basic types.
    pub(super) fn fields(&self, id: i32) -> Result<Vec<Field>, GobError> {
        let field = |name: &str, id| Field { name: name.to_owned(), id };
        if matches!(id, COMMON_HEAD | STRUCT_FIELD) {
            return Ok(vec![field("Name", STRING), field("Id", INT)]);
        }
        if (BOOL..=INTERFACE).contains(&id) {
            return Err(GobError::NotStruct);
        }
        let definition = self.get(id).ok_or(GobError::UnknownType(id))?;
        let fields = definition.structure.as_ref().ok_or(GobError::NotStruct)?;
        if fields.iter().any(|field| field.name.is_empty()) {
            return Err(GobError::UnnamedField);
        }
        Ok(fields.clone())
    }

    /// Says whether values of this type can be skipped: whether all types they are made of are defined.
    pub(super) fn check_skippable(&mut self, id: i32) -> Result<(), GobError> {
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            if (BOOL..=INTERFACE).contains(&id) || !self.skippable.insert(id) {
                continue;
            }
            let definition = self.defined.get(&id).cloned().ok_or(GobError::UnknownType(id))?;
            match &*definition {
                Type { array: Some(Array { element, .. }), .. } => open.push(*element),
                Type { map: Some(Map { key, element }), .. } => open.extend([*key, *element]),
                Type { slice: Some(Slice { element }), .. } => open.push(*element),
                Type { structure: Some(_), .. } => open.extend(self.fields(id)?.iter().map(|field| field.id)),
                Type { opaque: true, .. } => {}
                Type { .. } => return Err(GobError::UnknownType(id)),
            }
        }
        Ok(())
    }

    /// Reads over a value of a type that passed [`Types::check_skippable`].
    pub(super) fn skip(&mut self, id: i32, from: &mut Cursor<'_>, nesting: u32) -> Result<(), GobError> {
        if nesting > MAX_NESTING {
            return Err(GobError::TooDeep);
        }
        let before = from.position();
        match id {
            BOOL | INT | UINT | FLOAT => drop(from.uint()?),
            COMPLEX => {
                from.uint()?;
                from.uint()?;
            }
            BYTES | STRING => drop(from.bytes()?),
            INTERFACE => from.interface(self)?,
            _ => self.skip_defined(id, from, nesting)?,
        }
        if from.position() == before {
            self.empty_values += 1;
            if self.empty_values > MAX_EMPTY_VALUES {
                return Err(GobError::TooManyValues);
            }
        }
        Ok(())
    }

    fn skip_defined(&mut self, id: i32, from: &mut Cursor<'_>, nesting: u32) -> Result<(), GobError> {
        let definition = self.defined.get(&id).cloned().ok_or(GobError::UnknownType(id))?;
        match &*definition {
            Type { array: Some(Array { element, length }), .. } => {
                if from.uint()?.cast_signed() != *length {
                    return Err(GobError::ArrayLength);
                }
                self.skip_elements(*element, *length, from, nesting)
            }
            Type { map: Some(Map { key, element }), .. } => {
                for _ in 0..from.uint()?.cast_signed() {
                    self.skip(*key, from, nesting + 1)?;
                    self.skip(*element, from, nesting + 1)?;
                }
                Ok(())
            }
            Type { slice: Some(Slice { element }), .. } => {
                let length = from.uint()?.cast_signed();
                self.skip_elements(*element, length, from, nesting)
            }
            Type { structure: Some(fields), .. } => {
                let mut last = None;
                while let Some(number) = from.next_field(last, fields.len())? {
                    self.skip(fields[number].id, from, nesting + 1)?;
                    last = Some(number);
                }
                Ok(())
            }
            Type { opaque: true, .. } => from.bytes().map(drop),
            Type { .. } => Err(GobError::UnknownType(id)),
        }
    }

    /// Go reads a length that is negative as a signed integer as none.
    fn skip_elements(&mut self, id: i32, length: i64, from: &mut Cursor<'_>, nesting: u32) -> Result<(), GobError> {
        for _ in 0..length {
            if from.is_empty() {
                return Err(GobError::UnexpectedEnd);
            }
            self.skip(id, from, nesting + 1)?;
        }
        Ok(())
    }
}
