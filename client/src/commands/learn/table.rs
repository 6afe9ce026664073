//! The patients that are learned from.

use tiresias_learn::Patients;
use tiresias_synth::Rows;

use crate::{Error, cli::LearnArgs, error::Learning, labelled::Labelled};

/// Reads features, classes and groups; and the names of the features.
pub(super) fn read(args: &LearnArgs) -> Result<(Patients, Vec<String>), Error> {
    let at = |source| Learning::Patients { path: args.features.clone(), source };
    let mut table = match (&args.labels, &args.label_column) {
        (Some(labels), _) => Labelled::with_labels(&args.features, labels)?,
        (None, Some(column)) => Labelled::with_column(&args.features, column, args.group_column.as_deref())?,
        (None, None) => return Err(Error::Usage("name labels with --labels or --label-column")),
    };
    if let Some(groups) = &args.groups {
        table = table.in_groups(groups)?;
    }
    let (classes, labels) = numbered(&table.labels, &args.classes);
    let rows = Rows::new(table.values, table.names.len(), labels, classes);
    let rows = rows.map_err(|error| at(error.into()))?;
    let Some(groups) = table.groups else {
        return Ok((Patients::new(rows), table.names));
    };
    let (names, of) = numbered(&groups, &args.group_names);
    let name =
        |name: String| args.group_column.as_ref().map_or(name.clone(), |column| format!("{column} = {name}"));
    let names = names.into_iter().map(name).collect();
    Ok((Patients::with_groups(rows, names, of).map_err(at)?, table.names))
}

/// Names, in alphabetical order unless they are given, and which of them each text is; one too many for what is none.
fn numbered(texts: &[String], given: &[String]) -> (Vec<String>, Vec<usize>) {
    let mut names = given.to_vec();
    if names.is_empty() {
        names = texts.to_vec();
        names.sort_unstable();
        names.dedup();
    }
    let number = |text: &String| names.iter().position(|name| name == text).unwrap_or(names.len());
    let numbers = texts.iter().map(number).collect();
    (names, numbers)
}
