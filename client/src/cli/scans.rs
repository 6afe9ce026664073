//! Options of commands that begin with scans.

use std::path::PathBuf;

use clap::Args;

/// From scans instead of features
#[derive(Debug, Args)]
#[command(next_help_heading = "Scans")]
pub struct ScanArgs {
    /// Scans: DICOM, PNG, JPEG or .npy files, or folders of them
    ///
    /// Each frame is a patient's. A file that cannot be read is named with its reason; the others are diagnosed all the
    /// same, and the exit code is 1.
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "backbone", conflicts_with_all = ["features", "out"])]
    pub scan: Vec<PathBuf>,
    /// The ONNX model that makes features of scans, with its preprocessing card beside it (model.onnx, model.toml)
    #[arg(long, value_name = "FILE", requires = "scan")]
    pub backbone: Option<PathBuf>,
    /// Ask for class-activation maps, where the model's card allows them, and write them over the scans: a PNG file for
    /// one scan, a folder for several
    ///
    /// The model owner charges each location of a map like a patient.
    #[arg(long, value_name = "PATH", requires = "scan")]
    pub cam: Option<PathBuf>,
    /// Write reports: an HTML file for one scan, a folder for several
    #[arg(long, value_name = "PATH", requires = "scan")]
    pub report: Option<PathBuf>,
    /// Write reports as FHIR R4 bundles, for a FHIR server: a JSON file for one scan, a folder for several
    ///
    /// Everything in them is preliminary. A server takes a bundle by POST.
    #[arg(long, value_name = "PATH", requires = "scan")]
    pub fhir: Option<PathBuf>,
    /// Write reports as DICOM structured reports, for the archive: a DCM file for one scan, a folder for several
    ///
    /// They are unverified, and lie in the study of the scan. A scan that is no DICOM image cannot have one: where none
    /// is, nothing is asked; where some are not, these are named, and the exit code is 1.
    #[arg(long, value_name = "PATH", requires = "scan")]
    pub sr: Option<PathBuf>,
}

/// `backbone`
#[derive(Debug, Args)]
pub struct BackboneArgs {
    /// The ONNX model, with its preprocessing card beside it
    pub backbone: PathBuf,
    /// Write the features of these scans, or of each of their maps' locations, to a new .npy file, for the model owner's
    /// calibration
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "out")]
    pub scan: Vec<PathBuf>,
    /// Where to
    #[arg(long, value_name = "FILE", requires = "scan")]
    pub out: Option<PathBuf>,
    /// With --scan: a row for each location of the map that the features are the mean of
    #[arg(long, requires = "scan")]
    pub locations: bool,
}
