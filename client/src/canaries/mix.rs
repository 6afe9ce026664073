//! A run's vectors: those of patients in their order, and between them, at places that were drawn, the clinic's own.

use std::borrow::Cow;

use super::{CanaryFile, Combination, Lottery, expected::is_exact};
use crate::{Error, Model};

/// What a vector of a run is. The gateway sees ciphertexts of one size under one kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The patients' row of this number.
    Patient(usize),
    /// The canary of this number in the file.
    Canary(usize),
    /// c of the run's combination of this number.
    Mask(usize),
    /// x + c of that combination.
    Sum(usize),
}

/// The vectors of a run, in the order in which they are asked for.
#[derive(Debug)]
pub struct Mix<'a> {
    vectors: Vec<(Role, Cow<'a, [f64]>)>,
    /// x of each combination: a patient, or a canary.
    combined: Vec<Role>,
}

impl<'a> Mix<'a> {
    /// Patients alone.
    #[must_use]
    pub fn plain(rows: &[&'a [f64]]) -> Self {
        let patients = rows.iter().enumerate().map(|(row, &features)| (Role::Patient(row), features.into()));
        Self { vectors: patients.collect(), combined: Vec::new() }
    }

    /// Patients, and `rate` times as many other vectors: canaries, and combinations where the model answers exact scores.
    /// At least one canary, and two combinations.
    pub fn draw(
        rows: &[&'a [f64]],
        model: &Model,
        file: &'a CanaryFile,
        rate: f64,
        lottery: &mut Lottery,
    ) -> Result<Self, Error> {
        if rows.is_empty() {
            return Ok(Self::plain(rows));
        }
        let others = (rate * rows.len() as f64).ceil() as usize;
        let combinations = if is_exact(model) { (others / 4).max(2) } else { 0 };
        let canaries = others.saturating_sub(2 * combinations).max(1);

        let canaries = lottery.pick(canaries, file.canaries().len()).into_iter();
        let canaries =
            canaries.map(|number| (Role::Canary(number), file.canaries()[number].features.as_slice()));
        let mut own: Vec<(Role, Cow<'a, [f64]>)> = canaries.map(|(role, row)| (role, row.into())).collect();
        // No x is in two combinations: one wrong answer to it would be the same error in both. Where there are too few
        // patients, canaries take their part.
        let patients = lottery.pick(combinations.min(rows.len()), rows.len()).into_iter();
        let patients = patients.map(|row| (Role::Patient(row), rows[row].into()));
        let bases: Vec<(Role, Cow<'a, [f64]>)> =
            patients.chain(own.iter().cloned()).take(combinations).collect();
        for (number, (_, x)) in bases.iter().enumerate() {
            let drawn = Combination::draw(model.card().quantizer(), x, lottery)?;
            own.push((Role::Mask(number), drawn.mask.into()));
            own.push((Role::Sum(number), drawn.sum.into()));
        }
        let combined = bases.into_iter().map(|(role, _)| role).collect();
        lottery.shuffle(&mut own);

        let (mut patients, mut own) = (Self::plain(rows).vectors.into_iter(), own.into_iter());
        let mut vectors = Vec::with_capacity(patients.len() + own.len());
        // Each choice of places is as likely as any other.
        while patients.len() + own.len() > 0 {
            let is_own = lottery.below(patients.len() + own.len()) < own.len();
            vectors.extend(if is_own { own.next() } else { patients.next() });
        }
        Ok(Self { vectors, combined })
    }

    /// The vectors' features.
    #[must_use]
    pub fn rows(&self) -> Vec<&[f64]> {
        self.vectors.iter().map(|(_, features)| features.as_ref()).collect()
    }

    /// Whether any is not a patient's.
    #[must_use]
    pub fn has_own(&self) -> bool {
        self.roles().any(|role| !matches!(role, Role::Patient(_)))
    }

    /// What the vectors are.
    pub fn roles(&self) -> impl Iterator<Item = Role> {
        self.vectors.iter().map(|(role, _)| *role)
    }

    /// The features of the vector at a place.
    #[must_use]
    pub fn features(&self, at: usize) -> &[f64] {
        self.vectors.get(at).map_or(&[], |(_, features)| features.as_ref())
    }

    /// x of each combination: a patient, or a canary.
    #[must_use]
    pub fn combined(&self) -> &[Role] {
        &self.combined
    }

    /// Takes the patients out of what was answered so far, in their order; the others keep their places in the run.
    #[must_use]
    pub fn part<T>(&self, answered: Vec<T>) -> (Vec<T>, Vec<(usize, T)>) {
        let (mut patients, mut own) = (Vec::new(), Vec::new());
        for (at, (answer, role)) in answered.into_iter().zip(self.roles()).enumerate() {
            match role {
                Role::Patient(_) => patients.push(answer),
                _ => own.push((at, answer)),
            }
        }
        (patients, own)
    }
}

#[cfg(test)]
mod tests {
    use tiresias_circuits::{Card, HeadShape, Plan, Privacy, Quantizer, card::CardParts, quantize::Scale};
    use tiresias_keys::Seed;

    use super::*;
    use crate::canaries::{Canary, Expected, Source};

    fn model() -> Model {
        let shape = HeadShape { features: 3, classes: 2, feature_bits: 8, weight_bits: 8 };
        let quantizer = Quantizer::new(8, 3, Scale::PerTensor(0.5)).unwrap();
        let plan = Plan::new(shape, Privacy::Flooded).unwrap();
        let labels = vec!["a".into(), "b".into()];
        let parts = CardParts::new("m", 1, labels, quantizer, 0.25, plan, Seed::from_bytes([1; 32]));
        Model::from_card(Card::new(parts).unwrap().to_json()).unwrap()
    }

    fn file(model: &Model, canaries: usize) -> CanaryFile {
        let canary = |at| Canary { features: vec![at as f64; 3], expected: Expected::RowsQ(vec![0, 0]) };
        CanaryFile::new(model, Source::Evaluate, (0..canaries).map(canary).collect()).unwrap()
    }

    #[test]
    fn every_place_is_as_likely_as_any_other_and_patients_keep_their_order() {
        let (model, patients) = (model(), [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0], [0.0; 3]]);
        let (file, rows) = (file(&model, 3), patients.each_ref().map(<[f64; 3]>::as_slice));
        let (runs, mut own_at, mut kinds_at) = (9000, [0_i32; 9], [[0_i32; 3]; 9]);
        for seed in 0..runs {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&u32::to_le_bytes(seed));
            let mix = Mix::draw(&rows, &model, &file, 0.1, &mut Lottery::seeded(&bytes)).unwrap();
            let roles: Vec<Role> = mix.roles().collect();
            assert_eq!((roles.len(), mix.combined().len()), (9, 2), "1 canary, 2 combinations");
            let mut patients = roles.iter().filter(|role| matches!(role, Role::Patient(_)));
            assert!(
                (0..4).all(|row| patients.next() == Some(&Role::Patient(row))) && patients.next().is_none()
            );
            for (at, role) in roles.iter().enumerate() {
                let kind = match role {
                    Role::Patient(_) => continue,
                    Role::Canary(_) => 0,
                    Role::Mask(_) => 1,
                    Role::Sum(_) => 2,
                };
                own_at[at] += 1;
                kinds_at[at][kind] += 1;
            }
        }
        // 5 of 9 places: 5000 of 9000, and six deviations of a binomial are 283. A kind has 1 or 2 of 9: six are 251.
        assert!(own_at.iter().all(|count| (count - 5000).abs() < 283), "{own_at:?}");
        for kinds in kinds_at {
            assert!((kinds[0] - 1000).abs() < 179 && (kinds[1] - 2000).abs() < 237, "{kinds:?}");
            assert!((kinds[2] - 2000).abs() < 237, "{kinds:?}");
        }
    }

    #[test]
    fn the_rate_counts_all_vectors_that_are_no_patients() {
        let (model, patients) = (model(), vec![[0.5, -0.5, 1.0]; 200]);
        let file = file(&model, 7);
        let rows: Vec<&[f64]> = patients.iter().map(<[f64; 3]>::as_slice).collect();
        for (patients, rate, vectors, combinations) in
            [(200, 0.1, 220, 5), (200, 0.5, 300, 25), (1, 0.1, 6, 2), (1, 10.0, 11, 2), (8, 2.0, 24, 4)]
        {
            let mut lottery = Lottery::seeded(&[3; 32]);
            let mix = Mix::draw(&rows[..patients], &model, &file, rate, &mut lottery).unwrap();
            assert_eq!(
                (mix.rows().len(), mix.combined().len()),
                (vectors, combinations),
                "{patients}, {rate}"
            );
        }
        let none = Mix::draw(&[], &model, &file, 0.1, &mut Lottery::seeded(&[3; 32])).unwrap();
        assert!(none.rows().is_empty() && !none.has_own());
    }

    #[test]
    fn answers_are_parted_also_where_some_are_missing() {
        let (model, patients) = (model(), vec![[0.5, -0.5, 1.0]; 10]);
        let file = file(&model, 2);
        let rows: Vec<&[f64]> = patients.iter().map(<[f64; 3]>::as_slice).collect();
        let mix = Mix::draw(&rows, &model, &file, 1.0, &mut Lottery::seeded(&[4; 32])).unwrap();
        let roles: Vec<Role> = mix.roles().collect();
        for answered in [0, 1, 7, roles.len()] {
            let (patients, own) = mix.part(roles[..answered].to_vec());
            assert_eq!(patients.len() + own.len(), answered);
            assert!(patients.iter().enumerate().all(|(row, role)| *role == Role::Patient(row)));
            assert!(own.iter().all(|(at, role)| roles[*at] == *role));
        }
    }
}
