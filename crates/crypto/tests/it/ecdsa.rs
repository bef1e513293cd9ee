use k256::{
    ProjectivePoint, Scalar, U256,
    elliptic_curve::{PrimeField, ops::Reduce, point::AffineCoordinates},
};
use pocket_crypto::{ecdsa::SignatureError, hash, keys::SecretKey};
use proptest::{array::uniform32, collection::vec, prelude::*};

use crate::seed::{check, rng};

const ORDER: U256 = U256::from_be_hex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");

#[test]
fn what_is_signed_verifies_and_nothing_else_does() {
    check(60, &(uniform32(1u8..), vec(any::<u8>(), 0..200)), |(secret, message)| {
        let key = SecretKey::from_secret(&secret);
        let signature = key.sign(&message);
        prop_assert_eq!(signature, key.sign(&message));
        prop_assert_eq!(signature, key.sign_digest(&hash::sha256(&message)));
        prop_assert_eq!(key.public_key().verify(&message, &signature), Ok(()));
        prop_assert_eq!(key.public_key().verify_digest(&hash::sha256(&message), &signature), Ok(()));

        let mut other = message.clone();
        other.push(0);
        prop_assert_eq!(key.public_key().verify(&other, &signature), Err(SignatureError::Mismatch));
        let stranger = SecretKey::from_secret(&signature);
        prop_assert_eq!(stranger.public_key().verify(&message, &signature), Err(SignatureError::Mismatch));
        Ok(())
    });
}

#[test]
fn any_flipped_bit_is_refused() {
    let key = SecretKey::random(&mut rng());
    let signature = key.sign(b"message");
    for bit in 0..signature.len() * 8 {
        let mut tampered = signature;
        tampered[bit / 8] ^= 1 << (bit % 8);
        assert!(key.public_key().verify(b"message", &tampered).is_err(), "bit {bit}");
    }
}

#[test]
fn the_other_form_of_a_signature_is_refused() {
    let key = SecretKey::random(&mut rng());
    let mut signature = key.sign(b"message");
    let s = U256::from_be_slice(&signature[32..]);
    signature[32..].copy_from_slice(&ORDER.wrapping_sub(&s).to_be_bytes());
    assert_eq!(key.public_key().verify(b"message", &signature), Err(SignatureError::HighS));
}

#[test]
fn any_bytes_get_a_verdict_as_signature() {
    let key = SecretKey::from_secret(b"key").public_key();
    check(200, &vec(any::<u8>(), 0..130), |signature| {
        prop_assert!(key.verify(b"message", &signature).is_err());
        Ok(())
    });
    for length in [0, 63, 65, 128] {
        assert_eq!(key.verify(b"message", &vec![1; length]), Err(SignatureError::Length { length }));
    }
    assert_eq!(key.verify(b"message", &[0; 64]), Err(SignatureError::Zero));
}

/// The chain reads scalars modulo the order. Nobody makes such a signature by accident, but somebody who may
/// choose the key for the signature can, and the chain would take it.
#[test]
fn scalars_not_below_the_order_are_reduced() {
    let digest = hash::sha256(b"message");
    let (nonce, s) = (Scalar::from(12_345u64), Scalar::from(5u64));
    let r = <Scalar as Reduce<k256::FieldBytes>>::reduce(&ProjectivePoint::mul_by_generator(&nonce).to_affine().x());
    let z = <Scalar as Reduce<k256::FieldBytes>>::reduce(&digest.into());
    let secret = (s * nonce - z) * r.invert().unwrap();
    let key = SecretKey::from_bytes(&secret.to_repr().into()).unwrap().public_key();

    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r.to_repr());
    signature[32..].copy_from_slice(&s.to_repr());
    assert_eq!(key.verify(b"message", &signature), Ok(()));
    signature[32..].copy_from_slice(&ORDER.wrapping_add(&U256::from_u64(5)).to_be_bytes());
    assert_eq!(key.verify(b"message", &signature), Ok(()));
}
