//! The transform modulo the 50-bit prime: tfhe-ntt with its vector kernels, ours in plain Rust for processors that have
//! none of them, and concrete-ntt (AVX2), the predecessor of tfhe-ntt and the yardstick of ours.
//!
//! The floor of a transform in plain Rust: N/2 * log2(N) butterflies of three 64-bit products, one product a cycle:
//! 33,792 cycles, or 11 us at 3 GHz.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tiresias_keys::parameters::N2048_Q50;

/// The ring keeps this type to itself, so the bench compiles its source; the tests that come along do not run here.
#[allow(dead_code, unused_imports)]
#[path = "../../keys/src/ring/portable.rs"]
mod portable;

fn ntt(c: &mut Criterion) {
    let (n, q) = (N2048_Q50.polynomial_size(), N2048_Q50.primes()[0]);
    let ours = tfhe_ntt::prime64::Plan::try_new(n, q).expect("the prime has the roots");
    let portable = portable::Portable::new(n, q);
    let old = concrete_ntt::prime64::Plan::try_new(n, q).expect("the prime has the roots");
    let input: Vec<u64> = (0..n as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % q).collect();
    let mut group = c.benchmark_group("ntt N=2048 q=2^50");
    let mut values = input.clone();
    group.bench_function("tfhe-ntt forward", |b| b.iter(|| ours.fwd(black_box(&mut values))));
    group.bench_function("tfhe-ntt inverse", |b| b.iter(|| ours.inv(black_box(&mut values))));
    group.bench_function("tfhe-ntt normalize", |b| b.iter(|| ours.normalize(black_box(&mut values))));
    let mut values = input.clone();
    group.bench_function("portable forward", |b| b.iter(|| portable.forward(black_box(&mut values))));
    group.bench_function("portable inverse", |b| b.iter(|| portable.inverse(black_box(&mut values))));
    group.bench_function("portable normalize", |b| b.iter(|| portable.normalize(black_box(&mut values))));
    let mut values = input.clone();
    group.bench_function("concrete-ntt forward", |b| b.iter(|| old.fwd(black_box(&mut values))));
    group.bench_function("concrete-ntt inverse", |b| b.iter(|| old.inv(black_box(&mut values))));
    group.bench_function("concrete-ntt normalize", |b| b.iter(|| old.normalize(black_box(&mut values))));
    let mut sum = vec![0; n];
    group.bench_function("tfhe-ntt multiply-add", |b| {
        b.iter(|| ours.mul_accumulate(black_box(&mut sum), black_box(&input), black_box(&input)))
    });
    group.bench_function("portable multiply-add", |b| {
        b.iter(|| portable.multiply_add(black_box(&mut sum), black_box(&input), black_box(&input)))
    });
    group.bench_function("concrete-ntt multiply-add", |b| {
        b.iter(|| old.mul_accumulate(black_box(&mut sum), black_box(&input), black_box(&input)))
    });
    group.finish();
}

criterion_group!(benches, ntt);
criterion_main!(benches);
