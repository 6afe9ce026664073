//! BFV with coefficient packing, by fhe.rs: the same layout as ours, as many classes in one weight polynomial as fit.
//! Weights and biases are encoded once.
//!
//! fhe.rs multiplies by weights lifted to [0, 2^t) instead of around 0, so that noise grows by 2^t. In its smallest set
//! of 128 bits, N = 2048, t = 20 is about what fits: the scores of our row do, not all that the shape allows. The next
//! set, N = 4096, holds them all. Both are entries of its own `default_parameters_128`.
//!
//! Without a mask every answer carries the whole product of row and weights: whoever decrypts it can read the weights
//! of most classes off one answer. With it the other coefficients are random, drawn for each answer; the noise under
//! them still depends on the weights.

use std::{error::Error, hint::black_box, sync::Arc};

use fhe::bfv::{BfvParameters, BfvParametersBuilder, Ciphertext, Encoding, Plaintext, SecretKey};
use fhe_traits::{DeserializeParametrized, FheDecoder, FheDecrypter, FheEncoder, FheEncrypter, Serialize};
use rand::Rng as _;
use tiresias_benches::Fixture;

use crate::{Contender, Facts};

/// One entry of `default_parameters_128`.
pub(crate) struct Set {
    name: &'static str,
    polynomial_size: usize,
    moduli: &'static [u64],
    /// Bits of the plaintext modulus; those of the shape's widest score where not given.
    plaintext_bits: Option<u32>,
}

/// The sets that are measured.
pub(crate) static SETS: [Set; 2] = [
    Set {
        name: "N = 2048, q = 54 bits",
        polynomial_size: 2048,
        moduli: &[0x3f_ffff_ff00_0001],
        plaintext_bits: Some(20),
    },
    Set {
        name: "N = 4096, q = 36 + 36 + 37 bits",
        polynomial_size: 4096,
        moduli: &[0xf_fffe_e001, 0xf_fffc_4001, 0x1f_fffe_0001],
        plaintext_bits: None,
    },
];

/// A packed head and one request to it.
pub(crate) struct Bfv {
    parameters: Arc<BfvParameters>,
    key: SecretKey,
    set: &'static Set,
    masked: bool,
    features: usize,
    classes: usize,
    plaintext_bits: u32,
    row: Plaintext,
    groups: Vec<Group>,
    request: Ciphertext,
    bytes: Vec<u8>,
    response_bytes: usize,
}

/// The classes of one weight polynomial.
struct Group {
    weights: Plaintext,
    /// Biases at the score coefficients, and nothing else.
    biases: Vec<u64>,
    encoded_biases: Plaintext,
}

impl Bfv {
    pub(crate) fn new(fixture: &Fixture, set: &'static Set, masked: bool) -> Result<Self, Box<dyn Error>> {
        let shape = *fixture.quantized.shape();
        let t = set.plaintext_bits.unwrap_or(shape.plaintext_bits());
        let parameters = BfvParametersBuilder::new()
            .set_degree(set.polynomial_size)
            .set_plaintext_modulus(1 << t)
            .set_moduli(set.moduli)
            .build_arc()?;
        let encode = |values: &[u64]| Plaintext::try_encode(values, Encoding::poly(), &parameters);
        let residue = |value: i64| value as u64 & ((1 << t) - 1);

        let (d, per_group) = (shape.features, set.polynomial_size / shape.features);
        let mut groups = Vec::new();
        let biases = fixture.quantized.bias().chunks(per_group);
        for (classes, biases) in fixture.quantized.weight().chunks(per_group * d).zip(biases) {
            let mut weights = vec![0; set.polynomial_size];
            for (block, class) in weights.chunks_exact_mut(d).zip(classes.chunks_exact(d)) {
                for (place, &weight) in block.iter_mut().zip(class.iter().rev()) {
                    *place = residue(i64::from(weight));
                }
            }
            let mut placed = vec![0; set.polynomial_size];
            for (block, &bias) in placed.chunks_exact_mut(d).zip(biases) {
                block[d - 1] = residue(bias);
            }
            let (weights, encoded_biases) = (encode(&weights)?, encode(&placed)?);
            groups.push(Group { weights, biases: placed, encoded_biases });
        }

        let row: Vec<u64> = fixture.row.iter().map(|&x| residue(x)).collect();
        let (mut rng, row) = (rand::rng(), encode(&row)?);
        let key = SecretKey::random(&parameters, &mut rng);
        let request: Ciphertext = key.try_encrypt(&row, &mut rng)?;
        let bytes = request.to_bytes();
        // What a server gets is what it decodes.
        let request = Ciphertext::from_bytes(&bytes, &parameters)?;
        let mut new = Self {
            parameters,
            key,
            set,
            masked,
            features: d,
            classes: shape.classes,
            plaintext_bits: t,
            row,
            groups,
            request,
            bytes,
            response_bytes: 0,
        };
        new.response_bytes = new.answer(&new.bytes)?.iter().map(Vec::len).sum();
        Ok(new)
    }

