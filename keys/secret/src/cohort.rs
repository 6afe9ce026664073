//! Encryption of cohorts: feature j of many patients in ciphertext j, modulo a power of two.

use tiresias_keys::{
    CohortParameters, CohortRun, CohortShape, EncryptedCohort, KeyId, Seed,
    ring::integers::Integers,
    xof::{Role, SecretSeed, Xof},
};
use zeroize::Zeroizing;

use crate::{Error, SecretKey, encrypt::encrypt_zero, locked::LockedWords};

/// The masks of a run, transformed: all of it public, 32 KiB a feature.
#[derive(Debug)]
pub struct CohortMasks {
    parameters: &'static CohortParameters,
    run: CohortRun,
    masks: Vec<Vec<u64>>,
}

impl CohortMasks {
    /// Expands the masks of so many features.
    #[must_use]
    pub fn new(parameters: &'static CohortParameters, run: CohortRun, features: usize) -> Self {
        let integers = Integers::get();
        let masks = (0..features as u32).map(|index| integers.left(&parameters.mask(&run, index))).collect();
        Self { parameters, run, masks }
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &CohortRun {
        &self.run
    }
}

impl SecretKey {
    /// Encrypts a block of a cohort under this key: for each feature b = a*s + e + plaintext modulo the power of two, of which
    /// the upper bits are kept, and where the shape asks for it b' = a'*s + e' modulo q.
    ///
    /// `columns` holds the quantized values of `patients` patients feature by feature, each of which is scaled by the modulus
    /// over 2^`plaintext_bits`. The block's seed and that of the noise are drawn from the operating system, separately.
    /// Errors where `columns` has not the shape's size, the plaintext no room, or the key is of another parameter set.
    #[inline(never)] // a named entry point: the wall checks look for it in the client's symbols
    pub fn encrypt_cohort(
        &self,
        columns: &[i16],
        patients: usize,
        plaintext_bits: u32,
        masks: &CohortMasks,
        shape: &CohortShape,
    ) -> Result<EncryptedCohort, Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        let noise = SecretSeed::draw(getrandom::fill)?;
        self.encrypt_cohort_with(
            columns,
            patients,
            plaintext_bits,
            masks,
            shape,
            (Seed::from_bytes(seed), &noise),
        )
    }

    /// Encryption with given seeds, for golden vectors.
    pub(crate) fn encrypt_cohort_with(
        &self,
        columns: &[i16],
        patients: usize,
        plaintext_bits: u32,
        masks: &CohortMasks,
        shape: &CohortShape,
        (seed, noise_seed): (Seed, &SecretSeed),
    ) -> Result<EncryptedCohort, Error> {
        let (parameters, run) = (masks.parameters, &masks.run);
        let glwe = parameters.glwe();
        let fits = (1..=parameters.maximum_patients()).contains(&patients)
            && columns.len() == patients * shape.features
            && masks.masks.len() == shape.features
            && plaintext_bits <= parameters.modulus_bits();
        if !fits || self.parameters() != glwe || shape.parameters != parameters {
            return Err(Error::Plaintext);
        }
        let secret = self.transformed_for_integers()?;
        let integers = Integers::get();
        let scale = parameters.modulus_bits() - plaintext_bits;
        let modulus_mask = (1 << parameters.modulus_bits()) - 1;
        let dropped = parameters.modulus_bits() - parameters.body_bits();

        let features = masks.masks.iter().zip(columns.chunks_exact(patients)).zip(0..);
        let bodies = features.map(|((mask, column), index)| {
            // Until its noise is added, this is a*s, which would give s away.
            let product = Zeroizing::new(integers.product(mask, &secret));
            let mut noise = Zeroizing::new(vec![0; patients]);
            Xof::randomness(glwe, noise_seed, Role::CohortNoise, index, 0)
                .tuniform(parameters.noise_bits(), &mut noise);
            let values = product.iter().zip(noise.iter()).zip(column);
            let body = values.map(|((&product, &noise), &value)| {
                let body = product.wrapping_add(noise).wrapping_add(i64::from(value) << scale) as u64;
                (body.wrapping_add(1 << (dropped - 1)) & modulus_mask) >> dropped
            });
            body.collect()
        });
        let zero_body = if shape.carries_zero {
            let key = KeyId::request_scoped(glwe, &seed);
            let (config, gateway) = (&run.config, &run.gateway_seed);
            let mut mask = Xof::mask(glwe, Role::ZeroMask, config, &key, 0, gateway, &seed);
            let noise = Xof::randomness(glwe, noise_seed, Role::ZeroNoise, 0, 0);
            Some(encrypt_zero(glwe, &self.transformed()?, mask.uniform(glwe), noise))
        } else {
            None
        };
        Ok(EncryptedCohort::new(shape, &run.config, (run.seed, seed), patients, bodies, zero_body))
    }

    /// The transform of s for products of integers, in locked pages of its own.
    pub(crate) fn transformed_for_integers(&self) -> Result<LockedWords, Error> {
        let integers = Integers::get();
        let mut words = LockedWords::zeroed(integers.words())?;
        let bits = self.bits()?;
        for copy in words.chunks_exact_mut(bits.len()) {
            copy.copy_from_slice(&bits);
        }
        integers.right(&mut words);
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use tiresias_keys::{ConfigId, cohort::N2048_C52};

    use super::*;

    fn masks(features: usize) -> CohortMasks {
        let run = CohortRun {
            config: ConfigId::of_card(b"card"),
            gateway_seed: Seed::from_bytes([1; 32]),
            seed: Seed::from_bytes([2; 32]),
        };
        CohortMasks::new(&N2048_C52, run, features)
    }

    /// The bytes of WIRE.md's section 16, for ever.
    #[test]
    fn a_golden_block_is_made_again_byte_for_byte() {
        let key = SecretKey::import(N2048_C52.glwe(), &[0x5a; 256]).unwrap();
        let columns: Vec<i16> = (0..15).map(|i| i * 17 - 119).collect();
        for (carries_zero, expected) in [
            (true, "68ae34abd6ff7c2fcba52ee7fbf7490ab0fac375a4337e48d1b154d045925392"),
            (false, "2a751f1bec771361a81a4fc522331567d0b96adc31b6c945c821ed7a3bc3ec55"),
        ] {
            let shape = CohortShape { parameters: &N2048_C52, features: 3, carries_zero };
            let seeds = (Seed::from_bytes([3; 32]), &SecretSeed::from_bytes([4; 32]));
            let block = key.encrypt_cohort_with(&columns, 5, 20, &masks(3), &shape, seeds).unwrap();
            assert_eq!(block.digest().to_string(), expected);
        }
    }

    #[test]
    fn columns_that_are_no_block_are_refused() {
        let key = SecretKey::generate(N2048_C52.glwe()).unwrap();
        let shape = CohortShape { parameters: &N2048_C52, features: 3, carries_zero: true };
        for (columns, patients, features) in
            [(15, 4, 3), (14, 5, 3), (0, 0, 3), (3 * 2049, 2049, 3), (15, 5, 2)]
        {
            let refused = key.encrypt_cohort(&vec![0; columns], patients, 20, &masks(features), &shape);
            assert!(matches!(refused, Err(Error::Plaintext)), "{columns} {patients} {features}");
        }
        let other = SecretKey::generate(&tiresias_keys::parameters::N4096_Q100).unwrap();
        let refused = other.encrypt_cohort(&[0; 15], 5, 20, &masks(3), &shape);
        assert!(matches!(refused, Err(Error::Plaintext)));
    }
}
