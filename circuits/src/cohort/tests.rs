//! Agreement of cohorts and the clear twin, noise below its bound, and equal bytes whatever the kernel.

use tiresias_keys::Digest;
use tiresias_secret_key::{CohortMasks, SecretKey, danger};

use super::*;
use crate::{HeadShape, Plan, Privacy, clear, scores};

/// A small deterministic generator (SplitMix64).
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

    fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.fill_with(|| self.next() as u8);
        bytes
    }
}

struct Setup {
    head: QuantizedHead,
    prepared: PreparedCohort,
    masks: CohortMasks,
    random: Random,
}

impl Setup {
    fn new(shape: HeadShape, privacy: Privacy, seed: u64, widest: bool) -> Self {
        let mut random = Random(seed);
        let mut weight =
            || if widest { shape.weight_limit() } else { random.within(shape.weight_limit()) } as i8;
        let weights = (0..shape.features * shape.classes).map(|_| weight()).collect();
        let biases = (0..shape.classes).map(|_| random.within(shape.bias_limit())).collect();
        let head = QuantizedHead::new(shape, weights, biases).unwrap();
        let plan = CohortPlan::new(&Plan::new(shape, privacy).unwrap()).unwrap();
        let (config, gateway_seed) = (ConfigId::of_card(&random.bytes()), Seed::from_bytes(random.bytes()));
        let run = CohortRun { config, gateway_seed, seed: Seed::from_bytes(random.bytes()) };
        let masks = CohortMasks::new(plan.parameters(), run, shape.features);
        let prepared = PreparedCohort::new(&head, plan, config, gateway_seed);
        Self { head, prepared, masks, random }
    }

    fn rows(&mut self, patients: usize, widest: bool) -> Vec<Vec<i64>> {
        let shape = *self.head.shape();
        let limit = shape.feature_limit();
        let mut feature = || if widest { limit } else { self.random.within(limit) };
        (0..patients).map(|_| (0..shape.features).map(|_| feature()).collect()).collect()
    }

    fn encrypt(&self, rows: &[Vec<i64>]) -> (SecretKey, EncryptedCohort) {
        let plan = self.prepared.plan();
        let features = plan.shape().features;
        let columns: Vec<i16> =
            (0..features).flat_map(|feature| rows.iter().map(move |row| row[feature] as i16)).collect();
        let key = SecretKey::generate(plan.parameters().glwe()).unwrap();
        let shape = plan.request_shape();
        let block =
            key.encrypt_cohort(&columns, rows.len(), plan.plaintext_bits(), &self.masks, &shape).unwrap();
        let bytes = block.into_bytes();
        assert_eq!(bytes.len(), shape.encoded_len(rows.len()));
        (key, EncryptedCohort::from_bytes(bytes, &shape, &self.masks.run().config).unwrap())
    }

    /// Through bytes and back: patient by patient what the clear twin says, and the largest noise.
    fn agree(&mut self, patients: usize, widest: bool) -> u64 {
        let rows = self.rows(patients, widest);
        let (key, block) = self.encrypt(&rows);
        let masks = self.prepared.mask_sums(block.run());
        let seed = SecretSeed::from_bytes(self.random.bytes());
        let answer = self.prepared.evaluate(&block, &masks, &seed).unwrap();
        let (plan, config) = (*self.prepared.plan(), self.masks.run().config);
        let shape = plan.response_shape(patients);
        let bytes = answer.to_bytes(&shape);
        assert_eq!(bytes.len(), shape.encoded_len());
        let answer = EncryptedScores::from_bytes(&bytes, &shape, &config, &block.digest()).unwrap();
        let phases = danger::decrypt_and_keep(&key, &answer, &shape).unwrap();
        let found = scores::decode_cohort(&plan, phases.as_slice());
        let (r, t) = (plan.response_bits(), plan.plaintext_bits());
        let mut largest = 0;
        for (patient, row) in rows.iter().enumerate() {
            let expected = clear::scores(&self.head, row).unwrap();
            let of_patient = || (0..plan.shape().classes).map(|class| class * patients + patient);
            assert_eq!(of_patient().map(|at| found[at]).collect::<Vec<_>>(), expected);
            for (at, score) in of_patient().zip(expected) {
                let noise = phases.as_slice()[at].wrapping_sub((score as u64) << (r - t));
                largest = largest.max(((noise << (64 - r)) as i64 >> (64 - r)).unsigned_abs());
            }
        }
        largest
    }
}

fn shape(features: usize, classes: usize, bits: u32) -> HeadShape {
    HeadShape { features, classes, feature_bits: bits, weight_bits: bits }
}

#[test]
fn cohorts_agree_with_the_clear_twin_and_noise_stays_below_its_bound() {
    for (seed, (features, classes, bits, patients)) in
        [(1, 1, 8, 1), (30, 2, 8, 569), (512, 14, 8, 2048), (300, 5, 4, 33), (2048, 3, 7, 100)]
            .into_iter()
            .enumerate()
    {
        for privacy in [Privacy::Flooded, Privacy::OpenWeights] {
            for widest in [false, true] {
                let shape = shape(features, classes, bits);
                let mut setup = Setup::new(shape, privacy, seed as u64, widest);
                let noise = setup.agree(patients, widest);
                let plan = setup.prepared.plan();
                let (n, q, r) = (2048, (1_u128 << 50) - 16_383, plan.response_bits());
                let bound = ((n + 1) * q + (plan.noise_bound() << (r + 1))).div_ceil(2 * q) as u64;
                assert!(noise <= bound, "seed {seed}: {noise} above {bound}");
                assert!(noise > 0);
            }
        }
    }
}

