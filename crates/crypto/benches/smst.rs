//! What a leaf, a root and a proof cost: `cargo bench -p pocket-crypto --bench smst`.
//!
//! Budgets, on two cores of the reference class: insert 1.5 µs, root of a million leaves 0.6 s, proof 30 µs, 128 bytes
//! a leaf, a million packed leaves sorted and loaded in 1.5 s.
#![expect(clippy::unwrap_used, reason = "a benchmark stops on anything unexpected")]

use std::{convert::Infallible, hint::black_box};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pocket_crypto::smst::{CompactProof, PackedLeaf, Path, SiblingData, Trie, leaf_hash, path_of, verify};

const LEAVES: u64 = 1_000_000;

/// Bytes of a small JSON-RPC relay as the trie takes it.
const RELAY_BYTES: usize = 600;

fn key(index: u64) -> Path {
    path_of(&index.to_be_bytes()) // as good as a relay hash
}

fn value(index: u64) -> Vec<u8> {
    index.to_be_bytes().into_iter().cycle().take(RELAY_BYTES).collect()
}

fn grown() -> Trie {
    let mut trie = Trie::new();
    for index in 0..LEAVES {
        trie.insert(&key(index), &index.to_be_bytes(), 10);
    }
    trie
}

fn packed() -> Vec<PackedLeaf> {
    let leaf = |index: u64| {
        let path = path_of(&key(index));
        PackedLeaf { path, leaf_hash: leaf_hash(&path, &index.to_be_bytes(), 10), weight: 10 }
    };
    (0..LEAVES).map(leaf).collect()
}

fn growing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("trie of 1,000,000 leaves");
    group.sample_size(10);
    group.throughput(Throughput::Elements(LEAVES));
    let keys: Vec<_> = (0..LEAVES).map(key).collect();
    let relay = value(7);
    group.bench_function("insert all, relay bytes of 600", |bencher| {
        bencher.iter_with_large_drop(|| {
            let mut trie = Trie::new();
            for key in &keys {
                trie.insert(key, black_box(&relay), 10);
            }
            trie
        });
    });
    let leaves = packed();
    group.bench_function("insert all, leaf hashes known", |bencher| {
        bencher.iter_with_large_drop(|| {
            let mut trie = Trie::new();
            for leaf in &leaves {
                trie.insert_packed(leaf.path, leaf.leaf_hash, leaf.weight);
            }
            trie
        });
    });
    group.bench_function("insert all in batches of 256, leaf hashes known", |bencher| {
        bencher.iter_with_large_drop(|| {
            let mut trie = Trie::new();
            for batch in leaves.chunks(256) {
                trie.insert_all(batch, |_, _| unreachable!("every leaf has a path of its own"));
            }
            trie
        });
    });
    group.bench_function("sort and bulk load", |bencher| {
        bencher.iter_batched(
            || leaves.clone(),
            |mut leaves| {
                leaves.sort_by_key(|leaf| leaf.path);
                Trie::from_sorted(leaves)
            },
            BatchSize::PerIteration,
        );
    });
    let inserted = grown();
    let millibytes = inserted.bytes() as u64 * 1000 / LEAVES;
    println!("{}.{:03} bytes per leaf", millibytes / 1000, millibytes % 1000);
    group.bench_function("root, all inserted one by one", |bencher| {
        bencher.iter_batched(|| inserted.clone(), |mut trie| (trie.root(), trie), BatchSize::PerIteration);
    });
    let mut sorted = leaves.clone();
    sorted.sort_by_key(|leaf| leaf.path);
    let loaded = Trie::from_sorted(sorted);
    group.bench_function("root, bulk loaded", |bencher| {
        bencher.iter_batched(|| loaded.clone(), |mut trie| (trie.root(), trie), BatchSize::PerIteration);
    });
    group.finish();
}

fn proving(criterion: &mut Criterion) {
    let mut trie = grown();
    let root = trie.root();
    let values: std::collections::HashMap<Path, u64> = (0..LEAVES).map(|index| (path_of(&key(index)), index)).collect();
    let value_of = |path: &Path| Ok::<_, Infallible>(values[path].to_be_bytes().to_vec());
    let mut group = criterion.benchmark_group("proof in a trie of 1,000,000 leaves");
    let mut asked = 0_u64;
    group.bench_function("prove, compact and encode", |bencher| {
        bencher.iter(|| {
            asked += 1;
            trie.prove(key(asked), value_of, SiblingData::Omit).unwrap().compact().to_gob()
        });
    });
    group.bench_function("prove with sibling data, compact and encode", |bencher| {
        bencher.iter(|| {
            asked += 1;
            trie.prove(key(asked), value_of, SiblingData::Include).unwrap().compact().to_gob()
        });
    });
    let gob = trie.prove(key(1), value_of, SiblingData::Include).unwrap().compact().to_gob();
    group.bench_function("decode and verify", |bencher| {
        bencher.iter(|| {
            let proof = CompactProof::from_gob(black_box(&gob)).unwrap().decompact().unwrap();
            assert!(verify(root, &proof).unwrap());
        });
    });
    group.finish();
}

criterion_group!(benches, growing, proving);
criterion_main!(benches);
