//! Gateways that follow the protocol and gateways that do not, played by the clear twin over hundreds of seeded runs.

use tiresias_circuits::{
    Card, Explanation, Groups, HeadShape, Plan, Privacy, QuantizedHead, Quantizer, card::CardParts, clear,
    quantize::Scale,
};
use tiresias_keys::Seed;

use super::*;
use crate::{
    canaries::{Canary, Expected, Lottery, Source},
    finding::{Contribution, Contributions},
};

/// A model, some patients and a canaries file.
struct Clinic {
    model: Model,
    head: QuantizedHead,
    patients: Vec<Vec<f64>>,
    file: CanaryFile,
}

/// Numbers drawn for a test, which names the seed where it fails.
fn lottery(seed: u64) -> Lottery {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    Lottery::seeded(&bytes)
}

impl Clinic {
    /// Of this many features, classes, patients and canaries; steps, offsets, weights and values are drawn.
    fn new(
        seed: u64,
        features: usize,
        classes: usize,
        patients: usize,
        canaries: usize,
        grouped: bool,
    ) -> Self {
        let mut lottery = lottery(seed);
        let bits = lottery.between(2, 8) as u32;
        let shape = HeadShape { features, classes, feature_bits: bits, weight_bits: 8 };
        let mut drawn = |least, largest, count: usize| -> Vec<i64> {
            (0..count).map(|_| lottery.between(least, largest)).collect()
        };
        let scale = match drawn(0, 1, 1)[0] {
            0 => Scale::PerTensor(0.037),
            // Also steps that floats cannot follow.
            _ => Scale::PerFeature {
                scales: drawn(-8, 8, features).iter().map(|&power| 10_f64.powi(power as i32)).collect(),
                offsets: drawn(-12, 12, features)
                    .iter()
                    .map(|&power| 3.0 * 10_f64.powi(power as i32))
                    .collect(),
            },
        };
        let quantizer = Quantizer::new(bits, features, scale).unwrap();
        let weight = drawn(-127, 127, features * classes).iter().map(|&weight| weight as i8).collect();
        let bias = shape.bias_limit().min(999);
        let head = QuantizedHead::new(shape, weight, drawn(-bias, bias, classes)).unwrap();
        let groups = grouped.then(|| {
            let names = vec!["a".to_owned(), "b".to_owned()];
            Groups::new(names, (0..features).map(|feature| feature % 2).collect()).unwrap()
        });
        let (plan, head) = match &groups {
            Some(groups) => (
                Plan::explained(shape, groups.grouping(), Privacy::Flooded).unwrap(),
                groups.expand(&head).unwrap(),
            ),
            None => (Plan::new(shape, Privacy::Flooded).unwrap(), head),
        };
        let labels = (0..classes).map(|class| format!("class {class}")).collect();
        // Some values lie outside the range and are clipped.
        let mut row = || -> Vec<f64> {
            let steps = drawn(-300, 300, features);
            let value = |(at, &step): (usize, &i64)| {
                let step = step as f64 * f64::from(1_u32 << bits) / 512.0;
                quantizer.offset_of(at) + quantizer.scale_of(at) * step
            };
            steps.iter().enumerate().map(value).collect()
        };
        let patients: Vec<Vec<f64>> = (0..patients).map(|_| row()).collect();
        let known: Vec<Vec<f64>> = (0..canaries).map(|_| row()).collect();
        let mut parts = CardParts::new("m", 1, labels, quantizer, 0.5, plan, Seed::from_bytes([1; 32]));
        parts.explanation = groups.map(Explanation::Groups);
        let model = Model::from_card(Card::new(parts).unwrap().to_json()).unwrap();
        let canaries = known.into_iter().map(|features| {
            let expected = Expected::of(&answer(&model, &head, &features), &model).unwrap();
            Canary { features, expected }
        });
        let file = CanaryFile::new(&model, Source::Evaluate, canaries.collect()).unwrap();
        Self { model, head, patients, file }
    }

    fn mix(&self, rate: f64, seed: u64) -> Mix<'_> {
        let rows: Vec<&[f64]> = self.patients.iter().map(Vec::as_slice).collect();
        Mix::draw(&rows, &self.model, &self.file, rate, &mut lottery(!seed)).unwrap()
    }

    fn judge(&self, mix: &Mix<'_>, findings: &[Finding]) -> Verdict {
        judge(&self.file, mix, &self.model, &findings.iter().collect::<Vec<_>>())
    }

    /// The run's answers from a gateway that takes this head for the vector at a place.
    fn answers<'a>(&self, mix: &Mix<'_>, head: impl Fn(usize) -> &'a QuantizedHead) -> Vec<Finding> {
        let rows = mix.rows().into_iter().enumerate();
        rows.map(|(at, row)| answer(&self.model, head(at), row)).collect()
    }

    /// The same head but for the weight of one feature in one class.
    fn with_weight(&self, at: usize, weight: i8) -> QuantizedHead {
        let mut weights = self.head.weight().to_vec();
        weights[at] = weight;
        QuantizedHead::new(*self.head.shape(), weights, self.head.bias().to_vec()).unwrap()
    }
}

