//! Evaluation keys at a gateway: `/v2/keys`. Putting, reading and deleting a key by its id changes nothing when it is
//! done twice, so these requests, unlike those for inference, are sent again where a connection broke.

use hyper::{
    Method, StatusCode,
    body::Bytes,
    header::{CONTENT_TYPE, HeaderName},
};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tiresias_evidence::receipt::MAXIMUM_RECEIPT_BYTES;
use tiresias_keys::KeyId;

use super::{Connection, Payload, Reply, patience::Backoff};
use crate::{Error, error::Refusal};

/// What is known of one key, and a list of them.
const MAXIMUM_ENTRY_BYTES: usize = (64 << 10) + MAXIMUM_RECEIPT_BYTES;
const MAXIMUM_LIST_BYTES: usize = 4 << 20;

/// What a gateway says of one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// Its id.
    #[serde(alias = "key_id")]
    pub id: String,
    /// Parameters, bytes, state, times, and whatever else the gateway says.
    #[serde(flatten)]
    pub facts: Map<String, Value>,
}

/// What a gateway answers where a key came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Whether it changed what the gateway has.
    pub is_new: bool,
    /// The receipt's text, unread.
    pub receipt: Option<String>,
}

/// The receipt in an answer, where the gateway gives one.
pub(super) fn receipt(reply: &Reply) -> Option<String> {
    #[derive(Deserialize)]
    struct Form {
        receipt: Option<String>,
    }
    serde_json::from_slice::<Form>(&reply.body).ok()?.receipt
}

/// What a list of keys may look like.
#[derive(Deserialize)]
#[serde(untagged)]
enum KeyList {
    Bare(Vec<KeyEntry>),
    Named { keys: Vec<KeyEntry> },
}

impl Connection {
    /// Whether the gateway has this evaluation key of the clinic.
    pub async fn has_key(&mut self, id: &KeyId) -> Result<bool, Error> {
        let found = self.repeat(&Method::GET, &path(id), &[], Bytes::new().into(), MAXIMUM_ENTRY_BYTES).await;
        Ok(where_known(found)?.is_some())
    }

    /// Uploads an evaluation key's frame, counted by `progress`.
    pub async fn put_key(&mut self, id: &KeyId, frame: Bytes, progress: &ProgressBar) -> Result<Done, Error> {
        let headers = [(CONTENT_TYPE, "application/octet-stream".to_owned())];
        let payload = Payload::upload(frame, progress.clone());
        let reply = self.repeat(&Method::PUT, &path(id), &headers, payload, MAXIMUM_ENTRY_BYTES).await?;
        Ok(Done { is_new: reply.status != StatusCode::OK, receipt: receipt(&reply) })
    }

    /// Has the gateway delete a key, which it may not have.
    pub async fn delete_key(&mut self, id: &KeyId) -> Result<Done, Error> {
        let deleted =
            self.repeat(&Method::DELETE, &path(id), &[], Bytes::new().into(), MAXIMUM_ENTRY_BYTES).await;
        let deleted = where_known(deleted)?;
        Ok(Done { is_new: deleted.is_some(), receipt: deleted.as_ref().and_then(receipt) })
    }

    /// All evaluation keys that the gateway has of this clinic.
    pub async fn list_keys(&mut self) -> Result<Vec<KeyEntry>, Error> {
        let reply =
            self.repeat(&Method::GET, "/v2/keys", &[], Bytes::new().into(), MAXIMUM_LIST_BYTES).await?;
        match serde_json::from_slice(&reply.body) {
            Ok(KeyList::Bare(keys) | KeyList::Named { keys }) => Ok(keys),
            Err(_) => Err(Error::Protocol("the list of keys is none")),
        }
    }

    /// Sends a request that may safely arrive twice, again where the connection broke or the gateway refuses for now.
    pub(super) async fn repeat(
        &mut self,
        method: &Method,
        path: &str,
        headers: &[(HeaderName, String)],
        payload: Payload,
        limit: usize,
    ) -> Result<Reply, Error> {
        let (mut patience, mut backoff) = (self.patience(), Backoff::new());
        let mut left = self.retries;
        loop {
            if let Some(progress) = payload.progress() {
                progress.set_position(0);
            }
            match self.request(method, path, headers, payload.clone(), limit).await {
                Err(Error::Transport(_)) if left > 0 => {
                    left -= 1;
                    self.stop.or(tokio::time::sleep(backoff.pause())).await?;
                }
                Err(error) => patience.after(error, &self.stop).await?,
                answered => return answered,
            }
        }
    }
}

fn path(id: &KeyId) -> String {
    format!("/v2/keys/{id}")
}

/// The answer of a gateway that has the key; a refusal where it has not.
fn where_known(reply: Result<Reply, Error>) -> Result<Option<Reply>, Error> {
    match reply {
        Ok(reply) => Ok(Some(reply)),
        Err(Error::Gateway(refusal)) if is_unknown(&refusal) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_unknown(refusal: &Refusal) -> bool {
    refusal.is_missing_key() || (refusal.status == 404 && refusal.code == "key_unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_bare_or_named_and_may_say_more_than_we_know() {
        for text in [
            r#"[{"id":"aa","state":"ready","new":{"a":1}},{"id":"bb"}]"#,
            r#"{"next":null,"keys":[{"key_id":"aa","state":"ready","new":{"a":1}},{"id":"bb","bytes":null}]}"#,
        ] {
            let (KeyList::Bare(keys) | KeyList::Named { keys }) = serde_json::from_str(text).unwrap();
            assert_eq!(keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["aa", "bb"]);
            assert_eq!(
                serde_json::to_string(&keys[0]).unwrap(),
                r#"{"id":"aa","state":"ready","new":{"a":1}}"#
            );
        }
        for text in ["[]", r#"{"keys":[]}"#] {
            let (KeyList::Bare(keys) | KeyList::Named { keys }) = serde_json::from_str(text).unwrap();
            assert!(keys.is_empty());
        }
        for text in ["{}", "3", r#"[{"state":"ready"}]"#] {
            assert!(serde_json::from_str::<KeyList>(text).is_err(), "{text}");
        }
    }
}
