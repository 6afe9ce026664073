//! Turns to compute: at most `workers` evaluations at once, at most `queue` requests waiting, and a clear refusal
//! beyond that, so that load never turns into memory. Waiting places are shared fairly between tenants.
//!
//! The order is that of start-time fair queueing. A tenant's clock advances by what it is served, in vectors over
//! its weight; when a worker frees, the waiting tenant whose clock is behind goes next. A tenant that was idle sets
//! its clock to that of the one served last: it gets no credit for its past.
//!
//! When all places are taken, a tenant with fewer of them takes the newest one of the tenant with the most, as long
//! as that does not make the newcomer the greediest itself; between equals the one served less has it.
//!
//! A worker is a permit. Brief work is done by the async thread that holds one, because a hop to another thread and
//! back would take half as long as the evaluation of one small head.

use std::{
    collections::{HashMap, VecDeque},
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::{error::ApiError, tenants::TenantId};

/// A vector on the clock of a tenant of weight 1; small weights divide it.
const VECTOR: u64 = 720_720;
/// With more tenants than this on the clock, idle ones are forgotten.
const LANES: usize = 1024;

#[derive(Clone)]
pub(crate) struct Compute(Arc<Shared>);

/// What one request asks for.
pub(crate) struct Ask<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) weight: u32,
    /// In vectors of a small linear head.
    pub(crate) cost: usize,
    /// Whether the job takes about 100 us and does not wait for the disk.
    pub(crate) is_brief: bool,
}

struct Shared {
    workers: usize,
    state: Mutex<State>,
}

struct State {
    queue: usize,
    running: usize,
    waiting: usize,
    /// The clock of the tenant served last, before it was served.
    now: u64,
    lanes: HashMap<TenantId, Lane>,
    next_entry: u64,
}

/// One tenant.
#[derive(Default)]
struct Lane {
    clock: u64,
    waiting: VecDeque<Entry>,
}

struct Entry {
    number: u64,
    cost: u64,
    start: oneshot::Sender<Worker>,
}

/// A thread's worth of the pool, given back when dropped.
struct Worker(Arc<Shared>);

impl Drop for Worker {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running -= 1;
        let next = state.next();
        drop(state);
        self.0.start(next);
    }
}

/// A waiting caller. One that goes away leaves the queue at once.
struct Place<'a> {
    shared: &'a Shared,
    tenant: &'a TenantId,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        let Some(lane) = state.lanes.get_mut(self.tenant) else { return };
        let before = lane.waiting.len();
        lane.waiting.retain(|entry| entry.number != self.number);
        state.waiting -= before - lane.waiting.len();
    }
}

impl Compute {
    pub(crate) fn new(workers: usize, queue: usize) -> Self {
        let state = State { queue, running: 0, waiting: 0, now: 0, lanes: HashMap::new(), next_entry: 0 };
        Self(Arc::new(Shared { workers, state: Mutex::new(state) }))
    }

    /// Changes the number of waiting places; those that are taken stay.
    pub(crate) fn set_queue(&self, queue: usize) {
        self.0.state().queue = queue;
    }

