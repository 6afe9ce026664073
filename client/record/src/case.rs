//! One case: what a model answered about one input, and what stands around the answer.

use std::fmt;

use serde::{Deserialize, Serialize};
use tiresias_report::{Outcome, Report, Review};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What stands for a class where a score of a single class does not reach it, and for findings of which none is there.
pub const NONE: &str = "none";
/// What stands for a result that is left to a human.
pub const REVIEW: &str = "review";

/// What a model answered. Wiped when it goes; `Debug` shows nothing.
#[derive(Clone, PartialEq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// When it was recorded, in seconds since 1970.
    pub at: u64,
    /// The features file or the scan, as the command named it.
    pub source: String,
    /// The row of a features file, from 0.
    pub row: Option<u64>,
    /// The model.
    pub model: String,
    /// Its version.
    pub version: u32,
    /// The id of its circuit card.
    pub config_id: String,
    /// The names of its classes.
    pub labels: Vec<String>,
    /// The answer.
    pub answer: Answer,
    /// Why nothing of the run can be relied on.
    pub distrust: Option<Distrust>,
    /// How usual the features are, where the card lets a client tell.
    pub drift: Option<Drift>,
    /// Features outside the calibrated range.
    pub clipped: u64,
    /// The receipt of the answer, where receipts are checked.
    pub receipt: Option<Receipt>,
    /// What the clinic knows of the patient: groups, and what came true.
    pub about: Vec<Column>,
}

/// What a model says, as its policy allows.
#[derive(Clone, PartialEq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// All scores.
    Scores {
        /// The class; `None` where a head of one class does not reach it.
        label: Option<String>,
        /// One for each class.
        scores: Vec<f64>,
        /// How far the class is ahead of the next.
        margin: f64,
    },
    /// The class alone; `None` where the model leaves it to a human.
    Class(Option<String>),
    /// The classes that were found, and those that the model leaves to a human.
    Findings {
        /// Those that pass their thresholds.
        found: Vec<String>,
        /// Those that are too close to tell.
        open: Vec<String>,
    },
}

/// Why nothing of a run can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Zeroize)]
#[serde(rename_all = "snake_case")]
pub enum Distrust {
    /// Vectors with known answers were answered wrongly.
    Canary,
    /// The receipt is INVALID.
    Receipt,
}

/// How far the features lie from those of the calibration.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize, Zeroize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// Values outside the calibrated range.
    pub outside: u64,
    /// The distance.
    pub distance: f64,
    /// Beyond which they are far out.
    pub limit: f64,
    /// Whether they are.
    pub far_out: bool,
}

/// Where the answer's receipt is, and what it was worth.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The verdict, in a word.
    pub verdict: String,
    /// The log.
    pub log: Option<String>,
    /// The leaf.
    pub index: Option<u64>,
    /// The hash of the request.
    pub request: Option<String>,
}

/// One column of what the clinic knows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its value, perhaps empty.
    pub value: String,
}

/// Why a human is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The gateway was caught.
    Canary,
    /// The receipt is INVALID.
    Receipt,
    /// The features are far from those of the calibration.
    FarOut,
    /// The model leaves the decision, or a part of it, to a human.
    Left,
    /// The class is little ahead of the next.
    LowMargin,
}

impl Reason {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Canary => "canary alarm",
            Self::Receipt => "receipt INVALID",
            Self::FarOut => "far out",
            Self::Left => "too close to tell",
            Self::LowMargin => "low margin",
        }
    }
}

