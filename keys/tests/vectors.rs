//! Golden vectors of frames and mask streams: `tests/vectors/v2`, specified in `WIRE.md`.
#![expect(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use std::process::Command;

use aes::Aes256;
use ctr::cipher::{KeyIvInit, StreamCipher};
use sha2::{Digest as _, Sha256};
use tiresias_keys::{
    EncryptedFeatures, EncryptedScores, Error, KeyId,
    xof::{Role, Xof},
};

#[path = "vectors/inputs.rs"]
mod inputs;

use inputs::{FLOODED, KINDS, Kind, OPEN, STATISTICAL};

fn good_request(kind: &Kind) -> (EncryptedFeatures, tiresias_keys::Digest) {
    let bytes = inputs::read(&format!("good_request_{}.bin", kind.name));
    EncryptedFeatures::from_bytes(&bytes, &kind.request_shape(), &kind.config()).unwrap()
}

#[test]
fn good_frames_decode_and_encode_back() {
    for kind in KINDS {
        let bytes = inputs::read(&format!("good_request_{}.bin", kind.name));
        let (request, digest) = good_request(&kind);
        assert_eq!(request.config(), &kind.config());
        assert_eq!(request.seed(), &kind.client_seed());
        assert_eq!(request.zero_body().is_some(), kind.carries_zero());
        assert_eq!(digest.as_bytes()[..], bytes[bytes.len() - 33..bytes.len() - 1]);
        assert_eq!(request.to_bytes(&kind.request_shape()), bytes);

        let bytes = inputs::read(&format!("good_response_{}.bin", kind.name));
        let shape = kind.response_shape();
        let response = EncryptedScores::from_bytes(&bytes, &shape, &kind.config(), &digest).unwrap();
        assert_eq!(response.groups().iter().map(|group| group.body.len()).sum::<usize>(), kind.biases.len());
        assert_eq!(response.to_bytes(&shape), bytes);
    }
}

/// The check of WIRE.md, section 9, that an error stands for.
fn fault(error: &Error) -> &'static str {
    match error {
        Error::Length { .. } => "length",
        Error::Magic(_) => "magic",
        Error::Version { .. } => "version",
        Error::Header("parameter set") => "parameters",
        Error::Header("privacy kind") => "kind",
        Error::Header(_) => "byte7",
        Error::EndMark => "end_mark",
        Error::Digest => "digest",
        Error::ConfigId => "config_id",
        Error::RequestDigest => "request_digest",
        Error::NotCanonical => "not_canonical",
        _ => "none of a frame",
    }
}

/// Applies the edits of one line of `bad.txt`.
fn edit(mut bytes: Vec<u8>, edits: &str) -> Vec<u8> {
    for edit in edits.split('+') {
        let (place, content) = edit.split_once(':').unwrap_or((edit, ""));
        let (verb, offset) = place.split_once('@').unwrap_or((place, "0"));
        let (offset, content) = (offset.parse::<usize>().unwrap(), hex::decode(content).unwrap());
        let target = offset..offset + content.len();
        match verb {
            "xor" => bytes[target].iter_mut().zip(content).for_each(|(byte, change)| *byte ^= change),
            "replace" => bytes[target].copy_from_slice(&content),
            "cut" => bytes.truncate(offset),
            "append" => bytes.extend(content),
            _ => panic!("unknown edit {verb}"),
        }
    }
    bytes
}

/// Makes the digest right again.
fn seal(bytes: &mut [u8]) {
    let (content, trailer) = bytes.split_at_mut(bytes.len() - 33);
    trailer[..32].copy_from_slice(&Sha256::digest(content));
}

