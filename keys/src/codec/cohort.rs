//! Frames of cohorts (`keys/WIRE.md`, section 16).

use super::{Frame, HEADER_LEN, TRAILER_LEN, VERSION, seal, unpack_polynomial};
use crate::{
    ConfigId, Digest, Error, Seed, bits,
    cohort::{CohortShape, EncryptedCohort},
    parameters::RESIDUE_BITS,
};

pub(super) const COHORT: &str = "cohort block";
const MAGIC: &[u8; 4] = b"TRSC";

/// Header, run seed and number of patients.
const FRONT: usize = HEADER_LEN + 32 + 4;

impl CohortShape {
    /// Bytes of one encoded [`EncryptedCohort`] of so many patients.
    #[must_use]
    pub fn encoded_len(&self, patients: usize) -> usize {
        FRONT + self.bodies_len(patients) + self.zero_len() + TRAILER_LEN
    }

    fn bodies_len(&self, patients: usize) -> usize {
        self.features * patients * self.parameters.body_bytes()
    }

    fn zero_len(&self) -> usize {
        let words = self.parameters.glwe().polynomial_words();
        if self.carries_zero { bits::packed_len(words, RESIDUE_BITS) } else { 0 }
    }

    fn header(&self) -> [u8; 8] {
        let [a, b, c, d] = *MAGIC;
        let (code, bits) = (self.parameters.code(), self.parameters.body_bits() as u8);
        [a, b, c, d, VERSION, code, u8::from(self.carries_zero), bits]
    }
}

impl EncryptedCohort {
    /// Assembles a block. `bodies` gives a polynomial a feature, of which the first `patients` coefficients are taken, each
    /// below 2^48.
    #[must_use]
    pub fn new(
        shape: &CohortShape,
        config: &ConfigId,
        seeds: (Seed, Seed),
        patients: usize,
        bodies: impl Iterator<Item = Vec<u64>>,
        zero_body: Option<Vec<u64>>,
    ) -> Self {
        let (run, seed) = seeds;
        let mut out = Vec::with_capacity(shape.encoded_len(patients));
        out.extend_from_slice(&shape.header());
        out.extend_from_slice(config.as_bytes());
        out.extend_from_slice(seed.as_bytes());
        out.extend_from_slice(run.as_bytes());
        out.extend_from_slice(&(patients as u32).to_le_bytes());
        for body in bodies {
            for plane in 0..shape.parameters.body_bytes() / 2 {
                let start = out.len();
                out.resize(start + 2 * patients, 0);
                let words = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<2>().0;
                words.iter_mut().zip(&body).for_each(|(word, value)| {
                    *word = ((value >> (16 * plane)) as u16).to_le_bytes();
                });
            }
        }
        if let Some(body) = &zero_body {
            bits::pack(body, RESIDUE_BITS, &mut out);
        }
        let bodies = FRONT..FRONT + shape.bodies_len(patients);
        Self { run, seed, patients, frame: seal(out), bodies, zero_body }
    }

