//! `tiresias infer`: card, encrypt, send, and when the last answer is here: decrypt, print.

use std::time::{Duration, Instant};

use tiresias_circuits::Features;

use crate::{Diagnosis, Error, Model, cli::InferArgs, diagnosis::Pending, http::Connection, oip, output};

/// Runs the command.
pub async fn run(args: &InferArgs) -> Result<(), Error> {
    let features = output::read_features(&args.features)?;
    let mut connection = Connection::open(&args.gateway).await?;
    let model = connection.fetch_model(&args.model, args.version).await?;
    features.expect_columns(model.card().plan().shape().features)?;

    let (asked, outcome) = ask_all(&mut connection, &model, &features).await;
    drop(connection);
    let clipped = asked.iter().map(|asked| asked.facts.clipped).sum();
    output::warn_clipped(clipped, asked.len() * features.columns());
    let visits = read_all(&model, asked)?;
    // What was answered before a failure is printed too: the model owner has counted it.
    let diagnoses: Vec<_> = visits.into_iter().map(|visit| visit.diagnosis).collect();
    output::diagnoses(&diagnoses, args.json)?;
    outcome
}

/// An answered request, still encrypted.
#[derive(Debug)]
pub(crate) struct Asked {
    pending: Pending,
    answer: Vec<u8>,
    pub(crate) facts: Facts,
}

/// What asking took.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) clipped: usize,
    pub(crate) encrypt: Duration,
    pub(crate) roundtrip: Duration,
    pub(crate) evaluate_us: u64,
    pub(crate) response_bytes: usize,
    /// The element that was sent, which is all that the gateway saw of the row.
    pub(crate) element: Vec<u8>,
}

/// A diagnosis and what it took.
pub(crate) struct Visit {
    pub(crate) diagnosis: Diagnosis,
    pub(crate) decrypt: Duration,
    pub(crate) facts: Facts,
}

/// Asks for every row, and stops at the first failure. Nothing is decrypted here: no request, nor its time, can
/// depend on an answer.
pub(crate) async fn ask_all(
    connection: &mut Connection,
    model: &Model,
    rows: &Features,
) -> (Vec<Asked>, Result<(), Error>) {
    let progress = output::progress(rows.rows());
    let (mut asked, mut outcome) = (Vec::with_capacity(rows.rows()), Ok(()));
    for row in rows {
        match ask(connection, model, row).await {
            Ok(answered) => asked.push(answered),
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    (asked, outcome)
}

/// Encrypts one row under a key of its own and has it scored.
async fn ask(connection: &mut Connection, model: &Model, row: &[f64]) -> Result<Asked, Error> {
    let started = Instant::now();
    let encrypted = model.encrypt(row)?;
    let body = oip::request_body(model.config(), &[&encrypted.element]);
    let encrypt = started.elapsed();

    let started = Instant::now();
    let answer = connection.infer(model, body, 1).await?;
    let roundtrip = started.elapsed();
    let count = answer.elements.len();
    let [element] = <[Vec<u8>; 1]>::try_from(answer.elements)
        .map_err(|_| Error::AnswerCount { got: count, expected: 1 })?;
    let facts = Facts {
        clipped: encrypted.clipped,
        encrypt,
        roundtrip,
        evaluate_us: answer.evaluate_us.unwrap_or_default(),
        response_bytes: answer.body_bytes,
        element: encrypted.element,
    };
    Ok(Asked { pending: encrypted.pending, answer: element, facts })
}

/// Decrypts all answers, in order.
pub(crate) fn read_all(model: &Model, asked: Vec<Asked>) -> Result<Vec<Visit>, Error> {
    let read = |(index, asked): (usize, Asked)| {
        let started = Instant::now();
        let diagnosis = model.decrypt(index, asked.pending, &asked.answer)?;
        Ok(Visit { diagnosis, decrypt: started.elapsed(), facts: asked.facts })
    };
    asked.into_iter().enumerate().map(read).collect()
}
