//! `tiresias-gateway approve`: a member of the council signs what a version's approval says, or takes the signature back.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde_json::json;
use tiresias_evidence::{LogKey, ModelCard, model_card::MAXIMUM_MODEL_CARD_BYTES, note::Note};
use zeroize::Zeroizing;

use super::{CARD_FILE, MAXIMUM_NOTE, NOTE_FILE, SALT_FILE, exists, expected, read_card, read_note};
use crate::{
    cli::ApproveArgs,
    log::{
        self,
        keys::{draw, parse, read_own, write_own},
    },
    repository::{self, Repository, StoredModel, read_file},
};

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model or a file could not be read.
    #[error(transparent)]
    Repository(#[from] repository::Error),
    /// Approval, model card or salt could not be read.
    #[error(transparent)]
    Governance(#[from] super::Error),
    /// A key could not be read, or a file not written.
    #[error(transparent)]
    File(#[from] log::Error),
    /// There is no model card yet.
    #[error("the version has no model card: name one with --model-card")]
    NoCard,
    /// A card beside another one.
    #[error(
        "another model card of this version was signed: withdraw those signatures, or import the model as a new version"
    )]
    OtherCard,
    /// A note that is not this approval.
    #[error("--add: the note is not this version's approval, word for word")]
    OtherNote,
    /// A key file that is none.
    #[error("{path}: not a key of this command's: one line of PRIVATE+KEY+name+id+base64", path = .0.display())]
    Key(PathBuf),
    /// A new key without a name.
    #[error("the key file is not there: name the approver with --approver to have one made")]
    NoApprover,
    /// Nothing to take back.
    #[error("this key has not signed the approval")]
    NotSigned,
    /// The operating system gave no entropy.
    #[error("the operating system gave no entropy")]
    Entropy(#[from] getrandom::Error),
    /// Standard output is gone.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Repository(error) => error.code(),
            Self::Governance(error) => error.code(),
            Self::File(error) => error.code(),
            Self::NoCard => "no_model_card",
            Self::OtherCard => "other_model_card",
            Self::OtherNote => "other_approval",
            Self::Key(_) => "bad_approver_key",
            Self::NoApprover => "no_approver_key",
            Self::NotSigned => "not_signed",
            Self::Entropy(_) => "entropy",
            Self::Output(_) => "output",
        }
    }
}

/// Signs a version's approval, and shows what was signed and by whom.
pub fn approve(args: &ApproveArgs, out: &mut impl Write) -> Result<(), Error> {
    let repository = Repository::new(&args.model.repo);
    let stored = repository.load(&args.model.name, args.model.version)?;
    let directory = repository.directory(stored.card.name(), stored.card.version());
    let key = args.key.as_deref().map(|path| open_key(path, args.approver.as_deref())).transpose()?;
    match (&key, args.withdraw) {
        (Some(key), true) => withdraw(&directory.join(NOTE_FILE), key)?,
        _ => sign(args, &stored, &directory, key.as_ref())?,
    }
    show(args, &stored, &directory, key.as_ref(), out)
}

fn sign(
    args: &ApproveArgs,
    stored: &StoredModel,
    directory: &Path,
    key: Option<&LogKey>,
) -> Result<(), Error> {
    let path = directory.join(NOTE_FILE);
    let text = propose(args, stored, directory)?;
    let mut lines = lines_of(&path, &text)?;
    if let Some(added) = &args.add {
        let note = read_text(added)?;
        let parsed = Note::parse(&note).ok().filter(|note| note.text() == text).ok_or(Error::OtherNote)?;
        lines.extend(parsed.signature_lines().map(str::to_owned));
    }
    lines.extend(key.map(|key| key.signature_line(&text).trim_end().to_owned()));
    write_note(&path, &text, lines)
}

