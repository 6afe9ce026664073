//! `tiresias infer`: card, encrypt, send, decrypt, print.

use std::time::{Duration, Instant};

use crate::{Diagnosis, Error, Model, cli::InferArgs, http::Connection, oip, output};

/// Runs the command.
pub async fn run(args: &InferArgs) -> Result<(), Error> {
    let features = output::read_features(&args.features)?;
    let mut connection = Connection::open(&args.gateway).await?;
    let model = connection.fetch_model(&args.model, args.version).await?;
    features.expect_columns(model.card().plan().shape().features)?;

    let progress = output::progress(features.rows());
    let (mut diagnoses, mut clipped) = (Vec::with_capacity(features.rows()), 0);
    for (index, row) in features.iter().enumerate() {
        let visit = diagnose(&mut connection, &model, index, row).await?;
        clipped += visit.clipped;
        diagnoses.push(visit.diagnosis);
        progress.inc(1);
    }
    progress.finish_and_clear();
    output::warn_clipped(clipped, features.rows() * features.columns());
    output::diagnoses(&diagnoses, args.json)
}

/// One diagnosis and what it took.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) diagnosis: Diagnosis,
    pub(crate) clipped: usize,
    pub(crate) encrypt: Duration,
    pub(crate) roundtrip: Duration,
    pub(crate) decrypt: Duration,
    pub(crate) evaluate_us: u64,
    pub(crate) response_bytes: usize,
    /// The element that was sent, which is all that the gateway saw of the row.
    pub(crate) element: Vec<u8>,
}

/// Encrypts one row under a key of its own, has it scored and decrypts the answer.
pub(crate) async fn diagnose(
    connection: &mut Connection,
    model: &Model,
    index: usize,
    row: &[f64],
) -> Result<Visit, Error> {
    let started = Instant::now();
    let encrypted = model.encrypt(row)?;
    let body = oip::request_body(model.config(), &[&encrypted.element]);
    let encrypt = started.elapsed();

    let started = Instant::now();
    let answer = connection.infer(model, body, 1).await?;
    let roundtrip = started.elapsed();

    let started = Instant::now();
    let [element] = answer.elements.as_slice() else {
        return Err(Error::AnswerCount { got: answer.elements.len(), expected: 1 });
    };
    let diagnosis = model.decrypt(index, encrypted.pending, element)?;
    let decrypt = started.elapsed();
    Ok(Visit {
        diagnosis,
        clipped: encrypted.clipped,
        encrypt,
        roundtrip,
        decrypt,
        evaluate_us: answer.evaluate_us.unwrap_or_default(),
        response_bytes: answer.body_bytes,
        element: encrypted.element,
    })
}
