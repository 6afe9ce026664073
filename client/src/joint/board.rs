//! What the clinics of a roster have sent, as the gateway shows it: every message is verified here.

use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tiresias_evidence::{
    Event, Hash, LogKey, Receipt,
    joint::{Message, Place, Roster, Signed, Step},
};
use tiresias_keys::joint::{JointKeyShare, JointShare, JointSubmission, Plan};

use super::{Error, state::Kept};
use crate::http::Connection;

/// Notes, and what sealing adds.
const NOTE: usize = 16 << 10;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The board, seen by one clinic of a roster.
pub(super) struct Board {
    connection: Connection,
    roster: Roster,
    own: usize,
    key: LogKey,
    ceremony: u32,
    patience: Duration,
}

/// How waiting ended.
pub(super) enum Waited {
    /// All messages are there, in the roster's order.
    All(Vec<Signed>),
    /// A clinic has submitted in a later round.
    LeftBehind,
}

impl Board {
    pub(super) fn new(
        connection: Connection,
        roster: Roster,
        key: LogKey,
        ceremony: u32,
        patience: Duration,
    ) -> Result<Self, Error> {
        let own = roster.place_of(&key.verifier()).ok_or(Error::NotInRoster)?;
        Ok(Self { connection, roster, own, key, ceremony, patience })
    }

    pub(super) fn roster(&self) -> &Roster {
        &self.roster
    }

    pub(super) fn own(&self) -> usize {
        self.own
    }

    /// The name of a clinic.
    pub(super) fn name(&self, clinic: usize) -> String {
        self.roster.clinics().get(clinic).map_or_else(String::new, |clinic| clinic.name().to_owned())
    }

    pub(super) fn place(&self, round: u32, step: Step) -> Place {
        Place { roster: self.roster.id(), ceremony: self.ceremony, round, step }
    }

    /// What this clinic would sign, without its payload.
    pub(super) fn draft(&self, round: u32, step: Step, before: Hash) -> Message {
        let place = self.place(round, step);
        Message { place, clinic: self.name(self.own), before, payload: [0; 32] }
    }

    /// Sends the message of a step that was sent before, as it was; else makes it, keeps it, and sends it. Errors where the one before rests on
    /// other messages.
    pub(super) async fn send(
        &mut self,
        kept: &Kept,
        draft: Message,
        payload: impl FnOnce() -> Result<Vec<u8>, crate::Error>,
    ) -> Result<Signed, crate::Error> {
        let Place { round, step, .. } = draft.place;
        let bytes = match kept.message(round, step)? {
            Some(bytes) => bytes,
            None => {
                let bytes = Signed::sign(&self.key, draft.clone(), &payload()?);
                kept.keep_message(round, step, &bytes)?;
                bytes
            }
        };
        let signed = Signed::open(&bytes, &self.roster, &draft.place, self.own)
            .map_err(|_| Error::Gateway("what this clinic has kept of its own messages was changed"))?;
        if signed.message.before != draft.before {
            return Err(match step {
                Step::Share => Error::SecondShare,
                _ => Error::Gateway("it shows other messages now than when this clinic sent its own"),
            }
            .into());
        }
        if let Some(receipt) = self.connection.put_joint(&draft.place, self.own, bytes).await? {
            kept.keep_receipt(round, step, &receipt)?;
            let text: Hash = Sha256::digest(signed.message.text()).into();
            let is_of_it = Receipt::parse(&receipt).is_ok_and(|receipt| {
                receipt.leaf.event == Event::JointMessage && receipt.leaf.request == Some(text)
            });
            if !is_of_it {
                return Err(Error::Gateway("its receipt is not of the message that was sent").into());
            }
        }
        Ok(signed)
    }

    /// Waits for the messages of all clinics. Each is signed, and rests on `before`.
    pub(super) async fn wait(
        &mut self,
        round: u32,
        step: Step,
        before: &Hash,
        limit: usize,
    ) -> Result<Waited, crate::Error> {
        let place = self.place(round, step);
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut found: Vec<Option<Signed>> = vec![None; self.roster.clinics().len()];
        loop {
            for (clinic, found) in found.iter_mut().enumerate() {
                if found.is_some() {
                    continue;
                }
                let Some(bytes) = self.connection.joint_message(&place, clinic, limit).await? else {
                    continue;
                };
                let signed = self.verify(&place, clinic, &bytes)?;
                if signed.message.before != *before {
                    let rule = match step {
                        Step::Submit => {
                            "it sums something else: another label, number of values or bound, or under another ceremony"
                        }
                        _ => {
                            "it rests on other messages than those shown here: it, or the gateway, shows clinics different ones"
                        }
                    };
                    return Err(Error::Cheat { clinic: self.name(clinic), step, rule }.into());
                }
                *found = Some(signed);
            }
            if found.iter().all(Option::is_some) {
                return Ok(Waited::All(found.into_iter().flatten().collect()));
            }
            if round > 0 && self.is_left_behind(round).await? {
                return Ok(Waited::LeftBehind);
            }
            if started.elapsed() >= self.patience {
                let missing = found.iter().enumerate().filter(|(_, found)| found.is_none());
                let clinics = missing.map(|(clinic, _)| self.name(clinic)).collect();
                return Err(Error::Missing { clinics, step }.into());
            }
            let stop = self.connection.stop().clone();
            stop.or(tokio::time::sleep(pause)).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The newest round that another clinic has submitted in, by what it has signed; `None` where it is none after `round`. A gateway that says more
    /// is not believed.
    pub(super) async fn newer_round(&mut self, round: u32) -> Result<Option<u32>, crate::Error> {
        let newest = self.connection.joint_newest(&self.roster.id(), self.ceremony).await?;
        if newest <= round {
            return Ok(None);
        }
        let place = self.place(newest, Step::Submit);
        let limit = NOTE + JointSubmission::encoded_len(16);
        for clinic in (0..self.roster.clinics().len()).filter(|clinic| *clinic != self.own) {
            if let Some(bytes) = self.connection.joint_message(&place, clinic, limit).await? {
                self.verify(&place, clinic, &bytes)?;
                return Ok(Some(newest));
            }
        }
        Ok(None)
    }

    async fn is_left_behind(&mut self, round: u32) -> Result<bool, crate::Error> {
        Ok(self.newer_round(round).await?.is_some())
    }

    /// The sum that the gateway made, behind the hashes of its list.
    pub(super) async fn gateways_sum(&mut self, round: u32, limit: usize) -> Result<Vec<u8>, crate::Error> {
        let place = self.place(round, Step::Submit);
        let found = self.connection.joint_sum(&place, limit).await?;
        found.ok_or_else(|| Error::Gateway("it has all submissions and does not add them").into())
    }

    fn verify(&self, place: &Place, clinic: usize, bytes: &[u8]) -> Result<Signed, Error> {
        let opened = Signed::open(bytes, &self.roster, place, clinic);
        opened.map_err(|_| Error::Gateway("it shows a message that its clinic has not signed for this place"))
    }
}

/// The most bytes of a message.
pub(super) fn limit(step: Step, plan: Option<&Plan>) -> usize {
    NOTE + match step {
        Step::Seed | Step::Commit | Step::Agree => 0,
        Step::Open => JointKeyShare::encoded_len(),
        Step::Submit => plan.map_or(0, |plan| JointSubmission::encoded_len(plan.blocks())),
        Step::Share => plan.map_or(0, JointShare::encoded_len),
    }
}
