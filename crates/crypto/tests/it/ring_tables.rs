//! The verifier's three ways to a verdict: at first sight, with points known, with tables.

use k256::{
    AffinePoint, FieldBytes, ProjectivePoint, Scalar,
    elliptic_curve::{ops::Reduce, point::DecompressPoint, sec1::ToSec1Point, subtle::Choice},
};
use pocket_crypto::{
    keys::{PublicKey, SecretKey},
    ring::{self, RingError, Signature, Verifier},
};
use rand::{Rng, RngExt, rngs::StdRng};

use crate::seed::rng;

const RING_MAX: usize = 8;
const MEMBER_LEN: usize = 65;

struct Signer {
    secret: SecretKey,
    scalar: Scalar,
    key: PublicKey,
}

fn signers(count: u32) -> Vec<Signer> {
    let signer = |index: u32| {
        let secret = SecretKey::from_secret(&index.to_be_bytes());
        let scalar = scalar(&hex::decode(secret.to_hex_secret().as_str()).unwrap());
        let key = secret.public_key();
        Signer { secret, scalar, key }
    };
    (0..count).map(signer).collect()
}

fn scalar(bytes: &[u8]) -> Scalar {
    <Scalar as Reduce<FieldBytes>>::reduce(&bytes.try_into().unwrap())
}

fn point(bytes: &[u8; 33]) -> ProjectivePoint {
    let x = FieldBytes::try_from(&bytes[1..]).unwrap();
    AffinePoint::decompress(&x, Choice::from(bytes[0] & 1)).unwrap().into()
}

/// As the chain encodes a point: infinity is `02 00…00`.
fn encode(point: &ProjectivePoint) -> [u8; 33] {
    let bytes = point.to_affine().to_sec1_point(true);
    bytes.as_bytes().try_into().unwrap_or_else(|_| {
        let mut infinity = [0; 33];
        infinity[0] = 2;
        infinity
    })
}

/// Signs as protocol §3.2 says, for rings of one too and with any nonce, zero included.
fn sign(message: &[u8; 32], members: &[&Signer], at: usize, nonce: Scalar, rng: &mut StdRng) -> Vec<u8> {
    let signer = members[at];
    let hash_of = |key: &PublicKey| point(&ring::hash_to_curve(key).unwrap().to_bytes());
    let image = hash_of(&signer.key) * signer.scalar;
    let challenge = |left: ProjectivePoint, right: ProjectivePoint| {
        scalar(&ring::hash_to_scalar(&[message.as_slice(), &encode(&left), &encode(&right)].concat()))
    };
    let size = members.len();
    let mut challenges = vec![Scalar::ZERO; size];
    let mut responses = vec![Scalar::ZERO; size];
    challenges[(at + 1) % size] = challenge(ProjectivePoint::GENERATOR * nonce, hash_of(&signer.key) * nonce);
    for member in (1..size).map(|step| (at + step) % size) {
        let (c, s) = (challenges[member], random_scalar(rng));
        responses[member] = s;
        challenges[(member + 1) % size] = challenge(
            ProjectivePoint::GENERATOR * s + point(&members[member].key.to_bytes()) * c,
            hash_of(&members[member].key) * s + image * c,
        );
    }
    responses[at] = nonce - challenges[at] * signer.scalar;

    let mut bytes = u32::try_from(size).unwrap().to_be_bytes().to_vec();
    bytes.extend(challenges[0].to_bytes());
    bytes.extend(encode(&image));
    for (response, member) in responses.iter().zip(members) {
        bytes.extend(response.to_bytes());
        bytes.extend(member.key.to_bytes());
    }
    bytes
}

fn random_scalar(rng: &mut StdRng) -> Scalar {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    scalar(&bytes)
}

fn verdict(verifier: &Verifier, message: &[u8; 32], bytes: &[u8]) -> Result<(), RingError> {
    verifier.verify(message, &verifier.decode(bytes, RING_MAX)?)
}

fn plain_verdict(message: &[u8; 32], bytes: &[u8]) -> Result<(), RingError> {
    ring::verify(message, &Signature::decode(bytes)?)
}

