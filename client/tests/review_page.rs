//! The page of `review serve`: by hand over TCP, as strangers and other pages would ask, and in a real browser, as people do.
//!
//! The browser's part needs Chromium; says SKIPPED where there is none.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "common/devtools.rs"]
mod devtools;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;
#[path = "common/records.rs"]
mod records;
// The browser finds its programs as the others do.
use common::programs;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Stdio},
    time::Duration,
};

use common::{command, tiresias};
use devtools::Devtools;
use records::{Clinic, LABELS};

/// A page that is served. It ends when this is dropped.
struct Served {
    child: Child,
    address: String,
    url: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    fn of(clinic: &Clinic) -> Self {
        let own = [
            "review",
            "--record",
            &clinic.record,
            "--passphrase-file",
            &clinic.passphrase,
            "serve",
            "--low-margin",
            "4",
        ];
        let mut command = command(&own);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        let url = url.trim_end().to_owned();
        let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
        Self { child, address, url }
    }

    fn token(&self) -> &str {
        self.url.rsplit('/').next().unwrap()
    }

    /// Sends a request as it stands, and gives the whole answer.
    fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // It may answer and close before it has read all.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    fn get(&self, path: &str, headers: &[String]) -> String {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        self.send(&format!("GET {path} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n"))
    }

    fn post(&self, path: &str, headers: &[String], body: &str) -> String {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let length = body.len();
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        ))
    }

    fn host(&self) -> String {
        format!("host: {}", self.address)
    }

    /// Opens the page, and gives the header that a browser sends from then on.
    fn open(&self) -> String {
        let opened = self.get(&format!("/open/{}", self.token()), &[self.host()]);
        assert!(opened.starts_with("HTTP/1.1 303 ") && opened.contains("\r\nlocation: /\r\n"), "{opened}");
        let cookie = opened.split("\r\nset-cookie: ").nth(1).unwrap().split("\r\n").next().unwrap();
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
        format!("cookie: {}", cookie.split(';').next().unwrap())
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_default()
}

