//! Reads a compact closest proof from any gob stream that Go would read it from.

use super::{
    super::{CompactBranch, CompactProof},
    types::{Array, BYTES, FIRST_USER_ID, Field, INT, Map, Slice, Type, Types},
};

/// How deep values may be nested. An honest proof needs two levels; Go itself stops between ten thousand and a full
/// stack.
pub(super) const MAX_NESTING: u32 = 500;

/// How many values may be skipped that take no bytes: structs behind the end of a message, say as elements of a map
/// that claims a billion entries. Go would go through them all.
pub(super) const MAX_EMPTY_VALUES: u32 = 10_000;

/// How many fields the structs of a stream may have together. An honest proof defines eleven.
const MAX_FIELDS: usize = 4_096;

/// Why bytes are not the gob of a compact closest proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GobError {
    /// The stream ends in the midst of a message, or before any value.
    #[error("the stream ends unexpectedly")]
    UnexpectedEnd,
    /// An integer announces more than eight bytes.
    #[error("an integer is longer than 8 bytes")]
    IntegerLength,
    /// An integer in a type definition does not fit its field.
    #[error("an integer in a type definition is out of range")]
    IntegerRange,
    /// A byte string or message is longer than what follows.
    #[error("a length of {0} goes beyond the end of the data")]
    Length(u64),
    /// A field number lies outside its struct.
    #[error("a field number is out of bounds")]
    FieldNumber,
    /// A type is defined twice, or under an id that is Go's own.
    #[error("type {0} is defined again")]
    DuplicateType(i32),
    /// A type definition is followed by other data in its message.
    #[error("a type definition is followed by extra data")]
    ExtraData,
    /// A value is of a type that the stream does not define.
    #[error("type {0} is not defined")]
    UnknownType(i32),
    /// A struct is wanted where the stream has something else.
    #[error("a struct is wanted, the stream has something else")]
    NotStruct,
    /// A field has no name.
    #[error("a field has no name")]
    UnnamedField,
    /// None of the fields sent is one of a proof's.
    #[error("no field is one of a compact closest proof")]
    NoFieldMatches,
    /// A field is sent with another type than it has.
    #[error("field {0} is sent with another type")]
    FieldType(String),
    /// An array is not as long as its type says.
    #[error("an array is not as long as its type says")]
    ArrayLength,
    /// Values lie in values beyond all reason.
    #[error("values are nested deeper than {MAX_NESTING} levels")]
    TooDeep,
    /// Values that take no bytes are claimed in absurd numbers.
    #[error("the stream claims more than {MAX_EMPTY_VALUES} values that take no bytes")]
    TooManyValues,
    /// Structs are defined with fields beyond all reason.
    #[error("the stream defines more than {MAX_FIELDS} fields")]
    TooManyFields,
}

/// Reads the first value of a stream.
pub(super) fn proof(gob: &[u8]) -> Result<CompactProof, GobError> {
    let mut types = Types::default();
    let mut from = Cursor { message: &[], rest: gob, fields_defined: 0 };
    let id = from.type_sequence(&mut types, false)?;

    let fields = types.fields(id)?;
    let plan = ProofField::plan(&fields, &mut types)?;
    // Go does not mind a struct of no fields, nor its own structs, which it does not look up for this.
    if !fields.is_empty() && id >= FIRST_USER_ID && plan.iter().all(Option::is_none) {
        return Err(GobError::NoFieldMatches);
    }
    let mut proof = CompactProof::default();
    let mut last = None;
    while let Some(number) = from.next_field(last, fields.len())? {
        match &plan[number] {
            None => types.skip(fields[number].id, &mut from, 0)?,
            Some(ProofField::Path) => proof.path = from.bytes()?.to_vec(),
            Some(ProofField::FlippedBits) => proof.flipped_bits = from.byte_strings()?,
            Some(ProofField::Depth) => proof.depth = from.bytes()?.to_vec(),
            Some(ProofField::ClosestPath) => proof.closest_path = from.bytes()?.to_vec(),
            Some(ProofField::LeafData) => proof.leaf_data = from.bytes()?.to_vec(),
            Some(ProofField::Branch(fields, plan)) => {
                branch(proof.branch.get_or_insert_default(), fields, plan, &mut types, &mut from)?;
            }
        }
        last = Some(number);
    }
    Ok(proof)
}

