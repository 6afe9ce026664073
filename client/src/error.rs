//! What can go wrong on the clinic's side. Each error has a stable code for scripts.

mod learning;
mod refusal;

use std::{io, path::PathBuf};

pub use learning::Learning;
pub use refusal::Refusal;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Wrong features, or a card that does not hold together.
    #[error(transparent)]
    Circuit(#[from] tiresias_circuits::Error),
    /// A backbone that could not be loaded or run.
    #[error("the backbone: {0}")]
    Backbone(#[from] tiresias_backbone::Error),
    /// Another backbone than the model owner's.
    #[error(
        "the circuit card is for another backbone: ask the model owner for the one that the head was trained on, model and \
         preprocessing card"
    )]
    OtherBackbone,
    /// A backbone that gives another number of features than the head takes.
    #[error("the backbone gives {got} features and the model takes {expected}: it is for another model")]
    BackboneFeatures {
        /// What it gives.
        got: usize,
        /// What the model takes.
        expected: usize,
    },
    /// Maps of a model whose owner does not allow them.
    #[error("the model's owner does not let clients ask for class-activation maps: leave --cam out")]
    NoMaps,
    /// Cohorts of a model whose owner does not allow them.
    #[error("this model scores no cohorts, or none that its gateway takes: use `tiresias infer`")]
    NoCohorts,
    /// Scans that do not go together with their model.
    #[error("scans: {0}")]
    Scans(&'static str),
    /// Some files were no scans.
    #[error("{failed} files could not be read as scans; {read} scans were read")]
    SomeScans {
        /// How many.
        failed: usize,
        /// Scans that were read.
        read: usize,
    },
    /// Decisions that cannot be audited.
    #[error("{path}: {source}", path = path.display())]
    Fairness {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: tiresias_fairness::Error,
    },
    /// Groups are too far apart. The figures were computed and printed.
    #[error("{alarms} differences between groups are above --threshold: have people look at the figures")]
    FairnessAlarm {
        /// How many.
        alarms: usize,
    },
    /// A record of decisions that cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: tiresias_record::Error,
    },
    /// Results that did not reach the record.
    #[error(
        "{path}: the results could not be recorded, and a result that is not recorded is not shown: {source}; they were computed and \
         charged: mend it, and ask again", path = path.display()
    )]
    Unrecorded {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: tiresias_record::Error,
    },
    /// Inputs of which nothing is told.
    #[error(
        "{path}: {inputs} inputs have no row in it; nothing was sent: --about needs a row for each, found by its columns file and row",
        path = path.display()
    )]
    About {
        /// The file.
        path: PathBuf,
        /// How many.
        inputs: usize,
    },
    /// Patients that cannot be made, or a head that cannot be learned.
    #[error(transparent)]
    Learning(#[from] Learning),
    /// A table that cannot be read.
    #[error("{path}: line {line}: {reason}", path = path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// A report that cannot be made.
    #[error(transparent)]
    Report(#[from] tiresias_report::Error),
    /// Some scans have no report in one of the forms.
    #[error("{failed} of {read} scans have no DICOM structured report; all else is done")]
    SomeReports {
        /// How many.
        failed: usize,
        /// Scans that were read.
        read: usize,
    },
    /// A response that is no answer to our request.
    #[error("the response was refused: {0}")]
    Response(#[from] tiresias_keys::Error),
    /// No key could be made.
    #[error(transparent)]
    SecretKey(#[from] tiresias_secret_key::Error),
    /// The gateway's address is not an https URL.
    #[error("a gateway is named by an https URL, such as https://gateway.example:8443")]
    Url,
    /// Certificates or keys for TLS are unusable.
    #[error("TLS: {0}")]
    Tls(&'static str),
    /// No connection to the gateway.
    #[error("no connection to the gateway: {0}")]
    Connect(String),
    /// The connection broke, or took too long.
    #[error("the gateway did not answer: {0}")]
    Transport(&'static str),
    /// The proxy refused, or cannot be reached.
    #[error("no connection through the proxy: {0}")]
    Proxy(String),
    /// The gateway refused the request.
    #[error(transparent)]
    Gateway(Box<Refusal>),
    /// The user asked to stop.
    #[error("interrupted before all rows were answered")]
    Interrupted,
    /// The gateway's answer does not follow the protocol.
    #[error("the gateway's answer does not follow the protocol: {0}")]
    Protocol(&'static str),
    /// The card is another than the one whose id the gateway announced.
    #[error("the circuit card's bytes do not have the id that the gateway announced")]
    CardId,
    /// The gateway serves another card than the pinned one.
    #[error("the gateway serves another card than --card: ask its operator why, then fetch the new card")]
    OtherCard,
    /// The gateway replaced a model whose version was named.
    #[error(
        "the gateway has replaced the model during the run, and --version, --card, --canaries or --approver pins the one before: ask \
             for the other rows without it"
    )]
    Pinned,
    /// The gateway replaced a model a second time, or by one of another shape.
    #[error("the gateway has replaced the model during the run: {0}")]
    Replaced(&'static str),
    /// A features file that is not usable.
    #[error("{path}: {source}", path = path.display())]
    Features {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: tiresias_circuits::Error,
    },
    /// The results file is there already.
    #[error("{path}: the file exists and is not overwritten; name another one", path = path.display())]
    OutputExists {
        /// The file.
        path: PathBuf,
    },
    /// Unfinished results that do not belong to this run.
    #[error("{path}: {reason}; name another file, or remove this one to begin again", path = path.display())]
    Resume {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: &'static str,
    },
    /// Something that is not a file of its own where secrets lie.
    #[error("{path}: this is a link or no regular file, and is left alone", path = path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
    },
    /// There is no usable passphrase.
    #[error("passphrase: {0}")]
    Passphrase(&'static str),
    /// The passphrase does not open the file.
    #[error("the passphrase is wrong; the file is kept as it is")]
    WrongPassphrase,
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's word on it.
        source: io::Error,
    },
    /// A file is larger than its kind may be.
    #[error("{path}: the file is larger than its kind may be", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A model that answers labels needs a long-lived key.
    #[error(
        "this model answers labels and needs a long-lived key: run `tiresias enroll --parameters {parameters}` or with --model, and name \
         its file with --key-file"
    )]
    NotEnrolled {
        /// The parameter set.
        parameters: &'static str,
    },
    /// A state file that is not whole.
    #[error("the state file is damaged or of another version: encrypt again")]
    State,
    /// A key file that cannot be used.
    #[error("{path}: {reason}", path = path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The number of answers differs from the number of encrypted vectors.
    #[error("got {got} answers for {expected} encrypted vectors")]
    AnswerCount {
        /// Answers found.
        got: usize,
        /// Vectors encrypted.
        expected: usize,
    },
    /// Receipts that are not right.
    #[error(
        "{invalid} of {receipts} receipts are INVALID: a human decides what their answers are worth{}",
        kept.as_ref().map_or_else(String::new, |path| format!("; the evidence is in {}", path.display()))
    )]
    BadReceipt {
        /// How many.
        invalid: usize,
        /// Of how many.
        receipts: usize,
        /// Where they are kept.
        kept: Option<PathBuf>,
    },
    /// A log that is not right.
    #[error("the log is INVALID: keep what shows it, and ask its operator why")]
    BadLog,
    /// A key that verifies nothing.
    #[error(
        "{path}: neither a key, name+id+base64, nor a file of such keys: `tiresias-gateway log key` prints a log's", path = path.display()
    )]
    VerifierKey {
        /// As it was named.
        path: PathBuf,
    },
    /// The checkpoint that was kept of a log is damaged.
    #[error(
        "{path}: this is not the checkpoint that was kept here: restore it from a backup, or remove it and lose sight of what the \
         log was before", path = path.display()
    )]
    KeptCheckpoint {
        /// The file.
        path: PathBuf,
    },
    /// A model whose approval is not the one that is asked for.
    #[error(
        "the model is not approved: {0}; nothing of a patient was sent: ask the gateway's operator, and the approvers themselves"
    )]
    NotApproved(&'static str),
    /// A model that too few of the named approvers have signed.
    #[error(
        "the model is not approved: {signed} of the named approvers have signed and {required} are asked for; nothing of a patient was sent: \
         ask the approvers themselves"
    )]
    TooFewApprovals {
        /// How many have signed.
        signed: usize,
        /// How many must have.
        required: usize,
    },
    /// A canaries file that cannot be used, or not be made.
    #[error("{path}: {reason}", path = path.display())]
    Canaries {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The gateway's answers are not those of its model.
    #[error(
        "the gateway answers wrongly: {0}; do not rely on this run's results, which are marked for review, and have them \
         computed again by an auditor who holds the model (tiresias-gateway replay)"
    )]
    CanaryAlarm(String),
    /// A joint sum, or its ceremony, that did not come about.
    #[error(transparent)]
    Joint(#[from] crate::joint::Error),
    /// A witness could not be opened or run.
    #[error(transparent)]
    Witness(#[from] crate::witness::Error),
    /// An audit that found something, or whose controls did not hit.
    #[error("the audit failed: {finding}; the evidence is in {page}", page = page.display())]
    AuditFailed {
        /// The first thing that is wrong.
        finding: String,
        /// What explains it.
        page: PathBuf,
    },
    /// An audit that could not be done.
    #[error("the audit could not be done: {0}")]
    Audit(String),
    /// Options that do not go together.
    #[error("{0}")]
    Usage(&'static str),
    /// The demo's gateway process failed.
    #[error("the gateway process failed: {0}")]
    GatewayProcess(String),
    /// Standard output is gone.
    #[error("standard output: {0}")]
    Output(#[source] io::Error),
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Circuit(error) => error.code(),
            Self::Backbone(error) => error.code(),
            Self::OtherBackbone | Self::BackboneFeatures { .. } => "other_backbone",
            Self::NoMaps => "no_maps",
            Self::NoCohorts => "no_cohorts",
            Self::Scans(_) => "scans",
            Self::SomeScans { .. } => "some_scans",
            Self::Fairness { source, .. } => source.code(),
            Self::FairnessAlarm { .. } => "fairness_alarm",
            Self::Record { source, .. } => source.code(),
            Self::Unrecorded { .. } => "unrecorded",
            Self::About { .. } => "about",
            Self::Learning(error) => error.code(),
            Self::Table { .. } => "bad_table",
            Self::Report(error) => error.code(),
            Self::SomeReports { .. } => "some_reports",
            Self::Response(error) => error.code(),
            Self::SecretKey(_) => "secret_key",
            Self::Url => "bad_url",
            Self::Tls(_) => "tls",
            Self::Connect(_) => "connect",
            Self::Transport(_) => "transport",
            Self::Proxy(_) => "proxy",
            Self::Gateway(refusal) => &refusal.code,
            Self::Interrupted => "interrupted",
            Self::Protocol(_) => "protocol",
            Self::CardId => "card_id",
            Self::OtherCard => "other_card",
            Self::Pinned => "model_pinned",
            Self::Replaced(_) => "model_replaced",
            Self::Features { source, .. } => source.code(),
            Self::OutputExists { .. } => "output_exists",
            Self::Resume { .. } => "resume",
            Self::NotRegular { .. } => "not_a_regular_file",
            Self::Passphrase(_) => "passphrase",
            Self::WrongPassphrase => "wrong_passphrase",
            Self::Io { .. } => "io",
            Self::TooLarge { .. } => "file_too_large",
            Self::NotEnrolled { .. } => "not_enrolled",
            Self::State => "state",
            Self::KeyFile { .. } => "key_file",
            Self::AnswerCount { .. } => "answer_count",
            Self::BadReceipt { .. } => "bad_receipt",
            Self::BadLog => "bad_log",
            Self::VerifierKey { .. } => "bad_verifier_key",
            Self::KeptCheckpoint { .. } => "kept_checkpoint",
            Self::NotApproved(_) | Self::TooFewApprovals { .. } => "not_approved",
            Self::Canaries { .. } => "canaries",
            Self::CanaryAlarm(_) => "canary_alarm",
            Self::Joint(error) => error.code(),
            Self::Witness(error) => error.code(),
            Self::AuditFailed { .. } => "audit_failed",
            Self::Audit(_) => "audit",
            Self::Usage(_) => "usage",
            Self::GatewayProcess(_) => "gateway_process",
            Self::Output(_) => "output",
        }
    }
}
