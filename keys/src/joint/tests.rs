//! Bounds, computed again from their definition; frames that are not canonical.

use super::*;

/// The smallest and largest plans: DESIGN's figures, and that the bounds are what a sum over their terms gives.
#[test]
fn three_clinics_have_26_bits_and_sixteen_have_19() {
    for (clinics, bits, smudge) in [(3_u64, 26, 71), (16, 19, 75)] {
        let largest = (1_u64 << (bits - 1)) - 1;
        let plan = Plan::new(clinics as usize, 4096, largest / clinics).unwrap();
        assert_eq!((plan.plaintext_bits(), plan.smudge_bits()), (bits, smudge));
        assert!((40.0..42.0).contains(&plan.statistical_bits()), "{}", plan.statistical_bits());
        let wider = Plan::new(clinics as usize, 4096, (largest + 1) / clinics + 1).unwrap();
        assert_eq!((wider.moduli().len(), wider.plaintext_bits()), (2, bits), "one bit more");
        let widest = Plan::new(clinics as usize, 1, 1 << 58).unwrap();
        let product: u128 = widest.moduli().iter().map(|modulus| u128::from(*modulus)).product();
        assert!(product > u128::from(2 * clinics) << 58);
    }
}

#[test]
fn bounds_are_sums_of_their_terms() {
    let (q, degree, e) = (JOINT.modulus(), 4096_u128, 8_u128);
    for clinics in MINIMUM_CLINICS..=MAXIMUM_CLINICS {
        let n = clinics as u128;
        for bound in [1, 50, 1000, 10_000] {
            let plan = Plan::new(clinics, 10, bound).unwrap();
            // Of n submissions each: (sum of e_i)*u, e2, e1*(sum of s_i).
            let noise = n * (degree * n * e + e + degree * e * n);
            assert_eq!(plan.noise(), noise);
            // All but what one clinic j computes itself: e_j*u_j, e2_j, e1_j*s_j.
            assert_eq!(plan.unknown_noise(), noise - (2 * degree * e + e));
            let smudges = n << plan.smudge_bits();
            assert!(2 * (noise + smudges) + n < q >> plan.plaintext_bits(), "it decodes");
            let wider = n << (plan.smudge_bits() + 1);
            assert!(2 * (noise + wider) + n >= q >> plan.plaintext_bits(), "no wider smudge would");
            assert!((degree * plan.unknown_noise()) << 40 <= 1 << (plan.smudge_bits() + 1));
            assert!(plan.statistical_bits() >= 40.0);
            assert!(plan.statistical_bits() > plan.statistical_bits_against_cheats());
            // The worst cheaters: z and z' differ by at most twice their masks.
            let cheated = (1..=n - 2).map(|a| {
                let h = n - a;
                2 * degree * h * h * e
                    + h * e
                    + 2 * (h * a * degree * e * (2 << 19))
                    + 2 * (h * a * degree * (2 << 22))
            });
            assert_eq!(plan.cheated_noise(), cheated.max().unwrap());
        }
    }
    let least = Plan::new(3, 1, (1 << 25) / 3).unwrap().statistical_bits_against_cheats();
    assert!((21.0..23.0).contains(&least), "{least}");
    let counts = Plan::new(3, 1, 100_000).unwrap().statistical_bits_against_cheats();
    assert!(counts > 27.0, "{counts}");
}

#[test]
fn plans_that_cannot_be_are_refused() {
    for (clinics, values, bound) in [
        (2, 1, 1),
        (17, 1, 1),
        (3, 0, 1),
        (3, MAXIMUM_VALUES + 1, 1),
        (3, 1, 0),
        (3, 1, (1 << 58) + 1),
        (3, MAXIMUM_VALUES / 2, 1 << 52),
    ] {
        assert!(matches!(Plan::new(clinics, values, bound), Err(Error::Joint(_))));
    }
    let plan = Plan::new(3, MAXIMUM_VALUES, 1).unwrap();
    assert_eq!((plan.blocks(), plan.block_sizes().sum::<usize>()), (16, MAXIMUM_VALUES));
}

/// Values decode at the very edge of the noise that the plan allows, and not beyond.
#[test]
fn rounding_is_exact_up_to_the_bound() {
    let plan = Plan::new(3, 1, (1 << 25) / 3).unwrap();
    let q = JOINT.modulus() as i128;
    let most = (plan.noise() + (3 << plan.smudge_bits()) + 2) as i128;
    let wide = Plan::new(3, 1, 1 << 58).unwrap();
    for (plan, largest) in [(plan, (1 << 25) / 3), (wide, 1 << 58)] {
        for value in [0, 1, -1, 12_345, largest, -largest] {
            let encoded = plan.encode(&[value]).unwrap();
            for noise in [0, most, -most] {
                // Three clinics' encodings, each rounded.
                let phase = |slot: &i128| (3 * slot + noise).rem_euclid(q) as u128;
                let phases: Vec<u128> = encoded.iter().map(phase).collect();
                assert_eq!(plan.decode(&phases), Some(vec![3 * value]));
            }
        }
    }
    assert_eq!(plan.decode(&[JOINT.modulus() / 2]), None, "no sum of values within bounds");
}

