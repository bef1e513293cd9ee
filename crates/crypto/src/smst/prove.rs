//! Makes closest proofs.

use super::{
    EXTENSION, INNER, LEAF, PLACEHOLDER, Path, Proof, inner_encoding, leaf_hash,
    trie::{PackedLeaf, Shape, Trie},
};

/// Whether a proof carries the encoding of the node beside the proved leaf.
///
/// The chain accepts both. When that node is a leaf, its encoding holds a whole other relay, whose bytes the caller
/// then has to supply as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiblingData {
    /// As the reference does.
    Include,
    /// Smaller proofs, and one leaf fewer to read back.
    Omit,
}

/// Why no proof could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProveError<E> {
    /// The caller could not supply the bytes of a leaf.
    #[error("failed to read the bytes of leaf {}", hex::encode(path))]
    Value {
        /// The leaf's path.
        path: Path,
        /// What the caller reported.
        source: E,
    },
    /// The bytes supplied are not those that were inserted. A proof made from them would be refused by the chain.
    #[error(
        "the bytes read back for leaf {} are not those that were counted: their leaf hash differs",
        hex::encode(path)
    )]
    Mismatch {
        /// The leaf's path.
        path: Path,
    },
}

impl Trie {
    /// Proves the leaf closest to `path`, hashing first what changed.
    ///
    /// `value_of` is asked for the bytes of the proved leaf and, with [`SiblingData::Include`], of the leaf beside it
    /// if there is one; what it returns is checked against the leaf's hash. The proof of an empty trie shows no leaf.
    pub fn prove<E>(
        &mut self,
        path: Path,
        mut value_of: impl FnMut(&Path) -> Result<Vec<u8>, E>,
        sibling_data: SiblingData,
    ) -> Result<Proof, ProveError<E>> {
        self.refresh();
        let Some(descent) = self.descend(path) else { return Ok(Proof::of_nothing(path)) };
        let leaf_data = checked_leaf_data(&descent.leaf, &mut value_of)?;
        let sibling = match (sibling_data, descent.beside.last()) {
            (SiblingData::Include, Some(&Some(node))) => Some(self.shape(node, descent.depth)),
            _ => None,
        };
        let digest = |node: &Option<_>| node.map_or(PLACEHOLDER, |node| self.digest(node)).to_bytes().to_vec();
        Ok(Proof {
            path,
            flipped_bits: descent.flipped,
            depth: descent.depth,
            closest_path: descent.leaf.path.to_vec(),
            leaf_data,
            side_nodes: descent.beside.iter().rev().map(digest).collect(),
            non_membership_leaf_data: None,
            sibling_data: sibling.map(|shape| encode(&shape, &mut value_of)).transpose()?,
        })
    }
}

/// Encodes a node as the reference stores it (6.3).
fn encode<E>(shape: &Shape, value_of: impl FnMut(&Path) -> Result<Vec<u8>, E>) -> Result<Vec<u8>, ProveError<E>> {
    Ok(match shape {
        Shape::Leaf(leaf) => {
            let data = checked_leaf_data(leaf, value_of)?;
            [&[LEAF], leaf.path.as_slice(), &data].concat()
        }
        Shape::Inner { left, right } => {
            let encoding = inner_encoding(*left, *right);
            debug_assert_eq!(encoding[0], INNER);
            encoding.to_vec()
        }
        Shape::Extension { start, end, path, child } => {
            let bound = |at: &u16| u8::try_from(*at).expect("an extension lies within the 256 bits of a path");
            let child = child.to_bytes();
            [&[EXTENSION, bound(start), bound(end)], path.as_slice(), &child, &child[32..]].concat()
        }
    })
}

/// Returns value, weight and count of a leaf, once the value is known to be the one that was inserted.
fn checked_leaf_data<E>(
    leaf: &PackedLeaf,
    mut value_of: impl FnMut(&Path) -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, ProveError<E>> {
    let mut data = value_of(&leaf.path).map_err(|source| ProveError::Value { path: leaf.path, source })?;
    if leaf_hash(&leaf.path, &data, leaf.weight) != leaf.leaf_hash {
        return Err(ProveError::Mismatch { path: leaf.path });
    }
    data.extend_from_slice(&leaf.weight.to_be_bytes());
    data.extend_from_slice(&1_u64.to_be_bytes());
    Ok(data)
}
