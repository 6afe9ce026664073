//! Evaluation keys: upload, list, delete.

use std::{sync::Arc, time::Duration};

use http_body_util::BodyExt as _;
use hyper::{
    Request, StatusCode,
    body::{Bytes, Incoming},
    header,
};
use serde_json::{Value, json};
use tiresias_evidence::Event;
use tiresias_keys::{BootstrapParameters, EvaluationKey, KeyId};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{Answer, answer, respond, respond_json};
use crate::{
    error::ApiError,
    gateway::Gateway,
    keys::{StoredKey, Upload},
    tenants::Tenant,
};

/// A whole key may take this long for each MiB, besides the time that the bytes of any body have.
const PER_MIB: Duration = Duration::from_secs(16);

/// Chunks between the connection and the disk.
const CHUNKS: usize = 4;

impl Gateway {
    /// The keys of this tenant.
    pub(crate) fn list_keys(&self, tenant: &Tenant) -> Answer {
        let keys = self.keys.list(&tenant.id);
        answer(&json!({ "keys": keys.iter().map(describe).collect::<Vec<_>>() }))
    }

    pub(crate) fn key(&self, tenant: &Tenant, id: &str) -> Answer {
        let key = self.keys.find(&tenant.id, &parse(id)?).ok_or(ApiError::KeyUnknown)?;
        answer(&describe(&key))
    }

    pub(crate) async fn delete_key(self: &Arc<Self>, tenant: &Tenant, id: &str) -> Answer {
        let (gateway, tenant, id) = (Arc::clone(self), tenant.id.clone(), parse(id)?);
        let removed = tokio::task::spawn_blocking(move || gateway.keys.remove(&tenant, &id)).await;
        removed.map_err(|_| ApiError::Internal)??;
        match self.key_receipt(Event::KeyRemoved, &id).await? {
            Some(receipt) => answer(&json!({ "id": id.to_string(), "receipt": receipt })),
            None => Ok(respond(StatusCode::NO_CONTENT, "application/json", Bytes::new())),
        }
    }

    /// Logs what became of a key, where a log is kept. It has happened, so where the log cannot be written now, it is later.
    async fn key_receipt(&self, event: Event, id: &KeyId) -> Result<Option<String>, ApiError> {
        let Some(log) = &self.log else { return Ok(None) };
        Ok(Some(log.append_done(log.facts().key(event, id)).await?.to_text()))
    }

    /// What an upload is answered: each has a receipt, also that of a key that was there.
    async fn uploaded(&self, status: StatusCode, key: &StoredKey) -> Answer {
        let mut form = describe(key);
        if let Some(receipt) = self.key_receipt(Event::KeyUploaded, &key.id).await? {
            form["receipt"] = receipt.into();
        }
        Ok(respond_json(status, &form))
    }

    /// Takes a key in. One that is there is left as it is, and its body is not read.
    pub(crate) async fn put_key(
        self: &Arc<Self>,
        tenant: &Tenant,
        id: &str,
        request: Request<Incoming>,
    ) -> Answer {
        let id = parse(id)?;
        if request.headers().contains_key(header::CONTENT_ENCODING) {
            return Err(ApiError::UnsupportedEncoding);
        }
        let length = declared(&request)?;
        if let Some(key) = self.keys.find(&tenant.id, &id) {
            return self.uploaded(StatusCode::OK, &key).await;
        }
        let turn = self.keys.turn(&tenant.id, length)?;
        let upload = self.keys.upload(id, length)?;
        let patience = self.settings.load().limits.body_timeout;
        let upload = receive(request.into_body(), upload, patience).await?;
        // A key that is all here is kept, whether or not the client waits for the word on it.
        let gateway = Arc::clone(self);
        let finished = tokio::task::spawn_blocking(move || gateway.keys.finish(&turn, upload));
        let key = finished.await.map_err(|_| ApiError::Internal)??;
        tracing::info!(parameters = key.parameters.name(), "an evaluation key was stored");
        self.uploaded(StatusCode::CREATED, &key).await
    }
}

fn describe(key: &StoredKey) -> Value {
    json!({
        "id": key.id.to_string(),
        "parameters": key.parameters.name(),
        "bytes": EvaluationKey::encoded_len(key.parameters),
        "state": "ready",
        "uploaded_at": StoredKey::seconds(key.uploaded),
        "expires_at": StoredKey::seconds(key.expires),
    })
}

fn parse(id: &str) -> Result<KeyId, ApiError> {
    KeyId::from_hex(id).map_err(ApiError::MalformedKey)
}

/// The declared length, which must be that of some key: so nothing else is ever read.
fn declared(request: &Request<Incoming>) -> Result<usize, ApiError> {
    let length = request.headers().get(header::CONTENT_LENGTH).ok_or(ApiError::LengthRequired)?;
    let lengths = BootstrapParameters::ALL.map(EvaluationKey::encoded_len);
    let limit = lengths.into_iter().max().unwrap_or_default();
    // A number that no word holds is above the limit too.
    let length = length.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    if length > limit {
        return Err(ApiError::KeyTooLarge { limit });
    }
    if !lengths.contains(&length) {
        return Err(ApiError::MalformedRequest("no parameter set has evaluation keys of this length"));
    }
    Ok(length)
}

/// Reads a body into an upload. The disk and SHA-256 have a thread of their own. The sender may pause for `patience`, and
/// in all take so long and [`PER_MIB`] for what came: a trickle ends early.
async fn receive(mut body: Incoming, mut upload: Upload, patience: Duration) -> Result<Upload, ApiError> {
    let (chunks, mut received) = mpsc::channel::<Bytes>(CHUNKS);
    let writer = tokio::task::spawn_blocking(move || {
        while let Some(chunk) = received.blocking_recv() {
            upload.take(&chunk)?;
        }
        Ok(upload)
    });
    let reader = async {
        let (started, mut last, mut bytes) = (Instant::now(), Instant::now(), 0_usize);
        loop {
            let for_bytes = PER_MIB.mul_f64(bytes as f64 / f64::from(1 << 20));
            let deadline = (last + patience).min(started + patience + for_bytes);
            let frame = tokio::select! {
                frame = timeout_at(deadline, body.frame()) => frame,
                () = chunks.closed() => return Ok(()), // the writer says why
            };
            match frame {
                Err(_) => return Err(ApiError::BodyTimeout),
                Ok(None) => return Ok(()),
                Ok(Some(Err(_))) => return Err(ApiError::IncompleteBody),
                Ok(Some(Ok(frame))) => {
                    let Ok(chunk) = frame.into_data() else { continue };
                    if chunk.is_empty() {
                        continue;
                    }
                    (last, bytes) = (Instant::now(), bytes + chunk.len());
                    if chunks.send(chunk).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    };
    let read = reader.await;
    drop(chunks);
    let written = writer.await.map_err(|_| ApiError::Internal)?;
    read.and(written)
}
