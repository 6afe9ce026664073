//! The thread that commits: it takes all entries that wait, appends them with one write and one sync, signs one checkpoint,
//! and hands out the proofs. What comes in meanwhile is the next commit's, so a busy log syncs no more often than a quiet one.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use tiresias_evidence::Hash;
use tokio::sync::oneshot;

use super::{
    Shared,
    book::{Book, Signed},
    metrics::LogMetrics,
    records::BATCH,
    seeds::Seed,
};

/// Under load the public files are this much behind, at most.
const PUBLISH_EVERY: Duration = Duration::from_millis(200);

/// How long a commit waits, counted from the last one, for answers that are being computed, and for as many as the last one
/// had: so a busy log syncs less often, and a quiet one at once.
const GATHER: Duration = Duration::from_millis(2);

/// How long the end waits for witnesses to cosign the last checkpoint.
const LAST_ROUND: Duration = Duration::from_secs(2);

/// What could not be logged is tried again after this time.
const RETRY: Duration = Duration::from_secs(1);

/// Seeds whose time is over go so soon, whether anything is answered or not.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// The most entries that wait for a disk to have room. Of answers, which are refused then, there are none among them.
const MAXIMUM_KEPT: usize = 1 << 16;

/// An entry's place under a checkpoint.
pub(super) struct Place {
    pub(super) index: u64,
    pub(super) proof: Vec<Hash>,
    pub(super) checkpoint: Arc<str>,
}

/// An entry on its way in.
pub(super) struct Job {
    pub(super) entry: Hash,
    /// The seed that an answer's leaf commits to.
    pub(super) seed: Option<Seed>,
    /// Who waits for its place; they hear nothing where the commit failed.
    pub(super) waiter: Option<oneshot::Sender<Place>>,
    /// Whether it is tried again until it is in the log, because what it tells of has happened.
    pub(super) has_happened: bool,
}

/// What the thread is told.
pub(super) enum Message {
    Append(Job),
    /// Enough witnesses have cosigned a checkpoint.
    Cosigned(Signed),
    /// For a while too few of them have.
    Alone,
    /// Finish what came before, publish, and end.
    Close,
}

pub(super) struct Committer {
    book: Book,
    messages: Receiver<Message>,
    shared: Arc<Shared>,
    metrics: LogMetrics,
    /// What the next commit takes: those at the front may have been in one that failed.
    waiting: VecDeque<Job>,
    /// When the last commit began.
    committed: Instant,
    /// How many entries it took.
    gathered: usize,
    published: Instant,
    swept: Instant,
    /// Whether the last commit failed.
    failing: bool,
    closed: bool,
}

impl Committer {
    pub(super) fn new(
        book: Book,
        messages: Receiver<Message>,
        shared: Arc<Shared>,
        metrics: LogMetrics,
    ) -> Self {
        let (waiting, now) = (VecDeque::new(), Instant::now());
        let (committed, published, swept) = (now, now, now);
        let (gathered, failing, closed) = (0, false, false);
        Self {
            book,
            messages,
            shared,
            metrics,
            waiting,
            committed,
            gathered,
            published,
            swept,
            failing,
            closed,
        }
    }

    /// Works until it is told to close, or no one is left who could tell it anything.
    pub(super) fn run(mut self) {
        while !self.closed {
            self.receive();
            self.commit();
            if !self.book.is_published() && self.published.elapsed() >= PUBLISH_EVERY {
                self.publish();
            }
            if self.swept.elapsed() >= SWEEP_EVERY {
                self.book.sweep_seeds();
                self.swept = Instant::now();
            }
        }
        if self.failing {
            self.publish();
        }
        // What a failing disk held up is more than one commit takes.
        while self.commit() {}
        self.publish();
        self.wait_for_witnesses();
        if !self.waiting.is_empty() {
            let leaves = self.waiting.len();
            tracing::error!(leaves, "the gateway ends with leaves that could not be logged");
        }
    }

    /// What is left behind is cosigned to its end, where witnesses answer.
    fn wait_for_witnesses(&mut self) {
        let end = Instant::now() + LAST_ROUND;
        self.shared.newest.send_modify(|newest| newest.is_last = true);
        while self.book.awaits_witnesses() {
            let Ok(message) = self.messages.recv_timeout(end.saturating_duration_since(Instant::now()))
            else {
                return tracing::warn!("the last checkpoint was not cosigned in time");
            };
            self.take(message);
        }
    }

