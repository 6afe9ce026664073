//! `tiresias-gateway`: estimate, import, inspect, evaluate, check and serve.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{CommandFactory as _, Parser as _};
use tiresias_server::{
    Config, check,
    cli::{Cli, Command, ServeArgs},
    config, device, dumps, governance,
    listener::{self, Listening},
    log, owner, replay, sandbox, sbom, serve,
};
use tokio::sync::mpsc;

fn main() -> ExitCode {
    dumps::forbid();
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Serve(args) => run_server(args),
        // Its standard output belongs to the gateway.
        Command::BootstrapWorker(args) => device::work(&args).map_err(Error::from),
        command => run_command(command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; there is no one left to tell then.
            let _ = writeln!(io::stderr(), "tiresias-gateway: error[{}]: {error}", error.code());
            ExitCode::FAILURE
        }
    }
}

/// Why the program ended.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Command(#[from] owner::Error),
    #[error(transparent)]
    Approve(#[from] governance::ApproveError),
    #[error(transparent)]
    Log(#[from] log::CommandError),
    #[error(transparent)]
    Replay(#[from] replay::Error),
    #[error(transparent)]
    Check(#[from] check::Error),
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error(transparent)]
    Serve(#[from] listener::Error),
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
    #[error(transparent)]
    Worker(#[from] device::WorkerError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Command(error) => error.code(),
            Self::Approve(error) => error.code(),
            Self::Log(error) => error.code(),
            Self::Replay(error) => error.code(),
            Self::Check(error) => error.code(),
            Self::Config(error) => error.code(),
            Self::Serve(error) => error.code(),
            Self::Sandbox(error) => error.code(),
            Self::Worker(_) => "worker",
            Self::Io(_) => "io",
        }
    }
}

fn run_command(command: Command) -> Result<(), Error> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match command {
        Command::Import(args) => owner::import(&args, &mut out)?,
        Command::Inspect(args) => owner::inspect(&args, &mut out)?,
        Command::Evaluate(args) => owner::evaluate(&args, &mut out)?,
        Command::Estimate(args) => owner::estimate(&args, &mut out)?,
        Command::Approve(args) => governance::approve(&args, &mut out)?,
        Command::Log(command) => log::run(&command, &mut out)?,
        Command::Replay(args) => replay::replay(&args, &mut out)?,
        Command::CheckConfig(args) => {
            let checked = check::check(args, &mut out);
            out.flush()?;
            checked?;
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "tiresias-gateway", &mut out);
        }
        Command::Sbom => writeln!(out, "{}", sbom::SBOM)?,
        Command::Man => clap_mangen::Man::new(Cli::command()).render(&mut out)?,
        Command::Serve(_) | Command::BootstrapWorker(_) => {}
    }
    Ok(out.flush()?)
}

fn run_server(args: ServeArgs) -> Result<(), Error> {
    init_logging();
    let config = Config::from_args(args)?;
    // The limits of a container stand in files that the sandbox leaves out.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    sandbox::enter(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        let (shutdown, reloads) = (shutdown_signal()?, reload_signal()?);
        Ok(serve(config, announce, shutdown, reloads).await?)
    })
}

/// Prints the one line that tells scripts where the gateway listens.
fn announce(listening: Listening) {
    let mut line = serde_json::json!({ "listening": format!("https://{}", listening.address) });
    if let Some(metrics) = listening.metrics {
        line["metrics"] = format!("http://{metrics}").into();
    }
    if let Some(newest) = listening.log.first() {
        line["log"] = newest.as_str().into();
    }
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Logs go to standard error: `RUST_LOG` filters, `TIRESIAS_LOG=json` makes them JSON.
fn init_logging() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    match std::env::var("TIRESIAS_LOG").as_deref() {
        Ok("json") => logs.json().init(),
        _ => logs.with_ansi(false).init(),
    }
}

/// A message for each SIGHUP; those that come while one is being answered are one.
fn reload_signal() -> io::Result<mpsc::Receiver<()>> {
    let (send, receive) = mpsc::channel(1);
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                // Where one waits already, it will read what this one asks for.
                let _ = send.try_send(());
            }
        });
    }
    #[cfg(not(unix))]
    drop(send);
    Ok(receive)
}

#[cfg(unix)]
fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
