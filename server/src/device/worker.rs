//! The worker: a process that holds a device and computes what comes in.

use std::{
    io::{self, BufReader, BufWriter},
    sync::mpsc,
    thread,
};

use clap::Args;
use tiresias_keys::BootstrapParameters;

use super::{
    DeviceChoice,
    messages::{Batch, Received, Reply},
};

mod cpu;
#[cfg(feature = "gpu")]
mod cuda;
mod held;

use held::Held;

/// Memory for keys where nothing is said and nothing can be asked: four of the largest.
const KEY_BYTES: usize = 1 << 30;

/// `bootstrap-worker`
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// The device: cuda:N, or cpu-worker
    #[arg(long)]
    device: DeviceChoice,
    /// Memory for evaluation keys, in bytes; by default three quarters of what the device has free
    #[arg(long)]
    key_bytes: Option<usize>,
}

/// Why a worker ended.
#[derive(Debug, thiserror::Error)]
#[error("a worker lost its gateway: {0}")]
pub struct WorkerError(#[from] io::Error);

/// What computes in a worker.
trait Engine {
    type Key;

    /// What the device calls itself.
    fn name(&self) -> String;

    /// Bytes that keys may take by default.
    fn key_bytes(&self) -> usize;

    /// Takes a key over: the arrays of a prepared one. Errors with why not.
    fn load(
        &mut self,
        parameters: &'static BootstrapParameters,
        rotation: Vec<u64>,
        keyswitch: Vec<u32>,
    ) -> Result<Self::Key, String>;

    /// N + 1 residues of each result. Errors with why not.
    fn bootstrap(&mut self, key: &Self::Key, batch: &Batch) -> Result<Vec<u64>, String>;
}

/// Serves a gateway over standard input and output until it is gone.
pub fn work(args: &WorkerArgs) -> Result<(), WorkerError> {
    let refused = match args.device {
        DeviceChoice::CpuWorker => return serve(cpu::Cpu::new(), args.key_bytes),
        #[cfg(feature = "gpu")]
        DeviceChoice::Cuda(ordinal) => match cuda::Cuda::open(ordinal) {
            Ok(engine) => return serve(engine, args.key_bytes),
            Err(why) => why,
        },
        #[cfg(not(feature = "gpu"))]
        DeviceChoice::Cuda(_) => {
            "this build has no GPU support; build with `--features gpu`, or use --device auto or cpu"
                .to_owned()
        }
        DeviceChoice::Auto | DeviceChoice::Cpu => "a worker needs a device of its own".to_owned(),
    };
    Ok(Reply::Failed(refused).write(&mut io::stdout().lock())?)
}

/// This thread computes. One reads the next request meanwhile, and one writes the reply before.
fn serve(mut engine: impl Engine, key_bytes: Option<usize>) -> Result<(), WorkerError> {
    let mut keys = Held::new(key_bytes.unwrap_or_else(|| engine.key_bytes()));
    let (received, requests) = mpsc::sync_channel(1);
    let (replies, replied) = mpsc::sync_channel::<Reply>(1);
    let reading = thread::spawn(move || {
        let mut from = BufReader::with_capacity(1 << 16, io::stdin().lock());
        while let Some(request) = Received::read(&mut from)? {
            if received.send(request).is_err() {
                break;
            }
        }
        Ok::<_, io::Error>(())
    });
    let writing = thread::spawn(move || {
        let mut to = BufWriter::new(io::stdout().lock());
        replied.into_iter().try_for_each(|reply| reply.write(&mut to))
    });
    let name = engine.name();
    let replies_to = requests.into_iter().map(|request| reply(&mut engine, &mut keys, request));
    for reply in std::iter::once(Reply::Ready(name)).chain(replies_to) {
        if replies.send(reply).is_err() {
            break;
        }
    }
    drop(replies);
    for thread in [reading, writing] {
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    }
    Ok(())
}

fn reply<E: Engine>(engine: &mut E, keys: &mut Held<E::Key>, request: Received) -> Reply {
    match request {
        Received::Has { key } => {
            if keys.get(key).is_some() {
                Reply::Yes
            } else {
                Reply::No
            }
        }
        Received::Load { key, parameters, rotation, keyswitch } => {
            let bytes = 8 * rotation.len() + 4 * keyswitch.len();
            keys.make_room(bytes);
            let loaded = BootstrapParameters::by_code(parameters)
                .map_err(|error| error.to_string())
                .and_then(|parameters| engine.load(parameters, rotation, keyswitch));
            match loaded {
                Ok(loaded) => {
                    keys.insert(key, loaded, bytes);
                    Reply::Yes
                }
                Err(why) => Reply::Failed(why),
            }
        }
        Received::Bootstrap { key, batch } => {
            let key = keys.get(key).ok_or_else(|| "the key is not here".to_owned());
            match key.and_then(|key| engine.bootstrap(key, &batch)) {
                Ok(results) => Reply::Results(vec![results]),
                Err(why) => Reply::Failed(why),
            }
        }
    }
}