fn branch(
    branch: &mut CompactBranch,
    fields: &[Field],
    plan: &[Option<BranchField>],
    types: &mut Types,
    from: &mut Cursor<'_>,
) -> Result<(), GobError> {
    let present = |bytes: &[u8]| (!bytes.is_empty()).then(|| bytes.to_vec());
    let mut last = None;
    while let Some(number) = from.next_field(last, fields.len())? {
        match plan[number] {
            None => types.skip(fields[number].id, from, 1)?,
            Some(BranchField::SideNodes) => branch.side_nodes = from.byte_strings()?,
            Some(BranchField::NonMembershipLeafData) => branch.non_membership_leaf_data = present(from.bytes()?),
            Some(BranchField::BitMask) => branch.bit_mask = from.bytes()?.to_vec(),
            Some(BranchField::NumSideNodes) => branch.num_side_nodes = signed(from.uint()?),
            Some(BranchField::SiblingData) => branch.sibling_data = present(from.bytes()?),
        }
        last = Some(number);
    }
    Ok(())
}

/// What to do with a field of the struct sent as a proof.
enum ProofField {
    Path,
    FlippedBits,
    Depth,
    ClosestPath,
    LeafData,
    Branch(Vec<Field>, Vec<Option<BranchField>>),
}

impl ProofField {
    /// Matches fields by name; `None` for those to be skipped. Types are checked here, whether values come or not.
    fn plan(fields: &[Field], types: &mut Types) -> Result<Vec<Option<Self>>, GobError> {
        let mut meaning = |field: &Field| {
            let (wanted, meaning) = match field.name.as_str() {
                "Path" => (Kind::Bytes, Self::Path),
                "FlippedBits" => (Kind::ByteStrings, Self::FlippedBits),
                "Depth" => (Kind::Bytes, Self::Depth),
                "ClosestPath" => (Kind::Bytes, Self::ClosestPath),
                "ClosestValueHash" => (Kind::Bytes, Self::LeafData),
                "ClosestProof" => {
                    if types.get(field.id).is_some_and(|definition| definition.opaque) {
                        return Err(GobError::FieldType(field.name.clone()));
                    }
                    let fields = types.fields(field.id)?;
                    let plan = BranchField::plan(&fields, types)?;
                    return Ok(Some(Self::Branch(fields, plan)));
                }
                _ => return types.check_skippable(field.id).map(|()| None),
            };
            wanted.check(field, types).map(|()| Some(meaning))
        };
        fields.iter().map(&mut meaning).collect()
    }
}

/// What to do with a field of the struct sent as a branch.
#[derive(Clone, Copy)]
enum BranchField {
    SideNodes,
    NonMembershipLeafData,
    BitMask,
    NumSideNodes,
    SiblingData,
}

impl BranchField {
    fn plan(fields: &[Field], types: &mut Types) -> Result<Vec<Option<Self>>, GobError> {
        let mut meaning = |field: &Field| {
            let (wanted, meaning) = match field.name.as_str() {
                "SideNodes" => (Kind::ByteStrings, Self::SideNodes),
                "NonMembershipLeafData" => (Kind::Bytes, Self::NonMembershipLeafData),
                "BitMask" => (Kind::Bytes, Self::BitMask),
                "NumSideNodes" => (Kind::Int, Self::NumSideNodes),
                "SiblingData" => (Kind::Bytes, Self::SiblingData),
                _ => return types.check_skippable(field.id).map(|()| None),
            };
            wanted.check(field, types).map(|()| Some(meaning))
        };
        fields.iter().map(&mut meaning).collect()
    }
}

