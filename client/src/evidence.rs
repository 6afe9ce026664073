//! Receipts as a clinic checks them: against the keys that it trusts, against what it sent and received, and against the log
//! that they are of, which must not have forked since it was last seen.
//!
//! What comes out is a [`Judgement`] with one of three verdicts. `VERIFIED`: nothing is wrong, and as many of the named
//! witnesses as make a quorum have signed a checkpoint that covers the leaf. `UNWITNESSED`: nothing is wrong, but no such
//! quorum stands for there being one log, so the gateway could show others another one. `INVALID`: something is wrong.
//!
//! Nothing here knows what an answer says: receipts are judged before the first one is decrypted.
//!
//! In reading order: [`fault`] (what can be wrong), [`trust`] (whose signatures count), [`exchange`] (what a leaf must say),
//! [`bodies`] (what saved bodies commit to), [`examined`] (one receipt), [`source`] (where a log is read), [`lineage`] (that a
//! log did not fork), [`whole`] (a log from its first entry on), [`folder`] (what is kept), [`ledger`] (a run's receipts).

pub mod bodies;
pub mod examined;
pub mod exchange;
pub mod fault;
pub mod folder;
pub mod ledger;
pub mod lineage;
pub mod source;
pub mod trust;
pub mod whole;

use std::fmt;

use serde::Serialize;

pub use bodies::Tensor;
pub use examined::{Examined, Repeats};
pub use exchange::{Exchange, Expected, Subject};
pub use fault::Fault;
pub use folder::Folder;
pub use ledger::Ledger;
pub use lineage::Lineage;
pub use source::LogSource;
pub use trust::{LogTrust, Signed};

/// What a receipt, a checkpoint or a log is worth. The worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Nothing is wrong, and a quorum of the named witnesses has signed.
    Verified,
    /// Nothing is wrong, and no quorum of named witnesses has signed.
    Unwitnessed,
    /// Something is wrong.
    Invalid,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Verified => "VERIFIED",
            Self::Unwitnessed => "UNWITNESSED",
            Self::Invalid => "INVALID",
        })
    }
}

/// What a receipt turned out to be worth, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: String,
    /// What is wrong, as a stable code; `None` where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The leaf's place in the log, as the receipt says.
    pub index: Option<u64>,
    /// The log's name, where one of its keys has signed.
    pub log: Option<String>,
    /// The leaf's time in seconds since 1970, rounded down by the gateway, as the receipt says.
    pub time: Option<u64>,
    /// The request's hash, which names what is kept of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

impl Judgement {
    /// Whether something is wrong.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.verdict == Verdict::Invalid
    }
}
