//! The trie against its definition, written down naively, and the decoder against hostile bytes.

use std::{collections::BTreeMap, convert::Infallible};

use proptest::prelude::*;

use super::*;

/// Leaves by path: value and weight. The order of a map by path is the order of the tree.
type Leaves = BTreeMap<Path, (Vec<u8>, u64)>;

/// The root by its recursive definition (6.4).
fn naive_root(leaves: &[(&Path, &(Vec<u8>, u64))], depth: u16) -> Digest {
    match leaves {
        [] => PLACEHOLDER,
        [(path, (value, weight))] => Digest { hash: leaf_hash(path, value, *weight), sum: *weight, count: 1 },
        _ => {
            let (left, right) = leaves.split_at(leaves.partition_point(|(path, _)| !bit(path, depth)));
            inner(naive_root(left, depth + 1), naive_root(right, depth + 1))
        }
    }
}

/// The closest proof by its definition (6.5), without sibling data.
fn naive_proof(leaves: &Leaves, path: Path) -> Proof {
    let all: Vec<_> = leaves.iter().collect();
    let (mut members, mut wanted, mut depth) = (all.as_slice(), path, 0);
    let (mut flipped_bits, mut side) = (Vec::new(), Vec::new());
    while members.len() > 1 {
        let (left, right) = members.split_at(members.partition_point(|(path, _)| !bit(path, depth)));
        let (on_path, other) = if bit(&wanted, depth) { (right, left) } else { (left, right) };
        if on_path.is_empty() {
            flipped_bits.push(depth);
            flip(&mut wanted, depth);
            side.push(PLACEHOLDER);
            members = other;
        } else {
            side.push(naive_root(other, depth + 1));
            members = on_path;
        }
        depth += 1;
    }
    let (closest, (value, weight)) = members[0];
    Proof {
        path,
        flipped_bits,
        depth,
        closest_path: closest.to_vec(),
        leaf_data: [value.as_slice(), &weight.to_be_bytes(), &1_u64.to_be_bytes()].concat(),
        side_nodes: side.iter().rev().map(|digest| digest.to_bytes().to_vec()).collect(),
        non_membership_leaf_data: None,
        sibling_data: None,
    }
}

/// Paths that often share long prefixes: one path with bits inverted here and there, or any.
fn paths() -> impl Strategy<Value = Path> {
    let near = (0_u8..3, prop::collection::vec(0_u16..PATH_BITS, 0..4)).prop_map(|(fill, bits)| {
        let mut path = [fill; 32];
        for at in bits {
            flip(&mut path, at);
        }
        path
    });
    prop_oneof![near, any::<Path>()]
}

fn leaves() -> impl Strategy<Value = Vec<(Path, Vec<u8>, u64)>> {
    let weight = prop_oneof![0_u64..1000, Just(u64::MAX), any::<u64>()];
    prop::collection::vec((paths(), prop::collection::vec(any::<u8>(), 0..40), weight), 0..60)
}

fn packed(path: &Path, value: &[u8], weight: u64) -> PackedLeaf {
    PackedLeaf { path: *path, leaf_hash: leaf_hash(path, value, weight), weight }
}

fn insert(trie: &mut Trie, path: &Path, value: &[u8], weight: u64) -> Option<u64> {
    trie.insert_packed(*path, leaf_hash(path, value, weight), weight)
}

fn prove(trie: &mut Trie, leaves: &Leaves, path: Path, sibling_data: SiblingData) -> Proof {
    let value_of = |path: &Path| Ok::<_, Infallible>(leaves[path].0.clone());
    trie.prove(path, value_of, sibling_data).expect("every value is at hand")
}

