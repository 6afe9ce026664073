//! Results into the record of decisions, when the connection is closed and before anything is shown.

use std::{path::PathBuf, sync::Arc};

use tiresias_record::{Answer, Case, Distrust, Drift, Receipt, Store};

use super::infer::ask::Asked;
use crate::{
    Diagnosis, Error, Model, about::About, cli::RecordArgs, clock, evidence::Judgement, finding::Finding,
    inputs::Sources, output, review::file, scans,
};

/// Where an input came from.
pub(crate) struct Place {
    source: String,
    row: Option<u64>,
    /// Whether its features file is one of several.
    several: bool,
}

impl Place {
    /// A scan.
    pub(crate) fn of_scan(name: &str) -> Self {
        Self { source: name.to_owned(), row: None, several: false }
    }
}

/// The places of all rows of features files.
pub(crate) fn places(sources: &Sources) -> Vec<Place> {
    let several = sources.files().len() > 1;
    let rows =
        sources.files().iter().flat_map(|file| (0..file.rows as u64).map(move |row| (&file.name, row)));
    rows.map(|(name, row)| Place { source: name.clone(), row: Some(row), several }).collect()
}

/// What is known of an answered input before its answer is read.
pub(crate) struct Answered {
    model: Arc<Model>,
    clipped: u64,
}

impl Answered {
    pub(crate) fn of(asked: &Asked) -> Self {
        Self { model: Arc::clone(asked.model()), clipped: asked.clipped as u64 }
    }

    /// Of an answer that is read from a file, by how much of its features was outside the calibration, where that is known.
    pub(crate) fn of_file(model: &Arc<Model>, drift: Option<&tiresias_circuits::Drift>) -> Self {
        Self { model: Arc::clone(model), clipped: drift.map_or(0, |drift| drift.outside as u64) }
    }

    /// Of scans, which may have several vectors each. One of which not every vector was answered is left out.
    pub(crate) fn of_scans(asked: &[Asked], cases: &[scans::Case]) -> Vec<Self> {
        let mut rest = asked;
        let mut answered = Vec::new();
        for case in cases {
            let Some((own, others)) = rest.split_at_checked(case.rows.len()) else { break };
            let Some(first) = own.first() else { break };
            let clipped = own.iter().map(|asked| asked.clipped as u64).sum();
            answered.push(Self { model: Arc::clone(first.model()), clipped });
            rest = others;
        }
        answered
    }
}

/// A diagnosis in its place, with what its receipt is worth.
type Read<'a> = (&'a Place, &'a Diagnosis, Option<&'a Judgement>);

/// A record that a run writes to.
pub(crate) struct Recorder {
    path: PathBuf,
    store: Store,
    about: Option<About>,
}

impl Recorder {
    /// Opens the record that the command line names, before anything is sent: it must be writable, and what is known of patients
    /// be known of all.
    pub(crate) fn open(args: &RecordArgs, places: &[Place]) -> Result<Option<Self>, Error> {
        let Some(path) = &args.record else { return Ok(None) };
        let mut store = file::open(path)?;
        store.expect_writable().map_err(file::at(path))?;
        let about = args.about.as_deref().map(About::read).transpose()?;
        if let (Some(about), Some(path)) = (&about, &args.about) {
            let is_unknown = |place: &&Place| about.of(&place.source, place.row, place.several).is_none();
            match places.iter().filter(is_unknown).count() {
                0 => {}
                inputs => return Err(Error::About { path: path.clone(), inputs }),
            }
        }
        Ok(Some(Self { path: path.clone(), store, about }))
    }

    /// Writes all or none, and gives the run's outcome back. Where it fails, that is the error, and nothing may be shown.
    pub(crate) fn write<'a>(
        &mut self,
        read: impl Iterator<Item = (Read<'a>, &'a Answered)>,
        outcome: Result<(), Error>,
    ) -> Result<Result<(), Error>, Error> {
        let at = clock::seconds();
        let cases: Vec<Case> = read.map(|(read, answered)| self.case(at, read, answered)).collect();
        match self.store.add(&cases) {
            Ok(_) => Ok(outcome),
            Err(source) => {
                if let Err(error) = outcome {
                    output::also_failed(&error);
                }
                Err(Error::Unrecorded { path: self.path.clone(), source })
            }
        }
    }

    fn case(&self, at: u64, (place, diagnosis, receipt): Read<'_>, answered: &Answered) -> Case {
        let (card, about) = (answered.model.card(), self.about.as_ref());
        let about = about.and_then(|about| about.of(&place.source, place.row, place.several));
        let is_invalid = receipt.is_some_and(Judgement::is_invalid);
        Case {
            at,
            source: place.source.clone(),
            row: place.row,
            model: card.name().to_owned(),
            version: card.version(),
            config_id: answered.model.config().to_string(),
            labels: card.labels().to_vec(),
            answer: answer(diagnosis),
            distrust: match diagnosis.canary_alarm {
                true => Some(Distrust::Canary),
                false => is_invalid.then_some(Distrust::Receipt),
            },
            drift: diagnosis.drift.map(|drift| Drift {
                outside: drift.outside as u64,
                distance: drift.distance,
                limit: drift.limit,
                far_out: drift.is_far_out(),
            }),
            clipped: answered.clipped,
            receipt: receipt.map(|receipt| Receipt {
                verdict: receipt.verdict.to_string(),
                log: receipt.log.clone(),
                index: receipt.index,
                request: receipt.request.clone(),
            }),
            about: about.unwrap_or_default().to_vec(),
        }
    }
}

fn answer(diagnosis: &Diagnosis) -> Answer {
    match &diagnosis.finding {
        Finding::Scores { label, scores, margin, .. } => {
            Answer::Scores { label: label.clone(), scores: scores.clone(), margin: *margin }
        }
        finding @ Finding::Class { label } => Answer::Class((!finding.is_review()).then(|| label.clone())),
        Finding::Classes { label, review } => Answer::Findings { found: label.clone(), open: review.clone() },
    }
}
