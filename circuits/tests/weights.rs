//! What one served response tells about the weights, as a client sees it: the bytes after the modulus switch.
//!
//! The client knows the mask a, and without re-randomization the response mask is a*w rounded to r bits. For a small
//! head that rounding hides nothing: the weights are the closest point of a small lattice, which LLL finds. (For
//! n unknown weights it is a Ring-LWR instance of dimension n; large heads are not broken this way, but nothing is
//! promised for them either.) Division on the unrounded residues, which breaks heads of every size, is tested
//! beside `evaluate`.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use tiresias_circuits::{HeadShape, Plan, Privacy, QuantizedHead, evaluate::PreparedHead, scores};
use tiresias_keys::{
    ConfigId, Digest, EncryptedFeatures, KeyId, Seed,
    parameters::N2048_Q50,
    xof::{Role, SecretSeed, Xof},
};
use tiresias_secret_key::{RequestContext, SecretKey};

const WEIGHTS: [i8; 6] = [101, -7, 55, -127, 0, 88];
/// Coefficients of the mask that the attack looks at.
const SAMPLES: usize = 6;

struct Served {
    head: PreparedHead,
    config: ConfigId,
    gateway_seed: Seed,
}

impl Served {
    fn new(privacy: Privacy) -> Self {
        let shape = HeadShape { features: WEIGHTS.len(), classes: 1, feature_bits: 8, weight_bits: 8 };
        let head = QuantizedHead::new(shape, WEIGHTS.to_vec(), vec![3]).unwrap();
        let (config, gateway_seed) = (ConfigId::of_card(b"card"), Seed::from_bytes([4; 32]));
        let head = PreparedHead::new(&head, Plan::new(shape, privacy).unwrap(), config, gateway_seed);
        Self { head, config, gateway_seed }
    }

    fn request(&self) -> EncryptedFeatures {
        let plan = self.head.plan();
        let plaintexts = scores::encode_features(plan, &[1, 2, 3, 4, 5, 6]).unwrap();
        let context = RequestContext {
            config: &self.config,
            gateway_seed: &self.gateway_seed,
            shape: &plan.request_shape(),
        };
        SecretKey::generate(&N2048_Q50).unwrap().encrypt(&plaintexts, &context).unwrap()
    }

    /// The attack: what weights does the response to `request` give?
    fn attack(&self, request: &EncryptedFeatures, response_seed: &SecretSeed) -> Option<Vec<i64>> {
        let response = self.head.evaluate(request, Digest::of(b"request"), response_seed, 0).unwrap();
        let parameters = &N2048_Q50;
        let key = KeyId::request_scoped(parameters, request.seed());
        let seeds = (&self.gateway_seed, request.seed());
        let mask = Xof::mask(parameters, Role::FeaturesMask, &self.config, &key, 0, seeds.0, seeds.1)
            .uniform(parameters);
        closest_weights(&mask, &response.groups()[0].mask, self.head.plan().response_bits())
    }
}

/// Solves mask * w = answer (rounded to r bits) for d small weights: Kannan's embedding and LLL.
fn closest_weights(mask: &[u64], answer: &[u64], r: u32) -> Option<Vec<i64>> {
    let (d, q) = (WEIGHTS.len(), N2048_Q50.modulus() as i128);
    let error = q >> (r + 1);
    let weight_unit = error / 128;
    let (columns, mut basis) = (d + SAMPLES + 1, Vec::new());
    for i in 0..d {
        let mut row = vec![0; columns];
        row[i] = weight_unit;
        for j in 0..SAMPLES {
            let coefficient = i128::from(mask[(2048 + j - i) % 2048]);
            row[d + j] = if j < i { q - coefficient } else { coefficient };
        }
        basis.push(row);
    }
    for j in 0..SAMPLES {
        let mut row = vec![0; columns];
        row[d + j] = q;
        basis.push(row);
    }
    let mut target = vec![0; columns];
    for j in 0..SAMPLES {
        target[d + j] = (i128::from(answer[j]) * q) >> r;
    }
    target[columns - 1] = error;
    basis.push(target);
    lll(&mut basis);

    let short = basis.iter().find(|row| row[columns - 1].abs() == error)?;
    let sign = -short[columns - 1].signum();
    let reversed = short[..d].iter().map(|value| (sign * value / weight_unit) as i64);
    let weights: Vec<i64> = reversed.rev().collect();
    weights.iter().all(|weight| weight.abs() <= 127).then_some(weights)
}

/// Textbook LLL with delta 0.99 on a small integer basis.
fn lll(basis: &mut [Vec<i128>]) {
    let mut orthogonal = vec![floats(&basis[0])];
    let mut k = 1;
    while k < basis.len() {
        orthogonal.truncate(k);
        for j in (0..k).rev() {
            let factor = projection(&floats(&basis[k]), &orthogonal[j]).round() as i128;
            let (low, high) = basis.split_at_mut(k);
            high[0].iter_mut().zip(&low[j]).for_each(|(value, other)| *value -= factor * other);
        }
        let mut residue = floats(&basis[k]);
        let factor = projection(&residue, &orthogonal[k - 1]);
        for earlier in &orthogonal {
            let factor = projection(&residue, earlier);
            residue.iter_mut().zip(earlier).for_each(|(x, y)| *x -= factor * y);
        }
        let previous = dot(&orthogonal[k - 1], &orthogonal[k - 1]);
        if dot(&residue, &residue) >= (0.99 - factor * factor) * previous {
            orthogonal.push(residue);
            k += 1;
        } else {
            basis.swap(k, k - 1);
            k = (k - 1).max(1);
            if k == 1 {
                orthogonal[0] = floats(&basis[0]);
            }
        }
    }
}

fn floats(row: &[i128]) -> Vec<f64> {
    row.iter().map(|&value| value as f64).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The coefficient of `row` along `direction`.
fn projection(row: &[f64], direction: &[f64]) -> f64 {
    dot(row, direction) / dot(direction, direction)
}

#[test]
fn one_open_response_gives_a_small_head_away() {
    let served = Served::new(Privacy::OpenWeights);
    for byte in 0..20 {
        let found = served.attack(&served.request(), &SecretSeed::from_bytes([byte; 32]));
        assert_eq!(found, Some(WEIGHTS.map(i64::from).to_vec()));
    }
}

#[test]
fn a_thousand_flooded_responses_give_nothing_away() {
    let served = Served::new(Privacy::Flooded);
    let request = served.request();
    for round in 0..1000_u64 {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&round.to_le_bytes());
        let found = served.attack(&request, &SecretSeed::from_bytes(seed));
        assert_ne!(found, Some(WEIGHTS.map(i64::from).to_vec()), "round {round}");
    }
}
