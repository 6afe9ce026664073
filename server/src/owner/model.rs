//! A head from a file of its own, or cut off a model whose other part stays with the clinics.

use std::{fs::OpenOptions, io::Write as _, path::PathBuf};

use tiresias_keys::Digest;

use super::Error;
use crate::{
    cli::ImportArgs,
    import::{
        self, Imported,
        onnx::{
            self,
            split::{Split, split},
        },
    },
    repository::read_file,
};

const MAXIMUM_HEAD_BYTES: u64 = 64 << 20;

/// A model that is cut in two.
const MAXIMUM_MODEL_BYTES: u64 = 2 << 30;

/// The clinics' part of a model that was cut in two.
pub(super) struct Backbone {
    path: PathBuf,
    model: Vec<u8>,
    preprocessing: Option<Vec<u8>>,
}

impl Backbone {
    /// As `tiresias backbone` prints it, where there is a preprocessing card.
    pub(super) fn digest(&self) -> Option<Digest> {
        let card = self.preprocessing.as_ref()?;
        let (model, card) = (Digest::of(&self.model), Digest::of(card));
        let parts = [b"tiresias/backbone/v1".as_slice(), model.as_bytes(), card.as_bytes()];
        Some(Digest::of(&parts.concat()))
    }

    pub(super) fn write(&self) -> Result<(), Error> {
        let card = self.preprocessing.as_ref().map(|card| (self.path.with_extension("toml"), card));
        for (path, bytes) in [(self.path.clone(), &self.model)].into_iter().chain(card) {
            let file = OpenOptions::new().write(true).create_new(true).open(&path);
            file.and_then(|mut file| file.write_all(bytes))
                .map_err(|source| Error::Write { path, source })?;
        }
        Ok(())
    }
}

/// Reads the head, and cuts it off a model where that is asked for.
pub(super) fn read_model(args: &ImportArgs) -> Result<(Imported, Option<Backbone>), Error> {
    let refused = |source| Error::Import { source };
    let (Some(tensor), Some(path)) = (&args.split.split_at, &args.split.backbone_out) else {
        let name = args.head.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let head = import::read_head(name, &read_file(&args.head, MAXIMUM_HEAD_BYTES)?).map_err(refused)?;
        return Ok((head, None));
    };
    let Split { backbone, head } =
        split(&read_file(&args.head, MAXIMUM_MODEL_BYTES)?, tensor).map_err(refused)?;
    let preprocessing = args.split.preprocessing.as_ref().map(|path| read_file(path, 1 << 20)).transpose()?;
    let backbone = Backbone { path: path.clone(), model: backbone, preprocessing };
    Ok((onnx::read(&head).map_err(refused)?, Some(backbone)))
}
