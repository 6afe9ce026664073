//! What this client sent and received, and so what the leaf of a receipt must say.

use tiresias_evidence::{
    Event, Hash, Leaf, commitment,
    leaf::{COARSE_SECONDS, coarse},
};
use tiresias_keys::{Digest, KeyId};

use super::Fault;
use crate::{Model, clock::seconds, oip::Answer};

/// How far a gateway's clock may be from ours, in seconds, besides the rounding of its times down to multiples of ten minutes.
pub const CLOCK_SKEW: u64 = 300;

/// What a leaf is about: an absent line must be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// The circuit card's id.
    pub config: Option<Hash>,
    /// The evaluation key's id.
    pub key: Option<Hash>,
}

/// What a leaf must say, as far as that is known. What is `None` is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// What happened.
    pub event: Option<Event>,
    /// The hash of the request's elements.
    pub request: Option<Hash>,
    /// The hash of the response's elements.
    pub response: Option<Hash>,
    /// Which card and which key.
    pub subject: Option<Subject>,
    /// When the request was sent, in seconds since 1970.
    pub sent: Option<u64>,
    /// When its answer was there already.
    pub received: u64,
}

impl Expected {
    /// The first rule that a leaf breaks.
    pub fn check(&self, leaf: &Leaf) -> Result<(), Fault> {
        let rule = |holds: bool, fault: Fault| if holds { Ok(()) } else { Err(fault) };
        rule(self.event.is_none_or(|event| event == leaf.event), Fault::Event)?;
        if leaf.event == Event::Answer {
            let lines = [leaf.request, leaf.response, leaf.model, leaf.config, leaf.randomness];
            rule(lines.iter().all(Option::is_some), Fault::Incomplete)?;
        }
        rule(self.request.is_none_or(|hash| leaf.request == Some(hash)), Fault::Request)?;
        rule(self.response.is_none_or(|hash| leaf.response == Some(hash)), Fault::Response)?;
        if let Some(subject) = &self.subject {
            rule(subject.config == leaf.config, Fault::Config)?;
            rule(subject.key == leaf.key, Fault::Key)?;
        }
        rule(leaf.time <= self.received.saturating_add(CLOCK_SKEW), Fault::Future)?;
        let earliest = self.sent.map_or(0, |sent| coarse(sent.saturating_sub(CLOCK_SKEW)));
        rule(leaf.time >= earliest && leaf.time.is_multiple_of(COARSE_SECONDS), Fault::Time)
    }
}

/// A request, its answer, and the receipt that came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The receipt's text, unread.
    pub receipt: Option<String>,
    /// What its leaf must say.
    pub expected: Expected,
}

impl Exchange {
    /// Of a request for inference, by the digests of its elements, under the evaluation key that it names. It was sent at
    /// `sent`, and its answer came just now.
    #[must_use]
    pub fn of_answer(
        model: &Model,
        key: Option<&KeyId>,
        digests: &[Digest],
        answer: &Answer,
        sent: Option<u64>,
    ) -> Self {
        let response: Option<Vec<Hash>> =
            answer.elements.iter().map(|element| commitment::digest(element)).collect();
        let key = key.filter(|_| model.needs_enrolment()).map(|key| *key.as_bytes());
        let expected = Expected {
            event: Some(Event::Answer),
            request: Some(commitment::elements(digests.iter().map(Digest::as_bytes))),
            // Elements without digests are refused anyway, and nothing commits to them.
            response: Some(commitment::elements(&response.unwrap_or_default())),
            subject: Some(Subject { config: Some(*model.config().as_bytes()), key }),
            sent,
            received: seconds(),
        };
        Self { receipt: answer.receipt.clone(), expected }
    }

    /// Of the upload or the removal of an evaluation key.
    #[must_use]
    pub fn of_key(event: Event, key: &KeyId, receipt: Option<String>, sent: u64) -> Self {
        let expected = Expected {
            event: Some(event),
            subject: Some(Subject { config: None, key: Some(*key.as_bytes()) }),
            sent: Some(sent),
            received: seconds(),
            ..Expected::default()
        };
        Self { receipt, expected }
    }

