//! The golden responses of `keys/tests/vectors/v2`, made again from the golden requests, decrypted, and compared with
//! the clear twin; and `vectors.json`, which states every input and the values in between.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tiresias_circuits::{HeadShape, Plan, QuantizedHead, clear, evaluate::PreparedHead, scores};
use tiresias_keys::{
    EncryptedFeatures, EncryptedScores, KeyId, Parameters, Seed,
    xof::{Role, SecretSeed, Xof},
};
use tiresias_secret_key::SecretKey;

#[path = "../../keys/tests/vectors/inputs.rs"]
mod inputs;

use inputs::{BITS, KINDS, Kind};

fn head(kind: &Kind) -> QuantizedHead {
    let (features, classes) = (kind.features, kind.biases.len());
    let shape = HeadShape { features, classes, feature_bits: BITS, weight_bits: BITS };
    QuantizedHead::new(shape, kind.weights(), kind.biases.to_vec()).unwrap()
}

fn plan(kind: &Kind) -> Plan {
    let plan = Plan::new(*head(kind).shape(), kind.privacy.parse().unwrap()).unwrap();
    assert_eq!(plan.plaintext_bits(), kind.plaintext_bits);
    assert_eq!((plan.request_shape(), plan.response_shape()), (kind.request_shape(), kind.response_shape()));
    plan
}

fn request(kind: &Kind) -> (EncryptedFeatures, tiresias_keys::Digest) {
    let bytes = inputs::read(&format!("good_request_{}.bin", kind.name));
    EncryptedFeatures::from_bytes(&bytes, &plan(kind).request_shape(), &kind.config()).unwrap()
}

/// The phases in the golden response, under the golden key.
fn phases(kind: &Kind) -> Vec<u64> {
    let (shape, digest) = (plan(kind).response_shape(), request(kind).1);
    let bytes = inputs::read(&format!("good_response_{}.bin", kind.name));
    let response = EncryptedScores::from_bytes(&bytes, &shape, &kind.config(), &digest).unwrap();
    let key = SecretKey::import(kind.parameters, &kind.key()).unwrap();
    key.decrypt(&response, &shape).unwrap().as_slice().to_vec()
}

/// The vectors publish their secret seeds.
fn secret(seed: Seed) -> SecretSeed {
    SecretSeed::from_bytes(*seed.as_bytes())
}

fn check_responses() {
    for kind in KINDS {
        let prepared = PreparedHead::new(&head(&kind), plan(&kind), kind.config(), kind.gateway_seed());
        let (request, digest) = request(&kind);
        let response = prepared.evaluate(&request, digest, &secret(kind.response_seed()), 0).unwrap();
        inputs::check(
            &format!("good_response_{}.bin", kind.name),
            &response.to_bytes(&plan(&kind).response_shape()),
        );
    }
}

fn check_json() {
    let vectors: Vec<Value> = KINDS.iter().map(vector).collect();
    let mut text = serde_json::to_string_pretty(&json!({ "version": 2, "vectors": vectors })).unwrap();
    text.push('\n');
    inputs::check("vectors.json", text.as_bytes());
}