/// Verifies until no more tables are built.
fn warm(verifier: &Verifier, message: &[u8; 32], bytes: &[u8]) {
    verdict(verifier, message, bytes).unwrap();
    loop {
        let before = verifier.table_bytes();
        verdict(verifier, message, bytes).unwrap();
        if verifier.table_bytes() == before {
            return;
        }
    }
}

/// Changes one part of a signature, or its message; sometimes to another valid encoding of the same.
fn tampered(bytes: &[u8], message: &[u8; 32], others: &[Signer], rng: &mut StdRng) -> ([u8; 32], Vec<u8>) {
    let (mut message, mut bytes) = (*message, bytes.to_vec());
    let members = (bytes.len() - 69) / MEMBER_LEN;
    let member = 69 + MEMBER_LEN * rng.random_range(0..members);
    let other = others[rng.random_range(0..others.len())].key.to_bytes();
    match rng.random_range(0..8) {
        0 => message[rng.random_range(0..32)] ^= 1 << rng.random_range(0..8),
        1 => bytes[4 + rng.random_range(0..32)] ^= 1 << rng.random_range(0..8),
        2 => bytes[36] ^= 1,
        3 => bytes[36..69].copy_from_slice(&other),
        4 => bytes[member + rng.random_range(0..32)] ^= 1 << rng.random_range(0..8),
        5 => bytes[member + 32] ^= 1,
        6 => bytes[member + 32..member + MEMBER_LEN].copy_from_slice(&other),
        _ => bytes[member..member + 32].fill([0, 0xff][rng.random_range(0..2)]),
    }
    (message, bytes)
}

#[test]
fn verdicts_agree_with_plain_verification_on_thousands_of_signatures() {
    let mut rng = rng();
    let signers = signers(10);
    // One keeps all tables, one a few, so that members with and without meet in a ring, and one none.
    let verifiers = [Verifier::new(64), Verifier::with_table_bytes(8, 300_000), Verifier::with_table_bytes(64, 0)];
    let (mut refused, mut accepted) = (0, 0);
    for round in 0..2_000 {
        // Keys repeat within a ring, as chance will have it.
        let members: Vec<&Signer> = (0..rng.random_range(1..=[2, 2, 4, RING_MAX][round % 4]))
            .map(|_| &signers[rng.random_range(0..10)])
            .collect();
        let mut message = [0; 32];
        rng.fill_bytes(&mut message);
        let at = rng.random_range(0..members.len());
        let nonce = if round % 16 == 0 { Scalar::ZERO } else { random_scalar(&mut rng) };
        let bytes = sign(&message, &members, at, nonce, &mut rng);
        assert_eq!(plain_verdict(&message, &bytes), Ok(()), "round {round}");
        for verifier in &verifiers {
            assert_eq!(verdict(verifier, &message, &bytes), Ok(()), "round {round}");
        }
        let (message, bytes) = tampered(&bytes, &message, &signers, &mut rng);
        let expected = plain_verdict(&message, &bytes);
        *if expected.is_ok() { &mut accepted } else { &mut refused } += 1;
        for verifier in &verifiers {
            assert_eq!(verdict(verifier, &message, &bytes), expected, "round {round}, tampered");
        }
    }
    println!("of 2000 tampered signatures {refused} were refused, {accepted} were no different");
    assert!(refused > 1_800);
    assert!(verifiers[1].table_bytes() <= 300_000);
    assert!(verifiers[0].table_bytes() > verifiers[1].table_bytes());
    assert_eq!(verifiers[2].table_bytes(), 0);
}

#[test]
fn with_tables_any_flipped_bit_is_refused() {
    let mut rng = rng();
    let signers = signers(2);
    let message = [7; 32];
    let keys = [signers[0].key, signers[1].key];
    let bytes = ring::sign(&message, &keys, &signers[0].secret, &mut rng).unwrap().encode();
    let verifier = Verifier::new(10);
    warm(&verifier, &message, &bytes);
    for bit in 0..bytes.len() * 8 {
        let mut tampered = bytes.clone();
        tampered[bit / 8] ^= 1 << (bit % 8);
        assert!(verdict(&verifier, &message, &tampered).is_err(), "bit {bit} of the signature");
    }
    for bit in 0..message.len() * 8 {
        let mut tampered = message;
        tampered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verdict(&verifier, &tampered, &bytes), Err(RingError::Mismatch), "bit {bit} of the message");
    }
}

