//! What a human decided about a case: one decision is one row, and none is ever changed.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    Answer, Case, Error,
    case::{NONE, list},
};

/// A decision. Wiped when it goes; `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// When, in seconds since 1970.
    at: u64,
    /// The row of its case.
    case: u64,
    verdict: Verdict,
    /// Initials.
    by: String,
    reason: String,
}

/// What was decided.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Verdict {
    /// The model's label is right.
    Accept,
    /// It is this, or for findings: it is these, and nothing else.
    Override(Vec<String>),
}

impl Decision {
    /// A decision about a case of this number, whose label must be one of its model's.
    pub fn new(
        (number, case): (u64, &Case),
        verdict: Verdict,
        by: &str,
        reason: &str,
        at: u64,
    ) -> Result<Self, Error> {
        let (by, reason) = (by.trim(), reason.trim());
        let is_initial = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
        if !(2..=8).contains(&by.chars().count()) || !by.chars().all(is_initial) {
            return Err(Error::Initials);
        }
        let is_long = !(3..=500).contains(&reason.chars().count());
        if is_long || reason.chars().any(char::is_control) {
            return Err(Error::Words);
        }
        let verdict = match &verdict {
            Verdict::Accept if case.answer.is_open() => return Err(Error::NothingToAccept),
            Verdict::Accept => verdict,
            Verdict::Override(labels) => {
                let labels = known(case, labels)?;
                if !case.answer.is_open() && case.answer.label() == Some(list(&labels)) {
                    return Err(Error::SameLabel);
                }
                Verdict::Override(labels)
            }
        };
        Ok(Self { at, case: number, verdict, by: by.to_owned(), reason: reason.to_owned() })
    }

    /// The row of its case.
    #[must_use]
    pub fn case(&self) -> u64 {
        self.case
    }

    /// When, in seconds since 1970.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }

    /// What was decided.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// By whom.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.by
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Whether the model's label was found right.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self.verdict, Verdict::Accept)
    }

    /// The label that holds now.
    #[must_use]
    pub fn label(&self, case: &Case) -> String {
        match &self.verdict {
            Verdict::Accept => case.answer.label().unwrap_or_else(|| NONE.to_owned()),
            Verdict::Override(labels) => list(labels),
        }
    }
}

/// The labels in the model's order, as many as its answer may have.
fn known(case: &Case, labels: &[String]) -> Result<Vec<String>, Error> {
    let is_none =
        |labels: &[String]| matches!(labels, [label] if label == NONE && !case.labels.contains(label));
    let (many, none) = match case.answer {
        Answer::Findings { .. } => (true, true),
        _ => (false, case.labels.len() == 1),
    };
    if is_none(labels) && none {
        return Ok(Vec::new());
    }
    let in_order: Vec<String> = case.labels.iter().filter(|label| labels.contains(label)).cloned().collect();
    let is_all = in_order.len() == labels.len() && !labels.is_empty();
    if is_all && (many || labels.len() == 1) { Ok(in_order) } else { Err(Error::UnknownLabel) }
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decision(..)")
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verdict(..)")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::case::tests::{answered, case, far_out};

    pub(crate) fn to(labels: &[&str]) -> Verdict {
        Verdict::Override(labels.iter().map(|&label| label.to_owned()).collect())
    }

    fn decide(case: &Case, verdict: Verdict) -> Result<String, Error> {
        Decision::new((7, case), verdict, "AB", "seen on film", 5).map(|decision| decision.label(case))
    }

    #[test]
    fn labels_are_the_models() {
        let scored = case("ill", 0.1);
        assert_eq!(decide(&scored, Verdict::Accept).unwrap(), "ill");
        assert_eq!(decide(&far_out(case("ill", 0.1)), Verdict::Accept).unwrap(), "ill");
        assert_eq!(decide(&scored, to(&["well"])).unwrap(), "well");
        assert!(matches!(decide(&scored, to(&["ill"])), Err(Error::SameLabel)));
        for unknown in [&["Ill"][..], &[], &["none"], &["review"], &["ill", "well"], &["well", "well"]] {
            assert!(matches!(decide(&scored, to(unknown)), Err(Error::UnknownLabel)), "{unknown:?}");
        }
        let left = answered(Answer::Class(None));
        assert!(matches!(decide(&left, Verdict::Accept), Err(Error::NothingToAccept)));
        assert_eq!(decide(&left, to(&["ill"])).unwrap(), "ill");
        let findings =
            |open: &[String]| answered(Answer::Findings { found: vec!["ill".into()], open: open.to_vec() });
        assert_eq!(decide(&findings(&[]), to(&["well", "ill"])).unwrap(), "ill, well");
        assert_eq!(decide(&findings(&[]), to(&["none"])).unwrap(), "none");
        assert!(matches!(decide(&findings(&[]), to(&["ill"])), Err(Error::SameLabel)));
        // What was left open is decided by naming all that is there.
        let open = findings(&["well".into()]);
        assert!(matches!(decide(&open, Verdict::Accept), Err(Error::NothingToAccept)));
        assert_eq!(decide(&open, to(&["ill"])).unwrap(), "ill");
        let mut single = answered(Answer::Scores { label: None, scores: vec![-1.0], margin: 1.0 });
        single.labels = vec!["ill".into()];
        assert_eq!(decide(&single, Verdict::Accept).unwrap(), "none");
        assert_eq!(decide(&single, to(&["ill"])).unwrap(), "ill");
    }

    #[test]
    fn a_decision_has_initials_and_a_reason() {
        let case = case("ill", 0.1);
        let new = |by: &str, reason: &str| Decision::new((7, &case), Verdict::Accept, by, reason, 5);
        let good = new(" A.B ", " seen on film ").unwrap();
        assert_eq!((good.by(), good.reason(), good.case(), good.at()), ("A.B", "seen on film", 7, 5));
        for by in ["", "A", "ABCDEFGHI", "A B", "A\nB", "<b>"] {
            assert!(matches!(new(by, "seen"), Err(Error::Initials)), "{by:?}");
        }
        for reason in ["", "  ", "ok", "two\nlines", &"x".repeat(501)] {
            assert!(matches!(new("AB", reason), Err(Error::Words)), "{reason:?}");
        }
    }
}
