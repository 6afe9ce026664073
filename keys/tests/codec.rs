//! Properties of the codec: frames of every shape round-trip, and no change to a frame gets past it.

use proptest::prelude::*;
use tiresias_keys::{
    ConfigId, Digest, EncryptedFeatures, EncryptedScores, Error, RequestShape, ResponseGroup, ResponseShape,
    Seed,
    parameters::{N2048_Q50, N4096_Q100},
    xof::{Role, SecretSeed, Xof},
};

/// Values below 2^`width` (and below q): from a stream, or all at one end of the range.
fn values(seed: u8, label: u32, count: usize, width: u32) -> Vec<u64> {
    let most = (N2048_Q50.primes()[0] - 1).min((1 << width) - 1);
    let mut values = vec![if seed == 0 { 0 } else { most }; count];
    if seed > 1 {
        let seed = SecretSeed::from_bytes([seed; 32]);
        values = Xof::randomness(&N2048_Q50, &seed, Role::Flood, label, 0).uniform(&N2048_Q50);
        values.truncate(count);
        values.iter_mut().for_each(|value| *value &= (1 << width) - 1);
    }
    values
}

fn config() -> ConfigId {
    ConfigId::of_card(b"card")
}

fn request(carries_zero: bool, seed: u8) -> (RequestShape, EncryptedFeatures) {
    let zero_body = carries_zero.then(|| values(seed, 1, 2048, 50));
    let bodies = vec![values(seed, 0, 2048, 50)];
    let features = EncryptedFeatures::new(config(), Seed::from_bytes([seed; 32]), bodies, zero_body);
    (RequestShape { parameters: &N2048_Q50, ciphertexts: 1, carries_zero }, features)
}

fn response(
    rerandomized: bool,
    r: u32,
    classes: usize,
    most: usize,
    seed: u8,
) -> (ResponseShape, EncryptedScores) {
    let classes_per_group = most.min(classes);
    let shape = ResponseShape {
        parameters: &N2048_Q50,
        rerandomized,
        modulus_bits: r,
        classes,
        classes_per_group,
        block: 1,
    };
    let group = |(index, size): (u32, usize)| ResponseGroup {
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
    Xor {
        at: prop::sample::Index,
        with: u8,
    },
    /// In the first eight bytes, which few random positions hit.
    Header {
        at: usize,
        with: u8,
    },
    Swap {
        left: prop::sample::Index,
        right: prop::sample::Index,
    },
    Cut {
        at: prop::sample::Index,
    },
    Append {
        bytes: Vec<u8>,
    },
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        match self {
            Self::Xor { at, with } => bytes[at.index(len)] ^= with,
            Self::Header { at, with } => bytes[*at] ^= with,
            Self::Swap { left, right } => bytes.swap(left.index(len), right.index(len)),
            Self::Cut { at } => bytes.truncate(at.index(len)),
            Self::Append { bytes: more } => bytes.extend(more),
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => (index(), 1..=u8::MAX).prop_map(|(at, with)| Change::Xor { at, with }),
        2 => (0..8_usize, 1..=u8::MAX).prop_map(|(at, with)| Change::Header { at, with }),
        2 => (index(), index()).prop_map(|(left, right)| Change::Swap { left, right }),
        1 => index().prop_map(|at| Change::Cut { at }),
        1 => prop::collection::vec(any::<u8>(), 1..40).prop_map(|bytes| Change::Append { bytes }),
    ]
}

/// The frame after the changes, where asked for with a digest that is right again.
fn changed(good: &[u8], changes: &[Change], is_sealed: bool) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for change in changes {
        if bytes.len() >= 105 {
            change.apply(&mut bytes);
        }
    }
    if is_sealed && bytes.len() >= 33 {
        seal(&mut bytes);
    }
    bytes
}

fn decode_response(bytes: &[u8], shape: &ResponseShape) -> Result<EncryptedScores, Error> {
    EncryptedScores::from_bytes(bytes, shape, &config(), &Digest::of(b"request"))
}