proptest! {
    #[test]
    fn root_is_that_of_the_definition_after_every_insert(inserts in leaves()) {
        let (mut trie, mut reference) = (Trie::new(), Leaves::new());
        for (at, (path, value, weight)) in inserts.iter().enumerate() {
            let replaced = insert(&mut trie, path, value, *weight);
            let before = reference.insert(*path, (value.clone(), *weight)).map(|(_, weight)| weight);
            prop_assert_eq!(replaced, before);
            prop_assert_eq!(trie.len(), reference.len());
            prop_assert_eq!(trie.sum(), reference.values().fold(0, |sum: u64, (_, weight)| sum.wrapping_add(*weight)));
            if at % 3 == 0 {
                // Not each time, so that several inserts soil the trie together.
                let root = naive_root(&reference.iter().collect::<Vec<_>>(), 0).root();
                prop_assert_eq!(trie.root(), root);
            }
        }
        prop_assert_eq!(trie.root(), naive_root(&reference.iter().collect::<Vec<_>>(), 0).root());
    }

    #[test]
    fn order_of_insertion_does_not_matter(
        (inserts, shuffled) in leaves().prop_map(|inserts| {
            // The last of several leaves with one path counts, so only distinct paths may change places.
            let distinct: Leaves = inserts.into_iter().map(|(path, value, weight)| (path, (value, weight))).collect();
            distinct.into_iter().collect::<Vec<_>>()
        }).prop_flat_map(|inserts| (Just(inserts.clone()), Just(inserts).prop_shuffle())),
    ) {
        let (mut one, mut other) = (Trie::new(), Trie::new());
        for (path, (value, weight)) in &inserts {
            insert(&mut one, path, value, *weight);
        }
        for (path, (value, weight)) in &shuffled {
            insert(&mut other, path, value, *weight);
        }
        prop_assert_eq!(one.root(), other.root());
    }

    #[test]
    fn bulk_load_and_inserts_make_the_same_trie(inserts in leaves(), more in leaves(), sort in any::<bool>()) {
        let mut log: Vec<_> = inserts.iter().map(|(path, value, weight)| packed(path, value, *weight)).collect();
        if sort {
            log.sort_by_key(|leaf| leaf.path); // stable: among equals the last stays last
        }
        let mut bulk = Trie::from_sorted(log);
        let mut incremental = Trie::new();
        for (path, value, weight) in &inserts {
            insert(&mut incremental, path, value, *weight);
        }
        prop_assert_eq!(bulk.root(), incremental.root());
        prop_assert_eq!((bulk.len(), bulk.sum()), (incremental.len(), incremental.sum()));
        for (path, value, weight) in &more {
            prop_assert_eq!(insert(&mut bulk, path, value, *weight), insert(&mut incremental, path, value, *weight));
        }
        prop_assert_eq!(bulk.root(), incremental.root());
    }

    #[test]
    fn inserting_together_is_inserting_one_by_one(inserts in leaves(), more in leaves()) {
        let (mut together, mut alone) = (Trie::new(), Trie::new());
        for inserts in [inserts, more] {
            let batch: Vec<_> = inserts.iter().map(|(path, value, weight)| packed(path, value, *weight)).collect();
            let (mut told, mut expected) = (Vec::new(), Vec::new());
            together.insert_all(&batch, |leaf, weight| told.push((*leaf, weight)));
            for leaf in &batch {
                let replaced = alone.insert_packed(leaf.path, leaf.leaf_hash, leaf.weight);
                expected.extend(replaced.map(|weight| (*leaf, weight)));
            }
            prop_assert_eq!(told, expected);
            prop_assert_eq!(together.root(), alone.root());
        }
    }

    #[test]
    fn proofs_are_those_of_the_definition_and_verify(inserts in leaves(), queries in prop::collection::vec(paths(), 1..8)) {
        let (mut trie, mut reference) = (Trie::new(), Leaves::new());
        for (path, value, weight) in &inserts {
            insert(&mut trie, path, value, *weight);
            reference.insert(*path, (value.clone(), *weight));
        }
        let present = reference.keys().step_by(5).copied().collect::<Vec<_>>();
        for path in queries.into_iter().chain(present).filter(|_| !reference.is_empty()) {
            let expected = naive_proof(&reference, path);
            let closest = trie.closest(path).expect("there are leaves");
            let bare = prove(&mut trie, &reference, path, SiblingData::Omit);
            prop_assert_eq!(&bare, &expected);
            prop_assert_eq!(closest.path.as_slice(), expected.closest_path.as_slice());
            prop_assert!(trie.contains(&closest.path));
            prop_assert_eq!(trie.contains(&path), reference.contains_key(&path));

            let full = prove(&mut trie, &reference, path, SiblingData::Include);
            prop_assert_eq!(full.sibling_data.is_some(), !full.side_nodes.is_empty());
            let (value, weight) = &reference[&closest.path];
            // The chain takes a leaf of no bytes and no weight for an absent one.
            let provable = !(value.is_empty() && *weight == 0);
            for proof in [bare, full] {
                prop_assert_eq!(verify(trie.root(), &proof), Ok(provable));
                prop_assert_eq!(proof.leaf_value(), Ok((value.as_slice(), *weight, 1)));
                let gob = proof.compact().to_gob();
                let decoded = CompactProof::from_gob(&gob).expect("our own gob");
                prop_assert_eq!(&decoded, &proof.compact());
                prop_assert_eq!(decoded.decompact().expect("an honest proof"), proof);
            }
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_or_the_judge_panic(gob in prop::collection::vec(any::<u8>(), 0..600)) {
        judge(&gob);
    }

    #[test]
    fn no_mutation_of_a_proof_makes_the_decoder_or_the_judge_panic(
        inserts in leaves(),
        path in paths(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..6),
    ) {
        let (mut trie, mut reference) = (Trie::new(), Leaves::new());
        for (path, value, weight) in &inserts {
            insert(&mut trie, path, value, *weight);
            reference.insert(*path, (value.clone(), *weight));
        }
        let mut gob = prove(&mut trie, &reference, path, SiblingData::Include).compact().to_gob();
        for (at, byte, edit) in edits {
            if gob.is_empty() {
                break;
            }
            let at = at.index(gob.len());
            match edit {
                0 => gob[at] = byte,
                1 => gob.insert(at, byte),
                2 => drop(gob.remove(at)),
                _ => gob.truncate(at),
            }
        }
        judge(&gob);
    }

    #[test]
    fn any_compact_proof_survives_its_gob(
        path in prop::collection::vec(any::<u8>(), 0..40),
        flipped_bits in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3), 0..5),
        leaf_data in prop::collection::vec(any::<u8>(), 0..300),
        num_side_nodes in any::<i64>(),
        side_nodes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..5),
        sibling_data in prop::option::of(prop::collection::vec(any::<u8>(), 1..200)),
        with_branch in any::<bool>(),
    ) {
        let branch = CompactBranch { side_nodes, num_side_nodes, sibling_data, ..CompactBranch::default() };
        let branch = with_branch.then_some(branch);
        let proof = CompactProof { path, flipped_bits, leaf_data, branch, ..CompactProof::default() };
        prop_assert_eq!(CompactProof::from_gob(&proof.to_gob()), Ok(proof));
    }
}

