//! Our side: `circuits::evaluate` and the codec.

use std::{error::Error, hint::black_box};

use tiresias_benches::Fixture;
use tiresias_circuits::scores;
use tiresias_keys::{EncryptedFeatures, EncryptedScores, xof::SecretSeed};
use tiresias_secret_key::danger;

use crate::{Contender, Facts};

/// A prepared head and one request to it.
pub(crate) struct Tiresias {
    fixture: Fixture,
    request: EncryptedFeatures,
    bytes: Vec<u8>,
    response_bytes: usize,
}

impl Tiresias {
    pub(crate) fn new(fixture: Fixture) -> Result<Self, Box<dyn Error>> {
        let request = fixture.encrypt(&fixture.key());
        let bytes = request.to_bytes(&fixture.request_shape);
        let mut new = Self { fixture, request, bytes, response_bytes: 0 };
        new.response_bytes = new.answer(&new.bytes)?.len();
        Ok(new)
    }

    fn answer(&self, bytes: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
        let Fixture { head, request_shape, .. } = &self.fixture;
        let (request, digest) = EncryptedFeatures::from_bytes(bytes, request_shape, self.fixture.config())?;
        // The gateway draws a fresh seed for each response; its value changes no time.
        let scores = head.evaluate(&request, digest, &SecretSeed::from_bytes([2; 32]), 0)?;
        Ok(scores.to_bytes(&head.plan().response_shape()))
    }
}

impl Contender for Tiresias {
    fn facts(&self) -> Facts {
        let plan = self.fixture.head.plan();
        let parameters = plan.parameters();
        Facts {
            name: format!("Tiresias {}", plan.privacy().name()),
            parameters: format!(
                "{}, scores of {} bits, {} ciphertexts, {} groups",
                parameters.name(),
                plan.plaintext_bits(),
                plan.layout().ciphertexts,
                plan.response_shape().groups()
            ),
            security: format!("{:.1}, lattice estimator", parameters.security_bits()),
            weights: match plan.leak().bits_per_score {
                Some(_) => "fresh mask and flood: t + 1 bits a score",
                None => "open",
            },
            upload_bytes: self.bytes.len(),
            download_bytes: self.response_bytes,
            key_bytes: 0,
        }
    }

    fn scores(&self) -> Result<Vec<i64>, Box<dyn Error>> {
        let (fixture, plan) = (&self.fixture, self.fixture.head.plan());
        let key = fixture.key();
        let request = fixture.encrypt(&key).to_bytes(&fixture.request_shape);
        let digest = EncryptedFeatures::digest(&request);
        let (answer, shape) = (self.answer(&request)?, plan.response_shape());
        let scores = EncryptedScores::from_bytes(&answer, &shape, fixture.config(), &digest)?;
        let phases = danger::decrypt_and_keep(&key, &scores, &shape)?;
        Ok(scores::decode_phases(plan, phases.as_slice()))
    }

    fn evaluate(&self) -> Result<(), Box<dyn Error>> {
        let digest = EncryptedFeatures::digest(&[]);
        let seed = SecretSeed::from_bytes([2; 32]);
        black_box(self.fixture.head.evaluate(black_box(&self.request), digest, &seed, 0)?);
        Ok(())
    }

    fn serve(&self) -> Result<(), Box<dyn Error>> {
        black_box(self.answer(black_box(&self.bytes))?);
        Ok(())
    }
}