#[test]
fn each_bad_frame_is_refused_for_its_own_fault() {
    let text = String::from_utf8(inputs::read("bad.txt")).unwrap();
    let mut seen = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [name, base, edits, digest, expected] = fields[..] else { panic!("five fields: {line}") };
        let kind = KINDS.into_iter().find(|kind| base.ends_with(kind.name)).unwrap();
        let good = inputs::read(&format!("{base}.bin"));
        let mut bytes = edit(good.clone(), edits);
        match digest {
            "sealed" => seal(&mut bytes),
            _ => assert_eq!(digest, "kept", "{name}"),
        }
        assert_ne!(bytes, good, "{name} changes nothing");
        let error = if base.starts_with("good_request") {
            EncryptedFeatures::from_bytes(&bytes, &kind.request_shape(), &kind.config()).unwrap_err()
        } else {
            let digest = good_request(&kind).1;
            EncryptedScores::from_bytes(&bytes, &kind.response_shape(), &kind.config(), &digest).unwrap_err()
        };
        assert_eq!(fault(&error), expected, "{name}: {error}");
        seen.push((base.starts_with("good_request"), expected));
    }
    let rules =
        ["length", "magic", "version", "parameters", "kind", "byte7", "end_mark", "digest", "config_id"];
    let rules = rules.into_iter().chain(["not_canonical"]);
    for rule in rules.flat_map(|rule| [(true, rule), (false, rule)]).chain([(false, "request_digest")]) {
        assert!(seen.contains(&rule), "no bad frame for {rule:?}");
    }
}

#[test]
fn draws_of_golden_masks_are_skipped_modulo_each_prime() {
    let mut skipped = Vec::new();
    for (kind, role, index) in [
        (FLOODED, Role::FeaturesMask, 0),
        (FLOODED, Role::ZeroMask, 0),
        (OPEN, Role::FeaturesMask, 0),
        (STATISTICAL, Role::FeaturesMask, 0),
        (STATISTICAL, Role::FeaturesMask, 1),
        (STATISTICAL, Role::ZeroMask, 0),
    ] {
        // WIRE.md 4.2 and 4.4, apart from the code under test.
        let (config, seed, code) = (kind.config(), kind.client_seed(), kind.parameters.code());
        let key_id = Sha256::new()
            .chain_update(b"tiresias/key/v2 ")
            .chain_update([code])
            .chain_update(seed.as_bytes())
            .finalize();
        let key = Sha256::new()
            .chain_update(b"tiresias/mask/v2")
            .chain_update([code, role as u8])
            .chain_update(config.as_bytes())
            .chain_update(key_id)
            .chain_update(u32::to_le_bytes(index))
            .chain_update(kind.gateway_seed().as_bytes())
            .chain_update(seed.as_bytes())
            .finalize();
        let mut stream = vec![0; 8200 * 8];
        ctr::Ctr128BE::<Aes256>::new(&key, &[0; 16].into()).apply_keystream(&mut stream);
        let mut draws =
            stream.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word) & ((1 << 50) - 1));
        let mut expected = Vec::new();
        for &prime in kind.parameters.primes() {
            let wanted = expected.len() + kind.parameters.polynomial_size();
            let mut rejected = 0;
            while expected.len() < wanted {
                let draw = draws.next().unwrap();
                if draw < prime {
                    expected.push(draw);
                } else {
                    rejected += 1;
                }
            }
            skipped.push(rejected);
        }

        let key_id = KeyId::request_scoped(kind.parameters, &seed);
        let mut stream =
            Xof::mask(kind.parameters, role, &config, &key_id, index, &kind.gateway_seed(), &seed);
        assert_eq!(stream.uniform(kind.parameters), expected);
    }
    // One entry for each prime of each mask.
    assert_eq!(skipped, [0, 1, 1, 0, 1, 0, 0, 0, 0]);
}

#[test]
fn an_independent_implementation_agrees() {
    match Command::new("python3").arg("-B").arg(inputs::path("replay.py")).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(said.lines().filter(|line| line.starts_with("good")).count(), 2 * KINDS.len());
            let bad = String::from_utf8(inputs::read("bad.txt")).unwrap();
            let lines = bad.lines().filter(|line| !line.starts_with('#')).count();
            assert_eq!(said.lines().filter(|line| line.starts_with("bad")).count(), lines);
            assert!(said.contains("rows evaluation_key.json"));
        }
        Err(error) => println!("skipped: python3 cannot be started ({error})"),
    }
}
