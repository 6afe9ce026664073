//! The model repository extension: what there is, and what operators load and unload.

use std::{sync::Arc, time::Duration};

use hyper::{Request, body::Incoming};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, answer};
use crate::{body, error::ApiError, gateway::Gateway, tenants::Tenant};

const MAXIMUM_BODY: usize = 16 << 10;

#[derive(Deserialize, Default)]
struct IndexForm {
    #[serde(default)]
    ready: bool,
}

#[derive(Deserialize, Default)]
struct ChangeForm {
    #[serde(default)]
    parameters: Map<String, Value>,
}

impl Gateway {
    /// Every version in the repository, or with `{"ready": true}` those that are served.
    pub(crate) async fn repository_index(&self, request: Request<Incoming>) -> Answer {
        let form: IndexForm = read(request, self.settings.load().limits.body_timeout).await?;
        let models = self.registry.snapshot();
        let entries = models.index().into_iter().filter(|(_, reason)| !form.ready || reason.is_none());
        let entry = |((name, version), reason): ((&str, u32), Option<&str>)| {
            let state = if reason.is_none() { "READY" } else { "UNAVAILABLE" };
            let (version, reason) = (version.to_string(), reason.unwrap_or_default());
            json!({"name": name, "version": version, "state": state, "reason": reason})
        };
        answer(&Value::Array(entries.map(entry).collect()))
    }

    /// Reads a model's directory again: new versions appear, those that are gone retire.
    pub(crate) async fn load(
        self: Arc<Self>,
        tenant: &Tenant,
        name: String,
        request: Request<Incoming>,
    ) -> Answer {
        self.change(tenant, request, &[], move |gateway| gateway.registry.load(&name)).await
    }

    /// Stops serving a model until it is loaded again.
    pub(crate) async fn unload(
        self: Arc<Self>,
        tenant: &Tenant,
        name: String,
        request: Request<Incoming>,
    ) -> Answer {
        // One model never depends on another here.
        let known = ["unload_dependents"];
        self.change(tenant, request, &known, move |gateway| gateway.registry.unload(&name)).await
    }

    async fn change(
        self: Arc<Self>,
        tenant: &Tenant,
        request: Request<Incoming>,
        known: &[&str],
        change: impl FnOnce(&Self) -> Result<(), ApiError> + Send + 'static,
    ) -> Answer {
        if !tenant.policy.operator {
            return Err(ApiError::NotOperator);
        }
        let form: ChangeForm = read(request, self.settings.load().limits.body_timeout).await?;
        if !form.parameters.keys().all(|key| known.contains(&key.as_str())) {
            return Err(ApiError::MalformedRequest(
                "models are loaded as they lie in the repository, without parameters",
            ));
        }
        let changed = tokio::task::spawn_blocking(move || change(&self));
        changed.await.map_err(|_| ApiError::Internal)??;
        answer(&json!({}))
    }
}

/// Reads a small JSON object; no body is an empty one.
async fn read<T: Default + for<'de> Deserialize<'de>>(
    request: Request<Incoming>,
    timeout: Duration,
) -> Result<T, ApiError> {
    let body = body::read(request, MAXIMUM_BODY, timeout).await?;
    if body.is_empty() {
        return Ok(T::default());
    }
    // An object, and no list of its values, which serde would take as well.
    let object: Result<Map<String, Value>, _> = serde_json::from_slice(&body);
    object
        .and_then(|object| serde_json::from_value(Value::Object(object)))
        .map_err(|_| ApiError::MalformedRequest("the body is not a JSON object of this route"))
}
