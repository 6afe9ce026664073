//! Frames of ciphertexts and keys. A frame has one length for its shape and a digest at its end, which a fuzzer would never hit
//! by chance: where the first byte says so, the input is stretched to the length and sealed, as a hostile client would.

use tiresias_circuits::{HeadShape, Plan, Privacy, plan::CohortPlan};
use tiresias_keys::{
    ConfigId, Digest, EncryptedCohort, EncryptedFeatures, EncryptedScores, EvaluationKey,
    bootstrap_parameters::{INSECURE_N64_N256_Q50, INSECURE_N64_N256_Q50_L2_G2},
};

use crate::choice;

const TRAILER: usize = 33;
const SEAL: u8 = 0x80;
const STRETCH: u8 = 0x40;

/// The card that all frames here are for.
pub(crate) fn config() -> ConfigId {
    ConfigId::from_bytes([0x42; 32])
}

/// A plan that the low bits of the first byte choose.
pub(crate) fn plan(choice: u8) -> Plan {
    let shape = HeadShape { features: 30, classes: 5, feature_bits: 8, weight_bits: 8 };
    let privacy = Privacy::ALL[usize::from(choice & 3) % 3];
    Plan::new(shape, privacy).expect("a small head fits")
}

/// The input as a frame of `length` bytes.
fn frame(choice: u8, input: &[u8], length: usize) -> Vec<u8> {
    let mut frame = input.to_vec();
    if choice & STRETCH != 0 && !input.is_empty() {
        let front = input.get(..72).unwrap_or(input).to_vec();
        let rest = input.iter().skip(front.len()).copied().collect::<Vec<u8>>();
        let filler: &[u8] = if rest.is_empty() { &[0] } else { &rest };
        let missing = length.saturating_sub(front.len());
        frame = front.into_iter().chain(filler.iter().copied().cycle().take(missing)).collect();
    }
    if choice & SEAL != 0 && frame.len() > TRAILER {
        let end = frame.len() - TRAILER;
        let digest = Digest::of(&frame[..end]);
        frame[end..end + 32].copy_from_slice(digest.as_bytes());
        frame[end + 32] = 1;
    }
    frame
}

pub(crate) fn request(data: &[u8]) {
    let (choice, input) = choice(data);
    let shape = plan(choice).request_shape();
    let bytes = frame(choice, input, shape.encoded_len());
    if let Ok((request, digest)) = EncryptedFeatures::from_bytes(&bytes, &shape, &config()) {
        assert_eq!(request.to_bytes(&shape), bytes, "a request has one frame");
        assert_eq!(EncryptedFeatures::digest(&bytes), digest);
    }
}

pub(crate) fn response(data: &[u8]) {
    let (choice, input) = choice(data);
    let shape = plan(choice).response_shape();
    let bytes = frame(choice, input, shape.encoded_len());
    let asked = Digest::from_bytes([0x17; 32]);
    if let Ok(scores) = EncryptedScores::from_bytes(&bytes, &shape, &config(), &asked) {
        assert_eq!(scores.to_bytes(&shape), bytes, "a response has one frame");
    }
}

pub(crate) fn cohort(data: &[u8]) {
    let (choice, input) = choice(data);
    let plan = plan(choice & !3);
    let Ok(plan) = CohortPlan::new(&plan) else { return };
    let shape = plan.request_shape();
    let bytes = frame(choice, input, shape.encoded_len(usize::from(choice & 15) + 1));
    if let Ok(block) = EncryptedCohort::from_bytes(bytes, &shape, &config()) {
        assert!((1..=shape.parameters.maximum_patients()).contains(&block.patients()));
    }
}

pub(crate) fn evaluation_key(data: &[u8]) {
    let (choice, input) = choice(data);
    let parameters = if choice & 1 == 0 { &INSECURE_N64_N256_Q50 } else { &INSECURE_N64_N256_Q50_L2_G2 };
    let bytes = frame(choice, input, EvaluationKey::encoded_len(parameters));
    if let Ok(key) = EvaluationKey::from_bytes(&bytes, parameters) {
        assert_eq!(key.to_bytes(), bytes, "a key has one frame");
    }
}
