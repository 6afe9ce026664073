//! The golden requests and the golden evaluation key of `keys/tests/vectors/v2`, made again from their seeds.

use std::fmt::Write as _;

use tiresias_keys::{
    BootstrapParameters, Digest, EvaluationKey, KeyId, Seed, bits,
    bootstrap_parameters::INSECURE_N64_N256_Q50_L2_G2,
    xof::{Role, SecretSeed},
};

use crate::{LongLivedKey, RequestContext, SecretKey};

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

/// SHA-256 of a label.
fn bytes32(what: &str) -> [u8; 32] {
    *Digest::of(format!("tiresias/vectors/v2/evaluation-key/{what}").as_bytes()).as_bytes()
}

/// The AES key of a stream of masks by WIRE.md 11.2, apart from the code under test.
fn stream_key(parameters: &BootstrapParameters, role: Role, index: u32, seed: &Seed) -> Digest {
    let (context, index) = ([parameters.code(), role as u8], index.to_le_bytes());
    Digest::of(&[b"tiresias/evaluation-key/v2".as_slice(), &context, &index, seed.as_bytes()].concat())
}

/// What `evaluation_key.json` states: inputs, the id, and some rows.
fn statement(parameters: &'static BootstrapParameters) -> String {
    let (mask_seed, noise_seed) = (Seed::from_bytes(bytes32("mask seed")), bytes32("noise seed"));
    let secret = [bytes32("secret key").as_slice(), &bytes32("lwe key")[..8]].concat();
    let key = LongLivedKey::import(parameters, &secret).unwrap();
    let made = key.evaluation_key_with(mask_seed, &SecretSeed::from_bytes(noise_seed)).unwrap();
    let frame = made.to_bytes();
    let mut text = String::from("{\n");
    for (name, value) in [
        ("parameters", parameters.name().to_owned()),
        ("secret_key", hex(&secret)),
        ("mask_seed", mask_seed.to_string()),
        ("noise_seed", hex(&noise_seed)),
        ("key_id", KeyId::of_evaluation_key(&frame).to_string()),
    ] {
        writeln!(text, "  \"{name}\": \"{value}\",").unwrap();
    }
    writeln!(text, "  \"bytes\": {},\n  \"rotation\": [", frame.len()).unwrap();
    let bodies: Vec<_> = made.rotation_bodies().collect();
    let rows: Vec<_> = (0..16).chain([bodies.len() - 1]).collect();
    for (at, &row) in rows.iter().enumerate() {
        let mask = EvaluationKey::rotation_mask(parameters, &mask_seed, row);
        let (mut packed, first) = (Vec::new(), &mask[..4]);
        bits::pack(bodies[row], 50, &mut packed);
        let stream = stream_key(parameters, Role::RotationMask, row as u32, &mask_seed);
        let comma = if at + 1 < rows.len() { "," } else { "" };
        writeln!(
            text,
            "    {{ \"row\": {row}, \"key\": \"{stream}\", \"first\": {first:?}, \"body_sha256\": \"{}\" }}{comma}",
            Digest::of(&packed)
        )
        .unwrap();
    }
    text.push_str("  ],\n  \"keyswitch\": [\n");
    for (coefficient, comma) in [(0, ","), (parameters.glwe().polynomial_size() - 1, "")] {
        let masks = EvaluationKey::keyswitch_masks(parameters, &mask_seed, coefficient);
        let levels = parameters.keyswitch().levels;
        let bodies = &made.keyswitch_bodies()[coefficient * levels..(coefficient + 1) * levels];
        let stream = stream_key(parameters, Role::KeyswitchMask, coefficient as u32, &mask_seed);
        writeln!(
            text,
            "    {{ \"coefficient\": {coefficient}, \"key\": \"{stream}\", \"first\": {:?}, \"bodies\": {bodies:?} }}{comma}",
            &masks[..4]
        )
        .unwrap();
    }
    text.push_str("  ]\n}\n");
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_golden_evaluation_key_is_made_again_byte_for_byte() {
    inputs::check("evaluation_key.json", statement(&INSECURE_N64_N256_Q50_L2_G2).as_bytes());
}
