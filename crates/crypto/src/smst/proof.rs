//! Closest proofs, whole and compact, and the way between the two.

use super::{DIGEST_BYTES, GobError, META_BYTES, PATH_BITS, Path};

/// A closest proof with every side node spelled out (6.5).
///
/// One that was decoded may hold anything that the chain lets through its first checks; [`verify`](super::verify)
/// is the judge of the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The path that was asked for.
    pub path: Path,
    /// The bits of `path` that were inverted because nobody lives on their side; ascending in an honest proof.
    pub flipped_bits: Vec<u16>,
    /// Number of levels from the root to the leaf.
    pub depth: u16,
    /// The path of the leaf shown; 32 bytes in an honest proof.
    pub closest_path: Vec<u8>,
    /// Value, weight and count of the leaf (`ClosestValueHash` on the wire, though it is no hash). Empty if there
    /// is no leaf.
    pub leaf_data: Vec<u8>,
    /// The digests beside the branch, the leaf's sibling first; 48 bytes each in an honest proof.
    pub side_nodes: Vec<Vec<u8>>,
    /// Never made here; the chain lets it pass and looks at it only when no leaf is shown.
    pub non_membership_leaf_data: Option<Vec<u8>>,
    /// Encoding of the node whose digest is the first side node, if the proof carries it.
    pub sibling_data: Option<Vec<u8>>,
}

/// The form of a [`Proof`] that is sent and stored: placeholders are left out and marked in a bit mask (6.6).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactProof {
    /// The path that was asked for.
    pub path: Vec<u8>,
    /// Each inverted bit as a minimal big-endian integer.
    pub flipped_bits: Vec<Vec<u8>>,
    /// Depth, encoded likewise.
    pub depth: Vec<u8>,
    /// The path of the leaf shown.
    pub closest_path: Vec<u8>,
    /// Value, weight and count of the leaf (`ClosestValueHash` on the wire).
    pub leaf_data: Vec<u8>,
    /// The branch; absent only in malformed proofs.
    pub branch: Option<CompactBranch>,
}

/// The compact side nodes of a branch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompactBranch {
    /// The side nodes that are not placeholders, bottom up.
    pub side_nodes: Vec<Vec<u8>>,
    /// As in [`Proof::non_membership_leaf_data`].
    pub non_membership_leaf_data: Option<Vec<u8>>,
    /// Bit i, counted from the most significant bit of the first byte, is set when side node i is a placeholder.
    pub bit_mask: Vec<u8>,
    /// Number of side nodes, placeholders included.
    pub num_side_nodes: i64,
    /// As in [`Proof::sibling_data`].
    pub sibling_data: Option<Vec<u8>>,
}

