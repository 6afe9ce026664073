//! The transform modulo the 50-bit prime: tfhe-ntt, which is used, beside concrete-ntt, its predecessor.

use criterion::{Criterion, criterion_group, criterion_main};
use tiresias_keys::parameters::N2048_Q50;

fn ntt(c: &mut Criterion) {
    let (n, q) = (N2048_Q50.polynomial_size(), N2048_Q50.primes()[0]);
    let ours = tfhe_ntt::prime64::Plan::try_new(n, q).expect("the prime has the roots");
    let old = concrete_ntt::prime64::Plan::try_new(n, q).expect("the prime has the roots");
    let input: Vec<u64> = (0..n as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % q).collect();
    let mut group = c.benchmark_group("ntt N=2048 q=2^50");
    let mut values = input.clone();
    group.bench_function("tfhe-ntt forward", |b| b.iter(|| ours.fwd(&mut values)));
    group.bench_function("tfhe-ntt inverse", |b| b.iter(|| ours.inv(&mut values)));
    let mut values = input.clone();
    group.bench_function("concrete-ntt forward", |b| b.iter(|| old.fwd(&mut values)));
    group.bench_function("concrete-ntt inverse", |b| b.iter(|| old.inv(&mut values)));
    let mut sum = vec![0; n];
    group.bench_function("tfhe-ntt multiply-add", |b| {
        b.iter(|| ours.mul_accumulate(&mut sum, &input, &input))
    });
    group.finish();
}

criterion_group!(benches, ntt);
criterion_main!(benches);