#[test]
fn challenges_ask_for_64_repetitions_of_136() {
    let patterns: Vec<Vec<bool>> = (0..200_u8).map(|at| Proof::pattern(&Digest::of(&[at]))).collect();
    for pattern in &patterns {
        assert_eq!((pattern.len(), pattern.iter().filter(|asked| **asked).count()), (136, 64));
    }
    // Each repetition is asked for in about 64/136 of them: 94 of 200, within 6 standard deviations.
    for at in 0..136 {
        let asked = patterns.iter().filter(|pattern| pattern[at]).count();
        assert!((52..137).contains(&asked), "{at}: {asked}");
    }
    // log2 C(136, 64)
    let choices: f64 = (0..64).map(|i| (f64::from(136 - i) / f64::from(64 - i)).log2()).sum();
    assert!((131.0..132.5).contains(&choices), "{choices}");
}

/// A frame of fixed bytes, for ever; each change of it is refused.
#[test]
fn frames_have_one_form() {
    let polynomial = |salt: u64| -> Vec<u64> {
        (0..8192)
            .map(|at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ salt) >> 15)
            .map(|word| word % JOINT.primes()[1])
            .collect()
    };
    let opening = |salt: i64| {
        Opening::new(
            (0..4096).map(|at| (at * 31 + salt) % (1 << 19)).collect(),
            (0..4096).map(|at| (salt - at * 37) % (1 << 22)).collect(),
        )
    };
    let proof = Proof::new(
        Digest::of(b"challenge"),
        (0..72).map(|at| [at; 32]).collect(),
        (0..64).map(opening).collect(),
    );
    let share = JointKeyShare::new(polynomial(0), proof.clone());
    let bytes = share.to_bytes();
    assert_eq!(bytes.len(), JointKeyShare::encoded_len());
    assert_eq!(JointKeyShare::from_bytes(&bytes), Ok(share));
    let submission = JointSubmission::new(vec![JointBlock::new(polynomial(1), polynomial(2), proof)]);
    let frame = submission.to_bytes();
    assert_eq!(frame.len(), JointSubmission::encoded_len(1));
    assert_eq!(JointSubmission::from_bytes(&frame, 1), Ok(submission));
    let sum = JointSum { blocks: vec![(polynomial(3), polynomial(4))] };
    assert_eq!(JointSum::from_bytes(&sum.to_bytes(), 1).as_ref(), Ok(&sum));
    let plan = Plan::new(3, 5, 1).unwrap();
    let opened = JointShare::new(vec![polynomial(5)[..10].to_vec()]);
    assert_eq!(JointShare::from_bytes(&opened.to_bytes(), &plan).as_ref(), Ok(&opened));
    let golden =
        [&bytes, &frame, &sum.to_bytes(), &opened.to_bytes()].map(|bytes| Digest::of(bytes).to_string());
    assert_eq!(golden, GOLDEN);

    assert!(matches!(JointKeyShare::from_bytes(&frame), Err(Error::Length { .. })));
    assert!(matches!(JointSubmission::from_bytes(&frame, 2), Err(Error::Length { .. })));
    for (at, expected) in [
        (0, Error::Magic("share of a joint key")),
        (4, Error::Version { got: 3, expected: 2 }),
        (5, Error::Header("parameter set")),
        (6, Error::Header("privacy kind")),
        (7, Error::Header("number of blocks")),
        (5000, Error::Digest),
        (bytes.len() - 1, Error::EndMark),
    ] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert_eq!(JointKeyShare::from_bytes(&changed), Err(expected), "{at}");
    }
    // A residue that is not below its prime, in a frame whose digest is right.
    let mut wide = polynomial(0);
    wide[8191] = (1 << 50) - 1;
    let wide = JointKeyShare::new(wide, JointKeyShare::from_bytes(&bytes).unwrap().proof().clone());
    assert_eq!(JointKeyShare::from_bytes(&wide.to_bytes()), Err(Error::NotCanonical));
}

/// SHA-256 of the frames above.
const GOLDEN: [&str; 4] = [
    "dda036948263ef1a228486e23772d095f4a74a457224bb1a7a9ce6560c4d39e4",
    "40706364d37b640ab955fb39ffdb79990d0d8e24e8067fb011fb28cb23b9c3e8",
    "ad1e4f749770daf34d2e6f31982a385b0ddccae79e8eefb7577328b37105eb89",
    "0809b331876777903cab0b02259bfb0aae67ee58879147f89e26f8a870e41d52",
];
