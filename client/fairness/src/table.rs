//! Decisions from CSV: a header, then one line a decision. Columns are found by their names in the header.

use csv::StringRecord;

use crate::{
    Day, Error, Layout, Record, Rows,
    error::{Field, Flaw, Place},
    rows::{Attribute, Builder},
};

/// Which columns hold what.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// What came true.
    pub truth: String,
    /// What the model said; without it, predictions follow from scores.
    pub prediction: Option<String>,
    /// Scores: the class, the positive one where it is not named, and the column.
    pub scores: Vec<(Option<String>, String)>,
    /// Groups.
    pub groups: Vec<String>,
    /// Edges of bands, by column of groups.
    pub bands: Vec<(String, Vec<f64>)>,
    /// When.
    pub time: Option<String>,
    /// The class that is looked for.
    pub positive: Option<String>,
    /// Without predictions, and with scores of one of two classes: that class is predicted from here on.
    pub cut: f64,
    /// The class that says that no decision was made.
    pub abstain: Option<String>,
    /// What empty groups are called.
    pub empty_as: Option<String>,
}

/// Reads a table.
pub fn read(bytes: &[u8], columns: &Columns) -> Result<Rows, Error> {
    // A byte order mark is no part of the first name.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let fields = Fields::find(reader.headers().map_err(table)?, columns)?;
    let mut builder = Builder::new(layout(columns)?)?;
    let mut record = StringRecord::new();
    let mut scores = Vec::new();
    let mut row = 0;
    while reader.read_record(&mut record).map_err(table)? {
        row += 1;
        let flawed =
            |field, flaw| fields.locate(Error::Cell { place: Place { row, field, column: None }, flaw });
        scores.clear();
        for (at, column) in fields.scores.iter().enumerate() {
            let flaw = |flaw| flawed(Field::Score(at), flaw);
            match &record[*column] {
                "" => return Err(flaw(Flaw::Empty)),
                text => scores.push(text.parse().map_err(|_| flaw(Flaw::NotANumber))?),
            }
        }
        let day = match fields.time {
            Some(column) if record[column].is_empty() => return Err(flawed(Field::Time, Flaw::Empty)),
            Some(column) => {
                Some(Day::parse(&record[column]).ok_or_else(|| flawed(Field::Time, Flaw::NotADate))?)
            }
            None => None,
        };
        let groups: Vec<&str> = fields.groups.iter().map(|column| &record[*column]).collect();
        let prediction = fields.prediction.map(|column| &record[column]);
        let decision =
            Record { truth: &record[fields.truth], prediction, scores: &scores, groups: &groups, day };
        builder.push(decision).map_err(|error| fields.locate(error))?;
    }
    builder.finish().map_err(|error| fields.locate(error))
}

fn layout(columns: &Columns) -> Result<Layout, Error> {
    let edges = |name: &String| columns.bands.iter().filter(|(column, _)| column == name).collect::<Vec<_>>();
    let is_stray = |(column, _): &(String, _)| !columns.groups.contains(column);
    if columns.bands.iter().any(is_stray) || columns.groups.iter().any(|name| edges(name).len() > 1) {
        return Err(Error::Bands);
    }
    let attributes = columns.groups.iter().map(|name| Attribute {
        name: name.clone(),
        bands: edges(name).first().map(|(_, edges)| edges.clone()),
    });
    let scored = columns.scores.iter().map(|(class, _)| class.clone().or_else(|| columns.positive.clone()));
    let scored: Vec<String> = scored.collect::<Option<_>>().ok_or(Error::NoPositive)?;
    if scored.iter().enumerate().any(|(at, class)| scored[..at].contains(class)) {
        return Err(Error::DoubleColumn { option: "--score" });
    }
    if columns.prediction.is_none() && scored.is_empty() {
        return Err(Error::NoPredictions);
    }
    Ok(Layout {
        attributes: attributes.collect(),
        scored,
        cut: columns.prediction.is_none().then_some(columns.cut),
        abstain: columns.abstain.clone(),
        empty_as: columns.empty_as.clone(),
    })
}

/// The columns' numbers, from 0.
struct Fields {
    truth: usize,
    prediction: Option<usize>,
    scores: Vec<usize>,
    groups: Vec<usize>,
    time: Option<usize>,
}

impl Fields {
    fn find(header: &StringRecord, columns: &Columns) -> Result<Self, Error> {
        let mut taken = Vec::new();
        let mut find = |option, name: &str| {
            let mut found = header.iter().enumerate().filter(|(_, column)| *column == name);
            let (at, _) = found.next().ok_or(Error::MissingColumn { option })?;
            if found.next().is_some() || taken.contains(&at) {
                return Err(Error::DoubleColumn { option });
            }
            taken.push(at);
            Ok(at)
        };
        Ok(Self {
            truth: find("--truth", &columns.truth)?,
            prediction: columns.prediction.as_ref().map(|name| find("--prediction", name)).transpose()?,
            scores: columns.scores.iter().map(|(_, name)| find("--score", name)).collect::<Result<_, _>>()?,
            groups: columns.groups.iter().map(|name| find("--groups", name)).collect::<Result<_, _>>()?,
            time: columns.time.as_ref().map(|name| find("--time", name)).transpose()?,
        })
    }

    /// Adds the column to an error of a field.
    fn locate(&self, error: Error) -> Error {
        let Error::Cell { place, flaw } = error else { return error };
        let column = match place.field {
            Field::Truth => Some(self.truth),
            Field::Prediction => self.prediction,
            Field::Score(at) => self.scores.get(at).copied(),
            Field::Group(at) => self.groups.get(at).copied(),
            Field::Time => self.time,
        };
        Error::Cell { place: Place { column: column.map(|column| column + 1), ..place }, flaw }
    }
}

