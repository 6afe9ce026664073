//! Whose approval a clinic asks for before it sends anything to a model: k of n members of a council who have signed a version's
//! circuit card, weights and model card (WIRE.md, section 15).
//!
//! The gateway's own rule (`[governance]`) is the model owner's; this one is the clinic's, and takes no word of the gateway's for it.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tiresias_evidence::{Approval, Hash, ModelCard, NoteVerifier};

use crate::{Error, Model, cli::ApprovalArgs, evidence::read_keys};

/// The members of a council that a clinic trusts, and how many must have signed.
#[derive(Debug, Clone)]
pub(crate) struct Council {
    members: Vec<NoteVerifier>,
    required: usize,
}

/// What the gateway shows of an approval.
#[derive(Deserialize)]
struct Shown {
    approval: String,
    model_card: String,
}

impl Council {
    /// What the options name; `None` where they name no member.
    pub(crate) fn read(args: &ApprovalArgs) -> Result<Option<Self>, Error> {
        let mut members: Vec<NoteVerifier> = Vec::new();
        for named in &args.approver {
            for key in read_keys(named)? {
                // One that is named twice is still one.
                if !members.contains(&key) {
                    members.push(key);
                }
            }
        }
        if members.is_empty() {
            return Ok(None);
        }
        if members.iter().any(NoteVerifier::is_cosigner) {
            return Err(Error::Usage("--approver: a member's key, as `tiresias-gateway approve` prints it"));
        }
        let required = args.approvals.unwrap_or(members.len());
        if !(1..=members.len()).contains(&required) {
            return Err(Error::Usage("--approvals: from 1 to the number of named approvers"));
        }
        Ok(Some(Self { members, required }))
    }

    /// Checks what a gateway shows as the approval of a model, or that it shows none: the names of the members who signed.
    pub(crate) fn check(&self, model: &Model, shown: Option<&[u8]>) -> Result<Vec<&str>, Error> {
        let card = model.card();
        self.check_of((card.name(), card.version(), model.config().as_bytes()), shown)
    }

    fn check_of(&self, of: (&str, u32, &Hash), shown: Option<&[u8]>) -> Result<Vec<&str>, Error> {
        let refused = |why| Error::NotApproved { why, signed: 0, required: self.required };
        let shown = shown.ok_or_else(|| refused("the gateway shows no approval of it"))?;
        let shown: Shown =
            serde_json::from_slice(shown).map_err(|_| refused("what the gateway shows is no approval"))?;
        let (approval, signed) = Approval::open(&shown.approval, &self.members)
            .map_err(|_| refused("what the gateway shows is no approval"))?;
        if (approval.name.as_str(), approval.version, &approval.config) != of {
            return Err(refused("the approval that the gateway shows is of another circuit card"));
        }
        if approval.card[..] != Sha256::digest(&shown.model_card)[..]
            || ModelCard::parse(shown.model_card.as_bytes()).is_err()
        {
            return Err(refused("the model card that the gateway shows is not the one that was signed"));
        }
        if signed.len() < self.required {
            return Err(Error::NotApproved {
                why: "too few of the named approvers have signed it",
                signed: signed.len(),
                required: self.required,
            });
        }
        Ok(signed.into_iter().map(NoteVerifier::name).collect())
    }
}

#[cfg(test)]
mod tests {
    use tiresias_evidence::LogKey;

    use super::*;

    const CARD: &str =
        "owner = 'a'\nintended_use = 'b'\nlimits = ['c']\n[data]\nprovenance = 'd'\nlicence = 'e'\n";

    fn key(number: u8) -> LogKey {
        LogKey::from_seed(&format!("council.example/{number}"), &[number; 32]).unwrap()
    }

    fn approval(card: &str) -> Approval {
        let card = Sha256::digest(card).into();
        Approval { name: "chest".into(), version: 3, config: [1; 32], model: [2; 32], card }
    }

    fn shown(note: &str, card: &str) -> Vec<u8> {
        serde_json::to_vec(&serde_json::json!({"approval": note, "model_card": card})).unwrap()
    }

    #[test]
    fn only_the_approval_of_this_card_by_enough_members_counts() {
        let members = vec![key(1).verifier(), key(2).verifier(), key(3).verifier()];
        let council = Council { members, required: 2 };
        let of = ("chest", 3, &[1; 32]);
        let sign = |approval: &Approval, by: &[u8]| {
            let text = approval.text();
            let (first, rest) = by.split_first().unwrap();
            rest.iter().fold(key(*first).sign(&text), |note, &by| note + &key(by).signature_line(&text))
        };
        let good = shown(&sign(&approval(CARD), &[3, 1]), CARD);
        assert_eq!(council.check_of(of, Some(&good)).unwrap(), ["council.example/1", "council.example/3"]);

        let refused = |shown: Option<&[u8]>| match council.check_of(of, shown) {
            Err(Error::NotApproved { signed, required: 2, .. }) => signed,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(None), 0);
        assert_eq!(refused(Some(b"{}")), 0);
        assert_eq!(refused(Some(&shown("no note", CARD))), 0);
        assert_eq!(refused(Some(&shown(&sign(&approval(CARD), &[3, 9]), CARD))), 1, "a stranger's is none");
        assert_eq!(refused(Some(&shown(&sign(&approval(CARD), &[3, 3]), CARD))), 1, "twice is once");
        assert_eq!(
            refused(Some(&shown(&sign(&approval(CARD), &[3, 1]), &CARD.replace('c', "x")))),
            0,
            "another card"
        );
        assert_eq!(refused(Some(&shown(&sign(&approval("no card"), &[3, 1]), "no card"))), 0, "not a card");
        for other in [
            Approval { name: "head".into(), ..approval(CARD) },
            Approval { version: 4, ..approval(CARD) },
            Approval { config: [7; 32], ..approval(CARD) },
        ] {
            assert_eq!(refused(Some(&shown(&sign(&other, &[3, 1]), CARD))), 0, "of something else");
        }
    }
}
