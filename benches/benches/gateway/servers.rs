//! Servers as processes of their own.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use clap::Parser as _;
use tiresias_server::{Config, cli};

use crate::Failure;

/// A server that listens. It is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts this program in another role and waits for the line with its address.
    pub(crate) fn start(role: &str, directory: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--role", role, "--directory"]).arg(directory);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let address = line.trim().parse();
        let mut server = Self { child, address: SocketAddr::from(([0, 0, 0, 0], 0)) };
        server.address = address.map_err(|_| format!("the {role} server did not start"))?;
        Ok(server)
    }

    /// The process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prints the line that [`Server::start`] waits for.
pub(crate) fn announce(address: SocketAddr) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{address}").and_then(|()| out.flush());
}

/// The real gateway, with the settings it has by default, and a data directory where answers are to be logged.
pub(crate) fn serve_gateway(directory: &Path, logged: bool) -> Result<(), Failure> {
    let path = |name: &str| directory.join(name).display().to_string();
    let (repo, tls, data) = (path("models"), path("tls"), path("data"));
    let mut flags = vec![
        "tiresias-gateway",
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--repo",
        &repo,
        "--tls-self-signed",
        &tls,
    ];
    if logged {
        flags.extend(["--data", &data]);
    }
    let cli::Command::Serve(arguments) = cli::Cli::try_parse_from(flags)?.command else {
        return Err("the flags say `serve`".into());
    };
    let config = Config::from_args(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let announce = |listening: tiresias_server::listener::Listening| announce(listening.address);
    let (_reload, reloads) = tokio::sync::mpsc::channel(1);
    Ok(runtime.block_on(tiresias_server::serve(config, announce, std::future::pending(), reloads))?)
}

/// CPU time of a process and its threads, user and system, in seconds; NaN where the system does not tell.
pub(crate) fn cpu_s(process: u32) -> f64 {
    /// Linux counts for user space in hundredths of a second, on every architecture that we build for.
    const TICK_S: f64 = 0.01;
    let fields = fs::read_to_string(format!("/proc/{process}/stat")).ok().and_then(|stat| {
        // Behind the program's name, which may hold anything, field 3 comes first; user and system time are 14 and 15.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut times = fields.split_whitespace().skip(11).map(|field| field.parse::<f64>().ok());
        Some(times.next()?? + times.next()??)
    });
    fields.map_or(f64::NAN, |ticks| ticks * TICK_S)
}
