//! The fields of a message one after another, as they lie in its bytes: what has to be counted before anything is decoded.

use super::WireError;
use super::wire::{Cursor, DELIMITED};

/// Visits the fields of a message, known and unknown. After an error there is nothing more.
///
/// Nothing is allocated, and nothing is looked at beyond tags and lengths.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    cursor: Cursor<'a>,
}

/// One field as it lies in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its number, as the chain reads it.
    pub number: i32,
    /// What is in it, if it is text, bytes or a message.
    pub bytes: Option<&'a [u8]>,
    /// Bytes of the whole field, its tag included.
    pub length: usize,
}

impl<'a> Fields<'a> {
    /// Begins with the first field of `message`.
    #[must_use]
    pub fn of(message: &'a [u8]) -> Self {
        Self { cursor: Cursor { rest: message } }
    }

    fn read(&mut self) -> Result<Field<'a>, WireError> {
        let before = self.cursor.rest;
        let (number, wire_type) = self.cursor.tag()?;
        let bytes = if wire_type == DELIMITED {
            Some(self.cursor.delimited()?)
        } else {
            self.cursor.rest = before;
            self.cursor.skip()?;
            None
        };
        Ok(Field { number, bytes, length: before.len() - self.cursor.rest.len() })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.rest.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.cursor.rest = &[];
        }
        Some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_belongs_to_a_field() {
        // 1: varint 300; 2: "ab"; 3: a group with a varint; 4: 32 bits; 5: 64 bits; 2: empty.
        let message: &[u8] = &[
            0x08, 0xac, 0x02, 0x12, 2, b'a', b'b', 0x1b, 0x08, 1, 0x1c, 0x25, 1, 2, 3, 4, 0x29, 1, 2, 3, 4, 5, 6, 7, 8,
            0x12, 0,
        ];
        let fields: Vec<Field<'_>> = Fields::of(message).map(|field| field.expect("well formed")).collect();
        let seen: Vec<_> = fields.iter().map(|field| (field.number, field.bytes, field.length)).collect();
        let (ab, empty): (&[u8], &[u8]) = (b"ab", b"");
        assert_eq!(
            seen,
            [(1, None, 3), (2, Some(ab), 4), (3, None, 4), (4, None, 5), (5, None, 9), (2, Some(empty), 2)]
        );
        assert_eq!(fields.iter().map(|field| field.length).sum::<usize>(), message.len());
    }

    #[test]
    fn what_is_cut_short_is_an_error_and_the_end() {
        let mut fields = Fields::of(&[0x08, 1, 0x12, 5, b'a']);
        assert!(fields.next().is_some_and(|field| field.is_ok()));
        assert_eq!(fields.next(), Some(Err(WireError::Truncated)));
        assert_eq!(fields.next(), None);
    }
}
