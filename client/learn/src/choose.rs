//! How strong the penalty is, by cross-validation, and how well heads do on patients that they have not seen.
//!
//! Each fold has about the same share of each class. For each fold in turn, a strength is chosen on the other folds alone (by folds of
//! their own), a head is learned of them, and the fold's patients are classified: so no figure is of patients that the head or the choice
//! of its strength has seen. The strength of the final head is chosen on all patients in the same way.
//!
//! A strength's loss is the mean of weight times -ln p(class) over the patients left out; of equals, the stronger wins.

use std::convert::Infallible;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tiresias_synth::lbfgs;

use crate::{
    Confusion, Counts, Error, Head, Patients, Weighing,
    objective::{Design, penalty, residuals},
    scaling::Scaling,
    train::STRENGTHS,
};

/// Strengths that are tried, the strongest first: each starts where the one before has ended.
pub const CANDIDATES: [f64; 7] = [1e3, 1e2, 1e1, 1.0, 1e-1, 1e-2, 1e-3];

/// Values and gradients, at most, of one head.
const EVALUATIONS: usize = 500;

/// Where learning stops, in the mean over patients.
const TOLERANCE: f64 = 1e-6;

/// What cross-validation found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Choice {
    /// The strength that was chosen, or given.
    pub strength: f64,
    /// Strengths that were tried, with their losses; none where one was given.
    pub losses: Vec<(f64, f64)>,
    /// What was said of patients left out.
    #[serde(skip)]
    pub confusion: Confusion,
    /// Folds.
    pub folds: usize,
}

/// Chooses a strength unless one is given, and classifies all patients by heads that have not seen them.
pub fn choose(
    patients: &Patients,
    weighing: Weighing,
    given: Option<f64>,
    folds: usize,
    seed: u64,
) -> Result<Choice, Error> {
    if !(2..=20).contains(&folds) {
        return Err(Error::Setting("--folds: between 2 and 20"));
    }
    if given.is_some_and(|strength| !STRENGTHS.contains(&strength)) {
        return Err(Error::Setting("--strength: a number between 1e-6 and 1e6"));
    }
    let counts = Counts::of(patients);
    let classes = patients.rows().classes().len();
    if let Some(class) = (0..classes).find(|&class| counts.class(class) < folds as u64) {
        return Err(Error::Folds { class: class + 1 });
    }
    let best = |patients: &Patients, folds| match given {
        Some(strength) => Ok((strength, Vec::new())),
        None => strongest(patients, weighing, folds, seed),
    };
    let fold_of = deal(patients, folds, seed);
    let mut confusion = Confusion::new(patients);
    for fold in 0..folds {
        let (learned, left_out) = parts(patients, &fold_of, fold)?;
        // A class may have lost patients to the fold.
        let counts = Counts::of(&learned);
        let fewest = (0..classes).map(|class| counts.class(class) as usize).min().unwrap_or(folds);
        let (strength, _) = best(&learned, folds.min(fewest).max(2))?;
        let (head, _) = Fit::new(&learned, weighing)?.at(strength, None);
        confusion.add(&head, &left_out);
    }
    let (strength, losses) = best(patients, folds)?;
    Ok(Choice { strength, losses, confusion, folds })
}

/// The strength with the least loss, and all losses.
fn strongest(
    patients: &Patients,
    weighing: Weighing,
    folds: usize,
    seed: u64,
) -> Result<(f64, Vec<(f64, f64)>), Error> {
    let counts = Counts::of(patients);
    let fold_of = deal(patients, folds, seed);
    let mut losses = CANDIDATES.map(|strength| (strength, 0.0));
    for fold in 0..folds {
        let (learned, left_out) = parts(patients, &fold_of, fold)?;
        let fit = Fit::new(&learned, weighing)?;
        let tested = Design::new(&left_out, &fit.scaling, &counts, weighing);
        let mut start = None;
        for (strength, loss) in &mut losses {
            let parameters = fit.at(*strength, start.take()).1;
            *loss += tested.loss(&parameters) / counts.total() as f64;
            start = Some(parameters);
        }
    }
    let first = (f64::NAN, f64::INFINITY);
    let best = losses.iter().fold(first, |best, &tried| if tried.1 < best.1 { tried } else { best });
    match best.0.is_nan() {
        true => Err(Error::Overflow),
        false => Ok((best.0, losses.to_vec())),
    }
}

