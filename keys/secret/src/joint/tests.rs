//! Sums of real clinics: exact at the bounds, and every lie that a proof is there for.

use tiresias_keys::joint::{self, Proof};

use super::*;

fn context(clinic: usize) -> Digest {
    Digest::of(format!("clinic {clinic}").as_bytes())
}

struct Clinics {
    mask: Vec<u64>,
    secrets: Vec<JointSecret>,
    key: Vec<u64>,
}

/// Three clinics, made once: proofs take their time.
fn three() -> &'static Clinics {
    static THREE: std::sync::OnceLock<Clinics> = std::sync::OnceLock::new();
    THREE.get_or_init(|| clinics(3))
}

fn clinics(count: usize) -> Clinics {
    let mask = joint::mask(&Digest::of(b"seeds"));
    let secrets: Vec<JointSecret> = (0..count).map(|_| JointSecret::generate().unwrap()).collect();
    let shares: Vec<JointKeyShare> = secrets
        .iter()
        .enumerate()
        .map(|(at, secret)| secret.key_share(&mask, &context(at)).unwrap())
        .collect();
    for (at, share) in shares.iter().enumerate() {
        let read = JointKeyShare::from_bytes(&share.to_bytes()).unwrap();
        assert_eq!(&read, share);
        read.verify(&mask, &context(at)).unwrap();
        assert!(read.verify(&mask, &context(at + 1)).is_err(), "a proof is of one clinic");
    }
    let key = joint::joint_key(&shares);
    Clinics { mask, secrets, key }
}

fn sum(clinics: &Clinics, plan: &Plan, vectors: &[Vec<i64>]) -> JointSum {
    let submissions: Vec<JointSubmission> = vectors
        .iter()
        .enumerate()
        .map(|(at, values)| {
            let made =
                encrypt_for_joint_sum(plan, &clinics.mask, &clinics.key, values, &context(at)).unwrap();
            let read = JointSubmission::from_bytes(&made.to_bytes(), plan.blocks()).unwrap();
            assert_eq!(read, made);
            read.verify(&clinics.mask, &context(at)).unwrap();
            assert!(read.verify(&clinics.mask, &context(at + 1)).is_err(), "a proof is of one clinic");
            read
        })
        .collect();
    JointSum::new(plan, &submissions)
}

fn shares(clinics: &Clinics, plan: &Plan, sum: &JointSum) -> Vec<JointShare> {
    let share = |secret: &JointSecret| {
        let made = secret.share(plan, sum).unwrap();
        assert_eq!(JointShare::from_bytes(&made.to_bytes(), plan).as_ref(), Ok(&made));
        made
    };
    clinics.secrets.iter().map(share).collect()
}

#[test]
fn sums_are_exact_at_their_bounds_and_over_several_blocks() {
    let three = three();
    let bound = (1 << 25) / 3;
    let plan = Plan::new(3, 4099, bound).unwrap();
    assert_eq!((plan.plaintext_bits(), plan.smudge_bits(), plan.blocks()), (26, 71, 2));
    let largest = bound as i64;
    let vector = |salt: i64| -> Vec<i64> {
        (0..4099)
            .map(|at| match at {
                0 | 4098 => largest,
                1 | 4097 => -largest,
                2 => 0,
                at => (at * 7919 * salt) % largest,
            })
            .collect()
    };
    let vectors = [vector(1), vector(-2), vector(3)];
    let total: Vec<i64> = (0..4099).map(|at| vectors.iter().map(|vector| vector[at]).sum()).collect();
    let sum = sum(three, &plan, &vectors);
    assert_eq!(JointSum::from_bytes(&sum.to_bytes(), 2).as_ref(), Ok(&sum));
    let shares = shares(three, &plan, &sum);
    assert!(open_joint_sum(&plan, &sum, &shares).unwrap() == total);
    // Any two of three open nothing: a share that is missing, or given twice.
    assert_eq!(open_joint_sum(&plan, &sum, &shares[..2]), None);
    let twice = [shares[0].clone(), shares[1].clone(), shares[1].clone()];
    let wrong = open_joint_sum(&plan, &sum, &twice).unwrap_or_default();
    assert!(wrong.iter().zip(&total).filter(|(wrong, total)| wrong == total).count() < 10);
}

