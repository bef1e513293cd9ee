//! Compact closest proofs as Go's `encoding/gob` writes and reads them (6.6.1).
//!
//! Writing is easy: the type definitions never change. Reading has to follow whatever types the stream defines, under
//! whatever ids, match struct fields by name, skip the unknown ones and refuse what Go refuses; see [`decode`].

mod decode;
mod types;

pub use decode::GobError;

use super::{CompactBranch, CompactProof, ProofError};

/// The three type definitions that open every stream, as Go writes them: the closest proof (id 64), `[][]uint8` (65)
/// and the compact branch (66).
const TYPE_DEFINITIONS: &[u8; 286] = b"\xff\x87\x7f\x03\x01\x01\x1fSparseCompactMerkleClosestProof\x01\xff\x80\x00\
\x01\x06\x01\x04Path\x01\x0a\x00\x01\x0bFlippedBits\x01\xff\x82\x00\x01\x05Depth\x01\x0a\x00\
\x01\x0bClosestPath\x01\x0a\x00\x01\x10ClosestValueHash\x01\x0a\x00\x01\x0cClosestProof\x01\xff\x84\x00\x00\x00\
\x17\xff\x81\x02\x01\x01\x09[][]uint8\x01\xff\x82\x00\x01\x0a\x00\x00\
\x7c\xff\x83\x03\x01\x01\x18SparseCompactMerkleProof\x01\xff\x84\x00\x01\x05\x01\x09SideNodes\x01\xff\x82\x00\
\x01\x15NonMembershipLeafData\x01\x0a\x00\x01\x07BitMask\x01\x0a\x00\x01\x0cNumSideNodes\x01\x04\x00\
\x01\x0bSiblingData\x01\x0a\x00\x00\x00";

/// Id of the closest proof's type, as the value message names it.
const PROOF_TYPE: i64 = 64;

impl CompactProof {
    /// Returns the exact bytes that Go writes for this proof, as `MsgSubmitProof.proof` carries them.
    pub fn to_gob(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(512 + self.leaf_data.len());
        put_int(&mut value, PROOF_TYPE);
        let mut fields = Fields::new(&mut value);
        fields.bytes(0, &self.path);
        fields.byte_strings(1, &self.flipped_bits);
        fields.bytes(2, &self.depth);
        fields.bytes(3, &self.closest_path);
        fields.bytes(4, &self.leaf_data);
        if let Some(branch) = &self.branch {
            fields.start(5);
            branch.put(fields.out);
        }
        fields.end();

        let mut gob = TYPE_DEFINITIONS.to_vec();
        put_uint(&mut gob, length(&value));
        gob.append(&mut value);
        gob
    }

    /// Reads a proof as the chain does: the first value of the stream, by the types the stream defines; bytes behind
    /// it are not looked at. Never allocates more than a small multiple of the input.
    pub fn from_gob(gob: &[u8]) -> Result<Self, ProofError> {
        decode::proof(gob).map_err(ProofError::GobDecode)
    }
}

impl CompactBranch {
    fn put(&self, out: &mut Vec<u8>) {
        let mut fields = Fields::new(out);
        fields.byte_strings(0, &self.side_nodes);
        fields.bytes(1, self.non_membership_leaf_data.as_deref().unwrap_or_default());
        fields.bytes(2, &self.bit_mask);
        if self.num_side_nodes != 0 {
            fields.start(3);
            put_int(fields.out, self.num_side_nodes);
        }
        fields.bytes(4, self.sibling_data.as_deref().unwrap_or_default());
        fields.end();
    }
}

/// Writes the fields of a struct: each by its distance from the one before, empty ones not at all.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    next: u64, // number of the field behind the last one written
}

impl<'a> Fields<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, next: 0 }
    }

    fn start(&mut self, number: u64) {
        put_uint(self.out, number + 1 - self.next);
        self.next = number + 1;
    }

    fn bytes(&mut self, number: u64, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.start(number);
            put_bytes(self.out, bytes);
        }
    }

    fn byte_strings(&mut self, number: u64, strings: &[Vec<u8>]) {
        if !strings.is_empty() {
            self.start(number);
            put_uint(self.out, length(strings));
            for bytes in strings {
                put_bytes(self.out, bytes);
            }
        }
    }

    fn end(self) {
        self.out.push(0);
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uint(out, length(bytes));
    out.extend_from_slice(bytes);
}

/// Below 128 one byte; otherwise the negated number of bytes, then as few big-endian bytes as it takes.
fn put_uint(out: &mut Vec<u8>, integer: u64) {
    if let Ok(small @ 0..0x80) = u8::try_from(integer) {
        out.push(small);
        return;
    }
    let bytes = integer.to_be_bytes();
    let zeros = (integer.leading_zeros() / 8) as usize;
    let count = u8::try_from(bytes.len() - zeros).expect("at most 8");
    out.push(count.wrapping_neg());
    out.extend_from_slice(&bytes[zeros..]);
}

/// The sign goes to the lowest bit.
fn put_int(out: &mut Vec<u8>, integer: i64) {
    let folded = (integer << 1) ^ (integer >> 63);
    put_uint(out, folded.cast_unsigned());
}

fn length<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).expect("a length fits 64 bits")
}
