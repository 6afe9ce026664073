//! Reads a body: never more than the model's limit, never longer than the time allowed, and never more bodies at once
//! than there is memory set aside for.

use std::{sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{Request, body::Incoming, header};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;

/// Memory for bodies that are read, decoded or evaluated, in KiB.
pub(crate) struct BodyMemory(Arc<Semaphore>);

impl BodyMemory {
    pub(crate) fn new(mib: usize) -> Self {
        Self(Arc::new(Semaphore::new(mib << 10)))
    }

    /// Takes room for a body of `bytes` until the permit is dropped; [`ApiError::QueueFull`] where there is none.
    pub(crate) fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let kib = u32::try_from(bytes.div_ceil(1024)).map_err(|_| ApiError::QueueFull)?;
        Arc::clone(&self.0).try_acquire_many_owned(kib).map_err(|_| ApiError::QueueFull)
    }
}

/// The declared length of a body; without one, as long as can be.
pub(crate) fn declared(request: &Request<Incoming>) -> usize {
    let length = request.headers().get(header::CONTENT_LENGTH);
    length.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(usize::MAX)
}

/// Reads the whole body of `request`. A declared length over `limit` is refused before a byte is read.
pub(crate) async fn read(
    request: Request<Incoming>,
    limit: usize,
    timeout: Duration,
) -> Result<Vec<u8>, ApiError> {
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(ApiError::UnsupportedEncoding);
    }
    if (limit + 1..usize::MAX).contains(&declared(&request)) {
        return Err(ApiError::TooLarge { limit });
    }
    match tokio::time::timeout(timeout, Limited::new(request.into_body(), limit).collect()).await {
        Err(_) => Err(ApiError::BodyTimeout),
        Ok(Ok(collected)) => Ok(collected.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::TooLarge { limit }),
        Ok(Err(_)) => Err(ApiError::IncompleteBody),
    }
}
