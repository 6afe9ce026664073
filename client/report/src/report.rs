//! What a report tells. Texts are plain; each form escapes them in its own way.

use std::fmt;

use tiresias_scan::{Picture, Study};

use crate::{Evidence, HeatMap, Id, Moment};

/// One diagnosis and what stands around it. `Debug` shows none of it.
#[derive(Clone, Default)]
pub struct Report {
    /// This report's, the same in all its forms.
    pub id: Id,
    /// What was found.
    pub outcome: Outcome,
    /// What is left to a human; `None` where nothing calls for it.
    pub review: Option<Review>,
    /// Where the scan or the features came from: a file name.
    pub source: String,
    /// The frame, from 1, of a scan that has several.
    pub frame: Option<u32>,
    /// The scan as the model saw it, before resizing.
    pub picture: Option<Picture>,
    /// The class-activation map of the found class.
    pub heat_map: Option<HeatMap>,
    /// What groups of features contributed, class by class.
    pub bars: Vec<Bars>,
    /// How usual the features are.
    pub drift: Option<Drift>,
    /// Whose scan it is.
    pub study: Option<Study>,
    /// The model.
    pub model: ModelFacts,
    /// The receipt of the answer, where there is one.
    pub evidence: Option<Evidence>,
    /// When it was computed.
    pub computed_at: Moment,
}

/// What is left to a human, and why, in a sentence.
#[derive(Clone, PartialEq, Eq)]
pub enum Review {
    /// All of it: nothing that was computed is a result.
    All(String),
    /// The findings that the computation leaves open. The others are results.
    Open(String),
}

impl Review {
    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::All(reason) | Self::Open(reason) => reason,
        }
    }
}

/// What was found.
#[derive(Clone)]
pub enum Outcome {
    /// Scores of all classes, and the class that they name.
    Scores {
        /// The class; `None` where a score of a single class does not reach it.
        label: Option<String>,
        /// How far it is ahead.
        margin: f64,
        /// Each class and its score.
        scores: Vec<(String, f64)>,
    },
    /// A class alone; `None` where the decision is left to a human.
    Class(Option<String>),
    /// For each class whether it was found; `None` where that is left to a human.
    Findings(Vec<(String, Option<bool>)>),
}

impl Default for Outcome {
    fn default() -> Self {
        Self::Class(None)
    }
}

/// The contributions to one class's score.
#[derive(Clone, Default)]
pub struct Bars {
    /// The class.
    pub class: String,
    /// The score of features in the middle of their calibrated ranges.
    pub intercept: f64,
    /// The groups.
    pub bars: Vec<Bar>,
}

/// One group's contribution.
#[derive(Clone, Default)]
pub struct Bar {
    /// The group.
    pub name: String,
    /// What it adds to the score.
    pub value: f64,
}

/// How usual the features are.
#[derive(Clone, Copy, Default)]
pub struct Drift {
    /// Values outside the calibrated range.
    pub outside: usize,
    /// All values.
    pub values: usize,
    /// The distance from the calibration's.
    pub distance: f64,
    /// The distance beyond which they are far out.
    pub limit: f64,
    /// Whether they are.
    pub is_far_out: bool,
}

/// What is known of the model.
#[derive(Clone, Default)]
pub struct ModelFacts {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The id of its circuit card.
    pub config_id: String,
    /// Where it was evaluated.
    pub gateway: String,
    /// The digest of the backbone that made the features.
    pub backbone: Option<String>,
    /// What its owner says of it.
    pub about: Option<String>,
    /// Further facts of the card, by name.
    pub facts: Vec<(&'static str, String)>,
}

impl Report {
    /// Whether nothing that was computed is a result.
    #[must_use]
    pub fn is_withheld(&self) -> bool {
        let is_open = matches!(self.outcome, Outcome::Class(None));
        is_open || matches!(self.review, Some(Review::All(_)))
    }

    /// What was computed, in words, whether or not it is a result.
    #[must_use]
    pub fn computed(&self) -> Option<String> {
        match &self.outcome {
            Outcome::Scores { label, margin, .. } => {
                Some(format!("{}, margin {margin:.3}", label.as_deref().unwrap_or(NONE)))
            }
            Outcome::Class(label) => label.clone(),
            Outcome::Findings(findings) => {
                let named = |wanted: Option<bool>, word: &str| {
                    let names = findings.iter().filter(|(_, found)| *found == wanted);
                    let names: Vec<&str> = names.map(|(class, _)| class.as_str()).collect();
                    (!names.is_empty()).then(|| format!("{word}: {}", names.join(", ")))
                };
                let parts = [(Some(true), "present"), (Some(false), "absent"), (None, "left open")];
                let parts: Vec<_> =
                    parts.into_iter().filter_map(|(found, word)| named(found, word)).collect();
                (!parts.is_empty()).then(|| parts.join("; "))
            }
        }
    }

