use std::collections::BTreeMap;

use pocket_crypto::address::{ADDRESS_BYTES_MAX, Address, AddressError};
use proptest::{collection::vec, prelude::*};

use crate::seed::check;

const APP1: &str = "pokt1mrqt5f7qh8uxs27cjm9t7v9e74a9vvdnq5jva4";

#[track_caller]
fn refused(text: &str) -> AddressError {
    text.parse::<Address>().unwrap_err()
}

#[test]
fn what_is_written_is_read_again() {
    check(500, &vec(any::<u8>(), 1..=ADDRESS_BYTES_MAX), |bytes| {
        let address = Address::from_slice(&bytes).unwrap();
        prop_assert_eq!(address.as_bytes(), &bytes);
        for text in [address.to_string(), address.as_str().to_uppercase()] {
            let parsed: Address = text.parse().unwrap();
            prop_assert_eq!(&parsed, &address);
            prop_assert_eq!(parsed.as_str(), address.as_str());
        }
        prop_assert_eq!(&Address::from_valoper(&address.to_valoper()).unwrap(), &address);
        prop_assert_eq!(&Address::from_valcons(&address.to_valcons()).unwrap(), &address);
        Ok(())
    });
}

#[test]
fn any_text_gets_a_verdict() {
    check(2_000, &".{0,80}", |text| {
        let _ = text.parse::<Address>();
        Ok(())
    });
    check(2_000, &"pokt1[qpzry9x8gf2tvdw0s3jn54khce6mua7l]{0,60}", |text| {
        let _ = text.parse::<Address>();
        Ok(())
    });
}

#[test]
fn one_wrong_character_is_always_noticed() {
    for position in 0..APP1.len() {
        for character in "023456789acdefghjklmnpqrstuvwxyz1bio".chars() {
            let mut text: Vec<char> = APP1.chars().collect();
            if text[position] == character {
                continue;
            }
            text[position] = character;
            let text: String = text.into_iter().collect();
            assert!(text.parse::<Address>().is_err(), "{text} was accepted");
        }
    }
}

#[test]
fn refusals_say_what_is_wrong() {
    assert_eq!(refused(""), AddressError::Empty);
    assert_eq!(refused(" \t"), AddressError::Empty);
    assert_eq!(refused("pokt1qq"), AddressError::TextLength { length: 7 });
    assert_eq!(refused(&"q".repeat(1024)), AddressError::TextLength { length: 1024 });
    assert_eq!(refused(&format!("{APP1}\n")), AddressError::Character { position: APP1.len() });
    assert_eq!(refused("pokt1mrqé5f7qh8"), AddressError::Character { position: 8 });
    assert_eq!(refused("pokt1mrqb5f7qh8uxs"), AddressError::Character { position: 8 });
    assert_eq!(refused("Pokt1mrqt5f7qh8"), AddressError::MixedCase);
    assert_eq!(refused("mrqt5f7qh8uxs"), AddressError::Separator);
    assert_eq!(refused("1mrqt5f7qh8uxs"), AddressError::Separator);
    let valoper = APP1.parse::<Address>().unwrap().to_valoper();
    let found = "poktvaloper".to_owned();
    assert_eq!(refused(&valoper), AddressError::Prefix { expected: "pokt", found });
    assert!(Address::from_valoper(APP1).is_err());
    assert!(Address::from_valcons(&valoper).is_err());
    assert_eq!(Address::from_slice(&[]), Err(AddressError::Length { length: 0 }));
    assert_eq!(Address::from_slice(&[7; 256]), Err(AddressError::Length { length: 256 }));
}

/// The checksum of an address without bytes is right, and the address still is none.
#[test]
fn an_address_without_bytes_is_refused() {
    let characters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let mut text = "pokt1".to_owned();
    let remainder = polymod(&[3, 3, 3, 3, 0, 16, 15, 11, 20, 0, 0, 0, 0, 0, 0]) ^ 1;
    for index in 0..6 {
        text.push(char::from(characters.as_bytes()[(remainder >> (5 * (5 - index)) & 31) as usize]));
    }
    assert_eq!(refused(&text), AddressError::Length { length: 0 });
}

/// BIP-173's own formulation of the checksum.
fn polymod(values: &[u32]) -> u32 {
    values.iter().fold(1, |checksum, value| {
        let top = checksum >> 25;
        let next = (checksum & 0x01ff_ffff) << 5 ^ value;
        [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3]
            .iter()
            .enumerate()
            .fold(next, |next, (bit, generator)| if top >> bit & 1 == 1 { next ^ generator } else { next })
    })
}

#[test]
fn addresses_sort_and_are_found_as_their_text() {
    let addresses: Vec<Address> = (0..50u8).map(|byte| Address::from_bytes([byte; 20])).collect();
    let mut by_text = addresses.clone();
    by_text.sort_by_key(Address::to_string);
    let mut sorted = addresses.clone();
    sorted.sort();
    assert_eq!(sorted, by_text);

    let map: BTreeMap<Address, usize> = addresses.iter().cloned().zip(0..).collect();
    assert_eq!(map.get(addresses[7].as_str()), Some(&7));
}
