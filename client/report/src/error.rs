//! Why a report could not be made. Messages name the rule and never quote identifiers.

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A structured report of something that is no DICOM image.
    #[error(
        "no DICOM structured report: it refers to a DICOM image by its study, series and instance UIDs, and the scan has \
         none; leave --sr out, or give the DICOM file that it was made from"
    )]
    NoStudy,
    /// No identifier could be drawn.
    #[error("the operating system gave no random bytes for a report's identifier")]
    Entropy,
    /// A structured report that could not be put into bytes.
    #[error("no DICOM structured report: it could not be encoded")]
    Encoding,
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Entropy => "entropy",
            Self::NoStudy => "no_study",
            Self::Encoding => "report_encoding",
        }
    }
}
