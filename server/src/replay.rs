//! `replay`: computes a logged response again, from the request, the stored model and the kept seed, and compares it byte for
//! byte. So an auditor who holds model and data directory sees that the answer was made by this model and nothing else.
//!
//! It reads the data directory of a gateway, which may be running, and changes nothing in it.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde_json::json;
use tiresias_circuits::bootstrap::{Backend, PreparedKey};
use tiresias_evidence::{Receipt, commitment, receipt::MAXIMUM_RECEIPT_BYTES};
use tiresias_keys::{Digest, EncryptedCohort, EncryptedFeatures, EvaluationKey, KeyId, xof::SecretSeed};

use crate::{
    cli::ReplayArgs,
    handlers::Decoded,
    log,
    protocol::{Envelope, InferRequest, LARGEST_BATCH, output, read_answer},
    registry::ServedModel,
    repository::{self, Repository, read_file},
};

/// Bodies may be this large.
const MAXIMUM_BODY: u64 = 1 << 30;

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The repository or a file could not be read.
    #[error(transparent)]
    Repository(#[from] repository::Error),
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// The receipt is none, or not of this log.
    #[error("the receipt: {0}")]
    Receipt(#[from] tiresias_evidence::Error),
    /// There is no receipt.
    #[error("the response carries no receipt: name one with --receipt")]
    NoReceipt,
    /// A body that is no request or response of the protocol, or not of this model.
    #[error("{file}: {rule}")]
    Body {
        /// Which file.
        file: &'static str,
        /// The rule.
        rule: String,
    },
    /// The receipt commits to something else.
    #[error("the receipt's leaf commits to another {0}")]
    Mismatch(&'static str),
    /// No stored model has the card.
    #[error("the repository has no model with the card that the leaf names")]
    NoModel,
    /// The evaluation key is gone.
    #[error(
        "the evaluation key that the leaf names is not in the data directory: name its file with --evaluation-key"
    )]
    NoKey,
    /// The seed is gone.
    #[error("the response's seed is not kept, or no longer ([log] retention_days)")]
    NoSeed,
    /// The evaluation failed.
    #[error("the response could not be computed")]
    Evaluation,
    /// The response is not what the model computes.
    #[error("the response is not what the model computes from the request and the seed: element {0} differs")]
    Differs(usize),
    /// Standard output is gone.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// A stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Repository(error) => error.code(),
            Self::Log(error) => error.code(),
            Self::Receipt(error) => error.code(),
            Self::NoReceipt => "no_receipt",
            Self::Body { .. } => "malformed_body",
            Self::Mismatch(_) => "commitment_mismatch",
            Self::NoModel => "no_model",
            Self::NoKey => "no_key",
            Self::NoSeed => "no_seed",
            Self::Evaluation => "evaluation",
            Self::Differs(_) => "response_differs",
            Self::Output(_) => "output",
        }
    }

    fn body(file: &'static str) -> impl Fn(String) -> Self {
        move |rule| Self::Body { file, rule }
    }
}

/// Computes a response again and compares. An error where anything differs.
pub fn replay(args: &ReplayArgs, out: &mut impl Write) -> Result<(), Error> {
    let request = read_file(&args.request, MAXIMUM_BODY)?;
    let response = read_file(&args.response, MAXIMUM_BODY)?;
    let answer = read_answer(&response, json_length(&response))
        .map_err(|rule| Error::body("the response")(rule.to_owned()))?;
    let text = match &args.receipt {
        Some(path) => String::from_utf8_lossy(&read_file(path, MAXIMUM_RECEIPT_BYTES as u64)?).into_owned(),
        None => answer.receipt.ok_or(Error::NoReceipt)?,
    };
    let receipt = Receipt::parse(&text)?;
    let audit = log::Audit::open(&args.data)?;
    audit.verify(&receipt)?;
    let leaf = &receipt.leaf;

    let digests: Option<Vec<_>> = answer.elements.iter().map(|element| commitment::digest(element)).collect();
    expect(digests.is_some_and(|digests| leaf.response == Some(commitment::elements(&digests))), "response")?;
    let model = find_model(&Repository::new(&args.repo), leaf.config)?;
    expect(
        leaf.model == Some(audit.model(&model.config, &model.weights)),
        "model: its weights were changed",
    )?;

    let decoded = decode(read_request(&request, &model)?, &model)?;
    let digests = decoded.digests();
    let digests = digests.iter().map(Digest::as_bytes);
    expect(leaf.request == Some(commitment::elements(digests)), "request")?;

    let key = evaluation_key(args, &model, leaf.key)?;
    let randomness = leaf.randomness.ok_or(Error::Mismatch("event: it is no answer"))?;
    let seed = audit.seed(receipt.index, &randomness)?.ok_or(Error::NoSeed)?;
    let seed = SecretSeed::from_bytes(**seed);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let backend = key.as_ref().map(|key| key.on(threads));
    let backend = backend.as_ref().map(|backend| backend as &dyn Backend);
    let elements = decoded.digests().len();
    for item in 0..elements {
        let computed = match &decoded {
            Decoded::Cohort(block) => model.answer_cohort(block, &seed),
            Decoded::Vectors(vectors) => {
                let (features, digest) = vectors.get(item).ok_or(Error::Evaluation)?;
                let computed = model.answer(backend, features, *digest, &seed, item as u32);
                computed.map(|computed| computed.to_bytes(&model.card.plan().response_shape()))
            }
        };
        if answer.elements.get(item) != Some(&computed.map_err(|_| Error::Evaluation)?) {
            return Err(Error::Differs(item));
        }
    }
    expect(elements == answer.elements.len(), "number of elements")?;
    write(args, out, &receipt, &model, elements, audit.is_this_build(leaf))
}

