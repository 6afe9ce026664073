//! `tiresias verify`: receipts, checkpoints and whole logs. Nothing is sent but what asks for a log's public files, and nothing
//! is decrypted.

mod log;
pub(super) mod receipts;

use std::{path::PathBuf, process::ExitCode};

use hyper::Uri;

use crate::{
    Error,
    cli::{GatewayArgs, VerifyArgs},
    evidence::{LogSource, LogTrust, Verdict},
    http::Connection,
    stop::Stop,
};

/// Runs the command. The exit code is that of the worst verdict.
pub async fn run(args: &VerifyArgs) -> Result<ExitCode, Error> {
    let trust = LogTrust::read(&args.trust)?;
    let (mut connection, named) = open(args).await?;
    let mut source = match (named, &mut connection) {
        (Named::Server(below), Some(connection)) => Some(LogSource::Server { connection, below }),
        (Named::Directory(path), _) => Some(LogSource::Directory(path)),
        _ => None,
    };
    let verdict = match (&args.old, source.as_mut(), trust) {
        (Some(old), Some(source), trust) => log::consistency(args, old, trust.as_ref(), source).await?,
        (None, source, Some(trust)) if !args.receipts.is_empty() => {
            receipts::verify(args, &trust, source).await?
        }
        (None, Some(source), Some(trust)) => log::whole(args, &trust, source).await?,
        _ => return Err(Error::Usage("--log-key: name the key that the log is signed with")),
    };
    Ok(match verdict {
        Verdict::Verified => ExitCode::SUCCESS,
        Verdict::Unwitnessed => ExitCode::from(3),
        Verdict::Invalid => ExitCode::FAILURE,
    })
}

/// Where --log says that the log is.
enum Named {
    Nowhere,
    Directory(PathBuf),
    /// At the other end of the connection, below a path.
    Server(String),
}

async fn open(args: &VerifyArgs) -> Result<(Option<Connection>, Named), Error> {
    let Some(log) = &args.log else { return Ok((None, Named::Nowhere)) };
    if !log.contains("://") {
        return Ok((None, Named::Directory(PathBuf::from(log))));
    }
    let uri: Uri = log.parse().map_err(|_| Error::Url)?;
    let below = uri.path().trim_end_matches('/').to_owned();
    let (ca, cert, key) = (args.ca.clone(), args.cert.clone(), args.key.clone());
    let gateway = GatewayArgs { gateway: log.clone(), ca, cert, key };
    let connection = Connection::open_with(&gateway, &args.network, Stop::never()).await?;
    Ok((Some(connection), Named::Server(below)))
}
