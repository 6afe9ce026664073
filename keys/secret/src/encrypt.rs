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
    /// Encrypts plaintexts, each a polynomial modulo q, under this key: b = a*s + e + plaintext for each, and where the
    /// shape asks for it b' = a'*s + e' (an encryption of zero). There must be as many as the shape has ciphertexts.
    ///
    /// The client seed and the seed of the noise are drawn from the operating system, separately.
    #[inline(never)] // a named entry point: the wall checks look for it in the client's symbols
    pub fn encrypt<P: AsRef<[u64]>>(
        &self,
        plaintexts: &[P],
        context: &RequestContext<'_>,
    ) -> Result<EncryptedFeatures, Error> {
        let mut client_seed = [0; 32];
        getrandom::fill(&mut client_seed)?;
        let noise_seed = SecretSeed::draw(getrandom::fill)?;
        self.encrypt_with(plaintexts, context, Seed::from_bytes(client_seed), &noise_seed)
    }

    /// Encryption with given seeds, for golden vectors.
    pub(crate) fn encrypt_with<P: AsRef<[u64]>>(
        &self,
        plaintexts: &[P],
        context: &RequestContext<'_>,
        client_seed: Seed,
        noise_seed: &SecretSeed,
    ) -> Result<EncryptedFeatures, Error> {
        let parameters = self.parameters();
        let well_formed = |plaintext: &P| plaintext.as_ref().len() == parameters.polynomial_words();
        if plaintexts.len() != context.shape.ciphertexts || !plaintexts.iter().all(well_formed) {
            return Err(Error::Plaintext);
        }
        let secret = self.transformed()?;
        let key = KeyId::request_scoped(parameters, &client_seed);
        let sample = |mask_role, noise_role, index| {
            let seeds = (context.gateway_seed, &client_seed);
            let mut mask = Xof::mask(parameters, mask_role, context.config, &key, index, seeds.0, seeds.1);
            encrypt_zero(
                parameters,
                &secret,
                mask.uniform(parameters),
                Xof::randomness(parameters, noise_seed, noise_role, index, 0),
            )
        };

        let mut bodies = Vec::with_capacity(plaintexts.len());
        for (plaintext, index) in plaintexts.iter().zip(0..) {
            let mut body = sample(Role::FeaturesMask, Role::FeaturesNoise, index);
            parameters.ring().add(&mut body, plaintext.as_ref());
            bodies.push(body);
        }
        let zero_body = context.shape.carries_zero.then(|| sample(Role::ZeroMask, Role::ZeroNoise, 0));
        Ok(EncryptedFeatures::new(*context.config, client_seed, bodies, zero_body))
    }
}

/// a*s + e for the transform of s, a mask a and a noise stream.
pub(crate) fn encrypt_zero(
    parameters: &Parameters,
    secret: &[u64],
    mut mask: Vec<u64>,
    mut noise: Xof,
) -> Vec<u64> {
    let ring = parameters.ring();
    ring.forward(&mut mask);
    ring.normalize(&mut mask);
    // From here on `body` holds a*s, which would give s away: it becomes public only with its noise added.
    let mut body = ring.zero();
    ring.multiply_add(&mut body, &mask, secret);
    ring.inverse(&mut body);
    let mut samples = zeroize::Zeroizing::new(vec![0_i64; parameters.polynomial_size()]);
    noise.tuniform(parameters.noise_bits(), &mut samples);
    ring.add_signed(&mut body, &samples);
    body
}