/// What a client reads of the clear twin's answer.
fn answer(model: &Model, head: &QuantizedHead, row: &[f64]) -> Finding {
    let quantized = model.card().quantizer().quantize(row).unwrap();
    let rows = clear::scores(head, &quantized.values).unwrap();
    let (scores_q, contributions) = match model.card().explanation().and_then(Explanation::groups) {
        None => (rows, Vec::new()),
        Some(groups) => {
            let explained = groups.split(&rows);
            let class = |values: &Vec<i64>| Contributions {
                class: String::new(),
                intercept: 0.0,
                groups: (values.iter())
                    .map(|&value_q| Contribution { group: String::new(), value: 0.0, value_q })
                    .collect(),
            };
            (explained.scores_q, explained.contributions_q.iter().map(class).collect())
        }
    };
    Finding::Scores { label: None, scores_q, scores: Vec::new(), margin: 0.0, contributions }
}

/// The same answer but for one unit of one score.
fn off_by_one(finding: &mut Finding) {
    let Finding::Scores { scores_q, .. } = finding else { return };
    scores_q[0] += 1;
}

#[test]
fn an_honest_gateway_never_raises_an_alarm() {
    for seed in 0..500_u64 {
        let mut sizes = lottery(seed ^ 0xabcd);
        let mut up_to = |largest| 1 + sizes.below(largest);
        let (features, classes, patients, canaries) = (2 + up_to(40), up_to(5), up_to(30), up_to(6));
        let clinic = Clinic::new(seed, features, classes, patients, canaries, seed % 3 == 0);
        let mix = clinic.mix([0.01, 0.1, 0.5, 2.0][seed as usize % 4], seed);
        let mut findings = clinic.answers(&mix, |_| &clinic.head);
        let verdict = clinic.judge(&mix, &findings);
        assert!(!verdict.is_alarm() && verdict.canaries > 0 && verdict.combinations.len() > 1, "seed {seed}");
        let bias: Vec<i64> = clinic.head.bias().to_vec();
        assert_eq!(verdict.agreed(), Some(bias.as_slice()), "seed {seed}");
        // A run that ended early.
        findings.truncate(up_to(findings.len()));
        assert!(!clinic.judge(&mix, &findings).is_alarm(), "seed {seed}");
    }
}

#[test]
fn each_vector_that_is_looked_at_is_looked_at_to_the_last_unit() {
    for seed in 0..40 {
        let clinic = Clinic::new(seed, 6, 3, 12, 4, seed % 2 == 0);
        let mix = clinic.mix(0.5, seed);
        let honest = clinic.answers(&mix, |_| &clinic.head);
        for (at, role) in mix.roles().enumerate() {
            let mut findings = honest.clone();
            off_by_one(&mut findings[at]);
            let verdict = clinic.judge(&mix, &findings);
            let with_x = mix.combined().iter().filter(|x| **x == role).count();
            let (wrong, failed) = match role {
                Role::Canary(_) => (vec![at], with_x),
                Role::Patient(_) => (vec![], with_x),
                Role::Mask(_) | Role::Sum(_) => (vec![], 1),
            };
            // Of two that disagree, neither is known to hold.
            let failed = if failed == 1 && mix.combined().len() == 2 { 2 } else { failed };
            assert_eq!((&verdict.wrong, verdict.failed.len()), (&wrong, failed), "seed {seed}, {role:?}");
            let is_alarm = !wrong.is_empty() || failed > 0;
            assert_eq!((verdict.is_alarm(), verdict.agreed().is_none()), (is_alarm, is_alarm));
        }
    }
}

#[test]
fn another_head_is_caught_by_canaries_and_changing_heads_by_combinations() {
    let (mut by_canaries, mut by_combinations) = (0, 0);
    for seed in 0..100 {
        let clinic = Clinic::new(seed, 10, 3, 20, 5, false);
        let other = Clinic::new(seed + 1000, 10, 3, 1, 1, false).head;
        let other =
            QuantizedHead::new(*clinic.head.shape(), other.weight().to_vec(), other.bias().to_vec()).unwrap();
        let mix = clinic.mix(0.3, seed);
        let verdict = clinic.judge(&mix, &clinic.answers(&mix, |_| &other));
        by_canaries += usize::from(verdict.wrong.len() == verdict.canaries);
        assert!(verdict.failed.is_empty(), "the other head is linear too");
        let turns = clinic.answers(&mix, |at| if at % 2 == 0 { &other } else { &clinic.head });
        by_combinations += usize::from(!clinic.judge(&mix, &turns).failed.is_empty());
    }
    assert_eq!(by_canaries, 100);
    // Two combinations at least, each of which is answered by one head alone once in four times.
    assert!(by_combinations >= 85, "{by_combinations}");
}

