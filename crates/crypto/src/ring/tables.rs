//! Sums of multiples of points that recur, from tables: what makes warm verification fast.
//!
//! In a session the same few points are multiplied again and again: the generator, the ring's keys, their
//! hash-points and the signer's key image. Whoever keeps the right multiples of a point replaces most of the
//! doublings of a multiplication by looking up. From the bottom up:
//!
//! * [`field`]: integers modulo the field prime;
//! * [`point`]: the group law;
//! * [`digits`]: a scalar becomes two halves of 128 bits, a half becomes a few odd digits;
//! * [`table`]: the odd multiples of a point, of 2^16 times the point, of 2^32 times the point and so on;
//! * [`sum`]: adds up the entries that the digits of some scalars name, with 15 doublings in all;
//! * [`cache`]: the tables that are kept.
//!
//! Everything else stays with `k256`: square roots, hashing to the curve, scalars modulo the group order, and
//! the plain path these sums are tested against ([`ring::verify`](super::verify())).
//!
//! **Variable time.** Branches and addresses depend on scalars and points. Nothing here may see a secret: it
//! serves verification, and is not reachable from signing.

mod cache;

mod digits;

mod field;

mod point;

mod sum;

mod table;

#[cfg(test)]
mod tests;

pub(super) use cache::{Missing, TableCache};
pub(super) use digits::Split;
pub(super) use sum::equations;
pub(super) use table::Table;
