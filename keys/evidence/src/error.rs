//! What can be wrong with evidence. Messages name the broken rule and never quote a value.

/// Why evidence was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that are not of their format.
    #[error("malformed {what}: {rule}")]
    Malformed {
        /// Which format.
        what: &'static str,
        /// The rule it broke.
        rule: &'static str,
    },
    /// A note without a valid signature of the key that was asked for.
    #[error("no valid signature of this key")]
    Signature,
    /// A leaf is not where its proof says.
    #[error("the proof does not lead from the leaf to the root")]
    Inclusion,
    /// A log's later tree does not contain its earlier one.
    #[error("the later tree does not continue the earlier one")]
    Consistency,
    /// A key that cannot sign or verify.
    #[error("not an Ed25519 key")]
    Key,
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::Signature => "bad_signature",
            Self::Inclusion => "not_included",
            Self::Consistency => "not_consistent",
            Self::Key => "bad_key",
        }
    }
}
