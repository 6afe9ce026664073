//! Options of `review`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};

/// `review`
#[derive(Debug, Args)]
pub struct ReviewArgs {
    /// The record of decisions
    #[arg(long, value_name = "FILE", env = "TIRESIAS_RECORD", hide_env_values = true, global = true)]
    pub record: Option<PathBuf>,
    /// The passphrase of the record, on the first line of a file; asked for on the terminal by default
    #[arg(long, value_name = "FILE", global = true)]
    pub passphrase_file: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub command: ReviewCommand,
}

/// What to do with a record.
#[derive(Debug, Subcommand)]
pub enum ReviewCommand {
    /// Make a record, under a passphrase that only those know who decide
    Init,
    /// List the cases that need a human, and why
    List(ListArgs),
    /// Show one case
    Show(ShowArgs),
    /// Decide that the model's label is right
    Accept(DecideArgs),
    /// Decide that it is another
    Override(OverrideArgs),
    /// Write all cases as a table, which `tiresias fairness` reads as it is
    Export(ExportArgs),
    /// Count how often humans agree with each model and override it, in all and by group
    ///
    /// This is no measure of how right a model is: which cases humans decide is no random choice, and they saw its answer.
    Rates(RatesArgs),
    /// Open every row, and check that none was changed, moved or removed
    Check(CheckArgs),
    /// Serve a page for all of this to browsers on this machine
    ///
    /// Prints the page's address, which opens it once, in one browser.
    Serve(ServeArgs),
}

/// What counts as a low margin.
#[derive(Debug, Clone, Copy, Args)]
pub struct MarginArgs {
    /// Ask for a human where a class is less than this ahead of the next, in units of the score
    ///
    /// Where scores are logits, a margin of 1 is odds of 2.7 to 1.
    #[arg(long, value_name = "MARGIN", default_value_t = 1.0, value_parser = margin)]
    pub low_margin: f64,
}

/// `review list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// All cases, decided ones and those that need no human too
    #[arg(long)]
    pub all: bool,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
    /// What counts as a low margin
    #[command(flatten)]
    pub margin: MarginArgs,
}

/// `review show`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The case, as `list` numbers it
    pub case: u64,
    /// Print JSON, one object
    #[arg(long)]
    pub json: bool,
    /// What counts as a low margin
    #[command(flatten)]
    pub margin: MarginArgs,
}

/// `review accept`
#[derive(Debug, Args)]
pub struct DecideArgs {
    /// The case, as `list` numbers it
    pub case: u64,
    /// Who decides: 2 to 8 letters
    #[arg(long, value_name = "INITIALS")]
    pub by: String,
    /// Why, in a sentence; a shell keeps what is typed, so name no patient
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// The case was decided before; that decision is kept, and this one counts
    #[arg(long)]
    pub again: bool,
}

/// `review override`
#[derive(Debug, Args)]
pub struct OverrideArgs {
    /// Which case, by whom and why
    #[command(flatten)]
    pub decide: DecideArgs,
    /// The label that is right; give each where the model answers findings, or `none`
    #[arg(long, value_name = "LABEL", required = true)]
    pub to: Vec<String>,
}

/// `review export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The form
    #[arg(long, value_enum, default_value_t = FormatArg::Csv)]
    pub format: FormatArg,
    /// Write to a new file, which only its owner can read, instead of printing; it is not sealed
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What counts as a low margin
    #[command(flatten)]
    pub margin: MarginArgs,
}

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// A header, then one line a case
    Csv,
    /// The record's head, then one object a case, with scores and all decisions
    Jsonl,
}

/// `review rates`
#[derive(Debug, Args)]
pub struct RatesArgs {
    /// Columns of groups, such as sex,site; those with 2 to 12 values by default
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub groups: Vec<String>,
    /// Decisions that a rate must be of; smaller ones are counted and have no rate
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub min_cell: u64,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

/// `review check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A head that was kept from an earlier look: fail unless the record goes on from it
    #[arg(long, value_name = "HASH", value_parser = head)]
    pub head: Option<[u8; 32]>,
}

/// `review serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The address to listen on, of this machine alone; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Decisions that a rate must be of
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub min_cell: u64,
    /// What counts as a low margin
    #[command(flatten)]
    pub margin: MarginArgs,
}

fn margin(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|margin: &f64| margin.is_finite() && *margin >= 0.0)
        .ok_or("a number from 0 is expected".into())
}

fn head(text: &str) -> Result<[u8; 32], String> {
    let mut head = [0; 32];
    hex::decode_to_slice(text, &mut head).map_err(|_| "a head is 64 hexadecimal digits")?;
    Ok(head)
}
