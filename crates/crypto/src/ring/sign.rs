//! Signing for a ring (protocol §3.2).
//!
//! The nonce `u`, the secret `x`, `u*G`, `u*H(P)`, `x*H(P)` and `u - c*x` are computed in constant time
//! (`k256`'s `Mul` and scalar arithmetic); the other members' equations hold public data only.

use k256::{
    AffinePoint, ProjectivePoint, Scalar, WideBytes,
    elliptic_curve::{BatchNormalize, ops::Reduce},
};
use quick_cache::sync::Cache;
use rand_core::CryptoRng;
use sha3::{Digest, Sha3_512};
use zeroize::Zeroizing;

use super::{
    RingError, Signature,
    challenge::{challenge, hash_point},
    signature::Member,
    verify::next_challenge,
};
use crate::{
    curve::{self, Point},
    keys::{PublicKey, SecretKey},
};

const NONCE_DOMAIN: &[u8] = b"pocket ring signature nonce v1";

/// A signer that signs much: it keeps its key image and the hash-points of the keys it signs together with.
///
/// Share one between threads; it has no lock that is held during a computation.
pub struct Signer {
    identity: Identity,
    hashes: Cache<[u8; 33], AffinePoint>,
}

impl Signer {
    /// Makes a signer for `secret` that remembers up to `capacity` keys of other members, at least one.
    ///
    /// # Errors
    /// [`RingError::HashToCurve`], which no known key causes.
    pub fn new(secret: SecretKey, capacity: usize) -> Result<Self, RingError> {
        Ok(Self { identity: Identity::new(secret)?, hashes: Cache::new(capacity.max(1)) })
    }

    /// Signs `message`, the hash of a relay request, in the name of `ring`, whose order is kept.
    ///
    /// The nonce depends on the secret, the message, the ring and `random`: a source of randomness that
    /// repeats itself makes signatures repeat, but reveals nothing.
    ///
    /// # Errors
    /// [`RingError::RingTooSmall`] and [`RingError::SignerNotInRing`].
    pub fn sign(
        &self,
        message: &[u8; 32],
        ring: &[PublicKey],
        random: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Signature, RingError> {
        let mut draws = Draws::new(self.identity.secret.scalar(), message, ring, random);
        self.identity.sign(message, ring, || draws.next(), |key| self.hash_of(key))
    }

    /// Returns the public key signed with.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.identity.secret.public_key()
    }

    /// Returns the key image that all signatures of this signer carry.
    #[must_use]
    pub fn key_image(&self) -> [u8; 33] {
        self.identity.image.bytes
    }

    fn hash_of(&self, key: &PublicKey) -> Result<AffinePoint, RingError> {
        if let Some(hash) = self.hashes.get(key.as_bytes()) {
            return Ok(hash);
        }
        let hash = hash_point(key.as_bytes())?;
        self.hashes.insert(key.to_bytes(), hash);
        Ok(hash)
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Signer").field("public_key", &self.public_key()).finish_non_exhaustive()
    }
}

/// Signs once, remembering nothing; see [`Signer::sign`].
///
/// # Errors
/// As for [`Signer::sign`].
pub fn sign(
    message: &[u8; 32],
    ring: &[PublicKey],
    secret: &SecretKey,
    random: &mut (impl CryptoRng + ?Sized),
) -> Result<Signature, RingError> {
    let mut draws = Draws::new(secret.scalar(), message, ring, random);
    Identity::new(secret.clone())?.sign(message, ring, || draws.next(), |key| hash_point(key.as_bytes()))
}

/// Signs with given random values, to reproduce recorded signatures: the nonce first, then the responses of the
/// members after the signer, in ring order; each is 32 big-endian bytes, reduced.
///
/// Using one nonce for two messages reveals the secret key: never call this outside tests.
///
/// # Errors
/// As for [`Signer::sign`], and [`RingError::Draws`] when there are fewer draws than members, or
/// [`RingError::ZeroNonce`].
pub fn sign_with_draws(
    message: &[u8; 32],
    ring: &[PublicKey],
    secret: &SecretKey,
    draws: &[[u8; 32]],
) -> Result<Signature, RingError> {
    if draws.len() < ring.len() {
        return Err(RingError::Draws { needed: ring.len(), given: draws.len() });
    }
    let mut draws = draws.iter().map(curve::scalar_reduced);
    let next = || draws.next().expect("there are as many draws as members, and no more are asked for");
    Identity::new(secret.clone())?.sign(message, ring, next, |key| hash_point(key.as_bytes()))
}

