//! What can go wrong on the clinic's side. Each error has a stable code for scripts.

use std::{io, path::PathBuf};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Wrong features, or a card that does not hold together.
    #[error(transparent)]
    Circuit(#[from] tiresias_circuits::Error),
    /// A response that is no answer to our request.
    #[error("the response was refused: {0}")]
    Response(#[from] tiresias_keys::Error),
    /// No key could be made.
    #[error(transparent)]
    SecretKey(#[from] tiresias_secret_key::Error),
    /// The gateway's address is not an https URL.
    #[error("a gateway is named by an https URL, such as https://gateway.example:8443")]
    Url,
    /// Certificates or keys for TLS are unusable.
    #[error("TLS: {0}")]
    Tls(&'static str),
    /// No connection to the gateway.
    #[error("no connection to the gateway: {0}")]
    Connect(String),
    /// The connection broke, or took too long.
    #[error("the gateway did not answer: {0}")]
    Transport(&'static str),
    /// The gateway refused the request.
    #[error("the gateway refused the request ({status}, {code}): {message}; next step: {action}")]
    Gateway {
        /// HTTP status.
        status: u16,
        /// The gateway's stable code.
        code: String,
        /// What it says to do.
        action: String,
        /// Its message.
        message: String,
    },
    /// The gateway's answer does not follow the protocol.
    #[error("the gateway's answer does not follow the protocol: {0}")]
    Protocol(&'static str),
    /// The card is another than the one whose id the gateway announced.
    #[error("the circuit card's bytes do not have the id that the gateway announced")]
    CardId,
    /// A file could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's word on it.
        source: io::Error,
    },
    /// A file is larger than its kind may be.
    #[error("{path}: the file is larger than its kind may be", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A state file that is not whole.
    #[error("the state file is damaged or of another version: encrypt again")]
    State,
    /// The number of answers differs from the number of encrypted vectors.
    #[error("got {got} answers for {expected} encrypted vectors")]
    AnswerCount {
        /// Answers found.
        got: usize,
        /// Vectors encrypted.
        expected: usize,
    },
    /// Options that do not go together.
    #[error("{0}")]
    Usage(&'static str),
    /// The demo's gateway process failed.
    #[error("the gateway process failed: {0}")]
    GatewayProcess(String),
    /// Standard output is gone.
    #[error("standard output: {0}")]
    Output(#[source] io::Error),
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Circuit(error) => error.code(),
            Self::Response(error) => error.code(),
            Self::SecretKey(_) => "secret_key",
            Self::Url => "bad_url",
            Self::Tls(_) => "tls",
            Self::Connect(_) => "connect",
            Self::Transport(_) => "transport",
            Self::Gateway { code, .. } => code,
            Self::Protocol(_) => "protocol",
            Self::CardId => "card_id",
            Self::Io { .. } => "io",
            Self::TooLarge { .. } => "file_too_large",
            Self::State => "state",
            Self::AnswerCount { .. } => "answer_count",
            Self::Usage(_) => "usage",
            Self::GatewayProcess(_) => "gateway_process",
            Self::Output(_) => "output",
        }
    }
}