#[test]
fn strangers_and_other_pages_see_and_decide_nothing() {
    let clinic = Clinic::start();
    clinic.infer(&["--about", &clinic.about]).done();
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let refused = clinic.review(&["serve", "--listen", listen]);
        assert!(refused.err.contains("for this machine alone"), "{refused:?}");
        refused.wrong_usage();
    }
    let served = Served::of(&clinic);
    assert!(served.address.starts_with("127.0.0.1:"));
    let (host, other_host) = (served.host(), "host: evil.example".to_owned());
    let is_patient = |answer: &str| answer.contains("patients.csv") || answer.contains("Anna");

    // Without the token, or with a wrong one; and under another name, even with the right one, which is still good then.
    for (path, host, expected) in [
        ("/", &host, 403),
        ("/case/1", &host, 403),
        ("/open/", &host, 403),
        (&format!("/open/{}", "0".repeat(64)), &host, 403),
        (&format!("/open/{}", served.token()), &other_host, 421),
        ("/", &other_host, 421),
    ] {
        let answer = served.get(path, std::slice::from_ref(host));
        assert_eq!(status(&answer), expected, "{path} {host}: {answer}");
        assert!(!is_patient(&answer) && !answer.contains("set-cookie"), "{answer}");
    }
    let absolute = served.get("http://evil.example/", std::slice::from_ref(&host));
    assert_eq!(status(&absolute), 421, "{absolute}");
    let cookie = served.open();
    let again = served.get(&format!("/open/{}", served.token()), std::slice::from_ref(&host));
    assert_eq!(status(&again), 403, "the token works once");

    // The one that opened it.
    let known = [host.clone(), cookie.clone()];
    let list = served.get("/", &known);
    assert!(status(&list) == 200 && is_patient(&list), "{list}");
    for guard in [
        "\r\ncache-control: no-store\r\n",
        "\r\ncontent-security-policy: default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'\r\n",
        "\r\nx-content-type-options: nosniff\r\n",
        "\r\nx-frame-options: DENY\r\n",
    ] {
        assert!(list.contains(guard) && again.contains(guard), "{guard} {list}");
    }
    assert!(!list.contains("<script"));
    let far_out = served.get("/case/21", &known);
    assert!(
        far_out.contains("not shown before a human has decided") && far_out.contains("There is no result.")
    );
    assert_eq!(status(&served.get("/", &[other_host, cookie.clone()])), 421);
    assert_eq!(status(&served.get("/", &[host.clone(), "cookie: tiresias_review=0".into()])), 403);
    for (path, expected) in
        [("/case/99", 404), ("/case/x", 404), ("/elsewhere", 404), ("/all", 200), ("/rates", 200)]
    {
        assert_eq!(status(&served.get(path, &known)), expected, "{path}");
    }

    // Forms: each lacks one thing that ours has, and none decides.
    let page = served.get("/case/1", &known);
    let secret = page.split("name=\"form\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let body = format!("form={secret}&choice=accept&by=AB&reason=seen+on+film");
    let kind = "content-type: application/x-www-form-urlencoded".to_owned();
    let origin = format!("origin: http://{}", served.address);
    let post = |headers: &[&String], body: &str| {
        let headers: Vec<String> = headers.iter().map(|&header| header.clone()).collect();
        status(&served.post("/case/1", &headers, body))
    };
    let (foreign, null) = ("origin: http://evil.example".to_owned(), "origin: null".to_owned());
    let cross = "sec-fetch-site: cross-site".to_owned();
    assert_eq!(post(&[&host, &kind, &origin], &body), 403, "no cookie");
    assert_eq!(post(&[&host, &kind, &cookie], &body), 403, "no origin");
    assert_eq!(post(&[&host, &kind, &cookie, &foreign], &body), 403);
    assert_eq!(post(&[&host, &kind, &cookie, &null], &body), 403);
    assert_eq!(post(&[&host, &kind, &cookie, &origin, &cross], &body), 403);
    assert_eq!(post(&[&host, &cookie, &origin], &body), 403, "no kind of content");
    assert_eq!(post(&[&kind, &cookie, &origin], &body), 421, "no host");
    let good = [&host, &kind, &cookie, &origin];
    assert_eq!(post(&good, &body.replace(secret, "0")), 403, "another form");
    assert_eq!(post(&good, &body.replace("&by", "&what=1&by")), 400);
    assert_eq!(post(&good, &format!("{body}{}", "x".repeat(70_000))), 413);
    assert_eq!(post(&good, &body.replace("accept", "to%3Asecret")), 422);
    assert_eq!(post(&good, &body.replace("AB", "%3Cb%3E")), 422);
    assert_eq!(post(&good, &body.replace("choice=accept&", "")), 422);
    assert!(clinic.cases()[0]["decisions"].as_array().unwrap().is_empty());
    assert_eq!(post(&good, &body), 303, "the control");
    assert_eq!(post(&good, &body), 422, "it was decided");
    assert_eq!(post(&good, &format!("{body}&again=1")), 303);
    assert_eq!(clinic.cases()[0]["decisions"].as_array().unwrap().len(), 2);

    // What another process records while it is served is there at once, and nothing was logged.
    clinic.infer(&["--about", &clinic.about]).done();
    assert!(served.get("/all", &known).contains("of 44 cases"));
    let mut served = served;
    served.child.kill().unwrap();
    let mut said = String::new();
    served.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("tiresias: note[serving]: "));
}

