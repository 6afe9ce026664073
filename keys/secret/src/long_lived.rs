//! The long-lived secret key of a clinic whose models need bootstrapping, and the evaluation key made from it.

use std::fmt;

use tiresias_keys::{
    BootstrapParameters, EvaluationKey, Seed,
    bootstrap_parameters::Gadget,
    xof::{Role, SecretSeed, Xof},
};
use zeroize::Zeroizing;

use crate::{Error, SecretKey, locked::LockedWords};

/// A GLWE secret key S for requests and answers, and the LWE secret key z that only the evaluation key knows of.
///
/// Not `Clone`, not serializable; `Debug` shows the parameter set alone. Dropping it wipes it.
pub struct LongLivedKey {
    parameters: &'static BootstrapParameters,
    glwe: SecretKey,
    /// n words, 0 or 1.
    lwe: LockedWords,
}

impl LongLivedKey {
    /// Draws a fresh key from the operating system's entropy.
    pub fn generate(parameters: &'static BootstrapParameters) -> Result<Self, Error> {
        let mut bytes = Zeroizing::new(vec![0; Self::exported_len(parameters)]);
        getrandom::fill(&mut bytes)?;
        let (_, lwe) = bytes.split_at_mut(parameters.glwe().polynomial_size() / 8);
        clear_padding(lwe, parameters.lwe_dimension());
        Self::import(parameters, &bytes)
    }

