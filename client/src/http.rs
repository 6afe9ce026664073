//! HTTP/1.1 over TLS 1.3 to one gateway, one request at a time.
//!
//! What it never does: it sends no request for inference a second time once a byte of it was written, because the
//! gateway may have evaluated and counted it. Connecting is tried again, a connection that the gateway closed between two
//! requests is opened again, and what may safely arrive twice, an evaluation key ([`keys`]), is sent again.

mod dial;
mod exchange;
mod joint;
pub mod keys;
mod log;
mod patience;
mod payload;
mod proxy;
mod socket;
pub(crate) mod tls;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use hyper::{
    HeaderMap, Method, Request, StatusCode,
    body::Bytes,
    header::{CONTENT_TYPE, ETAG, HOST, HeaderName, IF_NONE_MATCH, RETRY_AFTER},
};
use serde::Deserialize;
use tiresias_circuits::card::MAXIMUM_CARD_BYTES;

use self::{
    dial::Dialer,
    exchange::{Broken, Reply, Wire},
    patience::{Backoff, Patience},
    payload::Payload,
};
use crate::{
    Error, Model,
    approvers::Shown,
    cli::{GatewayArgs, NetworkArgs},
    error::Refusal,
    oip::{self, Answer, Body},
    stop::Stop,
};

const MAXIMUM_METADATA_BYTES: usize = 64 << 10;

/// A note and a model card, as JSON writes them.
const MAXIMUM_APPROVAL_BYTES: usize = 512 << 10;

/// A way to one gateway: a connection that is opened again where need be, and the circuit cards seen on it.
pub struct Connection {
    dialer: Dialer,
    wire: Option<Wire>,
    has_certificate: bool,
    /// From the first byte of a request to the last of its answer.
    timeout: Duration,
    retries: u32,
    stop: Stop,
    /// By path. A card's id is its ETag.
    cards: BTreeMap<String, Arc<Model>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("gateway", &self.dialer.authority()).finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects directly, with one attempt and the default time limits.
    pub async fn open(gateway: &GatewayArgs) -> Result<Self, Error> {
        Self::connect(gateway, None, Stop::never()).await
    }

    /// Connects as the options say, until the user asks to stop.
    pub async fn open_with(gateway: &GatewayArgs, network: &NetworkArgs, stop: Stop) -> Result<Self, Error> {
        Self::connect(gateway, Some(network), stop).await
    }

    async fn connect(
        gateway: &GatewayArgs,
        network: Option<&NetworkArgs>,
        stop: Stop,
    ) -> Result<Self, Error> {
        let dialer = Dialer::new(gateway, network)?;
        let wire = Wire::over(dialer.dial(&stop).await?).await?;
        Ok(Self {
            dialer,
            wire: Some(wire),
            has_certificate: gateway.cert.is_some(),
            timeout: Duration::from_secs(network.map_or(60, |network| network.timeout)),
            retries: network.map_or(0, |network| network.retries),
            stop,
            cards: BTreeMap::new(),
        })
    }

    /// Fetches and checks the circuit card of a model, the newest version's where none is given. A card that was
    /// fetched before is fetched again only if the gateway has another one now.
    pub async fn fetch_model(&mut self, name: &str, version: Option<u32>) -> Result<Arc<Model>, Error> {
        tiresias_circuits::card::check_name(name)?;
        let path = format!("{}/config", model_path(name, version));
        let known = self.cards.get(&path).cloned();
        let tag = known.as_ref().map(|known| format!("\"{}\"", known.config()));
        let reply = self.get(&path, tag, MAXIMUM_CARD_BYTES).await?;
        if reply.status == StatusCode::NOT_MODIFIED {
            return known.ok_or(Error::Protocol("a card is said to be unchanged that was never sent"));
        }
        let model = Model::from_card(reply.body)?;
        let etag = reply.headers.get(ETAG).and_then(|etag| etag.to_str().ok());
        if etag.is_some_and(|etag| etag.trim_matches('"') != model.config().to_string()) {
            return Err(Error::CardId);
        }
        if model.card().name() != name || version.is_some_and(|version| version != model.card().version()) {
            return Err(Error::Protocol("the card is another model's than the one asked for"));
        }
        let model = Arc::new(model);
        self.cards.insert(path, Arc::clone(&model));
        Ok(model)
    }

