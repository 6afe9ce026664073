//! Runs an ONNX model on given inputs with rten and tract, one thread each. `compare.py` makes the inputs, runs this and
//! onnxruntime, and compares.
//!
//!     tiresias-bench-backbones MODEL.onnx SHAPE INPUTS OUTPUTS
//!
//! SHAPE is that of one input, such as 1,3,227,227; INPUTS are several of them as 32-bit floats, little endian. Outputs go to
//! OUTPUTS.rten and OUTPUTS.tract in the same form. Prints the engine, milliseconds to load, and the median of milliseconds a
//! scan, of three rounds over all inputs in which the engines take turns.

use std::{error::Error, fs, time::Instant};

use rten::{Model, RunOptions, ThreadPool, ValueOrView};
use rten_tensor::{AsView as _, Tensor};
use tract_onnx::prelude::*;

const ROUNDS: usize = 3;

type Run = Box<dyn Fn(&[f32]) -> Result<Vec<f32>, Box<dyn Error>>>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, shape, inputs, outputs] = arguments.as_slice() else {
        return Err("needs a model, a shape, inputs and where outputs go".into());
    };
    let shape: Vec<usize> = shape.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let bytes = fs::read(inputs)?;
    let inputs: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
    let scans = inputs.chunks_exact(shape.iter().product());
    let engines = [("rten", load_rten(model, &shape)?), ("tract", load_tract(model, &shape)?)];
    let mut times = vec![Vec::new(); engines.len()];
    for round in 0..ROUNDS {
        for ((name, (_, run)), times) in engines.iter().zip(&mut times) {
            let mut all = Vec::new();
            for scan in scans.clone() {
                let started = Instant::now();
                let output = run(scan)?;
                times.push(milliseconds(started));
                all.extend(output.iter().flat_map(|value| value.to_le_bytes()));
            }
            if round == 0 {
                fs::write(format!("{outputs}.{name}"), all)?;
            }
        }
    }
    for ((name, (load, _)), times) in engines.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!("{name} {load:.1} {:.1}", times[times.len() / 2]);
    }
    Ok(())
}

fn milliseconds(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}

fn load_rten(path: &str, shape: &[usize]) -> Result<(f64, Run), Box<dyn Error>> {
    let started = Instant::now();
    let model = Model::load(fs::read(path)?)?;
    let load = milliseconds(started);
    let [input] = model.input_ids() else { return Err("the model must have one input".into()) };
    let [output] = model.output_ids() else { return Err("the model must have one output".into()) };
    let (input, output, shape) = (*input, *output, shape.to_vec());
    let options = RunOptions::default().with_thread_pool(Some(ThreadPool::with_num_threads(1).into()));
    let run = move |scan: &[f32]| {
        let scan = Tensor::from_data(&shape, scan.to_vec());
        let inputs = vec![(input, ValueOrView::from(scan.view()))];
        let outputs = model.run(inputs, &[output], Some(options.clone()))?;
        let output: Tensor<f32> = outputs.into_iter().next().ok_or("no output")?.try_into()?;
        Ok(output.iter().copied().collect())
    };
    Ok((load, Box::new(run)))
}

fn load_tract(path: &str, shape: &[usize]) -> Result<(f64, Run), Box<dyn Error>> {
    let started = Instant::now();
    let fact = InferenceFact::dt_shape(f32::datum_type(), shape);
    let model = tract_onnx::onnx().model_for_path(path)?.with_input_fact(0, fact)?.into_optimized()?.into_runnable()?;
    let load = milliseconds(started);
    let shape = shape.to_vec();
    let run = move |scan: &[f32]| {
        let scan = tract_onnx::prelude::Tensor::from_shape(&shape, scan)?;
        let outputs = model.run(tvec!(scan.into()))?;
        Ok(outputs[0].to_plain_array_view::<f32>()?.iter().copied().collect())
    };
    Ok((load, Box::new(run)))
}
