//! The golden requests of `keys/tests/vectors/v1`, made again from their seeds.

use tiresias_keys::{RequestShape, parameters::N2048_Q50, xof::SecretSeed};

use crate::{RequestContext, SecretKey};

#[path = "../../tests/vectors/inputs.rs"]
mod inputs;

use inputs::{FLOODED, Kind, OPEN, PLAINTEXT_BITS};

/// The formula of WIRE.md 7.1, written out here because the encoder lives in another crate.
fn plaintext() -> Vec<u64> {
    let q = i128::from(N2048_Q50.modulus());
    let encode =
        |v: i64| ((i128::from(v) * q + (1 << (PLAINTEXT_BITS - 1))) >> PLAINTEXT_BITS).rem_euclid(q) as u64;
    let mut plaintext: Vec<u64> = inputs::row().into_iter().map(encode).collect();
    plaintext.resize(N2048_Q50.polynomial_size(), 0);
    plaintext
}

fn request(kind: &Kind) -> Vec<u8> {
    let key = SecretKey::import(&N2048_Q50, &kind.key()).unwrap();
    let (config, gateway_seed) = (kind.config(), kind.gateway_seed());
    let shape = RequestShape { parameters: &N2048_Q50, carries_zero: kind.carries_zero };
    let context = RequestContext { config: &config, gateway_seed: &gateway_seed, shape: &shape };
    let noise_seed = SecretSeed::from_bytes(kind.noise_seed());
    key.encrypt_with(&plaintext(), &context, kind.client_seed(), &noise_seed).to_bytes(&shape)
}

#[test]
fn golden_requests_are_made_again_byte_for_byte() {
    for kind in [FLOODED, OPEN] {
        inputs::check(&format!("good_request_{}.bin", kind.name), &request(&kind));
    }
}
