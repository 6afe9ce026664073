//! The live part of an audit: patients of canaries go through the gateway, and while client and gateway stand still they are
//! looked for in the memory of both, and on the wire.

use std::path::Path;

use rustls_pki_types::ServerName;
use serde_json::json;
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    time::{Duration, sleep},
};
use tokio_rustls::TlsConnector;

use super::{
    check::Check,
    clinic::Clinic,
    dataflow::Flow,
    folder::Folder,
    patients::{Patients, is_planted, planted},
    relay::Relay,
    searches,
    target::Target,
};
use crate::{
    Error, Model,
    audit::{Canaries, Search, memory, processes},
    cli::AuditArgs,
    files,
    http::{Connection, tls},
    oip,
};

/// An answer takes no longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the live part leaves for the rest.
pub(super) struct Session {
    pub(super) search: Search,
    pub(super) checks: Vec<Check>,
    pub(super) observed: Vec<processes::Observed>,
    /// The fields of what was sent.
    pub(super) flow: Flow,
    pub(super) config: String,
}

/// Runs it.
pub(super) async fn run(
    args: &AuditArgs,
    folder: &Folder,
    work: &Path,
    target: &Target,
) -> Result<Session, Error> {
    let mut direct = Connection::open(&target.gateway).await?;
    let model = direct.fetch_model(&target.model, None).await?;
    drop(direct);
    if model.needs_enrolment() {
        return Err(Error::Usage("--model: an audit takes a model whose keys are of the request's own"));
    }
    let mut wire = Check::new("wire", "The wire, inside and outside TLS", WIRE.0, WIRE.1);
    let mut memory = Check::new("memory", "The gateway's memory", MEMORY.0, MEMORY.1);
    plant(target, &model, work, &mut wire, &mut memory).await?;

    let patients = Patients::draw(&model, args.patients.into())?;
    let table = work.join("canaries.csv");
    std::fs::write(&table, patients.to_csv()).map_err(files::at(&table))?;
    let mut relay = Relay::start(&target.gateway, work, "relay").await?;
    let (receipts, said) = (folder.path().join("receipts"), work.join("clinic.log"));
    let mut clinic = Clinic::start(&relay, &target.model, &table, args.patients, &receipts, &said)?;
    tokio::select! {
        () = relay.answered() => {}
        ended = clinic.ended(&said) => {
            ended?;
            return Err(Error::Audit("the clinic's process ended before the gateway answered".to_owned()));
        }
        () = sleep(PATIENCE) => return Err(Error::Audit("the gateway did not answer in two minutes".to_owned())),
    }

    // Now the client has features and keys, and the gateway has the request and has answered it.
    let keys = memory::kept_out_of_dumps(clinic.process())
        .map_err(|source| Error::Io { path: format!("/proc/{}/smaps", clinic.process()).into(), source })?;
    let search = Search::new(patients.canaries(&model, &keys.concat())?);
    let mut places = Vec::new();
    client_control(&mut memory, clinic.process(), &search);
    if let Some(process) = target.process {
        searches::memory_of(&mut memory, &mut places, process, "while the answer is held", &search);
    }
    relay.go_on();
    clinic.ended(&said).await?;
    let mut observed = Vec::new();
    if let Some(process) = target.process {
        searches::memory_of(&mut memory, &mut places, process, "after the answer", &search);
        for process in processes::family(process).unwrap_or_default() {
            observed.extend(processes::observe(process));
        }
    }
    let (singles, numbers) = patients.singles();
    memory.fact("Canary patients", args.patients);
    memory.fact("Single features that are looked for alone", format!("{singles} of {numbers}"));
    memory.fact("Forms of canaries", search.samples().len());
    memory.fact("Bytes of memory", places.iter().map(|place| place.bytes).sum::<u64>());
    let memory = match target.process {
        Some(_) => memory.concluded(),
        None => memory.not_done("no process was named: --pid, on the gateway's machine"),
    };
    folder.write_json("memory.json", &json!({ "check": memory, "places": places }))?;

    let conversations = relay.conversations();
    let (mut places, mut flow) = (Vec::new(), Flow::default());
    searches::wire(&mut wire, &mut places, &conversations, &search);
    wire.files.extend(folder.write_wire(&conversations)?);
    wire.fact("Connections", conversations.len());
    wire.fact("Bytes", places.iter().map(|place| place.bytes).sum::<u64>());
    let wire = wire.concluded();
    folder.write_json("wire.json", &json!({ "check": wire, "places": places }))?;
    conversations.iter().for_each(|conversation| flow.read(&conversation.asked.bytes()));
    Ok(Session { search, checks: vec![memory, wire], observed, flow, config: model.config().to_string() })
}

