//! The page of an audit: what was done, what it shows and, beside it, what it does not, with a link to the file behind each claim.

use std::fmt::Write as _;

use tiresias_page::text;

use super::{
    Audit,
    check::{Check, Status},
    mapping::{LAWS, Rule},
};

const STYLE: &str = include_str!("page.css");

/// The page.
pub(super) fn html(audit: &Audit) -> String {
    let mut page = String::new();
    header(&mut page, audit);
    summary(&mut page, audit);
    limits(&mut page, audit);
    for check in &audit.checks {
        section(&mut page, audit, check);
    }
    for (law, rules) in LAWS {
        mapping(&mut page, audit, law, rules);
    }
    again(&mut page, audit);
    tiresias_page::page("Audit of a Tiresias gateway", STYLE, &page)
}

fn header(page: &mut String, audit: &Audit) {
    let _ = writeln!(
        page,
        "<header>\n<p class=\"kind\">Audit of a Tiresias gateway</p>\n<h1 class=\"{}\">{}</h1>\n<dl>",
        class(audit.status),
        verdict(audit.status)
    );
    for (name, value) in [
        ("Gateway", audit.gateway.as_str()),
        ("Model", &audit.model),
        ("Circuit card", &audit.config),
        ("Looked at", &audit.when),
        ("Program of the audit", &audit.version),
    ] {
        fact(page, name, value);
    }
    page.push_str("</dl>\n</header>\n");
}

fn verdict(status: Status) -> &'static str {
    match status {
        Status::Failed => "Failed: something was found, or a search is not to be trusted",
        Status::NotDone => "Incomplete: nothing was found, and not everything was looked at",
        Status::Passed | Status::Listed => "Passed: nothing was found by searches whose controls all hit",
    }
}

fn summary(page: &mut String, audit: &Audit) {
    page.push_str(
        "<section id=\"summary\">\n<h2>Summary</h2>\n<div class=\"wide\"><table><thead><tr><th scope=\"col\">Check</th>\
         <th scope=\"col\">Outcome</th><th scope=\"col\">Controls that hit</th><th scope=\"col\">Found</th></tr></thead><tbody>\n",
    );
    for check in &audit.checks {
        let hit = check.controls.iter().filter(|control| control.hit).count();
        let controls = match check.controls.len() {
            0 => "-".to_owned(),
            all => format!("{hit} of {all}"),
        };
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\"><a href=\"#{}\">{}</a></th><td class=\"{}\">{}</td><td>{controls}</td><td>{}</td></tr>",
            check.id,
            text(check.title),
            class(check.status),
            check.status.word(),
            check.findings.len()
        );
    }
    page.push_str("</tbody></table></div>\n");
    let _ =
        writeln!(page, "<p class=\"note\">All of it for programs: {}</p>\n</section>", link("audit.json"));
}

fn limits(page: &mut String, audit: &Audit) {
    let _ = writeln!(
        page,
        "<section id=\"limits\">\n<h2>What no audit of this kind shows</h2>\n<ul>\n\
         <li>That nothing leaks at other times, or in forms that are not looked for. It shows what these searches saw, in one run, on one machine.</li>\n\
         <li>That a machine tells the truth about its processes: who rules the system can hide memory and files from the audit.</li>\n\
         <li>That answers are right or the model is good. Canaries, replay and clinical evaluation are for that.</li>\n\
         <li>{}</li>\n</ul>\n</section>",
        if audit.is_own {
            "That a gateway elsewhere is like this one: this one was started for the audit, with a public demonstration model."
        } else {
            "That the named process, folders and address belong together, which is for whoever named them."
        }
    );
}

fn section(page: &mut String, audit: &Audit, check: &Check) {
    let _ = writeln!(
        page,
        "<section id=\"{}\">\n<h2>{} <span class=\"{}\">{}</span></h2>",
        check.id,
        text(check.title),
        class(check.status),
        check.status.word()
    );
    if !check.findings.is_empty() {
        page.push_str("<ul class=\"findings\">\n");
        for finding in &check.findings {
            let _ =
                writeln!(page, "<li>{} in <code>{}</code></li>", text(&finding.what), text(&finding.place));
        }
        page.push_str("</ul>\n");
    }
    if let Some(missing) = &check.missing {
        let _ = writeln!(page, "<p class=\"missing\">Not done, or not all of it: {}</p>", text(missing));
    }
    let shows = match check.status {
        Status::Passed | Status::Listed => check.shows,
        Status::NotDone => "Nothing until all of it is done.",
        Status::Failed => "That something is wrong: see what was found, and which controls did not hit.",
    };
    beside(page, shows, check.does_not_show);
    if !check.facts.is_empty() {
        page.push_str("<dl>\n");
        check.facts.iter().for_each(|(name, value)| fact(page, name, value));
        page.push_str("</dl>\n");
    }
    controls(page, check);
    match check.id {
        "data_flow" => flow(page, audit),
        "sbom" => crates(page, audit),
        _ => {}
    }
    let files: Vec<String> = check.files.iter().map(|file| link(file)).collect();
    let _ = writeln!(page, "<p class=\"files\">Shown by {}</p>\n</section>", files.join(", "));
}

