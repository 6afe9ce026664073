//! Agreement of encrypted and clear, noise below its bound, and the attack that re-randomization stops.

use tiresias_secret_key::{RequestContext, SecretKey, danger};

use super::*;
use crate::{HeadShape, Privacy, clear, scores};

/// A small deterministic generator (SplitMix64), so that each failure can be run again from its printed seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn within(&mut self, limit: i64) -> i64 {
        (self.next() % (2 * limit as u64 + 1)) as i64 - limit
    }

    fn secret(&mut self) -> SecretSeed {
        SecretSeed::from_bytes(*self.seed().as_bytes())
    }

    fn seed(&mut self) -> Seed {
        let mut bytes = [0; 32];
        bytes.fill_with(|| self.next() as u8);
        Seed::from_bytes(bytes)
    }
}

struct Setup {
    head: QuantizedHead,
    prepared: PreparedHead,
    config: ConfigId,
    gateway_seed: Seed,
}

impl Setup {
    fn new(
        shape: HeadShape,
        privacy: Privacy,
        random: &mut Random,
        mut weight: impl FnMut(&mut Random) -> i64,
    ) -> Self {
        let weights = (0..shape.features * shape.classes).map(|_| weight(random) as i8).collect();
        let biases = (0..shape.classes).map(|_| random.within(shape.bias_limit())).collect();
        let head = QuantizedHead::new(shape, weights, biases).unwrap();
        let (config, gateway_seed) = (ConfigId::of_card(&random.next().to_le_bytes()), random.seed());
        let plan = Plan::new(shape, privacy).unwrap();
        let prepared = PreparedHead::new(&head, plan, config, gateway_seed);
        Self { head, prepared, config, gateway_seed }
    }

    fn encrypt(&self, row: &[i64]) -> (SecretKey, EncryptedFeatures) {
        let plan = self.prepared.plan();
        let key = SecretKey::generate(plan.parameters()).unwrap();
        let context = RequestContext {
            config: &self.config,
            gateway_seed: &self.gateway_seed,
            shape: &plan.request_shape(),
        };
        let request = key.encrypt(&scores::encode_features(plan, row).unwrap(), &context).unwrap();
        (key, request)
    }

    /// Encrypts, passes through bytes, evaluates, passes through bytes, decrypts: the scores and the largest noise.
    fn round_trip(&self, row: &[i64], random: &mut Random) -> (Vec<i64>, u64) {
        let plan = self.prepared.plan();
        let (key, request) = self.encrypt(row);
        let bytes = request.to_bytes(&plan.request_shape());
        assert_eq!(bytes.len(), plan.request_shape().encoded_len());
        let (request, digest) =
            EncryptedFeatures::from_bytes(&bytes, &plan.request_shape(), &self.config).unwrap();
        let response = self.prepared.evaluate(&request, digest, &random.secret(), 0).unwrap();
        let bytes = response.to_bytes(&plan.response_shape());
        assert_eq!(bytes.len(), plan.response_shape().encoded_len());
        let response =
            EncryptedScores::from_bytes(&bytes, &plan.response_shape(), &self.config, &digest).unwrap();
        let phases = key.decrypt(&response, &plan.response_shape()).unwrap();
        let noise = scores::phase_noise(plan, phases.as_slice()).into_iter().map(i64::unsigned_abs).max();
        (scores::decode_phases(plan, phases.as_slice()), noise.unwrap())
    }
}

#[test]
fn encrypted_scores_equal_the_clear_twin_for_every_shape_and_extreme() {
    const SEED: u64 = 20_261_123;
    println!("seed {SEED}");
    let mut random = Random(SEED);
    let mut closest = 0.0_f64;
    for features in [1, 30, 512, 2048] {
        for classes in [1, 14, 100] {
            for bits in [2, 8] {
                let shape = HeadShape { features, classes, feature_bits: bits, weight_bits: bits };
                let (x_limit, w_limit) = (shape.feature_limit(), shape.weight_limit());
                for privacy in Privacy::ALL {
                    let uniform = Setup::new(shape, privacy, &mut random, |random| random.within(w_limit));
                    let extreme = Setup::new(shape, privacy, &mut random, |_| w_limit);
                    let negative = Setup::new(shape, privacy, &mut random, |_| -w_limit);
                    for setup in [uniform, extreme, negative] {
                        let rows = [
                            (0..features).map(|_| random.within(x_limit)).collect::<Vec<_>>(),
                            vec![x_limit; features],
                            vec![-x_limit; features],
                        ];
                        for row in rows {
                            let (found, noise) = setup.round_trip(&row, &mut random);
                            assert_eq!(
                                found,
                                clear::scores(&setup.head, &row).unwrap(),
                                "{shape:?} {privacy:?}"
                            );
                            let bound = setup.prepared.plan().switched_noise_bound();
                            assert!(noise < bound, "{shape:?} {privacy:?}: noise {noise}, bound {bound}");
                            closest = closest.max(noise as f64 / bound as f64);
                        }
                    }
                }
            }
        }
    }
    println!("largest noise seen: {closest:.3} of its proved bound");
}

