//! Decisions about patients: what came true, what the model said and how sure it was, and whose decision it was.

use std::{collections::HashMap, fmt};

use crate::{
    Day, Error,
    error::{Field, Flaw, Place},
};

/// Columns of groups that are taken.
pub const MAXIMUM_ATTRIBUTES: usize = 8;
/// Groups that a column may have.
pub const MAXIMUM_GROUPS: usize = 64;
/// Classes that there may be.
pub const MAXIMUM_CLASSES: usize = 64;

/// What each row has.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// Columns of groups.
    pub attributes: Vec<Attribute>,
    /// Classes that have scores.
    pub scored: Vec<String>,
    /// Where predictions follow from scores: with scores of one of two classes, that class is predicted from here on; with
    /// scores of all classes, the one with the largest.
    pub cut: Option<f64>,
    /// The class that says that no decision was made, a human decides.
    pub abstain: Option<String>,
    /// What empty groups are called; without it they are an error.
    pub empty_as: Option<String>,
}

/// A column of groups.
#[derive(Debug, Clone, Default)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Where numbers are banded: the edges of the bands, which rise.
    pub bands: Option<Vec<f64>>,
}

/// One decision. Texts are names of classes and groups.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// What came true.
    pub truth: &'a str,
    /// What the model said, unless that follows from scores.
    pub prediction: Option<&'a str>,
    /// A score for each class that has scores.
    pub scores: &'a [f64],
    /// A group, or a number that is banded, for each column of groups.
    pub groups: &'a [&'a str],
    /// When.
    pub day: Option<Day>,
}

/// Checked decisions, by column. `Debug` shows none of them.
#[derive(Clone)]
pub struct Rows {
    classes: Vec<String>,
    attributes: Vec<Groups>,
    truths: Vec<u16>,
    predictions: Vec<Option<u16>>,
    scores: Vec<(String, Vec<f64>)>,
    days: Vec<Option<Day>>,
}

/// The groups of a column, and which one each row has.
#[derive(Clone)]
pub struct Groups {
    name: String,
    names: Vec<String>,
    of_rows: Vec<u16>,
}

impl Groups {
    /// The column's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The groups: bands from low to high, others by their names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The group of each row.
    #[must_use]
    pub fn of_rows(&self) -> &[u16] {
        &self.of_rows
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rows(..)")
    }
}

impl Rows {
    /// The classes, by their names.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The columns of groups.
    #[must_use]
    pub fn attributes(&self) -> &[Groups] {
        &self.attributes
    }

    /// What came true, by the class's number.
    #[must_use]
    pub fn truths(&self) -> &[u16] {
        &self.truths
    }

    /// What the model said; `None` where it left the decision to a human.
    #[must_use]
    pub fn predictions(&self) -> &[Option<u16>] {
        &self.predictions
    }

    /// The scores of a class, if it has any.
    #[must_use]
    pub fn scores(&self, class: &str) -> Option<&[f64]> {
        self.scores.iter().find(|(name, _)| name == class).map(|(_, scores)| scores.as_slice())
    }

    /// When each decision was made, where that is known of all.
    #[must_use]
    pub fn days(&self) -> Option<Vec<Day>> {
        self.days.iter().copied().collect()
    }

    /// How many there are, at least one.
    #[expect(clippy::len_without_is_empty, reason = "there are no empty rows")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.truths.len()
    }
}

/// Takes decisions one by one.
#[derive(Debug)]
pub struct Builder {
    layout: Layout,
    classes: Names,
    groups: Vec<Names>,
    group_of_rows: Vec<Vec<u16>>,
    truths: Vec<u16>,
    predictions: Vec<Option<u16>>,
    first_predicted: HashMap<u16, usize>,
    scores: Vec<Vec<f64>>,
    days: Vec<Option<Day>>,
}

/// Names and their numbers, in the order of their first use.
#[derive(Debug, Default)]
struct Names {
    names: Vec<String>,
    numbers: HashMap<String, u16>,
}

impl Names {
    fn number(&mut self, name: &str, limit: usize) -> Option<u16> {
        if let Some(&number) = self.numbers.get(name) {
            return Some(number);
        }
        let number = u16::try_from(self.names.len()).ok().filter(|_| self.names.len() < limit)?;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        Some(number)
    }