    /// Waits for entries, or until there is something else to do, and takes those that are there.
    fn receive(&mut self) {
        let patience = if self.failing {
            RETRY
        } else if !self.waiting.is_empty() {
            Duration::ZERO
        } else if !self.book.is_published() {
            PUBLISH_EVERY.saturating_sub(self.published.elapsed())
        } else {
            SWEEP_EVERY
        };
        match self.messages.recv_timeout(patience) {
            Ok(message) => self.take(message),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.closed = true,
        }
        while self.waiting.len() < BATCH && !self.closed {
            let message = match self.messages.try_recv() {
                Ok(message) => message,
                Err(_) if self.waiting.is_empty() || !self.expects_more() => break,
                Err(_) => {
                    let patience = GATHER.saturating_sub(self.committed.elapsed());
                    let Ok(message) = self.messages.recv_timeout(patience) else { break };
                    message
                }
            };
            self.take(message);
        }
    }

    /// Whether a commit that begins a little later would take more entries along.
    fn expects_more(&self) -> bool {
        self.waiting.len() < self.gathered || self.shared.coming.load(Ordering::Acquire) > 0
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Append(job) => self.waiting.push_back(job),
            Message::Cosigned(cosigned) => {
                self.book.publish_cosigned(cosigned);
                self.show();
            }
            Message::Alone => {
                self.book.publish_alone();
                self.show();
            }
            Message::Close => self.closed = true,
        }
    }

    /// Commits what waits, as many as one write holds: all of them are in the log, or none. Whether there were any, and they are.
    fn commit(&mut self) -> bool {
        if self.waiting.is_empty() {
            if self.failing {
                // Nobody sends requests to a gateway that is not ready: it has to find out by itself.
                self.shared.writable.store(self.book.try_disk().is_ok(), Ordering::Release);
            }
            return false;
        }
        let started = Instant::now();
        self.committed = started;
        let count = self.waiting.len().min(BATCH);
        self.gathered = count;
        let entries: Vec<Hash> = self.waiting.iter().take(count).map(|job| job.entry).collect();
        let seeds: Vec<(u64, &Seed)> = (0..)
            .zip(self.waiting.iter().take(count))
            .filter_map(|(place, job)| Some((place, job.seed.as_ref()?)))
            .collect();
        let first = match self.book.commit(&entries, &seeds) {
            Ok(first) => first,
            Err(error) => {
                self.fail(&error);
                return false;
            }
        };
        self.shared.writable.store(true, Ordering::Release);
        if std::mem::take(&mut self.failing) {
            tracing::info!("the transparency log can be written again");
        }
        for (job, index) in self.waiting.drain(..count).zip(first..) {
            let Some(waiter) = job.waiter else { continue };
            // Proofs of what was appended last are never forgotten; without one, the waiter hears of a failure.
            if let Ok(proof) = self.book.prove(index) {
                let checkpoint = Arc::clone(self.book.note());
                // A client that went away needs no receipt.
                let _ = waiter.send(Place { index, proof, checkpoint });
            }
        }
        self.metrics.committed(count, self.book.size(), started.elapsed());
        true
    }

    /// Nothing was appended. Who waits is told so; what has happened stays for the next try.
    fn fail(&mut self, error: &io::Error) {
        // Said once: under load there is a failure for each request.
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(kind = ?error.kind(), "the transparency log could not be written: requests are refused");
        }
        self.metrics.failed();
        self.shared.writable.store(false, Ordering::Release);
        while let Ok(message) = self.messages.try_recv() {
            self.take(message);
        }
        self.waiting.retain_mut(|job| {
            job.waiter = None;
            job.has_happened
        });
        if self.waiting.len() > MAXIMUM_KEPT {
            tracing::error!("too many leaves wait for the disk: the newest are lost to the log");
            self.waiting.truncate(MAXIMUM_KEPT);
        }
    }

    fn publish(&mut self) {
        self.book.publish();
        self.published = Instant::now();
        self.show();
    }

    /// Shows to others what was published.
    fn show(&self) {
        if self.book.is_published() {
            self.shared.checkpoint.store(Arc::clone(&self.book.shown().note));
            self.shared.newest.send_modify(|newest| newest.signed = self.book.newest());
        }
    }
}