/// What one modulus cannot hold is taken modulo several, and nothing of carries shows.
#[test]
fn wide_values_are_summed_modulo_several_numbers() {
    let three = three();
    let bound = 1 << 52;
    let plan = Plan::new(3, 4, bound).unwrap();
    assert_eq!((plan.moduli().len(), plan.slots()), (3, 12));
    let vectors = [
        vec![bound as i64, -1, 7, 0],
        vec![bound as i64, 1 - (1 << 52), 1 << 40, 0],
        vec![bound as i64, 0, -(1 << 51), 0],
    ];
    let total: Vec<i64> = (0..4).map(|at| vectors.iter().map(|vector| vector[at]).sum()).collect();
    let sum = sum(three, &plan, &vectors);
    let shares = shares(three, &plan, &sum);
    assert_eq!(open_joint_sum(&plan, &sum, &shares), Some(total));
}

#[test]
fn noise_stays_far_within_its_bound() {
    let three = three();
    let plan = Plan::new(3, 4096, 1).unwrap();
    let sum = sum(three, &plan, &vec![vec![0; 4096]; 3]);
    let (mask, body) = &sum.blocks()[0];
    let mut phases = body.clone();
    for secret in &three.secrets {
        // Without smudges, as no clinic ever gives it: minus mask*s.
        let mut product = encrypt_zero(
            JOINT,
            &secret.0.transformed().unwrap(),
            mask.clone(),
            Xof::randomness(JOINT, &SecretSeed::from_bytes([1; 32]), Role::JointBodyNoise, 0, 0),
        );
        for (part, &prime) in product.chunks_exact_mut(4096).zip(JOINT.primes()) {
            part.iter_mut().for_each(|word| *word = (prime - *word) % prime);
        }
        JOINT.ring().add(&mut phases, &product);
    }
    let (low, high) = phases.split_at(4096);
    let q = JOINT.modulus();
    let largest = low
        .iter()
        .zip(high)
        .map(|(low, high)| {
            let phase = phase((low, &0), (high, &0));
            phase.min(q - phase)
        })
        .max()
        .unwrap();
    // Three samples of noise more, of at most 8 each.
    assert!(largest <= plan.noise() + 24, "{largest}");
    assert!(largest > 100, "there is noise: {largest}");
}

/// b* - (b_1 + b_2): whoever published it last would decrypt alone. It has no short secret that anyone knows.
#[test]
fn a_rogue_key_has_no_proof() {
    let mask = joint::mask(&Digest::of(b"seeds"));
    let [own, other] = [0, 1].map(|at| {
        let secret = JointSecret::generate().unwrap();
        let share = secret.key_share(&mask, &context(at)).unwrap();
        (secret, share)
    });
    let mut rogue = own.1.body().to_vec();
    let negated: Vec<u64> = other
        .1
        .body()
        .chunks_exact(4096)
        .zip(JOINT.primes())
        .flat_map(|(part, prime)| part.iter().map(move |word| (prime - word) % prime))
        .collect();
    JOINT.ring().add(&mut rogue, &negated);
    // The proof of the own key, one of another clinic's, and one that is made for the rogue key with what its author knows.
    let forged = prove(&mask, &rogue, &own.0.0.bits().unwrap(), &[0; 4096], &context(0)).unwrap();
    let proofs = [JointKeyShare::from_bytes(&own.1.to_bytes()).unwrap(), other.1];
    for proof in proofs.map(|share| proof_of(&share)).into_iter().chain([forged]) {
        let share = JointKeyShare::new(rogue.clone(), proof);
        assert!(share.verify(&mask, &context(0)).is_err());
    }
}

/// The proof in a share's frame, behind header and polynomial.
fn proof_of(share: &JointKeyShare) -> Proof {
    share.proof().clone()
}

/// A submission whose mask is made so that the shares of others show their secrets: 2^90 less what the others sent.
#[test]
fn a_mask_that_would_draw_secrets_out_of_shares_has_no_proof() {
    let mask = joint::mask(&Digest::of(b"seeds"));
    let mut wide = JOINT.ring().zero();
    wide[0] = ((1_u128 << 90) % u128::from(JOINT.primes()[0])) as u64;
    wide[4096] = ((1_u128 << 90) % u128::from(JOINT.primes()[1])) as u64;
    let proof = prove(&mask, &wide, &[0; 4096], &[0; 4096], &context(0)).unwrap();
    let block = JointBlock::new(wide.clone(), JOINT.ring().zero(), proof);
    assert!(JointSubmission::new(vec![block]).verify(&mask, &context(0)).is_err());
    // With the noise that it takes, no answer is within bounds.
    let mut noise = vec![0_i64; 4096];
    noise[0] = 1 << 48;
    assert!(!joint::accepted(&[0; 4096], &noise));
}

