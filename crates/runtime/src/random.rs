//! Lots: from the operating system, or from the seed of the simulated world.

use std::convert::Infallible;

use rand::RngExt;
use rand::distr::uniform::{SampleRange, SampleUniform};
use rand_core::{TryCryptoRng, TryRng};

/// A source of randomness fit for keys, for everything that asks for a `rand_core` 0.10 `CryptoRng`.
///
/// It is a `ChaCha` generator of the thread, seeded and reseeded by the operating system. In a simulated world it is the
/// world's own, started from its seed, and fit for nothing but telling the same story twice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

/// Fills `bytes` with random ones.
pub fn fill(bytes: &mut [u8]) {
    with(|rng| rng.fill_bytes(bytes));
}

/// Returns a random number of 64 bits.
pub fn u64() -> u64 {
    with(|rng| rng.next_u64())
}

/// Returns a number drawn evenly from `range`. Panics if the range is empty.
pub fn range<T: SampleUniform, R: SampleRange<T>>(range: R) -> T {
    Random.random_range(range)
}

#[expect(clippy::disallowed_methods, reason = "this is the door to randomness")]
fn with<T>(draw: impl FnOnce(&mut dyn rand_core::Rng) -> T) -> T {
    #[cfg(feature = "simulation")]
    if let Some(world) = crate::simulation::current() {
        return draw(&mut *world.rng.borrow_mut());
    }
    draw(&mut rand::rng())
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(with(|rng| rng.next_u32()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Random {}

#[cfg(test)]
mod tests {
    use rand_core::CryptoRng;

    use super::*;

    fn key(rng: &mut impl CryptoRng) -> [u8; 32] {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        bytes
    }

    #[test]
    fn serves_whoever_wants_a_crypto_rng_and_never_repeats() {
        assert_ne!(key(&mut Random), key(&mut Random));
        assert_ne!(u64(), u64());
    }

    #[test]
    fn draws_within_the_range() {
        for _ in 0..1000 {
            assert!((3..7).contains(&range(3..7)));
        }
    }
}
