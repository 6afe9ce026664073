//! The command line of `tiresias`.

mod approvers;
mod audit;
mod canaries;
mod cohort;
mod demo;
mod enroll;
mod evidence;
mod fairness;
mod files;
mod gateway;
mod harmonize;
mod infer;
mod joint;
mod learn;
mod review;
mod scans;
mod segment;
mod synth;
mod verify;
mod witness;

use clap::{Parser, Subcommand};

pub use approvers::ApproverArgs;
pub use audit::{AuditArgs, RunningArgs};
pub use canaries::{CanariesCommand, CanaryArgs, MakeCanariesArgs};
pub use cohort::CohortArgs;
pub use demo::{DataArg, DemoArgs, HeadArg, PolicyArg};
pub use enroll::EnrollArgs;
pub use evidence::{EvidenceArgs, TrustArgs};
pub use fairness::FairnessArgs;
pub use files::{DecryptArgs, EncryptArgs};
pub use gateway::{GatewayArgs, NetworkArgs, ProxyUrl};
pub use harmonize::HarmonizeArgs;
pub use infer::{EnrolledArgs, InferArgs, RecordArgs};
pub use joint::{
    JointArgs, JointCommand, JointKeyArgs, JointOptions, JointSumArgs, LedgerArgs, NoiseArgs, RosterArgs,
};
pub use learn::{CardArgs, LearnArgs, PrivacyArgs};
pub use review::{
    CheckArgs, DecideArgs, ExportArgs, FormatArg, ListArgs, OverrideArgs, RatesArgs, ReviewArgs,
    ReviewCommand, ServeArgs, ShowArgs,
};
pub use scans::{BackboneArgs, ScanArgs};
pub use segment::SegmentArgs;
pub use synth::SynthArgs;
pub use verify::VerifyArgs;
pub use witness::WitnessArgs;
pub(crate) use witness::log_key;

