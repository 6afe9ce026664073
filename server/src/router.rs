//! The whole interface on one screen: method and path to handler, and one log line a request.

use std::{sync::Arc, time::Instant};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, Version,
    body::{Bytes, Incoming},
    header::{CONNECTION, HeaderValue},
};

use crate::{
    error::ApiError,
    gateway::Gateway,
    handlers::{Answer, JointPath, refuse},
    peer::Peer,
    registry::{ServedModel, Snapshot},
    tenants::Tenant,
};

/// Answers one request. Never fails: every error becomes a response.
pub(crate) async fn route(
    gateway: Arc<Gateway>,
    peer: &Peer,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let started = Instant::now();
    let route = Route::find(request.method(), request.uri().path());
    let name = route.as_ref().map_or("unknown", Route::name);
    let version = request.version();
    let tenant = peer.tenant(&gateway.settings.load());
    // On HTTP/2, which has no such header, the listener says goodbye.
    let ends = tenant.is_err() && version <= Version::HTTP_11;
    let answer = match (&tenant, route) {
        (Err(error), _) => Err(error.clone()),
        (Ok(_), Err(error)) => Err(error),
        (Ok(tenant), Ok(route)) => dispatch(&gateway, tenant, route, request).await,
    };

    let tenant = tenant.map_or_else(|_| "unknown".into(), |tenant| tenant.log_name());
    let elapsed_us = started.elapsed().as_micros() as u64;
    match answer {
        Ok(response) => {
            let status = response.status().as_u16();
            tracing::info!(route = name, status, %tenant, elapsed_us, "answered");
            response
        }
        Err(error) => {
            let rule = error.rule();
            gateway.metrics.refused(rule.code);
            let status = rule.status.as_u16();
            if rule.status.is_server_error() {
                tracing::error!(route = name, status, code = rule.code, %tenant, elapsed_us, "refused");
            } else {
                tracing::info!(route = name, status, code = rule.code, %tenant, elapsed_us, "refused");
            }
            let mut response = refuse(&error);
            if ends {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    }
}

/// A recognised method and path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Server,
    Live,
    Ready,
    Index,
    Model(Model),
    ModelReady(Model),
    Config(Model),
    Approval(Model),
    Infer(Model),
    Load(String),
    Unload(String),
    Keys,
    Key(KeyAction, String),
    JointGet(JointPath),
    JointPut(JointPath),
    Checkpoint,
    /// The path below the log's root.
    Tile(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyAction {
    Put,
    Get,
    Delete,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Model {
    name: String,
    version: Option<String>,
}

impl Model {
    fn find(&self, models: &Snapshot) -> Result<Arc<ServedModel>, ApiError> {
        models.find(&self.name, self.version.as_deref())
    }
}

impl Route {
    fn find(method: &Method, path: &str) -> Result<Self, ApiError> {
        let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let (allowed, route) = match *segments.as_slice() {
            ["v2"] => (Method::GET, Self::Server),
            ["v2", "health", "live"] => (Method::GET, Self::Live),
            ["v2", "health", "ready"] => (Method::GET, Self::Ready),
            ["v2", "repository", "index"] => (Method::POST, Self::Index),
            ["v2", "repository", "models", name, "load"] => (Method::POST, Self::Load(name.to_owned())),
            ["v2", "repository", "models", name, "unload"] => (Method::POST, Self::Unload(name.to_owned())),
            ["checkpoint"] => (Method::GET, Self::Checkpoint),
            ["tile", ..] => (Method::GET, Self::Tile(path.trim_start_matches('/').to_owned())),
            ["v2", "keys"] => (Method::GET, Self::Keys),
            ["v2", "keys", id] => {
                let action = match *method {
                    Method::PUT => KeyAction::Put,
                    Method::DELETE => KeyAction::Delete,
                    Method::GET | Method::HEAD => KeyAction::Get,
                    _ => return Err(ApiError::MethodNotAllowed { allowed: "PUT, GET, DELETE" }),
                };
                return Ok(Self::Key(action, id.to_owned()));
            }
            ["v2", "joint", ref rest @ ..] => {
                let path = JointPath::find(rest).ok_or(ApiError::UnknownRoute)?;
                return match *method {
                    Method::GET | Method::HEAD => Ok(Self::JointGet(path)),
                    Method::PUT => Ok(Self::JointPut(path)),
                    _ => Err(ApiError::MethodNotAllowed { allowed: "PUT, GET" }),
                };
            }
            ["v2", "models", name, ref rest @ ..] => {
                let (version, rest) = match rest {
                    ["versions", version, rest @ ..] => (Some((*version).to_owned()), rest),
                    rest => (None, rest),
                };
                let model = Model { name: name.to_owned(), version };
                match rest {
                    [] => (Method::GET, Self::Model(model)),
                    ["ready"] => (Method::GET, Self::ModelReady(model)),
                    ["config"] => (Method::GET, Self::Config(model)),
                    ["approval"] => (Method::GET, Self::Approval(model)),
                    ["infer"] => (Method::POST, Self::Infer(model)),
                    _ => return Err(ApiError::UnknownRoute),
                }
            }
            _ => return Err(ApiError::UnknownRoute),
        };
        let allowed = if allowed == Method::POST { "POST" } else { "GET" };
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        if method == allowed { Ok(route) } else { Err(ApiError::MethodNotAllowed { allowed }) }
    }

    /// The route's name in logs.
    fn name(&self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Live => "live",
            Self::Ready => "ready",
            Self::Index => "index",
            Self::Model(_) => "model",
            Self::ModelReady(_) => "model_ready",
            Self::Config(_) => "config",
            Self::Approval(_) => "approval",
            Self::Infer(_) => "infer",
            Self::Load(_) => "load",
            Self::Unload(_) => "unload",
            Self::Checkpoint => "checkpoint",
            Self::Tile(_) => "tile",
            Self::Keys => "keys",
            Self::JointGet(_) => "joint",
            Self::JointPut(_) => "put_joint",
            Self::Key(KeyAction::Put, _) => "put_key",
            Self::Key(KeyAction::Get, _) => "key",
            Self::Key(KeyAction::Delete, _) => "delete_key",
        }
    }
}

async fn dispatch(
    gateway: &Arc<Gateway>,
    tenant: &Tenant,
    route: Route,
    request: Request<Incoming>,
) -> Answer {
    let models = gateway.registry.snapshot();
    match route {
        Route::Server => gateway.server_metadata(),
        Route::Live => gateway.live(),
        Route::Ready => gateway.ready(),
        Route::Index => gateway.repository_index(request).await,
        Route::Model(model) => gateway.model_metadata(tenant, &models, &*model.find(&models)?),
        Route::ModelReady(model) => gateway.model_ready(&*model.find(&models)?),
        Route::Config(model) => gateway.config(&*model.find(&models)?, &request),
        Route::Approval(model) => gateway.approval(&*model.find(&models)?),
        Route::Infer(model) => {
            let model = model.find(&models)?;
            // A request in flight keeps its own model alive, not all of them.
            drop(models);
            gateway.infer(tenant, model, request).await
        }
        Route::Checkpoint => gateway.checkpoint(),
        Route::Tile(path) => gateway.tile(path).await,
        Route::Keys => gateway.list_keys(tenant),
        Route::Key(KeyAction::Put, id) => gateway.put_key(tenant, &id, request).await,
        Route::Key(KeyAction::Get, id) => gateway.key(tenant, &id),
        Route::Key(KeyAction::Delete, id) => gateway.delete_key(tenant, &id).await,
        Route::JointGet(path) => gateway.joint_get(tenant, path).await,
        Route::JointPut(path) => gateway.joint_put(tenant, path, request).await,
        Route::Load(name) => Arc::clone(gateway).load(tenant, name, request).await,
        Route::Unload(name) => Arc::clone(gateway).unload(tenant, name, request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_routes_and_nothing_else_does() {
        let get = |path| Route::find(&Method::GET, path);
        let model = |version: Option<&str>| Model { name: "m".into(), version: version.map(Into::into) };
        assert_eq!(get("/v2"), Ok(Route::Server));
        assert_eq!(get("/v2/models/m"), Ok(Route::Model(model(None))));
        assert_eq!(get("/v2/models/m/versions/2"), Ok(Route::Model(model(Some("2")))));
        assert_eq!(get("/v2/models/m/versions/2/config"), Ok(Route::Config(model(Some("2")))));
        assert_eq!(Route::find(&Method::POST, "/v2/models/m/infer"), Ok(Route::Infer(model(None))));
        assert_eq!(
            Route::find(&Method::POST, "/v2/repository/models/m/unload"),
            Ok(Route::Unload("m".into()))
        );
        assert_eq!(get("/tile/0/x001/234.p/7"), Ok(Route::Tile("tile/0/x001/234.p/7".into())));
        assert_eq!(get("/checkpoint"), Ok(Route::Checkpoint));
        assert_eq!(get("/v2/models/m/infer"), Err(ApiError::MethodNotAllowed { allowed: "POST" }));
        assert_eq!(Route::find(&Method::POST, "/v2"), Err(ApiError::MethodNotAllowed { allowed: "GET" }));
        assert_eq!(Route::find(&Method::HEAD, "/v2/health/ready"), Ok(Route::Ready));
        for path in ["", "/", "/v1", "/v2/", "/v2/models", "/v2/models/m/x", "/v2/models/m/versions", "//v2"]
        {
            assert_eq!(get(path), Err(ApiError::UnknownRoute), "{path}");
        }
    }
}
