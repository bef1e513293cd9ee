//! The trie against `smst.json`, recorded from the chain's own Go code.

use std::collections::{BTreeMap, HashMap};

use pocket_crypto::smst::{
    CompactBranch, CompactProof, Path, Proof, ProofError, Root, SiblingData, Trie, leaf_hash, path_of, proof_path,
    verify,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const KINDS: [&str; 6] = ["root", "root_generated", "proof", "proof_path", "verify", "empty_trie_proof"];

/// One insert of a case.
#[derive(Clone)]
struct Insert {
    key: Vec<u8>,
    value: Vec<u8>,
    weight: u64,
}

fn cases() -> Vec<Value> {
    let folder = std::env::var("POCKET_VECTORS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../protocol/tests/vectors").to_owned());
    let path = format!("{folder}/smst.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("failed to read {path}: {error}"));
    let file: Value = serde_json::from_str(&text).expect("smst.json is JSON");
    file["cases"].as_array().expect("smst.json has cases").clone()
}

/// Runs `check` on every case of a kind.
fn each(kind: &str, check: impl Fn(&Value)) {
    let cases: Vec<_> = cases().into_iter().filter(|case| case["kind"] == kind).collect();
    assert!(!cases.is_empty(), "smst.json has no case of kind {kind}");
    for case in &cases {
        check(case);
    }
    println!("smst.json {kind}: {} cases", cases.len());
}

fn name(case: &Value) -> &str {
    case["name"].as_str().expect("a case has a name")
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("bytes are a string")).expect("bytes are hex")
}

fn optional_bytes(value: &Value) -> Option<Vec<u8>> {
    (!value.is_null()).then(|| bytes(value))
}

fn byte_strings(value: &Value) -> Vec<Vec<u8>> {
    value.as_array().expect("a list").iter().map(bytes).collect()
}

fn path(value: &Value) -> Path {
    bytes(value).try_into().expect("a path has 32 bytes")
}

/// Large integers are strings.
fn integer(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| value.as_str().and_then(|text| text.parse().ok()).expect("an integer"))
}

fn inserts(case: &Value) -> Vec<Insert> {
    let insert = |insert: &Value| Insert {
        key: bytes(&insert["key"]),
        value: bytes(&insert["value"]),
        weight: integer(&insert["weight"]),
    };
    case["inserts"].as_array().expect("inserts").iter().map(insert).collect()
}

/// The leaf generator that README.md of the vectors describes.
fn generate(seed: &[u8], leaves: u64) -> Vec<Insert> {
    let leaf = |index: u64| {
        let hash = |letter: &[u8]| Sha256::digest([seed, &index.to_be_bytes(), letter].concat());
        let length = usize::try_from(1 + index % 32).expect("small");
        let weight = u64::from_be_bytes(hash(b"w")[..8].try_into().expect("8 bytes"));
        Insert { key: hash(b"k").to_vec(), value: hash(b"v")[..length].to_vec(), weight: 1 + weight % 1000 }
    };
    (0..leaves).map(leaf).collect()
}

fn grow(inserts: &[Insert]) -> Trie {
    let mut trie = Trie::new();
    for Insert { key, value, weight } in inserts {
        trie.insert(key, value, *weight);
    }
    trie
}

fn check_root(case: &Value, trie: &mut Trie) {
    let root = trie.root();
    assert_eq!(hex::encode(root.to_bytes()), case["root"].as_str().expect("root"), "{}", name(case));
    assert_eq!(root.sum(), integer(&case["sum"]), "{}", name(case));
    assert_eq!(root.count(), integer(&case["count"]), "{}", name(case));
    assert_eq!(trie.sum(), root.sum(), "{}", name(case));
    assert_eq!(trie.len() as u64, root.count(), "{}", name(case));
}