    /// Runs `job` in its tenant's turn: a brief one on this thread, others on a thread that may block. [`ApiError::QueueFull`] where there is no place or
    /// another tenant took it; [`ApiError::Internal`] where the job panicked, which takes no one else down.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        ask: Ask<'_>,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let worker = self.worker(&ask).await?;
        if ask.is_brief {
            // What a panicking job leaves half done is its own, and is dropped with it.
            let result = panic::catch_unwind(AssertUnwindSafe(job));
            drop(worker);
            return result.map_err(|_| ApiError::Internal);
        }
        // The worker travels with the job: a caller that goes away does not free a thread that still works.
        let result = tokio::task::spawn_blocking(move || {
            let _worker = worker;
            job()
        });
        result.await.map_err(|_| ApiError::Internal)
    }

    async fn worker(&self, ask: &Ask<'_>) -> Result<Worker, ApiError> {
        let (start, started) = oneshot::channel();
        let cost = VECTOR.saturating_mul(ask.cost as u64) / u64::from(ask.weight.max(1));
        let number = {
            let mut state = self.0.state();
            if state.running < self.0.workers {
                state.serve(ask.tenant, cost);
                return Ok(Worker(Arc::clone(&self.0)));
            }
            state.wait(ask.tenant, cost, start)?
        };
        let _place = Place { shared: &self.0, tenant: ask.tenant, number };
        // The other end goes when another tenant takes the place.
        started.await.map_err(|_| ApiError::QueueFull)
    }

    /// Threads for each request that runs now, where it can use several.
    pub(crate) fn share(&self) -> usize {
        self.0.workers.div_ceil(self.0.state().running.max(1))
    }

    /// Requests admitted and not yet answered.
    pub(crate) fn pending(&self) -> usize {
        let state = self.0.state();
        state.running + state.waiting
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a worker over, without the lock: a caller that has just gone away gives it back.
    fn start(self: &Arc<Self>, entry: Option<Entry>) {
        if let Some(entry) = entry {
            let _ = entry.start.send(Worker(Arc::clone(self)));
        }
    }
}

impl State {
    /// Takes a worker for a tenant and puts the cost on its clock.
    fn serve(&mut self, tenant: &TenantId, cost: u64) {
        if self.running == 0 && self.waiting == 0 {
            // No one was kept waiting by what was served before.
            self.lanes.clear();
            self.now = 0;
        }
        self.running += 1;
        let lane = self.lane(tenant);
        let clock = lane.clock;
        lane.clock = clock.saturating_add(cost);
        self.now = clock;
    }

    /// The lane of a tenant. An idle one has its clock set to the present.
    fn lane(&mut self, tenant: &TenantId) -> &mut Lane {
        if self.lanes.len() >= LANES && !self.lanes.contains_key(tenant) {
            self.lanes.retain(|_, lane| !lane.waiting.is_empty());
        }
        let lane = self.lanes.entry(tenant.clone()).or_default();
        if lane.waiting.is_empty() {
            lane.clock = lane.clock.max(self.now);
        }
        lane
    }

    /// Gives a tenant a waiting place and returns its number.
    fn wait(
        &mut self,
        tenant: &TenantId,
        cost: u64,
        start: oneshot::Sender<Worker>,
    ) -> Result<u64, ApiError> {
        if self.waiting >= self.queue {
            self.displace_for(tenant)?;
        }
        self.next_entry += 1;
        self.waiting += 1;
        let number = self.next_entry;
        self.lane(tenant).waiting.push_back(Entry { number, cost, start });
        Ok(number)
    }

    /// Frees the newest place of the greediest tenant, where `tenant` has a better claim to it.
    fn displace_for(&mut self, tenant: &TenantId) -> Result<(), ApiError> {
        let lane = self.lane(tenant);
        let claim = (lane.waiting.len() + 1, lane.clock);
        let greediest = self
            .lanes
            .iter_mut()
            .filter(|(name, lane)| *name != tenant && !lane.waiting.is_empty())
            .max_by_key(|(_, lane)| (lane.waiting.len(), lane.clock));
        match greediest {
            Some((_, greediest)) if claim < (greediest.waiting.len(), greediest.clock) => {
                greediest.waiting.pop_back();
                self.waiting -= 1;
                Ok(())
            }
            _ => Err(ApiError::QueueFull),
        }
    }

    /// The entry that a free worker takes next.
    fn next(&mut self) -> Option<Entry> {
        let waiting = self.lanes.iter().filter(|(_, lane)| !lane.waiting.is_empty());
        // Of equal clocks the one that waits longest goes first.
        let (tenant, _) =
            waiting.min_by_key(|(_, lane)| (lane.clock, lane.waiting.front().map(|entry| entry.number)))?;
        let tenant = tenant.clone();
        let entry = self.lanes.get_mut(&tenant)?.waiting.pop_front()?;
        self.waiting -= 1;
        self.running += 1;
        if let Some(lane) = self.lanes.get_mut(&tenant) {
            self.now = lane.clock;
            lane.clock = lane.clock.saturating_add(entry.cost);
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests;