/// A secret key with what follows from it alone.
struct Identity {
    secret: SecretKey,
    hash: AffinePoint,
    image: Point,
}

impl Identity {
    fn new(secret: SecretKey) -> Result<Self, RingError> {
        let hash = hash_point(secret.public_key().as_bytes())?;
        // Constant time: `Mul`, not `MulVartime`.
        let image = ProjectivePoint::from(hash) * secret.scalar();
        Ok(Self { image: Point::from_affine(image.to_affine()), hash, secret })
    }

    fn sign(
        &self,
        message: &[u8; 32],
        ring: &[PublicKey],
        mut draw: impl FnMut() -> Scalar,
        mut hash_of: impl FnMut(&PublicKey) -> Result<AffinePoint, RingError>,
    ) -> Result<Signature, RingError> {
        let size = ring.len();
        if size < 2 {
            return Err(RingError::RingTooSmall { members: size });
        }
        let own_key = self.secret.public_key();
        let own = ring.iter().position(|key| *key == own_key).ok_or(RingError::SignerNotInRing)?;

        let nonce = Zeroizing::new(draw());
        if *nonce == Scalar::ZERO {
            return Err(RingError::ZeroNonce);
        }
        let left = ProjectivePoint::mul_by_generator(&nonce);
        let right = ProjectivePoint::from(self.hash) * *nonce;
        let [left, right] = ProjectivePoint::batch_normalize(&[left, right]);
        let mut c = challenge(message, &curve::compress(&left), &curve::compress(&right));

        // Walk from the member after the signer round to the signer, whose response closes the ring.
        let image = ProjectivePoint::from(self.image.affine);
        let mut members: Vec<Member> = ring.iter().map(|key| Member { response: Scalar::ZERO, key: key.0 }).collect();
        let mut first_challenge = c;
        for step in 1..size {
            let index = (own + step) % size;
            if index == 0 {
                first_challenge = c;
            }
            let response = draw();
            members[index].response = response;
            let hash = hash_of(&ring[index])?;
            c = next_challenge(message, &c, &response, &ring[index].0.affine, &hash, &image);
        }
        if own == 0 {
            first_challenge = c;
        }
        members[own].response = *nonce - c * self.secret.scalar();

        Ok(Signature { challenge: first_challenge, image: self.image, members })
    }
}

/// A stream of scalars derived from the secret, the message, the ring and fresh randomness.
///
/// Derived rather than drawn: were `u` used for two different challenges, anybody could compute the secret, so
/// it must not be left to the quality of the random source alone.
struct Draws {
    seed: Zeroizing<[u8; 64]>,
    count: u64,
}

impl Draws {
    fn new(secret: &Scalar, message: &[u8; 32], ring: &[PublicKey], random: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut fresh = Zeroizing::new([0; 32]);
        random.fill_bytes(fresh.as_mut());
        let secret = Zeroizing::new(<[u8; 32]>::from(secret.to_bytes()));

        let mut hasher = Sha3_512::new_with_prefix(NONCE_DOMAIN);
        hasher.update(secret.as_ref());
        hasher.update(fresh.as_ref());
        hasher.update(message);
        for key in ring {
            hasher.update(key.as_bytes());
        }
        Self { seed: Zeroizing::new(hasher.finalize().into()), count: 0 }
    }

    fn next(&mut self) -> Scalar {
        let mut hasher = Sha3_512::new_with_prefix(self.seed.as_ref());
        hasher.update(self.count.to_be_bytes());
        self.count += 1;
        let wide = Zeroizing::new(<[u8; 64]>::from(hasher.finalize()));
        // 512 bits modulo 256: no bias worth the name.
        <Scalar as Reduce<WideBytes>>::reduce(&WideBytes::from(*wide))
    }
}
