//! The gateway's programs and what they did: symbols, system calls and open files, and what they are built from.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{
    check::Check,
    folder::Folder,
    sbom::{self, Component},
    searches,
    syscalls::Trace,
    target::Target,
};
use crate::{
    Error,
    audit::{
        Search,
        processes::{self, Observed},
        symbols::{FORBIDDEN, SECRET_KEY, Symbols},
    },
    cli::AuditArgs,
    files,
};

/// A trace may be this large.
const MAXIMUM_TRACE_BYTES: u64 = 1 << 30;

/// A program of the gateway's, as its process runs it.
pub(super) struct Program {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// The programs of a process and of those below it, each once.
pub(super) fn of(process: Option<u32>) -> Vec<Program> {
    let mut programs: Vec<Program> = Vec::new();
    let family = process.and_then(|process| processes::family(process).ok()).unwrap_or_default();
    for process in family {
        let link = format!("/proc/{process}/exe");
        // The link leads to the file that runs, even where another one has its name by now.
        let Ok(path) = fs::read_link(&link) else { continue };
        if programs.iter().all(|program| program.path != path)
            && let Ok(bytes) = fs::read(&link)
        {
            programs.push(Program { path, bytes });
        }
    }
    programs
}

/// Looks for code of the secret key.
pub(super) fn symbols(folder: &Folder, programs: &[Program]) -> Result<Check, Error> {
    let mut check = Check::new("symbols", "The gateway's program", SYMBOLS.0, SYMBOLS.1);
    let mut found = Vec::new();
    for program in programs {
        let place = program.path.display().to_string();
        match Symbols::read(&program.bytes) {
            Ok(symbols) => {
                for part in FORBIDDEN {
                    let names: Vec<&str> = symbols.with(part).take(8).collect();
                    if !names.is_empty() {
                        check.find(format!("code named {part}"), &place);
                    }
                    found.push(json!({ "program": place, "looked_for": part, "names": names }));
                }
                check.fact(&place, format!("{} names, SHA-256 {}", symbols.count(), digest(&program.bytes)));
                check.control(format!("{place}: its table of symbols is whole"), symbols.is_whole());
            }
            Err(error) => check.control(format!("{place}: {error}"), false),
        }
    }
    let own = fs::read("/proc/self/exe").ok().and_then(|own| Symbols::read(&own).ok());
    for does in ["decrypt", "encrypt"] {
        let has = |own: &Symbols| own.with(SECRET_KEY).any(|name| name.contains(does));
        check.control(
            format!("code of {SECRET_KEY} that does {does}: in this client"),
            own.as_ref().is_some_and(has),
        );
    }
    let check = match programs.is_empty() {
        true => check.not_done(
            "no process was named, or its program cannot be read: --pid, with the rights of its user",
        ),
        false => check.concluded(),
    };
    folder.write_json("symbols.json", &json!({ "check": check, "found": found }))?;
    Ok(check)
}

/// What a gateway did, as far as its calls were traced, and what it had open.
pub(super) fn behaviour(
    folder: &Folder,
    target: &Target,
    observed: &[Observed],
) -> Result<(Check, Option<Trace>), Error> {
    let mut check = Check::new("behaviour", "System calls and open files", BEHAVIOUR.0, BEHAVIOUR.1);
    for process in observed {
        let files = process.open.iter().filter(|open| open.starts_with('/')).count();
        let sockets = process.open.iter().filter(|open| open.starts_with("socket:")).count();
        let what = format!("{files} files and {sockets} sockets open, {} files mapped", process.mapped.len());
        check.fact(&format!("Process {}, looked at after the answer", process.process), what);
    }
    let trace = match &target.trace {
        Some(path) => {
            let text = files::read(path, MAXIMUM_TRACE_BYTES)?;
            let trace = Trace::read_from(&String::from_utf8_lossy(&text));
            check.files.push("syscalls.txt".to_owned());
            check.fact("System calls", "traced by strace, from the first one on");
            check.fact("Calls", trace.calls.values().sum::<u64>());
            check.fact("Kinds of calls", trace.calls.len());
            check.fact("Files opened to be read", trace.read.len());
            check.fact("Files opened to be written", trace.written.len());
            check.fact("Programs run", join(&trace.run));
            check.fact("Listened on", join(&trace.bound));
            check.fact("Connected to", join(&trace.connected));
            let reads_model = trace.read.iter().any(|path| path.ends_with("/model.bin"));
            check.control("the gateway opens the stored weights: in the trace", reads_model);
            Some(trace)
        }
        None => {
            check.fact("System calls", format!("not traced: {}", target.untraced));
            None
        }
    };
    let check = match (observed.is_empty(), &trace) {
        (true, None) => check.not_done("no process was named: --pid"),
        _ => check.listed(),
    };
    folder.write_json("behaviour.json", &json!({ "check": check, "processes": observed, "trace": trace }))?;
    Ok((check, trace))
}

/// Looks through all files that the gateway is known to have written.
pub(super) fn files(
    folder: &Folder,
    target: &Target,
    trace: Option<&Trace>,
    observed: &[Observed],
    search: &Search,
) -> Result<Check, Error> {
    let mut check = Check::new("files", "The gateway's files", FILES.0, FILES.1);
    let (mut all, unread) = searches::files_below(&target.files);
    let traced = trace.into_iter().flat_map(|trace| &trace.written);
    let open = observed.iter().flat_map(|process| &process.open);
    let more: BTreeSet<PathBuf> = traced.chain(open).map(PathBuf::from).collect();
    all.extend(more.into_iter().filter(|path| path.is_absolute() && is_regular(path)));
    if let Some(first) = unread.first() {
        check.missing = Some(first.clone());
    }
    let mut places = Vec::new();
    searches::files(&mut check, &mut places, &all, search);
    check.fact("Files", places.len());
    check.fact("Bytes", places.iter().map(|place| place.bytes).sum::<u64>());
    let (forms, missed) = searches::not_found_in_a_file(search, &std::env::temp_dir())
        .map_err(files::at(&std::env::temp_dir()))?;
    check.control(
        format!("all {forms} forms of the canaries: in a file that was written with them"),
        missed.is_empty(),
    );
    let check = match (all.is_empty(), target.is_own() || !target.files.is_empty()) {
        (false, true) => check.concluded(),
        _ => check.not_done("no file or folder was named: --gateway-files, with its data folder and its log"),
    };
    folder.write_json("files.json", &json!({ "check": check, "places": places, "missed": missed }))?;
    Ok(check)
}

/// Lists what the gateway is built from, and looks it up where there is a database.
pub(super) fn built_from(
    args: &AuditArgs,
    folder: &Folder,
    programs: &[Program],
) -> Result<(Check, Vec<Component>), Error> {
    let mut check = Check::new("sbom", "What the gateway is built from", SBOM.0, SBOM.1);
    let Some(list) = programs.iter().find_map(|program| sbom::find(&program.bytes)) else {
        let check = check.not_done("the program carries no list of its crates, or was not named: --pid");
        folder.write_json("sbom.json", &json!({ "check": check }))?;
        return Ok((check, Vec::new()));
    };
    let mut components = sbom::components(&list);
    folder.write_json("sbom.cdx.json", &list)?;
    check.files.push("sbom.cdx.json".to_owned());
    let linked = components.iter().filter(|component| component.is_linked).count();
    check.fact("Crates in the program", linked);
    check.fact("Crates that its build alone uses", components.len() - linked);
    let licences: BTreeSet<&str> = components.iter().map(|component| component.licence.as_str()).collect();
    check.fact("Licences", licences.into_iter().collect::<Vec<_>>().join("; "));
    let looked_up = match &args.advisory_db {
        Some(database) => {
            sbom::look_up(&mut check, &mut components, database)?;
            true
        }
        None => {
            check.fact("Advisories", "NOT CHECKED: no database was named (--advisory-db)");
            false
        }
    };
    let check = match (components.is_empty(), looked_up) {
        (true, _) => check
            .not_done("the build could not list its crates: build again where cargo can read its registry"),
        (false, true) => check.concluded(),
        (false, false) => check.listed(),
    };
    folder.write_json("sbom.json", &json!({ "check": check, "crates": components }))?;
    Ok((check, components))
}

fn is_regular(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(bytes))
}

