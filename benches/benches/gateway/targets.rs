//! What is loaded: the models, and a request for each server with a check of its first answer.

use std::{fs, io, net::SocketAddr, path::Path, sync::Arc};

use clap::Parser as _;
use rustls::ClientConfig;
use serde_json::{Value, json};
use tiresias_benches::Fixture;
use tiresias_client::{Model, oip};
use tiresias_server::{
    cli::{Cli, Command},
    owner,
    repository::Repository,
};

use crate::{
    Failure,
    load::{Connection, Reply},
    servers::Server,
};

/// A model of the gateway for each of these names of privacy.
pub(crate) const PRIVACIES: [&str; 2] = ["flooded", "open-weights"];
/// The clear server's one path.
pub(crate) const CLEAR_PATH: &str = "/v2/models/clear/infer";
/// What the names of rows end in whose answers are logged.
pub(crate) const WITH_RECEIPTS: &str = ", with receipts";
const FEATURES: usize = 512;
const CLASSES: usize = 14;

/// What a server does for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Encrypted,
    Clear,
    Health,
}

/// One request to one server.
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    pub(crate) process: u32,
    /// Head and body, as sent.
    pub(crate) request: Vec<u8>,
    pub(crate) body_bytes: usize,
    pub(crate) answer_bytes: usize,
}

/// Stores the models: one head, imported once for each kind of privacy.
pub(crate) fn prepare(directory: &Path) -> Result<(), Failure> {
    let head = Fixture::new(FEATURES, CLASSES, PRIVACIES[0].parse()?).quantized;
    let weights: Vec<u8> =
        head.weight().iter().flat_map(|&weight| (f32::from(weight) / 127.0).to_le_bytes()).collect();
    let header = json!({ "weight": {
        "dtype": "F32", "shape": [CLASSES, FEATURES], "data_offsets": [0, weights.len()],
    }});
    let header = header.to_string();
    let file = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &weights].concat();
    let path = |name: &str| directory.join(name).display().to_string();
    fs::write(path("head.safetensors"), file)?;
    fs::write(path("features.csv"), features()?.map(|x| x.to_string()).join(","))?;
    for privacy in PRIVACIES {
        let (head, repo, calibration) = (path("head.safetensors"), path("models"), path("features.csv"));
        let flags =
            ["tiresias-gateway", "import", &head, "--calibration", &calibration, "--scale", "per-tensor"];
        let more = ["--privacy", privacy, "--name", privacy, "--repo", &repo];
        let Command::Import(arguments) = Cli::try_parse_from(flags.iter().chain(&more))?.command else {
            return Err("the flags say `import`".into());
        };
        owner::import(&arguments, &mut io::sink())?;
    }
    Ok(())
}

/// The one patient.
fn features() -> Result<[f32; FEATURES], Failure> {
    let row = Fixture::new(FEATURES, CLASSES, PRIVACIES[0].parse()?).row;
    let row: Vec<f32> = row.iter().map(|&x| x as f32 / 127.0).collect();
    row.try_into().map_err(|_| "the fixture has as many features".into())
}

