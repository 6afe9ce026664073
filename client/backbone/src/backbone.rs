//! An ONNX model and its preprocessing card.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use rten::{Model, NodeId, ValueOrView};
use rten_tensor::{AsView as _, Layout as _, Tensor};
use sha2::{Digest as _, Sha256};
use tiresias_scan::Picture;

use crate::{Error, Preprocessing, preprocessing::Layout};

const MAXIMUM_MODEL_MIB: u64 = 2048;
const MAXIMUM_CARD_MIB: u64 = 1;

/// Features of one picture, at most.
const MAXIMUM_VALUES: usize = 1 << 26;

/// A loaded backbone.
pub struct Backbone {
    model: Model,
    preprocessing: Preprocessing,
    input: NodeId,
    output: NodeId,
    digest: [u8; 32],
}

/// Features at each location of a picture. `Debug` shows the shape alone.
#[derive(Clone, PartialEq)]
pub struct FeatureMap {
    height: usize,
    width: usize,
    features: usize,
    /// Location by location, row after row.
    values: Vec<f64>,
}

impl Backbone {
    /// Loads a model and the preprocessing card beside it, which has the model's name with the ending `.toml`.
    pub fn open(model: &Path) -> Result<Self, Error> {
        let bytes = read(model, MAXIMUM_MODEL_MIB)?;
        let card = model.with_extension("toml");
        let card = match read(&card, MAXIMUM_CARD_MIB) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoCard { path: card });
            }
            card => card?,
        };
        Self::new(bytes, &card)
    }

    /// A backbone of the bytes of its two files.
    pub fn new(model: Vec<u8>, card: &[u8]) -> Result<Self, Error> {
        let preprocessing = Preprocessing::from_toml(card)?;
        let digest = Sha256::new()
            .chain_update(b"tiresias/backbone/v1")
            .chain_update(Sha256::digest(&model))
            .chain_update(Sha256::digest(card))
            .finalize()
            .into();
        let model = guarded(|| Model::load(model).ok()).ok_or(Error::Model)?;
        let [input] = model.input_ids() else { return Err(Error::Input) };
        let output = match (preprocessing.output(), model.output_ids()) {
            (Some(name), _) => model.find_node(name).ok_or(Error::Output)?,
            (None, [output]) => *output,
            (None, _) => return Err(Error::Output),
        };
        Ok(Self { input: *input, model, preprocessing, output, digest })
    }

    /// SHA-256("tiresias/backbone/v1" || SHA-256(model) || SHA-256(preprocessing card)): what a circuit card pins.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The preprocessing card.
    #[must_use]
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// The features of a picture.
    pub fn features(&self, picture: &Picture) -> Result<Vec<f64>, Error> {
        if self.preprocessing.pools() {
            return Ok(self.map(picture)?.mean());
        }
        let (shape, values) = self.run(picture)?;
        match shape.iter().filter(|length| **length != 1).count() {
            0 | 1 => Ok(values),
            _ => Err(Error::Shape("not one vector: name another output, or say pooling = \"average\"")),
        }
    }

    /// The features at each location of a picture, for backbones that pool.
    pub fn map(&self, picture: &Picture) -> Result<FeatureMap, Error> {
        if !self.preprocessing.pools() {
            return Err(Error::NoMap);
        }
        let (shape, values) = self.run(picture)?;
        let &[1, first, second, third] = shape.as_slice() else {
            return Err(Error::Shape("not a map of one picture, which has four axes"));
        };
        let (features, height, width) = match self.preprocessing.map_layout() {
            Layout::Nchw => (first, second, third),
            Layout::Nhwc => (third, first, second),
        };
        let values = match self.preprocessing.map_layout() {
            Layout::Nhwc => values,
            Layout::Nchw => {
                let location = |at| values.iter().skip(at).step_by(height * width).copied();
                (0..height * width).flat_map(location).collect()
            }
        };
        Ok(FeatureMap { height, width, features, values })
    }

    /// The output's shape and finite values.
    fn run(&self, picture: &Picture) -> Result<(Vec<usize>, Vec<f64>), Error> {
        let input = Tensor::from_data(&self.preprocessing.input_shape(), self.preprocessing.input(picture)?);
        let input = vec![(self.input, ValueOrView::from(input.view()))];
        let run = || self.model.run(input, &[self.output], None).ok();
        let output = guarded(run).and_then(|outputs| outputs.into_iter().next()).ok_or(Error::Run)?;
        let output: Tensor<f32> =
            output.try_into().map_err(|_| Error::Shape("not a tensor of 32-bit floats"))?;
        if output.is_empty() || output.len() > MAXIMUM_VALUES {
            return Err(Error::Shape("empty, or has more than 67 million values"));
        }
        let values: Vec<f64> = output.iter().map(|value| f64::from(*value)).collect();
        if !values.iter().all(|value| value.is_finite()) {
            return Err(Error::NotFinite);
        }
        Ok((output.shape().to_vec(), values))
    }
}

impl fmt::Debug for Backbone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backbone").field("preprocessing", &self.preprocessing).finish_non_exhaustive()
    }
}

impl FeatureMap {
    /// Rows of locations.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Locations of a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Features at a location.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// The features of each location, row after row.
    pub fn locations(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.features)
    }

    /// The mean over all locations.
    #[must_use]
    pub fn mean(&self) -> Vec<f64> {
        let count = self.locations().len() as f64;
        let mut mean = vec![0.0; self.features];
        for location in self.locations() {
            mean.iter_mut().zip(location).for_each(|(mean, value)| *mean += value / count);
        }
        mean
    }
}

impl fmt::Debug for FeatureMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeatureMap([{}, {}, {}])", self.height, self.width, self.features)
    }
}

/// A model that its runtime cannot take must not end the program.
fn guarded<T>(work: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok().flatten()
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let at = |source| Error::Io { path: PathBuf::from(path), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(at)?.take((limit << 20) + 1).read_to_end(&mut bytes).map_err(at)?;
    if bytes.len() as u64 > limit << 20 {
        return Err(Error::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}
