//! The people whom a clinic trusts to approve models: a version is asked only where enough of them have signed its model card,
//! and the card that the gateway serves is the one that they signed for.
//!
//! What is checked is the gateway's own word, `.../approval`, against keys that the clinic had from the members themselves. The
//! weights stand in the approval as a salted digest, which a client cannot compare: that they are the approved ones is for the
//! gateway's load and for replay.

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tiresias_evidence::{Approval, ModelCard, NoteVerifier};

use crate::{Error, Model, cli::ApproverArgs, evidence::trust::read_keys};

/// Keys, and how many of them must have signed.
#[derive(Debug, Clone)]
pub struct Approvers {
    keys: Vec<NoteVerifier>,
    required: usize,
}

/// What a gateway shows of a version's approval.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Shown {
    /// The signed note.
    pub approval: String,
    /// The model card that it speaks of.
    pub model_card: String,
}

/// A version that enough approvers have signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Approved {
    /// The named approvers who have signed.
    pub by: Vec<String>,
    /// How many of them the clinic asks for.
    pub required: usize,
    /// Who answers for the model, as the model card says.
    pub owner: String,
    /// SHA-256 of the model card.
    pub model_card: String,
}

impl Approvers {
    /// What the options name; `None` where they name nobody.
    pub fn read(args: &ApproverArgs) -> Result<Option<Self>, Error> {
        if args.approver.is_empty() {
            return Ok(None);
        }
        let mut keys: Vec<NoteVerifier> = Vec::new();
        for named in &args.approver {
            for key in read_keys(named)? {
                // One that is named twice, or under two names, is still one.
                if !keys.iter().any(|known| known.has_key_of(&key)) {
                    keys.push(key);
                }
            }
        }
        if keys.iter().any(NoteVerifier::is_cosigner) {
            return Err(Error::Usage(
                "--approver: an approver's key, not that of a witness, which cosigns logs",
            ));
        }
        let required = args.approvals.unwrap_or(keys.len());
        if !(1..=keys.len()).contains(&required) {
            return Err(Error::Usage(
                "--approvals: from 1 to the number of different approvers that are named",
            ));
        }
        Ok(Some(Self { keys, required }))
    }

    /// Checks what a gateway shows of the version that it serves under this card.
    pub fn check(&self, shown: Option<&Shown>, model: &Model) -> Result<Approved, Error> {
        let shown = shown.ok_or(Error::NotApproved("the gateway shows no approval of this version"))?;
        let (approval, signed) = Approval::open(&shown.approval, &self.keys).map_err(|_| {
            Error::NotApproved("what the gateway shows is no approval in the form of WIRE.md, section 15")
        })?;
        let card = model.card();
        if (approval.name.as_str(), approval.version) != (card.name(), card.version()) {
            return Err(Error::NotApproved("the approval is of another model or version"));
        }
        if approval.config != *model.config().as_bytes() {
            return Err(Error::NotApproved(
                "the approval is of another circuit card than the gateway serves",
            ));
        }
        let digest: [u8; 32] = Sha256::digest(&shown.model_card).into();
        if approval.card != digest {
            return Err(Error::NotApproved("the approval is of another model card than the gateway shows"));
        }
        let owner = ModelCard::parse(shown.model_card.as_bytes())
            .map_err(|_| Error::NotApproved("the model card is not in the form of WIRE.md, section 15"))?
            .owner()
            .to_owned();
        if signed.len() < self.required {
            return Err(Error::TooFewApprovals { signed: signed.len(), required: self.required });
        }
        let by = signed.iter().map(|key| key.name().to_owned()).collect();
        Ok(Approved { by, required: self.required, owner, model_card: hex::encode(digest) })
    }
}

impl Approved {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{}; this clinic asks for {}", self.by.join(", "), self.required)
    }
}
