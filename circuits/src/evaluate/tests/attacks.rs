//! What a client that keeps to no protocol learns, looking at residues modulo q: before the switch, so more than any
//! client ever sees.

use tiresias_keys::Parameters;

use super::*;

/// a*w / a = w in the transform domain: the division attack on residues modulo q, with which one response without
/// re-randomization gives all weights of a group away. Works modulo the first prime.
fn divide(parameters: &Parameters, mask: &[u64], features_mask: &[u64]) -> Vec<i64> {
    let (ring, prime) = (parameters.ring(), parameters.primes()[0]);
    let mut quotient = mask.to_vec();
    ring.forward(&mut quotient);
    quotient.truncate(ring.polynomial_size());
    for (value, &divisor) in quotient.iter_mut().zip(features_mask) {
        *value = (u128::from(*value) * u128::from(inverse(divisor, prime)) % u128::from(prime)) as u64;
    }
    quotient.resize(parameters.polynomial_words(), 0);
    ring.inverse(&mut quotient);
    ring.normalize(&mut quotient);
    let center = |residue| if residue > prime / 2 { residue as i64 - prime as i64 } else { residue as i64 };
    quotient.into_iter().take(ring.polynomial_size()).map(center).collect()
}

/// divisor^(p-2) mod p.
fn inverse(divisor: u64, prime: u64) -> u64 {
    let p = u128::from(prime);
    let (mut base, mut exponent, mut product) = (u128::from(divisor), p - 2, 1);
    while exponent > 0 {
        if exponent & 1 == 1 {
            product = product * base % p;
        }
        base = base * base % p;
        exponent >>= 1;
    }
    product as u64
}

#[test]
fn division_recovers_open_weights_and_nothing_of_protected_ones() {
    let mut random = Random(2);
    for (features, privacy, rounds) in [
        (512, Privacy::Flooded, 1000),
        (512, Privacy::Statistical, 1000),
        (4096, Privacy::OpenWeights, 1), // at N4096_Q100
        (512, Privacy::OpenWeights, 1),
    ] {
        let shape = HeadShape { features, classes: 4, feature_bits: 8, weight_bits: 8 };
        let setup = Setup::new(shape, privacy, &mut random, |random| random.within(127));
        let (parameters, layout) = (setup.prepared.plan().parameters(), *setup.prepared.plan().layout());
        let (_, request) = setup.encrypt(&vec![1; features]);
        // With one ciphertext the mask is a*w; with several only a sum of products is known, and no division exists.
        let mut mask = setup.prepared.expand(Role::FeaturesMask, 0, &request);
        parameters.ring().forward(&mut mask);
        let weights = setup.head.weight();
        let expected: Vec<i64> = weights[..layout.classes_per_group * features]
            .chunks_exact(features)
            .flat_map(|class| class[..layout.block].iter().rev().map(|&weight| i64::from(weight)))
            .collect();
        let zeros = vec![vec![0; parameters.polynomial_words()]; layout.ciphertexts - 1];
        for round in 0..rounds {
            let mut masks = Vec::new();
            let groups =
                setup.prepared.evaluate_unswitched(&request, &random.secret(), 0, |mask, _| mask.to_vec());
            masks.extend(groups);
            if !zeros.is_empty() && privacy == Privacy::OpenWeights {
                // The positive control gives the attacker the other products, which it would have to guess.
                for (features, weights) in setup.prepared.groups[0].weights.iter().enumerate().skip(1) {
                    let mut other = setup.prepared.expand(Role::FeaturesMask, features as u32, &request);
                    parameters.ring().forward(&mut other);
                    let mut product = parameters.ring().zero();
                    parameters.ring().multiply_add(&mut product, &other, weights);
                    parameters.ring().inverse(&mut product);
                    let negated: Vec<u64> = (product
                        .chunks_exact(parameters.polynomial_size())
                        .zip(parameters.primes()))
                    .flat_map(|(part, prime)| part.iter().map(move |residue| (prime - residue) % prime))
                    .collect();
                    parameters.ring().add(&mut masks[0], &negated);
                }
            }
            let quotient = divide(parameters, &masks[0], &mask);
            let recovered = quotient.iter().zip(&expected).filter(|(found, weight)| found == weight).count();
            let all = if privacy == Privacy::OpenWeights { expected.len() } else { 0 };
            assert_eq!(recovered, all, "{privacy:?}, {features} features, round {round}");
        }
    }
}

/// The residue of one coefficient, centred, from its residues for each prime.
fn centered(parameters: &Parameters, residues: &[u64]) -> i128 {
    let q = parameters.modulus();
    let value = match (residues, parameters.primes()) {
        ([x], _) => u128::from(*x),
        ([x1, x2], [p1, p2]) => {
            let difference = (u128::from(*x2) + 2 * u128::from(*p2) - u128::from(*x1)) % u128::from(*p2);
            let k = difference * u128::from(inverse(*p1 % p2, *p2)) % u128::from(*p2);
            u128::from(*x1) + k * u128::from(*p1)
        }
        _ => unreachable!("a parameter set has one or two primes"),
    };
    if value > q / 2 { value as i128 - q as i128 } else { value as i128 }
}

