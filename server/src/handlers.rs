//! One function a route: decode, call, encode. Inference stands in `infer` and `evaluate`, evaluation keys in `keys`, the
//! transparency log in `log`, what operators do in `repository`.

use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, RETRY_AFTER},
};
use serde_json::{Value, json};

use crate::{
    config::Limits,
    device::Device,
    error::ApiError,
    gateway::Gateway,
    log::WitnessMetrics,
    protocol::{Expected, ExpectedBlock, INPUT, JSON_ALLOWANCE, output},
    registry::{ServedModel, Snapshot},
    tenants::Tenant,
};

mod evaluate;
pub(crate) use evaluate::Decoded;
mod infer;
mod joint;
pub(crate) use joint::JointPath;
mod keys;
mod log;
mod repository;
#[cfg(test)]
mod tests;

pub(crate) type Answer = Result<Response<Full<Bytes>>, ApiError>;

/// The batch of a model is cut so that no answer is longer.
const MAXIMUM_ANSWER_BYTES: usize = 32 << 20;

/// A batch is cut so that its bootstraps take some ten seconds on two cores.
const MAXIMUM_BOOTSTRAPS: usize = 2048;
/// The same on a device, where they take half a second.
const MAXIMUM_DEVICE_BOOTSTRAPS: usize = 1 << 14;

impl ServedModel {
    fn expected(&self, limits: &Limits, device: &Device) -> Expected {
        let element_bytes = self.card.plan().request_shape().encoded_len();
        let answer_bytes = self.card.plan().response_shape().encoded_len();
        // In base64 a body is a third longer than its elements; the largest one takes at most half of the memory.
        let fitting = (limits.body_mib << 19) / (2 * element_bytes);
        let plan = self.card.plan();
        let most = if device.is_there() { MAXIMUM_DEVICE_BOOTSTRAPS } else { MAXIMUM_BOOTSTRAPS };
        let maximum_batch = limits
            .batch
            .min(MAXIMUM_ANSWER_BYTES / answer_bytes)
            .min(fitting)
            .min(most / plan.bootstraps().max(1))
            .max(1);
        Expected { element_bytes, maximum_batch, cohort: self.expected_block(limits) }
    }

    /// The largest block of a cohort: as for batches, its body takes at most half of the memory, and its answer is cut.
    fn expected_block(&self, limits: &Limits) -> Option<ExpectedBlock> {
        let plan = self.card.cohort()?;
        let shape = plan.request_shape();
        let one = shape.encoded_len(1);
        let each = shape.encoded_len(2) - one;
        let room = ((limits.body_mib << 19).checked_sub(one + JSON_ALLOWANCE))? / each + 1;
        let mut maximum_patients = room.min(plan.parameters().maximum_patients());
        while plan.response_shape(maximum_patients).encoded_len() > MAXIMUM_ANSWER_BYTES {
            maximum_patients = (maximum_patients > 1).then_some(maximum_patients / 2)?;
        }
        Some(ExpectedBlock { maximum_patients, element_bytes: shape.encoded_len(maximum_patients) })
    }
}

impl Gateway {
    pub(crate) fn server_metadata(&self) -> Answer {
        answer(&json!({
            "name": "tiresias-gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "extensions": ["binary_tensor_data", "model_repository", "tiresias_config", "tiresias_approval"],
        }))
    }

    pub(crate) fn live(&self) -> Answer {
        answer(&json!({"live": true}))
    }

    pub(crate) fn ready(&self) -> Answer {
        let ready = self.is_ready();
        Ok(respond_ready(ready, &json!({"live": true, "ready": ready})))
    }

    /// `/health` of the metrics listener.
    pub(crate) fn health(&self) -> Response<Full<Bytes>> {
        let ready = self.is_ready();
        let mut health = json!({"ready": ready});
        if let Some(log) = &self.log {
            health["log"] = if log.is_writable() { "ok" } else { "unavailable" }.into();
        }
        // Whoever speaks for a witness must not be able to stop the gateway: it stays ready.
        if let Some(state) =
            self.log.as_ref().and_then(|log| log.metrics().witnesses()).map(WitnessMetrics::state)
        {
            health["witnesses"] = state.into();
        }
        respond_ready(ready, &health)
    }

    /// A model as this tenant may use it.
    pub(crate) fn model_metadata(&self, tenant: &Tenant, models: &Snapshot, model: &ServedModel) -> Answer {
        let versions: Vec<String> = models.versions(&model.name).map(|version| version.to_string()).collect();
        let expected = model.expected(&self.settings.load().limits, &self.device);
        // What a rate limit could never let pass is no batch.
        let burst = tenant.policy.rate.map_or(usize::MAX, |rate| rate.burst as usize);
        let tensor = |name| json!({"name": name, "datatype": "BYTES", "shape": [-1]});
        let mut metadata = json!({
            "name": model.card.name(),
            "versions": versions,
            "platform": if model.card.plan().hidden().is_some() { "tiresias_mlp" } else { "tiresias_linear" },
            "inputs": [tensor(INPUT)],
            "outputs": [tensor(output(model.card.plan().policy()))],
            "parameters": {
                "config_id": model.config.to_string(),
                "maximum_batch": expected.maximum_batch.min(burst),
                "maximum_body_bytes": expected.maximum_body(),
            },
        });
        if let Some(block) = expected.cohort {
            metadata["parameters"]["maximum_cohort"] = block.maximum_patients.min(burst).into();
        }
        if let Some(parameters) = model.card.plan().bootstrap() {
            metadata["parameters"]["evaluation_key_parameters"] = parameters.name().into();
        }
        if let Some(limit) = tenant.policy.budget {
            let left = self.budgets.left(&tenant.id, &model.name, limit);
            metadata["parameters"]["budget_left"] = left.into();
        }
        answer(&metadata)
    }

    pub(crate) fn model_ready(&self, model: &ServedModel) -> Answer {
        answer(&json!({"name": model.card.name(), "ready": true}))
    }

    /// Who approved a model, and its model card.
    pub(crate) fn approval(&self, model: &ServedModel) -> Answer {
        let approved = model.approved.as_ref().ok_or(ApiError::NoApproval)?;
        answer(&json!({
            "approval": approved.note,
            "model_card": String::from_utf8_lossy(&approved.card),
        }))
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
}

fn answer(value: &Value) -> Answer {
    Ok(respond_json(StatusCode::OK, value))
}

fn respond_ready(ready: bool, value: &Value) -> Response<Full<Bytes>> {
    respond_json(if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, value)
}

fn respond_json(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    respond(status, "application/json", value.to_string().into())
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