#[test]
fn a_request_without_its_zero_or_for_another_card_is_refused() {
    let mut random = Random(4);
    let shape = HeadShape { features: 30, classes: 2, feature_bits: 8, weight_bits: 8 };
    let setup = Setup::new(shape, Privacy::Flooded, &mut random, |random| random.within(127));
    let (bodies, zero) = (vec![vec![1; 2048]], Some(vec![2; 2048]));
    let refused = |request: EncryptedFeatures| {
        let seed = SecretSeed::from_bytes([1; 32]);
        assert!(setup.prepared.evaluate(&request, Digest::of(b""), &seed, 0).is_err());
    };
    let seed = random.seed();
    refused(EncryptedFeatures::new(setup.config, seed, bodies.clone(), None));
    refused(EncryptedFeatures::new(ConfigId::of_card(b"other"), seed, bodies.clone(), zero.clone()));
    refused(EncryptedFeatures::new(setup.config, seed, vec![vec![1; 2047]], zero.clone()));
    refused(EncryptedFeatures::new(setup.config, seed, vec![vec![1; 2048]; 2], zero));
    refused(EncryptedFeatures::new(setup.config, seed, bodies, Some(Vec::new())));
}

#[test]
fn every_group_item_and_response_has_randomness_of_its_own() {
    let mut random = Random(1);
    let shape = HeadShape { features: 512, classes: 14, feature_bits: 8, weight_bits: 8 };
    let setup = Setup::new(shape, Privacy::Flooded, &mut random, |_| 0);
    let row = vec![1; 512];
    let (_, request) = setup.encrypt(&row);
    let digest = Digest::of(b"request");
    let seed = random.secret();
    let first = setup.prepared.evaluate(&request, digest, &seed, 0).unwrap();
    assert_eq!(first, setup.prepared.evaluate(&request, digest, &seed, 0).unwrap(), "replay from the seed");
    let others = [
        setup.prepared.evaluate(&request, digest, &seed, 1).unwrap(),
        setup.prepared.evaluate(&request, digest, &random.secret(), 0).unwrap(),
    ];
    // With zero weights the groups differ by their randomness alone.
    let mut masks: Vec<_> = [&first, &others[0], &others[1]]
        .into_iter()
        .flat_map(|response| response.groups().iter().map(|group| group.mask.clone()))
        .collect();
    masks.sort();
    masks.dedup();
    assert_eq!(masks.len(), 3 * setup.prepared.plan().response_shape().groups());
}

#[test]
fn a_key_that_decrypts_twice_must_be_asked_for_by_a_dangerous_name() {
    let mut random = Random(3);
    let shape = HeadShape { features: 30, classes: 2, feature_bits: 8, weight_bits: 8 };
    let setup = Setup::new(shape, Privacy::Flooded, &mut random, |random| random.within(127));
    let (key, request) = setup.encrypt(&vec![5; 30]);
    let plan = setup.prepared.plan();
    let expected = clear::scores(&setup.head, &vec![5; 30]).unwrap();
    for _ in 0..2 {
        let response = setup.prepared.evaluate(&request, Digest::of(b""), &random.secret(), 0).unwrap();
        let phases = danger::decrypt_and_keep(&key, &response, &plan.response_shape()).unwrap();
        assert_eq!(scores::decode_phases(plan, phases.as_slice()), expected);
    }
}

#[test]
fn scores_are_exact_for_more_features_than_coefficients_under_both_parameter_sets() {
    const SEED: u64 = 20_261_124;
    println!("seed {SEED}");
    let mut random = Random(SEED);
    let mut sets = Vec::new();
    for features in [2049, 2560, 4096, 6000] {
        // 4096 and 6000 features of 8 bits need weights of 7 bits under N2048_Q50.
        let weight_bits = if features > 2560 { 7 } else { 8 };
        for (weight_bits, privacy) in
            [(weight_bits, Privacy::Flooded), (8, Privacy::Statistical), (8, Privacy::OpenWeights)]
        {
            let shape = HeadShape { features, classes: 3, feature_bits: 8, weight_bits };
            let (x_limit, w_limit) = (shape.feature_limit(), shape.weight_limit());
            for extreme in [false, true] {
                let weight = |random: &mut Random| if extreme { w_limit } else { random.within(w_limit) };
                let setup = Setup::new(shape, privacy, &mut random, weight);
                sets.push(setup.prepared.plan().parameters().name());
                for row in [vec![-x_limit; features], (0..features).map(|_| random.within(x_limit)).collect()]
                {
                    let (found, noise) = setup.round_trip(&row, &mut random);
                    assert_eq!(found, clear::scores(&setup.head, &row).unwrap(), "{shape:?} {privacy:?}");
                    assert!(noise < setup.prepared.plan().switched_noise_bound());
                }
            }
        }
    }
    assert!(sets.contains(&"N2048_Q50") && sets.contains(&"N4096_Q100"));
}

#[test]
fn every_pair_of_widths_is_exact() {
    let mut random = Random(7);
    for feature_bits in 2..=8 {
        for weight_bits in 2..=8 {
            let shape = HeadShape { features: 300, classes: 5, feature_bits, weight_bits };
            for privacy in Privacy::ALL {
                let setup =
                    Setup::new(shape, privacy, &mut random, |random| random.within(shape.weight_limit()));
                let row: Vec<i64> = (0..300).map(|_| random.within(shape.feature_limit())).collect();
                let (found, _) = setup.round_trip(&row, &mut random);
                assert_eq!(found, clear::scores(&setup.head, &row).unwrap(), "{shape:?} {privacy:?}");
            }
        }
    }
}

mod attacks;
