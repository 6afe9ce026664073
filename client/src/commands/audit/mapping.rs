//! Which rule asks for what, which check of an audit has something to say to it, and what stays open. It helps a reviewer find the
//! evidence; it is no legal advice, and no check makes anyone compliant.

/// A rule, and what an audit has for it.
pub(super) struct Rule {
    pub(super) rule: &'static str,
    pub(super) asks: &'static str,
    /// What the checks show, as far as they passed.
    pub(super) shows: &'static str,
    /// Their ids.
    pub(super) checks: &'static [&'static str],
    pub(super) does_not_show: &'static str,
}

const fn rule(
    rule: &'static str,
    asks: &'static str,
    shows: &'static str,
    checks: &'static [&'static str],
    does_not_show: &'static str,
) -> Rule {
    Rule { rule, asks, shows, checks, does_not_show }
}

/// The rules, by law.
pub(super) const LAWS: [(&str, &[Rule]); 3] = [
    ("HIPAA Security Rule, 45 CFR 164.312", &HIPAA),
    ("GDPR", &GDPR),
    ("EU AI Act, Articles 9 to 15", &AI_ACT),
];

const HIPAA: [Rule; 5] = [
    rule(
        "(a) Access control, encryption",
        "Who can read health information, and is it encrypted",
        "Features and keys were found nowhere at the gateway, and its program has no code that decrypts.",
        &["symbols", "memory", "files"],
        "Who can use the clinic's machine, which has all of it in clear. Emergency access and automatic logoff are the clinic's.",
    ),
    rule(
        "(b) Audit controls",
        "Is activity recorded so that it can be examined",
        "Every answer of this run has a receipt in a log that was computed again from its first entry.",
        &["evidence"],
        "How long log and receipts are kept, and that somebody looks at them. Use of the clinic's own systems is not recorded here.",
    ),
    rule(
        "(c) Integrity",
        "Can information be altered unseen",
        "Request and response are bound to a receipt by their hashes.",
        &["evidence"],
        "That answers are right: that is for canaries and replay. What the clinic does with them is outside.",
    ),
    rule(
        "(d) Person or entity authentication",
        "Is a party the one that it claims to be",
        "Connections were TLS 1.3 with the certificates that were named.",
        &["wire"],
        "Who holds the private keys, and how certificates are given out and taken back.",
    ),
    rule(
        "(e) Transmission security",
        "Is information protected on the network",
        "The canary patients were neither in the network's bytes nor, inside TLS, in what the gateway could read.",
        &["wire", "data_flow"],
        "Other connections of the clinic. Sizes and times of requests stay visible.",
    ),
];

const GDPR: [Rule; 6] = [
    rule(
        "Article 5(1)(c) Data minimisation",
        "Does the processor get no more than it needs",
        "The table of data flows has every byte that the clinic sent. The content of vectors is in ciphertexts alone.",
        &["data_flow", "wire"],
        "That the purpose needs the data at all. Tenant, model, time and number of vectors are personal data where they point to someone.",
    ),
    rule(
        "Articles 5(1)(f) and 32 Security",
        "Are measures appropriate to the risk",
        "Encryption under keys that the gateway does not have, as far as memory, files and program show.",
        &["memory", "files", "symbols"],
        "Appropriateness, which is a judgement. Availability, backups and the clinic's machines.",
    ),
    rule(
        "Articles 5(2) and 30 Accountability, records",
        "Can it be shown",
        "This folder, with receipts that others can verify.",
        &["evidence"],
        "The record of processing itself, and the roles of the parties.",
    ),
    rule(
        "Article 25 Data protection by design",
        "Is it built in",
        "No code of secret keys is in the gateway's program.",
        &["symbols", "sbom"],
        "The rest of the system around it.",
    ),
    rule(
        "Article 28 Processor",
        "Does a contract bind the processor",
        "Nothing.",
        &[],
        "The contract. An operator that cannot read data may still be a processor: do not rely on the opposite.",
    ),
    rule(
        "Article 35 Impact assessment",
        "What are the risks to people",
        "Which data goes where, for the description that an assessment begins with.",
        &["data_flow"],
        "The assessment: risks of wrong answers, of bias and of use are not looked at here (see `tiresias fairness`).",
    ),
];

const AI_ACT: [Rule; 7] = [
    rule(
        "Article 9 Risk management",
        "Are risks known and treated throughout",
        "Whether some technical failures that SECURITY.md names were found in this run.",
        &["memory", "files", "wire", "symbols"],
        "A risk management system, and any risk of the model's use.",
    ),
    rule(
        "Article 10 Data and data governance",
        "Are training data relevant, representative, examined for bias",
        "Nothing.",
        &[],
        "Everything about training data. The model card and `tiresias fairness` have some of it.",
    ),
    rule(
        "Article 11 Technical documentation",
        "Is it documented before it is used",
        "What the gateway is built from, what it is sent, and how it was tested here.",
        &["sbom", "data_flow"],
        "The documentation of Annex IV, of model and device.",
    ),
    rule(
        "Article 12 Record-keeping",
        "Are events recorded automatically",
        "Each answer has a leaf in the log, with hashes and a coarse time and no patient.",
        &["evidence"],
        "Retention, and records of what a clinician decided.",
    ),
    rule(
        "Article 13 Transparency to deployers",
        "Are capabilities and limits explained",
        "What this audit shows stands beside what it does not.",
        &["data_flow"],
        "Instructions for use, accuracy and known limits of the model.",
    ),
    rule(
        "Article 14 Human oversight",
        "Can people oversee and stop it",
        "Nothing.",
        &[],
        "Oversight in practice. Reports leave the decision to a clinician; whether one is made is not seen.",
    ),
    rule(
        "Article 15 Accuracy, robustness, cybersecurity",
        "Is it accurate, and does it withstand attack",
        "No trace of features or keys was found at the gateway; crates with known vulnerabilities, where a database was named.",
        &["memory", "files", "wire", "symbols", "sbom"],
        "Accuracy and robustness of the model, and attacks that this audit does not try.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_rule_is_said_to_be_shown_by_is_a_check_and_what_is_open_stands_beside_it() {
        for (law, rules) in LAWS {
            for rule in rules {
                assert!(!rule.does_not_show.is_empty(), "{law}, {}", rule.rule);
                assert_eq!(rule.checks.is_empty(), rule.shows == "Nothing.", "{law}, {}", rule.rule);
                for check in rule.checks {
                    assert!(super::super::CHECKS.contains(check), "{check}");
                }
            }
        }
    }
}
