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

/// The parts of a signature as they lie in its bytes, none of them looked at.
struct Parts<'a> {
    challenge: &'a [u8; 32],
    image: &'a Compressed,
    members: &'a [[u8; MEMBER_LEN]],
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, RingError> {
        let too_short = RingError::TooShort { length: bytes.len() };
        let (claimed, rest) = bytes.split_first_chunk::<4>().ok_or(too_short.clone())?;
        let (challenge, rest) = rest.split_first_chunk::<32>().ok_or(too_short.clone())?;
        let (image, rest) = rest.split_first_chunk::<33>().ok_or(too_short)?;
        let claimed = u32::from_be_bytes(*claimed);
        if claimed == 0 {
            return Err(RingError::NoMembers);
        }
        let count = usize::try_from(claimed).unwrap_or(usize::MAX);
        let members = rest.as_chunks::<MEMBER_LEN>().0.get(..count);
        let members = members.ok_or(RingError::Truncated { members: claimed, length: bytes.len() })?;
        Ok(Self { challenge, image, members })
    }
}

/// Splits a member's bytes into response and key.
fn split(member: &[u8; MEMBER_LEN]) -> (&[u8; 32], &Compressed) {
    let (response, key) = member.split_first_chunk::<32>().expect("a member has 65 bytes");
    (response, key.try_into().expect("65 less 32 bytes are 33"))
}

impl Signature {
    /// Visits the keys that a signature's bytes name, in their order, before any of them is known to be a point: what
    /// tells a ring from a stranger's costs nothing, and comes before [`Verifier::decode`](super::Verifier::decode).
    ///
    /// # Errors
    /// [`RingError::TooShort`], [`RingError::NoMembers`] or [`RingError::Truncated`], as [`Signature::decode`].
    pub fn keys_in(bytes: &[u8]) -> Result<impl ExactSizeIterator<Item = &[u8; 33]> + Clone, RingError> {
        Ok(Parts::of(bytes)?.members.iter().map(|member| split(member).1))
    }

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
        let Parts { challenge, image: image_bytes, members } = Parts::of(bytes)?;
        // Checked before anything is allocated or computed for them.
        if members.len() > members_max {
            let members = u32::try_from(members.len()).expect("they were counted in 32 bits");
            return Err(RingError::TooManyMembers { members, limit: members_max });
        }

        let image = image(image_bytes).ok_or(RingError::KeyImage)?;
        let mut decoded = Vec::with_capacity(members.len());
        for (index, member) in members.iter().enumerate() {
            let (response, key_bytes) = split(member);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{keys::SecretKey, ring};

    #[test]
    fn keys_are_those_that_are_decoded_and_need_not_be_points_to_be_seen() {
        let secrets = ["one", "two"].map(|text| SecretKey::from_secret(text.as_bytes()));
        let keys = [secrets[0].public_key(), secrets[1].public_key()];
        let signature =
            ring::sign_with_draws(&[7; 32], &keys, &secrets[0], &[[1; 32], [2; 32]]).expect("a ring of two");
        let mut bytes = signature.encode();
        let seen: Vec<Compressed> = Signature::keys_in(&bytes).expect("whole").copied().collect();
        assert_eq!(seen, signature.public_keys());
        for length in 0..bytes.len() {
            let (seen, decoded) = (Signature::keys_in(&bytes[..length]), Signature::decode(&bytes[..length]));
            assert_eq!(seen.err(), decoded.err(), "{length} bytes");
        }
        bytes[HEAD_LEN + 32..HEAD_LEN + MEMBER_LEN].fill(0xff);
        assert_eq!(Signature::keys_in(&bytes).expect("whole").next(), Some(&[0xff; 33]));
        assert_eq!(Signature::decode(&bytes).err(), Some(RingError::MemberKey { index: 0 }));
    }
}