/// The attack of a client that sends b = 0 and, as b', powers of a radix at consecutive coefficients: one returned
/// coefficient is then a sum of coefficients of u times these powers, plus e2 and the flood. Read from the top, it gives
/// coordinates of u away, and no more of them than (t+1)/(b_u+1): the charge that the hint cap is made with.
#[test]
fn radix_values_in_the_zero_read_no_more_of_u_than_is_charged() {
    let mut random = Random(11);
    for privacy in [Privacy::Flooded, Privacy::Statistical] {
        let shape = HeadShape { features: 512, classes: 14, feature_bits: 8, weight_bits: 8 };
        let setup = Setup::new(shape, privacy, &mut random, |random| random.within(127));
        let plan = setup.prepared.plan();
        let (parameters, widths) = (plan.parameters(), plan.widths().unwrap());
        let (n, digit_bits) = (parameters.polynomial_size(), widths.rerandomizer + 1);
        let charged = (plan.plaintext_bits() + 1) / digit_bits;
        let attempted = charged + 2;

        // u_j * 2^(top - j*digits) for the coefficients u_(D-1), u_(D-2), ...: X^j moves them to coefficient D-1.
        let top = parameters.modulus_bits() - 1 - digit_bits;
        let mut radix = vec![0_i128; n];
        for (j, value) in radix.iter_mut().enumerate().take(attempted as usize) {
            let shift = i64::from(top) - j as i64 * i64::from(digit_bits);
            *value = 1_i128 << shift.max(0);
        }
        let bodies = vec![parameters.ring().zero(); plan.layout().ciphertexts];
        let request = EncryptedFeatures::new(
            setup.config,
            random.seed(),
            bodies,
            Some(parameters.ring().reduce(&radix)),
        );

        let mut read = vec![0; attempted as usize];
        const ROUNDS: usize = 200;
        for _ in 0..ROUNDS {
            let seed = random.secret();
            let groups = setup.prepared.evaluate_unswitched(&request, &seed, 0, |_, body| body.to_vec());
            let classes = groups[0].len() / parameters.primes().len();
            let residues: Vec<u64> = groups[0].iter().step_by(classes).copied().collect();
            let bias = encode(plan, setup.head.bias()[0]);
            let mut rest = centered(parameters, &residues) - bias;
            // Signed digits from the top.
            let mut u = vec![0; n];
            Xof::randomness(parameters, &seed, Role::Rerandomizer, 0, 0)
                .tuniform(widths.rerandomizer, &mut u);
            for (j, count) in read.iter_mut().enumerate() {
                let shift = (i64::from(top) - j as i64 * i64::from(digit_bits)).max(0);
                let digit = (rest + ((1_i128 << shift) >> 1)) >> shift;
                *count += usize::from(digit == i128::from(u[plan.layout().block - 1 - j]));
                rest -= digit << shift;
            }
        }
        // A digit of 2^b_u + 1 values or more is guessed once in 2^(b_u+1) tries; the first ones are read nearly always.
        println!("{privacy:?}: {charged} coordinates charged, read of {ROUNDS}: {read:?}");
        assert!(read[0] > ROUNDS / 2, "the positive control");
        for (j, &count) in read.iter().enumerate().skip(charged as usize) {
            assert!(count < ROUNDS / 3, "coordinate {j} was read {count} times, {charged} are charged");
        }
    }
}

/// The noise attack: an honest client keeps its key, asks a thousand times for the same vector, and averages the noise
/// of each score, of which e*w is the part that depends on weights. With the flood of `statistical` the average stays
/// within the flood's own, whatever the weights are.
#[test]
fn the_noise_of_a_thousand_statistical_responses_does_not_tell_weights() {
    const ROUNDS: i128 = 1000;
    let mut random = Random(12);
    let shape = HeadShape { features: 512, classes: 2, feature_bits: 8, weight_bits: 8 };
    let setup = Setup::new(shape, Privacy::Statistical, &mut random, |_| 127);
    let plan = setup.prepared.plan();
    let (key, request) = setup.encrypt(&vec![127; 512]);
    let step = plan.response_bits();
    let (mut sum, mut squares) = (0_i128, 0_f64);
    for _ in 0..ROUNDS {
        let response = setup.prepared.evaluate(&request, Digest::of(b""), &random.secret(), 0).unwrap();
        let phases = danger::decrypt_and_keep(&key, &response, &plan.response_shape()).unwrap();
        let noise = i128::from(scores::phase_noise(plan, phases.as_slice())[0]);
        sum += noise;
        squares += (noise as f64).powi(2);
    }
    // In units of 2^-r; what depends on weights, 2^23 of 2^100, is far below one of them.
    let deviation = (squares / ROUNDS as f64).sqrt();
    let average = sum as f64 / ROUNDS as f64;
    let flood =
        2_f64.powi(plan.widths().unwrap().flood as i32 + step as i32) / plan.parameters().modulus() as f64;
    assert!(deviation > flood / 3.0_f64.sqrt() * 0.9, "the flood is there: {deviation} of {flood}");
    assert!(
        average.abs() < 5.0 * deviation / (ROUNDS as f64).sqrt(),
        "average {average}, deviation {deviation}"
    );
    let weight_noise = 2_f64.powi(23 + step as i32 - 100);
    assert!(weight_noise * (ROUNDS as f64).sqrt() < deviation / 1e9, "what an average could show");
}
