//! How often humans agree with a model and how often they override it, for all cases and by group, each rate with Wilson's
//! interval.
//!
//! These are no measure of how right a model is: which cases humans decide is no random choice, and they saw its answer.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tiresias_fairness::interval::{Estimate, wilson};

use crate::{Book, Entry, Error};

/// A column with more values than this is no column of groups, unless it is named.
const FEW_GROUPS: usize = 12;

/// The cases of a model, or of a group of its patients.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rate {
    /// The model.
    pub model: String,
    /// Its version.
    pub version: u32,
    /// The column of groups; none for all cases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The group, perhaps empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// All cases.
    pub cases: u64,
    /// Cases with a result that a human accepted.
    pub accepted: u64,
    /// Cases with a result that a human overrode.
    pub overridden: u64,
    /// Cases without a result, or with a part of one, that a human decided. They are in no rate.
    pub left_to_humans: u64,
    /// Whether too few decisions are there for a rate.
    pub is_too_small: bool,
    /// Accepted, of those accepted or overridden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Estimate>,
    /// Overridden, of the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_rate: Option<Estimate>,
}

/// Counts by model and version, then by each of these columns; by all columns with few values where none is named. Rates of
/// fewer than `min_cell` decisions are left out.
pub fn rates(book: &Book, groups: &[String], min_cell: u64) -> Result<Vec<Rate>, Error> {
    let values = values(book);
    if groups.iter().any(|column| !values.contains_key(column.as_str())) {
        return Err(Error::NoColumn);
    }
    let few = values.iter().filter(|(_, values)| (2..=FEW_GROUPS).contains(&values.len()));
    let columns: Vec<&str> = match groups {
        [] => few.map(|(column, _)| *column).collect(),
        named => named.iter().map(String::as_str).collect(),
    };
    let mut counted: BTreeMap<_, Rate> = BTreeMap::new();
    for (_, entry) in book.entries() {
        let case = entry.case();
        let all = std::iter::once((None, None));
        let by = columns.iter().enumerate();
        let by = by.map(|(at, column)| (Some(at), Some(case.about(column).unwrap_or_default())));
        for (at, group) in all.chain(by) {
            let rate = counted.entry((&case.model, case.version, at, group)).or_insert_with(|| Rate {
                model: case.model.clone(),
                version: case.version,
                by: at.and_then(|at| columns.get(at)).map(|&column| column.to_owned()),
                group: group.map(str::to_owned),
                cases: 0,
                accepted: 0,
                overridden: 0,
                left_to_humans: 0,
                is_too_small: true,
                agreement: None,
                override_rate: None,
            });
            count(rate, entry);
        }
    }
    Ok(counted.into_values().map(|rate| judge(rate, min_cell)).collect())
}

fn count(rate: &mut Rate, entry: &Entry) {
    rate.cases += 1;
    let Some(decision) = entry.decision() else { return };
    let counter = match (entry.case().result().is_some(), decision.is_accepted()) {
        (false, _) => &mut rate.left_to_humans,
        (true, true) => &mut rate.accepted,
        (true, false) => &mut rate.overridden,
    };
    *counter += 1;
}

fn judge(mut rate: Rate, min_cell: u64) -> Rate {
    let decided = rate.accepted + rate.overridden;
    rate.is_too_small = decided < min_cell.max(1);
    if !rate.is_too_small {
        rate.agreement = wilson((rate.accepted, decided));
        rate.override_rate = wilson((rate.overridden, decided));
    }
    rate
}

/// The columns that cases have, and their values.
fn values(book: &Book) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for column in book.entries().flat_map(|(_, entry)| &entry.case().about) {
        values.entry(&column.name).or_default().insert(&column.value);
    }
    values
}
