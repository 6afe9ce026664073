//! What secrets cannot do. Most of it is checked by the compiler: this file does not build where a rule is broken.

use tiresias_keys::{ConfigId, Digest, EncryptedScores, ResponseGroup, ResponseShape, parameters::N2048_Q50};
use tiresias_secret_key::{Error, Phases, SecretKey};

/// Fails to compile where the type has the trait: `some_item` then has two candidates.
macro_rules! assert_lacks {
    ($type:ty: $($trait:path),+ $(,)?) => {$(
        const _: fn() = || {
            trait AmbiguousIfItHas<A> {
                fn some_item() {}
            }
            impl<T: ?Sized> AmbiguousIfItHas<()> for T {}
            struct Has;
            impl<T: ?Sized + $trait> AmbiguousIfItHas<Has> for T {}
            let _ = <$type as AmbiguousIfItHas<_>>::some_item;
        };
    )+};
}

// A key is in one place, is not printed and is not compared in variable time.
assert_lacks!(SecretKey: Clone, Copy, Default, PartialEq, std::fmt::Display, std::hash::Hash);
assert_lacks!(SecretKey: AsRef<[u8]>, AsRef<[u64]>, std::ops::Deref, std::borrow::Borrow<[u8]>, Into<Vec<u8>>);
assert_lacks!(Phases: Clone, Copy, Default, PartialEq, std::fmt::Display, Into<Vec<u64>>);

/// A key decrypts once: `decrypt` takes it by value.
const _: fn(SecretKey, &EncryptedScores, &ResponseShape) -> Result<Phases, Error> = SecretKey::decrypt;

/// A key may wait on another thread for its answer.
const _: fn() = || {
    fn crosses_threads<T: Send + Sync>() {}
    crosses_threads::<SecretKey>();
};

#[test]
fn no_serialization_framework_is_in_reach() {
    // `Serialize` for a type of this crate could stand in this crate or in serde alone.
    let manifest = include_str!("../Cargo.toml");
    let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
    assert!(dependencies.contains("[dependencies]"), "the test's own text");
    for framework in ["serde", "bincode", "borsh", "rkyv", "postcard", "ciborium", "tfhe.", "tfhe ="] {
        assert!(!dependencies.contains(framework), "{framework}");
    }
}

#[test]
fn debug_shows_nothing_of_keys_and_phases() {
    let zeros = SecretKey::import(&N2048_Q50, &[0; 256]).unwrap();
    let ones = SecretKey::import(&N2048_Q50, &[0xff; 256]).unwrap();
    assert_eq!(format!("{zeros:?}"), "SecretKey { parameters: \"N2048_Q50\", .. }");
    assert_eq!(format!("{zeros:?}"), format!("{ones:?}"));
    assert_eq!(format!("{zeros:#?}"), format!("{ones:#?}"));

    let shape = ResponseShape {
        parameters: &N2048_Q50,
        rerandomized: true,
        modulus_bits: 33,
        classes: 1,
        classes_per_group: 1,
        block: 30,
    };
    let group = ResponseGroup { mask: vec![1; 2048], body: vec![123_456] };
    let scores = EncryptedScores::new(ConfigId::of_card(b""), Digest::of(b""), vec![group]);
    let phases = zeros.decrypt(&scores, &shape).unwrap();
    assert_eq!(phases.as_slice(), [123_456]);
    assert_eq!(format!("{phases:?}"), "Phases { .. }");
    assert_eq!(format!("{:?}", ones.decrypt(&scores, &shape).unwrap()), "Phases { .. }");
}
