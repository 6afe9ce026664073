//! A results file that a later run can complete. Until all rows are done, the results lie in `FILE.part` behind a line
//! that names the model and the features; then they become `FILE` in one step.
//!
//! It never overwrites a finished file, never mixes results of different features, and only its owner can read it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{Error, Model, files, inputs::Inputs, output::Found};

const FORMAT: &str = "tiresias-results/v1";

/// A line is shorter than 128 KiB (4,096 classes), a run of more than this many bytes is better cut in pieces.
const MAXIMUM_BYTES: u64 = 4 << 30;

/// The first line of the unfinished file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    format: String,
    model: String,
    /// Of the card that the run began with.
    pub version: u32,
    /// Of the card that the run began with.
    pub config_id: String,
    inputs: Vec<InputFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InputFile {
    name: String,
    sha256: String,
}

impl Header {
    /// For a run with this model over these features.
    #[must_use]
    pub fn new(model: &Model, inputs: &Inputs) -> Self {
        let files = inputs.sources().files().iter().zip(inputs.digests());
        Self {
            format: FORMAT.to_owned(),
            model: model.card().name().to_owned(),
            version: model.card().version(),
            config_id: model.config().to_string(),
            inputs: files
                .map(|(file, digest)| InputFile { name: file.name.clone(), sha256: digest.to_string() })
                .collect(),
        }
    }
}

/// What a result line says about its row.
#[derive(Deserialize)]
struct Mark {
    file: Option<String>,
    index: usize,
    #[serde(default)]
    canary_alarm: bool,
}

/// An unfinished results file, locked for this run.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    part: PathBuf,
    file: File,
    header: Header,
    /// By row of the sequence.
    lines: BTreeMap<usize, String>,
}

impl Results {
    /// Errors where the finished file is there already.
    pub fn refuse_finished(path: &Path) -> Result<(), Error> {
        files::refuse_existing(path)
    }

    /// Begins a results file, or continues one that the same command began.
    pub fn open(path: &Path, header: Header, inputs: &Inputs) -> Result<Self, Error> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let (file, is_new) = match fs::symlink_metadata(&part) {
            Ok(_) => (files::open_own(&part)?, false),
            Err(_) => (files::create_own(&part)?, true),
        };
        let mut results = Self { path: path.to_owned(), part, file, header, lines: BTreeMap::new() };
        results.file.try_lock().map_err(|_| results.refuse("another run is writing it"))?;
        // An empty one is of a run that died before its first line.
        if is_new || results.file.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            let line = serde_json::to_string(&results.header).map_err(|error| Error::Output(error.into()))?;
            results.append(&[&line])?;
            files::sync_directory_of(&results.part)?;
        } else {
            results.read(inputs)?;
        }
        Ok(results)
    }

    /// What the run began with.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Whether a row is done.
    #[must_use]
    pub fn has(&self, row: usize) -> bool {
        self.lines.contains_key(&row)
    }

    /// How many rows are done.
    #[must_use]
    pub fn done(&self) -> usize {
        self.lines.len()
    }

    /// Where unfinished results lie.
    #[must_use]
    pub fn part(&self) -> &Path {
        &self.part
    }

    /// Adds results of rows that were missing. Those of a run with a canary alarm stand in the unfinished file alone, and
    /// their rows are still missing.
    pub fn add(&mut self, found: Vec<(usize, Found<'_>)>) -> Result<(), Error> {
        let is_alarm = found.iter().any(|(_, found)| found.diagnosis.canary_alarm);
        let lines = found.into_iter().map(|(row, found)| Ok((row, serde_json::to_string(&found)?)));
        let lines: Vec<(usize, String)> =
            lines.collect::<Result<_, serde_json::Error>>().map_err(|error| Error::Output(error.into()))?;
        self.append(&lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>())?;
        if !is_alarm {
            self.lines.extend(lines);
        }
        Ok(())
    }

    /// Turns the results of all rows into the finished file and returns its path.
    pub fn finish(self) -> Result<PathBuf, Error> {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let at = files::at(&self.path);
        // Created for its owner alone.
        let mut whole = tempfile::Builder::new().prefix(".tiresias-").tempfile_in(parent).map_err(&at)?;
        for line in self.lines.values() {
            writeln!(whole, "{line}").map_err(&at)?;
        }
        whole.as_file().sync_all().map_err(&at)?;
        whole.persist_noclobber(&self.path).map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => Error::OutputExists { path: self.path.clone() },
            _ => at(error.error),
        })?;
        files::sync_directory_of(&self.path)?;
        // Windows removes no open file.
        drop(self.file);
        fs::remove_file(&self.part).map_err(files::at(&self.part))?;
        Ok(self.path.clone())
    }

    /// The error for unfinished results that do not fit.
    #[must_use]
    pub fn refuse(&self, reason: &'static str) -> Error {
        Error::Resume { path: self.part.clone(), reason }
    }

    /// Reads what an earlier run left, and cuts off a last line that it did not end.
    fn read(&mut self, inputs: &Inputs) -> Result<(), Error> {
        let bytes = files::read_open(&self.file, &self.part, MAXIMUM_BYTES)?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let text = std::str::from_utf8(&bytes[..whole]).map_err(|_| self.refuse("it is damaged"))?;
        let mut lines = text.lines();
        let header = lines.next().and_then(|line| serde_json::from_str::<Header>(line).ok());
        let header = header.ok_or_else(|| self.refuse("it is no unfinished results file of this version"))?;
        if header.format != self.header.format || header.model != self.header.model {
            return Err(self.refuse("it holds results of another model"));
        }
        if header.inputs != self.header.inputs {
            return Err(self.refuse("it holds results of other features files, or these have changed"));
        }
        for line in lines {
            let mark: Mark = serde_json::from_str(line).map_err(|_| self.refuse("it is damaged"))?;
            let row = inputs.sources().find(mark.file.as_deref(), mark.index);
            let row = row.ok_or_else(|| self.refuse("it holds a result of no row of the features"))?;
            if mark.canary_alarm {
                continue;
            }
            if self.lines.insert(row, line.to_owned()).is_some() {
                return Err(self.refuse("it holds two results of one row"));
            }
        }
        self.header = header;
        self.file.set_len(whole as u64).map_err(files::at(&self.part))?;
        Ok(())
    }

    fn append(&mut self, lines: &[&str]) -> Result<(), Error> {
        let mut text = String::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        let written = self.file.seek(SeekFrom::End(0)).and_then(|_| self.file.write_all(text.as_bytes()));
        written.and_then(|()| self.file.sync_all()).map_err(files::at(&self.part))
    }
}
