//! Which suppliers serve in a session (protocol §4.5).

use std::cmp::Ordering;

use pocket_crypto::hash::sha3_256;

use crate::height::Height;

/// One entry of a service's history of supplier configurations: a supplier that may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Operator address, bech32.
    pub operator: &'a str,
    /// First height at which the configuration counts.
    pub activation_height: Height,
    /// First height at which it no longer counts; 0 while it has no end.
    pub deactivation_height: Height,
}

impl Candidate<'_> {
    /// Tells whether the configuration counts at `height`.
    #[must_use]
    pub fn is_active_at(&self, height: Height) -> bool {
        self.activation_height <= height && (self.deactivation_height == 0 || self.deactivation_height > height)
    }

    /// The order in which the chain's store lists the configurations of a service.
    fn store_order(&self, other: &Self) -> Ordering {
        (self.activation_height, self.operator).cmp(&(other.activation_height, other.operator))
    }
}

/// Returns a supplier's weight in a session: the first 8 bytes of a SHA3-256, read as a *signed* big-endian number.
///
/// `preimage` is the preimage of the session's id ([`super::preimage`]), not the id.
#[must_use]
pub fn weight(preimage: &[u8], operator: &str) -> i64 {
    let mut input = Vec::with_capacity(preimage.len() + 1 + operator.len());
    input.extend_from_slice(preimage);
    input.push(b'.');
    input.extend_from_slice(operator.as_bytes());
    let digest = sha3_256(&input);
    i64::from_be_bytes(std::array::from_fn(|at| digest[at]))
}

/// Returns the suppliers of a session in the chain's order, as indices into `candidates`.
///
/// `candidates` are all configurations of the service, active or not, in any order. With fewer active ones than
/// `suppliers_per_session` the chain returns all of them in store order, unsorted by weight; with exactly as many, or
/// more, it takes those of the lowest weight.
#[must_use]
pub fn select(candidates: &[Candidate<'_>], height: Height, suppliers_per_session: u64, preimage: &[u8]) -> Vec<usize> {
    let mut active: Vec<usize> = (0..candidates.len()).filter(|at| candidates[*at].is_active_at(height)).collect();
    active.sort_by(|left, right| candidates[*left].store_order(&candidates[*right]));

    let wanted = usize::try_from(suppliers_per_session).unwrap_or(usize::MAX);
    if active.len() < wanted {
        return active;
    }
    active.sort_by_cached_key(|at| (weight(preimage, candidates[*at].operator), candidates[*at].operator));
    active.truncate(wanted);
    active
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATORS: [&str; 4] = [
        "pokt1re27pw4llwnatx4sq7rlggqzcm6j3f39epq2wa",
        "pokt1j6dun0x8eyq5mmsmq83zs3c2utt85q8478c89u",
        "pokt19a3t4yunp0dlpfjrp7qwnzwlrzd5fzs2gjaaaj",
        "pokt1c26hxrnsfc8s53rrx9edrmel73kw3plexhkdtm",
    ];

    fn preimage() -> Vec<u8> {
        let hash =
            hex::decode("251665c7cf286a30fbd98acd983c63e9a34efc16496511373405e24eb02a8fb9").expect("hexadecimal");
        crate::session::preimage(&hash, "svc1", "pokt1mdccn4u38eyjdxkk4h0jaddw4n3c72u82m5m9e", 9)
    }

    fn candidates() -> Vec<Candidate<'static>> {
        OPERATORS
            .map(|operator| Candidate { operator, activation_height: 1, deactivation_height: 0 })
            .into_iter()
            .collect()
    }

    #[test]
    fn weights_are_signed() {
        assert_eq!(weight(&preimage(), OPERATORS[3]), -7_178_375_614_461_839_902);
        assert_eq!(weight(&preimage(), OPERATORS[0]), 3_246_347_528_013_547_990);
    }

    #[test]
    fn enough_candidates_are_sorted_by_weight() {
        assert_eq!(select(&candidates(), 9, 4, &preimage()), [3, 2, 1, 0]);
        assert_eq!(select(&candidates(), 9, 2, &preimage()), [3, 2]);
    }

    #[test]
    fn too_few_candidates_come_in_store_order() {
        assert_eq!(select(&candidates(), 9, 5, &preimage()), [2, 3, 1, 0]);
    }

    #[test]
    fn a_configuration_counts_from_its_activation_until_its_deactivation() {
        let candidate = Candidate { operator: "pokt1", activation_height: 11, deactivation_height: 21 };
        let active: Vec<Height> = (9..24).filter(|height| candidate.is_active_at(*height)).collect();
        assert_eq!(active, (11..21).collect::<Vec<_>>());
    }
}
