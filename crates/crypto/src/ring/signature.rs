//! The wire form (protocol §3.4).
//!
//! ```text
//! 0   4 bytes   number of members, big endian
//! 4   32 bytes  c0
//! 36  33 bytes  key image
//! 69  then per member: 32 bytes s, 33 bytes key
//! ```

use std::fmt;

use k256::Scalar;

use super::RingError;
use crate::curve::{self, Compressed, Point};

/// Bytes before the first member.
pub(super) const HEAD_LEN: usize = 4 + 32 + 33;
const MEMBER_LEN: usize = 32 + 33;

/// A ring signature whose parts are well formed: its points lie on the curve, its scalars are reduced, it has
/// at least one member. Whether it verifies is another question.
#[derive(Clone)]
pub struct Signature {
    pub(super) challenge: Scalar,
    pub(super) image: Point,
    pub(super) members: Vec<Member>,
}

/// One member of the ring and its response.
#[derive(Clone, Copy)]
pub(super) struct Member {
    pub(super) response: Scalar,
    pub(super) key: Point,
}

impl Signature {
    /// Reads a signature of any number of members.
    ///
    /// Time is about 8 µs per member, members are bounded by the input's length; use
    /// [`Verifier::decode`](super::Verifier::decode) where strangers choose the input.
    ///
    /// # Errors
    /// A [`RingError`] exactly where the chain refuses to read it. Bytes after the last member are ignored,
    /// scalars not below the group order are reduced, as the chain does.
    pub fn decode(bytes: &[u8]) -> Result<Self, RingError> {
        Self::decode_with(bytes, usize::MAX, Point::decode, Point::decode)
    }

    /// Reads a signature of at most `members_max` members, asking `image` and `key` for the points.
    pub(super) fn decode_with(
        bytes: &[u8],
        members_max: usize,
        image: impl FnOnce(&Compressed) -> Option<Point>,
        mut key: impl FnMut(&Compressed) -> Option<Point>,
    ) -> Result<Self, RingError> {
        let too_short = RingError::TooShort { length: bytes.len() };
        let (claimed, rest) = bytes.split_first_chunk::<4>().ok_or(too_short.clone())?;
        let (challenge, rest) = rest.split_first_chunk::<32>().ok_or(too_short.clone())?;
        let (image_bytes, rest) = rest.split_first_chunk::<33>().ok_or(too_short)?;
        let members = u32::from_be_bytes(*claimed);
        if members == 0 {
            return Err(RingError::NoMembers);
        }
        // Checked before anything is allocated or computed for them.
        let count = usize::try_from(members).unwrap_or(usize::MAX);
        if count > rest.len() / MEMBER_LEN {
            return Err(RingError::Truncated { members, length: bytes.len() });
        }
        if count > members_max {
            return Err(RingError::TooManyMembers { members, limit: members_max });
        }

        let image = image(image_bytes).ok_or(RingError::KeyImage)?;
        let mut decoded = Vec::with_capacity(count);
        for (index, member) in rest.as_chunks::<MEMBER_LEN>().0.iter().take(count).enumerate() {
            let (response, key_bytes) = member.split_first_chunk::<32>().expect("a member has 65 bytes");
            let key_bytes = key_bytes.try_into().expect("65 less 32 bytes are 33");
            let key = key(key_bytes).ok_or(RingError::MemberKey { index })?;
            decoded.push(Member { response: curve::scalar_reduced(response), key });
        }

        Ok(Self { challenge: curve::scalar_reduced(challenge), image, members: decoded })
    }

    /// Returns the canonical bytes: reduced scalars, nothing after the last member.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let count =
            u32::try_from(self.members.len()).expect("a ring is decoded from, or signed for, fewer than 2^32 members");
        let mut bytes = Vec::with_capacity(HEAD_LEN + MEMBER_LEN * self.members.len());
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(&self.challenge.to_bytes());
        bytes.extend_from_slice(&self.image.bytes);
        for member in &self.members {
            bytes.extend_from_slice(&member.response.to_bytes());
            bytes.extend_from_slice(&member.key.bytes);
        }
        bytes
    }

    /// Returns the keys of the ring in the signature's order, duplicates included.
    #[must_use]
    pub fn public_keys(&self) -> Vec<[u8; 33]> {
        self.keys().copied().collect()
    }

    /// Visits the keys of the ring in the signature's order without copying them.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &[u8; 33]> {
        self.members.iter().map(|member| &member.key.bytes)
    }

    /// Returns the key image: the same for all signatures of one secret key, whatever the ring.
    /// The protocol makes no use of it.
    #[must_use]
    pub fn key_image(&self) -> [u8; 33] {
        self.image.bytes
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Signature").field("members", &self.members.len()).finish_non_exhaustive()
    }
}

impl PartialEq for Signature {
    fn eq(&self, other: &Self) -> bool {
        self.challenge == other.challenge
            && self.image.bytes == other.image.bytes
            && self.members.len() == other.members.len()
            && self
                .members
                .iter()
                .zip(&other.members)
                .all(|(one, two)| one.response == two.response && one.key.bytes == two.key.bytes)
    }
}

impl Eq for Signature {}
