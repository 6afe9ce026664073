//! `model.bin`: the integers of a head, bound to their card.

use bincode::Options as _;
use serde::{Deserialize, Serialize};
use tiresias_circuits::{
    Card, Error, QuantizedHead, clear,
    mlp::{QuantizedLayer, QuantizedMlp},
};
use tiresias_keys::ConfigId;

/// 4,096 classes of 2,048 weights are 8 MiB.
pub(super) const MAXIMUM_BYTES: u64 = 16 << 20;

/// The first byte of a record.
const LINEAR: u32 = 1;
const MLP: u32 = 2;

/// A head as stored. Private to the model owner.
#[derive(Debug, Clone, PartialEq)]
pub enum StoredHead {
    /// Without hidden layers.
    Linear(QuantizedHead),
    /// With hidden layers.
    Mlp(Box<QuantizedMlp>),
}

impl StoredHead {
    /// The scores of a quantized row in the clear.
    pub fn scores(&self, row: &[i64]) -> Result<Vec<i64>, Error> {
        match self {
            Self::Linear(head) => clear::scores(head, row),
            Self::Mlp(head) => Ok(clear::mlp(head, row)?.1),
        }
    }

    /// What an answer of scores holds of a quantized row, in the clear: approximate scores without their last bits.
    pub fn answer(&self, row: &[i64]) -> Result<Vec<i64>, Error> {
        let scores = self.scores(row)?;
        Ok(match self {
            Self::Linear(_) => scores,
            Self::Mlp(head) => clear::answer(head, &scores),
        })
    }

    /// Levels of an activation, 0 among them, on average over the neurons. `None` for a head without neurons.
    #[must_use]
    pub fn mean_levels(&self) -> Option<f64> {
        let Self::Mlp(head) = self else { return None };
        let levels =
            || head.layers().iter().flat_map(|layer| layer.thresholds().iter().map(|list| list.len() + 1));
        Some(levels().sum::<usize>() as f64 / levels().count().max(1) as f64)
    }

    /// How many neurons have sums beyond their circles for a quantized row: none but in a calibrated range, where their
    /// activations are wrong. `None` for a head without neurons.
    pub fn beyond(&self, row: &[i64]) -> Result<Option<usize>, Error> {
        match self {
            Self::Linear(_) => Ok(None),
            Self::Mlp(head) => Ok(Some(head.beyond(row, &clear::mlp(head, row)?.0))),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct LinearRecord {
    format: u32,
    config: [u8; 32],
    weight: Vec<i8>,
    bias: Vec<i64>,
}

#[derive(Serialize, Deserialize)]
struct MlpRecord {
    format: u32,
    config: [u8; 32],
    layers: Vec<LayerRecord>,
    weight: Vec<i8>,
    bias: Vec<i64>,
}

#[derive(Serialize, Deserialize)]
struct LayerRecord {
    weight: Vec<i8>,
    thresholds: Vec<Vec<i64>>,
    ranges: Vec<(i64, i64)>,
}

fn options() -> impl bincode::Options {
    bincode::DefaultOptions::new().with_limit(MAXIMUM_BYTES)
}

/// The record of a head; errors where it is larger than a record may be.
pub(super) fn write(head: &StoredHead, config: &ConfigId) -> Result<Vec<u8>, &'static str> {
    let config = *config.as_bytes();
    let bytes = match head {
        StoredHead::Linear(head) => {
            let (weight, bias) = (head.weight().to_vec(), head.bias().to_vec());
            options().serialize(&LinearRecord { format: LINEAR, config, weight, bias })
        }
        StoredHead::Mlp(head) => {
            let layer = |layer: &QuantizedLayer| LayerRecord {
                weight: layer.weight().to_vec(),
                thresholds: layer.thresholds().to_vec(),
                ranges: layer.ranges().to_vec(),
            };
            options().serialize(&MlpRecord {
                format: MLP,
                config,
                layers: head.layers().iter().map(layer).collect(),
                weight: head.weight().to_vec(),
                bias: head.bias().to_vec(),
            })
        }
    };
    bytes.map_err(|_| "the model is larger than 16 MiB")
}

/// Reads the head of a card, or says which rule the record breaks.
pub(super) fn read(bytes: &[u8], card: &Card, config: &ConfigId) -> Result<StoredHead, &'static str> {
    const UNREADABLE: &str = "not a model record: import the head again";
    const FOREIGN: &str = "the weights belong to another card: import the head again";
    const SHAPE: &str = "the weights do not have the card's shape or widths";
    let plan = card.plan();
    match (bytes.first().copied().map(u32::from), plan.hidden()) {
        (Some(LINEAR), None) => {
            let record: LinearRecord = options().deserialize(bytes).map_err(|_| UNREADABLE)?;
            if record.config != *config.as_bytes() {
                return Err(FOREIGN);
            }
            let head = QuantizedHead::new(*plan.shape(), record.weight, record.bias).map_err(|_| SHAPE)?;
            Ok(StoredHead::Linear(head))
        }
        (Some(MLP), Some(hidden)) => {
            let record: MlpRecord = options().deserialize(bytes).map_err(|_| UNREADABLE)?;
            if record.config != *config.as_bytes() {
                return Err(FOREIGN);
            }
            let bits = std::iter::once(plan.shape().weight_bits).chain(hidden.weight_bits);
            let layers = record.layers.into_iter().zip(bits);
            let layers = layers
                .map(|(layer, bits)| QuantizedLayer::new(bits, layer.weight, layer.thresholds, layer.ranges));
            let last = (hidden.weight_bits[hidden.layers() - 1], record.weight, record.bias);
            let layers = layers.collect();
            let head =
                QuantizedMlp::new(*plan.shape(), hidden.activation_bits, hidden.bootstrap, layers, last);
            let head = head.map_err(|_| SHAPE)?;
            if head.public() != hidden {
                return Err(SHAPE);
            }
            Ok(StoredHead::Mlp(Box::new(head)))
        }
        (Some(LINEAR | MLP), _) => Err(SHAPE),
        _ => Err("the record's format is not that of this version: import the head again"),
    }
}
