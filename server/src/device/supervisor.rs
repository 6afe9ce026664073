//! Keeps a worker, and its work going.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use prometheus_client::{metrics::counter::Counter, registry::Registry};
use tiresias_circuits::bootstrap::{PreparedKey, Table};

use super::{
    child::{Command, Worker},
    messages::{LARGEST_BATCH, Parts},
};

/// How often work is given to a worker before it is given up.
const ATTEMPTS: usize = 2;
/// Batches on their way: while one is computed, the results of the one before and the words of the one behind travel.
const ON_THE_WAY: usize = 2;
/// How long a worker that could not be restarted is left alone.
const PAUSE: Duration = Duration::from_secs(10);

/// Ciphertexts of one request, N + 1 residues each, and the table of each.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) lwes: Vec<u64>,
    pub(super) tables: Vec<Table>,
}

/// Bootstraps that one request waits for.
pub(super) struct Job {
    pub(super) key: Arc<PreparedKey>,
    pub(super) work: Work,
    /// How often it failed.
    pub(super) failures: usize,
    /// Gets nothing where the device gave up.
    pub(super) done: SyncSender<Vec<u64>>,
}

/// What the device did.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeviceMetrics {
    bootstraps: Counter,
    batches: Counter,
    restarts: Counter,
    given_up: Counter,
}

impl DeviceMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("device_bootstraps", "Bootstraps computed on the device", self.bootstraps.clone());
        registry.register("device_batches", "Batches that they were computed in", self.batches.clone());
        registry.register(
            "device_restarts",
            "Workers of the device that were started again",
            self.restarts.clone(),
        );
        registry.register(
            "device_given_up",
            "Requests' work that the device failed twice and the CPU computed",
            self.given_up.clone(),
        );
    }
}

/// The way to a device. Dropped, it ends the worker.
pub(crate) struct Supervisor {
    name: String,
    jobs: Sender<Job>,
    metrics: DeviceMetrics,
}

impl Supervisor {
    /// Starts a worker. Errors with why there is none.
    pub(super) fn start(command: Command) -> Result<Self, String> {
        let (worker, hardware) = Worker::start(&command)?;
        let name = format!("{} ({hardware})", command.device());
        let (jobs, incoming) = mpsc::channel();
        let metrics = DeviceMetrics::default();
        let keeper = Keeper {
            command,
            worker: Some(worker),
            rested: Instant::now(),
            waiting: VecDeque::new(),
            sent: VecDeque::new(),
            metrics: metrics.clone(),
        };
        thread::spawn(move || keeper.run(&incoming));
        Ok(Self { name, jobs, metrics })
    }

    /// The device, as responses name it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn metrics(&self) -> &DeviceMetrics {
        &self.metrics
    }

    /// Does some work, together with others' of the same key that waits: the results. `None` where the device cannot.
    pub(super) fn bootstrap(&self, key: &Arc<PreparedKey>, work: Work) -> Option<Vec<u64>> {
        let (done, result) = mpsc::sync_channel(1);
        self.jobs.send(Job { key: Arc::clone(key), work, failures: 0, done }).ok()?;
        result.recv().ok()
    }
}

/// The supervisor's thread.
struct Keeper {
    command: Command,
    worker: Option<Worker>,
    /// From when on a worker may be started again.
    rested: Instant,
    waiting: VecDeque<Job>,
    /// Batches on their way, the first one first. All are of one key.
    sent: VecDeque<Vec<Job>>,
    metrics: DeviceMetrics,
}

impl Keeper {
    fn run(mut self, incoming: &Receiver<Job>) {
        loop {
            if self.waiting.is_empty() && self.sent.is_empty() {
                match incoming.recv() {
                    Ok(job) => self.waiting.push_back(job),
                    Err(_) => return,
                }
            }
            self.waiting.extend(incoming.try_iter());
            let done = if self.may_send() { self.send() } else { self.receive() };
            if let Err(error) = done {
                self.fail(&error);
            }
        }
    }

