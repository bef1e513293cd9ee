use pocket_crypto::{
    keys::{KeyError, PublicKey, SecretKey},
    mnemonic,
};
use proptest::{collection::vec, prelude::*};

use crate::seed::{check, rng};

const APP1: &str = "2d00ef074d9b51e46886dc9a1df11e7b986611d0f336bdcf1f0adce3e037ec0a";
const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
const PHRASE: &str = "march able alter lift icon horror mother defy dignity turn reform next";

#[test]
fn hexadecimal_secrets_are_read_as_operators_write_them() {
    let expected = SecretKey::from_hex(APP1).unwrap().public_key();
    for text in [format!("0x{APP1}"), format!(" {APP1}\n"), APP1.to_uppercase(), format!("0x {APP1} ")] {
        assert_eq!(SecretKey::from_hex(&text).unwrap().public_key(), expected);
    }
}

#[test]
fn what_is_not_a_secret_is_refused_without_being_repeated() {
    let long = format!("{APP1}00");
    for text in ["", "0x", &APP1[2..], &long, &APP1.replace('0', "g"), "0x0x00"] {
        let error = SecretKey::from_hex(text).unwrap_err();
        assert_eq!(error, KeyError::Hex);
        assert!(!error.to_string().contains("2d00") && !format!("{error:?}").contains("2d00"));
    }
    for text in [&"0".repeat(64), ORDER, &"f".repeat(64)] {
        assert_eq!(SecretKey::from_hex(text).unwrap_err(), KeyError::OutOfRange);
    }
    assert!(SecretKey::from_hex(&ORDER.replace("4141", "4140")).is_ok());
    assert_eq!(SecretKey::from_bytes(&[0; 32]).unwrap_err(), KeyError::OutOfRange);
}

#[test]
fn a_secret_shows_nothing_of_itself() {
    let key = SecretKey::from_hex(APP1).unwrap();
    assert_eq!(format!("{key:?} {key:#?}"), "SecretKey(..) SecretKey(..)");
    assert_eq!(key.to_hex_secret().as_str(), APP1);
}

#[test]
fn fresh_keys_differ_and_follow_their_source() {
    let mut rng = rng();
    let (one, two) = (SecretKey::random(&mut rng), SecretKey::random(&mut rng));
    assert_ne!(one.public_key(), two.public_key());
    assert_eq!(SecretKey::from_hex(&one.to_hex_secret()).unwrap().address(), one.address());
}

#[test]
fn any_bytes_get_a_verdict_as_public_key() {
    check(2_000, &vec(any::<u8>(), 0..70), |bytes| {
        if let Ok(key) = PublicKey::from_bytes(&bytes) {
            prop_assert_eq!(key.to_bytes().to_vec(), bytes);
        }
        Ok(())
    });
    assert_eq!(PublicKey::from_bytes(&[]), Err(KeyError::PublicKeyLength { length: 0 }));
    assert_eq!(PublicKey::from_bytes(&[2; 32]), Err(KeyError::PublicKeyLength { length: 32 }));
    assert_eq!(PublicKey::from_bytes(&[0; 33]), Err(KeyError::NotOnCurve));
    assert_eq!(PublicKey::from_bytes(&[4; 33]), Err(KeyError::NotOnCurve));
}

#[test]
fn phrases_and_paths_that_are_none_are_refused() {
    let derive = |phrase: &str, path: &str| SecretKey::from_mnemonic(phrase, path).map(|key| key.address());
    assert!(derive(PHRASE, mnemonic::DEFAULT_PATH).is_ok());
    assert!(matches!(derive("", mnemonic::DEFAULT_PATH), Err(KeyError::Mnemonic(_))));
    assert!(matches!(derive(&PHRASE.replace("next", "able"), mnemonic::DEFAULT_PATH), Err(KeyError::Mnemonic(_))));
    assert!(matches!(derive(&PHRASE.replace("next", "pocket"), mnemonic::DEFAULT_PATH), Err(KeyError::Mnemonic(_))));
    for path in ["", "44'/118'", "m/x", "m/4294967296", "m//0"] {
        assert_eq!(derive(PHRASE, path), Err(KeyError::Path), "{path}");
    }
    assert!(matches!(mnemonic::from_entropy(&[0; 15]), Err(KeyError::Mnemonic(_))));
}