    /// Reads the bytes that [`LongLivedKey::export`] wrote: N bits of S, then n bits of z, each packed from the least
    /// significant bit of a byte up and padded with zeros to a byte.
    pub fn import(parameters: &'static BootstrapParameters, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != Self::exported_len(parameters) {
            return Err(Error::Length);
        }
        let (glwe, packed) = bytes.split_at(parameters.glwe().polynomial_size() / 8);
        let mut lwe = LockedWords::zeroed(parameters.lwe_dimension())?;
        for (index, word) in lwe.iter_mut().enumerate() {
            *word = u64::from(packed[index / 8] >> (index % 8) & 1);
        }
        Ok(Self { parameters, glwe: SecretKey::import(parameters.glwe(), glwe)?, lwe })
    }

    /// The key's bits, for a file that its owner encrypts. They decrypt every answer and request of this key.
    #[must_use]
    pub fn export(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(Self::exported_len(self.parameters)));
        bytes.extend_from_slice(&self.glwe.export());
        for bits in self.lwe.chunks(8) {
            bytes.push(bits.iter().rev().fold(0, |byte, &bit| byte << 1 | bit as u8));
        }
        bytes
    }

    fn exported_len(parameters: &BootstrapParameters) -> usize {
        parameters.glwe().polynomial_size() / 8 + parameters.lwe_dimension().div_ceil(8)
    }

    /// The parameter set.
    #[must_use]
    pub fn parameters(&self) -> &'static BootstrapParameters {
        self.parameters
    }

    /// The GLWE key, which encrypts requests.
    #[must_use]
    pub fn glwe(&self) -> &SecretKey {
        &self.glwe
    }

    /// Makes an evaluation key; the seeds of its masks and of its noise are drawn from the operating system, separately.
    pub fn evaluation_key(&self) -> Result<EvaluationKey, Error> {
        let mut mask_seed = [0; 32];
        getrandom::fill(&mut mask_seed)?;
        let noise_seed = SecretSeed::draw(getrandom::fill)?;
        self.evaluation_key_with(Seed::from_bytes(mask_seed), &noise_seed)
    }

    /// The same from seeds of which no other evaluation key was made, nor will be.
    pub(crate) fn evaluation_key_with(&self, seed: Seed, noise: &SecretSeed) -> Result<EvaluationKey, Error> {
        let rotation = self.rotation(&seed, noise)?;
        let keyswitch = self.keyswitch(&seed, noise)?;
        Ok(EvaluationKey::new(self.parameters, seed, rotation, keyswitch))
    }

    /// The bodies of the blind rotation; see [`EvaluationKey`] for their order.
    fn rotation(&self, seed: &Seed, noise: &SecretSeed) -> Result<Vec<u64>, Error> {
        let parameters = self.parameters;
        let (glwe, ring) = (parameters.glwe(), parameters.glwe().ring());
        let n = glwe.polynomial_size();
        let (bits, transformed) = (self.glwe.bits()?, self.glwe.transformed()?);
        let mut bodies = Vec::with_capacity(parameters.rotation_rows() * n);
        let mut message = Zeroizing::new(vec![0_i64; n]);
        let mut row = 0;
        for pair in self.lwe.chunks_exact(parameters.group()) {
            for indicator in indicators(pair).iter().take(parameters.ggsw_per_step()) {
                for level in 0..parameters.rotation().levels {
                    let scaled = *indicator << gadget_log(50, parameters.rotation(), level);
                    for is_body in [false, true] {
                        message.fill(0);
                        if is_body {
                            message[0] = scaled;
                        } else {
                            message
                                .iter_mut()
                                .zip(bits.iter())
                                .for_each(|(m, &bit)| *m = -scaled * bit as i64);
                        }
                        let mask = EvaluationKey::rotation_mask(parameters, seed, row);
                        let samples = Xof::randomness(glwe, noise, Role::RotationNoise, row as u32, 0);
                        let mut body = crate::encrypt::encrypt_zero(glwe, &transformed, mask, samples);
                        // Gadgets are below 2^50, and so may be above what `add_signed` takes.
                        let residues = Zeroizing::new(ring.reduce_small(&message));
                        ring.add(&mut body, &residues);
                        bodies.append(&mut body);
                        row += 1;
                    }
                }
            }
        }
        Ok(bodies)
    }

    /// The bodies of the keyswitch.
    fn keyswitch(&self, seed: &Seed, noise: &SecretSeed) -> Result<Vec<u32>, Error> {
        let parameters = self.parameters;
        let (glwe, gadget) = (parameters.glwe(), parameters.keyswitch());
        let mut bodies = Vec::with_capacity(parameters.keyswitch_rows());
        let mut samples = Zeroizing::new(vec![0_i64; gadget.levels]);
        for (coefficient, &bit) in self.glwe.bits()?.iter().enumerate() {
            let masks = EvaluationKey::keyswitch_masks(parameters, seed, coefficient);
            Xof::randomness(glwe, noise, Role::KeyswitchNoise, coefficient as u32, 0)
                .tuniform(parameters.lwe_noise_bits(), &mut samples);
            let rows = masks.chunks_exact(parameters.lwe_dimension()).zip(samples.iter()).enumerate();
            bodies.extend(rows.map(|(level, (mask, &noise))| {
                // No branch depends on a key bit.
                let product = mask
                    .iter()
                    .zip(self.lwe.iter())
                    .fold(0_u32, |sum, (&a, &z)| sum.wrapping_add(a & (z as u32).wrapping_neg()));
                let message = (bit as u32) << gadget_log(32, gadget, level);
                product.wrapping_add(noise as u32).wrapping_add(message)
            }));
        }
        Ok(bodies)
    }
}

impl fmt::Debug for LongLivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LongLivedKey").field("parameters", &self.parameters.name()).finish_non_exhaustive()
    }
}

/// log2 of the gadget's value at `level` below a modulus of `bits` bits.
fn gadget_log(bits: u32, gadget: Gadget, level: usize) -> u32 {
    bits - gadget.base_log * (level as u32 + 1)
}

/// What the GGSW ciphertexts of one step encrypt: the bit of a group of one, or for a pair whether it is (0,0), (1,0),
/// (0,1), (1,1).
fn indicators(group: &[u64]) -> Zeroizing<[i64; 4]> {
    let bits = [group[0] as i64, group.get(1).map_or(0, |&bit| bit as i64)];
    let [first, second] = bits;
    if group.len() == 1 {
        return Zeroizing::new([first, 0, 0, 0]);
    }
    Zeroizing::new([(1 - first) * (1 - second), first * (1 - second), (1 - first) * second, first * second])
}