fn join(set: &BTreeSet<String>) -> String {
    if set.is_empty() { "none".to_owned() } else { set.iter().cloned().collect::<Vec<_>>().join("; ") }
}

/// What the checks show, and what they do not.
const SYMBOLS: (&str, &str) = (
    "The programs that run as the gateway hold no code of the crate that makes and uses secret keys. By their tables of symbols they are \
     whole programs of this project.",
    "That the file is what was built from the published source: compare its SHA-256 with a build of your own (.ci/reproducible). Inlined \
     or renamed code has no symbol. Libraries that a process loads later are listed below, not searched for code.",
);
const BEHAVIOUR: (&str, &str) = (
    "Which files, sockets and calls the gateway used in this run, as far as it says above that calls were traced. Where they were not, it is \
     what was open at one moment.",
    "What it does in other runs, under other load or configuration. Nothing here forbids a call: that is for the system that it runs on \
     (seccomp, containers, firewalls).",
);
const FILES: (&str, &str) = (
    "In no file below the named folders, in none that was traced as written and in none that was open is any form of the canaries, nor in \
     the names of these files.",
    "Files that were deleted before the search, that another program wrote for it, or that were not named and not traced. What is \
     compressed or encrypted is not seen.",
);
const SBOM: (&str, &str) = (
    "Names, versions, licences and checksums of the crates that cargo resolved when the gateway was built, as the program itself carries \
     them.",
    "That the list is true: it is as honest as whoever built the program. C code inside crates (aws-lc-sys), the compiler, its standard \
     library and the system's libraries are not listed as components of their own. Features that other programs of one build switch on may \
     add crates.",
);
