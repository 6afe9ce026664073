//! Evaluations of one linear head beside each other: Tiresias, and BFV with coefficient packing by fhe.rs, the fastest
//! peer known to us. One thread, one run, contenders interleaved, results checked before anything is timed.
//!
//! `cargo run --release` in this folder prints tables; `-- --json` prints one object a line.
//!
//! What is compared: the server's work from a decoded request to a response (`evaluate`), and from the bytes of one to
//! the bytes of the other (`served`). fhe.rs expands and transforms a request while it decodes it, Tiresias while it
//! evaluates: `served` is the one that counts the same work on both sides. No contender has an evaluation key. Who
//! hides what differs: the column `weights` says how much of the model leaves in each answer.
#![forbid(unsafe_code)]

mod bfv;
mod report;
mod timing;
mod tiresias;

use std::{error::Error, process::ExitCode};

use tiresias_benches::Fixture;
use tiresias_circuits::{Privacy, clear};

/// Names of the privacy kinds that are measured.
const PRIVACIES: [&str; 3] = ["flooded", "statistical", "open-weights"];
/// Features and classes.
const SHAPES: [(usize, usize); 2] = [(512, 14), (2048, 14)];
/// Requests whose answers are compared with the clear twin.
const CHECKED: usize = 8;

/// What is known of a contender before it runs.
struct Facts {
    name: String,
    parameters: String,
    /// Bits of security, and who says so.
    security: String,
    /// What an answer tells of the weights beside the scores.
    weights: &'static str,
    upload_bytes: usize,
    download_bytes: usize,
    /// Keys that the server must hold.
    key_bytes: usize,
}

/// One system with one head and one encrypted row.
trait Contender {
    fn facts(&self) -> Facts;
    /// A fresh encryption of the row, evaluated and decrypted.
    fn scores(&self) -> Result<Vec<i64>, Box<dyn Error>>;
    /// Evaluates a decoded request.
    fn evaluate(&self) -> Result<(), Box<dyn Error>>;
    /// Decodes a request, evaluates it and encodes the response.
    fn serve(&self) -> Result<(), Box<dyn Error>>;
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => false,
        ["--json"] => true,
        _ => {
            report::line("usage: tiresias-peers [--json]");
            return ExitCode::from(2);
        }
    };
    match run(json) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::line(&format!("failed: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(json: bool) -> Result<(), Box<dyn Error>> {
    for (features, classes) in SHAPES {
        let (ours, peers) = contenders(features, classes)?;
        let all: Vec<&dyn Contender> = ours.iter().chain(&peers).map(AsRef::as_ref).collect();
        let evaluate = timing::interleaved(&all, |contender| contender.evaluate())?;
        let served = timing::interleaved(&all, |contender| contender.serve())?;
        let shape = format!("{features}x{classes}");
        let measured =
            report::Measured { shape: &shape, ours: ours.len(), contenders: &all, evaluate, served };
        if json { measured.print_json() } else { measured.print_tables() }
    }
    Ok(())
}

type Contenders = Vec<Box<dyn Contender>>;

/// Our contenders and the others, each checked against the clear twin.
fn contenders(features: usize, classes: usize) -> Result<(Contenders, Contenders), Box<dyn Error>> {
    let mut ours: Contenders = Vec::new();
    let mut peers: Contenders = Vec::new();
    for name in PRIVACIES {
        let privacy: Privacy = name.parse()?;
        ours.push(Box::new(tiresias::Tiresias::new(Fixture::new(features, classes, privacy))?));
    }
    // Weights and row are the same for every privacy.
    let fixture = Fixture::new(features, classes, PRIVACIES[0].parse()?);
    for set in &bfv::SETS {
        for masked in [false, true] {
            peers.push(Box::new(bfv::Bfv::new(&fixture, set, masked)?));
        }
    }
    let expected = clear::scores(&fixture.quantized, &fixture.row)?;
    for contender in ours.iter().chain(&peers) {
        for _ in 0..CHECKED {
            if contender.scores()? != expected {
                return Err(format!("{} is not exact", contender.facts().name).into());
            }
        }
    }
    Ok((ours, peers))
}