#[test]
fn every_kernel_gives_the_same_bytes() {
    let mut setup = Setup::new(shape(65, 6, 8), Privacy::Flooded, 5, false);
    let rows = setup.rows(77, false);
    let (_, block) = setup.encrypt(&rows);
    let bytes = Kernel::all().into_iter().map(|kernel| {
        let Setup { head, prepared, .. } = &setup;
        let run = setup.masks.run();
        let prepared =
            PreparedCohort::new(head, *prepared.plan(), run.config, run.gateway_seed).with_kernel(kernel);
        let masks = prepared.mask_sums(block.run());
        let answer = prepared.evaluate(&block, &masks, &SecretSeed::from_bytes([9; 32])).unwrap();
        answer.to_bytes(&prepared.plan().response_shape(77))
    });
    let bytes: Vec<_> = bytes.collect();
    assert!(bytes.windows(2).all(|pair| pair[0] == pair[1]), "{:?}", Kernel::all());
}

#[test]
fn each_answer_has_its_own_masks_and_its_seed_makes_it_again() {
    let mut setup = Setup::new(shape(20, 2, 8), Privacy::Flooded, 6, false);
    let rows = setup.rows(3, false);
    let (_, block) = setup.encrypt(&rows);
    let masks = setup.prepared.mask_sums(block.run());
    let answer = |byte| setup.prepared.evaluate(&block, &masks, &SecretSeed::from_bytes([byte; 32])).unwrap();
    assert_eq!(answer(1), answer(1));
    let (one, two) = (answer(1), answer(2));
    for (one, two) in one.groups().iter().zip(two.groups()) {
        assert!(one.mask.iter().zip(&two.mask).filter(|(one, two)| one == two).count() < 5);
    }
}

#[test]
fn blocks_of_another_shape_and_masks_of_another_run_are_refused() {
    let mut setup = Setup::new(shape(20, 2, 8), Privacy::Flooded, 7, false);
    let rows = setup.rows(3, false);
    let (_, block) = setup.encrypt(&rows);
    let seed = SecretSeed::from_bytes([1; 32]);
    let other = setup.prepared.mask_sums(&Seed::from_bytes([3; 32]));
    assert!(setup.prepared.evaluate(&block, &other, &seed).is_err());
    let masks = setup.prepared.mask_sums(block.run());
    for (features, privacy) in [(20, Privacy::OpenWeights), (21, Privacy::Flooded)] {
        let other = Setup::new(shape(features, 2, 8), privacy, 8, false);
        assert!(other.prepared.evaluate(&block, &masks, &seed).is_err());
    }
}

/// What re-randomization is for: without it, the masks of one answer are the sums of the run's masks times the weights, and
/// the client knows the former.
#[test]
fn without_protection_the_masks_of_one_answer_tell_the_weights() {
    let mut open = Setup::new(shape(4, 1, 8), Privacy::OpenWeights, 9, false);
    let rows = open.rows(1, false);
    let (_, block) = open.encrypt(&rows);
    let masks = open.prepared.mask_sums(block.run());
    let run = open.masks.run().clone();
    let parameters = open.prepared.plan().parameters();
    let expected: Vec<u64> = (0..4).fold(vec![0; 2048], |mut sum, index| {
        let weight = i64::from(open.head.weight()[index as usize]);
        let mask = parameters.mask(&run, index);
        sum.iter_mut()
            .zip(mask)
            .for_each(|(sum, a)| *sum = sum.wrapping_add((weight as u64).wrapping_mul(a)));
        sum
    });
    let q = u128::from(parameters.glwe().primes()[0]);
    let close = |(sum, switched): (&u64, &u64)| {
        let exact = (u128::from(sum & ((1 << 52) - 1)) * q) >> 52;
        exact.abs_diff(u128::from(*switched)) <= 1 || exact + 1 == q
    };
    assert!(expected.iter().zip(&masks.polynomials[0]).all(close));

    let mut flooded = Setup::new(shape(4, 1, 8), Privacy::Flooded, 9, false);
    let rows = flooded.rows(1, false);
    let (_, block) = flooded.encrypt(&rows);
    let masks = flooded.prepared.mask_sums(block.run());
    let answer = flooded.prepared.evaluate(&block, &masks, &SecretSeed::from_bytes([1; 32])).unwrap();
    let bare = flooded.prepared.switch.apply(&masks.polynomials[0]);
    let same = answer.groups()[0].mask.iter().zip(&bare).filter(|(one, two)| one == two).count();
    assert!(same < 5, "{same} coefficients of the mask are bare");
    assert_ne!(block.digest(), Digest::of(b""));
}
