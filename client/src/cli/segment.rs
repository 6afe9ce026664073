//! Options of `segment`.

use std::path::PathBuf;

use clap::{Args, value_parser};
use tiresias_circuits::explain::MapShape;

use super::{ApproverArgs, EvidenceArgs, GatewayArgs, NetworkArgs};

/// `segment`
#[derive(Debug, Args)]
pub struct SegmentArgs {
    /// Where to
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// The model's name
    #[arg(long, value_name = "NAME")]
    pub model: String,
    /// The model's version, the newest by default
    #[arg(long, value_name = "N")]
    pub version: Option<u32>,
    /// Scans: DICOM, PNG, JPEG or .npy files, or folders of them
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "backbone", required_unless_present = "features")]
    pub scan: Vec<PathBuf>,
    /// The ONNX model that makes feature maps of scans, with its preprocessing card beside it (model.onnx, model.toml)
    #[arg(long, value_name = "FILE", requires = "scan")]
    pub backbone: Option<PathBuf>,
    /// Instead of scans, feature maps: a .npy, .csv or .parquet file with a row for each location, row after row of a map, one map after
    /// the other
    #[arg(long, value_name = "FILE", requires = "shape", conflicts_with = "scan")]
    pub features: Option<PathBuf>,
    /// Rows of locations of a map, and locations of a row
    #[arg(long, value_name = "HEIGHTxWIDTH", requires = "features")]
    pub shape: Option<MapShape>,
    /// A new folder: for each map NAME.npy with the class of each location, and NAME.png, the scan with the classes over it
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// A class that is left clear in pictures
    #[arg(long, value_name = "LABEL")]
    pub background: Option<String>,
    /// Locations in one request, at most 2048 and at most what the gateway takes
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = value_parser!(u16).range(1..=2048))]
    pub block: u16,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
    /// Who must have approved the model
    #[command(flatten)]
    pub approvers: ApproverArgs,
    /// What is done with receipts
    #[command(flatten)]
    pub evidence: EvidenceArgs,
    /// How
    #[command(flatten)]
    pub network: NetworkArgs,
}
