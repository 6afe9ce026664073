//! `tiresias audit`: the evidence that a gateway sees no plaintext, in a folder with a page.
//!
//! 1. `target`: the gateway, running or started for the audit. `folder`: where evidence goes.
//! 2. `session`: canary `patients` go from a process of the clinic's program (`clinic`) through a `relay` of `tap`s, and are
//!    looked for (`searches`) in memory and on the wire.
//! 3. `programs`: symbols, files, system calls (`syscalls`), crates (`sbom`). `dataflow`: every byte that was sent.
//!    `evidence`: receipts and log.
//! 4. `check`: what each came to. `mapping`: which rules ask for it. `page`: the page.

mod check;
mod clinic;
mod dataflow;
mod evidence;
mod folder;
mod mapping;
mod page;
mod patients;
mod programs;
mod relay;
mod sbom;
mod searches;
mod session;
mod syscalls;
mod tap;
mod target;

use std::{path::Path, process::ExitCode};

use serde::Serialize;
use serde_json::json;

use self::{
    check::{Check, Status},
    dataflow::Field,
    folder::Folder,
    sbom::Component,
    target::Target,
};
use crate::{Error, cli::AuditArgs, clock, output};

/// The checks, in the order of the page.
const CHECKS: [&str; 8] =
    ["symbols", "memory", "files", "wire", "data_flow", "evidence", "behaviour", "sbom"];

/// An audit, as it is written and printed.
#[derive(Serialize)]
struct Audit {
    status: Status,
    version: String,
    command: String,
    when: String,
    gateway: String,
    /// Whether the gateway was started for the audit.
    is_own: bool,
    model: String,
    config: String,
    checks: Vec<Check>,
    #[serde(skip)]
    fields: Vec<Field>,
    #[serde(skip)]
    crates: Vec<Component>,
}

/// Runs the command. The exit code tells whether something was found, or something was not looked at.
pub async fn run(args: &AuditArgs) -> Result<ExitCode, Error> {
    let folder = Folder::create(&args.out)?;
    let work = tempfile::Builder::new().prefix("tiresias-clinic-").tempdir();
    let work = work.map_err(|source| Error::Io { path: std::env::temp_dir(), source })?;
    let mut target = Target::open(args, folder.path()).await?;
    let looked = look(args, &folder, work.path(), &mut target).await;
    let stopped = target.stop().await;
    let audit = looked?;
    stopped?;
    folder.write_json("audit.json", &audit)?;
    folder.write(folder::PAGE, page::html(&audit).as_bytes())?;
    print(args, &folder, &audit)?;
    match audit.status {
        Status::Failed => Err(Error::AuditFailed {
            finding: audit.checks.iter().find_map(Check::first_wrong).unwrap_or_default(),
            page: folder.page(),
        }),
        Status::NotDone => Ok(ExitCode::from(3)),
        Status::Passed | Status::Listed => Ok(ExitCode::SUCCESS),
    }
}

/// Looks at everything. A gateway of the audit's own is stopped in between, so that its trace and its files are whole.
async fn look(args: &AuditArgs, folder: &Folder, work: &Path, target: &mut Target) -> Result<Audit, Error> {
    let session = session::run(args, folder, work, target).await?;
    let mut checks = session.checks;

    let mut flow = Check::new("data_flow", "What the clinic sent, field by field", FLOW.0, FLOW.1);
    session.flow.judge(&mut flow);
    let fields = session.flow.fields();
    let flow = flow.concluded();
    folder.write_json("data_flow.json", &json!({ "check": flow, "fields": fields }))?;
    checks.push(flow);

    let mut evidence = Check::new("evidence", "Receipts and log", EVIDENCE.0, EVIDENCE.1);
    let receipts = folder.path().join("receipts");
    let lines = evidence::verify(&mut evidence, args, &target.log_keys, &target.gateway, &receipts).await?;
    evidence.files.extend(folder.list("receipts"));
    let evidence = evidence.concluded();
    folder.write_json("evidence.json", &json!({ "check": evidence, "receipts": lines }))?;
    checks.push(evidence);

    let programs = programs::of(target.process);
    checks.push(programs::symbols(folder, &programs)?);
    target.stop().await?;
    let (behaviour, trace) = programs::behaviour(folder, target, &session.observed)?;
    checks.push(behaviour);
    checks.push(programs::files(folder, target, trace.as_ref(), &session.observed, &session.search)?);
    let (built_from, crates) = programs::built_from(args, folder, &programs)?;
    checks.push(built_from);

    checks.sort_by_key(|check| CHECKS.iter().position(|id| *id == check.id));
    let status = checks.iter().map(|check| check.status).max().unwrap_or(Status::NotDone);
    Ok(Audit {
        status: if status == Status::Listed { Status::Passed } else { status },
        version: format!("tiresias {}", env!("CARGO_PKG_VERSION")),
        command: super::command_line(),
        when: clock::now(),
        gateway: target.gateway.gateway.clone(),
        is_own: target.is_own(),
        model: target.model.clone(),
        config: session.config,
        checks,
        fields,
        crates,
    })
}

fn print(args: &AuditArgs, folder: &Folder, audit: &Audit) -> Result<(), Error> {
    if args.json {
        return output::json(audit);
    }
    for check in &audit.checks {
        output::line(&format!("{:9} {}", check.status.word(), check.title))?;
        for finding in &check.findings {
            output::line(&format!("          {} in {}", finding.what, finding.place))?;
        }
        for control in check.controls.iter().filter(|control| !control.hit) {
            output::line(&format!("          the control did not hit: {}", control.what))?;
        }
        if let Some(missing) = &check.missing {
            output::line(&format!("          {missing}"))?;
        }
    }
    output::line(&format!("the page is {}", folder.page().display()))
}

/// What two of the checks show, and what they do not.
const FLOW: (&str, &str) = (
    "Every byte of the clinic's requests lies in a field that the protocol has. All that depends on features is in the polynomials of \
     frames, which are ciphertexts.",
    "That ciphertexts hide their content: that rests on the assumption in SECURITY.md. A field that the protocol has could be made to carry \
     more than it should; the search of the wire looks for that.",
);
const EVIDENCE: (&str, &str) = (
    "Each answer's receipt is right: signed by the log's key, of this request and this response, in a log whose every entry and tile make \
     the root that is signed.",
    "That there is one log alone: without witnesses (UNWITNESSED) its operator could show others another one. That answers are right. A log \
     key that the gateway names itself shows that receipts hang together, not whose they are.",
);
