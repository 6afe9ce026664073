//! The golden vectors with the portable kernel, in a process of its own: the code of processors without vector units gives
//! the same bytes. `vectors.rs` does the same with the kernel that this processor would choose.

use tiresias_circuits::{HeadShape, Plan, QuantizedHead, clear, evaluate::PreparedHead, scores};
use tiresias_keys::{EncryptedFeatures, EncryptedScores, ring, xof::SecretSeed};
use tiresias_secret_key::{RequestContext, SecretKey};

#[path = "common/bootstraps.rs"]
mod bootstraps;
#[path = "../../keys/tests/vectors/inputs.rs"]
mod inputs;

use inputs::{BITS, KINDS};

#[test]
fn golden_responses_are_the_same_bytes_with_the_portable_kernel() {
    assert!(ring::use_portable_kernel(), "no ring was built in this process before");
    for kind in KINDS {
        let shape = HeadShape {
            features: kind.features,
            classes: kind.biases.len(),
            feature_bits: BITS,
            weight_bits: BITS,
        };
        let head = QuantizedHead::new(shape, kind.weights(), kind.biases.to_vec()).unwrap();
        let plan = Plan::new(shape, kind.privacy.parse().unwrap()).unwrap();
        let prepared = PreparedHead::new(&head, plan, kind.config(), kind.gateway_seed());
        let bytes = inputs::read(&format!("good_request_{}.bin", kind.name));
        let (request, digest) =
            EncryptedFeatures::from_bytes(&bytes, &plan.request_shape(), &kind.config()).unwrap();
        let seed = SecretSeed::from_bytes(*kind.response_seed().as_bytes());
        let response = prepared.evaluate(&request, digest, &seed, 0).unwrap();
        let golden = inputs::read(&format!("good_response_{}.bin", kind.name));
        assert_eq!(response.to_bytes(&plan.response_shape()), golden, "{}", kind.name);

        // And the client's side: what is encrypted here decrypts here.
        let (config, gateway_seed, shape) = (kind.config(), kind.gateway_seed(), plan.request_shape());
        let context = RequestContext { config: &config, gateway_seed: &gateway_seed, shape: &shape };
        let key = SecretKey::generate(kind.parameters).unwrap();
        let plaintexts = scores::encode_features(&plan, &kind.row()).unwrap();
        let request = key.encrypt(&plaintexts, &context).unwrap();
        let digest = EncryptedFeatures::digest(&request.to_bytes(&shape));
        let response: EncryptedScores = prepared.evaluate(&request, digest, &seed, 0).unwrap();
        let phases = key.decrypt(&response, &plan.response_shape()).unwrap();
        assert_eq!(
            scores::decode_phases(&plan, phases.as_slice()),
            clear::scores(&head, &kind.row()).unwrap()
        );
    }
}

#[test]
fn bootstraps_are_the_same_bytes_with_the_portable_transform() {
    assert!(ring::use_portable_kernel(), "no ring was built in this process before");
    bootstraps::check();
}
