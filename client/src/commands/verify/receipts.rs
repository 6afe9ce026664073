//! Receipts: alone, with the bodies that they are of, and against the log.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;
use tiresias_evidence::{Event, Leaf, Receipt, receipt::MAXIMUM_RECEIPT_BYTES};

use crate::{
    Error,
    cli::VerifyArgs,
    clock::{self, utc},
    evidence::{
        Examined, Expected, Fault, Folder, Judgement, Lineage, LogSource, LogTrust, Repeats, Signed, Tensor,
        Verdict,
        bodies::{MAXIMUM_BODY, Saved},
        folder::{RECEIPT, REQUEST, RESPONSE},
    },
    files, output,
};

/// A receipt and the bodies that it is of, as files.
struct Files {
    receipt: PathBuf,
    request: Option<PathBuf>,
    response: Option<PathBuf>,
}

/// What is printed of a receipt.
#[derive(Serialize)]
struct Line<'a> {
    /// Its file.
    receipt: String,
    #[serde(flatten)]
    judgement: &'a Judgement,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaf: Option<LeafLine>,
}

/// What a leaf says, besides its time.
#[derive(Serialize)]
struct LeafLine {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<String>,
    build: String,
}

impl From<&Leaf> for LeafLine {
    fn from(leaf: &Leaf) -> Self {
        Self {
            event: leaf.event.name(),
            model: leaf.model.map(hex::encode),
            config: leaf.config.map(hex::encode),
            key: leaf.key.map(hex::encode),
            approval: leaf.approval.map(hex::encode),
            build: hex::encode(leaf.build),
        }
    }
}

/// What receipts turned out to be worth.
pub(crate) struct Judged {
    /// Each receipt's file, what could be read of it, and its worth.
    pub(crate) receipts: Vec<(PathBuf, Option<Receipt>, Judgement)>,
    /// Checkpoints in folders that the log does not continue.
    pub(crate) discontinued: Vec<(PathBuf, Judgement)>,
}

/// Verifies all receipts that are named, against the log where there is one.
pub(super) async fn verify(
    args: &VerifyArgs,
    trust: &LogTrust,
    source: Option<&mut LogSource<'_>>,
) -> Result<Verdict, Error> {
    let judged = judge(&args.receipts, (&args.request, &args.response), trust, source).await?;
    let mut counts = [0_usize; 3];
    for (path, receipt, judgement) in &judged.receipts {
        counts[judgement.verdict as usize] += 1;
        show(args, path, receipt.as_ref(), judgement)?;
    }
    for (path, judgement) in &judged.discontinued {
        show(args, path, None, judgement)?;
    }
    let [verified, unwitnessed, invalid] = counts;
    let receipts = judged.receipts.len();
    if !args.json && receipts > 1 {
        output::line(&format!(
            "{receipts} receipts: {verified} VERIFIED, {unwitnessed} UNWITNESSED, {invalid} INVALID"
        ))?;
    }
    match (invalid, unwitnessed) {
        (0, _) if !judged.discontinued.is_empty() => Err(Error::BadLog),
        (0, 0) => Ok(Verdict::Verified),
        (0, _) => Ok(Verdict::Unwitnessed),
        _ => Err(Error::BadReceipt { invalid, receipts, kept: None }),
    }
}

/// Judges receipts and those in folders, the one of `bodies` with what it is of, against the log where there is one.
pub(crate) async fn judge(
    receipts: &[PathBuf],
    bodies: (&Option<PathBuf>, &Option<PathBuf>),
    trust: &LogTrust,
    mut source: Option<&mut LogSource<'_>>,
) -> Result<Judged, Error> {
    let named = named(receipts, bodies)?;
    let mut all = Vec::with_capacity(named.len());
    for files in named {
        let examined = examine(&files, trust)?;
        all.push((files, examined));
    }
    // In the order of the log, so that what is there twice is the later one's fault.
    all.sort_by_key(|(_, examined)| examined.receipt().map(|receipt| receipt.index));
    let mut repeats = Repeats::default();
    for (_, examined) in &mut all {
        let repeated = examined.good().and_then(|(receipt, _)| repeats.add(receipt).err());
        repeated.into_iter().for_each(|fault| examined.fail(fault));
    }
    let read = match source.as_mut() {
        Some(source) => {
            let examined = all.iter_mut().map(|(_, examined)| examined).collect();
            read_log(receipts, source, trust, examined).await?
        }
        None => Read::default(),
    };
    let judged = all.into_iter().map(|(files, examined)| {
        let judgement = examined.judge(trust, read.current.as_ref());
        (files.receipt, examined.receipt().cloned(), judgement)
    });
    Ok(Judged { receipts: judged.collect(), discontinued: read.discontinued })
}