/// Goes the whole way that the chain goes with a proof somebody sent.
fn judge(gob: &[u8]) {
    if let Ok(proof) = CompactProof::from_gob(gob).and_then(|compact| compact.decompact()) {
        let _ = proof.leaf_value();
        let _ = verify(Root::EMPTY, &proof);
        let _ = proof.compact();
    }
}

/// Three leaves under distinct keys.
fn small() -> (Trie, Leaves) {
    let (mut trie, mut leaves) = (Trie::new(), Leaves::new());
    for name in ["a", "b", "c"] {
        trie.insert(name.as_bytes(), name.as_bytes(), 7);
        leaves.insert(path_of(name.as_bytes()), (name.as_bytes().to_vec(), 7));
    }
    (trie, leaves)
}

#[test]
fn other_bytes_than_those_inserted_are_not_proved() {
    let (mut trie, _) = small();
    let path = path_of(b"a");
    let refused = trie.prove(path, |_| Ok::<_, Infallible>(b"forged".to_vec()), SiblingData::Omit);
    assert_eq!(refused, Err(ProveError::Mismatch { path }));
}

#[test]
fn missing_bytes_are_reported_with_the_path_that_lacks_them() {
    let (mut trie, leaves) = small();
    let path = path_of(b"b");
    assert_eq!(trie.prove(path, |_| Err("gone"), SiblingData::Omit), Err(ProveError::Value { path, source: "gone" }));

    // The sibling's bytes are asked for only if they are to be shown. Of three leaves two lie side by side.
    let shown = leaves.keys().find_map(|&path| {
        let data = prove(&mut trie, &leaves, path, SiblingData::Include).sibling_data?;
        let beside = *data.strip_prefix(&[LEAF])?.first_chunk::<32>()?;
        Some((path, beside))
    });
    let (path, beside) = shown.expect("two leaves side by side");
    let without = |asked: &Path| if *asked == beside { Err("gone") } else { Ok(leaves[asked].0.clone()) };
    let refused = Err(ProveError::Value { path: beside, source: "gone" });
    assert_eq!(trie.prove(path, without, SiblingData::Include), refused);
    assert!(trie.prove(path, without, SiblingData::Omit).is_ok());
}

#[test]
fn root_has_48_bytes_or_is_refused() {
    let (mut trie, _) = small();
    let root = trie.root();
    assert_eq!(Root::from_bytes(root.as_ref()), Ok(root));
    assert_eq!((root.sum(), root.count()), (21, 3));
    assert_eq!(Root::from_bytes(&root.as_ref()[..47]), Err(RootError { length: 47 }));
    assert_eq!(Trie::new().root(), Root::EMPTY);
}

#[test]
fn asking_twice_hashes_nothing_and_changes_nothing() {
    let (mut trie, leaves) = small();
    let root = trie.root();
    let copy = trie.clone();
    assert_eq!(trie.root(), root);
    prove(&mut trie, &leaves, path_of(b"x"), SiblingData::Include);
    assert_eq!(trie.root(), copy.clone().root());
    assert_eq!(trie.closest(path_of(b"a")).map(|leaf| leaf.path), Some(path_of(b"a")));
}

#[test]
fn leaf_costs_less_than_its_budget() {
    let mut trie = Trie::new();
    for leaves in 1..=300_000_u64 {
        trie.insert(&leaves.to_be_bytes(), b"", 1);
        if leaves % 50_000 == 0 {
            let per_leaf = trie.bytes() as u64 / leaves;
            assert!(per_leaf <= 128, "{per_leaf} bytes per leaf at {leaves} leaves");
        }
    }
}