    /// The names in order, and the new number of each old one.
    fn sorted(mut self) -> (Vec<String>, Vec<u16>) {
        self.names.sort_unstable();
        let mut renumbered = vec![0; self.names.len()];
        for (number, name) in (0..).zip(&self.names) {
            renumbered[usize::from(self.numbers[name])] = number;
        }
        (self.names, renumbered)
    }
}

impl Builder {
    /// Rows with such a layout.
    pub fn new(layout: Layout) -> Result<Self, Error> {
        if !(1..=MAXIMUM_ATTRIBUTES).contains(&layout.attributes.len()) {
            return Err(Error::Attributes(MAXIMUM_ATTRIBUTES));
        }
        let mut groups = Vec::new();
        for (at, attribute) in layout.attributes.iter().enumerate() {
            let mut names = Names::default();
            for band in band_names(attribute.bands.as_deref())? {
                names.number(&band, MAXIMUM_GROUPS).ok_or(Error::TooManyGroups(at + 1, MAXIMUM_GROUPS))?;
            }
            groups.push(names);
        }
        Ok(Self {
            classes: Names::default(),
            group_of_rows: vec![Vec::new(); groups.len()],
            groups,
            truths: Vec::new(),
            predictions: Vec::new(),
            first_predicted: HashMap::new(),
            scores: vec![Vec::new(); layout.scored.len()],
            days: Vec::new(),
            layout,
        })
    }

    /// Takes a decision.
    ///
    /// # Panics
    ///
    /// Where the record has not as many scores and groups as the layout.
    pub fn push(&mut self, record: Record<'_>) -> Result<(), Error> {
        assert_eq!((record.scores.len(), record.groups.len()), (self.scores.len(), self.groups.len()));
        let row = self.truths.len() + 1;
        let at = |field| move |flaw| Error::Cell { place: Place { row, field, column: None }, flaw };
        if record.truth.is_empty() {
            return Err(at(Field::Truth)(Flaw::Empty));
        }
        let is_abstain = |class| self.layout.abstain.as_deref() == Some(class);
        if is_abstain(record.truth) {
            return Err(at(Field::Truth)(Flaw::AbstainedTruth));
        }
        if self.layout.cut.is_none() && record.prediction.is_none_or(str::is_empty) {
            return Err(at(Field::Prediction)(Flaw::Empty));
        }
        if let Some(score) = record.scores.iter().position(|score| !score.is_finite()) {
            return Err(at(Field::Score(score))(Flaw::NotFinite));
        }
        let prediction = record.prediction.filter(|class| self.layout.cut.is_none() && !is_abstain(*class));
        let mut groups = Vec::with_capacity(record.groups.len());
        for (column, group) in record.groups.iter().enumerate() {
            groups.push(self.group(column, group).map_err(|problem| match problem {
                Problem::Flaw(flaw) => at(Field::Group(column))(flaw),
                Problem::TooMany => Error::TooManyGroups(column + 1, MAXIMUM_GROUPS),
            })?);
        }
        let truth =
            self.classes.number(record.truth, MAXIMUM_CLASSES).ok_or(Error::Classes(MAXIMUM_CLASSES))?;
        let prediction = match prediction {
            Some(class) => {
                let class = self.classes.number(class, MAXIMUM_CLASSES);
                let class = class.ok_or(Error::Classes(MAXIMUM_CLASSES))?;
                self.first_predicted.entry(class).or_insert(row);
                Some(class)
            }
            None => None,
        };
        self.truths.push(truth);
        self.predictions.push(prediction);
        self.days.push(record.day);
        self.scores.iter_mut().zip(record.scores).for_each(|(scores, score)| scores.push(*score));
        self.group_of_rows.iter_mut().zip(groups).for_each(|(rows, group)| rows.push(group));
        Ok(())
    }

    fn group(&mut self, column: usize, text: &str) -> Result<u16, Problem> {
        if text.is_empty() {
            let name = self.layout.empty_as.as_deref().ok_or(Problem::Flaw(Flaw::EmptyGroup))?;
            return self.groups[column].number(name, MAXIMUM_GROUPS).ok_or(Problem::TooMany);
        }
        let Some(edges) = &self.layout.attributes[column].bands else {
            return self.groups[column].number(text, MAXIMUM_GROUPS).ok_or(Problem::TooMany);
        };
        let number: f64 = text.parse().map_err(|_| Problem::Flaw(Flaw::NotANumber))?;
        if !number.is_finite() {
            return Err(Problem::Flaw(Flaw::NotFinite));
        }
        // Bands were numbered first, from low to high.
        Ok(edges.iter().filter(|edge| number >= **edge).count() as u16)
    }

