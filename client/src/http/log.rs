//! A transparency log's public files at a gateway, or at any server that serves them. What is read has a size limit, and each
//! request has the client's time limit.

use hyper::StatusCode;

use super::Connection;
use crate::Error;

impl Connection {
    /// A file of at most `limit` bytes. `None` where there is no such file.
    pub(crate) async fn log_file(&mut self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        match self.get(path, None, limit).await {
            Ok(reply) => Ok(Some(reply.body)),
            Err(Error::Gateway(refusal)) if refusal.status == StatusCode::NOT_FOUND.as_u16() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