#[test]
fn large_trie_is_that_of_its_definition() {
    // Past the size from which slots are handed out by path.
    let (mut trie, mut reference) = (Trie::with_capacity(180_000), Leaves::new());
    for index in 0..200_000_u64 {
        let key = (index % 180_000).to_be_bytes();
        trie.insert(&key, &index.to_be_bytes(), index);
        reference.insert(path_of(&key), (index.to_be_bytes().to_vec(), index));
    }
    let all: Vec<_> = reference.iter().collect();
    assert_eq!(trie.root(), naive_root(&all, 0).root());
    let path = path_of(b"anything");
    assert_eq!(prove(&mut trie, &reference, path, SiblingData::Omit), naive_proof(&reference, path));
    let sorted = all.iter().map(|(path, (value, weight))| packed(path, value, *weight));
    assert_eq!(Trie::from_sorted(sorted).root(), trie.root());
}

/// A stream of one type definition per line and a value message.
fn stream(messages: &[&[u8]]) -> Vec<u8> {
    messages.iter().flat_map(|message| [&[u8::try_from(message.len()).expect("short")], *message].concat()).collect()
}

#[test]
fn gob_of_types_within_types_is_refused_before_the_stack_ends() {
    // struct T { Path []byte; F T }, and a value that nests without end.
    let definition =
        b"\xff\x81\x03\x01\x01\x01T\x01\xff\x82\x00\x01\x02\x01\x04Path\x01\x0a\x00\x01\x01F\x01\xff\x82\x00\x00\x00";
    let mut gob = stream(&[definition]);
    let nested = [[0xff, 0x82].as_slice(), &vec![2; 100_000]].concat();
    gob.extend([0xfd, 0x01, 0x86, 0xa2]); // length 100,002
    gob.extend(nested);
    assert_eq!(CompactProof::from_gob(&gob), Err(ProofError::GobDecode(GobError::TooDeep)));
}

#[test]
fn gob_of_endless_empty_values_is_refused() {
    // struct T { Path []byte; M map[U]U } with struct U {}, and a map of 2^56 entries at the end of the message.
    let outer =
        b"\xff\x81\x03\x01\x01\x01T\x01\xff\x82\x00\x01\x02\x01\x04Path\x01\x0a\x00\x01\x01M\x01\xff\x84\x00\x00\x00";
    let map = b"\xff\x83\x04\x01\x01\x01M\x01\xff\x84\x00\x01\xff\x86\x01\xff\x86\x00\x00";
    let empty = b"\xff\x85\x03\x01\x01\x01U\x01\xff\x86\x00\x00\x00";
    let value = b"\xff\x82\x02\xf8\x01\x00\x00\x00\x00\x00\x00\x00";
    let gob = stream(&[outer, map, empty, value]);
    assert_eq!(CompactProof::from_gob(&gob), Err(ProofError::GobDecode(GobError::TooManyValues)));
}

#[test]
fn gob_lengths_beyond_the_data_allocate_nothing() {
    let honest = Proof::of_nothing([7; 32]).compact().to_gob();
    let definitions = honest.len() - 97; // length byte and value
    for count in [b"\xf8\x7f\xff\xff\xff\xff\xff\xff\xff".as_slice(), b"\xfc\xff\xff\xff\xff"] {
        let value = [b"\xff\x80\x02".as_slice(), count].concat(); // FlippedBits of so many
        let gob = [&honest[..definitions], &stream(&[&value])].concat();
        assert!(matches!(CompactProof::from_gob(&gob), Err(ProofError::GobDecode(GobError::Length(_)))), "{count:?}");
    }
}

#[test]
fn gob_definition_of_several_kinds_is_used_where_it_fits() {
    // The definition of the closest proof ends where an empty map definition follows: Go still takes it for a struct.
    let mut gob = Proof::of_nothing([7; 32]).compact().to_gob();
    let end_of_first_definition = 136;
    assert_eq!(std::mem::replace(&mut gob[end_of_first_definition], 1), 0);
    assert_eq!(CompactProof::from_gob(&gob), Ok(Proof::of_nothing([7; 32]).compact()));
}

#[test]
fn gob_fields_in_absurd_numbers_are_refused() {
    // struct T of 5,000 fields without name: a field may be as short as its end.
    let head = b"\xff\x81\x03\x01\x01\x01T\x01\xff\x82\x00\x01\xfe\x13\x88";
    let definition = [head.as_slice(), &vec![0; 5_002]].concat();
    let length = u16::try_from(definition.len()).expect("small").to_be_bytes();
    let gob = [[0xfe, length[0], length[1]].as_slice(), &definition].concat();
    assert_eq!(CompactProof::from_gob(&gob), Err(ProofError::GobDecode(GobError::TooManyFields)));
}
