//! The page of an audit in a real browser, at the widths of a phone and of a desk: what is said is to be seen, what is not shown stands
//! beside what is, and each link leads somewhere. The same checks find what is wrong with damaged pages.
//!
//! Needs Chromium; says SKIPPED where there is none.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{fmt::Write as _, fs};

use common::{browser::Browser, tiresias};
use gateway::program;
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

/// What is wrong with these pages, at each width.
fn probe(browser: &Browser, pages: &[String]) -> Vec<Value> {
    let mut wrapper = String::from("<!doctype html><meta charset=utf-8><body>");
    for (at, page) in pages.iter().enumerate() {
        fs::write(browser.path(&format!("{at}.html")), page).unwrap();
        for width in WIDTHS {
            let _ = write!(
                wrapper,
                "<iframe src='{at}.html' width={width} height=9000 style='border:0'></iframe>"
            );
        }
    }
    let _ = write!(wrapper, "<script>{PROBE}</script>");
    let file = browser.path("wrapper.html");
    fs::write(&file, wrapper).unwrap();
    browser.answers(&file, &["--window-size=1600,2000"])
}

#[test]
fn what_is_shown_and_what_is_not_are_to_be_seen_side_by_side() {
    let browser = match Browser::find() {
        Ok(browser) => browser,
        Err(reason) => {
            println!("SKIPPED: no browser: {reason}");
            return;
        }
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
    let answers = probe(&browser, &pages);
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
