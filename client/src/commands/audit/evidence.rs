//! The receipts that the canary patients' answers came with, and the whole log that they are of.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tiresias_evidence::receipt::MAXIMUM_RECEIPT_BYTES;
use tokio::time::{Duration, Instant, sleep};

use super::check::Check;
use crate::{
    Error,
    cli::{AuditArgs, GatewayArgs, TrustArgs},
    commands::verify::receipts::judge,
    evidence::{Examined, Expected, Fault, Judgement, LogSource, LogTrust, Signed, Verdict, whole},
    files,
    http::Connection,
};

/// A log publishes a little behind its receipts: so long is waited for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A receipt's file and its worth.
#[derive(Serialize)]
pub(super) struct Line {
    receipt: String,
    #[serde(flatten)]
    judgement: Judgement,
}

/// Verifies the receipts in a folder, against the log as it is now, and every entry and tile of the log.
pub(super) async fn verify(
    check: &mut Check,
    args: &AuditArgs,
    log_keys: &[String],
    gateway: &GatewayArgs,
    receipts: &Path,
) -> Result<Vec<Line>, Error> {
    let trust = TrustArgs { log_key: log_keys.to_vec(), ..args.trust.clone() };
    let Some(trust) = LogTrust::read(&trust)? else {
        check.missing =
            Some("no log key was named: --log-key, as `tiresias-gateway log key` prints it".into());
        return Ok(Vec::new());
    };
    let mut connection = Connection::open(gateway).await?;
    let mut source = LogSource::gateway(&mut connection);
    let folders = [PathBuf::from(receipts)];
    let judged = match judge(&folders, (&None, &None), &trust, Some(&mut source)).await {
        Ok(judged) => judged,
        Err(Error::Usage(_)) => {
            check.find("no receipt came with the answers", "receipts");
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut worst = Verdict::Verified;
    let mut largest = 0;
    for (path, receipt, judgement) in &judged.receipts {
        worst = worst.max(judgement.verdict);
        largest = largest.max(receipt.as_ref().map_or(0, |receipt| receipt.index + 1));
        if judgement.is_invalid() {
            check.find(format!("an INVALID receipt: {}", judgement.reason), name(path));
        }
    }
    for (path, judgement) in &judged.discontinued {
        check.find(format!("a log that does not go on: {}", judgement.reason), name(path));
    }
    check.fact("Receipts", judged.receipts.len());
    check.fact("Their worth, the worst counts", worst);
    if let Some((_, _, judgement)) = judged.receipts.first() {
        check.fact("Why", &judgement.reason);
    }
    let changed = judged.receipts.first().and_then(|(path, _, _)| changed(path));
    check.control(
        "a receipt of this run with one digit changed: is INVALID",
        changed.is_some_and(|text| {
            Examined::new(Some(&text), &trust, &Expected::default()).judge(&trust, None).is_invalid()
        }),
    );
    match log(&mut source, &trust, largest).await {
        Ok(signed) => {
            check.fact("Log", &signed.checkpoint.origin);
            check.fact("Its leaves, all computed again", signed.checkpoint.size);
            check.fact("Its root", hex::encode(signed.checkpoint.root));
        }
        Err(fault) => check.find(format!("an INVALID log: {fault}"), "the log at the gateway"),
    }
    let lines =
        judged.receipts.into_iter().map(|(path, _, judgement)| Line { receipt: name(&path), judgement });
    Ok(lines.collect())
}

/// Reads the whole log, once it covers the receipts.
async fn log(source: &mut LogSource<'_>, trust: &LogTrust, least: u64) -> Result<Signed, Fault> {
    let started = Instant::now();
    let signed = loop {
        let signed = trust.open(&source.checkpoint().await?)?;
        if signed.checkpoint.size >= least {
            break signed;
        }
        if started.elapsed() > PATIENCE {
            return Err(Fault::Forked("its checkpoint does not cover the receipts"));
        }
        sleep(Duration::from_millis(100)).await;
    };
    whole::recompute(source, &signed.checkpoint, |_| {}).await?;
    Ok(signed)
}

/// A receipt with another digit in its proof, which is Base64.
fn changed(path: &Path) -> Option<String> {
    let text = String::from_utf8(files::read(path, MAXIMUM_RECEIPT_BYTES as u64).ok()?).ok()?;
    let (before, behind) = text.split_once("\nextra ")?;
    let first = behind.chars().next()?;
    let other = if first == 'A' { 'B' } else { 'A' };
    Some(format!("{before}\nextra {other}{}", behind.get(first.len_utf8()..)?))
}

/// A file's place in the audit's folder.
fn name(path: &Path) -> String {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    format!("receipts/{file}")
}
