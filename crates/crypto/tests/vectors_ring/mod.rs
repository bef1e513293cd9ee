//! ring.json: ring signatures and what they are made of.

use std::sync::Mutex;

use pocket_crypto::{
    hash,
    keys::{PublicKey, SecretKey},
    ring::{self, Signature, Verifier},
};
use serde_json::Value;

use crate::vectors_support::{Case, check_file};

/// Ring keys remembered: more than any recorded ring has.
const KEYS_MAX: usize = 10_000;

/// A message, the bytes of a signature that could be read, and whether it verifies.
type Verdict = ([u8; 32], Vec<u8>, bool);

/// Every verdict so far.
static READ: Mutex<Vec<Verdict>> = Mutex::new(Vec::new());

#[test]
fn vectors_ring() {
    check_file(
        "ring.json",
        &[
            ("placeholder", check_placeholder),
            ("hash_to_curve", check_hash_to_curve),
            ("hash_to_scalar", check_hash_to_scalar),
            ("sign", check_sign),
            ("verify", check_verify),
        ],
        &["relay_request"],
    );
    // Together and three times over, so that forgeries meet the tables that good signatures of the same keys have left.
    let warm = Verifier::new(KEYS_MAX);
    for _ in 0..3 {
        for (message, bytes, expected) in &*READ.lock().unwrap() {
            let signature = warm.decode(bytes, usize::MAX).unwrap();
            assert_eq!(warm.verify(message, &signature).is_ok(), *expected, "among others: {}", hex::encode(bytes));
        }
    }
    assert!(warm.table_bytes() > 0, "nothing was verified with tables");
}

fn check_placeholder(case: &Case) {
    let key = ring::placeholder_secret_key();
    assert_eq!(case.text("secret"), ring::PLACEHOLDER_SECRET);
    assert_eq!(key.to_hex_secret().as_str(), case.text("private_key"));
    assert_eq!(key.public_key().to_bytes(), ring::PLACEHOLDER_PUBLIC_KEY);
    assert_eq!(ring::PLACEHOLDER_PUBLIC_KEY, case.array("public_key"));
    assert_eq!(ring::PLACEHOLDER_ADDRESS, case.text("address_string"));
    assert_eq!(hex::encode_upper(key.address().as_bytes()), ring::PLACEHOLDER_ADDRESS);
}

fn check_hash_to_curve(case: &Case) {
    let key = PublicKey::from_bytes(&case.bytes("public_key")).unwrap();
    let point = ring::hash_to_curve(&key).unwrap().to_bytes();
    assert_eq!(point, case.array("point"));

    let tries = case.value("/tries").as_u64().unwrap();
    let digest = (0..tries).fold(key.to_bytes().to_vec(), |input, _| hash::sha3_256(&input).to_vec());
    assert_eq!(digest, point[1..], "x is not the digest number {tries}");
}

fn check_hash_to_scalar(case: &Case) {
    let input = case.bytes("input");
    let scalar = ring::hash_to_scalar(&input);
    assert_eq!(hash::sha3_512(&input), case.array("sha3_512"));
    assert_eq!(scalar, case.array("scalar"));
    assert_eq!(scalar != case.array("reduced"), case.value("/left_aligned_quirk").as_bool().unwrap());
}

fn check_sign(case: &Case) {
    let message = case.array("message");
    let members: Vec<PublicKey> =
        case.arrays::<33>("ring").iter().map(|key| PublicKey::from_bytes(key).unwrap()).collect();
    let secret = SecretKey::from_hex(case.text("private_key")).unwrap();
    let signer_index = usize::try_from(case.value("/signer_index").as_u64().unwrap()).unwrap();
    assert_eq!(members[signer_index], secret.public_key());

    let hashes: Vec<[u8; 33]> = members.iter().map(|key| ring::hash_to_curve(key).unwrap().to_bytes()).collect();
    assert_eq!(hashes, case.arrays::<33>("hash_to_curve"));

    let signature = ring::sign_with_draws(&message, &members, &secret, &case.arrays("random_draws")).unwrap();
    assert_eq!(signature.encode(), case.bytes("signature"));
    assert_eq!(signature.key_image(), case.array("key_image"));
    assert_eq!(ring::Signer::new(secret, 4).unwrap().key_image(), case.array("key_image"));

    let challenges = ring::challenges(&message, &signature).unwrap();
    assert_eq!(challenges, case.arrays::<32>("challenges_next"));
    let quirk = challenges != case.arrays::<32>("reduced_challenges_next");
    assert_eq!(quirk, case.value("/left_aligned_quirk").as_bool().unwrap());

    verify_everywhere(&message, &case.bytes("signature"), true);
}

fn check_verify(case: &Case) {
    let bytes = case.bytes("signature");
    let message = case.array("message");
    let decoded = Signature::decode(&bytes);
    let go_verify = case.value("/go/verify");
    // Go reads an empty ring and panics on it: no verdict, so refusing to read it is right.
    if case.value("/go/deserialize") != "ok" || go_verify == "malformed" {
        decoded.unwrap_err();
        Verifier::new(8).decode(&bytes, usize::MAX).unwrap_err();
        return;
    }
    let signature = decoded.unwrap();
    let canonical = match case.value("/go/reserialized") {
        Value::String(text) => hex::decode(text).unwrap(),
        _ => bytes.clone(),
    };
    assert_eq!(signature.encode(), canonical);
    let members = u32::from_be_bytes(bytes[..4].try_into().unwrap());
    assert_eq!(signature.public_keys().len(), members as usize);
    verify_everywhere(&message, &bytes, go_verify.as_bool().unwrap());
}

/// The verdict is the same with nothing remembered, on first sight, on second sight, and with tables.
fn verify_everywhere(message: &[u8; 32], bytes: &[u8], expected: bool) {
    let signature = Signature::decode(bytes).unwrap();
    assert_eq!(ring::verify(message, &signature).is_ok(), expected, "without memory");
    let fresh = Verifier::new(KEYS_MAX);
    // A success builds the tables of two keys at most; then one more sight uses them all.
    let sights = 4 + signature.public_keys().len();
    for sight in 1..=sights {
        let signature = fresh.decode(bytes, usize::MAX).unwrap();
        assert_eq!(fresh.verify(message, &signature).is_ok(), expected, "sight {sight} of {sights}");
    }
    assert_eq!(fresh.remembered() > 0, expected, "what is remembered must have verified");
    assert_eq!(fresh.table_bytes() > 0, expected, "tables are built after two successes, and only then");
    READ.lock().unwrap().push((*message, bytes.to_vec(), expected));
}