    /// The name that is kept of it: the request's hash.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.expected.request.map(hex::encode)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn leaf() -> Leaf {
        Leaf {
            event: Event::Answer,
            request: Some([1; 32]),
            response: Some([2; 32]),
            model: Some([3; 32]),
            config: Some([4; 32]),
            key: None,
            build: [5; 32],
            randomness: Some([6; 32]),
            approval: None,
            time: 1_763_923_200,
        }
    }

    fn expected() -> Expected {
        Expected {
            event: Some(Event::Answer),
            request: Some([1; 32]),
            response: Some([2; 32]),
            subject: Some(Subject { config: Some([4; 32]), key: None }),
            sent: Some(1_763_923_456),
            received: 1_763_923_457,
        }
    }

    #[test]
    fn a_leaf_must_say_what_was_sent_and_received() {
        assert_eq!(expected().check(&leaf()), Ok(()));
        assert_eq!(Expected { received: u64::MAX, ..Expected::default() }.check(&leaf()), Ok(()));
        for (leaf, fault) in [
            (Leaf { event: Event::KeyUploaded, ..leaf() }, Fault::Event),
            (Leaf { request: Some([9; 32]), ..leaf() }, Fault::Request),
            (Leaf { response: Some([9; 32]), ..leaf() }, Fault::Response),
            (Leaf { config: Some([9; 32]), ..leaf() }, Fault::Config),
            (Leaf { key: Some([9; 32]), ..leaf() }, Fault::Key),
            (Leaf { request: None, ..leaf() }, Fault::Incomplete),
            (Leaf { randomness: None, ..leaf() }, Fault::Incomplete),
            (Leaf { model: None, ..leaf() }, Fault::Incomplete),
            (Leaf { time: leaf().time + 1, ..leaf() }, Fault::Time),
        ] {
            assert_eq!(expected().check(&leaf), Err(fault), "{leaf:?}");
        }
        // Of a model without an evaluation key, a leaf has none; of one that has, it has that one.
        let enrolled = Some(Subject { config: Some([4; 32]), key: Some([7; 32]) });
        let enrolled = Expected { subject: enrolled, ..expected() };
        assert_eq!(enrolled.check(&leaf()), Err(Fault::Key));
        assert_eq!(enrolled.check(&Leaf { key: Some([7; 32]), ..leaf() }), Ok(()));
    }

    #[test]
    fn times_may_differ_by_the_rounding_and_five_minutes() {
        let at = |time: u64| Leaf { time, ..leaf() };
        // Sent at 256 s into the ten minutes of the leaf: a clock that is five minutes slow is in those before.
        for (time, verdict) in [
            (1_763_923_200, Ok(())),
            (1_763_922_600, Ok(())),
            (1_763_922_000, Err(Fault::Time)),
            (1_763_923_800, Err(Fault::Future)),
            (0, Err(Fault::Time)),
            (u64::MAX, Err(Fault::Future)),
        ] {
            assert_eq!(expected().check(&at(time)), verdict, "{time}");
        }
        // 100 s before the next ten minutes, a clock that is five minutes fast is in them.
        let late = Expected { sent: Some(1_763_923_700), received: 1_763_923_700, ..expected() };
        assert_eq!(late.check(&at(1_763_923_800)), Ok(()));
        assert_eq!(late.check(&at(1_763_922_600)), Err(Fault::Time));
        // Where no one knows when the request was sent, a leaf may be as old as it likes.
        let unsent = Expected { sent: None, ..expected() };
        assert_eq!(unsent.check(&at(0)), Ok(()));
        assert_eq!(unsent.check(&at(1_763_924_400)), Err(Fault::Future));
    }

    #[test]
    fn leaves_of_keys_have_a_key_and_no_card() {
        let id = KeyId::from_bytes([7; 32]);
        let exchange = Exchange::of_key(Event::KeyUploaded, &id, None, seconds());
        let none =
            Leaf { request: None, response: None, model: None, config: None, randomness: None, ..leaf() };
        let of_key = Leaf { event: Event::KeyUploaded, key: Some([7; 32]), time: coarse(seconds()), ..none };
        assert_eq!(exchange.expected.check(&of_key), Ok(()));
        for (leaf, fault) in [
            (Leaf { event: Event::KeyRemoved, ..of_key.clone() }, Fault::Event),
            (Leaf { key: Some([8; 32]), ..of_key.clone() }, Fault::Key),
            (Leaf { key: None, ..of_key.clone() }, Fault::Key),
            (Leaf { config: Some([8; 32]), ..of_key.clone() }, Fault::Config),
        ] {
            assert_eq!(exchange.expected.check(&leaf), Err(fault));
        }
        assert_eq!(exchange.name(), None);
    }
}
