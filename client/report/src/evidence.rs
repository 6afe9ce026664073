//! What the answer's receipt says, and what became of its check. A report repeats it and checks nothing itself.

/// A checked receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What became of the check.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub reason: String,
    /// The log's name.
    pub log: String,
    /// The answer's place in the log, from 0; `None` where the receipt could not be read.
    pub leaf_index: Option<u64>,
    /// When the answer was logged, as coarsely as the log says, in words.
    pub logged_at: Option<String>,
    /// The circuit card that the receipt names.
    pub config_id: String,
}

/// What became of a receipt's check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The log has the answer, and witnesses have seen this log.
    Verified,
    /// The log has the answer, but nobody else vouches that it shows everyone the same.
    Unwitnessed,
    /// The receipt is not of this answer, or does not hold.
    Invalid,
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Verified => "VERIFIED",
            Self::Unwitnessed => "UNWITNESSED",
            Self::Invalid => "INVALID",
        }
    }
}

impl Evidence {
    /// Names and values, for a list.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![("Log", self.log.clone())];
        facts.extend(self.leaf_index.map(|index| ("Place in the log", index.to_string())));
        facts.extend(self.logged_at.clone().map(|moment| ("Logged", moment)));
        facts.push(("Circuit card of the receipt", self.config_id.clone()));
        facts.retain(|(_, value)| !value.is_empty());
        facts
    }

    /// All of it as one text.
    #[must_use]
    pub fn text(&self) -> String {
        let facts = self.facts();
        let facts = facts.iter().map(|(name, value)| format!("; {}: {value}", name.to_lowercase()));
        format!("Receipt {}: {}{}", self.verdict.name(), self.reason, facts.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_the_verdict_first_and_leave_out_what_is_not_known() {
        let evidence = Evidence {
            verdict: Verdict::Unwitnessed,
            reason: "no witness has signed".into(),
            log: "gateway.example/log".into(),
            leaf_index: Some(41),
            logged_at: Some("2026-11-24 12:30 UTC, within 10 minutes".into()),
            config_id: "ab12".into(),
        };
        assert_eq!(
            evidence.text(),
            "Receipt UNWITNESSED: no witness has signed; log: gateway.example/log; place in the log: 41; logged: \
             2026-11-24 12:30 UTC, within 10 minutes; circuit card of the receipt: ab12"
        );
        let invalid = Evidence {
            verdict: Verdict::Invalid,
            reason: "it is of another answer".into(),
            leaf_index: None,
            logged_at: None,
            config_id: String::new(),
            ..evidence
        };
        assert_eq!(invalid.text(), "Receipt INVALID: it is of another answer; log: gateway.example/log");
        assert_eq!(Verdict::Verified.name(), "VERIFIED");
    }
}
