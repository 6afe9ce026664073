//! The canaries file: JSON lines, the first of which names the circuit card. It is the clinic's secret: a gateway that
//! knew a canary could answer it well and the patients badly. So its mode is 0600, and other modes are refused.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Expected;
use crate::{Error, Model, files};

const FORMAT: &str = "tiresias-canaries/v1";

/// Ten thousand vectors of 2,048 features are half of it.
const MAXIMUM_BYTES: u64 = 1 << 30;

/// Whose word the answers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Of somebody who holds the model and computed them in the clear.
    Evaluate,
    /// The gateway's own, from when the file was made.
    Gateway,
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    model: String,
    version: u32,
    config_id: String,
    source: Source,
    /// What earlier runs' combinations agreed on: the answer to a vector of zeros, in the order of an answer's integers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intercepts_q: Option<Vec<i64>>,
}

/// A vector with a known answer: every other line.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// d features.
    pub features: Vec<f64>,
    /// Its answer.
    pub expected: Expected,
}

impl std::fmt::Debug for Canary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Canary").finish_non_exhaustive()
    }
}

/// The canaries of one circuit card.
#[derive(Debug, Clone)]
pub struct CanaryFile {
    header: Header,
    canaries: Vec<Canary>,
}

impl CanaryFile {
    /// Of these vectors. Errors where there is none, or one that the model cannot answer so.
    pub fn new(model: &Model, source: Source, canaries: Vec<Canary>) -> Result<Self, &'static str> {
        let header = Header {
            format: FORMAT.to_owned(),
            model: model.card().name().to_owned(),
            version: model.card().version(),
            config_id: model.config().to_string(),
            source,
            intercepts_q: None,
        };
        let made = Self { header, canaries };
        made.check(model)?;
        Ok(made)
    }

    /// Reads a file whose canaries are for this model.
    pub fn open(path: &Path, model: &Model) -> Result<Self, Error> {
        let fault = |reason| Error::Canaries { path: path.to_owned(), reason };
        let file = files::open_own_to_read(path)?;
        if let Some(reason) = files::exposure(&file).map_err(files::at(path))? {
            return Err(fault(reason));
        }
        let bytes = files::read_open(&file, path, MAXIMUM_BYTES)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| fault(DAMAGED))?;
        let mut lines = text.lines();
        let header = lines.next().and_then(|line| serde_json::from_str::<Header>(line).ok());
        let header = header.filter(|header| header.format == FORMAT).ok_or_else(|| fault(DAMAGED))?;
        if header.config_id != model.config().to_string() {
            return Err(fault(OTHER_CARD));
        }
        let canaries: Result<Vec<Canary>, _> = lines.map(serde_json::from_str).collect();
        let opened = Self { header, canaries: canaries.map_err(|_| fault(DAMAGED))? };
        opened.check(model).map_err(fault)?;
        Ok(opened)
    }

    /// Writes a file that was not there.
    pub fn create(&self, path: &Path) -> Result<(), Error> {
        self.write(path, false)
    }

    /// Keeps what the combinations of a run agreed on, for the runs to come.
    pub fn keep_intercepts(&self, path: &Path, intercepts_q: &[i64]) -> Result<(), Error> {
        if self.header.intercepts_q.is_some() {
            return Ok(());
        }
        let mut kept = self.clone();
        kept.header.intercepts_q = Some(intercepts_q.to_vec());
        kept.write(path, true)
    }

    /// The canaries, at least one.
    #[must_use]
    pub fn canaries(&self) -> &[Canary] {
        &self.canaries
    }

    /// What earlier runs' combinations agreed on.
    #[must_use]
    pub fn intercepts_q(&self) -> Option<&[i64]> {
        self.header.intercepts_q.as_deref()
    }

    /// Whose word the answers are.
    #[must_use]
    pub fn source(&self) -> Source {
        self.header.source
    }

    fn check(&self, model: &Model) -> Result<(), &'static str> {
        if self.canaries.is_empty() {
            return Err("there is no vector with a known answer");
        }
        let quantizer = model.card().quantizer();
        let takes = |canary: &Canary| quantizer.quantize(&canary.features).is_ok();
        if !self.canaries.iter().all(|canary| takes(canary) && canary.expected.fits(model)) {
            return Err("a canary's features or answer are not such as this model has");
        }
        let answers = model.card().plan().answers();
        match &self.header.intercepts_q {
            Some(kept) if kept.len() != answers => Err(DAMAGED),
            _ => Ok(()),
        }
    }

    fn write(&self, path: &Path, replace: bool) -> Result<(), Error> {
        let line =
            |line: Result<String, serde_json::Error>| line.map_err(|error| Error::Output(error.into()));
        let mut text = line(serde_json::to_string(&self.header))?;
        text.push('\n');
        for canary in &self.canaries {
            text.push_str(&line(serde_json::to_string(canary))?);
            text.push('\n');
        }
        files::write_whole(path, text.as_bytes(), files::Readers::Owner, replace)
    }
}

const DAMAGED: &str = "this is no canaries file of this version, or it is damaged: make it again";
const OTHER_CARD: &str = "the canaries are of another circuit card than the gateway serves: ask its operator why, then make \
                          canaries for the new one";
