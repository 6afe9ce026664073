//! `cargo run --release --bin bootstrap`: a layer of 64 keyswitches and bootstraps on one core: ours against 64 single calls of tfhe's FFT path, in interleaved
//! rounds of one run.
//!
//! tfhe's side is its `V1_8_PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128`: n = 918, N = 2048, one level of base 2^23,
//! keyswitch with 4 levels of base 2^4, with the centred modulus switch; and the same with two levels of base 2^15.
//!
//! Floor of one of our bootstraps (one level, two key bits a step): 459 steps of 2 forward and 2 inverse transforms of 2.8 us,
//! so 5.1 ms, and 459 * 2048 * 16 products, at 16 a cycle (a product is two instructions) 0.4 ms.

use std::{hint::black_box, time::Instant};

use tfhe::core_crypto::prelude::{LweCiphertext as TfheLwe, *};
use tiresias_benches::stats::{Ratio, median};
use tiresias_circuits::bootstrap::{Kernel, LweCiphertext, PreparedKey, Table};
use tiresias_keys::{BootstrapParameters, EvaluationKey};
use tiresias_secret_key::LongLivedKey;

const LAYER: usize = 64;

/// Seconds of one layer.
type Layer<'a> = (String, Box<dyn Fn() -> f64 + 'a>);

fn main() {
    let rounds = if std::env::args().any(|argument| argument == "--test") { 1 } else { 5 };
    let mut layers: Vec<Layer<'_>> = Vec::new();
    for (name, base_log, levels) in [("tfhe, 1 level", 23, 1), ("tfhe, 2 levels", 15, 2)] {
        let run = tfhe_layer(DecompositionBaseLog(base_log), DecompositionLevelCount(levels));
        layers.push((name.to_owned(), Box::new(run)));
    }
    for parameters in BootstrapParameters::ALL {
        layers.push((parameters.name().to_owned(), Box::new(our_layer(parameters))));
    }
    let mut seconds: Vec<Vec<f64>> = layers.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((_, layer), seconds) in layers.iter().zip(&mut seconds) {
            seconds.push(layer());
        }
    }
    let mut table = comfy_table::Table::new();
    table.set_header([
        "one core",
        "ms a bootstrap",
        "ms a layer of 64",
        "to tfhe, 1 level",
        "to tfhe, 2 levels",
    ]);
    for ((name, _), series) in layers.iter().zip(&seconds) {
        table.add_row([
            name.clone(),
            format!("{:.1}", median(series) * 1e3 / LAYER as f64),
            format!("{:.0}", median(series) * 1e3),
            Ratio::new(series, &seconds[0]).to_string(),
            Ratio::new(series, &seconds[1]).to_string(),
        ]);
    }
    #[expect(clippy::print_stdout, reason = "a bench prints its figures")]
    {
        println!("kernel: {}, {rounds} rounds\n{table}", Kernel::detect().name());
    }
}

fn our_layer(parameters: &'static BootstrapParameters) -> impl Fn() -> f64 {
    let glwe = parameters.glwe();
    let key = LongLivedKey::generate(parameters).expect("entropy");
    let key = key.evaluation_key().expect("entropy");
    let prepared = PreparedKey::new(&key);
    let residues = |row| EvaluationKey::rotation_mask(parameters, key.seed(), row);
    let inputs: Vec<_> = (0..LAYER).map(|row| LweCiphertext::extract(glwe, &residues(row), 0, row)).collect();
    let table = Table::new(glwe, |position| (position as i64 / 128) << 44);
    move || {
        let jobs: Vec<_> = inputs.iter().map(|input| (input, &table)).collect();
        let start = Instant::now();
        black_box(prepared.bootstrap(&jobs, 1));
        start.elapsed().as_secs_f64()
    }
}

fn tfhe_layer(base_log: DecompositionBaseLog, levels: DecompositionLevelCount) -> impl Fn() -> f64 {
    let modulus = CiphertextModulus::<u64>::new_native();
    let (glwe_noise, lwe_noise) =
        (DynamicDistribution::new_t_uniform(17), DynamicDistribution::new_t_uniform(45));
    let mut seeder = new_seeder();
    let seeder = seeder.as_mut();
    let mut secrets = SecretRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed());
    let mut encryption = EncryptionRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed(), seeder);
    let small: LweSecretKeyOwned<u64> =
        allocate_and_generate_new_binary_lwe_secret_key(LweDimension(918), &mut secrets);
    let glwe: GlweSecretKeyOwned<u64> = allocate_and_generate_new_binary_glwe_secret_key(
        GlweDimension(1),
        PolynomialSize(2048),
        &mut secrets,
    );
    let big = glwe.clone().into_lwe_secret_key();
    let ksk = allocate_and_generate_new_lwe_keyswitch_key(
        &big,
        &small,
        DecompositionBaseLog(4),
        DecompositionLevelCount(4),
        lwe_noise,
        modulus,
        &mut encryption,
    );
    let bsk = par_allocate_and_generate_new_lwe_bootstrap_key(
        &small,
        &glwe,
        base_log,
        levels,
        glwe_noise,
        modulus,
        &mut encryption,
    );
    let mut fourier = FourierLweBootstrapKey::new(
        bsk.input_lwe_dimension(),
        bsk.glwe_size(),
        bsk.polynomial_size(),
        bsk.decomposition_base_log(),
        bsk.decomposition_level_count(),
    );
    par_convert_standard_lwe_bootstrap_key_to_fourier(&bsk, &mut fourier);
    let inputs: Vec<LweCiphertextOwned<u64>> = (0..LAYER as u64)
        .map(|i| {
            allocate_and_encrypt_new_lwe_ciphertext(
                &big,
                Plaintext(i << 57),
                glwe_noise,
                modulus,
                &mut encryption,
            )
        })
        .collect();
    let table = GlweCiphertext::new(0, bsk.glwe_size(), bsk.polynomial_size(), modulus);
    move || {
        let fft = Fft::new(PolynomialSize(2048));
        let fft = fft.as_view();
        let mut buffers = ComputationBuffers::new();
        buffers.resize(
            programmable_bootstrap_lwe_ciphertext_mem_optimized_requirement::<u64>(
                GlweSize(2),
                PolynomialSize(2048),
                fft,
            )
            .unaligned_bytes_required(),
        );
        let mut switched = TfheLwe::new(0_u64, LweSize(919), modulus);
        let mut output = TfheLwe::new(0_u64, LweSize(2049), modulus);
        let start = Instant::now();
        for input in &inputs {
            keyswitch_lwe_ciphertext(&ksk, input, &mut switched);
            let positions = lwe_ciphertext_centered_binary_modulus_switch::<u64, usize, _>(
                switched.as_view(),
                CiphertextModulusLog(12),
            );
            let mut accumulator = table.clone();
            blind_rotate_assign_mem_optimized(&positions, &mut accumulator, &fourier, fft, buffers.stack());
            extract_lwe_sample_from_glwe_ciphertext(&accumulator, &mut output, MonomialDegree(0));
            black_box(&output);
        }
        start.elapsed().as_secs_f64()
    }
}
