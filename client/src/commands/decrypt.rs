//! `tiresias decrypt`: from the bytes that came back to diagnoses. The state is deleted once every answer was read.

use tiresias_keys::EncryptedScores;

use crate::{
    Error,
    cli::DecryptArgs,
    diagnosis::Pending,
    files,
    key_file::KeyFile,
    oip,
    output::{self, Found},
    passphrase::{self, Subject},
    state::{self, State},
};

/// Runs the command.
pub fn run(args: &DecryptArgs) -> Result<(), Error> {
    let passphrase = || passphrase::recall(Subject::State, args.passphrase_file.as_deref());
    let State { model, sources, pending } = state::read(&args.dir, passphrase)?;
    let key_file = args.enrolled.open(&model)?;
    let key = key_file.as_ref().map(KeyFile::key);
    let element_bytes = model.card().plan().response_shape().encoded_len();
    let elements = match &args.response {
        Some(path) => {
            let limit = oip::maximum_response(pending.len(), element_bytes) as u64;
            let body = files::read(path, limit)?;
            let header_length = match args.header_length {
                Some(length) => length,
                None => oip::find_header_length(&body)?,
            };
            oip::read_response(&body, header_length, oip::output_name(&model))?.elements
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
    let read = |(at, (pending, scores)): (usize, (Pending, &EncryptedScores))| {
        let (file, index) = sources.place(at);
        Ok(Found { file, diagnosis: model.read(index, pending, scores, key)? })
    };
    let found = pending.into_iter().zip(&checked).enumerate().map(read).collect::<Result<Vec<_>, Error>>()?;
    output::diagnoses(&found, args.json)?;
    state::remove(&args.dir)
}
