//! The receipts of one run: kept as they come, and judged together when the last request was answered and before the first
//! answer is decrypted, so that what is read of the log cannot depend on an answer.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use tiresias_evidence::{Checkpoint, Hash};
use tokio::time::{Instant, sleep};

use super::{
    Examined, Exchange, Fault, Folder, Judgement, Lineage, LogSource, LogTrust, Repeats, Signed,
    folder::{RECEIPT, REQUEST, RESPONSE},
};
use crate::{Error, cli::EvidenceArgs, http::Connection};

/// A log publishes a little behind its receipts: so long is waited for it.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it is asked.
const PAUSE: Duration = Duration::from_millis(100);

/// The receipts of a run.
#[derive(Debug)]
pub struct Ledger {
    trust: Option<LogTrust>,
    folder: Option<Folder>,
    /// Of what was kept before the run, and then of the run too.
    repeats: Repeats,
    /// Checkpoints that were kept before the run.
    known: Vec<Checkpoint>,
}

/// What the receipts of a run are worth.
#[derive(Debug)]
pub struct Judged {
    /// One a request; none where no log key was named.
    pub judgements: Vec<Judgement>,
    /// An error where one of them is INVALID, or the newest checkpoint could not be kept.
    pub outcome: Result<(), Error>,
}

impl Ledger {
    /// What the options ask for; `None` where they ask for nothing. Reads what was kept before.
    pub fn open(args: &EvidenceArgs) -> Result<Option<Self>, Error> {
        Self::open_for(args, None)
    }

    /// The same for one request that may have been looked at before: what was kept of it is passed over.
    pub fn open_for(args: &EvidenceArgs, request: Option<Hash>) -> Result<Option<Self>, Error> {
        let trust = LogTrust::read(&args.trust)?;
        let folder = args.receipts.as_deref().map(Folder::make).transpose()?;
        if trust.is_none() && folder.is_none() {
            return Ok(None);
        }
        let mut ledger = Self { trust, folder, repeats: Repeats::default(), known: Vec::new() };
        if let (Some(trust), Some(folder)) = (&ledger.trust, &ledger.folder) {
            for receipt in folder.receipts()? {
                if request.is_none() || receipt.leaf.request != request {
                    // What is wrong among them was said when they came.
                    let _ = ledger.repeats.add(&receipt);
                }
            }
            for origin in trust.origins().collect::<BTreeSet<_>>() {
                ledger.known.extend(folder.checkpoint(origin)?);
            }
        }
        Ok(Some(ledger))
    }

