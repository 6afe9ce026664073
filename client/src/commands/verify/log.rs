//! Checkpoints, and a whole log.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;
use tiresias_evidence::{
    Checkpoint,
    note::{MAXIMUM_NOTE_BYTES, Note},
};

use crate::{
    Error,
    cli::VerifyArgs,
    evidence::{Fault, Lineage, LogSource, LogTrust, Signed, Verdict, whole},
    files, output,
};

/// What is printed of a log.
#[derive(Serialize)]
struct Line<'a> {
    verdict: Verdict,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// The log's name.
    log: Option<&'a str>,
    /// Leaves of the earlier checkpoint, where two were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_size: Option<u64>,
    /// Leaves.
    size: Option<u64>,
    /// The root, in base64 as in the checkpoint.
    root: Option<String>,
}

/// Checks that one checkpoint continues another. Without a key their signatures are not checked, and the verdict is UNWITNESSED.
pub(super) async fn consistency(
    args: &VerifyArgs,
    old: &Path,
    trust: Option<&LogTrust>,
    source: &mut LogSource<'_>,
) -> Result<Verdict, Error> {
    let old = read_note(old)?;
    let new = args.new.as_deref().map(read_note).transpose()?;
    let outcome = compare(&old, new, trust, source).await;
    let (old, new, fault) = match outcome {
        Ok((old, new)) => (Some(old), Some(new), None),
        Err((old, new, fault)) => (old, new, Some(fault)),
    };
    show(args, trust, old.as_ref(), new.as_ref(), fault.as_ref())
}

type Compared = Result<(Signed, Signed), (Option<Signed>, Option<Signed>, Fault)>;

async fn compare(
    old: &str,
    new: Option<String>,
    trust: Option<&LogTrust>,
    source: &mut LogSource<'_>,
) -> Compared {
    let old = open(trust, old).map_err(|fault| (None, None, fault))?;
    let new = match new {
        Some(note) => Ok(note),
        None => source.checkpoint().await,
    };
    let new = match new.and_then(|note| open(trust, &note)) {
        Ok(new) => new,
        Err(fault) => return Err((Some(old), None, fault)),
    };
    let held = if old.checkpoint.size > new.checkpoint.size {
        Err(Fault::Forked("the later checkpoint is of fewer leaves than the earlier one"))
    } else {
        Lineage::new(new.checkpoint.clone()).holds(source, &old.checkpoint).await
    };
    match held {
        Ok(()) => Ok((old, new)),
        Err(fault) => Err((Some(old), Some(new), fault)),
    }
}

/// Reads all of a log and computes it again.
pub(super) async fn whole(
    args: &VerifyArgs,
    trust: &LogTrust,
    source: &mut LogSource<'_>,
) -> Result<Verdict, Error> {
    let signed = match source.checkpoint().await.and_then(|note| trust.open(&note)) {
        Ok(signed) => signed,
        Err(fault) => return show(args, Some(trust), None, None, Some(&fault)),
    };
    let progress = output::leaves_progress(signed.checkpoint.size);
    let recomputed =
        whole::recompute(source, &signed.checkpoint, |leaves| progress.set_position(leaves)).await;
    progress.finish_and_clear();
    show(args, Some(trust), None, Some(&signed), recomputed.err().as_ref())
}

fn read_note(path: &Path) -> Result<String, Error> {
    let bytes = files::read(path, MAXIMUM_NOTE_BYTES as u64)?;
    // What is no text is no note either.
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

/// A checkpoint's note; without keys as it stands there.
fn open(trust: Option<&LogTrust>, note: &str) -> Result<Signed, Fault> {
    match trust {
        Some(trust) => trust.open(note),
        None => {
            let checkpoint = Checkpoint::parse(Note::parse(note)?.text())?;
            Ok(Signed { checkpoint, note: note.to_owned(), witnesses: 0 })
        }
    }
}

fn show(
    args: &VerifyArgs,
    trust: Option<&LogTrust>,
    old: Option<&Signed>,
    new: Option<&Signed>,
    fault: Option<&Fault>,
) -> Result<Verdict, Error> {
    let witnesses = new.map_or(0, |new| new.witnesses);
    let (verdict, reason) = match (fault, trust) {
        (Some(fault), _) => (Verdict::Invalid, fault.to_string()),
        (None, None) => (Verdict::Unwitnessed, "no log key was named: no signature was checked".to_owned()),
        (None, Some(trust)) if trust.is_quorum(witnesses) => (Verdict::Verified, trust.explain(witnesses)),
        (None, Some(trust)) => (Verdict::Unwitnessed, trust.explain(witnesses)),
    };
    let checkpoint = new.or(old).map(|signed| &signed.checkpoint);
    let line = Line {
        verdict,
        reason,
        code: fault.map(Fault::code),
        log: checkpoint.map(|checkpoint| checkpoint.origin.as_str()),
        old_size: old.map(|old| old.checkpoint.size),
        size: new.map(|new| new.checkpoint.size),
        root: new.map(|new| STANDARD.encode(new.checkpoint.root)),
    };
    if args.json {
        output::json(&line)?;
    } else {
        let what = match (&args.old, line.old_size, line.size) {
            (Some(_), Some(old), Some(new)) => format!("{old} leaves, continued to {new}"),
            (None, _, Some(size)) => format!("{size} leaves, all computed again"),
            _ => "no checkpoint that counts".to_owned(),
        };
        let log = line.log.unwrap_or("the log");
        output::line(&format!("{verdict} {log}: {what}: {}", line.reason))?;
    }
    if verdict == Verdict::Invalid { Err(Error::BadLog) } else { Ok(verdict) }
}
