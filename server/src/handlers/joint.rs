//! Joint sums: messages of clinics to each other, and sums of their submissions.

use std::sync::Arc;

use hyper::{Request, StatusCode, body::Incoming};
use serde_json::json;
use tiresias_evidence::{
    Hash,
    joint::{Place, Roster, Step},
};

use super::{Answer, answer, respond, respond_json};
use crate::{body, error::ApiError, gateway::Gateway, joint::Board, tenants::Tenant};

/// What is asked of the board, by the segments of the path behind `/v2/joint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JointPath {
    /// `ROSTER[/CEREMONY]`: the newest ceremony, or round.
    Newest(Hash, Option<u32>),
    /// `ROSTER/CEREMONY/ROUND/sum`
    Sum(Place),
    /// `ROSTER/CEREMONY/ROUND/STEP/CLINIC`
    Message(Place, usize),
}

impl JointPath {
    /// Reads a path. Numbers and hashes have one form each.
    pub(crate) fn find(segments: &[&str]) -> Option<Self> {
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| number.to_string() == text);
        let roster = |text: &str| {
            let mut hash = [0; 32];
            hex::decode_to_slice(text, &mut hash).ok().filter(|()| hex::encode(hash) == text)?;
            Some(hash)
        };
        let place = |id: &str, ceremony: &str, round: &str, step| {
            let (roster, ceremony, round) = (roster(id)?, number(ceremony)?, number(round)?);
            Some(Place { roster, ceremony, round, step }).filter(Place::exists)
        };
        match *segments {
            [id] => Some(Self::Newest(roster(id)?, None)),
            [id, ceremony] => Some(Self::Newest(roster(id)?, Some(number(ceremony)?))),
            [id, ceremony, round, "sum"] => Some(Self::Sum(place(id, ceremony, round, Step::Submit)?)),
            [id, ceremony, round, step, clinic] => {
                Some(Self::Message(place(id, ceremony, round, Step::of(step)?)?, number(clinic)? as usize))
            }
            _ => None,
        }
    }
}

impl Gateway {
    fn board(&self) -> Result<Arc<Board>, ApiError> {
        self.joint.clone().ok_or(ApiError::UnknownRoute)
    }

    /// What the board has at a path.
    pub(crate) async fn joint_get(&self, tenant: &Tenant, path: JointPath) -> Answer {
        let board = self.board()?;
        let id = match &path {
            JointPath::Newest(roster, _) => *roster,
            JointPath::Sum(place) | JointPath::Message(place, _) => place.roster,
        };
        admit(tenant, board.roster(&id)?, None)?;
        let found = tokio::task::spawn_blocking(move || match path {
            JointPath::Newest(roster, ceremony) => board.newest(&roster, ceremony).map(Found::Newest),
            JointPath::Sum(place) => board.sum(&place).map(Found::Bytes),
            JointPath::Message(place, clinic) => board.get(&place, clinic).map(Found::Bytes),
        });
        match found.await.map_err(|_| ApiError::Internal)?? {
            Found::Newest(number) => answer(&json!({ "newest": number })),
            Found::Bytes(bytes) => Ok(respond(StatusCode::OK, "application/octet-stream", bytes.into())),
        }
    }

    /// Takes a message, and gives its receipt where a log is kept.
    pub(crate) async fn joint_put(
        &self,
        tenant: &Tenant,
        path: JointPath,
        request: Request<Incoming>,
    ) -> Answer {
        let board = self.board()?;
        let JointPath::Message(place, clinic) = path else {
            return Err(ApiError::MethodNotAllowed { allowed: "GET" });
        };
        admit(tenant, board.roster(&place.roster)?, Some(clinic))?;
        let limit = board.limit(place.step);
        let _room = self.memory.take(&tenant.id, body::declared(&request).min(limit))?;
        let bytes = body::read(request, limit, self.settings.load().limits.body_timeout).await?;
        let taken = tokio::task::spawn_blocking(move || board.put(&place, clinic, &bytes));
        let taken = taken.await.map_err(|_| ApiError::Internal)??;
        let mut form = json!({ "message": hex::encode(taken.message) });
        if let Some(log) = &self.log {
            if let Some(list) = &taken.list {
                log.append_done(log.facts().joint_list(list)).await?;
            }
            let receipt = log.append_done(log.facts().joint_message(taken.message)).await?;
            form["receipt"] = receipt.to_text().into();
        }
        let status = if taken.is_new { StatusCode::CREATED } else { StatusCode::OK };
        Ok(respond_json(status, &form))
    }
}

enum Found {
    Newest(u32),
    Bytes(Vec<u8>),
}

/// With a list of tenants, those of the roster alone, by name, and each writes for itself. Without one, messages are still what their clinics
/// signed.
fn admit(tenant: &Tenant, roster: &Roster, writes: Option<usize>) -> Result<(), ApiError> {
    let Some(name) = tenant.id.as_str().strip_prefix("name:") else { return Ok(()) };
    let place = roster.clinics().iter().position(|clinic| clinic.name() == name);
    let place = place.ok_or(ApiError::NotInRoster)?;
    if writes.is_none_or(|clinic| clinic == place) { Ok(()) } else { Err(ApiError::NotInRoster) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_form() {
        let id = hex::encode([7; 32]);
        let find = |path: &str| JointPath::find(&path.split('/').collect::<Vec<_>>());
        let place = |round, step| Place { roster: [7; 32], ceremony: 1, round, step };
        assert_eq!(find(&id), Some(JointPath::Newest([7; 32], None)));
        assert_eq!(find(&format!("{id}/1")), Some(JointPath::Newest([7; 32], Some(1))));
        assert_eq!(find(&format!("{id}/1/2/sum")), Some(JointPath::Sum(place(2, Step::Submit))));
        let message = JointPath::Message(place(0, Step::Open), 2);
        assert_eq!(find(&format!("{id}/1/0/open/2")), Some(message));
        for bad in [
            "1/0/open",
            "1/1/open/2",
            "1/0/submit/2",
            "1/0/sum",
            "01/0/open/2",
            "1/0/open/+2",
            "1/0/opens/2",
            "1/0/open/2/3",
            "..",
            "1/4294967296/submit/0",
        ] {
            assert_eq!(find(&format!("{id}/{bad}")), None, "{bad}");
        }
        assert_eq!(
            find(&id.to_uppercase()),
            Some(JointPath::Newest([7; 32], None)).filter(|_| id == id.to_uppercase())
        );
    }
}