    /// Checks that the gateway serves exactly this card.
    pub async fn expect_model(&mut self, model: Model) -> Result<Arc<Model>, Error> {
        let (name, version) = (model.card().name().to_owned(), model.card().version());
        let path = format!("{}/config", model_path(&name, Some(version)));
        let model = Arc::new(model);
        self.cards.insert(path, Arc::clone(&model));
        let served = self.fetch_model(&name, Some(version)).await?;
        if served.config() == model.config() { Ok(model) } else { Err(Error::OtherCard) }
    }

    /// What the gateway shows of the approval of this model's version. `None` where it shows none.
    pub async fn fetch_approval(&mut self, model: &Model) -> Result<Option<Shown>, Error> {
        let path = format!("{}/approval", model_path(model.card().name(), Some(model.card().version())));
        let reply = match self.get(&path, None, MAXIMUM_APPROVAL_BYTES).await {
            Err(Error::Gateway(refusal)) if refusal.code == "no_approval" => return Ok(None),
            reply => reply?,
        };
        let shown = serde_json::from_slice(&reply.body);
        shown.map(Some).map_err(|_| Error::Protocol("an approval is a note and a model card"))
    }

    /// How many vectors the gateway takes in one request for this model, by its metadata.
    pub async fn maximum_batch(&mut self, model: &Model) -> Result<usize, Error> {
        Ok(self.limits(model).await?.maximum_batch.unwrap_or(1).max(1))
    }

    /// How many patients the gateway takes in one block of a cohort; `None` where it takes none.
    pub async fn maximum_cohort(&mut self, model: &Model) -> Result<Option<usize>, Error> {
        Ok(self.limits(model).await?.maximum_cohort.filter(|most| *most > 0))
    }

    async fn limits(&mut self, model: &Model) -> Result<Limits, Error> {
        #[derive(Deserialize)]
        struct Metadata {
            #[serde(default)]
            parameters: Limits,
        }
        let path = model_path(model.card().name(), Some(model.card().version()));
        let reply = self.get(&path, None, MAXIMUM_METADATA_BYTES).await?;
        let metadata: Metadata = serde_json::from_slice(&reply.body)
            .map_err(|_| Error::Protocol("the model's metadata is not what the protocol says"))?;
        Ok(metadata.parameters)
    }

    /// Sends an inference request of `batch` elements and reads the answer.
    pub async fn infer(&mut self, model: &Model, body: Body, batch: usize) -> Result<Answer, Error> {
        let element = model.card().plan().response_shape().encoded_len();
        self.infer_within(model, body, oip::maximum_response(batch, element)).await
    }

