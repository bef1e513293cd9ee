use k256::{Scalar, elliptic_curve::ops::Reduce};
use pocket_crypto::{
    hash,
    keys::{PublicKey, SecretKey},
    ring::{self, RingError, Signature, Signer, Verifier},
};
use proptest::{array::uniform32, collection::vec, prelude::*};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::seed::{check, rng};

const MEMBERS_MAX: usize = 64;
const MEMBER_LEN: usize = 65;
const RESPONSE_AT: usize = 69;

fn secrets(count: usize) -> Vec<SecretKey> {
    (0..count).map(|index| SecretKey::from_secret(format!("member {index}").as_bytes())).collect()
}

fn publics(secrets: &[SecretKey]) -> Vec<PublicKey> {
    secrets.iter().map(SecretKey::public_key).collect()
}

/// A message, a ring of `size` and its signature by member `size - 1`.
fn signed(size: usize) -> ([u8; 32], Signature) {
    let secrets = secrets(size);
    let message = hash::sha256(b"message");
    let signature = ring::sign(&message, &publics(&secrets), &secrets[size - 1], &mut rng()).unwrap();
    (message, signature)
}

fn verdict(verifier: &Verifier, message: &[u8; 32], bytes: &[u8]) -> Result<(), RingError> {
    verifier.verify(message, &verifier.decode(bytes, MEMBERS_MAX)?)
}

#[test]
fn every_member_can_sign_for_rings_of_any_size() {
    let verifier = Verifier::new(100);
    check(40, &(2usize..7, 0usize..7, uniform32(any::<u8>()), any::<u64>()), |(size, signer, message, seed)| {
        let secrets = secrets(size);
        let keys = publics(&secrets);
        let secret = &secrets[signer % size];
        let mut rng = StdRng::seed_from_u64(seed);
        let once = ring::sign(&message, &keys, secret, &mut rng).unwrap();
        let kept = Signer::new(secret.clone(), 8).unwrap().sign(&message, &keys, &mut rng).unwrap();
        for signature in [once, kept] {
            prop_assert_eq!(signature.public_keys(), keys.iter().map(PublicKey::to_bytes).collect::<Vec<_>>());
            let bytes = signature.encode();
            prop_assert_eq!(bytes.len(), 69 + MEMBER_LEN * size);
            prop_assert_eq!(&Signature::decode(&bytes).unwrap(), &signature);
            prop_assert_eq!(ring::verify(&message, &signature), Ok(()));
            prop_assert_eq!(verdict(&verifier, &message, &bytes), Ok(()));
            let last = *ring::challenges(&message, &signature).unwrap().last().unwrap();
            prop_assert_eq!(&bytes[4..36], last.as_slice());
        }
        Ok(())
    });
}

#[test]
fn any_flipped_bit_is_refused() {
    let (message, signature) = signed(2);
    let bytes = signature.encode();
    let verifier = Verifier::new(10);
    verdict(&verifier, &message, &bytes).unwrap();
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
fn a_signature_cut_short_anywhere_is_refused() {
    let bytes = signed(3).1.encode();
    for length in 0..bytes.len() {
        let error = Signature::decode(&bytes[..length]).unwrap_err();
        assert!(matches!(error, RingError::TooShort { .. } | RingError::Truncated { .. }), "{length}: {error}");
    }
}

#[test]
fn any_bytes_get_a_verdict() {
    let verifier = Verifier::new(10);
    check(1_000, &vec(any::<u8>(), 0..700), |bytes| {
        prop_assert!(verdict(&verifier, &[0; 32], &bytes).is_err());
        Ok(())
    });
    assert_eq!(verifier.remembered(), 0);
}

/// Well-formed enough to be walked: real points, arbitrary scalars.
#[test]
fn signatures_of_arbitrary_scalars_are_refused_and_written_canonically() {
    let keys = publics(&secrets(4));
    let strategy = (uniform32(any::<u8>()), vec((uniform32(any::<u8>()), 0usize..4), 1..5), vec(any::<u8>(), 0..70));
    check(60, &strategy, |(c0, members, trailing)| {
        let mut bytes = u32::try_from(members.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend(c0);
        bytes.extend(keys[0].to_bytes());
        for (response, key) in &members {
            bytes.extend(response);
            bytes.extend(keys[*key].to_bytes());
        }
        let length = bytes.len();
        bytes.extend(trailing);
        let signature = Signature::decode(&bytes).unwrap();
        prop_assert_eq!(ring::verify(&c0, &signature), Err(RingError::Mismatch));
        let canonical = signature.encode();
        prop_assert_eq!(canonical.len(), length);
        prop_assert_eq!(Signature::decode(&canonical).unwrap(), signature);
        Ok(())
    });
}

#[test]
fn a_claimed_ring_larger_than_the_input_or_the_limit_is_refused_before_any_work() {
    let mut bytes = signed(3).1.encode();
    let verifier = Verifier::new(10);
    assert_eq!(verifier.decode(&bytes, 2).unwrap_err(), RingError::TooManyMembers { members: 3, limit: 2 });
    assert!(verifier.decode(&bytes, 3).is_ok());
    for members in [4, 8, 0x8000_0000, u32::MAX] {
        bytes[..4].copy_from_slice(&members.to_be_bytes());
        let error = Signature::decode(&bytes).unwrap_err();
        assert_eq!(error, RingError::Truncated { members, length: bytes.len() });
    }
    bytes[..4].copy_from_slice(&[0; 4]);
    assert_eq!(Signature::decode(&bytes).unwrap_err(), RingError::NoMembers);
}

#[test]
fn only_what_verified_is_remembered() {
    let verifier = Verifier::new(10);
    let (message, signature) = signed(3);
    let mut forged = signature.encode();
    forged[RESPONSE_AT] ^= 1;
    assert_eq!(verdict(&verifier, &message, &forged), Err(RingError::Mismatch));
    assert_eq!(verifier.remembered(), 0);
    assert_eq!(verdict(&verifier, &message, &signature.encode()), Ok(()));
    assert_eq!(verifier.remembered(), 3);
    assert_eq!(verdict(&verifier, &message, &forged), Err(RingError::Mismatch));
}

#[test]
fn memory_stays_within_its_limit_and_verdicts_stay_right() {
    let verifier = Verifier::new(4);
    let secrets = secrets(20);
    let message = hash::sha256(b"message");
    let mut rng = rng();
    for pair in secrets.windows(2) {
        let signature = ring::sign(&message, &publics(pair), &pair[0], &mut rng).unwrap();
        for _ in 0..2 {
            assert_eq!(verdict(&verifier, &message, &signature.encode()), Ok(()));
            assert!(verifier.remembered() <= 4);
        }
    }
}

#[test]
fn one_verifier_serves_many_threads() {
    let verifier = Verifier::new(10);
    let (message, signature) = signed(2);
    let bytes = signature.encode();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10).for_each(|_| verdict(&verifier, &message, &bytes).unwrap()));
        }
    });
}

