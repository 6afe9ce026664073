//! Wiped is wiped: this process reads all of its own memory, and finds a key while it lives and nowhere afterwards.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
};

use tiresias_keys::{
    ConfigId, EncryptedScores, Parameters, RequestShape, ResponseGroup, ResponseShape, Seed,
    bootstrap_parameters::INSECURE_N64_N256_Q50, parameters::N2048_Q50,
};
use tiresias_secret_key::{LongLivedKey, RequestContext, SecretKey};
use zeroize::Zeroizing;

/// What the needle is hidden under, so that it is not found itself.
const VEIL: u8 = 0x5a;

/// A part of a key, hidden.
struct Needle(Vec<u8>);

impl Needle {
    /// The bytes as they are.
    fn packed(bytes: &[u8]) -> Self {
        Self(bytes.iter().map(|byte| byte ^ VEIL).collect())
    }

    /// The bits as words 0 or 1.
    fn spread(bytes: &[u8]) -> Self {
        let bits = bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1));
        Self(bits.flat_map(|bit| [bit ^ VEIL, VEIL, VEIL, VEIL, VEIL, VEIL, VEIL, VEIL]).collect())
    }

    /// How often it stands in this process's memory.
    fn count(&self) -> usize {
        let memory = File::open("/proc/self/mem").unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let mut buffer = vec![0_u8; 1 << 16];
        let own = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + buffer.len() as u64;
        let mut found = 0;
        for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
            let (range, _) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            let (mut at, end) =
                (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
            while at < end {
                let wanted = buffer.len().min((end - at) as usize);
                let Ok(read) = memory.read_at(&mut buffer[..wanted], at) else { break };
                let chunk = &buffer[..read];
                let starts = (0..chunk.len().saturating_sub(self.0.len() - 1)).filter(|start| {
                    chunk[*start..].iter().zip(&self.0).all(|(byte, hidden)| *byte == hidden ^ VEIL)
                });
                // What was read stands in the buffer too.
                found += starts.filter(|start| !own.contains(&(at + *start as u64))).count();
                buffer.fill(0);
                if read <= self.0.len() {
                    break;
                }
                // A needle may lie across two chunks.
                at += if at + read as u64 == end { read as u64 } else { (read - self.0.len()) as u64 };
            }
        }
        found
    }
}

fn needles(bytes: &[u8]) -> [Needle; 2] {
    // From the middle: allocators write over the beginning of what is freed.
    let middle = bytes.len() / 2;
    [Needle::packed(&bytes[middle..middle + 12]), Needle::spread(&bytes[middle..middle + 4])]
}

fn use_key(key: SecretKey, parameters: &'static Parameters) {
    let shape = RequestShape { parameters, ciphertexts: 1, carries_zero: true };
    let (config, gateway_seed) = (ConfigId::of_card(b"card"), Seed::from_bytes([3; 32]));
    let context = RequestContext { config: &config, gateway_seed: &gateway_seed, shape: &shape };
    let plaintext = vec![1_u64; parameters.polynomial_words()];
    let request = key.encrypt(&[plaintext], &context).unwrap();
    let digest = tiresias_keys::EncryptedFeatures::digest(&request.to_bytes(&shape));
    let response = ResponseShape {
        parameters,
        rerandomized: true,
        modulus_bits: 37,
        classes: 1,
        classes_per_group: 1,
        block: 30,
    };
    let group = ResponseGroup { mask: vec![3; parameters.polynomial_size()], body: vec![4] };
    let phases = key.decrypt(&EncryptedScores::new(config, digest, vec![group]), &response).unwrap();
    assert_eq!(phases.as_slice().len(), 1);
}

#[test]
fn a_key_is_in_memory_while_it_lives_and_nowhere_afterwards() {
    let key = SecretKey::generate(&N2048_Q50).unwrap();
    let needles_of_key = {
        let bytes: Zeroizing<Vec<u8>> = key.export();
        needles(&bytes)
    };
    assert_eq!(needles_of_key[0].count(), 1, "the key itself, and no copy of it");
    use_key(key, &N2048_Q50);
    assert_eq!(needles_of_key.map(|needle| needle.count()), [0, 0], "packed, and as words");
}

#[test]
fn a_long_lived_key_leaves_nothing_either() {
    let key = LongLivedKey::generate(&INSECURE_N64_N256_Q50).unwrap();
    let needles_of_key = {
        let bytes = key.export();
        needles(&bytes)
    };
    let made = key.evaluation_key().unwrap();
    assert!(needles_of_key[0].count() > 0, "the search finds what is there");
    drop(key);
    assert_eq!(needles_of_key.map(|needle| needle.count()), [0, 0], "packed, and as words");
    drop(made);
}
