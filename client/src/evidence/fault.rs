//! What can be wrong with a receipt, a checkpoint or a log.

use super::{Judgement, Verdict};

/// Why a verdict is INVALID. Texts name the broken rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// There is no receipt.
    #[error("the answer came without a receipt")]
    Missing,
    /// It is longer than a receipt may be.
    #[error("the receipt is longer than any receipt")]
    TooLong,
    /// It is not of its format, or its proof does not hold.
    #[error(transparent)]
    Evidence(tiresias_evidence::Error),
    /// None of the log keys has signed.
    #[error("none of the named log keys has signed the checkpoint")]
    Signature,
    /// The leaf is of something else.
    #[error("the leaf is of another event")]
    Event,
    /// The leaf of an answer lacks what every answer's has.
    #[error("the leaf lacks a line that every answer's has")]
    Incomplete,
    /// The leaf is of another request.
    #[error("the leaf commits to another request than the one that was sent")]
    Request,
    /// The leaf is of another response.
    #[error("the leaf commits to another response than the one that came")]
    Response,
    /// The leaf is of another model.
    #[error("the leaf names another circuit card than the one that was asked for")]
    Config,
    /// The leaf is of another evaluation key.
    #[error("the leaf names another evaluation key")]
    Key,
    /// The leaf's time is not that of the exchange.
    #[error(
        "the leaf's time is not that of the request, by more than {} seconds",
        super::exchange::CLOCK_SKEW
    )]
    Time,
    /// The leaf's time is to come.
    #[error("the leaf's time is in the future, by more than {} seconds", super::exchange::CLOCK_SKEW)]
    Future,
    /// Two answers have the same randomness.
    #[error("another receipt commits to the same randomness")]
    RandomnessRepeated,
    /// Two answers have the same leaf.
    #[error("another receipt is of the same leaf")]
    IndexRepeated,
    /// The leaf is older than the request.
    #[error("the leaf was in the log before the request was sent")]
    Replayed,
    /// Another log than the one that is read.
    #[error("the receipt is of another log than the one that was read")]
    OtherLog,
    /// Two checkpoints that no one log can have.
    #[error("the log has forked: {0}")]
    Forked(&'static str),
    /// The log is shorter than it was.
    #[error(
        "the log ends before this checkpoint: it was wound back, or has not published so far yet: check again later"
    )]
    Rewound,
    /// The log is not the one that was seen before.
    #[error("the log does not continue the checkpoint that was kept of it: {0}")]
    Kept(Box<Self>),
    /// Something that the log must have and does not.
    #[error("the log has no {0}")]
    NoTile(String),
    /// Something in the log that is not what the rest of it says.
    #[error("{0} is not what the log's other files say")]
    Tile(String),
    /// The log could not be read.
    #[error("the log could not be read: {0}")]
    Unread(String),
    /// A body that has no elements to compare.
    #[error("{0}")]
    Body(&'static str),
}

impl From<tiresias_evidence::Error> for Fault {
    fn from(error: tiresias_evidence::Error) -> Self {
        match error {
            tiresias_evidence::Error::Signature => Self::Signature,
            error => Self::Evidence(error),
        }
    }
}

impl Fault {
    /// The judgement on a log itself.
    #[must_use]
    pub fn judge(&self, origin: &str) -> Judgement {
        Judgement {
            verdict: Verdict::Invalid,
            reason: self.to_string(),
            code: Some(self.code()),
            index: None,
            log: Some(origin.to_owned()),
            time: None,
            request: None,
        }
    }

    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "no_receipt",
            Self::TooLong => "malformed",
            Self::Evidence(error) => error.code(),
            Self::Signature => "bad_signature",
            Self::Event => "other_event",
            Self::Incomplete => "malformed",
            Self::Request => "other_request",
            Self::Response => "other_response",
            Self::Config => "other_config",
            Self::Key => "other_key",
            Self::Time | Self::Future => "wrong_time",
            Self::RandomnessRepeated => "repeated_randomness",
            Self::IndexRepeated => "repeated_leaf",
            Self::Replayed => "replayed",
            Self::OtherLog => "other_log",
            Self::Forked(_) => "forked",
            Self::Rewound => "rewound",
            Self::Kept(fault) => fault.code(),
            Self::NoTile(_) => "incomplete_log",
            Self::Tile(_) => "damaged_log",
            Self::Unread(_) => "log_unread",
            Self::Body(_) => "malformed_body",
        }
    }
}
