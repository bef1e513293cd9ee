use pocket_crypto::hash;

/// FIPS 180-4, FIPS 202 and the RIPEMD authors' examples: in particular, SHA3 is not Keccak.
#[test]
fn digests_are_those_of_the_standards() {
    assert_eq!(hex::encode(hash::sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(hex::encode(hash::sha3_256(b"")), "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a");
    assert_eq!(
        hex::encode(hash::sha3_512(b"")),
        "a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859e0d1dcc1475c80a615b2123af1f5f94c11e3e9402c3ac558f500199d95b6d3e301758586281dcd26"
    );
    assert_eq!(hex::encode(hash::ripemd160(b"abc")), "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc");
    assert_eq!(hash::sha256_parts(&[b"a", b"", b"bc"]), hash::sha256(b"abc"));
}
