//! Why a joint sum, or its ceremony, did not come about. Clinics are named, values never.

use std::path::PathBuf;

use tiresias_evidence::joint::Step;

/// Why it did not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Clinics that have not sent their message in time.
    #[error(
        "{} of {} {} not there in time: ask {}, and run the same command again; a sum then begins anew with fresh encryptions",
        step.name(), clinics.join(", "), if clinics.len() == 1 { "is" } else { "are" }, if clinics.len() == 1 { "that clinic" } else { "these clinics" }
    )]
    Missing {
        /// Their names.
        clinics: Vec<String>,
        /// The step.
        step: Step,
    },
    /// A clinic that does not do what it must.
    #[error("{clinic} cheats, or is broken, in step {}: {rule}; nothing was given away: talk to them, and begin with a new ceremony", step.name())]
    Cheat {
        /// Its name.
        clinic: String,
        /// The step.
        step: Step,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// A gateway that does not do what it must.
    #[error("the gateway cheats, or is broken: {0}; nothing was given away: ask its operator")]
    Gateway(&'static str),
    /// A total that cannot be.
    #[error(
        "the total is no sum of values within their bounds: a clinic gave a false share; it cannot be told which: begin with a new \
         ceremony, and have the inputs compared"
    )]
    FalseTotal,
    /// A second opening that was asked for.
    #[error(
        "this clinic has given its share of another set of submissions in this round, and gives one a round: begin a new round"
    )]
    SecondShare,
    /// A roster that this clinic is not in.
    #[error("the key in this clinic's state directory is not in the roster: tiresias joint key prints it")]
    NotInRoster,
    /// The state directory cannot be used.
    #[error("{path}: {rule}", path = path.display())]
    State {
        /// The path.
        path: PathBuf,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// A file that is no roster.
    #[error("{path}: {source}", path = path.display())]
    Roster {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: tiresias_evidence::Error,
    },
    /// Inputs that cannot be summed.
    #[error("{0}")]
    Input(&'static str),
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "joint_missing",
            Self::Cheat { .. } => "joint_cheat",
            Self::Gateway(_) => "joint_gateway",
            Self::FalseTotal => "joint_false_total",
            Self::SecondShare => "joint_second_share",
            Self::NotInRoster => "joint_not_in_roster",
            Self::State { .. } => "joint_state",
            Self::Roster { .. } => "joint_roster",
            Self::Input(_) => "joint_input",
        }
    }
}
