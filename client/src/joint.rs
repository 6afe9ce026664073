//! Joint sums: the clinics of a roster add up vectors through a gateway, and nobody sees anything but the sum.
//!
//! ```text
//! ceremony   seed -> commit -> open -> agree      once: a joint key that nobody holds alone
//! sum        submit -> share                      a round each: all submissions added, and the total opened by all
//! ```
//!
//! What a clinic checks itself, trusting neither the gateway nor other clinics: every message's signature, that it rests on the same
//! messages as its own, that every key and every ciphertext is short in its proof, and that the sum is that of all submissions of
//! the round. Then it gives one share, which lies on its disk before it leaves. There is no second share of a round, none of fewer or of
//! other submissions, and none of a round in which this clinic has not submitted.
//!
//! A round that does not come about is left behind: the next one has fresh encryptions.
//!
//! In reading order: [`state`] (what is kept), `board` (what others have sent), [`ceremony`], `round`, `seal` (shares that the
//! gateway cannot read).

mod board;
pub mod ceremony;
mod error;
mod round;
mod seal;
pub mod state;

use std::time::Duration;

use tiresias_evidence::{Hash, joint::Roster};
use tiresias_secret_key::JointSecret;

pub use error::Error;
pub use state::StateDirectory;

use crate::http::Connection;
use board::Board;

/// How long a clinic waits for the others in each step, unless told otherwise.
pub const PATIENCE: Duration = Duration::from_secs(3600);

/// A clinic in a ceremony that is complete: it takes part in sums.
pub struct Session {
    board: Board,
    state: StateDirectory,
    ceremony: u32,
    secret: JointSecret,
    mask: Vec<u64>,
    joint_key: Vec<u64>,
    /// The hash of what all have agreed on.
    transcript: Hash,
    recipients: Vec<age::x25519::Recipient>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("ceremony", &self.ceremony).finish_non_exhaustive()
    }
}

impl Session {
    /// Takes part in a ceremony of this roster, or finds that it is complete, and is ready for sums then. Waits for the other clinics for
    /// so long in each step; what was sent already is sent again as it was, never anew.
    pub async fn open(
        connection: Connection,
        roster: Roster,
        state: StateDirectory,
        ceremony: u32,
        patience: Duration,
    ) -> Result<Self, crate::Error> {
        ceremony::run(connection, roster, state, ceremony, patience).await
    }

    /// Clinics of the roster.
    #[must_use]
    pub fn clinics(&self) -> usize {
        self.board.roster().clinics().len()
    }

    /// The hash of the transcript that all clinics have signed.
    #[must_use]
    pub fn transcript(&self) -> &Hash {
        &self.transcript
    }

    /// The sum over all clinics of `values`, each of which lies within -bound to bound. All clinics call it with the same label, number of
    /// values and bound. Waits for them. A round that others have left behind is left, and the next one is joined.
    pub async fn sum(&mut self, label: &str, values: &[i64], bound: u64) -> Result<Vec<i64>, crate::Error> {
        round::sum(self, label, values, bound).await
    }
}
