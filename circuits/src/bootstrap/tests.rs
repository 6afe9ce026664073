use tiresias_keys::{
    BootstrapParameters, Parameters,
    bootstrap_parameters::{
        INSECURE_N64_N256_Q50, INSECURE_N64_N256_Q50_G2, INSECURE_N64_N256_Q50_L2,
        INSECURE_N64_N256_Q50_L2_G2,
    },
};
use tiresias_secret_key::LongLivedKey;

use super::*;

const INSECURE: [&BootstrapParameters; 4] = [
    &INSECURE_N64_N256_Q50,
    &INSECURE_N64_N256_Q50_G2,
    &INSECURE_N64_N256_Q50_L2,
    &INSECURE_N64_N256_Q50_L2_G2,
];

/// A table with `slots` steps over half the circle: value i * q / (2 * slots), with half a slot on either side.
fn steps(parameters: &Parameters, slots: usize) -> Table {
    let (n, q) = (parameters.polynomial_size(), parameters.primes()[0] as i64);
    let width = n / slots;
    Table::new(parameters, |position| {
        let slot = (position + width / 2) / width;
        if slot == slots { 0 } else { slot as i64 * (q / (2 * slots as i64)) }
    })
}

/// body - sum of mask_i * S_i, in [0, q).
pub(crate) fn phase(key: &LongLivedKey, lwe: &LweCiphertext) -> u64 {
    let q = u128::from(key.parameters().glwe().primes()[0]);
    let bits = key.glwe().export();
    let bit = |index: usize| u128::from(bits[index / 8] >> (index % 8) & 1);
    let sum: u128 = lwe.mask().iter().enumerate().map(|(index, &a)| u128::from(a) * bit(index)).sum();
    ((u128::from(lwe.body()) + q - sum % q) % q) as u64
}

#[test]
fn a_bootstrap_gives_the_tables_value_under_the_same_key() {
    for parameters in INSECURE {
        let glwe = parameters.glwe();
        let q = glwe.primes()[0];
        let key = LongLivedKey::generate(parameters).unwrap();
        let prepared = PreparedKey::new(&key.evaluation_key().unwrap());
        let slots = 4_i64;
        let table = steps(glwe, slots as usize);
        let inputs: Vec<_> = (0..2 * slots as u64)
            .map(|slot| LweCiphertext::trivial(glwe, slot * (q / (2 * slots as u64))))
            .collect();
        let jobs: Vec<_> = inputs.iter().map(|input| (input, &table)).collect();
        let fresh = prepared.bootstrap(&jobs, 1);
        let again: Vec<_> = fresh.iter().map(|input| (input, &table)).collect();
        let twice = prepared.bootstrap(&again, 2);
        // At slot + slots the table's value is negated.
        let lookup = |slot: i64| if slot < slots { slot } else { slots - slot };
        let step = q as i64 / (2 * slots);
        for (slot, (once, twice)) in (0..).zip(fresh.iter().zip(&twice)) {
            let first = lookup(slot);
            for (output, expected) in [(once, first), (twice, lookup(first.rem_euclid(2 * slots)))] {
                let error = (phase(&key, output) as i64 - expected * step).rem_euclid(q as i64);
                let error = error.min(q as i64 - error);
                assert!(error < step / 4, "{}, slot {slot}, error {error}", parameters.name());
            }
        }
    }
}

#[test]
fn every_kernel_of_this_processor_gives_the_same_bytes() {
    for parameters in INSECURE {
        let glwe = parameters.glwe();
        let key = LongLivedKey::generate(parameters).unwrap();
        let evaluation_key = key.evaluation_key().unwrap();
        let table = steps(glwe, 8);
        // Full-range residues: a mask of the key is as good as any.
        let residues =
            |row| tiresias_keys::EvaluationKey::rotation_mask(parameters, evaluation_key.seed(), row);
        let inputs: Vec<_> =
            (0..BATCH + 3).map(|row| LweCiphertext::extract(glwe, &residues(row), row as u64, row)).collect();
        let jobs: Vec<_> = inputs.iter().map(|input| (input, &table)).collect();
        let outputs = Kernel::all().into_iter().map(|kernel| {
            (kernel.name(), PreparedKey::with_kernel(&evaluation_key, kernel).bootstrap(&jobs, 2))
        });
        let outputs: Vec<_> = outputs.collect();
        for (name, output) in &outputs {
            assert!(*output == outputs[0].1, "{}, {name}", parameters.name());
        }
    }
}
