//! The golden requests of `keys/tests/vectors/v2`, made again from their seeds.

use tiresias_keys::xof::SecretSeed;

use crate::{RequestContext, SecretKey};

#[path = "../../tests/vectors/inputs.rs"]
mod inputs;

use inputs::{KINDS, Kind};

/// The formula of WIRE.md 7.1, written out here because the encoder lives in another crate.
fn plaintexts(kind: &Kind) -> Vec<Vec<u64>> {
    let (q, t) = (kind.parameters.modulus(), kind.plaintext_bits);
    let encode = |v: i64| {
        let magnitude = u128::from(v.unsigned_abs()) * q;
        let rounded = ((magnitude + (1 << (t - 1))) >> t) as i128; // no tie: q is odd
        if v < 0 { -rounded } else { rounded }
    };
    let row = kind.row();
    row.chunks(kind.layout.1)
        .map(|part| {
            let mut encoded: Vec<i128> = part.iter().map(|&x| encode(x)).collect();
            encoded.resize(kind.parameters.polynomial_size(), 0);
            kind.parameters.ring().reduce(&encoded)
        })
        .collect()
}

fn request(kind: &Kind) -> Vec<u8> {
    let key = SecretKey::import(kind.parameters, &kind.key()).unwrap();
    let (config, gateway_seed, shape) = (kind.config(), kind.gateway_seed(), kind.request_shape());
    let context = RequestContext { config: &config, gateway_seed: &gateway_seed, shape: &shape };
    let noise_seed = SecretSeed::from_bytes(kind.noise_seed());
    key.encrypt_with(&plaintexts(kind), &context, kind.client_seed(), &noise_seed).unwrap().to_bytes(&shape)
}

#[test]
fn golden_requests_are_made_again_byte_for_byte() {
    for kind in KINDS {
        inputs::check(&format!("good_request_{}.bin", kind.name), &request(&kind));
    }
}
