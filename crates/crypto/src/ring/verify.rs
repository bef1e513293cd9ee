//! Walking the ring (protocol §3.3). Everything here is public, so everything runs in variable time.

use k256::{
    AffinePoint, ProjectivePoint, Scalar,
    elliptic_curve::{
        BatchNormalize,
        ops::{LinearCombination, MulVartime},
    },
};
use quick_cache::sync::Cache;

use super::{
    RingError, Signature,
    challenge::{challenge, hash_point},
};
use crate::curve::{self, Compressed, Point};

/// A verifier that remembers the points of rings it has seen.
///
/// Keys, their hash-points and key images recur in every relay of a session; remembering them saves their
/// square roots, about a quarter of the work. Only what a *successful* verification used is remembered, so
/// forged signatures cannot push out what honest ones need, and at most `capacity` keys and as many key images
/// are kept (about 300 and 150 bytes each).
///
/// Share one verifier between threads; it has no lock that is held during a computation.
pub struct Verifier {
    keys: Cache<Compressed, KnownKey>,
    images: Cache<Compressed, AffinePoint>,
}

#[derive(Clone, Copy)]
struct KnownKey {
    key: AffinePoint,
    hash: AffinePoint,
}

impl Verifier {
    /// Makes a verifier that remembers up to `capacity` ring keys, at least one.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self { keys: Cache::new(capacity), images: Cache::new(capacity) }
    }

    /// Reads a signature as [`Signature::decode`] does, but skips the checks of points already known and
    /// refuses rings of more than `members_max`, whose cost a stranger would otherwise choose.
    ///
    /// # Errors
    /// As [`Signature::decode`], and [`RingError::TooManyMembers`].
    pub fn decode(&self, bytes: &[u8], members_max: usize) -> Result<Signature, RingError> {
        let known = |bytes: &Compressed, affine: Option<AffinePoint>| match affine {
            Some(affine) => Some(Point { bytes: *bytes, affine }),
            None => Point::decode(bytes),
        };
        Signature::decode_with(
            bytes,
            members_max,
            |image| known(image, self.images.get(image)),
            |key| known(key, self.keys.get(key).map(|known| known.key)),
        )
    }

    /// Verifies that a member of the signature's ring signed `message`, the hash of a relay request.
    ///
    /// Rings of any size and with repeated keys are accepted, as by the chain; whether the keys are those
    /// expected is for the caller to check first.
    ///
    /// # Errors
    /// [`RingError::Mismatch`] when the signature does not verify.
    pub fn verify(&self, message: &[u8; 32], signature: &Signature) -> Result<(), RingError> {
        let mut learnt = Vec::new();
        let hash_of = |key: &Point| {
            if let Some(known) = self.keys.get(&key.bytes) {
                return Ok(known.hash);
            }
            let hash = hash_point(&key.bytes)?;
            learnt.push((key.bytes, KnownKey { key: key.affine, hash }));
            Ok(hash)
        };
        walk(message, signature, hash_of)?;

        for (bytes, known) in learnt {
            self.keys.insert(bytes, known);
        }
        if self.images.get(&signature.image.bytes).is_none() {
            self.images.insert(signature.image.bytes, signature.image.affine);
        }
        Ok(())
    }

    /// Returns how many ring keys are remembered at the moment.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.keys.len()
    }
}

/// Verifies one signature and remembers nothing; see [`Verifier::verify`].
///
/// # Errors
/// [`RingError::Mismatch`] when the signature does not verify.
pub fn verify(message: &[u8; 32], signature: &Signature) -> Result<(), RingError> {
    walk(message, signature, |key| hash_point(&key.bytes))
}

/// Returns the challenge that each member produces, reduced; the signature verifies when the last one equals
/// its `c0`. For looking into a signature that does not verify.
///
/// # Errors
/// [`RingError::HashToCurve`], which no known key causes.
pub fn challenges(message: &[u8; 32], signature: &Signature) -> Result<Vec<[u8; 32]>, RingError> {
    let image = ProjectivePoint::from(signature.image.affine);
    let mut c = signature.challenge;
    let mut produced = Vec::with_capacity(signature.members.len());
    for member in &signature.members {
        let hash = hash_point(&member.key.bytes)?;
        c = next_challenge(message, &c, &member.response, &member.key.affine, &hash, &image);
        produced.push(c.to_bytes().into());
    }
    Ok(produced)
}

fn walk(
    message: &[u8; 32],
    signature: &Signature,
    mut hash_of: impl FnMut(&Point) -> Result<AffinePoint, RingError>,
) -> Result<(), RingError> {
    let image = ProjectivePoint::from(signature.image.affine);
    let mut c = signature.challenge;
    for member in &signature.members {
        let hash = hash_of(&member.key)?;
        c = next_challenge(message, &c, &member.response, &member.key.affine, &hash, &image);
    }
    if c == signature.challenge { Ok(()) } else { Err(RingError::Mismatch) }
}

/// Computes `C(m, s*G + c*P, s*H + c*I)`. Variable time: no argument may be secret.
pub(super) fn next_challenge(
    message: &[u8; 32],
    c: &Scalar,
    response: &Scalar,
    key: &AffinePoint,
    hash: &AffinePoint,
    image: &ProjectivePoint,
) -> Scalar {
    let left = ProjectivePoint::mul_by_generator_vartime(response) + ProjectivePoint::from(*key).mul_vartime(c);
    let terms = [(*image, *c), (ProjectivePoint::from(*hash), *response)];
    let right = ProjectivePoint::lincomb_vartime(&terms);
    // One field inversion for both; infinity passes through and is encoded as the chain does.
    let [left, right] = ProjectivePoint::batch_normalize_vartime(&[left, right]);
    challenge(message, &curve::compress(&left), &curve::compress(&right))
}
