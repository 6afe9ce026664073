//! The body of a request. That of an upload is handed over in portions, so that a progress bar and a time limit can
//! follow it.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use indicatif::ProgressBar;
use tokio::time::{Instant, error::Elapsed};

/// Bytes of one portion.
const PORTION: usize = 64 << 10;

/// An upload may take this long for each byte, 16 seconds for a MiB: a gateway waits no longer either.
const PER_BYTE: Duration = Duration::from_nanos((16_000_000_000 >> 20) + 1);

/// Bytes in memory and, for an upload, the bar that counts those on their way. A clone begins at the first byte again.
#[derive(Clone)]
pub(super) struct Payload {
    rest: Bytes,
    progress: Option<ProgressBar>,
}

impl Payload {
    pub(super) fn upload(bytes: Bytes, progress: ProgressBar) -> Self {
        Self { rest: bytes, progress: Some(progress) }
    }

    /// The output of the future that sends this payload and reads the answer. An upload may take as long as its bytes
    /// keep flowing, and not too slowly: `limit` then bounds how long none does, and what all take besides the time that
    /// their number allows. Any other exchange takes at most `limit` as a whole.
    pub(super) async fn within<F: Future>(
        limit: Duration,
        progress: Option<ProgressBar>,
        exchange: F,
    ) -> Result<F::Output, Elapsed> {
        let mut exchange = pin!(exchange);
        let started = Instant::now();
        loop {
            let before = progress.as_ref().map_or(0, ProgressBar::position);
            let outcome = tokio::time::timeout(limit, &mut exchange).await;
            let sent = progress.as_ref().map_or(0, ProgressBar::position);
            let allowed = limit + PER_BYTE.saturating_mul(sent.try_into().unwrap_or(u32::MAX));
            if outcome.is_ok() || sent == before || started.elapsed() > allowed {
                return outcome;
            }
        }
    }

    pub(super) fn progress(&self) -> Option<ProgressBar> {
        self.progress.clone()
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self { rest: bytes, progress: None }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let whole = self.rest.len();
        let portion = match &self.progress {
            Some(progress) => {
                let length = whole.min(PORTION);
                progress.inc(length as u64);
                length
            }
            None => whole,
        };
        let portion = self.rest.split_to(portion);
        Poll::Ready(Some(Ok(Frame::data(portion))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_upload_is_given_up_where_no_byte_flows_and_all_else_after_its_time() {
        let limit = Duration::from_secs(10);
        let bar = ProgressBar::hidden();
        let flowing = async {
            for _ in 0..9 {
                tokio::time::sleep(Duration::from_secs(6)).await;
                bar.inc(1 << 20);
            }
        };
        Payload::within(limit, Some(bar.clone()), flowing).await.unwrap();
        let bar = ProgressBar::hidden();
        let trickling = async {
            loop {
                tokio::time::sleep(Duration::from_secs(6)).await;
                bar.inc(1);
            }
        };
        let given_up = Payload::within(limit, Some(bar.clone()), trickling);
        let given_up: Result<(), _> = tokio::time::timeout(Duration::from_secs(60), given_up).await.unwrap();
        assert!(given_up.is_err());
        let slow = || tokio::time::sleep(Duration::from_secs(21));
        assert!(Payload::within(limit, Some(bar), slow()).await.is_err());
        assert!(Payload::within(limit, None, slow()).await.is_err());
    }

    #[tokio::test]
    async fn all_bytes_are_handed_over_and_counted_and_a_clone_begins_again() {
        use http_body_util::BodyExt as _;
        let bytes: Vec<u8> = (0..PORTION + 5).map(|i| i as u8).collect();
        let bar = ProgressBar::hidden();
        let payload = Payload::upload(bytes.clone().into(), bar.clone());
        for count in 1..3 {
            assert_eq!(payload.size_hint().exact(), Some(bytes.len() as u64));
            assert!(payload.clone().collect().await.unwrap().to_bytes() == bytes);
            assert_eq!(bar.position(), count * bytes.len() as u64);
        }
    }
}
