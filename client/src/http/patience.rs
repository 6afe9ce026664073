//! How long to wait before the next attempt, and when to give up.

use std::time::Duration;

use crate::{Error, stop::Stop};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// Pauses that double, each cut by up to half at random, so that many clients do not come back at once.
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST_PAUSE }
    }

    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (2 * pause).min(LONGEST_PAUSE);
        pause.mul_f64(0.5 + jitter() / 2.0)
    }
}

/// Uniform between 0 and 1.
fn jitter() -> f64 {
    // Without entropy all pauses are as long as can be; a key could not be made then anyway.
    getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX))
}

/// What is left of the attempts and the waits for one request that the gateway refuses for now.
pub(crate) struct Patience {
    attempts: u32,
    time: Duration,
    backoff: Backoff,
}

impl Patience {
    /// This many more attempts, and waits of this length together.
    pub(super) fn new(attempts: u32, time: Duration) -> Self {
        Self { attempts, time, backoff: Backoff::new() }
    }

    /// Waits until the request may be made again. Hands the error back where it is final: where it is no refusal for
    /// now, where the attempts are used up, or where the gateway wants more time than is left.
    pub(crate) async fn after(&mut self, error: Error, stop: &Stop) -> Result<(), Error> {
        let Error::Gateway(refusal) = &error else { return Err(error) };
        if !refusal.is_passing() || self.attempts == 0 {
            return Err(error);
        }
        // As long as the gateway asks, and no less than a growing pause.
        let pause = refusal.retry_after.unwrap_or_default().max(self.backoff.pause());
        if pause > self.time {
            return Err(error);
        }
        self.attempts -= 1;
        self.time -= pause;
        stop.or(tokio::time::sleep(pause)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Refusal;

    #[test]
    fn pauses_grow_to_a_bound() {
        let mut backoff = Backoff::new();
        for expected in [250, 500, 1000, 2000, 4000, 8000, 8000] {
            let pause = backoff.pause().as_millis();
            assert!((expected / 2..=expected).contains(&pause), "{pause} of {expected}");
        }
    }

    fn refusal(status: u16, retryable: bool, retry_after: u64) -> Error {
        let retry_after = Some(Duration::from_secs(retry_after));
        Error::Gateway(Box::new(Refusal { status, retryable, retry_after, ..Refusal::default() }))
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_gateway_refuses_for_now_is_asked_again_within_bounds() {
        let stop = Stop::never();
        let mut patience = Patience::new(2, Duration::from_secs(60));
        patience.after(refusal(429, true, 1), &stop).await.unwrap();
        patience.after(refusal(503, true, 5), &stop).await.unwrap();
        assert!(patience.after(refusal(429, true, 1), &stop).await.is_err(), "the attempts are used up");

        let mut patience = Patience::new(9, Duration::from_secs(10));
        patience.after(refusal(429, true, 6), &stop).await.unwrap();
        assert!(patience.after(refusal(429, true, 6), &stop).await.is_err(), "the time is used up");
        for (status, retryable) in [(429, false), (503, false), (500, true), (422, true)] {
            assert!(patience.after(refusal(status, retryable, 0), &stop).await.is_err(), "{status}");
        }
        assert!(
            patience.after(Error::Transport("broken"), &stop).await.is_err(),
            "it may have been evaluated"
        );
    }
}
