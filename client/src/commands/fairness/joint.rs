//! `tiresias fairness --joint`: the counts of all clinics, added up where nobody sees any but the totals.

use std::path::Path;

use serde::Deserialize;
use tiresias_fairness::{
    Rows,
    tally::{Counted, Suppressed, Vocabulary},
};

use crate::{
    Error,
    cli::{FairnessArgs, JointArgs},
    files,
};

const MAXIMUM_VOCABULARY_BYTES: u64 = 1 << 20;

/// Rows that one clinic may have.
const MAXIMUM_ROWS: u64 = 1 << 20;

/// Counts the table's rows, adds them up with those of the other clinics, and gives the totals as rows. Combinations of groups that are too small
/// are left out.
pub(super) async fn rows(
    args: &FairnessArgs,
    joint: &JointArgs,
    (data, bytes): (&Path, &[u8]),
    prediction: Option<&str>,
    abstain: Option<&str>,
) -> Result<(Rows, Suppressed), Error> {
    let at = |source| Error::Fairness { path: data.to_owned(), source };
    let has_more = !args.bands.is_empty() || !args.score.is_empty() || args.time.is_some();
    let prediction = prediction.filter(|_| !has_more && args.empty_as.is_none());
    let prediction = prediction.ok_or(Error::Usage(
        "--joint counts --truth and --prediction by the groups of the vocabulary: band and fill in the table before, and leave scores \
         and times out",
    ))?;
    let vocabulary = vocabulary(args)?;
    let counts = vocabulary.count(bytes, &Counted { truth: &args.truth, prediction, abstain }).map_err(at)?;
    if counts.iter().any(|count| count.unsigned_abs() > MAXIMUM_ROWS) {
        return Err(Error::Usage("--joint: a clinic counts at most 1,048,576 rows of a kind"));
    }
    let label = format!("tiresias fairness\n{}\n{}", args.joint.label, vocabulary.text());
    let label = hex::encode(tiresias_keys::Digest::of(label.as_bytes()).as_bytes());
    let totals = joint.session().await?.sum(&label, &counts, MAXIMUM_ROWS).await?;
    vocabulary.rows(&totals, args.min_cell).map_err(at)
}

fn vocabulary(args: &FairnessArgs) -> Result<Vocabulary, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        classes: Vec<String>,
        groups: std::collections::BTreeMap<String, Vec<String>>,
    }
    const RULE: Error = Error::Usage(
        "--vocabulary: TOML with classes = [\"...\"], and a table [groups] with a list of names for each column of --groups",
    );
    let path = args.vocabulary.as_ref().ok_or(RULE)?;
    let text = files::read(path, MAXIMUM_VOCABULARY_BYTES)?;
    let text = std::str::from_utf8(&text).map_err(|_| RULE)?;
    let File { classes, mut groups } = toml::from_str(text).map_err(|_| RULE)?;
    // In the order of the option, which is the same for all.
    let columns = args.groups.iter().map(|name| groups.remove_entry(name).ok_or(RULE));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    if !groups.is_empty() {
        return Err(RULE);
    }
    Vocabulary::new(classes, columns).map_err(|source| Error::Fairness { path: path.clone(), source })
}