/// Zeroes the bits of the last byte that stand for none of `count` key bits.
fn clear_padding(packed: &mut [u8], count: usize) {
    if let (Some(last), rest @ 1..) = (packed.last_mut(), count % 8) {
        *last &= (1 << rest) - 1;
    }
}

#[cfg(test)]
mod tests {
    use tiresias_keys::bootstrap_parameters::{INSECURE_N64_N256_Q50_L2_G2, N918_N2048_Q50};

    use super::*;

    #[test]
    fn keys_survive_export_and_their_length_is_checked() {
        let key = LongLivedKey::generate(&N918_N2048_Q50).unwrap();
        let bytes = key.export();
        let imported = LongLivedKey::import(&N918_N2048_Q50, &bytes).unwrap();
        assert_eq!(imported.export(), bytes);
        assert_eq!(imported.lwe[..], key.lwe[..]);
        assert!(matches!(LongLivedKey::import(&N918_N2048_Q50, &bytes[1..]), Err(Error::Length)));
        assert_eq!(format!("{key:?}"), "LongLivedKey { parameters: \"N918_N2048_Q50\", .. }");
    }

    /// Every row of an evaluation key decrypts to what the documentation of [`EvaluationKey`] says, within its noise.
    #[test]
    fn each_row_encrypts_what_it_should() {
        let parameters = &INSECURE_N64_N256_Q50_L2_G2;
        let (glwe, n) = (parameters.glwe(), parameters.glwe().polynomial_size());
        let (ring, q) = (glwe.ring(), glwe.primes()[0] as i64);
        let key = LongLivedKey::generate(parameters).unwrap();
        let made = key.evaluation_key().unwrap();
        let (secret, transformed) = (key.glwe.bits().unwrap(), key.glwe.transformed().unwrap());

        for (row, body) in made.rotation_bodies().enumerate() {
            let mut mask = EvaluationKey::rotation_mask(parameters, made.seed(), row);
            ring.forward(&mut mask);
            ring.normalize(&mut mask);
            let mut product = ring.zero();
            ring.multiply_add(&mut product, &mask, &transformed);
            ring.inverse(&mut product);
            let (is_body, level) = (row % 2 == 1, row / 2 % 2);
            let (subset, step) = (row / 4 % 4, row / 16);
            let matches = key.lwe[2 * step] as usize + 2 * key.lwe[2 * step + 1] as usize == subset;
            let scale = i64::from(matches) << (50 - 15 * (level + 1));
            for i in 0..n {
                let message = if is_body { scale * i64::from(i == 0) } else { -scale * secret[i] as i64 };
                let noise = (body[i] as i64 - product[i] as i64 - message).rem_euclid(q);
                assert!(noise.min(q - noise) <= 1 << glwe.noise_bits(), "row {row}, coefficient {i}");
            }
        }

        let dimension = parameters.lwe_dimension();
        for (coefficient, &bit) in secret.iter().enumerate() {
            let masks = EvaluationKey::keyswitch_masks(parameters, made.seed(), coefficient);
            for (level, mask) in masks.chunks_exact(dimension).enumerate() {
                let product = mask.iter().zip(key.lwe.iter()).map(|(&a, &z)| a.wrapping_mul(z as u32));
                let product = product.fold(0_u32, u32::wrapping_add);
                let message = (bit as u32) << (32 - 4 * (level + 1));
                let body = made.keyswitch_bodies()[4 * coefficient + level];
                let noise = body.wrapping_sub(product).wrapping_sub(message) as i32;
                assert!(noise.unsigned_abs() <= 1 << parameters.lwe_noise_bits());
            }
        }
    }
}
