//! Is a proof required? The chain's pseudo-random decision, bit for bit (§8.4).
//!
//! A claim whose worth reaches the threshold is always proved. Of the others a sample is proved: a number in `[0, 1)` is
//! drawn from the claim's bytes and the hash of the block before the proof window, and compared with the governance
//! probability. The draw is Go's `math/rand` (version 1) seeded with a signed varint, so both are here.
//!
//! Half of all hashes end their varint in the first byte, so few distinct samples occur often. That is a property of the
//! protocol; it is reproduced, not repaired.

mod cooked;

use num_bigint::BigUint;
use sha2::{Digest, Sha256};

use self::cooked::{COOKED, LEN};
use crate::params::Proof;

/// Distance between the two taps of the generator.
const TAP: usize = 273;
/// Modulus of the seeding generator, `2^31 - 1`.
const SEED_MODULUS: i64 = (1 << 31) - 1;
/// Seed used in place of zero.
const SEED_ZERO: i64 = 89_482_311;
/// Bytes of a 64-bit varint at most.
const VARINT_BYTES_MAX: usize = 10;

/// Why a claim must be proved, or that it need not be (`ProofRequirementReason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Requirement {
    /// No proof: sending one fails with code 1129.
    NotRequired,
    /// The sample fell at or below the governance probability.
    Probabilistic,
    /// The claimed amount reached the governance threshold.
    Threshold,
}

impl Requirement {
    /// Returns whether the claim must be proved.
    pub fn is_required(self) -> bool {
        self != Self::NotRequired
    }

    /// Returns the number of the chain's enum, as in `EventClaimSettled.proof_requirement_int`.
    pub fn number(self) -> i32 {
        match self {
            Self::NotRequired => 0,
            Self::Probabilistic => 1,
            Self::Threshold => 2,
        }
    }

    /// Returns the name of the chain's enum.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotRequired => "NOT_REQUIRED",
            Self::Probabilistic => "PROBABILISTIC",
            Self::Threshold => "THRESHOLD",
        }
    }
}

/// The drawn number with everything it was drawn from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// `SHA256(claim_hash || seed_block_hash)`.
    pub seed_hash: [u8; 32],
    /// Signed varint at the start of `seed_hash`, zero on overflow.
    pub seed: i64,
    /// First `Float64` of Go's source seeded with `seed`, in `[0, 1)`.
    pub value: f64,
}

impl Sample {
    /// Draws the sample of bytes that are hashed first, as `SeededFloat64` of the chain does.
    pub fn of_bytes(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        let seed_hash: [u8; 32] = hasher.finalize().into();
        let seed = varint(&seed_hash).value;
        Self { seed_hash, seed, value: GoRand::new(seed).float64() }
    }
}

/// The decision with the sample it was taken on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// Whether and why the claim must be proved.
    pub requirement: Requirement,
    /// The sample. It is drawn also when the threshold decides, so that a caller can show it.
    pub sample: Sample,
}

/// The governance parameters of the decision, from the live proof parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// `proof_requirement_threshold` in upokt.
    pub threshold_upokt: BigUint,
    /// `proof_request_probability`, in `[0, 1]`.
    pub probability: f64,
}

impl From<&Proof> for Terms {
    fn from(params: &Proof) -> Self {
        Self { threshold_upokt: params.requirement_threshold.0.into(), probability: params.request_probability }
    }
}

/// Returns `SHA256` of the claim's protobuf bytes as stored, the input of the draw.
///
/// The stored claim contains `proof_validation_status` when it is not zero, so a claim that was validated draws another
/// sample at settlement than it did at submission (§8.4.3).
pub fn claim_hash(claim_bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(claim_bytes).into()
}

/// Decides whether a claim worth `claimed_upokt` must be proved (§8.4).
///
/// `seed_block_hash` is the stored hash of the block before the proof window opens (`proof_open - 1`, parameters at the
/// session's end height). The comparison with the probability is that of 64-bit floats: at or below requires a proof,
/// a probability that is not a number never does.
pub fn decide(claim_hash: &[u8; 32], seed_block_hash: &[u8], claimed_upokt: &BigUint, terms: &Terms) -> Decision {
    let sample = Sample::of_bytes(&[claim_hash, seed_block_hash]);
    let requirement = if *claimed_upokt >= terms.threshold_upokt {
        Requirement::Threshold
    } else if sample.value <= terms.probability {
        Requirement::Probabilistic
    } else {
        Requirement::NotRequired
    };
    Decision { requirement, sample }
}