/// The gateway and clinic 2 together hold all ciphertexts, all shares that were given, and the secret of clinic 2. They know the total, and so
/// the sum of the other two. They try for more: a single ciphertext or a subset with these shares, with their own secret, with both.
#[test]
fn a_gateway_and_one_clinic_learn_nothing_but_the_sum_of_the_other_two() {
    let three = three();
    let plan = Plan::new(3, 512, 1000).unwrap();
    let vector = |salt: i64| -> Vec<i64> { (0..512).map(|at| (at * 7919 * salt) % 1001).collect() };
    let vectors = [vector(3), vector(-5), vector(11)];
    let submissions: Vec<JointSubmission> = vectors
        .iter()
        .enumerate()
        .map(|(at, values)| {
            encrypt_for_joint_sum(&plan, &three.mask, &three.key, values, &context(at)).unwrap()
        })
        .collect();
    let of = |clinics: &[usize]| JointSum::new(&plan, clinics.iter().map(|&at| &submissions[at]));
    let sum = of(&[0, 1, 2]);
    let shares = shares(three, &plan, &sum);
    let total = open_joint_sum(&plan, &sum, &shares).unwrap();
    let others: Vec<i64> = total.iter().zip(&vectors[2]).map(|(total, own)| total - own).collect();
    assert!(others.iter().zip(vectors[0].iter().zip(&vectors[1])).all(|(sum, (a, b))| *sum == a + b));

    let own = |sum: &JointSum| three.secrets[2].share(&plan, sum).unwrap();
    let nothing = || JointShare::new(vec![vec![0; 1024]]);
    for subset in [&[0][..], &[1], &[0, 1], &[0, 2], &[1, 2], &[0, 0, 1], &[0, 1, 2, 2]] {
        let target = of(subset);
        let expected: Vec<i64> =
            (0..512).map(|at| subset.iter().map(|&clinic| vectors[clinic][at]).sum()).collect();
        for attempt in [
            shares.clone(),
            vec![shares[0].clone(), shares[1].clone(), own(&target)],
            vec![own(&target), own(&target), own(&target)],
            vec![own(&target), nothing(), nothing()],
            vec![nothing(), nothing(), nothing()],
        ] {
            // A modulus of 2^12 is hit by chance once in 4096.
            let phases = open_phases(&plan, &target, &attempt);
            let hits = phases
                .iter()
                .zip(&expected)
                .filter(|(found, value)| **found == value.rem_euclid(1 << 12))
                .count();
            assert!(hits < 10, "{subset:?}: {hits}");
        }
    }
    // What is left of a phase behind the total is smudge: 2^40 times the noise that it hides, and more.
    let q = JOINT.modulus();
    let phases = raw_phases(&sum, &shares);
    let smudge = phases.iter().zip(&total).map(|(phase, total)| {
        let plain = ((i128::from(*total) * (q >> 13) as i128).rem_euclid(q as i128)) as u128;
        let off = (phase + q - plain) % q;
        off.min(q - off)
    });
    assert!(smudge.max().unwrap() > plan.noise() << 40);
}

/// All phases, also of what is no sum within bounds.
fn raw_phases(sum: &JointSum, shares: &[JointShare]) -> Vec<u128> {
    let mut taken = vec![0; 1024];
    shares.iter().for_each(|share| JOINT.ring().add(&mut taken, &share.parts()[0]));
    let body = first(&sum.blocks()[0].1, 512);
    (0..512).map(|at| phase((&body[at], &taken[at]), (&body[512 + at], &taken[512 + at]))).collect()
}

/// Values modulo 2^12 as they decode, whatever they are.
fn open_phases(plan: &Plan, sum: &JointSum, shares: &[JointShare]) -> Vec<i64> {
    assert_eq!(plan.moduli(), [1 << 13]);
    let q = JOINT.modulus();
    raw_phases(sum, shares).iter().map(|phase| (((phase << 13) + q / 2) / q % (1 << 12)) as i64).collect()
}

#[test]
fn values_out_of_bounds_and_vectors_of_other_lengths_are_refused() {
    let three = three();
    let plan = Plan::new(3, 2, 100).unwrap();
    for values in [&[101, 0][..], &[0, -101], &[i64::MIN, 0], &[1], &[1, 2, 3]] {
        let made = encrypt_for_joint_sum(&plan, &three.mask, &three.key, values, &context(0));
        assert!(matches!(made, Err(Error::Joint(_))));
    }
    assert_eq!(format!("{:?}", three.secrets[0]), "JointSecret { .. }");
}
