//! What can be wrong with public bytes. Messages name the broken rule and never quote data.

/// Why bytes were not accepted as a Tiresias value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The frame does not have the one length that its shape implies. Sizes are public.
    #[error("a {what} of these parameters has exactly {expected} bytes, got {got}")]
    Length {
        /// Which frame.
        what: &'static str,
        /// Bytes received.
        got: usize,
        /// Bytes the shape implies.
        expected: usize,
    },
    /// The frame does not begin with the magic bytes of its kind.
    #[error("not a Tiresias {0}: wrong magic bytes")]
    Magic(&'static str),
    /// The frame has a version that this program does not speak.
    #[error("frame version {got} is not supported, this program speaks version {expected}")]
    Version {
        /// Version byte received.
        got: u8,
        /// The version spoken here.
        expected: u8,
    },
    /// A header field differs from what the circuit card prescribes.
    #[error("the frame's {0} differs from the circuit card's")]
    Header(&'static str),
    /// A block of a cohort states a number of patients that it cannot have.
    #[error("a block of a cohort has 1 to {most} patients")]
    Patients {
        /// The most.
        most: usize,
    },
    /// The frame was made for another circuit card.
    #[error("the frame was made for another circuit card: fetch the current one and encrypt again")]
    ConfigId,
    /// The response answers another request.
    #[error("the response answers another request")]
    RequestDigest,
    /// The SHA-256 at the end of the frame does not match: the bytes were changed on the way.
    #[error("the frame's digest does not match its bytes: it was damaged on the way")]
    Digest,
    /// A coefficient is not below its modulus, or padding bits are not zero.
    #[error("the frame is not canonical: a coefficient or padding bit is out of range")]
    NotCanonical,
    /// The frame does not end in the byte 0x01.
    #[error("the frame does not end in its end mark: it was cut or extended")]
    EndMark,
    /// A parameter set name that is not in this program's table.
    #[error("unknown parameter set: this program accepts only the sets in its own table")]
    UnknownParameters,
    /// A rule of joint sums is broken.
    #[error("{0}")]
    Joint(&'static str),
    /// A hexadecimal id of the wrong length or alphabet.
    #[error("an id is 64 lowercase hexadecimal digits")]
    Id,
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Length { .. } => "wrong_length",
            Self::Magic(_) => "wrong_magic",
            Self::Version { .. } => "wrong_version",
            Self::Header(_) => "wrong_header",
            Self::Patients { .. } => "wrong_patients",
            Self::ConfigId => "config_mismatch",
            Self::RequestDigest => "wrong_request",
            Self::Digest => "damaged",
            Self::NotCanonical => "not_canonical",
            Self::EndMark => "no_end_mark",
            Self::UnknownParameters => "unknown_parameters",
            Self::Joint(_) => "joint",
            Self::Id => "bad_id",
        }
    }
}
