//! `cargo run --release`, on a machine with a GPU and the CUDA toolkit: batches of keyswitches and bootstraps by tfhe's CUDA backend,
//! beside which `gpu-conformance` of this repository is to be read.
//!
//! Parameters are tfhe's for 2 + 2 bits at N = 2048: the classic set (n = 918, one level of base 2^23) and the multi-bit one
//! (n = 920, four key bits a step). Ciphertexts are on the device before the clock starts and stay there; ours travel.
//! Results are decrypted and compared.

use std::time::Instant;

use tfhe::core_crypto::{
    gpu::{
        CudaStreams, cuda_keyswitch_lwe_ciphertext, cuda_multi_bit_programmable_bootstrap_lwe_ciphertext,
        cuda_programmable_bootstrap_lwe_ciphertext,
        glwe_ciphertext_list::CudaGlweCiphertextList,
        is_cuda_available,
        lwe_bootstrap_key::{CudaLweBootstrapKey, CudaModulusSwitchNoiseReductionConfiguration},
        lwe_ciphertext_list::CudaLweCiphertextList,
        lwe_keyswitch_key::CudaLweKeyswitchKey,
        lwe_multi_bit_bootstrap_key::CudaLweMultiBitBootstrapKey,
        vec::{CudaVec, GpuIndex},
    },
    prelude::*,
};

const N: PolynomialSize = PolynomialSize(2048);
const BATCHES: [usize; 5] = [64, 256, 1024, 4096, 16_384];
const ROUNDS: usize = 5;
const DELTA: u64 = 1 << 59;

enum Key {
    Classic(CudaLweBootstrapKey),
    MultiBit(CudaLweMultiBitBootstrapKey<u64>),
}

fn main() {
    if !is_cuda_available() {
        println!("there is no CUDA device");
        return;
    }
    let modulus = CiphertextModulus::<u64>::new_native();
    let mut seeder = new_seeder();
    let seeder = seeder.as_mut();
    let mut secrets = SecretRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed());
    let mut encryption = EncryptionRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed(), seeder);
    let streams = CudaStreams::new_single_gpu(GpuIndex::new(0));
    let (glwe_noise, lwe_noise) =
        (DynamicDistribution::new_t_uniform(17), DynamicDistribution::new_t_uniform(45));
    let glwe = allocate_and_generate_new_binary_glwe_secret_key(GlweDimension(1), N, &mut secrets);
    let large = glwe.clone().into_lwe_secret_key();

    for is_classic in [true, false] {
        let (n, keyswitch, rotation) =
            if is_classic { (918, (4, 4), (23, 1)) } else { (920, (3, 5), (22, 1)) };
        let small = allocate_and_generate_new_binary_lwe_secret_key(LweDimension(n), &mut secrets);
        let keyswitch_key = allocate_and_generate_new_lwe_keyswitch_key(
            &large,
            &small,
            DecompositionBaseLog(keyswitch.0),
            DecompositionLevelCount(keyswitch.1),
            lwe_noise,
            modulus,
            &mut encryption,
        );
        let keyswitch_key = CudaLweKeyswitchKey::from_lwe_keyswitch_key(&keyswitch_key, &streams);
        let (base_log, levels) = (DecompositionBaseLog(rotation.0), DecompositionLevelCount(rotation.1));
        let (size, dimension) = (GlweDimension(1).to_glwe_size(), LweDimension(n));
        let key = if is_classic {
            let mut key = LweBootstrapKey::new(0, size, N, base_log, levels, dimension, modulus);
            par_generate_lwe_bootstrap_key(&small, &glwe, &mut key, glwe_noise, &mut encryption);
            let centred = Some(CudaModulusSwitchNoiseReductionConfiguration::Centered);
            Key::Classic(CudaLweBootstrapKey::from_lwe_bootstrap_key(&key, centred, &streams))
        } else {
            let group = LweBskGroupingFactor(4);
            let mut key =
                LweMultiBitBootstrapKey::new(0, size, N, base_log, levels, dimension, group, modulus);
            par_generate_lwe_multi_bit_bootstrap_key(&small, &glwe, &mut key, glwe_noise, &mut encryption);
            Key::MultiBit(CudaLweMultiBitBootstrapKey::from_lwe_multi_bit_bootstrap_key(&key, &streams))
        };
        println!("{}", if is_classic { "classic" } else { "multi-bit" });

        let function = |x: u64| (x * 3 + 1) % 16;
        let table = generate_programmable_bootstrap_glwe_lut(N, size, 16, modulus, DELTA, function);
        let table = CudaGlweCiphertextList::from_glwe_ciphertext(&table, &streams);
        for count in BATCHES {
            let mut inputs = LweCiphertextList::new(
                0,
                LweDimension(N.0).to_lwe_size(),
                LweCiphertextCount(count),
                modulus,
            );
            let plain =
                PlaintextList::from_container((0..count as u64).map(|i| i % 16 * DELTA).collect::<Vec<_>>());
            par_encrypt_lwe_ciphertext_list(&large, &mut inputs, &plain, glwe_noise, &mut encryption);
            let inputs = CudaLweCiphertextList::from_lwe_ciphertext_list(&inputs, &streams);
            let new = |dimension| {
                CudaLweCiphertextList::new(dimension, LweCiphertextCount(count), modulus, &streams)
            };
            let (mut switched, mut results) = (new(dimension), new(LweDimension(N.0)));
            let on_device = |values: Vec<u64>| {
                let mut vector = CudaVec::<u64>::new(count, &streams, 0);
                // SAFETY: both have `count` values, and the streams are synchronized before either is used or dropped.
                unsafe { vector.copy_from_cpu_async(&values, &streams, 0) };
                streams.synchronize();
                vector
            };
            let (places, zeros) = (on_device((0..count as u64).collect()), on_device(vec![0; count]));
            let mut seconds: Vec<f64> = (0..ROUNDS)
                .map(|_| {
                    let started = Instant::now();
                    cuda_keyswitch_lwe_ciphertext(
                        &keyswitch_key,
                        &inputs,
                        &mut switched,
                        &places,
                        &places,
                        true,
                        &streams,
                        true,
                    );
                    match &key {
                        Key::Classic(key) => cuda_programmable_bootstrap_lwe_ciphertext(
                            &switched,
                            &mut results,
                            &table,
                            &zeros,
                            &places,
                            &places,
                            key,
                            &streams,
                        ),
                        Key::MultiBit(key) => cuda_multi_bit_programmable_bootstrap_lwe_ciphertext(
                            &switched,
                            &mut results,
                            &table,
                            &zeros,
                            &places,
                            &places,
                            key,
                            &streams,
                        ),
                    }
                    streams.synchronize();
                    started.elapsed().as_secs_f64()
                })
                .collect();
            let results = results.to_lwe_ciphertext_list(&streams);
            let wrong = results.iter().enumerate().filter(|(i, result)| {
                let phase = decrypt_lwe_ciphertext(&large, result).0;
                phase.wrapping_add(DELTA / 2) / DELTA % 32 != function(*i as u64 % 16)
            });
            let wrong = wrong.count();
            seconds.sort_by(f64::total_cmp);
            let typical = seconds[ROUNDS / 2];
            println!("  {count:6}: {:8.2} ms {:8.0}/s, {wrong} wrong", typical * 1e3, count as f64 / typical);
        }
    }
}
