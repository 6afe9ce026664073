//! Bootstraps whose every byte is fixed: uniform residues for keys and inputs, and the hashes of whole outputs.

use tiresias_circuits::bootstrap::{Kernel, LweCiphertext, PreparedKey, Table};
use tiresias_keys::{
    BootstrapParameters, Digest, EvaluationKey, Seed,
    bootstrap_parameters::{
        INSECURE_N64_N256_Q50, INSECURE_N64_N256_Q50_G2, INSECURE_N64_N256_Q50_L2,
        INSECURE_N64_N256_Q50_L2_G2,
    },
};

const EXPECTED: [(&BootstrapParameters, &str); 4] = [
    (&INSECURE_N64_N256_Q50, "8be2ec0a1b0c072bad0ba33af868025c69c54cbc7b643c62d961c59f6989a265"),
    (&INSECURE_N64_N256_Q50_G2, "0a79c62a174885bf96ef82ea93bed2852a9315001755eaffd86cb6e67aa6ec23"),
    (&INSECURE_N64_N256_Q50_L2, "b2eb9ce9b26e9fdc38d14ba5c6c91f7e9d85e68350e03439eee75022bdb22a31"),
    (&INSECURE_N64_N256_Q50_L2_G2, "b2889e8c098cb11d4601be02897e86d09f27c12dc7129cf5e092edecacd10618"),
];

/// Checks each kernel of this processor against the recorded hashes.
pub(crate) fn check() {
    for (parameters, expected) in EXPECTED {
        let seed = Seed::from_bytes([11; 32]);
        let rows = 0..parameters.rotation_rows();
        let bodies = rows.flat_map(|row| EvaluationKey::rotation_mask(parameters, &seed, row + 100_000));
        let words = (0..parameters.keyswitch_rows() as u32).map(|i| i.wrapping_mul(0x9e37_79b9));
        let key = EvaluationKey::new(parameters, seed, bodies.collect(), words.collect());
        let glwe = parameters.glwe();
        let table = Table::new(glwe, |position| (position as i64 - 100) << 40);
        let inputs: Vec<_> = (0..11)
            .map(|row| {
                let mask = EvaluationKey::rotation_mask(parameters, &seed, 200_000 + row);
                LweCiphertext::extract(glwe, &mask, mask[0], 20 * row)
            })
            .collect();
        let jobs: Vec<_> = inputs.iter().map(|input| (input, &table)).collect();
        for kernel in Kernel::all() {
            let outputs = PreparedKey::with_kernel(&key, kernel).bootstrap(&jobs, 2);
            let residues =
                outputs.iter().flat_map(|output| output.mask().iter().copied().chain([output.body()]));
            let bytes: Vec<u8> = residues.flat_map(u64::to_le_bytes).collect();
            assert_eq!(Digest::of(&bytes).to_string(), expected, "{}, {}", parameters.name(), kernel.name());
        }
    }
}