    /// Whether bodies are kept.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.folder.is_some()
    }

    /// Keeps a request's bodies and its receipt, where a folder was named.
    pub fn keep(&self, exchange: &Exchange, request: &[u8], response: &[u8]) -> Result<(), Error> {
        let (Some(folder), Some(name)) = (&self.folder, exchange.name()) else { return Ok(()) };
        let mut parts = vec![(REQUEST, request), (RESPONSE, response)];
        parts.extend(exchange.receipt.as_ref().map(|receipt| (RECEIPT, receipt.as_bytes())));
        folder.keep(&name, &parts)
    }

    /// Keeps a receipt that has no bodies.
    pub fn keep_receipt(&self, exchange: &Exchange) -> Result<(), Error> {
        match (&self.folder, &exchange.receipt) {
            (Some(folder), Some(receipt)) => folder.keep_receipt(receipt),
            _ => Ok(()),
        }
    }

    /// Judges the receipts of requests, in the order in which they were sent, against the log of the gateway that gave them.
    pub async fn judge(&mut self, connection: &mut Connection, exchanges: &[&Exchange]) -> Judged {
        let Some(trust) = self.trust.clone() else { return Judged::nothing() };
        let mut examined = self.examine(&trust, exchanges);
        let current = self.read_log(&trust, connection, &mut examined).await;
        let outcome = current.as_ref().map_or(Ok(()), |log| self.remember(log, &examined));
        let current = current.map(|log| log.current);
        self.conclude(&trust, &examined, current.as_ref(), outcome)
    }

    /// The same without a gateway: the log is not read.
    pub fn judge_offline(&mut self, exchange: &Exchange) -> Judged {
        let Some(trust) = self.trust.clone() else { return Judged::nothing() };
        let mut examined = self.examine(&trust, &[exchange]);
        for examined in &mut examined {
            let same_size = |known: &&Checkpoint| {
                examined.good().is_some_and(|(_, signed)| {
                    let seen = &signed.checkpoint;
                    (&known.origin, known.size) == (&seen.origin, seen.size) && known.root != seen.root
                })
            };
            if self.known.iter().any(|known| same_size(&known)) {
                examined.fail(Fault::Forked("two checkpoints of one size have two roots"));
            }
        }
        self.conclude(&trust, &examined, None, Ok(()))
    }

    /// Looks at each receipt alone, and at what no two of them have in common.
    fn examine(&mut self, trust: &LogTrust, exchanges: &[&Exchange]) -> Vec<Examined> {
        let known = self.known.iter().map(|known| (known.origin.clone(), known.size));
        let mut sizes: HashMap<String, u64> = known.collect();
        let mut all = Vec::with_capacity(exchanges.len());
        for exchange in exchanges {
            let mut examined = Examined::new(exchange.receipt.as_deref(), trust, &exchange.expected);
            let fault = examined.good().and_then(|(receipt, signed)| {
                // The leaves under a checkpoint that was seen before the request was sent are none of its.
                let size = sizes.entry(signed.checkpoint.origin.clone()).or_default();
                if exchange.expected.sent.is_some() && receipt.index < *size {
                    return Some(Fault::Replayed);
                }
                *size = signed.checkpoint.size.max(*size);
                self.repeats.add(receipt).err()
            });
            if let Some(fault) = fault {
                examined.fail(fault);
            }
            all.push(examined);
        }
        all
    }

    /// Checks that the receipts, what was kept before and what the log shows now are of one log.
    async fn read_log(
        &self,
        trust: &LogTrust,
        connection: &mut Connection,
        examined: &mut [Examined],
    ) -> Option<Read> {
        let good = |examined: &Examined| Some(examined.good()?.1.checkpoint.clone());
        let largest = examined.iter().filter_map(good).map(|checkpoint| checkpoint.size).max()?;
        let stop = connection.stop().clone();
        let mut source = LogSource::gateway(connection);
        let current = match stop.or_insisted(shown(&mut source, trust, largest)).await {
            Ok(Ok(current)) => current,
            failed => {
                let fault = failed.unwrap_or_else(|error| Err(Fault::Unread(error.to_string()))).err();
                fail_all(examined, fault?);
                return None;
            }
        };
        let origin = &current.checkpoint.origin;
        let known = self.known.iter().filter(|known| known.origin == *origin);
        let mut line: Vec<(Option<usize>, Checkpoint)> = known.map(|known| (None, known.clone())).collect();
        let receipts = examined.iter().enumerate();
        line.extend(receipts.filter_map(|(at, examined)| Some((Some(at), good(examined)?))));
        line.sort_by_key(|(_, checkpoint)| checkpoint.size);
        let mut lineage = Lineage::new(current.checkpoint.clone());
        let mut discontinued = None;
        for (at, checkpoint) in &line {
            let held = stop.or_insisted(lineage.holds(&mut source, checkpoint)).await;
            let held = held.unwrap_or_else(|error| Err(Fault::Unread(error.to_string())));
            let Err(fault) = held else { continue };
            match at.and_then(|at| examined.get_mut(at)) {
                Some(examined) => examined.fail(fault),
                None => discontinued = Some(Fault::Kept(Box::new(fault))),
            }
        }
        if let Some(fault) = &discontinued {
            fail_all(examined, fault.clone());
        }
        Some(Read { newest: lineage.newest().clone(), current, discontinued })
    }

    /// Keeps the newest checkpoint; where the log has forked, what proves it.
    fn remember(&self, log: &Read, examined: &[Examined]) -> Result<(), Error> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let origin = &log.newest.origin;
        match &log.discontinued {
            Some(fault) if fault.code() == "log_unread" => Ok(()),
            Some(_) => folder.keep_fork(origin, &log.current.note),
            None => {
                let receipts = examined.iter().filter_map(|examined| Some(examined.good()?.1));
                let mut signed = std::iter::once(&log.current).chain(receipts);
                match signed.find(|signed| signed.checkpoint == log.newest) {
                    Some(signed) => folder.keep_checkpoint(origin, &signed.note),
                    // It is the one that was kept.
                    None => Ok(()),
                }
            }
        }
    }

    fn conclude(
        &self,
        trust: &LogTrust,
        examined: &[Examined],
        current: Option<&Signed>,
        outcome: Result<(), Error>,
    ) -> Judged {
        let judgements: Vec<Judgement> =
            examined.iter().map(|examined| examined.judge(trust, current)).collect();
        let invalid = judgements.iter().filter(|judgement| judgement.is_invalid()).count();
        let bad = || Error::BadReceipt {
            invalid,
            receipts: judgements.len(),
            kept: self.folder.as_ref().map(|folder| folder.path().to_owned()),
        };
        let outcome = if invalid > 0 { Err(bad()) } else { outcome };
        Judged { judgements, outcome }
    }
}

impl Judged {
    fn nothing() -> Self {
        Self { judgements: Vec::new(), outcome: Ok(()) }
    }
}

/// What was read of a log.
struct Read {
    /// The checkpoint that it shows.
    current: Signed,
    /// The largest that was found to be of it.
    newest: Checkpoint,
    /// Why it is not the log that was seen before.
    discontinued: Option<Fault>,
}

/// The checkpoint that a log shows: the first one that covers so many leaves, or the last one that could be waited for.
async fn shown(source: &mut LogSource<'_>, trust: &LogTrust, size: u64) -> Result<Signed, Fault> {
    let started = Instant::now();
    loop {
        let signed = trust.open(&source.checkpoint().await?)?;
        if signed.checkpoint.size >= size || started.elapsed() > PATIENCE {
            return Ok(signed);
        }
        sleep(PAUSE).await;
    }
}

fn fail_all(examined: &mut [Examined], fault: Fault) {
    examined.iter_mut().for_each(|examined| examined.fail(fault.clone()));
}
