//! Options of `import` that the card tells clients of.

use std::path::PathBuf;

use clap::Args;
use tiresias_circuits::explain::MapShape;
use tiresias_keys::Digest;

/// What clients see besides scores, and what the card says of the model
#[derive(Debug, Args)]
pub struct CardArgs {
    /// Answer the contribution of each group of features to each score: a file with the name of each feature's group,
    /// one feature a line
    ///
    /// Contributions tell more of the weights than scores: the head is known after as many vectors as the largest group
    /// has features, which the card and `inspect` say.
    #[arg(long, value_name = "FILE", conflicts_with = "explain_map")]
    pub explain_groups: Option<PathBuf>,
    /// Let clients ask for class-activation maps of HEIGHT x WIDTH locations, each charged as a vector
    ///
    /// For backbones that end in global average pooling. The rows of the calibration are then locations, whole maps one
    /// after the other.
    #[arg(long, value_name = "HEIGHTxWIDTH")]
    pub explain_map: Option<MapShape>,
    /// Let clients have cohorts scored: thousands of patients a request, each charged as a vector. Without budgets, whoever may
    /// have cohorts may know the head
    #[arg(long, conflicts_with = "explain_groups")]
    pub cohort: bool,
    /// The digest of the backbone that the head was trained on, as `tiresias backbone` prints it: clients refuse others
    #[arg(long, value_name = "DIGEST", value_parser = |text: &str| Digest::from_hex(text))]
    pub backbone: Option<Digest>,
    /// A text for the card: what the model is for, what it was trained on, its limits; at most 16 KiB
    #[arg(long, value_name = "FILE")]
    pub about: Option<PathBuf>,
    /// Leave the means and deviations of the calibration's features out of the card: clients then notice no drift
    #[arg(long)]
    pub no_drift_guard: bool,
}