/// The text of the version's approval. Puts the model card and a salt in their places where they are new.
fn propose(args: &ApproveArgs, stored: &StoredModel, directory: &Path) -> Result<String, Error> {
    let place = directory.join(CARD_FILE);
    if let Some(path) = &args.model_card {
        let bytes = read_file(path, MAXIMUM_MODEL_CARD_BYTES as u64)?;
        ModelCard::parse(&bytes).map_err(|source| super::Error::Malformed { path: path.clone(), source })?;
        if !exists(&directory.join(NOTE_FILE))? {
            write_own(&place, &bytes)?;
        } else if read_card(directory)? != bytes {
            return Err(Error::OtherCard);
        }
    } else if !exists(&place)? {
        return Err(Error::NoCard);
    }
    let salt = directory.join(SALT_FILE);
    if !exists(&salt)? {
        let mut drawn = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *drawn)?;
        write_own(&salt, Zeroizing::new(hex::encode(drawn.as_slice())).as_bytes())?;
    }
    Ok(expected(stored, directory, &read_card(directory)?)?.text())
}

/// The signature lines of a version's approval, which says this; none where there is no approval yet.
fn lines_of(path: &Path, text: &str) -> Result<Vec<String>, Error> {
    if !exists(path)? {
        return Ok(Vec::new());
    }
    let (note, approval, _) = read_note(path, &[])?;
    if approval.text() != text {
        let rule =
            "it approves another state of this version: remove the file, and have the version approved anew";
        return Err(super::Error::Foreign { path: path.to_owned(), rule }.into());
    }
    let note =
        Note::parse(&note).map_err(|source| super::Error::Malformed { path: path.to_owned(), source })?;
    Ok(note.signature_lines().map(str::to_owned).collect())
}

fn write_note(path: &Path, text: &str, mut lines: Vec<String>) -> Result<(), Error> {
    lines.sort_unstable();
    lines.dedup();
    let lines: String = lines.into_iter().map(|line| line + "\n").collect();
    Ok(write_own(path, format!("{text}\n{lines}").as_bytes())?)
}

/// Takes the signature of `key` back. With the last one goes the approval.
fn withdraw(path: &Path, key: &LogKey) -> Result<(), Error> {
    let text = read_note(path, &[])?.1.text();
    let mut lines = lines_of(path, &text)?;
    let (own, before) = (key.signature_line(&text), lines.len());
    lines.retain(|line| line != own.trim_end());
    match lines.len() {
        left if left == before => Err(Error::NotSigned),
        0 => fs::remove_file(path)
            .map_err(|source| repository::Error::Io { path: path.to_owned(), source }.into()),
        _ => write_note(path, &text, lines),
    }
}

/// The approver's key, which is made on first use.
fn open_key(path: &Path, approver: Option<&str>) -> Result<LogKey, Error> {
    if !exists(path)? {
        let name = approver.ok_or(Error::NoApprover)?;
        write_own(path, draw(Some(name), path)?.as_bytes())?;
    }
    parse(read_own(path)?.trim_end()).ok_or_else(|| Error::Key(path.to_owned()))
}

fn read_text(path: &Path) -> Result<String, Error> {
    Ok(String::from_utf8_lossy(&read_file(path, MAXIMUM_NOTE)?).into_owned())
}

fn show(
    args: &ApproveArgs,
    stored: &StoredModel,
    directory: &Path,
    key: Option<&LogKey>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let path = directory.join(NOTE_FILE);
    let note = if exists(&path)? { read_text(&path)? } else { String::new() };
    let signers: Vec<&str> = match Note::parse(&note) {
        Ok(note) => note.signature_lines().filter_map(|line| line.split(' ').nth(1)).collect(),
        Err(_) => Vec::new(),
    };
    let key = key.map(|key| key.verifier().to_string());
    if args.model.json {
        let line = json!({
            "name": stored.card.name(), "version": stored.card.version(), "config_id": stored.config.to_string(),
            "signers": signers, "approval": note, "key": key,
        });
        return Ok(writeln!(out, "{line}")?);
    }
    writeln!(out, "{}", String::from_utf8_lossy(&read_card(directory)?).trim_end())?;
    writeln!(out, "\n{}", note.trim_end())?;
    writeln!(out, "\n{} signed", signers.len())?;
    if let Some(key) = key {
        writeln!(out, "this approver's key, for [governance] approvers:\n{key}")?;
    }
    Ok(())
}
