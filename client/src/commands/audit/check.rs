//! What one part of an audit came to.

use serde::Serialize;

/// What a check came to. The worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// All was done, every control hit, and nothing was found.
    Passed,
    /// What is listed is listed: there is nothing to find.
    Listed,
    /// It was not done, or not all of it.
    NotDone,
    /// Something was found, or a control did not hit.
    Failed,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Listed => "listed",
            Self::NotDone => "not done",
            Self::Failed => "FAILED",
        }
    }
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Finding {
    /// What, and in which form; never its value.
    pub(super) what: String,
    /// Where: a file, a process, a part of the wire.
    pub(super) place: String,
}

/// A search of a place where something is known to be.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Control {
    pub(super) what: String,
    pub(super) hit: bool,
}

/// One part of an audit.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Check {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) status: Status,
    /// What was done, in figures.
    pub(super) facts: Vec<(String, String)>,
    pub(super) findings: Vec<Finding>,
    pub(super) controls: Vec<Control>,
    /// Files of the folder that show it.
    pub(super) files: Vec<String>,
    /// Why it was not done, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) missing: Option<String>,
    pub(super) shows: &'static str,
    pub(super) does_not_show: &'static str,
}

impl Check {
    pub(super) fn new(
        id: &'static str,
        title: &'static str,
        shows: &'static str,
        does_not_show: &'static str,
    ) -> Self {
        Self {
            id,
            title,
            status: Status::Passed,
            facts: Vec::new(),
            findings: Vec::new(),
            controls: Vec::new(),
            files: vec![format!("{id}.json")],
            missing: None,
            shows,
            does_not_show,
        }
    }

    /// Notes what was done.
    pub(super) fn fact(&mut self, name: &str, value: impl ToString) {
        self.facts.push((name.to_owned(), value.to_string()));
    }

    /// Notes what must not be.
    pub(super) fn find(&mut self, what: impl Into<String>, place: impl Into<String>) {
        let finding = Finding { what: what.into(), place: place.into() };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Notes whether a control hit.
    pub(super) fn control(&mut self, what: impl Into<String>, hit: bool) {
        self.controls.push(Control { what: what.into(), hit });
    }

    /// Says that it was not done.
    pub(super) fn not_done(mut self, why: impl Into<String>) -> Self {
        self.missing = Some(why.into());
        self.concluded()
    }

    /// Says that there is nothing to find in it.
    pub(super) fn listed(mut self) -> Self {
        self.status = Status::Listed;
        self.concluded()
    }

    /// With the status that follows from what was noted.
    pub(super) fn concluded(mut self) -> Self {
        self.findings.sort();
        self.status = if self.first_wrong().is_some() {
            Status::Failed
        } else if self.missing.is_some() {
            Status::NotDone
        } else {
            self.status
        };
        self
    }

    /// The first thing that is wrong, in words.
    pub(super) fn first_wrong(&self) -> Option<String> {
        let finding = self.findings.first().map(|found| format!("{} in {}", found.what, found.place));
        let control = || self.controls.iter().find(|control| !control.hit);
        let wrong = finding.or_else(|| {
            let what = &control()?.what;
            Some(format!("the control did not hit, so the search shows nothing: {what}"))
        })?;
        Some(format!("{}: {wrong}", self.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_fails_and_so_does_a_control_that_does_not_hit() {
        let new = || Check::new("memory", "Memory", "", "");
        assert_eq!(new().concluded().status, Status::Passed);
        assert_eq!(new().listed().status, Status::Listed);
        assert_eq!(new().not_done("no process was named").status, Status::NotDone);
        let mut check = new();
        check.control("the client's memory", true);
        check.control("the gateway's memory", false);
        let check = check.concluded();
        assert_eq!(check.status, Status::Failed);
        let wrong = check.first_wrong().unwrap();
        assert_eq!(
            wrong,
            "memory: the control did not hit, so the search shows nothing: the gateway's memory"
        );
        let mut check = new();
        check.find("features as one f64", "process 7");
        check.find("features as one f64", "process 7");
        let check = check.not_done("the rest");
        assert_eq!((check.status, check.findings.len()), (Status::Failed, 1));
        assert_eq!(check.first_wrong().unwrap(), "memory: features as one f64 in process 7");
    }
}
