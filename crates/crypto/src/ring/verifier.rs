//! Verifying much: what one successful verification leaves for the next.

use k256::{AffinePoint, ProjectivePoint};
use quick_cache::sync::Cache;

use super::{
    RingError, Signature,
    challenge::{challenge, hash_point},
    signature::Member,
    tables::{self, Missing, Split, TableCache},
    verify::{next_challenge, walk},
};
use crate::curve::{Compressed, Point};

/// Memory that a [`Verifier::new`] spends on tables: those of some 2000 ring keys.
pub const TABLE_BYTES_MAX: usize = 64 << 20;

/// A verifier that remembers the points of rings it has seen.
///
/// Keys, their hash-points and key images recur in every relay of a session. A signature is verified in one of
/// three ways, whose verdicts agree:
///
/// * at first sight, as by [`verify`](super::verify());
/// * with its points known, which saves their square roots, about a quarter of the work. At most `capacity`
///   keys and as many key images are known (about 300 and 150 bytes each);
/// * with tables of multiples of its points (16 KiB a point, two points a key and one a key image), which is
///   several times as fast. At most `table_bytes` of them are kept.
///
/// Only what a *successful* verification used is remembered, and only a later success with a point already
/// known builds its tables; so forged signatures can neither push out what honest ones need nor make this
/// verifier work for them. The verification that builds tables does so on its own thread before it returns,
/// and takes a few times as long as others, but at most by the tables of a ring of two.
///
/// Share one verifier between threads; it has no lock that is held during a computation.
pub struct Verifier {
    keys: Cache<Compressed, KnownKey>,
    images: Cache<Compressed, AffinePoint>,
    tables: TableCache,
}

#[derive(Clone, Copy)]
struct KnownKey {
    key: AffinePoint,
    hash: AffinePoint,
}

/// What a verification would leave behind if it succeeds.
#[derive(Default)]
struct Learnt {
    keys: Vec<(Compressed, KnownKey)>,
    missing: Vec<Missing>,
}

impl Verifier {
    /// Makes a verifier that remembers up to `capacity` ring keys, at least one, and keeps up to
    /// [`TABLE_BYTES_MAX`] bytes of tables.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self::with_table_bytes(capacity, TABLE_BYTES_MAX)
    }

    /// Makes a verifier that remembers up to `capacity` ring keys, at least one, and keeps up to `table_bytes`
    /// bytes of tables. With 0 it builds none, and `k256` alone computes every verdict.
    #[must_use]
    pub fn with_table_bytes(capacity: usize, table_bytes: usize) -> Self {
        let capacity = capacity.max(1);
        Self { keys: Cache::new(capacity), images: Cache::new(capacity), tables: TableCache::new(table_bytes) }
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
        let image_table = self.tables.of_image(&signature.image.bytes);
        let image = ProjectivePoint::from(signature.image.affine);
        let mut learnt = Learnt::default();
        walk(signature, |member, c| {
            let key_tables = self.tables.of_key(&member.key.bytes);
            if let (Some(key_tables), Some(image_table)) = (&key_tables, &image_table) {
                if !self.keys.contains_key(&member.key.bytes) {
                    // Dropped while its tables stayed: reading it would take a square root from now on.
                    self.points_of(member, true, &mut learnt)?;
                }
                let ([key, hash], [image]) = (&**key_tables, &**image_table);
                let [left, right] = tables::equations(&Split::of(&member.response), &Split::of(c), key, hash, image);
                return Ok(challenge(message, &left, &right));
            }
            let known = self.points_of(member, key_tables.is_some(), &mut learnt)?;
            Ok(next_challenge(message, c, &member.response, &known.key, &known.hash, &image))
        })?;
        self.learn(&signature.image, image_table.is_some(), learnt);
        Ok(())
    }

    /// Returns how many ring keys are remembered at the moment.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.keys.len()
    }

    /// Returns how many bytes the tables take at the moment.
    #[must_use]
    pub fn table_bytes(&self) -> u64 {
        self.tables.bytes()
    }

    /// Returns a member's points, and notes what of them is not remembered.
    fn points_of(&self, member: &Member, has_tables: bool, learnt: &mut Learnt) -> Result<KnownKey, RingError> {
        let bytes = member.key.bytes;
        if let Some(known) = self.keys.get(&bytes) {
            if !has_tables {
                learnt.missing.push(Missing::Key { bytes, key: known.key, hash: known.hash });
            }
            return Ok(known);
        }
        let known = KnownKey { key: member.key.affine, hash: hash_point(&bytes)? };
        learnt.keys.push((bytes, known));
        Ok(known)
    }

    /// Remembers what a successful verification used: points at first, tables when the points were known.
    fn learn(&self, image: &Point, image_has_table: bool, mut learnt: Learnt) {
        for (bytes, known) in learnt.keys {
            self.keys.insert(bytes, known);
        }
        if self.images.get(&image.bytes).is_none() {
            self.images.insert(image.bytes, image.affine);
        } else if !image_has_table {
            // First, as no member's tables are of use without it.
            learnt.missing.insert(0, Missing::Image { bytes: image.bytes, image: image.affine });
        }
        self.tables.build(&learnt.missing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{keys::SecretKey, ring};

    #[test]
    fn points_forgotten_while_their_tables_stay_are_remembered_again() {
        let secrets = ["one", "two"].map(|text| SecretKey::from_secret(text.as_bytes()));
        let keys = [secrets[0].public_key(), secrets[1].public_key()];
        let message = [7; 32];
        let signature =
            ring::sign_with_draws(&message, &keys, &secrets[0], &[[1; 32], [2; 32]]).expect("a ring of two");
        let verifier = Verifier::new(10);
        for _ in 0..3 {
            verifier.verify(&message, &signature).expect("what was signed");
        }
        let tables = verifier.table_bytes();
        assert!(tables > 0);
        verifier.keys.clear();
        verifier.images.clear();
        verifier.verify(&message, &signature).expect("what was signed");
        assert_eq!((verifier.keys.len(), verifier.images.len()), (2, 1));
        assert_eq!(verifier.table_bytes(), tables);
    }
}
