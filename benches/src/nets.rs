//! Heads with hidden layers, of numbers from a fixed sequence.

use tiresias_circuits::{
    Features, LinearHead, MlpHead, Quantizer,
    mlp::{HiddenLayer, MlpOptions, MlpQuantization, QuantizedMlp},
    plan::{ActivationRange, Decision},
    quantize::Granularity,
};
use tiresias_keys::BootstrapParameters;

/// Calibration rows.
const ROWS: usize = 200;

/// Numbers around 0 of a fixed sequence, like those of a trained net's weights.
fn numbers(count: usize, scale: f64, seed: u64) -> Vec<f64> {
    let mut word = seed;
    let mut uniform = move || {
        word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (word >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
    };
    (0..count).map(|_| scale * (uniform() + uniform() + uniform())).collect()
}

/// A random net with 4-bit activations, quantized, and one of its calibration rows.
///
/// # Panics
/// Where there is no plan for it.
#[must_use]
pub fn net(
    sizes: &[usize],
    decision: Option<Decision>,
    bootstrap: &'static BootstrapParameters,
) -> (MlpQuantization, Vec<i64>) {
    let (last, hidden) = sizes.split_last().expect("sizes");
    let layers = hidden.windows(2).map(|pair| {
        let (inputs, neurons) = (pair[0], pair[1]);
        let weight = numbers(inputs * neurons, 1.0, inputs as u64);
        HiddenLayer::new(weight, numbers(neurons, 0.5, 2), vec![1.0; neurons], vec![0.0; neurons])
            .expect("shapes")
    });
    let inputs = hidden[hidden.len() - 1];
    let labels = (0..*last).map(|class| format!("class {class}")).collect();
    let output =
        LinearHead::new(numbers(inputs * last, 1.0, 3), numbers(*last, 1.0, 4), labels).expect("shapes");
    let head = MlpHead::new(layers.collect(), output).expect("layers follow each other");
    let rows = Features::new(numbers(ROWS * sizes[0], 1.0, 5), sizes[0]).expect("rows");
    let quantizer = Quantizer::calibrate(&rows, 8, Granularity::PerTensor).expect("a range");
    let options = MlpOptions {
        weight_bits: 8,
        inner_weight_bits: None,
        activation_bits: 4,
        bootstrap,
        range: ActivationRange::Calibrated,
        decision,
        stages: None,
    };
    let quantized = QuantizedMlp::quantize(&head, &quantizer, &rows, &options).expect("it fits");
    let row = rows.iter().next().map(|row| quantizer.quantize(row).expect("a row").values);
    (quantized, row.unwrap_or_default())
}
