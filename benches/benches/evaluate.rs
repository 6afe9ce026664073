//! The gateway's work for one request, one thread: `circuits::evaluate`, and the codec around it.
//!
//! The floor for 512 features and 14 classes, `flooded`, N = 2048, 2 ciphertexts, 2 groups, with tfhe-ntt on AVX-512 IFMA:
//!
//! | part | count | us each | us |
//! |---|---|---|---|
//! | mask bytes by AES-256-CTR, 16 KiB | 3 | 4 | 12 |
//! | forward transforms: a and b per ciphertext, a', b', and u per group | 8 | 2.8 | 22 |
//! | products: two of weights per ciphertext and group, two of u per group | 12 | 0.6 | 7 |
//! | inverse transforms: mask and body per group | 4 | 2.8 | 11 |
//! | randomness by AES-256-CTR, 6 KiB per group | 2 | 2 | 4 |
//!
//! Together 56 us, before a single coefficient is sampled, added or switched.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tiresias_benches::Fixture;
use tiresias_circuits::Privacy;
use tiresias_keys::{Digest, EncryptedFeatures, xof::SecretSeed};

fn evaluate(c: &mut Criterion) {
    let mut group = c.benchmark_group("evaluate");
    for (features, classes, privacy) in [
        (512, 14, Privacy::Flooded),
        (512, 14, Privacy::Statistical),
        (512, 14, Privacy::OpenWeights),
        (30, 2, Privacy::Flooded),
        (768, 14, Privacy::Flooded),
        (2048, 14, Privacy::Flooded),
        (2048, 14, Privacy::Statistical),
        (6000, 14, Privacy::Statistical),
        (512, 100, Privacy::Flooded),
    ] {
        let fixture = Fixture::new(features, classes, privacy);
        let request = fixture.encrypt(&fixture.key());
        let (digest, seed) = (Digest::of(b"bench"), SecretSeed::from_bytes([2; 32]));
        group.bench_function(format!("{features}x{classes} {}", privacy.name()), |b| {
            b.iter(|| fixture.head.evaluate(black_box(&request), digest, &seed, 0));
        });
    }
    group.finish();
}

fn codec(c: &mut Criterion) {
    let fixture = Fixture::new(512, 14, Privacy::Flooded);
    let plan = fixture.head.plan();
    let request = fixture.encrypt(&fixture.key());
    let bytes = request.to_bytes(&fixture.request_shape);
    let response = fixture
        .head
        .evaluate(&request, Digest::of(b"bench"), &SecretSeed::from_bytes([2; 32]), 0)
        .expect("a good request");
    let mut group = c.benchmark_group("codec 512x14 flooded");
    group.bench_function("decode request", |b| {
        b.iter(|| EncryptedFeatures::from_bytes(black_box(&bytes), &fixture.request_shape, fixture.config()));
    });
    group.bench_function("encode response", |b| {
        b.iter(|| black_box(&response).to_bytes(&plan.response_shape()));
    });
    group.finish();
}

criterion_group!(benches, evaluate, codec);
criterion_main!(benches);
