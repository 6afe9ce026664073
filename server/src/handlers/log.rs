//! The transparency log's public files, as tlog-tiles has them.

use std::sync::Arc;

use hyper::{
    StatusCode,
    header::{CACHE_CONTROL, HeaderValue},
};

use super::{Answer, respond};
use crate::{error::ApiError, gateway::Gateway};

impl Gateway {
    /// The newest checkpoint whose tiles are there.
    pub(crate) fn checkpoint(&self) -> Answer {
        let log = self.log.as_ref().ok_or(ApiError::UnknownTile)?;
        let note = log.checkpoint().as_bytes().to_vec();
        let mut response = respond(StatusCode::OK, "text/plain; charset=utf-8", note.into());
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Ok(response)
    }

    /// A tile of hashes or of entries. What it holds never changes.
    pub(crate) async fn tile(&self, path: String) -> Answer {
        let log = Arc::clone(self.log.as_ref().ok_or(ApiError::UnknownTile)?);
        let read = tokio::task::spawn_blocking(move || log.tile(&path)).await;
        let bytes = read.map_err(|_| ApiError::Internal)?.ok_or(ApiError::UnknownTile)?;
        let mut response = respond(StatusCode::OK, "application/octet-stream", bytes.into());
        let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
        response.headers_mut().insert(CACHE_CONTROL, forever);
        Ok(response)
    }
}
