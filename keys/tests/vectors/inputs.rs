//! The inputs of the golden vectors, version 2. Three test programs include this file: `keys/tests/vectors.rs`,
//! `keys/secret/src/vectors.rs` and `circuits/tests/vectors.rs`. `v2/vectors.json` states the same values.
#![allow(dead_code, reason = "each of the three programs uses a part")]
#![allow(clippy::panic, reason = "helpers of tests")]

use std::path::PathBuf;

use tiresias_keys::{
    ConfigId, Digest, Parameters, RequestShape, ResponseShape, Seed,
    parameters::{N2048_Q50, N4096_Q100},
};

/// Width of features and of weights.
pub(crate) const BITS: u32 = 8;

/// One head and its request and response.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// The name in file names and labels.
    pub(crate) name: &'static str,
    /// The privacy's name.
    pub(crate) privacy: &'static str,
    /// The parameter set.
    pub(crate) parameters: &'static Parameters,
    /// Features d.
    pub(crate) features: usize,
    /// Ciphertexts m and features D in each but the last.
    pub(crate) layout: (usize, usize),
    /// The biases, one a class, in score units: the largest and the smallest that fit.
    pub(crate) biases: &'static [i64],
    /// Bits t of the widest score.
    pub(crate) plaintext_bits: u32,
    /// Bits r of the response modulus.
    pub(crate) response_bits: u32,
    /// Bytes 24 to 31 of the client seed, little endian: found by search, so that one draw of a mask is rejected.
    client_counter: u64,
    /// The same of the response seed, so that the small noise e2 shows in the response.
    response_counter: u64,
}

/// One draw of the mask of its encryption of zero is rejected.
pub(crate) const FLOODED: Kind = Kind {
    name: "flooded",
    privacy: "flooded",
    parameters: &N2048_Q50,
    features: 30,
    layout: (1, 30),
    biases: &[40_417, -40_417],
    plaintext_bits: 20,
    response_bits: 33,
    client_counter: 33_459_734,
    response_counter: 7692,
};
/// Two ciphertexts; one draw of the second prime's residues of a mask is rejected.
pub(crate) const STATISTICAL: Kind = Kind {
    name: "statistical",
    privacy: "statistical",
    parameters: &N4096_Q100,
    features: 4099,
    layout: (2, 2050),
    biases: &[68_104_956, -68_104_956],
    plaintext_bits: 28,
    response_bits: 42,
    client_counter: 10_656,
    response_counter: 0,
};
/// One draw of the mask of its features is rejected.
pub(crate) const OPEN: Kind = Kind {
    name: "open",
    privacy: "open-weights",
    parameters: &N2048_Q50,
    features: 30,
    layout: (1, 30),
    biases: &[40_417, -40_417],
    plaintext_bits: 20,
    response_bits: 32,
    client_counter: 32_343_175,
    response_counter: 0,
};

/// All of them.
pub(crate) const KINDS: [Kind; 3] = [FLOODED, STATISTICAL, OPEN];

impl Kind {
    /// The bytes whose SHA-256 is the config id. They stand in for a circuit card.
    pub(crate) fn config_bytes(&self) -> Vec<u8> {
        format!("tiresias golden vectors v2: {}\n", self.name).into_bytes()
    }

    pub(crate) fn config(&self) -> ConfigId {
        ConfigId::of_card(&self.config_bytes())
    }

    pub(crate) fn gateway_seed(&self) -> Seed {
        Seed::from_bytes(self.bytes32("gateway seed"))
    }

    pub(crate) fn client_seed(&self) -> Seed {
        self.counted("client seed", self.client_counter)
    }

    /// The seed of the client's noise e and e'.
    pub(crate) fn noise_seed(&self) -> [u8; 32] {
        self.bytes32("noise seed")
    }

    /// The seed of the gateway's u, e1, e2 and flood.
    pub(crate) fn response_seed(&self) -> Seed {
        self.counted("response seed", self.response_counter)
    }

    /// The secret key as N/8 bytes.
    pub(crate) fn key(&self) -> Vec<u8> {
        let parts = self.parameters.polynomial_size() / 256;
        (0..parts).flat_map(|part| self.bytes32(&format!("secret key {part}"))).collect()
    }

    pub(crate) fn carries_zero(&self) -> bool {
        self.privacy != "open-weights"
    }

    pub(crate) fn request_shape(&self) -> RequestShape {
        RequestShape {
            parameters: self.parameters,
            ciphertexts: self.layout.0,
            carries_zero: self.carries_zero(),
        }
    }

    /// All classes are in one group, or each in a group of its own where a class fills more than half a polynomial.
    pub(crate) fn response_shape(&self) -> ResponseShape {
        let classes = self.biases.len();
        ResponseShape {
            parameters: self.parameters,
            rerandomized: self.carries_zero(),
            modulus_bits: self.response_bits,
            classes,
            classes_per_group: classes.min(self.parameters.polynomial_size() / self.layout.1),
            block: self.layout.1,
        }
    }

    /// The quantized row: both ends of its range, zero, and values between.
    pub(crate) fn row(&self) -> Vec<i64> {
        (0..self.features as i64)
            .map(|i| [127, -127, 0].get(i as usize).copied().unwrap_or((73 * i + 5) % 255 - 127))
            .collect()
    }

    /// The weights in class order; those of the first class reach both ends of their range.
    pub(crate) fn weights(&self) -> Vec<i8> {
        (0..(self.biases.len() * self.features) as i64)
            .map(|i| [127, 127, -127].get(i as usize).copied().unwrap_or((91 * i + 17) % 255 - 127) as i8)
            .collect()
    }

    fn counted(&self, what: &str, counter: u64) -> Seed {
        let mut bytes = self.bytes32(what);
        bytes[24..].copy_from_slice(&counter.to_le_bytes());
        Seed::from_bytes(bytes)
    }

    /// SHA-256 of a label.
    fn bytes32(&self, what: &str) -> [u8; 32] {
        *Digest::of(format!("tiresias/vectors/v2/{}/{what}", self.name).as_bytes()).as_bytes()
    }
}

/// The path of a vector.
pub(crate) fn path(name: &str) -> PathBuf {
    // From the manifest of tiresias-keys, tiresias-secret-key or tiresias-circuits to the one folder of vectors.
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.ancestors().find(|folder| folder.join("keys/tests/vectors/v2").is_dir());
    root.expect("the crates stand in their workspace").join("keys/tests/vectors/v2").join(name)
}

/// The bytes of a vector.
pub(crate) fn read(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Whether vectors are to be written instead of compared.
pub(crate) fn is_writing() -> bool {
    std::env::var_os("TIRESIAS_WRITE_VECTORS").is_some_and(|value| value == "1")
}

/// Compares bytes with a vector, or writes it where that was asked for.
pub(crate) fn check(name: &str, bytes: &[u8]) {
    if is_writing() {
        std::fs::write(path(name), bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert!(read(name) == bytes, "{name} differs from what this program makes");
}
