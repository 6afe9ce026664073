//! Counts of decisions as a vector of fixed places, so that several clinics can add theirs up without showing them.
//!
//! All of them have one [`Vocabulary`]: the classes, and the groups of each column. The vector counts rows for each combination of groups,
//! truth and prediction, "no decision" being the last prediction. The totals become rows again, of which the audit is that of all
//! clinics' rows together.

use csv::StringRecord;

use crate::{
    Error, Layout, Record, Rows,
    cells::MAXIMUM_CELLS,
    error::{Field, Flaw, Place},
    rows::{Attribute, Builder, MAXIMUM_ATTRIBUTES, MAXIMUM_CLASSES, MAXIMUM_GROUPS},
};

/// Rows that are made of totals.
const MAXIMUM_ROWS: u64 = 10_000_000;

/// What the abstaining prediction is called in rows that are made of totals.
const NO_DECISION: &str = "no decision";

/// Classes and groups that all clinics count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    classes: Vec<String>,
    columns: Vec<(String, Vec<String>)>,
}

/// Combinations of groups that are too small to be shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Suppressed {
    /// How many.
    pub cells: u64,
}

/// The columns of a table that are counted.
#[derive(Debug, Clone)]
pub struct Counted<'a> {
    /// What came true.
    pub truth: &'a str,
    /// What the model said.
    pub prediction: &'a str,
    /// The class that says that no decision was made.
    pub abstain: Option<&'a str>,
}

impl Vocabulary {
    /// Classes, and columns with their groups, in the order of their places.
    pub fn new(classes: Vec<String>, columns: Vec<(String, Vec<String>)>) -> Result<Self, Error> {
        let are_names = |names: &[String], most: usize| {
            let is_new = |(at, name): (usize, &String)| !name.is_empty() && !names[..at].contains(name);
            (2..=most).contains(&names.len()) && names.iter().enumerate().all(is_new)
        };
        if !are_names(&classes, MAXIMUM_CLASSES) || classes.iter().any(|class| class == NO_DECISION) {
            return Err(Error::Vocabulary("classes are 2 to 64 names, each once"));
        }
        let names: Vec<&String> = columns.iter().map(|(name, _)| name).collect();
        let is_twice = names.iter().enumerate().any(|(at, name)| names[..at].contains(name));
        if !(1..=MAXIMUM_ATTRIBUTES).contains(&columns.len()) || is_twice {
            return Err(Error::Attributes(MAXIMUM_ATTRIBUTES));
        }
        if !columns.iter().all(|(_, groups)| are_names(groups, MAXIMUM_GROUPS)) {
            return Err(Error::Vocabulary("a column has 2 to 64 groups, each once"));
        }
        let cells = columns.iter().try_fold(1_usize, |cells, (_, groups)| cells.checked_mul(groups.len()));
        if cells.is_none_or(|cells| cells > MAXIMUM_CELLS) {
            return Err(Error::TooManyCells(MAXIMUM_CELLS));
        }
        Ok(Self { classes, columns })
    }

