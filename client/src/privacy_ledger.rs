//! How much may still be told of a clinic's patients with noise: a ledger on its disk.
//!
//! ```text
//! {"privacy_ledger":1,"epsilon":8.0,"delta":0.00001}
//! {"entry":1,"at":"2026-11-27 22:13 UTC","of":"tiresias learn","rho":"0.043177213104"}
//! ```
//!
//! A line is added, and on the disk, before the first noise is drawn; what fails afterwards stays charged. Costs are in
//! zero-concentrated differential privacy, which add up, rounded up to 10^-12; what the ledger allows is the largest one that implies its
//! epsilon and delta, rounded down. A line that a crash has cut off was never used, and goes when the next one is written.
//!
//! A ledger is of patients: whoever tells of the same patients uses the same file. It protects from mistakes, not from who may change it.

use std::{
    fs::{File, TryLockError},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tiresias_synth::{Budget, budget::epsilon};

use crate::{Error, cli::LedgerArgs, clock, error::Learning, files};

/// Ledgers may be this large.
const MAXIMUM_BYTES: u64 = 16 << 20;

/// Parts of a cost that are counted.
const PARTS: f64 = 1e12;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Title {
    privacy_ledger: u32,
    epsilon: f64,
    delta: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    entry: usize,
    at: String,
    of: String,
    /// With twelve decimals.
    rho: String,
}

/// An open ledger, which no other command can open meanwhile.
#[derive(Debug)]
pub struct PrivacyLedger {
    path: PathBuf,
    file: File,
    delta: f64,
    /// In parts.
    allowed: u64,
    spent: u64,
    entries: usize,
    /// Where the next line goes.
    end: u64,
}

/// What is left behind an entry.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Left {
    /// The number of the entry.
    pub entry: usize,
    /// What may still be told, as an epsilon at the ledger's delta.
    pub epsilon: f64,
    /// That delta.
    pub delta: f64,
}

impl PrivacyLedger {
    /// The ledger that a command names.
    pub(crate) fn of(args: &LedgerArgs) -> Result<Self, Error> {
        let path = args.ledger.as_ref().ok_or(Error::Usage("--epsilon needs --ledger"))?;
        Self::open(path, args.ledger_epsilon.zip(args.ledger_delta))
    }

    /// Opens a ledger, or makes one for a budget where there is none. A budget that is given must be that of the ledger.
    pub fn open(path: &Path, budget: Option<(f64, f64)>) -> Result<Self, Error> {
        let wrong = |reason| Learning::LedgerBudget { path: path.to_owned(), reason };
        let budget = budget.map(|(epsilon, delta)| {
            Budget::new(epsilon, delta)
                .map_err(|source| Error::from(Learning::Synth { path: path.to_owned(), source }))?;
            Ok::<_, Error>((epsilon, delta))
        });
        let budget = budget.transpose()?;
        if path.symlink_metadata().is_err() {
            let (epsilon, delta) = budget.ok_or_else(|| {
                wrong("there is no privacy ledger: --ledger-epsilon and --ledger-delta make one, with what may be told of these patients in all")
            })?;
            let mut line = line(&Title { privacy_ledger: 1, epsilon, delta })?;
            line.push('\n');
            files::write_whole(path, line.as_bytes(), files::Readers::Owner, false)?;
        }
        let mut file = files::open_own(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Learning::LedgerInUse { path: path.to_owned() }.into());
            }
            Err(TryLockError::Error(error)) => return Err(files::at(path)(error)),
        }
        let mut bytes = Vec::new();
        (&mut file).take(MAXIMUM_BYTES + 1).read_to_end(&mut bytes).map_err(files::at(path))?;
        if bytes.len() as u64 > MAXIMUM_BYTES {
            return Err(Error::TooLarge { path: path.to_owned() });
        }
        let ledger = Self::read(path, file, &bytes)?;
        match budget {
            Some((epsilon, delta)) if (ledger.allowed, ledger.delta) != (allowed(epsilon, delta), delta) => {
                Err(wrong("this privacy ledger was made for another epsilon and delta, which stand in its first line").into())
            }
            _ => Ok(ledger),
        }
    }

    fn read(path: &Path, file: File, bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |line, reason| Learning::Ledger { path: path.to_owned(), line, reason };
        // What stands behind the last end of a line was never used.
        let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let mut lines = bytes[..end].split_inclusive(|&byte| byte == b'\n').enumerate();
        const TITLE: &str = "the first line of a privacy ledger names its epsilon and delta";
        let title: Option<Title> = lines.next().and_then(|(_, line)| serde_json::from_slice(line).ok());
        let title = title.filter(|title| title.privacy_ledger == 1).ok_or_else(|| wrong(1, TITLE))?;
        Budget::new(title.epsilon, title.delta).map_err(|_| wrong(1, TITLE))?;
        let allowed = allowed(title.epsilon, title.delta);
        let mut ledger = Self {
            path: path.to_owned(),
            file,
            delta: title.delta,
            allowed,
            spent: 0,
            entries: 0,
            end: end as u64,
        };
        for (at, line) in lines {
            const ENTRY: &str = "this is no entry, or one is missing before it: get the ledger back as it was, for without it nobody knows what \
                                 was told";
            let entry: Entry = serde_json::from_slice(line).map_err(|_| wrong(at + 1, ENTRY))?;
            let spent = parts(&entry.rho).and_then(|parts| ledger.spent.checked_add(parts));
            match spent {
                Some(spent) if entry.entry == at => ledger.spent = spent,
                _ => return Err(wrong(at + 1, ENTRY).into()),
            }
            ledger.entries = at;
        }
        Ok(ledger)
    }

    /// Charges a cost in zero-concentrated differential privacy, before the noise that goes with it is drawn.
    pub fn charge(&mut self, of: &str, rho: f64) -> Result<Left, Error> {
        let left = self.allowed.saturating_sub(self.spent);
        // Not a number and what is too large are more than is left.
        let asked = if rho >= 0.0 { ((rho * PARTS).ceil() as u64).max(1) } else { u64::MAX };
        if asked > left {
            let (left, asked) = (self.epsilon(left), epsilon(rho, self.delta));
            return Err(Learning::Spent { path: self.path.clone(), left, asked }.into());
        }
        let entry = self.entries + 1;
        let rho = format!("{}.{:012}", asked / PARTS as u64, asked % PARTS as u64);
        let mut line = line(&Entry { entry, at: clock::now(), of: of.to_owned(), rho })?;
        line.push('\n');
        let written = self.file.set_len(self.end).and_then(|()| self.file.seek(SeekFrom::Start(self.end)));
        let written = written.and_then(|_| self.file.write_all(line.as_bytes()));
        written.and_then(|()| self.file.sync_all()).map_err(files::at(&self.path))?;
        self.end += line.len() as u64;
        self.entries = entry;
        self.spent += asked;
        Ok(Left { entry, epsilon: self.epsilon(left - asked), delta: self.delta })
    }

    fn epsilon(&self, parts: u64) -> f64 {
        epsilon(parts as f64 / PARTS, self.delta)
    }
}

