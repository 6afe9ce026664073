//! Why a record cannot be read or written. Messages name the rule and a row, and never quote a value.

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Some other file, or a record of another version.
    #[error("this is no record of decisions of this version: `tiresias review init` makes one")]
    NotARecord,
    /// A file that is not its user's alone, or whose key is damaged.
    #[error("{0}")]
    File(&'static str),
    /// A row that is not what was written.
    #[error(
        "row {0} is damaged, or rows before it were changed, moved or removed: keep the file as it is, and restore it from a backup"
    )]
    Damaged(u64),
    /// A decision that whoever wrote it could not sign.
    #[error(
        "row {0} is a decision that was not made with this record's key, or rows before it were replaced: keep the file as it is, \
         and find out who can write it"
    )]
    Forged(u64),
    /// The key that was opened is not the one that rows are sealed to.
    #[error(
        "rows are sealed to another key than the one under the passphrase: keep the file as it is, and find out who can write it"
    )]
    OtherKey,
    /// The head that was kept is of no row.
    #[error(
        "no row has this head: rows were removed or replaced since it was kept, or it is of another record"
    )]
    OtherHead,
    /// Another process has it.
    #[error("another process has held the record for too long: run the command again")]
    Busy,
    /// The system does not let us write.
    #[error(
        "the record cannot be written: the file and its folder must be writable by this user, and on a disk with room"
    )]
    Unwritable,
    /// Some other failure of SQLite.
    #[error("the record cannot be read or written (SQLite {0})")]
    Database(i32),
    /// A row that no record takes.
    #[error("a row is larger than a record takes: leave columns out of --about")]
    TooLarge,
    /// A number that is not finite.
    #[error("a score or distance is no finite number, and is not recorded")]
    NotFinite,
    /// A case that is not there.
    #[error("there is no case {0}: `tiresias review list --all` names them")]
    NoCase(u64),
    /// A case that was decided before.
    #[error("case {0} was decided before: look at it, and decide it again with --again")]
    Decided(u64),
    /// A label that is none of the model's.
    #[error(
        "the decision must be one of the model's labels, or several where it answers findings: `tiresias review show` names them"
    )]
    UnknownLabel,
    /// An override that changes nothing.
    #[error("this is the model's own result: accept it instead")]
    SameLabel,
    /// Nothing to agree with.
    #[error("the model left this case, or a part of it, to a human: override it with what was decided")]
    NothingToAccept,
    /// Initials that name nobody.
    #[error("initials are 2 to 8 letters, digits, dots or hyphens")]
    Initials,
    /// A reason that says nothing.
    #[error("a reason is 3 to 500 characters on one line")]
    Words,
    /// A column of groups that no case has.
    #[error("--groups names a column that no case has")]
    NoColumn,
    /// The system gives no randomness, or age fails for another reason.
    #[error("the row could not be sealed")]
    Seal,
    /// A table could not be written.
    #[error("the table could not be written")]
    Table,
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotARecord => "not_a_record",
            Self::File(_) => "record_file",
            Self::Damaged(_) => "record_damaged",
            Self::Forged(_) => "record_forged",
            Self::OtherKey => "record_other_key",
            Self::OtherHead => "record_other_head",
            Self::Busy => "record_busy",
            Self::Unwritable => "record_unwritable",
            Self::Database(_) => "record_database",
            Self::TooLarge => "record_row_too_large",
            Self::NotFinite => "not_finite",
            Self::NoCase(_) => "no_such_case",
            Self::Decided(_) => "already_decided",
            Self::UnknownLabel => "unknown_label",
            Self::SameLabel => "same_label",
            Self::NothingToAccept => "nothing_to_accept",
            Self::Initials => "bad_initials",
            Self::Words => "bad_reason",
            Self::NoColumn => "missing_column",
            Self::Seal => "record_seal",
            Self::Table => "record_table",
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let Some(failure) = error.sqlite_error() else { return Self::NotARecord };
        match failure.code {
            Code::DatabaseBusy | Code::DatabaseLocked | Code::FileLockingProtocolFailed => Self::Busy,
            Code::ReadOnly | Code::PermissionDenied | Code::CannotOpen | Code::DiskFull => Self::Unwritable,
            Code::NotADatabase | Code::DatabaseCorrupt => Self::NotARecord,
            _ => Self::Database(failure.extended_code),
        }
    }
}