/// The types that fields of a proof have.
#[derive(Clone, Copy)]
enum Kind {
    Bytes,
    ByteStrings,
    Int,
}

impl Kind {
    fn check(self, field: &Field, types: &Types) -> Result<(), GobError> {
        let fits = match self {
            Self::Bytes => field.id == BYTES,
            Self::Int => field.id == INT,
            Self::ByteStrings => {
                matches!(types.get(field.id), Some(Type { slice: Some(Slice { element: BYTES }), opaque: false, .. }))
            }
        };
        if fits { Ok(()) } else { Err(GobError::FieldType(field.name.clone())) }
    }
}

/// Reads through the messages of a stream.
pub(super) struct Cursor<'a> {
    /// What is left of the current message.
    message: &'a [u8],
    /// What is left of the stream behind it.
    rest: &'a [u8],
    /// Fields of all structs defined so far.
    fields_defined: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.message.is_empty()
    }

    /// Changes with everything that is read.
    pub(super) fn position(&self) -> (usize, usize) {
        (self.message.len(), self.rest.len())
    }

    pub(super) fn uint(&mut self) -> Result<u64, GobError> {
        take_uint(&mut self.message)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], GobError> {
        let length = self.uint()?;
        take(&mut self.message, length)
    }

    fn byte_strings(&mut self) -> Result<Vec<Vec<u8>>, GobError> {
        let count = self.uint()?;
        // Every string takes at least the byte of its length.
        if usize::try_from(count).map_or(true, |count| count > self.message.len()) {
            return Err(GobError::Length(count));
        }
        (0..count).map(|_| self.bytes().map(<[u8]>::to_vec)).collect()
    }

    /// Reads the number of the next field of a struct; `None` at its end. A struct may also end with its message.
    pub(super) fn next_field(&mut self, last: Option<usize>, fields: usize) -> Result<Option<usize>, GobError> {
        if self.is_empty() {
            return Ok(None);
        }
        let distance = self.uint()?;
        if distance == 0 {
            return Ok(None);
        }
        let next = last.map_or(0, |last| last + 1);
        usize::try_from(distance - 1)
            .ok()
            .and_then(|skipped| next.checked_add(skipped))
            .filter(|&number| number < fields)
            .map(Some)
            .ok_or(GobError::FieldNumber)
    }

    /// Reads over a value of any type, which brings its type with it.
    pub(super) fn interface(&mut self, types: &mut Types) -> Result<(), GobError> {
        self.bytes()?; // the type's name
        self.type_sequence(types, true)?;
        self.bytes().map(drop)
    }

    /// Reads type definitions up to the type id of a value.
    fn type_sequence(&mut self, types: &mut Types, in_interface: bool) -> Result<i32, GobError> {
        loop {
            if self.is_empty() {
                let length = take_uint(&mut self.rest)?;
                self.message = take(&mut self.rest, length)?;
            }
            let id = type_id(self.uint()?);
            if id >= 0 {
                return Ok(id);
            }
            self.definition(id.wrapping_neg(), types)?;
            if !self.is_empty() {
                if !in_interface {
                    return Err(GobError::ExtraData);
                }
                self.uint()?; // the length of the value that follows
            }
        }
    }

    fn definition(&mut self, id: i32, types: &mut Types) -> Result<(), GobError> {
        if id < FIRST_USER_ID || types.get(id).is_some() {
            return Err(GobError::DuplicateType(id));
        }
        let definition = self.wire_type()?;
        types.define(id, definition);
        Ok(())
    }

    /// Reads Go's `wireType`: a struct with one field for each kind of type, of which one is set.
    fn wire_type(&mut self) -> Result<Type, GobError> {
        let mut definition = Type::default();
        let mut last = None;
        while let Some(number) = self.next_field(last, 7)? {
            match number {
                0 => {
                    let [element, length] = self.type_with_integers([false, true])?;
                    definition.array = Some(Array { element: narrow(element), length });
                }
                1 => {
                    let [element] = self.type_with_integers([false])?;
                    definition.slice = Some(Slice { element: narrow(element) });
                }
                2 => definition.structure = Some(self.struct_fields()?),
                3 => {
                    let [key, element] = self.type_with_integers([false, false])?;
                    definition.map = Some(Map { key: narrow(key), element: narrow(element) });
                }
                _ => {
                    self.type_with_integers([])?;
                    definition.opaque = true;
                }
            }
            last = Some(number);
        }
        Ok(definition)
    }

    /// Reads a definition made of the common head and integers: type ids of 32 bits, or 64 bits where `wide` says so.
    fn type_with_integers<const N: usize>(&mut self, wide: [bool; N]) -> Result<[i64; N], GobError> {
        let mut integers = [0; N];
        let mut last = None;
        while let Some(number) = self.next_field(last, 1 + N)? {
            match number.checked_sub(1) {
                None => self.common_head()?,
                Some(at) => {
                    let integer = signed(self.uint()?);
                    if !wide[at] && i32::try_from(integer).is_err() {
                        return Err(GobError::IntegerRange);
                    }
                    integers[at] = integer;
                }
            }
            last = Some(number);
        }
        Ok(integers)
    }

    fn struct_fields(&mut self) -> Result<Vec<Field>, GobError> {
        let mut fields = Vec::new();
        let mut last = None;
        while let Some(number) = self.next_field(last, 2)? {
            if number == 0 {
                self.common_head()?;
            } else {
                let count = self.uint()?;
                for _ in 0..count {
                    if self.is_empty() {
                        return Err(GobError::UnexpectedEnd);
                    }
                    self.fields_defined += 1;
                    if self.fields_defined > MAX_FIELDS {
                        return Err(GobError::TooManyFields);
                    }
                    let (name, id) = self.name_and_id()?;
                    fields.push(Field { name: String::from_utf8_lossy(name).into_owned(), id });
                }
            }
            last = Some(number);
        }
        Ok(fields)
    }

    /// The head of every definition repeats name and id. The id is not looked at: the message's own counts.
    fn common_head(&mut self) -> Result<(), GobError> {
        self.name_and_id().map(drop)
    }

    fn name_and_id(&mut self) -> Result<(&'a [u8], i32), GobError> {
        let (mut name, mut id): (&[u8], i32) = (&[], 0);
        let mut last = None;
        while let Some(number) = self.next_field(last, 2)? {
            if number == 0 {
                name = self.bytes()?;
            } else {
                id = i32::try_from(signed(self.uint()?)).map_err(|_| GobError::IntegerRange)?;
            }
            last = Some(number);
        }
        Ok((name, id))
    }
}

