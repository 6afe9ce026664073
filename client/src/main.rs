//! `tiresias`: demo, infer, cohort, segment, encrypt, decrypt, enroll, verify, audit, canaries, backbone, fairness, harmonize, joint, learn, review, synth and witness.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{CommandFactory as _, Parser as _};
use tiresias_client::{
    Error,
    cli::{Cli, Command},
    commands, dumps,
};

fn main() -> ExitCode {
    dumps::forbid();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Error::Output(error)),
    };
    let result = runtime.block_on(async {
        let done = match &cli.command {
            Command::Verify(args) => return commands::verify::run(args).await,
            Command::Audit(args) => return commands::audit::run(args).await,
            Command::Demo(args) => commands::demo::run(args).await,
            Command::Infer(args) => commands::infer::run(args).await,
            Command::Cohort(args) => commands::cohort::run(args).await,
            Command::Segment(args) => commands::segment::run(args).await,
            Command::Encrypt(args) => commands::encrypt::run(args).await,
            Command::Decrypt(args) => commands::decrypt::run(args),
            Command::Enroll(args) => commands::enroll::run(args).await,
            Command::Canaries(command) => commands::canaries::run(command).await,
            Command::Backbone(args) => commands::backbone::run(args),
            Command::Fairness(args) => commands::fairness::run(args).await,
            Command::Harmonize(args) => commands::harmonize::run(args).await,
            Command::Joint(command) => commands::joint::run(command).await,
            Command::Learn(args) => commands::learn::run(args).await,
            Command::Review(args) => commands::review::run(args).await,
            Command::Synth(args) => commands::synth::run(args),
            Command::Witness(args) => commands::witness::run(args).await,
            Command::Completions { shell } => {
                clap_complete::generate(*shell, &mut Cli::command(), "tiresias", &mut io::stdout().lock());
                Ok(())
            }
            Command::Man => {
                let page = clap_mangen::Man::new(Cli::command());
                page.render(&mut io::stdout().lock()).map_err(Error::Output)
            }
        };
        done.map(|()| ExitCode::SUCCESS)
    });
    match result {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn fail(error: &Error) -> ExitCode {
    // Standard error may be closed; there is no one left to tell then.
    let _ = writeln!(io::stderr(), "tiresias: error[{}]: {error}", error.code());
    match error {
        Error::Usage(_) => ExitCode::from(2),
        Error::FairnessAlarm { .. } => ExitCode::from(3),
        _ => ExitCode::FAILURE,
    }
}
