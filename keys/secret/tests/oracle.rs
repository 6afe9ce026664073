//! tfhe as an independent oracle: it opens what this crate encrypts, and this crate's arithmetic opens what it
//! encrypts. tfhe multiplies polynomials by Karatsuba's method here, not by a transform.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use tfhe::core_crypto::{
    commons::{
        generators::DeterministicSeeder,
        math::random::{DynamicDistribution, Seed},
    },
    prelude::*,
};
use tiresias_keys::{
    ConfigId, Digest, EncryptedScores, KeyId, RequestShape, ResponseGroup, ResponseShape, Seed as PublicSeed,
    parameters::N2048_Q50,
    xof::{Role, SecretSeed, Xof},
};
use tiresias_secret_key::{RequestContext, SecretKey};

const N: usize = 2048;
/// All noise here is TUniform(3).
const BOUND: i64 = 8;

fn polynomial(seed: u8) -> Vec<u64> {
    let seed = SecretSeed::from_bytes([seed; 32]);
    Xof::randomness(&N2048_Q50, &seed, Role::Flood, 0, 0).uniform(&N2048_Q50)
}

fn tfhe_key(key: &SecretKey) -> GlweSecretKey<Vec<u64>> {
    let bytes = key.export();
    let bits = (0..N).map(|i| u64::from(bytes[i / 8] >> (i % 8) & 1)).collect();
    GlweSecretKey::from_container(bits, PolynomialSize(N))
}

fn modulus_q() -> CiphertextModulus<u64> {
    CiphertextModulus::try_new(N2048_Q50.modulus()).unwrap()
}

/// tfhe's decryption of (mask, body) modulo q.
fn tfhe_decrypt(key: &GlweSecretKey<Vec<u64>>, mask: &[u64], body: &[u64]) -> Vec<u64> {
    let container = [mask, body].concat();
    let ciphertext = GlweCiphertext::from_container(container, PolynomialSize(N), modulus_q());
    let mut plaintext = PlaintextList::new(0, PlaintextCount(N));
    decrypt_glwe_ciphertext(key, &ciphertext, &mut plaintext);
    plaintext.into_container()
}

/// tfhe's encryption of `plaintext` modulo `modulus`: mask and body.
fn tfhe_encrypt(
    key: &GlweSecretKey<Vec<u64>>,
    plaintext: &[u64],
    noise: DynamicDistribution<u64>,
    modulus: CiphertextModulus<u64>,
    seed: u128,
) -> (Vec<u64>, Vec<u64>) {
    let mut seeder = DeterministicSeeder::<DefaultRandomGenerator>::new(Seed(seed));
    let mut generator = EncryptionRandomGenerator::<DefaultRandomGenerator>::new(seeder.seed(), &mut seeder);
    let mut ciphertext = GlweCiphertext::new(0, GlweSize(2), PolynomialSize(N), modulus);
    let plaintext = PlaintextList::from_container(plaintext);
    encrypt_glwe_ciphertext(key, &mut ciphertext, &plaintext, noise, &mut generator);
    let container = ciphertext.into_container();
    (container[..N].to_vec(), container[N..].to_vec())
}

/// body - mask*s by this project's ring.
fn our_phase(key: &SecretKey, mask: &[u64], body: &[u64]) -> Vec<u64> {
    let ring = N2048_Q50.ring();
    let mut s = tfhe_key(key).into_container();
    let mut mask = mask.to_vec();
    ring.forward(&mut s);
    ring.forward(&mut mask);
    ring.normalize(&mut mask);
    let mut product = vec![0; N];
    ring.multiply_add(&mut product, &mask, &s);
    ring.inverse(&mut product);
    let q = N2048_Q50.primes()[0];
    body.iter().zip(&product).map(|(&body, &product)| (body + q - product) % q).collect()
}

/// The largest distance of two polynomials modulo q, and whether they differ at all.
fn distance(left: &[u64], right: &[u64]) -> i64 {
    let q = N2048_Q50.primes()[0];
    let distance = |(&left, &right): (&u64, &u64)| {
        let difference = (left + q - right) % q;
        difference.min(q - difference) as i64
    };
    left.iter().zip(right).map(distance).max().unwrap()
}

