//! The clinic's work for one request: a fresh key, encryption, decryption.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tiresias_benches::Fixture;
use tiresias_circuits::Privacy;
use tiresias_keys::{Digest, xof::SecretSeed};
use tiresias_secret_key::danger;

fn clinic(c: &mut Criterion) {
    let fixture = Fixture::new(512, 14, Privacy::Flooded);
    let plan = fixture.head.plan();
    let key = fixture.key();
    let request = fixture.encrypt(&key);
    let response = fixture
        .head
        .evaluate(&request, Digest::of(b"bench"), &SecretSeed::from_bytes([2; 32]), 0)
        .expect("a good request");
    let mut group = c.benchmark_group("clinic 512x14 flooded");
    group.bench_function("generate key", |b| b.iter(|| fixture.key()));
    group.bench_function("encrypt", |b| b.iter(|| fixture.encrypt(black_box(&key))));
    group.bench_function("encode request", |b| {
        b.iter(|| black_box(&request).to_bytes(&fixture.request_shape))
    });
    group.bench_function("decrypt", |b| {
        b.iter(|| danger::decrypt_and_keep(&key, black_box(&response), &plan.response_shape()));
    });
    group.finish();
}

criterion_group!(benches, clinic);
criterion_main!(benches);