    /// Sends an inference request whose answer's body is at most `limit` bytes long.
    pub async fn infer_within(&mut self, model: &Model, body: Body, limit: usize) -> Result<Answer, Error> {
        let card = model.card();
        let path = format!("{}/infer", model_path(card.name(), Some(card.version())));
        let headers = [
            (CONTENT_TYPE, "application/octet-stream".to_owned()),
            (HeaderName::from_static(oip::HEADER_LENGTH), body.header_length.to_string()),
        ];
        let reply =
            self.request(&Method::POST, &path, &headers, Bytes::from(body.bytes).into(), limit).await?;
        let header_length = reply
            .headers
            .get(oip::HEADER_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .ok_or(Error::Protocol("the response has no Inference-Header-Content-Length"))?;
        oip::read_response(&reply.body, header_length, oip::output_name(model))
    }

    /// The patience for one request that the gateway may refuse for now.
    pub(crate) fn patience(&self) -> Patience {
        Patience::new(self.retries, self.timeout)
    }

    /// Whether the user asked to stop.
    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    async fn get(&mut self, path: &str, known: Option<String>, limit: usize) -> Result<Reply, Error> {
        let headers: Vec<_> = known.map(|tag| (IF_NONE_MATCH, tag)).into_iter().collect();
        let mut patience = self.patience();
        loop {
            match self.request(&Method::GET, path, &headers, Bytes::new().into(), limit).await {
                Ok(reply) => return Ok(reply),
                Err(error) => patience.after(error, &self.stop).await?,
            }
        }
    }

    /// Sends one request, once. Any answer but success, and 304 where it was asked for, is the gateway's error.
    async fn request(
        &mut self,
        method: &Method,
        path: &str,
        headers: &[(HeaderName, String)],
        payload: Payload,
        limit: usize,
    ) -> Result<Reply, Error> {
        let mut backoff = Backoff::new();
        let mut reopened = 0;
        loop {
            let mut wire = match self.wire.take() {
                Some(wire) => wire,
                None => Wire::over(self.dialer.dial(&self.stop).await?).await?,
            };
            let mut request =
                Request::builder().method(method).uri(path).header(HOST, self.dialer.authority());
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let request = request.body(payload.clone()).map_err(|_| Error::Url)?;
            let exchange = wire.exchange(request, limit);
            let exchange = Payload::within(self.timeout, payload.progress(), exchange);
            let broken = match self.stop.or_insisted(exchange).await? {
                Err(_) => return Err(Error::Transport("it took longer than the seconds of --timeout")),
                Ok(Ok(reply)) => {
                    match payload.progress() {
                        // The rest of what was refused may still be on its way.
                        Some(_) if !is_success(reply.status) => wire.abandon(),
                        _ => self.wire = Some(wire),
                    }
                    return judge(reply);
                }
                Ok(Err(broken)) => broken,
            };
            match broken {
                Broken::TooLong => return Err(Error::Protocol("the body is longer than it may be")),
                Broken::Unsent(Some(objection)) | Broken::Sent(Some(objection)) => {
                    return Err(Error::Connect(objection));
                }
                Broken::Unsent(None) if reopened < self.retries.max(1) => reopened += 1,
                Broken::Unsent(None) | Broken::Sent(None) => return Err(self.broken()),
            }
            // The gateway may close an idle connection at any time; more than that looks like trouble.
            if reopened > 1 {
                self.stop.or(tokio::time::sleep(backoff.pause())).await?;
            }
        }
    }

    fn broken(&self) -> Error {
        Error::Transport(match self.has_certificate {
            true => "the connection broke",
            false => {
                "the connection broke; a gateway that asks for client certificates does that without --cert and --key"
            }
        })
    }
}

/// What a gateway takes in one request for a model.
#[derive(Deserialize, Default)]
struct Limits {
    maximum_batch: Option<usize>,
    maximum_cohort: Option<usize>,
}

fn model_path(name: &str, version: Option<u32>) -> String {
    match version {
        Some(version) => format!("/v2/models/{name}/versions/{version}"),
        None => format!("/v2/models/{name}"),
    }
}

fn judge(reply: Reply) -> Result<Reply, Error> {
    match reply.status {
        status if is_success(status) || status == StatusCode::NOT_MODIFIED => Ok(reply),
        status => Err(Error::Gateway(Box::new(refusal(status, &reply.headers, &reply.body)))),
    }
}

/// Whether the gateway did the whole of what it was asked.
fn is_success(status: StatusCode) -> bool {
    matches!(status, StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::NO_CONTENT)
}

fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Refusal {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Form {
        error: String,
        code: String,
        action: String,
        retryable: bool,
    }
    // The text is the peer's: cut it and keep it on one line.
    let clean = |text: String, most| text.chars().filter(|c| !c.is_control()).take(most).collect::<String>();
    let form: Form = serde_json::from_slice(body).unwrap_or_default();
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Refusal {
        status: status.as_u16(),
        code: if form.code.is_empty() { "http_error".to_owned() } else { clean(form.code, 64) },
        action: clean(form.action, 64),
        message: clean(form.error, 300),
        retryable: form.retryable,
        retry_after: seconds.map(Duration::from_secs),
    }
}