/// What `vectors.json` states of one kind.
fn vector(kind: &Kind) -> Value {
    let plan = plan(kind);
    let (config, client_seed) = (kind.config(), kind.client_seed());
    let parameters = kind.parameters;
    let key_id = KeyId::request_scoped(parameters, &client_seed);
    let mask = |role: Role, index: u32| {
        let seeds = (kind.gateway_seed(), client_seed);
        let polynomial =
            Xof::mask(parameters, role, &config, &key_id, index, &seeds.0, &seeds.1).uniform(parameters);
        let key = Sha256::new()
            .chain_update(b"tiresias/mask/v2")
            .chain_update([parameters.code(), role as u8])
            .chain_update(config.as_bytes())
            .chain_update(key_id.as_bytes())
            .chain_update(index.to_le_bytes())
            .chain_update(seeds.0.as_bytes())
            .chain_update(seeds.1.as_bytes())
            .finalize();
        json!({ "key": hex::encode(key), "first": first(parameters, &polynomial) })
    };
    let randomness = |seed: Seed, role: Role, group: u32, width: u32, count: usize| {
        let mut samples = vec![0; count];
        Xof::randomness(parameters, &secret(seed), role, group, 0).tuniform_wide(width, &mut samples);
        json!({ "width": width, "first": samples.iter().map(i128::to_string).collect::<Vec<_>>() })
    };
    let noise_seed = Seed::from_bytes(kind.noise_seed());
    let response_seed = kind.response_seed();
    let mut streams = json!({
        "features_mask": (0..kind.layout.0 as u32).map(|index| mask(Role::FeaturesMask, index)).collect::<Vec<_>>(),
        "features_noise": (0..kind.layout.0 as u32)
            .map(|index| randomness(noise_seed, Role::FeaturesNoise, index, 3, 8))
            .collect::<Vec<_>>(),
    });
    if let Some(widths) = plan.widths() {
        streams["zero_mask"] = mask(Role::ZeroMask, 0);
        streams["zero_noise"] = randomness(noise_seed, Role::ZeroNoise, 0, 3, 8);
        for (name, role, width, count) in [
            ("rerandomizer", Role::Rerandomizer, widths.rerandomizer, 8),
            ("mask_noise", Role::MaskNoise, widths.mask_noise, 8),
            ("body_noise", Role::BodyNoise, widths.body_noise, plan.classes_per_group()),
            ("flood", Role::Flood, widths.flood, plan.classes_per_group()),
        ] {
            let groups = 0..plan.response_shape().groups() as u32;
            streams[name] =
                groups.map(|group| randomness(response_seed, role, group, width, count)).collect();
        }
    }
    let encoded = scores::encode_features(&plan, &kind.row()).unwrap();
    json!({
        "privacy": plan.privacy().name(),
        "parameters": parameters.name(),
        "features": kind.features,
        "classes": kind.biases.len(),
        "feature_bits": BITS,
        "weight_bits": BITS,
        "biases": kind.biases,
        "scores": clear::scores(&head(kind), &kind.row()).unwrap(),
        "request": format!("good_request_{}.bin", kind.name),
        "response": format!("good_response_{}.bin", kind.name),
        "config_bytes": String::from_utf8(kind.config_bytes()).unwrap(),
        "config_id": config.to_string(),
        "key_id": key_id.to_string(),
        "secret_key": hex::encode(kind.key()),
        "gateway_seed": kind.gateway_seed().to_string(),
        "client_seed": client_seed.to_string(),
        "noise_seed": hex::encode(kind.noise_seed()),
        "response_seed": response_seed.to_string(),
        "t": plan.plaintext_bits(),
        "r": plan.response_bits(),
        "ciphertexts": plan.layout().ciphertexts,
        "block": plan.layout().block,
        "classes_per_group": plan.classes_per_group(),
        "encoded_row": encoded.iter().map(|plaintext| first(parameters, plaintext)).collect::<Vec<_>>(),
        "streams": streams,
        "request_digest": request(kind).1.to_string(),
        "phases": phases(kind),
    })
}

/// The first four residues modulo each prime.
fn first(parameters: &Parameters, polynomial: &[u64]) -> Vec<Vec<u64>> {
    polynomial.chunks(parameters.polynomial_size()).map(|residues| residues[..4].to_vec()).collect()
}

#[test]
fn golden_responses_are_made_again_byte_for_byte() {
    check_responses();
    check_json();
}

#[test]
fn golden_responses_decrypt_to_the_scores_of_the_clear_twin() {
    for kind in KINDS {
        let plan = plan(&kind);
        let phases = phases(&kind);
        assert_eq!(scores::decode_phases(&plan, &phases), clear::scores(&head(&kind), &kind.row()).unwrap());
        let noise = scores::phase_noise(&plan, &phases);
        assert!(noise.iter().all(|noise| noise.unsigned_abs() < plan.switched_noise_bound()));
    }
}
