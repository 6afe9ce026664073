//! `tiresias encrypt`: everything up to the bytes that leave, as files.

use std::{fs, path::Path, sync::Arc};

use tiresias_circuits::card::MAXIMUM_CARD_BYTES;

use crate::{
    Error, Model,
    cli::EncryptArgs,
    files,
    http::Connection,
    inputs::Inputs,
    key_file::KeyFile,
    oip, output,
    passphrase::{self, Subject},
    state,
    stop::Stop,
};

/// Runs the command.
pub async fn run(args: &EncryptArgs) -> Result<(), Error> {
    let inputs = Inputs::read(&args.features)?;
    let wants_passphrase = args.passphrase || args.passphrase_file.is_some();
    let passphrase = wants_passphrase
        .then(|| passphrase::choose(Subject::State, args.passphrase_file.as_deref()))
        .transpose()?;
    let model = load_model(args).await?;
    let key_file = args.enrolled.open(&model)?;
    let key = key_file.as_ref().map(KeyFile::key);
    let columns = model.card().plan().shape().features;
    inputs.expect_columns(columns)?;

    let rows = inputs.rows();
    let progress = output::progress(rows.len());
    let (mut elements, mut pending, mut clipped) = (Vec::new(), Vec::new(), 0);
    for row in &rows {
        let encrypted = model.encrypt(row, key)?;
        elements.push(encrypted.element);
        pending.push(encrypted.pending);
        clipped += encrypted.clipped;
        progress.inc(1);
    }
    progress.finish_and_clear();
    output::warn_clipped(clipped, rows.len() * columns);
    output::warn_far_out(pending.iter().filter_map(|pending| pending.drift.as_ref()));

    fs::create_dir_all(&args.out).map_err(files::at(&args.out))?;
    // The state goes first: without it the answers could not be read.
    state::write(&args.out, &model, inputs.sources(), &pending, passphrase)?;
    for (index, element) in elements.iter().enumerate() {
        write(&args.out, &format!("tensor-{index}.bin"), element)?;
    }
    // Tensors of an earlier, larger run would be sent by mistake.
    let stale = (elements.len()..).map(|index| args.out.join(format!("tensor-{index}.bin")));
    for path in stale.take_while(|path| path.exists()) {
        fs::remove_file(&path).map_err(files::at(&path))?;
    }
    let elements: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
    let body = oip::request_body(&model, key_file.as_ref().map(KeyFile::id), &elements);
    write(&args.out, "body.bin", &body.bytes)?;
    write(&args.out, "header-length", body.header_length.to_string().as_bytes())?;
    output::warn_batch(elements.len());
    let card = model.card();
    output::line(&format!(
        "{} vectors encrypted for {} version {}: send {} to /v2/models/{}/versions/{}/infer, keep {} here",
        elements.len(),
        card.name(),
        card.version(),
        args.out.join("body.bin").display(),
        card.name(),
        card.version(),
        args.out.join(state::FILE_NAME).display(),
    ))
}

async fn load_model(args: &EncryptArgs) -> Result<Arc<Model>, Error> {
    if let Some(path) = &args.card {
        return Ok(Arc::new(Model::from_card(files::read(path, MAXIMUM_CARD_BYTES as u64)?)?));
    }
    let (Some(gateway), Some(name)) = (&args.gateway, &args.model) else {
        return Err(Error::Usage("name a gateway and a model, or a card"));
    };
    let mut connection = Connection::open_with(gateway, &args.network, Stop::never()).await?;
    connection.fetch_model(name, args.version).await
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = directory.join(name);
    fs::write(&path, bytes).map_err(files::at(&path))
}