impl Case {
    /// Why a human is asked, the gravest first. A margin below `low_margin` is low.
    #[must_use]
    pub fn reasons(&self, low_margin: f64) -> Vec<Reason> {
        let distrust = match self.distrust {
            Some(Distrust::Canary) => Some(Reason::Canary),
            Some(Distrust::Receipt) => Some(Reason::Receipt),
            None => None,
        };
        // The margin of what is no result is none either.
        let is_low = matches!(self.answer, Answer::Scores { margin, .. } if margin < low_margin)
            && !self.is_withheld();
        [
            distrust,
            self.is_far_out().then_some(Reason::FarOut),
            self.answer.is_open().then_some(Reason::Left),
            is_low.then_some(Reason::LowMargin),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Whether nothing that was computed is a result: the rule of reports, asked of a report.
    #[must_use]
    pub fn is_withheld(&self) -> bool {
        self.report().is_withheld()
    }

    /// What a report of it would conclude. Of what is withheld it says that there is no result, and what the computation said but
    /// for its margin.
    #[must_use]
    pub fn conclusion(&self) -> String {
        self.report().conclusion()
    }

    /// The model's result: its label, unless it or a part of it is left to a human.
    #[must_use]
    pub fn result(&self) -> Option<String> {
        if self.is_withheld() || self.answer.is_open() { None } else { self.answer.label() }
    }

    /// A column of what the clinic knows.
    #[must_use]
    pub fn about(&self, name: &str) -> Option<&str> {
        self.about.iter().find(|column| column.name == name).map(|column| column.value.as_str())
    }

    /// The input in words.
    #[must_use]
    pub fn input(&self) -> String {
        match self.row {
            Some(row) => format!("{} row {row}", self.source),
            None => self.source.clone(),
        }
    }

    fn is_far_out(&self) -> bool {
        self.drift.is_some_and(|drift| drift.far_out)
    }

    fn report(&self) -> Report {
        let review = match (self.distrust, &self.answer) {
            (Some(Distrust::Canary), _) => {
                Some(Review::All("the gateway answered vectors with known answers wrongly.".to_owned()))
            }
            (Some(Distrust::Receipt), _) => {
                Some(Review::All("the gateway's receipt of this answer is INVALID.".to_owned()))
            }
            _ if self.is_far_out() => Some(Review::All(
                "the features are unlike those that the model was calibrated on.".to_owned(),
            )),
            (None, Answer::Findings { open, .. }) if !open.is_empty() => {
                Some(Review::Open("the decision is too close for the computation.".to_owned()))
            }
            (None, Answer::Class(None)) => {
                Some(Review::All("the decision is too close for the computation.".to_owned()))
            }
            _ => None,
        };
        let outcome = match (&review, self.outcome()) {
            (Some(Review::All(_)), Outcome::Scores { .. }) => Outcome::Class(self.answer.label()),
            (_, outcome) => outcome,
        };
        Report { outcome, review, ..Report::default() }
    }

    fn outcome(&self) -> Outcome {
        match &self.answer {
            Answer::Scores { label, scores, margin } => Outcome::Scores {
                label: label.clone(),
                margin: *margin,
                scores: self.labels.iter().cloned().zip(scores.iter().copied()).collect(),
            },
            Answer::Class(label) => Outcome::Class(label.clone()),
            Answer::Findings { found, open } => {
                let state =
                    |class: &String| if open.contains(class) { None } else { Some(found.contains(class)) };
                Outcome::Findings(self.labels.iter().map(|class| (class.clone(), state(class))).collect())
            }
        }
    }
}

impl Answer {
    /// The label in a word or a list, whether or not it is a result.
    #[must_use]
    pub fn label(&self) -> Option<String> {
        match self {
            Self::Scores { label, .. } => Some(label.clone().unwrap_or_else(|| NONE.to_owned())),
            Self::Class(label) => label.clone(),
            Self::Findings { found, .. } => Some(list(found)),
        }
    }

    /// Whether the model itself leaves it, or a part of it, to a human.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self {
            Self::Scores { .. } => false,
            Self::Class(label) => label.is_none(),
            Self::Findings { open, .. } => !open.is_empty(),
        }
    }
}

/// Several findings as one text.
pub(crate) fn list(found: &[String]) -> String {
    if found.is_empty() { NONE.to_owned() } else { found.join(", ") }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Case(..)")
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer(..)")
    }
}

impl fmt::Debug for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drift(..)")
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt(..)")
    }
}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Column(..)")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A scored case: `ill` against `well`.
    pub(crate) fn case(label: &str, margin: f64) -> Case {
        let (ill, well) = if label == "ill" { (margin, 0.0) } else { (0.0, margin) };
        Case {
            at: 1_795_564_799,
            source: "scans/Müller-Anna.dcm".into(),
            row: None,
            model: "chest".into(),
            version: 3,
            config_id: "ab".repeat(32),
            labels: vec!["ill".into(), "well".into()],
            answer: Answer::Scores { label: Some(label.into()), scores: vec![ill, well], margin },
            distrust: None,
            drift: Some(Drift { outside: 1, distance: 1.5, limit: 3.0, far_out: false }),
            clipped: 1,
            receipt: None,
            about: vec![column("sex", "f"), column("truth", label)],
        }
    }

    pub(crate) fn column(name: &str, value: &str) -> Column {
        Column { name: name.into(), value: value.into() }
    }

    pub(crate) fn far_out(mut case: Case) -> Case {
        case.drift = Some(Drift { outside: 9, distance: 8.0, limit: 3.0, far_out: true });
        case
    }

    pub(crate) fn answered(answer: Answer) -> Case {
        let mut case = case("ill", 2.0);
        case.answer = answer;
        case
    }

    #[test]
    fn what_is_withheld_has_no_result_and_asks_for_a_human() {
        let mut canary = case("ill", 2.0);
        canary.distrust = Some(Distrust::Canary);
        let mut receipt = case("ill", 2.0);
        receipt.distrust = Some(Distrust::Receipt);
        let findings = |open: &[&str]| {
            let open = open.iter().map(|&class| class.to_owned()).collect();
            answered(Answer::Findings { found: vec!["ill".into()], open })
        };
        for (case, withheld, reasons, result) in [
            (case("ill", 2.0), false, vec![], Some("ill")),
            (case("ill", 0.9), false, vec![Reason::LowMargin], Some("ill")),
            (far_out(case("ill", 0.9)), true, vec![Reason::FarOut], None),
            (canary, true, vec![Reason::Canary], None),
            (receipt, true, vec![Reason::Receipt], None),
            (answered(Answer::Class(Some("well".into()))), false, vec![], Some("well")),
            (answered(Answer::Class(None)), true, vec![Reason::Left], None),
            (findings(&[]), false, vec![], Some("ill")),
            // What the model does not leave open is a result for a report, and no whole one for a statistic.
            (findings(&["well"]), false, vec![Reason::Left], None),
        ] {
            assert_eq!((case.is_withheld(), case.reasons(1.0)), (withheld, reasons));
            assert_eq!(case.result().as_deref(), result);
            assert_eq!(case.conclusion().contains("no result"), withheld);
            assert!(!withheld || !case.conclusion().contains("margin"));
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?} {:?}", case("ill", 1.0), column("name", "Müller")), "Case(..) Column(..)");
    }
}
