//! What the page shows: the cases that need a human, one case with the form that decides it, and rates. No script.

use std::fmt::Write as _;

use tiresias_page::{form_page, text};
use tiresias_record::{Answer, Book, Entry, Error, case::NONE, rates};

use super::{form::Form, serve::Settings, shown};
use crate::clock;

const STYLE: &str = include_str!("review.css");
/// Cases on one page.
const MAXIMUM_LINES: usize = 100;

/// A list of cases behind this one.
pub(super) fn list(book: &Book, settings: Settings, all: bool, after: u64) -> String {
    let low_margin = settings.low_margin;
    let open = shown::cases(book, low_margin, false).count();
    let of = book.entries().count();
    let title = if all { "All cases" } else { "Cases that need a human" };
    let mut body = navigation(if all { "/all" } else { "/" });
    let _ = writeln!(body, "<h1>{title}</h1>\n<p>{open} of {of} cases need a human.</p>");
    let mut cases = shown::cases(book, low_margin, all).filter(|(number, _)| *number > after).peekable();
    if cases.peek().is_some() {
        body.push_str(
            "<table class=\"cases\"><thead><tr><th>case</th><th>input</th><th>model</th><th>diagnosis</th><th>why</th>\
             <th>decided</th><th>recorded</th></tr></thead><tbody>\n",
        );
        let mut last = after;
        for (number, entry) in cases.by_ref().take(MAXIMUM_LINES) {
            line(&mut body, number, entry, low_margin);
            last = number;
        }
        body.push_str("</tbody></table>\n");
        if cases.peek().is_some() {
            let path = if all { "/all" } else { "/" };
            let _ = writeln!(body, "<p><a href=\"{path}?after={last}\">More cases</a></p>");
        }
    } else {
        body.push_str("<p>There are none here.</p>\n");
    }
    body.push_str(&limits(settings));
    form_page(title, STYLE, &body)
}

fn line(body: &mut String, number: u64, entry: &Entry, low_margin: f64) {
    let case = entry.case();
    let decided = entry.decision().map(|decision| shown::decision(entry, decision)).unwrap_or_default();
    let _ = write!(body, "<tr><td><a href=\"/case/{number}\">Case {number}</a></td>");
    for (name, value) in [
        ("input", case.input()),
        ("model", format!("{} {}", case.model, case.version)),
        ("diagnosis", shown::answer(entry)),
        ("why", shown::why(entry, low_margin)),
        ("decided", decided),
        ("recorded", clock::utc(case.at)),
    ] {
        let _ = write!(body, "<td data-name=\"{name}\">{}</td>", text(&value));
    }
    body.push_str("</tr>\n");
}

/// One case, perhaps with what was wrong with a form that was sent.
pub(super) fn case(
    number: u64,
    entry: &Entry,
    settings: Settings,
    secret: &str,
    sent: Option<(&Form, &str)>,
) -> String {
    let title = format!("Case {number}");
    let mut body = navigation("");
    let _ = writeln!(body, "<h1>{title}</h1>");
    if let Some((_, wrong)) = sent {
        let _ =
            writeln!(body, "<div class=\"warn\" role=\"alert\"><p>Not decided: {}.</p></div>", text(wrong));
    }
    body.push_str("<section><dl>\n");
    for (name, value) in shown::facts(entry, settings.low_margin, clock::utc) {
        let _ = writeln!(body, "<div><dt>{}</dt><dd>{}</dd></div>", text(&name), text(&value));
    }
    body.push_str("</dl></section>\n");
    if !entry.decisions().is_empty() {
        body.push_str("<section><h2>Decisions, the last one counts</h2><ol>\n");
        for decision in entry.decisions() {
            let words = shown::decision(entry, decision);
            let (at, words, reason) = (clock::utc(decision.at()), text(&words), text(decision.reason()));
            let _ = writeln!(body, "<li>{at}: {words}: {reason}</li>");
        }
        body.push_str("</ol></section>\n");
    }
    form(&mut body, number, entry, secret, sent.map(|(form, _)| form));
    body.push_str(&limits(settings));
    form_page(&title, STYLE, &body)
}