/// The receipts that the command names, each once.
fn named(
    receipts: &[PathBuf],
    (request, response): (&Option<PathBuf>, &Option<PathBuf>),
) -> Result<Vec<Files>, Error> {
    let mut named = Vec::new();
    let mut seen = BTreeSet::new();
    for path in receipts {
        if !path.is_dir() {
            let (request, response) = (request.clone(), response.clone());
            named.push(Files { receipt: path.clone(), request, response });
            continue;
        }
        let folder = Folder::at(path);
        for name in folder.names()? {
            let file = |ending| Some(folder.file(&name, ending)).filter(|path| path.is_file());
            let (request, response) = (file(REQUEST), file(RESPONSE));
            named.push(Files { receipt: folder.file(&name, RECEIPT), request, response });
        }
    }
    let is_one = named.len() == 1 && !receipts.iter().any(|path| path.is_dir());
    if (request.is_some() || response.is_some()) && !is_one {
        return Err(Error::Usage("--request and --response go with one receipt"));
    }
    named.retain(|files| {
        let path = fs::canonicalize(&files.receipt).unwrap_or_else(|_| files.receipt.clone());
        seen.insert(path)
    });
    if named.is_empty() { Err(Error::Usage("there is no receipt in what was named")) } else { Ok(named) }
}

/// Looks at one receipt, and at the bodies beside it.
fn examine(files: &Files, trust: &LogTrust) -> Result<Examined, Error> {
    // In a folder, an answer may stand there without a receipt.
    let has_receipt = files.receipt.is_file() || files.response.is_none();
    let text = match has_receipt {
        true => match files::read(&files.receipt, MAXIMUM_RECEIPT_BYTES as u64 + 1) {
            // What is no text, or too long, is no receipt.
            Ok(bytes) => Some(String::from_utf8(bytes).unwrap_or_default()),
            Err(Error::TooLarge { .. }) => Some(String::new()),
            Err(error) => return Err(error),
        },
        false => None,
    };
    let mut fault = None;
    let mut hash = |path: &Option<PathBuf>, tensor| -> Result<_, Error> {
        let Some(path) = path else { return Ok(None) };
        match Saved::read(&files::read(path, MAXIMUM_BODY)?, tensor) {
            Ok(saved) => Ok(Some(saved.hash)),
            Err(wrong) => {
                fault.get_or_insert(wrong);
                Ok(None)
            }
        }
    };
    let request = hash(&files.request, Tensor::Input)?;
    let response = hash(&files.response, Tensor::Output)?;
    let event = (files.request.is_some() || files.response.is_some()).then_some(Event::Answer);
    let received = clock::seconds();
    let expected = Expected { event, request, response, received, ..Expected::default() };
    let mut examined = Examined::new(text.as_deref(), trust, &expected);
    fault.into_iter().for_each(|fault| examined.fail(fault));
    Ok(examined)
}

/// What was read of the log.
#[derive(Default)]
struct Read {
    /// What it shows now.
    current: Option<Signed>,
    /// Checkpoints in folders that it does not continue.
    discontinued: Vec<(PathBuf, Judgement)>,
}

/// Checks that the log continues the checkpoint of each receipt, and those that were kept in the folders.
async fn read_log(
    receipts: &[PathBuf],
    source: &mut LogSource<'_>,
    trust: &LogTrust,
    mut examined: Vec<&mut Examined>,
) -> Result<Read, Error> {
    let current = match source.checkpoint().await.and_then(|note| trust.open(&note)) {
        Ok(current) => current,
        Err(fault) => {
            examined.iter_mut().for_each(|examined| examined.fail(fault.clone()));
            return Ok(Read::default());
        }
    };
    let mut lineage = Lineage::new(current.checkpoint.clone());
    examined.sort_by_key(|examined| examined.good().map(|(_, signed)| signed.checkpoint.size));
    for examined in examined {
        let Some((_, signed)) = examined.good() else { continue };
        let checkpoint = signed.checkpoint.clone();
        if let Err(fault) = lineage.holds(source, &checkpoint).await {
            examined.fail(fault);
        }
    }
    let (mut discontinued, origin) = (Vec::new(), &current.checkpoint.origin);
    for folder in receipts.iter().filter(|path| path.is_dir()).map(|path| Folder::at(path)) {
        let Some(known) = folder.checkpoint(origin)? else { continue };
        if let Err(fault) = lineage.holds(source, &known).await {
            let judgement = Fault::Kept(Box::new(fault)).judge(origin);
            discontinued.push((folder.checkpoint_path(origin), judgement));
        }
    }
    Ok(Read { current: Some(current), discontinued })
}

fn show(
    args: &VerifyArgs,
    path: &Path,
    receipt: Option<&Receipt>,
    judgement: &Judgement,
) -> Result<(), Error> {
    let file = path.display().to_string();
    if args.json {
        let leaf = receipt.map(|receipt| LeafLine::from(&receipt.leaf));
        return output::json(&Line { receipt: file, judgement, leaf });
    }
    let leaf = receipt.map_or_else(String::new, |receipt| {
        let (index, event) = (receipt.index, receipt.leaf.event.name());
        let log = judgement.log.as_deref().unwrap_or("a log");
        format!("leaf {index} of {log}, {event}, {}: ", utc(receipt.leaf.time))
    });
    output::line(&format!("{:11} {file}: {leaf}{}", judgement.verdict, judgement.reason))
}
