//! `tiresias decrypt`: from the bytes that came back to diagnoses. The state is deleted once every answer was read.

use crate::{Error, cli::DecryptArgs, oip, output, state};

/// Runs the command.
pub fn run(args: &DecryptArgs) -> Result<(), Error> {
    let (model, pending) = state::read(&args.dir)?;
    let element_bytes = model.card().plan().response_shape().encoded_len();
    let elements = match &args.response {
        Some(path) => {
            let limit = oip::maximum_response(pending.len(), element_bytes) as u64;
            let body = output::read_file(path, limit)?;
            let header_length = match args.header_length {
                Some(length) => length,
                None => oip::find_header_length(&body)?,
            };
            oip::read_response(&body, header_length)?.elements
        }
        None => {
            let read = |path| output::read_file(path, element_bytes as u64 + 1);
            args.tensor.iter().map(|path| read(path)).collect::<Result<_, _>>()?
        }
    };
    if elements.len() != pending.len() {
        return Err(Error::AnswerCount { got: elements.len(), expected: pending.len() });
    }
    // All answers are checked before the first is decrypted, so that no key decrypts twice because another failed.
    let checked = pending.iter().zip(&elements).map(|(pending, element)| model.check(pending, element));
    let checked = checked.collect::<Result<Vec<_>, _>>()?;
    let diagnoses = pending
        .into_iter()
        .zip(&checked)
        .enumerate()
        .map(|(index, (pending, scores))| model.read(index, pending.key, scores))
        .collect::<Result<Vec<_>, _>>()?;
    output::diagnoses(&diagnoses, args.json)?;
    state::remove(&args.dir)
}
