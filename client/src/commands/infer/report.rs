//! Of each diagnosed scan: its map, and its report in the forms that were asked for.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tiresias_backbone::Backbone;
use tiresias_circuits::explain::MapShape;
use tiresias_report::{
    Bar, Bars, Drift, Evidence, HeatMap, Id, ModelFacts, Moment, Outcome, Report, Review, fhir, html,
    is_referable, overlay_png, sr,
};

use super::scans::Read;
use crate::{
    Error, Model,
    approvers::Approved,
    cli::InferArgs,
    clock::utc,
    evidence::{Judgement, Verdict},
    files,
    finding::{Contributions, Finding},
    scans::{self, Case, Failure},
};

/// Puts a report into one form.
type Form = fn(&Report) -> Result<Vec<u8>, tiresias_report::Error>;

/// What the reports of a run have in common.
pub(super) struct Author<'a> {
    pub(super) args: &'a InferArgs,
    pub(super) model: &'a Model,
    pub(super) backbone: &'a Backbone,
    /// The shape of maps, where they were asked for.
    pub(super) map: Option<MapShape>,
    /// Who has approved the model, where that is asked for.
    pub(super) approved: Option<&'a Approved>,
}

impl Author<'_> {
    /// Whether anything is to be written of a scan.
    pub(super) fn is_wanted(&self) -> bool {
        let scans = &self.args.scans;
        [&scans.cam, &scans.report, &scans.fhir, &scans.sr].into_iter().any(Option::is_some)
    }

    /// Before anything is asked: structured reports are wanted, and no scan can have one.
    pub(super) fn check(&self, cases: &[Case]) -> Result<(), Error> {
        let can_have = |case: &Case| case.study.as_ref().is_some_and(is_referable);
        if self.args.scans.sr.is_some() && !cases.is_empty() && !cases.iter().any(can_have) {
            return Err(tiresias_report::Error::NoStudy.into());
        }
        Ok(())
    }

    /// Writes maps and reports. Gives the scans that cannot have one of the forms.
    pub(super) fn write(&self, cases: &[Case], read: &[Read]) -> Result<Vec<Failure>, Error> {
        let (wanted, now) = (&self.args.scans, Moment::now());
        let forms: [(&Option<PathBuf>, &str, Form); 3] = [
            (&wanted.report, "html", |report| Ok(html(report).into_bytes())),
            (&wanted.fhir, "json", |report| Ok(fhir(report).into_bytes())),
            (&wanted.sr, "dcm", sr),
        ];
        let mut failures = Vec::new();
        if !self.is_wanted() {
            return Ok(failures);
        }
        for (case, read) in cases.iter().zip(read) {
            let report = self.report(case, read, now)?;
            // A picture has no room for a warning, as a report has.
            let cam = wanted.cam.as_ref().filter(|_| !read.diagnosis.canary_alarm);
            if let (Some(path), Some(heat)) = (cam, &report.heat_map) {
                save(path, cases.len(), &case.name, "png", &overlay_png(&case.picture, heat))?;
            }
            for (path, ending, form) in forms {
                let Some(path) = path else { continue };
                match form(&report) {
                    Ok(bytes) => save(path, cases.len(), &case.name, ending, &bytes)?,
                    Err(error) => {
                        let (path, code) = (case.name.clone().into(), error.code());
                        failures.push(Failure { path, code, reason: error.to_string() });
                    }
                }
            }
        }
        Ok(failures)
    }

    fn report(&self, case: &Case, read: &Read, computed_at: Moment) -> Result<Report, Error> {
        let diagnosis = &read.diagnosis;
        let drift = diagnosis.drift.map(|drift| Drift {
            outside: drift.outside,
            values: drift.values,
            distance: drift.distance,
            limit: drift.limit,
            is_far_out: drift.is_far_out(),
        });
        Ok(Report {
            id: Id::random()?,
            outcome: self.outcome(&diagnosis.finding),
            review: distrust(read)
                .map(|reason| Review::All(reason.to_owned()))
                .or_else(|| review(&diagnosis.finding, drift.is_some_and(|drift| drift.is_far_out))),
            source: case.name.rsplit('/').next().unwrap_or_default().to_owned(),
            frame: case.frame,
            picture: Some(case.picture.clone()),
            heat_map: self.map.map(|map| self.heat_map(read, map)),
            bars: diagnosis.finding.contributions().iter().map(bars).collect(),
            drift,
            study: case.study.clone(),
            model: self.model_facts(),
            evidence: read.receipt.as_ref().map(|receipt| self.evidence(receipt)),
            computed_at,
        })
    }

    fn outcome(&self, finding: &Finding) -> Outcome {
        let labels = self.model.card().labels().iter().cloned();
        match finding {
            Finding::Scores { label, scores, margin, .. } => {
                let scores = labels.zip(scores.iter().copied()).collect();
                Outcome::Scores { label: label.clone(), margin: *margin, scores }
            }
            Finding::Class { label } => Outcome::Class((!finding.is_review()).then(|| label.clone())),
            Finding::Classes { label, review } => {
                let found = |class: &String| match (label.contains(class), review.contains(class)) {
                    (_, true) => None,
                    (found, false) => Some(found),
                };
                Outcome::Findings(labels.map(|class| (class.clone(), found(&class))).collect())
            }
        }
    }

    /// The map of the class that was found, or of the highest score where none was.
    fn heat_map(&self, read: &Read, map: MapShape) -> HeatMap {
        let card = self.model.card();
        let sums = read.diagnosis.finding.scores_q();
        let best = sums.iter().enumerate().rev().max_by_key(|(_, sum)| **sum).map_or(0, |(class, _)| class);
        let value = |scores: &Vec<i64>| scores.get(best).copied().unwrap_or(0) as f64 * card.score_scale();
        HeatMap {
            class: card.labels().get(best).cloned().unwrap_or_default(),
            height: map.height(),
            width: map.width(),
            values: read.locations.iter().map(value).collect(),
        }
    }

    /// What the answer's receipt is worth. Where it holds, it names the model's card.
    fn evidence(&self, receipt: &Judgement) -> Evidence {
        let config = (!receipt.is_invalid()).then(|| self.model.config().to_string());
        Evidence {
            verdict: match receipt.verdict {
                Verdict::Verified => tiresias_report::Verdict::Verified,
                Verdict::Unwitnessed => tiresias_report::Verdict::Unwitnessed,
                Verdict::Invalid => tiresias_report::Verdict::Invalid,
            },
            reason: receipt.reason.clone(),
            log: receipt.log.clone().unwrap_or_default(),
            leaf_index: receipt.index,
            logged_at: receipt.time.map(|time| format!("{}, within 10 minutes", utc(time))),
            config_id: config.unwrap_or_default(),
        }
    }

    fn model_facts(&self) -> ModelFacts {
        let (card, plan) = (self.model.card(), self.model.card().plan());
        let security = plan.bootstrap().map_or(plan.parameters().security_bits(), |set| set.security_bits());
        let certainty = plan.log2_p_fail().map_or_else(
            || "always equal to the computation in the clear".to_owned(),
            |log2| format!("equal to the computation in the clear but for a chance of 2^{log2:.0}"),
        );
        ModelFacts {
            name: card.name().to_owned(),
            version: card.version(),
            config_id: self.model.config().to_string(),
            gateway: self.args.gateway.gateway.clone(),
            backbone: Some(hex::encode(self.backbone.digest())),
            about: card.about().map(str::to_owned),
            facts: [
                Some(("Result", certainty)),
                Some(("Encryption", format!("{}, {security} bits of security", plan.parameters().name()))),
                Some(("Weights", plan.privacy().name().to_owned())),
                self.approved.map(|approved| ("Approved by", approved.words())),
            ]
            .into_iter()
            .flatten()
            .collect(),
        }
    }
}