    /// One text for each vocabulary, for all to agree on.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:?} {:?}", self.classes, self.columns)
    }

    /// Combinations of groups.
    fn cells(&self) -> usize {
        self.columns.iter().map(|(_, groups)| groups.len()).product()
    }

    /// Places of the vector.
    #[must_use]
    pub fn places(&self) -> usize {
        self.cells() * self.classes.len() * (self.classes.len() + 1)
    }

    /// Counts the rows of a CSV table with a header. Every class and group must be in the vocabulary.
    pub fn count(&self, bytes: &[u8], counted: &Counted<'_>) -> Result<Vec<i64>, Error> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
        let table =
            |error: csv::Error| Error::Table { line: error.position().map_or(1, csv::Position::line) };
        let header = reader.headers().map_err(table)?.clone();
        let find = |name: &str, option| {
            let mut places = header.iter().enumerate().filter(|(_, found)| *found == name);
            match (places.next(), places.next()) {
                (Some((place, _)), None) => Ok(place),
                (Some(_), Some(_)) => Err(Error::DoubleColumn { option }),
                (None, _) => Err(Error::MissingColumn { option }),
            }
        };
        let truth = find(counted.truth, "--truth")?;
        let prediction = find(counted.prediction, "--prediction")?;
        let groups = self.columns.iter().map(|(name, _)| find(name, "--vocabulary"));
        let groups = groups.collect::<Result<Vec<usize>, _>>()?;
        let mut counts = vec![0; self.places()];
        let mut record = StringRecord::new();
        let mut row = 0;
        while reader.read_record(&mut record).map_err(table)? {
            row += 1;
            let flawed = |field, column: usize| Error::Cell {
                place: Place { row, field, column: Some(column + 1) },
                flaw: Flaw::NotInVocabulary,
            };
            let number =
                |names: &[String], column: usize| names.iter().position(|name| *name == record[column]);
            let mut cell = 0;
            for (at, ((_, names), column)) in self.columns.iter().zip(&groups).enumerate() {
                let group = number(names, *column).ok_or_else(|| flawed(Field::Group(at), *column))?;
                cell = cell * names.len() + group;
            }
            let is_true = number(&self.classes, truth).ok_or_else(|| flawed(Field::Truth, truth))?;
            let said = match counted.abstain {
                Some(abstain) if record[prediction] == *abstain => self.classes.len(),
                _ => {
                    number(&self.classes, prediction).ok_or_else(|| flawed(Field::Prediction, prediction))?
                }
            };
            counts[(cell * self.classes.len() + is_true) * (self.classes.len() + 1) + said] += 1;
        }
        Ok(counts)
    }

    /// Rows of totals. Combinations of groups with fewer than `least` rows are left out altogether: of no column, alone or with others,
    /// can they be computed by taking shown counts from each other.
    pub fn rows(&self, totals: &[i64], least: u64) -> Result<(Rows, Suppressed), Error> {
        let attributes = self.columns.iter().map(|(name, _)| Attribute { name: name.clone(), bands: None });
        let layout = Layout {
            attributes: attributes.collect(),
            abstain: Some(NO_DECISION.to_owned()),
            ..Layout::default()
        };
        let mut builder = Builder::new(layout)?;
        let mut suppressed = Suppressed::default();
        let outcomes = self.classes.len() * (self.classes.len() + 1);
        let mut all = 0_u64;
        for (cell, counts) in totals.chunks(outcomes).enumerate() {
            let rows: u64 = counts.iter().map(|count| u64::try_from(*count).unwrap_or(0)).sum();
            if rows < least {
                suppressed.cells += u64::from(rows > 0);
                continue;
            }
            all += rows;
            if all > MAXIMUM_ROWS {
                return Err(Error::Vocabulary("at most ten million rows are audited"));
            }
            let groups = self.groups_of(cell);
            for (outcome, count) in counts.iter().enumerate() {
                let (truth, said) = (outcome / (self.classes.len() + 1), outcome % (self.classes.len() + 1));
                let prediction = self.classes.get(said).map_or(NO_DECISION, String::as_str);
                for _ in 0..*count {
                    let truth = &self.classes[truth];
                    let prediction = Some(prediction);
                    builder.push(Record { truth, prediction, scores: &[], groups: &groups, day: None })?;
                }
            }
        }
        Ok((builder.finish()?, suppressed))
    }

    /// The names of a combination's groups.
    fn groups_of(&self, cell: usize) -> Vec<&str> {
        let mut rest = cell;
        let mut groups: Vec<&str> = self
            .columns
            .iter()
            .rev()
            .map(|(_, names)| {
                let group = &names[rest % names.len()];
                rest /= names.len();
                group.as_str()
            })
            .collect();
        groups.reverse();
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let columns =
            vec![("sex".to_owned(), names(&["f", "m"])), ("site".to_owned(), names(&["x", "y", "z"]))];
        Vocabulary::new(names(&["no", "yes"]), columns).unwrap()
    }

    const COUNTED: Counted<'_> = Counted { truth: "truth", prediction: "said", abstain: Some("review") };

    #[test]
    fn clinics_totals_are_the_rows_of_all() {
        let parts = [
            "truth,said,sex,site\nno,no,f,x\nyes,no,f,x\nyes,yes,m,y\n",
            "site,sex,truth,said\nx,f,no,review\ny,m,no,no\nz,m,yes,yes\n",
        ];
        let counts: Vec<Vec<i64>> =
            parts.iter().map(|part| vocabulary().count(part.as_bytes(), &COUNTED).unwrap()).collect();
        let totals: Vec<i64> = counts[0].iter().zip(&counts[1]).map(|(a, b)| a + b).collect();
        assert_eq!((totals.len(), totals.iter().sum::<i64>()), (36, 6));
        let (rows, suppressed) = vocabulary().rows(&totals, 1).unwrap();
        assert_eq!((rows.len(), suppressed.cells), (6, 0));
        assert_eq!(rows.attributes()[1].names(), ["x", "y", "z"]);
        assert_eq!(rows.predictions().iter().filter(|said| said.is_none()).count(), 1);
        // The one row of (m, z) is left out altogether.
        let (rows, suppressed) = vocabulary().rows(&totals, 2).unwrap();
        assert_eq!((rows.len(), suppressed.cells), (5, 1));
        assert_eq!(rows.attributes()[1].names(), ["x", "y"]);
    }

    #[test]
    fn what_is_not_in_the_vocabulary_is_refused_by_its_place() {
        for (table, field) in [
            ("truth,said,sex,site\nmaybe,no,f,x\n", Field::Truth),
            ("truth,said,sex,site\nno,maybe,f,x\n", Field::Prediction),
            ("truth,said,sex,site\nno,no,d,x\n", Field::Group(0)),
            ("truth,said,sex,site\nno,no,f,\n", Field::Group(1)),
        ] {
            let refused = vocabulary().count(table.as_bytes(), &COUNTED).unwrap_err();
            assert!(
                matches!(refused, Error::Cell { place: Place { row: 1, field: found, .. }, flaw: Flaw::NotInVocabulary } if found == field)
            );
        }
        let missing = vocabulary().count(b"truth,said,sex\nno,no,f\n", &COUNTED);
        assert_eq!(missing, Err(Error::MissingColumn { option: "--vocabulary" }));
        assert!(Vocabulary::new(vec!["a".into()], vec![]).is_err());
    }
}
