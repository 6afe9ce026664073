//! Options of `import` and `estimate` that decide how a head is evaluated.

use clap::{Args, ValueEnum};

/// Bits, what is answered, and what protects the weights
#[derive(Debug, Args)]
pub struct CircuitArgs {
    /// Bits of features and weights, 2 to 8
    #[arg(long, default_value_t = 8)]
    pub bits: u32,
    /// Bits of weights, where they differ from those of features
    #[arg(long)]
    pub weight_bits: Option<u32>,
    /// What a client learns
    #[arg(long, value_enum, default_value = "scores")]
    pub policy: PolicyArg,
    /// How a label is found
    #[command(flatten)]
    pub label: LabelArgs,
    /// How hidden layers are evaluated
    #[command(flatten)]
    pub hidden: HiddenArgs,
    /// How responses protect the weights: flooded, statistical (a flood that hides all noise, at four times the bytes) or open-weights
    #[arg(long, default_value = "flooded")]
    pub privacy: String,
}

/// What a client learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyArg {
    /// The exact scores
    Scores,
    /// The label alone; clients need an evaluation key
    Label,
}

/// What a label is.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum DecisionArg {
    /// The class with the highest score
    Argmax,
    /// For each class whether its score is 0 or more
    Thresholds,
}

/// How exact the sums behind activations are.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum PrecisionArg {
    /// Scores are exact sums of the activations (two levels)
    Exact,
    /// Scores err by a little, in two thirds of the time and half of the key (one level)
    Approximate,
}

/// How far a neuron's sum may go.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RangeArg {
    /// As far as weights and features allow: no features make an activation wrong; neurons of hundreds of inputs are
    /// left with few levels
    Proved,
    /// Half as far again as in calibration, or farther: beyond that an activation is wrong
    Calibrated,
}

/// For heads with hidden layers
#[derive(Debug, Args)]
pub struct HiddenArgs {
    /// Hidden layers: the most bits of an activation, 2 to 4; by default 4
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=4))]
    pub activation_bits: Option<u32>,
    /// Hidden layers: bits of the weights behind the first layer, 2 to 8; by default as many as noise leaves room for
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=8))]
    pub inner_weight_bits: Option<u32>,
    /// Hidden layers: how far the sums of neurons may go; by default proved
    #[arg(long, value_enum)]
    pub range: Option<RangeArg>,
    /// Hidden layers: how exact the sums of activations are; by default exact
    #[arg(long, value_enum, conflicts_with = "bootstrap")]
    pub precision: Option<PrecisionArg>,
}

/// With `--policy label`
#[derive(Debug, Args)]
pub struct LabelArgs {
    /// With --policy label: the class with the highest score, or each class with a score of 0 or more; by default
    /// argmax, and thresholds for one class
    #[arg(long, value_enum)]
    pub decision: Option<DecisionArg>,
    /// With --policy label: bootstraps in which a sign is found. Fewer are faster, and answer what is too close as
    /// `review`; by default as many as leave nothing undecided
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=12))]
    pub stages: Option<u8>,
    /// With --policy label or hidden layers: the parameter set of bootstraps: N918_N2048_Q50 (the smallest key),
    /// N918_N2048_Q50_G2 (the fastest), N918_N2048_Q50_L2, N918_N2048_Q50_L2_G2 (the fastest for exact sums); by
    /// default the fastest that fits
    #[arg(long, value_name = "NAME")]
    pub bootstrap: Option<String>,
}
