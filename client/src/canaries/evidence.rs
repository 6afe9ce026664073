//! What is kept of an alarm: which vectors of which requests were answered wrongly, what was expected and what came.
//!
//! Vectors are named by the digests of their elements, which are also what a receipt's leaf commits to: SHA-256 over the
//! digests of a request's elements in their order is the leaf's `request`, and the same of the answers its `response`.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use tiresias_keys::Digest;

use super::{CanaryFile, Expected, Mix, Role, Source, Verdict};
use crate::{Error, Model, files, finding::Finding};

/// Where a vector of the run was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The run's request, from 0.
    pub request: usize,
    /// The element in it, from 0.
    pub item: usize,
    /// The digest of the request's element.
    pub asked: Digest,
    /// The digest of the response's element.
    pub answered: Digest,
}

/// A run whose own vectors were answered wrongly.
pub struct Alarm<'a> {
    /// The gateway's URL.
    pub gateway: &'a str,
    /// The model that was asked.
    pub model: &'a Model,
    /// The canaries.
    pub file: &'a CanaryFile,
    /// The run's vectors.
    pub mix: &'a Mix<'a>,
    /// Their places, as far as they were answered.
    pub places: &'a [Place],
    /// Their findings.
    pub findings: &'a [&'a Finding],
    /// What is wrong with these.
    pub verdict: &'a Verdict,
}

/// The file.
#[derive(Serialize)]
struct Evidence<'a> {
    format: &'static str,
    /// Seconds since 1970, when the answers were judged.
    time: u64,
    gateway: &'a str,
    model: &'a str,
    version: u32,
    config_id: String,
    /// Whose word the expected answers are.
    source: Source,
    /// Canaries and combinations that were judged.
    canaries: usize,
    combinations: usize,
    wrong_canaries: Vec<WrongCanary<'a>>,
    /// Where one does not hold, all of them: they show together that no linear head gave these answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    all_combinations: Vec<CombinationLine<'a>>,
    /// What earlier runs agreed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    intercepts_q: Option<&'a [i64]>,
    /// The requests of all vectors that are named here.
    requests: Vec<Request>,
}

#[derive(Serialize)]
struct WrongCanary<'a> {
    #[serde(flatten)]
    vector: Vector<'a>,
    expected: Option<&'a Expected>,
}

#[derive(Serialize)]
struct CombinationLine<'a> {
    holds: bool,
    /// The answer to zeros that these three imply.
    intercepts_q: &'a [i64],
    /// Features of a patient stay where they are.
    x: Vector<'a>,
    c: Vector<'a>,
    x_plus_c: Vector<'a>,
}

#[derive(Serialize)]
struct Vector<'a> {
    request: usize,
    item: usize,
    request_digest: String,
    response_digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    features: Option<&'a [f64]>,
    got: Option<&'a Finding>,
}

#[derive(Serialize)]
struct Request {
    request: usize,
    request_digests: Vec<String>,
    response_digests: Vec<String>,
}

impl Alarm<'_> {
    /// Writes a new file, for its owner alone, into a directory that is made where there is none.
    pub fn keep(&self, directory: &Path) -> Result<PathBuf, Error> {
        files::create_own_directory(directory)?;
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let text =
            serde_json::to_vec_pretty(&self.evidence(time)).map_err(|error| Error::Output(error.into()))?;
        // Two alarms within a second are of different requests.
        let name: String = self.places.first().map(|place| place.asked.to_string()).unwrap_or_default();
        let path = directory.join(format!("canary-alarm-{time}-{}.json", name.get(..8).unwrap_or_default()));
        files::write_whole(&path, &text, files::Readers::Owner, false)?;
        Ok(path)
    }

    fn evidence(&self, time: u64) -> Evidence<'_> {
        let verdict = self.verdict;
        let combinations = if verdict.failed.is_empty() { &[] } else { verdict.combinations.as_slice() };
        let combined = combinations.iter().flat_map(|combined| combined.places);
        let named: Vec<usize> = combined.chain(verdict.wrong.iter().copied()).collect();
        let expected = |at: usize| match self.mix.roles().nth(at) {
            Some(Role::Canary(number)) => self.file.canaries().get(number).map(|canary| &canary.expected),
            _ => None,
        };
        Evidence {
            format: "tiresias-canary-alarm/v1",
            time,
            gateway: self.gateway,
            model: self.model.card().name(),
            version: self.model.card().version(),
            config_id: self.model.config().to_string(),
            source: self.file.source(),
            canaries: verdict.canaries,
            combinations: verdict.combinations.len(),
            wrong_canaries: (verdict.wrong.iter())
                .map(|&at| WrongCanary { vector: self.vector(at), expected: expected(at) })
                .collect(),
            all_combinations: (combinations.iter().enumerate())
                .map(|(number, combined)| CombinationLine {
                    holds: !verdict.failed.contains(&number),
                    intercepts_q: &combined.intercepts_q,
                    x: self.vector(combined.places[0]),
                    c: self.vector(combined.places[1]),
                    x_plus_c: self.vector(combined.places[2]),
                })
                .collect(),
            intercepts_q: self.file.intercepts_q(),
            requests: self.requests(&named),
        }
    }

    fn vector(&self, at: usize) -> Vector<'_> {
        let place = self.places.get(at);
        let digest = |digest: Option<&Digest>| digest.map(Digest::to_string).unwrap_or_default();
        let is_patient = matches!(self.mix.roles().nth(at), Some(Role::Patient(_)));
        Vector {
            request: place.map_or(0, |place| place.request),
            item: place.map_or(0, |place| place.item),
            request_digest: digest(place.map(|place| &place.asked)),
            response_digest: digest(place.map(|place| &place.answered)),
            features: (!is_patient).then(|| self.mix.features(at)),
            got: self.findings.get(at).copied(),
        }
    }

    fn requests(&self, named: &[usize]) -> Vec<Request> {
        let is_named = |request: usize| {
            named.iter().filter_map(|&at| self.places.get(at)).any(|place| place.request == request)
        };
        let requests = self.places.chunk_by(|one, next| one.request == next.request);
        let requests = requests.filter(|places| places.first().is_some_and(|place| is_named(place.request)));
        let request = |places: &[Place]| Request {
            request: places.first().map_or(0, |place| place.request),
            request_digests: places.iter().map(|place| place.asked.to_string()).collect(),
            response_digests: places.iter().map(|place| place.answered.to_string()).collect(),
        };
        requests.map(request).collect()
    }
}