    fn products(&self, request: &Ciphertext) -> Result<Vec<Ciphertext>, Box<dyn Error>> {
        let product = |group: &Group| {
            let mut product = request * &group.weights;
            if self.masked {
                product += &self.mask(group)?;
            } else {
                product += &group.encoded_biases;
            }
            // Of several primes, an answer keeps one.
            product.switch_to_level(product.max_switchable_level())?;
            Ok(product)
        };
        self.groups.iter().map(product).collect()
    }

    /// The biases at the score coefficients, random values at all others.
    fn mask(&self, group: &Group) -> Result<Plaintext, fhe::Error> {
        let mut values = vec![0_u64; self.set.polynomial_size];
        rand::rng().fill(values.as_mut_slice());
        values.iter_mut().for_each(|value| *value &= (1 << self.plaintext_bits) - 1);
        for place in (self.features - 1..values.len()).step_by(self.features) {
            values[place] = group.biases[place];
        }
        Plaintext::try_encode(&values, Encoding::poly(), &self.parameters)
    }

    fn answer(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
        let request = Ciphertext::from_bytes(bytes, &self.parameters)?;
        Ok(self.products(&request)?.iter().map(Serialize::to_bytes).collect())
    }
}

impl Contender for Bfv {
    fn facts(&self) -> Facts {
        Facts {
            name: format!("fhe.rs {}{}", self.set.polynomial_size, if self.masked { " masked" } else { "" }),
            parameters: format!(
                "{}, scores of {} bits, {} ciphertexts",
                self.set.name,
                self.plaintext_bits,
                self.groups.len()
            ),
            security: "128, its own table".to_owned(),
            weights: if self.masked { "mask; noise depends on them" } else { "readable in one answer" },
            upload_bytes: self.bytes.len(),
            download_bytes: self.response_bytes,
            key_bytes: 0,
        }
    }

    fn scores(&self) -> Result<Vec<i64>, Box<dyn Error>> {
        let request: Ciphertext = self.key.try_encrypt(&self.row, &mut rand::rng())?;
        let mut scores = Vec::new();
        for bytes in self.answer(&request.to_bytes())? {
            let answer = Ciphertext::from_bytes(&bytes, &self.parameters)?;
            let values = Vec::<u64>::try_decode(&self.key.try_decrypt(&answer)?, Encoding::poly())?;
            let centre = |value: u64| {
                let shift = u64::BITS - self.plaintext_bits;
                (value << shift) as i64 >> shift
            };
            scores.extend(values.chunks_exact(self.features).map(|block| centre(block[self.features - 1])));
        }
        scores.truncate(self.classes);
        Ok(scores)
    }

    fn evaluate(&self) -> Result<(), Box<dyn Error>> {
        black_box(self.products(black_box(&self.request))?);
        Ok(())
    }

    fn serve(&self) -> Result<(), Box<dyn Error>> {
        black_box(self.answer(black_box(&self.bytes))?);
        Ok(())
    }
}
