//! Heads with hidden layers.

mod float;

pub use float::{HiddenLayer, MAXIMUM_HIDDEN_LAYERS, MAXIMUM_NEURONS, MlpHead};
