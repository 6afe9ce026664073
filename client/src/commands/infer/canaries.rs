//! Canaries of a run of `infer`: mixed in before the first request, judged after the last.

use std::path::PathBuf;

use tiresias_secret_key::LongLivedKey;

use super::ask::Asked;
use crate::{
    Diagnosis, Error, Model,
    canaries::{Alarm, CanaryFile, Lottery, Mix, Place, Role, Verdict, judge},
    cli::InferArgs,
    finding::Finding,
    output,
};

/// What the command line says of canaries.
pub(super) struct Canaries<'a> {
    path: PathBuf,
    file: CanaryFile,
    rate: f64,
    evidence: PathBuf,
    gateway: &'a str,
    model: &'a Model,
}

/// Answers to vectors of the clinic's own, and where all of the run's were asked for.
pub(super) struct Own {
    places: Vec<Place>,
    answers: Vec<(usize, Asked)>,
}

/// The run's vectors: patients alone where there are no canaries.
pub(super) fn mix<'a>(canaries: Option<&'a Canaries<'_>>, rows: &[&'a [f64]]) -> Result<Mix<'a>, Error> {
    match canaries {
        Some(canaries) => {
            Mix::draw(rows, canaries.model, &canaries.file, canaries.rate, &mut Lottery::new()?)
        }
        None => Ok(Mix::plain(rows)),
    }
}

/// Takes the patients' answers out.
pub(super) fn part(mix: &Mix<'_>, asked: Vec<Asked>) -> (Vec<Asked>, Own) {
    let requests = asked.chunk_by(|one, next| std::sync::Arc::ptr_eq(&one.facts, &next.facts));
    let place = |(request, asked): (usize, &[Asked])| {
        let digests = asked.iter().map(Asked::digests).enumerate();
        let places = digests.map(|(item, (asked, answered))| Place { request, item, asked, answered });
        places.collect::<Vec<_>>()
    };
    let places = if mix.has_own() { requests.enumerate().flat_map(place).collect() } else { Vec::new() };
    let (patients, answers) = mix.part(asked);
    (patients, Own { places, answers })
}

impl<'a> Canaries<'a> {
    /// Opens the canaries file that the command line names, which must be of this model.
    pub(super) fn open(args: &'a InferArgs, model: &'a Model) -> Result<Option<Self>, Error> {
        let Some(path) = &args.canaries.canaries else { return Ok(None) };
        let mut beside = path.clone().into_os_string();
        beside.push(".evidence");
        Ok(Some(Self {
            path: path.clone(),
            file: CanaryFile::open(path, model)?,
            rate: args.canaries.canary_rate,
            evidence: args.canaries.evidence.clone().unwrap_or_else(|| beside.into()),
            gateway: &args.gateway.gateway,
            model,
        }))
    }

    /// Decrypts the answers to the clinic's own vectors and judges the run. Where one is wrong, evidence is kept, the
    /// patients' diagnoses are marked, and that is the outcome; else it is the outcome so far.
    pub(super) fn judge(
        &self,
        mix: &Mix<'_>,
        own: Own,
        mut patients: Vec<&mut Diagnosis>,
        key: Option<&LongLivedKey>,
        outcome: Result<(), Error>,
    ) -> Result<(), Error> {
        let answers = own.answers.into_iter().map(|(at, asked)| Ok((at, asked.read(at, key)?.0.finding)));
        let answers = answers.collect::<Result<Vec<(usize, Finding)>, Error>>()?;
        let mut answers = answers.iter().map(|(_, finding)| finding);
        let mut of_patients = patients.iter().map(|patient| &patient.finding);
        let findings: Vec<&Finding> = (mix.roles())
            .map_while(|role| match role {
                Role::Patient(_) => of_patients.next(),
                _ => answers.next(),
            })
            .collect();
        let verdict = judge(&self.file, mix, self.model, &findings);
        if !verdict.is_alarm() {
            if verdict.canaries > 0 {
                output::note_canaries(verdict.canaries, verdict.combinations.len());
            }
            let agreed = verdict.agreed();
            return outcome.and_then(|()| {
                agreed.map_or(Ok(()), |agreed| self.file.keep_intercepts(&self.path, agreed))
            });
        }
        let alarm = Alarm {
            gateway: self.gateway,
            model: self.model,
            file: &self.file,
            mix,
            places: &own.places,
            findings: &findings,
            verdict: &verdict,
        };
        let kept = alarm.keep(&self.evidence);
        patients.iter_mut().for_each(|patient| patient.canary_alarm = true);
        if let Err(error) = outcome {
            output::also_failed(&error);
        }
        Err(Error::CanaryAlarm(describe(&verdict, kept)))
    }
}

/// Which kind failed and where the evidence lies, without a value.
fn describe(verdict: &Verdict, kept: Result<PathBuf, Error>) -> String {
    let mut parts = Vec::new();
    if !verdict.wrong.is_empty() {
        let (wrong, of) = (verdict.wrong.len(), verdict.canaries);
        parts.push(format!("{wrong} of {of} canaries have another answer than they must have"));
    }
    if !verdict.failed.is_empty() {
        let (failed, of) = (verdict.failed.len(), verdict.combinations.len());
        parts.push(format!("{failed} of {of} secret combinations are none that a linear head gives"));
    }
    parts.push(match kept {
        Ok(path) => format!("the evidence is in {}", path.display()),
        Err(error) => format!("the evidence could not be kept ({error})"),
    });
    parts.join("; ")
}