fn compact_proof(proof: &Value) -> CompactProof {
    let compact = &proof["compact"];
    CompactProof {
        path: bytes(&proof["path"]),
        flipped_bits: byte_strings(&compact["flipped_bits"]),
        depth: bytes(&compact["depth"]),
        closest_path: bytes(&proof["closest_path"]),
        leaf_data: bytes(&proof["closest_value_hash"]),
        branch: Some(CompactBranch {
            side_nodes: byte_strings(&compact["side_nodes"]),
            non_membership_leaf_data: None,
            bit_mask: bytes(&compact["bit_mask"]),
            num_side_nodes: compact["num_side_nodes"].as_i64().expect("an integer"),
            sibling_data: optional_bytes(&proof["sibling_data"]),
        }),
    }
}

fn whole_proof(proof: &Value) -> Proof {
    let bits = proof["flipped_bits"].as_array().expect("a list");
    Proof {
        path: path(&proof["path"]),
        flipped_bits: bits.iter().map(|bit| u16::try_from(integer(bit)).expect("a bit")).collect(),
        depth: u16::try_from(integer(&proof["depth"])).expect("a depth"),
        closest_path: bytes(&proof["closest_path"]),
        leaf_data: bytes(&proof["closest_value_hash"]),
        side_nodes: byte_strings(&proof["side_nodes"]),
        non_membership_leaf_data: None,
        sibling_data: optional_bytes(&proof["sibling_data"]),
    }
}

/// The stage at which the chain refuses, or its verdict and the leaf's value.
fn judge(root: &[u8], gob: &[u8]) -> (String, Option<String>, Option<Vec<u8>>) {
    let stage = |error: &ProofError| {
        let stage = match error {
            ProofError::GobDecode(_) => "gob_decode",
            ProofError::Decompact(_) => "decompact",
            ProofError::Value(_) => "value",
            ProofError::Verify(_) => "verify",
        };
        Some(stage.to_owned())
    };
    let refused = |error: &ProofError, value| ("error".to_owned(), stage(error), value);
    let proof = match CompactProof::from_gob(gob).and_then(|compact| compact.decompact()) {
        Ok(proof) => proof,
        Err(error) => return refused(&error, None),
    };
    let value = match proof.leaf_value() {
        Ok((value, _, _)) => Some(value.to_vec()),
        Err(error) => return refused(&error, None),
    };
    match verify(root, &proof) {
        Ok(verdict) => (verdict.to_string(), None, value),
        Err(error) => refused(&error, value),
    }
}

fn check_verdict(case: &Value) {
    let go = &case["go"];
    let (result, stage, value) = judge(&bytes(&case["root"]), &bytes(&case["gob"]));
    let expected = go["result"].as_str().expect("a result").replace("malformed", "error");
    assert_eq!(result, expected, "{} (stage {stage:?})", name(case));
    assert_eq!(stage.as_deref(), go["stage"].as_str(), "{}", name(case));
    assert_eq!(value, go["value"].as_str().map(|_| bytes(&go["value"])), "{}", name(case));
}

#[test]
fn vectors_hold_no_unknown_kind() {
    for case in cases() {
        assert!(KINDS.iter().any(|kind| case["kind"] == *kind), "unknown kind {} in {}", case["kind"], name(&case));
    }
}

#[test]
fn vectors_roots_are_those_of_the_chain() {
    each("root", |case| check_root(case, &mut grow(&inserts(case))));
}

#[test]
fn vectors_generated_roots_are_those_of_the_chain() {
    each("root_generated", |case| {
        let mut leaves = generate(&bytes(&case["seed"]), integer(&case["leaves"]));
        if let Some(last) = case.get("last_leaf") {
            let ours = leaves.last().expect("a leaf");
            assert_eq!(ours.key, bytes(&last["key"]));
            assert_eq!(path_of(&ours.key), path(&last["path"]));
            assert_eq!(ours.value, bytes(&last["value"]));
            assert_eq!(ours.weight, integer(&last["weight"]));
        }
        if name(case) == "generated-100-overwritten" {
            for index in (0..=98).step_by(7) {
                leaves.push(Insert {
                    key: leaves[index].key.clone(),
                    value: vec![u8::try_from(index).expect("small")],
                    weight: 9,
                });
            }
        }
        check_root(case, &mut grow(&leaves));
    });
}