/// Everything that is loaded, each answered once as it should be.
pub(crate) fn all(
    directory: &Path,
    client: &Arc<ClientConfig>,
    gateways: [&Server; 2],
    clear: &Server,
) -> Result<Vec<Target>, Failure> {
    let row = features()?;
    let wide = row.map(f64::from);
    let repository = Repository::new(&directory.join("models"));
    let mut targets = Vec::new();
    let servers = gateways.into_iter().zip(["", WITH_RECEIPTS]);
    for (privacy, (gateway, suffix)) in
        PRIVACIES.into_iter().flat_map(|name| servers.clone().map(move |server| (name, server)))
    {
        let stored = repository.load(privacy, None)?;
        let quantized = stored.card.quantizer().quantize(&wide)?;
        let expected = stored.head.scores(&quantized.values)?;
        let model = Model::from_card(stored.card_bytes)?;
        let encrypted = model.encrypt(&wide, None)?;
        let body = oip::request_body(&model, None, &[&encrypted.element]);
        let request =
            Request::post(&format!("/v2/models/{privacy}/infer"), &body.bytes, Some(body.header_length));
        targets.push(request.target(
            &format!("gateway, {privacy}{suffix}"),
            Kind::Encrypted,
            gateway,
            client,
            |reply| {
                let header_length = reply.header_length.ok_or("the answer has no binary tensor data")?;
                let answer = oip::read_response(reply.body, header_length, "scores")?;
                let element = answer.elements.first().ok_or("the answer is empty")?;
                Ok(model.decrypt(0, encrypted.pending, element, None)?.finding.scores_q() == expected)
            },
        )?);
    }

    let stored = repository.load(PRIVACIES[0], None)?;
    let quantized = stored.card.quantizer().quantize(&wide)?.values;
    let expected = stored.head.scores(&quantized)?;
    let input = |datatype: &str| json!({ "name": "features", "datatype": datatype, "shape": [1, FEATURES] });

    let mut binary = json!({
        "inputs": [input("INT8")],
        "outputs": [{ "name": "scores", "parameters": { "binary_data": true } }],
    });
    binary["inputs"][0]["parameters"] = json!({ "binary_data_size": FEATURES });
    let mut body = binary.to_string().into_bytes();
    let header_length = body.len();
    body.extend(quantized.iter().map(|&x| x as i8 as u8));
    let request = Request::post(CLEAR_PATH, &body, Some(header_length));
    targets.push(request.target("clear, INT8 binary", Kind::Clear, clear, client, |reply| {
        let (_, scores) = reply.body.split_at(reply.header_length.unwrap_or_default());
        Ok(scores.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).eq(expected.iter().copied()))
    })?);

    // Each number in the fewest digits that a single-precision reader needs, as JSON writers put it.
    let numbers: Vec<Value> = row.iter().map(|x| x.to_string().parse()).collect::<Result<_, _>>()?;
    let mut text = json!({ "inputs": [input("FP32")] });
    text["inputs"][0]["data"] = numbers.into();
    let request = Request::post(CLEAR_PATH, text.to_string().as_bytes(), None);
    targets.push(request.target("clear, FP32 JSON", Kind::Clear, clear, client, |reply| {
        let answer: Value = serde_json::from_slice(reply.body)?;
        let scores = answer["outputs"][0]["data"].as_array().ok_or("the answer has no data")?.iter();
        let scale = stored.card.score_scale();
        Ok(scores.map(Value::as_f64).eq(expected.iter().map(|&score| Some(score as f64 * scale))))
    })?);

    let head = "GET /v2/health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let request = Request { bytes: head.into(), body_bytes: 0 };
    targets.push(request.target("gateway, health", Kind::Health, gateways[0], client, |_| Ok(true))?);
    Ok(targets)
}

/// A request, as sent.
struct Request {
    bytes: Vec<u8>,
    body_bytes: usize,
}

impl Request {
    fn post(path: &str, body: &[u8], header_length: Option<usize>) -> Self {
        let kind = if header_length.is_some() { "octet-stream" } else { "json" };
        let mut head =
            format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/{kind}\r\n");
        if let Some(length) = header_length {
            head += &format!("{}: {length}\r\n", oip::HEADER_LENGTH);
        }
        head += &format!("content-length: {}\r\n\r\n", body.len());
        Self { bytes: [head.as_bytes(), body].concat(), body_bytes: body.len() }
    }

    /// Sends the request once; `right` says whether the answer is the clear twin's.
    fn target(
        self,
        name: &str,
        kind: Kind,
        server: &Server,
        client: &Arc<ClientConfig>,
        right: impl FnOnce(&Reply<'_>) -> Result<bool, Failure>,
    ) -> Result<Target, Failure> {
        let mut connection = Connection::open(server.address, client)?;
        let reply = connection.exchange(&self.bytes)?;
        if !right(&reply)? {
            return Err(format!("{name}: the answer is not the clear twin's").into());
        }
        Ok(Target {
            name: name.to_owned(),
            kind,
            address: server.address,
            process: server.process(),
            answer_bytes: reply.body.len(),
            request: self.bytes,
            body_bytes: self.body_bytes,
        })
    }
}
