//! The chain's check of a closest proof, as lax as it is (6.7).
//!
//! It does not check that a flipped bit's side is empty, nor that the depth is the number of side nodes: a proof may
//! be accepted that is not of the closest leaf. A devnet has to accept what the chain accepts; a miner proves honestly.

use sha2::{Digest as _, Sha256};

use super::{
    DIGEST_BYTES, Defect, EXTENSION, INNER, LEAF, META_BYTES, PATH_BITS, Path, Proof, ProofError, bit, flip,
    proof::{side_node, split_leaf_data, sum_and_count},
};

/// Bytes of path bounds and path in an extension node's encoding, behind its first byte.
const EXTENSION_HEAD: usize = 2 + 32;

/// Checks a proof against a claim's root. `Ok(false)` means that it proves something, but not this root; an error
/// means that it cannot be checked. A root that is not 48 bytes long matches nothing.
pub fn verify(root: impl AsRef<[u8]>, proof: &Proof) -> Result<bool, ProofError> {
    fold(proof).map(|computed| computed.as_slice() == root.as_ref()).map_err(ProofError::Verify)
}

/// Validates a proof and computes the root it leads to.
fn fold(proof: &Proof) -> Result<[u8; DIGEST_BYTES], Defect> {
    check_path(proof)?;
    check_branch(proof)?;
    let path: &Path = proof.closest_path.first_chunk().ok_or(Defect::ClosestPathLength(proof.closest_path.len()))?;
    let mut current = leaf_digest(proof, path)?;
    for (node, at) in proof.side_nodes.iter().zip((0..PATH_BITS).take(proof.side_nodes.len()).rev()) {
        let node = side_node(node);
        let (left, right) = if bit(path, at) { (&node, &current) } else { (&current, &node) };
        current = inner(left, right).expect("both children have room for sum and count");
    }
    Ok(current)
}

/// Checks that the leaf is where the path with its flipped bits leads, down to the depth.
fn check_path(proof: &Proof) -> Result<(), Defect> {
    let depth = proof.depth;
    if depth > PATH_BITS {
        return Err(Defect::Depth(depth));
    }
    let below = proof.flipped_bits.iter().enumerate().find(|&(_, &bit)| bit > depth);
    if let Some((index, &bit)) = below {
        return Err(Defect::FlippedBit { index, bit, depth });
    }
    let mut wanted = proof.path;
    for &at in &proof.flipped_bits {
        if at == PATH_BITS {
            return Err(Defect::FlippedBitBehindPath);
        }
        flip(&mut wanted, at);
    }
    let padded = |at: u16| {
        let byte =
            proof.closest_path.get(usize::from(at / 8)).ok_or(Defect::ClosestPathLength(proof.closest_path.len()))?;
        Ok(byte & (0x80 >> (at % 8)) != 0)
    };
    for at in 0..depth {
        if bit(&wanted, at) != padded(at)? {
            return Err(Defect::ClosestPath(at));
        }
    }
    Ok(())
}

/// Checks the branch's own form, and the sibling's encoding if there is one.
fn check_branch(proof: &Proof) -> Result<(), Defect> {
    if proof.side_nodes.len() > usize::from(PATH_BITS) {
        return Err(Defect::TooManySideNodes(proof.side_nodes.len()));
    }
    if let Some(data) = proof.non_membership_leaf_data.as_ref().filter(|data| data.len() < 1 + size_of::<Path>()) {
        return Err(Defect::NonMembershipLength(data.len()));
    }
    let (Some(sibling), Some(first)) = (&proof.sibling_data, proof.side_nodes.first()) else { return Ok(()) };
    let odd = proof.side_nodes.iter().enumerate().find(|(_, node)| node.len() != DIGEST_BYTES);
    if let Some((index, node)) = odd {
        return Err(Defect::SideNodeLength { index, length: node.len() });
    }
    let digest = encoding_digest(sibling).ok_or(Defect::SiblingDataLength(sibling.len()))?;
    if digest != *first {
        return Err(Defect::SiblingData(digest));
    }
    Ok(())
}

/// Digest at the bottom of the branch: the leaf's, or of what stands in its place when no leaf is shown.
fn leaf_digest(proof: &Proof, path: &Path) -> Result<[u8; DIGEST_BYTES], Defect> {
    let (value, weight, _) = split_leaf_data(&proof.leaf_data)?;
    let absent = value.is_empty() && weight == 0; // also for a leaf that really has no value and no weight
    let encoding = match (&proof.non_membership_leaf_data, absent) {
        (_, false) => [&[LEAF], path.as_slice(), &proof.leaf_data].concat(),
        (None, true) => return Ok([0; DIGEST_BYTES]),
        (Some(other), true) => {
            if other.first() != Some(&LEAF) {
                return Err(Defect::NonMembershipKind);
            }
            if other[1..=size_of::<Path>()] == *path {
                return Err(Defect::NonMembershipOfLeaf);
            }
            other.clone()
        }
    };
    Ok(side_node(&plain_digest(&encoding).expect("a leaf's encoding has more than 16 bytes")))
}

/// Digest of a node by its encoding; none if the encoding is too short. As long as a digest should be, except for an
/// extension of no bits, whose digest is whatever stands for its child's.
fn encoding_digest(encoding: &[u8]) -> Option<Vec<u8>> {
    let Some(extension) = encoding.strip_prefix(&[EXTENSION]) else { return plain_digest(encoding) };
    let (head, child_and_meta) = extension.split_at_checked(EXTENSION_HEAD)?;
    let (child, _meta) = child_and_meta.split_last_chunk::<META_BYTES>()?;
    let (bounds, path) = head.split_first_chunk::<2>()?;
    let path: &Path = path.first_chunk()?;
    let mut digest = child.to_vec();
    for at in (u16::from(bounds[0])..u16::from(bounds[1])).rev() {
        let empty = [0; DIGEST_BYTES];
        let (left, right): (&[u8], &[u8]) = if bit(path, at) { (&empty, &digest) } else { (&digest, &empty) };
        digest = inner(left, right)?.to_vec();
    }
    Some(digest)
}

/// Hash of an encoding, followed by the sum and count at its end.
fn plain_digest(encoding: &[u8]) -> Option<Vec<u8>> {
    let meta = encoding.last_chunk::<META_BYTES>()?;
    Some([Sha256::digest(encoding).as_slice(), meta].concat())
}

/// Digest of an inner node over children of any length; none if one has no room for sum and count.
fn inner(left: &[u8], right: &[u8]) -> Option<[u8; DIGEST_BYTES]> {
    let (left_sum, left_count) = sum_and_count(left.last_chunk()?);
    let (right_sum, right_count) = sum_and_count(right.last_chunk()?);
    let sum = left_sum.wrapping_add(right_sum).to_be_bytes();
    let count = left_count.wrapping_add(right_count).to_be_bytes();
    let hash =
        Sha256::new_with_prefix([INNER]).chain_update(left).chain_update(right).chain_update(sum).chain_update(count);
    let mut digest = [0; DIGEST_BYTES];
    digest[..32].copy_from_slice(&hash.finalize());
    digest[32..40].copy_from_slice(&sum);
    digest[40..].copy_from_slice(&count);
    Some(digest)
}