/// Asks a gateway for a diagnosis that only this machine can read.
#[derive(Debug, Parser)]
#[command(name = "tiresias", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Diagnose held-out patients of a real data set through a gateway started on this machine
    Demo(DemoArgs),
    /// Encrypt features, have them scored by a gateway, decrypt the scores
    ///
    /// Nothing is decrypted before the last request was sent, so that nothing the gateway sees depends on an answer.
    /// A first Ctrl-C (SIGINT, SIGTERM) waits for the request on its way and reports what was answered; a second one
    /// gives that request up.
    #[command(
        override_usage = "tiresias infer [OPTIONS] --gateway <URL> --model <NAME> --features <FILE>...\n       \
                          tiresias infer [OPTIONS] --gateway <URL> --card <FILE> --features <FILE>...\n       \
                          tiresias infer [OPTIONS] --gateway <URL> --model <NAME> --scan <PATH>... --backbone <FILE>"
    )]
    Infer(Box<InferArgs>),
    /// Have thousands or millions of patients scored, two thousand a request
    ///
    /// For archives and screening lists, where the model's owner lets clients: each patient is charged as a vector. Nothing
    /// is decrypted before the last request was sent. A first Ctrl-C (SIGINT, SIGTERM) waits for the request on its way; the
    /// same command goes on where it ended.
    Cohort(Box<CohortArgs>),
    /// Find the class of each location of scans by a dense head: encrypted segmentation
    ///
    /// The head scores each location of a feature map; locations are sent as a cohort, where the model's owner lets clients,
    /// and charged as vectors. Nothing is decrypted before the last request was sent.
    #[command(
        override_usage = "tiresias segment [OPTIONS] --gateway <URL> --model <NAME> --scan <PATH>... --backbone <FILE> --out <DIR>\n       \
                          tiresias segment [OPTIONS] --gateway <URL> --model <NAME> --features <FILE> --shape <HEIGHTxWIDTH> --out <DIR>"
    )]
    Segment(Box<SegmentArgs>),
    /// The first half of `infer`, to files: any HTTP client can carry the bytes
    #[command(
        override_usage = "tiresias encrypt [OPTIONS] --gateway <URL> --model <NAME> --features <FILE>... --out <DIR>\n       \
                          tiresias encrypt [OPTIONS] --card <FILE> --features <FILE>... --out <DIR>"
    )]
    Encrypt(EncryptArgs),
    /// The second half of `infer`, from files
    Decrypt(DecryptArgs),
    /// Make a long-lived key for models that need one, and give a gateway its evaluation key
    ///
    /// The secret key is stored in a file and goes nowhere. The evaluation key, with which nothing can be decrypted, is
    /// stored beside it and uploaded, unless the gateway has it. The same command with the same file uploads the same
    /// bytes again where a gateway has dropped them.
    #[command(
        override_usage = "tiresias enroll [OPTIONS] --gateway <URL> --key-file <FILE> --parameters <NAME>\n       \
                          tiresias enroll [OPTIONS] --gateway <URL> --remove <--key-file <FILE>|--key-id <ID>>\n       \
                          tiresias enroll [OPTIONS] --gateway <URL> --list"
    )]
    Enroll(EnrollArgs),
    /// Vectors with known answers, with which `infer --canaries` tests the gateway among the patients
    #[command(subcommand)]
    Canaries(CanariesCommand),
    /// Print the digest of a backbone, or write its features of scans
    Backbone(BackboneArgs),
    /// Measure how alike a model treats groups of patients, from a table of its decisions
    ///
    /// Nothing leaves this machine, but with --joint encrypted counts, of which only the totals of all clinics are opened. Exit code 3 says that the figures were computed and that a difference is above
    /// --threshold.
    #[command(
        override_usage = "tiresias fairness [OPTIONS] --truth <COLUMN> --prediction <COLUMN> --groups <COLUMN>... <DATA>\n       \
                          tiresias fairness [OPTIONS] --truth <COLUMN> --score <COLUMN> --groups <COLUMN>... <DATA>\n       \
                          tiresias fairness [OPTIONS] --truth <COLUMN> --groups <COLUMN>... --record <FILE>"
    )]
    Fairness(Box<FairnessArgs>),
    /// Bring features of different scanners to one mean and spread, by sums that nobody sees but as totals
    Harmonize(Box<HarmonizeArgs>),
    /// Add up numbers with other clinics, so that nobody sees any but the totals
    #[command(subcommand)]
    Joint(JointCommand),
    /// Learn a linear head from local features, for `tiresias-gateway import`
    ///
    /// Multinomial logistic regression with an L2 penalty, whose strength is chosen by cross-validation. Nothing leaves this
    /// machine, but with --joint encrypted sums over its patients, of which only the totals of all clinics are opened. Without --epsilon, head and
    /// totals can tell of the patients that it was learned from.
    #[command(
        override_usage = "tiresias learn [OPTIONS] --features <FILE> --labels <FILE> --out <FILE>\n       \
                          tiresias learn [OPTIONS] --features <FILE> --label-column <NAME> --out <FILE>\n       \
                          tiresias learn [OPTIONS] ... --epsilon <E> --delta <D> --bounds <FILE> --ledger <FILE>\n       \
                          tiresias learn [OPTIONS] ... --joint <ROSTER> --state <DIR> --gateway <URL> --classes <NAME,...> --bounds <FILE>"
    )]
    Learn(Box<LearnArgs>),
    /// Decide what a model leaves to a human, in the record that `infer --record` writes
    ///
    /// Nothing leaves this machine. The record is sealed: its passphrase is asked for once a command.
    Review(ReviewArgs),
    /// Make synthetic patients like those of a table, and measure how good they are and how close to real ones
    ///
    /// Nothing leaves this machine. Without --epsilon, what is made can reveal the real patients: treat it as their data.
    #[command(
        override_usage = "tiresias synth [OPTIONS] --features <FILE> --labels <FILE> --rows <N> --out <FILE>\n       \
                          tiresias synth [OPTIONS] --features <FILE> --label-column <NAME> --rows <N> --out <FILE>\n       \
                          tiresias synth [OPTIONS] ... --epsilon <E> --delta <D> --bounds <FILE>"
    )]
    Synth(SynthArgs),
    /// Check receipts, and the log that they are of
    ///
    /// VERIFIED: nothing is wrong, and a quorum of the named witnesses has signed a checkpoint that covers the receipt.
    /// UNWITNESSED: nothing is wrong, but no quorum stands for there being one log alone; the log's operator could show others
    /// another one. INVALID: something is wrong, and the reason says what. Of several verdicts the worst counts: the exit code
    /// is 0 for VERIFIED, 3 for UNWITNESSED, 1 for INVALID or a failure, 2 for wrong usage.
    #[command(
        override_usage = "tiresias verify [OPTIONS] <RECEIPT|DIR>... --log-key <KEY|FILE> [--log <DIR|URL>]\n       \
                          tiresias verify [OPTIONS] <RECEIPT> --log-key <KEY|FILE> --request <FILE> --response <FILE>\n       \
                          tiresias verify [OPTIONS] --old <FILE> [--new <FILE>] --log <DIR|URL> [--log-key <KEY|FILE>]\n       \
                          tiresias verify [OPTIONS] --log <DIR|URL> --log-key <KEY|FILE>"
    )]
    Verify(VerifyArgs),
    /// Cosign the checkpoints of other parties' transparency logs, so that none can show two histories
    ///
    /// Serves `POST /add-checkpoint` of c2sp.org/tlog-witness, and GET /health. When it listens, prints one line with its
    /// address and the key that verifies its cosignatures.
    #[command(
        override_usage = "tiresias witness [OPTIONS] --name <NAME> --data <DIR> --listen <ADDR> --log-key <KEY>...\n       \
                          tiresias witness [--name <NAME>] --data <DIR> --show-key"
    )]
    Witness(WitnessArgs),
    /// Collect the evidence that a gateway sees no plaintext, in a folder with a page that explains it
    ///
    /// Canary patients are sent by this program itself, and looked for in the gateway's memory, its files and on the wire, in
    /// every encoding; each search has a control that must hit. Also: the symbols of its program, its system calls and open
    /// files, its receipts and log, what it is built from. Exit code 0: all was done and nothing found; 1: something was found,
    /// or a control did not hit; 3: nothing was found, and not everything could be looked at. Linux alone.
    #[command(override_usage = "tiresias audit [OPTIONS] --out <DIR>\n       \
                          tiresias audit [OPTIONS] --out <DIR> --gateway <URL> --model <NAME> [--pid <PID>] [--gateway-files <PATH>...]")]
    Audit(Box<AuditArgs>),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}
