//! Heads with hidden layers: one to three layers of neurons with a ReLU, in front of a linear one.
//!
//! The first layer is evaluated like a linear head, and its sums stay at the gateway. A neuron is one bootstrap: its table
//! counts how many thresholds the sum reaches, which is ReLU, a batch normalization behind it and the rounding to a few
//! levels in one. The next layer's sums are integer combinations of the results, and so on; the last layer's are scores, or
//! go through the signs of [`crate::label`].
//!
//! What the encrypted circuit computes is [`crate::clear::mlp`] but for one thing: a sum that is very close to a threshold
//! may fall to its other side, so an activation may be off by one level, and never by more. From the activations on, scores
//! are exact sums where the parameter set has two levels, and err by a little where it has one.
//!
//! Modules in reading order: `float`, the head as it was trained; `layer` and
//! `quantized`, its integers; `circle`, where they lie in a
//! bootstrap; `calibrate` and `ramp`, how the integers are made; `evaluate`, the circuit over ciphertexts.

mod calibrate;
mod circle;
mod evaluate;
mod float;
mod layer;
mod quantized;
mod ramp;
#[cfg(test)]
mod tests;

pub use calibrate::{MlpOptions, MlpQuantization};
pub use evaluate::PreparedMlp;
pub use float::{HiddenLayer, MAXIMUM_HIDDEN_LAYERS, MAXIMUM_NEURONS, MlpHead};
pub use layer::QuantizedLayer;
pub use quantized::QuantizedMlp;
