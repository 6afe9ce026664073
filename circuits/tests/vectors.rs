//! The golden responses of `keys/tests/vectors/v1`, made again from the golden requests, decrypted, and compared with
//! the clear twin; and `vectors.json`, which states every input and the values in between.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tiresias_circuits::{HeadShape, Plan, Privacy, QuantizedHead, clear, evaluate::PreparedHead, scores};
use tiresias_keys::{
    EncryptedFeatures, EncryptedScores, KeyId, Seed,
    parameters::N2048_Q50,
    xof::{Role, SecretSeed, Xof},
};
use tiresias_secret_key::SecretKey;

#[path = "../../keys/tests/vectors/inputs.rs"]
mod inputs;

use inputs::{BIASES, BITS, CLASSES, FEATURES, FLOODED, Kind, OPEN};

fn head() -> QuantizedHead {
    let shape = HeadShape { features: FEATURES, classes: CLASSES, feature_bits: BITS, weight_bits: BITS };
    QuantizedHead::new(shape, inputs::weights(), BIASES.to_vec()).unwrap()
}

fn plan(kind: &Kind) -> Plan {
    let privacy = if kind.carries_zero { Privacy::Flooded } else { Privacy::OpenWeights };
    let plan = Plan::new(*head().shape(), privacy).unwrap();
    assert_eq!((plan.plaintext_bits(), plan.response_bits()), (inputs::PLAINTEXT_BITS, kind.response_bits));
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
    let key = SecretKey::import(&N2048_Q50, &kind.key()).unwrap();
    key.decrypt(&response, &shape, FEATURES).as_slice().to_vec()
}

/// The vectors publish their secret seeds.
fn secret(seed: Seed) -> SecretSeed {
    SecretSeed::from_bytes(*seed.as_bytes())
}

fn check_responses() {
    for kind in [FLOODED, OPEN] {
        let prepared = PreparedHead::new(&head(), plan(&kind), kind.config(), kind.gateway_seed());
        let (request, digest) = request(&kind);
        let response = prepared.evaluate(&request, digest, &secret(kind.response_seed()), 0).unwrap();
        inputs::check(
            &format!("good_response_{}.bin", kind.name),
            &response.to_bytes(&plan(&kind).response_shape()),
        );
    }
}

fn check_json() {
    let (weights, biases) = (inputs::weights(), BIASES);
    let description = json!({
        "version": 1,
        "parameters": N2048_Q50.name(),
        "features": FEATURES,
        "classes": CLASSES,
        "feature_bits": BITS,
        "weight_bits": BITS,
        "row": inputs::row(),
        "weights": weights.chunks_exact(FEATURES).collect::<Vec<_>>(),
        "biases": biases,
        "scores": clear::scores(&head(), &inputs::row()).unwrap(),
        "vectors": [vector(&FLOODED), vector(&OPEN)],
    });
    let mut text = serde_json::to_string_pretty(&description).unwrap();
    text.push('\n');
    inputs::check("vectors.json", text.as_bytes());
}

/// What `vectors.json` states of one kind.
fn vector(kind: &Kind) -> Value {
    let plan = plan(kind);
    let (config, client_seed) = (kind.config(), kind.client_seed());
    let key_id = KeyId::request_scoped(&N2048_Q50, &client_seed);
    let mask = |role: Role| {
        let seeds = (kind.gateway_seed(), client_seed);
        let mut first = [0; 4];
        Xof::mask(&N2048_Q50, role, &config, &key_id, 0, &seeds.0, &seeds.1).uniform(&N2048_Q50, &mut first);
        let key = Sha256::new()
            .chain_update(b"tiresias/mask/v1")
            .chain_update([1, role as u8])
            .chain_update(config.as_bytes())
            .chain_update(key_id.as_bytes())
            .chain_update([0; 4])
            .chain_update(seeds.0.as_bytes())
            .chain_update(seeds.1.as_bytes())
            .finalize();
        json!({ "key": hex::encode(key), "first": first })
    };
    let randomness = |seed: Seed, role: Role, width: u32, count: usize| {
        let mut first = vec![0; count];
        Xof::randomness(&secret(seed), role, 0, 0).tuniform(width, &mut first);
        json!({ "width": width, "first": first })
    };
    let noise_seed = Seed::from_bytes(kind.noise_seed());
    let response_seed = kind.response_seed();
    let mut streams = json!({
        "features_mask": mask(Role::FeaturesMask),
        "features_noise": randomness(noise_seed, Role::FeaturesNoise, 3, 8),
    });
    if let Some(widths) = plan.widths() {
        streams["zero_mask"] = mask(Role::ZeroMask);
        for (name, seed, role, width, count) in [
            ("zero_noise", noise_seed, Role::ZeroNoise, 3, 8),
            ("rerandomizer", response_seed, Role::Rerandomizer, widths.rerandomizer, 8),
            ("mask_noise", response_seed, Role::MaskNoise, widths.mask_noise, 8),
            ("body_noise", response_seed, Role::BodyNoise, widths.body_noise, CLASSES),
            ("flood", response_seed, Role::Flood, widths.flood, CLASSES),
        ] {
            streams[name] = randomness(seed, role, width, count);
        }
    }
    let encoded = scores::encode_features(&plan, &inputs::row()).unwrap();
    json!({
        "privacy": plan.privacy().name(),
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
        "classes_per_group": plan.classes_per_group(),
        "encoded_row": &encoded[..FEATURES],
        "streams": streams,
        "request_digest": request(kind).1.to_string(),
        "phases": phases(kind),
    })
}

#[test]
fn golden_responses_are_made_again_byte_for_byte() {
    check_responses();
    check_json();
}

#[test]
fn golden_responses_decrypt_to_the_scores_of_the_clear_twin() {
    let expected = clear::scores(&head(), &inputs::row()).unwrap();
    for kind in [FLOODED, OPEN] {
        let plan = plan(&kind);
        let phases = phases(&kind);
        assert_eq!(scores::decode_phases(&plan, &phases), expected);
        let noise = scores::phase_noise(&plan, &phases);
        assert!(noise.iter().all(|noise| noise.unsigned_abs() < plan.switched_noise_bound()));
    }
}