fn form(body: &mut String, number: u64, entry: &Entry, secret: &str, sent: Option<&Form>) {
    let again = !entry.decisions().is_empty();
    let case = entry.case();
    let (title, again_field) = match again {
        true => ("Decide again", "<input type=\"hidden\" name=\"again\" value=\"1\">"),
        false => ("Decide", ""),
    };
    let _ = writeln!(
        body,
        "<section><h2>{title}</h2>\n<form method=\"post\" action=\"/case/{number}\" autocomplete=\"off\">\
         <input type=\"hidden\" name=\"form\" value=\"{}\">{again_field}\n<fieldset><legend>It is</legend>",
        text(secret)
    );
    let mut choice = |kind: &str, name: &str, value: &str, label: &str, required: &str| {
        let _ = writeln!(
            body,
            "<label class=\"choice\"><input type=\"{kind}\" name=\"{name}\" value=\"{}\"{required}><span>{}</span></label>",
            text(value),
            text(label)
        );
    };
    let own = case.answer.label().filter(|_| !case.answer.is_open());
    if let Some(own) = &own {
        let label = match case.is_withheld() {
            true => format!("what the computation said: {own}"),
            false => format!("as the model says: {own}"),
        };
        choice("radio", "choice", "accept", &label, " required");
    }
    if let Answer::Findings { .. } = case.answer {
        choice("radio", "choice", "override", "these findings and no other:", " required");
        for label in &case.labels {
            choice("checkbox", "to", label, label, "");
        }
    } else {
        let none = (case.labels.len() == 1).then(|| NONE.to_owned());
        for label in case.labels.iter().chain(&none).filter(|label| own.as_ref() != Some(label)) {
            choice("radio", "choice", &format!("to:{label}"), label, " required");
        }
    }
    let (by, reason) = sent.map_or(("", ""), |form| (form.by.as_str(), form.reason.as_str()));
    let _ = writeln!(
        body,
        "</fieldset>\n<label class=\"field\">Your initials<input class=\"short\" type=\"text\" name=\"by\" value=\"{}\" required \
         minlength=\"2\" maxlength=\"8\"></label>\n<label class=\"field\">Your reason<input type=\"text\" name=\"reason\" value=\"{}\" \
         required minlength=\"3\" maxlength=\"500\"></label>\n<button>Record the decision</button>\n\
         <p class=\"note\">It is kept for good. A later one can count instead of it.</p>\n</form></section>",
        text(by),
        text(reason)
    );
}

/// How often humans agree.
pub(super) fn rates_page(book: &Book, settings: Settings) -> Result<String, Error> {
    let mut body = navigation("/rates");
    body.push_str("<h1>Agreement</h1>\n");
    let _ = writeln!(
        body,
        "<p>{} Cases without a result are left to humans and in no rate. \
         Fewer than {} decisions are too few for a rate. Intervals are of 95 % (Wilson).</p>",
        shown::RATES_CAUTION,
        settings.min_cell
    );
    body.push_str(
        "<table class=\"cases\"><thead><tr><th>model</th><th>group</th><th>cases</th><th>accepted</th><th>overridden</th>\
         <th>left to humans</th><th>agreement</th><th>override</th></tr></thead><tbody>\n",
    );
    for rate in rates::rates(book, &[], settings.min_cell)? {
        let by = rate.by.as_ref().zip(rate.group.as_ref());
        let group = by.map_or_else(
            || "all".to_owned(),
            |(by, group)| format!("{by}: {}", if group.is_empty() { "-" } else { group }),
        );
        let [agreement, overridden] = [rate.agreement, rate.override_rate].map(|rate| {
            let [value, span] = shown::estimate(rate);
            if span.is_empty() { value } else { format!("{value} ({span})") }
        });
        body.push_str("<tr>");
        for (name, class, value) in [
            ("model", "", format!("{} {}", rate.model, rate.version)),
            ("group", "", group),
            ("cases", " class=\"number\"", rate.cases.to_string()),
            ("accepted", " class=\"number\"", rate.accepted.to_string()),
            ("overridden", " class=\"number\"", rate.overridden.to_string()),
            ("left to humans", " class=\"number\"", rate.left_to_humans.to_string()),
            ("agreement", "", agreement),
            ("override", "", overridden),
        ] {
            let _ = write!(body, "<td data-name=\"{name}\"{class}>{}</td>", text(&value));
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</tbody></table>\n");
    Ok(form_page("Agreement", STYLE, &body))
}

/// A page that says one thing.
pub(super) fn message(title: &str, words: &str) -> String {
    form_page(title, STYLE, &format!("<h1>{}</h1>\n<p>{}</p>\n", text(title), text(words)))
}

fn navigation(here: &str) -> String {
    let mut nav = String::from("<nav>");
    for (path, name) in [("/", "Need a human"), ("/all", "All cases"), ("/rates", "Agreement")] {
        let current = if path == here { " aria-current=\"page\"" } else { "" };
        let _ = write!(nav, "<a href=\"{path}\"{current}>{name}</a>");
    }
    nav + "</nav>\n"
}

/// What stands beneath whatever is shown of cases.
fn limits(settings: Settings) -> String {
    format!(
        "<section id=\"limits\"><h2>What this page does not show</h2><ul>\n\
         <li>No scan, no features and no history of a patient: decide from these, and not from this page.</li>\n\
         <li>No score or margin of a case that the model has no result for, before a human has decided: a number would be read as \
         one, and would weigh on the decision. The conclusion says what was computed, in words, as reports do.</li>\n\
         <li>No case that no one recorded: it knows what <code>infer --record</code> wrote.</li>\n\
         <li>Not whether a case that is not listed was right: a margin of {} or more, in units of the score, raises no question here, and says \
         nothing of a model that errs with certainty.</li>\n\
         <li>Not who typed the initials: whoever has the passphrase can type any.</li>\n</ul></section>\n",
        settings.low_margin
    )
}
