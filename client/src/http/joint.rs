//! The board of joint sums at a gateway: `/v2/joint`. Putting the same message twice changes nothing.

use hyper::{
    Method,
    body::Bytes,
    header::{CONTENT_TYPE, HeaderName},
};
use serde::Deserialize;
use tiresias_evidence::{
    Hash,
    joint::{Place, Step},
    receipt::MAXIMUM_RECEIPT_BYTES,
};

use super::{Connection, keys::receipt};
use crate::Error;

const MAXIMUM_ANSWER_BYTES: usize = (4 << 10) + 2 * MAXIMUM_RECEIPT_BYTES;

const OCTETS: (HeaderName, &str) = (CONTENT_TYPE, "application/octet-stream");

impl Connection {
    /// Leaves a message at its place. Gives the receipt's text, where the gateway keeps a log.
    pub(crate) async fn put_joint(
        &mut self,
        place: &Place,
        clinic: usize,
        message: Vec<u8>,
    ) -> Result<Option<String>, Error> {
        let path = format!("{}/{}/{clinic}", round_path(place), place.step.name());
        let headers = [(OCTETS.0, OCTETS.1.to_owned())];
        let payload = Bytes::from(message).into();
        let reply = self.repeat(&Method::PUT, &path, &headers, payload, MAXIMUM_ANSWER_BYTES).await?;
        Ok(receipt(&reply))
    }

    /// A clinic's message at a place; `None` where it has left none yet.
    pub(crate) async fn joint_message(
        &mut self,
        place: &Place,
        clinic: usize,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, Error> {
        self.joint_file(&format!("{}/{}/{clinic}", round_path(place), place.step.name()), limit).await
    }

    /// The sum that the gateway made of a round's submissions, behind the hashes of its list.
    pub(crate) async fn joint_sum(&mut self, place: &Place, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        self.joint_file(&format!("{}/sum", round_path(&Place { step: Step::Submit, ..*place })), limit).await
    }

    /// The newest round of a ceremony that the gateway says it has messages of; 0 where there is none.
    pub(crate) async fn joint_newest(&mut self, roster: &Hash, ceremony: u32) -> Result<u32, Error> {
        #[derive(Deserialize)]
        struct Form {
            newest: u32,
        }
        let path = format!("/v2/joint/{}/{ceremony}", hex::encode(roster));
        let found = self.joint_file(&path, MAXIMUM_ANSWER_BYTES).await?;
        let form = found.and_then(|bytes| serde_json::from_slice::<Form>(&bytes).ok());
        form.map(|form| form.newest).ok_or(Error::Protocol("what is newest is not said"))
    }

    async fn joint_file(&mut self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        let (method, nothing) = (Method::GET, Bytes::new());
        match self.repeat(&method, path, &[], nothing.into(), limit).await {
            Ok(reply) => Ok(Some(reply.body)),
            Err(Error::Gateway(refusal)) if refusal.code == "joint_unknown" => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn round_path(place: &Place) -> String {
    format!("/v2/joint/{}/{}/{}", hex::encode(place.roster), place.ceremony, place.round)
}
