//! What a peer is told when a request fails. One place maps each failure to its status, code and next step; the
//! same table for readers is `server/ERRORS.md`, and a test keeps the two together.

use hyper::StatusCode;
use serde::Serialize;

/// A failed request. Messages name the broken rule; no variant can hold request data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// No such path.
    #[error("no such route")]
    UnknownRoute,
    /// The path exists with another method.
    #[error("this route takes {allowed} alone")]
    MethodNotAllowed {
        /// The method that it takes.
        allowed: &'static str,
    },
    /// No such model.
    #[error("no such model")]
    UnknownModel,
    /// The model has no such version.
    #[error("the model has no such version")]
    UnknownVersion,
    /// A client certificate that the tenant list does not name.
    #[error("the client certificate's key is not among this gateway's tenants")]
    UnknownTenant,
    /// A certificate that was good when the connection was made.
    #[error("the client certificate is no longer accepted: it was revoked, or its authority replaced")]
    CertificateRevoked,
    /// A route of operators.
    #[error("only tenants that the configuration calls operators may do this")]
    NotOperator,
    /// A model that could not be loaded as it lies in the repository.
    #[error("the model could not be loaded, and what was served stays: the gateway's log says why")]
    LoadFailed,
    /// The body does not follow the Open Inference Protocol.
    #[error("malformed request: {0}")]
    MalformedRequest(&'static str),
    /// A tensor of another name, datatype or shape.
    #[error("wrong tensor: {0}")]
    WrongTensor(&'static str),
    /// An element that is no ciphertext of this model.
    #[error("malformed ciphertext: {0}")]
    MalformedCiphertext(#[from] tiresias_keys::Error),
    /// The request was encrypted for another card.
    #[error("the request was made for another circuit card: fetch the current one and encrypt again")]
    ConfigMismatch {
        /// The current card's id.
        config_id: String,
    },
    /// The request names a card that is no longer served.
    #[error("this circuit card is retired: fetch the current one and encrypt again")]
    ConfigRetired {
        /// Id and version of the model's newest served card.
        newest: Option<(String, u32)>,
    },
    /// More vectors in one request than this model takes.
    #[error("this model takes at most {limit} vectors in one request")]
    TooManyVectors {
        /// The limit.
        limit: usize,
    },
    /// More vectors in one request than the tenant's rate limit could ever let pass.
    #[error("your rate limit takes at most {burst} vectors at once")]
    OverBurst {
        /// The burst.
        burst: u64,
    },
    /// The tenant's budget for the model does not cover the request.
    #[error("{}", budget_words(*left))]
    BudgetSpent {
        /// Vectors left.
        left: u64,
    },
    /// The tenant asks faster than it may.
    #[error("your rate limit is reached: send the request again after the time in Retry-After")]
    RateLimited {
        /// Seconds until the request would pass.
        retry_after_s: u32,
    },
    /// The body is longer than any request for this model.
    #[error("the body is longer than this model's limit of {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// A compressed body.
    #[error("send the body without Content-Encoding: ciphertexts do not compress")]
    UnsupportedEncoding,
    /// The body ended early or the connection broke.
    #[error("the body ended before its declared length")]
    IncompleteBody,
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    BodyTimeout,
    /// The compute queue is full.
    #[error("the gateway is at its capacity: try again later")]
    QueueFull,
    /// An evaluation key that the tenant does not have, or no longer.
    #[error("this gateway has no such evaluation key of yours: upload it")]
    KeyUnknown,
    /// An evaluation key of other parameters than the model's.
    #[error("the model needs an evaluation key of {expected}: enroll one, and name it")]
    KeyParameters {
        /// The model's set.
        expected: &'static str,
    },
    /// The tenant has as many keys as it may.
    #[error("a tenant may have {limit} evaluation keys: delete one first")]
    KeyLimit {
        /// The limit.
        limit: usize,
    },
    /// A body that is no evaluation key.
    #[error("malformed evaluation key: {0}")]
    MalformedKey(tiresias_keys::Error),
    /// A key uploaded under another name than its own.
    #[error("the SHA-256 of the body is not the id in the path")]
    WrongKeyId,
    /// A body longer than any key.
    #[error("no evaluation key is longer than {limit} bytes")]
    KeyTooLarge {
        /// The longest.
        limit: usize,
    },
    /// A body of unknown length where the length must be known.
    #[error("send the body with a Content-Length")]
    LengthRequired,
    /// The disk failed, or is full.
    #[error("the gateway could not store or read an evaluation key: try again later")]
    Storage,
    /// The transparency log could not be written.
    #[error("the transparency log could not be written, so there is no answer: try again later")]
    LogUnavailable,
    /// A tile that the log does not have, or a log that is not kept.
    #[error("the transparency log has no such file")]
    UnknownTile,
    /// A model without an approval.
    #[error("no one has approved this version of the model: there is no model card to show")]
    NoApproval,
    /// No such roster, or no such message yet.
    #[error("there is no such roster here, or no such message yet")]
    JointUnknown,
    /// Another message for a place that is taken.
    #[error("this clinic has sent another message for this step: nothing is sent twice")]
    JointConflict,
    /// No room for messages.
    #[error("messages of joint sums take all the room that they may")]
    JointFull,
    /// A message that is none.
    #[error("malformed message of a joint sum: {0}")]
    MalformedMessage(&'static str),
    /// A tenant that does not take part.
    #[error("this tenant is no clinic of the roster, or not the one whose message this is")]
    NotInRoster,
    /// The gateway's own fault.
    #[error("internal error")]
    Internal,
}

/// How a client reacts to a failure.
pub(crate) struct Rule {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) action: &'static str,
    pub(crate) retryable: bool,
    pub(crate) retry_after_s: Option<u32>,
}

impl ApiError {
    pub(crate) fn rule(&self) -> Rule {
        let rule =
            |status, code, action| Rule { status, code, action, retryable: false, retry_after_s: None };
        match self {
            Self::UnknownRoute => rule(StatusCode::NOT_FOUND, "unknown_route", "fix_request"),
            Self::MethodNotAllowed { .. } => {
                rule(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "fix_request")
            }
            Self::UnknownModel => rule(StatusCode::NOT_FOUND, "unknown_model", "list_models"),
            Self::UnknownVersion => rule(StatusCode::NOT_FOUND, "unknown_version", "list_models"),
            Self::UnknownTenant => rule(StatusCode::FORBIDDEN, "unknown_tenant", "ask_operator"),
            Self::CertificateRevoked => rule(StatusCode::FORBIDDEN, "certificate_revoked", "ask_operator"),
            Self::NotOperator => rule(StatusCode::FORBIDDEN, "not_operator", "ask_operator"),
            Self::LoadFailed => rule(StatusCode::UNPROCESSABLE_ENTITY, "load_failed", "fix_model"),
            Self::MalformedRequest(_) => {
                rule(StatusCode::UNPROCESSABLE_ENTITY, "malformed_request", "fix_request")
            }
            Self::WrongTensor(_) => rule(StatusCode::UNPROCESSABLE_ENTITY, "wrong_tensor", "fix_request"),
            Self::MalformedCiphertext(_) => {
                rule(StatusCode::UNPROCESSABLE_ENTITY, "malformed_ciphertext", "encrypt_again")
            }
            Self::ConfigMismatch { .. } => rule(StatusCode::CONFLICT, "config_mismatch", "fetch_config"),
            Self::ConfigRetired { .. } => rule(StatusCode::GONE, "config_retired", "fetch_config"),
            Self::TooManyVectors { .. } => {
                rule(StatusCode::UNPROCESSABLE_ENTITY, "too_many_vectors", "send_fewer_vectors")
            }
            Self::OverBurst { .. } => {
                rule(StatusCode::UNPROCESSABLE_ENTITY, "over_burst", "send_fewer_vectors")
            }
            Self::BudgetSpent { .. } => rule(StatusCode::FORBIDDEN, "budget_spent", "ask_model_owner"),
            Self::RateLimited { retry_after_s } => Rule {
                retryable: true,
                retry_after_s: Some(*retry_after_s),
                ..rule(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "retry_later")
            },
            Self::TooLarge { .. } => rule(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "send_fewer_vectors"),
            Self::UnsupportedEncoding => {
                rule(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", "fix_request")
            }
            Self::IncompleteBody => rule(StatusCode::BAD_REQUEST, "incomplete_body", "fix_request"),
            Self::BodyTimeout => {
                Rule { retryable: true, ..rule(StatusCode::REQUEST_TIMEOUT, "body_timeout", "retry_later") }
            }
            Self::QueueFull => Rule {
                retryable: true,
                retry_after_s: Some(1),
                ..rule(StatusCode::TOO_MANY_REQUESTS, "queue_full", "retry_later")
            },
            Self::KeyUnknown => rule(StatusCode::NOT_FOUND, "key_unknown", "upload_key"),
            Self::KeyParameters { .. } => rule(StatusCode::CONFLICT, "key_parameters", "enroll"),
            Self::KeyLimit { .. } => rule(StatusCode::CONFLICT, "key_limit", "delete_key"),
            Self::MalformedKey(_) => rule(StatusCode::UNPROCESSABLE_ENTITY, "malformed_key", "fix_request"),
            Self::WrongKeyId => rule(StatusCode::UNPROCESSABLE_ENTITY, "wrong_key_id", "fix_request"),
            Self::KeyTooLarge { .. } => rule(StatusCode::PAYLOAD_TOO_LARGE, "key_too_large", "fix_request"),
            Self::LengthRequired => rule(StatusCode::LENGTH_REQUIRED, "length_required", "fix_request"),
            Self::Storage => Rule {
                retryable: true,
                retry_after_s: Some(60),
                ..rule(StatusCode::INSUFFICIENT_STORAGE, "storage_failed", "retry_later")
            },
            Self::LogUnavailable => Rule {
                retryable: true,
                retry_after_s: Some(5),
                ..rule(StatusCode::SERVICE_UNAVAILABLE, "log_unavailable", "retry_later")
            },
            Self::UnknownTile => rule(StatusCode::NOT_FOUND, "unknown_tile", "fix_request"),
            Self::JointUnknown => rule(StatusCode::NOT_FOUND, "joint_unknown", "retry_later"),
            Self::JointConflict => rule(StatusCode::CONFLICT, "joint_conflict", "ask_clinics"),
            Self::JointFull => rule(StatusCode::INSUFFICIENT_STORAGE, "joint_full", "ask_operator"),
            Self::MalformedMessage(_) => {
                rule(StatusCode::UNPROCESSABLE_ENTITY, "malformed_message", "fix_request")
            }
            Self::NotInRoster => rule(StatusCode::FORBIDDEN, "not_in_roster", "ask_operator"),
            Self::NoApproval => rule(StatusCode::NOT_FOUND, "no_approval", "fix_request"),
            Self::Internal => rule(StatusCode::INTERNAL_SERVER_ERROR, "internal", "ask_operator"),
        }
    }

    /// The JSON body.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'a> {
            error: String,
            code: &'a str,
            action: &'a str,
            retryable: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            config_id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            version: Option<String>,
        }
        let rule = self.rule();
        let (config_id, version) = match self {
            Self::ConfigMismatch { config_id } => (Some(config_id.as_str()), None),
            Self::ConfigRetired { newest: Some((config_id, version)) } => {
                (Some(config_id.as_str()), Some(version.to_string()))
            }
            _ => (None, None),
        };
        let body = Body {
            error: self.to_string(),
            code: rule.code,
            action: rule.action,
            retryable: rule.retryable,
            config_id,
            version,
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

fn budget_words(left: u64) -> String {
    match left {
        0 => "the budget of score vectors for this model is spent".to_owned(),
        left => {
            format!("the budget for this model has {left} score vectors left, fewer than the request has")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_for_readers_has_every_code_with_its_status_and_action() {
        let table = include_str!("../ERRORS.md");
        let all = [
            ApiError::UnknownRoute,
            ApiError::MethodNotAllowed { allowed: "" },
            ApiError::UnknownModel,
            ApiError::UnknownVersion,
            ApiError::UnknownTenant,
            ApiError::CertificateRevoked,
            ApiError::NotOperator,
            ApiError::LoadFailed,
            ApiError::MalformedRequest(""),
            ApiError::WrongTensor(""),
            ApiError::MalformedCiphertext(tiresias_keys::Error::Digest),
            ApiError::ConfigMismatch { config_id: String::new() },
            ApiError::ConfigRetired { newest: None },
            ApiError::TooManyVectors { limit: 0 },
            ApiError::OverBurst { burst: 0 },
            ApiError::BudgetSpent { left: 0 },
            ApiError::RateLimited { retry_after_s: 1 },
            ApiError::TooLarge { limit: 0 },
            ApiError::UnsupportedEncoding,
            ApiError::IncompleteBody,
            ApiError::BodyTimeout,
            ApiError::QueueFull,
            ApiError::KeyUnknown,
            ApiError::KeyParameters { expected: "" },
            ApiError::KeyLimit { limit: 0 },
            ApiError::MalformedKey(tiresias_keys::Error::Digest),
            ApiError::WrongKeyId,
            ApiError::KeyTooLarge { limit: 0 },
            ApiError::LengthRequired,
            ApiError::Storage,
            ApiError::LogUnavailable,
            ApiError::UnknownTile,
            ApiError::JointUnknown,
            ApiError::JointConflict,
            ApiError::JointFull,
            ApiError::MalformedMessage(""),
            ApiError::NotInRoster,
            ApiError::NoApproval,
            ApiError::Internal,
        ];
        for error in &all {
            let rule = error.rule();
            let row = format!("| `{}` | {} | `{}` | ", rule.code, rule.status.as_u16(), rule.action);
            assert!(table.contains(&row), "ERRORS.md lacks the row {row}");
        }
        assert_eq!(table.lines().filter(|line| line.starts_with("| `")).count(), all.len());
    }
}