proptest! {
    #[test]
    fn requests_round_trip(carries_zero: bool, seed: u8) {
        let (shape, request) = request(carries_zero, seed);
        let bytes = request.to_bytes(&shape);
        prop_assert_eq!(bytes.len(), shape.encoded_len());
        prop_assert_eq!(bytes.last(), Some(&1));
        let (decoded, digest) = EncryptedFeatures::from_bytes(&bytes, &shape, &config()).unwrap();
        prop_assert_eq!(decoded, request);
        prop_assert_eq!(digest.as_bytes().as_slice(), &bytes[bytes.len() - 33..bytes.len() - 1]);
    }

    #[test]
    fn responses_round_trip(rerandomized: bool, r in 1..=50_u32, classes in 1..60_usize, most in 1..60_usize, seed: u8) {
        prop_assume!(classes.div_ceil(most) <= 8); // larger ones only take longer
        let (shape, response) = response(rerandomized, r, classes, most, seed);
        let bytes = response.to_bytes(&shape);
        prop_assert_eq!(bytes.len(), shape.encoded_len());
        prop_assert_eq!(decode_response(&bytes, &shape).unwrap(), response);
    }

    #[test]
    fn changed_requests_are_refused(
        carries_zero: bool, seed: u8, is_sealed: bool, changes in prop::collection::vec(change(), 1..4),
    ) {
        let (shape, request) = request(carries_zero, seed);
        let good = request.to_bytes(&shape);
        let bytes = changed(&good, &changes, is_sealed);
        match EncryptedFeatures::from_bytes(&bytes, &shape, &config()) {
            Err(_) => prop_assert_ne!(bytes, good),
            // A new digest makes some changes another good frame, of other coefficients or of another seed.
            Ok((decoded, digest)) => {
                prop_assert!(bytes == good || is_sealed);
                prop_assert_eq!(digest.as_bytes().as_slice(), &bytes[bytes.len() - 33..bytes.len() - 1]);
                prop_assert_eq!(decoded.to_bytes(&shape), bytes);
            }
        }
    }

    #[test]
    fn changed_responses_are_refused(
        r in 16..=40_u32, classes in 1..9_usize, most in 1..9_usize, seed: u8, is_sealed: bool,
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let (shape, response) = response(true, r, classes, most, seed);
        let good = response.to_bytes(&shape);
        let bytes = changed(&good, &changes, is_sealed);
        match decode_response(&bytes, &shape) {
            Err(_) => prop_assert_ne!(bytes, good),
            Ok(decoded) => {
                prop_assert!(bytes == good || is_sealed);
                prop_assert_eq!(decoded.to_bytes(&shape), bytes);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), r in 1..=50_u32, pad: bool) {
        let (request, _) = request(false, 0);
        let (response, _) = response(true, r, 3, 2, 0);
        let padded = |len: usize| {
            let mut bytes = bytes.clone();
            if pad {
                bytes.resize(len, 0xa5);
            }
            bytes
        };
        prop_assert!(EncryptedFeatures::from_bytes(&padded(request.encoded_len()), &request, &config()).is_err());
        prop_assert!(decode_response(&padded(response.encoded_len()), &response).is_err());
    }

    #[test]
    fn frames_of_one_shape_are_refused_under_another(seed: u8, r in 16..40_u32, classes in 1..9_usize) {
        let (shape, request) = request(true, seed);
        let bytes = request.to_bytes(&shape);
        let other = RequestShape { carries_zero: false, ..shape };
        prop_assert!(EncryptedFeatures::from_bytes(&bytes, &other, &config()).is_err());
        prop_assert!(EncryptedFeatures::from_bytes(&bytes, &shape, &ConfigId::of_card(b"other")).is_err());

        let (shape, response) = response(true, r, classes, 4, seed);
        let bytes = response.to_bytes(&shape);
        for other in [
            ResponseShape { rerandomized: false, ..shape },
            ResponseShape { modulus_bits: r + 1, ..shape },
            ResponseShape { classes: classes + 1, ..shape },
        ] {
            prop_assert!(decode_response(&bytes, &other).is_err());
        }
        let other = Digest::of(b"another request");
        prop_assert!(EncryptedScores::from_bytes(&bytes, &shape, &config(), &other).is_err());
    }
}

#[test]
fn requests_of_several_ciphertexts_under_two_primes_round_trip() {
    let uniform = |label| {
        Xof::randomness(&N4096_Q100, &SecretSeed::from_bytes([5; 32]), Role::Flood, label, 0)
            .uniform(&N4096_Q100)
    };
    let shape = RequestShape { parameters: &N4096_Q100, ciphertexts: 3, carries_zero: true };
    let bodies = vec![uniform(0), uniform(1), uniform(2)];
    let request = EncryptedFeatures::new(config(), Seed::from_bytes([1; 32]), bodies, Some(uniform(3)));
    let bytes = request.to_bytes(&shape);
    assert_eq!((bytes.len(), bytes[5], bytes[7]), (105 + 4 * 51_200, 2, 3));
    assert_eq!(EncryptedFeatures::from_bytes(&bytes, &shape, &config()).unwrap().0, request);

    // A residue below the first prime need not be below the second.
    let mut bodies = vec![uniform(0), uniform(1), uniform(2)];
    bodies[2][4096 + 9] = N4096_Q100.primes()[1];
    let bad = EncryptedFeatures::new(config(), Seed::from_bytes([1; 32]), bodies, Some(uniform(3)));
    let refused = EncryptedFeatures::from_bytes(&bad.to_bytes(&shape), &shape, &config());
    assert_eq!(refused, Err(Error::NotCanonical));

    let one_less = RequestShape { ciphertexts: 2, ..shape };
    assert!(matches!(EncryptedFeatures::from_bytes(&bytes, &one_less, &config()), Err(Error::Length { .. })));
}