/// What a budget allows, in parts.
fn allowed(epsilon: f64, delta: f64) -> u64 {
    Budget::new(epsilon, delta).map_or(0, |budget| (budget.rho() * PARTS).floor() as u64)
}

/// A number with twelve decimals, in parts.
fn parts(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.')?;
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !(are_digits(whole) && are_digits(decimals) && decimals.len() == 12) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(PARTS as u64)?.checked_add(decimals.parse().ok()?)
}

fn line(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Output(error.into()))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    fn code(result: Result<impl std::fmt::Debug, Error>) -> String {
        result.unwrap_err().code().to_owned()
    }

    #[test]
    fn what_is_spent_is_refused_and_outlives_the_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.jsonl");
        assert_eq!(code(PrivacyLedger::open(&path, None)), "privacy_ledger_budget");
        assert_eq!(code(PrivacyLedger::open(&path, Some((0.0, 1e-5)))), "budget");
        let rho = Budget::new(1.0, 1e-5).unwrap().rho();
        let mut ledger = PrivacyLedger::open(&path, Some((1.0, 1e-5))).unwrap();
        assert_eq!(code(PrivacyLedger::open(&path, None)), "privacy_ledger_in_use");
        let left = ledger.charge("a test", rho / 2.0).unwrap();
        assert!(left.entry == 1 && left.epsilon < 1.0 && left.epsilon > 0.5, "{left:?}");
        assert_eq!(code(ledger.charge("a test", rho)), "privacy_spent");
        assert_eq!(code(ledger.charge("a test", f64::NAN)), "privacy_spent");
        assert_eq!(code(ledger.charge("a test", -1.0)), "privacy_spent");
        drop(ledger);
        let mut ledger = PrivacyLedger::open(&path, None).unwrap();
        let left = ledger.charge("a test", rho / 2.0 - 1e-11).unwrap();
        assert!(left.entry == 2 && left.epsilon < 1e-4, "{left:?}");
        assert_eq!(code(ledger.charge("a test", 2e-11)), "privacy_spent");
        drop(ledger);
        assert_eq!(code(PrivacyLedger::open(&path, Some((2.0, 1e-5)))), "privacy_ledger_budget");
        PrivacyLedger::open(&path, Some((1.0, 1e-5))).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains(r#""entry":2"#) && text.contains("a test"), "{text}");
    }

    #[test]
    fn a_line_that_was_cut_off_is_written_over_and_a_changed_one_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ledger.jsonl");
        PrivacyLedger::open(&path, Some((1.0, 1e-5))).unwrap().charge("one", 0.001).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"entry":2,"at":"a long text that goes on and on, far beyond what the next line is long, as a cr"#).unwrap();
        let left = PrivacyLedger::open(&path, None).unwrap().charge("two", 0.001).unwrap();
        assert_eq!(left.entry, 2);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(&whole) && text.ends_with("}\n") && text.lines().count() == 3, "{text}");
        for bad in [
            text.replace(r#""entry":1"#, r#""entry":3"#),
            text.replace(r#""rho":"0."#, r#""rho":"-0."#),
            text.replace("two", "two\n"),
            text.replace("0.00001", "0.5"),
            text.replace("0.00001", "null"),
            text.lines().filter(|line| !line.contains("one")).map(|line| format!("{line}\n")).collect(),
            String::new(),
        ] {
            assert_ne!(bad, text);
            fs::write(&path, &bad).unwrap();
            assert_eq!(code(PrivacyLedger::open(&path, None)), "bad_privacy_ledger", "{bad}");
        }
    }
}
