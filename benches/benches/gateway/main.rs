//! Requests a second of the real gateway beside a server that scores the same features in the clear.
//!
//! `cargo bench -p tiresias-benches --bench gateway [-- --connections N --rounds N --seconds S --reconnect --json]`
//!
//! Every server is a process of its own, so that its CPU time can be told from that of the load; all share the
//! machine. The load is `--connections` threads, each with one TLS 1.3 connection (X25519MLKEM768, client certificate)
//! that is kept alive (with `--reconnect`, a new one for each request), and one request prepared before. Servers take turns, round after round. The first answer of
//! each is checked against the clear twin. Nothing is logged on any side.
//!
//! What bounds the ratio: an encrypted request brings 26 KB and takes 38 KB away, a clear one about 1 KB in all. The
//! row `gateway, health` is the floor that the stack sets: TLS, HTTP and routing without any work behind them.
//!
//! The rows `with receipts` are of a gateway with a data directory, below the system's temporary one (`TMPDIR`): each answer's
//! leaf is on that disk before it leaves. Their cost is the last lines: requests a second beside the same without receipts. How
//! long that disk takes for one small write and its sync stands beside them: where it takes no time, it is none.

mod clear_server;
mod load;
mod servers;
mod targets;

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum};
use comfy_table::{Table, presets::ASCII_MARKDOWN};
use serde_json::json;
use tiresias_benches::stats::{Ratio, median};