/// The ciphertexts of a request.
fn decode(request: InferRequest, model: &ServedModel) -> Result<Decoded, Error> {
    let malformed = |error: tiresias_keys::Error| Error::body("the request")(error.to_string());
    if let Some(plan) = model.card.cohort().filter(|_| request.is_cohort) {
        let frame = request.elements.into_iter().next().unwrap_or_default();
        let block = EncryptedCohort::from_bytes(frame, &plan.request_shape(), &model.config);
        return Ok(Decoded::Cohort(Box::new(block.map_err(malformed)?)));
    }
    let shape = model.card.plan().request_shape();
    let vectors =
        request.elements.iter().map(|bytes| EncryptedFeatures::from_bytes(bytes, &shape, &model.config));
    Ok(Decoded::Vectors(vectors.collect::<Result<_, _>>().map_err(malformed)?))
}

fn write(
    args: &ReplayArgs,
    out: &mut impl Write,
    receipt: &Receipt,
    model: &ServedModel,
    elements: usize,
    same_build: bool,
) -> Result<(), Error> {
    let (index, time) = (receipt.index, receipt.leaf.time);
    let (name, version) = (model.card.name(), model.card.version());
    if args.json {
        let line = json!({
            "index": index, "time": time, "name": name, "version": version, "config_id": model.config.to_string(),
            "elements": elements, "identical": true, "same_build": same_build,
        });
        return Ok(writeln!(out, "{line}")?);
    }
    writeln!(out, "leaf {index}: the response is, byte for byte, what {name} version {version} computes")?;
    if !same_build {
        writeln!(out, "another build of the gateway made it than this one")?;
    }
    Ok(())
}

fn expect(holds: bool, what: &'static str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::Mismatch(what)) }
}

/// The length of a body's JSON part: to the end of the object that it begins with.
fn json_length(body: &[u8]) -> usize {
    let mut objects = serde_json::Deserializer::from_slice(body).into_iter::<serde::de::IgnoredAny>();
    match objects.next() {
        Some(Ok(_)) => objects.byte_offset(),
        _ => body.len(),
    }
}

/// The elements of a request body, binary or not.
fn read_request(body: &[u8], model: &ServedModel) -> Result<InferRequest, Error> {
    let length = json_length(body);
    let header = (length < body.len()).then(|| length.to_string());
    let opened = Envelope::open(body, header.as_deref());
    let output = output(model.card.plan().policy());
    let cohorts = model.cohorts.is_some();
    let request = opened.and_then(|envelope| envelope.into_request(LARGEST_BATCH, cohorts, output));
    request.map_err(|error| Error::body("the request")(error.to_string()))
}

/// The stored model whose card has this id.
fn find_model(repository: &Repository, config: Option<[u8; 32]>) -> Result<ServedModel, Error> {
    let config = config.ok_or(Error::Mismatch("event: it is no answer"))?;
    for name in repository.names()? {
        for version in repository.versions(&name)? {
            // What cannot be loaded is not it.
            let Ok(stored) = repository.load(&name, Some(version)) else { continue };
            if *stored.config.as_bytes() == config {
                return Ok(ServedModel::new(stored)?);
            }
        }
    }
    Err(Error::NoModel)
}

/// The evaluation key that the leaf names, where the model needs one.
fn evaluation_key(
    args: &ReplayArgs,
    model: &ServedModel,
    id: Option<[u8; 32]>,
) -> Result<Option<PreparedKey>, Error> {
    let Some(parameters) = model.card.plan().bootstrap() else { return Ok(None) };
    let id = KeyId::from_bytes(id.ok_or(Error::Mismatch("evaluation key"))?);
    let path = args.evaluation_key.clone().or_else(|| stored_key(&args.data, &id)).ok_or(Error::NoKey)?;
    let bytes = read_file(&path, EvaluationKey::encoded_len(parameters) as u64)?;
    expect(KeyId::of_evaluation_key(&bytes) == id, "evaluation key")?;
    let key = EvaluationKey::from_bytes(&bytes, parameters);
    let key = key.map_err(|error| Error::body("the evaluation key")(error.to_string()))?;
    Ok(Some(PreparedKey::new(&key)))
}

/// A key of any tenant in a data directory.
fn stored_key(data: &Path, id: &KeyId) -> Option<PathBuf> {
    let owners = fs::read_dir(data.join("keys")).ok()?.filter_map(Result::ok);
    owners.map(|owner| owner.path().join(id.to_string())).find(|path| path.is_file())
}