    fn may_send(&self) -> bool {
        let key = |job: &Job| job.key.number();
        let going = self.sent.back().and_then(|jobs| jobs.first());
        self.sent.len() < ON_THE_WAY
            && self.waiting.front().is_some_and(|next| going.is_none_or(|going| key(going) == key(next)))
    }

    fn send(&mut self) -> io::Result<()> {
        // On its way from here on: what fails takes it back.
        let jobs = next(&mut self.waiting);
        self.sent.push_back(jobs);
        let worker = match &mut self.worker {
            Some(worker) => worker,
            None => self.worker.insert(restart(&self.command, &mut self.rested, &self.metrics)?),
        };
        let Some((jobs, first)) = self.sent.back().and_then(|jobs| Some((jobs, jobs.first()?))) else {
            return Ok(());
        };
        worker.prepare(&first.key)?;
        worker.send(&first.key, &parts(jobs.iter().map(|job| &job.work)))
    }

    fn receive(&mut self) -> io::Result<()> {
        let Some((worker, jobs)) = self.worker.as_mut().zip(self.sent.front()) else { return Ok(()) };
        let lengths: Vec<usize> = jobs.iter().map(|job| job.work.lwes.len()).collect();
        let results = worker.receive(&lengths)?;
        self.metrics.batches.inc();
        for (job, results) in self.sent.pop_front().into_iter().flatten().zip(results) {
            self.metrics.bootstraps.inc_by(job.work.tables.len() as u64);
            // Whoever waited may be gone.
            let _ = job.done.send(results);
        }
        Ok(())
    }

    /// The worker is gone, and what was on its way waits again, but for what has failed too often.
    fn fail(&mut self, error: &io::Error) {
        tracing::error!("a device's worker failed: {error}");
        self.worker = None;
        for mut job in self.sent.drain(..).flatten().collect::<Vec<_>>().into_iter().rev() {
            job.failures += 1;
            if job.failures < ATTEMPTS {
                self.waiting.push_front(job);
            } else {
                tracing::error!("a device failed twice on the same work: the CPU does it");
                self.metrics.given_up.inc();
            }
        }
    }
}

fn restart(command: &Command, rested: &mut Instant, metrics: &DeviceMetrics) -> io::Result<Worker> {
    if Instant::now() < *rested {
        return Err(io::Error::other("it could not be started again a moment ago"));
    }
    let (worker, _) = Worker::start(command).map_err(|why| {
        *rested = Instant::now() + PAUSE;
        io::Error::other(why)
    })?;
    tracing::warn!("a device's worker was started again");
    metrics.restarts.inc();
    Ok(worker)
}

/// Works as one batch. Ciphertexts of one neuron want the same table, whoever asks, and it goes once.
fn parts<'a>(works: impl Iterator<Item = &'a Work>) -> Parts<'a> {
    let mut parts = Parts::default();
    let mut places: HashMap<*const u64, u32> = HashMap::new();
    for work in works {
        parts.lwes.push(&work.lwes);
        for table in &work.tables {
            let place = *places.entry(table.polynomial().as_ptr()).or_insert_with(|| {
                parts.tables.push(table.polynomial());
                parts.tables.len() as u32 - 1
            });
            parts.table_of.push(place);
        }
    }
    parts
}

/// The job that waits longest, and those of the same key that fit into a batch with it.
pub(super) fn next(waiting: &mut VecDeque<Job>) -> Vec<Job> {
    let Some(first) = waiting.pop_front() else { return Vec::new() };
    let (number, mut count) = (first.key.number(), first.work.tables.len());
    let mut jobs = vec![first];
    for job in std::mem::take(waiting) {
        let size = job.work.tables.len();
        if job.key.number() == number && count + size <= LARGEST_BATCH {
            count += size;
            jobs.push(job);
        } else {
            waiting.push_back(job);
        }
    }
    jobs
}