/// Why nothing of a run's answers can be relied on, whatever they say.
fn distrust(read: &Read) -> Option<&'static str> {
    if read.diagnosis.canary_alarm {
        return Some(
            "the gateway answered vectors with known answers wrongly in the same run: do not rely on this result.",
        );
    }
    let is_invalid = read.receipt.as_ref().is_some_and(Judgement::is_invalid);
    is_invalid.then_some("the gateway's receipt of this answer is INVALID: do not rely on this result.")
}

/// What is left to a human.
fn review(finding: &Finding, is_far_out: bool) -> Option<Review> {
    let close = "the decision is too close for the computation.".to_owned();
    match finding {
        _ if is_far_out => {
            Some(Review::All("the scan is unlike those that the model was calibrated on.".to_owned()))
        }
        Finding::Classes { .. } if finding.is_review() => Some(Review::Open(close)),
        _ if finding.is_review() => Some(Review::All(close)),
        _ => None,
    }
}

fn bars(class: &Contributions) -> Bars {
    let groups = class.groups.iter();
    Bars {
        class: class.class.clone(),
        intercept: class.intercept,
        bars: groups.map(|group| Bar { name: group.group.clone(), value: group.value }).collect(),
    }
}

/// One scan's file as named; several scans' in a folder, by their names. Nothing is overwritten.
fn save(path: &Path, scans: usize, name: &str, ending: &str, bytes: &[u8]) -> Result<(), Error> {
    let is_file = scans == 1 && path.extension().is_some_and(|given| given == ending) && !path.is_dir();
    let path: PathBuf = if is_file {
        path.to_owned()
    } else {
        fs::create_dir_all(path).map_err(files::at(path))?;
        path.join(format!("{}.{ending}", scans::stem(name)))
    };
    let mut file = files::create_own(&path)?;
    std::io::Write::write_all(&mut file, bytes).map_err(files::at(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_far_out_is_left_to_a_human_whole_and_what_is_close_as_far_as_it_is() {
        let class = |label: &str| Finding::Class { label: label.into() };
        let classes = |review: &[&str]| Finding::Classes {
            label: vec!["a".into()],
            review: review.iter().map(|&class| class.into()).collect(),
        };
        assert!(review(&class("a"), false).is_none() && review(&classes(&[]), false).is_none());
        assert!(matches!(review(&class("review"), false), Some(Review::All(_))));
        assert!(matches!(review(&classes(&["b"]), false), Some(Review::Open(_))));
        for finding in [class("a"), class("review"), classes(&[]), classes(&["b"])] {
            assert!(matches!(review(&finding, true), Some(Review::All(_))));
        }
    }
}