#[test]
fn tables_are_built_by_the_second_success_and_by_no_failure() {
    let mut rng = rng();
    let signers = signers(2);
    let message = [7; 32];
    let good = sign(&message, &[&signers[0], &signers[1]], 0, random_scalar(&mut rng), &mut rng);
    let mut forged = good.clone();
    forged[69] ^= 1;
    let verifier = Verifier::new(10);
    let fail = || (0..3).for_each(|_| assert_eq!(verdict(&verifier, &message, &forged), Err(RingError::Mismatch)));

    fail();
    assert_eq!((verifier.remembered(), verifier.table_bytes()), (0, 0));
    verdict(&verifier, &message, &good).unwrap();
    assert_eq!((verifier.remembered(), verifier.table_bytes()), (2, 0), "the first success remembers points");
    fail();
    assert_eq!(verifier.table_bytes(), 0);
    verdict(&verifier, &message, &good).unwrap();
    let five = verifier.table_bytes();
    assert!((80_000..90_000).contains(&five), "two keys, two hash-points, a key image: {five} bytes");
    fail();
    verdict(&verifier, &message, &good).unwrap();
    assert_eq!(verifier.table_bytes(), five, "all tables are there");
}

#[test]
fn tables_keep_within_their_bytes_and_verdicts_stay_right() {
    let mut rng = rng();
    let signers = signers(24);
    for table_bytes in [0, 1, 16_000, 20_000, 100_000, 400_000] {
        let verifier = Verifier::with_table_bytes(100, table_bytes);
        for pair in signers.windows(2) {
            let message = [3; 32];
            let bytes = sign(&message, &[&pair[0], &pair[1]], 1, random_scalar(&mut rng), &mut rng);
            for _ in 0..3 {
                assert_eq!(verdict(&verifier, &message, &bytes), Ok(()));
                assert!(verifier.table_bytes() <= table_bytes as u64);
            }
        }
        assert_eq!(verifier.table_bytes() > 0, table_bytes >= 20_000, "{table_bytes}");
    }
}

#[test]
fn a_big_ring_gets_its_tables_bit_by_bit_and_a_forgotten_key_is_learnt_again() {
    let mut rng = rng();
    let signers = signers(8);
    let message = [9; 32];
    let members: Vec<&Signer> = signers.iter().collect();
    let bytes = sign(&message, &members, 3, random_scalar(&mut rng), &mut rng);
    let verifier = Verifier::new(8);
    verdict(&verifier, &message, &bytes).unwrap();
    let mut steps = vec![verifier.table_bytes()];
    while steps.len() < 10 {
        verdict(&verifier, &message, &bytes).unwrap();
        steps.push(verifier.table_bytes());
    }
    let one = steps[9] / 17;
    assert_eq!(steps[9], 17 * one, "two tables a key, one for the image");
    assert!(steps.windows(2).all(|pair| pair[1] - pair[0] <= 5 * one), "{steps:?}");

    // Two points are known at most, but all tables are kept: each verification learns some keys again.
    let forgetful = Verifier::with_table_bytes(2, 1 << 20);
    for pair in signers.windows(2).cycle().take(40) {
        let bytes = sign(&message, &[&pair[0], &pair[1]], 0, random_scalar(&mut rng), &mut rng);
        warm(&forgetful, &message, &bytes);
        assert!(forgetful.remembered() <= 2);
    }
}

#[test]
fn threads_that_build_the_same_tables_agree() {
    let mut rng = rng();
    let signers = signers(2);
    let verifier = Verifier::new(10);
    let message = [5; 32];
    let bytes = sign(&message, &[&signers[0], &signers[1]], 0, random_scalar(&mut rng), &mut rng);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10).for_each(|_| verdict(&verifier, &message, &bytes).unwrap()));
        }
    });
    assert!(verifier.table_bytes() < 90_000);
}