    /// All decisions are there.
    pub fn finish(self) -> Result<Rows, Error> {
        if self.truths.is_empty() {
            return Err(Error::NoRows);
        }
        let mut is_true = vec![false; self.classes.names.len()];
        self.truths.iter().for_each(|truth| is_true[usize::from(*truth)] = true);
        let never_true = self.first_predicted.iter().filter(|(class, _)| !is_true[usize::from(**class)]);
        if let Some(row) = never_true.map(|(_, row)| *row).min() {
            let place = Place { row, field: Field::Prediction, column: None };
            return Err(Error::Cell { place, flaw: Flaw::UnknownClass });
        }
        let (classes, class) = self.classes.sorted();
        if classes.len() < 2 {
            return Err(Error::Classes(MAXIMUM_CLASSES));
        }
        let mut attributes = Vec::new();
        for (at, ((attribute, names), rows)) in
            self.layout.attributes.into_iter().zip(self.groups).zip(self.group_of_rows).enumerate()
        {
            if rows.iter().all(|group| *group == rows[0]) {
                return Err(Error::SingleGroup(at + 1));
            }
            attributes.push(in_order(attribute, names, rows));
        }
        if self.layout.scored.iter().any(|scored| !classes.contains(scored)) {
            return Err(Error::NoSuchClass("--score"));
        }
        let renumber = |number: u16| class[usize::from(number)];
        let scores: Vec<_> = self.layout.scored.into_iter().zip(self.scores).collect();
        let predictions = match self.layout.cut {
            Some(cut) => decide(&classes, &scores, cut)?.into_iter().map(Some).collect(),
            None => self.predictions.into_iter().map(|class| class.map(renumber)).collect(),
        };
        Ok(Rows {
            truths: self.truths.into_iter().map(renumber).collect(),
            classes,
            attributes,
            predictions,
            scores,
            days: self.days,
        })
    }
}

enum Problem {
    Flaw(Flaw),
    TooMany,
}

/// Predictions that follow from scores.
fn decide(classes: &[String], scores: &[(String, Vec<f64>)], cut: f64) -> Result<Vec<u16>, Error> {
    let number =
        |name: &String| (0..).zip(classes).find(|(_, class)| *class == name).map(|(number, _)| number);
    if let ([(positive, scores)], 2) = (scores, classes.len()) {
        let positive = number(positive).ok_or(Error::SomeScores)?;
        return Ok(scores.iter().map(|score| if *score >= cut { positive } else { 1 - positive }).collect());
    }
    let numbers: Vec<u16> = scores.iter().filter_map(|(class, _)| number(class)).collect();
    if scores.len() < classes.len() {
        return Err(Error::SomeScores);
    }
    let largest = |row: usize| {
        let scored = scores.iter().zip(&numbers).map(|((_, scores), class)| (scores[row], *class));
        scored.reduce(|best, next| if next.0 > best.0 { next } else { best }).map_or(0, |(_, class)| class)
    };
    Ok((0..scores.first().map_or(0, |(_, scores)| scores.len())).map(largest).collect())
}

/// The groups in order: bands as they are, even those that no row has, others by their names.
fn in_order(attribute: Attribute, names: Names, mut rows: Vec<u16>) -> Groups {
    let names = match attribute.bands {
        Some(_) => names.names,
        None => {
            let (names, new) = names.sorted();
            rows.iter_mut().for_each(|row| *row = new[usize::from(*row)]);
            names
        }
    };
    Groups { name: attribute.name, names, of_rows: rows }
}

/// The names of bands between rising edges.
fn band_names(edges: Option<&[f64]>) -> Result<Vec<String>, Error> {
    let Some(edges) = edges else { return Ok(Vec::new()) };
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else { return Err(Error::Bands) };
    if !edges.iter().all(|edge| edge.is_finite()) || !edges.is_sorted_by(|one, next| one < next) {
        return Err(Error::Bands);
    }
    let inner = edges.windows(2).map(|pair| format!("{} to under {}", pair[0], pair[1]));
    Ok([format!("under {first}")].into_iter().chain(inner).chain([format!("{last} and over")]).collect())
}

#[cfg(test)]
mod tests;
