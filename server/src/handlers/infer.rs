//! Inference: read, check, admit, evaluate, answer.

use std::{collections::HashSet, sync::Arc, time::Instant};

use hyper::{Request, StatusCode, body::Incoming};
use tiresias_circuits::Plan;
use tiresias_keys::{BootstrapParameters, ConfigId, Digest, EncryptedCohort, EncryptedFeatures, KeyId};

use super::{
    Answer,
    evaluate::{Decoded, Evaluated, Evaluator},
    respond,
};
use crate::{
    admission, body,
    compute::Ask,
    error::ApiError,
    gateway::Gateway,
    log::AnswerFacts,
    protocol::{Envelope, ExpectedBlock, HEADER_LENGTH, InferResponse, ResponseFacts, output},
    registry::ServedModel,
    seeds::ResponseSeed,
    tenants::Tenant,
};

/// Residues of brief work, over the ciphertexts that come in and go out: six of `N2048_Q50`, about 100 us with vector
/// kernels and 500 us without.
const BRIEF: usize = 6 * 2048;

impl Gateway {
    /// Reads, checks, evaluates and answers one inference request.
    pub(crate) async fn infer(
        self: &Arc<Self>,
        tenant: &Tenant,
        model: Arc<ServedModel>,
        request: Request<Incoming>,
    ) -> Answer {
        let started = Instant::now();
        let (expected, timeout) = {
            let limits = &self.settings.load().limits;
            (model.expected(limits, &self.device), limits.body_timeout)
        };
        let output = output(model.card.plan().policy());
        let header_length = header_length(&request)?;
        let room = expected.maximum_body().min(body::declared(&request));
        let _memory = self.memory.take(&tenant.id, room)?;
        let body = body::read(request, expected.maximum_body(), timeout).await?;
        let body_bytes = body.len();
        let envelope = Envelope::open(&body, header_length.as_deref())?;
        if let Some(stated) = envelope.config_id() {
            self.check_stated(&model, stated)?;
        }
        let mut request = envelope.into_request(expected.maximum_batch, expected.cohort.is_some(), output)?;
        drop(body);
        let elements = std::mem::take(&mut request.elements);
        let decoded = match expected.cohort.filter(|_| request.is_cohort) {
            Some(block) => self.decode_cohort(&model, elements, &block)?,
            None => self.decode(&model, elements)?,
        };

        let key = self.evaluation_key(tenant, &model, request.evaluation_key.as_deref())?;

        let vectors = decoded.vectors();
        let admission = admission::admit(&self.budgets, &self.rates, tenant, &model.name, vectors as u64)?;
        let digests: Vec<Digest> = decoded.digests();
        let ResponseSeed { seed, copy, commitment: randomness } =
            self.seeds.next(digests.iter()).map_err(|_| ApiError::Internal)?;
        let is_brief = is_brief(model.card.plan(), &decoded) && admission.is_covered();
        let cost = cost(&model, &decoded);
        let ask = Ask { tenant: &tenant.id, weight: tenant.policy.weight, cost, is_brief };
        let key_id = key.map(|(id, _)| id);
        let job = {
            let (model, gateway, tenant) = (Arc::clone(&model), Arc::clone(self), tenant.id.clone());
            move || {
                // A key is prepared in its tenant's turn, and after the budget has room.
                let key = key
                    .map(|(id, parameters)| gateway.keys.prepared(&tenant, &id, parameters))
                    .transpose()?;
                let (threads, logged) = (gateway.compute.share(), gateway.log.is_some());
                let evaluator = Evaluator { model: &model, key, device: &gateway.device, threads, logged };
                evaluator.evaluate(&decoded, &seed, admission)
            }
        };
        let coming = self.log.as_ref().map(|log| log.coming());
        let Evaluated { elements, hash, device, elapsed, budget_left } = self.compute.run(ask, job).await??;
        let receipt = match (&self.log, coming, hash) {
            (Some(log), Some(coming), Some(response)) => {
                let (config, weights) = (&model.config, &model.weights);
                let (request, key) = (digests.as_slice(), key_id.as_ref());
                let facts = AnswerFacts { request, response, config, weights, key, randomness };
                Some(log.append(coming, log.facts().answer(&facts), copy).await?.to_text())
            }
            _ => None,
        };

        let facts = ResponseFacts {
            model: model.card.name(),
            version: model.card.version(),
            output,
            config_id: model.config.to_string(),
            device: &device,
            evaluate_us: elapsed.as_micros() as u64,
            budget_left,
            receipt,
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

    /// The evaluation key that a request names and its tenant has, where the model needs one.
    fn evaluation_key(
        &self,
        tenant: &Tenant,
        model: &ServedModel,
        named: Option<&str>,
    ) -> Result<Option<(KeyId, &'static BootstrapParameters)>, ApiError> {
        let Some(parameters) = model.card.plan().bootstrap() else { return Ok(None) };
        let id =
            named.ok_or(ApiError::MalformedRequest("this model needs the parameter `evaluation_key`"))?;
        let id = KeyId::from_hex(id)
            .map_err(|_| ApiError::MalformedRequest("`evaluation_key` is not the id of a key"))?;
        self.keys.check(&tenant.id, &id, parameters)?;
        Ok(Some((id, parameters)))
    }

    /// The card that a request says it was made for must be the model's.
    fn check_stated(&self, model: &ServedModel, stated: &str) -> Result<(), ApiError> {
        match ConfigId::from_hex(stated) {
            Ok(stated) if stated == model.config => Ok(()),
            Ok(stated) => Err(self.other_card(model, &stated)),
            Err(_) => Err(mismatch(model)),
        }
    }

    /// What a request for another card than the model's is told.
    fn other_card(&self, model: &ServedModel, stated: &ConfigId) -> ApiError {
        let models = self.registry.snapshot();
        if models.is_retired(stated) { models.retired(&model.name) } else { mismatch(model) }
    }

    fn decode(&self, model: &ServedModel, elements: Vec<Vec<u8>>) -> Result<Decoded, ApiError> {
        let shape = model.card.plan().request_shape();
        let mut seeds = HashSet::with_capacity(elements.len());
        let mut decoded = Vec::with_capacity(elements.len());
        for bytes in elements {
            let one = EncryptedFeatures::from_bytes(&bytes, &shape, &model.config);
            let (features, digest) = one.map_err(|error| self.undecodable(model, &bytes, error))?;
            if !seeds.insert(*features.seed()) {
                return Err(ApiError::MalformedRequest(
                    "two elements carry the same client seed: encrypt each vector under a seed of its own",
                ));
            }
            decoded.push((features, digest));
        }
        Ok(Decoded::Vectors(decoded))
    }

    fn decode_cohort(
        &self,
        model: &ServedModel,
        elements: Vec<Vec<u8>>,
        expected: &ExpectedBlock,
    ) -> Result<Decoded, ApiError> {
        let (Some(plan), Some(bytes)) = (model.card.cohort(), elements.into_iter().next()) else {
            return Err(ApiError::Internal);
        };
        let front = bytes.get(..72).unwrap_or_default().to_vec();
        let block = EncryptedCohort::from_bytes(bytes, &plan.request_shape(), &model.config)
            .map_err(|error| self.undecodable(model, &front, error))?;
        if block.patients() > expected.maximum_patients {
            return Err(ApiError::TooManyVectors { limit: expected.maximum_patients });
        }
        Ok(Decoded::Cohort(Box::new(block)))
    }

    /// Why an element is refused. A retired card may have had elements of another size, so its id is looked for
    /// before anything else is said.
    fn undecodable(&self, model: &ServedModel, bytes: &[u8], error: tiresias_keys::Error) -> ApiError {
        const CONFIG_AT: usize = 8;
        let stated = bytes.get(CONFIG_AT..).and_then(<[u8]>::first_chunk::<32>);
        let stated = stated.map(|stated| ConfigId::from_bytes(*stated));
        match (error, stated) {
            (_, Some(stated)) if self.registry.snapshot().is_retired(&stated) => {
                self.other_card(model, &stated)
            }
            (tiresias_keys::Error::ConfigId, _) => mismatch(model),
            (error, _) => ApiError::MalformedCiphertext(error),
        }
    }
}

/// What a request costs on its tenant's clock, in vectors of a small linear head: a bootstrap takes some fifty times as long.
/// A class of a cohort's block costs one, for its re-randomization, and 2^21 features of patients 16 and one more for each
/// class; the first block of a run also pays for the sums of its masks, of N coefficients of four planes instead of three.
fn cost(model: &ServedModel, decoded: &Decoded) -> usize {
    let plan = model.card.plan();
    match decoded {
        Decoded::Vectors(vectors) => vectors.len() * (50 * plan.bootstraps()).max(1),
        Decoded::Cohort(block) => {
            let (shape, n) = (plan.shape(), plan.parameters().polynomial_size());
            let is_first = model.cohorts.as_ref().is_none_or(|cohorts| !cohorts.knows(block.run()));
            let coefficients = block.patients() + if is_first { 4 * n / 3 } else { 0 };
            shape.classes + ((coefficients * shape.features * (16 + shape.classes)) >> 21)
        }
    }
}

fn is_brief(plan: &Plan, decoded: &Decoded) -> bool {
    let Decoded::Vectors(vectors) = decoded else { return false };
    if plan.bootstrap().is_some() {
        return false;
    }
    let request = plan.request_shape();
    let ciphertexts =
        request.ciphertexts + usize::from(request.carries_zero) + plan.response_shape().groups();
    vectors.len() * ciphertexts * plan.parameters().polynomial_words() <= BRIEF
}

fn mismatch(model: &ServedModel) -> ApiError {
    ApiError::ConfigMismatch { config_id: model.config.to_string() }
}

fn header_length(request: &Request<Incoming>) -> Result<Option<String>, ApiError> {
    let Some(value) = request.headers().get(HEADER_LENGTH) else { return Ok(None) };
    let value = value
        .to_str()
        .map_err(|_| ApiError::MalformedRequest("Inference-Header-Content-Length is not a number"))?;
    Ok(Some(value.to_owned()))
}
