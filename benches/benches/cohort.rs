//! Cohorts, 512 features and 14 classes, 2,048 patients a block, one thread: the sums by kernel, the gateway's whole work, the
//! clinic's, and the same scores in the clear.
//!
//! What a block costs at least, on the gateway: 512 * 14 * 2048 = 14.7 million multiply-adds of a 48-bit coefficient, each
//! three of 16 bits; 6.3 MB of bodies read once, by SHA-256 and by the sums; and for each class a transform of u, two back,
//! two products, 12 KiB of randomness, and the switch of 4,096 coefficients. The sums of masks come once a run.

use std::{
    hint::black_box,
    io::{Read as _, Write as _, pipe},
    thread,
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tiresias_benches::cohort::Fixture;
use tiresias_circuits::{Privacy, clear, cohort::Kernel, scores};
use tiresias_keys::{EncryptedCohort, xof::SecretSeed};
use tiresias_secret_key::danger;

const PATIENTS: usize = 2048;

fn gateway(c: &mut Criterion) {
    for (features, classes) in [(512, 14), (512, 2), (2048, 14)] {
        let mut group = c.benchmark_group(format!("cohort {features}x{classes}, {PATIENTS} patients"));
        group.throughput(Throughput::Elements(PATIENTS as u64)).sample_size(20);
        for privacy in [Privacy::Flooded, Privacy::OpenWeights] {
            let fixture = Fixture::new(features, classes, privacy);
            let block = fixture.block(PATIENTS);
            let seed = SecretSeed::from_bytes([2; 32]);
            for kernel in Kernel::all() {
                let head = fixture.head().with_kernel(kernel);
                let masks = head.mask_sums(block.run());
                group.bench_function(format!("evaluate, {}, {}", privacy.name(), kernel.name()), |b| {
                    b.iter(|| head.evaluate(black_box(&block), &masks, &seed));
                });
                if privacy == Privacy::Flooded {
                    group.bench_function(format!("mask sums, once a run, {}", kernel.name()), |b| {
                        b.iter(|| head.mask_sums(black_box(block.run())));
                    });
                }
            }
        }
        group.finish();
    }
}

fn around(c: &mut Criterion) {
    let fixture = Fixture::new(512, 14, Privacy::Flooded);
    let (plan, config) = (fixture.plan, *fixture.config());
    let block = fixture.block(PATIENTS);
    let (shape, answer_shape) = (plan.request_shape(), plan.response_shape(PATIENTS));
    let mut group = c.benchmark_group("cohort 512x14 flooded, around it");
    group.throughput(Throughput::Elements(PATIENTS as u64)).sample_size(20);
    let bytes = block.clone().into_bytes();
    group.bench_function("decode block, with its copy", |b| {
        b.iter(|| EncryptedCohort::from_bytes(black_box(&bytes).clone(), &shape, &config));
    });
    // What a device behind a worker process could not do without, whatever it computes.
    let (mut there, mut back) = (pipe().expect("a pipe"), pipe().expect("a pipe"));
    let (frame, answer_bytes) = (bytes.clone(), answer_shape.encoded_len());
    thread::spawn(move || {
        let (mut frame, answer) = (frame, vec![0; answer_bytes]);
        while there.0.read_exact(&mut frame).is_ok() && back.1.write_all(&answer).is_ok() {}
    });
    let mut answer = vec![0; answer_bytes];
    group.bench_function("a worker's pipes: the block there, the answer back", |b| {
        b.iter(|| there.1.write_all(black_box(&bytes)).and_then(|()| back.0.read_exact(&mut answer)));
    });
    let head = fixture.head();
    let masks = head.mask_sums(block.run());
    let answer = head.evaluate(&block, &masks, &SecretSeed::from_bytes([2; 32])).expect("a good block");
    group.bench_function("encode answer", |b| b.iter(|| black_box(&answer).to_bytes(&answer_shape)));
    group.bench_function("clinic: encrypt", |b| b.iter(|| fixture.block(black_box(PATIENTS))));
    let key = fixture.key();
    group.bench_function("clinic: decrypt", |b| {
        b.iter(|| {
            let phases = danger::decrypt_and_keep(&key, black_box(&answer), &answer_shape);
            phases.map(|phases| scores::decode_cohort(&plan, phases.as_slice()))
        });
    });
    let rows: Vec<Vec<i64>> = (0..PATIENTS).map(|patient| fixture.row(patient)).collect();
    group.bench_function("clear twin, plain loops", |b| {
        b.iter(|| rows.iter().map(|row| clear::scores(&fixture.quantized, row)).collect::<Vec<_>>());
    });
    group.finish();
}

criterion_group!(benches, gateway, around);
criterion_main!(benches);
