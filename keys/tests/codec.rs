//! Properties of the codec: frames of every shape round-trip, and no change to a frame gets past it.

use proptest::prelude::*;
use tiresias_keys::{
    ConfigId, Digest, EncryptedFeatures, EncryptedScores, Error, RequestShape, ResponseGroup, ResponseShape, Seed,
    parameters::N2048_Q50,
    xof::{Role, Xof},
};

/// Values below 2^`width` (and below q): from a stream, or all at one end of the range.
fn values(seed: u8, label: u32, count: usize, width: u32) -> Vec<u64> {
    let most = (N2048_Q50.modulus() - 1).min((1 << width) - 1);
    let mut values = vec![if seed == 0 { 0 } else { most }; count];
    if seed > 1 {
        let seed = Seed::from_bytes([seed; 32]);
        Xof::randomness(&seed, Role::Flood, label, 0).uniform(&N2048_Q50, &mut values);
        values.iter_mut().for_each(|value| *value &= (1 << width) - 1);
    }
    values
}

fn config() -> ConfigId {
    ConfigId::of_card(b"card")
}

fn request(carries_zero: bool, seed: u8) -> (RequestShape, EncryptedFeatures) {
    let zero_body = carries_zero.then(|| values(seed, 1, 2048, 50));
    let features = EncryptedFeatures::new(config(), Seed::from_bytes([seed; 32]), values(seed, 0, 2048, 50), zero_body);
    (RequestShape { parameters: &N2048_Q50, carries_zero }, features)
}

fn response(rerandomized: bool, r: u32, classes: usize, most: usize, seed: u8) -> (ResponseShape, EncryptedScores) {
    let classes_per_group = most.min(classes);
    let shape =
        ResponseShape { parameters: &N2048_Q50, rerandomized, modulus_bits: r, classes, classes_per_group };
    let group = |(index, size)| ResponseGroup {
        mask: values(seed, 2 * index, 2048, r),
        body: values(seed, 2 * index + 1, size, r),
    };
    let groups = (0..).zip(shape.group_sizes()).map(group).collect();
    (shape, EncryptedScores::new(config(), Digest::of(b"request"), groups))
}

/// Makes the digest right again.
fn seal(bytes: &mut [u8]) {
    let (content, trailer) = bytes.split_at_mut(bytes.len() - 33);
    trailer[..32].copy_from_slice(Digest::of(content).as_bytes());
}

/// A change to a frame.
#[derive(Debug, Clone)]
enum Change {
    Xor { at: prop::sample::Index, with: u8 },
    Cut { at: prop::sample::Index },
    Append { bytes: Vec<u8> },
    Swap { left: prop::sample::Index, right: prop::sample::Index },
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Xor { at, with } => {
                let at = at.index(bytes.len());
                bytes[at] ^= with;
            }
            Self::Cut { at } => bytes.truncate(at.index(bytes.len())),
            Self::Append { bytes: more } => bytes.extend(more),
            Self::Swap { left, right } => {
                let (left, right) = (left.index(bytes.len()), right.index(bytes.len()));
                bytes.swap(left, right);
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (index(), 1..=u8::MAX).prop_map(|(at, with)| Change::Xor { at, with }),
        // The header and the trailer, which few random positions hit.
        2 => (0..8_usize, 1..=u8::MAX).prop_map(|(at, with)| Change::Xor { at: position(at), with }),
        1 => index().prop_map(|at| Change::Cut { at }),
        1 => prop::collection::vec(any::<u8>(), 1..40).prop_map(|bytes| Change::Append { bytes }),
        1 => (index(), index()).prop_map(|(left, right)| Change::Swap { left, right }),
    ]
}

/// An index that falls on byte `at` of every frame here, all shorter than 2^20 bytes.
fn position(at: usize) -> prop::sample::Index {
    // Index scales its 64 bits to the length; so small a fraction lands on byte 0 to 7 of some tens of kilobytes.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let any_index = any::<prop::sample::Index>();
    (0..)
        .find_map(|_: u64| {
            let index = any_index.new_tree(&mut runner).ok()?.current();
            (index.index(8) == at).then_some(index)
        })
        .unwrap_or_else(|| unreachable!("one draw in eight fits"))
}

proptest! {
    #[test]
    fn requests_round_trip(carries_zero: bool, seed: u8) {
        let (shape, request) = request(carries_zero, seed);
        let bytes = request.to_bytes(&shape);
        prop_assert_eq!(bytes.len(), shape.encoded_len());
        let (decoded, digest) = EncryptedFeatures::from_bytes(&bytes, &shape, &config()).unwrap();
        prop_assert_eq!(decoded, request);
        prop_assert_eq!(digest.as_bytes().as_slice(), &bytes[bytes.len() - 33..bytes.len() - 1]);
        prop_assert_eq!(bytes.last(), Some(&1));
    }
}
