//! What a ring signature and an ECDSA signature cost: `cargo bench -p pocket-crypto`.
#![expect(clippy::unwrap_used, reason = "a benchmark stops on anything unexpected")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use pocket_crypto::{
    hash,
    keys::{PublicKey, SecretKey},
    ring::{self, Signature, Signer, Verifier},
};
use rand::{SeedableRng, rngs::StdRng};

fn members(count: usize) -> (Vec<SecretKey>, Vec<PublicKey>) {
    let secrets: Vec<_> = (0..count).map(|index| SecretKey::from_secret(&index.to_be_bytes())).collect();
    let keys = secrets.iter().map(SecretKey::public_key).collect();
    (secrets, keys)
}

fn verification(criterion: &mut Criterion) {
    let message = hash::sha256(b"message");
    for size in [2, 4, 8] {
        let (secrets, keys) = members(size);
        let bytes = ring::sign(&message, &keys, &secrets[0], &mut StdRng::seed_from_u64(1)).unwrap().encode();
        let mut group = criterion.benchmark_group(format!("ring of {size}"));
        group.bench_function("decode and verify, first seen", |bencher| {
            bencher.iter(|| ring::verify(&message, &Signature::decode(black_box(&bytes)).unwrap()).unwrap());
        });
        let mut warm = |name: &str, verifier: &Verifier| {
            group.bench_function(name, |bencher| {
                bencher.iter(|| verifier.verify(&message, &verifier.decode(black_box(&bytes), size).unwrap()).unwrap());
            });
        };
        warm("decode and verify, points known", &Verifier::with_table_bytes(64, 0));
        warm("decode and verify, tables", &Verifier::new(64));
        // Less "points known", this is what the tables of a ring of two cost, or as many of a bigger ring's.
        group.bench_function("decode and verify, building five tables", |bencher| {
            let known = || {
                let verifier = Verifier::new(64);
                verifier.verify(&message, &verifier.decode(&bytes, size).unwrap()).unwrap();
                verifier
            };
            let build = |verifier: Verifier| {
                verifier.verify(&message, &verifier.decode(black_box(&bytes), size).unwrap()).unwrap();
                verifier
            };
            bencher.iter_batched(known, build, BatchSize::SmallInput);
        });
        group.finish();
    }
}

fn signing(criterion: &mut Criterion) {
    let message = hash::sha256(b"message");
    let (secrets, keys) = members(2);
    let mut rng = StdRng::seed_from_u64(1);
    let mut group = criterion.benchmark_group("sign");
    group.bench_function("ring of 2, first seen", |bencher| {
        bencher.iter(|| ring::sign(black_box(&message), &keys, &secrets[0], &mut rng).unwrap());
    });
    let signer = Signer::new(secrets[0].clone(), 16).unwrap();
    group.bench_function("ring of 2, points known", |bencher| {
        bencher.iter(|| signer.sign(black_box(&message), &keys, &mut rng).unwrap());
    });
    group.bench_function("ecdsa", |bencher| bencher.iter(|| secrets[0].sign(black_box(&message))));
    let signature = secrets[0].sign(&message);
    group.bench_function("ecdsa, verify", |bencher| {
        bencher.iter(|| keys[0].verify(black_box(&message), &signature).unwrap());
    });
    group.finish();
}

criterion_group!(benches, verification, signing);
criterion_main!(benches);
