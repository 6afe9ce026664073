//! One request and its answer on an open connection, and whether a failure came before the first byte was written.

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;

use super::{is_success, payload::Payload, socket::Socket, tls};
use crate::Error;

/// A body that says what went wrong is at most this long.
const MAXIMUM_REFUSAL_BYTES: usize = 16 << 10;

/// An answer.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
pub(super) enum Broken {
    /// No byte of the request was written: it may be sent on another connection.
    Unsent(Option<String>),
    /// The gateway may have read the request: it is never sent again.
    Sent(Option<String>),
    /// The answer is longer than it may be.
    TooLong,
}

/// An open HTTP/1.1 connection.
pub(super) struct Wire {
    sender: SendRequest<Payload>,
    task: JoinHandle<hyper::Result<()>>,
}

impl Wire {
    pub(super) async fn over(stream: TlsStream<Socket>) -> Result<Self, Error> {
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|_| Error::Transport("the connection broke"))?;
        Ok(Self { sender, task: tokio::spawn(connection) })
    }

    /// Sends a request and reads the answer, of which a good one has a body of at most `limit` bytes.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Payload>,
        limit: usize,
    ) -> Result<Reply, Broken> {
        // Lets the connection's task see that the gateway has closed it in the meantime.
        tokio::task::yield_now().await;
        if self.sender.ready().await.is_err() {
            return Err(Broken::Unsent(self.objection().await));
        }
        match self.sender.try_send_request(request).await {
            Ok(response) => read(response, limit).await,
            // hyper hands the request back only where it has not begun to write it.
            Err(mut failed) => {
                let unsent = failed.take_message().is_some();
                let objection = tls::objection(&failed.into_error());
                Err(if unsent { Broken::Unsent(objection) } else { Broken::Sent(objection) })
            }
        }
    }

    /// Closes the connection, whatever it is still writing.
    pub(super) fn abandon(self) {
        self.task.abort();
    }

    /// What TLS objected to, where that is why the connection ended.
    async fn objection(&mut self) -> Option<String> {
        match (&mut self.task).await {
            Ok(Err(error)) => tls::objection(&error),
            _ => None,
        }
    }
}

async fn read(response: Response<Incoming>, limit: usize) -> Result<Reply, Broken> {
    let (head, body) = response.into_parts();
    let good = is_success(head.status);
    let collected = Limited::new(body, if good { limit } else { MAXIMUM_REFUSAL_BYTES }).collect().await;
    let body = match collected {
        Ok(collected) => collected.to_bytes().into(),
        // The status says enough.
        Err(_) if !good => Vec::new(),
        Err(error) if error.is::<LengthLimitError>() => return Err(Broken::TooLong),
        Err(_) => return Err(Broken::Sent(None)),
    };
    Ok(Reply { status: head.status, headers: head.headers, body })
}