impl Design {
    /// The sum of weight times -ln p(class).
    fn loss(&self, parameters: &[f64]) -> f64 {
        let mut scores = vec![0.0; self.shape.classes];
        let each = self.each().map(|(row, class, weight)| {
            self.shape.scores(parameters, row, &mut scores);
            weight * residuals(&mut scores, class)
        });
        each.sum()
    }
}

/// Patients that heads of several strengths are learned of, in floating point.
struct Fit {
    scaling: Scaling,
    design: Design,
}

impl Fit {
    fn new(patients: &Patients, weighing: Weighing) -> Result<Self, Error> {
        let counts = Counts::of(patients);
        let scaling = Scaling::of(patients.rows())?;
        let design = Design::new(patients, &scaling, &counts, weighing);
        Ok(Self { scaling, design })
    }

    /// The head of a strength, and its parameters.
    fn at(&self, strength: f64, start: Option<Vec<f64>>) -> (Head, Vec<f64>) {
        let (shape, patients) = (self.design.shape, self.design.len() as f64);
        let start = start.unwrap_or_else(|| vec![0.0; shape.parameters()]);
        let Ok(found) = lbfgs::minimize(start, TOLERANCE, EVALUATIONS, |parameters, gradient| {
            let loss = self.design.gradient(parameters, gradient);
            let value = loss + penalty(shape, parameters, strength, gradient);
            gradient.iter_mut().for_each(|entry| *entry /= patients);
            Ok::<_, Infallible>(value / patients)
        });
        (Head::fold(shape, &found.at, &self.scaling), found.at)
    }
}

/// A part of each class for learning, and one fold of so many to test on.
pub fn hold_out(patients: &Patients, folds: usize, seed: u64) -> Result<(Patients, Patients), Error> {
    if !(2..=20).contains(&folds) {
        return Err(Error::Setting("--folds: between 2 and 20"));
    }
    parts(patients, &deal(patients, folds, seed), 0)
}

/// The fold of each patient: of each class in turn, in an order that follows from the seed and the places of the rows.
fn deal(patients: &Patients, folds: usize, seed: u64) -> Vec<usize> {
    let key = |row: usize| -> [u8; 32] {
        let hash = Sha256::new().chain_update(b"tiresias/learn-folds/v1").chain_update(seed.to_le_bytes());
        hash.chain_update((row as u64).to_le_bytes()).finalize().into()
    };
    let labels = patients.rows().labels();
    let mut order: Vec<(usize, [u8; 32], usize)> =
        labels.iter().enumerate().map(|(row, &class)| (class, key(row), row)).collect();
    order.sort_unstable();
    let mut fold_of = vec![0; labels.len()];
    for (place, (_, _, row)) in order.into_iter().enumerate() {
        fold_of[row] = place % folds;
    }
    fold_of
}

/// All but a fold, and the fold.
fn parts(patients: &Patients, fold_of: &[usize], fold: usize) -> Result<(Patients, Patients), Error> {
    Ok((patients.filtered(|row| fold_of[row] != fold)?, patients.filtered(|row| fold_of[row] == fold)?))
}

#[cfg(test)]
mod tests {
    use tiresias_synth::{Rows, linear::dot};

    use super::*;
    use crate::{Alone, Settings, objective::tests::example, scaling::bounds_of, train};

