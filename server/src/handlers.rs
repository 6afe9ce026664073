//! One function a route: decode, call, encode.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, RETRY_AFTER},
};
use serde_json::{Value, json};
use tiresias_circuits::{Card, evaluate::PreparedHead};
use tiresias_keys::{ConfigId, EncryptedFeatures};

use crate::{
    body::{self, BodyMemory},
    compute::Compute,
    config::Limits,
    error::ApiError,
    metrics::Metrics,
    protocol::{Expected, HEADER_LENGTH, INPUT, InferRequest, InferResponse, OUTPUT, ResponseFacts},
    repository::{StoredModel, version_of},
    seeds::ResponseSeeds,
};

pub(crate) type Answer = Result<Response<Full<Bytes>>, ApiError>;

/// The batch of a model is cut so that no answer is longer.
const MAXIMUM_ANSWER_BYTES: usize = 32 << 20;

/// A model as served.
pub(crate) struct ServedModel {
    card: Card,
    card_bytes: Bytes,
    config: ConfigId,
    head: PreparedHead,
}

impl ServedModel {
    fn new(stored: StoredModel) -> Self {
        let StoredModel { card, card_bytes, config, head } = stored;
        let head = PreparedHead::new(&head, *card.plan(), config, *card.gateway_seed());
        Self { card, card_bytes: card_bytes.into(), config, head }
    }

    fn expected(&self, limits: &Limits) -> Expected {
        let element_bytes = self.card.plan().request_shape().encoded_len();
        let answer_bytes = self.card.plan().response_shape().encoded_len();
        // In base64 a body is a third longer than its elements; the largest one takes at most half of the memory.
        let fitting = (limits.body_mib << 19) / (2 * element_bytes);
        let maximum_batch = limits.batch.min(MAXIMUM_ANSWER_BYTES / answer_bytes).min(fitting).max(1);
        Expected { element_bytes, maximum_batch }
    }
}

/// Everything that requests share.
pub(crate) struct Gateway {
    models: BTreeMap<String, BTreeMap<u32, Arc<ServedModel>>>,
    compute: Compute,
    seeds: ResponseSeeds,
    memory: BodyMemory,
    limits: Limits,
    pub(crate) metrics: Metrics,
}

impl Gateway {
    pub(crate) fn new(models: Vec<StoredModel>, limits: Limits) -> Result<Self, getrandom::Error> {
        let mut by_name: BTreeMap<String, BTreeMap<u32, _>> = BTreeMap::new();
        for stored in models {
            let model = ServedModel::new(stored);
            let versions = by_name.entry(model.card.name().to_owned()).or_default();
            versions.insert(model.card.version(), Arc::new(model));
        }
        Ok(Self {
            models: by_name,
            compute: Compute::new(limits.workers, limits.queue),
            seeds: ResponseSeeds::new()?,
            memory: BodyMemory::new(limits.body_mib),
            limits,
            metrics: Metrics::new(),
        })
    }

    pub(crate) fn update_gauges(&self) {
        self.metrics.pending.set(self.compute.pending() as i64);
    }

    /// A model by name and version, the newest version where none is given.
    pub(crate) fn model(&self, name: &str, version: Option<&str>) -> Result<Arc<ServedModel>, ApiError> {
        let versions = self.models.get(name).ok_or(ApiError::UnknownModel)?;
        let model = match version {
            None => versions.last_key_value().map(|(_, model)| model),
            Some(version) => version_of(version).and_then(|version| versions.get(&version)),
        };
        model.cloned().ok_or(ApiError::UnknownVersion)
    }

    pub(crate) fn server_metadata(&self) -> Answer {
        answer(&json!({
            "name": "tiresias-gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "extensions": ["binary_tensor_data", "model_repository", "tiresias_config"],
        }))
    }

    pub(crate) fn live(&self) -> Answer {
        answer(&json!({"live": true}))
    }

    pub(crate) fn ready(&self) -> Answer {
        answer(&json!({"live": true, "ready": true}))
    }

    pub(crate) fn repository_index(&self) -> Answer {
        let index: Vec<Value> = self
            .models
            .iter()
            .flat_map(|(name, versions)| versions.keys().map(move |version| (name, version)))
            .map(|(name, version)| {
                json!({"name": name, "version": version.to_string(), "state": "READY", "reason": ""})
            })
            .collect();
        answer(&Value::Array(index))
    }

    pub(crate) fn model_metadata(&self, model: &ServedModel) -> Answer {
        let versions: Vec<String> = self
            .models
            .get(model.card.name())
            .into_iter()
            .flat_map(|versions| versions.keys().map(u32::to_string))
            .collect();
        let expected = model.expected(&self.limits);
        let tensor = |name| json!({"name": name, "datatype": "BYTES", "shape": [-1]});
        answer(&json!({
            "name": model.card.name(),
            "versions": versions,
            "platform": "tiresias_linear",
            "inputs": [tensor(INPUT)],
            "outputs": [tensor(OUTPUT)],
            "parameters": {
                "config_id": model.config.to_string(),
                "maximum_batch": expected.maximum_batch,
                "maximum_body_bytes": expected.maximum_body(),
            },
        }))
    }

