//! The results file of a cohort: a line a patient, as CSV or JSON.

use std::{
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use serde::Serialize;
use tempfile::NamedTempFile;
use tiresias_circuits::scores;

use crate::{Error, Model, files};

/// How the file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    JsonLines,
}

impl Format {
    /// By the file's name.
    pub(super) fn of(path: &Path) -> Result<Self, Error> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("csv") => Ok(Self::Csv),
            Some("jsonl") => Ok(Self::JsonLines),
            _ => Err(Error::Usage("--out: name a file that ends in .csv or .jsonl")),
        }
    }
}

/// A file that is not there under its name yet.
pub(super) struct Table<'a> {
    path: PathBuf,
    model: &'a Model,
    sink: Sink,
    index: u64,
}

enum Sink {
    Csv(Box<csv::Writer<NamedTempFile>>),
    JsonLines(BufWriter<NamedTempFile>),
}

#[derive(Serialize)]
struct Line<'a> {
    index: u64,
    label: Option<&'a str>,
    scores_q: &'a [i64],
    scores: &'a [f64],
    margin: f64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    far_out: bool,
}

impl<'a> Table<'a> {
    /// Begins the file, for its owner alone.
    pub(super) fn create(path: &Path, format: Format, model: &'a Model) -> Result<Self, Error> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let file =
            tempfile::Builder::new().prefix(files::UNFINISHED).tempfile_in(parent.unwrap_or(Path::new(".")));
        let file = file.map_err(files::at(path))?;
        let sink = match format {
            Format::JsonLines => Sink::JsonLines(BufWriter::with_capacity(1 << 20, file)),
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new().buffer_capacity(1 << 20).from_writer(file);
                let scores = model.card().labels().iter().map(|label| format!("score {label}"));
                let header =
                    ["index", "label", "margin", "far_out"].map(str::to_owned).into_iter().chain(scores);
                writer.write_record(header).map_err(|error| files::at(path)(error.into()))?;
                Sink::Csv(Box::new(writer))
            }
        };
        Ok(Self { path: path.to_owned(), model, sink, index: 0 })
    }

    /// Adds the next patient.
    pub(super) fn add(&mut self, scores_q: Vec<i64>, far_out: bool) -> Result<(), Error> {
        let card = self.model.card();
        let reading = scores::read(&scores_q, card.score_scale());
        let label = reading.class.and_then(|class| card.labels().get(class)).map(String::as_str);
        let written = match &mut self.sink {
            Sink::Csv(writer) => {
                let front = [
                    self.index.to_string(),
                    label.unwrap_or("none").to_owned(),
                    reading.margin.to_string(),
                    u8::from(far_out).to_string(),
                ];
                let scores = reading.scores.iter().map(ToString::to_string);
                writer.write_record(front.into_iter().chain(scores)).map_err(std::io::Error::from)
            }
            Sink::JsonLines(writer) => {
                let line = Line {
                    index: self.index,
                    label,
                    scores_q: &scores_q,
                    scores: &reading.scores,
                    margin: reading.margin,
                    far_out,
                };
                let line = serde_json::to_string(&line).map_err(|error| Error::Output(error.into()))?;
                writeln!(writer, "{line}")
            }
        };
        self.index += 1;
        written.map_err(files::at(&self.path))
    }

    /// Gives the whole file its name.
    pub(super) fn finish(self) -> Result<(), Error> {
        let io = files::at(&self.path);
        let file = match self.sink {
            Sink::Csv(writer) => writer.into_inner().map_err(|error| io(error.into_error()))?,
            Sink::JsonLines(writer) => writer.into_inner().map_err(|error| io(error.into_error()))?,
        };
        file.as_file().sync_all().map_err(&io)?;
        file.persist_noclobber(&self.path).map_err(|failed| match failed.error.kind() {
            std::io::ErrorKind::AlreadyExists => Error::OutputExists { path: self.path.clone() },
            _ => io(failed.error),
        })?;
        files::sync_directory_of(&self.path)
    }
}