/// Why a proof is refused before it can be said to be true or false. The variants are the chain's stages: the first
/// three refuse the transaction, the last one is found when proofs are checked at the end of a block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The bytes are not a gob of a compact closest proof.
    #[error("failed to decode the gob of a proof")]
    GobDecode(#[source] GobError),
    /// The compact form contradicts itself.
    #[error("failed to expand a compact proof")]
    Decompact(#[source] Defect),
    /// The leaf's data cannot be split into value, weight and count.
    #[error("failed to read the leaf of a proof")]
    Value(#[source] Defect),
    /// The proof cannot be checked against any root.
    #[error("failed to verify a proof")]
    Verify(#[source] Defect),
}

/// What is wrong with a proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// The path asked for is not 32 bytes long.
    #[error("path has {0} bytes, not 32")]
    PathLength(usize),
    /// The depth is encoded in more than two bytes.
    #[error("depth is encoded in {0} bytes, at most 2 are allowed")]
    DepthLength(usize),
    /// A flipped bit is encoded in more than two bytes.
    #[error("flipped bit {index} is encoded in {length} bytes, at most 2 are allowed")]
    FlippedBitLength {
        /// Which of the flipped bits.
        index: usize,
        /// Bytes used for it.
        length: usize,
    },
    /// There is no branch.
    #[error("the branch (ClosestProof) is absent")]
    NoBranch,
    /// The number of side nodes is out of range.
    #[error("number of side nodes is {0}, outside 0 to 256")]
    SideNodeNumber(i64),
    /// The bit mask has the wrong length.
    #[error("bit mask has {got} bytes, not {want}")]
    BitMaskLength {
        /// Bytes found.
        got: usize,
        /// Bytes that the number of side nodes calls for.
        want: usize,
    },
    /// Side nodes and bit mask disagree.
    #[error("{got} side nodes are given where the bit mask leaves {want}")]
    SideNodeCount {
        /// Side nodes found.
        got: usize,
        /// Side nodes that are no placeholders by the mask.
        want: i64,
    },
    /// The mask marks placeholders behind the last side node, so that side nodes are lacking.
    #[error("bit mask marks placeholders behind the last side node")]
    BitMaskOverrun,
    /// The leaf's data is too short for weight and count.
    #[error("leaf data has {0} bytes, too few for weight and count (16)")]
    LeafDataLength(usize),
    /// The depth is out of range.
    #[error("depth is {0}, outside 0 to 256")]
    Depth(u16),
    /// A flipped bit lies below the leaf.
    #[error("flipped bit {index} is {bit}, outside 0 to the depth, {depth}")]
    FlippedBit {
        /// Which of the flipped bits.
        index: usize,
        /// The bit.
        bit: u16,
        /// The depth.
        depth: u16,
    },
    /// Bit 256 is flipped; paths end at bit 255.
    #[error("flipped bit 256 lies behind the end of the path")]
    FlippedBitBehindPath,
    /// The leaf's path is not 32 bytes long, or longer.
    #[error("closest path has {0} bytes, fewer than 32")]
    ClosestPathLength(usize),
    /// The leaf is not where the path leads.
    #[error("closest path differs from the path at bit {0}, above the depth")]
    ClosestPath(u16),
    /// There are too many side nodes.
    #[error("{0} side nodes, at most 256 are allowed")]
    TooManySideNodes(usize),
    /// The leaf data for non-membership is too short.
    #[error("non-membership leaf data has {0} bytes, fewer than 33")]
    NonMembershipLength(usize),
    /// The leaf data for non-membership is that of something else.
    #[error("non-membership leaf data is not that of a leaf")]
    NonMembershipKind,
    /// The leaf data for non-membership is that of the very leaf.
    #[error("non-membership leaf data is that of the leaf which is said not to exist")]
    NonMembershipOfLeaf,
    /// A side node has the wrong length.
    #[error("side node {index} has {length} bytes, not 48")]
    SideNodeLength {
        /// Which of the side nodes, bottom up.
        index: usize,
        /// Its length.
        length: usize,
    },
    /// The sibling's encoding is shorter than its kind needs.
    #[error("sibling data has {0} bytes, too few for its kind of node")]
    SiblingDataLength(usize),
    /// The sibling's encoding is not that of the first side node.
    #[error("sibling data is not that of the first side node: its digest is {}", hex::encode(.0))]
    SiblingData(Vec<u8>),
}

impl Proof {
    /// The proof that the reference makes for an empty trie: it looks for a leaf on the other side of bit 0 as well.
    pub(crate) fn of_nothing(path: Path) -> Self {
        Self {
            path,
            flipped_bits: vec![0],
            depth: 0,
            closest_path: vec![0; DIGEST_BYTES],
            leaf_data: Vec::new(),
            side_nodes: Vec::new(),
            non_membership_leaf_data: None,
            sibling_data: None,
        }
    }

    /// Splits the leaf's data into the value that was inserted (the relay), its weight in compute units and its count
    /// (1 in an honest proof). A proof that shows no leaf has an empty value; data of 1 to 15 bytes is an error.
    pub fn leaf_value(&self) -> Result<(&[u8], u64, u64), ProofError> {
        split_leaf_data(&self.leaf_data).map_err(ProofError::Value)
    }

    /// Returns the compact form. Side nodes of odd length are cut or padded to 48 bytes, as the reference does.
    pub fn compact(&self) -> CompactProof {
        let mut bit_mask = vec![0; self.side_nodes.len().div_ceil(8)];
        let mut side_nodes = Vec::new();
        for (index, node) in self.side_nodes.iter().enumerate() {
            let node = side_node(node);
            if node == [0; DIGEST_BYTES] {
                bit_mask[index / 8] |= 0x80 >> (index % 8);
            } else {
                side_nodes.push(node.to_vec());
            }
        }
        CompactProof {
            path: self.path.to_vec(),
            flipped_bits: self.flipped_bits.iter().map(|&bit| minimal(bit)).collect(),
            depth: minimal(self.depth),
            closest_path: self.closest_path.clone(),
            leaf_data: self.leaf_data.clone(),
            branch: Some(CompactBranch {
                side_nodes,
                non_membership_leaf_data: self.non_membership_leaf_data.clone(),
                bit_mask,
                num_side_nodes: i64::try_from(self.side_nodes.len()).expect("a vector's length fits"),
                sibling_data: self.sibling_data.clone(),
            }),
        }
    }
}

impl CompactProof {
    /// Expands the compact form after the chain's first checks (6.7 steps 1 and 2).
    pub fn decompact(&self) -> Result<Proof, ProofError> {
        self.expand().map_err(ProofError::Decompact)
    }

    fn expand(&self) -> Result<Proof, Defect> {
        let path = self.path.as_slice().try_into().map_err(|_| Defect::PathLength(self.path.len()))?;
        let depth = integer(&self.depth).ok_or(Defect::DepthLength(self.depth.len()))?;
        let flipped_bit = |(index, bytes): (usize, &Vec<u8>)| {
            integer(bytes).ok_or(Defect::FlippedBitLength { index, length: bytes.len() })
        };
        let flipped_bits = self.flipped_bits.iter().enumerate().map(flipped_bit).collect::<Result<_, _>>()?;
        let branch = self.branch.as_ref().ok_or(Defect::NoBranch)?;
        Ok(Proof {
            path,
            flipped_bits,
            depth,
            closest_path: self.closest_path.clone(),
            leaf_data: self.leaf_data.clone(),
            side_nodes: branch.expand()?,
            non_membership_leaf_data: branch.non_membership_leaf_data.clone(),
            sibling_data: branch.sibling_data.clone(),
        })
    }
}

impl CompactBranch {
    fn expand(&self) -> Result<Vec<Vec<u8>>, Defect> {
        let number = usize::try_from(self.num_side_nodes)
            .ok()
            .filter(|&number| number <= usize::from(PATH_BITS))
            .ok_or(Defect::SideNodeNumber(self.num_side_nodes))?;
        let mask_bytes = number.div_ceil(8);
        if self.bit_mask.len() != mask_bytes {
            return Err(Defect::BitMaskLength { got: self.bit_mask.len(), want: mask_bytes });
        }
        // The reference counts all bits of the mask, also those behind the last side node, and checks no count of
        // zero side nodes.
        let placeholders: u32 = self.bit_mask.iter().map(|byte| byte.count_ones()).sum();
        let want = self.num_side_nodes - i64::from(placeholders);
        if number > 0 && usize::try_from(want) != Ok(self.side_nodes.len()) {
            return Err(Defect::SideNodeCount { got: self.side_nodes.len(), want });
        }
        let mut given = self.side_nodes.iter();
        let expanded = (0..number).map(|index| {
            if self.bit_mask[index / 8] & (0x80 >> (index % 8)) != 0 {
                Ok(vec![0; DIGEST_BYTES])
            } else {
                given.next().cloned().ok_or(Defect::BitMaskOverrun)
            }
        });
        expanded.collect()
    }
}

/// Splits leaf data into value, weight and count.
pub(crate) fn split_leaf_data(data: &[u8]) -> Result<(&[u8], u64, u64), Defect> {
    if data.is_empty() {
        return Ok((data, 0, 0));
    }
    let (value, meta) = data.split_last_chunk::<META_BYTES>().ok_or(Defect::LeafDataLength(data.len()))?;
    let (weight, count) = sum_and_count(meta);
    Ok((value, weight, count))
}

/// The two integers at the end of leaf data and of every node's encoding.
pub(crate) fn sum_and_count(meta: &[u8; META_BYTES]) -> (u64, u64) {
    let integer = |from: usize| u64::from_be_bytes(std::array::from_fn(|byte| meta[from + byte]));
    (integer(0), integer(8))
}

/// A side node as the reference reads it: cut or padded with zeros to 48 bytes.
pub(crate) fn side_node(bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut node = [0; DIGEST_BYTES];
    let length = bytes.len().min(DIGEST_BYTES);
    node[..length].copy_from_slice(&bytes[..length]);
    node
}

/// An integer in as few big-endian bytes as it needs, and at least one.
fn minimal(integer: u16) -> Vec<u8> {
    match integer.to_be_bytes() {
        [0, low] => vec![low],
        both => both.to_vec(),
    }
}

/// Reads an integer of at most two big-endian bytes; none mean 0.
fn integer(bytes: &[u8]) -> Option<u16> {
    match *bytes {
        [] => Some(0),
        [low] => Some(u16::from(low)),
        [high, low] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}
