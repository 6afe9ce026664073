//! Options of canaries: those of `infer`, and `canaries make`.

use std::path::PathBuf;

use clap::{Args, Subcommand, value_parser};

use super::{EnrolledArgs, GatewayArgs, NetworkArgs};

/// Vectors with known answers among the patients
#[derive(Debug, Args)]
#[command(next_help_heading = "Canaries")]
pub struct CanaryArgs {
    /// Mix vectors with known answers, from a file that `canaries make` wrote, in between the patients
    ///
    /// They lie at places that are drawn for each run, and where exact scores are answered so do secret combinations of
    /// patients' vectors with random ones. A wrong answer raises an alarm (exit code 1, canary_alarm): results are then
    /// marked for review, and with --out they stay out of the results. The model's budget is charged for all of these
    /// vectors, and the gateway sees their number within the total.
    #[arg(long, value_name = "FILE")]
    pub canaries: Option<PathBuf>,
    /// How many such vectors to a patient's; at least one, or with combinations five
    #[arg(long, value_name = "RATE", default_value_t = 0.1, value_parser = rate, requires = "canaries")]
    pub canary_rate: f64,
    /// Where to keep the evidence of an alarm, a directory; FILE.evidence by default
    #[arg(long, value_name = "DIR", requires = "canaries")]
    pub evidence: Option<PathBuf>,
}

/// `canaries`
#[derive(Debug, Subcommand)]
pub enum CanariesCommand {
    /// Make a canaries file of features and their answers
    ///
    /// The trustworthy answers are those of `tiresias-gateway evaluate --json`, from somebody who holds the model; then
    /// nothing is sent. Without them the gateway itself is asked, and must have been honest at that time. Heads with hidden
    /// layers may decide what is close to a tie either way: of their rows only those with the wider margins are taken.
    #[command(
        override_usage = "tiresias canaries make --card <FILE> --features <FILE> --answers <FILE> --out <FILE>\n       \
                          tiresias canaries make [OPTIONS] --gateway <URL> --model <NAME> --features <FILE> --out <FILE>"
    )]
    Make(MakeCanariesArgs),
}

/// `canaries make`
#[derive(Debug, Args)]
pub struct MakeCanariesArgs {
    /// Where to
    #[command(flatten)]
    pub gateway: Option<GatewayArgs>,
    /// The model's name
    #[arg(long, value_name = "NAME", required_unless_present = "card")]
    pub model: Option<String>,
    /// The model's version, the newest by default
    #[arg(long, value_name = "N")]
    pub version: Option<u32>,
    /// The circuit card from a file
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "gateway",
        requires = "answers",
        conflicts_with_all = ["gateway", "ca", "cert", "key", "model", "version"]
    )]
    pub card: Option<PathBuf>,
    /// Features, .npy or .csv, one row a canary
    ///
    /// Vectors whose answers may lie in a file: of public or made-up patients. The gateway cannot tell them from others.
    #[arg(long, value_name = "FILE")]
    pub features: PathBuf,
    /// What `tiresias-gateway evaluate --json` printed for these features and exactly this version
    #[arg(long, value_name = "FILE", conflicts_with_all = ["gateway", "ca", "cert", "key"])]
    pub answers: Option<PathBuf>,
    /// The canaries file, which must not exist; keep it secret
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Vectors in one request, at most 256 and at most what the gateway takes for the model
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = value_parser!(u16).range(1..=256))]
    pub batch: u16,
    /// The clinic's key
    #[command(flatten)]
    pub enrolled: EnrolledArgs,
    /// How
    #[command(flatten)]
    pub network: NetworkArgs,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| *rate > 0.0 && *rate <= 10.0);
    rate.ok_or_else(|| "a number above 0, at most 10".to_owned())
}