fn controls(page: &mut String, check: &Check) {
    if check.controls.is_empty() {
        return;
    }
    let missed = check.controls.iter().any(|control| !control.hit);
    let _ = writeln!(
        page,
        "<details{}><summary>{} controls: what the same search must find, and does</summary>\n<ul>",
        if missed { " open" } else { "" },
        check.controls.len()
    );
    for control in &check.controls {
        let (class, word) = if control.hit { ("passed", "hit") } else { ("failed", "NOT HIT") };
        let _ = writeln!(page, "<li><span class=\"{class}\">{word}</span> {}</li>", text(&control.what));
    }
    page.push_str("</ul></details>\n");
}

fn flow(page: &mut String, audit: &Audit) {
    page.push_str(
        "<div class=\"wide\"><table><caption>Every byte that the clinic sent</caption><thead><tr><th scope=\"col\">Part</th>\
         <th scope=\"col\">Field</th><th scope=\"col\">Bytes</th><th scope=\"col\">Times</th><th scope=\"col\">What it tells</th></tr></thead><tbody>\n",
    );
    for field in &audit.fields {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td></tr>",
            field.part,
            text(&field.field),
            field.bytes,
            field.times,
            text(&field.tells)
        );
    }
    page.push_str("</tbody></table></div>\n");
}

fn crates(page: &mut String, audit: &Audit) {
    if audit.crates.is_empty() {
        return;
    }
    page.push_str(
        "<details><summary>The crates</summary>\n<div class=\"wide\"><table><thead><tr><th scope=\"col\">Crate</th><th scope=\"col\">Version</th>\
         <th scope=\"col\">Licence</th><th scope=\"col\">Used</th><th scope=\"col\">Advisories</th></tr></thead><tbody>\n",
    );
    for found in &audit.crates {
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            text(&found.name),
            text(&found.version),
            text(&found.licence),
            if found.is_linked { "in the program" } else { "by the build" },
            text(&found.advisories.join("; "))
        );
    }
    page.push_str("</tbody></table></div></details>\n");
}

fn mapping(page: &mut String, audit: &Audit, law: &str, rules: &[Rule]) {
    let _ = writeln!(
        page,
        "<section class=\"law\">\n<h2>{}</h2>\n<p class=\"note\">Where a reviewer finds evidence. No legal advice.</p>",
        text(law)
    );
    for rule in rules {
        let _ = writeln!(page, "<h3>{}</h3>\n<p>{}?</p>", text(rule.rule), text(rule.asks));
        let of = |id: &&&str| audit.checks.iter().find(|check| check.id == **id);
        let open: Vec<&Check> = rule
            .checks
            .iter()
            .filter_map(|id| of(&id))
            .filter(|check| matches!(check.status, Status::Failed | Status::NotDone))
            .collect();
        let shows = match open.first() {
            Some(check) => format!("Nothing here: {} {}.", check.title, check.status.word()),
            None => rule.shows.to_owned(),
        };
        beside(page, &shows, rule.does_not_show);
        let links = rule.checks.iter().filter_map(|id| of(&id)).map(|check| {
            format!(
                "<a href=\"#{}\">{}</a> ({})",
                check.id,
                text(check.title),
                link(&format!("{}.json", check.id))
            )
        });
        let links: Vec<String> = links.collect();
        if !links.is_empty() {
            let _ = writeln!(page, "<p class=\"files\">Shown by {}</p>", links.join(", "));
        }
    }
    page.push_str("</section>\n");
}

/// What is shown, and beside it what is not.
fn beside(page: &mut String, shows: &str, does_not_show: &str) {
    let _ = writeln!(
        page,
        "<div class=\"beside\"><p><b>Shows.</b> {}</p><p><b>Does not show.</b> {}</p></div>",
        text(shows),
        text(does_not_show)
    );
}

fn again(page: &mut String, audit: &Audit) {
    let _ = writeln!(
        page,
        "<section id=\"again\">\n<h2>To do it again</h2>\n<p><code>{}</code></p>\n</section>",
        text(&audit.command)
    );
}

fn class(status: Status) -> &'static str {
    match status {
        Status::Passed => "passed",
        Status::Listed => "listed",
        Status::NotDone => "undone",
        Status::Failed => "failed",
    }
}

/// A link to a file of the folder. Names are our own: letters, digits, dots, dashes and slashes.
fn link(file: &str) -> String {
    format!("<a href=\"{0}\">{0}</a>", text(file))
}

fn fact(page: &mut String, name: &str, value: &str) {
    let _ = writeln!(page, "<div><dt>{}</dt><dd>{}</dd></div>", text(name), text(value));
}