#[test]
fn rings_that_cannot_be_signed_for_are_refused() {
    let members = secrets(3);
    let keys = publics(&members);
    let mut rng = rng();
    let message = [7; 32];
    let sign = |ring: &[PublicKey], rng: &mut StdRng| ring::sign(&message, ring, &members[0], rng).unwrap_err();
    assert_eq!(sign(&[], &mut rng), RingError::RingTooSmall { members: 0 });
    assert_eq!(sign(&keys[..1], &mut rng), RingError::RingTooSmall { members: 1 });
    assert_eq!(sign(&keys[1..], &mut rng), RingError::SignerNotInRing);
    let draw = |draws: &[[u8; 32]]| ring::sign_with_draws(&message, &keys, &members[0], draws).unwrap_err();
    assert_eq!(draw(&[[1; 32]; 2]), RingError::Draws { needed: 3, given: 2 });
    assert_eq!(draw(&[[0; 32]; 3]), RingError::ZeroNonce);
}

#[test]
fn key_images_are_equal_exactly_for_one_signer() {
    let secrets = secrets(3);
    let keys = publics(&secrets);
    let mut rng = rng();
    let mut image = |message: u8, ring: &[PublicKey], signer: usize| {
        ring::sign(&[message; 32], ring, &secrets[signer], &mut rng).unwrap().key_image()
    };
    assert_eq!(image(1, &keys, 0), image(2, &keys[..2], 0));
    assert_ne!(image(1, &keys, 0), image(1, &keys, 1));
}

/// With one nonce under two challenges anybody solves for the secret: `x = (s' - s) / (c - c')`.
fn secret_of(one: &Signature, two: &Signature) -> Option<Scalar> {
    let scalar = |bytes: &[u8], at: usize| {
        let bytes: [u8; 32] = bytes[at..at + 32].try_into().unwrap();
        <Scalar as Reduce<k256::FieldBytes>>::reduce(&bytes.into())
    };
    let (one, two) = (one.encode(), two.encode());
    // The signer is member 0, whose challenge is c0.
    let difference: Option<Scalar> = (scalar(&one, 4) - scalar(&two, 4)).invert().into();
    Some((scalar(&two, RESPONSE_AT) - scalar(&one, RESPONSE_AT)) * difference?)
}

#[test]
fn a_source_of_randomness_that_repeats_reveals_nothing() {
    let secrets = secrets(3);
    let keys = publics(&secrets);
    let secret = &secrets[0];
    let is_secret = |scalar: Scalar| hex::encode(scalar.to_bytes()) == *secret.to_hex_secret();

    let draws = [[9; 32], [8; 32], [7; 32]];
    let with_draws = |message| ring::sign_with_draws(&message, &keys[..2], secret, &draws).unwrap();
    let solved = secret_of(&with_draws([1; 32]), &with_draws([2; 32])).unwrap();
    assert!(is_secret(solved), "the attack works on signatures that do share a nonce");

    let seed = rng().next_u64();
    let with_seed =
        |message, ring: &[PublicKey]| ring::sign(&message, ring, secret, &mut StdRng::seed_from_u64(seed)).unwrap();
    let base = with_seed([1; 32], &keys[..2]);
    assert_eq!(base, with_seed([1; 32], &keys[..2]));
    assert!(!is_secret(secret_of(&base, &with_seed([2; 32], &keys[..2])).unwrap()), "another message");
    assert!(!is_secret(secret_of(&base, &with_seed([1; 32], &keys)).unwrap()), "another ring");
}

#[test]
fn debug_output_holds_no_signature_and_no_secret() {
    let (_, signature) = signed(2);
    assert_eq!(format!("{signature:?}"), "Signature { members: 2, .. }");
    let signer = Signer::new(secrets(1).remove(0), 4).unwrap();
    assert!(format!("{signer:?}").starts_with("Signer { public_key: PublicKey(0"));
}