#[test]
fn people_decide_in_a_browser() {
    let mut browser = match Devtools::start() {
        Ok(browser) => browser,
        Err(reason) => {
            println!("SKIPPED: no browser: {reason}");
            return;
        }
    };
    let clinic = Clinic::start();
    clinic.infer(&["--about", &clinic.about]).done();
    let served = Served::of(&clinic);
    browser.resize(1200, 900);
    browser.open(&served.url);
    assert_eq!(browser.evaluate("location.pathname"), "/", "the token is gone from the address");
    let list = browser.text();
    assert!(list.contains("Cases that need a human") && list.contains("far out"), "{list}");
    assert!(list.contains("What this page does not show"), "{list}");
    picture(&mut browser, "list");

    // Accept the first, by its link.
    let first = browser.evaluate("document.querySelector('tbody a').pathname").as_str().unwrap().to_owned();
    browser.follow(|browser| browser.click("tbody a"));
    assert_eq!(browser.evaluate("location.pathname"), first);
    // A form without a choice stays where it is: the browser itself asks for one.
    browser.type_into("[name=by]", "AB");
    browser.type_into("[name=reason]", "seen & <checked> on film, März");
    browser.click("form button");
    assert!(
        browser.text().contains("Record the decision")
            && clinic.cases().iter().all(|case| case.get("by").is_none())
    );
    browser.click("[name=choice][value=accept]");
    browser.follow(|browser| browser.click("form button"));
    assert_eq!(browser.evaluate("location.pathname"), first, "it came back by GET");
    let decided = browser.text();
    assert!(
        decided.contains("accepted: ") && decided.contains("(AB): seen & <checked> on film, März"),
        "{decided}"
    );
    assert!(decided.contains("Decide again"), "{decided}");

    // A far-out one, whose scores are shown when it is decided, on a phone.
    browser.resize(390, 800);
    browser.open(&format!("http://{}/case/21", served.address));
    assert!(browser.text().contains("not shown before a human has decided"));
    picture(&mut browser, "case-phone");
    assert_eq!(
        browser.evaluate("document.documentElement.scrollWidth <= innerWidth"),
        true,
        "no wider than the screen"
    );
    let label = LABELS.lines().next_back().unwrap();
    // Its own label is named as what the computation said, and not offered as another.
    let choice = browser.evaluate("[...document.querySelectorAll('[name=choice]')].at(-1).value");
    let choice = choice.as_str().unwrap().to_owned();
    assert!(choice.starts_with("to:"), "{choice} {label}");
    browser.click(&format!("[name=choice][value='{choice}']"));
    browser.type_into("[name=by]", "X");
    browser.type_into("[name=reason]", "another sequence shows it");
    // Too short for the browser too; without its help the server says so, and keeps what was typed.
    browser.evaluate("document.querySelector('form').noValidate = true");
    browser.follow(|browser| browser.click("form button"));
    let refused = browser.text();
    assert!(refused.contains("Not decided: initials are 2 to 8 letters"), "{refused}");
    assert_eq!(
        browser.evaluate("document.querySelector('[name=reason]').value"),
        "another sequence shows it"
    );
    browser.click(&format!("[name=choice][value='{choice}']"));
    browser.type_into("[name=by]", "XY");
    browser.follow(|browser| browser.click("form button"));
    let decided = browser.text();
    let overridden = format!("overridden: {} (XY)", choice.strip_prefix("to:").unwrap());
    assert!(decided.contains(&overridden) && !decided.contains("not shown before"), "{decided}");

    browser.open(&format!("http://{}/rates", served.address));
    let rates = browser.text();
    assert!(rates.contains("no measure of how right a model is") && rates.contains("sex: f"), "{rates}");
    picture(&mut browser, "rates-phone");
    for (path, width) in [("/", 390), ("/all", 390), ("/rates", 390), ("/all", 1200), (first.as_str(), 1200)]
    {
        browser.resize(width, 900);
        browser.open(&format!("http://{}{path}", served.address));
        assert_eq!(
            browser.evaluate("document.documentElement.scrollWidth <= innerWidth"),
            true,
            "{path} {width}"
        );
        assert_eq!(
            browser.evaluate("performance.getEntriesByType('resource').length"),
            0,
            "{path} loads nothing else"
        );
        assert_eq!(browser.evaluate("document.cookie"), "", "scripts cannot read the cookie");
    }
    let cases = clinic.cases();
    let by: Vec<&str> = cases.iter().filter_map(|case| case["by"].as_str()).collect();
    assert_eq!(by, ["AB", "XY"]);

    // Another browser has no cookie, and the address was used.
    let mut other = Devtools::start().unwrap();
    other.open(&served.url);
    assert!(other.text().contains("Not yours"), "{}", other.text());
    // A form of another page, in the browser that is let in: it arrives without the cookie, and from elsewhere.
    let secret = browser.evaluate("document.querySelector('[name=form]').value");
    let page = format!(
        "<form method=post action='http://{}/case/1'><input name=form value={}><input name=choice value=accept>\
         <input name=by value=EV><input name=reason value=evil><button>go</button></form>",
        served.address,
        secret.as_str().unwrap()
    );
    browser.ask("Page.navigate", &serde_json::json!({ "url": "about:blank" }));
    browser.evaluate(&format!("document.body.innerHTML = {page:?}"));
    browser.follow(|browser| browser.click("button"));
    assert!(browser.text().contains("A form of another page decides nothing here"), "{}", browser.text());
    assert!(clinic.cases()[0].get("by").is_none());
    assert!(tiresias(&["review", "--help"]).done().contains("serve"));
}

/// For people to look at, where a folder for it is named.
fn picture(browser: &mut Devtools, name: &str) {
    if let Some(folder) = std::env::var_os("TIRESIAS_PICTURES") {
        browser.picture(std::path::Path::new(&folder).join(format!("{name}.png")).to_str().unwrap());
    }
}