    pub(crate) fn model_ready(&self, model: &ServedModel) -> Answer {
        answer(&json!({"name": model.card.name(), "ready": true}))
    }

    /// The circuit card, byte for byte as stored, with its id as ETag.
    pub(crate) fn config(&self, model: &ServedModel, request: &Request<Incoming>) -> Answer {
        let etag = format!("\"{}\"", model.config);
        let known = request.headers().get(IF_NONE_MATCH).is_some_and(|value| {
            value
                .to_str()
                .is_ok_and(|list| list.split(',').any(|tag| tag.trim() == etag || tag.trim() == "*"))
        });
        let (status, body) = if known {
            (StatusCode::NOT_MODIFIED, Bytes::new())
        } else {
            (StatusCode::OK, model.card_bytes.clone())
        };
        let mut response = respond(status, "application/json", body);
        if let Ok(etag) = HeaderValue::from_str(&etag) {
            response.headers_mut().insert(ETAG, etag);
        }
        Ok(response)
    }

    /// Reads, checks, evaluates and answers one inference request.
    pub(crate) async fn infer(&self, model: Arc<ServedModel>, request: Request<Incoming>) -> Answer {
        let started = Instant::now();
        let expected = model.expected(&self.limits);
        let header_length = match request.headers().get(HEADER_LENGTH) {
            None => None,
            Some(value) => Some(value.to_str().map(str::to_owned).map_err(|_| {
                ApiError::MalformedRequest("Inference-Header-Content-Length is not a number")
            })?),
        };
        let _memory = self.memory.take(expected.maximum_body().min(body::declared(&request)))?;
        let body = body::read(request, expected.maximum_body(), self.limits.body_timeout).await?;
        let body_bytes = body.len();
        let mut request = InferRequest::parse(&body, header_length.as_deref(), expected)?;
        drop(body);
        let mismatch = || ApiError::ConfigMismatch { config_id: model.config.to_string() };
        if request.config_id.as_ref().is_some_and(|stated| *stated != model.config.to_string()) {
            return Err(mismatch());
        }
        let decoded = decode(&model, std::mem::take(&mut request.elements)).map_err(|error| match error {
            tiresias_keys::Error::ConfigId => mismatch(),
            error => ApiError::MalformedCiphertext(error),
        })?;

        let vectors = decoded.len();
        let seed =
            self.seeds.next(decoded.iter().map(|(_, digest)| digest)).map_err(|_| ApiError::Internal)?;
        let evaluated = self.compute.run({
            let model = Arc::clone(&model);
            move || {
                let shape = model.card.plan().response_shape();
                let (mut elements, mut elapsed) = (Vec::with_capacity(decoded.len()), Duration::ZERO);
                for ((features, digest), item) in decoded.iter().zip(0_u32..) {
                    let started = Instant::now();
                    let scores = model.head.evaluate(features, *digest, &seed, item)?;
                    elapsed += started.elapsed();
                    // Each answer is packed at once: unpacked ones are several times as large.
                    elements.push(scores.to_bytes(&shape));
                }
                Ok((elements, elapsed))
            }
        });
        let (elements, elapsed) =
            evaluated.await?.map_err(|_: tiresias_circuits::Error| ApiError::Internal)?;

        let facts = ResponseFacts {
            model: model.card.name(),
            version: model.card.version(),
            config_id: model.config.to_string(),
            evaluate_us: elapsed.as_micros() as u64,
        };
        let response = InferResponse::new(&request, &facts, &elements).map_err(|_| ApiError::Internal)?;
        self.metrics.answered(facts.model, facts.version, vectors, elapsed.as_secs_f64());
        self.metrics.finished(body_bytes, response.body.len(), started.elapsed().as_secs_f64());

        let kind =
            if response.header_length.is_some() { "application/octet-stream" } else { "application/json" };
        let mut http = respond(StatusCode::OK, kind, response.body.into());
        if let Some(length) = response.header_length {
            http.headers_mut().insert(HEADER_LENGTH, length.into());
        }
        Ok(http)
    }
}

type Decoded = Vec<(EncryptedFeatures, tiresias_keys::Digest)>;

fn decode(model: &ServedModel, elements: Vec<Vec<u8>>) -> Result<Decoded, tiresias_keys::Error> {
    let shape = model.card.plan().request_shape();
    elements.iter().map(|bytes| EncryptedFeatures::from_bytes(bytes, &shape, &model.config)).collect()
}

fn answer(value: &Value) -> Answer {
    Ok(respond(StatusCode::OK, "application/json", value.to_string().into()))
}

pub(crate) fn respond(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The response that tells a peer what went wrong.
pub(crate) fn refuse(error: &ApiError) -> Response<Full<Bytes>> {
    let rule = error.rule();
    let mut response = respond(rule.status, "application/json", error.to_json().into());
    if let Some(seconds) = rule.retry_after_s {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    if let ApiError::MethodNotAllowed { allowed } = error {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    }
    response
}