    #[test]
    fn folds_have_their_share_of_each_class_and_follow_from_the_seed() {
        let patients = example(3, 100);
        let folds = deal(&patients, 5, 1);
        let counts = Counts::of(&patients);
        for class in 0..3 {
            for fold in 0..5 {
                let found = patients.cells().zip(&folds).filter(|&((of, _), &at)| (of, at) == (class, fold));
                let expected = counts.class(class) as usize / 5;
                assert!((expected..=expected + 1).contains(&found.count()));
            }
        }
        assert_eq!(folds, deal(&patients, 5, 1));
        assert_ne!(folds, deal(&patients, 5, 2));
    }

    #[test]
    fn both_ways_of_learning_find_the_same_head() {
        for classes in [2, 3] {
            let patients = example(classes, 60);
            let weighing = Weighing { balanced: true, reweighed: false };
            let (quick, _) = Fit::new(&patients, weighing).unwrap().at(0.5, None);
            let settings = Settings { weighing, strength: 0.5, rounds: 30 };
            let bounds = bounds_of(patients.rows()).unwrap();
            let trained = train(&patients, &bounds, &settings, &mut Alone).unwrap();
            assert!(trained.run.is_converged && trained.run.rounds < 12, "{:?}", trained.run);
            let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
            assert!(near(quick.weights(), trained.head.weights()));
            assert!(near(quick.biases(), trained.head.biases()));
        }
    }

    #[test]
    fn noise_is_drawn_to_nothing_and_a_signal_is_kept() {
        // Labels that have nothing to do with forty features of sixty patients, ten times; then labels that are one of the features.
        let uniform = |purpose: u64, at: usize| {
            let hash =
                Sha256::new().chain_update(purpose.to_le_bytes()).chain_update((at as u64).to_le_bytes());
            let digest: [u8; 32] = hash.finalize().into();
            f64::from(u16::from_le_bytes([digest[0], digest[1]])) / 65536.0 - 0.5
        };
        let values: Vec<f64> = (0..60 * 40).map(|at| uniform(0, at)).collect();
        let chosen = |labels: Vec<usize>| {
            let names = vec!["a".to_owned(), "b".to_owned()];
            let rows = Rows::new(values.clone(), 40, labels, names).unwrap();
            choose(&Patients::new(rows), Weighing::default(), None, 5, 1).unwrap()
        };
        let noise: Vec<Choice> = (1..=10)
            .map(|set| chosen((0..60).map(|row| usize::from(uniform(set, row) > 0.0)).collect()))
            .collect();
        let accuracy = noise.iter().map(|choice| choice.confusion.accuracy()).sum::<f64>() / 10.0;
        // The deviation of 600 tosses of a coin is 0.02, and folds of few patients hang together.
        assert!((0.4..0.6).contains(&accuracy), "{accuracy}");
        assert!(noise.iter().filter(|choice| choice.strength >= 100.0).count() >= 7, "{noise:?}");
        let signal = chosen(values.chunks(40).map(|row| usize::from(row[3] > 0.0)).collect());
        assert!(signal.strength <= 10.0 && signal.confusion.accuracy() > 0.7, "{signal:?}");
        assert_eq!((signal.losses.len(), signal.folds), (7, 5));
    }

    #[test]
    fn what_cannot_be_folded_is_refused() {
        let patients = example(2, 60);
        let choose = |given, folds| choose(&patients, Weighing::default(), given, folds, 1).unwrap_err();
        assert!(matches!(choose(None, 1), Error::Setting(_)));
        assert!(matches!(choose(Some(-1.0), 5), Error::Setting(_)));
        let few = patients.filtered(|row| row < 8).unwrap();
        let error = super::choose(&few, Weighing::default(), None, 8, 1).unwrap_err();
        assert!(matches!(error, Error::Folds { .. }));
    }

    #[test]
    fn the_loss_of_nothing_is_that_of_a_coin() {
        let design = Fit::new(&example(2, 60), Weighing::default()).unwrap().design;
        assert!((design.loss(&[0.0; 4]) - 60.0 * 2f64.ln()).abs() < 1e-12);
        assert!(design.each().all(|(row, _, weight)| dot(row, &[0.0; 4]) == 0.0 && weight == 1.0));
    }
}
