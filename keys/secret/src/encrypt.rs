//! GLWE encryption with masks from seeds.

use tiresias_keys::{
    ConfigId, EncryptedFeatures, KeyId, Parameters, RequestShape, Seed,
    xof::{Role, SecretSeed, Xof},
};

use crate::{Error, SecretKey};

/// What a request is bound to: all of it public.
#[derive(Debug, Clone, Copy)]
pub struct RequestContext<'a> {
    /// The circuit card to encrypt for.
    pub config: &'a ConfigId,
    /// The gateway's seed from that card.
    pub gateway_seed: &'a Seed,
    /// The request's shape, recomputed by the client from the card.
    pub shape: &'a RequestShape,
}

impl SecretKey {
    /// Encrypts a plaintext of N residues modulo q under this key:
    /// b = a*s + e + plaintext, and where the shape asks for it b' = a'*s + e' (an encryption of zero).
    ///
    /// The client seed and the seed of the noise are drawn from the operating system, separately.
    #[inline(never)] // a named entry point: the wall checks look for it in the client's symbols
    pub fn encrypt(
        &self,
        plaintext: &[u64],
        context: &RequestContext<'_>,
    ) -> Result<EncryptedFeatures, Error> {
        let (mut client_seed, mut noise_seed) = ([0; 32], zeroize::Zeroizing::new([0; 32]));
        getrandom::fill(&mut client_seed)?;
        getrandom::fill(&mut *noise_seed)?;
        let noise_seed = SecretSeed::from_bytes(*noise_seed);
        Ok(self.encrypt_with(plaintext, context, Seed::from_bytes(client_seed), &noise_seed))
    }

    /// Encryption with given seeds, for golden vectors.
    pub(crate) fn encrypt_with(
        &self,
        plaintext: &[u64],
        context: &RequestContext<'_>,
        client_seed: Seed,
        noise_seed: &SecretSeed,
    ) -> EncryptedFeatures {
        let parameters = self.parameters();
        let key = KeyId::request_scoped(parameters, &client_seed);
        let sample = |mask_role, noise_role| {
            let seeds = (context.gateway_seed, &client_seed);
            let mask = Xof::mask(parameters, mask_role, context.config, &key, 0, seeds.0, seeds.1);
            self.zero_body(mask, Xof::randomness(noise_seed, noise_role, 0, 0), parameters)
        };

        let ring = parameters.ring();
        let mut body = sample(Role::FeaturesMask, Role::FeaturesNoise);
        for (residue, &message) in body.iter_mut().zip(plaintext) {
            *residue = ring.add(*residue, message);
        }
        let zero_body = context.shape.carries_zero.then(|| sample(Role::ZeroMask, Role::ZeroNoise));
        EncryptedFeatures::new(*context.config, client_seed, body, zero_body)
    }

    /// a*s + e for a mask stream and a noise stream.
    fn zero_body(&self, mut mask: Xof, mut noise: Xof, parameters: &Parameters) -> Vec<u64> {
        let ring = parameters.ring();
        let n = parameters.polynomial_size();
        let mut polynomial = vec![0; n];
        mask.uniform(parameters, &mut polynomial);
        ring.forward(&mut polynomial);
        ring.normalize(&mut polynomial);
        // From here on `body` holds a*s, which would give s away: it becomes public only with its noise added.
        let mut body = vec![0; n];
        ring.multiply_add(&mut body, &polynomial, self.transformed());
        ring.inverse(&mut body);
        let mut samples = zeroize::Zeroizing::new(vec![0_i64; n]);
        noise.tuniform(parameters.noise_bits(), &mut samples);
        for (residue, &sample) in body.iter_mut().zip(samples.iter()) {
            *residue = ring.add(*residue, ring.reduce_signed(sample));
        }
        body
    }
}