#[test]
fn weights_that_are_orthogonal_to_the_canaries_pass() {
    let mut clinic = Clinic::new(4, 8, 3, 20, 5, false);
    // No canary has anything in the last feature.
    let offset = clinic.model.card().quantizer().offset_of(7);
    let canaries = clinic.file.canaries().iter().map(|canary| {
        let mut features = canary.features.clone();
        features[7] = offset;
        let expected = Expected::of(&answer(&clinic.model, &clinic.head, &features), &clinic.model).unwrap();
        Canary { features, expected }
    });
    clinic.file = CanaryFile::new(&clinic.model, Source::Evaluate, canaries.collect()).unwrap();
    let changed = clinic.with_weight(7, if clinic.head.weight()[7] > 0 { -100 } else { 100 });
    let mix = clinic.mix(0.5, 4);
    let verdict = clinic.judge(&mix, &clinic.answers(&mix, |_| &changed));
    assert!(!verdict.is_alarm(), "that is what replay is for");
    // Patients alone being cheated is what combinations see.
    let is_patient: Vec<bool> = mix.roles().map(|role| matches!(role, Role::Patient(_))).collect();
    let cheated = clinic.answers(&mix, |at| if is_patient[at] { &changed } else { &clinic.head });
    assert!(clinic.judge(&mix, &cheated).wrong.is_empty());
    assert!(!clinic.judge(&mix, &cheated).failed.is_empty());
}

#[test]
fn what_earlier_runs_agreed_on_holds_for_later_ones() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("canaries.jsonl");
    let clinic = Clinic::new(9, 6, 2, 10, 3, true);
    clinic.file.create(&path).unwrap();
    let mix = clinic.mix(0.1, 9);
    let honest = clinic.answers(&mix, |_| &clinic.head);
    let agreed = clinic.judge(&mix, &honest).agreed().unwrap().to_vec();
    clinic.file.keep_intercepts(&path, &agreed).unwrap();
    let kept = CanaryFile::open(&path, &clinic.model).unwrap();
    assert_eq!((kept.canaries(), kept.intercepts_q()), (clinic.file.canaries(), Some(agreed.as_slice())));

    // Another bias for all, which no combination of one run can see. Canaries do, so they are left out here.
    let mut bias = clinic.head.bias().to_vec();
    bias[0] += 1;
    let moved = QuantizedHead::new(*clinic.head.shape(), clinic.head.weight().to_vec(), bias).unwrap();
    let moved = clinic.answers(&mix, |_| &moved);
    let judged = |file: &CanaryFile| judge(file, &mix, &clinic.model, &moved.iter().collect::<Vec<_>>());
    assert!(judged(&clinic.file).failed.is_empty());
    assert_eq!(judged(&kept).failed.len(), mix.combined().len());

    // A group's contribution has no bias, in no run.
    let mut grouped = honest;
    for finding in &mut grouped {
        let Finding::Scores { contributions, .. } = finding else { continue };
        contributions[1].groups[0].value_q += 5;
    }
    assert_eq!(clinic.judge(&mix, &grouped).failed.len(), mix.combined().len());
}

#[test]
fn the_chance_to_catch_a_cheat_is_as_stated() {
    // Of 1000 vectors a gateway cheats one in 50: 1 - (1 - s)^(k + 3m) with k canaries and m combinations.
    let clinic = Clinic::new(11, 4, 2, 120, 30, false);
    let share = 0.02;
    let (runs, mut caught, mut expected) = (1500_u64, 0.0, 0.0);
    for seed in 0..runs {
        let mix = clinic.mix(0.1, seed);
        let mut findings = clinic.answers(&mix, |_| &clinic.head);
        let mut cheat = lottery(seed ^ 0x5555_0000);
        findings.iter_mut().filter(|_| cheat.below(1000) < (share * 1000.0) as usize).for_each(off_by_one);
        let verdict = clinic.judge(&mix, &findings);
        caught += f64::from(u8::from(verdict.is_alarm()));
        let looked_at = verdict.canaries + 3 * verdict.combinations.len();
        expected += 1.0 - (1.0_f64 - share).powi(looked_at as i32);
    }
    // Four deviations; two cheats of one combination may cancel.
    assert!((caught - expected).abs() < 4.0 * (runs as f64 / 4.0).sqrt(), "{caught} {expected}");
}