#[test]
fn vectors_proofs_are_byte_for_byte_those_of_the_chain() {
    let roots: BTreeMap<String, Vec<Insert>> = cases()
        .iter()
        .filter(|case| case["kind"] == "root")
        .map(|case| (name(case).to_owned(), inserts(case)))
        .collect();
    each("proof", |case| {
        let leaves = match case["trie"]["inserts_of"].as_str() {
            Some(of) => roots[of].clone(),
            None => generate(&bytes(&case["trie"]["seed"]), integer(&case["trie"]["leaves"])),
        };
        let mut trie = grow(&leaves);
        assert_eq!(trie.root(), Root::from_bytes(&bytes(&case["root"])).expect("48 bytes"), "{}", name(case));

        let values: HashMap<Path, &Insert> = leaves.iter().map(|leaf| (path_of(&leaf.key), leaf)).collect();
        let value_of = |path: &Path| Ok::<_, std::convert::Infallible>(values[path].value.clone());
        let expected = whole_proof(&case["proof"]);
        let proof = trie.prove(expected.path, value_of, SiblingData::Include).expect("values are at hand");
        assert_eq!(proof, expected, "{}", name(case));
        assert_eq!(proof.compact(), compact_proof(&case["proof"]), "{}", name(case));
        assert_eq!(hex::encode(proof.compact().to_gob()), case["gob"].as_str().expect("gob"), "{}", name(case));

        let decoded = CompactProof::from_gob(&bytes(&case["gob"])).expect("the chain's own gob");
        assert_eq!(decoded, proof.compact(), "{}", name(case));
        assert_eq!(decoded.decompact().expect("an honest proof"), proof, "{}", name(case));

        let closest = trie.closest(expected.path).expect("a leaf");
        let (value, weight, count) = proof.leaf_value().expect("an honest proof");
        assert_eq!(closest.path.as_slice(), expected.closest_path, "{}", name(case));
        assert_eq!((closest.weight, closest.depth, 1), (weight, expected.depth, count), "{}", name(case));
        assert_eq!(closest.leaf_hash, leaf_hash(&closest.path, value, weight), "{}", name(case));

        let verdict = case["verify"].as_bool().expect("a verdict");
        assert_eq!(verify(trie.root(), &proof), Ok(verdict), "{}", name(case));
        let bare = trie.prove(expected.path, value_of, SiblingData::Omit).expect("values are at hand");
        assert_eq!(bare.sibling_data, None);
        assert_eq!(verify(trie.root(), &bare), Ok(verdict), "{} without sibling data", name(case));
    });
}

#[test]
fn vectors_proof_paths_are_those_of_the_chain() {
    each("proof_path", |case| {
        let session_id = case["session_id"].as_str().expect("a session id");
        assert_eq!(proof_path(&bytes(&case["block_hash"]), session_id), path(&case["path"]), "{}", name(case));
    });
}

#[test]
fn vectors_verdicts_are_those_of_the_chain() {
    each("verify", check_verdict);
}

#[test]
fn vectors_empty_trie_proof_is_that_of_the_chain() {
    each("empty_trie_proof", |case| {
        let unasked = |_: &Path| Err::<Vec<u8>, _>("an empty trie has no leaf to ask for");
        let proof =
            Trie::new().prove(path(&case["path"]), unasked, SiblingData::Include).expect("no leaf is asked for");
        assert_eq!(hex::encode(proof.compact().to_gob()), case["gob"].as_str().expect("gob"));
        assert_eq!(Trie::new().root().as_bytes().as_slice(), bytes(&case["root"]));
        check_verdict(case);
    });
}
