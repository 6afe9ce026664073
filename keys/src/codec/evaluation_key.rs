//! Frames of evaluation keys.

use super::{Frame, HEADER_LEN, TRAILER_LEN, VERSION, seal};
use crate::{BootstrapParameters, Error, EvaluationKey, Seed, bits, parameters::RESIDUE_BITS};

const EVALUATION_KEY: &str = "key frame";
const MAGIC: &[u8; 4] = b"TRSK";
/// Header and seed; a key belongs to no card, so it has no config id.
const PREFIX_LEN: usize = HEADER_LEN - 32;

impl EvaluationKey {
    /// Bytes of the frame of any key of these parameters.
    #[must_use]
    pub fn encoded_len(parameters: &BootstrapParameters) -> usize {
        let polynomials = parameters.rotation_rows() * polynomial_len(parameters);
        PREFIX_LEN + polynomials + 4 * parameters.keyswitch_rows() + TRAILER_LEN
    }

    /// The parameter set that a frame names in its first 8 bytes, and with it the frame's length. Errors where these
    /// bytes are not the header of an evaluation key, or the set is not in this program's table.
    pub fn expected(header: &[u8; 8]) -> Result<&'static BootstrapParameters, Error> {
        let [m0, m1, m2, m3, version, code, zero, also_zero] = *header;
        if [m0, m1, m2, m3] != *MAGIC {
            return Err(Error::Magic(EVALUATION_KEY));
        }
        if version != VERSION {
            return Err(Error::Version { got: version, expected: VERSION });
        }
        if [zero, also_zero] != [0, 0] {
            return Err(Error::Header("reserved bytes"));
        }
        BootstrapParameters::by_code(code)
    }

    /// The canonical bytes. Their SHA-256 names the key.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::encoded_len(self.parameters));
        out.extend_from_slice(&header(self.parameters));
        out.extend_from_slice(self.seed.as_bytes());
        for body in self.rotation_bodies() {
            bits::pack(body, RESIDUE_BITS, &mut out);
        }
        out.extend(self.keyswitch.iter().flat_map(|word| word.to_le_bytes()));
        seal(out)
    }

    /// Decodes a key of these parameters: length, header, digest and end mark first, then each residue.
    pub fn from_bytes(bytes: &[u8], parameters: &'static BootstrapParameters) -> Result<Self, Error> {
        let expected = Self::encoded_len(parameters);
        let mut frame = Frame::open(EVALUATION_KEY, bytes, expected, &header(parameters))?;
        let seed = Seed::from_bytes(frame.array()?);
        let (n, prime) = (parameters.glwe().polynomial_size(), parameters.glwe().modulus() as u64);
        let mut rotation = Vec::with_capacity(parameters.rotation_rows() * n);
        for _ in 0..parameters.rotation_rows() {
            let body = bits::unpack(frame.take(polynomial_len(parameters))?, n, RESIDUE_BITS)?;
            if body.iter().any(|&residue| residue >= prime) {
                return Err(Error::NotCanonical);
            }
            rotation.extend_from_slice(&body);
        }
        let words = frame.take(4 * parameters.keyswitch_rows())?.as_chunks::<4>().0;
        let keyswitch = words.iter().map(|&word| u32::from_le_bytes(word)).collect();
        Ok(Self { parameters, seed, rotation, keyswitch })
    }
}

fn header(parameters: &BootstrapParameters) -> [u8; 8] {
    let [a, b, c, d] = *MAGIC;
    [a, b, c, d, VERSION, parameters.code(), 0, 0]
}

fn polynomial_len(parameters: &BootstrapParameters) -> usize {
    bits::packed_len(parameters.glwe().polynomial_size(), RESIDUE_BITS)
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "of frames that the tests made themselves")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bootstrap_parameters::{INSECURE_N64_N256_Q50_L2_G2 as SMALL, N918_N2048_Q50_G2};

    /// A key of uniform residues: for the codec it is as good as one that encrypts something.
    fn key() -> EvaluationKey {
        let seed = Seed::from_bytes([7; 32]);
        let rows = 0..SMALL.rotation_rows();
        let rotation = rows.flat_map(|row| EvaluationKey::rotation_mask(&SMALL, &seed, row)).collect();
        let keyswitch = (0..SMALL.keyswitch_rows() as u32).map(|i| i.wrapping_mul(0x9e37_79b9)).collect();
        EvaluationKey::new(&SMALL, seed, rotation, keyswitch)
    }

    #[test]
    fn a_key_survives_its_bytes_and_sizes_are_those_of_the_documentation() {
        let bytes = key().to_bytes();
        assert_eq!(bytes.len(), EvaluationKey::encoded_len(&SMALL));
        assert_eq!(EvaluationKey::from_bytes(&bytes, &SMALL), Ok(key()));
        let sizes = BootstrapParameters::ALL.map(EvaluationKey::encoded_len);
        assert_eq!(sizes, [23_533_641, 47_034_441, 47_034_441, 94_036_041]);
    }

    #[test]
    fn a_header_tells_the_set_and_nothing_unknown_passes() {
        let good = header(&N918_N2048_Q50_G2);
        assert_eq!(EvaluationKey::expected(&good).unwrap(), &N918_N2048_Q50_G2);
        for (at, value, error) in [
            (3, b'Q', Error::Magic(EVALUATION_KEY)),
            (4, 1, Error::Version { got: 1, expected: VERSION }),
            (5, 0, Error::UnknownParameters),
            (5, 5, Error::UnknownParameters),
            (7, 1, Error::Header("reserved bytes")),
        ] {
            let mut bad = good;
            bad[at] = value;
            assert_eq!(EvaluationKey::expected(&bad), Err(error));
        }
    }

    #[test]
    fn a_residue_that_is_not_below_the_prime_is_refused() {
        let mut bad = key();
        bad.rotation[5] = SMALL.glwe().modulus() as u64;
        assert_eq!(EvaluationKey::from_bytes(&bad.to_bytes(), &SMALL), Err(Error::NotCanonical));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_changed_byte_and_any_other_length_is_refused(at in 0..EvaluationKey::encoded_len(&SMALL), flip in 1..=255_u8) {
            let mut bytes = key().to_bytes();
            prop_assert!(EvaluationKey::from_bytes(&bytes[..at], &SMALL).is_err());
            bytes[at] ^= flip;
            prop_assert!(EvaluationKey::from_bytes(&bytes, &SMALL).is_err());
        }
    }
}
