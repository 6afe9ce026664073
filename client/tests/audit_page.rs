//! The page of an audit in a real browser, at the widths of a phone and of a desk: what is said is to be seen, what is not shown stands
//! beside what is, and each link leads somewhere. The same checks find what is wrong with damaged pages.
//!
//! Needs Chromium; says SKIPPED where there is none.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::tiresias;
use gateway::{HANG, program};
use serde_json::Value;

/// Widths of a phone and of a desk.
const WIDTHS: [u32; 2] = [390, 1200];

/// Tells of each frame what is wrong with it.
const PROBE: &str = r"
addEventListener('load', () => {
  const frames = [...document.querySelectorAll('iframe')].map(frame => {
    const page = frame.contentDocument, root = page.documentElement, wrong = [];
    const name = element => (element.closest('[id]')?.id ?? '') + ' ' + element.tagName;
    if (root.scrollWidth > root.clientWidth) wrong.push('the page is wider than the screen');
    const says = element => [...element.childNodes].some(node => node.nodeType == 3 && node.textContent.trim());
    const closed = element => element.closest('details:not([open])') && element.tagName != 'SUMMARY';
    for (const element of [...page.querySelectorAll('main *')].filter(says)) {
      const box = element.getBoundingClientRect(), style = frame.contentWindow.getComputedStyle(element);
      if (closed(element)) continue;
      if (box.width < 1 || box.height < 1 || style.visibility != 'visible') wrong.push(name(element) + ' is not to be seen');
      if (!element.closest('.wide') && box.right > root.clientWidth + 1) wrong.push(name(element) + ' lies outside');
    }
    for (const pair of page.querySelectorAll('.beside')) {
      const [shows, not] = [...pair.children].map(part => part.getBoundingClientRect());
      if (!not || not.height < 1) { wrong.push('only one of a pair is to be seen'); continue; }
      const beside = Math.abs(shows.top - not.top) < 2 && not.left > shows.left;
      if (!beside && (root.clientWidth > 600 || not.top < shows.bottom - 1)) wrong.push('a pair is not side by side');
    }
    for (const link of page.querySelectorAll('a[href^=\'#\']'))
      if (!page.querySelector(link.getAttribute('href'))) wrong.push('a link leads nowhere');
    return {wrong: [...new Set(wrong)], pairs: page.querySelectorAll('.beside').length, loaded: performance.getEntriesByType('resource').length};
  });
  const answer = document.createElement('script');
  answer.type = 'application/json';
  answer.id = 'answer';
  answer.textContent = btoa(unescape(encodeURIComponent(JSON.stringify(frames))));
  document.body.append(answer);
});";

/// A browser's name, where one can be started.
fn browser() -> Option<&'static str> {
    let starts = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(starts)
}

/// What is wrong with these pages, at each width.
fn probe(browser: &str, folder: &Path, pages: &[String]) -> Vec<Value> {
    let mut wrapper = String::from("<!doctype html><meta charset=utf-8><body>");
    for (at, page) in pages.iter().enumerate() {
        fs::write(folder.join(format!("{at}.html")), page).unwrap();
        for width in WIDTHS {
            let _ = write!(
                wrapper,
                "<iframe src='{at}.html' width={width} height=9000 style='border:0'></iframe>"
            );
        }
    }
    let _ = write!(wrapper, "<script>{PROBE}</script>");
    let (file, out) = (folder.join("wrapper.html"), folder.join("out"));
    fs::write(&file, wrapper).unwrap();
    let profile = tempfile::tempdir_in(folder).unwrap();
    let mut process = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--dump-dom",
        ])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--allow-file-access-from-files", "--window-size=1600,2000"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", file.display()))
        .stdout(Stdio::from(fs::File::create(&out).unwrap()))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while process.try_wait().unwrap().is_none() {
        if started.elapsed() > HANG {
            process.kill().unwrap();
        }
        thread::sleep(std::time::Duration::from_millis(20));
    }
    let dom = fs::read_to_string(out).unwrap();
    let answer = dom.split_once("id=\"answer\">").unwrap().1.split_once('<').unwrap().0;
    serde_json::from_slice(&STANDARD.decode(answer).unwrap()).unwrap()
}

#[test]
fn what_is_shown_and_what_is_not_are_to_be_seen_side_by_side() {
    let Some(browser) = browser() else {
        println!("SKIPPED: no browser");
        return;
    };
    program();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("evidence");
    tiresias(&["audit", "--out", out.to_str().unwrap()]).done();
    let page = fs::read_to_string(out.join("audit.html")).unwrap();
    let styled = |style: &str| page.replacen("</style>", &format!("{style}</style>"), 1);
    let cases = [
        (page.clone(), ""),
        (styled(".beside p + p { display: none }"), "only one of a pair is to be seen"),
        (styled("#limits { visibility: hidden }"), "limits LI is not to be seen"),
        (styled("main { width: 1300px; max-width: none }"), "the page is wider than the screen"),
        (page.replace("id=\"memory\"", ""), "a link leads nowhere"),
    ];
    let pages: Vec<String> = cases.iter().map(|(page, _)| page.clone()).collect();
    let answers = probe(browser, folder.path(), &pages);
    for (at, (_, expected)) in cases.iter().enumerate() {
        for answer in &answers[at * 2..at * 2 + 2] {
            let wrong = answer["wrong"].as_array().unwrap();
            assert_eq!(wrong.is_empty(), expected.is_empty(), "case {at}: {wrong:?}");
            assert!(
                expected.is_empty() || wrong.iter().any(|wrong| wrong == expected),
                "case {at}: {wrong:?}"
            );
            assert!(answer["pairs"].as_u64().unwrap() > 20, "{answer}");
        }
    }
    assert!(!page.contains("<script") && !page.contains("http:"));
}
