//! The compute pool: at most `workers` evaluations at once, at most `queue` more waiting, and a clear refusal beyond
//! that, so that load never turns into memory.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::error::ApiError;

pub(crate) struct Compute {
    capacity: usize,
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl Compute {
    pub(crate) fn new(workers: usize, queue: usize) -> Self {
        Self {
            capacity: workers + queue,
            admitted: Arc::new(Semaphore::new(workers + queue)),
            running: Arc::new(Semaphore::new(workers)),
        }
    }

    /// Runs `job` on a thread of the pool, in order of arrival. [`ApiError::QueueFull`] where all places are taken;
    /// [`ApiError::Internal`] where the job panicked, which takes no one else down.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| ApiError::QueueFull)?;
        let worker = Arc::clone(&self.running).acquire_owned().await.map_err(|_| ApiError::Internal)?;
        // The permits travel with the job: a caller that goes away does not free a thread that still works.
        let result = tokio::task::spawn_blocking(move || {
            let _held = (place, worker);
            job()
        });
        result.await.map_err(|_| ApiError::Internal)
    }

    /// Requests admitted and not yet answered.
    pub(crate) fn pending(&self) -> usize {
        self.capacity.saturating_sub(self.admitted.available_permits())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_and_recovers_even_from_a_panic() {
        let compute = Arc::new(Compute::new(1, 1));
        let (release, wait) = mpsc::channel::<()>();
        let first = tokio::spawn({
            let compute = Arc::clone(&compute);
            async move { compute.run(move || wait.recv().is_ok()).await }
        });
        let second = tokio::spawn({
            let compute = Arc::clone(&compute);
            async move { compute.run(|| std::panic::resume_unwind(Box::new(()))).await }
        });
        while compute.pending() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(compute.run(|| ()).await, Err(ApiError::QueueFull));
        release.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(true));
        assert_eq!(second.await.unwrap(), Err::<(), _>(ApiError::Internal));
        assert_eq!(compute.run(|| 7).await, Ok(7));
    }
}