    /// The result in a sentence or two. A review comes first and is never left out.
    #[must_use]
    pub fn conclusion(&self) -> String {
        let computed = self.computed();
        let review =
            self.review.as_ref().map(|review| format!("Review: a human decides: {}", review.reason()));
        let review = review.or_else(|| self.is_withheld().then(|| "Review: a human decides.".to_owned()));
        match (review, computed) {
            (Some(review), Some(computed)) if self.is_withheld() => {
                format!("{review} There is no result. The computation said: {computed}.")
            }
            (Some(review), Some(computed)) => format!("{review} {}.", capital(&computed)),
            (Some(review), None) => format!("{review} There is no result."),
            (None, Some(computed)) => format!("Computed finding: {computed}."),
            (None, None) => "Nothing was found.".to_owned(),
        }
    }

    /// What has to be read with the result: the conclusion first, then all that limits it.
    pub(crate) fn notes(&self) -> Vec<String> {
        let drift = self.drift.as_ref().map(Drift::text);
        let evidence = self.evidence.as_ref().map(Evidence::text);
        [Some(self.conclusion()), drift, evidence, Some(CAUTION.to_owned())].into_iter().flatten().collect()
    }
}

/// What stands for a class where a score of a single class does not reach it.
pub(crate) const NONE: &str = "none of the classes";

/// What every form says of itself.
pub(crate) const CAUTION: &str = "This was computed by software, which is no medical device and can be wrong. It is one \
                                  input to a decision by a clinician, who makes and signs it.";

impl Drift {
    /// Whether the scan is a usual one for the model, in a sentence or two.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match self.is_far_out {
            true => {
                "No. It lies far from those that the model was calibrated on, and its result is not to be relied on."
            }
            false => "Yes, as far as its features tell.",
        }
    }

    /// All of it as one text.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { outside, values, distance, limit, .. } = self;
        format!(
            "Is this a usual scan for the model? {} {outside} of {values} values lie outside the calibrated range; the \
             distance from the calibration is {distance:.2}, and far out from {limit:.2}.",
            self.verdict()
        )
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Report(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: Outcome, review: Option<Review>) -> Report {
        Report { outcome, review, ..Report::default() }
    }

    fn findings() -> Outcome {
        let found = [("edema", Some(true)), ("mass", None), ("nodule", Some(false))];
        Outcome::Findings(found.map(|(class, found)| (class.to_owned(), found)).to_vec())
    }

    #[test]
    fn conclusions_put_the_review_first_and_say_that_there_is_no_result() {
        let scores = |label: Option<&str>| Outcome::Scores {
            label: label.map(str::to_owned),
            margin: 1.75,
            scores: Vec::new(),
        };
        let far = || Some(Review::All("the scan is unlike the others.".into()));
        let close = || Some(Review::Open("the decision is too close.".into()));
        for (outcome, review, withheld, expected) in [
            (scores(Some("glioma")), None, false, "Computed finding: glioma, margin 1.750."),
            (scores(None), None, false, "Computed finding: none of the classes, margin 1.750."),
            (
                scores(Some("glioma")),
                far(),
                true,
                "Review: a human decides: the scan is unlike the others. There is no result. The computation said: \
                 glioma, margin 1.750.",
            ),
            (Outcome::Class(Some("benign".into())), None, false, "Computed finding: benign."),
            (
                Outcome::Class(None),
                close(),
                true,
                "Review: a human decides: the decision is too close. There is no result.",
            ),
            (Outcome::Class(None), None, true, "Review: a human decides. There is no result."),
            (
                findings(),
                close(),
                false,
                "Review: a human decides: the decision is too close. Present: edema; absent: nodule; left open: mass.",
            ),
            (
                findings(),
                far(),
                true,
                "Review: a human decides: the scan is unlike the others. There is no result. The computation said: \
                 present: edema; absent: nodule; left open: mass.",
            ),
        ] {
            let report = report(outcome, review);
            assert_eq!((report.is_withheld(), report.conclusion().as_str()), (withheld, expected));
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", report(findings(), None)), "Report(..)");
    }
}