/// Other patients are sent to the gateway in clear, inside TLS, as a request that never ends: the same searches must find them in
/// what passed the relay, and in the gateway's memory.
async fn plant(
    target: &Target,
    model: &Model,
    work: &Path,
    wire: &mut Check,
    memory: &mut Check,
) -> Result<(), Error> {
    let (search, bytes) = planted(model)?;
    let relay = Relay::start(&target.gateway, work, "control").await?;
    let connector = TlsConnector::from(std::sync::Arc::new(tls::config(&relay.as_gateway())?));
    let port: u16 = relay.url.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default();
    let broken =
        |error: std::io::Error| Error::Audit(format!("the control request could not be sent: {error}"));
    let forms: Vec<(&str, &str)> =
        search.samples().iter().filter(|(_, form, _)| is_planted(form)).map(|s| (s.0, s.1)).collect();
    let (mut missing, mut open) = (forms.clone(), Vec::new());
    // A body that was read in two pieces may lie in two places: it is sent again.
    for attempt in 0..10 {
        if attempt > 0 && (missing.is_empty() || target.process.is_none()) {
            break;
        }
        let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(broken)?;
        let name = ServerName::try_from("localhost").map_err(|_| Error::Url)?;
        let mut stream = connector.connect(name, stream).await.map_err(broken)?;
        let head = format!(
            "POST /v2/models/{}/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n{}: 8\r\n\r\n",
            target.model,
            bytes.len() + 1,
            oip::HEADER_LENGTH
        );
        stream.write_all(&[head.as_bytes(), &bytes].concat()).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        open.push(stream);
        sleep(Duration::from_millis(300)).await;
        if let Some(process) = target.process {
            let found = searches::found_in_memory(process, &search);
            missing.retain(|(what, form)| !found.has(what, form));
        }
    }
    let conversations = relay.conversations();
    let passed: Vec<u8> = conversations.iter().flat_map(|passed| passed.asked.bytes()).collect();
    let found = search.bytes(&passed);
    for (what, form) in &forms {
        let control =
            format!("another patient's {what} as {form}, sent in clear: in the requests inside TLS");
        wire.control(control, found.has(what, form));
        if target.process.is_some() {
            let control =
                format!("another patient's {what} as {form}, sent in clear: in the gateway's memory");
            memory.control(control, !missing.contains(&(*what, *form)));
        }
    }
    let network: Vec<u8> = conversations.iter().flat_map(|passed| passed.sent.bytes()).collect();
    let mut public = Canaries::new();
    let protocol = "http/1.1";
    public.text("protocol", protocol).map_err(|_| Error::Protocol("a name that is too short"))?;
    let shows = Search::new(public).bytes(&network).has("protocol", "UTF-8");
    wire.control(
        format!("the name {protocol}, which TLS sends in clear: in the bytes of the network"),
        shows,
    );
    let hidden = search.bytes(&network);
    for (what, form) in hidden.hits() {
        wire.find(format!("{what} as {form}, which TLS has to hide"), "bytes of the network to the gateway");
    }
    Ok(())
}

/// The client's own memory, where features and keys are.
fn client_control(check: &mut Check, process: u32, search: &Search) {
    let found = searches::found_in_memory(process, search);
    for (what, form) in [
        ("features", "f64, little endian"),
        ("one feature", "one f64, little endian"),
        ("a secret key", "key bits, packed"),
    ] {
        check.control(format!("{what} as {form}: in the client's memory"), found.has(what, form));
    }
}

/// What the two checks show, and what they do not.
const MEMORY: (&str, &str) = (
    "Features, alone and in rows, quantized features, plaintexts and secret keys were in no process of the gateway, in any of the \
     forms that are looked for, at two moments: with the request evaluated and its answer held, and after the answer.",
    "What was in memory at other moments, was compressed, encrypted or written in a form that is not looked for, or lay in pages that \
     the kernel does not show: device memory of a GPU, swap. One feature alone is found as f64 or with eleven digits, not as an f32 or \
     a quantized byte.",
);
const WIRE: (&str, &str) = (
    "Nothing of the canary patients left the clinic's program in any of the forms that are looked for: neither in what the gateway read \
     inside TLS nor in what the network carried.",
    "That another program of the clinic's machine sends nothing. Sizes and times of requests are visible. Nothing is said of covert \
     channels: the clinic's program is open, and its reading is the better check.",
);
