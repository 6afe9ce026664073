//! `tiresias decrypt`: from the bytes that came back to diagnoses. The state is deleted once every answer was read.

use std::sync::Arc;

use tiresias_keys::{Digest, EncryptedScores};

use super::record::{self, Answered, Recorder};
use crate::{
    Error,
    cli::DecryptArgs,
    diagnosis::Pending,
    evidence::{Exchange, Ledger, bodies::MAXIMUM_BODY, ledger::Judged},
    files,
    key_file::KeyFile,
    oip::{self, Answer},
    output::{self, Found},
    passphrase::{self, Subject},
    state::{self, State},
};

/// Runs the command.
pub fn run(args: &DecryptArgs) -> Result<(), Error> {
    let evidence = &args.evidence;
    let wants_receipt = evidence.receipts.is_some() || !evidence.trust.log_key.is_empty();
    if wants_receipt && args.response.is_none() {
        return Err(Error::Usage("a receipt comes in a whole response: name it with --response"));
    }
    let passphrase = || passphrase::recall(Subject::State, args.passphrase_file.as_deref());
    let State { model, sources, pending } = state::read(&args.dir, passphrase)?;
    let model = Arc::new(model);
    let places = record::places(&sources);
    let mut recorder = Recorder::open(&args.record, &places)?;
    let key_file = args.enrolled.open(&model)?;
    let key = key_file.as_ref().map(KeyFile::key);
    let element_bytes = model.card().plan().response_shape().encoded_len();
    let mut judged = None;
    let elements = match &args.response {
        Some(path) => {
            let limit = oip::maximum_response(pending.len(), element_bytes) as u64;
            let body = files::read(path, limit)?;
            let header_length = match args.header_length {
                Some(length) => length,
                None => oip::find_header_length(&body)?,
            };
            let answer = oip::read_response(&body, header_length, oip::output_name(&model))?;
            if wants_receipt {
                let digests: Vec<Digest> = pending.iter().map(|pending| pending.digest).collect();
                let key = key_file.as_ref().map(KeyFile::id);
                let exchange = Exchange::of_answer(&model, key, &digests, &answer, None);
                judged = judge(args, &exchange, &answer)?;
            }
            answer.elements
        }
        None => {
            let read = |path| files::read(path, element_bytes as u64 + 1);
            args.tensor.iter().map(|path| read(path)).collect::<Result<_, _>>()?
        }
    };
    if elements.len() != pending.len() {
        return Err(Error::AnswerCount { got: elements.len(), expected: pending.len() });
    }
    // All answers are checked before the first is decrypted, so that no key decrypts twice because another failed.
    let checked = pending.iter().zip(&elements).map(|(pending, element)| model.check(pending, element));
    let checked = checked.collect::<Result<Vec<_>, _>>()?;
    let (judgements, outcome) =
        judged.map_or((Vec::new(), Ok(())), |judged| (judged.judgements, judged.outcome));
    let receipt = judgements.into_iter().next();
    let answered: Vec<Answered> =
        pending.iter().map(|pending| Answered::of_file(&model, pending.drift.as_ref())).collect();
    let read = |(at, (pending, scores)): (usize, (Pending, &EncryptedScores))| {
        let (file, index) = sources.place(at);
        Ok(Found {
            file,
            diagnosis: model.read(index, pending, scores, key)?,
            receipt: receipt.clone(),
            approval: None,
        })
    };
    let found = pending.into_iter().zip(&checked).enumerate().map(read).collect::<Result<Vec<_>, Error>>()?;
    let outcome = match &mut recorder {
        Some(recorder) => {
            let read = found.iter().map(|found| (&found.diagnosis, found.receipt.as_ref()));
            let read =
                places.iter().zip(read).map(|(place, (diagnosis, receipt))| (place, diagnosis, receipt));
            recorder.write(read.zip(&answered), outcome)?
        }
        None => outcome,
    };
    output::diagnoses(&found, args.json)?;
    // Whatever its receipt is worth: a key that has decrypted does so no more.
    state::remove(&args.dir)?;
    outcome
}

/// Keeps and judges the receipt in a response. The request is the body that `encrypt` wrote.
fn judge(args: &DecryptArgs, exchange: &Exchange, answer: &Answer) -> Result<Option<Judged>, Error> {
    let ledger = Ledger::open_for(&args.evidence, exchange.expected.request)?;
    let Some(mut ledger) = ledger else { return Ok(None) };
    if ledger.keeps() {
        let request = files::read(&args.dir.join("body.bin"), MAXIMUM_BODY)?;
        ledger.keep(exchange, &request, &answer.body)?;
    }
    Ok(Some(ledger.judge_offline(exchange)))
}
