//! Why a file is no scan. Messages name the rule and never quote pixels or identifiers.

/// Why a file could not be read as a scan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be opened or read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Too large to be read.
    #[error("larger than the {0} MiB that are read of such a file")]
    TooLarge(u64),
    /// Neither DICOM nor PNG, JPEG or .npy.
    #[error("not a scan: neither DICOM nor PNG, JPEG or .npy")]
    Unknown,
    /// Damaged or cut off.
    #[error("damaged or cut off: {0} could not be read")]
    Damaged(&'static str),
    /// A DICOM object without ordinary pixels.
    #[error("DICOM without an image: {0}")]
    NoImage(&'static str),
    /// A transfer syntax without a decoder.
    #[error("pixels in the transfer syntax {0}, which is not read: export the scan uncompressed")]
    TransferSyntax(&'static str),
    /// A property of pixels that is not read.
    #[error("{0} is not read")]
    Unsupported(&'static str),
    /// A picture without pixels, or with too many.
    #[error("a scan has 1 to 67 million pixels a frame")]
    Size,
    /// A frame that the file does not have.
    #[error("the file has no such frame")]
    Frame,
    /// NaN or infinity.
    #[error("a value is not finite")]
    NotFinite,
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "io",
            Self::TooLarge(_) | Self::Size => "too_large",
            Self::Unknown => "not_a_scan",
            Self::Damaged(_) => "damaged_scan",
            Self::NoImage(_) => "no_image",
            Self::TransferSyntax(_) | Self::Unsupported(_) => "unsupported_scan",
            Self::Frame => "no_frame",
            Self::NotFinite => "not_finite",
        }
    }
}
