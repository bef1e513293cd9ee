//! keys.json: keys, phrases, addresses.

use pocket_crypto::{
    address::Address,
    keys::{PublicKey, SecretKey},
    mnemonic,
};

use crate::vectors_support::{Case, check_file};

#[test]
fn vectors_keys() {
    check_file(
        "keys.json",
        &[
            ("localnet_key", check_key),
            ("mnemonic", check_key),
            ("private_key", check_key),
            ("from_secret", check_key),
            ("module_account", check_module),
            ("parse_address", check_parse),
        ],
        &[],
    );
}

fn check_key(case: &Case) {
    let key = SecretKey::from_hex(case.text("private_key")).unwrap();
    check_derived(case, &key);
    assert_eq!(SecretKey::from_bytes(&case.array("private_key")).unwrap().public_key(), key.public_key());
    if case.has("mnemonic") {
        let key = SecretKey::from_mnemonic(case.text("mnemonic"), case.text("hd_path")).unwrap();
        check_derived(case, &key);
    }
    if case.has("entropy") {
        assert_eq!(mnemonic::from_entropy(&case.bytes("entropy")).unwrap().as_str(), case.text("mnemonic"));
    }
    if case.text("kind") == "from_secret" {
        check_derived(case, &SecretKey::from_secret(case.text("secret").as_bytes()));
    }
}

fn check_derived(case: &Case, key: &SecretKey) {
    assert_eq!(key.to_hex_secret().as_str(), case.text("private_key"));
    assert_eq!(key.public_key().to_bytes(), case.array("public_key"));
    assert_eq!(PublicKey::from_bytes(&case.bytes("public_key")).unwrap(), key.public_key());
    let address = key.address();
    assert_eq!(address.as_bytes(), case.bytes("address_bytes"));
    assert_eq!(address.as_str(), case.text("address"));
    assert_eq!(address.to_valoper(), case.text("valoper"));
    assert_eq!(address.to_valcons(), case.text("valcons_of_same_bytes"));
    assert_eq!(case.text("address").parse::<Address>().unwrap(), address);
    assert_eq!(Address::from_valoper(case.text("valoper")).unwrap(), address);
    assert_eq!(Address::from_valcons(case.text("valcons_of_same_bytes")).unwrap(), address);
}

fn check_module(case: &Case) {
    let address = Address::module(case.text("module"));
    assert_eq!(address.as_str(), case.text("address"));
    assert_eq!(address.as_bytes(), case.bytes("address_bytes"));
}

fn check_parse(case: &Case) {
    let parsed = case.text("input").parse::<Address>();
    if case.value("/go/ok").as_bool().unwrap() {
        let address = parsed.unwrap();
        assert_eq!(address.as_bytes(), case.bytes("address_bytes"));
        assert_eq!(address.as_str(), case.text("input").to_lowercase());
        assert_eq!(Address::from_slice(&case.bytes("address_bytes")).unwrap(), address);
    } else {
        parsed.unwrap_err();
    }
}