#[test]
fn tfhe_opens_our_requests() {
    let config = ConfigId::of_card(b"oracle");
    let gateway_seed = PublicSeed::from_bytes([3; 32]);
    let shape = RequestShape { parameters: &N2048_Q50, ciphertexts: 1, carries_zero: true };
    let context = RequestContext { config: &config, gateway_seed: &gateway_seed, shape: &shape };
    let ends = [vec![0; N], vec![N2048_Q50.primes()[0] - 1; N]];
    for plaintext in ends.into_iter().chain((10..14).map(polynomial)) {
        let key = SecretKey::generate(&N2048_Q50).unwrap();
        let request = key.encrypt(&[&plaintext], &context).unwrap();
        let mask = |role| {
            let key_id = KeyId::request_scoped(&N2048_Q50, request.seed());
            Xof::mask(&N2048_Q50, role, &config, &key_id, 0, &gateway_seed, request.seed())
                .uniform(&N2048_Q50)
        };
        let tfhe_key = tfhe_key(&key);
        let cases = [
            (Role::FeaturesMask, request.bodies()[0].as_slice(), plaintext),
            (Role::ZeroMask, request.zero_body().unwrap(), vec![0; N]),
        ];
        for (role, body, expected) in cases {
            let opened = tfhe_decrypt(&tfhe_key, &mask(role), body);
            let noise = distance(&opened, &expected);
            // 2048 samples of TUniform(3) reach past 4 except with probability (9/16)^2048.
            assert!((5..=BOUND).contains(&noise), "noise {noise}");
            assert_eq!(opened, our_phase(&key, &mask(role), body), "both decryptions are exact");
        }
        // The masks of the two ciphertexts are not interchangeable.
        assert!(
            distance(&tfhe_decrypt(&tfhe_key, &mask(Role::ZeroMask), &request.bodies()[0]), &[0; N])
                > 1 << 40
        );
    }
}

#[test]
fn our_arithmetic_opens_what_tfhe_encrypts_modulo_q() {
    let tuniform = DynamicDistribution::new_t_uniform(3);
    // A standard deviation of 4 units of 1/q; 12 of them bound 2048 samples.
    let gaussian =
        DynamicDistribution::new_gaussian_from_std_dev(StandardDev(4.0 / N2048_Q50.modulus() as f64));
    for (seed, noise, bound) in [(20, tuniform, BOUND), (21, gaussian, 48)] {
        let key = SecretKey::generate(&N2048_Q50).unwrap();
        let plaintext = polynomial(seed);
        let (mask, body) = tfhe_encrypt(&tfhe_key(&key), &plaintext, noise, modulus_q(), u128::from(seed));
        let found = distance(&our_phase(&key, &mask, &body), &plaintext);
        assert!((1..=bound).contains(&found), "noise {found}, bound {bound}");
    }
}

#[test]
fn our_decryption_opens_what_tfhe_encrypts_modulo_a_power_of_two() {
    const R: u32 = 37;
    // With one feature every coefficient is a score coefficient.
    let shape = ResponseShape {
        parameters: &N2048_Q50,
        rerandomized: false,
        modulus_bits: R,
        classes: N,
        classes_per_group: N,
        block: 1,
    };
    let modulus = CiphertextModulus::try_new_power_of_2(R as usize).unwrap();
    let key = SecretKey::generate(&N2048_Q50).unwrap();
    let plaintext: Vec<u64> = polynomial(30).into_iter().map(|word| word & ((1 << R) - 1)).collect();
    let noise = DynamicDistribution::new_t_uniform(3);
    let (mask, body) = tfhe_encrypt(&tfhe_key(&key), &plaintext, noise, modulus, 30);
    // tfhe keeps residues modulo 2^r in the high bits of its words.
    let lowered = |words: Vec<u64>| words.into_iter().map(|word| word >> (64 - R)).collect();
    let group = ResponseGroup { mask: lowered(mask), body: lowered(body) };
    let scores = EncryptedScores::new(ConfigId::of_card(b"oracle"), Digest::of(b"request"), vec![group]);
    let phases = key.decrypt(&scores, &shape).unwrap();
    let noise = phases.as_slice().iter().zip(&plaintext).map(|(&phase, &plaintext)| {
        let difference = phase.wrapping_sub(plaintext);
        ((difference << (64 - R)) as i64 >> (64 - R)).abs()
    });
    let largest = noise.max().unwrap();
    assert!((5..=BOUND).contains(&largest), "noise {largest}");
}