/// A varint as Go's `binary.Varint` reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Varint {
    /// The value, zero when `read` is not positive.
    pub value: i64,
    /// Bytes read; zero when the buffer ended first, minus the bytes read when the value overflowed 64 bits.
    pub read: i64,
}

/// Reads a signed varint: base 128, least significant group first, zigzag (§8.4.1).
pub fn varint(bytes: &[u8]) -> Varint {
    let mut unsigned: u64 = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        let read = i64::try_from(index).unwrap_or(i64::MAX) + 1;
        if index == VARINT_BYTES_MAX {
            return Varint { value: 0, read: -read };
        }
        if byte < 0x80 {
            if index == VARINT_BYTES_MAX - 1 && byte > 1 {
                return Varint { value: 0, read: -read };
            }
            unsigned |= u64::from(byte) << (7 * index);
            let magnitude = (unsigned >> 1).cast_signed();
            return Varint { value: if unsigned & 1 == 1 { !magnitude } else { magnitude }, read };
        }
        unsigned |= u64::from(byte & 0x7f) << (7 * index);
    }
    Varint { value: 0, read: 0 }
}

/// Go's `math/rand` source, version 1: an additive lagged Fibonacci generator (§8.4.2).
#[derive(Clone)]
pub struct GoRand {
    state: [u64; LEN],
    tap: usize,
    feed: usize,
}

impl std::fmt::Debug for GoRand {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("GoRand").field("tap", &self.tap).field("feed", &self.feed).finish_non_exhaustive()
    }
}

impl GoRand {
    /// Seeds a source as `rand.NewSource(seed)` does.
    pub fn new(seed: i64) -> Self {
        let mut seed = seed % SEED_MODULUS;
        if seed < 0 {
            seed += SEED_MODULUS;
        }
        if seed == 0 {
            seed = SEED_ZERO;
        }
        let mut seeder = Seeder(i32::try_from(seed).expect("reduced below 2^31 - 1"));
        for _ in 0..20 {
            seeder.next();
        }
        let state = COOKED.map(|cooked| {
            let high = seeder.next() << 40;
            let middle = seeder.next() << 20;
            cooked ^ high ^ middle ^ seeder.next()
        });
        Self { state, tap: 0, feed: LEN - TAP }
    }

    /// Returns the next 64 bits, as `Uint64`.
    pub fn uint64(&mut self) -> u64 {
        self.tap = self.tap.checked_sub(1).unwrap_or(LEN - 1);
        self.feed = self.feed.checked_sub(1).unwrap_or(LEN - 1);
        let next = self.state[self.feed].wrapping_add(self.state[self.tap]);
        self.state[self.feed] = next;
        next
    }

    /// Returns the next non-negative 63 bits, as `Int63`.
    pub fn int63(&mut self) -> i64 {
        (self.uint64() & (u64::MAX >> 1)).cast_signed()
    }

    /// Returns the next float in `[0, 1)`, as `Float64`: the 63 bits rounded to the nearest double and scaled.
    pub fn float64(&mut self) -> f64 {
        loop {
            #[expect(clippy::cast_precision_loss, reason = "Go rounds the 63 bits to a double in the same way")]
            let value = self.int63() as f64 / 9_223_372_036_854_775_808.0;
            // Rounding can reach 1.0, which Go draws again.
            if value < 1.0 {
                return value;
            }
        }
    }
}

/// The linear congruential generator that fills the state (Park and Miller's, in 32-bit arithmetic).
struct Seeder(i32);

impl Seeder {
    fn next(&mut self) -> u64 {
        const MULTIPLIER: i32 = 48_271;
        const QUOTIENT: i32 = 44_488;
        const REMAINDER: i32 = 3_399;

        let high = self.0 / QUOTIENT;
        let low = self.0 % QUOTIENT;
        let next = MULTIPLIER * low - REMAINDER * high;
        self.0 = if next < 0 { next + i32::MAX } else { next };
        u64::from(self.0.unsigned_abs())
    }
}