    /// The digest that names a block: SHA-256 of all but the trailer, as stated in it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let stated =
            self.frame.split_last_chunk::<TRAILER_LEN>().and_then(|(_, end)| end.first_chunk::<32>());
        Digest::from_bytes(stated.copied().unwrap_or_default())
    }

    /// Decodes a block for the card `config`. The number of patients that it states fixes its length.
    pub fn from_bytes(bytes: Vec<u8>, shape: &CohortShape, config: &ConfigId) -> Result<Self, Error> {
        let most = shape.parameters.maximum_patients();
        let stated = bytes.get(FRONT - 4..FRONT).and_then(|bytes| bytes.first_chunk::<4>());
        let too_short = Error::Length { what: COHORT, got: bytes.len(), expected: shape.encoded_len(1) };
        let patients = u32::from_le_bytes(*stated.ok_or(too_short)?) as usize;
        if !(1..=most).contains(&patients) {
            return Err(Error::Patients { most });
        }
        let mut frame = Frame::open(COHORT, &bytes, shape.encoded_len(patients), &shape.header())?;
        if ConfigId::from_bytes(frame.array()?) != *config {
            return Err(Error::ConfigId);
        }
        let (seed, run) = (Seed::from_bytes(frame.array()?), Seed::from_bytes(frame.array()?));
        frame.take(4 + shape.bodies_len(patients))?;
        let zero_body = shape
            .carries_zero
            .then(|| unpack_polynomial(frame.take(shape.zero_len())?, shape.parameters.glwe()))
            .transpose()?;
        let bodies = FRONT..FRONT + shape.bodies_len(patients);
        Ok(Self { run, seed, patients, frame: bytes, bodies, zero_body })
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests may panic")]
mod tests {
    use super::*;
    use crate::cohort::N2048_C52;

    fn shape(carries_zero: bool) -> CohortShape {
        CohortShape { parameters: &N2048_C52, features: 3, carries_zero }
    }

    fn config() -> ConfigId {
        ConfigId::of_card(b"card")
    }

    fn block(carries_zero: bool, patients: usize) -> EncryptedCohort {
        let bodies = (0..3).map(|j| (0..2048).map(|i| (1 << 47) + 1000 * j + i).collect());
        let zero = carries_zero.then(|| (0..2048).collect());
        let seeds = (Seed::from_bytes([1; 32]), Seed::from_bytes([2; 32]));
        EncryptedCohort::new(&shape(carries_zero), &config(), seeds, patients, bodies, zero)
    }

    #[test]
    fn blocks_round_trip_whatever_their_number_of_patients() {
        for carries_zero in [false, true] {
            for patients in [1, 2, 17, 2048] {
                let (shape, block) = (shape(carries_zero), block(carries_zero, patients));
                let bytes = block.clone().into_bytes();
                assert_eq!(bytes.len(), shape.encoded_len(patients));
                let read = EncryptedCohort::from_bytes(bytes, &shape, &config()).unwrap();
                assert_eq!(read, block);
                assert_eq!(read.digest(), block.digest());
                assert_eq!(read.bodies().len(), 3 * patients * 6);
                // The second feature's top plane, of its first patient.
                assert_eq!(read.bodies()[(3 + 2) * patients * 2..][..2], (1_u16 << 15).to_le_bytes());
            }
        }
    }

    #[test]
    fn every_other_frame_is_refused() {
        let (shape, good) = (shape(true), block(true, 5).into_bytes());
        let read = |bytes: Vec<u8>| EncryptedCohort::from_bytes(bytes, &shape, &config()).unwrap_err().code();
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        for length in [0, 1, 107, 108, good.len() - 1] {
            assert_eq!(read(good[..length].to_vec()), "wrong_length");
        }
        assert_eq!(read([good.as_slice(), &[0]].concat()), "wrong_length");
        assert_eq!(read(with(104, 0)), "wrong_patients");
        assert_eq!(read(with(104, 6)), "wrong_length");
        assert_eq!(read(with(105, 8)), "wrong_patients");
        assert_eq!(read(with(107, 1)), "wrong_patients");
        assert_eq!(read(with(3, b'Q')), "wrong_magic");
        assert_eq!(read(with(4, 9)), "wrong_version");
        for at in [5, 6, 7] {
            assert_eq!(read(with(at, 9)), "wrong_header");
        }
        for at in [8, 40, 72, 108, good.len() - 34, good.len() - 2] {
            assert_eq!(read(with(at, good[at] ^ 1)), "damaged");
        }
        assert_eq!(read(with(good.len() - 1, 0)), "no_end_mark");
        let other = ConfigId::of_card(b"other");
        assert_eq!(EncryptedCohort::from_bytes(good.clone(), &shape, &other), Err(Error::ConfigId));
        // A residue of the prime, with the digest that goes with it.
        let mut block = good[..good.len() - TRAILER_LEN].to_vec();
        let zero = block.len() - shape.zero_len();
        block[zero..zero + 7].fill(0xff);
        assert_eq!(read(seal(block)), "not_canonical");
    }
}
