//! `cargo run --release -p tiresias-benches --features gpu --bin gpu-conformance [N]`: whether GPU number N gives the bytes of the
//! processor, and how fast. It ends with an error where anything differs.
//!
//! First bootstraps alone, in this process: agreement and speed for each parameter set. Then a whole head behind a worker
//! process, as the gateway runs it: agreement, latency, throughput, and what a killed worker costs.
#![expect(clippy::print_stdout, reason = "it prints its figures")]

mod bootstraps;
mod head;

use std::time::Instant;

use clap::{Parser, Subcommand};
use tiresias_gpu::Device;
use tiresias_server::device::{WorkerArgs, work};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Which GPU
    #[arg(default_value_t = 0)]
    ordinal: usize,
}

#[derive(Subcommand)]
enum Command {
    /// The worker that this program starts
    #[command(hide = true)]
    BootstrapWorker(WorkerArgs),
}

/// What went wrong: a device that is not there, or a result that differs.
type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let cli = Cli::parse();
    if let Some(Command::BootstrapWorker(args)) = cli.command {
        return Ok(work(&args)?);
    }
    let started = Instant::now();
    let device = Device::open(cli.ordinal)?;
    let (free, total) = device.memory()?;
    println!(
        "{}: opened in {:.1} s, {} of {} MiB free, {:.2e} double-precision instructions/s",
        device.name(),
        started.elapsed().as_secs_f64(),
        free >> 20,
        total >> 20,
        device.double_rate()?
    );
    bootstraps::check(&device)?;
    drop(device);
    head::check(cli.ordinal)
}
