//! Model cards: what a model is for, what it was trained on, what it cannot do, and how well it did, as a TOML text that a
//! council approves and clinics read.
//!
//! ```toml
//! owner = "Example Hospital"
//! intended_use = "Second reader of chest X-rays of adults."
//! limits = ["Not for children.", "Trained on two scanners."]
//!
//! [data]
//! provenance = "12,000 studies of three hospitals, 2019 to 2023"
//! licence = "CC BY 4.0"
//!
//! [[metrics]]
//! name = "sensitivity"
//! value = 0.97
//! subgroup = "women"   # where it is of one
//! samples = 812        # of how many
//! ```

use serde::Deserialize;

use crate::Error;

/// The largest model card that is read.
pub const MAXIMUM_MODEL_CARD_BYTES: usize = 64 << 10;

const fn malformed(rule: &'static str) -> Error {
    Error::Malformed { what: "model card", rule }
}

/// A checked model card.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    owner: String,
    intended_use: String,
    limits: Vec<String>,
    data: Data,
    #[serde(default)]
    metrics: Vec<Metric>,
}

/// What a model was trained on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Where the data came from.
    pub provenance: String,
    /// Under which licence or permission.
    pub licence: String,
}

/// How well a model did.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Of what.
    pub name: String,
    /// How much.
    pub value: f64,
    /// For whom; of everyone where there is none.
    pub subgroup: Option<String>,
    /// On how many samples.
    pub samples: Option<u64>,
}

impl ModelCard {
    /// Reads a card. Owner, use, limits, provenance and licence must be stated.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAXIMUM_MODEL_CARD_BYTES {
            return Err(malformed("at most 64 KiB"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("UTF-8 text"))?;
        let card: Self = toml::from_str(text).map_err(|_| {
            malformed("TOML with owner, intended_use, limits, [data] provenance and licence, and [[metrics]]")
        })?;
        let stated = [&card.owner, &card.intended_use, &card.data.provenance, &card.data.licence];
        if stated.into_iter().chain(&card.limits).any(|text| text.trim().is_empty()) || card.limits.is_empty()
        {
            return Err(malformed(
                "owner, intended use, one limit or more, provenance and licence say something",
            ));
        }
        if card.metrics.iter().any(|metric| metric.name.trim().is_empty() || !metric.value.is_finite()) {
            return Err(malformed("a metric has a name and a finite value"));
        }
        Ok(card)
    }

    /// Who answers for the model.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// What it is for.
    #[must_use]
    pub fn intended_use(&self) -> &str {
        &self.intended_use
    }

    /// What it is not for, and cannot do.
    #[must_use]
    pub fn limits(&self) -> &[String] {
        &self.limits
    }

    /// What it was trained on.
    #[must_use]
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// How well it did.
    #[must_use]
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = "owner = 'a'\nintended_use = 'b'\nlimits = ['c']\n[data]\nprovenance = 'd'\nlicence = 'e'\n\
                        [[metrics]]\nname = 'f'\nvalue = 0.5\nsubgroup = 'g'\nsamples = 9\n";

    #[test]
    fn whole_cards_are_read_and_others_refused() {
        let card = ModelCard::parse(CARD.as_bytes()).unwrap();
        assert_eq!(
            (card.owner(), card.limits(), card.data().licence.as_str()),
            ("a", ["c".to_owned()].as_slice(), "e")
        );
        assert_eq!((card.metrics()[0].value, card.metrics()[0].samples), (0.5, Some(9)));
        let long = format!("{CARD}# {}", " ".repeat(MAXIMUM_MODEL_CARD_BYTES));
        for bad in [
            "",
            "owner = 'a'",
            &CARD.replace("['c']", "[]"),
            &CARD.replace("'b'", "' '"),
            &CARD.replace("'e'", "''"),
            &CARD.replace("0.5", "nan"),
            &CARD.replace("owner", "other"),
            &long,
        ] {
            assert!(ModelCard::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(ModelCard::parse(&[0xff]).is_err());
    }
}