fn take<'a>(from: &mut &'a [u8], length: u64) -> Result<&'a [u8], GobError> {
    let split = usize::try_from(length).ok().and_then(|length| from.split_at_checked(length));
    let (taken, rest) = split.ok_or(GobError::Length(length))?;
    *from = rest;
    Ok(taken)
}

fn take_uint(from: &mut &[u8]) -> Result<u64, GobError> {
    let first = take(from, 1).map_err(|_| GobError::UnexpectedEnd)?[0];
    if first < 0x80 {
        return Ok(u64::from(first));
    }
    let length = first.wrapping_neg();
    if length > 8 {
        return Err(GobError::IntegerLength);
    }
    let bytes = take(from, u64::from(length)).map_err(|_| GobError::UnexpectedEnd)?;
    Ok(bytes.iter().fold(0, |integer, &byte| integer << 8 | u64::from(byte)))
}

/// Undoes the folding of the sign into the lowest bit.
fn signed(folded: u64) -> i64 {
    let magnitude = (folded >> 1).cast_signed();
    if folded & 1 == 0 { magnitude } else { !magnitude }
}

/// Go keeps the low 32 bits of a type id.
#[expect(clippy::cast_possible_truncation, reason = "as the reference does")]
fn type_id(folded: u64) -> i32 {
    signed(folded) as i32
}

fn narrow(id: i64) -> i32 {
    i32::try_from(id).expect("type ids were checked when they were read")
}
