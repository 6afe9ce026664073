//! A refusal of the gateway's, and what it means for who asked.

use std::time::Duration;

/// What the gateway says where it refuses a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("the gateway refused the request ({status}, {code}): {message}; next step: {action}")]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The gateway's stable code.
    pub code: String,
    /// What it says to do.
    pub action: String,
    /// Its message.
    pub message: String,
    /// Whether it says that the same may succeed later.
    pub retryable: bool,
    /// When it wants to be asked again.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Whether the gateway has evaluated nothing, for now: at its capacity, or not in service.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.retryable && matches!(self.status, 429 | 503)
    }

    /// Whether the gateway no longer serves the card that the request was made for.
    #[must_use]
    pub fn is_other_card(&self) -> bool {
        matches!((self.status, self.code.as_str()), (409, "config_mismatch") | (410, "config_retired"))
    }

    /// Whether the gateway lacks this clinic's evaluation key, or has it no longer.
    #[must_use]
    pub fn is_missing_key(&self) -> bool {
        self.status == 404 && self.action == "upload_key"
    }
}