use crate::{
    load::Load,
    servers::Server,
    targets::{Kind, Target},
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Requests a second of the gateway beside a clear server.
#[derive(Debug, Parser)]
struct Arguments {
    /// Connections, one thread each
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Rounds of all servers in turn
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Seconds of load on a server in each round
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Open a new connection, with a full handshake, for each request
    #[arg(long)]
    reconnect: bool,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
    /// Said by `cargo bench`; without it one short round shows that all of it runs
    #[arg(long, hide = true)]
    bench: bool,
    /// Be one of the servers, for the files in DIR
    #[arg(long, hide = true, requires = "directory")]
    role: Option<Role>,
    #[arg(long, hide = true, value_name = "DIR")]
    directory: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    Gateway,
    Logged,
    Clear,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    match (arguments.role, &arguments.directory) {
        (Some(Role::Gateway), Some(directory)) => servers::serve_gateway(directory, false),
        (Some(Role::Logged), Some(directory)) => servers::serve_gateway(directory, true),
        (Some(Role::Clear), Some(directory)) => clear_server::serve(directory),
        _ => measure(&arguments),
    }
}

/// Requests a second and the server's CPU time a request in microseconds, one entry a round.
#[derive(Default)]
struct Series {
    rate: Vec<f64>,
    cpu_us: Vec<f64>,
}

fn measure(arguments: &Arguments) -> Result<(), Failure> {
    let (rounds, seconds) = if arguments.bench { (arguments.rounds, arguments.seconds) } else { (1, 0.1) };
    let directory = tempfile::tempdir()?;
    targets::prepare(directory.path())?;
    let gateway = Server::start("gateway", directory.path())?;
    let logged = Server::start("logged", directory.path())?;
    let clear = Server::start("clear", directory.path())?;
    let client = load::client_config(directory.path())?;
    let targets = targets::all(directory.path(), &client, [&gateway, &logged], &clear)?;

    let load = Load {
        connections: arguments.connections,
        reconnect: arguments.reconnect,
        time: Duration::from_secs_f64(seconds),
    };
    let mut series: Vec<Series> = targets.iter().map(|_| Series::default()).collect();
    for _ in 0..rounds {
        for (target, series) in targets.iter().zip(&mut series) {
            let slice = load::run(target, &client, &load)?;
            series.rate.push(slice.requests as f64 / slice.wall_s);
            series.cpu_us.push(slice.server_cpu_s * 1e6 / slice.requests as f64);
        }
    }
    let sync_us = sync_us(directory.path())?;
    if arguments.json {
        print_json(&targets, &series, sync_us)
    } else {
        print_table(arguments, &targets, &series, sync_us)
    }
}

/// What a small write and its sync take on the disk of this directory, the median of many.
fn sync_us(directory: &Path) -> Result<f64, Failure> {
    let mut file = File::create(directory.join("sync"))?;
    file.write_all(&[0; 1 << 16])?;
    file.sync_all()?;
    io::Seek::rewind(&mut file)?;
    let mut times = Vec::new();
    for _ in 0..201 {
        let started = Instant::now();
        file.write_all(&[1; 36])?;
        file.sync_data()?;
        times.push(started.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(&times))
}

/// The clear servers that the others are compared with.
fn baselines(targets: &[Target]) -> impl Iterator<Item = usize> {
    (0..targets.len()).filter(|&i| targets[i].kind == Kind::Clear)
}

/// The rows with receipts, and the same without.
fn receipts(targets: &[Target]) -> impl Iterator<Item = (usize, usize)> {
    let named = |name: &str| targets.iter().position(|target| target.name == name);
    targets.iter().enumerate().filter_map(move |(with, target)| {
        Some((with, named(target.name.strip_suffix(targets::WITH_RECEIPTS)?)?))
    })
}

fn print_table(
    arguments: &Arguments,
    targets: &[Target],
    series: &[Series],
    sync_us: f64,
) -> Result<(), Failure> {
    let mut header: Vec<String> =
        ["server", "body up B", "body down B", "requests/s", "server CPU us"].map(String::from).into();
    for clear in baselines(targets) {
        header.push(format!("requests/s beside {}", targets[clear].name));
        header.push("the same by server CPU".to_owned());
    }
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(header);
    for (target, own) in targets.iter().zip(series) {
        let mut row = vec![
            target.name.clone(),
            target.body_bytes.to_string(),
            target.answer_bytes.to_string(),
            format!("{:.0}", median(&own.rate)),
            format!("{:.0}", median(&own.cpu_us)),
        ];
        for clear in baselines(targets) {
            row.push(Ratio::new(&own.rate, &series[clear].rate).to_string());
            row.push(Ratio::new(&series[clear].cpu_us, &own.cpu_us).to_string());
        }
        table.add_row(row);
    }
    let mode = if arguments.reconnect { "a new one for each request" } else { "kept alive" };
    writeln!(io::stdout(), "{} connections, {mode}\n{table}", arguments.connections)?;
    for (with, without) in receipts(targets) {
        let ratio = Ratio::new(&series[with].rate, &series[without].rate);
        writeln!(io::stdout(), "{}: {ratio} of the requests/s without", targets[with].name)?;
    }
    writeln!(io::stdout(), "a write of 36 bytes and its sync on the disk of the receipts: {sync_us:.0} us")?;
    Ok(())
}

fn print_json(targets: &[Target], series: &[Series], sync_us: f64) -> Result<(), Failure> {
    for (target, own) in targets.iter().zip(series) {
        let ratios: Vec<_> = baselines(targets)
            .map(|clear| {
                let rate = Ratio::new(&own.rate, &series[clear].rate);
                let cpu = Ratio::new(&series[clear].cpu_us, &own.cpu_us);
                json!({
                    "beside": targets[clear].name,
                    "rate": { "medians": rate.medians, "p10": rate.low, "p90": rate.high },
                    "by_server_cpu": { "medians": cpu.medians, "p10": cpu.low, "p90": cpu.high },
                })
            })
            .collect();
        let row = json!({
            "server": target.name,
            "body_bytes": target.body_bytes,
            "answer_bytes": target.answer_bytes,
            "requests_per_s": median(&own.rate),
            "server_cpu_us": median(&own.cpu_us),
            "ratios": ratios,
        });
        writeln!(io::stdout(), "{row}")?;
    }
    for (with, without) in receipts(targets) {
        let ratio = Ratio::new(&series[with].rate, &series[without].rate);
        let row = json!({
            "server": targets[with].name,
            "beside": targets[without].name,
            "rate": { "medians": ratio.medians, "p10": ratio.low, "p90": ratio.high },
            "sync_us": sync_us,
        });
        writeln!(io::stdout(), "{row}")?;
    }
    Ok(())
}
