//! A worker process as its parent sees it: pipes, a watchdog, an end.

use std::{
    io::{self, BufReader, BufWriter},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use tiresias_circuits::bootstrap::PreparedKey;

use super::{
    DeviceChoice,
    messages::{Parts, Reply, Request},
};

/// A start and the compiling of its kernels must end in this time.
const START: Duration = Duration::from_secs(120);

/// How a worker is started.
pub(super) struct Command {
    device: DeviceChoice,
    key_bytes: Option<usize>,
    limit: Duration,
}

impl Command {
    /// This program once more, as the worker of a device that keeps keys in `key_bytes` of its memory. An exchange with it must
    /// end within `limit`.
    pub(super) fn this_program(device: DeviceChoice, key_bytes: Option<usize>, limit: Duration) -> Self {
        Self { device, key_bytes, limit }
    }

    pub(super) fn device(&self) -> DeviceChoice {
        self.device
    }

    fn spawn(&self) -> io::Result<Child> {
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command.arg("bootstrap-worker").arg("--device").arg(self.device.to_string());
        if let Some(bytes) = self.key_bytes {
            command.arg("--key-bytes").arg(bytes.to_string());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
    }
}

/// A running worker.
pub(super) struct Worker {
    to: BufWriter<ChildStdin>,
    from: BufReader<ChildStdout>,
    process: Arc<Mutex<Child>>,
    watchdog: Sender<Watch>,
    limit: Duration,
    /// The number of the key that it was last asked to hold.
    prepared: Option<u64>,
}

/// What the watchdog is told.
enum Watch {
    /// Something began that must end in this time.
    Begin(Duration),
    End,
}

impl Worker {
    /// Starts a worker and waits for its device: the device's name comes with it. Errors with why there is none.
    pub(super) fn start(command: &Command) -> Result<(Self, String), String> {
        let mut child =
            command.spawn().map_err(|error| format!("its worker could not be started: {error}"))?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("its worker has no pipes".into());
        };
        widen(&to, &from);
        let process = Arc::new(Mutex::new(child));
        let watchdog = watch(Arc::clone(&process));
        let (to, from) = (BufWriter::new(to), BufReader::with_capacity(1 << 16, from));
        let mut worker = Self { to, from, process, watchdog, limit: command.limit, prepared: None };
        match worker.exchange(None, START) {
            Ok(Reply::Ready(name)) => Ok((worker, name)),
            Ok(Reply::Failed(why)) => Err(why),
            Ok(_) => Err("its worker does not speak this version".into()),
            Err(error) => Err(format!("its worker ended before it was ready: {error}")),
        }
    }

    /// Moves a key over where the worker does not hold it. No batch may be on its way. An error ends the worker; a refusal by the
    /// device comes as one too, since its state is not known then.
    pub(super) fn prepare(&mut self, key: &PreparedKey) -> io::Result<()> {
        let number = key.number();
        if self.prepared == Some(number) {
            return Ok(());
        }
        let limit = self.limit;
        if self.exchange(Some(Request::Has { key: number }), limit)? == Reply::No {
            let load = Request::Load {
                key: number,
                parameters: key.parameters().code(),
                rotation: key.rotation(),
                keyswitch: key.keyswitch_rows(),
            };
            match self.exchange(Some(load), limit)? {
                Reply::Yes => {}
                other => return Err(refusal(other)),
            }
        }
        self.prepared = Some(number);
        Ok(())
    }

    /// Sends a batch under a key that is prepared. Batches are answered in their order.
    pub(super) fn send(&mut self, key: &PreparedKey, parts: &Parts<'_>) -> io::Result<()> {
        let request = Request::Bootstrap { key: key.number(), parts };
        watched(&self.watchdog, self.limit, || request.write(&mut self.to))
    }

    /// The results of the first batch that is on its way: for each of its parts as many residues as it has.
    pub(super) fn receive(&mut self, parts: &[usize]) -> io::Result<Vec<Vec<u64>>> {
        match watched(&self.watchdog, self.limit, || Reply::read(&mut self.from, parts))? {
            Reply::Results(results) => Ok(results),
            other => Err(refusal(other)),
        }
    }

    fn exchange(&mut self, request: Option<Request<'_>>, limit: Duration) -> io::Result<Reply> {
        watched(&self.watchdog, limit, || {
            request.map_or(Ok(()), |request| request.write(&mut self.to))?;
            Reply::read(&mut self.from, &[])
        })
    }
}

/// Does something with a worker that must end in this time.
fn watched<T>(
    watchdog: &Sender<Watch>,
    limit: Duration,
    work: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    // A watchdog that is gone has killed the worker: what follows fails by itself.
    let _ = watchdog.send(Watch::Begin(limit));
    let done = work();
    let _ = watchdog.send(Watch::End);
    done
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = process.kill();
        let _ = process.wait();
    }
}

/// Megabytes go through the pipes: fewer turns of the two processes where the system allows it.
fn widen(to: &ChildStdin, from: &ChildStdout) {
    #[cfg(target_os = "linux")]
    {
        const BYTES: usize = 1 << 20;
        let _ = rustix::pipe::fcntl_setpipe_size(to, BYTES);
        let _ = rustix::pipe::fcntl_setpipe_size(from, BYTES);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (to, from);
}

fn refusal(reply: Reply) -> io::Error {
    match reply {
        Reply::Failed(why) => io::Error::other(why),
        _ => io::Error::other("the worker's reply does not fit the request"),
    }
}

/// Ends a worker that takes too long, so that whoever waits for it reads its end.
fn watch(process: Arc<Mutex<Child>>) -> Sender<Watch> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        while let Ok(message) = told.recv() {
            let Watch::Begin(limit) = message else { continue };
            if matches!(told.recv_timeout(limit), Err(RecvTimeoutError::Timeout)) {
                tracing::error!("a device did not finish in time: its worker is ended");
                let _ = process.lock().unwrap_or_else(PoisonError::into_inner).kill();
                return;
            }
        }
    });
    tell
}
