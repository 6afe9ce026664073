//! Options of `learn`.

use std::path::PathBuf;

use clap::Args;

use super::{JointOptions, joint::LedgerArgs};

/// `learn`
#[derive(Debug, Args)]
pub struct LearnArgs {
    /// Features of patients: .npy or .csv, one row each
    #[arg(long, value_name = "FILE")]
    pub features: PathBuf,
    /// Their classes: one on each line, perhaps below a header
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "label_column",
        required_unless_present = "label_column"
    )]
    pub labels: Option<PathBuf>,
    /// The column of --features that has the classes, where it is a .csv with a header
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,
    /// The classes, in the order of the scores [default: those that occur, in alphabetical order]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub classes: Vec<String>,
    /// Groups of the patients, such as their sex or scanner: one on each line, perhaps below a header
    #[arg(long, value_name = "FILE", conflicts_with = "group_column")]
    pub groups: Option<PathBuf>,
    /// The column of --features that has groups
    #[arg(long, value_name = "NAME", requires = "label_column")]
    pub group_column: Option<String>,
    /// The groups [default: those that occur, in alphabetical order]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub group_names: Vec<String>,
    /// Let each class weigh the same, however many patients it has
    #[arg(long)]
    pub balanced: bool,
    /// Weigh patients so that group and class are independent (reweighing, Kamiran and Calders)
    #[arg(long)]
    pub reweigh: bool,
    /// How strong the penalty on weights is: what scikit-learn calls 1 / C [default: by cross-validation, from 0.001 to 1000;
    /// with --epsilon, --joint or --skip-evaluation 1]
    #[arg(long, value_name = "X")]
    pub strength: Option<f64>,
    /// Folds of the cross-validation; with --joint one fold of each clinic's patients is held out to test on
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub folds: usize,
    /// Learn from all patients and measure nothing
    #[arg(long)]
    pub skip_evaluation: bool,
    /// What fixes the folds
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Steps of learning, at most [default: 1000; with --joint 20; with --epsilon 12, which all are taken]
    #[arg(long, value_name = "N")]
    pub rounds: Option<usize>,
    /// Write the head to a new file, .safetensors
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Write the names of the classes, for `import --labels`, to this new file [default: that of --out, ending in .labels.txt]
    #[arg(long, value_name = "FILE")]
    pub out_labels: Option<PathBuf>,
    /// The model card
    #[command(flatten)]
    pub card: CardArgs,
    /// Privacy
    #[command(flatten)]
    pub privacy: PrivacyArgs,
    /// Between what most values of each feature lie: .csv, for each feature a line with a lower and an upper number
    ///
    /// With --epsilon and --joint, which need them, they are public: known without looking at the patients, and with --joint alike at all clinics.
    /// With --epsilon values outside are moved to them.
    #[arg(long, value_name = "FILE")]
    pub bounds: Option<PathBuf>,
    /// Learning together with other clinics.
    #[command(flatten)]
    pub joint: JointOptions,
    /// Print JSON, one object
    #[arg(long)]
    pub json: bool,
}

/// The model card
#[derive(Debug, Args)]
pub struct CardArgs {
    /// Write a model card, for `tiresias-gateway approve`, to a new file, .toml
    #[arg(long, value_name = "FILE", requires_all = ["owner", "intended_use", "provenance", "licence"])]
    pub card: Option<PathBuf>,
    /// Who answers for the model
    #[arg(long, value_name = "TEXT", requires = "card")]
    pub owner: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT", requires = "card")]
    pub intended_use: Option<String>,
    /// Where the patients' data came from
    #[arg(long, value_name = "TEXT", requires = "card")]
    pub provenance: Option<String>,
    /// Under which licence or permission
    #[arg(long, value_name = "TEXT", requires = "card")]
    pub licence: Option<String>,
    /// What it is not for, beside what is known of how it was learned; may be given several times
    #[arg(long, value_name = "TEXT", requires = "card")]
    pub limit: Vec<String>,
}

/// Privacy
#[derive(Debug, Args)]
pub struct PrivacyArgs {
    /// Protect each patient by differential privacy with this epsilon
    #[arg(long, value_name = "E", requires_all = ["delta", "bounds", "ledger"],
          conflicts_with_all = ["balanced", "reweigh", "groups", "group_column"])]
    pub epsilon: Option<f64>,
    /// The delta that goes with it, far below one in the number of patients
    #[arg(long, value_name = "D", requires = "epsilon")]
    pub delta: Option<f64>,
    /// What it is charged to
    #[command(flatten)]
    pub ledger: LedgerArgs,
}