/// The library's own errors quote fields.
fn table(error: csv::Error) -> Error {
    Error::Table { line: error.position().map_or(1, csv::Position::line) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "id,truth,said,p,sex,age,when\n1,ill,ill,0.9,f,30,2026-01-02\n2,well,well,0.2,m,70,2026-02-03T10:00\n\
                         3, ill ,well,0.4,f,50,2026-02-04\n";

    fn columns() -> Columns {
        Columns {
            truth: "truth".into(),
            prediction: Some("said".into()),
            scores: vec![(None, "p".into())],
            groups: vec!["sex".into(), "age".into()],
            bands: vec![("age".into(), vec![40.0])],
            time: Some("when".into()),
            positive: Some("ill".into()),
            cut: 0.5,
            ..Columns::default()
        }
    }

    #[test]
    fn a_table_is_read() {
        for text in [TABLE.to_owned(), format!("\u{feff}{TABLE}"), TABLE.replace('\n', "\r\n")] {
            let rows = read(text.as_bytes(), &columns()).unwrap();
            assert_eq!((rows.len(), rows.classes()), (3, &["ill".to_owned(), "well".into()][..]));
            assert_eq!(rows.predictions(), [Some(0), Some(1), Some(1)]);
            assert_eq!(rows.scores("ill"), Some(&[0.9, 0.2, 0.4][..]));
            assert_eq!(rows.attributes()[1].names(), ["under 40", "40 and over"]);
            assert_eq!(rows.days().unwrap()[1].to_string(), "2026-02-03");
        }
        let from_scores = Columns { prediction: None, cut: 0.3, ..columns() };
        let rows = read(TABLE.as_bytes(), &from_scores).unwrap();
        assert_eq!(rows.predictions(), [Some(0), Some(1), Some(0)]);
    }

    #[test]
    fn errors_have_a_row_and_a_column_and_no_value() {
        for (from, to, message, code) in [
            ("0.2", "secret", "row 2, column 4 (score 1): a number is expected", "not_a_number"),
            ("0.2", "", "row 2, column 4 (score 1): the field is empty", "empty_field"),
            ("0.2", "NaN", "row 2, column 4 (score 1): the number is not finite", "not_finite"),
            ("0.2", "inf", "row 2, column 4 (score 1): the number is not finite", "not_finite"),
            (",70,", ",secret,", "row 2, column 6 (group 2): a number is expected", "not_a_number"),
            (",70,", ",,", "row 2, column 6 (group 2): the group is empty", "empty_field"),
            (",m,", ",,", "row 2, column 5 (group 1): the group is empty", "empty_field"),
            ("well,well", ",well", "row 2, column 2 (truth): the field is empty", "empty_field"),
            ("well,well", "well,", "row 2, column 3 (prediction): the field is empty", "empty_field"),
            (
                "well,well",
                "well,secret",
                "row 2, column 3 (prediction): the predicted class",
                "unknown_class",
            ),
            ("2026-01-02", "2026-02-30", "row 1, column 7 (time): a date such as", "not_a_date"),
            ("2026-01-02", "", "row 1, column 7 (time): the field is empty", "empty_field"),
            ("2,well", "2,secret,well", "line 3: the file must be", "bad_table"),
        ] {
            let error = read(TABLE.replacen(from, to, 1).as_bytes(), &columns()).err().unwrap();
            assert!(error.to_string().starts_with(message), "{error}");
            assert_eq!(error.code(), code);
            assert!(!error.to_string().contains("secret") && !error.to_string().contains("2026-02-30"));
        }
        let latin1 = read(b"truth,said,p,sex,age,when\n\xe9,a,b,c,d,e\n", &columns()).err().unwrap();
        assert_eq!(latin1, Error::Table { line: 2 });
        assert_eq!(read(b"", &columns()).err(), Some(Error::MissingColumn { option: "--truth" }));
        let header = TABLE.lines().next().unwrap();
        assert_eq!(read(header.as_bytes(), &columns()).err(), Some(Error::NoRows));
    }

    #[test]
    fn columns_are_there_once_and_have_one_role() {
        let error = |columns: Columns| read(TABLE.as_bytes(), &columns).err().unwrap();
        let none = || "nothing".to_owned();
        let missing = |option| Error::MissingColumn { option };
        assert_eq!(error(Columns { truth: none(), ..columns() }), missing("--truth"));
        assert_eq!(error(Columns { prediction: Some(none()), ..columns() }), missing("--prediction"));
        assert_eq!(error(Columns { scores: vec![(None, none())], ..columns() }), missing("--score"));
        assert_eq!(error(Columns { groups: vec![none()], ..columns() }), missing("--groups"));
        assert_eq!(error(Columns { time: Some(none()), ..columns() }), missing("--time"));
        let double = |option| Error::DoubleColumn { option };
        assert_eq!(error(Columns { prediction: Some("truth".into()), ..columns() }), double("--prediction"));
        assert_eq!(
            error(Columns { groups: vec!["sex".into(), "sex".into()], ..columns() }),
            double("--groups")
        );
        let twice = TABLE.replacen("id", "truth", 1);
        assert_eq!(read(twice.as_bytes(), &columns()).err(), Some(double("--truth")));
        let scores = vec![(None, "p".into()), (Some("ill".into()), "id".into())];
        assert_eq!(error(Columns { scores, ..columns() }), double("--score"));
        assert_eq!(error(Columns { positive: None, ..columns() }), Error::NoPositive);
        let neither = Columns { prediction: None, scores: vec![], ..columns() };
        assert_eq!(error(neither), Error::NoPredictions);
        for bands in [vec![("id".into(), vec![1.0])], vec![("age".into(), vec![1.0]); 2]] {
            assert_eq!(error(Columns { bands, ..columns() }), Error::Bands);
        }
    }
}
